"""Why a contacts file is refused as a whole; nothing of it is imported then."""

from __future__ import annotations

from pathlib import Path


class ContactsError(Exception):
    """A contacts file cannot be imported."""


class SourceUnreadable(ContactsError):
    """The file cannot be read as a table. ``line``: where, when that is known (from 1)."""

    def __init__(self, source: Path, reason: str, line: int | None = None) -> None:
        self.source = source
        self.reason = reason
        self.line = line
        place = f"{source}, line {line}" if line is not None else str(source)
        super().__init__(f"{place}: {reason}")


class HeaderRefused(ContactsError):
    """The first line does not name the columns that are needed."""

    def __init__(
        self, source: Path, line: int, problem: str, missing: tuple[str, ...], found: str
    ) -> None:
        self.source = source
        self.line = line
        self.missing = missing
        self.found = found
        super().__init__(f"{source}, line {line}: {problem}; the columns found are: {found}")


class ImportRunning(ContactsError):
    """Another import is at work at this moment."""

    def __init__(self) -> None:
        super().__init__(
            "another import of contacts is running; wait for it to end, then import this file"
        )


class ReportUnwritable(ContactsError):
    """The report of rejected rows has no place to go."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"the report of rejected rows cannot be written to {path}: {reason}; "
            "name another place for it"
        )


class DatabaseRefused(ContactsError):
    """The database failed in the middle of the import; nothing of it counts."""

    def __init__(self, reason: str, *, cleaned: bool) -> None:
        self.reason = reason
        self.cleaned = cleaned
        rest = "" if cleaned else "; the next import removes what was written so far"
        super().__init__(f"the database failed ({reason}), nothing was imported{rest}")
