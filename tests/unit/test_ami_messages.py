"""What may leave over AMI, and how what arrives is read, however it is cut into reads."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.ami import Event, InvalidValue, Limits, NotConnected
from pbx.ami.messages import Fields, Outgoing, variable_headers
from pbx.ami.protocol import HardenedProtocol


class Wire(asyncio.Transport):
    """A transport to nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    def is_closing(self) -> bool:
        return self.gone

    def close(self) -> None:
        self.gone = True

    def abort(self) -> None:
        self.gone = True


class Collector:
    """Stands where panoramisk's manager stands: gets the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def dispatch(self, event: Event) -> None:
        self.events.append(event)


def read(chunks: list[bytes], limits: Limits | None = None) -> tuple[list[Event], bool]:
    """The events that these reads bring, and whether the protocol gave the peer up."""

    async def feed() -> tuple[list[Event], bool]:
        protocol = HardenedProtocol(limits or Limits())
        wire = Wire()
        protocol.connection_made(wire)
        collector = protocol.factory = Collector()
        for chunk in chunks:
            protocol.data_received(chunk)
        return collector.events, wire.gone

    return asyncio.run(feed())


@given(
    st.lists(st.text(st.characters(exclude_categories=["C", "Z"])), max_size=4),
    st.lists(st.integers(min_value=0), max_size=12),
)
def test_however_a_stream_is_cut_the_same_events_come(texts: list[str], cuts: list[int]) -> None:
    stream = b"Asterisk Call Manager/11.0.0\r\n" + b"".join(
        f"Event: E\r\nText: {text}\r\n\r\n".encode() for text in texts
    )
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    events, gone = read(chunks)
    assert [event.get("Text") for event in events] == texts
    assert not gone


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_no_bytes_whatever_raise(chunks: list[bytes]) -> None:
    small = Limits(line=60, message=100)
    read([b"Asterisk Call Manager/11.0.0\r\n", *chunks], small)
    read(chunks, small)
    read([b"Event: A\r\n" + chunk + b"\r\n\r\n" for chunk in chunks])


async def test_a_closing_link_takes_no_action() -> None:
    protocol = HardenedProtocol(Limits())
    wire = Wire()
    protocol.connection_made(wire)
    wire.close()
    with pytest.raises(NotConnected):
        protocol.send(Outgoing("Ping", "id-1", {}))
    assert protocol.responses == {}


async def test_memory_stays_bounded_under_a_flood() -> None:
    protocol = HardenedProtocol(Limits(line=100, message=1_000))
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(b"Asterisk Call Manager/11.0.0\r\n")
    for _ in range(100):
        protocol.data_received(b"x" * 50)
        assert len(protocol._buffer) <= 150
    assert wire.gone


@given(st.text(st.characters(), min_size=1, max_size=30), st.text(max_size=60))
def test_a_header_arrives_as_one_header_or_is_refused(name: str, value: str) -> None:
    async def build() -> bytes | None:
        try:
            return Outgoing("Ping", "id-1", {name: value}).encoded()
        except InvalidValue as refused:
            assert "\n" not in str(refused)
            assert "\r" not in str(refused)
            return None

    encoded = asyncio.run(build())
    if encoded is not None:
        assert encoded.endswith(b"\r\n\r\n")
        lines = sorted(encoded.decode().removesuffix("\r\n\r\n").split("\r\n"))
        assert lines == sorted(["Action: Ping", "ActionID: id-1", f"{name}: {value}"])
        assert len(encoded.splitlines()) == 4
        assert b"\0" not in encoded


def test_a_repeated_header_goes_out_once_per_value() -> None:
    async def build() -> bytes:
        return Outgoing("Originate", "id-1", {"Variable": ["a=1", "b=2"]}).encoded()

    assert asyncio.run(build()).count(b"Variable: ") == 2


@pytest.mark.parametrize("name", ["Event", "Uniqueid", "uniqueid", "Queue"])
def test_an_event_that_says_a_header_twice_is_dropped(name: str) -> None:
    forged = f"Event: Hangup\r\nExten: 1\r\n{name}: 2\r\nQueue: q\r\nUniqueid: 3\r\n\r\n"
    events, gone = read(
        [
            b"Asterisk Call Manager/11.0.0\r\n",
            forged.encode(),
            b"Event: Hangup\r\nUniqueid: 4\r\n\r\n",
        ]
    )
    assert [event.get("Uniqueid") for event in events] == ["4"]
    assert not gone


def test_fields_are_found_in_any_case_and_repeats_are_joined() -> None:
    fields = Fields.parse("Event: Newchannel\r\nUniqueid: 1\r\nVar: a\r\nvar: b\r\nX:y\r\nZ:")
    assert fields["UNIQUEID"] == "1"
    assert "uniqueID" in fields
    assert fields["Var"] == "a\nb"
    assert (fields["X"], fields["Z"]) == ("y", "")
    assert len(fields) == 5
    assert fields.kind == "event"
    with pytest.raises(KeyError):
        fields["missing"]


def test_a_representation_shows_no_value() -> None:
    fields = Fields.parse("Event: Newchannel\r\nCallerIDNum: 12025550123")
    assert "12025550123" not in repr(Event("Newchannel", fields, 0.0))
    assert "CallerIDNum" in repr(fields)


@pytest.mark.parametrize("value", ["a,b", 'say "hi"', "back\\slash", "line\nbreak", " a", "a "])
def test_a_variable_that_asterisk_would_change_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        variable_headers({"BL_X": value})
    assert refused.value.header == "Variable BL_X"


@pytest.mark.parametrize("name", ["", "A B", "A=B", "A,B", "CHANNEL(language)", "1A", "A\n"])
def test_a_variable_name_is_a_plain_word(name: str) -> None:
    with pytest.raises(InvalidValue):
        variable_headers({name: "x"})
