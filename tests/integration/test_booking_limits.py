"""What strangers may ask for, and no more: whose telephone rings, and whose stays silent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from incident.booking import BookingLimits
from incident.privacy import seal_for
from incident.settings import CallbackSettings
from incident.store import do_not_call
from incident.store.callbacks import CallbackRequest, Kept, Refusal, Why, cancel, keep, request
from incident.store.engine import Store
from incident.store.schema import CallbackRow, DoNotCallRow
from ivr.callback_spool import CallbackSpool
from pbx.spool import CallbackRequest as Spooled
from pbx.spool import list_spooled, write_spooled
from tests.ivr_house import CALLER, House, built
from tests.ivr_talk import KEY, Caller

LIMITS = BookingLimits.of(CallbackSettings())
OTHER = "+12025550166"
HOUR = 3600.0


@pytest.fixture
async def house(store: Store) -> House:
    return await built(store)


async def leaves(store: Store, number: str, *, caller: str = CALLER) -> Caller:
    """A caller after hours who leaves a number that is not the offered one."""
    own = ("2",) if caller else ()
    return await House(store, open_now=False).call(
        "1", "0", "1", "", "", *own, f"{number}#", "", "1", number=caller
    )


async def places(store: Store) -> list[str]:
    async with store.read() as session:
        rows = await session.scalars(select(CallbackRow).order_by(CallbackRow.id))
        return [KEY.decrypt(row.phone_enc) for row in rows]


def asked(
    number: int, *, caller: str = "", now: float = 0.0, source: str = "menu"
) -> CallbackRequest:
    return request(
        KEY,
        incident="northwind",
        language="en",
        e164=f"+1202555{number:04d}",
        source=source,
        source_key=f"{number}-{now}",
        call=None,
        now=now,
        caller=caller,
    )


async def result(
    store: Store, wanted: CallbackRequest, limits: BookingLimits = LIMITS
) -> Why | None:
    found = await keep(store, wanted, limits)
    return found.why if isinstance(found, Refusal) else None


@pytest.mark.parametrize("number", ["18098675309", "8768675309", "011442079460018"])
@pytest.mark.usefixtures("house")
async def test_a_stranger_has_no_far_number_called(store: Store, number: str) -> None:
    caller = await leaves(store, number)
    assert "callback.invalid" in caller.texts
    assert number not in caller.texts
    assert await places(store) == []


@pytest.mark.usefixtures("house")
async def test_a_far_caller_is_not_offered_the_own_number(store: Store) -> None:
    caller = await House(store, open_now=False).call(
        "1", "0", "1", "2025550177#", "", "1", number="+18098675309"
    )
    assert "callback.number_is" not in caller.texts
    assert "callback.enter_number" in caller.texts


@pytest.mark.usefixtures("house")
async def test_one_caller_has_few_strangers_called(store: Store) -> None:
    for number in range(4):
        caller = await leaves(store, f"202555017{number}")
        assert ("callback.thanks" in caller.texts) == (number < LIMITS.others_a_day)
    assert "callback.invalid" in caller.texts
    assert len(await places(store)) == LIMITS.others_a_day
    # The own number is not a stranger's, and the next caller is another.
    own = await House(store, open_now=False).call("1", "0", "1", "", "", "1")
    assert "callback.thanks" in own.texts
    assert "callback.thanks" in (await leaves(store, "2025550179", caller=OTHER)).texts


@pytest.mark.usefixtures("house")
async def test_the_day_of_a_caller_ends(store: Store) -> None:
    for number in range(LIMITS.others_a_day):
        assert await result(store, asked(170 + number, caller=CALLER)) is None
    late = asked(178, caller=CALLER, now=23 * HOUR)
    assert await result(store, late) is Why.TOO_MANY
    assert await result(store, asked(178, caller=CALLER, now=25 * HOUR)) is None


@pytest.mark.usefixtures("house")
async def test_callers_without_a_number_share_a_limit(store: Store) -> None:
    limits = replace(LIMITS, unknown_an_hour=2)
    assert await result(store, asked(170), limits) is None
    assert await result(store, asked(171), limits) is None
    assert await result(store, asked(172), limits) is Why.TOO_MANY
    assert await result(store, asked(172, source="emergency"), limits) is None
    assert await result(store, asked(173, caller=CALLER), limits) is None
    assert await result(store, asked(174, now=2 * HOUR), limits) is None


@pytest.mark.usefixtures("house")
async def test_one_number_is_not_booked_all_day_whoever_asks(store: Store) -> None:
    limits = replace(LIMITS, number_a_day=2)
    for turn in range(3):
        wanted = asked(170, caller=f"+1202555018{turn}", now=float(turn))
        found = await keep(store, wanted, limits)
        if turn < 2:
            assert isinstance(found, Kept)
            # Handed in again, it is the same, and uses up nothing.
            assert isinstance(await keep(store, wanted, limits), Kept)
            await cancel(store, found.place.token, "over", 3.0)
        else:
            assert found == Refusal(Why.TOO_MANY)


@pytest.mark.usefixtures("house")
async def test_nobody_learns_that_somebody_else_keeps_a_place(store: Store) -> None:
    await House(store, open_now=False).call("1", "0", "1", "", "", "1")
    stranger = await leaves(store, "2025550123", caller=OTHER)
    assert stranger.texts[-2:] == ["callback.thanks", "goodbye"]
    assert "callback.kept_already" not in stranger.texts
    assert await places(store) == [CALLER]


@pytest.mark.usefixtures("house")
async def test_nobody_learns_that_somebody_else_wants_no_calls(store: Store) -> None:
    async with store.write() as session:
        session.add(
            DoNotCallRow(
                incident_id="northwind",
                phone_hash=KEY.lookup_hash(CALLER),
                requested_at=1.0,
                source="hotline",
            )
        )
    stranger = await leaves(store, "2025550123", caller=OTHER)
    assert "callback.not_allowed" not in stranger.texts
    assert "callback.invalid" in stranger.texts
    # Whose number it is hears why.
    own = await House(store, open_now=False).call("1", "0", "1", "", "", "1")
    assert "callback.not_allowed" in own.texts
    assert await places(store) == []


async def test_one_caller_stops_the_calls_to_few_strangers(store: Store, house: House) -> None:
    for number in range(4):
        caller = await house.call("1", "6", "4", "", "2", f"305555018{number}#", "", "1", "#")
        await house.journal.start()
        await house.journal.stop()
        said = "stop.thanks" if number < LIMITS.others_a_day else "stop.failed"
        assert said in caller.texts
    own = await house.call("1", "6", "4", "", "", "1", "#")
    assert "stop.thanks" in own.texts
    async with store.read() as session:
        kept = await session.scalar(select(func.count()).select_from(DoNotCallRow))
    assert kept == LIMITS.others_a_day + 1


async def test_callers_without_a_number_share_a_limit_of_stops(store: Store, house: House) -> None:
    limits = replace(LIMITS, unknown_an_hour=1)
    now = house.book.now()

    async def too_many(caller: bytes | None) -> bool:
        number = KEY.lookup_hash("+13055550189")
        return await do_not_call.stopped_too_many(
            store, "northwind", number, caller=caller, limits=limits, now=now
        )

    assert not await too_many(None)
    await house.call("1", "6", "4", "", "3055550188#", "", "1", "#", number="")
    await house.journal.start()
    await house.journal.stop()
    assert await too_many(None)
    assert not await too_many(KEY.lookup_hash(CALLER))


@pytest.mark.parametrize("phone", ["+449098790018", "+18098675309", "+19005550123"])
async def test_the_spool_has_no_costly_number_called(
    store: Store, house: House, tmp_path: Path, phone: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (phone, "+12025550177"):
        spooled = Spooled("northwind", "en", number, 1.0, "node1-1.1")
        sealed = seal_for(KEY.public_key, spooled.to_bytes())
        write_spooled(tmp_path, "northwind", sealed, number.strip("+"))

    async def taken(_: Spooled) -> None:
        return None

    spool = CallbackSpool(store, tmp_path, lambda: {"northwind": KEY}, taken)
    assert await spool.take() == 1
    assert list_spooled(tmp_path) == ()
    assert await places(store) == ["+12025550177"]
    assert "not_callable" in caplog.text
    assert phone.strip("+") not in caplog.text
