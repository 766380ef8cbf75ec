"""From a scenario's file and the options of a command to a Scenario, or to every mistake."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from incident.plan import PlanError, Problem, describe_problems
from incident.plan.document import Document, decode, dotted, read
from incident.plan.document import Path as Key
from incident.plan.explain import explain
from ivr.staffing.scenario import Scenario


class ScenarioRefused(ValueError):
    """A scenario cannot be used; the message holds each mistake with its place.
    ``by_options``: every mistake is one of the options (there may be no file at all)."""

    def __init__(self, message: str, *, by_options: bool = False) -> None:
        super().__init__(message)
        self.by_options = by_options


def read_scenario(path: Path) -> Document:
    """Read a scenario's file. Raises PlanError (with the places) and OSError."""
    document = read(decode(path.read_bytes(), str(path)), str(path))
    if document.problems:
        raise PlanError(document.source, document.problems)
    return document


def scenario(
    document: Document | None = None,
    given: Mapping[str, tuple[Key, Any]] | None = None,
    otherwise: Mapping[str, Any] | None = None,
) -> Scenario:
    """The scenario of a file (``document``), with what was ``given`` in its stead (option to key
    and value) and ``otherwise`` for the keys of which neither says anything.

    Raises ScenarioRefused.
    """
    document = document or Document("options", {}, {}, ())
    tree: dict[str, Any] = copy.deepcopy(document.data)
    for key, value in (given or {}).values():
        _set(tree, key, value)
    for name, value in (otherwise or {}).items():
        tree.setdefault(name, value)
    try:
        return Scenario.model_validate(tree)
    except ValidationError as error:
        problems = explain(error, document, Scenario)
        options = {dotted(key): option for option, (key, _) in (given or {}).items()}
        raise ScenarioRefused(
            _words(problems, options, document),
            by_options=not document.positions
            or all(_option_of(problem, options) for problem in problems),
        ) from error


def _set(tree: dict[str, Any], key: Key, value: Any) -> None:
    here: Any = tree
    for part in key[:-1]:
        below = here.get(part)
        if not isinstance(below, dict):
            below = here[part] = {}
        here = below
    here[key[-1]] = value


def _option_of(problem: Problem, options: Mapping[str, str]) -> str | None:
    """The option that said what is wrong, if one did."""
    return next((o for w, o in options.items() if (problem.where + ".").startswith(w + ".")), None)


def _words(problems: list[Problem], options: Mapping[str, str], document: Document) -> str:
    said: list[str] = []
    for problem in sorted(set(problems)):
        option = _option_of(problem, options)
        if option is not None:
            said.append(f"{option.strip()}: {problem.message}")
        elif document.positions:
            said.append(describe_problems(document.source, [problem]))
        else:
            said.append(f"{problem.where}: {problem.message}".removeprefix(": "))
    return "\n".join(said)
