"""Call me back: a number is keyed in, read back, confirmed and kept."""

from __future__ import annotations

from typing import Final, Literal

from incident.contacts.phones import BadPhone, to_e164
from incident.privacy import seal_for
from incident.store.callbacks import request
from ivr.journal import Journal
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import END_CALL, Talk
from pbx.spool import CallbackRequest

MAX_DIGITS: Final = 15
TRIES: Final = 3
RIGHT: Final = "1"
_STORED_SECONDS: Final = 1.0
"""How long the caller waits for the database before being thanked. A request that it has not taken
by then is spooled as well: nobody is thanked for what only our memory holds."""


async def callback(talk: Talk, journal: Journal, source: Literal["menu", "after_hours"]) -> str:
    """Gives END_CALL once a number was left, else the key that ended it, or ""."""
    prompt = "callback.enter_number"
    for attempt in range(TRIES):
        entered = await talk.enter(prompt, MAX_DIGITS)
        prompt = "callback.enter_number"
        if entered.value == AGENT_KEY:
            return AGENT_KEY
        if not entered.value and not entered.timed_out:
            return BACK
        if not entered.value or REPEAT in entered.value:
            continue
        try:
            e164 = to_e164(entered.value)
        except BadPhone:
            prompt = "callback.invalid"
            continue
        key = await _confirm(talk, entered.value)
        if key in {AGENT_KEY, BACK}:
            return key
        if key == RIGHT:
            await _keep(talk, journal, e164, source, attempt)
            return END_CALL
    return ""


async def _confirm(talk: Talk, digits: str) -> str:
    for _ in range(2):
        key = await talk.spell(digits) or await talk.ask("callback.confirm")
        if key and key != REPEAT:
            return key
    return ""


async def _keep(
    talk: Talk, journal: Journal, e164: str, source: Literal["menu", "after_hours"], attempt: int
) -> None:
    call = talk.call
    taken = request(
        talk.incident.key,
        incident=talk.incident.id,
        language=talk.language,
        e164=e164,
        source=source,
        source_key=f"{call.id}:{source}:{attempt}",
        call=call.id,
        now=talk.book.now(),
    )
    talk.note("callback:left_number")
    talk.book.callback(call, taken)
    if not await journal.settled(taken.source_key, _STORED_SECONDS):
        spooled = CallbackRequest(
            talk.incident.id, talk.language, e164, taken.requested_at, call.id
        )
        sealed = seal_for(talk.incident.key.public_key, spooled.to_bytes())
        await journal.set_aside(taken.source_key, talk.incident.id, sealed)
    if not await talk.say("callback.thanks"):
        await talk.say("goodbye")
