"""What a drill shows: the moment while it runs, the figures and the verdict at its end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Final

from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from console.door import err, out, table
from drill.surge import Now
from drill.verdict import Figures, Verdict

QUIET: Final = 10.0
"""Seconds between two lines where the output is no terminal."""


class Watch:
    """One line that rewrites itself, or one now and then; a context manager."""

    def __init__(self) -> None:
        self._screen = RichLive(console=err, refresh_per_second=4, transient=True)
        self._printed = 0.0
        self._what = ""

    def __enter__(self) -> Watch:
        if err.is_terminal:
            self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        if err.is_terminal:
            self._screen.stop()

    def __call__(self, now: Now) -> None:
        line = (
            f"{now.seconds:4.0f} s  {now.what}: {now.placed}/{now.calls} calls, {now.redials} "
            f"redials, {now.on_the_line} on the line, {now.waiting} waiting, {now.talking} with "
            f"an agent, {now.places} places kept, {now.ended} ended"
        )
        if err.is_terminal:
            self._screen.update(Text(line))
        elif now.what != self._what or time.monotonic() - self._printed >= QUIET:
            self._printed, self._what = time.monotonic(), now.what
            err.print(line, soft_wrap=True)


def print_drill(runs: Mapping[str, tuple[Figures, Verdict | None]]) -> None:
    """The figures, side by side for several runs, and each verdict; a run that was stopped has
    none."""
    figures = [found for found, _ in runs.values()]
    out.print(_side_by_side(list(runs), [_rows(each) for each in figures]))
    for name, (found, verdict) in runs.items():
        of = f", {name}" if len(runs) > 1 else ""
        if found.uses:
            out.print(_parts_table(f"Machine{of}", found))
        if found.silences:
            out.print(_silence_table(f"Longest silences{of}", found))
        if verdict is None:
            continue
        out.print(f"{name}: {verdict.word}" if of else verdict.word, style="bold")
        for reason in verdict.reasons:
            out.print(f"  {reason}", soft_wrap=True)


def as_json(figures: Figures, verdict: Verdict | None) -> dict[str, object]:
    """Everything that was counted and measured; ``ready`` is None when the drill was stopped."""
    found = dataclasses.asdict(figures)
    waits = found.pop("waits")
    derived = ("service_level", "abandonment", "self_service_share", "wrong_share")
    return {
        "ready": verdict.ready if verdict else None,
        "reasons": [dataclasses.asdict(each) for each in verdict.reasons] if verdict else [],
        **{name: getattr(figures, name) for name in derived},
        "speed_of_answer_mean": figures.speed_mean,
        "speed_of_answer_p90": figures.speed_p90,
        "waits": [round(wait, 2) for wait in waits],
        **found,
    }


def _side_by_side(names: Sequence[str], columns: Sequence[Mapping[str, str]]) -> Table:
    built = Table(title="Drill", title_justify="left", title_style="bold")
    built.add_column("figure")
    for name in names:
        built.add_column(name if len(names) > 1 else "value", justify="right")
    for row in columns[0]:
        built.add_row(row, *(column[row] for column in columns))
    return built


def _rows(found: Figures) -> dict[str, str]:
    silences = found.silences
    return {
        "calls (of these redials)": f"{found.calls} ({found.redials})",
        "busy signals": str(found.busy),
        "dropped": str(found.dropped),
        "given the short way": str(found.shed),
        "silences over 2 s": "not measured" if silences is None else str(len(silences)),
        "self-service": f"{found.self_service} ({_percent(found.self_service_share)})",
        "asked for an agent": str(found.wanted_agent),
        "  answered": str(found.answered),
        f"  service level within {found.target:g} s": _percent(found.service_level),
        "  speed of answer, mean": _seconds(found.speed_mean),
        "  speed of answer, 90 %": _seconds(found.speed_p90),
        "  gave up waiting": f"{found.gave_up} ({_percent(found.abandonment)})",
        "call-backs asked for": str(found.asked),
        "  kept": str(found.kept),
        "  explained": str(found.explained),
        "  still waiting at the end": str(found.unfinished),
        "  neither": str(found.lost),
        "waits announced": str(found.promised),
        "  wrong": f"{found.wrong} ({_percent(found.wrong_share)})",
        "people dialled twice": str(found.dialled_twice),
        "served out of turn": str(found.out_of_turn),
        "calls noted wrongly": str(found.misnoted),
        "calls left open": str(found.left_open),
    }


def _parts_table(title: str, found: Figures) -> Table:
    built = table(
        f"{title}: memory in MB, processor in % of a core; before, during, after",
        (
            "part",
            "MB",
            "most",
            "after",
            "grows",
            "%",
            "mean",
            "most",
            "after",
        ),
        [
            (
                part,
                *(
                    round(each, 1)
                    for each in (
                        use.memory_before,
                        use.memory_peak,
                        use.memory_after,
                        use.memory_grew,
                        use.processor_before,
                        use.processor_during,
                        use.processor_peak,
                        use.processor_after,
                    )
                ),
            )
            for part, use in found.uses.items()
        ],
    )
    built.columns[0].no_wrap = True
    built.columns[0].min_width = len("public network")
    return built


def _silence_table(title: str, found: Figures) -> Table:
    longest = sorted(found.silences or (), key=lambda each: -each.seconds)[:10]
    return table(
        title,
        ("where", "seconds", "at", "into the call"),
        [
            (each.where, round(each.seconds, 1), round(each.at, 1), round(each.into, 1))
            for each in longest
        ],
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
