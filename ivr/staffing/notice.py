"""Notice calls by day: how many can be placed, what they bring in, when the last one is made.

``Capacity`` is what a dialer can do; the simple one here assumes one channel for each idle agent. A
simulated pacer can take its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from ivr.staffing.scenario import NoticeCalls

_LONGEST: Final = 3000
"""Days after which no end of the calls is looked for."""
FIRST_HOUR, LAST_HOUR = 9, 20
"""Notice calls are placed from 9 until 20 o'clock, where agents' hours allow it."""


class Capacity(Protocol):
    """What agents and channels make of notice calls."""

    def per_hour(self, agents: float, channels: float) -> float:
        """Calls that can be placed in an hour."""

    def agents(self, per_hour: float) -> float:
        """Agents (on average, a fraction allowed) whom so many calls an hour keep busy."""

    def channels(self, per_hour: float) -> float:
        """Channels (on average, a fraction allowed) that so many calls an hour take."""


@dataclass(frozen=True, slots=True)
class OneChannelForEachAgent:
    """An agent waits while one channel rings, talks if it is answered, and is then free again."""

    calls: NoticeCalls

    @property
    def seconds(self) -> float:
        """An agent's, and a channel's, time for one call placed."""
        return self.calls.ring_seconds + self.calls.answered * self.calls.talk_seconds

    def per_hour(self, agents: float, channels: float) -> float:
        return min(agents, channels) * 3600 / self.seconds

    def agents(self, per_hour: float) -> float:
        return per_hour * self.seconds / 3600

    def channels(self, per_hour: float) -> float:
        return per_hour * self.seconds / 3600


@dataclass(frozen=True, slots=True)
class NoticeDay:
    """One day's calls: ``placed``, people ``reached``, people ``given_up`` after the last
    attempt, people ``left``. ``hours``: in which calls are placed."""

    day: date
    hours: float
    placed: float
    reached: float
    given_up: float
    left: float


class NoPace(ValueError):
    """Notice calls with no limit from which a pace could follow."""


def notice_days(
    calls: NoticeCalls, first: date, hours_on: Callable[[date], float], capacity: Capacity
) -> list[NoticeDay]:
    """Day by day until nobody is left (or, without an end, for years). Everybody's first call
    goes before anybody's second; nobody is called twice on one day.

    Raises NoPace.
    """
    if not calls.people:
        return []
    if calls.per_day is None and calls.agents is None and calls.channels is None:
        raise NoPace(
            "notice calls need a pace: calls a day (--calls-per-day), or the agents or channels "
            "for them (--notice-agents, --notice-channels)"
        )
    waiting = [float(calls.people)] + [0.0] * (calls.attempts - 1)
    done: list[NoticeDay] = []
    day = first
    while sum(waiting) > 0.5 and len(done) < _LONGEST:
        done.append(_one_day(calls, day, hours_on(day), waiting, capacity))
        day += timedelta(days=1)
    return done


def _one_day(
    calls: NoticeCalls, day: date, hours: float, waiting: list[float], capacity: Capacity
) -> NoticeDay:
    budget = _budget(calls, hours, capacity)
    placed = reached = given_up = 0.0
    missed = [0.0] * len(waiting)
    for made, people in enumerate(waiting):
        now = min(people, budget - placed)
        waiting[made] -= now
        placed += now
        reached += now * calls.answered
        if made + 1 < len(waiting):
            missed[made + 1] = now * (1 - calls.answered)
        else:
            given_up = now * (1 - calls.answered)
    for made, people in enumerate(missed):
        waiting[made] += people
    return NoticeDay(day, hours, placed, reached, given_up, sum(waiting))


def _budget(calls: NoticeCalls, hours: float, capacity: Capacity) -> float:
    if hours <= 0:
        return 0.0
    most = math.inf if calls.per_day is None else float(calls.per_day)
    if calls.agents is not None or calls.channels is not None:
        agents = math.inf if calls.agents is None else float(calls.agents)
        channels = math.inf if calls.channels is None else float(calls.channels)
        most = min(most, capacity.per_hour(agents, channels) * hours)
    return most


def finished(days: list[NoticeDay]) -> date | None:
    """The day of the last call; None when there is none, or no end."""
    return days[-1].day if days and days[-1].left <= 0.5 else None
