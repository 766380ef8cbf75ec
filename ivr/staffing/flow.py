"""Quarter hour by quarter hour: callers, agents, and those who come back.

Who hangs up waiting may call again, and who waits long may choose to be called back; both come
back as work, later or within the same quarter, so each quarter is a fixed point. A call-back
keeps its place in line: it is served like a caller who cannot lose patience, and takes its
agents' time first. Within a quarter the queue is taken as settled (Erlang A settles in minutes,
for callers hang up); what agents cannot do of the call-backs is carried over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ivr.staffing.erlang_a import Rates, answered_within, performance, still_waiting
from ivr.staffing.quarters import SECONDS, Quarter
from ivr.staffing.scenario import MOST_AGENTS, Scenario
from ivr.staffing.target import OutOfReach, Target, agents_needed, by_square_root

_AFTER_OPENING: Final = 16
"""Quarter hours after an opening over which come the calls that closed hours have put off, many
at first and fewer from quarter to quarter."""
_DIAL_SECONDS: Final = 25.0
_ROUNDS: Final = 40
_NOBODY: Final = 1e-6
"""Calls in a quarter hour that are none."""


@dataclass(frozen=True, slots=True)
class Point:
    """One quarter hour. Numbers are expected calls; waits are seconds.

    ``fresh``: callers who had not called before; ``redials``: who hung up before. ``to_agents``:
    of both, those who want an agent. ``answered_in_time``: share of them within the target's
    time (30 s where the target has none). ``abandoned``: who hang up waiting. ``kept``: who choose
    a call-back; ``called_back``: call-backs made; ``owed``: put off to the next quarter.
    ``turned_away``: who wanted an agent at a closed hour and neither leave a number nor try again.
    ``agents``: for inbound calls and call-backs; ``check``: the same by the square-root rule.
    ``channels``: erlangs of inbound calls.
    """

    fresh: float
    redials: float
    to_agents: float
    agents: int
    check: int
    answered_in_time: float
    mean_wait: float
    abandoned: float
    kept: float
    called_back: float
    owed: float
    turned_away: float
    occupancy: float
    channels: float

    @property
    def calls(self) -> float:
        """Calls offered to the hotline."""
        return self.fresh + self.redials


@dataclass(frozen=True, slots=True)
class _Settled:
    wanting: float
    answered: float
    mean_wait: float
    abandoned: float
    kept: float
    called_back: float
    queue: float
    busy: float


class Flow:
    """The quarters of one queue. ``agents``: how many there are at every open hour, or None for
    as many as the scenario's target takes."""

    def __init__(
        self,
        scenario: Scenario,
        quarters: Sequence[Quarter],
        fresh: Sequence[float],
        agents: int | None = None,
    ) -> None:
        self._scenario = scenario
        self._quarters = quarters
        self._fresh = fresh
        self._agents = agents
        self._target = scenario.target.target()
        self._in_time = self._target.seconds if self._target.kind == "answered" else 30.0
        self._service = 1 / scenario.service.handle_seconds
        self._patience = 1 / scenario.service.patience_seconds
        self._redials = [0.0] * len(quarters)
        self._due = [0.0] * len(quarters)
        self._back = _kernel(scenario.redials.after_minutes / 15, scenario.redials.share)
        unanswered = scenario.call_backs.unanswered
        self._back_seconds = scenario.service.handle_seconds * (1 - unanswered**2)
        self._back_seconds += _DIAL_SECONDS * (1 + unanswered)
        self._opening = _openings(quarters)
        self._accept = 0.0

    def run(self) -> list[Point]:
        """Every quarter, in order. Raises OutOfReach, BeyondReach."""
        return [
            self._open(index) if quarter.open else self._closed(index)
            for index, quarter in enumerate(self._quarters)
        ]

    def _closed(self, index: int) -> Point:
        fresh, redials = self._fresh[index], self._redials[index]
        wanting = fresh * (1 - self._scenario.service.self_service) + redials
        kept = wanting * self._scenario.call_backs.accepted
        again = (wanting - kept) * self._scenario.redials.share
        self._put_off(self._due, index, kept + self._due[index])
        self._put_off(self._redials, index, again)
        return Point(
            fresh=fresh,
            redials=redials,
            to_agents=wanting,
            agents=0,
            check=0,
            answered_in_time=0.0,
            mean_wait=0.0,
            abandoned=0.0,
            kept=kept,
            called_back=0.0,
            owed=0.0,
            turned_away=wanting - kept - again,
            occupancy=0.0,
            channels=(fresh + redials) * self._scenario.service.menu_seconds / SECONDS,
        )

    def _put_off(self, to: list[float], index: int, number: float) -> None:
        opening = self._opening[index]
        if opening is None or not number:
            return
        after = [
            at
            for at in range(opening, min(opening + _AFTER_OPENING, len(to)))
            if self._quarters[at].open
        ]
        weights = range(len(after), 0, -1)
        for at, weight in zip(after, weights, strict=True):
            to[at] += number * weight / sum(weights)

    def _open(self, index: int) -> Point:
        fresh, before = self._fresh[index], self._redials[index]
        first = fresh * (1 - self._scenario.service.self_service) + before
        due = self._due[index]
        if self._agents is not None:
            agents = self._agents
            now = self._settle(agents, first, due)
        else:
            agents, now = self._staff(first, due)
        redials = before + now.wanting - first
        owed = max(0.0, due + now.kept - now.called_back)
        if index + 1 < len(self._quarters):
            self._due[index + 1] += owed
        for later, share in enumerate(self._back[1:], index + 1):
            if later >= len(self._quarters):
                break
            self._redials[later] += share * now.abandoned
        load = (fresh + redials) * self._scenario.service.menu_seconds / SECONDS
        return Point(
            fresh=fresh,
            redials=redials,
            to_agents=now.wanting,
            agents=agents,
            check=by_square_root(self._rates(now.wanting + due), self._target),
            answered_in_time=now.answered,
            mean_wait=now.mean_wait,
            abandoned=now.abandoned,
            kept=now.kept,
            called_back=now.called_back,
            owed=owed,
            turned_away=0.0,
            occupancy=now.busy / agents if agents else 0.0,
            channels=load + now.queue + now.busy,
        )

    def _rates(self, calls: float) -> Rates:
        some = calls if calls > _NOBODY else 0.0
        return Rates(some / SECONDS, self._service, self._patience)

    def _staff(self, first: float, due: float) -> tuple[int, _Settled]:
        """The fewest agents that keep the target once redials have settled."""
        rates = self._rates(first + due)
        if rates.load > MOST_AGENTS:
            raise OutOfReach(
                f"{rates.load:,.0f} agents would have to talk at once; more than {MOST_AGENTS:,} "
                "is beyond any hotline: are the people, the response and the call's length right?"
            )
        agents = agents_needed(rates, self._target)
        step = 1
        while True:
            now = self._settle(agents, first, due)
            if self._reached(now) or agents > MOST_AGENTS:
                return agents, now
            agents += step
            step += 1 if agents > 500 else 0

    def _reached(self, now: _Settled) -> bool:
        target: Target = self._target
        if now.wanting == 0:
            return True
        if target.kind == "answered":
            return now.answered >= target.goal
        if target.kind == "wait":
            return now.mean_wait <= target.goal
        return now.abandoned / now.wanting <= target.goal

    def _settle(self, agents: int, first: float, due: float) -> _Settled:
        """The fixed point of a quarter with ``agents`` agents, ``first`` callers who want one and
        ``due`` call-backs."""
        most_backs = agents * SECONDS / self._back_seconds
        rules = self._scenario.call_backs
        wanting, kept = first, self._accept * first
        for _ in range(_ROUNDS):
            called_back = min(due + kept, most_backs)
            left = agents - called_back * self._back_seconds / SECONDS
            live = max(0.0, wanting - kept)
            waits_on, abandoned = self._queue(left, live, rules.offered_after_seconds)
            wanting_next = first + self._back[0] * abandoned
            kept_next = rules.accepted * wanting * waits_on
            close = 0.002 * wanting + 0.01
            if abs(kept_next - kept) < close and abs(wanting_next - wanting) < close:
                break
            wanting = (wanting + wanting_next) / 2
            kept = (kept + kept_next) / 2
        self._accept = kept / first if first else 0.0
        return self._at(agents, wanting, kept, due)

    def _at(self, agents: int, wanting: float, kept: float, due: float) -> _Settled:
        called_back = min(due + kept, agents * SECONDS / self._back_seconds)
        on_backs = called_back * self._back_seconds / SECONDS
        live = max(0.0, wanting - kept)
        low, part = _split(max(0.0, agents - on_backs))
        rates = self._rates(live)
        few, more = performance(rates, low), performance(rates, low + 1)
        in_time = _between(
            part,
            answered_within(rates, low, self._in_time),
            answered_within(rates, low + 1, self._in_time),
        )
        return _Settled(
            wanting=wanting,
            answered=in_time * live / wanting if wanting else 1.0,
            mean_wait=_between(part, few.mean_wait, more.mean_wait),
            abandoned=_between(part, few.abandoned, more.abandoned) * live,
            kept=kept,
            called_back=called_back,
            queue=_between(part, few.queue, more.queue),
            busy=min(float(agents), _between(part, few.busy, more.busy) + on_backs),
        )

    def _queue(self, agents: float, live: float, seconds: float) -> tuple[float, float]:
        """Share of ``live`` callers still waiting after ``seconds``, and how many hang up."""
        low, part = _split(max(0.0, agents))
        rates = self._rates(live)
        waiting = _between(
            part, still_waiting(rates, low, seconds), still_waiting(rates, low + 1, seconds)
        )
        few, more = performance(rates, low), performance(rates, low + 1)
        return waiting, _between(part, few.abandoned, more.abandoned) * live


def _between(part: float, few: float, more: float) -> float:
    """A value between those of n and n + 1 agents."""
    return few if part == 0 else (1 - part) * few + part * more


def _split(agents: float) -> tuple[int, float]:
    low = math.floor(agents + 1e-9)
    return low, max(0.0, agents - low)


def _kernel(mean: float, share: float) -> list[float]:
    """Of those who hang up in one quarter, who call again in it, in the next, and so on, when the
    pause is exponential with a mean of ``mean`` quarters."""
    rate = 1 / mean
    once = -math.expm1(-rate)
    shares = [share * (1 - once / rate)]
    while sum(shares) < 0.99 * share:
        shares.append(share * once * once / rate * math.exp(-rate * (len(shares) - 1)))
    return shares


def _openings(quarters: Sequence[Quarter]) -> list[int | None]:
    """For each quarter, the next open one from it on."""
    found: list[int | None] = []
    opening: int | None = None
    for index in range(len(quarters) - 1, -1, -1):
        opening = index if quarters[index].open else opening
        found.append(opening)
    return found[::-1]
