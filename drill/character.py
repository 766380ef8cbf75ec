"""Who calls in a drill: what each caller wants, how long they wait, what they do about it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drill.people import LINES, Behaviour

AREAS: Final[tuple[int, ...]] = (
    201,
    202,
    203,
    205,
    206,
    207,
    208,
    209,
    210,
    212,
    213,
    214,
    215,
    216,
    217,
    218,
    219,
    225,
    228,
    229,
    231,
    234,
    239,
    240,
    248,
    251,
    253,
    254,
    256,
    260,
    262,
    267,
    269,
    270,
    276,
    281,
    301,
    302,
    303,
    304,
    305,
    307,
    308,
    309,
    310,
    312,
    313,
    314,
    315,
    316,
    317,
    318,
    319,
    320,
    321,
    323,
    330,
    334,
    336,
    337,
)
"""Area codes of callers; with the lines of a behaviour, enough for some thousands of numbers."""

LANGUAGE_KEYS: Final[Mapping[str, str]] = {"en": "1", "es": "2"}

SELF_SERVICE: Final[Mapping[tuple[str, ...], float]] = {
    ("1",): 5,
    ("3", "1"): 3,
    ("3", "2"): 2,
    ("3", "4"): 1,
    ("4",): 2,
    ("1", "4"): 1,
}
"""Ways to an answer in the sample plan's menus, with weights."""

_UNANSWERED: Final = (Behaviour.NO_ANSWER, Behaviour.BUSY, Behaviour.MACHINE)


class Patience(StrEnum):
    """How patience is spread over callers; the mean is the same."""

    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Temper:
    """The public's habits. Shares are of one; times in seconds.

    ``accepts``: share of those who want an agent that take a call-back when it is offered;
    ``reached``: share of them whose telephone is answered when they are called back (37 % and
    93 %: Hathaway and others, on call-backs in contact centres). ``redials``: share of those who
    gave up that try once more, ``redial_after`` seconds later on average.
    """

    self_service: float = 0.60
    spanish: float = 0.25
    patience: float = 180.0
    patience_shape: Patience = Patience.EXPONENTIAL
    accepts: float = 0.37
    reached: float = 0.93
    redials: float = 0.30
    redial_after: float = 30.0


@dataclass(frozen=True, slots=True)
class Character:
    """One caller. ``keys``: (seconds before, key), the language first. ``stay``: seconds of
    listening to the answer. ``accepts_after``: seconds of waiting for an agent after which this
    caller asks to be called back, None for never."""

    number: str
    language: str
    agent: bool
    keys: tuple[tuple[float, str], ...]
    stay: float
    patience: float
    accepts_after: float | None
    redial_after: float | None


def draw(count: int, temper: Temper, seed: int) -> Iterator[Character]:
    """Draw callers with numbers of their own. Raises ValueError for more than there are numbers."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    persons = _numbers(rng, (Behaviour.PERSON,))
    others = _numbers(rng, _UNANSWERED)
    if count > len(persons):
        raise ValueError(f"there are no more than {len(persons)} fictional callers")
    for _ in range(count):
        agent = rng.random() >= temper.self_service
        accepts = rng.random() < temper.accepts
        reached = rng.random() < temper.reached or not others
        language = "es" if rng.random() < temper.spanish else "en"
        patience = _patience(rng, temper)
        # Half take the first offer, before or as the music begins; half after some music.
        after = rng.uniform(8, 16) if rng.random() < 0.5 else rng.uniform(16, 60)
        redial = rng.expovariate(1 / temper.redial_after) if temper.redial_after else 0.0
        way = ("0",) if agent else rng.choices(list(SELF_SERVICE), list(SELF_SERVICE.values()))[0]
        yield Character(
            number=(persons if reached or not (agent and accepts) else others).pop(),
            language=language,
            agent=agent,
            keys=_paced(rng, (LANGUAGE_KEYS[language], *way)),
            stay=rng.uniform(5, 20),
            patience=patience,
            accepts_after=min(after, patience) if agent and accepts else None,
            redial_after=redial if rng.random() < temper.redials else None,
        )


def _numbers(rng: random.Random, kinds: tuple[Behaviour, ...]) -> list[str]:
    found = [f"+1{area}55501{line:02d}" for area in AREAS for kind in kinds for line in LINES[kind]]
    rng.shuffle(found)
    return found


def _patience(rng: random.Random, temper: Temper) -> float:
    if temper.patience_shape is Patience.EXPONENTIAL:
        return rng.expovariate(1 / temper.patience)
    sigma = 0.8
    return rng.lognormvariate(math.log(temper.patience) - sigma**2 / 2, sigma)


def _paced(rng: random.Random, keys: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
    """People press the language soon, and listen to a part of each menu."""
    first, *rest = keys
    return ((rng.uniform(1, 5), first), *((rng.uniform(2, 8), key) for key in rest))
