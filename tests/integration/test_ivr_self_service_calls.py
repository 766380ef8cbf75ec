"""Self-service on a real Asterisk: a code is spelt with its recorded sounds, a stop is kept, and
an agent is told of a relay call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from sqlalchemy import select

from incident.outcomes import SelfServiceResult
from incident.store.agents import list_agents
from incident.store.incidents import active_incidents
from incident.store.schema import CallRow, ContactRow, DoNotCallRow, ImportRow
from pbx.ami import Event
from tests.running import Running, eventually, running
from tests.sip_caller import calling
from tests.sip_peer import Ringing, sip_peer

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIND = "127.0.22.1"
CARRIER = "127.0.22.2"
AGENT = "127.0.22.3"
DID = "+18005550199"
REFERENCE = "4820"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER) as made:
        await made.start_hotline()
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offers(system: Running) -> AsyncIterator[list[Ringing]]:
    """What rings at the one agent's telephone, who answers everything."""
    rung: list[Ringing] = []

    def ring(call: Ringing) -> None:
        rung.append(call)
        call.answer()

    async with sip_peer(AGENT, 5060, ring) as peer:
        (known,) = await list_agents(system.store)
        await peer.register("agent-1001", known.password, (BIND, 5060))
        yield rung


async def result(system: Running) -> str | None:
    async with system.store.read() as session:
        return await session.scalar(
            select(CallRow.result).order_by(CallRow.started_at.desc()).limit(1)
        )


async def test_a_code_is_spelt_to_its_end(system: Running) -> None:
    """What cannot be played fails the flow, and the caller would take the emergency path."""
    (incident,) = await active_incidents(system.store)
    async with system.store.write() as session:
        session.add(
            ImportRow(
                id=1,
                incident_id=incident.id,
                source="x",
                source_hash="x",
                started_at=1.0,
                committed_at=1.0,
            )
        )
        await session.flush()
        session.add(
            ContactRow(
                incident_id=incident.id,
                import_id=1,
                import_line=1,
                reference=REFERENCE,
                phone_enc=b"x",
                phone_hash=b"x",
                language="es",
                data_types="ssn",
                activation_enc=incident.key.encrypt("AZ-9"),
            )
        )
    seen: list[Event] = []
    undo = system.ami.subscribe(["UserEvent"], seen.append)
    try:
        async with calling(CARRIER, BIND, DID, caller="+12025550111") as call:
            await call.press(f",2,4,,1,{REFERENCE}#")

            async def told() -> bool:
                return await result(system) == SelfServiceResult.CODE_TOLD

            await eventually(told)

            async def waits() -> bool:
                events = await system.ami.collect("QueueStatus")
                return any(event.name == "QueueEntry" for event in events)

            # A caller who says nothing after the code is taken to an agent in the end.
            await eventually(waits, 90)
    finally:
        undo()
    assert not [event for event in seen if event.get("UserEvent") == "BreachlineEmergency"]
    assert "CommandFailed" not in system.log("hotline")


async def test_three_keys_stop_the_calls(system: Running) -> None:
    (incident,) = await active_incidents(system.store)

    async def kept() -> bool:
        async with system.store.read() as session:
            found = await session.scalars(select(DoNotCallRow.phone_hash))
            return incident.key.lookup_hash("+12025550112") in found.all()

    async with calling(CARRIER, BIND, DID, caller="+12025550112") as call:
        await call.press(",1,6,4,,1,1")
        await eventually(kept)


def _more_than(offers: list[Ringing], number: int) -> bool:
    return len(offers) > number


async def test_the_agent_is_told_of_a_relay_call_and_of_no_other(
    system: Running, offers: list[Ringing]
) -> None:
    await system.sign_in("1001", "northwind-en")
    for keys, told in ((",1,6,5", "1"), (",1,0", "")):
        before = len(offers)
        async with calling(CARRIER, BIND, DID, caller="+12025550113") as call:
            await call.press(keys)
            await eventually(partial(_more_than, offers, before))
            assert offers[-1].header("X-Breachline-Relay") == told
            await offers[-1].acknowledged.wait()
            offers[-1].hang_up()
            await call.ended()
