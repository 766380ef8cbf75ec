"""After a gap: calls that are still there go on, the others end as Asterisk's log knows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.plan import parse_plan
from incident.privacy import IncidentKey, seal_for
from incident.store.calls import StoredCall, save_calls
from incident.store.engine import Store
from incident.store.incidents import activate
from incident.store.schema import CallbackRow, CallRow
from ivr.agents import Agents
from ivr.callback_spool import CallbackSpool
from ivr.calls import CallBook
from ivr.journal import Journal
from ivr.lineup import Lineup
from ivr.reconcile import Reconciler
from ivr.served import Incidents, ServedIncident
from pbx.ami import AmiClient, Event
from pbx.spool import CallbackRequest, list_spooled, write_spooled
from tests.ivr_talk import KEY, Published, served
from tests.running import SAMPLE

PLAN = parse_plan(SAMPLE.read_text(encoding="utf-8"), "sample")
NOW = time.time()


class Air:
    all: dict[str, ServedIncident] = {PLAN.incident: served(PLAN)}

    def queues(self) -> dict[str, tuple[str, str]]:
        return {f"northwind-{language}": ("northwind", language) for language in ("en", "es")}


class Asterisk:
    """What Asterisk says is there."""

    def __init__(self, live: dict[str, str]) -> None:
        self.live = live
        """Unique id to the bridge that it is in, or ""."""

    async def collect(self, name: str, *, timeout: float) -> list[Event]:
        if name != "CoreShowChannels":
            return []
        return [
            Event("CoreShowChannel", {"Uniqueid": unique_id, "BridgeId": bridge}, 0.0)
            for unique_id, bridge in self.live.items()
        ]


def line(seconds: float, call: str, event: str, agent: str = "NONE", queue: str = "en") -> str:
    return f"{int(NOW + seconds)}|{call}|northwind-{queue}|{agent}|{event}|x\n"


def stored(call: str, **more: object) -> StoredCall:
    fields: dict[str, object] = dict.fromkeys(StoredCall.__dataclass_fields__)
    fields |= {"id": call, "incident_id": "northwind", "node": "node1", "via": "hotline"}
    fields |= {"menu_path": "language:1 main:0", "leaves": 0, "started_at": NOW - 500}
    return StoredCall(**(fields | more))  # type: ignore[arg-type]


class Back:
    """A hotline that comes back to what is in the store, in Asterisk and in its log."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.journal = Journal(store)
        self.published = Published()
        self.book = CallBook("node1", self.journal, self.published)
        self.log = folder / "queue_log"
        self.reconciler = Reconciler(
            node="node1",
            store=store,
            incidents=cast(Incidents, Air()),
            book=self.book,
            agents=Agents(15),
            lineup=Lineup(),
            log_file=self.log,
        )

    async def come(self, live: dict[str, str], *lines: str) -> dict[str, CallRow]:
        self.log.write_text("".join(lines))
        await self.reconciler.restore()
        await self.reconciler.with_asterisk(cast(AmiClient, Asterisk(live)))
        return await self.rows()

    async def rows(self) -> dict[str, CallRow]:
        await self.journal.start()
        await self.journal.stop()
        async with self.store.read() as session:
            return {row.id: row for row in await session.scalars(select(CallRow))}


@pytest.fixture
async def back(store: Store, tmp_path: Path) -> Back:
    text = SAMPLE.read_text(encoding="utf-8")
    await activate(store, parse_plan(text, "sample"), text, 1.0)
    return Back(store, tmp_path)


async def save(back: Back, *calls: StoredCall) -> None:
    async with back.store.write() as session:
        await save_calls(session, back.store.dialect, calls)


async def test_each_open_call_ends_as_the_log_knows(back: Back) -> None:
    await save(
        back,
        stored("node1-1.1", queued_at=NOW - 400),
        stored("node1-1.2", queued_at=NOW - 400),
        stored("node1-1.3", queued_at=NOW - 400),
        stored("node1-1.4", queued_at=NOW - 400),
        stored("node1-1.5", leaves=2),
        stored("node1-1.6", queued_at=NOW - 400, connected_at=NOW - 390, agent="1002"),
    )
    rows = await back.come(
        {},
        line(-400, "node1-1.1", "ENTERQUEUE"),
        line(-300, "node1-1.1", "CONNECT", "1001"),
        line(-200, "node1-1.1", "COMPLETEAGENT", "1001"),
        line(-400, "node1-1.2", "ENTERQUEUE"),
        line(-350, "node1-1.2", "ABANDON"),
        line(-400, "node1-1.3", "ENTERQUEUE"),
        line(-340, "node1-1.3", "EXITEMPTY"),
        line(-400, "node1-1.4", "ENTERQUEUE"),
    )
    assert {key[-1]: row.outcome for key, row in rows.items()} == {
        "1": "agent",
        "2": "abandoned_waiting",
        "3": "no_agent",
        "4": "unobserved",
        "5": "unobserved",
        "6": "agent",
    }
    assert rows["node1-1.1"].agent == "1001"
    assert rows["node1-1.1"].wait_seconds == pytest.approx(100, abs=2)
    assert rows["node1-1.1"].ended_at == int(NOW - 200)
    assert rows["node1-1.2"].ended_at == int(NOW - 350)


