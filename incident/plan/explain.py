"""Pydantic's errors as problems with a place and words that a plan's author understands."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from incident.plan.document import Document, Path
from incident.plan.problems import Problem, nearest, suggestion

_WORDS: Final = {
    "missing": "is missing",
    "string_type": "must be a text",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "tuple_type": "must be a list",
}
_BOUNDS: Final = {
    "greater_than_equal": ("must be at least", "ge"),
    "less_than_equal": ("must be at most", "le"),
}


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Every error as a problem at its key."""
    return list(_explain(error, document, model))


def _explain(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> Iterator[Problem]:
    for item in error.errors(include_url=False, include_context=True):
        location: Path = tuple(item["loc"])
        is_key = bool(location) and location[-1] == "[key]"
        if is_key:
            location = location[:-1]
        kind = item["type"]
        if kind == "extra_forbidden":
            key = str(location[-1])
            hint = suggestion(key, _valid_keys(model, location[:-1]))
            yield document.problem(location, f"unknown key {key!r}{hint}")
        else:
            yield document.problem(location, _message(kind, item, is_key=is_key))


def _message(kind: str, item: Any, *, is_key: bool) -> str:
    message: str = _WORDS.get(kind, "")
    given = item.get("input")
    if message and given is None and kind != "missing":
        return f"is empty; it {message}"
    if kind == "missing":
        return message
    if message:
        shown = f", not {given!r}" if isinstance(given, str) else ""
        return message + shown
    if kind == "literal_error":
        known = re.findall(r"'([^']+)'", item["ctx"]["expected"])
        return f"{given!r} is not one of {', '.join(known)}{_near(str(given), known)}"
    if kind in _BOUNDS:
        return f"{_BOUNDS[kind][0]} {item['ctx'][_BOUNDS[kind][1]]}, not {given!r}"
    if kind == "string_pattern_mismatch":
        what = "name" if is_key else "value"
        return f"{given!r} is not a valid {what}; allowed: {item['ctx']['pattern']}"
    text = str(item["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _near(word: str, known: list[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near is not None else ""


def _valid_keys(model: type[BaseModel], location: Path) -> list[str]:
    here: Any = model
    for part in location:
        here = _step(here, part)
    here = _plain(here)
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _plain(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return _plain(next(arg for arg in get_args(annotation) if arg is not type(None)))
    return annotation


def _step(annotation: Any, part: str | int) -> Any:
    here = _plain(annotation)
    if isinstance(here, type) and issubclass(here, BaseModel):
        fields = {field.alias or name: field for name, field in here.model_fields.items()}
        found = fields.get(str(part))
        return found.annotation if found is not None else None
    arguments = get_args(here)
    if get_origin(here) is dict:
        return arguments[1]
    return arguments[0] if arguments else None
