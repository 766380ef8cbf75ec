"""Callers on a real Asterisk: what they press is what they get, and each call is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.store.schema import CallRow
from tests.running import Running, eventually, running
from tests.sip_caller import SipCall, calling

BIND = "127.0.0.24"
CARRIER = "127.0.24.1"
DID = "+18005550199"


@pytest.fixture
async def system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER) as made:
        yield made


def dial(number: str = DID) -> object:
    return calling(CARRIER, BIND, number)


async def rows(system: Running) -> list[CallRow]:
    async with system.store.read() as session:
        return list(await session.scalars(select(CallRow).order_by(CallRow.started_at)))


async def ended(system: Running, number: int = 1) -> list[CallRow]:
    """The stored calls, once so many have ended."""

    async def enough() -> bool:
        return sum(row.ended_at is not None for row in await rows(system)) >= number

    await eventually(enough)
    return await rows(system)


async def way(system: Running, *steps: str) -> None:
    """Wait until the last call has gone these steps (they are written at leaves and at ends)."""

    async def there() -> bool:
        found = await rows(system)
        return bool(found) and found[-1].menu_path.split() == list(steps)

    await eventually(there)


async def test_a_caller_chooses_a_language_hears_an_answer_and_hangs_up(system: Running) -> None:
    await system.start_hotline()
    async with calling(CARRIER, BIND, DID) as call:
        await call.press(",2,1")
        await way(system, "language:2", "main:1")
    (row,) = await ended(system)
    assert row.outcome == CallOutcome.SELF_SERVICE
    assert (row.language, row.leaves, row.via) == ("es", 1, "hotline")
    assert row.ani_enc is not None
    assert b"2025550123" not in row.ani_enc
    assert isinstance(call, SipCall)
