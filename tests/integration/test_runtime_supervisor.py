"""The supervisor with real processes: order, death, restart, adoption, and nothing left."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pbx.runtime.errors import AlreadyRunning, PartFailed
from pbx.runtime.process import Process, Record, boot_id, group_members, start_time
from pbx.runtime.supervisor import Part, PartEvent, Supervisor

STAYS = 'echo $$ > "$0"; exec sleep 1000'
LONG = 20.0


def written_by_live_process(file: Path) -> Callable[[], Awaitable[bool]]:
    """Ready when ``file`` holds the id of a process that lives."""

    async def ready() -> bool:
        text = file.read_text() if file.exists() else ""
        return text.strip().isdigit() and start_time(int(text)) is not None

    return ready


def part(tmp_path: Path, name: str, script: str = STAYS, **options: object) -> Part:
    """A shell script as a part; it gets its mark file as ``$0``."""
    mark = tmp_path / f"{name}.mark"
    settings: dict[str, object] = {
        "name": name,
        "argv": ["/bin/sh", "-c", script, str(mark)],
        "log": tmp_path / "log" / f"{name}.log",
        "ready": written_by_live_process(mark),
        "cwd": tmp_path,
        "ready_timeout": LONG,
        "stop_timeout": LONG,
    }
    return Part(**(settings | options))  # type: ignore[arg-type]


class Watch:
    """Collects what the supervisor tells."""

    def __init__(self) -> None:
        self.seen: list[PartEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: PartEvent) -> None:
        self.seen.append(event)
        self._changed.set()

    def kinds(self) -> list[tuple[str, str]]:
        return [(event.name, event.kind) for event in self.seen]

    async def until(self, name: str, kind: str, count: int = 1) -> list[PartEvent]:
        async with asyncio.timeout(LONG):
            while True:
                found = [e for e in self.seen if (e.name, e.kind) == (name, kind)]
                if len(found) >= count:
                    return found
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def running(
    parts: list[Part], run_dir: Path, watch: Watch | None = None
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(parts, run_dir, watch or Watch())
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.pid(name)
    assert pid is not None
    return pid


async def gone(pid: int) -> None:
    async with asyncio.timeout(LONG):
        while start_time(pid) is not None:
            await asyncio.sleep(0.02)


async def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    watch = Watch()
    names = ["first", "second", "third"]
    async with running([part(tmp_path, name) for name in names], tmp_path / "run", watch) as it:
        assert watch.kinds() == [(n, k) for n in names for k in ("started", "ready")]
        pids = [pid_of(it, name) for name in names]
        watch.seen.clear()
    assert watch.kinds() == [(name, "stopped") for name in reversed(names)]
    assert [group_members(pid) for pid in pids] == [(), (), ()]
    assert not list((tmp_path / "run").glob("*.json"))


async def test_each_part_has_its_own_session(tmp_path: Path) -> None:
    """So a terminal's Ctrl-C reaches the supervisor alone."""
    async with running([part(tmp_path, "one")], tmp_path / "run") as it:
        pid = pid_of(it, "one")
        assert os.getsid(pid) == pid


async def test_killed_part_is_started_again(tmp_path: Path) -> None:
    watch = Watch()
    parts = [part(tmp_path, "one"), part(tmp_path, "two")]
    async with running(parts, tmp_path / "run", watch) as it:
        before, other = pid_of(it, "one"), pid_of(it, "two")
        os.kill(before, signal.SIGKILL)
        ready = await watch.until("one", "ready", 2)
        assert pid_of(it, "one") == ready[1].pid != before
        assert pid_of(it, "two") == other
        (died,) = await watch.until("one", "died")
        assert died.pid == before
        assert "SIGKILL" in died.detail
        record = Record.read(tmp_path / "run" / "one.json")
        assert record is not None
        assert record.pid == ready[1].pid


async def test_part_that_runs_but_answers_no_more_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbx.runtime.supervisor.WATCH_EVERY", 0.05)
    watch = Watch()
    parts = [part(tmp_path, "stuck", end_if_silent=True), part(tmp_path, "patient")]
    async with running(parts, tmp_path / "run", watch) as it:
        before, patient = pid_of(it, "stuck"), pid_of(it, "patient")
        (tmp_path / "stuck.mark").unlink()
        (tmp_path / "patient.mark").unlink()
        await watch.until("stuck", "ready", 2)
        assert pid_of(it, "stuck") != before
        assert pid_of(it, "patient") == patient


