"""The cases of ``bench waiting``: hotlines that differ, each with the same questions asked."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from bench.queue_simulator import Draw, Group, Level, World

HOUR = 3600.0
SERVICE = 300.0
PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Stationary:
    """True rates of a case whose irreducible error is known: ``capacity``: agents free a second."""

    capacity: float
    patience: float


@dataclass(frozen=True, slots=True)
class Case:
    """``name``: short enough for a table. ``world`` is made anew for each run (``seed``): rosters
    may be random."""

    name: str
    world: Callable[[int], World]
    runs: int
    stationary: Stationary | None = None


def exponential(mean: float) -> Draw:
    return lambda rng, _: rng.expovariate(1.0 / mean)


def lognormal(mean: float, variation: float) -> Draw:
    sigma = math.sqrt(math.log(1.0 + variation**2))
    mu = math.log(mean) - sigma**2 / 2.0
    return lambda rng, _: rng.lognormvariate(mu, sigma)


def steady(value: float) -> Level:
    return lambda _: value


def ramp(*points: tuple[float, float]) -> Level:
    """Straight lines between (moment, value); level outside."""

    def level(at: float) -> float:
        if at <= points[0][0]:
            return points[0][1]
        for (start, low), (end, high) in pairwise(points):
            if at < end:
                return low + (high - low) * (at - start) / (end - start)
        return points[-1][1]

    return level


def forever(_: random.Random, __: float) -> float:
    return math.inf


def _impatient_few(rng: random.Random, _: float) -> float:
    """A fifth hangs up at once if there is a line, the rest is patient: 180 s in the middle."""
    return rng.expovariate(1 / 30 if rng.random() < 0.2 else 1 / 300)


def _plain(
    agents: int,
    load: float,
    hours: float,
    *,
    talk: Draw | None = None,
    patience: Draw | None = None,
    wrap_up: float = 0.0,
    warm: float = 2.0,
    arrivals: Level | None = None,
    changes: Callable[[random.Random], tuple[tuple[float, int], ...]] | None = None,
    notices: Level | None = None,
    gives_way: float = math.inf,
    notice_talk: Draw | None = None,
) -> Callable[[int], World]:
    rate = load * agents / SERVICE
    level = arrivals or steady(1.0)

    def world(seed: int) -> World:
        rng = random.Random(f"roster {seed}")
        return World(
            arrivals={"en": lambda at: rate * level(at)},
            busiest=rate * max(level(at * 60.0) for at in range(12 * 60)),
            groups=(Group(("en",), agents, changes(rng) if changes else ()),),
            talk=talk or exponential(SERVICE - wrap_up),
            patience=patience or exponential(PATIENCE),
            scored=(warm * HOUR, (warm + hours) * HOUR),
            wrap_up=wrap_up,
            notices=notices or steady(0.0),
            gives_way=gives_way,
            notice_talk=notice_talk,
        )

    return world


def _stationary(agents: int, patience: float = 1.0 / PATIENCE) -> Stationary:
    return Stationary(agents / SERVICE, patience)


def _comings_and_goings(rng: random.Random) -> tuple[tuple[float, int], ...]:
    """Every ten minutes on average somebody signs out, for a quarter of an hour."""
    changes: list[tuple[float, int]] = []
    at = 0.0
    while at < 12 * HOUR:
        at += rng.expovariate(1 / 600)
        changes += [(at, -1), (at + rng.expovariate(1 / 900), 1)]
    return tuple(changes)


def _shift_change(rng: random.Random) -> tuple[tuple[float, int], ...]:
    """Ten of twenty go within half an hour; an hour later twelve come."""
    out = [(2.5 * HOUR + rng.uniform(0, 0.5 * HOUR), -1) for _ in range(10)]
    back = [(4.0 * HOUR + rng.uniform(0, 0.25 * HOUR), 1) for _ in range(12)]
    return tuple(out + back)


def _languages(
    english: float, spanish: float, groups: tuple[Group, ...], hours: float
) -> Callable[[int], World]:
    def world(_: int) -> World:
        return World(
            arrivals={"en": steady(english), "es": steady(spanish)},
            busiest=max(english, spanish),
            groups=groups,
            talk=exponential(SERVICE),
            patience=exponential(PATIENCE),
            scored=(2 * HOUR, (2 + hours) * HOUR),
        )

    return world


def _longer_calls(rng: random.Random, at: float) -> float:
    """Once the flood is there, callers have more to ask: 300 s become 420 s."""
    return rng.expovariate(1.0 / ramp((2.5 * HOUR, 300.0), (3.0 * HOUR, 420.0))(at))


MAIL_DROP = ramp((2 * HOUR, 0.5), (3 * HOUR, 2.2), (4 * HOUR, 2.2), (6 * HOUR, 0.6))
SURGE = ramp((2.2 * HOUR, 0.6), (2.4 * HOUR, 3.0), (4 * HOUR, 3.0))
FLOOD = ramp((0.0, 0.3), (0.3 * HOUR, 2.5))
BILINGUAL = (Group(("en",), 12), Group(("en", "es"), 6), Group(("es",), 2))
SHARED = (Group(("en", "es"), 10),)

CASES: tuple[Case, ...] = (
    Case("s=20 load 0.95, all stay", _plain(20, 0.95, 5, patience=forever), 10,
         _stationary(20, 0.0)),
    Case("s=20 load 1.2", _plain(20, 1.2, 3), 8, _stationary(20)),
    Case("s=50 load 1.2", _plain(50, 1.2, 1.5, warm=1), 8, _stationary(50)),
    Case("s=100 load 1.2", _plain(100, 1.2, 0.7, warm=1), 6, _stationary(100)),
    Case("s=5 load 1.2", _plain(5, 1.2, 8), 16, _stationary(5)),
    Case("s=3 load 1.2", _plain(3, 1.2, 10), 30, _stationary(3)),
    Case("s=1 load 1.2", _plain(1, 1.2, 20), 30, _stationary(1)),
    Case("s=20 load 2.5", _plain(20, 2.5, 1.5), 8, _stationary(20)),
    Case("talk varies little (0.5)", _plain(
        20, 1.2, 3, talk=lognormal(270, 0.5), wrap_up=30), 8),
    Case("talk varies much (1.5)", _plain(20, 1.2, 3, talk=lognormal(300, 1.5)), 8),
    Case("s=3, wrap-up of 60 s", _plain(3, 1.2, 10, wrap_up=60), 20),
    Case("patience of two kinds", _plain(20, 1.2, 3, patience=_impatient_few), 8),
    Case("mail drop", _plain(20, 1.0, 4, arrivals=MAIL_DROP), 8),
    Case("agents come and go", _plain(20, 1.1, 4, changes=_comings_and_goings), 8),
    Case("shift change 20, 10, 22", _plain(20, 0.9, 4, changes=_shift_change), 8),
    Case("2 languages, some shared", _languages(0.066, 0.02, BILINGUAL, 3), 8),
    Case("2 languages, all shared", _languages(0.030, 0.006, SHARED, 6), 16),
    Case("notices take 30 %", _plain(
        20, 0.9, 4, notices=steady(0.3), notice_talk=exponential(120)), 8),
    Case("notices give way", _plain(
        20, 1.0, 4, notices=steady(0.4), gives_way=20.0, notice_talk=exponential(120)), 8),
    Case("cold start, flood", _plain(
        20, 1.0, 2, arrivals=FLOOD, warm=0, talk=exponential(420), patience=exponential(300)), 12),
    Case("cold start, s=3", _plain(
        3, 1.3, 3, warm=0, talk=exponential(200), patience=exponential(300)), 30),
    Case("surge, longer calls", _plain(20, 1.0, 2, arrivals=SURGE, talk=_longer_calls), 8),
)  # fmt: skip
