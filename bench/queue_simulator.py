"""Callers, agents and notice calls, event by event: what a wait really turns out to be.

Served as app_queue does: first come first served within a queue; an agent who is a member of
several queues goes to any of those in which somebody waits, each alike; notice calls come first.

Every caller's *virtual* wait is observed, also of those who hang up: they stay in line as ghosts
(nobody's way is longer for them), and their wait ends when an agent would have taken them.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ivr.predictor import Prediction

Draw = Callable[[random.Random, float], float]
"""A duration in seconds, for something that begins at that moment."""
Level = Callable[[float], float]
"""A quantity over time."""


@dataclass(frozen=True, slots=True)
class Group:
    """Agents alike: the queues they serve, and how many are signed in at first; ``changes``:
    (moment, how many sign in (+) or out (-))."""

    queues: tuple[str, ...]
    agents: int
    changes: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """``arrivals``: callers a second for each queue, at most ``busiest``. ``notices``: share of
    agents who, coming free, are taken by a notice call; ``gives_way``: seconds after which the
    dialer stops doing that once callers wait (inf: never). ``scored``: from, to."""

    arrivals: dict[str, Level]
    busiest: float
    groups: tuple[Group, ...]
    talk: Draw
    patience: Draw
    scored: tuple[float, float]
    wrap_up: float = 0.0
    notices: Level = lambda _: 0.0
    gives_way: float = math.inf
    notice_talk: Draw | None = None


@dataclass(slots=True)
class Agent:
    queues: tuple[str, ...]
    signed_in: bool = True
    doing: str = "free"  # free, talk, wrap, notice
    since: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class Caller:
    queue: str
    joined: float
    ahead: int = 0
    gone: bool = False  # hung up: a ghost
    served: bool = False
    virtual: float | None = None
    scored: bool = False
    note: object = None
    expected: Prediction | None = None  # the wait, given that it ends with an agent


class Watcher(Protocol):
    """Who looks on: the learner and the predictors."""

    def joined(self, world: Simulation, caller: Caller) -> None: ...
    def waits(self, world: Simulation, caller: Caller) -> None: ...
    def served(self, world: Simulation, caller: Caller, seconds: float) -> None: ...
    def hung_up(self, world: Simulation, caller: Caller, seconds: float) -> None: ...
    def finished(self, world: Simulation, seconds: float, notice: bool) -> None: ...
    def taken_by_notice(self, world: Simulation, agent: Agent) -> None: ...
    def changed(self, world: Simulation, queues: Sequence[str]) -> None: ...
    def asked(self, world: Simulation, caller: Caller) -> None: ...


@dataclass(slots=True)
class Simulation:
    world: World
    random: random.Random
    watcher: Watcher
    now: float = 0.0
    lines: dict[str, deque[Caller]] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    agents: list[Agent] = field(default_factory=list)
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _sequence: int = 0
    _pending: int = 0
    _blocked_since: float = math.inf

    def run(self) -> None:
        """Until every caller to be scored is through."""
        world = self.world
        for queue in world.arrivals:
            self.lines[queue] = deque()
            self.waiting[queue] = 0
        for group in world.groups:
            self.agents += [Agent(group.queues) for _ in range(group.agents)]
            for at, number in group.changes:
                self.at(at, lambda group=group, number=number: self._roster(group, number))  # type: ignore[misc]
        for queue in world.arrivals:
            self._next_arrival(queue)
        while self._heap and (self.now < world.scored[1] or self._pending):
            self.now, _, act = heapq.heappop(self._heap)
            act()

    def at(self, moment: float, act: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (moment, self._sequence, act))

    def ask_later(self, caller: Caller, seconds: float) -> None:
        """The watcher wants to look at this caller again, if still waiting then."""

        def ask() -> None:
            if not caller.gone and not caller.served:
                self.watcher.asked(self, caller)

        self.at(self.now + seconds, ask)

    def able(self, queue: str) -> list[Agent]:
        return [agent for agent in self.agents if agent.signed_in and queue in agent.queues]

    def position(self, caller: Caller) -> int:
        """How many are before this waiting caller."""
        before = 0
        for one in self.lines[caller.queue]:
            if one is caller:
                return before
            before += not one.gone
        raise LookupError("not in line")

    def head_joined(self, queue: str) -> float | None:
        return next((one.joined for one in self.lines[queue] if not one.gone), None)

    def _next_arrival(self, queue: str) -> None:
        moment, busiest = self.now, self.world.busiest
        rate = self.world.arrivals[queue]
        while True:
            moment += self.random.expovariate(busiest)
            if self.random.random() * busiest < rate(moment):
                break
            if moment > self.world.scored[1] + 7200:
                return
        self.at(moment, lambda: self._arrive(queue))

    def _arrive(self, queue: str) -> None:
        self._next_arrival(queue)
        caller = Caller(queue, self.now, self.waiting[queue])
        self.watcher.joined(self, caller)
        free = [agent for agent in self.able(queue) if agent.doing == "free"]
        if free:
            self._serve(caller, self.random.choice(free))
            return
        start, end = self.world.scored
        caller.scored = start <= self.now < end
        self._pending += caller.scored
        self.watcher.waits(self, caller)
        self.lines[queue].append(caller)
        self.waiting[queue] += 1
        if self._blocked_since == math.inf:
            self._blocked_since = self.now
        patience = self.world.patience(self.random, self.now)
        if patience < math.inf:
            self.at(self.now + patience, lambda: self._hang_up(caller))
        self.watcher.changed(self, (queue,))

    def _hang_up(self, caller: Caller) -> None:
        if caller.served:
            return
        caller.gone = True
        self.waiting[caller.queue] -= 1
        self._calm()
        self.watcher.hung_up(self, caller, self.now - caller.joined)
        self.watcher.changed(self, (caller.queue,))

    def _calm(self) -> None:
        if not any(self.waiting.values()):
            self._blocked_since = math.inf

    def _serve(self, caller: Caller, agent: Agent) -> None:
        caller.served = True
        self._through(caller)
        self.watcher.served(self, caller, self.now - caller.joined)
        agent.doing, agent.since = "talk", self.now
        talk = self.world.talk(self.random, self.now)
        self.at(self.now + talk, lambda: self._wrap(agent))
        self.watcher.changed(self, agent.queues)

    def _through(self, caller: Caller) -> None:
        caller.virtual = self.now - caller.joined
        if caller.scored:
            self._pending -= 1

    def _wrap(self, agent: Agent) -> None:
        if self.world.wrap_up:
            agent.doing, agent.until = "wrap", self.now + self.world.wrap_up
            self.at(agent.until, lambda: self._finish(agent, notice=False))
            self.watcher.changed(self, agent.queues)
        else:
            self._finish(agent, notice=False)

    def _finish(self, agent: Agent, *, notice: bool) -> None:
        self.watcher.finished(self, self.now - agent.since, notice)
        agent.doing = "free"
        self._release(agent)

    def _release(self, agent: Agent) -> None:
        """An agent has come free, or signed in."""
        if not agent.signed_in:
            return
        blocked = self.now - self._blocked_since
        share = 0.0 if blocked > self.world.gives_way else self.world.notices(self.now)
        if share and self.random.random() < share:
            self._notice(agent)
            return
        real = [queue for queue in agent.queues if self.waiting[queue]]
        chosen = self.random.choice(real) if real else None
        for queue in agent.queues:
            if queue == chosen:
                continue
            if not self.waiting[queue]:
                self._ghosts(queue, 1.0 / (1 + len(real)))
        if chosen is None:
            self.watcher.changed(self, agent.queues)
            return
        line = self.lines[chosen]
        while line[0].gone:
            self._through(line.popleft())
        caller = line.popleft()
        self.waiting[chosen] -= 1
        self._calm()
        self._serve(caller, agent)

    def _ghosts(self, queue: str, chance: float) -> None:
        """Only ghosts are in this queue: each alone would have got the agent by chance."""
        line = self.lines[queue]
        for _ in range(len(line)):
            ghost = line.popleft()
            if chance >= 1.0 or self.random.random() < chance:
                self._through(ghost)
            else:
                line.append(ghost)

    def _notice(self, agent: Agent) -> None:
        agent.doing, agent.since = "notice", self.now
        talk = self.world.notice_talk or self.world.talk
        seconds = talk(self.random, self.now) + self.world.wrap_up
        self.watcher.taken_by_notice(self, agent)
        self.at(self.now + seconds, lambda: self._finish(agent, notice=True))
        self.watcher.changed(self, agent.queues)

    def _roster(self, group: Group, number: int) -> None:
        alike = [agent for agent in self.agents if agent.queues == group.queues]
        for _ in range(number):
            out = next((agent for agent in alike if not agent.signed_in), None)
            if out is None:
                out = Agent(group.queues)
                self.agents.append(out)
                alike.append(out)
            out.signed_in = True
            if out.doing == "free":
                self._release(out)
        for _ in range(-number):
            inside = [agent for agent in alike if agent.signed_in]
            if len(inside) > 1:
                self.random.choice(inside).signed_in = False
        self.watcher.changed(self, group.queues)
