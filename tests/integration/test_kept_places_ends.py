"""How kept places end, and what interrupts them: kills, hours, requests not to be called."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from incident.outcomes import CallbackOutcome
from incident.store.do_not_call import stop_calls
from incident.store.incidents import active_incidents
from tests.kept_line import Line, line
from tests.running import Running, activate_silently, eventually, plan_text, running
from tests.sip_peer import Ringing

pytestmark = pytest.mark.asyncio(loop_scope="function")

BIND, CARRIER, AGENTS = "127.0.88.1", "127.0.88.2", "127.0.88.4"
A, B = "+12025550101", "+12025550102"
QUICK = "\n[callbacks]\nno_answer_pauses = [1]\nbusy_pause = 1\nring_seconds = 10\n"


@pytest_asyncio.fixture(loop_scope="function")
async def system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER, plans=(plan_text(),)) as made:
        with made.home.settings_file.open("a", encoding="utf-8") as file:
            file.write(QUICK)
        await made.start_hotline()
        yield made


@pytest_asyncio.fixture(loop_scope="function")
async def queue(system: Running) -> AsyncIterator[Line]:
    async with line(system, AGENTS) as made:
        yield made


async def talking(queue: Line, number: str) -> tuple[str, Ringing, Ringing]:
    """Somebody keeps a place, is called back and talks: the token, agent's and person's call."""
    token = await queue.keep(await queue.wait_in_line(number))
    await queue.sign_in()
    agent = await queue.agent_call(1)
    await eventually(lambda: queue.people.rang(number))
    person = queue.people.call(number)
    await queue.talks(token)
    return token, agent, person


async def test_a_talk_that_outlives_the_hotline_is_known_afterwards(
    system: Running, queue: Line
) -> None:
    token, agent, person = await talking(queue, A)
    await system.stop_hotline(signal.SIGKILL)
    assert not person.ended.is_set()
    agent.hang_up()
    await person.over()
    await eventually(queue.quiet)
    await system.start_hotline()
    await queue.state(token, "done")
    assert [each.outcome for each in await queue.tries()] == [CallbackOutcome.CONNECTED]
    assert queue.people.rang(A) == 1


async def test_a_talk_that_goes_on_is_followed_by_the_hotline_that_returns(
    system: Running, queue: Line
) -> None:
    token, agent, person = await talking(queue, A)
    await system.stop_hotline(signal.SIGKILL)
    await system.start_hotline()
    await queue.state(token, "calling")
    agent.hang_up()
    await person.over()
    await queue.state(token, "done")
    assert queue.people.rang(A) == 1


async def test_a_dial_that_dies_with_asterisk_is_unknown_and_not_repeated_at_once(
    system: Running, queue: Line
) -> None:
    queue.people.does[A] = lambda call: call.reply(180)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    await eventually(lambda: queue.people.rang(A))
    await system.stop_asterisk()
    await system.start_asterisk()
    await queue.state(token, "open")
    (attempt,) = await queue.tries()
    assert attempt.outcome == CallbackOutcome.UNKNOWN
    place = await queue.place(token)
    assert place.not_before > time.time() + 600
    assert queue.people.rang(A) == 1
    assert await queue.tokens() == []


async def test_a_hotline_that_dies_while_it_talks_leaves_the_number_to_the_plain_script(
    system: Running, queue: Line
) -> None:
    caller = await queue.wait_in_line(A)
    await queue.press_until_held(caller)
    (token,) = await queue.placeholders()
    await system.stop_hotline(signal.SIGKILL)
    await caller.press(f"{',' * 8}2025550102#{',' * 20}1")
    await caller.ended()
    assert await queue.placeholders() == [token]
    await system.start_hotline()

    async def adopted() -> bool:
        return await queue.numbers() == {token: B}

    await eventually(adopted)


async def test_places_leave_the_line_at_closing_and_come_back(system: Running, queue: Line) -> None:
    tokens = [await queue.keep(await queue.wait_in_line(number)) for number in (A, B)]
    await activate_silently(system.home, system.store, plan_text(open_now=False))
    await eventually(lambda: queue.stand(0))
    assert [place.state for place in await queue.places()] == ["open", "open"]
    await activate_silently(system.home, system.store, plan_text())

    async def back() -> bool:
        return await queue.tokens() == tokens

    await eventually(back)


async def test_who_asks_not_to_be_called_is_not_called(system: Running, queue: Line) -> None:
    token = await queue.keep(await queue.wait_in_line(A))
    (incident,) = await active_incidents(system.store)
    await stop_calls(
        system.store,
        incident.id,
        incident.key.lookup_hash(A),
        source="hotline",
        call=None,
        now=time.time(),
    )
    await eventually(lambda: queue.stand(0))
    assert (await queue.place(token)).state == "cancelled"


async def test_a_busy_line_is_tried_again_and_no_try_is_used_up(queue: Line) -> None:
    queue.people.does[A] = lambda call: call.reply(486)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    await eventually(lambda: queue.people.rang(A) == 1)
    await queue.agent_call(1)
    del queue.people.does[A]

    async def ended() -> bool:
        return [each.outcome for each in await queue.tries()] == [CallbackOutcome.BUSY]

    await eventually(ended)
    # The agent hears so and is let go without hanging up.
    await queue.agents.calls[0].over()
    agent = await queue.agent_call(2)
    await eventually(lambda: queue.people.rang(A) == 2)
    await queue.talks(token)
    agent.hang_up()
    await queue.state(token, "done")


async def test_a_number_that_does_not_exist_is_given_up_with_the_reason(queue: Line) -> None:
    queue.people.does[A] = lambda call: call.reply(404)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    await queue.state(token, "given_up")
    assert (await queue.place(token)).detail == "the number does not exist"
    assert queue.people.rang(A) == 1


async def test_an_agent_who_hangs_up_while_it_rings_costs_no_try(queue: Line) -> None:
    queue.people.does[A] = lambda call: call.reply(180)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    await eventually(lambda: queue.people.rang(A) == 1)
    agent = await queue.agent_call(1)
    await asyncio.sleep(1)
    agent.hang_up()
    await queue.people.call(A).over()
    del queue.people.does[A]
    agent = await queue.agent_call(2)
    await eventually(lambda: queue.people.rang(A) == 2)
    await queue.talks(token)
    agent.hang_up()
    await queue.state(token, "done")
    assert [each.outcome for each in await queue.tries()] == [
        CallbackOutcome.AGENT_LEFT,
        CallbackOutcome.CONNECTED,
    ]


async def test_a_second_call_of_the_number_in_line_keeps_the_earlier_place(queue: Line) -> None:
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.wait_in_line(B)
    other = await queue.wait_in_line("+12025550103")
    await queue.press_until_held(other)
    await other.press(f",,2,{A[2:]}#{',' * 3}1,,1")
    await other.ended()

    async def one() -> bool:
        return await queue.tokens() == [token, ""]

    await eventually(one)
    assert len(await queue.places()) == 1


def greets_for(system: Running, seconds: int) -> None:
    """Those who are called back hear for so long who calls."""
    greeting = system.home.prompts / "live" / "northwind" / "en" / "callback.greeting.ulaw"
    greeting.resolve().write_bytes(b"\xff" * 8000 * seconds)


async def test_an_agent_who_hangs_up_while_the_person_is_greeted_has_talked_with_nobody(
    system: Running, queue: Line
) -> None:
    greets_for(system, 3)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    agent = await queue.agent_call(1)
    await eventually(lambda: queue.people.rang(A) == 1)
    first = queue.people.call(A)
    await eventually(first.acknowledged.is_set)
    agent.hang_up()
    await first.over()
    # Called again at once, and no try is used up.
    agent = await queue.agent_call(2)
    await queue.talks(token)
    agent.hang_up()
    await queue.state(token, "done")
    assert [each.outcome for each in await queue.tries()] == [
        CallbackOutcome.AGENT_LEFT,
        CallbackOutcome.CONNECTED,
    ]
    assert queue.people.rang(A) == 2


async def test_who_hangs_up_on_the_greeting_is_called_again_by_the_rule(
    system: Running, queue: Line
) -> None:
    greets_for(system, 5)
    token = await queue.keep(await queue.wait_in_line(A))
    await queue.sign_in()
    await queue.agent_call(1)
    await eventually(lambda: queue.people.rang(A) == 1)
    first = queue.people.call(A)
    await eventually(first.acknowledged.is_set)
    first.hang_up()
    await queue.agents.calls[0].over()  # hears so and is let go
    greets_for(system, 1)
    agent = await queue.agent_call(2)
    await queue.talks(token)
    agent.hang_up()
    await queue.state(token, "done")
    assert [each.outcome for each in await queue.tries()] == [
        CallbackOutcome.NO_ANSWER,
        CallbackOutcome.CONNECTED,
    ]


async def test_the_agent_is_told_each_time_that_an_operator_will_speak(
    system: Running, queue: Line
) -> None:
    queue.people.does[A] = lambda call: call.reply(486)
    caller = await queue.dial(A)
    await caller.press(",1,6,5")
    await eventually(lambda: queue.stand(1))
    token = await queue.keep(caller)
    other = await queue.keep(await queue.wait_in_line(B))
    await queue.sign_in()
    # The first placeholder is the dialplan's, the next one of the place is the keeper's.
    calls = [await queue.agent_call(1)]
    await calls[0].over()
    del queue.people.does[A]
    for number in (2, 3):
        calls.append(await queue.agent_call(number))
        await queue.talks(calls[-1].header("X-Breachline-Callback"))
        calls[-1].hang_up()
    told = [
        (call.header("X-Breachline-Callback"), call.header("X-Breachline-Relay")) for call in calls
    ]
    assert told[0] == (token, "1")
    assert sorted(told[1:]) == sorted([(token, "1"), (other, "")])
