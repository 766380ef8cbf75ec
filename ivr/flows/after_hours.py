"""No agent works at this hour: the caller hears so and may leave a number instead."""

from __future__ import annotations

from typing import Final

from ivr.flows.callback import callback
from ivr.journal import Journal
from ivr.menu import BACK, REPEAT, Tries
from ivr.talk import END_CALL, Talk

LEAVE_NUMBER: Final = "1"


async def after_hours(talk: Talk, journal: Journal) -> bool:
    """Says whether the call is over; otherwise the caller goes back to the menus."""
    talk.book.closed(talk.call)
    tries = Tries()
    key = await talk.say("after_hours")
    while True:
        key = key or await talk.ask("callback.offer")
        if key == BACK:
            return False
        if key == LEAVE_NUMBER:
            key = await callback(talk, journal, "after_hours")
            if key == END_CALL:
                return True
            if key == BACK:
                return False
        elif key == REPEAT:
            key = await talk.say("after_hours")
            continue
        if tries.failed(key) is not None:
            await talk.announce("goodbye")
            return True
        key = await talk.say("invalid") if key else ""
