"""What can go wrong before and while the parts run."""

from __future__ import annotations


class TreeError(Exception):
    """The programs that Breachline runs cannot be provided.

    ``tried`` is what was attempted, ``happened`` what came of it (for a failed command its last
    lines), ``remedy`` what the operator can do.
    """

    def __init__(self, tried: str, happened: str, remedy: str) -> None:
        self.tried = tried
        self.happened = happened
        self.remedy = remedy
        super().__init__(f"{tried}: {happened.strip()}\nWhat to do: {remedy}")


class PartFailed(Exception):
    """A part did not become ready; ``last_lines`` is the end of its log."""

    def __init__(self, name: str, reason: str, log: str, last_lines: str) -> None:
        self.name = name
        self.reason = reason
        self.log = log
        self.last_lines = last_lines
        end = f"; the end of {log}:\n{last_lines}" if last_lines else f"; {log} is empty"
        super().__init__(f"{name} did not start: {reason}{end}")


class AlreadyRunning(Exception):
    """Another live supervisor holds this home."""

    def __init__(self, run_dir: str, pid: int | None) -> None:
        self.run_dir = run_dir
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{who} is already running the parts of {run_dir}: "
            "stop it first (Ctrl-C or SIGTERM), or use another --home with another bind address"
        )
