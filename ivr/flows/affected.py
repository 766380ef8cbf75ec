"""Was I affected? The caller keys in the letter's reference number and hears what was exposed.

What is said is what kinds of data the number stands for. No name and no telephone number is ever
spoken, and a call may try only a few numbers: guessing them gains nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from incident.store.engine import Store, StoreError
from incident.store.references import data_types_of
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk

log: Final = logging.getLogger(__name__)

MAX_DIGITS: Final = 20
TRIES: Final = 3
LOOKUPS_PER_CALL: Final = 6
_DATABASE_SECONDS: Final = 3.0


class References:
    """Looks reference numbers up, so many in one call and no more."""

    __slots__ = ("_left", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left = LOOKUPS_PER_CALL

    @property
    def exhausted(self) -> bool:
        return self._left <= 0

    async def data_types(self, incident: str, reference: str) -> tuple[str, ...] | None:
        """None where there is no such number, or no answer in time."""
        self._left -= 1
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                return await data_types_of(self._store, incident, reference)
        except (SQLAlchemyError, StoreError, OSError, TimeoutError) as error:
            log.warning("a reference number could not be looked up (%s)", type(error).__name__)
            # Never "not found": it could be there. Whoever asks again gets the same help.
            self._left = 0
            return None


async def affected(talk: Talk, references: References, first: str = "") -> str:
    """Gives the key that ended it, or "". ``first``: the first key of the number, if pressed."""
    prompt = "affected.ask_reference"
    for _ in range(TRIES):
        if references.exhausted:
            break
        entered = await talk.enter(prompt, MAX_DIGITS, first)
        number, first = entered.value, ""
        if number == AGENT_KEY:
            return AGENT_KEY
        if not number and not entered.timed_out:
            break  # "If you do not have a letter, just press pound."
        if not number or REPEAT in number:
            prompt = "affected.ask_reference"
            continue
        key = await talk.spell(number)
        if key in {AGENT_KEY, BACK}:
            return key
        if key == REPEAT:
            prompt = "affected.ask_reference"
            continue
        found = await references.data_types(talk.incident.id, number)
        if found is not None:
            return await _tell(talk, found)
        prompt = "affected.not_found"
    talk.note("affected:not_listed")
    return await talk.say("affected.not_listed_help")


async def _tell(talk: Talk, data_types: tuple[str, ...]) -> str:
    talk.note("affected:found")
    talk.leaf()
    key = await talk.say("affected.found")
    for code in data_types:
        if key:
            break
        # A type that the plan no longer has: what is left still holds.
        if code in talk.incident.plan.data_types:
            key = await talk.say(f"data_type.{code}")
    return key
