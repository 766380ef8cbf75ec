"""The FastAGI server over real sockets, against a scripted Asterisk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic

import pytest

from pbx.agi import AgiServer, AgiSession, CallerHungUp, CommandFailed, Limits
from tests.scripted_agi import ScriptedAsterisk, opening_lines

NEXT = "SET VARIABLE BL_NEXT queue"


class Flow:
    """A call flow whose fate tests can watch."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[BaseException | None] = asyncio.Queue()
        self.sessions: list[AgiSession] = []

    async def __call__(self, session: AgiSession) -> None:
        self.sessions.append(session)
        try:
            await session.answer()
            await session.stream_file("/p/greeting", "12")
            await session.get_data("/p/menu", 5000, 1)
            await session.set_variable("BL_NEXT", "queue")
        except BaseException as error:
            self.ended.put_nowait(error)
            raise
        self.ended.put_nowait(None)

    async def end(self) -> BaseException | None:
        async with asyncio.timeout(10):
            return await self.ended.get()


async def broken(session: AgiSession) -> None:
    await session.answer()
    raise RuntimeError(f"no record of {session.request.caller_number}")


@asynccontextmanager
async def serving(**limits: float) -> AsyncIterator[tuple[AgiServer, Flow]]:
    watched = Flow()
    server = AgiServer(
        "127.0.0.22",
        0,
        {"hotline": watched, "broken": broken},
        limits=Limits(**limits),  # type: ignore[arg-type]
    )
    await server.start()
    try:
        yield server, watched
    finally:
        await server.stop(0)
    assert server.active == 0


async def call(server: AgiServer, opening: bytes | None = None) -> ScriptedAsterisk:
    asterisk = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
    await asterisk.send(opening_lines() if opening is None else opening)
    return asterisk


async def settled(server: AgiServer, **totals: int) -> None:
    """Waits until the server has counted this."""
    async with asyncio.timeout(10):
        while any(server.totals[name] != count for name, count in totals.items()):
            await asyncio.sleep(0.001)


async def whole_call(asterisk: ScriptedAsterisk) -> None:
    await asterisk.expect("ANSWER", "200 result=0")
    await asterisk.expect("STREAM FILE", "200 result=0 endpos=100")
    await asterisk.expect("GET DATA", "200 result=1")
    await asterisk.expect(NEXT, "200 result=1")
    assert await asterisk.rest() == []


async def test_a_call_from_opening_to_end() -> None:
    async with serving() as (server, flow), await call(server) as asterisk:
        await whole_call(asterisk)
        assert await flow.end() is None
        assert server.totals == {"completed": 1}
        assert flow.sessions[0].request.caller_number == "+18005550123"


STEPS = ["ANSWER", "STREAM FILE", "GET DATA", "SET VARIABLE"]


@pytest.mark.parametrize("hang_up", ["line", "minus one", "dead", "closed", "reset"])
@pytest.mark.parametrize("at", range(4))
async def test_a_hang_up_at_every_point_is_one_exception(at: int, hang_up: str) -> None:
    async with serving() as (server, flow), await call(server) as asterisk:
        for step in STEPS[:at]:
            await asterisk.expect(step, "200 result=0")
        await asterisk.expect(STEPS[at])
        if hang_up == "line":
            await asterisk.send(b"HANGUP\n")
        elif hang_up == "minus one":
            await asterisk.send(b"200 result=-1\nHANGUP\n")
        elif hang_up == "dead":
            await asterisk.send(b"511 Command Not Permitted on a dead channel\n")
        elif hang_up == "closed":
            await asterisk.close()
        else:
            asterisk.reset()
        assert isinstance(await flow.end(), CallerHungUp)
        await settled(server, hung_up=1)
        assert await asterisk.rest() == []


async def test_a_hang_up_between_commands_is_met_at_the_next() -> None:
    async with serving() as (server, flow), await call(server) as asterisk:
        await asterisk.expect("ANSWER", "200 result=0", "HANGUP")
        assert isinstance(await flow.end(), CallerHungUp)
        await settled(server, hung_up=1)


