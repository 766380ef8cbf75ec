"""The dialer's books: what the store refuses for a while, or for good, stops nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from dialer import books as module
from dialer.books import Books
from incident.outcomes import AttemptOutcome
from incident.store import attempts, campaigns
from incident.store.attempts import Ending, NextStep, lease_and_open
from incident.store.campaigns import Desired
from incident.store.engine import Store
from incident.store.schema import ContactState
from tests.dialer_world import BOTH, DRAFT, activated, add_contacts, attempts_of

PHONES = ["+12125550101", "+12125550102"]
ENDING = Ending(AttemptOutcome.BUSY, 110.0)


def last(_tries: int, _same: int) -> NextStep:
    return NextStep(ContactState.EXHAUSTED)


async def opened(store: Store) -> list[str]:
    await add_contacts(store, await activated(store), PHONES)
    await campaigns.create(store, DRAFT, BOTH)
    await campaigns.set_desired(store, "notice", Desired.RUNNING, 20.0)
    return [item.id for item in await lease_and_open(store, "notice", "en", 2, 100.0)]


async def settled(books: Books) -> None:
    async with asyncio.timeout(20):
        await books.settled()


@asynccontextmanager
async def kept(store: Store) -> AsyncIterator[Books]:
    books = Books(store)
    books.start()
    try:
        yield books
    finally:
        await books.stop(1.0)


async def test_a_pool_without_a_free_connection_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = await opened(store)
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.01)
    failures: list[SQLAlchemyError] = [PoolTimeout("no connection")]
    real = attempts.finish

    async def finish(
        session: AsyncSession, attempt: str, ending: Ending, decide: attempts.Decide
    ) -> bool:
        if failures:
            raise failures.pop()
        return await real(session, attempt, ending, decide)

    monkeypatch.setattr(attempts, "finish", finish)
    async with kept(store) as books:
        books.end(first, ENDING, last, lambda _first: None)
        await settled(books)
        assert not books.failed
    assert [row.outcome for row in await attempts_of(store) if row.id == first] == ["busy"]


async def test_an_entry_that_cannot_be_written_does_not_keep_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = await opened(store)
    real = attempts.finish

    async def finish(
        session: AsyncSession, attempt: str, ending: Ending, decide: attempts.Decide
    ) -> bool:
        if attempt == first:
            raise InvalidRequestError("this one")
        return await real(session, attempt, ending, decide)

    monkeypatch.setattr(attempts, "finish", finish)
    async with kept(store) as books:
        books.end(first, ENDING, last, lambda _first: None)
        books.end(other, ENDING, last, lambda _first: None)
        await settled(books)
        assert not books.failed
    assert {row.id: row.outcome for row in await attempts_of(store)} == {first: None, other: "busy"}


async def test_a_listener_that_fails_stops_nothing(store: Store) -> None:
    first, other = await opened(store)

    def fail(_first: bool) -> None:
        raise ValueError("a listener's mistake")

    async with kept(store) as books:
        books.end(first, ENDING, last, fail)
        books.end(other, ENDING, last, lambda _first: None)
        await settled(books)
        assert not books.failed
    assert [row.outcome for row in await attempts_of(store)] == ["busy", "busy"]


async def test_a_task_that_breaks_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = await opened(store)
    broken = asyncio.Event()

    async def finish(*_given: object) -> bool:
        broken.set()
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(attempts, "finish", finish)
    books = Books(store)
    books.start()
    books.end(first, ENDING, last, lambda _first: None)
    async with asyncio.timeout(20):
        await broken.wait()
        while not books.failed:
            await asyncio.sleep(0)
    await books.stop(0.01)
