"""Approved content: every text that is ever played or read, named and addressed by its hash."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from incident.plan import Plan
from incident.plan.language import Language, load_language
from incident.plan.names import HOUSE_TEXTS, REQUIRED_TEXTS, SCRIPT_PARTS
from incident.plan.placeholders import expand, spoken_facts, written_facts


@dataclass(frozen=True, slots=True)
class Text:
    """One text in one language, its placeholders filled in and its spaces normalised."""

    name: str
    language: str
    text: str

    @property
    def hash(self) -> str:
        """SHA-256, hexadecimal, over language and text: what a recording of it is filed under."""
        return hashlib.sha256(f"{self.language}\n{normalise(self.text)}".encode()).hexdigest()


def normalise(text: str) -> str:
    """NFC, with every run of white space as one space: how a text is wrapped changes nothing."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def spoken_texts(plan: Plan) -> tuple[Text, ...]:
    """Everything that the hotline or the dialer ever plays, by language, then name."""
    return tuple(
        Text(name, code, text)
        for code in plan.languages
        for name, text in sorted(_spoken(plan, code))
    )


def script_texts(plan: Plan) -> tuple[Text, ...]:
    """Everything that agents read, ``script.<inbound|outbound>.<part>``, by language, then name."""
    return tuple(
        Text(name, code, text)
        for code in plan.languages
        for name, text in sorted(_scripts(plan, code))
    )


def content_version(texts: Iterable[Text]) -> str:
    """SHA-256, hexadecimal, over the texts' names, languages and hashes, in whatever order."""
    lines = sorted(f"{text.name}\t{text.language}\t{text.hash}" for text in texts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _spoken(plan: Plan, code: str) -> Iterator[tuple[str, str]]:
    language = load_language(code)
    facts = spoken_facts(plan, code, language)

    def said(text: str) -> str:
        return normalise(expand(text, facts, language, spoken=True))

    for name in (*REQUIRED_TEXTS, *HOUSE_TEXTS):
        own = plan.texts.get(name)
        yield name, said(own[code] if own is not None else language.texts[name])
    for name, menu in plan.menus.items():
        yield f"menu.{name}", said(menu.prompt[code])
    for name, answer in plan.answers.items():
        yield f"answer.{name}", said(answer[code])
    for name, data_type in plan.data_types.items():
        label = data_type.label[code].strip().rstrip(".")
        yield f"data_type.{name}", said(f"{label}. {data_type.advice[code]}")
        if data_type.other is not None:
            yield f"other_data_type.{name}", said(data_type.other[code])


def _scripts(plan: Plan, code: str) -> Iterator[tuple[str, str]]:
    language: Language = load_language(code)
    facts = written_facts(plan, code, language)
    for direction, script in plan.scripts.items():
        for part in SCRIPT_PARTS:
            text: str = getattr(script, part)[code]
            yield f"script.{direction}.{part}", _read(text, facts, language)
        for data_type, advice in script.what_to_do.items():
            name = f"script.{direction}.what_to_do.{data_type}"
            yield name, _read(advice[code], facts, language)


def _read(text: str, facts: Mapping[str, str], language: Language) -> str:
    return normalise(expand(text, facts, language, spoken=False))
