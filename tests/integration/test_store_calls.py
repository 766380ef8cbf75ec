"""Calls, call-backs and reference numbers in the store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from incident.guessing import GuessLimits, Verdict
from incident.plan import parse_plan
from incident.privacy import IncidentKey
from incident.store.callbacks import count_callbacks, request, save_callbacks
from incident.store.calls import (
    StoredCall,
    calls_with_callback,
    known_calls,
    open_calls,
    save_calls,
)
from incident.store.engine import Store
from incident.store.incidents import activate
from incident.store.references import look_up
from incident.store.schema import CallbackRow, ContactRow, ImportRow
from tests.running import SAMPLE

KEY = IncidentKey(b"k" * 32)


def call(unique_id: str, *, node: str = "node1", ended_at: float | None = None) -> StoredCall:
    return StoredCall(
        id=unique_id,
        incident_id="northwind",
        node=node,
        via="hotline",
        language="en",
        ani_enc=None,
        ani_hash=None,
        content_version="v",
        menu_path="language:1",
        leaves=0,
        started_at=1.0,
        queued_at=2.5,
        connected_at=None,
        ended_at=ended_at,
        wait_seconds=None,
        agent=None,
        outcome=None,
    )


@pytest.fixture
async def ready(store: Store) -> Store:
    text = SAMPLE.read_text(encoding="utf-8")
    await activate(store, parse_plan(text, "sample"), text, 1.0)
    return store


async def save(store: Store, *calls: StoredCall) -> None:
    async with store.write() as session:
        await save_calls(session, store.dialect, calls)


async def test_open_calls_of_a_node(ready: Store) -> None:
    here, there = call("node1-1.1"), call("node2-1.1", node="node2")
    await save(ready, here, there, call("node1-1.2", ended_at=3.0))
    assert await open_calls(ready, "node1") == (here,)
    await save(ready, replace(here, ended_at=4.0, outcome="agent"))
    assert await open_calls(ready, "node1") == ()


async def test_known_calls(ready: Store) -> None:
    await save(ready, call("node1-1.1"))
    many = [f"node1-1.{number}" for number in range(2000)]
    assert await known_calls(ready, many) == {"node1-1.1"}
    assert await known_calls(ready, []) == frozenset()


async def test_a_callback_is_taken_once(ready: Store) -> None:
    asked = request(
        KEY,
        incident="northwind",
        language="es",
        e164="+12025550101",
        source="emergency",
        source_key="abc",
        call="node1-1.1",
        now=5.0,
    )
    twice = replace(asked, source_key="def", token="b" * 32)
    other = replace(twice, token="c" * 32, phone_hash=KEY.lookup_hash("+12025550102"))
    for again in (asked, replace(asked, requested_at=9.0), twice, other):
        async with ready.write() as session:
            await save_callbacks(session, ready.dialect, [again])
    assert await count_callbacks(ready, "northwind") == 2
    assert await count_callbacks(ready, "northwind", "done") == 0
    assert await calls_with_callback(ready, ["node1-1.1", "node1-1.2"]) == {"node1-1.1"}
    async with ready.read() as session:
        rows = (await session.scalars(select(CallbackRow).order_by(CallbackRow.id))).all()
    assert [row.requested_at for row in rows] == [5.0, 5.0]
    assert KEY.decrypt(rows[0].phone_enc) == "+12025550101"
    assert rows[0].phone_hash == KEY.lookup_hash("+12025550101")


async def test_only_completed_imports_have_references(ready: Store) -> None:
    async with ready.write() as session:
        for number, committed in ((1, 5.0), (2, None)):
            session.add(
                ImportRow(
                    id=number,
                    incident_id="northwind",
                    source="x.csv",
                    source_hash="x",
                    started_at=1.0,
                    committed_at=committed,
                )
            )
        await session.flush()
        for number, reference in ((1, "111"), (2, "222")):
            session.add(
                ContactRow(
                    incident_id="northwind",
                    import_id=number,
                    import_line=2,
                    reference=reference,
                    phone_enc=b"x",
                    phone_hash=b"x",
                    language="en",
                    data_types="ssn,medical",
                )
            )
    for reference, verdict in (("111", Verdict.ANSWERED), ("222", Verdict.NOT_FOUND)):
        found, letter = await look_up(
            ready, KEY, "northwind", reference, caller=None, limits=GuessLimits(), now=6.0
        )
        assert found is verdict
        assert (None if letter is None else letter.data_types) == (
            ("ssn", "medical") if verdict is Verdict.ANSWERED else None
        )
