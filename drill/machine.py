"""How much of the machine each part takes: processor and memory before, during and after."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process. ``at``: Unix seconds; ``processor``: seconds of processor time
    since it began; ``memory``: resident bytes."""

    at: float
    processor: float
    memory: int


def look(pid: int, at: float) -> Sample | None:
    """None for a process that is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Sample(at, (int(fields[11]) + int(fields[12])) / _TICKS, int(pages) * _PAGE)


@dataclass(frozen=True, slots=True)
class Use:
    """What a part took. Processor in % of one core, memory in MB; ``peak`` of the processor: over
    the busiest sampled interval. ``grew``: memory between the begin and the end of the quiet time
    after the last call. None where there was nothing to see."""

    memory_before: float
    memory_peak: float
    memory_after: float
    memory_grew: float
    processor_before: float
    processor_during: float
    processor_peak: float
    processor_after: float
    restarted: bool


@dataclass
class Meter:
    """Samples parts by name; ``pid`` gives a part's process id, None while it is down."""

    parts: tuple[str, ...]
    pid: Callable[[str], int | None]
    _seen: dict[str, list[tuple[int, Sample]]] = field(default_factory=dict)

    def sample(self, at: float) -> None:
        """Look at every part now (Unix seconds)."""
        for part in self.parts:
            pid = self.pid(part)
            found = None if pid is None else look(pid, at)
            if pid is not None and found is not None:
                self._seen.setdefault(part, []).append((pid, found))

    def uses(self, *, began: float, ended: float) -> Mapping[str, Use]:
        """By part; the drill's calls were between these moments."""
        found = {part: use_of(seen, began, ended) for part, seen in self._seen.items()}
        return {part: use for part, use in found.items() if use is not None}


def use_of(seen: Iterable[tuple[int, Sample]], began: float, ended: float) -> Use | None:
    """None where a phase was not sampled twice. A process that is not the first one any more
    counts as restarted, and its time before as gone."""
    looks = list(seen)
    samples = [sample for _, sample in looks]
    before = [each for each in samples if each.at <= began]
    during = [each for each in samples if began <= each.at <= ended]
    after = [each for each in samples if each.at >= ended]
    if not before or len(during) < 2 or len(after) < 2:
        return None
    steps = [_load(*pair) for pair in itertools.pairwise(during)]
    third = max(1, len(after) // 3)
    settled = after[third - 1 :] if len(after) > 3 else after
    return Use(
        memory_before=before[-1].memory / 1e6,
        memory_peak=max(each.memory for each in during) / 1e6,
        memory_after=after[-1].memory / 1e6,
        memory_grew=(after[-1].memory - settled[0].memory) / 1e6,
        processor_before=_load(before[0], before[-1]),
        processor_during=_load(during[0], during[-1]),
        processor_peak=max(steps),
        processor_after=_load(settled[0], after[-1]),
        restarted=len({pid for pid, _ in looks}) > 1,
    )


def _load(first: Sample, last: Sample) -> float:
    """Processor time over time, in % of one core; 0 between two processes."""
    if last.at <= first.at or last.processor < first.processor:
        return 0.0
    return 100 * (last.processor - first.processor) / (last.at - first.at)
