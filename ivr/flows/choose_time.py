"""When to call back: as soon as the turn comes, or at an hour of today or tomorrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ivr.keeping.times import TimeChoice, time_choices
from ivr.menu import AGENT_KEY, BACK
from ivr.talk import Talk

AS_SOON_AS_POSSIBLE: Final = 0.0
TRIES: Final = 3
_FIRST: Final = "1"
_SECOND: Final = "2"
_KEYS: Final = 9
"""Hours that are offered at once: as many as there are keys."""


async def choose_time(talk: Talk) -> float | str:
    """Unix seconds before which the person is not to be called, or the key that ended it, or ""."""
    choices = time_choices(talk.book.now(), talk.incident.plan.hours)
    if not choices:
        return AS_SOON_AS_POSSIBLE
    key = await _either(talk, "callback.when")
    if key != _SECOND:
        return AS_SOON_AS_POSSIBLE if key == _FIRST else key
    for text, parts in (
        ("callback.day", [_of_day(choices, 0), _of_day(choices, 1)]),
        ("callback.part_of_day", []),
    ):
        both = parts or [_before_noon(choices), _after_noon(choices)]
        found = [part for part in both if part]
        if len(found) > 1:
            key = await _either(talk, text)
            if key not in {_FIRST, _SECOND}:
                return key
            found = [found[int(key) - 1]]
        choices = found[0]
    return await _hour(talk, choices[:_KEYS])


def _of_day(choices: Sequence[TimeChoice], days: int) -> tuple[TimeChoice, ...]:
    return tuple(choice for choice in choices if choice.days == days)


def _before_noon(choices: Sequence[TimeChoice]) -> tuple[TimeChoice, ...]:
    return tuple(choice for choice in choices if choice.hour < 12)


def _after_noon(choices: Sequence[TimeChoice]) -> tuple[TimeChoice, ...]:
    return tuple(choice for choice in choices if choice.hour >= 12)


async def _either(talk: Talk, text: str) -> str:
    for _ in range(TRIES):
        key = await talk.ask(text)
        if key in {_FIRST, _SECOND, AGENT_KEY, BACK}:
            return key
    return ""


async def _hour(talk: Talk, choices: Sequence[TimeChoice]) -> float | str:
    keys = {str(number): choice for number, choice in enumerate(choices, 1)}
    for _ in range(TRIES):
        key = await talk.say("callback.hour")
        for number, choice in keys.items():
            key = (
                key
                or await talk.say_hour(choice.hour)
                or await talk.say("callback.press")
                or await talk.spell(number)
            )
        key = key or await talk.wait()
        if key in keys:
            return keys[key].at
        if key in {AGENT_KEY, BACK}:
            return key
    return ""
