"""Rules about words: an apology where one is owed, never a question for a Social Security number.

Both look for words, so they find what is plainly missing or plainly wrong; they do not replace
counsel's reading. The words of each language are in its file under ``checks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from incident.plan.language import Checks, Language

TEXT_LIMIT: Final = 2_500
"""Characters of one text: about three minutes of speech, more than anyone listens to."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+")


def has_apology(text: str, checks: Checks) -> bool:
    """Whether some sentence of ``text`` apologises."""
    return re.search(checks.apology, text, re.IGNORECASE) is not None


def asks_for_ssn(text: str, checks: Checks) -> bool:
    """Whether a sentence asks for a Social Security number, and does not say that nobody will."""

    def has(pattern: str, sentence: str) -> bool:
        return re.search(pattern, sentence, re.IGNORECASE) is not None

    return any(
        has(checks.ssn, sentence)
        and has(checks.ask, sentence)
        and not has(checks.negation, sentence)
        for sentence in _SENTENCE_END.split(text)
    )


def keys_named(text: str, language: Language) -> frozenset[str]:
    """The keys that ``text`` tells the caller to press, as "0" to "9"."""
    words = {word.lower(): str(digit) for digit, word in enumerate(language.speech.digits)}
    one = "|".join([r"\d", *map(re.escape, words)])
    found = re.finditer(rf"(?:{language.checks.press})\s+({one})\b", text, re.IGNORECASE)
    said = (match[match.lastindex or 0].lower() for match in found)
    return frozenset(words.get(word, word) for word in said)


def wording_mistakes(text: str, language: Language, *, apology: bool) -> Iterator[str]:
    """What is wrong with the words of one text, one sentence each."""
    if apology and not has_apology(text, language.checks):
        yield "no apology in this text; callers are owed one here"
    if asks_for_ssn(text, language.checks):
        yield "this asks for a Social Security number; neither the hotline nor an agent ever does"
    if len(text) > TEXT_LIMIT:
        yield f"the text has {len(text)} characters; at most {TEXT_LIMIT} can be listened to"
