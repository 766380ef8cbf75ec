"""How many calls a node takes, counted by Asterisk: the short way, then 503, hotline or not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio

from incident.settings import LoadSettings
from pbx.ami import Event
from pbx.render import read_secrets
from tests.running import PROJECT, Running, eventually, running
from tests.sip_caller import SipCall, calling
from tests.sip_peer import Ringing, sip_peer

PBX = "127.0.34.1"
CARRIER = "127.0.34.2"
DID = "18005550199"


@pytest_asyncio.fixture
async def small() -> AsyncIterator[Running]:
    """Four calls; above two the short way, above four none."""
    load = LoadSettings(max_channels=4, shed_at=0.5)
    async with running(bind=PBX, carrier=CARRIER, load=load) as system:
        yield system
        assert system.asterisk_complaints() == []


@asynccontextmanager
async def callers(number: int) -> AsyncIterator[list[SipCall]]:
    """So many callers on the line, one after the other."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                calling(CARRIER, PBX, DID, caller=f"+1212555010{index}")
            )
            for index in range(number)
        ]


async def told(*, wanted: int = 503) -> SipCall:
    """One more call, and what the carrier is told."""
    async with calling(CARRIER, PBX, DID, caller="+12125550150") as call:
        assert call.status == wanted
        return call


async def channels(system: Running) -> int:
    return len(await system.ami.collect("CoreShowChannels"))


async def test_beyond_the_last_limit_carriers_are_told_503_and_when_to_come_again(
    small: Running,
) -> None:
    refused: list[Event] = []
    small.ami.subscribe(["UserEvent"], lambda event: _note(event, refused))
    async with callers(4) as lines:
        assert [line.status for line in lines] == [200] * 4

        async def with_retry_after() -> bool:
            return (await told()).retry_after == "300"

        # The first one may come before Asterisk has closed the door: it is refused all the same.
        await eventually(with_retry_after)
        # Whoever is in stays in.
        assert not any(line.over.is_set() for line in lines)
    await eventually(lambda: _open(small))
    assert all(event.get("Incident") == "northwind" for event in refused)


async def test_without_retry_after_the_dialplan_refuses_each_call_itself() -> None:
    load = LoadSettings(max_channels=2, retry_after=False)
    async with running(bind=PBX, carrier=CARRIER, load=load) as system:
        refused: list[Event] = []
        system.ami.subscribe(["UserEvent"], lambda event: _note(event, refused))
        async with callers(2):
            for _ in range(3):
                assert (await told()).retry_after == ""
        await eventually(lambda: len(refused) == 3)

        async def gone() -> bool:
            return await channels(system) == 0

        await eventually(gone)
        async with callers(1) as (line,):
            assert line.status == 200


async def test_calls_that_we_place_go_out_while_the_door_is_closed(small: Running) -> None:
    rings: list[Ringing] = []

    def ring(call: Ringing) -> None:
        rings.append(call)
        call.reply(486)

    async with sip_peer(CARRIER, 5060, ring), callers(4):

        async def closed() -> bool:
            return (await told()).retry_after == "300"

        await eventually(closed)
        await small.ami.originate(
            channel="PJSIP/+12125550101@carrier-public",
            context="outbound",
            exten="s",
            channel_id="0" * 32,
            timeout_ms=5000,
            caller_id="",
            variables={},
        )
        await eventually(lambda: [call.number for call in rings] == ["+12125550101"])


async def test_a_guard_that_is_ended_by_hand_leaves_the_door_open(small: Running) -> None:
    async with callers(4):

        async def closed() -> bool:
            return (await told()).retry_after == "300"

        await eventually(closed)
        found = await small.ami.collect("CoreShowChannels")
        guards = [event.get("Channel") for event in found if "@closed-far" in event.get("Channel")]
        assert len(guards) == 2  # the two legs of one Local channel
        await small.ami.action("Hangup", {"Channel": guards[0]})

        async def opened() -> bool:
            return (await told()).retry_after == ""

        # The limit holds all the same.
        await eventually(opened)
    await eventually(lambda: _open(small))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("5038", "open"), 0), (("5038", "ajar"), 1), (("5037", "open"), 1), (("x", "open"), 1)],
)
async def test_the_doorkeeper_says_when_it_could_not_do_it(
    small: Running, arguments: tuple[str, str], status: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pbx.carriers",
        str(small.home.root),
        PBX,
        *arguments,
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        _, said = await process.communicate(b"agi_request: carriers\n\n")
    assert process.returncode == status
    assert said.decode().startswith("breachline carriers: ") == (status == 1)
    assert read_secrets(small.home).ami_secret not in said.decode()


async def _open(system: Running) -> bool:
    """Nobody is on the line, the guard neither, and a new call is taken."""
    if await channels(system):
        return False
    async with callers(1) as (line,):
        return line.status == 200


def _note(event: Event, refused: list[Event]) -> None:
    if event.get("UserEvent") == "BreachlineRefused":
        refused.append(event)
