"""A scenario as YAML that can be changed and read again."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from incident.plan.hours import Span
from ivr.staffing.scenario import Scenario

_SHARES = {
    *(
        "total",
        "answered",
        "call_again",
        "peak_share",
        "late_share",
        "after_call",
        "closed",
        "abandoned",
    ),
    *("self_service", "shrinkage", "share", "accepted", "unanswered", "service_level"),
}


def as_yaml(scenario: Scenario) -> str:
    """Every assumption, the defaults written out."""
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(plain(scenario), text)
    return text.getvalue()


def plain(scenario: Scenario) -> dict[str, Any]:
    """The scenario as plain data, shares as percent; what is None is left out."""
    data = scenario.model_dump()
    data["hours"]["weekly"] = {
        day: [_span(span) for span in spans] or None for day, spans in scenario.hours.weekly.items()
    }
    if scenario.target.target().kind == "answered":
        data["target"]["service_level"] = scenario.target.target().goal
    return {key: _plain(key, value) for key, value in data.items() if value is not None}


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if key in ("languages", "delivery"):
            return {name: _percent(each) for name, each in value.items()}
        if key == "weekly":
            return value
        if key == "by_day":
            return {str(day): number for day, number in value.items()}
        return {
            name: _plain(name, each)
            for name, each in value.items()
            if each is not None and each != {}
        }
    if isinstance(value, tuple | list):
        items = CommentedSeq(_plain(key, each) for each in value)
        items.fa.set_flow_style()
        return items
    if key in _SHARES:
        return _percent(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float) else str(value)


def _percent(value: float) -> str:
    return f"{value * 100:.6g} %"


def _span(span: Span) -> str:
    return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (span.start, span.end))
