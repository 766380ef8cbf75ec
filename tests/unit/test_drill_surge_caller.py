"""What simulated callers do on a line, and what they say of it afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from drill import surge_caller
from drill.called_back import CalledBack
from drill.character import Character
from drill.line import Line, Lines
from drill.surge_caller import Behaviour, End, Phase, Story
from pbx.ami import AmiClient, Event, NotConnected, Refused

CALLER = Character(
    number="+12125550107",
    language="en",
    agent=False,
    keys=((0.0, "1"), (0.0, "4")),
    stay=0.0,
    patience=0.0,
    accepts_after=None,
    redial_after=None,
)
AGENT = dataclasses.replace(CALLER, agent=True, keys=((0.0, "1"), (0.0, "0")), patience=60.0)


class Network:
    """The second Asterisk's manager: notes what it is asked, and says what it is told to."""

    def __init__(self) -> None:
        self.handlers: list[tuple[set[str], Callable[[Event], None]]] = []
        self.dialled: list[dict[str, Any]] = []
        self.pressed: list[str] = []
        self.hung_up: list[str] = []
        self.refuse = False
        self.on_key: Callable[[str], None] = lambda _key: None

    def subscribe(
        self, names: Iterable[str], handler: Callable[[Event], None]
    ) -> Callable[[], None]:
        entry = (set(names), handler)
        self.handlers.append(entry)
        return lambda: self.handlers.remove(entry)

    async def originate(self, **given: Any) -> None:
        if self.refuse:
            raise NotConnected("no link")
        self.dialled.append(given)

    async def action(self, name: str, fields: dict[str, str]) -> None:
        if name == "Hangup":
            self.hung_up.append(fields["Channel"])
            self.end(fields["Channel"])
            return
        assert name == "PlayDTMF"
        self.pressed.append(fields["Digit"])
        self.on_key(fields["Digit"])

    def tell(self, name: str, **fields: str) -> None:
        for names, handler in list(self.handlers):
            if name in names:
                handler(Event(name, fields, 0.0))

    @property
    def call(self) -> str:
        return str(self.dialled[-1]["channel_id"])

    def answer(self) -> None:
        self.tell("UserEvent", UserEvent="DrillUp", Caller=self.call, Rtp="127.0.0.2:14006")

    def agent(self, direction: str = "Received", digit: str = "A", call: str = "") -> None:
        self.tell("DTMFBegin", Uniqueid=call or self.call, Digit=digit, Direction=direction)

    def end(self, call: str = "", cause: str = "16") -> None:
        self.tell("Hangup", Uniqueid=call or self.call, Cause=cause)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def ears() -> list[str]:
    return []


@pytest.fixture
def lines(network: Network, ears: list[str]) -> Lines:
    ami = cast(AmiClient, network)
    return Lines(
        ami,
        [ami],
        on_answer=lambda line: ears.append(f"up {line.port}"),
        on_over=lambda line: ears.append(f"over {line.port}"),
    )


async def begin(
    lines: Lines, character: Character, *, offered: bool = True
) -> tuple[Story, asyncio.Task[Story]]:
    line = await lines.place("18005550199", character.number)
    story = Story(character, line)
    playing = asyncio.create_task(
        Behaviour(lines, story, offered=offered).play(), name="test:caller"
    )
    await asyncio.sleep(0)
    return story, playing


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_an_answer_is_heard_and_the_caller_hangs_up(
    network: Network, lines: Lines, ears: list[str]
) -> None:
    story, playing = await begin(lines, CALLER)
    (dialled,) = network.dialled
    assert dialled["channel"] == "PJSIP/18005550199@pbx"
    assert dialled["caller_id"] == "<+12125550107>"
    network.answer()
    await playing
    assert story.end is End.SERVED
    assert network.pressed == ["1", "4"]
    assert network.hung_up == [story.line.id]
    assert story.line.hung_up
    assert [phase for _, phase in story.phases] == [
        Phase.RINGING,
        Phase.MENU,
        Phase.ANSWER,
        Phase.OVER,
    ]
    assert ears == ["up 14006", "over 14006"]
    assert lines.open == 0


async def test_a_call_that_is_never_answered_was_refused(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, CALLER)
    network.end(cause="34")
    await playing
    assert story.end is End.REFUSED
    assert story.line.cause == 34
    assert network.pressed == []
    assert network.hung_up == []


async def test_no_link_and_a_failed_originate_are_refusals_too(
    network: Network, lines: Lines
) -> None:
    network.refuse = True
    story, playing = await begin(lines, CALLER)
    await playing
    assert story.end is End.REFUSED
    network.refuse = False
    story, playing = await begin(lines, CALLER)
    network.tell("OriginateResponse", Uniqueid=network.call, Response="Failure")
    await playing
    assert story.end is End.REFUSED


async def test_hung_up_on_in_the_menu_is_dropped(network: Network, lines: Lines) -> None:
    slow = dataclasses.replace(CALLER, keys=((0.0, "1"), (60.0, "4")))
    story, playing = await begin(lines, slow)
    network.answer()
    await until(lambda: network.pressed)
    network.end()
    await playing
    assert story.end is End.DROPPED
    assert network.hung_up == []


