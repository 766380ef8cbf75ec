"""Mistakes in a plan: where each one is, in words its author can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. ``line`` and ``column`` count from 1; ``where`` is the dotted path."""

    line: int
    column: int
    where: str
    message: str

    def describe(self, source: str) -> str:
        """One line: ``plans/x.yaml:41:7  menus.main.choices.4: what is wrong``."""
        place = f"{self.where}: " if self.where else ""
        return f"{source}:{self.line}:{self.column}  {place}{self.message}"


class PlanError(Exception):
    """A plan (or a language file) cannot be used; ``problems`` holds every mistake found."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(set(problems)))
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        return describe_problems(self.source, self.problems)


def describe_problems(source: str, problems: Iterable[Problem]) -> str:
    """Every problem on a line of its own, in the order of the file."""
    return "\n".join(problem.describe(source) for problem in sorted(problems))


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that the author most likely meant, if one is close."""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.6)
    return close[0] if close else None


def suggestion(word: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or the list of what is valid when nothing is close."""
    known = sorted(valid)
    near = nearest(word, known)
    if near is not None:
        return f"; did you mean {near!r}?"
    if not known:
        return ""
    return f"; known: {', '.join(known)}"
