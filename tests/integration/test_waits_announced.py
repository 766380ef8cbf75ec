"""What waiting callers hear on a real Asterisk, recorded as it reaches their telephones.

Each text's sound is a byte of its own, repeated; ulaw goes through Asterisk unchanged, so what was
heard, and how often, can be read off the recording.
"""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import pytest_asyncio
from sqlalchemy import select

from incident.store.agents import list_agents
from incident.store.incidents import active_incidents
from incident.store.schema import CallRow
from pbx.ami import Event, Refused
from pbx.prompts import waits
from pbx.prompts.numbers import number_sounds
from tests.running import Running, eventually, running
from tests.sip_caller import SipCall, calling
from tests.sip_peer import Ringing, sip_peer

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIND = "127.0.20.1"
CARRIER = "127.0.20.2"
AGENT = "127.0.20.3"
DID = "+18005550199"
QUEUE = "northwind-en"
TELEPHONE = "PJSIP/agent-1001"
FRAME = 160
"""Samples of one packet; sounds are whole packets long."""
MARKS = {
    text: bytes([0x20 + index]) * FRAME * 25
    for index, text in enumerate((*waits.TEXTS, "no_agent"))
}
EVERY = 2
"""Seconds between announcements in these tests."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER) as made:
        await speak(made)
        yield made


async def speak(system: Running) -> None:
    """Give each text its sound, and have announcements come often."""
    for text, sound in MARKS.items():
        live = system.home.prompts / "live" / "northwind" / "en" / f"{text}.ulaw"
        live.resolve().write_bytes(sound)
    waits.compose_waits(
        system.home,
        "northwind",
        ("en", "es"),
        sounds=system.home.asterisk / "sounds",
        formats=("ulaw",),
        offer=True,
    )
    conf = system.home.asterisk / "etc" / "queues.conf"
    text = re.sub(r"(?m)^(announce-frequency) = 60$", rf"\1 = {EVERY}", conf.read_text())
    text = re.sub(r"(?m)^(min-announce-frequency) = 45$", rf"\1 = {EVERY}", text)
    conf.write_text(text)
    await system.ami.action("QueueReload", {"Parameters": "yes"})


@pytest_asyncio.fixture(loop_scope="module")
async def system(whole_system: Running) -> AsyncIterator[Running]:
    if whole_system.hotline is None:
        await whole_system.start_hotline()
    yield whole_system
    for event in await whole_system.ami.collect("CoreShowChannels"):
        with suppress(Refused):
            await whole_system.ami.action("Hangup", {"Channel": event.get("Channel")})
    for queue in (QUEUE, "northwind-es"):
        with suppress(Refused):
            await whole_system.ami.action("QueueRemove", {"Queue": queue, "Interface": TELEPHONE})

    async def quiet() -> bool:
        return not await whole_system.ami.collect("CoreShowChannels")

    await eventually(quiet)


def range_sound(system: Running, low: int, high: int) -> bytes:
    """What a range sounds like."""
    folder = waits.waits_folder(system.home, "northwind", "en")
    variant = waits.variant("en", low, high, offer=False)
    return (folder / variant / f"{waits.ANNOUNCEMENT}.ulaw").read_bytes()


def heard(call: SipCall, sound: bytes) -> int:
    return bytes(call.media.heard).count(sound)


def number(system: Running, value: int) -> bytes:
    folder = system.home.asterisk / "sounds" / "en"
    return b"".join((folder / f"{each}.ulaw").read_bytes() for each in number_sounds("en", value))


@asynccontextmanager
async def in_line(system: Running, caller: str) -> AsyncIterator[SipCall]:
    """A caller who chose English and an agent, through the hotline's menus."""
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1,,0")
        yield call


async def stands(system: Running, count: int) -> None:
    async def there() -> bool:
        entries = await system.ami.collect("QueueStatus", {"Queue": QUEUE})
        return sum(entry.name == "QueueEntry" for entry in entries) == count

    await eventually(there)


@asynccontextmanager
async def busy_agent(system: Running, *, caller: str) -> AsyncIterator[SipCall]:
    """An agent who talks with this caller."""
    calls: list[Ringing] = []

    def ring(call: Ringing) -> None:
        calls.append(call)
        call.answer()

    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(sip_peer(AGENT, 5060, ring))
        (known,) = await list_agents(system.store)
        await peer.register("agent-1001", known.password, (BIND, 5060))
        await system.sign_in("1001", QUEUE)
        first = await stack.enter_async_context(in_line(system, caller))
        await eventually(lambda: bool(calls))

        async def talks() -> bool:
            channels = await system.ami.collect("CoreShowChannels")
            return sum(bool(each.get("BridgeId")) for each in channels) == 2

        await eventually(talks)
        yield first
        for call in calls:
            if not call.ended.is_set():
                call.hang_up()


