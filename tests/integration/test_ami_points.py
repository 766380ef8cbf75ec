"""The twelve points in which panoramisk alone would fail us, each against a peer that does it."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pbx.ami import (
    AmiClient,
    Backoff,
    BadCredentials,
    Event,
    InvalidValue,
    NotConnected,
    OutcomeUnknown,
    Refused,
    Timing,
)
from tests.scripted_ami import HOST, PATIENCE, Peer, ScriptedAmi, message, scripted_ami

QUICK = Timing(ping_interval=600, retry_first=0.01, retry_most=0.02)
CALL = {
    "channel": "PJSIP/18005550101@carrier-sim",
    "context": "outbound",
    "exten": "s",
    "channel_id": "attempt-1",
    "timeout_ms": 25_000,
    "caller_id": "18005550199",
}


@pytest.fixture
async def asterisk() -> AsyncIterator[ScriptedAmi]:
    async with scripted_ami() as server:
        yield server


@asynccontextmanager
async def running(
    asterisk: ScriptedAmi, timing: Timing = QUICK, backoff: Backoff | None = None
) -> AsyncIterator[AmiClient]:
    client = AmiClient(HOST, asterisk.port, "tester", "hush-hush", timing=timing, backoff=backoff)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def logged_in(
    asterisk: ScriptedAmi, timing: Timing = QUICK, backoff: Backoff | None = None
) -> AsyncIterator[tuple[AmiClient, Peer]]:
    async with running(asterisk, timing, backoff) as client:
        peer = await asterisk.accept()
        await peer.log_in()
        await client.wait_ready(PATIENCE)
        yield client, peer


def collector(client: AmiClient, *names: str) -> asyncio.Queue[Event]:
    queue: asyncio.Queue[Event] = asyncio.Queue()
    client.subscribe(names or None, queue.put_nowait)
    return queue


async def following(queue: asyncio.Queue[Event]) -> Event:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


def link_log(client: AmiClient) -> tuple[list[bool], Callable[[bool], asyncio.Event]]:
    """What `on_link` told so far, and an event for its next True or False."""
    seen: list[bool] = []
    waiting: dict[bool, asyncio.Event] = {True: asyncio.Event(), False: asyncio.Event()}

    def note(up: bool) -> None:
        seen.append(up)
        waiting[up].set()

    client.on_link(note)
    return seen, waiting.__getitem__


async def test_point_1_an_action_whose_reply_was_lost_is_never_sent_again(
    asterisk: ScriptedAmi,
) -> None:
    async with logged_in(asterisk) as (client, first):
        calling = asyncio.create_task(client.originate(**CALL))  # type: ignore[arg-type]
        listing = asyncio.create_task(client.collect("CoreShowChannels"))
        sent = await first.expect("Originate")
        await first.expect("CoreShowChannels")
        first.drop()
        with pytest.raises(OutcomeUnknown) as lost:
            await calling
        assert (lost.value.action, lost.value.action_id) == ("Originate", sent["ActionID"][0])
        with pytest.raises(OutcomeUnknown):
            await listing
        second = await asterisk.accept()
        await second.log_in()
        await client.wait_ready(PATIENCE)
        # The very next thing on the new link is what we ask for now: nothing was kept.
        asking = asyncio.create_task(client.action("CoreStatus"))
        await second.reply(await second.expect("CoreStatus"))
        await asking
        assert await second.silent()


async def test_point_2_an_event_with_a_pending_action_id_reaches_subscribers(
    asterisk: ScriptedAmi,
) -> None:
    async with logged_in(asterisk) as (client, peer):
        events = collector(client, "OriginateResponse")
        calling = asyncio.create_task(client.originate(**CALL))  # type: ignore[arg-type]
        sent = await peer.expect("Originate")
        action_id = sent["ActionID"][0]
        # Once while the action is pending (its event overtakes the response), once after it.
        for code in ("4", "5"):
            await peer.event(
                "OriginateResponse", ActionID=action_id, Response="Failure", Reason=code
            )
            event = await following(events)
            assert (event.get("reason"), event.get("Response")) == (code, "Failure")
            if not calling.done():
                await peer.reply(sent, Message="Originate successfully queued")
                assert (await calling).message == "Originate successfully queued"


@pytest.mark.parametrize("word", ["Error", "Failure", "Fail", "Nonsense", ""])
async def test_point_3_a_failure_is_not_a_success(asterisk: ScriptedAmi, word: str) -> None:
    async with logged_in(asterisk) as (client, peer):
        asking = asyncio.create_task(client.action("QueueRemove", {"Queue": "q"}))
        await peer.reply(await peer.expect("QueueRemove"), word, Message="Not there")
        with pytest.raises(Refused) as refused:
            await asking
        assert (refused.value.action, refused.value.message) == ("QueueRemove", "Not there")


async def test_point_3_a_failure_whose_last_header_is_the_action_id_is_understood(
    asterisk: ScriptedAmi,
) -> None:
    async with logged_in(asterisk) as (client, peer):
        asking = asyncio.create_task(client.action("Hangup", {"Channel": "x"}))
        sent = await peer.expect("Hangup")
        await peer.raw(
            message(Response="Failure", Message="No such channel", ActionID=sent["ActionID"][0])
        )
        with pytest.raises(Refused, match="No such channel"):
            await asking


async def test_point_4_queue_add_completes_with_its_response(asterisk: ScriptedAmi) -> None:
    async with logged_in(asterisk) as (client, peer):
        adding = asyncio.create_task(
            client.action("QueueAdd", {"Queue": "northwind-en", "Interface": "PJSIP/agent-1001"})
        )
        sent = await peer.expect("QueueAdd")
        assert sent["Interface"] == ["PJSIP/agent-1001"]
        await peer.reply(sent, Message="Added interface to queue")
        assert (await adding).get("message") == "Added interface to queue"


async def test_point_5_a_failing_handler_costs_neither_link_nor_the_rest_of_the_chunk(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    async with logged_in(asterisk) as (client, peer):

        def broken(event: Event) -> None:
            raise ValueError(event.get("CallerIDNum"))

        client.subscribe(["Newchannel"], broken)
        events = collector(client)
        await peer.raw(
            message(Event="Newchannel", CallerIDNum="12025550123")
            + message(Event="Hangup", Uniqueid="a")
            + message(Event="Newchannel", CallerIDNum="12025550124")
        )
        names = [(await following(events)).name for _ in range(3)]
        assert names == ["Newchannel", "Hangup", "Newchannel"]
        assert client.connected
        reports = [r for r in caplog.records if "ValueError" in r.getMessage()]
        assert len(reports) == 2
        assert "1202555" not in caplog.text
    assert asterisk.accepted == 1


async def test_point_6_handlers_run_in_order_and_not_in_tasks(asterisk: ScriptedAmi) -> None:
    async with logged_in(asterisk) as (client, peer):
        seen: list[tuple[str, str]] = []
        last = asyncio.Event()
        tasks: list[set[asyncio.Task[object]]] = []

        def first(event: Event) -> None:
            seen.append(("first", event.get("N")))
            tasks.append(asyncio.all_tasks())

        def second(event: Event) -> None:
            seen.append(("second", event.get("N")))
            if event.get("N") == "199":
                last.set()

        client.subscribe(["Step"], first)
        client.subscribe(["step"], second)
        await peer.raw(b"".join(message(Event="Step", N=str(n)) for n in range(200)))
        await asyncio.wait_for(last.wait(), PATIENCE)
        assert seen == [(who, str(n)) for n in range(200) for who in ("first", "second")]
        assert all(then == tasks[0] for then in tasks)


async def test_point_6_a_coroutine_is_no_handler(asterisk: ScriptedAmi) -> None:
    async def later(_: object) -> None: ...

    client = AmiClient(HOST, asterisk.port, "tester", "secret")
    with pytest.raises(TypeError):
        client.subscribe(None, later)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.on_link(later)  # type: ignore[arg-type]


async def test_point_7_an_unanswered_ping_drops_the_half_open_link(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    timing = Timing(ping_interval=0.01, ping_timeout=0.2, retry_first=0.01)
    async with logged_in(asterisk, timing) as (client, first):
        seen, awaited = link_log(client)
        await first.reply(await first.expect("Ping"), Ping="Pong")
        await first.expect("Ping")  # from here on the peer is silent, its socket open
        calling = asyncio.create_task(client.action("CoreStatus", timeout=PATIENCE))
        with pytest.raises(OutcomeUnknown, match="ping"):
            await calling
        await asyncio.wait_for(awaited(False).wait(), PATIENCE)
        second = await asterisk.accept()
        await second.log_in()
        await client.wait_ready(PATIENCE)
        assert seen == [False, True]
        assert "no reply to a ping" in caplog.text


async def test_point_8_a_wrong_secret_is_told_and_not_hammered(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(asterisk, QUICK) as client:  # next try in credentials_retry: 60 s
        peer = await asterisk.accept()
        await peer.greet()
        await peer.reply(await peer.expect("Login"), "Error", Message="Authentication failed")
        for _ in range(2):
            with pytest.raises(BadCredentials, match=r"manager\.conf"):
                await client.wait_ready(PATIENCE)
        await peer.closed()
        assert not client.connected
        with pytest.raises(NotConnected):
            await client.action("Ping")
        assert await asterisk.nobody_comes(0.2)  # a back-off of 0.02 s would be here ten times
    assert [r.levelname for r in caplog.records if r.name.startswith("pbx")] == ["ERROR"]
    assert "hush-hush" not in caplog.text


async def test_point_8_once_the_secret_is_mended_the_slow_retry_logs_in(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(asterisk, Timing(credentials_retry=0.01)) as client:
        for _ in range(3):
            peer = await asterisk.accept()
            await peer.greet()
            await peer.reply(await peer.expect("Login"), "Error", Message="Authentication failed")
        with pytest.raises(BadCredentials):
            await client.wait_ready(PATIENCE)
        seen, awaited = link_log(client)
        await (await asterisk.accept()).log_in()
        await asyncio.wait_for(awaited(True).wait(), PATIENCE)
        await client.wait_ready(PATIENCE)
        assert seen == [True]
    assert [r.levelname for r in caplog.records if r.levelno >= logging.WARNING] == ["ERROR"]


async def test_point_9_stop_during_a_reconnect_wait_stops(asterisk: ScriptedAmi) -> None:
    waiting = asyncio.Event()

    def draw() -> float:
        waiting.set()
        return 1.0

    async with logged_in(asterisk, backoff=Backoff(0.1, 0.1, draw)) as (client, peer):
        peer.drop()
        await asyncio.wait_for(waiting.wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await client.stop()
        assert await asterisk.nobody_comes(0.3)
        assert [t for t in asyncio.all_tasks() if "ami" in t.get_name()] == []
        with pytest.raises(NotConnected, match="not running"):
            await client.wait_ready(PATIENCE)


async def test_point_9_stop_during_a_connect_stops(asterisk: ScriptedAmi) -> None:
    async with running(asterisk) as client:
        peer = await asterisk.accept()  # and never greet
        async with asyncio.timeout(PATIENCE):
            await client.stop()
        await peer.closed()
        assert await asterisk.nobody_comes(0.1)


async def test_point_10_a_character_split_across_reads_survives(asterisk: ScriptedAmi) -> None:
    async with logged_in(asterisk) as (client, peer):
        events = collector(client, "Newexten", "Other")
        gate = collector(client, "Gate")
        whole = message(Event="Newexten", CallerIDName="Peña 日本 🙂")
        for byte in whole[:-1]:
            await peer.raw(bytes([byte]))
            await asyncio.sleep(0)  # let the client's side read what there is
        await peer.raw(whole[-1:] + message(Event="Gate"))
        await following(gate)
        assert (await following(events)).get("CallerIDName") == "Peña 日本 🙂"


async def test_point_10_bytes_that_are_not_utf8_do_not_kill_the_link(
    asterisk: ScriptedAmi,
) -> None:
    async with logged_in(asterisk) as (client, peer):
        events = collector(client, "Newexten", "Hangup")
        await peer.raw(b"Event: Newexten\r\nCallerIDName: Pe\xf1a\r\nExten: 1\r\n\r\n")
        await peer.event("Hangup", Uniqueid="u")
        event = await following(events)
        assert (event.get("CallerIDName"), event.get("Exten")) == ("Pe\ufffda", "1")
        assert (await following(events)).name == "Hangup"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Ping\r\nAction: Originate", {}),
        ("Ping", {"Channel\r\nX": "a"}),
        ("Ping", {"Channel: a\nX": "a"}),
        ("Ping", {"Channel": "a\r\nApplication: System"}),
        ("Ping", {"Channel": "a\rb"}),
        ("Ping", {"Channel": "a\nb"}),
        ("Ping", {"Channel": "a\x00b"}),
        ("Ping", {"Channel": "a\x1bb"}),
        ("Ping", {"Channel": "a\x85b"}),
        ("Ping", {"Channel": "a\u2028b"}),
        ("Ping", {"Channel": "a\ud800b"}),
        ("Ping", {"Variable": ["a=1", "b=2\r\n\r\nAction: Logoff"]}),
        ("Ping", {"Channel": "x" * 1_100}),
        ("Ping", {"Variable": ["a=1"] * 200}),
        ("Ping", {"": "a"}),
        ("Ping", {"ActionID": "mine"}),
        ("Ping", {"action": "Originate"}),
        ("Ping", {"Channel": "a", "channel": "b"}),
    ],
)
async def test_point_11_what_would_be_another_header_is_refused_and_nothing_sent(
    asterisk: ScriptedAmi, name: str, fields: dict[str, str | list[str]]
) -> None:
    async with logged_in(asterisk) as (client, peer):
        with pytest.raises(InvalidValue) as refused:
            await client.action(name, fields)
        assert "Originate" not in str(refused.value) or "\n" not in str(refused.value)
        assert await peer.silent(0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"variables": {"BL_APOLOGY": "a,OTHER=b"}},
        {"variables": {"BL_APOLOGY": 'a"b'}},
        {"variables": {"BL_APOLOGY": "a\\b"}},
        {"variables": {"BL_APOLOGY": "a\nb"}},
        {"variables": {"BL_APOLOGY": " a"}},
        {"variables": {"CHANNEL(hangup_handler_push)": "a"}},
        {"variables": {"A=B": "a"}},
        {"caller_id": "1800\r\nApplication: System"},
        {"channel": ""},
        {"exten": " "},
        {"channel_id": ""},
        {"timeout_ms": 0},
    ],
)
async def test_point_11_an_originate_that_asterisk_would_read_otherwise_is_refused(
    asterisk: ScriptedAmi, change: dict[str, object]
) -> None:
    async with logged_in(asterisk) as (client, peer):
        with pytest.raises(InvalidValue):
            await client.originate(**(CALL | change))  # type: ignore[arg-type]
        assert await peer.silent(0.02)


async def test_point_12_an_outage_warns_once_backs_off_and_comes_back(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pbx.ami")
    tries = 0
    enough = asyncio.Event()

    def draw() -> float:
        nonlocal tries
        tries += 1
        if tries == 5:
            enough.set()
        return 0.0

    async with logged_in(asterisk, backoff=Backoff(0.01, 0.02, draw)) as (client, peer):
        seen, awaited = link_log(client)
        await asterisk.deafen()
        peer.drop()
        await asyncio.wait_for(enough.wait(), PATIENCE)
        outage = [r.levelname for r in caplog.records if "trying again" in r.getMessage()]
        assert outage[:2] == ["WARNING", "DEBUG"]
        assert set(outage[1:]) == {"DEBUG"}
        with pytest.raises(NotConnected):
            await client.action("Ping")
        caplog.clear()
        await asterisk.listen()
        await (await asterisk.accept()).log_in()
        await asyncio.wait_for(awaited(True).wait(), PATIENCE)
        assert seen == [False, True]
        assert [r.levelname for r in caplog.records if "logged in" in r.getMessage()] == ["INFO"]


@pytest.mark.parametrize(("stable", "grows"), [(600.0, True), (0.0, False)])
async def test_point_12_only_a_link_that_stood_ends_the_back_off(
    asterisk: ScriptedAmi, stable: float, grows: bool
) -> None:
    delays: list[float] = []

    class Noted(Backoff):
        def next(self) -> float:
            delays.append(super().next())
            return delays[-1]

    timing = Timing(ping_interval=600, stable=stable)
    async with running(asterisk, timing, Noted(0.001, 10, lambda: 1.0)) as client:
        changes: asyncio.Queue[bool] = asyncio.Queue()
        client.on_link(changes.put_nowait)
        for _ in range(4):  # a peer that takes the login and hangs up, again and again
            peer = await asterisk.accept()
            await peer.log_in()
            assert await asyncio.wait_for(changes.get(), PATIENCE) is True
            peer.drop()
            assert await asyncio.wait_for(changes.get(), PATIENCE) is False
        await asterisk.accept()
    assert delays[:4] == ([0.001, 0.002, 0.004, 0.008] if grows else [0.001] * 4)


async def test_no_future_is_left_with_an_error_that_nobody_saw(asterisk: ScriptedAmi) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
    async with logged_in(asterisk) as (client, peer):
        calling = asyncio.create_task(client.action("CoreStatus"))
        await peer.expect("CoreStatus")
        calling.cancel()
        peer.drop()
        with pytest.raises(asyncio.CancelledError):
            await calling
    del calling, client, peer
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
