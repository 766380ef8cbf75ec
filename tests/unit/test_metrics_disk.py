from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from incident.metrics import watch_disk


def _sample(name: str, volume: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"volume": volume})


def test_nothing_is_exported_of_a_volume_nobody_watches() -> None:
    assert _sample("breachline_disk_free_ratio", "nobody") is None


def test_free_space_is_measured_at_the_scrape(tmp_path: Path) -> None:
    watch_disk(tmp_path, "scratch")
    ratio = _sample("breachline_disk_free_ratio", "scratch")
    free = _sample("breachline_disk_free_bytes", "scratch")
    assert ratio is not None
    assert 0 < ratio <= 1
    assert free is not None
    assert free > 0


def test_a_volume_that_cannot_be_read_counts_as_full(tmp_path: Path) -> None:
    watch_disk(tmp_path / "gone", "gone")
    assert _sample("breachline_disk_free_ratio", "gone") == 0
    assert _sample("breachline_disk_free_bytes", "gone") == 0
