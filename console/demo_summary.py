"""What a demo run shows at its end: the summary table, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from sqlalchemy import func, select

from console.door import out, table
from dialer import control
from drill.callers import Callers
from incident.outcomes import CallOutcome
from incident.store.engine import Store
from incident.store.schema import CallRow

REACHED: Final = (
    CallOutcome.SELF_SERVICE,
    CallOutcome.AGENT,
    CallOutcome.OUTSOURCED,
    CallOutcome.CALLBACK,
)


@dataclass(frozen=True)
class Summary:
    """The contract's names (DESIGN): ``reached`` and ``dropped`` are what the simulated callers
    themselves met on the line; the outcomes are the store's."""

    seconds_to_first_call: float | None
    calls: int
    reached: int
    dropped: int
    inbound_outcomes: Mapping[str, Mapping[str, int]]
    dialled: int
    outcomes: Mapping[str, int]
    unexplained: int
    dialled_twice: int

    def as_json(self) -> dict[str, object]:
        first = self.seconds_to_first_call
        return {
            "seconds_to_first_call": None if first is None else round(first, 1),
            "inbound": {
                "calls": self.calls,
                "reached": self.reached,
                "dropped": self.dropped,
                "outcomes": self.inbound_outcomes,
            },
            "campaign": {
                "dialled": self.dialled,
                "outcomes": dict(self.outcomes),
                "unexplained": self.unexplained,
                "dialled_twice": self.dialled_twice,
            },
        }

    def problem(self) -> str | None:
        """Why this run was not sound; None when it was."""
        if self.seconds_to_first_call is None or not self.calls:
            return "no call was answered; see the logs in the demo's home"
        if self.dropped:
            return f"{self.dropped} of {self.calls} callers were dropped; see the logs"
        if self.unexplained or self.dialled_twice:
            return (
                f"{self.unexplained} attempts have no outcome and {self.dialled_twice} contacts "
                "were dialled twice; this must never happen"
            )
        return None


async def gather_summary(
    store: Store, campaign: str, callers: Sequence[Callers], *, began: float, first: float | None
) -> Summary:
    """Collect what happened since ``began``, from the callers' own reports and from the store.

    A call counts as reached only if caller and store both say so: the smaller number is taken.
    """
    results = [each for one in callers for each in one.results]
    ended = await inbound_outcomes(store, began)
    stored = sum(counts.get(kind, 0) for counts in ended.values() for kind in REACHED)
    heard = sum(result.reached(intent.agent) for intent, result in results)
    status = await control.status(store, campaign)
    return Summary(
        seconds_to_first_call=first,
        calls=len(results),
        reached=min(heard, stored),
        dropped=sum(result.dropped(intent.agent) for intent, result in results),
        inbound_outcomes=ended,
        dialled=status.audit.dialled,
        outcomes=status.outcomes,
        unexplained=status.audit.unexplained,
        dialled_twice=status.audit.dialled_twice,
    )


async def inbound_outcomes(store: Store, began: float) -> dict[str, dict[str, int]]:
    """Calls that began since then (Unix seconds), by incident and outcome."""
    query = (
        select(CallRow.incident_id, CallRow.outcome, func.count())
        .where(CallRow.started_at >= began)
        .group_by(CallRow.incident_id, CallRow.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    async with store.read() as session:
        for incident, outcome, count in await session.execute(query):
            found.setdefault(incident, {})[outcome or "in progress"] = count
    return found


def print_summary(summary: Summary) -> None:
    """The tables for people."""
    first = summary.seconds_to_first_call
    out.print(
        table(
            "Inbound",
            ("", "calls"),
            (
                ("calls placed by the simulated public", summary.calls),
                ("reached what they wanted", summary.reached),
                ("dropped", summary.dropped),
            ),
        )
    )
    out.print(_by_outcome("Inbound calls by outcome (store)", summary.inbound_outcomes))
    out.print(
        table(
            "Campaign",
            ("outcome", "attempts"),
            [*summary.outcomes.items(), ("dialled", summary.dialled)],
        )
    )
    out.print(
        f"attempts without an outcome: {summary.unexplained}; contacts dialled twice: "
        f"{summary.dialled_twice}; first call answered after "
        f"{'-' if first is None else f'{first:.1f} s'}"
    )


def _by_outcome(title: str, found: Mapping[str, Mapping[str, int]]) -> Table:
    totals: Counter[str] = Counter()
    for counts in found.values():
        totals.update(counts)
    rows = [
        (name, *(found[incident].get(name, 0) for incident in found)) for name in sorted(totals)
    ]
    return table(title, ("outcome", *found), rows)