async def test_an_agent_is_recognised_by_the_sound_alone(
    network: Network, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surge_caller, "HELLO_AFTER", (0.0, 0.0))
    story, playing = await begin(lines, AGENT)
    network.answer()
    await until(lambda: story.phase is Phase.WAITING)
    network.agent(direction="Sent")
    network.agent(digit="5")
    network.agent(call="another")
    assert not story.line.agent.is_set()
    network.agent()
    await until(lambda: story.phase is Phase.AGENT)
    first = story.line.agent_at
    network.agent()
    assert story.line.agent_at == first
    await until(lambda: network.pressed == ["1", "0", "C", "C"])
    network.end()
    await playing
    assert story.end is End.AGENT
    assert story.wait is not None
    assert story.wait >= 0
    assert not story.line.hung_up


async def test_patience_ends_and_the_caller_gives_up(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, dataclasses.replace(AGENT, patience=0.01))
    network.answer()
    await playing
    assert story.end is End.GAVE_UP
    assert story.wait is None
    assert network.hung_up == [story.line.id]


async def test_hung_up_on_while_waiting_is_dropped(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, AGENT)
    network.answer()
    await until(lambda: story.phase is Phase.WAITING)
    network.end()
    await playing
    assert story.end is End.DROPPED


TAKES = dataclasses.replace(AGENT, accepts_after=0.0)


async def test_a_call_back_is_asked_for_with_1_until_the_other_side_says_goodbye(
    network: Network, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surge_caller, "ACCEPT_EVERY", 0.01)
    network.on_key = lambda _key: network.end() if network.pressed.count("1") == 4 else None
    story, playing = await begin(lines, TAKES)
    network.answer()
    await playing
    assert story.end is End.CALLED_BACK
    assert network.pressed == ["1", "0", "1", "1", "1"]
    assert story.since(Phase.KEEPING) is not None


async def test_an_agent_who_comes_meanwhile_is_taken(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, TAKES)
    network.answer()
    await until(lambda: network.pressed.count("1") == 2)
    network.agent()
    await until(lambda: story.phase is Phase.AGENT)
    network.end()
    await playing
    assert story.end is End.AGENT
    assert network.pressed.count("1") == 2


async def test_who_is_not_offered_a_call_back_waits_on(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, TAKES, offered=False)
    network.answer()
    await until(lambda: story.phase is Phase.WAITING)
    network.agent()
    network.end()
    await playing
    assert story.end is End.AGENT
    assert network.pressed == ["1", "0"]


async def test_an_offer_that_is_not_heard_leads_back_to_waiting(
    network: Network, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surge_caller, "ACCEPT_EVERY", 0.0)
    monkeypatch.setattr(surge_caller, "ACCEPT_TRIES", 3)
    story, playing = await begin(lines, dataclasses.replace(TAKES, patience=0.05))
    network.answer()
    await playing
    assert story.end is End.GAVE_UP
    assert network.pressed == ["1", "0", "1", "1", "1"]


async def test_a_caller_presses_as_soon_as_the_other_side_waits(network: Network) -> None:
    ami = cast(AmiClient, network)
    quiet = 0.0
    lines = Lines(ami, [ami], quiet=lambda _line: quiet)
    line = await lines.place("18005550199", CALLER.number)
    asked = asyncio.create_task(lines.asked(line, 60), name="test:asked")
    await asyncio.sleep(0)
    assert not asked.done()
    quiet = 1.0
    assert not await asked
    network.end()
    quiet = 0.0
    assert await lines.asked(line, 60)


async def test_a_key_on_a_line_that_ends_is_no_fault(network: Network, lines: Lines) -> None:
    def gone(_key: str) -> None:
        raise Refused("PlayDTMF", "Channel not found")

    network.on_key = gone
    line = await lines.place("18005550199", CALLER.number)
    await lines.press(line, "1")
    network.end()
    await lines.press(line, "2")
    assert network.pressed == ["1"]


async def test_a_caller_who_is_told_to_stop_hangs_up(network: Network, lines: Lines) -> None:
    story, playing = await begin(lines, AGENT)
    network.answer()
    await until(lambda: story.phase is Phase.WAITING)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert network.hung_up == [story.line.id]
    assert story.phase is Phase.OVER
    assert story.end is None


def test_where_a_caller_was_at_a_moment() -> None:
    line = Line("x", 0.0)
    story = Story(CALLER, line, phases=[(1.0, Phase.MENU), (5.0, Phase.WAITING)])
    assert story.phase_at(0.5) is Phase.RINGING
    assert story.phase_at(1.0) is Phase.MENU
    assert story.phase_at(7.0) is Phase.WAITING


async def test_called_people_are_watched_by_their_own_telephones(network: Network) -> None:
    watch = CalledBack(cast(AmiClient, network))
    network.tell("Newchannel", Channel="PJSIP/pbx-1", Exten="+12125550107", Uniqueid="u1")
    network.tell("Newchannel", Channel="PJSIP/phone-1001-2", Exten="+12125550108", Uniqueid="u2")
    network.tell("Newchannel", Channel="PJSIP/pbx-3", Exten="agent-1001", Uniqueid="u3")
    assert watch.open == 1
    network.agent(call="u1", direction="Sent")
    assert watch.talking == 0
    network.agent(call="u1")
    assert watch.talking == 1
    network.end(call="u1")
    assert (watch.open, watch.talking) == (0, 0)
    ((number, (ring,)),) = watch.rings.items()
    assert number == "+12125550107"
    assert ring.agent_at is not None
    assert ring.ended is not None
    watch.close()
    network.tell("Newchannel", Channel="PJSIP/pbx-4", Exten="+12125550109", Uniqueid="u4")
    assert watch.open == 0
