"""How busy each incident is here, looked at about once a second and told to the dialer."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

from incident.metrics import (
    INBOUND_CHANNELS,
    INBOUND_CHANNELS_LIMIT,
    LOAD_LEVEL,
    REFUSED_CALLS,
    SHED_CALLS,
)
from incident.settings import CallLimits
from incident.store.engine import Store
from incident.store.inbound_load import InboundLoad, save_loads
from ivr.calls import CallBook
from ivr.forecasts import Forecasts
from ivr.load import LEVELS, Level, LoadMeter, Reading, Verdict
from ivr.served import Incidents
from pbx import names
from pbx.ami import Event

EVENTS: Final = ("UserEvent",)
LONGEST: Final = 24 * 3600.0
"""Stands for a wait without end, in the store (seconds)."""
_CALM: Final = Verdict(Level.NORMAL)


class Crowd:
    """``limits``: those that the dialplan keeps; ``shed``: whether callers get the short way."""

    def __init__(
        self,
        node: str,
        incidents: Incidents,
        book: CallBook,
        forecasts: Forecasts,
        *,
        limits: CallLimits,
        shed: bool,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._incidents = incidents
        self._book = book
        self._forecasts = forecasts
        self._shed = shed
        self._clock = clock
        self._wall = wall
        self._meters: dict[str, LoadMeter] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._calm: set[str] = set()
        INBOUND_CHANNELS_LIMIT.set(limits.refuse)
        incidents.on_change(self._served)
        self._served()

    def verdict(self, incident: str) -> Verdict:
        """As it was when it was last looked at."""
        return self._verdicts.get(incident, _CALM)

    def turns_away(self, incident: str, *, flagged: bool) -> bool:
        """Whether a new caller gets the short way at once. ``flagged``: the dialplan says so."""
        if not self._shed:
            return False
        return flagged or self.verdict(incident).full or self._full_now(incident)

    def closes_line(self, incident: str) -> bool:
        """Whether somebody who wants an agent gets the short way instead of the line."""
        return self._shed and self.verdict(incident).level is Level.SHEDDING

    def _full_now(self, incident: str) -> bool:
        """Between two looks a burst of calls may have come."""
        meter = self._meters.get(incident)
        most = None if meter is None else meter.most_channels
        return most is not None and sum(call.incident == incident for call in self._book) >= most

    def on_event(self, event: Event) -> None:
        if event.get("UserEvent") == names.EVENT_REFUSED:
            incident = event.get("Incident")
            if incident in self._meters:
                REFUSED_CALLS.labels(incident).inc()

    def look(self) -> tuple[InboundLoad, ...]:
        """Judge every incident; gives the rows that the dialer should have."""
        now, at = self._clock(), self._wall()
        calls: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        for call in self._book:
            calls[call.incident] += 1
            waiting[call.incident] += call.waiting
        INBOUND_CHANNELS.set(calls.total())
        predicted = self._predicted(waiting)
        rows = []
        for incident, meter in self._meters.items():
            wait = predicted.get(incident)
            verdict = meter.judge(Reading(wait, calls[incident]), now)
            self._verdicts[incident] = verdict
            LOAD_LEVEL.labels(incident).set(LEVELS.index(verdict.level))
            rows.append(
                InboundLoad(
                    node=self._node,
                    incident_id=incident,
                    level=verdict.level.value,
                    waiting=waiting[incident],
                    channels=calls[incident],
                    predicted_seconds=None if wait is None else min(wait, LONGEST),
                    at=at,
                )
            )
        return self._worth_telling(rows)

    async def tell(self, store: Store) -> None:
        """Look, and write what the dialer should know. Raises SQLAlchemyError, StoreError."""
        await save_loads(store, self.look())

    def _worth_telling(self, rows: list[InboundLoad]) -> tuple[InboundLoad, ...]:
        """While nothing happens nothing is written, but for one row that says so: no row and an
        old one mean the same."""
        told = []
        for row in rows:
            calm = row.level == Level.NORMAL.value and row.waiting == 0
            if not calm or row.incident_id not in self._calm:
                told.append(row)
            (self._calm.add if calm else self._calm.discard)(row.incident_id)
        return tuple(told)

    def _predicted(self, waiting: Counter[str]) -> dict[str, float]:
        """The longest wait of a newcomer in any language. Where nobody serves a line that has
        callers in it, it has no end; where nobody waits either, nothing is known."""
        found: dict[str, float] = {}
        for (incident, _), prediction in self._forecasts.newcomers().items():
            if prediction is None and not waiting[incident]:
                continue
            wait = math.inf if prediction is None else prediction.p50
            found[incident] = max(found.get(incident, 0.0), wait)
        return found

    def _served(self) -> None:
        served = self._incidents.all
        for incident in served.values():
            meter = self._meters.get(incident.id)
            if meter is None:
                self._meters[incident.id] = LoadMeter(incident.plan.load)
                SHED_CALLS.labels(incident.id)
                REFUSED_CALLS.labels(incident.id)
            else:
                meter.change(incident.plan.load)
        for gone in self._meters.keys() - served.keys():
            del self._meters[gone]
            self._verdicts.pop(gone, None)
            LOAD_LEVEL.remove(gone)
