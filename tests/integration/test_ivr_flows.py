"""The conversation with a caller whose keys are given: every way through it, with a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.store.engine import Store
from incident.store.schema import CallbackRow
from ivr.menu import EVERY_KEY
from ivr.served import NotServed
from pbx.spool import list_spooled, read_spooled, source_key
from tests.ivr_house import REFERENCE, House, built
from tests.ivr_talk import KEY, Caller


class AwayStore:
    """A database that is away."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        raise OSError("away")
        yield


@pytest.fixture
async def house(store: Store) -> House:
    return await built(store)


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
        "affected.next",
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
    assert caller.texts[2:] == ["answer.genuine", REFERENCE, "genuine.yes"]
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
    away = cast(Store, AwayStore())
    closed = House(away, open_now=False, spool=tmp_path / "spool", clock=lambda: 1795465328.9996)
    caller = await closed.call("1", "0", "1", "", "", "2", "2025550177#", "", "1")
    assert caller.texts[-2:] == ["callback.thanks", "goodbye"]
    (spooled,) = list_spooled(tmp_path / "spool")
    assert b"2025550177" not in spooled.read_bytes()
    request = read_spooled(spooled, {"northwind": KEY})
    assert request.phone == "+12025550177"
    # The dialplan holds the place meanwhile, under the token that the spool is read with.
    assert caller.variables["BL_HOLDS"] == "wanted"
    assert caller.variables["BL_KEPT"] == request.token == source_key(spooled)
    # As the keeper rounds it, or the placeholder would stand before whoever came in between.
    assert request.rank == 1795465328.9996
    assert caller.variables["BL_RANK"] == "1795465329000"


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


@pytest.mark.parametrize("relay", [True, False])
async def test_whether_an_operator_will_speak_is_kept_with_the_place(
    store: Store, house: House, relay: bool, tmp_path: Path
) -> None:
    keys = ("1", "6", "5", "", "1", "", "", "1") if relay else ("1", "0", "1", "", "", "1")
    caller = await House(store, open_now=False).call(*keys)
    assert ("answer.relay" in caller.texts, caller.texts[-1]) == (relay, "goodbye")
    async with store.read() as session:
        assert (await session.scalars(select(CallbackRow.relay))).all() == [relay]
    away = House(cast(Store, AwayStore()), open_now=False, spool=tmp_path / "spool")
    await away.call(*keys)
    (spooled,) = list_spooled(tmp_path / "spool")
    assert read_spooled(spooled, {"northwind": KEY}).relay == relay


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
