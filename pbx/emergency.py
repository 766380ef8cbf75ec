"""The emergency path: what a caller hears when the hotline is not there or has failed.

Asterisk runs this as a plain AGI script, ``python -m pbx.emergency HOME [REGIONS]``, from the
project's folder; REGIONS: the countries whose numbers may be left, as US,CA (all without it). It
needs no service and no database: the essentials are said, a call-back number is taken into a sealed
file, and in every other case, whatever goes wrong here, the caller goes on to wait for an agent.

A caller who comes out of the line to keep the place there (BL_KEPT, BL_RANK) is asked for the
number at once.

It leaves BL_LANGUAGE (always one of the incident's languages, once the pack could be read) and
BL_NEXT: ``queue``, or ``kept`` after a call-back number was taken; the dialplan then holds the
place of BL_KEPT and BL_RANK (milliseconds). Exit status: 0, also after a hang-up; 1 when something
failed (AGISTATUS is FAILURE then), with one line on standard error that holds no personal data.
"""

from __future__ import annotations

import io
import re
import signal
import sys
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from asterisk.agi import AGI, AGIAppError, AGIHangup

from incident.home import Home
from pbx import emergency_pack as texts
from pbx import names
from pbx.emergency_pack import EmergencyPack, PackError, read_emergency_pack
from pbx.spool import CallbackRequest, write_spooled

_LIFETIME: Final = 900
"""Seconds until the script is ended for certain; the caller then goes on to the queue."""
_ANSWER_MS: Final = 4000
_DIGIT_MS: Final = 5000
_MAX_DIGITS: Final = 18
_ATTEMPTS: Final = 3
_ANY_KEY: Final = "0123456789*#"
_WAIT: Final = "2"
_LEAVE_NUMBER: Final = "1"
_CORRECT: Final = "1"

_NATIONAL = re.compile(
    r"1?(?!900|976|...976|5(?:00|2[1-9]|33|44|66|77|88))([2-9][0-9]{2}[2-9][0-9]{6})"
)
"""Without premium rate and personal numbers: whoever leaves one would be paid for our call."""
_INTERNATIONAL = re.compile(r"011(?!1|87|88[1238]|808|979)([2-9][0-9]{6,14})")
"""Without satellites, international networks and, as above, what costs whoever calls it."""


def e164(digits: str) -> str | None:
    """Keys as an E.164 number: North American (10 digits, or 11 with 1), or 011 and a country
    code. None for anything else, and for numbers that cost whoever calls them."""
    if match := _NATIONAL.fullmatch(digits):
        return f"+1{match[1]}"
    if match := _INTERNATIONAL.fullmatch(digits):
        return f"+{match[1]}"
    return None


def reaches(phone: str, regions: Collection[str]) -> bool:
    """Whether a stranger may have this number called: by where it is, and what it costs. What
    cannot be found out is left to whoever takes the request over."""
    if not regions:
        return True
    try:
        import phonenumbers  # noqa: PLC0415 - slow to import, seldom needed

        number = phonenumbers.parse(phone)
        kind = phonenumbers.number_type(number)
        region = phonenumbers.region_code_for_number(number)
    except Exception as error:  # noqa: BLE001 - a library of no use must not cost the call-back
        complain(f"{type(error).__name__}: a number is not looked at")
        return True
    return region in regions and kind != phonenumbers.PhoneNumberType.PREMIUM_RATE


@dataclass(frozen=True, slots=True)
class Place:
    """A place in line; ``rank``: since when, Unix seconds."""

    token: str
    rank: float


def place_of(token: str, rank: str) -> Place | None:
    """What BL_KEPT and BL_RANK say, if they say anything."""
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return None
    return Place(token, int(rank) / 1000 if re.fullmatch(r"[0-9]{1,15}", rank) else time.time())


