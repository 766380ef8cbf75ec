"""To an agent: by the hours, by how many wait already, and by the place that somebody has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from incident.store.callbacks import Place, place_by_phone
from incident.store.engine import Store, StoreError
from ivr.crowd import Crowd
from ivr.flows.after_hours import after_hours
from ivr.flows.callback import callback
from ivr.flows.say_wait import say_wait
from ivr.flows.shed import shed
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.overflow import Overflow
from ivr.talk import Talk
from pbx import names

log: Final = logging.getLogger(__name__)

QUEUE: Final = "queue"
HANGUP: Final = "hangup"
OVERFLOW: Final = "overflow"
Next = Literal["queue", "hangup", "overflow"]
_DATABASE_SECONDS: Final = 1.0


class ToAgent:
    """One for all calls. What is None is switched off."""

    def __init__(
        self,
        journal: Journal,
        store: Store,
        *,
        crowd: Crowd | None,
        overflow: Overflow | None,
        forecasts: Forecasts | None,
        now: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._store = store
        self._crowd = crowd
        self._overflow = overflow
        self._forecasts = forecasts
        self._now = now

    async def go(self, talk: Talk) -> Next | None:
        """What the dialplan does next. None: nobody is there at this hour, and the caller goes on
        in the menus."""
        if not talk.incident.plan.hours.open_at(self._now()):
            return HANGUP if await after_hours(talk, self._journal) else None
        if place := await self._own_place(talk):
            return await _take(talk, place)
        sends = self._overflow is not None and self._overflow.takes(talk)
        if not sends and self._crowd is not None and self._crowd.closes_line(talk.incident.id):
            return await self.short_way(talk)
        talk.book.save(talk.call)
        await talk.announce("to_agent")
        if self._overflow is not None and sends:
            await self._overflow.send(talk)
            return OVERFLOW
        if self._forecasts is not None:
            queue = names.queue(talk.incident.id, talk.language)
            await say_wait(talk, self._forecasts.for_newcomer(queue))
        return QUEUE

    async def short_way(self, talk: Talk) -> Next:
        """The essentials and a call-back, instead of the line."""
        await shed(talk, lambda: callback(talk, self._journal, "menu"))
        return HANGUP

    async def _own_place(self, talk: Talk) -> Place | None:
        """The place that the caller's number keeps; None, too, where it cannot be looked up."""
        if talk.call.ani_hash is None:
            return None
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                return await place_by_phone(self._store, talk.incident.id, talk.call.ani_hash)
        except (SQLAlchemyError, StoreError, OSError, TimeoutError) as error:
            log.warning("a caller's own place could not be looked up (%s)", type(error).__name__)
            return None


async def _take(talk: Talk, place: Place) -> Next:
    """Whoever keeps a place and calls takes it in person. It stays kept until an agent answers:
    who hangs up before is called back."""
    talk.note("callback:in_person")
    talk.book.in_person(talk.call, place.token)
    await talk.session.set_variable(names.RANK, names.milliseconds(place.rank))
    await talk.announce("callback.own_place")
    return QUEUE
