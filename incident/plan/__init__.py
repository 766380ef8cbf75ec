"""The incident plan: one YAML file that holds everything particular to one incident."""

from __future__ import annotations

from incident.plan.check import check_plan
from incident.plan.hours import Hours
from incident.plan.load import load_plan, parse_plan
from incident.plan.model import (
    AgentScript,
    Choice,
    DataType,
    Dates,
    Enrolment,
    Menu,
    Organisation,
    Plan,
)
from incident.plan.overflow import Load, Overflow, require_carrier
from incident.plan.problems import PlanError, Problem, describe_problems
from incident.plan.values import Localised

__all__ = [
    "AgentScript",
    "Choice",
    "DataType",
    "Dates",
    "Enrolment",
    "Hours",
    "Load",
    "Localised",
    "Menu",
    "Organisation",
    "Overflow",
    "Plan",
    "PlanError",
    "Problem",
    "check_plan",
    "describe_problems",
    "load_plan",
    "parse_plan",
    "require_carrier",
]
