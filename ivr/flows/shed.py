"""Too many call at once: the essentials, and a place in line that is called back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ivr.menu import BACK, Tries
from ivr.talk import END_CALL, Talk

LEAVE_NUMBER: Final = "1"


async def shed(talk: Talk, callback: Callable[[], Awaitable[str]]) -> None:
    """The whole rest of the call. ``callback``: the flow that takes a number; gives END_CALL once
    it has one."""
    talk.book.shed(talk.call)
    tries = Tries()
    key = await talk.say("shed.essentials")
    while True:
        key = key or await talk.ask("shed.callback_offer")
        if key == LEAVE_NUMBER:
            key = await callback()
            if key == END_CALL:
                return
        if key == BACK or tries.failed(key) is not None:
            await talk.announce("goodbye")
            return
        key = await talk.say("invalid") if key else ""
