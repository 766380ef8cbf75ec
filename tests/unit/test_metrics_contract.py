"""The metrics that dashboards and other people's tools rely on: these names, these labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from incident import metrics

CONTRACT: dict[str, tuple[type[MetricWrapperBase], tuple[str, ...]]] = {
    "breachline_inbound_calls_total": (Counter, ("incident", "outcome")),
    "breachline_self_service_total": (Counter, ("incident", "result")),
    "breachline_menu_choices_total": (Counter, ("incident", "menu", "choice")),
    "breachline_queue_waiting": (Gauge, ("incident", "language")),
    "breachline_queue_wait_seconds": (Histogram, ()),
    "breachline_places_kept": (Gauge, ("incident", "language")),
    "breachline_callbacks_total": (Counter, ("incident", "outcome")),
    "breachline_predicted_wait_seconds": (Gauge, ("incident", "language", "quantile")),
    "breachline_wait_promise_total": (Counter, ("incident", "kept")),
    "breachline_agents": (Gauge, ("state",)),
    "breachline_agi_turn_seconds": (Histogram, ()),
    "breachline_dials_total": (Counter, ("campaign", "outcome")),
    "breachline_abandon_ratio": (Gauge, ("campaign",)),
    "breachline_agent_occupancy_ratio": (Gauge, ()),
    "breachline_connect_seconds": (Histogram, ()),
    "breachline_contacts": (Gauge, ("campaign", "state")),
    "breachline_notice_deadline_timestamp_seconds": (Gauge, ("campaign", "jurisdiction")),
    "breachline_overflow_total": (Counter, ("incident", "carrier", "result")),
    "breachline_load_level": (Gauge, ("incident",)),
    "breachline_shed_calls_total": (Counter, ("incident",)),
    "breachline_refused_calls_total": (Counter, ("incident",)),
    "breachline_inbound_channels": (Gauge, ()),
    "breachline_inbound_channels_limit": (Gauge, ()),
    "breachline_content_info": (Gauge, ("incident", "version")),
}
DEFINED = {
    next(iter(metric.describe())).name + ("_total" if isinstance(metric, Counter) else ""): metric
    for metric in vars(metrics).values()
    if isinstance(metric, MetricWrapperBase)
}


@pytest.mark.parametrize("name", CONTRACT)
def test_a_metric_of_the_contract_has_exactly_its_kind_and_labels(name: str) -> None:
    kind, labels = CONTRACT[name]
    metric = DEFINED[name]
    assert type(metric) is kind
    assert metric._labelnames == labels


def test_each_is_prefixed_explained_and_labelled_by_ids_only() -> None:
    allowed = {label for _, labels in CONTRACT.values() for label in labels} | {"volume"}
    for name, metric in DEFINED.items():
        assert re.fullmatch(r"breachline_[a-z_]+", name)
        assert next(iter(metric.describe())).documentation, name
        assert set(metric._labelnames) <= allowed, name


def test_metrics_are_defined_in_one_place() -> None:
    """One of the same name elsewhere would fail only when both modules are loaded."""
    root = Path(metrics.__file__).parents[1]
    made = re.compile(r"^\w+ = (?:Counter|Gauge|Histogram|Summary)\(", re.MULTILINE)
    found = {
        str(file.relative_to(root))
        for folder in ("incident", "pbx", "ivr", "dialer", "console", "drill")
        for file in (root / folder).rglob("*.py")
        if made.search(file.read_text(encoding="utf-8"))
    }
    assert found == {"incident/metrics.py"}
