"""Stop calling me: the number called from, or another that is keyed in, is never called again."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from incident.booking import BookingLimits
from incident.contacts.phones import BadPhone, to_e164
from incident.outcomes import SelfServiceResult
from incident.store import do_not_call
from incident.store.engine import Store, StoreError
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk

log: Final = logging.getLogger(__name__)

MAX_DIGITS: Final = 15
TRIES: Final = 4
"""Numbers that one call may offer."""
STOP: Final = "1"
ANOTHER: Final = "2"
_STORED_SECONDS: Final = 3.0


async def stop_calls(talk: Talk, store: Store, limits: BookingLimits) -> str:
    """Gives the key that ended it, or ""."""
    number = _called_from(talk)
    key = await talk.say("stop.this_number" if number else "stop.what")
    if key in {AGENT_KEY, BACK, REPEAT}:
        return key
    prompt = "callback.enter_number"
    for _ in range(TRIES):
        if not number:
            entered = await talk.enter(prompt, MAX_DIGITS)
            prompt = "callback.enter_number"
            if entered.value == AGENT_KEY:
                return AGENT_KEY
            if not entered.value and not entered.timed_out:
                return BACK
            if not entered.value or REPEAT in entered.value:
                continue
            number = _e164(entered.value)
            if not number:
                prompt = "callback.invalid"
                continue
        key = await _confirm(talk, number)
        if key == STOP:
            return await _keep(talk, store, number, limits)
        if key != ANOTHER:
            return key
        number = ""
    return ""


def _called_from(talk: Talk) -> str:
    """The caller's number; "" when it is withheld or is none that we could call."""
    return _e164(talk.session.request.caller_number)


def _e164(digits: str) -> str:
    try:
        return to_e164(digits)
    except BadPhone:
        return ""


async def _confirm(talk: Talk, number: str) -> str:
    digits = number.removeprefix("+1").removeprefix("+")
    key = ""
    for _ in range(3):
        key = await talk.spell(digits) or await talk.ask("stop.confirm")
        if key and key != REPEAT:
            break
    return key


async def _keep(talk: Talk, store: Store, number: str, limits: BookingLimits) -> str:
    """Nobody is thanked before it is kept: the dialer honours it from then on."""
    incident = talk.incident
    phone_hash = incident.key.lookup_hash(number)
    try:
        async with asyncio.timeout(_STORED_SECONDS):
            if await do_not_call.stopped_too_many(
                store,
                incident.id,
                phone_hash,
                caller=talk.call.ani_hash,
                limits=limits,
                now=talk.book.now(),
            ):
                talk.note("stop:too_many")
                return await talk.say("stop.failed")
            await do_not_call.stop_calls(
                store,
                incident.id,
                phone_hash,
                source="hotline",
                call=talk.call.id,
                now=talk.book.now(),
            )
    except (SQLAlchemyError, StoreError, OSError, TimeoutError) as error:
        log.error("a request not to be called was not kept (%s)", type(error).__name__)  # noqa: TRY400
        talk.note("stop:failed")
        return await talk.say("stop.failed")
    talk.note("stop:kept")
    talk.leaf()
    talk.came_to(SelfServiceResult.STOP_CALLS)
    return await talk.say("stop.thanks")
