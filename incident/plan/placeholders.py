"""Placeholders in texts: facts of the plan, spoken or written in the text's language.

``{callback_number}`` is said digit by digit in a hotline text and stands in digits in an agent's
script. ``{phone:+18882980045}`` and ``{site:identitytheft.gov}`` do the same for facts that are
not in the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from incident.plan.language import Language, write_phone
from incident.plan.model import Plan
from incident.plan.problems import suggestion
from incident.plan.values import check_e164, check_site

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
NAMES: Final = (
    "organisation",
    "callback_number",
    "hotline_number",
    "occurred_from",
    "occurred_to",
    "discovered",
    "determined",
    "provider",
    "months",
    "enrol_by",
    "enrolment_phone",
    "enrolment_website",
    "language_key",
)
_WITH_VALUE: Final = {"phone": check_e164, "site": check_site}


def mistakes(text: str) -> Iterator[str]:
    """What is wrong with the placeholders of ``text``, one sentence each."""
    for match in _PLACEHOLDER.finditer(text):
        name, colon, value = match[1].partition(":")
        if not colon:
            if name not in NAMES:
                yield f"unknown placeholder {match[0]}{suggestion(name, NAMES)}"
        elif name not in _WITH_VALUE:
            yield f"unknown placeholder {match[0]}{suggestion(name, _WITH_VALUE)}"
        else:
            try:
                _WITH_VALUE[name](value)
            except ValueError as error:
                yield f"placeholder {match[0]}: {error}"
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        yield "a brace { or } stands alone; placeholders are written {name}"


def spoken_facts(plan: Plan, code: str, language: Language) -> Mapping[str, str]:
    """The plan's facts as a voice says them."""
    speech = language.speech
    facts = _dates(plan, language)
    facts["organisation"] = plan.organisation.spoken[code]
    facts["callback_number"] = speech.say_phone(plan.callback_number)
    facts["hotline_number"] = speech.say_phone(plan.did)
    facts["provider"] = plan.enrolment.provider
    facts["months"] = str(plan.enrolment.months)
    facts["enrolment_phone"] = speech.say_phone(plan.enrolment.phone)
    facts["enrolment_website"] = speech.say_site(plan.enrolment.website)
    facts["language_key"] = speech.digits[plan.languages.index(code) + 1]
    return facts


def written_facts(plan: Plan, code: str, language: Language) -> Mapping[str, str]:
    """The plan's facts as an agent reads them on a screen."""
    facts = _dates(plan, language)
    facts["organisation"] = plan.organisation.name
    facts["callback_number"] = write_phone(plan.callback_number)
    facts["hotline_number"] = write_phone(plan.did)
    facts["provider"] = plan.enrolment.provider
    facts["months"] = str(plan.enrolment.months)
    facts["enrolment_phone"] = write_phone(plan.enrolment.phone)
    facts["enrolment_website"] = plan.enrolment.website
    facts["language_key"] = str(plan.languages.index(code) + 1)
    return facts


def _dates(plan: Plan, language: Language) -> dict[str, str]:
    days: dict[str, date] = {
        "occurred_from": plan.dates.occurred_from,
        "occurred_to": plan.dates.occurred_to,
        "discovered": plan.dates.discovered,
        "determined": plan.dates.determined,
        "enrol_by": plan.enrolment.enrol_by,
    }
    return {name: language.speech.say_date(day) for name, day in days.items()}


def expand(text: str, facts: Mapping[str, str], language: Language, *, spoken: bool) -> str:
    """``text`` with every placeholder replaced. KeyError for a name that ``mistakes`` reports."""

    def fact(match: re.Match[str]) -> str:
        name, colon, value = match[1].partition(":")
        if not colon:
            return facts[name]
        if name == "phone":
            return language.speech.say_phone(value) if spoken else write_phone(value)
        return language.speech.say_site(value) if spoken else value

    return _PLACEHOLDER.sub(fact, text)
