"""Sessions over an in-memory connection: typed results, and every way in which a call ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.agi import (
    AgiProtocolError,
    AgiRequest,
    AgiSession,
    AgiTimeout,
    CallerHungUp,
    CommandFailed,
    Digits,
    InvalidArgument,
    Limits,
    Played,
)
from pbx.agi.connection import Connection
from tests.scripted_agi import opening_lines


class Wire(asyncio.Transport):
    """Keeps what is written; what Asterisk answers is scripted by the first words."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__()
        self.answers = answers
        self.connection: Connection | None = None
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        assert self.connection is not None
        for start, answer in self.answers.items():
            if bytes(data).startswith(start.encode()):
                asyncio.get_running_loop().call_soon(self.connection.data_received, answer)
                return

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Owner:
    def __init__(self) -> None:
        self.request: AgiRequest | None = None
        self.reasons: list[str] = []

    def opened(self, connection: Connection) -> None: ...

    def requested(self, connection: Connection, request: AgiRequest) -> None:
        self.request = request

    def rejected(self, connection: Connection, reason: str) -> None:
        self.reasons.append(reason)

    def closed(self, connection: Connection) -> None: ...


def begin(
    answers: dict[str, bytes],
    limits: Limits | None = None,
    observe: Callable[[float], None] | None = None,
) -> tuple[AgiSession, Wire, Connection]:
    limits = limits or Limits()
    owner = Owner()
    wire = Wire(answers)
    connection = Connection(owner, limits, observe)
    wire.connection = connection
    connection.connection_made(wire)
    connection.data_received(opening_lines())
    assert owner.request is not None
    return AgiSession(connection, owner.request, limits), wire, connection


async def test_results_are_typed() -> None:
    session, wire, _ = begin(
        {
            "ANSWER": b"200 result=0\n",
            "STREAM FILE": b"200 result=53 endpos=8000\n",
            "GET DATA": b"200 result=12 (timeout)\n",
            "WAIT FOR DIGIT": b"200 result=0\n",
            "SAY ": b"200 result=35\n",
            "GET VARIABLE X": b"200 result=1 (hangup (now))\n",
            "GET VARIABLE Y": b"200 result=0\n",
            "GET FULL": b"200 result=1 (a b)\n",
            "SET ": b"200 result=1\n",
            "EXEC": b"200 result=0\n",
            "CHANNEL STATUS": b"200 result=6\n",
            "VERBOSE": b"200 result=1\n",
        }
    )
    await session.answer()
    assert await session.stream_file("/p/menu", "123") == "5"
    assert await session.play("/p/menu") == Played("5", 8000)
    assert await session.get_data("/p/menu", 5000, 4) == Digits("12", timed_out=True)
    assert await session.wait_for_digit(1000) == ""
    assert await session.say_digits("123") == "#"
    assert await session.say_number(-5) == "#"
    assert await session.say_alpha("a b") == "#"
    assert await session.say_phonetic("ab") == "#"
    assert await session.say_date(date(2026, 11, 23)) == "#"
    assert await session.get_variable("X") == "hangup (now)"
    assert await session.get_variable("Y") is None
    assert await session.get_full_variable("${CALLERID(num)}") == "a b"
    await session.set_variable("Z", 'say "hi"\\')
    assert await session.exec("NoOp", "a", "b c") == "0"
    assert await session.channel_status() == 6
    await session.set_music(True)
    await session.set_music(False)
    await session.verbose("here")
    assert wire.written == [
        b"ANSWER\n",
        b"STREAM FILE /p/menu 123\n",
        b'STREAM FILE /p/menu ""\n',
        b"GET DATA /p/menu 5000 4\n",
        b"WAIT FOR DIGIT 1000\n",
        b'SAY DIGITS 123 ""\n',
        b'SAY NUMBER -5 ""\n',
        b'SAY ALPHA "a b" ""\n',
        b'SAY PHONETIC ab ""\n',
        f'SAY DATE {int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())} ""\n'.encode(),
        b"GET VARIABLE X\n",
        b"GET VARIABLE Y\n",
        b'GET FULL VARIABLE "${CALLERID(num)}"\n',
        b'SET VARIABLE Z "say \\"hi\\"\\\\"\n',
        b'EXEC NoOp "a,b c"\n',
        b"CHANNEL STATUS\n",
        b'SET MUSIC ON ""\n',
        b"SET MUSIC OFF\n",
        b"VERBOSE here 1\n",
    ]