class EmergencyCall:
    """One caller. ``language`` is "" until it is known."""

    def __init__(
        self,
        agi: AGI,
        home: Home,
        pack: EmergencyPack,
        language: str,
        place: Place | None = None,
        *,
        shed: bool = False,
        relay: bool = False,
        regions: Collection[str] = (),
    ) -> None:
        self._agi = agi
        self._home = home
        self._pack = pack
        self._place = place
        self._shed = shed
        self._relay = relay
        self._regions = regions
        self._language = ""
        if language in pack.languages:
            self._choose(language)

    def run(self) -> str:
        """The whole conversation; gives what comes next: ``queue``, ``kept``, or ``hangup`` where
        the node holds too many calls for another one in line."""
        if self._place is None:
            if not self._language:
                self._ask_language()
            self._tell_essentials()
        wants_callback = self._place is not None or self._offer_callback()
        if not self._language:
            self._choose(self._pack.languages[0])
        if wants_callback and (phone := self._take_number()):
            self._spool(phone)
            # The place counts from here on, whether or not the caller hears us out.
            self._agi.set_variable(names.NEXT, "kept")
            self._play(texts.THANKS, _ANY_KEY)
            self._play(texts.GOODBYE, _ANY_KEY)
            return "kept"
        if self._shed and self._place is None:
            self._play(texts.GOODBYE, _ANY_KEY)
            return "hangup"
        self._play(texts.TO_AGENT, _ANY_KEY)
        return "queue"

    def _ask_language(self) -> None:
        keys = self._language_keys()
        for language in self._pack.languages:
            if key := self._play(texts.OFFER_LANGUAGE, keys, language):
                self._choose_by_key(key)
                return
        self._choose_by_key(self._wait())

    def _tell_essentials(self) -> None:
        """In the caller's language, or in all of them, where the language keys still choose.
        Any key ends it."""
        if self._language:
            self._play(texts.ESSENTIALS, _ANY_KEY)
            return
        for language in self._pack.languages:
            if key := self._play(texts.ESSENTIALS, _ANY_KEY, language):
                self._choose_by_key(key)
                if self._language and self._language != language:
                    self._play(texts.ESSENTIALS, _ANY_KEY)
                return

    def _offer_callback(self) -> bool:
        """Whether the caller wants to be called back. The answer also tells the language."""
        offer = texts.SHED_OFFER if self._shed else texts.OFFER_CALLBACK
        for language in [self._language] if self._language else self._pack.languages:
            if not self._has(offer, language):
                continue
            key = self._play(offer, _LEAVE_NUMBER + _WAIT, language) or self._wait()
            if key in {_LEAVE_NUMBER, _WAIT}:
                self._choose(language)
                return key == _LEAVE_NUMBER
        return False

    def _take_number(self) -> str | None:
        """A number that the caller confirmed, or None after three attempts."""
        if not self._has(texts.ENTER_NUMBER, self._language):
            return None
        for _ in range(_ATTEMPTS):
            prompt = self._pack.prompts[self._language][texts.ENTER_NUMBER]
            digits = self._agi.get_data(f'"{prompt}"', _DIGIT_MS, _MAX_DIGITS)
            phone = e164(digits.rstrip("#"))
            if phone is None or not reaches(phone, self._regions):
                self._play(texts.INVALID, "")
                continue
            self._agi.say_digits(digits.rstrip("#"))
            key = self._play(texts.CONFIRM, _ANY_KEY) or self._wait()
            if key == _CORRECT:
                return phone
        return None

    def _spool(self, phone: str) -> None:
        place = self._place or Place(uuid.uuid4().hex, time.time())
        # Whoever confirmed the number and hangs up has asked for the call all the same.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self._write(place, phone)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        if self._place is None:
            self._agi.set_variable(names.KEPT, place.token)
            self._agi.set_variable(names.RANK, names.milliseconds(place.rank))
            self._agi.set_variable(names.HOLDS, "wanted")

    def _write(self, place: Place, phone: str) -> None:
        from incident.privacy import seal_for  # noqa: PLC0415 - slow to import, seldom needed

        request = CallbackRequest(
            incident=self._pack.incident,
            language=self._language,
            phone=phone,
            requested_at=time.time(),
            call_id=str(self._agi.env.get("agi_uniqueid", "")),
            token=place.token,
            rank=place.rank,
            relay=self._relay,
        )
        sealed = seal_for(self._pack.public_key, request.to_bytes())
        # Under the token: whoever takes this over finds the place that is held already.
        write_spooled(self._home.callback_spool, self._pack.incident, sealed, place.token)

    def _play(self, name: str, keys: str, language: str | None = None) -> str:
        """The key that interrupted the prompt, or "". A prompt that is not there is left out:
        the rest of the path still helps the caller."""
        language = language or self._language
        if not self._has(name, language):
            complain(f"prompt {language}/{name} is missing")
            return ""
        return str(self._agi.stream_file(f'"{self._pack.prompts[language][name]}"', keys))

    def _has(self, name: str, language: str) -> bool:
        path = Path(self._pack.prompts.get(language, {}).get(name, "/"))
        return bool(path.name) and any(path.parent.glob(f"{path.name}.*"))

    def _wait(self) -> str:
        return str(self._agi.wait_for_digit(_ANSWER_MS))

    def _language_keys(self) -> str:
        return "".join(str(number) for number in range(1, min(9, len(self._pack.languages)) + 1))

    def _choose_by_key(self, key: str) -> None:
        if key and key in self._language_keys():
            self._choose(self._pack.languages[int(key) - 1])

    def _choose(self, language: str) -> None:
        if language == self._language:
            return
        self._language = language
        # Inherited (two underscores), as the hotline leaves it.
        self._agi.set_variable(f"__{names.LANGUAGE}", language)
        self._agi.set_variable("CHANNEL(language)", language)


