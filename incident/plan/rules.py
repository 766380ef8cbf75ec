"""What must hold between the parts of a plan.

The rules read the tolerant document and not the model, so that they find their mistakes also
when other parts of the plan are malformed: the author sees everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from incident.plan.document import Document, Path
from incident.plan.language import Language, known_languages, load_language
from incident.plan.menus import menu_problems
from incident.plan.names import APOLOGIES, HOUSE_TEXTS, REQUIRED_TEXTS, SCRIPT_PARTS, TEXT_KEYS
from incident.plan.placeholders import mistakes
from incident.plan.problems import Problem, suggestion
from incident.plan.wording import keys_named, wording_mistakes


def rule_problems(document: Document) -> list[Problem]:
    """Every mistake that takes more than one value of the plan to see."""
    languages = _languages(document)
    rules: list[Callable[[], Iterator[Problem]]] = [
        lambda: _language_list(document),
        lambda: _dates(document),
        lambda: _scripts(document),
        lambda: _texts(document),
        lambda: _text_keys(document, languages),
        lambda: _localised(document, languages),
        lambda: menu_problems(document, languages),
    ]
    return [problem for rule in rules for problem in rule()]


def _languages(document: Document) -> dict[str, Language]:
    listed = document.value("languages")
    codes = [code for code in listed if isinstance(code, str)] if isinstance(listed, list) else []
    known = set(known_languages())
    return {code: load_language(code) for code in codes if code in known}


def _language_list(document: Document) -> Iterator[Problem]:
    listed = document.value("languages")
    known = known_languages()
    for index, code in enumerate(listed if isinstance(listed, list) else []):
        here: Path = ("languages", index)
        if not isinstance(code, str):
            continue
        if code not in known:
            hint = suggestion(code, known)
            yield document.problem(
                here, f"language {code!r} has no house texts (prompts/{code}.yaml){hint}"
            )
        assert isinstance(listed, list)
        if code in listed[:index]:
            yield document.problem(here, f"language {code!r} is listed twice")


_ORDER: Final = (
    ("occurred_from", "occurred_to"),
    ("occurred_from", "discovered"),
    ("discovered", "determined"),
    ("occurred_to", "determined"),
    ("discovered", "notice_by"),
)
"""Earlier, later. An exposure may go on after its discovery, but not past its determination."""


def _dates(document: Document) -> Iterator[Problem]:
    for earlier, later in _ORDER:
        first, second = _date(document, "dates", earlier), _date(document, "dates", later)
        if first is not None and second is not None and second < first:
            message = f"{second} is before {earlier} ({first})"
            yield document.problem(("dates", later), message)
    determined = _date(document, "dates", "determined")
    enrol_by = _date(document, "enrolment", "enrol_by")
    if determined is not None and enrol_by is not None and enrol_by <= determined:
        message = f"{enrol_by} is not after dates.determined ({determined}): nobody could enrol"
        yield document.problem(("enrolment", "enrol_by"), message)


def _date(document: Document, *path: str) -> date | None:
    value = document.value(*path)
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None  # the model reports it


def _scripts(document: Document) -> Iterator[Problem]:
    data_types = document.mapping("data_types")
    for direction in ("inbound", "outbound"):
        if direction not in document.mapping("scripts"):
            yield document.problem(("scripts",), f"the {direction!r} script is missing")
            continue
        here: Path = ("scripts", direction, "what_to_do")
        advice = document.mapping(*here)
        for code in data_types:
            if code not in advice:
                message = f"nothing for the data type {code!r}"
                yield document.problem(here, message)
        for code in advice:
            if data_types and code not in data_types:
                hint = suggestion(code, data_types)
                message = f"data type {code!r} is not defined in data_types{hint}"
                yield document.problem((*here, code), message)


def _texts(document: Document) -> Iterator[Problem]:
    texts = document.mapping("texts")
    known = (*REQUIRED_TEXTS, *HOUSE_TEXTS)
    for name in REQUIRED_TEXTS:
        if name not in texts:
            yield document.problem(("texts",), f"the text {name!r} is missing")
    for name in texts:
        if name not in known:
            message = f"no text is named {name!r}{suggestion(name, known)}"
            yield document.problem(("texts", name), message)


def _text_keys(document: Document, languages: dict[str, Language]) -> Iterator[Problem]:
    """A replaced house text must still name the keys that its flow has."""
    for name, keys in TEXT_KEYS.items():
        for code, text in document.mapping("texts", name).items():
            if code in languages and isinstance(text, str):
                for key in sorted(keys - keys_named(text, languages[code])):
                    message = f"the text does not say what key {key} does"
                    yield document.problem(("texts", name, code), message)


def localised_paths(document: Document) -> Iterator[Path]:
    """Every place of the plan that holds a text in each language."""
    yield ("organisation", "spoken")
    for code in document.mapping("data_types"):
        yield ("data_types", code, "label")
        yield ("data_types", code, "advice")
        yield ("data_types", code, "other")
    for name in document.mapping("menus"):
        yield ("menus", name, "prompt")
    for name in document.mapping("answers"):
        yield ("answers", name)
    for direction in document.mapping("scripts"):
        for part in SCRIPT_PARTS:
            yield ("scripts", direction, part)
        for code in document.mapping("scripts", direction, "what_to_do"):
            yield ("scripts", direction, "what_to_do", code)
    for name in document.mapping("texts"):
        yield ("texts", name)


def _owes_apology(path: Path) -> bool:
    return (path[0] == "scripts" and path[-1] == "apology" and len(path) == 3) or (
        path[0] == "texts" and path[1] in APOLOGIES
    )


def _localised(document: Document, languages: dict[str, Language]) -> Iterator[Problem]:
    listed = document.value("languages")
    unlisted: dict[str, list[Path]] = {}
    for path in localised_paths(document):
        value = document.value(*path)
        if not isinstance(value, dict):
            continue  # absent or malformed: the model reports it
        for code, wanted in languages.items():
            if code not in value:
                yield document.problem(path, f"no text in {code!r} ({wanted.name})")
        for code, text in value.items():
            if isinstance(listed, list) and code not in listed:
                unlisted.setdefault(code, []).append((*path, code))
            elif isinstance(text, str) and code in languages:
                for message in _text_mistakes(text, languages[code], path):
                    yield document.problem((*path, code), message)
    for code, places in unlisted.items():
        more = f" (here and in {len(places) - 1} more texts)" if len(places) > 1 else ""
        message = f"{code!r} is not in languages{more}{suggestion(code, languages)}"
        yield document.problem(places[0], message)


def _text_mistakes(text: str, language: Language, path: Path) -> Iterator[str]:
    if path == ("organisation", "spoken"):
        if "{" in text:
            yield "placeholders are not allowed in the spoken name"
        return
    yield from mistakes(text)
    yield from wording_mistakes(text, language, apology=_owes_apology(path))
