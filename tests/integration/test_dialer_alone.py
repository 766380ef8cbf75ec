"""Two dialers never share a database."""

from __future__ import annotations

import pytest

from dialer.alone import Alone, AnotherDialer
from incident.privacy import Keyring
from incident.store.engine import Store, open_store
from tests.database import on_postgres


@pytest.mark.skipif(not on_postgres(), reason="on SQLite the home's lock does it")
async def test_a_second_dialer_is_refused_until_the_first_lets_go(
    store: Store, database_url: str, keyring: Keyring
) -> None:
    first = Alone(store)
    await first.take()
    async with open_store(database_url, keyring) as other:
        second = Alone(other, patience=0.3)
        with pytest.raises(AnotherDialer, match="one dialer serves one database"):
            await second.take()
        await first.release()
        third = Alone(other)
        await third.take()
        await third.release()


@pytest.mark.skipif(on_postgres(), reason="SQLite only")
async def test_sqlite_has_nothing_to_hold(store: Store) -> None:
    for _ in range(2):
        await Alone(store).take()
