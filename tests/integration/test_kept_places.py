"""Kept places on a real Asterisk: exactly where the caller stood, called once, joined."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from incident.outcomes import CallbackOutcome
from incident.store.callbacks import reschedule
from tests.kept_line import QUEUE, TO_THE_LINE, Line, line
from tests.running import Running, eventually, plan_text, running

pytestmark = pytest.mark.asyncio(loop_scope="function")

BIND, CARRIER, AGENTS = "127.0.87.1", "127.0.87.2", "127.0.87.4"
A, B, C, D = (f"+1202555010{number}" for number in range(1, 5))
STARTS = "," * 7
"""The plain script begins, and waits four seconds for a key."""
READ_BACK = "," * 20
"""The plain script reads a number to its end before it takes a key."""
QUICK = "\n[callbacks]\nno_answer_pauses = [5]\nbusy_pause = 1\nring_seconds = 10\n"


@pytest_asyncio.fixture(loop_scope="function")
async def system() -> AsyncIterator[Running]:
    async with running(
        bind=BIND, carrier=CARRIER, plans=(plan_text(),), agents=("1001", "1002")
    ) as made:
        with made.home.settings_file.open("a", encoding="utf-8") as file:
            file.write(QUICK)
        await made.start_hotline()
        yield made


@pytest_asyncio.fixture(loop_scope="function")
async def queue(system: Running) -> AsyncIterator[Line]:
    async with line(system, AGENTS) as made:
        yield made


async def test_a_place_between_two_callers_is_kept_exactly_and_both_are_joined(
    system: Running, queue: Line
) -> None:
    first = await queue.wait_in_line(A)
    kept = await queue.wait_in_line(B)
    last = await queue.wait_in_line(C)
    token = await queue.keep(kept)
    assert await queue.tokens() == ["", token, ""]
    assert await queue.numbers() == {token: B}

    await queue.sign_in()
    call = await queue.agent_call(1)
    assert call.header("X-Breachline-Callback") == ""
    call.hang_up()
    await first.ended()

    call = await queue.agent_call(2)
    assert call.header("X-Breachline-Callback") == token
    await eventually(lambda: queue.people.rang(B))
    person = queue.people.call(B)
    await queue.talks(token)
    assert not last.over.is_set()
    await queue.state(token, "calling")
    call.hang_up()
    await person.over()
    await queue.state(token, "done")

    call = await queue.agent_call(3)
    assert call.header("X-Breachline-Callback") == ""
    call.hang_up()
    await last.ended()
    (attempt,) = await queue.tries()
    assert attempt.outcome == CallbackOutcome.CONNECTED
    assert (attempt.agent, attempt.carrier) == ("1001", "public")
    assert queue.people.rang(B) == 1
    await eventually(queue.quiet)


async def test_who_goes_back_stands_where_they_stood(queue: Line) -> None:
    await queue.wait_in_line(A)
    caller = await queue.wait_in_line(B)
    await queue.wait_in_line(C)
    before = await queue.entries()
    await queue.press_until_held(caller)
    (token,) = await queue.placeholders()
    assert await queue.tokens() == ["", token, ""]
    await caller.press(",,,#")

    async def back() -> bool:
        return await queue.entries() == before

    await eventually(back)
    assert not caller.over.is_set()
    assert await queue.places() == []


async def test_who_hangs_up_before_confirming_keeps_nothing(queue: Line) -> None:
    caller = await queue.wait_in_line(A)
    await queue.wait_in_line(B)
    await queue.press_until_held(caller)
    assert len(await queue.placeholders()) == 1
    caller.hang_up()
    await eventually(lambda: queue.stand(1))
    assert await queue.tokens() == [""]
    assert await queue.places() == []


async def test_an_agent_who_comes_while_the_number_is_confirmed_meets_the_caller(
    queue: Line,
) -> None:
    caller = await queue.wait_in_line(A)
    await queue.press_until_held(caller)
    await queue.sign_in()
    call = await queue.agent_call(1)

    async def joined() -> bool:
        channels = await queue.system.ami.collect("CoreShowChannels")
        return any(
            event.get("Application") == "Bridge" and event.get("BridgeId") for event in channels
        )

    await eventually(joined)
    assert not caller.over.is_set()
    call.hang_up()
    await caller.ended()
    assert await queue.places() == []
    assert queue.people.calls == []
    await eventually(queue.quiet)


async def test_no_answer_is_tried_again_by_the_rule_and_the_rank_stays(queue: Line) -> None:
    queue.people.does[A] = lambda call: call.reply(180)
    caller = await queue.wait_in_line(A)
    token = await queue.keep(caller)
    rank = (await queue.place(token)).rank
    last = await queue.wait_in_line(B)
    await queue.sign_in()
    await eventually(lambda: queue.people.rang(A) == 1)

    async def unanswered() -> bool:
        return [each.outcome for each in await queue.tries()] == [CallbackOutcome.NO_ANSWER]

    await eventually(unanswered)
    del queue.people.does[A]
    queue.agents.calls[0].hang_up()
    # The next caller is served in the pause; then the place is at the head of the line again.
    (await queue.connected(2)).hang_up()
    await last.ended()
    call = await queue.agent_call(3)
    await eventually(lambda: queue.people.rang(A) == 2)
    await queue.talks(token)
    call.hang_up()
    await queue.state(token, "done")
    place = await queue.place(token)
    assert (place.rank, place.attempts) == (rank, 2)
    assert queue.people.rang(A) == 2


async def test_a_killed_hotline_loses_no_place_and_calls_nobody_twice(
    system: Running, queue: Line
) -> None:
    callers = [await queue.wait_in_line(number) for number in (A, B, C)]
    tokens = [await queue.keep(call) for call in callers]
    assert await queue.tokens() == tokens
    await system.stop_hotline(signal.SIGKILL)
    last = await queue.wait_in_line_emergency(D)
    assert await queue.tokens() == [*tokens, ""]

    # An agent gets the first place while nobody can say whom to call: let go, and nothing dialled.
    await queue.sign_in()
    call = await queue.agent_call(1)
    assert call.header("X-Breachline-Callback") == tokens[0]
    await call.over()
    assert queue.people.calls == []
    await queue.sign_out()
    await system.start_hotline()

    async def in_order() -> bool:
        return await queue.tokens() == [*tokens, ""]

    await eventually(in_order)
    done = len(queue.agents.calls)
    await queue.sign_in()
    for index, token in enumerate(tokens):
        call = await queue.agent_call(done + index + 1)
        assert call.header("X-Breachline-Callback") == token
        await queue.talks(token)
        call.hang_up()
        await queue.state(token, "done")
    call = await queue.agent_call(done + 4)
    call.hang_up()
    await last.ended()
    assert [queue.people.rang(number) for number in (A, B, C)] == [1, 1, 1]


async def test_a_killed_asterisk_has_every_place_again_in_order(
    system: Running, queue: Line
) -> None:
    callers = [await queue.wait_in_line(number) for number in (A, B, C)]
    kept = [
        await queue.keep(callers[2]),
        await queue.keep(callers[0]),
        await queue.keep(callers[1]),
    ]
    order = [kept[1], kept[2], kept[0]]
    assert await queue.tokens() == order
    await system.stop_asterisk()
    await system.start_asterisk()

    async def again() -> bool:
        return await queue.tokens() == order

    await eventually(again)
    await queue.wait_in_line(D)
    assert await queue.tokens() == [*order, ""]


async def test_without_the_hotline_the_place_is_held_by_asterisk_alone(
    system: Running, queue: Line
) -> None:
    first = await queue.wait_in_line(A)
    await queue.wait_in_line(B)
    await system.stop_hotline(signal.SIGKILL)
    # Out of the line, and from the menus that are not there.
    await queue.press_until_held(first)
    await first.press(f"{STARTS}2025550101#{READ_BACK}1")
    await first.ended()
    other = await queue.dial(C)
    await other.press(f"{STARTS}1,,1,,2025550103#{READ_BACK}1")
    await other.ended()

    async def held() -> bool:
        tokens = await queue.tokens()
        return len(tokens) == 3 and bool(tokens[0]) and not tokens[1] and bool(tokens[2])

    await eventually(held)
    before = await queue.entries()
    assert await queue.places() == []
    await system.start_hotline()

    async def adopted() -> bool:
        return len(await queue.places()) == 2

    await eventually(adopted)
    await asyncio.sleep(2.5)  # two looks of the keeper: it finds nothing to do
    assert await queue.entries() == before
    assert await queue.numbers() == {before[0][0]: A, before[2][0]: C}


async def test_who_keeps_a_place_and_calls_takes_it_in_person(queue: Line) -> None:
    kept = await queue.wait_in_line(A)
    await queue.wait_in_line(B)
    token = await queue.keep(kept)
    again = await queue.dial(A)
    await again.press(TO_THE_LINE)

    async def in_person() -> bool:
        return await queue.tokens() == ["", ""]

    await eventually(in_person)
    # Whoever hangs up again is called back after all.
    again.hang_up()

    async def placed() -> bool:
        return await queue.tokens() == [token, ""]

    await eventually(placed)
    once_more = await queue.dial(A)
    await once_more.press(TO_THE_LINE)
    await eventually(in_person)
    await queue.sign_in()
    call = await queue.agent_call(1)
    await queue.state(token, "cancelled")
    call.hang_up()
    await once_more.ended()
    assert queue.people.calls == []


async def test_a_chosen_time_brings_the_place_into_line_where_it_belongs(queue: Line) -> None:
    kept = await queue.wait_in_line(A)
    token = await queue.keep(kept)
    await reschedule(queue.system.store, token, time.time() + 3600)
    await eventually(lambda: queue.stand(0))
    await queue.wait_in_line(B)
    await reschedule(queue.system.store, token, time.time() + 0.5)

    async def first() -> bool:
        return await queue.tokens() == [token, ""]

    await eventually(first)


async def test_a_second_placeholder_goes(queue: Line) -> None:
    token = await queue.keep(await queue.wait_in_line(A))
    place = await queue.place(token)
    await queue.system.ami.originate(
        channel=f"Local/{token}@kept-far/n",
        context="kept-near",
        exten="s",
        channel_id="a-second-one",
        timeout_ms=5000,
        caller_id="",
        variables={
            "__BL_KEPT": token,
            "__BL_RANK": str(int(place.rank * 1000)),
            "__BL_INCIDENT": "northwind",
            "__BL_LANGUAGE": "en",
            "__BL_QUEUE": QUEUE,
        },
    )
    await eventually(lambda: queue.stand(2))
    await eventually(lambda: queue.stand(1))
    assert await queue.tokens() == [token]


async def test_no_number_is_left_anywhere(system: Running, queue: Line) -> None:
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    call = await queue.agent_call(1)
    await queue.talks(token)
    channels = await system.ami.collect("CoreShowChannels")
    assert all(A[1:] not in event.get("Channel") for event in channels)
    call.hang_up()
    await queue.state(token, "done")
    for file in system.home.root.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert A[2:].encode() not in file.read_bytes(), file
