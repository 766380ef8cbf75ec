"""Keep my place: the number is read back and confirmed, a time may be chosen, and the place stays.

Whoever was in line has a placeholder there already; for everybody else it is put at the end of the
line, or where they belong at the hour that they chose. Nobody is thanked for what only our memory
holds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from incident.contacts.phones import BadPhone, to_e164
from incident.privacy import seal_for
from incident.store.callbacks import Kept, Refusal, Why, request
from ivr.flows.choose_time import AS_SOON_AS_POSSIBLE, choose_time
from ivr.journal import Journal
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import END_CALL, Talk
from pbx import names
from pbx.spool import CallbackRequest

MAX_DIGITS: Final = 15
TRIES: Final = 3
RIGHT: Final = "1"
ANOTHER: Final = "2"
_STORED_SECONDS: Final = 1.0
"""How long the caller waits for the database before being thanked. A request that it has not taken
by then is spooled."""

Source = Literal["menu", "after_hours", "waiting"]


@dataclass(frozen=True, slots=True)
class Held:
    """The place of a caller who comes out of the line: a placeholder stands there. ``rank``: Unix
    seconds."""

    token: str
    rank: float


@dataclass(frozen=True, slots=True)
class _Number:
    e164: str = ""
    key: str = ""


async def keep_place(
    talk: Talk, journal: Journal, source: Source, *, caller: str, held: Held | None = None
) -> str:
    """Gives END_CALL once a place is kept, else the key that ended it, or "".

    ``caller``: the caller's own number, "" where it is not known. With ``held`` the dialplan is
    told, too (BL_NEXT), as soon as the place is kept.
    """
    prompt = "callback.enter_number"
    own = _callable(caller)
    offered = own if own and journal.booking.reaches(own) else ""
    # Asked beforehand: between the caller's last key and the store there is nothing to wait for.
    relay = await talk.session.get_variable(names.RELAY) == "1"
    for _ in range(TRIES):
        number = await _number(talk, prompt, offered, journal.booking.reaches)
        offered = ""
        if not number.e164:
            return number.key
        not_before = await choose_time(talk)
        if isinstance(not_before, str):
            return not_before
        kept = await _keep(
            talk,
            journal,
            number.e164,
            own=own,
            source=source,
            held=held,
            not_before=not_before,
            relay=relay,
        )
        # Of somebody else's number nothing is told: neither that its owner asked not to be called,
        # nor that they called us and keep a place.
        mine = number.e164 == own
        if isinstance(kept, Refusal):
            talk.note("callback:not_allowed")
            told = mine and kept.why is Why.DO_NOT_CALL
            prompt = "callback.not_allowed" if told else "callback.invalid"
            continue
        await _thank(talk, not_before, already=mine and kept is not None and not kept.new)
        return END_CALL
    return ""


def _callable(caller: str) -> str:
    try:
        return to_e164(caller) if caller else ""
    except BadPhone:
        return ""


async def _number(talk: Talk, prompt: str, offered: str, reaches: Callable[[str], bool]) -> _Number:
    """A confirmed number, or the key that ended it."""
    if offered:
        key = await _confirm_caller(talk, offered)
        if key == RIGHT:
            return _Number(offered)
        if key in {AGENT_KEY, BACK, ""}:
            return _Number(key=key)
    for _ in range(TRIES):
        entered = await talk.enter(prompt, MAX_DIGITS)
        prompt = "callback.enter_number"
        if entered.value == AGENT_KEY:
            return _Number(key=AGENT_KEY)
        if not entered.value and not entered.timed_out:
            return _Number(key=BACK)
        if not entered.value or REPEAT in entered.value:
            continue
        e164 = _callable(entered.value)
        if not e164 or not reaches(e164):
            prompt = "callback.invalid"
            continue
        key = await _confirm(talk, entered.value)
        if key in {AGENT_KEY, BACK}:
            return _Number(key=key)
        if key == RIGHT:
            return _Number(e164)
    return _Number()


async def _confirm_caller(talk: Talk, e164: str) -> str:
    digits = e164.removeprefix("+1").removeprefix("+")
    for _ in range(TRIES):
        key = (
            await talk.say("callback.number_is")
            or await talk.spell(digits)
            or await talk.ask("callback.confirm_caller")
        )
        if key in {RIGHT, ANOTHER, AGENT_KEY, BACK}:
            return key
    return ""


async def _confirm(talk: Talk, digits: str) -> str:
    for _ in range(2):
        key = await talk.spell(digits) or await talk.ask("callback.confirm")
        if key and key != REPEAT:
            return key
    return ""


async def _keep(
    talk: Talk,
    journal: Journal,
    e164: str,
    *,
    own: str,
    source: Source,
    held: Held | None,
    not_before: float,
    relay: bool,
) -> Kept | Refusal | None:
    """None: the database is away, and the request is in the spool."""
    call, now = talk.call, talk.book.now()
    place = held or Held(uuid.uuid4().hex, now)
    wanted = request(
        talk.incident.key,
        incident=talk.incident.id,
        language=talk.language,
        e164=e164,
        source=source,
        source_key=place.token,
        call=call.id,
        now=now,
        token=place.token,
        rank=place.rank,
        not_before=not_before,
        caller=own,
        relay=relay,
    )
    spooled = CallbackRequest(
        talk.incident.id,
        talk.language,
        e164,
        now,
        call.id,
        token=place.token,
        rank=place.rank,
        not_before=not_before,
        relay=relay,
    )
    sealed = seal_for(talk.incident.key.public_key, spooled.to_bytes())
    found = await journal.keep(wanted, sealed, _STORED_SECONDS)
    if isinstance(found, Refusal):
        return found
    later = not_before > AS_SOON_AS_POSSIBLE
    if held is not None:
        mine = found is None or found.place.token == held.token
        # From here on the place counts, whether or not the caller hears us out.
        await talk.session.set_variable(names.NEXT, "kept" if mine and not later else "hangup")
    elif found is None and not later:
        for name, value in (
            (names.KEPT, place.token),
            (names.RANK, names.milliseconds(place.rank)),
            (names.HOLDS, "wanted"),
        ):
            await talk.session.set_variable(name, value)
    talk.note("callback:left_number")
    talk.book.kept(call, place.token if found is None else found.place.token)
    return found


async def _thank(talk: Talk, not_before: float, *, already: bool) -> None:
    if already:
        text = "callback.kept_already"
    elif not_before > AS_SOON_AS_POSSIBLE:
        text = "callback.thanks_later"
    else:
        text = "callback.thanks"
    if not await talk.say(text):
        await talk.say("goodbye")
