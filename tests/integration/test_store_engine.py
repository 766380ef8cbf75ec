"""The store's engine and migrations, on SQLite and (with BREACHLINE_TEST_POSTGRES) PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from incident.home import Home
from incident.privacy import Keyring
from incident.store import engine as engine_module
from incident.store.engine import Store, StoreBusy, StoreError, migrate, open_store
from incident.store.schema import AgentRow, Base
from incident.store.upgrade import SchemaTooNew, downgrade, locked_connection, upgrade
from tests.database import on_postgres

only_sqlite = pytest.mark.skipif(on_postgres(), reason="about SQLite's file")


def agent(number: str) -> AgentRow:
    return AgentRow(number=number, incidents="a", languages="en", secret_enc=b"", created_at=0.0)


async def numbers(store: Store) -> list[str]:
    async with store.read() as session:
        return sorted(await session.scalars(select(AgentRow.number)))


async def test_what_is_written_is_read_after_the_write_ends(store: Store) -> None:
    async with store.write() as session:
        session.add(agent("101"))
        await session.flush()
        assert await numbers(store) == []
    assert await numbers(store) == ["101"]


async def test_an_error_rolls_back_and_the_next_write_goes_on(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.write() as session:
            session.add(agent("101"))
            await session.flush()
            raise ZeroDivisionError
    async with store.write() as session:
        session.add(agent("102"))
    assert await numbers(store) == ["102"]


async def test_a_cancelled_write_leaves_nothing_and_blocks_nobody(store: Store) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with store.write() as session:
            session.add(agent("101"))
            await session.flush()
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait(), name="cancelled write")
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.write() as session:
        session.add(agent("102"))
    assert await numbers(store) == ["102"]


async def test_a_read_session_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        async with store.read() as session:
            session.add(agent("101"))
            await session.flush()
    async with store.write() as session:
        session.add(agent("102"))
    assert await numbers(store) == ["102"]


async def test_concurrent_increments_lose_nothing(store: Store) -> None:
    async with store.write() as session:
        session.add(agent("101"))

    async def increment() -> None:
        async with store.write() as session:
            row = await session.get_one(AgentRow, "101", with_for_update=True)
            row.created_at += 1

    await asyncio.gather(*(increment() for _ in range(40)))
    async with store.read() as session:
        assert (await session.get_one(AgentRow, "101")).created_at == 40


async def test_foreign_keys_are_enforced(store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        async with store.write() as session:
            await session.execute(
                text(
                    "INSERT INTO imports (incident_id, source, source_hash, started_at, added,"
                    " known, rejected) VALUES ('nobody', '', '', 0, 0, 0, 0)"
                )
            )


@contextmanager
def other_process_writes(file: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield other
    finally:
        other.close()


@only_sqlite
async def test_a_write_waits_for_another_process(store: Store, home: Home) -> None:
    async def write() -> None:
        async with store.write() as session:
            session.add(agent("101"))

    with other_process_writes(home.database_file) as other:
        task = asyncio.create_task(write(), name="waiting write")
        await asyncio.sleep(0)
        assert await numbers(store) == []
        other.execute("COMMIT")
        await task
    assert await numbers(store) == ["101"]


@only_sqlite
async def test_a_stuck_other_process_is_a_typed_refusal(
    database_url: str, home: Home, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0.05)
    async with open_store(database_url, keyring) as store:
        with other_process_writes(home.database_file), pytest.raises(StoreBusy, match="try again"):
            async with store.write() as session:
                session.add(agent("101"))
        async with store.write() as session:
            session.add(agent("102"))
        assert await numbers(store) == ["102"]


@only_sqlite
async def test_a_cancelled_wait_for_the_lock_leaves_the_store_usable(
    store: Store, home: Home
) -> None:
    async def write() -> None:
        async with store.write() as session:
            session.add(agent("101"))

    with other_process_writes(home.database_file) as other:
        task = asyncio.create_task(write(), name="waiting write")
        await numbers(store)  # the writer is by now waiting in SQLite
        task.cancel()
        other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await task
    async with store.write() as session:
        session.add(agent("102"))
    assert await numbers(store) == ["102"]


@only_sqlite
async def test_the_file_is_its_owners_alone_and_in_wal_mode(
    empty_database_url: str, home: Home
) -> None:
    await migrate(empty_database_url)
    assert stat.S_IMODE(home.database_file.stat().st_mode) == 0o600
    with sqlite3.connect(home.database_file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "mysql+aiomysql://h/d", "nonsense"],
)
async def test_an_unusable_url_is_refused(url: str, keyring: Keyring) -> None:
    with pytest.raises(StoreError, match=r"\[database\] url"):
        async with open_store(url, keyring):
            pass
    with pytest.raises(StoreError, match=r"\[database\] url"):
        await migrate(url)


async def test_many_processes_may_migrate_at_once(empty_database_url: str) -> None:
    script = (
        "import asyncio, sys; from incident.store.engine import migrate;"
        "asyncio.run(migrate(sys.argv[1]))"
    )
    starts = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, empty_database_url)
        for _ in range(4)
    ]
    assert [await process.wait() for process in starts] == [0, 0, 0, 0]
    assert "contacts" in tables(empty_database_url)


def tables(url: str) -> list[str]:
    with locked_connection(make_url(url)) as connection:
        return inspect(connection).get_table_names()


def test_migrations_go_up_down_and_up_again(empty_database_url: str) -> None:
    url = make_url(empty_database_url)
    upgrade(url)
    assert set(Base.metadata.tables) <= set(tables(empty_database_url))
    downgrade(url, "0001")
    upgrade(url)
    downgrade(url, "base")
    assert set(tables(empty_database_url)) <= {"alembic_version"}
    upgrade(url)
    upgrade(url)
    assert set(Base.metadata.tables) <= set(tables(empty_database_url))


def test_migrations_make_exactly_the_tables_of_the_models(database_url: str) -> None:
    with locked_connection(make_url(database_url)) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    with locked_connection(make_url(database_url)) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="newer"):
        await migrate(database_url)


async def test_an_error_of_the_database_does_not_hold_the_values(store: Store) -> None:
    async with store.read() as session:
        with pytest.raises(DBAPIError) as refused:
            await session.execute(text("SELECT nothing_like_it, :n"), {"n": "private value"})
    assert "private value" not in str(refused.value)


@only_sqlite
async def test_a_committed_write_survives_a_power_cut(store: Store) -> None:
    async with store.write() as session:
        full = 2
        assert await session.scalar(text("PRAGMA synchronous")) == full
