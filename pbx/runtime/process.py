"""One running process, ours or left over from a supervisor that was killed, and its group."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

GROUP_GRACE: Final = 1.0
"""Seconds that the rest of a process group gets to end by itself after its leader."""
GROUP_LOOK: Final = 0.02


@dataclass(frozen=True, slots=True)
class Record:
    """What ``run/<part>.json`` keeps: enough to know the very process again.

    A process id alone may have been given to another process since; together with its start
    time (clock ticks since boot) and the boot's id it cannot.
    """

    pid: int
    started: int
    boot: str
    argv: tuple[str, ...]

    def write(self, file: Path) -> None:
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        temporary.replace(file)

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """None if there is none, or what is there is not a record."""
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            return cls(int(raw["pid"]), int(raw["started"]), str(raw["boot"]), tuple(raw["argv"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of ``/proc/<pid>/stat`` from the state on (proc(5), field 3); None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the process's start; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def group_members(group: int) -> tuple[int, ...]:
    """Live processes of a process group (zombies are not counted)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and fields[0] not in "ZX" and int(fields[2]) == group:
                found.append(int(entry.name))
    return tuple(found)


class Process:
    """A process in a group of its own. Made by ``spawn`` or ``reopen`` inside a running loop."""

    def __init__(self, record: Record, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.record = record
        self.exited = asyncio.Event()
        self.code: int | None = None
        """Exit code (negative: the signal), once exited; None for a process that is not ours."""
        self.since = time.monotonic()
        self._pidfd = pidfd
        self._child = child
        asyncio.get_running_loop().add_reader(pidfd, self._on_exit)

    @property
    def pid(self) -> int:
        return self.record.pid

    @property
    def adopted(self) -> bool:
        return self._child is None

    @classmethod
    def spawn(
        cls, argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, output: BinaryIO
    ) -> Process:
        """Start a program in its own session. Raises OSError if it cannot be started."""
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            cwd=cwd,
            start_new_session=True,
        )
        pidfd = os.pidfd_open(child.pid)
        # A child that has not been waited for keeps its stat entry, even as a zombie.
        fields = _stat(child.pid)
        started = int(fields[19]) if fields else 0
        return cls(Record(child.pid, started, boot_id(), tuple(argv)), pidfd, child)

    @classmethod
    def reopen(cls, record: Record) -> Process | None:
        """The recorded process if it still runs."""
        if record.boot != boot_id():
            return None
        try:
            pidfd = os.pidfd_open(record.pid)
        except ProcessLookupError:
            return None
        # Looked at only after opening: from here on the descriptor means this very process.
        if start_time(record.pid) != record.started:
            os.close(pidfd)
            return None
        return cls(record, pidfd, None)

    def _on_exit(self) -> None:
        if self._child is not None:
            self.code = self._child.wait()
        self.close()
        self.exited.set()

    def close(self) -> None:
        """Let go of the process without ending it."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself; nothing happens if it has ended."""
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def stop(self, number: signal.Signals, timeout: float) -> bool:
        """End it and its whole group; False if it had to be killed after ``timeout`` seconds."""
        self.send(number)
        in_time = await _happens(self.exited, timeout)
        if not in_time:
            self.send(signal.SIGKILL)
            await self.exited.wait()
        await self.end_group()
        return in_time

    async def end_group(self) -> None:
        """End what the process has left behind in its group."""
        if not _signal_all(group_members(self.pid), signal.SIGTERM):
            return
        for _ in range(round(GROUP_GRACE / GROUP_LOOK)):
            if not group_members(self.pid):
                return
            await asyncio.sleep(GROUP_LOOK)
        while _signal_all(group_members(self.pid), signal.SIGKILL):  # noqa: ASYNC110 - no event
            await asyncio.sleep(GROUP_LOOK)


def _signal_all(pids: Sequence[int], number: signal.Signals) -> bool:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return bool(pids)


async def _happens(event: asyncio.Event, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    return True


def describe_exit(code: int | None) -> str:
    """Words for an exit code."""
    if code is None:
        return "ended"
    if code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    return f"ended with exit code {code}"
