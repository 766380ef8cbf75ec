"""Kept places and their tries in the store, on SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from incident.outcomes import CallbackOutcome
from incident.privacy import Keyring
from incident.store.callbacks import (
    Begun,
    CallbackRequest,
    Kept,
    Next,
    Place,
    PlaceState,
    Refusal,
    Tries,
    Why,
    audit,
    begin_attempt,
    cancel,
    cancel_for_number,
    change_number,
    count_places,
    end_attempt,
    explain,
    keep,
    known_tokens,
    note_answered,
    open_places,
    place_by_call,
    place_by_phone,
    place_by_token,
    request,
    reschedule,
    save_callbacks,
    unfinished_attempts,
)
from incident.store.engine import Store, open_store
from incident.store.incidents import ActiveIncident
from incident.store.schema import CallbackAttemptRow, CallbackRow, DoNotCallRow

ONE, TWO = "+12025550101", "+12025550102"


def asked(
    incident: ActiveIncident, phone: str = ONE, *, key: str = "call:1", rank: float = 10.0
) -> CallbackRequest:
    return request(
        incident.key,
        incident=incident.id,
        language="en",
        e164=phone,
        source="waiting",
        source_key=key,
        call=f"{key}.c",
        now=20.0,
        rank=rank,
    )


async def kept(store: Store, wanted: CallbackRequest) -> Place:
    found = await keep(store, wanted)
    assert isinstance(found, Kept)
    return found.place


async def begun(store: Store, place: Place, attempt: str = "a1", now: float = 100.0) -> Begun:
    found = await begin_attempt(
        store, place.token, attempt_id=attempt, node="n", carrier="public", agent="1001", now=now
    )
    assert isinstance(found, Begun)
    return found


async def refused(store: Store, place: Place, attempt: str = "a2", now: float = 100.0) -> Why:
    found = await begin_attempt(
        store, place.token, attempt_id=attempt, node="n", carrier="public", agent=None, now=now
    )
    assert isinstance(found, Refusal)
    return found.why


def again(tries: Tries) -> Next:
    return Next(PlaceState.OPEN, tries.at + 60, "no answer")


def finished(tries: Tries) -> Next:
    return Next(PlaceState.DONE)


async def state(store: Store, place: Place) -> PlaceState:
    found = await place_by_token(store, place.token)
    assert found is not None
    return found.state


async def stop_calling(store: Store, incident: ActiveIncident, phone: str) -> tuple[str, ...]:
    number = incident.key.lookup_hash(phone)
    async with store.write() as session:
        session.add(
            DoNotCallRow(
                incident_id=incident.id, phone_hash=number, requested_at=1.0, source="menu"
            )
        )
        return await cancel_for_number(session, incident.id, number, "asked to stop", 50.0)


async def test_a_number_keeps_one_place(store: Store, incident: ActiveIncident) -> None:
    first = asked(incident)
    place = await kept(store, first)
    assert await keep(store, first) == Kept(place, new=False)
    assert (place.rank, place.requested_at, place.state) == (10.0, 20.0, PlaceState.OPEN)
    assert incident.key.decrypt(place.phone) == ONE
    # Another way in, the same number: the earlier place, with its own rank and token.
    assert await keep(store, asked(incident, key="emergency:x", rank=5.0)) == Kept(place, new=False)
    other = await keep(store, asked(incident, TWO, key="call:2"))
    assert isinstance(other, Kept)
    assert other.new
    assert await open_places(store) == (place, other.place)
    assert await place_by_phone(store, incident.id, place.phone_hash) == place
    assert await place_by_call(store, "call:2.c") == other.place
    assert await place_by_call(store, "call:3.c") is None
    assert await known_tokens(store, [place.token, "x"]) == {place.token}


async def test_a_request_handed_in_again_is_the_same_whatever_became_of_it(
    store: Store, incident: ActiveIncident
) -> None:
    first = asked(incident)
    place = await kept(store, first)
    await cancel(store, place.token, "changed their mind", 30.0)
    again_asked = await keep(store, replace(first, token="another"))
    assert isinstance(again_asked, Kept)
    assert (again_asked.new, again_asked.place.state) == (False, PlaceState.CANCELLED)
    async with store.write() as session:
        await save_callbacks(session, store.dialect, [first])
    assert await open_places(store) == ()
    # A new request is a new place, at a new rank.
    newer = await keep(store, asked(incident, key="call:9", rank=40.0))
    assert isinstance(newer, Kept)
    assert newer.new
    assert newer.place.rank == 40.0


async def test_the_order_of_the_line(store: Store, incident: ActiveIncident) -> None:
    for number, rank in enumerate([30.0, 10.0, 20.0, 10.0]):
        await kept(store, asked(incident, f"+1202555011{number}", key=f"k{number}", rank=rank))
    assert [(place.rank, place.id) for place in await open_places(store, incident.id)] == [
        (10.0, 2),
        (10.0, 4),
        (20.0, 3),
        (30.0, 1),
    ]
    assert await open_places(store, "southwind") == ()


async def test_a_try_is_begun_once_and_ended_once(store: Store, incident: ActiveIncident) -> None:
    place = await kept(store, asked(incident))
    first = await begun(store, place)
    assert (first.number, first.again, first.place.state) == (1, False, PlaceState.CALLING)
    assert first.place.phone == place.phone
    assert await begun(store, place, now=101.0) == replace(first, again=True)
    assert await refused(store, place) is Why.CALLING
    await note_answered(store, "a1", 105.0)
    await note_answered(store, "a1", 109.0)
    (unfinished,) = await unfinished_attempts(store, "n")
    assert (unfinished.attempt, unfinished.answered_at) == ("a1", 105.0)

    ended = await end_attempt(store, "a1", CallbackOutcome.NO_ANSWER, 110.0, again, cause=19)
    assert ended is not None
    assert (ended.first, ended.place.state, ended.place.not_before) == (
        True,
        PlaceState.OPEN,
        170.0,
    )
    twice = await end_attempt(store, "a1", CallbackOutcome.CONNECTED, 120.0, finished)
    assert twice == replace(ended, first=False)
    assert await unfinished_attempts(store, "n") == ()
    assert await begin_attempt(
        store, place.token, attempt_id="a1", node="n", carrier="public", agent=None, now=999.0
    ) == Refusal(Why.ATTEMPT_OVER, ended.place)

    assert await refused(store, place, now=169.9) is Why.NOT_DUE
    second = await begun(store, place, "a2", now=170.0)
    assert (second.number, second.place.attempts) == (2, 2)
    done = await end_attempt(store, "a2", CallbackOutcome.CONNECTED, 200.0, finished)
    assert done is not None
    assert (done.place.state, done.place.ended_at) == (PlaceState.DONE, 200.0)
    assert await refused(store, place, "a3", now=300.0) is Why.OVER
    assert await audit(store, incident.id) == replace(await audit(store, "southwind"))
    assert (await audit(store, incident.id)).clean


async def test_refusals_of_what_is_not_there(store: Store, incident: ActiveIncident) -> None:
    place = await kept(store, asked(incident))
    nobody = replace(place, token="nobody")
    assert await refused(store, nobody) is Why.UNKNOWN_PLACE
    assert await cancel(store, "nobody", "", 1.0) == Refusal(Why.UNKNOWN_PLACE)
    assert await reschedule(store, "nobody", 1.0) == Refusal(Why.UNKNOWN_PLACE)
    assert await change_number(store, "nobody", b"", b"") == Refusal(Why.UNKNOWN_PLACE)
    assert await end_attempt(store, "nothing", CallbackOutcome.BUSY, 1.0, again) is None
    assert await place_by_token(store, "nobody") is None
    assert await explain(store, "nobody") is None
    await begun(store, place, "a1")
    other = await kept(store, asked(incident, TWO, key="call:2"))
    assert await refused(store, other, "a1") is Why.ATTEMPT_OVER


async def test_what_the_rules_are_told(store: Store, incident: ActiveIncident) -> None:
    place = await kept(store, asked(incident))
    told: list[Tries] = []

    def decide(tries: Tries) -> Next:
        told.append(tries)
        return Next(PlaceState.OPEN)

    for number, outcome in enumerate(["busy", "no_answer", "busy"]):
        await begun(store, place, f"a{number}")
        answered = 150.0 if number == 1 else None
        await end_attempt(
            store, f"a{number}", CallbackOutcome(outcome), 200.0, decide, answered_at=answered
        )
    assert [tries.answered for tries in told] == [False, True, False]
    assert told[-1] == Tries(
        CallbackOutcome.BUSY,
        200.0,
        answered=False,
        outcomes={CallbackOutcome.BUSY: 2, CallbackOutcome.NO_ANSWER: 1},
    )


async def test_a_place_cancelled_while_called_is_not_called_again(
    store: Store, incident: ActiveIncident
) -> None:
    place = await kept(store, asked(incident))
    await begun(store, place)
    gone = await cancel(store, place.token, "by the caller", 105.0)
    assert isinstance(gone, Place)
    assert (gone.state, gone.ended_at, gone.detail) == (
        PlaceState.CANCELLED,
        105.0,
        "by the caller",
    )
    assert await cancel(store, place.token, "twice", 106.0) == Refusal(Why.OVER, gone)
    # The number may have a new place, but it is in a call as long as the old try goes on.
    newer = await kept(store, asked(incident, key="call:2"))
    assert newer.token != place.token
    assert await refused(store, newer) is Why.CALLING
    ended = await end_attempt(store, "a1", CallbackOutcome.NO_ANSWER, 110.0, again)
    assert ended is not None
    assert (ended.first, ended.place) == (True, replace(gone, attempts=1, agent="1001"))
    assert (await begun(store, newer, "a2")).number == 1


async def test_changes_of_an_open_place(store: Store, incident: ActiveIncident) -> None:
    key = incident.key
    place = await kept(store, asked(incident))
    other = await kept(store, asked(incident, TWO, key="call:2"))
    later = await reschedule(store, place.token, 500.0)
    assert isinstance(later, Place)
    assert (later.not_before, later.rank) == (500.0, 10.0)
    assert await refused(store, place) is Why.NOT_DUE

    async def change(phone: str) -> Place | Refusal:
        return await change_number(store, place.token, key.encrypt(phone), key.lookup_hash(phone))

    assert await change(TWO) == Refusal(Why.NUMBER_TAKEN, other)
    assert isinstance(await change(ONE), Place)
    moved = await change("+12025550103")
    assert isinstance(moved, Place)
    assert key.decrypt(moved.phone) == "+12025550103"
    assert (moved.token, moved.rank, moved.not_before) == (place.token, 10.0, 500.0)
    await stop_calling(store, incident, "+12025550104")
    assert await change("+12025550104") == Refusal(Why.DO_NOT_CALL, moved)
    await begun(store, place, now=500.0)
    for result in (await change(ONE), await reschedule(store, place.token, 1.0)):
        assert isinstance(result, Refusal)
        assert result.why is Why.CALLING
    await end_attempt(store, "a1", CallbackOutcome.CONNECTED, 600.0, finished)
    for result in (await change(ONE), await reschedule(store, place.token, 1.0)):
        assert isinstance(result, Refusal)
        assert result.why is Why.OVER


async def test_stop_calling_is_honoured_at_once(store: Store, incident: ActiveIncident) -> None:
    place = await kept(store, asked(incident))
    assert await stop_calling(store, incident, ONE) == (place.token,)
    assert await state(store, place) is PlaceState.CANCELLED
    assert await keep(store, asked(incident, key="call:2")) == Refusal(Why.DO_NOT_CALL)
    # A request that reached the store in a group is not dialled either.
    async with store.write() as session:
        await save_callbacks(session, store.dialect, [asked(incident, key="call:3")])
    (late,) = await open_places(store)
    assert await refused(store, late) is Why.DO_NOT_CALL
    assert await state(store, late) is PlaceState.CANCELLED
    assert await unfinished_attempts(store, "n") == ()
    assert (await audit(store, incident.id)).clean


async def test_two_at_once_get_one_place_and_one_try(
    store: Store, incident: ActiveIncident, database_url: str, keyring: Keyring
) -> None:
    """Two processes, each with a store of its own."""
    async with open_store(database_url, keyring) as second:
        stores = [store, second] * 4
        results = await asyncio.gather(
            *(keep(each, asked(incident, key=f"call:{n}")) for n, each in enumerate(stores))
        )
        places = [found.place for found in results if isinstance(found, Kept)]
        assert len(places) == len(stores)
        assert len({place.token for place in places}) == 1
        assert sum(found.new for found in results if isinstance(found, Kept)) == 1
        tries = await asyncio.gather(
            *(
                begin_attempt(
                    each,
                    places[0].token,
                    attempt_id=f"a{number}",
                    node="n",
                    carrier="public",
                    agent=None,
                    now=100.0,
                )
                for number, each in enumerate(stores)
            )
        )
        (good,) = [item for item in tries if isinstance(item, Begun)]
        assert {item.why for item in tries if isinstance(item, Refusal)} == {Why.CALLING}
        endings = await asyncio.gather(
            *(
                end_attempt(each, good.attempt, CallbackOutcome.BUSY, 110.0 + number, again)
                for number, each in enumerate(stores)
            ),
            *(cancel(each, places[0].token, "by the caller", 120.0) for each in stores),
        )
        assert sum(getattr(item, "first", False) for item in endings) == 1
        assert sum(isinstance(item, Place) for item in endings) == 1
    assert (await audit(store, incident.id)).clean


async def test_two_who_change_to_one_number_at_once(
    store: Store, incident: ActiveIncident, database_url: str, keyring: Keyring
) -> None:
    key = incident.key
    places = [
        await kept(store, asked(incident, f"+1202555011{n}", key=f"call:{n}")) for n in range(4)
    ]
    async with open_store(database_url, keyring) as second:
        results = await asyncio.gather(
            *(
                change_number(each, place.token, key.encrypt(ONE), key.lookup_hash(ONE))
                for each, place in zip([store, second] * 2, places, strict=True)
            )
        )
    (winner,) = [item for item in results if isinstance(item, Place)]
    losers = [item for item in results if isinstance(item, Refusal)]
    assert {item.why for item in losers} == {Why.NUMBER_TAKEN}
    assert {item.place.token for item in losers if item.place} == {winner.token}


async def test_the_database_itself_refuses_a_second_try(
    store: Store, incident: ActiveIncident
) -> None:
    place = await kept(store, asked(incident))
    await begun(store, place)
    with pytest.raises(IntegrityError):
        async with store.write() as session:
            session.add(
                CallbackAttemptRow(
                    id="a2",
                    callback_id=place.id,
                    node="n",
                    number=2,
                    carrier="public",
                    created_at=1.0,
                )
            )


async def test_a_try_that_cannot_be_written_changes_nothing(
    store: Store, incident: ActiveIncident
) -> None:
    place = await kept(store, asked(incident))
    await begun(store, place)

    def fails(tries: Tries) -> Next:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await end_attempt(store, "a1", CallbackOutcome.BUSY, 110.0, fails)
    assert await state(store, place) is PlaceState.CALLING
    assert len(await unfinished_attempts(store, "n")) == 1


async def test_every_place_is_explained(store: Store, incident: ActiveIncident) -> None:
    place = await kept(store, asked(incident))

    async def sentence() -> str:
        found = await explain(store, place.token)
        assert found is not None
        return found.sentence

    assert await sentence() == "in line, or due later; 0 tries so far"
    await begun(store, place)
    assert await sentence() == "being called: 1 try"
    await end_attempt(store, "a1", CallbackOutcome.NO_ANSWER, 110.0, again, cause=19)
    assert await sentence() == "in line, or due later; 1 try so far (no answer)"
    await begun(store, place, "a2", now=200.0)
    gone = Next(PlaceState.GIVEN_UP, detail="no answer after 2 tries")
    await end_attempt(store, "a2", CallbackOutcome.NO_ANSWER, 210.0, lambda _tries: gone)
    assert await sentence() == "given up after 2 tries (no answer after 2 tries)"
    found = await explain(store, place.token)
    assert found is not None
    assert [(item.number, item.outcome, item.cause) for item in found.tries] == [
        (1, CallbackOutcome.NO_ANSWER, 19),
        (2, CallbackOutcome.NO_ANSWER, None),
    ]
    other = await kept(store, asked(incident, TWO, key="call:2"))
    await cancel(store, other.token, "by the caller", 30.0)
    await kept(store, asked(incident, TWO, key="call:3"))
    assert await count_places(store, incident.id) == {
        PlaceState.OPEN: 1,
        PlaceState.CALLING: 0,
        PlaceState.DONE: 0,
        PlaceState.GIVEN_UP: 1,
        PlaceState.CANCELLED: 1,
    }


async def test_the_audit_sees_what_must_not_happen(store: Store, incident: ActiveIncident) -> None:
    places = [
        await kept(store, asked(incident, f"+1202555011{n}", key=f"call:{n}")) for n in range(4)
    ]
    async with store.write() as session:
        rows = {
            row.id: row
            for row in await session.scalars(select(CallbackRow).order_by(CallbackRow.id))
        }
        assert len(rows) == await session.scalar(select(func.count(CallbackRow.id)))

        def tried(place: Place, number: int, start: float, end: float, outcome: str) -> None:
            session.add(
                CallbackAttemptRow(
                    id=f"{place.id}-{number}",
                    callback_id=place.id,
                    node="n",
                    number=number,
                    carrier="public",
                    created_at=start,
                    ended_at=end,
                    outcome=outcome,
                )
            )

        for number in (1, 2):
            tried(places[0], number, number * 100.0, number * 100.0 + 10, "connected")
        tried(places[1], 1, 100.0, 200.0, "busy")
        tried(places[1], 2, 150.0, 250.0, "busy")
        tried(places[2], 1, 300.0, 310.0, "busy")
        for index, (final, detail) in {2: ("cancelled", "why"), 3: ("given_up", None)}.items():
            row = rows[places[index].id]
            row.state, row.ended_at, row.detail = final, 250.0, detail
    found = await audit(store, incident.id)
    assert not found.clean
    assert (found.talked_twice, found.twice_at_once) == (1, 1)
    assert (found.called_after_end, found.unexplained) == (1, 1)
