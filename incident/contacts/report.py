"""The report of rejected rows: where each one is and why, without the person's data."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from incident.contacts.errors import ReportUnwritable


class Rejection(NamedTuple):
    """``line``: of the file, from 1. ``reference``: empty when it is not a usable one."""

    line: int
    reference: str
    column: str
    reason: str


class Report:
    """Writes rejections to a draft beside ``path``; ``keep`` puts it in place.

    Raises ReportUnwritable where it cannot be written.

    The file is its owner's alone: references lead to people for those who hold the list.
    """

    def __init__(self, path: Path, *, always: bool) -> None:
        self.path = path
        self._always = always
        self._count = 0
        try:
            # A name nobody can foresee and a file that is new: no link is followed. Mode 0600.
            descriptor, draft = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
        except OSError as error:
            raise ReportUnwritable(path, str(error.strerror)) from error
        self._draft = Path(draft)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(Rejection._fields)

    def add(self, rejections: list[Rejection]) -> None:
        self._count += len(rejections)
        self._csv.writerows(rejections)

    def keep(self) -> Path | None:
        """Put the report in place; nothing is left when no row was rejected and nobody asked.

        An older report of the same name is replaced in any case, as it is no longer true.
        """
        self._file.close()
        if self._count or self._always or self.path.exists():
            self._draft.replace(self.path)
            return self.path
        self._draft.unlink()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)