async def test_a_missing_prompt_is_not_a_hang_up() -> None:
    async with serving() as (server, flow), await call(server) as asterisk:
        await asterisk.expect("ANSWER", "200 result=0")
        await asterisk.expect("STREAM FILE", "200 result=-1 endpos=0")
        await asterisk.expect("CHANNEL STATUS", "200 result=6")
        assert isinstance(await flow.end(), CommandFailed)
        assert await asterisk.rest() == ["failure"]
        assert server.totals == {"failed": 1}


async def test_a_broken_flow_is_told_counted_and_logged_without_what_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as (server, _), await call(server, opening_lines("broken")) as asterisk:
        await asterisk.expect("ANSWER", "200 result=0")
        assert await asterisk.rest() == ["failure"]
        assert server.totals == {"failed": 1}
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "RuntimeError at test_agi_server.py:" in record.getMessage()
    assert "1795465328.79" in record.getMessage()
    assert "5550123" not in caplog.text


@pytest.mark.parametrize("path", ["hotlin", "hotline/x", "", "x?hotline"])
async def test_an_unknown_path_is_a_failure(path: str) -> None:
    async with serving() as (server, _), await call(server, opening_lines(path)) as asterisk:
        assert await asterisk.rest() == ["failure"]
        assert server.totals == {"unknown_path": 1}


async def test_routes_are_found_by_path_alone() -> None:
    async with serving() as (server, flow):
        async with await call(server, opening_lines("/hotline/?incident=nw")) as asterisk:
            await whole_call(asterisk)
        assert flow.sessions[0].request.query == {"incident": "nw"}


async def test_port_checks_cost_no_session_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (server, flow):
        for _ in range(50):
            probe = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
            await probe.close()
        await settled(server, port_check=50)
        async with await call(server) as asterisk:
            await whole_call(asterisk)
        assert len(flow.sessions) == 1
    assert [r for r in caplog.records if r.name.startswith("pbx")] == []


async def test_half_open_peers_time_out() -> None:
    async with serving(header_seconds=0.05) as (server, flow):
        silent = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
        halfway = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
        await halfway.send(opening_lines()[:-1])
        assert await silent.rest() == []
        assert await halfway.rest() == []
        await settled(server, rejected=2)
        assert flow.sessions == []
        await silent.close()
        await halfway.close()


async def test_garbage_is_dropped_with_one_line_that_does_not_repeat_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="pbx.agi")
    async with serving() as (server, _):
        async with await call(server, b"SECRET / HTTP/1.1\r\n\r\n") as peer:
            assert await peer.rest() == []
        await settled(server, rejected=1)
    (record,) = [r for r in caplog.records if r.name.startswith("pbx")]
    assert "SECRET" not in record.getMessage()


async def test_a_million_bytes_of_opening_are_cut_off() -> None:
    async with serving() as (server, flow):
        peer = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
        with suppress(ConnectionError):
            for _ in range(1000):
                await peer.send(b"agi_x: " + b"x" * 1000 + b"\n")
        assert await peer.rest() == []
        await settled(server, rejected=1)
        assert flow.sessions == []
        await peer.close()


async def test_a_thousand_calls_at_once() -> None:
    async with serving() as (server, flow), AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(await call(server, opening_lines(unique_id=f"1.{n}")))
            for n in range(1000)
        ]
        for asterisk in calls:
            assert await asterisk.command() == "ANSWER"
        assert server.active == 1000
        for asterisk in calls:
            await asterisk.send(b"200 result=0\n")
        for asterisk in calls:
            await asterisk.expect("STREAM FILE", "200 result=0 endpos=100")
            await asterisk.expect("GET DATA", "200 result=1")
            await asterisk.expect(NEXT, "200 result=1")
            assert await asterisk.rest() == []
        await settled(server, completed=1000)
        assert {session.request.unique_id for session in flow.sessions} == {
            f"1.{n}" for n in range(1000)
        }


async def test_calls_past_the_cap_fail_and_those_within_go_on() -> None:
    async with serving(max_sessions=2) as (server, _):
        first, second = await call(server), await call(server)
        assert await first.command() == await second.command() == "ANSWER"
        async with await call(server) as third:
            assert await third.rest() == ["failure"]
        assert server.totals == {"refused": 1}
        await first.send(b"HANGUP\n")
        await settled(server, hung_up=1)
        async with await call(server) as fourth:
            await whole_call(fourth)
        await first.close()
        await second.close()


