"""A hotline without Asterisk: callers' keys in, what they heard and what the store keeps out."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sqlalchemy import select

from incident.guessing import GuessLimits
from incident.plan import parse_plan
from incident.store.engine import Store
from incident.store.incidents import activate
from incident.store.schema import CallRow, ContactRow, ImportRow
from ivr.calls import CallBook
from ivr.flows.hotline import Hotline
from ivr.journal import Journal
from ivr.served import Incidents, ServedIncident
from pbx.agi import CallerHungUp
from tests.ivr_talk import KEY, Caller, Published, request, served
from tests.running import SAMPLE, plan_text

OPEN = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAN = parse_plan(plan_text(), "test")
CLOSED = parse_plan(plan_text(open_now=False), "test")
REFERENCE = "48201733"
CALLER = "+12025550123"


class _Air:
    """Incidents that are on the air because a test says so."""

    def __init__(self, *incidents: ServedIncident) -> None:
        self.all = {each.id: each for each in incidents}

    def get(self, incident: str | None) -> ServedIncident | None:
        return self.all.get(incident or "")


class House:
    """``clock``: Unix seconds, for what is kept and counted."""

    def __init__(
        self,
        store: Store,
        *,
        open_now: bool = True,
        spool: Path | None = None,
        clock: Callable[[], float] = time.time,
        limits: GuessLimits | None = None,
    ) -> None:
        self.store = store
        self.journal = Journal(store, spool)
        self.published = Published()
        self.book = CallBook("node1", self.journal, self.published, clock=clock)
        self._calls = 0
        air = cast(Incidents, _Air(served(PLAN if open_now else CLOSED)))
        now = datetime.now(UTC) if not open_now else OPEN
        self.hotline = Hotline(air, self.book, self.journal, store, limits=limits, now=lambda: now)

    async def call(self, *bursts: str, hangs_up: bool = False, number: str = CALLER) -> Caller:
        """One caller; each has an own unique id."""
        caller = Caller.pressing(*bursts, hangs_up=hangs_up)
        caller.request = request(f"node1-1795465328.{79 + self._calls}", number)
        self._calls += 1
        caller.variables["BL_INCIDENT"] = "northwind"
        try:
            await self.hotline(caller.session)
        except CallerHungUp:
            assert hangs_up
        self.book.close()
        return caller

    async def end(self) -> CallRow:
        """End the one call there is, and give its row."""
        (call,) = self.book
        self.book.end(call, self.book.now())
        await self.journal.start()
        await self.journal.stop()
        async with self.store.read() as session:
            return (await session.scalars(select(CallRow))).one()


def contact(reference: str, *, imported: int = 1, phone: str = "", **more: object) -> ContactRow:
    """A contact of the sample incident, whose telephone is nobody's unless it is given."""
    facts: dict[str, object] = {
        "language": "en",
        "data_types": "ssn,medical",
        "phone_hash": KEY.lookup_hash(phone) if phone else b"x",
    }
    return ContactRow(
        incident_id="northwind",
        import_id=imported,
        import_line=2,
        reference=reference,
        phone_enc=b"x",
        name_enc=b"x",
        **{**facts, **more},
    )


async def built(store: Store, *contacts: ContactRow) -> House:
    """The sample incident with REFERENCE, a reference of an import that was not completed, and
    ``contacts``."""
    text = SAMPLE.read_text(encoding="utf-8")
    await activate(store, parse_plan(text, "sample"), text, 1.0)
    async with store.write() as session:
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
        session.add_all([contact(REFERENCE), contact("99999999", imported=2), *contacts])
    return House(store)