async def test_a_call_that_is_still_there_is_not_ended(back: Back) -> None:
    await save(back, stored("node1-1.1"), stored("node1-1.2", queued_at=NOW - 100))
    rows = await back.come(
        {"node1-1.1": "", "node1-1.2": "a-bridge"},
        line(-100, "node1-1.2", "ENTERQUEUE"),
        line(-50, "node1-1.2", "CONNECT", "1001"),
    )
    assert all(row.ended_at is None for row in rows.values())
    assert rows["node1-1.2"].agent == "1001"
    assert {call.id for call in back.book} == {"node1-1.1", "node1-1.2"}


async def test_calls_that_came_and_went_unseen_are_stored_once(back: Back) -> None:
    lines = (
        line(-60, "node1-1.7", "ENTERQUEUE", queue="es"),
        line(-50, "node1-1.7", "ABANDON", queue="es"),
        line(-60, "0123456789abcdef0123456789abcdef", "ENTERQUEUE"),
        line(-50, "0123456789abcdef0123456789abcdef", "ABANDON"),
        line(-86400, "node1-1.8", "ENTERQUEUE"),
        line(-86390, "node1-1.8", "ABANDON"),
    )
    rows = await back.come({}, *lines)
    (row,) = rows.values()
    assert (row.id, row.via, row.outcome) == ("node1-1.7", "emergency", "abandoned_waiting")
    assert (row.language, row.wait_seconds) == ("es", 10)
    assert len(await back.come({}, *lines)) == 1
    assert [topic for topic, _ in back.published if topic.endswith("/ended")] == [
        "call/node1-1.7/ended"
    ]


async def test_a_call_of_another_node_is_left_alone(back: Back) -> None:
    await save(back, stored("node2-1.1", node="node2"))
    rows = await back.come({})
    assert rows["node2-1.1"].ended_at is None


def spool(folder: Path, key: IncidentKey, call: str, phone: str = "+12025550177") -> None:
    request = CallbackRequest("northwind", "es", phone, NOW - 90, call)
    write_spooled(folder, "northwind", seal_for(key.public_key, request.to_bytes()))


async def test_spooled_callbacks_are_taken_once_and_are_their_calls_outcome(
    back: Back, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    spool(folder, KEY, "node1-1.9")
    spool(folder, KEY, "node1-1.1", "+12025550178")
    await save(back, stored("node1-1.1"))
    await back.reconciler.restore()
    taker = CallbackSpool(
        back.store, folder, lambda: {"northwind": KEY}, back.reconciler.left_number
    )
    (first, _) = list_spooled(folder)
    copy = first.read_bytes()
    assert await taker.take() == 2
    assert list_spooled(folder) == ()
    # Killed after the commit and before the file was gone: it is there again.
    first.write_bytes(copy)
    assert await taker.take() == 0
    assert list_spooled(folder) == ()
    async with back.store.read() as session:
        callbacks = (await session.scalars(select(CallbackRow))).all()
    assert {row.call_id for row in callbacks} == {"node1-1.9", "node1-1.1"}
    assert {KEY.decrypt(row.phone_enc) for row in callbacks} == {
        "+12025550177",
        "+12025550178",
    }
    assert {row.source for row in callbacks} == {"emergency"}
    rows = await back.come({})
    assert {row.outcome for row in rows.values()} == {CallOutcome.CALLBACK}
    assert rows["node1-1.9"].via == "emergency"


async def test_a_request_of_an_incident_that_is_not_served_waits(
    back: Back, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    spool(folder, KEY, "node1-1.9")
    taker = CallbackSpool(back.store, folder, dict, back.reconciler.left_number)
    assert await taker.take() == 0
    assert len(list_spooled(folder)) == 1
