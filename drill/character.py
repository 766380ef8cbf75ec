"""Who calls in a drill: what each caller wants, how long they wait, what they do about it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drill.people import LINES, Behaviour
from incident.plan import Choice, Plan

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

_UNANSWERED: Final = (Behaviour.NO_ANSWER, Behaviour.BUSY, Behaviour.MACHINE)


@dataclass(frozen=True, slots=True)
class Ways:
    """How a plan's menus are gone through. ``languages``: each with its key ("" where there is
    nothing to choose); ``agent``: keys to an agent; ``answers``: keys to each answer."""

    languages: tuple[tuple[str, str], ...]
    agent: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]


def ways_of(plan: Plan) -> Ways:
    """Find them. Raises ValueError for a plan in which no key leads to an agent or an answer."""
    main = plan.menus["main"].choices
    found: list[tuple[tuple[str, ...], Choice]] = [((key,), choice) for key, choice in main.items()]
    found += [
        ((key, second), choice)
        for key, way in main.items()
        if way.menu is not None
        for second, choice in plan.menus[way.menu].choices.items()
    ]
    agents = [keys for keys, choice in found if choice.agent]
    answers = tuple(keys for keys, choice in found if choice.answer is not None)
    if not agents or not answers:
        raise ValueError("no key of the main menu leads to an agent, or none to an answer")
    several = len(plan.languages) > 1
    keys = (str(number) if several else "" for number in range(1, len(plan.languages) + 1))
    return Ways(tuple(zip(plan.languages, keys, strict=True)), agents[0], answers)


class Patience(StrEnum):
    """How patience is spread over callers; the mean is the same."""

    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Temper:
    """The public's habits. Shares are of one; times in seconds.

    ``other_language``: share of callers who choose another language than the first.
    ``accepts``: share of those who want an agent that take a call-back when it is offered;
    ``reached``: share of them whose telephone is answered when they are called back (37 % and
    93 %: Hathaway and others, on call-backs in contact centres). ``redials``: share of those who
    gave up that try once more, ``redial_after`` seconds later on average.
    """

    self_service: float = 0.60
    other_language: float = 0.25
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


def draw(count: int, ways: Ways, temper: Temper, seed: int) -> Iterator[Character]:
    """Draw callers with numbers of their own; ways to answers are tried the more often the shorter
    they are. Raises ValueError for more than there are numbers."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    persons = _numbers(rng, (Behaviour.PERSON,))
    others = _numbers(rng, _UNANSWERED)
    weights = [1 / len(keys) ** 2 for keys in ways.answers]
    if count > len(persons):
        raise ValueError(f"there are no more than {len(persons)} fictional callers")
    for _ in range(count):
        agent = rng.random() >= temper.self_service
        accepts = rng.random() < temper.accepts
        reached = rng.random() < temper.reached or not others
        first, *rest = ways.languages
        other = rng.random() < temper.other_language and rest
        language, key = rng.choice(rest) if other else first
        patience = _patience(rng, temper)
        # Half take the first offer, before or as the music begins; half after some music.
        after = rng.uniform(8, 16) if rng.random() < 0.5 else rng.uniform(16, 60)
        redial = rng.expovariate(1 / temper.redial_after) if temper.redial_after else 0.0
        way = ways.agent if agent else rng.choices(ways.answers, weights)[0]
        yield Character(
            number=(persons if reached or not (agent and accepts) else others).pop(),
            language=language,
            agent=agent,
            keys=_paced(rng, ((key, *way) if key else way)),
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
    """People press their first key soon, and listen to a part of each further menu."""
    first, *rest = keys
    return ((rng.uniform(1, 5), first), *((rng.uniform(2, 8), key) for key in rest))
