"""Ready or not ready: the figures of a drill held against limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from drill.machine import Use

OURS: Final = ("asterisk", "hotline", "dialer")
"""The parts whose processor time and memory are judged."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A caller heard nothing for ``seconds``; ``where``: the caller's phase as it began, ``at``:
    seconds after the drill began, ``into``: seconds after the call was answered."""

    where: str
    at: float
    into: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a drill came to. Counts are of calls unless said otherwise; shares are of one.

    ``planned``: first calls that were asked for; ``calls``: placed, first ones and ``redials``
    after giving up. ``late``: seconds by which the drill placed a call too late, at worst.
    ``busy``: never answered. ``dropped``: ended by the other side before the caller had what was
    wanted.
    ``shed``: had the short way, the essentials and the offer of a call-back, and left no number.
    ``wanted_agent``: asked for an agent; of these ``answered`` heard one, ``gave_up`` hung up
    waiting, ``asked`` took a call-back instead. ``in_time``: answered within ``target`` seconds.
    ``waits``: seconds from asking for an agent to hearing one, of those who were answered.
    ``kept``: call-backs in which the person heard an agent; ``explained``: the others of which the
    books say why (not reached, given up under the rules, a time was chosen); ``lost``: the rest.
    ``unfinished``: callers and call-backs that still waited when the drill's time was over.
    ``promised``: callers who were told how long it would take and whose wait is known;
    ``wrong``: of these, who waited longer. ``silences``: None when nobody listened.
    ``dialled_twice``: people called during a call, or again after an agent had spoken with them.
    ``out_of_turn``: callers and kept places that were served while somebody of the same language
    who had asked before them still waited, and went on waiting. ``misnoted``: answered calls that
    are not in the books, or are noted as something else although the caller spoke with an agent.
    ``left_open``: calls that the PBX still had when everybody had hung up.
    """

    planned: int
    calls: int
    redials: int
    late: float
    busy: int
    dropped: int
    shed: int
    self_service: int
    wanted_agent: int
    answered: int
    in_time: int
    target: float
    gave_up: int
    waits: tuple[float, ...]
    asked: int
    kept: int
    explained: int
    unfinished: int
    lost: int
    promised: int
    wrong: int
    silences: tuple[Silence, ...] | None
    dialled_twice: int
    out_of_turn: int
    misnoted: int
    left_open: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    uses: Mapping[str, Use] = field(default_factory=dict)

    @property
    def service_level(self) -> float | None:
        """Answered within the target, of those who asked for an agent and stayed on the line
        for one (whoever took a call-back did not). None when there was nobody."""
        return _share(self.in_time, self.wanted_agent - self.asked)

    @property
    def abandonment(self) -> float | None:
        """Gave up waiting, of those who asked for an agent."""
        return _share(self.gave_up, self.wanted_agent)

    @property
    def self_service_share(self) -> float | None:
        return _share(self.self_service, self.calls)

    @property
    def wrong_share(self) -> float | None:
        return _share(self.wrong, self.promised)

    @property
    def speed_mean(self) -> float | None:
        return sum(self.waits) / len(self.waits) if self.waits else None

    @property
    def speed_p90(self) -> float | None:
        """Nine of ten who were answered had waited no longer."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] if ordered else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What "ready" means. Shares are of one; each can be changed on the command line.

    80 % within 30 s and 5 % abandonment: what contracts for breach hotlines usually ask for.
    ``wrong``: an announcement names the wait that nine in ten do not exceed; with small numbers
    15 % still is that promise. Memory in MB and processor in % of one core, on the quiet machine
    after the last call: growth of a part that goes on, and what an idle part takes.
    ``memory_left``: MB that a part may keep from before the first call to after the last.
    ``out_of_turn``: of those who were served. Two per cent: Asterisk gives nobody to an agent to
    whom an announcement is being played, and lets lines that share agents race for them.
    ``silence``: callers' silences count. ``late``: seconds; a drill that cannot keep up itself says
    nothing about the system.
    """

    service_level: float = 0.80
    abandonment: float = 0.05
    wrong: float = 0.15
    memory_growth: float = 4.0
    memory_left: float = 96.0
    processor_idle: float = 5.0
    out_of_turn: float = 0.02
    silence: bool = True
    late: float = 3.0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a system is not ready. ``figure``: its name; ``found`` and ``limit`` in words."""

    figure: str
    found: str
    limit: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.figure}: {self.found} (limit {self.limit}). {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Ready when there is no reason against it."""

    reasons: tuple[Reason, ...]

    @property
    def ready(self) -> bool:
        return not self.reasons

    @property
    def word(self) -> str:
        return "ready" if self.ready else "not ready, because:"

    def __str__(self) -> str:
        if self.ready:
            return "ready"
        return "not ready, because " + "; ".join(
            f"{each.figure} is {each.found} (limit {each.limit})" for each in self.reasons
        )


def judge(figures: Figures, limits: Limits) -> Verdict:
    """Hold the figures against the limits: what failed first, then what was too slow."""
    reasons = (
        *_influx(figures, limits),
        *_failures(figures),
        *_turns(figures, limits),
        *(_silences(figures) if limits.silence else ()),
        *_machine(figures.uses, limits),
        *_service(figures, limits),
    )
    return Verdict(reasons)