async def promised(system: Running, caller: str) -> tuple[int, int]:
    """The range (minutes) that was spoken first to a caller, once it was."""
    (active,) = await active_incidents(system.store)

    async def row() -> CallRow | None:
        async with system.store.read() as session:
            return await session.scalar(
                select(CallRow)
                .where(CallRow.ani_hash == active.key.lookup_hash(caller))
                .order_by(CallRow.started_at.desc())
            )

    async def spoken() -> bool:
        found = await row()
        return found is not None and found.promised_high is not None

    await eventually(spoken)
    found = await row()
    assert found is not None
    assert found.promised_low is not None
    assert found.promised_high is not None
    return int(found.promised_low // 60), int(found.promised_high // 60)


async def announcements(call: SipCall, count: int) -> None:
    """Wait for so many more announcements, each of which ends with the offer."""
    before = heard(call, MARKS[waits.OFFER])
    await eventually(lambda: heard(call, MARKS[waits.OFFER]) >= before + count, 60)


async def test_place_range_and_offer_are_heard_at_once_and_the_range_once(
    system: Running,
) -> None:
    async with (
        busy_agent(system, caller="+12025550101"),
        in_line(system, "+12025550102") as first,
    ):
        low, high = await promised(system, "+12025550102")
        assert 0 <= low < high
        sound = range_sound(system, low, high)
        assert heard(first, MARKS[waits.NEXT]) == 1
        assert heard(first, sound) == 1
        assert heard(first, sound + MARKS[waits.OFFER]) == 1
        async with in_line(system, "+12025550103") as second:
            await promised(system, "+12025550103")
            assert heard(second, MARKS[waits.PLACE]) == 1
            assert number(system, 2) in bytes(second.media.heard)
        await announcements(first, 2)
        assert heard(first, sound) == 1
        assert heard(first, MARKS[waits.ANNOUNCEMENT] + MARKS[waits.OFFER]) >= 2


async def test_an_improved_range_is_heard_exactly_once(system: Running) -> None:
    async with busy_agent(system, caller="+12025550101"), AsyncExitStack() as ahead:
        for index in range(6):
            await ahead.enter_async_context(in_line(system, f"+1202555011{index}"))
            await stands(system, index + 1)
        async with in_line(system, "+12025550104") as caller:
            first = await promised(system, "+12025550104")
            await announcements(caller, 1)
            ranges = {(low, high): range_sound(system, low, high) for low, high in waits.ranges()}

            def said() -> dict[tuple[int, int], int]:
                counts = {each: heard(caller, sound) for each, sound in ranges.items()}
                return {each: count for each, count in counts.items() if count}

            assert said() == {first: 1}
            await ahead.aclose()
            await stands(system, 1)
            await eventually(lambda: len(said()) == 2, 60)
            (better,) = said().keys() - {first}
            assert better[1] < first[1]
            await announcements(caller, 3)
            assert said() == {first: 1, better: 1}


async def test_a_key_during_the_announcement_leaves_the_line(system: Running) -> None:
    left: list[Event] = []
    undo = system.ami.subscribe(["QueueCallerLeave"], left.append)
    try:
        async with (
            busy_agent(system, caller="+12025550101"),
            in_line(system, "+12025550105") as caller,
        ):
            await stands(system, 1)
            left.clear()
            begun = MARKS[waits.ANNOUNCEMENT][: 5 * FRAME]
            await eventually(lambda: heard(caller, begun) > 0, 60)
            await caller.press("1")
            await eventually(lambda: bool(left))
            assert heard(caller, MARKS[waits.ANNOUNCEMENT]) == 0
    finally:
        undo()


async def test_announcements_go_on_without_the_hotline(system: Running) -> None:
    async with (
        busy_agent(system, caller="+12025550101"),
        in_line(system, "+12025550106") as caller,
    ):
        first = await promised(system, "+12025550106")
        await system.stop_hotline(signal.SIGKILL)
        await announcements(caller, 2)
        await system.start_hotline()
        await announcements(caller, 2)
        assert heard(caller, range_sound(system, *first)) == 1


async def test_who_is_put_through_hears_nothing_of_waiting(system: Running) -> None:
    async with busy_agent(system, caller="+12025550107") as caller:
        for text in (waits.NEXT, waits.PLACE, waits.ANNOUNCEMENT, waits.OFFER):
            assert heard(caller, MARKS[text]) == 0
