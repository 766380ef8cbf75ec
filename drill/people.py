"""Called people: how a fictional number behaves, and lists of them in chosen proportions.

Only 555-01xx numbers are used, which belong to nobody. The last two digits say how the number
behaves; ``drill/network/extensions.conf`` plays the same table.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Behaviour(StrEnum):
    """What happens when the number is called."""

    PERSON = "person"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    INVALID = "invalid"
    CONGESTION = "congestion"
    REJECTED = "rejected"
    IMPATIENT = "impatient"


LINES: Mapping[Behaviour, range] = {
    Behaviour.PERSON: range(50),
    Behaviour.MACHINE: range(50, 60),
    Behaviour.BUSY: range(60, 70),
    Behaviour.NO_ANSWER: range(70, 77),
    Behaviour.INVALID: range(77, 83),
    Behaviour.CONGESTION: range(83, 89),
    Behaviour.REJECTED: range(89, 94),
    Behaviour.IMPATIENT: range(94, 100),
}
"""The last two digits of a fictional number that behaves so."""

DEFAULT_MIX: Mapping[Behaviour, float] = {
    Behaviour.PERSON: 0.50,
    Behaviour.MACHINE: 0.14,
    Behaviour.BUSY: 0.08,
    Behaviour.NO_ANSWER: 0.08,
    Behaviour.INVALID: 0.06,
    Behaviour.CONGESTION: 0.05,
    Behaviour.REJECTED: 0.04,
    Behaviour.IMPATIENT: 0.05,
}
"""Shares of a demo list; they add up to one."""

AREAS: Mapping[str, tuple[str, str]] = {
    "212": ("NY", "10001"),
    "213": ("CA", "90001"),
    "312": ("IL", "60601"),
    "303": ("CO", "80202"),
    "404": ("GA", "30303"),
    "512": ("TX", "78701"),
    "602": ("AZ", "85001"),
    "617": ("MA", "02108"),
    "702": ("NV", "89101"),
    "206": ("WA", "98101"),
    "305": ("FL", "33101"),
    "615": ("TN", "37201"),
}
"""Area code to state and a postal code there."""


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up person on a list to notify."""

    reference: str
    phone: str
    state: str
    postal_code: str
    language: str
    data_types: tuple[str, ...]


def behaviour(phone: str) -> Behaviour:
    """How a fictional number behaves. Raises ValueError for any number that is not 555-01xx."""
    digits = phone.removeprefix("+1")
    if len(digits) != 10 or not digits.isdigit() or digits[3:8] != "55501":
        raise ValueError("not a fictional 555-01xx number")
    line = int(digits[8:])
    return next(kind for kind, lines in LINES.items() if line in lines)


def people(
    count: int,
    *,
    seed: int,
    mix: Mapping[Behaviour, float] = DEFAULT_MIX,
    languages: Mapping[str, float] | None = None,
    data_types: tuple[str, ...] = ("ssn", "medical", "contact"),
) -> Iterator[Person]:
    """Draw a list. The same seed gives the same list; every behaviour of the mix with a share
    above zero occurs if ``count`` is at least their number."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    kinds = [kind for kind, share in mix.items() if share > 0]
    weights = [mix[kind] for kind in kinds]
    shares = languages or {"en": 0.75, "es": 0.25}
    for index in range(count):
        kind = kinds[index] if index < len(kinds) else rng.choices(kinds, weights)[0]
        area = rng.choice(list(AREAS))
        state, postal = AREAS[area]
        yield Person(
            reference=f"{10000000 + index * 7919 % 89999999:08d}",
            phone=f"+1{area}55501{rng.choice(LINES[kind]):02d}",
            state=state,
            postal_code=postal,
            language=rng.choices(list(shares), list(shares.values()))[0],
            data_types=tuple(sorted(rng.sample(data_types, rng.randint(1, len(data_types))))),
        )


def write_csv(path: Path, listed: Iterable[Person]) -> int:
    """Write a list as ``contacts import`` reads it; returns the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("reference", "phone", "state", "postal_code", "language", "data_types"))
        for person in listed:
            writer.writerow(
                (
                    person.reference,
                    person.phone,
                    person.state,
                    person.postal_code,
                    person.language,
                    ";".join(person.data_types),
                )
            )
            count += 1
    return count
