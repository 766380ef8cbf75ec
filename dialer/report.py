"""The dialer's latest decisions, in a file of the home for ``campaign explain``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialer.campaign import LanguageReport
from incident.home import Home

FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LiveReport:
    """``blocked``: what keeps the whole campaign from dialling, empty if nothing does."""

    campaign: str
    at: float
    blocked: str
    lines: int
    last_placed: float | None
    languages: tuple[LanguageReport, ...]

    def fresh(self, now: float) -> bool:
        """Whether the dialer that wrote it can be taken to be running."""
        return now - self.at <= FRESH_SECONDS


def report_file(home: Home, campaign: str) -> Path:
    return home.run / f"dialer-{campaign}.json"


def write_report(home: Home, report: LiveReport) -> None:
    """Replace the campaign's file at once. Raises OSError."""
    home.run.mkdir(parents=True, exist_ok=True)
    file = report_file(home, report.campaign)
    draft = file.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps(asdict(report)), encoding="utf-8")
    draft.replace(file)


def read_report(home: Home, campaign: str) -> LiveReport | None:
    """None where there is none that can be read: the dialer may never have run."""
    try:
        data = json.loads(report_file(home, campaign).read_text(encoding="utf-8"))
        return LiveReport(
            campaign=data["campaign"],
            at=data["at"],
            blocked=data["blocked"],
            lines=data["lines"],
            last_placed=data["last_placed"],
            languages=tuple(_language(item) for item in data["languages"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _language(data: Mapping[str, Any]) -> LanguageReport:
    return LanguageReport(data["queue"], data["dial"], data["reason"], data["numbers"])
