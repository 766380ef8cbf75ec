"""A fresh, migrated database for each test.

SQLite in the test's folder; or, when the environment variable BREACHLINE_TEST_POSTGRES holds
the SQLAlchemy URL of a PostgreSQL server (of any database in it, with the right to create
more), a database of its own there, dropped after the test. ``scripts/with-postgres`` sets it.

Tests take the fixtures ``home``, ``keyring``, ``database_url`` (migrated), ``empty_database_url``
(not migrated), ``store`` and
``incident`` (the sample one, active in it); ``tests/conftest.py`` makes them known everywhere.
"""

from __future__ import annotations

import functools
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from incident.home import Home
from incident.plan import Plan, load_plan
from incident.privacy import Keyring
from incident.store.engine import Store, open_store
from incident.store.incidents import ActiveIncident, activate
from incident.store.upgrade import upgrade

POSTGRES = "BREACHLINE_TEST_POSTGRES"


def on_postgres() -> bool:
    return bool(os.environ.get(POSTGRES))


def _server() -> URL:
    return make_url(os.environ[POSTGRES]).set(drivername="postgresql+psycopg")


def _administer(statement: str) -> None:
    engine = create_engine(_server(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


@functools.cache
def _postgres_template() -> str:
    name = f"breachline_template_{secrets.token_hex(6)}"
    _administer(f"CREATE DATABASE {name}")
    upgrade(_server().set(database=name))
    return name


@functools.cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.db"
        upgrade(make_url(f"sqlite+aiosqlite:///{file}"))
        return file.read_bytes()


@contextmanager
def fresh_database(home: Home, *, migrated: bool = True) -> Iterator[str]:
    """The asyncio SQLAlchemy URL of a database that is this caller's alone."""
    if not on_postgres():
        home.root.mkdir(parents=True, exist_ok=True)
        if migrated:
            home.database_file.write_bytes(_sqlite_template())
        yield f"sqlite+aiosqlite:///{home.database_file}"
        return
    name = f"breachline_test_{secrets.token_hex(6)}"
    template = f" TEMPLATE {_postgres_template()}" if migrated else ""
    _administer(f"CREATE DATABASE {name}{template}")
    try:
        yield _server().set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home; its folder exists."""
    root = tmp_path / "home"
    root.mkdir()
    return Home.at(root)


@pytest.fixture
def keyring(home: Home) -> Keyring:
    return Keyring.open(home)


@pytest.fixture
def database_url(home: Home) -> Iterator[str]:
    with fresh_database(home) as url:
        yield url


@pytest.fixture
def empty_database_url(home: Home) -> Iterator[str]:
    with fresh_database(home, migrated=False) as url:
        yield url


@pytest_asyncio.fixture
async def store(database_url: str, keyring: Keyring) -> AsyncIterator[Store]:
    async with open_store(database_url, keyring) as opened:
        yield opened


SAMPLE_PLAN = Path(__file__).parent.parent / "plans" / "sample.yaml"
NOW = 1_790_000_000.0


@functools.cache
def sample_plan() -> tuple[Plan, str]:
    """The sample incident's plan, and its text."""
    return load_plan(SAMPLE_PLAN), SAMPLE_PLAN.read_text(encoding="utf-8")


@pytest_asyncio.fixture
async def incident(store: Store) -> ActiveIncident:
    """The sample incident, activated in ``store``."""
    plan, plan_text = sample_plan()
    return await activate(store, plan, plan_text, NOW)


@pytest.fixture(scope="session", autouse=True)
def drop_template() -> Iterator[None]:
    yield
    if _postgres_template.cache_info().currsize:
        _administer(f"DROP DATABASE {_postgres_template()} WITH (FORCE)")
