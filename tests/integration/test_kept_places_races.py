"""Kept places where two things happen at the same moment, on a real Asterisk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.kept_line import QUEUE, Line, line
from tests.running import Running, eventually, plan_text, running

pytestmark = pytest.mark.asyncio(loop_scope="function")

BIND, CARRIER, AGENTS = "127.0.25.1", "127.0.25.2", "127.0.25.4"
A, B, C = (f"+1202555010{number}" for number in range(1, 4))


@pytest_asyncio.fixture(loop_scope="function")
async def system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER, plans=(plan_text(),), agents=("1001",)) as made:
        await made.start_hotline()
        yield made


@pytest_asyncio.fixture(loop_scope="function")
async def queue(system: Running) -> AsyncIterator[Line]:
    async with line(system, AGENTS) as made:
        yield made


async def test_an_agent_who_goes_at_the_moment_of_joining_costs_the_caller_neither_call_nor_place(
    system: Running, queue: Line
) -> None:
    caller = await queue.wait_in_line(A)
    await queue.wait_in_line(B)
    ((_, channel), (_, second)) = await queue.entries()
    await queue.press_until_held(caller)
    # The agent answered and went: the placeholder is gone, the caller is on the way to be joined.
    ((_, placeholder), _) = await queue.entries()
    await system.ami.action("QueueWithdrawCaller", {"Queue": QUEUE, "Caller": placeholder})
    await eventually(lambda: queue.stand(1))
    await system.ami.action(
        "Redirect", {"Channel": channel, "Context": "kept-joined", "Exten": "s", "Priority": "1"}
    )
    await eventually(lambda: queue.stand(2))
    assert await queue.entries() == [("", channel), ("", second)]
    assert not caller.over.is_set()
    assert await queue.places() == []


async def test_a_new_asterisk_lets_nobody_in_before_who_kept_a_place(
    system: Running, queue: Line
) -> None:
    token = await queue.keep(await queue.wait_in_line(A))
    await system.stop_hotline()
    await system.stop_asterisk()
    await system.start_asterisk()
    await queue.sign_in()
    newcomer = await queue.dial(B)
    await newcomer.press(f"{',' * 7}1,,2")

    async def at_the_gate() -> bool:
        found = await system.ami.collect("CoreShowChannels")
        return any(event.get("Context") == "line-gate" for event in found)

    await eventually(at_the_gate)
    assert queue.agents.calls == []
    await system.start_hotline()
    call = await queue.agent_call(1)
    assert call.header("X-Breachline-Callback") == token
    await eventually(lambda: queue.people.rang(A))
    call.hang_up()
    call = await queue.agent_call(2)
    assert call.header("X-Breachline-Callback") == ""
    call.hang_up()
    await newcomer.ended()
