"""Through which carrier a person is called back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from incident.settings import CarrierSettings


class Trunks:
    """Counts our own call-backs; what the dialer has on a carrier, the carrier itself refuses."""

    def __init__(self, carriers: Iterable[CarrierSettings]) -> None:
        self._most = {each.name: each.max_channels for each in carriers if each.outbound}
        self._taken: Counter[str] = Counter()

    def choose(self) -> str | None:
        """The carrier with the most room; None where none has any."""
        free = {name: most - self._taken[name] for name, most in self._most.items()}
        name = max(free, key=lambda each: free[each], default=None)
        return name if name is not None and free[name] > 0 else None

    def take(self, carrier: str) -> None:
        self._taken[carrier] += 1

    def give_back(self, carrier: str) -> None:
        self._taken[carrier] = max(0, self._taken[carrier] - 1)
