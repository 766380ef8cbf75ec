"""What can be wrong with a prompt, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Kinds of finding. ``stop`` says whether a caller would hear it."""

    MISSING = "missing"
    STALE = "stale"
    STALE_RECORDING = "stale recording"
    SILENT = "silent"
    CLIPPED = "clipped"
    TOO_SHORT = "too short"
    WRONG_LENGTH = "wrong length"
    UNUSABLE = "unusable recording"
    UNUSED = "unused"

    @property
    def stop(self) -> bool:
        """True: callers hear it. False: a synthesised voice speaks instead, or nothing changes."""
        return self not in {Fault.STALE_RECORDING, Fault.UNUSABLE, Fault.UNUSED}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one text in one language: what was found, and what to do."""

    fault: Fault
    name: str
    language: str
    what: str
    action: str

    def __str__(self) -> str:
        return f"{self.language} {self.name}: {self.fault}: {self.what}; {self.action}"
