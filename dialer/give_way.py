"""Callers come first: when notice calls keep off agents whom callers wait for. A pure decision."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from incident.store.inbound_load import InboundLoad

_ENDLESS: Final = 24 * 3600.0
_RANK: Final = {"normal": 0, "busy": 1, "shedding": 2}


@dataclass(frozen=True, slots=True)
class Inbound:
    """What is known of those who call. ``loads``: fresh rows; ``waiting``: callers who wait now,
    by queue, as the dialer itself sees them; ``threshold``: how many may."""

    loads: tuple[InboundLoad, ...] = ()
    waiting: Mapping[str, int] | None = None
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class Yield:
    """Nothing new is dialled for a queue, because of ``reason``; ``numbers`` that led to it."""

    reason: str
    numbers: Mapping[str, float]


def sharing(queue: str, agents: Iterable[Collection[str]]) -> frozenset[str]:
    """The queues that have an agent in common with this one, itself included."""
    found = {queue}
    for queues in agents:
        if queue in queues:
            found.update(queues)
    return frozenset(found)


def give_way(queue: str, agents: Iterable[Collection[str]], inbound: Inbound) -> Yield | None:
    """Whether the queue's notice calls give way now. ``agents``: the queues that each serves.

    They do while the hotline of the queue's incident, or of one that shares its agents, is busy,
    and while more callers than the threshold wait for those agents.
    """
    queues = sharing(queue, agents)
    incidents = {name.rpartition("-")[0] for name in queues}
    busy = [
        load
        for load in inbound.loads
        if load.incident_id in incidents and _RANK.get(load.level, 0) > 0
    ]
    seen = inbound.waiting or {}
    waiting = sum(number for name, number in seen.items() if name in queues)
    if busy:
        worst = max(busy, key=lambda load: (_RANK[load.level], load.predicted_seconds or 0.0))
        return _to_busy(queue, worst)
    if waiting > inbound.threshold:
        where = ", ".join(sorted(name for name in queues if seen.get(name)))
        return Yield(
            f"{waiting} callers wait for {where}, more than {inbound.threshold}: giving way",
            {"inbound_waiting": waiting, "give_way_waiting": inbound.threshold},
        )
    return None


def _to_busy(queue: str, load: InboundLoad) -> Yield:
    predicted = load.predicted_seconds
    if predicted is None:
        wait = "wait not known"
    elif predicted >= _ENDLESS:
        wait = "nobody to serve them"
    else:
        wait = f"predicted {predicted:.0f} s"
    whose = queue if queue.rpartition("-")[0] == load.incident_id else load.incident_id
    numbers = {"inbound_waiting": float(load.waiting), "inbound_channels": float(load.channels)}
    if predicted is not None:
        numbers["predicted_seconds"] = predicted
    return Yield(
        f"{load.waiting} callers wait for {whose}, {wait}, the hotline is {load.level}: giving way",
        numbers,
    )
