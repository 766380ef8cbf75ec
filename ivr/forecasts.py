"""How long somebody will wait: the line, the agents and what was learned, put together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from incident.settings import WaitingSettings
from ivr.agents import Agents
from ivr.experience import Experience
from ivr.lineup import Lineup
from ivr.predictor import (
    OtherQueue,
    Prediction,
    Promise,
    QueueState,
    Rates,
    predict,
    predict_served,
    promise,
)
from ivr.served import Incidents

FRESH_SECONDS: Final = 2.0
"""How long a forecast for those who wait is used again. Newcomers always get a fresh one."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What somebody at ``place`` (1: next) of a queue's line may expect.

    ``prediction``: none where nobody is there to serve. ``first``: the range that may be spoken
    to somebody who has not heard any yet. ``offer``: whether keeping the place is worth offering.
    """

    queue: str
    place: int
    prediction: Prediction | None
    first: Promise | None
    offer: bool

    @property
    def at_once(self) -> bool:
        """An agent is free for this caller: there is nothing to say."""
        return self.prediction is not None and self.prediction.p90 <= 0.0


class Forecasts:
    """Forecasts for every callers' queue. Call ``watch`` about twice a second."""

    def __init__(
        self,
        incidents: Incidents,
        lineup: Lineup,
        agents: Agents,
        experience: Experience,
        *,
        settings: WaitingSettings,
        wrap_up: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._incidents = incidents
        self._lineup = lineup
        self._agents = agents
        self._experience = experience
        self._settings = settings
        self._wrap_up = wrap_up
        self._clock = clock
        self._queues: Mapping[str, tuple[str, str]] = {}
        self._known: dict[tuple[str, int], tuple[float, Prediction | None]] = {}
        incidents.on_change(self._served)
        self._served()
        experience.compare(self._predict_served)

    def for_newcomer(self, queue: str) -> Forecast | None:
        """Of somebody who would join the line now. None for a queue that is not served."""
        if queue not in self._queues:
            return None
        ahead = len(self._lineup.entries(queue))
        return self._forecast(queue, ahead, self._predict(queue, ahead))

    def of(self, unique_id: str) -> Forecast | None:
        """Of somebody in line, a few seconds old at most. None for somebody who is in none."""
        queue, place = self._lineup.queue_of(unique_id), self._lineup.position(unique_id)
        if queue is None or place is None or queue not in self._queues:
            return None
        ahead = _rounded_up(place - 1)
        now = self._clock()
        at, prediction = self._known.get((queue, ahead), (-math.inf, None))
        if not 0.0 <= now - at < FRESH_SECONDS:
            prediction = self._predict(queue, ahead)
            self._known[queue, ahead] = (now, prediction)
        return replace(self._forecast(queue, ahead, prediction), place=place)

    def newcomers(self) -> Mapping[tuple[str, str], Prediction | None]:
        """What somebody who came now would wait, by incident and language."""
        return {
            where: self._predict(queue, len(self._lineup.entries(queue)))
            for queue, where in self._queues.items()
        }

    def places(self) -> Mapping[tuple[str, str], int]:
        """Kept places that stand in line now, by incident and language."""
        return {
            where: sum(entry.kept for entry in self._lineup.entries(queue))
            for queue, where in self._queues.items()
        }

    def watch(self) -> None:
        """Hold what every queue gets against what was expected."""
        now = self._clock()
        self._experience.settle()
        for queue, (incident, _) in self._queues.items():
            state = self._state(queue, len(self._lineup.entries(queue)))
            self._experience.of(incident).watch(now, state, queue)
        self._known = {
            key: value for key, value in self._known.items() if now - value[0] < FRESH_SECONDS
        }

    def _served(self) -> None:
        self._queues = self._incidents.queues()
        self._lineup.serve(self._queues)

    def _forecast(self, queue: str, ahead: int, prediction: Prediction | None) -> Forecast:
        first = promise(None, prediction) if self._settings.estimate else None
        worth = prediction is None or prediction.p50 >= self._settings.offer_callback_after
        return Forecast(queue, ahead + 1, prediction, first, self._settings.keep_place and worth)

    def _predict(self, queue: str, ahead: int) -> Prediction | None:
        return predict(self._state(queue, ahead), self._rates(queue))

    def _predict_served(self, queue: str, ahead: int) -> Prediction | None:
        return predict_served(self._state(queue, ahead), self._rates(queue))

    def _rates(self, queue: str) -> Rates:
        incident, now = self._queues[queue][0], self._clock()
        waiting = [
            max(0.0, now - entry.joined)
            for other, (whose, _) in self._queues.items()
            if whose == incident
            for entry in self._lineup.entries(other)
        ]
        return self._experience.of(incident).rates(
            now, queue, serving=self._experience.serving(incident), waiting=waiting
        )

    def _state(self, queue: str, ahead: int) -> QueueState:
        team, now = self._agents.team(queue), self._clock()
        able = team.names
        others = []
        for other, (incident, _) in self._queues.items():
            if other == queue:
                continue
            theirs = self._agents.team(other).names
            if theirs & able:
                others.append(
                    OtherQueue(
                        waiting=len(self._lineup.entries(other)),
                        agents=len(theirs),
                        shared=len(theirs & able),
                        arrivals=self._experience.of(incident).arrivals(now, other),
                    )
                )
        return QueueState(
            ahead=ahead,
            agents=len(able),
            free=len(team.ready),
            wrapping=tuple(team.wrapping.values()),
            wrap_up=self._wrap_up,
            on_notice=self._experience.on_notice(team.busy),
            others=tuple(others),
        )


def _rounded_up(ahead: int) -> int:
    """Far back in line one place more or less says nothing: forecasts are shared there, with the
    longer one for all."""
    for up_to, step in ((20, 1), (100, 5), (500, 20)):
        if ahead <= up_to:
            return -(-ahead // step) * step
    return -(-ahead // 100) * 100