class _Input:
    """Asterisk's side as pyst2 reads it: the end of it is a hang-up, not an empty line (which
    pyst2 takes for an answer, or waits behind for ever)."""

    def __init__(self, raw: BinaryIO) -> None:
        # Caller names come in any encoding.
        self._lines = io.TextIOWrapper(raw, encoding="utf-8", errors="replace")

    def readline(self) -> str:
        line = self._lines.readline()
        if not line:
            raise AGIHangup("end of input")
        return line


class _Quiet(io.TextIOBase):
    """Where pyst2 writes every line it sends and gets, numbers included: nowhere."""

    def write(self, text: str) -> int:
        return len(text)


def complain(what: str) -> None:
    """One line for Asterisk's console log."""
    sys.stderr.write(f"breachline emergency: {what}\n")


def serve(home: Home, agi: AGI, regions: Collection[str] = ()) -> None:
    """The caller of this AGI session, from the variables to BL_NEXT."""
    agi.set_variable(names.NEXT, "queue")
    incident = str(agi.get_variable(names.INCIDENT))
    language = str(agi.get_variable(names.LANGUAGE))
    place = place_of(str(agi.get_variable(names.KEPT)), str(agi.get_variable(names.RANK)))
    pack = read_emergency_pack(home, incident)
    shed = str(agi.get_variable(names.SHED)) == "1"
    relay = str(agi.get_variable(names.RELAY)) == "1"
    call = EmergencyCall(agi, home, pack, language, place, shed=shed, relay=relay, regions=regions)
    then = call.run()
    agi.set_variable(names.NEXT, then)


def main(argv: list[str]) -> int:
    """``argv``: the program's name, HOME, and REGIONS or nothing. Gives the exit status."""
    signal.alarm(_LIFETIME)
    try:
        serve(
            Home.at(argv[1]),
            AGI(stdin=_Input(sys.stdin.buffer), stdout=sys.stdout, stderr=_Quiet()),
            argv[2].split(",") if len(argv) > 2 else (),
        )
    except (AGIHangup, AGIAppError, BrokenPipeError):
        return 0  # the caller is gone, or a prompt could not be played: the dialplan goes on
    except PackError as error:
        complain(f"{error}; the caller goes on to the queue")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must reach the queue
        complain(f"{type(error).__name__}: the caller goes on to the queue")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
