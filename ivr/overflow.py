"""Callers whom an outsourcer takes over: who is sent, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from time import monotonic
from typing import Final

from incident.metrics import OVERFLOW
from incident.outcomes import OverflowResult
from incident.plan import Overflow as OverflowPlan
from ivr.calls import Call, CallBook
from ivr.forecasts import Forecasts
from ivr.served import Incidents
from ivr.sharing_out import Circuit, Share
from ivr.talk import Talk
from pbx import names
from pbx.ami import Event

EVENTS: Final = ("UserEvent", "Hangup")

_RESULTS: Final = {
    "ANSWER": OverflowResult.ANSWERED,
    "NOANSWER": OverflowResult.NO_ANSWER,
    "BUSY": OverflowResult.BUSY,
    "FULL": OverflowResult.FULL,
}
"""By DIALSTATUS, and our own FULL; everything else is a failure."""


class _Trunk:
    """What is remembered of one incident's outsourcer, under one plan."""

    def __init__(self, plan: OverflowPlan) -> None:
        self.plan = plan
        self.share = Share(plan.share)
        self.circuit = Circuit()


class Overflow:
    """``carriers``: outbound trunks of this system; none where overflow is switched off.

    Hear ``EVENTS`` before whoever ends the calls: what came of one is in the call itself.
    """

    def __init__(
        self,
        incidents: Incidents,
        book: CallBook,
        forecasts: Forecasts,
        carriers: Collection[str],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._incidents = incidents
        self._book = book
        self._forecasts = forecasts
        self._carriers = frozenset(carriers)
        self._clock = clock
        self._trunks: dict[str, _Trunk] = {}
        incidents.on_change(self._served)
        self._served()

    def takes(self, talk: Talk) -> bool:
        """Whether this caller, who wants an agent, is one of those to be sent."""
        trunk = self._trunks.get(talk.incident.id)
        if trunk is None:
            return False
        forecast = self._forecasts.for_newcomer(names.queue(talk.incident.id, talk.language))
        if forecast is None:
            return False
        prediction = forecast.prediction
        wait = math.inf if prediction is None else prediction.p50
        if wait <= trunk.plan.when_wait_over or not trunk.circuit.lets(self._clock()):
            return False
        return trunk.share.takes()

    async def send(self, talk: Talk) -> None:
        """Tell the dialplan what it may pass on. The caller counts as waiting from now on."""
        trunk = self._trunks[talk.incident.id]
        if talk.call.reference:
            await talk.session.set_variable(f"__{names.REFERENCE}", talk.call.reference)
        trunk.circuit.sent()
        self._book.sent(talk.call, trunk.plan.carrier, self._book.now())

    def on_event(self, event: Event) -> None:
        """Any of ``EVENTS``."""
        if event.name.lower() == "hangup":
            call = self._book.get(event.get("Uniqueid"))
            if call is not None and call.ringing_elsewhere:
                self._ended(call, OverflowResult.ABANDONED)
        elif event.get("UserEvent") == names.EVENT_OVERFLOW:
            call = self._book.get(event.get("Call"))
            if call is not None and call.ringing_elsewhere:
                self._ended(call, _RESULTS.get(event.get("Status"), OverflowResult.FAILED))

    def _ended(self, call: Call, result: OverflowResult) -> None:
        now = self._book.now()
        OVERFLOW.labels(call.incident, call.sent_to or "", result.value).inc()
        answered: bool | None = result is OverflowResult.ANSWERED
        if result is OverflowResult.ANSWERED:
            self._book.connected(call, names.OUTSOURCER, now)
        elif result is OverflowResult.ABANDONED:
            answered = None
        else:
            # All of the trunk's channels being ours says nothing of the outsourcer.
            answered = None if result is OverflowResult.FULL else False
            self._book.came_back(call, result.value)
        trunk = self._trunks.get(call.incident)
        if trunk is not None:
            trunk.circuit.ended(self._clock(), answered=answered)

    def _served(self) -> None:
        trunks: dict[str, _Trunk] = {}
        for incident in self._incidents.all.values():
            plan = incident.plan.overflow
            if plan is None or plan.carrier not in self._carriers:
                continue
            known = self._trunks.get(incident.id)
            trunks[incident.id] = (
                known if known is not None and known.plan == plan else _Trunk(plan)
            )
            # A counter that appears at 1 has lost its first event to increase(): all begin at 0.
            for result in OverflowResult:
                OVERFLOW.labels(incident.id, plan.carrier, result.value)
        self._trunks = trunks
