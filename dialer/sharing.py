"""Agents who serve several queues: each is counted for one call at a time.

Calls that need an agent (ringing, answered, waiting) and idle agents are matched; a queue may
have so many more calls as can still be matched beside all that there are. With agents grouped by
the set of queues that they serve, that is a maximum flow through a handful of nodes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

_SOURCE, _SINK = "\0source", "\0sink"


def matched(idle: Iterable[frozenset[str]], needs: Mapping[str, int]) -> int:
    """How many calls (``needs`` by queue) idle agents (the queues of each) can take at once."""
    groups = Counter(queues for queues in idle if queues)
    capacity: dict[object, dict[object, int]] = {_SOURCE: {}, _SINK: {}}
    for group, number in groups.items():
        capacity[_SOURCE][group] = number
        capacity[group] = {queue: number for queue in group if needs.get(queue, 0) > 0}
    for queue, number in needs.items():
        if number > 0:
            capacity.setdefault(queue, {})[_SINK] = number
    total = 0
    while (found := _augment(capacity)) > 0:
        total += found
    return total


def claimed(idle: Iterable[frozenset[str]], queue: str, needs: Mapping[str, int]) -> int:
    """How many idle agents of ``queue`` the calls of other queues need (``needs`` by queue)."""
    agents = tuple(idle)
    mine = sum(1 for queues in agents if queue in queues)
    others = {name: number for name, number in needs.items() if name != queue}
    return mine - (matched(agents, {**others, queue: len(agents)}) - matched(agents, others))


def _augment(capacity: dict[object, dict[object, int]]) -> int:
    """Push flow along one shortest path (Edmonds and Karp, 1972); 0 when there is none."""
    before: dict[object, object] = {_SOURCE: _SOURCE}
    waiting: deque[object] = deque([_SOURCE])
    while waiting and _SINK not in before:
        here = waiting.popleft()
        for other, free in capacity.get(here, {}).items():
            if free > 0 and other not in before:
                before[other] = here
                waiting.append(other)
    if _SINK not in before:
        return 0
    steps: list[tuple[object, object]] = []
    node: object = _SINK
    while node is not _SOURCE:
        steps.append((before[node], node))
        node = before[node]
    amount = min(capacity[a][b] for a, b in steps)
    for a, b in steps:
        capacity[a][b] -= amount
        back = capacity.setdefault(b, {})
        back[a] = back.get(a, 0) + amount
    return amount
