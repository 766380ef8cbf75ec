"""Every PromQL expression of the rules and dashboards, ready to be asked of a Prometheus.

A dashboard's variables stand for "all" here, as they do when it is opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

MONITORING: Final = Path(__file__).resolve().parents[1] / "monitoring"
RULES: Final = (MONITORING / "rules" / "recording.yml", MONITORING / "rules" / "alerts.yml")
DASHBOARDS: Final = tuple(sorted((MONITORING / "grafana").glob("*.json")))

_LIMIT: Final = re.compile(r"(?P<operand>[\w:]+(?:\{[^}]*\})?)\s*(?:<=|>=|==|!=|<|>)\s*[0-9.]+")
_VALUES: Final = re.compile(r"label_values\((?P<selector>.+),\s*[a-z_]+\)")
_BUILT_IN: Final = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range": "1h",
}


class NoLimit(Exception):
    """An alert is not written as one series compared with a number."""


@dataclass(frozen=True, slots=True)
class Expression:
    """``source``: file and place. ``operand``: what must give data while the system runs; for
    an alert the series that it compares with its limit, else ``expr`` itself."""

    source: str
    expr: str
    operand: str


def load_rules(file: Path) -> list[dict[str, Any]]:
    """The rules of every group of a file."""
    document = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def load_dashboard(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def operand_of(alert: str) -> str:
    """What an alert compares. Raises NoLimit."""
    match = _LIMIT.fullmatch(alert.strip())
    if match is None:
        raise NoLimit(alert)
    return match["operand"]


def substituted(expr: str, variables: dict[str, str]) -> str:
    """``expr`` with Grafana's variables filled in."""
    for name, value in {**_BUILT_IN, **variables}.items():
        expr = expr.replace(name, value)
    return expr


def variables_of(dashboard: dict[str, Any]) -> dict[str, str]:
    """``$name`` to the value that "all" stands for, of every query variable."""
    return {
        f"${variable['name']}": variable["allValue"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    }


def _of_rules(file: Path) -> Iterator[Expression]:
    for rule in load_rules(file):
        expr = rule["expr"].strip()
        if "record" in rule:
            yield Expression(f"{file.name}: {rule['record']}", expr, expr)
        else:
            yield Expression(f"{file.name}: {rule['alert']}", expr, operand_of(expr))


def _of_dashboard(file: Path) -> Iterator[Expression]:
    dashboard = load_dashboard(file)
    variables = variables_of(dashboard)
    for variable in dashboard["templating"]["list"]:
        match = _VALUES.fullmatch(variable.get("definition", ""))
        if match:
            selector = match["selector"]
            yield Expression(f"{file.name}: ${variable['name']}", selector, selector)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expr = substituted(target["expr"], variables)
            yield Expression(f"{file.name}: {panel['title']} {target['refId']}", expr, expr)


def expressions() -> list[Expression]:
    """All of them. Recorded series are asked for by their own expression and by their users."""
    return [
        *(each for file in RULES for each in _of_rules(file)),
        *(each for file in DASHBOARDS for each in _of_dashboard(file)),
    ]
