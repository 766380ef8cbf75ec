"""The conversation with a caller whose keys are given: every way through it, with a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.plan import parse_plan
from incident.store.engine import Store
from incident.store.incidents import activate
from incident.store.schema import CallbackRow, CallRow, ContactRow, ImportRow
from ivr.calls import CallBook
from ivr.flows.hotline import Hotline, NotServed
from ivr.journal import Journal
from ivr.menu import EVERY_KEY
from ivr.served import Incidents, ServedIncident
from pbx.agi import CallerHungUp
from pbx.spool import list_spooled, read_spooled, source_key
from tests.ivr_talk import KEY, Caller, Published, served
from tests.running import SAMPLE, plan_text

OPEN = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAN = parse_plan(plan_text(), "test")
CLOSED = parse_plan(plan_text(open_now=False), "test")
REFERENCE = "48201733"


class _Air:
    """Incidents that are on the air because a test says so."""

    def __init__(self, *incidents: ServedIncident) -> None:
        self.all = {each.id: each for each in incidents}

    def get(self, incident: str | None) -> ServedIncident | None:
        return self.all.get(incident or "")


class AwayStore:
    """A database that is away."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        raise OSError("away")
        yield


class House:
    """A hotline without Asterisk."""

    def __init__(self, store: Store, *, open_now: bool = True, spool: Path | None = None) -> None:
        self.store = store
        self.journal = Journal(store, spool)
        self.published = Published()
        self.book = CallBook("node1", self.journal, self.published)
        air = cast(Incidents, _Air(served(PLAN if open_now else CLOSED)))
        now = datetime.now(UTC) if not open_now else OPEN
        self.hotline = Hotline(air, self.book, self.journal, store, now=lambda: now)

    async def call(self, *bursts: str, hangs_up: bool = False) -> Caller:
        caller = Caller.pressing(*bursts, hangs_up=hangs_up)
        caller.variables["BL_INCIDENT"] = "northwind"
        try:
            await self.hotline(caller.session)
        except CallerHungUp:
            assert hangs_up
        self.book.close()
        return caller

    async def end(self) -> CallRow:
        (call,) = self.book
        self.book.end(call, self.book.now())
        await self.journal.start()
        await self.journal.stop()
        async with self.store.read() as session:
            return (await session.scalars(select(CallRow))).one()


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
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
        for number, reference in ((1, REFERENCE), (2, "99999999")):
            session.add(
                ContactRow(
                    incident_id="northwind",
                    import_id=number,
                    import_line=2,
                    reference=reference,
                    phone_enc=b"x",
                    phone_hash=b"x",
                    name_enc=b"x",
                    language="en",
                    data_types="ssn,medical",
                )
            )
    yield House(store)


async def test_a_key_chooses_the_language_and_another_the_answer(house: House) -> None:
    caller = await house.call("2", "1", hangs_up=True)
    assert caller.heard == [
        "/en/language.offer",
        "/es/greeting",
        "/es/answer.what_happened",
    ]
    assert caller.variables["__BL_LANGUAGE"] == "es"
    assert "BL_NEXT" not in caller.variables
    row = await house.end()
    assert (row.outcome, row.leaves, row.language) == (CallOutcome.SELF_SERVICE, 1, "es")
    assert row.menu_path == "language:2 main:1"
    assert row.ani_hash == KEY.lookup_hash("+12025550123")
    topics = [topic for topic, _ in house.published]
    assert topics == ["call/node1-1795465328.79/started", "call/node1-1795465328.79/ended"]


async def test_a_silent_caller_reaches_an_agent(house: House) -> None:
    caller = await house.call()
    assert caller.texts.count("no_input") == 2
    assert caller.texts[-1] == "to_agent"
    assert caller.variables["BL_NEXT"] == "queue"
    assert caller.variables["__BL_LANGUAGE"] == "en"


async def test_a_wrong_key_is_explained_and_the_next_one_counts(house: House) -> None:
    caller = await house.call("1", "8", "4", hangs_up=True)
    assert caller.texts == ["language.offer", "greeting", "invalid", "answer.enrolment"]
    assert (await house.end()).leaves == 1


async def test_a_known_reference_tells_what_was_exposed_and_nothing_else(house: House) -> None:
    caller = await house.call("1", "2", f"{REFERENCE}#", "", hangs_up=True)
    assert caller.texts[2:] == [
        "affected.ask_reference",
        REFERENCE,
        "affected.found",
    ]
    row = await house.end()
    assert row.outcome == CallOutcome.SELF_SERVICE
    assert REFERENCE not in row.menu_path


