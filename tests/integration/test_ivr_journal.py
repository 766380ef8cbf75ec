"""Calls reach the store in groups, after failures too, and never hold anybody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from incident.plan import parse_plan
from incident.store.calls import StoredCall
from incident.store.engine import Store
from incident.store.incidents import activate
from incident.store.schema import CallRow
from ivr import journal as module
from ivr.journal import Journal
from tests.running import SAMPLE

CALL = StoredCall(
    id="node1-1.1",
    incident_id="northwind",
    node="node1",
    via="hotline",
    language=None,
    ani_enc=b"sealed",
    ani_hash=b"hash",
    content_version="v",
    menu_path="",
    leaves=0,
    started_at=1.0,
    queued_at=None,
    connected_at=None,
    ended_at=None,
    wait_seconds=None,
    agent=None,
    outcome=None,
)


@pytest.fixture
async def ready(store: Store) -> Store:
    text = SAMPLE.read_text(encoding="utf-8")
    await activate(store, parse_plan(text, "sample"), text, 1.0)
    return store


class Failing:
    """A store whose database is away for the next ``failures`` transactions."""

    def __init__(self, store: Store, failures: int) -> None:
        self._store = store
        self.dialect = store.dialect
        self.failures = failures
        self.transactions = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        self.transactions += 1
        if self.failures > 0:
            self.failures -= 1
            raise OperationalError("INSERT", {}, Exception("gone"))
        async with self._store.write() as session:
            yield session


async def stored(store: Store) -> list[CallRow]:
    async with store.read() as session:
        return list(await session.scalars(select(CallRow).order_by(CallRow.id)))


async def test_calls_of_a_moment_are_one_transaction(ready: Store) -> None:
    counting = Failing(ready, 0)
    journal = Journal(counting)  # type: ignore[arg-type]
    await journal.start()
    for number in range(100):
        journal.call(replace(CALL, id=f"node1-1.{number}"))
    await journal.stop()
    assert len(await stored(ready)) == 100
    assert counting.transactions == 1


async def test_the_last_state_of_a_call_counts(ready: Store) -> None:
    journal = Journal(ready)
    await journal.start()
    journal.call(CALL)
    journal.call(replace(CALL, language="es", leaves=2))
    await journal.stop()
    await journal.start()
    journal.call(replace(CALL, language="es", leaves=3, ended_at=9.0, outcome="self_service"))
    await journal.stop()
    (row,) = await stored(ready)
    assert (row.language, row.leaves, row.ended_at, row.outcome) == ("es", 3, 9.0, "self_service")
    assert (row.ani_enc, row.started_at) == (b"sealed", 1.0)


async def test_a_database_that_comes_back_gets_everything(
    ready: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.001)
    failing = Failing(ready, 3)
    journal = Journal(failing)  # type: ignore[arg-type]
    await journal.start()
    journal.call(CALL)
    async with asyncio.timeout(20):
        while not await stored(ready):
            await asyncio.sleep(0.01)
    await journal.stop()
    assert failing.transactions == 4
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "sealed" not in caplog.text


async def test_a_row_that_the_database_refuses_holds_nobody_up(ready: Store) -> None:
    journal = Journal(ready)
    await journal.start()
    journal.call(replace(CALL, id="node1-1.2", incident_id="nowhere"))
    journal.call(CALL)
    await journal.stop()
    assert [row.id for row in await stored(ready)] == [CALL.id]
    assert journal.dropped == 1


async def test_memory_is_bounded_while_the_database_is_away(
    ready: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MEMORY", 3)
    journal = Journal(ready)
    for number in range(5):
        journal.call(replace(CALL, id=f"node1-1.{number}"))
    assert journal.dropped == 2
    await journal.start()
    await journal.stop()
    assert [row.id for row in await stored(ready)] == ["node1-1.2", "node1-1.3", "node1-1.4"]


async def test_stop_does_not_wait_for_ever(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.001)
    journal = Journal(Failing(ready, 10**9))  # type: ignore[arg-type]
    await journal.start()
    journal.call(CALL)
    await journal.stop(timeout=0.2)
    assert await stored(ready) == []
