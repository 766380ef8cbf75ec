"""Kept places where two things happen at the same moment, on a real Asterisk."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from incident.privacy import seal_for
from incident.store.incidents import active_incidents
from pbx.names import kept_token, placeholder
from pbx.spool import CallbackRequest, write_spooled
from tests.kept_line import QUEUE, TO_THE_LINE, Line, line
from tests.running import Running, eventually, plan_text, running

pytestmark = pytest.mark.asyncio(loop_scope="function")

BIND, CARRIER, AGENTS = "127.0.89.1", "127.0.89.2", "127.0.89.4"
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
    await queue.talks(token)
    call.hang_up()
    call = await queue.agent_call(2)
    assert call.header("X-Breachline-Callback") == ""
    call.hang_up()
    await newcomer.ended()


async def test_who_met_an_agent_while_the_request_was_in_the_spool_is_not_called(
    system: Running, queue: Line
) -> None:
    """The database was away, and the agent came while the caller was thanked."""
    token, call = "0123456789abcdef" * 2, "node1-1795465328.80"
    log = system.home.asterisk / "log" / "queue_log"
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{int(time.time())}|{call}|{QUEUE}|agent-1001|BLJOINED|{token}\n")
    (incident,) = await active_incidents(system.store)
    request = CallbackRequest("northwind", "en", A, time.time(), call, token, time.time())
    sealed = seal_for(incident.key.public_key, request.to_bytes())
    write_spooled(system.home.callback_spool, "northwind", sealed, token)
    await eventually(queue.places)
    # At once: long before the next sweep.
    await eventually(lambda: _is_cancelled(queue, token), 10.0)
    assert queue.people.calls == []


async def _is_cancelled(queue: Line, token: str) -> bool:
    return (await queue.place(token)).state == "cancelled"


async def test_a_placeholder_that_nobody_asks_for_goes_and_a_conversation_goes_on(
    system: Running, queue: Line
) -> None:
    caller = await queue.wait_in_line(A)
    await queue.press_until_held(caller)
    (talking,) = await queue.placeholders()
    orphan = "0123456789abcdef" * 2
    await system.ami.originate(
        channel=placeholder(orphan),
        context="kept-near",
        exten="s",
        channel_id="an-orphan",
        timeout_ms=5000,
        caller_id="",
        variables={
            "__BL_KEPT": orphan,
            "__BL_RANK": str(round(time.time() * 1000)),
            "__BL_INCIDENT": "northwind",
            "__BL_LANGUAGE": "en",
            "__BL_QUEUE": QUEUE,
        },
    )

    async def placeholders(*tokens: str) -> bool:
        return await queue.placeholders() == list(tokens)

    await eventually(lambda: placeholders(talking, orphan))
    await eventually(lambda: placeholders(talking))
    assert not caller.over.is_set()


async def test_a_new_hotline_knows_since_when_those_wait_who_stand_at_an_older_place(
    system: Running, queue: Line
) -> None:
    kept = await queue.keep(await queue.wait_in_line(A))
    other = await queue.keep(await queue.wait_in_line(B))
    await asyncio.sleep(2.5)  # more than the list's ranks are doubted by
    again = await queue.dial(A)
    await again.press(TO_THE_LINE)

    async def in_person() -> bool:
        return await queue.tokens() == ["", other]

    await eventually(in_person)
    await system.stop_hotline(signal.SIGKILL)
    moved: list[str | None] = []
    undo = system.ami.subscribe(
        ["QueueCallerJoin"], lambda event: moved.append(kept_token(event.get("Channel")))
    )
    await system.start_hotline()
    await asyncio.sleep(2.5)  # two looks of the keeper: it finds nothing to do
    undo()
    assert moved == []
    assert await queue.tokens() == ["", other]
    assert (await queue.place(kept)).state == "open"
