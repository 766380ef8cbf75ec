"""Learn the rates from what happened."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ivr.predictor.keeping import BadMemory, dump, load, mapping
from ivr.predictor.memory import Faded
from ivr.predictor.prediction import Prediction
from ivr.predictor.rates import Priors, Rates
from ivr.predictor.releases import rate_now
from ivr.predictor.state import QueueState

VERSION: Final = 1
ARRIVALS_HALF_LIFE: Final = 900.0
ARRIVALS_PRIOR_SECONDS: Final = 300.0
GIVE_WAY: Final = 30.0
"""A dialer that gives way has done so when callers have waited this long: what was ringing has
been answered or not."""
LONGEST_GAP: Final = 60.0
"""Between two looks at a queue, no more than this is counted: nobody knows what was between."""
SPREAD_WEIGHT: Final = 20.0
OUTBOUND_PRIOR_SECONDS: Final = 1500.0
SPREADS: Final = (0.05, 4.0)
PACES: Final = (0.1, 3.0)
SCATTERS: Final = (0.2, 4.0)
FARTHEST: Final = 9.0


@dataclass(slots=True)
class _Queue:
    """``pace``: calls the queue got while callers had to wait, over the agent-seconds that went
    into them by the model (agents, less what it takes notice calls and other queues to get).
    ``outbound``: agents lost to notice calls in the first `GIVE_WAY` seconds of waiting, over
    agent-seconds; ``outbound_later``: afterwards."""

    pace: Faded = field(default_factory=Faded)
    outbound: Faded = field(default_factory=Faded)
    outbound_later: Faded = field(default_factory=Faded)
    arrivals: Faded = field(default_factory=Faded)
    scatter: Faded = field(default_factory=Faded)
    seen: QueueState | None = None
    seen_at: float = 0.0
    waiting_since: float = 0.0
    blocked_until: float = -math.inf


class Learner:
    """What one group of queues (an incident: its languages share agents) has taught.

    All times ``at`` are seconds of one clock that survives restarts (Unix time); events come in
    their order, give or take some seconds. Durations are seconds and are clipped at 0.
    """

    def __init__(self, priors: Priors = Priors()) -> None:  # noqa: B008 - frozen
        self._priors = priors
        self._service = Faded()
        self._notices = Faded()
        # Of calls with callers: seconds in place of events, their squares in place of exposure.
        self._squares = Faded()
        self._patience = Faded()
        self._queues: dict[str, _Queue] = {}

    # -- what happened ---------------------------------------------------------------------

    def on_service(self, at: float, seconds: float, *, outbound: bool = False) -> None:
        """An agent was taken for ``seconds`` by a caller (or a notice call): talk and wrap-up."""
        seconds = _duration(seconds)
        self._ended(self._notices if outbound else self._service, at, 1.0, seconds)
        if not outbound:
            squares = self._squares
            squares.fade(at, self._priors.half_life)
            squares.shrink(self._priors.most)
            squares.events += seconds
            squares.exposure += seconds * seconds

    def on_join(self, at: float, queue: str = "") -> None:
        """A caller joined the queue."""
        arrivals = self._queue(queue).arrivals
        gap = max(0.0, at - arrivals.at) if arrivals.events else 0.0
        arrivals.fade(at, ARRIVALS_HALF_LIFE)
        arrivals.events += 1.0
        arrivals.exposure += gap

    def on_wait(
        self,
        at: float,
        seconds: float,
        abandoned: bool,
        queue: str = "",
        predicted: Prediction | None = None,
    ) -> None:
        """A caller's wait ended after ``seconds``: served by an agent, or hung up. ``predicted``:
        what `predict_served` gave when the caller joined; the range learns from how far off."""
        seconds = _duration(seconds)
        self._ended(self._patience, at, 1.0 if abandoned else 0.0, seconds)
        entry = self._queue(queue)
        if not abandoned and entry.blocked_until >= at - seconds:
            self._add(entry.pace, at, 1.0, 0.0)
            if predicted is not None and predicted.sd > 0:
                off = (seconds - predicted.mean) / predicted.sd
                # One odd call does not make every range wide. The prediction's variance had the
                # scatter of its moment in it, which is near enough the present one.
                square = min(off * off, FARTHEST) * self._scatter(entry, at)
                self._add(entry.scatter, at, 1.0, square)

    def on_left(self, at: float, seconds: float) -> None:
        """A caller left the line without being served or hanging up: keeps the place, overflow."""
        self._ended(self._patience, at, 0.0, _duration(seconds))

    def on_outbound(self, at: float, queues: Iterable[str] = ("",)) -> None:
        """A notice call took an agent who is a member of these callers' queues."""
        for queue in queues:
            entry = self._queue(queue)
            if entry.seen is not None and entry.seen.ahead:
                self._add(self._lost(entry, at), at, 1.0, 0.0)

    def watch(self, at: float, state: QueueState, queue: str = "") -> None:
        """How the queue stands now, ``state.ahead`` being everyone who waits. Call it at every
        change and every few seconds: what the queue then gets is held against what the model
        expected it to get."""
        entry = self._queue(queue)
        before, gap = entry.seen, min(at - entry.seen_at, LONGEST_GAP)
        if before is not None and before.ahead and gap > 0:
            self._add(self._lost(entry, at), at, 0.0, before.agents * gap)
            if not before.free and before.agents:
                entry.blocked_until = at
                rates = self._rates(entry, at, (), (), calibrate=False)
                self._add(
                    entry.pace,
                    at,
                    0.0,
                    rate_now(before, rates) / rates.service * gap,
                )
        if before is None or at >= entry.seen_at:
            if before is None or not before.ahead:
                entry.waiting_since = at
            entry.seen, entry.seen_at = state, at
        if state.ahead and not state.free:
            entry.blocked_until = max(entry.blocked_until, at)

    @staticmethod
    def _lost(entry: _Queue, at: float) -> Faded:
        early = at - entry.waiting_since <= GIVE_WAY
        return entry.outbound if early else entry.outbound_later

    # -- what is learned -------------------------------------------------------------------

    def rates(
        self,
        at: float,
        queue: str = "",
        *,
        serving: Iterable[float] = (),
        waiting: Iterable[float] = (),
    ) -> Rates:
        """The rates for a queue now. ``serving``: how long each call with an agent has lasted so
        far (seconds, wrap-up included); ``waiting``: how long each caller has waited so far. Both
        count as time without an end, which a mean over ended ones alone would leave out: early in
        a surge it would see the short ones only."""
        entry = self._queues.get(queue) or _Queue()
        return self._rates(entry, at, serving, waiting)

    def arrivals(self, at: float, queue: str = "") -> float:
        """Callers a second who join the queue, lately (half-life 15 minutes)."""
        arrivals = (self._queues.get(queue) or _Queue()).arrivals
        if not arrivals.events:
            return 0.0
        left = arrivals.factor(at, ARRIVALS_HALF_LIFE)
        gap = max(0.0, at - arrivals.at)
        prior = ARRIVALS_PRIOR_SECONDS
        return arrivals.events * left / (arrivals.exposure * left + gap + prior)

    def _rates(
        self,
        queue: _Queue,
        at: float,
        serving: Iterable[float],
        waiting: Iterable[float],
        *,
        calibrate: bool = True,
    ) -> Rates:
        priors, half = self._priors, self._priors.half_life
        left = self._service.factor(at, half)
        ended = self._service.events * left
        services = priors.service_weight + ended
        seconds = priors.service_weight * priors.service_seconds + self._service.exposure * left
        mean = seconds / services
        spread = self._spread(ended, at)
        seconds += self._going_on(self._service, serving)

        left = self._patience.factor(at, half)
        hung_up = priors.patience_weight + self._patience.events * left
        waited = priors.patience_weight * priors.patience_seconds
        waited += self._patience.exposure * left + self._going_on(self._patience, waiting)

        left = self._notices.factor(at, half)
        notices = priors.service_weight + self._notices.events * left
        # Until notice calls have taught otherwise, they are taken to last as long as callers'.
        notice_seconds = priors.service_weight * mean + self._notices.exposure * left

        waiting_for = 0.0
        if queue.seen is not None and queue.seen.ahead:
            waiting_for = max(0.0, at - queue.waiting_since)
        service = services / max(1e-3, seconds)
        return Rates(
            service=service,
            patience=hung_up / max(1e-3, waited),
            outbound=self._outbound(queue.outbound, at),
            outbound_later=self._outbound(queue.outbound_later, at),
            outbound_until=max(0.0, GIVE_WAY - waiting_for),
            outbound_service=notices / max(1e-3, notice_seconds),
            service_spread=spread,
            pace=self._pace(queue, at, service) if calibrate else 1.0,
            scatter=self._scatter(queue, at),
            capacity_error=math.sqrt(spread / services),
            patience_error=1.0 / math.sqrt(hung_up),
        )

    def _outbound(self, lost: Faded, at: float) -> float:
        left = lost.factor(at, self._priors.half_life)
        return lost.events * left / (OUTBOUND_PRIOR_SECONDS + lost.exposure * left)

    def _pace(self, queue: _Queue, at: float, service: float) -> float:
        left = queue.pace.factor(at, self._priors.half_life)
        weight = self._priors.pace_weight
        expected = queue.pace.exposure * left * service
        pace = (weight + queue.pace.events * left) / (weight + expected)
        # Chance alone makes it differ from 1: only what goes beyond that is believed.
        chance = 1.0 / math.sqrt(weight + queue.pace.events * left)
        beyond = max(0.0, abs(math.log(pace)) - chance)
        pace = math.exp(math.copysign(beyond, math.log(pace)))
        return min(max(pace, PACES[0]), PACES[1])

    def _scatter(self, queue: _Queue, at: float) -> float:
        """Square errors over the variances that the model alone would have given."""
        left = queue.scatter.factor(at, self._priors.half_life)
        weight = self._priors.scatter_weight
        scatter = (weight + queue.scatter.exposure * left) / (weight + queue.scatter.events * left)
        return min(max(scatter, SCATTERS[0]), SCATTERS[1])

    def _spread(self, services: float, at: float) -> float:
        """Squared coefficient of variation, drawn towards 1 (exponential) at first."""
        left = self._squares.factor(at, self._priors.half_life)
        seconds, squares = self._squares.events * left, self._squares.exposure * left
        if services < 2.0 or seconds < 1e-3:
            return 1.0
        mean = seconds / services
        found = max(0.0, squares / services / (mean * mean) - 1.0)
        spread = (SPREAD_WEIGHT + services * found) / (SPREAD_WEIGHT + services)
        return min(max(spread, SPREADS[0]), SPREADS[1])

    # -- keeping it ------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Everything learned, as JSON takes it."""
        return {
            "version": VERSION,
            "service": dump(self._service),
            "notices": dump(self._notices),
            "squares": dump(self._squares),
            "patience": dump(self._patience),
            "queues": {
                name: {
                    "pace": dump(queue.pace),
                    "outbound": dump(queue.outbound),
                    "outbound_later": dump(queue.outbound_later),
                    "arrivals": dump(queue.arrivals),
                    "scatter": dump(queue.scatter),
                }
                for name, queue in self._queues.items()
            },
        }

    @classmethod
    def from_dict(cls, data: object, priors: Priors = Priors()) -> Learner:  # noqa: B008
        """What `to_dict` gave. Raises `BadMemory` for anything else."""
        learner = cls(priors)
        root = mapping(data, "all of it")
        if root.get("version") != VERSION:
            raise BadMemory("version")
        learner._service = load(root, "service")
        learner._notices = load(root, "notices")
        learner._squares = load(root, "squares")
        learner._patience = load(root, "patience")
        for name, entry in mapping(root.get("queues"), "queues").items():
            if not isinstance(name, str):
                raise BadMemory("queues")
            part = mapping(entry, f"queues.{name}")
            learner._queues[name] = _Queue(
                pace=load(part, "pace"),
                outbound=load(part, "outbound"),
                outbound_later=load(part, "outbound_later"),
                arrivals=load(part, "arrivals"),
                scatter=load(part, "scatter"),
            )
        return learner

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue())

    def _going_on(self, sums: Faded, durations: Iterable[float]) -> float:
        half, most = self._priors.half_life, self._priors.most
        return sum(sums.remembered(seconds, half, most) for seconds in durations)

    def _ended(self, sums: Faded, at: float, events: float, seconds: float) -> None:
        """Something that lasted ``seconds`` has ended."""
        sums.fade(at, self._priors.half_life)
        self._add(sums, at, events, self._going_on(sums, (seconds,)))

    def _add(self, sums: Faded, at: float, events: float, exposure: float) -> None:
        sums.fade(at, self._priors.half_life)
        if events:
            sums.shrink(self._priors.most)
        sums.events += events
        sums.exposure += exposure


def _duration(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ValueError(f"a duration must be finite: {seconds}")
    return max(0.0, seconds)
