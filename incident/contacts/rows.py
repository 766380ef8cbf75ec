"""One row of a contacts file, checked and brought into the store's form."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incident.contacts.header import Table
from incident.contacts.phones import BadPhone, to_e164
from incident.contacts.places import PLACES

MAX_NAME = 100
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,39}")
_LIKE_A_NAME = re.compile(r"[A-Za-z]{2,}[._/-][A-Za-z]{2,}|[A-Z][a-z]+|[a-z]{3,}")
"""Words: two with a mark between them, or one that is not in capitals. Codes (NW-1024) are none."""
_POSTAL = re.compile(r"[A-Z0-9][A-Z0-9 -]{1,11}")
_LIKE_AN_SSN = re.compile(r"\d{3}[._/-]?\d{2}[._/-]?\d{4}")
_ACTIVATION = re.compile(r"[A-Z0-9](?:[ -]?[A-Z0-9]){3,29}")
_KINDS: Mapping[str, str | None] = {
    "": None,
    "adult": None,
    "minor": "minor",
    "child": "minor",
    "deceased": "deceased",
    "decedent": "deceased",
    "dead": "deceased",
    "estate": "deceased",
}
"""As the list says it, to ``ContactRow.kind``."""
_BETWEEN_CODES = re.compile(r"[,;|/+]")
_LANGUAGES = {
    "english": "en",
    "ingles": "en",
    "inglés": "en",
    "eng": "en",
    "spanish": "es",
    "espanol": "es",
    "español": "es",
    "spa": "es",
}
_KEPT = 1 << 16
"""How many spellings of a postal code or of data types are remembered."""


class BadRow(ValueError):
    """The row cannot be imported; ``reason`` never holds what the row holds."""

    def __init__(self, column: str, reason: str) -> None:
        self.column = column
        self.reason = reason
        super().__init__(f"{column} {reason}")


@dataclass(frozen=True, slots=True)
class Accepts:
    """What the incident's plan lets a contact be."""

    languages: tuple[str, ...]
    data_types: tuple[str, ...]


Contact = tuple[str, str, str | None, str | None, str, str, str, str, str | None]
"""reference, E.164, state, postal code, language, data types, name ("" for none), activation
code ("" for none), kind (minor, deceased or None)."""


def row_reader(table: Table, accepts: Accepts) -> Callable[[list[str]], Contact]:
    """A function that turns a row's fields into a contact, or raises BadRow."""
    reference_at = table.columns["reference"]
    phone_at = table.columns["phone"]
    state_at = table.columns["state"]
    postal_at = table.columns["postal_code"]
    language_at = table.columns["language"]
    types_at = table.columns["data_types"]
    name_places = [
        (column, table.columns[column])
        for column in ("given_name", "family_name")
        if column in table.columns
    ]
    activation_at = table.columns.get("activation_code")
    kind_at = table.columns.get("kind")
    width = table.width
    to_language = functools.lru_cache(_KEPT)(_language_reader(accepts.languages))
    to_types = functools.lru_cache(_KEPT)(_types_reader(accepts.data_types))

    def read(fields: list[str]) -> Contact:
        if len(fields) != width:
            fields = _squared(fields, width)
        if not "".join(fields).isprintable():
            fields = [_cleaned(value) for value in fields]
        reference = fields[reference_at].strip()
        if not _REFERENCE.fullmatch(reference):
            raise _bad_reference(reference)
        if _LIKE_AN_SSN.fullmatch(reference):
            raise BadRow(
                "reference",
                "has the form of a Social Security number, which the hotline never takes; "
                "give letters reference numbers of another length",
            )
        phone = fields[phone_at].strip()
        if not phone:
            raise BadRow("phone", "is empty")
        try:
            e164 = to_e164(phone)
        except BadPhone as error:
            raise BadRow("phone", str(error)) from None
        name = ""
        for column, place in name_places:
            part = fields[place].strip()
            if len(part) > MAX_NAME:
                raise BadRow(column, f"is longer than {MAX_NAME} characters")
            if part:
                name = f"{name} {part}" if name else part
        return (
            reference,
            e164,
            _state(fields[state_at]),
            _postal(fields[postal_at]),
            to_language(fields[language_at]),
            to_types(fields[types_at]),
            name,
            "" if activation_at is None else _activation(fields[activation_at]),
            None if kind_at is None else _kind(fields[kind_at]),
        )

    return read