async def test_connections_past_the_cap_are_told_so() -> None:
    async with serving(max_sessions=1, max_waiting=1) as (server, _):
        idle = [await ScriptedAsterisk.connect(server.port, "127.0.0.22") for _ in range(2)]
        async with await call(server) as third:
            assert await third.rest() == ["failure"]
        for peer in idle:
            await peer.close()


async def test_an_answer_that_never_comes_fails_the_call() -> None:
    async with serving(command_seconds=0.05) as (server, _), await call(server) as asterisk:
        await asterisk.expect("ANSWER")
        assert await asterisk.rest() == ["failure"]
        assert server.totals == {"failed": 1}


async def test_a_session_has_an_end() -> None:
    async with serving(session_seconds=0.05) as (server, _), await call(server) as asterisk:
        await asterisk.expect("ANSWER", "200 result=0")
        await asterisk.expect("STREAM FILE")
        assert await asterisk.rest() == ["failure"]
        assert server.totals == {"lifetime": 1}


async def test_stopping_lets_calls_finish() -> None:
    async with serving() as (server, flow), await call(server) as asterisk:
        port = server.port
        await asterisk.expect("ANSWER", "200 result=0")
        stopping = asyncio.create_task(server.stop(10), name="stop")
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await ScriptedAsterisk.connect(port, "127.0.0.22")
        await asterisk.expect("STREAM FILE", "200 result=0 endpos=100")
        await asterisk.expect("GET DATA", "200 result=1")
        await asterisk.expect(NEXT, "200 result=1")
        await stopping
        assert await flow.end() is None
        assert server.totals == {"completed": 1}


async def test_stopping_fails_calls_that_do_not_finish() -> None:
    async with serving(farewell_seconds=0.05) as (server, flow), await call(server) as asterisk:
        await asterisk.expect("ANSWER", "200 result=0")
        await asterisk.expect("STREAM FILE")
        began = monotonic()
        await server.stop(0.05)
        assert monotonic() - began < 5
        assert await asterisk.rest() == ["failure"]
        assert isinstance(await flow.end(), asyncio.CancelledError)
        assert server.totals == {"stopped": 1}


async def test_a_connection_that_came_before_the_stop_is_refused_after_it() -> None:
    async with serving() as (server, _):
        early = await ScriptedAsterisk.connect(server.port, "127.0.0.22")
        busy = await call(server)
        await busy.expect("ANSWER")
        stopping = asyncio.create_task(server.stop(10), name="stop")
        await asyncio.sleep(0)
        await early.send(opening_lines())
        assert await early.rest() == ["failure"]
        await early.close()
        await busy.close()
        await stopping
        assert server.totals["refused"] == 1


async def test_a_server_starts_again_after_a_stop() -> None:
    async with serving() as (server, _):
        await server.stop(0)
        await server.start()
        async with await call(server) as asterisk:
            await whole_call(asterisk)


async def test_session_tasks_are_named_by_path_and_call() -> None:
    async with serving() as (server, _), await call(server) as asterisk:
        await asterisk.expect("ANSWER")
        assert "agi:hotline:1795465328.79" in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_peer_of_another_address_is_dropped_before_it_says_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    served: list[str] = []

    async def hotline(session: AgiSession) -> None:
        served.append(session.request.unique_id)

    server = AgiServer("127.0.0.22", 0, {"hotline": hotline})
    await server.start()
    try:
        for source in ("127.0.22.23", "127.0.0.1", "127.0.0.22"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.22", server.port, local_addr=(source, 0)
            )
            try:
                async with asyncio.timeout(10):
                    with suppress(ConnectionError):
                        writer.write(opening_lines("hotline"))
                        while await reader.read(1000):
                            pass
            finally:
                writer.close()
        await settled(server, rejected=1, completed=2)
    finally:
        await server.stop(0)
    assert len(served) == 2
    assert "127.0.22.23" not in caplog.text