async def test_what_a_reference_stands_for_is_played_to_its_end(house: House) -> None:
    caller = await house.call("1", "2", f"{REFERENCE}#")
    start = caller.texts.index("affected.found")
    assert caller.texts[start + 1 : start + 4] == [
        "data_type.ssn",
        "data_type.medical",
        "after_answer",
    ]
    assert caller.variables["BL_NEXT"] == "queue"  # silent after that


async def test_an_unknown_reference_may_be_tried_three_times(house: House) -> None:
    caller = await house.call("1", "2", "11111111#", "", "22222222#", "", "33333333#", "", "0")
    assert caller.texts.count("affected.not_found") == 2
    assert "affected.not_listed_help" in caller.texts
    assert "affected.found" not in caller.texts
    assert caller.texts[-1] == "to_agent"


async def test_an_import_that_was_not_completed_is_not_there(house: House) -> None:
    caller = await house.call("1", "2", "99999999#", "", "#", hangs_up=True)
    assert "affected.found" not in caller.texts


async def test_references_cannot_be_guessed_at_length(house: House) -> None:
    guesses = [burst for n in range(6) for burst in (f"{n:08d}#", "")]
    caller = await house.call("1", "2", *guesses[:6], "*", *guesses[6:], "*", hangs_up=True)
    assert caller.texts.count("affected.ask_reference") == 2
    assert caller.texts[-2:] == ["affected.not_listed_help", "affected.not_listed_help"]
    assert (await house.end()).leaves == 0


async def test_without_a_letter_pound_brings_help(house: House) -> None:
    caller = await house.call("1", "2", "#", "0")
    assert caller.texts[2:] == ["affected.ask_reference", "affected.not_listed_help", "to_agent"]


async def test_genuine_leads_to_the_reference_and_loses_no_digit(house: House) -> None:
    caller = await house.call("1", "5", f"{REFERENCE}#", "", hangs_up=True)
    assert caller.texts[2:] == ["answer.genuine", REFERENCE, "affected.found"]
    assert (await house.end()).leaves == 2


async def test_spanish_digits_are_said_in_spanish(house: House) -> None:
    caller = await house.call("2", "2", f"{REFERENCE}#", hangs_up=True)
    assert caller.variables["CHANNEL(language)"] == "es"


async def test_back_from_the_main_menu_offers_the_languages_again(house: House) -> None:
    caller = await house.call("1", "#", "2", "1", hangs_up=True)
    assert caller.heard[-1] == "/es/answer.what_happened"
    assert (await house.end()).language == "es"


async def test_after_hours_self_service_goes_on(store: Store, house: House) -> None:
    closed = House(store, open_now=False)
    caller = await closed.call("1", "1", "0", "#", "3", "1", hangs_up=True)
    assert "after_hours" in caller.texts
    assert caller.texts[-1] == "answer.credit_freeze"
    assert (await closed.end()).outcome == CallOutcome.AFTER_HOURS


async def test_after_hours_a_silent_caller_is_let_go(store: Store, house: House) -> None:
    closed = House(store, open_now=False)
    caller = await closed.call("1", "0")
    assert caller.texts[-1] == "goodbye"
    assert caller.variables["BL_NEXT"] == "hangup"
    assert (await closed.end()).outcome == CallOutcome.AFTER_HOURS


async def test_a_number_that_cannot_be_called_is_asked_for_again(
    store: Store, house: House
) -> None:
    closed = House(store, open_now=False)
    caller = await closed.call("1", "0", "1", "", "", "2", "5#", "2025550177#", "", "1")
    assert "callback.invalid" in caller.texts
    assert caller.texts[-2:] == ["callback.thanks", "goodbye"]
    assert caller.variables["BL_NEXT"] == "hangup"
    async with store.read() as session:
        row = (await session.scalars(select(CallbackRow))).one()
    assert KEY.decrypt(row.phone_enc) == "+12025550177"
    assert (row.source, row.language) == ("after_hours", "en")
    assert (await closed.end()).outcome == CallOutcome.CALLBACK