def _influx(figures: Figures, limits: Limits) -> Iterator[Reason]:
    """Whether this was the influx that was asked for."""
    placed = figures.calls - figures.redials
    if placed < figures.planned:
        yield Reason("calls placed", str(placed), str(figures.planned), "The drill was stopped.")
    if figures.unfinished:
        yield Reason(
            "callers and call-backs still waiting as the drill ended",
            str(figures.unfinished),
            "0",
            "Give them time with --drain, or more agents.",
        )
    if figures.late > limits.late:
        yield Reason(
            "the drill's own delay",
            f"{figures.late:.1f} s",
            f"{limits.late:g} s",
            "The simulated public could not keep up: fewer calls, or a larger machine.",
        )


def _failures(figures: Figures) -> Iterator[Reason]:
    """What must never happen, however large the influx is."""
    counted = (
        (
            "busy signals",
            figures.busy,
            "Raise the limits in [load], the carrier's channels or the machine.",
        ),
        (
            "dropped calls",
            figures.dropped,
            "See log/hotline.out and asterisk/log/messages.log in the home.",
        ),
        (
            "call-backs neither kept nor explained",
            figures.lost,
            "See the call-backs' rows in the store: which state, how many tries.",
        ),
        ("people dialled twice", figures.dialled_twice, "This must never happen: stop using it."),
        (
            "calls noted wrongly",
            figures.misnoted,
            "The evidence would be wrong: compare the calls' rows with asterisk/log/queue_log.",
        ),
        (
            "calls left open in the PBX",
            0 if figures.unfinished else figures.left_open,
            "See 'core show channels': something holds them.",
        ),
    )
    for name, count, remedy in counted:
        if count:
            yield Reason(name, str(count), "0", remedy)


def _turns(figures: Figures, limits: Limits) -> Iterator[Reason]:
    served = figures.answered + figures.kept
    allowed = int(limits.out_of_turn * served)
    if figures.out_of_turn > allowed:
        yield Reason(
            "callers served out of turn",
            f"{figures.out_of_turn} of {served}",
            str(allowed),
            "Compare ranks in the store with asterisk/log/queue_log: who was listening to an "
            "announcement, or was placed wrongly?",
        )


def _silences(figures: Figures) -> Iterator[Reason]:
    if figures.silences is None:
        yield Reason(
            "silence",
            "not measured",
            "measured",
            "Run as root or with CAP_NET_RAW; or leave it out with --no-listen.",
        )
    elif figures.silences:
        longest = max(figures.silences, key=lambda silence: silence.seconds)
        yield Reason(
            "silences over 2 s",
            f"{len(figures.silences)}, the longest {longest.seconds:.1f} s ({longest.where})",
            "0",
            "See when and where in --json; look at the hotline's turn times at that moment.",
        )


def _machine(uses: Mapping[str, Use], limits: Limits) -> Iterator[Reason]:
    for part in OURS:
        use = uses.get(part)
        if use is None:
            yield Reason(
                f"{part}'s processor and memory", "not measured", "measured", "Was it running?"
            )
            continue
        if use.restarted:
            yield Reason(f"{part}'s restarts", "1 or more", "0", f"See log/{part}.out.")
        if use.memory_grew > limits.memory_growth:
            yield Reason(
                f"{part}'s memory after the last call",
                f"growing by {use.memory_grew:.1f} MB",
                f"{limits.memory_growth:g} MB",
                "Something is not let go: run longer and see whether it ends.",
            )
        left = use.memory_after - use.memory_before
        if left > limits.memory_left:
            yield Reason(
                f"{part}'s memory",
                f"{left:.0f} MB above before",
                f"{limits.memory_left:g} MB",
                "Run the same influx again: a first run fills caches, a leak grows again.",
            )
        if use.processor_after > max(limits.processor_idle, 1.5 * use.processor_before):
            yield Reason(
                f"{part}'s processor time after the last call",
                f"{use.processor_after:.1f} %",
                f"{limits.processor_idle:g} %",
                "Something goes on without a call: see its log.",
            )


def _service(figures: Figures, limits: Limits) -> Iterator[Reason]:
    """What more agents would mend."""
    more = "Sign in more agents, or spread the letters: breachline plan says how many."
    level = figures.service_level
    if level is not None and level < limits.service_level:
        yield Reason(
            f"service level within {figures.target:g} s",
            _percent(level),
            f"at least {_percent(limits.service_level)}",
            more,
        )
    abandonment = figures.abandonment
    if abandonment is not None and abandonment > limits.abandonment:
        yield Reason("abandonment", _percent(abandonment), _percent(limits.abandonment), more)
    wrong = figures.wrong_share
    if wrong is not None and wrong > limits.wrong:
        yield Reason(
            "wrong announcements",
            f"{_percent(wrong)} of {figures.promised}",
            _percent(limits.wrong),
            "Agents changed faster than the prediction learns: sign in before the influx.",
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