async def test_crash_loop_waits_longer_each_time_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    script = f"[ -e crash ] && exit 3; {STAYS}"
    with caplog.at_level(logging.DEBUG, logger="pbx.runtime.supervisor"):
        async with running([part(tmp_path, "one", script)], tmp_path / "run", watch) as it:
            (tmp_path / "crash").touch()
            os.kill(pid_of(it, "one"), signal.SIGKILL)
            waits = await watch.until("one", "restarting", 4)
            (tmp_path / "crash").unlink()
            await watch.until("one", "ready", 2)
    assert [event.detail for event in waits[:4]] == ["in 0.2 s", "in 0.4 s", "in 0.8 s", "in 1.6 s"]
    levels = [r.levelno for r in caplog.records if "starting it again" in r.getMessage()]
    assert levels[:4] == [logging.WARNING, logging.DEBUG, logging.DEBUG, logging.DEBUG]
    died = [event.detail for event in watch.seen if event.kind == "died"]
    assert "exit code 3" in died[1]


async def test_part_whose_program_vanished_comes_back_with_it(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.symlink_to("/bin/sh")
    watch = Watch()
    mark = tmp_path / "one.mark"
    one = part(tmp_path, "one", argv=[str(program), "-c", STAYS, str(mark)])
    async with running([one], tmp_path / "run", watch) as it:
        program.unlink()
        os.kill(pid_of(it, "one"), signal.SIGKILL)
        died = await watch.until("one", "died", 2)
        assert str(program) in died[1].detail
        program.symlink_to("/bin/sh")
        await watch.until("one", "ready", 2)


async def test_stop_ends_grandchildren_that_ignore_it(tmp_path: Path) -> None:
    script = f'(trap "" TERM; exec sleep 1000) & echo $! > grandchild; {STAYS}'
    async with running([part(tmp_path, "one", script)], tmp_path / "run") as it:
        group = pid_of(it, "one")
        grandchild = int((tmp_path / "grandchild").read_text())
        assert set(group_members(group)) == {group, grandchild}
    assert group_members(group) == ()


async def test_restart_ends_the_grandchildren_of_the_dead(tmp_path: Path) -> None:
    watch = Watch()
    script = f"sleep 1000 & {STAYS}"
    async with running([part(tmp_path, "one", script)], tmp_path / "run", watch) as it:
        group = pid_of(it, "one")
        os.kill(group, signal.SIGKILL)
        await watch.until("one", "ready", 2)
        assert group_members(group) == ()


async def test_part_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    watch = Watch()
    stubborn = part(
        tmp_path, "one", 'trap "" TERM; echo $$ > "$0"; while :; do sleep 1; done', stop_timeout=0.2
    )
    async with running([stubborn], tmp_path / "run", watch) as it:
        pid = pid_of(it, "one")
    assert group_members(pid) == ()
    (stopped,) = await watch.until("one", "stopped")
    assert stopped.detail == "killed"


async def test_part_gets_the_stop_signal_it_asks_for(tmp_path: Path) -> None:
    script = 'trap "echo interrupted > how; exit" INT; echo $$ > "$0"; while :; do sleep 0.05; done'
    asking = part(tmp_path, "one", script, stop_signal=signal.SIGINT)
    async with running([asking], tmp_path / "run"):
        pass
    assert (tmp_path / "how").read_text() == "interrupted\n"


async def test_part_gets_its_environment_and_folder(tmp_path: Path) -> None:
    script = f'echo "$GREETING" > greeting; {STAYS}'
    async with running([part(tmp_path, "one", script, env={"GREETING": "hello"})], tmp_path / "r"):
        assert (tmp_path / "greeting").read_text() == "hello\n"


async def test_failed_start_shows_the_log_and_stops_the_others(tmp_path: Path) -> None:
    watch = Watch()
    bad = part(tmp_path, "bad", "echo port 5060 is taken >&2; exit 7")
    bad.log.parent.mkdir()
    bad.log.write_text("from an earlier run\n")
    supervisor = Supervisor([part(tmp_path, "good"), bad], tmp_path / "run", watch)
    with pytest.raises(PartFailed) as caught:
        await supervisor.start()
    assert caught.value.name == "bad"
    assert caught.value.last_lines == "port 5060 is taken"
    assert "exit code 7" in caught.value.reason
    (good,) = await watch.until("good", "stopped")
    assert good.pid is not None
    assert group_members(good.pid) == ()


async def test_part_that_is_never_ready_fails_in_time(tmp_path: Path) -> None:
    async def refuses() -> bool:
        raise ConnectionRefusedError("nobody there")

    never = part(tmp_path, "one", ready=refuses, ready_timeout=0.3)
    supervisor = Supervisor([never], tmp_path / "run")
    with pytest.raises(PartFailed, match=r"not ready after 0.3 s .*nobody there"):
        await supervisor.start()
    assert supervisor.pid("one") is None


async def test_missing_program_is_named(tmp_path: Path) -> None:
    absent = part(tmp_path, "one", argv=["/nowhere/asterisk"])
    with pytest.raises(PartFailed, match="/nowhere/asterisk"):
        await Supervisor([absent], tmp_path / "run").start()


async def test_stop_during_start_leaves_nothing(tmp_path: Path) -> None:
    watch = Watch()

    async def never() -> bool:
        return False

    parts = [part(tmp_path, "one"), part(tmp_path, "two", ready=never)]
    supervisor = Supervisor(parts, tmp_path / "run", watch)
    start = asyncio.create_task(supervisor.start(), name="start")
    await watch.until("two", "started")
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert [group_members(e.pid or 0) for e in watch.seen if e.kind == "started"] == [(), ()]


async def test_second_supervisor_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    one = part(tmp_path, "one")
    async with running([one], tmp_path / "run") as it:
        pid = pid_of(it, "one")
        with pytest.raises(AlreadyRunning) as caught:
            await Supervisor([one], tmp_path / "run").start()
        assert caught.value.pid == os.getpid()
        assert pid_of(it, "one") == pid
    async with running([one], tmp_path / "run"):
        pass


async def test_run_until_ends_with_the_event_and_stops_nothing(tmp_path: Path) -> None:
    async with running([part(tmp_path, "one")], tmp_path / "run") as it:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_soon(stop.set)
        async with asyncio.timeout(LONG):
            await it.run_until(stop)
        assert start_time(pid_of(it, "one")) is not None


async def leave_over(tmp_path: Path, *names: str) -> dict[str, int]:
    """Run parts under a supervisor of another process and kill that with SIGKILL."""
    code = """
import asyncio, sys
from pathlib import Path
from tests.integration.test_runtime_supervisor import Supervisor, part
async def main():
    here = Path(sys.argv[1])
    it = Supervisor([part(here, name) for name in sys.argv[2:]], here / "run")
    await it.start()
    print(*[it.pid(name) for name in sys.argv[2:]], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path), *names), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LONG):
            pids = [int(word) for word in (await process.stdout.readline()).split()]
    finally:
        process.kill()
        await process.communicate()
    assert all(start_time(pid) for pid in pids)
    return dict(zip(names, pids, strict=True))


async def test_after_a_killed_supervisor_asterisk_stays_and_services_are_replaced(
    tmp_path: Path,
) -> None:
    before = await leave_over(tmp_path, "asterisk", "hotline", "retired")
    watch = Watch()
    parts = [part(tmp_path, "asterisk", adopt=True), part(tmp_path, "hotline")]
    async with running(parts, tmp_path / "run", watch) as it:
        assert pid_of(it, "asterisk") == before["asterisk"]
        assert pid_of(it, "hotline") != before["hotline"]
        await gone(before["hotline"])
        await gone(before["retired"])
        # One that is not our child is watched all the same.
        os.kill(before["asterisk"], signal.SIGKILL)
        ready = await watch.until("asterisk", "ready", 2)
        assert ready[1].pid != before["asterisk"]


async def test_failed_start_leaves_an_adopted_asterisk_running(tmp_path: Path) -> None:
    before = await leave_over(tmp_path, "asterisk")
    parts = [part(tmp_path, "asterisk", adopt=True), part(tmp_path, "broken", "exit 3")]
    with pytest.raises(PartFailed):
        await Supervisor(parts, tmp_path / "run").start()
    assert start_time(before["asterisk"]) is not None
    async with running(parts[:1], tmp_path / "run") as it:
        assert pid_of(it, "asterisk") == before["asterisk"]


async def test_part_comes_back_though_its_record_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    async with running([part(tmp_path, "one")], tmp_path / "run", watch) as it:

        def full(_self: Record, _file: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Record, "write", full)
        os.kill(pid_of(it, "one"), signal.SIGKILL)
        await watch.until("one", "ready", 2)


async def test_adopted_part_is_stopped_like_any_other(tmp_path: Path) -> None:
    before = await leave_over(tmp_path, "asterisk")
    async with running([part(tmp_path, "asterisk", adopt=True)], tmp_path / "run"):
        assert start_time(before["asterisk"]) is not None
    await gone(before["asterisk"])


async def test_left_over_with_other_arguments_is_replaced(tmp_path: Path) -> None:
    before = await leave_over(tmp_path, "asterisk")
    changed = part(tmp_path, "asterisk", f": new; {STAYS}", adopt=True)
    async with running([changed], tmp_path / "run") as it:
        assert pid_of(it, "asterisk") != before["asterisk"]
        await gone(before["asterisk"])


async def test_a_stranger_with_a_recorded_process_id_is_left_alone(tmp_path: Path) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        one = part(tmp_path, "one", adopt=True)
        record = Record(stranger.pid, 1, boot_id(), tuple(one.argv))
        (tmp_path / "run").mkdir()
        record.write(tmp_path / "run" / "one.json")
        assert Process.reopen(record) is None
        async with running([one], tmp_path / "run") as it:
            assert pid_of(it, "one") != stranger.pid
        assert stranger.returncode is None
        assert start_time(stranger.pid) is not None
    finally:
        stranger.kill()
        await stranger.wait()
