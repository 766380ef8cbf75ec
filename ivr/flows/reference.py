"""The reference number at the top of a letter: keyed in, read back, three tries, looked up.

Nothing that looks like a Social Security number is looked up, read back or kept.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from incident.guessing import GuessLimits, Verdict
from incident.outcomes import SelfServiceResult
from incident.store.engine import Store, StoreError
from incident.store.references import Letter, like_an_ssn, look_up
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk
from pbx.agi import Digits

log: Final = logging.getLogger(__name__)

MAX_DIGITS: Final = 20
TRIES: Final = 3
LOOKUPS_PER_CALL: Final = 6
_DATABASE_SECONDS: Final = 3.0


class Why(Enum):
    """Why there is no letter to speak of."""

    KEY = auto()
    NO_LETTER = auto()
    SILENT = auto()
    NOT_FOUND = auto()
    NOT_NOW = auto()


@dataclass(frozen=True, slots=True)
class Without:
    """``key``: what the caller pressed instead, for KEY."""

    why: Why
    key: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts by name. ``not_found``: asks once more after a miss; None: nobody is told whether
    the number is ours. ``optional``: a silent caller is not asked again."""

    ask: str
    not_found: str | None
    optional: bool = False


class References:
    """One call's look-ups: so many and no more."""

    __slots__ = ("_left", "_limits", "_refused", "_store")

    def __init__(self, store: Store, limits: GuessLimits) -> None:
        self._store = store
        self._limits = limits
        self._left = LOOKUPS_PER_CALL
        self._refused = False

    @property
    def over(self) -> Why | None:
        """Why nothing more is looked up in this call; None while it is."""
        if self._refused:
            return Why.NOT_NOW
        return Why.NOT_FOUND if self._left <= 0 else None

    async def find(self, talk: Talk, reference: str) -> Letter | None:
        """None also where it could not be looked up; ``over`` says so then."""
        self._left -= 1
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                verdict, letter = await look_up(
                    self._store,
                    talk.incident.key,
                    talk.incident.id,
                    reference,
                    caller=talk.call.ani_hash,
                    limits=self._limits,
                    now=talk.book.now(),
                )
        except (SQLAlchemyError, StoreError, OSError, TimeoutError) as error:
            log.warning("a reference number could not be looked up (%s)", type(error).__name__)
            verdict, letter = Verdict.REFUSED, None
        self._refused = verdict is Verdict.REFUSED
        if letter is not None:
            talk.call.reference = reference
            talk.book.about(talk.call, letter.contact)
        return letter


async def ask_reference(
    talk: Talk, references: References, wording: Wording, first: str = ""
) -> Letter | Without:
    """Ask until there is a letter, or a reason why not. ``first``: the first key of the number,
    if it was pressed already."""
    prompt = wording.ask
    for _ in range(TRIES):
        if references.over is not None:
            return Without(references.over)
        entered = await talk.enter(prompt, MAX_DIGITS, first)
        first, prompt = "", wording.ask
        given = _given(entered, wording)
        if isinstance(given, Without):
            return given
        if like_an_ssn(given):
            talk.note("reference:like_ssn")
            prompt = "reference.never_ssn"
            continue
        key = REPEAT if not given or REPEAT in given else await talk.spell(given)
        if key == REPEAT:
            continue
        if key in {AGENT_KEY, BACK}:
            return Without(Why.KEY, key)
        letter = await references.find(talk, given)
        if letter is not None:
            return letter
        if wording.not_found is None:
            break
        prompt = wording.not_found
    return Without(references.over or Why.NOT_FOUND)


def _given(entered: Digits, wording: Wording) -> str | Without:
    """What was keyed in; "" to ask again."""
    if entered.value == AGENT_KEY:
        return Without(Why.KEY, AGENT_KEY)
    if not entered.value and not entered.timed_out:
        return Without(Why.NO_LETTER)  # "If you do not have a letter, just press pound."
    if not entered.value and wording.optional:
        return Without(Why.SILENT)
    return entered.value


async def explain(talk: Talk, without: Without, help_text: str) -> str:
    """Say what can be done without a letter that we know; the key that ended it, or ""."""
    if without.why is Why.KEY:
        return without.key
    if without.why is Why.NOT_NOW:
        talk.note("reference:not_now")
        talk.came_to(SelfServiceResult.NOT_NOW)
        return await talk.say("reference.not_now")
    talk.note("reference:not_found")
    talk.came_to(SelfServiceResult.NOT_FOUND)
    return await talk.say(help_text)
