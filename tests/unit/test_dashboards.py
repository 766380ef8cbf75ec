"""Dashboards and rules: complete, consistent, and about metrics that exist."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import incident.metrics  # noqa: F401  (registers every metric of the contract)
from incident.outcomes import AttemptOutcome, CallOutcome
from tests.expressions import (
    DASHBOARDS,
    MONITORING,
    RULES,
    NoLimit,
    expressions,
    load_dashboard,
    load_rules,
    operand_of,
)

RUNBOOK = MONITORING.parent / "docs" / "monitoring.md"
ASTERISK = {
    "asterisk_bridges_count",
    "asterisk_calls_count",
    "asterisk_calls_sum",
    "asterisk_channels_count",
    "asterisk_core_last_reload_seconds",
    "asterisk_core_properties",
    "asterisk_core_scrape_time_ms",
    "asterisk_core_uptime_seconds",
    "asterisk_endpoints_channels_count",
    "asterisk_endpoints_count",
    "asterisk_endpoints_state",
}
"""What res_prometheus of Asterisk 22 shows whether or not a call is going on."""
PROCESS = {
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
ALERTS = [rule for rule in load_rules(RULES[1]) if "alert" in rule]
RECORDS = [rule for rule in load_rules(RULES[0]) if "record" in rule]


def _declared() -> set[str]:
    names: set[str] = set()
    for family in REGISTRY.collect():
        if not family.name.startswith("breachline_"):
            continue
        endings = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_count", "_sum"),
        }.get(family.type, ("",))
        names |= {family.name + ending for ending in endings}
    return names


def _metrics(expr: str) -> set[str]:
    bare = re.sub(r'"[^"]*"', "", expr)
    return set(re.findall(r"(?<![\w:])(?:breachline_|asterisk_|process_|up\b)\w*", bare))


def _recorded(expr: str) -> set[str]:
    return set(re.findall(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", re.sub(r'"[^"]*"', "", expr)))


def _panels(file: Path) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = load_dashboard(file)["panels"]
    return panels


@pytest.fixture(params=DASHBOARDS, ids=lambda file: file.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return load_dashboard(request.param)


def test_there_are_three_dashboards_with_fixed_uids() -> None:
    uids = {file.stem: load_dashboard(file)["uid"] for file in DASHBOARDS}
    assert uids == {
        "asterisk": "breachline-asterisk",
        "campaign": "breachline-campaign",
        "hotline": "breachline-hotline",
    }


@pytest.mark.parametrize("each", expressions(), ids=lambda each: each.source)
def test_only_metrics_that_exist_are_asked_for(each: Any) -> None:
    known = _declared() | ASTERISK | PROCESS
    assert _metrics(re.sub(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", "", each.expr)) <= known
    assert _recorded(each.expr) <= {rule["record"] for rule in RECORDS}
    assert "$" not in each.expr


def test_every_metric_that_reaches_people_is_on_a_dashboard_or_in_a_rule() -> None:
    used = {name for each in expressions() for name in _metrics(each.expr)}
    shown_otherwise = {
        "breachline_queue_wait_seconds_sum",
        "breachline_agi_turn_seconds_count",
        "breachline_agi_turn_seconds_sum",
        "breachline_connect_seconds_count",
        "breachline_connect_seconds_sum",
    }
    assert _declared() - used == shown_otherwise


def test_outcomes_that_rules_name_are_outcomes() -> None:
    known = {outcome.value for outcome in (*AttemptOutcome, *CallOutcome)}
    named = {
        outcome
        for each in expressions()
        for matcher in re.findall(r'outcome=~?"([^"]+)"', each.expr)
        for outcome in matcher.split("|")
    }
    assert named
    assert named <= known


def test_panels_have_a_place_a_unit_and_the_chosen_datasource(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


@pytest.mark.parametrize(
    ("name", "variable"),
    [("hotline", "incident"), ("campaign", "campaign"), ("asterisk", "node")],
)
def test_dashboards_can_be_narrowed(name: str, variable: str) -> None:
    document = load_dashboard(MONITORING / "grafana" / f"{name}.json")
    variables = {each["name"]: each for each in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables[variable]["includeAll"]
    assert any(
        f'{variable}=~"${variable}"' in target["expr"]
        for panel in document["panels"]
        for target in panel.get("targets", ())
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_happens_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["action"]
    file, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert (MONITORING.parent / file) == RUNBOOK
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_alerts_compare_a_recorded_series_with_a_limit() -> None:
    for alert in ALERTS:
        assert _recorded(operand_of(alert["expr"]))
    with pytest.raises(NoLimit):
        operand_of("breachline_queue_waiting > 0 and breachline_agents == 0")


def test_every_rule_has_a_promtool_test() -> None:
    alerts = (MONITORING / "tests" / "alerts.yml").read_text(encoding="utf-8")
    records = (MONITORING / "tests" / "recording.yml").read_text(encoding="utf-8")
    untested = [rule["alert"] for rule in ALERTS if f'"{rule["alert"]}"' not in alerts]
    untested += [rule["record"] for rule in RECORDS if rule["record"] not in records]
    assert untested == []
