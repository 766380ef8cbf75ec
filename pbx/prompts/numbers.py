"""How the recorded core sounds say a number: the files one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

LARGEST: Final = 999


class CannotSay(Exception):
    """A number or a language that there are no recorded sounds for."""

    def __init__(self, number: int, language: str) -> None:
        self.number = number
        self.language = language
        super().__init__(f"no recorded sounds say {number} in {language!r}")


def number_sounds(language: str, number: int) -> tuple[str, ...]:
    """Names of core sounds (``digits/...``) that say ``number``, 0 to 999. Raises CannotSay."""
    say = _LANGUAGES.get(language)
    if say is None or not 0 <= number <= LARGEST:
        raise CannotSay(number, language)
    return tuple(f"digits/{name}" for name in say(number))


def _english(number: int) -> list[str]:
    hundreds, rest = divmod(number, 100)
    words = [str(hundreds), "hundred"] if hundreds else []
    if rest > 20:
        words.append(str(rest // 10 * 10))
        rest %= 10
    if rest or not words:
        words.append(str(rest))
    return words


def _spanish(number: int) -> list[str]:
    """Words of their own to 30 and for the hundreds; 100 is another word than 101's."""
    hundreds, rest = divmod(number, 100)
    words: list[str] = []
    if hundreds == 1:
        words.append("100-and" if rest else "100")
    elif hundreds:
        words.append(f"{hundreds}00")
    if rest > 30:
        words.append(str(rest // 10 * 10))
        rest %= 10
        if rest:
            words.append("and")
    if rest or not words:
        words.append(str(rest))
    return words


_LANGUAGES: Final[Mapping[str, Callable[[int], list[str]]]] = {"en": _english, "es": _spanish}
