"""Commands of the tree's builder on the real machine, and builders side by side."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from pathlib import Path

import pytest

from pbx.runtime import host as host_module
from pbx.runtime import tree as tree_module
from pbx.runtime.errors import TreeError
from pbx.runtime.host import KEPT_LINES, Host
from pbx.runtime.process import group_members


def test_lines_are_handed_on_and_the_last_are_kept() -> None:
    seen: list[str] = []
    script = f"seq 1 {KEPT_LINES + 5}; printf 'progress\\rlast' >&2; echo; exit 3"
    done = Host().run(["sh", "-c", script], timeout=20, on_line=seen.append)
    assert done.code == 3
    assert seen[:2] == ["1", "2"]
    assert len(seen) == KEPT_LINES + 7
    assert done.lines[-2:] == ("progress", "last")
    assert len(done.lines) == KEPT_LINES


def test_silent_command_ticks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_module, "TICK", 0.01)
    gate = tmp_path / "gate"

    def open_gate() -> None:
        gate.touch()

    script = f'while [ ! -e "{gate}" ]; do sleep 0.01; done'
    assert Host().run(["sh", "-c", script], timeout=20, on_tick=open_gate).code == 0


async def test_command_that_takes_too_long_ends_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_module, "TICK", 0.01)
    script = f"echo $$ > {tmp_path}/pid; echo begun; sleep 1000 & sleep 1000"
    with pytest.raises(TreeError, match=r"not finished after 0\.3 s") as caught:
        Host().run(["sh", "-c", script], timeout=0.3)
    assert "begun" in caught.value.happened
    group = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(20):
        while group_members(group):
            await asyncio.sleep(0.01)


async def test_nothing_outlives_a_command_that_ended(tmp_path: Path) -> None:
    script = f'trap "" TERM; sleep 1000 >/dev/null 2>&1 & echo $$ > {tmp_path}/pid'
    assert Host().run(["sh", "-c", script], timeout=20).code == 0
    group = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(20):
        while group_members(group):
            await asyncio.sleep(0.01)


def test_command_that_is_not_there_is_a_tree_error() -> None:
    with pytest.raises(TreeError, match="/nowhere/mmdebstrap"):
        Host().run(["/nowhere/mmdebstrap"], timeout=5)


def test_builders_wait_for_one_another(tmp_path: Path) -> None:
    """Also for the commands of a builder that was killed: they hold its lock."""
    file = tmp_path / "tree.lock"
    told, entered = threading.Event(), threading.Event()

    def second() -> None:
        with tree_module._locked(file, lambda _line: told.set()):
            entered.set()

    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = os.dup(lock.fileno())
    waiting = threading.Thread(target=second, name="second builder")
    waiting.start()
    assert told.wait(20)
    assert not entered.is_set()
    os.close(holder)
    waiting.join(20)
    assert entered.is_set()


def test_waiting_for_a_builder_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tree_module, "LOCK_TIMEOUT", 0.0)
    file = tmp_path / "tree.lock"
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(TreeError, match="still holds it"),
            tree_module._locked(file, lambda _line: None),
        ):
            pass


def test_lock_is_inherited_by_commands(tmp_path: Path) -> None:
    file = tmp_path / "tree.lock"
    with tree_module._locked(file, lambda _line: None) as lock:
        done = Host(keep_open=(lock,)).run(["readlink", f"/proc/self/fd/{lock}"], timeout=20)
    assert done.lines == (str(file),)
