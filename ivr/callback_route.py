"""A placeholder has an agent and asks whom to call."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from incident.outcomes import CallbackOutcome
from incident.store.callbacks import Begun, Refusal, Why, begin_attempt
from incident.store.engine import Store
from ivr.served import Incidents, NotServed, ServedIncident
from ivr.tries import CallbackTries
from ivr.trunks import Trunks
from pbx import names
from pbx.agi import AgiSession, CallerHungUp

log: Final = logging.getLogger(__name__)

DIAL: Final = "dial"
LEAVE: Final = "leave"
READY: Final = "ready"
NO_CARRIER: Final = "none"
BEGIN_SECONDS: Final = 8.0
"""How long the store may take to commit a try."""


class CallbackRoute:
    """The FastAGI handler ``/callback``. Arguments: the incident, and with an agent held the
    place's token and the agent's number.

    ``ready``: whether it is known which tries are over; until then nobody is given a number.
    ``adopt``: takes over what the emergency path left, for a token that the store does not know.
    """

    def __init__(
        self,
        *,
        store: Store,
        incidents: Incidents,
        tries: CallbackTries,
        trunks: Trunks,
        node: str,
        ring_seconds: int,
        ready: Callable[[], bool],
        adopt: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._incidents = incidents
        self._tries = tries
        self._trunks = trunks
        self._node = node
        self._ring_seconds = ring_seconds
        self._ready = ready
        self._adopt = adopt
        self._clock = clock

    async def __call__(self, session: AgiSession) -> None:
        """Raises NotServed and whatever goes wrong: BL_NEXT then stays empty, nothing is dialled,
        and the placeholder asks again later."""
        incident_id, token, agent = (*session.request.args, "", "", "")[:3]
        incident = self._incidents.get(incident_id)
        if incident is None:
            raise NotServed(incident_id)
        if not self._ready():
            return
        if not token:
            await session.set_variable(names.NEXT, READY)
            return
        if self._tries.calling_in(token):
            log.info("a placeholder has an agent while its owner is on the line in person")
            await session.set_variable(names.NEXT, LEAVE)
            return
        # An agent listens to silence meanwhile. A try that was committed all the same is ended when
        # it is seen that nothing was dialled.
        async with asyncio.timeout(BEGIN_SECONDS):
            begun = await self._begin(token, agent)
        if isinstance(begun, Refusal):
            log.info("the place of a placeholder is not called now: %s", begun.why)
            await session.set_variable(names.NEXT, LEAVE)
            return
        if begun.carrier == NO_CARRIER:
            log.warning("nobody can be called back: no carrier has a channel")
            await self._tries.end(begun.attempt, incident.id, CallbackOutcome.NOT_CARRIED)
            await session.set_variable(names.NEXT, LEAVE)
            return
        self._tries.begun(begun)
        try:
            await self._tell(session, incident, begun)
        except CallerHungUp:
            # The agent has gone: a channel that is hung up dials nobody any more.
            await self._tries.end(begun.attempt, incident.id, CallbackOutcome.AGENT_LEFT)
            raise

    async def _begin(self, token: str, agent: str) -> Begun | Refusal:
        begun = await self._attempt(token, agent)
        if isinstance(begun, Refusal) and begun.why in {Why.UNKNOWN_PLACE, Why.CALLING}:
            if begun.why is Why.UNKNOWN_PLACE:
                await self._adopt()
            else:
                await self._tries.settle_one(token)
            begun = await self._attempt(token, agent)
        return begun

    async def _attempt(self, token: str, agent: str) -> Begun | Refusal:
        return await begin_attempt(
            self._store,
            token,
            attempt_id=uuid.uuid4().hex,
            node=self._node,
            carrier=self._trunks.choose() or NO_CARRIER,
            agent=agent[:32] or None,
            now=self._clock(),
        )

    async def _tell(self, session: AgiSession, incident: ServedIncident, begun: Begun) -> None:
        """What the dialplan dials with; the last one is the word to do it."""
        for name, value in (
            (names.TRY, begun.attempt),
            (names.TRUNK, names.carrier_endpoint(begun.carrier)),
            (names.RING, str(self._ring_seconds)),
            ("CALLERID(num)", incident.plan.did),
            (names.DIAL, incident.key.decrypt(begun.place.phone)),
            (names.NEXT, DIAL),
        ):
            await session.set_variable(name, value)
