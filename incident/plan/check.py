"""``incident check``: every mistake of a plan file, as a list."""

from __future__ import annotations

from pathlib import Path

from incident.plan.load import load_plan
from incident.plan.problems import PlanError, Problem


def check_plan(path: Path) -> list[Problem]:
    """The mistakes in the file, in its order; empty when it can be used.

    A file that cannot be opened is a mistake too.
    """
    try:
        load_plan(path)
    except PlanError as error:
        return list(error.problems)
    except OSError as error:
        return [Problem(1, 1, "", f"the file cannot be read: {error.strerror or error}")]
    return []
