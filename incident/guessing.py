"""Against guessing reference numbers: which look-ups are answered. Pure; times are Unix seconds.

A number that nobody was sent must not be found by trying. Three things are counted:

* **the incident's budget of misses**: a bucket of tokens. A miss takes one, time and every answered
  look-up give some back, so that it grows with honest callers, who mistype now and then. When it
  is empty, look-ups are *closed* for a time, and a caller is told the same whether the number
  exists or not. It opens again with a quarter of its size, so that a guesser who goes on gains
  less and less;
* **each caller's number**: a small bucket of its own;
* **what was refused**: a caller who calls again from the same telephone with the same reference
  number, after the time that the line names, is answered though others still guess. A guesser who
  changes numbers never comes back so.

Whoever calls from the telephone that the letter's own record holds is always answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from incident.settings import SelfServiceSettings

DAY: Final = 24 * 3600.0
_REOPENED: Final = 0.25
"""Of the budget, when it opens again."""
_HIT_COST: Final = 0.25
"""Of a caller's own bucket: a telephone may be many people's, at work or in a home."""


@dataclass(frozen=True, slots=True)
class GuessLimits:
    """``misses``: of all callers together before look-ups close, given back within
    ``refill_seconds``; ``closed_seconds``: how long they stay closed. ``growth``: tokens for each
    answered look-up, up to ``most``. ``number_tries``: of one caller's number at once, and one
    more each ``number_seconds``."""

    misses: float = 40.0
    refill_seconds: float = 900.0
    closed_seconds: float = 600.0
    growth: float = 0.5
    most: float = 400.0
    number_tries: float = 6.0
    number_seconds: float = 900.0

    @classmethod
    def of(cls, settings: SelfServiceSettings) -> GuessLimits:
        """As ``breachline.toml`` has them."""
        return cls(
            misses=float(settings.misses),
            closed_seconds=60.0 * settings.closed_minutes,
            most=10.0 * settings.misses,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """``tokens`` at ``at``; nothing is taken before ``closed_until``."""

    tokens: float
    at: float
    closed_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Try:
    """One look-up. ``own_phone``: the caller's number is that of the letter's record.
    ``refused_at``: when this caller was first refused this reference number, within a day."""

    found: bool
    own_phone: bool
    refused_at: float | None


class Verdict(Enum):
    """What the caller is told: the answer, that there is no such number, or (the same for every
    number) that it cannot be looked up now."""

    ANSWERED = auto()
    NOT_FOUND = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Ruling:
    """``remember``: keep that this caller was refused this number."""

    verdict: Verdict
    budget: Bucket
    number: Bucket | None
    remember: bool = False


def rule(
    tried: Try, budget: Bucket | None, number: Bucket | None, limits: GuessLimits, now: float
) -> Ruling:
    """Judge one look-up. ``budget``: None before the incident's first; ``number``: None for a
    caller who withholds it."""
    budget = _refilled(budget, limits, now)
    if tried.found and tried.own_phone:
        return Ruling(Verdict.ANSWERED, _grown(budget, limits), number)
    if number is not None:
        number = _rested(number, limits, now)
        if number.tokens < 1:
            return Ruling(Verdict.REFUSED, budget, number)
    closed = now < budget.closed_until
    waited = tried.refused_at is not None and now - tried.refused_at >= limits.closed_seconds
    if tried.found and (waited or not closed):
        # Who comes back while others guess has not shown that callers are honest.
        grown = budget if closed else _grown(budget, limits)
        return Ruling(Verdict.ANSWERED, grown, _spent(number, _HIT_COST))
    if closed:
        return Ruling(Verdict.REFUSED, budget, _spent(number, 1.0), remember=True)
    return Ruling(Verdict.NOT_FOUND, _missed(budget, limits, now), _spent(number, 1.0))


def fresh_number(limits: GuessLimits, now: float) -> Bucket:
    """The bucket of a number that has not called before."""
    return Bucket(limits.number_tries, now)


def _refilled(budget: Bucket | None, limits: GuessLimits, now: float) -> Bucket:
    if budget is None:
        return Bucket(limits.misses, now)
    if now < budget.closed_until:
        return budget
    tokens, since = budget.tokens, budget.at
    if budget.closed_until > budget.at:
        tokens, since = max(tokens, _REOPENED * limits.misses), budget.closed_until
    if tokens < limits.misses:
        given = max(0.0, now - since) * limits.misses / limits.refill_seconds
        tokens = min(limits.misses, tokens + given)
    return Bucket(tokens, now)


def _grown(budget: Bucket, limits: GuessLimits) -> Bucket:
    return replace(
        budget, tokens=max(budget.tokens, min(limits.most, budget.tokens + limits.growth))
    )


def _missed(budget: Bucket, limits: GuessLimits, now: float) -> Bucket:
    left = budget.tokens - 1
    return Bucket(max(0.0, left), now, 0.0 if left >= 1 else now + limits.closed_seconds)


def _rested(number: Bucket, limits: GuessLimits, now: float) -> Bucket:
    given = max(0.0, now - number.at) / limits.number_seconds
    return Bucket(min(limits.number_tries, number.tokens + given), now)


def _spent(number: Bucket | None, cost: float) -> Bucket | None:
    return None if number is None else replace(number, tokens=max(0.0, number.tokens - cost))
