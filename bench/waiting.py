"""How well callers' waits are predicted, beside what others would have said in the same moment.

For every caller who has to wait: the wait as predicted on arrival, and as it turned out; the
virtual wait (until an agent came, or would have come had the caller stayed) and, for those who
were served, the same figures alone. All predictors see the same state and the same learned rates.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.queue_simulator import Agent, Caller, Simulation
from bench.waiting_cases import CASES, Case, Stationary
from ivr.predictor import (
    Learner,
    OtherQueue,
    Prediction,
    Promise,
    QueueState,
    Rates,
    predict,
    predict_served,
    promise,
)

REPEAT_SECONDS = 60.0
FOLLOWED = 5
"""Every fifth caller is followed: the announcement is considered again every minute."""
RIVALS = ("ql_abandonment", "ql", "hol", "les", "vicidial")
SAME = 0.1
"""Per cent of square error that nobody would notice, however surely it is there."""
FAIR = ("ql_abandonment", "hol", "les")


@dataclass(slots=True)
class Note:
    """What was predicted for one caller, and what was said."""

    ahead: int
    ours: Prediction
    if_served: Prediction
    others: tuple[float, ...]
    true_mean: float
    variance: float
    served_variance: float
    first: Promise | None
    last: Promise | None = None
    last_at: float = 0.0
    spoken: int = 0
    promised_until: float = math.inf
    broken: bool = False


class Onlooker:
    """Learns from one simulated hotline and predicts for its callers."""

    def __init__(self, stationary: Stationary | None) -> None:
        self.learner = Learner()
        self.scored: list[Caller] = []
        self._stationary = stationary
        self._variances: dict[int, tuple[float, float, float]] = {}
        self._answered: dict[str, deque[float]] = {}

    def joined(self, world: Simulation, caller: Caller) -> None:
        self.learner.on_join(world.now, caller.queue)

    def waits(self, world: Simulation, caller: Caller) -> None:
        rates = self.rates(world, caller.queue)
        state = self.state(world, caller.queue, caller.ahead)
        caller.expected = predict_served(state, rates)
        prediction = predict(state, rates)
        if not caller.scored or prediction is None or caller.expected is None:
            return
        said = promise(None, prediction)
        note = Note(
            caller.ahead,
            prediction,
            caller.expected,
            self._others(world, caller, rates),
            *self._truth(caller.ahead),
            first=said,
        )
        self._say(note, said, world.now)
        caller.note = note
        self.scored.append(caller)
        if len(self.scored) % FOLLOWED == 0:
            world.ask_later(caller, REPEAT_SECONDS)

    def asked(self, world: Simulation, caller: Caller) -> None:
        note = caller.note
        assert isinstance(note, Note)
        state = self.state(world, caller.queue, world.position(caller))
        prediction = predict(state, self.rates(world, caller.queue))
        self._say(note, promise(note.last, prediction, world.now - note.last_at), world.now)
        world.ask_later(caller, REPEAT_SECONDS)

    @staticmethod
    def _say(note: Note, said: Promise | None, now: float) -> None:
        if said is None:
            return
        note.last, note.last_at = said, now
        note.spoken += 1
        if not said.correction:
            note.promised_until = min(note.promised_until, now + 60.0 * said.high_minutes)

    def served(self, world: Simulation, caller: Caller, seconds: float) -> None:
        self.learner.on_wait(world.now, seconds, False, caller.queue, caller.expected)
        self._answered.setdefault(caller.queue, deque(maxlen=5)).append(seconds)

    def hung_up(self, world: Simulation, caller: Caller, seconds: float) -> None:
        self.learner.on_wait(world.now, seconds, True, caller.queue)

    def finished(self, world: Simulation, seconds: float, notice: bool) -> None:
        self.learner.on_service(world.now, seconds, outbound=notice)

    def taken_by_notice(self, world: Simulation, agent: Agent) -> None:
        self.learner.on_outbound(world.now, agent.queues)

    def changed(self, world: Simulation, queues: Sequence[str]) -> None:
        for queue in world.lines:
            if queue in queues or len(world.lines) > 1:
                state = self.state(world, queue, world.waiting[queue])
                self.learner.watch(world.now, state, queue)

    def state(self, world: Simulation, queue: str, ahead: int) -> QueueState:
        able = world.able(queue)
        others = []
        for other, line in world.waiting.items():
            if other != queue:
                theirs = world.able(other)
                shared = sum(queue in agent.queues for agent in theirs)
                arrivals = self.learner.arrivals(world.now, other)
                others.append(OtherQueue(line, len(theirs), shared, arrivals))
        return QueueState(
            ahead=ahead,
            agents=len(able),
            free=sum(agent.doing == "free" for agent in able),
            wrapping=tuple(a.until - world.now for a in able if a.doing == "wrap"),
            wrap_up=world.world.wrap_up,
            on_notice=sum(agent.doing == "notice" for agent in able),
            others=tuple(others),
        )

    def rates(self, world: Simulation, queue: str) -> Rates:
        now = world.now
        return self.learner.rates(
            now,
            queue,
            serving=(now - a.since for a in world.agents if a.doing in _SERVING),
            waiting=(
                now - caller.joined
                for line in world.lines.values()
                for caller in line
                if not caller.gone
            ),
        )

    def _others(self, world: Simulation, caller: Caller, rates: Rates) -> tuple[float, ...]:
        ahead = caller.ahead
        capacity = len(world.able(caller.queue)) * rates.service
        answered = self._answered.get(caller.queue) or deque([0.0])
        last = answered[-1]
        head = world.head_joined(caller.queue)
        return (
            sum(1.0 / (capacity + i * rates.patience) for i in range(ahead + 1)),
            (ahead + 1) / capacity,
            last if head is None else world.now - head,
            last,
            vicidial(answered, (world.now - c.joined for c in world.lines[caller.queue]
                                if not c.gone)),
        )  # fmt: skip

    def _truth(self, ahead: int) -> tuple[float, float, float]:
        """Mean and variance with the true rates, and the variance given that one is served."""
        if self._stationary is None:
            return (0.0, 0.0, 0.0)
        if ahead not in self._variances:
            capacity, patience = self._stationary.capacity, self._stationary.patience
            steps = [1.0 / (capacity + i * patience) for i in range(ahead + 2)]
            # Given that the caller is served: each step with one more who may hang up.
            given = steps[1:] if patience else steps[:-1]
            self._variances[ahead] = (
                sum(steps[:-1]),
                sum(step * step for step in steps[:-1]),
                sum(step * step for step in given),
            )
        return self._variances[ahead]


_SERVING = frozenset({"talk", "wrap"})


def vicidial(answered: Iterable[float], waiting: Iterable[float], own: float = 0.0) -> float:
    """Its rule as peers describe it: the mean wait of the last five answered, those who wait
    longer than that blended in, less the caller's own wait, ten seconds at least."""
    pool = list(answered)
    mean = statistics.fmean(pool)
    pool += [wait for wait in waiting if wait > mean]
    return max(10.0, statistics.fmean(pool) - own)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored caller: how long the wait was, whether it ended with an agent."""

    wait: float
    served: bool
    note: Note


def simulate(case: Case, seed: int) -> list[Outcome]:
    """One run of a case."""
    world = case.world(seed)
    onlooker = Onlooker(case.stationary)
    Simulation(world, random.Random(f"{case.name} {seed}"), onlooker).run()
    found = []
    for caller in onlooker.scored:
        note = caller.note
        assert isinstance(note, Note) and caller.virtual is not None
        note.broken = caller.joined + caller.virtual > note.promised_until + 1e-6
        found.append(Outcome(caller.virtual, caller.served, note))
    return found


def score(case: Case) -> dict[str, object]:
    """All runs of a case."""
    runs = [simulate(case, seed) for seed in range(case.runs)]
    everyone = [outcome for run in runs for outcome in run]
    served = [outcome for outcome in everyone if outcome.served]
    mean = statistics.fmean(outcome.wait for outcome in everyone)
    figures: dict[str, object] = {
        "callers": len(everyone),
        "served": len(served),
        "mean_wait": round(mean, 1),
        "served_mean_wait": round(statistics.fmean(outcome.wait for outcome in served), 1),
        "mean_ahead": round(statistics.fmean(outcome.note.ahead for outcome in everyone), 1),
    }
    rmse = {"ours": _rmse(everyone, ours)} | {
        name: _rmse(everyone, rival(index)) for index, name in enumerate(RIVALS)
    }
    figures |= {f"rmse_{name}": round(value, 1) for name, value in rmse.items()}
    figures["served_rmse_ours"] = round(_rmse(served, if_served), 1)
    figures["served_rmse_announced"] = round(_rmse(served, ours), 1)
    for index, name in enumerate(RIVALS):
        figures[f"served_rmse_{name}"] = round(_rmse(served, rival(index)), 1)
    if case.stationary is not None:
        irreducible = math.sqrt(statistics.fmean(o.note.variance for o in everyone))
        given = math.sqrt(statistics.fmean(o.note.served_variance for o in served))
        figures["irreducible"] = round(irreducible, 1)
        figures["rmse_true_rates"] = round(_rmse(everyone, lambda o: o.note.true_mean), 1)
        figures["ours_over_irreducible"] = round(rmse["ours"] / irreducible, 3)
        figures["served_irreducible"] = round(given, 1)
    only_served = [[outcome for outcome in run if outcome.served] for run in runs]
    for group, outcomes, mine in (("", runs, ours), ("served_", only_served, if_served)):
        best = min(FAIR, key=lambda name: _rmse([o for r in outcomes for o in r],
                                                rival(RIVALS.index(name))))  # fmt: skip
        difference, error = paired(outcomes, mine, rival(RIVALS.index(best)))
        figures[f"{group}best_rival"] = best
        figures[f"{group}difference"] = round(difference, 2)
        figures[f"{group}difference_error"] = round(error, 2)
        figures[f"{group}verdict"] = verdict(difference, error)
    figures |= {
        "p90_covers": _share(o.wait <= o.note.ours.p90 for o in everyone),
        "p50_covers": _share(o.wait <= o.note.ours.p50 for o in everyone),
        "served_p90_covers": _share(o.wait <= o.note.if_served.p90 for o in served),
        "promised": _share(o.note.first is not None for o in everyone),
        "wrong_first": _share(_broke_first(o) for o in everyone),
        "served_wrong_first": _share(_broke_first(o) for o in served),
    }
    followed = everyone[FOLLOWED - 1 :: FOLLOWED]
    figures["wrong_any"] = _share(o.note.broken for o in followed)
    figures["spoken"] = round(statistics.fmean(o.note.spoken for o in followed), 2)
    return figures


def ours(outcome: Outcome) -> float:
    return outcome.note.ours.mean


def if_served(outcome: Outcome) -> float:
    return outcome.note.if_served.mean


def rival(index: int) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.note.others[index]


def paired(
    runs: Sequence[Sequence[Outcome]],
    mine: Callable[[Outcome], float],
    other: Callable[[Outcome], float],
) -> tuple[float, float]:
    """Our mean square error less the other's, as a percentage of the other's, and its standard
    error over the runs (each counts by its callers)."""
    theirs = sum((other(o) - o.wait) ** 2 for run in runs for o in run)
    gains = [sum((mine(o) - o.wait) ** 2 - (other(o) - o.wait) ** 2 for o in run) for run in runs]
    spread = statistics.stdev(gains) * math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return 100.0 * sum(gains) / theirs, 100.0 * spread / theirs


def verdict(difference: float, error: float) -> str:
    if abs(difference) <= max(2.0 * error, SAME):
        return "tie"
    return "better" if difference < 0 else "WORSE"


def _broke_first(outcome: Outcome) -> bool:
    first = outcome.note.first
    return first is not None and outcome.wait > 60.0 * first.high_minutes


def _rmse(outcomes: Sequence[Outcome], said: Callable[[Outcome], float]) -> float:
    return math.sqrt(statistics.fmean((said(o) - o.wait) ** 2 for o in outcomes))


def _share(flags: Iterable[bool]) -> float:
    return round(statistics.fmean(float(flag) for flag in flags), 3)


def prediction_cost(ahead: int = 300, rounds: int = 200) -> float:
    """Microseconds for one prediction."""
    rates = Learner().rates(0.0)
    state = QueueState(ahead, 20, others=(OtherQueue(10, 10, 5, 0.02),))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            predict(state, rates)
        best = min(best, (time.perf_counter() - start) / rounds)
    return round(best * 1e6, 1)


def run(options: Mapping[str, str]) -> dict[str, object]:
    """``case``: only cases whose name holds this text."""
    wanted = options.get("case", "")
    start = time.perf_counter()
    cases = {case.name: score(case) for case in CASES if wanted in case.name}
    return {
        "seconds_for_all": round(time.perf_counter() - start, 1),
        "prediction_microseconds_300_ahead": prediction_cost(),
        "targets": targets(cases),
        "cases": cases,
    }


def targets(cases: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """What was to be shown, and the cases that fall short of it."""

    def short(fails: Callable[[Mapping[str, object]], bool]) -> str:
        return ", ".join(name for name, figures in cases.items() if fails(figures)) or "none"

    def number(figures: Mapping[str, object], name: str) -> float:
        value = figures.get(name, 0.0)
        return value if isinstance(value, float) else 0.0

    return {
        "over_irreducible_by_10_percent": short(lambda f: number(f, "ours_over_irreducible") > 1.1),
        "worse_than_best_rival": short(lambda f: f["verdict"] == "WORSE"),
        "worse_than_best_rival_served": short(lambda f: f["served_verdict"] == "WORSE"),
        "not_better_than_vicidial": short(
            lambda f: number(f, "rmse_ours") >= number(f, "rmse_vicidial")
        ),
        "p90_outside_85_to_95": short(lambda f: not 0.85 <= number(f, "p90_covers") <= 0.95),
    }


Table = tuple[str, tuple[str, ...], list[tuple[object, ...]]]
ERRORS = ("case", "mean", "irr", "ours", "QLA", "QL", "HOL", "LES", "VICI")
QUALITY = ("case", "ours - best", "served alone", "P50", "P90", "wrong")


def tables(figures: Mapping[str, object]) -> list[Table]:
    """For people, 80 columns wide. Waits and errors (root mean square) in seconds; ``irr``: the
    irreducible standard deviation where it is known."""
    cases = figures["cases"]
    assert isinstance(cases, dict)
    quality: list[tuple[object, ...]] = [
        (
            name,
            *(
                f"{f[f'{group}difference']}±{f[f'{group}difference_error']} % "
                f"{f[f'{group}verdict']}"
                for group in ("", "served_")
            ),
            f["p50_covers"],
            f["p90_covers"],
            f["wrong_first"],
        )
        for name, f in cases.items()
    ]
    return [
        ("errors against the virtual wait (if the caller stays)", ERRORS, _errors(cases, "")),
        ("errors against the waits of served callers", ERRORS, _errors(cases, "served_")),
        ("square error against the best rival; coverage; promises broken", QUALITY, quality),
    ]


def _errors(cases: Mapping[str, Mapping[str, float]], group: str) -> list[tuple[object, ...]]:
    known = [f"{group}mean_wait", f"{group}irreducible"]
    known += [f"{group}rmse_{who}" for who in ("ours", *RIVALS)]
    return [
        (name, *(round(f[figure]) if figure in f else "" for figure in known))
        for name, f in cases.items()
    ]