async def test_nobody_is_thanked_for_what_only_memory_holds(house: House, tmp_path: Path) -> None:
    closed = House(cast(Store, AwayStore()), open_now=False, spool=tmp_path / "spool")
    caller = await closed.call("1", "0", "1", "", "", "2", "2025550177#", "", "1")
    assert caller.texts[-2:] == ["callback.thanks", "goodbye"]
    (spooled,) = list_spooled(tmp_path / "spool")
    assert b"2025550177" not in spooled.read_bytes()
    request = read_spooled(spooled, {"northwind": KEY})
    assert request.phone == "+12025550177"
    # The dialplan holds the place meanwhile, under the token that the spool is read with.
    assert caller.variables["BL_HOLDS"] == "wanted"
    assert caller.variables["BL_KEPT"] == request.token == source_key(spooled)
    assert request.rank == pytest.approx(int(caller.variables["BL_RANK"]) / 1000, abs=0.002)


async def test_the_callers_own_number_is_read_back_and_one_key_confirms_it(
    store: Store, house: House
) -> None:
    closed = House(store, open_now=False)
    caller = await closed.call("1", "0", "1", "", "", "1")
    at = caller.texts.index("callback.number_is")
    assert caller.texts[at : at + 3] == [
        "callback.number_is",
        "2025550123",
        "callback.confirm_caller",
    ]
    async with store.read() as session:
        row = (await session.scalars(select(CallbackRow))).one()
    assert KEY.decrypt(row.phone_enc) == "+12025550123"
    assert (row.token, row.rank) == (row.source_key, row.requested_at)


async def test_a_second_call_of_the_number_gets_no_second_place(store: Store, house: House) -> None:
    closed = House(store, open_now=False)
    await closed.call("1", "0", "1", "", "", "1")
    caller = await closed.call("1", "0", "1", "", "", "1")
    assert "callback.kept_already" in caller.texts
    async with store.read() as session:
        assert len((await session.scalars(select(CallbackRow))).all()) == 1


async def test_a_number_that_was_not_confirmed_is_not_kept(store: Store, house: House) -> None:
    closed = House(store, open_now=False)
    await closed.call("1", "0", "1", "2025550177#", "", "2", "#", "#")
    assert (await closed.end()).outcome == CallOutcome.AFTER_HOURS
    async with store.read() as session:
        assert (await session.scalars(select(CallbackRow))).all() == []


async def test_a_call_for_an_unknown_incident_is_refused(house: House) -> None:
    caller = Caller.pressing()
    caller.variables["BL_INCIDENT"] = "other"
    with pytest.raises(NotServed):
        await house.hotline(caller.session)
    assert "BL_NEXT" not in caller.variables


BURSTS = st.lists(
    st.one_of(
        st.sampled_from(["", *EVERY_KEY]),
        st.text("0123456789", min_size=2, max_size=12).map(lambda digits: f"{digits}#"),
    ),
    max_size=25,
)
_SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_SETTINGS
@given(bursts=BURSTS)
async def test_whatever_is_pressed_ends_with_an_agent(house: House, bursts: list[str]) -> None:
    caller = await House(house.store).call(*bursts)
    assert caller.variables["BL_NEXT"] in {"queue", "hangup"}
    assert caller.variables["__BL_LANGUAGE"] in {"en", "es"}


@_SETTINGS
@given(bursts=BURSTS)
async def test_whatever_was_pressed_an_agent_is_two_keys_away(
    house: House, bursts: list[str]
) -> None:
    before = await House(house.store).call(*bursts, hangs_up=True)
    if "BL_NEXT" in before.variables:
        return  # over before the keys were
    caller = await House(house.store).call(*bursts, "0", "0", hangs_up=True)
    assert caller.variables["BL_NEXT"] == "queue"


@_SETTINGS
@given(bursts=BURSTS)
async def test_after_hours_no_way_ends_nowhere(house: House, bursts: list[str]) -> None:
    caller = await House(house.store, open_now=False).call(*bursts)
    assert caller.variables["BL_NEXT"] == "hangup"


@_SETTINGS
@given(bursts=BURSTS)
async def test_a_hang_up_anywhere_is_one_outcome(house: House, bursts: list[str]) -> None:
    here = House(house.store)
    caller = await here.call(*bursts, hangs_up=True)
    (call,) = here.book
    here.book.end(call, 2.0)
    here.book.end(call, 3.0)
    assert call.ended_at == 2.0
    if "BL_NEXT" not in caller.variables:
        expected = CallOutcome.SELF_SERVICE if call.leaves else CallOutcome.ABANDONED_MENU
        assert call.outcome is expected
    assert [topic.rsplit("/", 1)[1] for topic, _ in here.published] == ["started", "ended"]
