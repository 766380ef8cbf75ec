"""What a call flow does with a call: typed AGI commands.

Every command raises CallerHungUp when the call is over, CommandFailed when Asterisk could not do
it, AgiTimeout when Asterisk did not answer, InvalidArgument (nothing sent) for arguments that
must not go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from pbx.agi import quoting
from pbx.agi.connection import Connection
from pbx.agi.errors import AgiProtocolError, CommandFailed, InvalidArgument
from pbx.agi.limits import Limits
from pbx.agi.reply import OK, Reply
from pbx.agi.request import AgiRequest

_KEYS: Final = frozenset("0123456789*#ABCD")
_NO_APPLICATION: Final = -2


@dataclass(frozen=True, slots=True)
class Digits:
    """Keys that a caller entered. ``timed_out``: the entry ended because no further key came.

    Neither full nor timed out means that the caller ended it with ``#``.
    """

    value: str
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Played:
    """How a prompt ended: the key that interrupted it, or "", and the last sample played."""

    digit: str
    endpos: int


class AgiSession:
    """One call, for the time that Asterisk's ``AGI()`` runs."""

    def __init__(self, connection: Connection, request: AgiRequest, limits: Limits) -> None:
        self.request = request
        self._connection = connection
        self._limits = limits

    @property
    def hung_up(self) -> bool:
        """Whether it is known that the call is over."""
        return self._connection.over

    async def answer(self) -> None:
        await self._call("ANSWER")

    async def hangup(self) -> None:
        """Hangs up. Every later command raises CallerHungUp."""
        await self._call("HANGUP")
        self._connection.hang_up_sent()

    async def stream_file(self, path: str, escape_digits: str = "") -> str:
        """Plays a prompt (path without extension); gives the key that interrupted it, or ""."""
        return (await self.play(path, escape_digits)).digit

    async def play(self, path: str, escape_digits: str = "") -> Played:
        """As ``stream_file``, with the place (in samples) where it ended."""
        reply = await self._call(
            "STREAM FILE",
            path,
            quoting.escape_digits(escape_digits),
            seconds=self._limits.stream_seconds,
        )
        return Played(_key(reply), reply.endpos or 0)

    async def get_data(self, path: str, timeout_ms: int, max_digits: int) -> Digits:
        """Plays a prompt and takes keys, until ``max_digits``, ``#`` or ``timeout_ms`` after
        the prompt or the last key."""
        _positive(timeout_ms, "a time-out")
        _positive(max_digits, "a number of digits")
        seconds = self._limits.stream_seconds + timeout_ms / 1000 * (max_digits + 1)
        reply = await self._call(
            "GET DATA", path, timeout_ms, max_digits, seconds=seconds, negative_fails=False
        )
        if reply.result == "-1":
            await self._explain("GET DATA", reply)
        if not _KEYS.issuperset(reply.result):
            raise AgiProtocolError("entered digits that are no keys")
        return Digits(reply.result, timed_out=reply.data == "timeout")

    async def wait_for_digit(self, timeout_ms: int) -> str:
        """The next key, or "" when none came in ``timeout_ms``."""
        _positive(timeout_ms, "a time-out")
        return _key(await self._call("WAIT FOR DIGIT", timeout_ms, seconds=timeout_ms / 1000))

    async def say_digits(self, digits: str, escape_digits: str = "") -> str:
        if not digits or not _KEYS.issuperset(digits):
            raise InvalidArgument("only keys can be said as digits")
        return await self._say("SAY DIGITS", digits, escape_digits)

    async def say_number(self, number: int, escape_digits: str = "") -> str:
        return await self._say("SAY NUMBER", number, escape_digits)

    async def say_alpha(self, text: str, escape_digits: str = "") -> str:
        return await self._say("SAY ALPHA", text, escape_digits)

    async def say_phonetic(self, text: str, escape_digits: str = "") -> str:
        return await self._say("SAY PHONETIC", text, escape_digits)

    async def say_date(self, day: date | int, escape_digits: str = "") -> str:
        """Says a date. Asterisk says it in its own time zone; a plain date is sent as noon UTC,
        which is the same day from UTC-12 to UTC+11."""
        if isinstance(day, datetime):
            day = int(day.timestamp())
        elif isinstance(day, date):
            day = int(datetime.combine(day, time(12), UTC).timestamp())
        return await self._say("SAY DATE", day, escape_digits)

    async def get_variable(self, name: str) -> str | None:
        """A channel variable; None where it is not set."""
        return _value(await self._call("GET VARIABLE", quoting.variable_name(name)))

    async def get_full_variable(self, expression: str) -> str | None:
        """What an expression such as ``${CALLERID(num)}`` comes to. The expression is ours:
        text from a caller must never be part of it, for Asterisk evaluates it."""
        return _value(await self._call("GET FULL VARIABLE", expression))

    async def set_variable(self, name: str, value: str) -> None:
        await self._call("SET VARIABLE", quoting.variable_name(name), value)

    async def exec(self, app: str, *args: str, timeout: float = 300.0) -> str:
        """Runs a dialplan application, ``timeout`` seconds at most; gives its result.

        A comma inside an argument separates arguments for most applications.
        """
        if not app.isidentifier():
            raise InvalidArgument("not the name of an application")
        reply = await self._call("EXEC", app, ",".join(args), seconds=timeout)
        return reply.result

    async def channel_status(self) -> int:
        """The state of the call's channel (6: up)."""
        return (await self._call("CHANNEL STATUS")).number

    async def set_music(self, on: bool, music_class: str = "") -> None:
        await self._call("SET MUSIC", *(["ON", music_class] if on else ["OFF"]))

    async def verbose(self, message: str, level: int = 1) -> None:
        """A line for Asterisk's own log: ids only, never a number or a name."""
        await self._call("VERBOSE", message, level)

    async def _say(self, verb: str, what: str | int, escape_digits: str) -> str:
        keys = quoting.escape_digits(escape_digits)
        return _key(await self._call(verb, what, keys, seconds=self._limits.stream_seconds))

    async def _call(
        self, verb: str, *args: str | int, seconds: float = 0.0, negative_fails: bool = True
    ) -> Reply:
        line = quoting.command_line(verb, *args)
        reply = await self._connection.turn(verb, line, seconds + self._limits.command_seconds)
        if reply.code != OK:
            raise CommandFailed(verb, reply.code, reply.text.partition("\n")[0])
        if negative_fails and reply.result.startswith("-"):
            await self._explain(verb, reply)
        return reply

    async def _explain(self, verb: str, reply: Reply) -> None:
        """Raises for a negative result: hang-up and failure look the same, the channel tells.

        After a hang-up Asterisk sends HANGUP, or refuses the question, before it answers it.
        """
        if reply.number != _NO_APPLICATION and verb != "CHANNEL STATUS":
            await self.channel_status()
            raise CommandFailed(verb, reply.number, "the call is up; is a file missing?")
        raise CommandFailed(verb, reply.number, "not there")


def _key(reply: Reply) -> str:
    code = reply.number
    if code == 0:
        return ""
    key = chr(code) if 0 < code < 128 else ""
    if key not in _KEYS:
        raise AgiProtocolError("a result that is no key")
    return key


def _value(reply: Reply) -> str | None:
    return (reply.data or "") if reply.result == "1" else None


def _positive(number: int, what: str) -> None:
    if number <= 0:
        raise InvalidArgument(f"{what} must be positive")
