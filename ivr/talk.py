"""Speaking with one caller: approved texts by name, keys that are never lost."""

from __future__ import annotations

from typing import Final

from incident.outcomes import SelfServiceResult
from ivr.calls import Call, CallBook
from ivr.menu import EVERY_KEY
from ivr.served import ServedIncident
from pbx import names
from pbx.agi import AgiSession, Digits

KEY_MS: Final = 5000
"""How long a key is waited for after a menu."""
ENTRY_MS: Final = 7000
"""How long the next key of a number is waited for."""
LETTER_MS: Final = 350
GROUP_MS: Final = 900
"""Silences after each letter of a code, and where it has a hyphen or a space: time to write."""
END_KEY: Final = "#"
END_CALL: Final = "end"
"""What a flow gives back, instead of a key, when the call is to be ended."""


class Talk:
    """``language`` is that of the caller, the incident's first before a choice was made."""

    __slots__ = ("_asterisk_language", "_paths", "book", "call", "incident", "language", "session")

    def __init__(
        self, session: AgiSession, incident: ServedIncident, call: Call, book: CallBook
    ) -> None:
        self.session = session
        self.incident = incident
        self.call = call
        self.book = book
        self.language = incident.languages[0]
        self._paths = incident.paths[self.language]
        self._asterisk_language = session.request.language

    async def speak(self, language: str) -> None:
        """Go on in this language. The dialplan is told at once: should we fail now, the caller
        is still served in it."""
        self.language = self.call.language = language
        self._paths = self.incident.paths[language]
        await self.session.set_variable(f"__{names.LANGUAGE}", language)

    async def say(self, text: str, language: str | None = None) -> str:
        """Play a text; the key that interrupted it, or ""."""
        paths = self._paths if language is None else self.incident.paths[language]
        return await self.session.stream_file(paths[text], EVERY_KEY)

    async def announce(self, text: str) -> None:
        """Play a text that no key interrupts."""
        await self.session.stream_file(self._paths[text])

    async def ask(self, text: str, language: str | None = None) -> str:
        """Play a text and wait for one key; "" when none came in time."""
        paths = self._paths if language is None else self.incident.paths[language]
        return _one(await self.session.get_data(paths[text], KEY_MS, 1))

    async def enter(self, text: str, max_digits: int, first: str = "") -> Digits:
        """Play a text and take a number that ends with ``#``. ``first``: a key that was pressed
        already; then nothing is played."""
        if not first:
            return await self.session.get_data(self._paths[text], ENTRY_MS, max_digits)
        if first == END_KEY:
            return Digits("", timed_out=False)
        entered = first
        while len(entered) < max_digits:
            key = await self.session.wait_for_digit(ENTRY_MS)
            if key in {"", END_KEY}:
                return Digits(entered, timed_out=not key)
            entered += key
        return Digits(entered, timed_out=False)

    async def spell(self, digits: str) -> str:
        """Say digits one by one, with the recorded sounds; the key that interrupted, or ""."""
        await self._in_language()
        return await self.session.say_digits(digits, EVERY_KEY)

    async def spell_slowly(self, code: str) -> str:
        """Say a code for writing down: digits, and each letter with the word that stands for it;
        the key that interrupted, or ""."""
        await self._in_language()
        for character in code:
            if character in "- ":
                key = await self.session.wait_for_digit(GROUP_MS)
            else:
                key = await self._character(character)
                key = key or await self.session.wait_for_digit(LETTER_MS)
            if key:
                return key
        return ""

    async def _character(self, character: str) -> str:
        if character.isdigit():
            return await self.session.say_digits(character, EVERY_KEY)
        return await self.session.say_alpha(
            character, EVERY_KEY
        ) or await self.session.say_phonetic(character, EVERY_KEY)

    async def _in_language(self) -> None:
        """Have Asterisk's recorded sounds in the caller's language."""
        if self._asterisk_language != self.language:
            await self.session.set_variable("CHANNEL(language)", self.language)
            self._asterisk_language = self.language

    def has(self, text: str) -> bool:
        """Whether the plan has this text; those of the house are always there."""
        return text in self._paths

    def came_to(self, result: SelfServiceResult) -> None:
        self.book.came_to(self.call, result)

    async def say_hour(self, hour: int) -> str:
        """Say a whole hour, 0 to 23, as clocks have it (9 a.m.); the key that interrupted."""
        await self._in_language()
        # Spanish hours are feminine: la una.
        one = "1F" if self.language == "es" and hour % 12 == 1 else str(hour % 12 or 12)
        return await self.session.stream_file(
            f"digits/{one}", EVERY_KEY
        ) or await self.session.stream_file(f"digits/{'a-m' if hour < 12 else 'p-m'}", EVERY_KEY)

    async def wait(self) -> str:
        """Wait for a key; "" when none came in time."""
        return await self.session.wait_for_digit(KEY_MS)

    def step(self, menu: str, choice: str) -> None:
        self.book.step(self.call, menu, choice)

    def note(self, step: str) -> None:
        self.book.note(self.call, step)

    def leaf(self) -> None:
        self.book.leaf(self.call)


def _one(digits: Digits) -> str:
    """GET DATA ends at ``#`` and does not give it back."""
    if digits.value:
        return digits.value[0]
    return "" if digits.timed_out else END_KEY
