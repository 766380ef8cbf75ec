"""From a plan file to a Plan, or to every mistake in it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from incident.plan.document import decode, read
from incident.plan.explain import explain
from incident.plan.model import Plan
from incident.plan.problems import PlanError, Problem
from incident.plan.rules import rule_problems


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises PlanError with every mistake found, and OSError when the file cannot be read.
    """
    source = str(path)
    return parse_plan(decode(path.read_bytes(), source), source)


def parse_plan(text: str, source: str) -> Plan:
    """Read a plan's text; ``source`` names it in messages. Raises PlanError."""
    document = read(text, source)
    problems: list[Problem] = [*document.problems, *rule_problems(document)]
    plan: Plan | None = None
    try:
        plan = Plan.model_validate(document.data)
    except ValidationError as error:
        problems += explain(error, document, Plan)
    if problems or plan is None:
        raise PlanError(source, problems)
    return plan
