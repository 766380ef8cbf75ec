"""A language: the hotline's house texts, how numbers and dates are said, what texts are
checked for. One file each: ``prompts/<language>.yaml``."""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from incident.plan.document import decode, read
from incident.plan.explain import explain
from incident.plan.names import HOUSE_TEXTS
from incident.plan.problems import PlanError, suggestion
from incident.plan.values import Filled, TextName

FOLDER: Final = Path(__file__).resolve().parents[2] / "prompts"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


class Speech(_Part):
    """How this language says what a plan holds as data. ``date`` uses {day} {month} {year}."""

    digits: tuple[Filled, ...] = Field(min_length=10, max_length=10)
    months: tuple[Filled, ...] = Field(min_length=12, max_length=12)
    date: Filled
    dot: Filled
    slash: Filled
    dash: Filled

    def say_digits(self, digits: str) -> str:
        return " ".join(self.digits[int(digit)] for digit in digits)

    def say_phone(self, e164: str) -> str:
        """Digit by digit in the groups people expect: one, eight zero zero, five five five..."""
        return ", ".join(self.say_digits(group) for group in phone_groups(e164))

    def say_date(self, day: datetime.date) -> str:
        return self.date.format(day=day.day, month=self.months[day.month - 1], year=day.year)

    def say_site(self, site: str) -> str:
        said = re.sub(r"\.", f" {self.dot} ", site)
        said = re.sub(r"/", f" {self.slash} ", said)
        return re.sub(r"-", f" {self.dash} ", said).strip()


class Checks(_Part):
    """Regular expressions, matched without regard to case. See ``wording``."""

    apology: Filled
    ssn: Filled
    ask: Filled
    negation: Filled
    press: Filled

    _patterns = field_validator("apology", "ssn", "ask", "negation", "press")(_pattern)


class Language(_Part):
    """``name``: as its speakers write it. ``texts``: every house text."""

    name: Filled
    speech: Speech
    checks: Checks
    texts: dict[TextName, Filled]

    @field_validator("texts")
    @classmethod
    def _complete(cls, texts: dict[str, str]) -> dict[str, str]:
        problems = [f"{name!r} is missing" for name in HOUSE_TEXTS if name not in texts]
        problems += [
            f"no text is named {name!r}{suggestion(name, HOUSE_TEXTS)}"
            for name in texts
            if name not in HOUSE_TEXTS
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return texts


def phone_groups(e164: str) -> list[str]:
    """``+18005550199`` in groups: 1, 800, 555, 0199; another country's in threes."""
    digits = e164.removeprefix("+")
    if len(digits) == 11 and digits.startswith("1"):
        return [digits[0], digits[1:4], digits[4:7], digits[7:]]
    return [digits[i : i + 3] for i in range(0, len(digits), 3)]


def write_phone(e164: str) -> str:
    """``+18005550199`` as an agent reads it: 1-800-555-0199."""
    groups = phone_groups(e164)
    return "-".join(groups) if groups[0] == "1" else e164


def known_languages() -> tuple[str, ...]:
    """The codes that have a file, sorted."""
    stems = (file.stem for file in FOLDER.glob("*.yaml"))
    return tuple(sorted(stem for stem in stems if re.fullmatch(r"[a-z]{2,3}", stem)))


@lru_cache(maxsize=32)
def load_language(code: str) -> Language:
    """The language's file. PlanError when it is missing or has mistakes."""
    file = FOLDER / f"{code}.yaml"
    source = f"prompts/{file.name}"
    document = read(decode(file.read_bytes(), source), source)
    try:
        language = Language.model_validate(document.data)
    except ValidationError as error:
        raise PlanError(source, [*document.problems, *explain(error, document, Language)]) from None
    if document.problems:
        raise PlanError(source, document.problems)
    return language
