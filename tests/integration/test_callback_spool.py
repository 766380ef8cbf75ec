"""Requests of the emergency path on their way into the store: none holds up the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from incident.privacy import seal_for
from incident.store import callbacks
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident
from ivr import callback_spool
from ivr.callback_spool import CallbackSpool
from pbx.spool import CallbackRequest, list_spooled, write_spooled

PHONES = ("+12025550101", "+12025550102", "+12025550103")
TOKENS = tuple(str(number) * 32 for number in range(1, 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def spool(folder: Path, incident: ActiveIncident) -> None:
    """Three requests, one second after the other."""
    for age, (phone, token) in enumerate(zip(PHONES, TOKENS, strict=True)):
        request = CallbackRequest(
            "northwind", "en", phone, 1.0, "node1-1.1", token, relay=token == TOKENS[1]
        )
        sealed = seal_for(incident.key.public_key, request.to_bytes())
        write_spooled(folder, "northwind", sealed, token)
        os.utime(folder / f"{token}.sealed", (1000 + age, 1000 + age))


def taker(store: Store, folder: Path, incident: ActiveIncident) -> CallbackSpool:
    async def taken(_: CallbackRequest) -> None:
        """Nobody asks."""

    return CallbackSpool(store, folder, lambda: {"northwind": incident.key}, taken)


def value(metric: str) -> float | None:
    return REGISTRY.get_sample_value(metric)


async def tokens(store: Store) -> list[str]:
    return [place.token for place in await callbacks.open_places(store)]


@pytest.mark.parametrize("kind", [IntegrityError, DataError])
async def test_a_request_that_the_database_refuses_is_set_aside_and_the_others_are_taken(
    store: Store,
    incident: ActiveIncident,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type[IntegrityError | DataError],
) -> None:
    keep = callbacks.keep

    async def refuses_the_first(*args: Any) -> Any:
        if args[1].token == TOKENS[0]:
            raise kind(f"INSERT ... {PHONES[0]}", {}, Exception(PHONES[0]))
        return await keep(*args)

    monkeypatch.setattr(callbacks, "keep", refuses_the_first)
    spool(folder, incident)
    sealed = (folder / f"{TOKENS[0]}.sealed").read_bytes()
    spooled = taker(store, folder, incident)
    assert await spooled.take() == 2
    assert await tokens(store) == list(TOKENS[1:])
    assert [path.name for path in folder.iterdir()] == [f"{TOKENS[0]}.refused"]
    assert (folder / f"{TOKENS[0]}.refused").read_bytes() == sealed
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert kind.__name__ in line.getMessage()
    assert "5550101" not in caplog.text
    assert value("breachline_callbacks_set_aside") == 1
    # It is left alone until the hotline starts anew.
    assert await spooled.take() == 0
    monkeypatch.undo()
    assert await taker(store, folder, incident).take() == 1
    assert value("breachline_callbacks_set_aside") == 0
    assert await tokens(store) == [*TOKENS[1:], TOKENS[0]]


async def test_requests_that_nobody_can_open_hold_up_no_other(
    store: Store, incident: ActiveIncident, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_spool, "_BATCH", 2)
    spool(folder, incident)
    for number in range(4, 8):
        token = str(number) * 32
        write_spooled(folder, "closed", b"sealed for an incident that is over", token)
        os.utime(folder / f"{token}.sealed", (1, 1))
    spooled = taker(store, folder, incident)
    assert await spooled.take() == 2
    assert await spooled.take() == 1
    assert len(list_spooled(folder)) == 4


async def test_what_the_database_really_cannot_hold_is_set_aside(
    store: Store, incident: ActiveIncident, folder: Path
) -> None:
    spool(folder, incident)
    # No number to SQLite, which stores none then; no text to PostgreSQL.
    request = CallbackRequest(
        "northwind", "en", "+12025550104", 1.0, "node1-\0", "4" * 32, rank=float("nan")
    )
    write_spooled(
        folder, "northwind", seal_for(incident.key.public_key, request.to_bytes()), "4" * 32
    )
    os.utime(folder / f"{'4' * 32}.sealed", (1, 1))
    assert await taker(store, folder, incident).take() == 3
    assert [path.name for path in folder.iterdir()] == [f"{'4' * 32}.refused"]


async def test_a_database_that_is_away_stops_everything_and_loses_nothing(
    store: Store, incident: ActiveIncident, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def away(*args: Any) -> Any:
        asked.append(args[1].token)
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(callbacks, "keep", away)
    spool(folder, incident)
    spooled = taker(store, folder, incident)
    assert await spooled.take() == 0
    assert asked == [TOKENS[0]]
    assert len(list_spooled(folder)) == 3
    monkeypatch.undo()
    assert await spooled.take() == 3
    assert await tokens(store) == list(TOKENS)
    places = await callbacks.open_places(store)
    assert [place.relay for place in places] == [False, True, False]
