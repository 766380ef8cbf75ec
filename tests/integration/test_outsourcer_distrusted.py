"""What a caller's call brings along does not reach the outsourcer, and an outsourcer cannot have
anybody else called, on a real Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from incident.settings import CarrierSettings
from pbx import names
from tests.running import Running, eventually, plan_text, running
from tests.sip_caller import SipCall
from tests.sip_peer import PATIENCE, Ringing, sip_peer

PBX, CARRIER, OUTSOURCER, STRANGER = "127.0.26.1", "127.0.26.2", "127.0.26.3", "127.0.26.4"
NUMBER = "+18885550177"
SECRETS = ("Robin", "Example", "2125550144", "2125550166", "secret-of-the-carrier")


class TalkativeCall(SipCall):
    """A call that says everything about its caller."""

    def _send(self, method: str, uri: str, sequence: int, extra: list[str], body: str) -> None:
        if method == "INVITE":
            person = '"Robin Example" <sip:+12125550166@example.com>'
            extra = [
                *extra,
                f"P-Asserted-Identity: {person}",
                f"P-Preferred-Identity: {person}",
                f"Remote-Party-ID: {person};party=calling",
                f"Diversion: {person};reason=unconditional",
                f"History-Info: {person};index=1",
                f"Referred-By: {person}",
                "User-to-User: 526f62696e;encoding=hex",
                "Subject: Robin Example",
                "Reason: Q.850;cause=16;text=secret-of-the-carrier",
                "X-Breachline-Reference: secret-of-the-carrier",
                "X-BL-Dial: +12125550166",
            ]
        super()._send(method, uri, sequence, extra, body)


@asynccontextmanager
async def helped() -> AsyncIterator[tuple[Running, asyncio.Queue[Ringing], list[Ringing]]]:
    """A hotline that sends everybody to the outsourcer; what rings there, and at the carrier."""
    rings: asyncio.Queue[Ringing] = asyncio.Queue()
    elsewhere: list[Ringing] = []
    text = (
        f"{plan_text()}\noverflow:\n  carrier: helpers\n  number: '{NUMBER}'\n  share: 1\n"
        "  when_wait_over: 300\n  pass: [reference, language]\n"
    )
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(
            running(
                bind=PBX,
                carrier=CARRIER,
                plans=(text,),
                trunks=(CarrierSettings(name="helpers", host=OUTSOURCER, max_channels=2),),
            )
        )
        await system.start_hotline()
        await stack.enter_async_context(sip_peer(OUTSOURCER, 5060, rings.put_nowait))
        await stack.enter_async_context(sip_peer(CARRIER, 5060, elsewhere.append))
        yield system, rings, elsewhere


@asynccontextmanager
async def wanting_an_agent() -> AsyncIterator[SipCall]:
    call = TalkativeCall(CARRIER, (PBX, 5060), "18005550199", "+12125550144")
    try:
        await call.dial()
        await call.press(",,1,,0")
        yield call
    finally:
        if call.answered.is_set() and not call.over.is_set():
            call.hang_up()
        call.close()


async def next_of(rings: asyncio.Queue[Ringing]) -> Ringing:
    async with asyncio.timeout(PATIENCE):
        return await rings.get()


async def waiting(system: Running) -> int:
    events = await system.ami.collect("QueueStatus", {"Queue": "northwind-en"})
    return sum(event.name == "QueueEntry" for event in events)


async def test_nothing_that_the_carrier_told_is_passed_on() -> None:
    async with helped() as (_, rings, _), wanting_an_agent():
        call = await next_of(rings)
        told = " ".join(f"{name}: {value}" for name, value in call.invite.headers)
        assert not [secret for secret in SECRETS if secret in told], told
        assert call.header("X-Breachline-Language") == "en"
        assert call.header("X-Breachline-Reference") == ""


@pytest.mark.parametrize(
    "place",
    [
        f"sip:+19005550123@{CARRIER}",
        f"sip:northwind@{PBX}",
        f"sip:s@{PBX}",
        f"sip:18005550199@{PBX}",
        "tel:+12125550166",
    ],
)
async def test_an_outsourcer_who_has_moved_sends_nobody_anywhere(place: str) -> None:
    async with helped() as (system, rings, elsewhere), wanting_an_agent() as caller:
        call = await next_of(rings)
        call.moved_to = place
        call.reply(302)

        async def back() -> bool:
            return await waiting(system) == 1

        await eventually(back)
        assert rings.empty()
        assert elsewhere == []
        assert not caller.over.is_set()
        channels = await system.ami.collect("CoreShowChannels")
        assert [e.get("Channel")[:5] for e in channels if e.name == "CoreShowChannel"] == ["PJSIP"]


@pytest.mark.parametrize(
    "name", [names.carrier_endpoint("helpers"), names.inbound_endpoint("helpers")]
)
async def test_nobody_is_a_carrier_by_saying_so(name: str) -> None:
    """Carriers are known by their addresses: who comes from another one is asked for a password,
    and none will do."""
    async with helped():
        stranger = SipCall(STRANGER, (PBX, 5060), "18005550199", name)
        try:
            await stranger.dial()
            assert stranger.status == 401
        finally:
            if not stranger.over.is_set():
                stranger.hang_up()
            stranger.close()
