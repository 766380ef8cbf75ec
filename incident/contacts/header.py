"""The header of a contacts file: which column holds what, and what separates the columns."""

from __future__ import annotations

import csv
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from incident.contacts.errors import HeaderRefused, SourceUnreadable
from incident.contacts.source import Lines, Source

REQUIRED = ("reference", "phone", "state", "postal_code", "language", "data_types")
OPTIONAL = ("given_name", "family_name", "activation_code", "kind")
DELIMITERS = ",;\t|"

_SYNONYMS: Mapping[str, str] = {
    synonym: column
    for column, synonyms in {
        "reference": "ref reference_number reference_no reference_id ref_no ref_number ref_id "
        "contact_id contact_reference",
        "phone": "phone_number telephone telephone_number tel phone_no mobile mobile_phone cell "
        "cell_phone primary_phone",
        "state": "st state_code us_state state_province province",
        "postal_code": "postcode postal zip zip_code zipcode",
        "language": "lang language_code preferred_language",
        "data_types": "data_type datatypes datatype data_elements data_exposed exposed_data",
        "given_name": "first_name firstname givenname given first forename",
        "family_name": "last_name lastname familyname family last surname",
        "activation_code": "activation activation_number enrolment_code enrollment_code "
        "enrolment_number enrollment_number redemption_code promotion_code promo_code",
        "kind": "contact_kind contact_type person_kind person_type recipient_kind recipient_type "
        "letter_type",
    }.items()
    for synonym in synonyms.split()
}
_NOT_WORD = re.compile(r"[^0-9a-z]+")
_MANY_DIGITS = re.compile(r"(?:\d\D?){6,}")
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_MAX_BLANK_LINES = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """``columns``: the place of each known column; ``width``: how many columns there are.

    ``line``: the last physical line of the header.
    """

    delimiter: str
    columns: Mapping[str, int]
    width: int
    line: int


def read_header(lines: Lines) -> tuple[Table, Iterator[str]]:
    """Read up to the header; returns the table and the lines after it.

    Raises HeaderRefused when a needed column is missing or named twice, SourceUnreadable when
    there is no header at all.
    """
    rest = iter(lines)
    number = 0
    forced: str | None = None
    for line in itertools.islice(rest, _MAX_BLANK_LINES):
        number += 1
        separator = _SEPARATOR_LINE.fullmatch(line)
        if separator is not None:
            forced = separator.group(1)
        elif line.strip("\ufeff \t\r\n,;|\0"):
            break
    else:
        raise SourceUnreadable(lines.source.path, "holds no header line")
    # A quoted column name may hold line breaks; the next lines belong to it then.
    while line.count('"') % 2 and len(line) < 10_000:
        more = next(rest, None)
        if more is None:
            break
        line += more
        number += 1
    names = max(
        (_split(line, delimiter) for delimiter in forced or DELIMITERS),
        key=lambda names: (len(set(filter(None, map(_column, names)))), len(names)),
    )
    delimiter = next(d for d in forced or DELIMITERS if _split(line, d) == names)
    columns = _columns(lines.source, number, names)
    return Table(delimiter, columns, len(names), number), rest


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _plain(name: str) -> str:
    return _NOT_WORD.sub("_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def _column(name: str) -> str | None:
    plain = _plain(name)
    return plain if plain in REQUIRED + OPTIONAL else _SYNONYMS.get(plain)


def _columns(source: Source, line: int, names: list[str]) -> Mapping[str, int]:
    found = _shown(names)
    places: dict[str, int] = {}
    for column in REQUIRED + OPTIONAL:
        exact = [i for i, name in enumerate(names) if _plain(name) == column]
        candidates = exact or [i for i, name in enumerate(names) if _column(name) == column]
        if len(candidates) > 1:
            both = " and ".join(repr(names[i].strip()) for i in candidates)
            problem = f"{both} could each be the column {column!r}; name one of them otherwise"
            raise HeaderRefused(source.path, line, problem, (), found)
        if candidates:
            places[column] = candidates[0]
    missing = tuple(column for column in REQUIRED if column not in places)
    if missing:
        what = "the column" if len(missing) == 1 else "the columns"
        problem = f"{what} {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise HeaderRefused(source.path, line, problem, missing, found)
    return places


def _shown(names: list[str]) -> str:
    """The names as found; what may be a person's number (a file without header) is hidden."""
    shown = []
    for name in names[:30]:
        text = "".join(c if c.isprintable() else " " for c in name).strip()[:40]
        shown.append("(a number)" if _MANY_DIGITS.search(text) else text or "(empty)")
    return ", ".join(shown) + (", ..." if len(names) > 30 else "")