@pytest.mark.parametrize(
    ("reply", "digits"),
    [
        (b"200 result=\n", Digits("", timed_out=False)),
        (b"200 result= (timeout)\n", Digits("", timed_out=True)),
        (b"200 result=1\n", Digits("1", timed_out=False)),
        (b"200 result=*9\n", Digits("*9", timed_out=False)),
    ],
)
async def test_entered_digits(reply: bytes, digits: Digits) -> None:
    session, _, _ = begin({"GET DATA": reply})
    assert await session.get_data("/p/x", 1000, 4) == digits


COMMANDS: list[Callable[[AgiSession], Awaitable[object]]] = [
    lambda s: s.answer(),
    lambda s: s.stream_file("/p/x"),
    lambda s: s.get_data("/p/x", 1000, 1),
    lambda s: s.wait_for_digit(1000),
    lambda s: s.say_digits("1"),
    lambda s: s.exec("Wait", "9"),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_minus_one_is_a_hang_up_where_asterisk_says_so_next(
    command: Callable[[AgiSession], Awaitable[object]],
) -> None:
    starts = ("ANSWER", "STREAM", "GET", "WAIT", "SAY", "EXEC")
    session, _, _ = begin(dict.fromkeys(starts, b"200 result=-1\nHANGUP\n"))
    with pytest.raises(CallerHungUp):
        await command(session)
    assert session.hung_up


@pytest.mark.parametrize("command", COMMANDS)
async def test_minus_one_is_a_failure_where_the_channel_is_up(
    command: Callable[[AgiSession], Awaitable[object]],
) -> None:
    starts = ("ANSWER", "STREAM", "GET", "WAIT", "SAY", "EXEC")
    answers = dict.fromkeys(starts, b"200 result=-1 endpos=0\n")
    session, _, _ = begin({**answers, "CHANNEL STATUS": b"200 result=6\n"})
    with pytest.raises(CommandFailed) as caught:
        await command(session)
    assert caught.value.code == -1
    assert not session.hung_up


async def test_the_question_after_minus_one_may_itself_find_the_channel_dead() -> None:
    session, _, _ = begin(
        {"STREAM": b"200 result=-1 endpos=0\n", "CHANNEL": b"511 Command Not Permitted\n"}
    )
    with pytest.raises(CallerHungUp):
        await session.stream_file("/p/x")


async def test_a_hang_up_after_an_answer_ends_the_next_command_and_shifts_nothing() -> None:
    session, wire, _ = begin({"GET DATA": b"200 result=12\nHANGUP\n"})
    assert (await session.get_data("/p/x", 1000, 2)).value == "12"
    sent = len(wire.written)
    with pytest.raises(CallerHungUp):
        await session.get_variable("X")
    assert len(wire.written) == sent


async def test_a_hang_up_before_an_answer_ends_that_command() -> None:
    session, _, _ = begin({"GET VARIABLE": b"HANGUP\n200 result=0\n"})
    with pytest.raises(CallerHungUp):
        await session.get_variable("X")
    with pytest.raises(CallerHungUp):
        await session.get_variable("Y")


async def test_a_dead_channel_is_a_hang_up() -> None:
    session, _, _ = begin({"ANSWER": b"511 Command Not Permitted on a dead channel\n"})
    with pytest.raises(CallerHungUp):
        await session.answer()
    with pytest.raises(CallerHungUp):
        await session.answer()


async def test_the_end_of_the_connection_is_a_hang_up() -> None:
    session, _, connection = begin({})
    pending = asyncio.ensure_future(session.stream_file("/p/x"))
    await asyncio.sleep(0)
    connection.connection_lost(None)
    with pytest.raises(CallerHungUp):
        await pending


async def test_our_own_hang_up_ends_the_session() -> None:
    session, _, _ = begin({"HANGUP": b"200 result=1\n"})
    await session.hangup()
    with pytest.raises(CallerHungUp):
        await session.answer()


async def test_unknown_commands_and_applications() -> None:
    session, _, _ = begin(
        {
            "ANSWER": b"510 Invalid or unknown command\n",
            "EXEC": b"200 result=-2\n",
            "SAY": b"520-Invalid command syntax.\nUsage\nHANGUP\n520 End of proper usage.\n",
            "GET": b"200 result=0\n",
        }
    )
    for command, code in ((session.answer(), 510), (session.exec("X"), -2)):
        with pytest.raises(CommandFailed) as caught:
            await command
        assert caught.value.code == code
    with pytest.raises(CommandFailed):
        await session.say_digits("1")
    assert await session.get_variable("X") is None


async def test_a_late_answer_is_a_time_out_and_spoils_the_session() -> None:
    session, wire, connection = begin({}, Limits(command_seconds=0.01))
    with pytest.raises(AgiTimeout) as caught:
        await session.get_variable("X")
    assert caught.value.command == "GET VARIABLE"
    connection.data_received(b"200 result=1 (late)\n")
    with pytest.raises(AgiProtocolError):
        await session.get_variable("Y")
    assert wire.written == [b"GET VARIABLE X\n"]


async def test_a_command_that_was_given_up_spoils_the_session() -> None:
    session, _, _ = begin({})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await session.stream_file("/p/x")
    with pytest.raises(AgiProtocolError):
        await session.get_variable("Y")


async def test_an_answer_to_nothing_spoils_the_session() -> None:
    session, _, connection = begin({"GET": b"200 result=0\n"})
    connection.data_received(b"200 result=1 (who asked?)\n")
    with pytest.raises(AgiProtocolError):
        await session.get_variable("X")


async def test_one_command_at_a_time() -> None:
    session, _, connection = begin({})
    first = asyncio.ensure_future(session.get_variable("X"))
    await asyncio.sleep(0)
    with pytest.raises(AgiProtocolError):
        await session.get_variable("Y")
    connection.data_received(b"200 result=1 (x)\n")
    assert await first == "x"


async def test_a_refused_argument_sends_nothing_and_spoils_nothing() -> None:
    session, wire, _ = begin({"GET": b"200 result=0\n"})
    for command in (
        session.set_variable("X", "1\nHANGUP"),
        session.set_variable("X\nHANGUP", "1"),
        session.stream_file("/p\n/x"),
        session.stream_file("/p/x", "1\n"),
        session.say_digits("1\n"),
        session.say_digits(""),
        session.exec("Hangup\n", "x"),
        session.get_data("/p/x", 0, 1),
        session.get_data("/p/x", 100, 0),
        session.wait_for_digit(-1),
    ):
        with pytest.raises(InvalidArgument):
            await command
    assert wire.written == []
    assert await session.get_variable("X") is None


async def test_results_that_are_no_keys_are_protocol_errors() -> None:
    session, _, _ = begin({"STREAM": b"200 result=7\n", "GET DATA": b"200 result=12x\n"})
    with pytest.raises(AgiProtocolError):
        await session.stream_file("/p/x")
    with pytest.raises(AgiProtocolError):
        await session.get_data("/p/x", 100, 3)


async def test_a_reply_without_end_is_bounded() -> None:
    session, _, connection = begin({}, Limits(reply_bytes=1000))
    pending = asyncio.ensure_future(session.get_variable("X"))
    await asyncio.sleep(0)
    connection.data_received(b"x" * 1001)
    with pytest.raises(AgiProtocolError):
        await pending


async def test_turns_are_observed_from_the_answer_to_the_next_command() -> None:
    turns: list[float] = []
    session, _, _ = begin({"GET": b"200 result=0\n"}, observe=turns.append)
    await session.get_variable("X")
    await session.get_variable("Y")
    assert len(turns) == 2
    assert all(turn >= 0 for turn in turns)


async def test_failing_writes_the_line_that_asterisk_knows() -> None:
    _, wire, connection = begin({})
    connection.fail()
    assert wire.written == [b"failure\n"]
    assert not wire.closed
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not AGI"),
        (b"\x16\x03\x01\x02\x00", "not AGI"),
        (b"agi_x: " + b"x" * 9000, "opening lines past the limit"),
        (b"agi_x: " + b"x" * 9000 + b"\n", "opening lines past the limit"),
        (b"agi_x: 1\n" * 300, "opening lines past the limit"),
        ((b"agi_x: " + b"x" * 8000 + b"\n") * 9, "opening lines past the limit"),
        (b"agi_x: 1\n\n", "no agi_request"),
        (b"\n", "no agi_request"),
    ],
)
async def test_peers_that_are_not_asterisk_are_dropped(opening: bytes, reason: str) -> None:
    owner, wire = Owner(), Wire({})
    connection = Connection(owner, Limits(), None)
    connection.connection_made(wire)
    connection.data_received(opening)
    assert owner.reasons == [reason]
    assert wire.closed
    assert wire.written == []
    connection.connection_lost(None)
    assert owner.reasons == [reason]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_opening_lines_may_come_in_any_pieces(sizes: list[int]) -> None:
    async def run() -> None:
        owner, wire, opening = Owner(), Wire({}), opening_lines(args=("x",))
        connection = Connection(owner, Limits(), None)
        connection.connection_made(wire)
        at = 0
        for size in sizes:
            connection.data_received(opening[at : at + size])
            at += size
        connection.data_received(opening[at:])
        assert owner.request is not None
        assert owner.request.args == ("x",)
        connection.connection_lost(None)

    asyncio.run(run())
