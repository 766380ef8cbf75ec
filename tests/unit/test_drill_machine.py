"""Processor and memory of a part, before, during and after."""

from __future__ import annotations

import os

import pytest

from drill.machine import Meter, Sample, look, use_of

MB = 10**6


def seen(*looks: tuple[float, float, float], pid: int = 7) -> list[tuple[int, Sample]]:
    """(when, processor seconds, MB)."""
    return [(pid, Sample(at, processor, int(memory * MB))) for at, processor, memory in looks]


def test_each_phase_has_its_own_figures() -> None:
    use = use_of(
        seen(
            (0, 0.0, 50),
            (10, 0.1, 50),
            (20, 2.1, 70),
            (30, 8.1, 90),
            (40, 8.2, 80),
            (50, 8.3, 81),
        ),
        began=10,
        ended=30,
    )
    assert use is not None
    assert use.processor_before == pytest.approx(1)
    assert use.processor_during == pytest.approx(40)
    assert use.processor_peak == pytest.approx(60)
    assert (use.memory_before, use.memory_peak, use.memory_after) == (50, 90, 81)
    assert not use.restarted


def test_memory_that_goes_on_growing_afterwards_is_seen() -> None:
    quiet = [(30.0 + second, 8.1, 90 + second) for second in range(1, 11)]
    use = use_of(
        seen((0, 0, 50), (10, 0.1, 50), (20, 2, 70), (30, 8.1, 90), *quiet), began=10, ended=30
    )
    assert use is not None
    assert use.memory_grew == pytest.approx(8)


def test_a_part_that_was_started_anew_is_told() -> None:
    looks = seen((0, 1, 50), (10, 1, 50), (20, 1, 50))
    looks += seen((30, 0.1, 40), (40, 0.2, 40), (50, 0.2, 40), pid=8)
    use = use_of(looks, began=10, ended=30)
    assert use is not None
    assert use.restarted
    assert use.processor_peak == 0


def test_nothing_to_see_is_no_figure() -> None:
    assert use_of(seen((0, 0, 1), (10, 0, 1)), began=10, ended=20) is None


def test_a_real_process_is_looked_at_and_a_missing_one_is_not() -> None:
    found = look(os.getpid(), 1.0)
    assert found is not None
    assert found.memory > MB
    assert found.processor > 0
    meter = Meter(("here", "gone"), lambda part: os.getpid() if part == "here" else None)
    for at in (0, 1, 2, 3, 4):
        meter.sample(at)
    assert set(meter.uses(began=1, ended=2)) == {"here"}
