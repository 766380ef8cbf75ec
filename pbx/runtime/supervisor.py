"""Starts the parts in order, keeps them running, stops them all."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from pbx.runtime.errors import AlreadyRunning, PartFailed
from pbx.runtime.part import Backoff, EventKind, Part, PartEvent
from pbx.runtime.process import Process, Record, describe_exit

__all__ = ["Part", "PartEvent", "Supervisor"]

log = logging.getLogger(__name__)

PROBE_EVERY: Final = 0.1
PROBE_TIMEOUT: Final = 5.0
WATCH_EVERY: Final = 3.0
"""Seconds between looks at a part that is to be ended when it falls silent."""
WATCH_MISSES: Final = 2
ADOPT_TIMEOUT: Final = 30.0
"""Seconds that a left-over process has to show that it is ready."""
LEFT_OVER_TIMEOUT: Final = 10.0
LOG_LIMIT: Final = 20_000_000
"""Bytes; a longer log is put aside as ``<name>.old`` when its part starts."""
SHOWN_LINES: Final = 15


class Supervisor:
    """Runs ``parts``. One per ``run_dir``, held by a lock that dies with this process."""

    def __init__(
        self,
        parts: Sequence[Part],
        run_dir: Path,
        on_event: Callable[[PartEvent], None] = lambda _event: None,
    ) -> None:
        names = [part.name for part in parts]
        if len(set(names)) != len(names):
            raise ValueError(f"two parts have the same name: {names}")
        self._parts = tuple(parts)
        self._run_dir = run_dir
        self._on_event = on_event
        self._lock: BinaryIO | None = None
        self._processes: dict[str, Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._log_offsets: dict[str, int] = {}
        self._adopted: set[str] = set()

    def pid(self, name: str) -> int | None:
        """The process id of a part; None while it is down."""
        process = self._processes.get(name)
        return None if process is None or process.exited.is_set() else process.pid

    async def start(self) -> None:
        """Start all parts, each when the one before it is ready.

        Raises AlreadyRunning, or PartFailed after stopping whatever was started. What ran on
        from before and was adopted is left running: callers may be inside it.
        """
        self._take_lock()
        try:
            await self._clear_left_over()
            for part in self._parts:
                await self._begin(part)
        except BaseException:
            for name in self._adopted:
                await self._let_go(name)
            await self.stop()
            raise

    async def run_until(self, stop: asyncio.Event) -> None:
        """Keep the parts running until ``stop`` is set. Does not stop them."""
        waiter = asyncio.create_task(stop.wait(), name="supervisor:stop")
        try:
            done, _ = await asyncio.wait(
                {waiter, *self._keepers.values()}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            waiter.cancel()

    async def stop(self) -> None:
        """Stop all parts, the last started first. Nothing of them is left afterwards."""
        try:
            for part in reversed(self._parts):
                keeper = self._keepers.pop(part.name, None)
                if keeper is not None:
                    keeper.cancel()
                    await asyncio.wait({keeper})
                    if not keeper.cancelled() and (error := keeper.exception()) is not None:
                        log.error("%s was no longer watched: %r", part.name, error)
                process = self._processes.pop(part.name, None)
                if process is not None:
                    await self._end(part, process)
                    self._record_file(part.name).unlink(missing_ok=True)
        finally:
            self._drop_lock()

    # -- one part

    async def _begin(self, part: Part) -> None:
        """First start: adopt what runs on from before, or start; wait until it is ready."""
        process = await self._adopt(part)
        if process is None:
            process = self._spawn(part)
            reason = await self._wait_ready(part, process)
            if reason is not None:
                end = _tail(part.log, self._log_offsets[part.name])
                raise PartFailed(part.name, reason, str(part.log), end)
        self._emit(part, "ready", process.pid)
        self._keepers[part.name] = asyncio.create_task(
            self._keep(part, process), name=f"supervisor:{part.name}"
        )

    async def _keep(self, part: Part, process: Process) -> None:
        """Restart the part whenever it ends."""
        backoff = Backoff()
        while True:
            await self._watch(part, process)
            uptime = time.monotonic() - process.since
            why = f"{describe_exit(process.code)} after {uptime:.1f} s"
            await process.end_group()
            self._emit(part, "died", process.pid, why)
            process = await self._restart(part, backoff, uptime, why)
            reason = await self._wait_ready(part, process)
            if reason is None:
                self._emit(part, "ready", process.pid)
            elif not process.exited.is_set():
                log.warning("%s: %s; ending it to start it again", part.name, reason)
                await process.stop(part.stop_signal, part.stop_timeout)

    async def _watch(self, part: Part, process: Process) -> None:
        """Wait until the process ends; end it ourselves when it runs but answers no more."""
        silent = 0
        while not process.exited.is_set():
            try:
                async with asyncio.timeout(WATCH_EVERY):
                    await process.exited.wait()
            except TimeoutError:
                if not part.end_if_silent:
                    continue
                silent = 0 if await _answers(part) else silent + 1
                if silent >= WATCH_MISSES:
                    log.warning("%s runs but does not answer; killing it", part.name)
                    await process.stop(signal.SIGKILL, part.stop_timeout)

    async def _restart(self, part: Part, backoff: Backoff, uptime: float, why: str) -> Process:
        """Start the part again, as often as it takes."""
        while True:
            delay = backoff.after(uptime)
            log.log(
                logging.WARNING if backoff.deaths == 1 else logging.DEBUG,
                "%s %s; starting it again in %.1f s",
                part.name,
                why,
                delay,
            )
            self._emit(part, "restarting", None, f"in {delay:.1f} s")
            await asyncio.sleep(delay)
            try:
                return self._spawn(part)
            except PartFailed as error:
                # What was there a moment ago may come back (a file being replaced).
                uptime, why = 0.0, error.reason
                self._emit(part, "died", None, why)

    def _spawn(self, part: Part) -> Process:
        """Start the part's program. Raises PartFailed if there is no way to."""
        try:
            part.log.parent.mkdir(parents=True, exist_ok=True)
            if part.log.exists() and part.log.stat().st_size > LOG_LIMIT:
                part.log.replace(part.log.with_suffix(".old"))
            with part.log.open("ab") as output:
                self._log_offsets[part.name] = output.tell()
                process = Process.spawn(part.argv, part.env, part.cwd, output)
        except OSError as error:
            raise PartFailed(part.name, f"{part.argv[0]}: {error}", str(part.log), "") from error
        self._processes[part.name] = process
        try:
            process.record.write(self._record_file(part.name))
        except OSError as error:
            # A full disk must not keep a part down; it only cannot be adopted later.
            log.error("%s runs, but that cannot be written down: %s", part.name, error)  # noqa: TRY400
        self._emit(part, "started", process.pid)
        return process

    async def _clear_left_over(self) -> None:
        """End what a killed supervisor left running, except what is to be adopted."""
        parts = {part.name: part for part in self._parts}
        for file in sorted(self._run_dir.glob("*.json")):
            part = parts.get(file.stem)
            record = Record.read(file)
            if record is None or _adoptable(part, record):
                continue
            process = Process.reopen(record)
            if process is not None:
                log.warning("ending %s (process %d), left over", file.stem, process.pid)
                await process.stop(
                    part.stop_signal if part else signal.SIGTERM,
                    part.stop_timeout if part else LEFT_OVER_TIMEOUT,
                )
            file.unlink(missing_ok=True)

    async def _adopt(self, part: Part) -> Process | None:
        """The part's process from before, if it is still there and ready; else it is ended."""
        record = Record.read(self._record_file(part.name))
        process = Process.reopen(record) if record is not None else None
        if process is None:
            return None
        self._processes[part.name] = process
        if await self._wait_ready(part, process, ADOPT_TIMEOUT) is None:
            self._adopted.add(part.name)
            self._emit(part, "started", process.pid, "kept: it ran on from before")
            return process
        log.warning("%s: process %d ran on from before, but not well", part.name, process.pid)
        await self._end(part, process)
        return None

    async def _wait_ready(
        self, part: Part, process: Process, timeout: float | None = None
    ) -> str | None:
        """Wait until the part is ready; None then, else the reason why it is not."""
        limit = part.ready_timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        last = ""
        while True:
            if process.exited.is_set():
                return f"it {describe_exit(process.code)} before it was ready"
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    # A stranger on the same port may answer in the place of a part that died.
                    if await part.ready() and not process.exited.is_set():
                        return None
            except (OSError, TimeoutError) as error:
                last = f" (last: {error})" if str(error) else ""
            if time.monotonic() > deadline:
                return f"not ready after {limit:g} s{last}"
            await asyncio.sleep(PROBE_EVERY)

    async def _let_go(self, name: str) -> None:
        """Watch a part no longer, and leave it and its record for the next supervisor."""
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        self._processes.pop(name, None)

    async def _end(self, part: Part, process: Process) -> None:
        was_up = not process.exited.is_set()
        in_time = await process.stop(part.stop_signal, part.stop_timeout)
        if not in_time:
            log.warning(
                "%s did not stop within %.0f s of %s and was killed",
                part.name,
                part.stop_timeout,
                part.stop_signal.name,
            )
        if was_up:
            self._emit(part, "stopped", process.pid, "" if in_time else "killed")

    def _emit(
        self,
        part: Part,
        kind: EventKind,
        pid: int | None,
        detail: str = "",
    ) -> None:
        self._on_event(PartEvent(part.name, kind, pid, detail))

    def _record_file(self, name: str) -> Path:
        return self._run_dir / f"{name}.json"

    # -- the lock

    def _take_lock(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        handle = (self._run_dir / "supervisor.lock").open("a+b")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            text = handle.read(20).strip()
            handle.close()
            holder = int(text) if text.isdigit() else None
            raise AlreadyRunning(str(self._run_dir), holder) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n".encode())
        handle.flush()
        self._lock = handle

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


async def _answers(part: Part) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await part.ready()
    except (OSError, TimeoutError):
        return False


def _adoptable(part: Part | None, record: Record) -> bool:
    return part is not None and part.adopt and record.argv == tuple(part.argv)


def _tail(file: Path, offset: int) -> str:
    """The last lines that were written to a log since ``offset``."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(offset, size - 8192))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-SHOWN_LINES:])
