"""What a tree's builder asks of the machine it runs on; tests put a fake in its place."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pbx.runtime.errors import TreeError

KEPT_LINES: Final = 40
TICK: Final = 3.0
"""Seconds between two calls of ``on_tick`` while a command says nothing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code and the last lines that it printed."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Host:
    """The machine."""

    def __init__(self, keep_open: Sequence[int] = ()) -> None:
        """``keep_open``: descriptors that every command inherits (the builder's lock)."""
        self._keep_open = tuple(keep_open)

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(folder).free

    def which(self, program: str) -> str | None:
        """Like the shell, and in the sbin folders, which an ordinary user's PATH lacks."""
        path = os.environ.get("PATH", "")
        return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")

    def exists(self, file: Path) -> bool:
        return file.exists()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        on_line: Callable[[str], None] = lambda _line: None,
        on_tick: Callable[[], None] = lambda: None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Finished:
        """Run a command; both its outputs go to ``on_line``. Nothing of it outlives this call.

        Raises TreeError if it cannot be started or takes longer than ``timeout`` seconds.
        """
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                cwd=cwd,
                start_new_session=True,
                pass_fds=self._keep_open,
            )
        except OSError as error:
            raise TreeError(f"start {argv[0]}", str(error), "see why it cannot run") from error
        try:
            _pump(process, lines, time.monotonic() + timeout, on_line, on_tick)
            code = process.wait(timeout=10)
        except TimeoutError as error:
            raise TreeError(
                f"ran {' '.join(argv[:3])} ...",
                f"not finished after {timeout:g} s; its last lines:\n" + "\n".join(lines),
                "look at the network and the disk, then start again",
            ) from error
        finally:
            _end_group(process)
        return Finished(code, tuple(lines))


def _pump(
    process: subprocess.Popen[bytes],
    lines: deque[str],
    deadline: float,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
) -> None:
    """Read the process's output until it closes it."""
    assert process.stdout is not None
    rest = b""
    with process.stdout as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError
            if not selector.select(TICK):
                on_tick()
                continue
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return
            *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for raw in whole:
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    lines.append(line)
                    on_line(line)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever of the command is still there: kindly first, unless it has ended itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