def _squared(fields: list[str], width: int) -> list[str]:
    """Empty columns at the end may be missing, or be too many; nothing else."""
    if len(fields) > width and any(value.strip() for value in fields[width:]):
        raise BadRow("", f"has {len(fields)} columns, the header has {width}")
    if len(fields) < width:
        raise BadRow("", f"has {len(fields)} columns, the header has {width}")
    return fields[:width]


def _cleaned(value: str) -> str:
    """Without control and format characters; every kind of blank becomes a space."""
    if value.isprintable():
        return value
    kept = []
    for character in value:
        if character.isprintable():
            kept.append(character)
        elif character.isspace():
            kept.append(" ")
    return "".join(kept)


def _bad_reference(reference: str) -> BadRow:
    if not reference:
        return BadRow("reference", "is empty")
    if len(reference) > 40:
        return BadRow("reference", "is longer than 40 characters")
    return BadRow("reference", "may hold only letters, digits, and . _ / - between them")


def reportable_reference(fields: list[str], place: int) -> str:
    """A rejected row's reference; empty when the row's columns may be so shifted that a
    telephone number, a Social Security number or a name (``Ann.Lee``, ``ann-lee70``) stands there:
    the line is enough."""
    reference = fields[place].strip() if place < len(fields) else ""
    if not _REFERENCE.fullmatch(reference) or not any(map(str.isdigit, reference)):
        return ""
    if _LIKE_A_NAME.search(reference) or _LIKE_AN_SSN.fullmatch(reference):
        return ""
    try:
        to_e164(reference)
    except BadPhone:
        return reference
    return ""


def _activation(raw: str) -> str:
    code = raw.strip().upper()
    if code and not _ACTIVATION.fullmatch(code):
        raise BadRow(
            "activation_code",
            "is not 4 to 30 letters (A to Z) and digits, with single spaces or hyphens between",
        )
    return code


def _kind(raw: str) -> str | None:
    kind = raw.strip().casefold()
    if kind not in _KINDS:
        raise BadRow("kind", "is not adult, minor or deceased")
    return _KINDS[kind]


@functools.lru_cache(1024)
def _state(raw: str) -> str | None:
    place = raw.strip().upper()
    if not place:
        return None
    code = PLACES.get(place.replace(".", ""))
    if code is None:
        raise BadRow("state", "is not a state, territory or province")
    return code


@functools.lru_cache(_KEPT)
def _postal(raw: str) -> str | None:
    code = raw.strip().upper()
    if not code:
        return None
    if not _POSTAL.fullmatch(code):
        raise BadRow("postal_code", "is not a postal code")
    if code.isdecimal() and len(code) in (3, 4):
        # A spreadsheet took the code for a number and dropped its zeros (Boston is 02108).
        return code.zfill(5)
    if code.isdecimal() and len(code) == 9:
        return f"{code[:5]}-{code[5:]}"
    return code


def _language_reader(languages: tuple[str, ...]) -> Callable[[str], str]:
    by_code: Mapping[str, str] = {language.casefold(): language for language in languages}

    def read(raw: str) -> str:
        name = raw.strip().casefold()
        if not name:
            raise BadRow("language", "is empty")
        name = _LANGUAGES.get(name, name).replace("_", "-")
        code = by_code.get(name) or by_code.get(name.split("-")[0])
        if code is None:
            raise BadRow("language", f"is not one of the plan's ({', '.join(languages)})")
        return code

    return read


def _types_reader(data_types: tuple[str, ...]) -> Callable[[str], str]:
    def read(raw: str) -> str:
        codes = []
        for part in _BETWEEN_CODES.split(raw):
            code = "_".join(part.replace("-", " ").casefold().split())
            code = code.replace("license", "licence")
            if not code:
                continue
            if code not in data_types:
                raise BadRow("data_types", f"are not all the plan's ({', '.join(data_types)})")
            codes.append(code)
        if not codes:
            raise BadRow("data_types", "are empty")
        return ",".join(dict.fromkeys(codes))

    return read


def normalised_name(raw: str) -> str:
    """A name in Unicode's composed form, so that one name has one spelling."""
    return raw if raw.isascii() else unicodedata.normalize("NFC", raw)
