"""Beyond the twelve points: broken peers, late replies, lists, link notifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pbx.ami import (
    AmiClient,
    BadCredentials,
    Event,
    Limits,
    NotConnected,
    OutcomeUnknown,
    Timing,
    UnexpectedReply,
)
from tests.scripted_ami import HOST, PATIENCE, Peer, ScriptedAmi, message, scripted_ami

QUICK = Timing(ping_interval=600, retry_first=0.01, retry_most=0.02)


@pytest.fixture
async def asterisk() -> AsyncIterator[ScriptedAmi]:
    async with scripted_ami() as server:
        yield server


@pytest.fixture
async def client(asterisk: ScriptedAmi) -> AsyncIterator[AmiClient]:
    """Started, with small limits; nobody has greeted it yet."""
    limits = Limits(line=2_000, message=10_000)
    client = AmiClient(HOST, asterisk.port, "tester", "secret", timing=QUICK, limits=limits)
    await client.start()
    yield client
    await client.stop()


async def up(asterisk: ScriptedAmi, client: AmiClient) -> Peer:
    peer = await asterisk.accept()
    await peer.log_in()
    await client.wait_ready(PATIENCE)
    return peer


async def test_the_login_asks_for_events(asterisk: ScriptedAmi, client: AmiClient) -> None:
    peer = await asterisk.accept()
    login = await peer.log_in()
    assert (login["Username"], login["Secret"], login["Events"]) == (["tester"], ["secret"], ["on"])


async def test_not_connected_sends_nothing(asterisk: ScriptedAmi, client: AmiClient) -> None:
    peer = await asterisk.accept()
    with pytest.raises(NotConnected):
        await client.action("Ping")
    await peer.log_in()
    await client.wait_ready(PATIENCE)
    assert await peer.silent()


async def test_wait_ready_says_what_it_waited_for(asterisk: ScriptedAmi) -> None:
    client = AmiClient(HOST, asterisk.port, "tester", "secret", timing=QUICK)
    with pytest.raises(NotConnected, match="not running"):
        await client.wait_ready(PATIENCE)
    await asterisk.deafen()
    await client.start()
    with pytest.raises(NotConnected, match="ConnectionRefused"):
        await client.wait_ready(0.1)
    await client.stop()
    await client.stop()


async def test_a_banner_that_never_comes_is_given_up(asterisk: ScriptedAmi) -> None:
    client = AmiClient(
        HOST, asterisk.port, "tester", "secret", timing=Timing(connect=0.05, retry_first=0.01)
    )
    await client.start()
    silent = await asterisk.accept()
    await silent.closed()
    await (await asterisk.accept()).log_in()
    await client.wait_ready(PATIENCE)
    await client.stop()


async def test_a_login_without_an_answer_is_given_up(asterisk: ScriptedAmi) -> None:
    client = AmiClient(
        HOST, asterisk.port, "tester", "secret", timing=Timing(login=0.05, retry_first=0.01)
    )
    await client.start()
    silent = await asterisk.accept()
    await silent.greet()
    await silent.closed()
    await (await asterisk.accept()).log_in()
    await client.wait_ready(PATIENCE)
    await client.stop()


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 300]
)
async def test_something_that_is_no_asterisk_is_given_up(
    asterisk: ScriptedAmi, client: AmiClient, greeting: bytes
) -> None:
    stranger = await asterisk.accept()
    await stranger.raw(greeting)
    assert await stranger.silent(0.0)  # it never sees our secret
    await stranger.closed()
    await up(asterisk, client)


async def test_a_banner_in_pieces_is_read(asterisk: ScriptedAmi, client: AmiClient) -> None:
    peer = await asterisk.accept()
    for piece in (b"Asterisk Call", b" Manager/11.0", b".0\r", b"\n"):
        await peer.raw(piece)
        await asyncio.sleep(0)
    await peer.reply(await peer.expect("Login"))
    await peer.event("FullyBooted")
    await client.wait_ready(PATIENCE)


async def test_an_account_in_use_is_not_taken_for_a_wrong_secret(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await asterisk.accept()
    await peer.greet()
    await peer.reply(await peer.expect("Login"), "Error", Message="Login Already In Use")
    await up(asterisk, client)


async def test_ready_waits_until_asterisk_is_fully_booted(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await asterisk.accept()
    await peer.greet()
    await peer.reply(await peer.expect("Login"))
    with pytest.raises(NotConnected):
        await client.wait_ready(0.05)
    with pytest.raises(NotConnected):
        await client.action("Ping")
    await peer.event("FullyBooted")
    await client.wait_ready(PATIENCE)


async def test_an_account_that_may_not_see_fully_booted_works_with_a_warning(
    asterisk: ScriptedAmi, caplog: pytest.LogCaptureFixture
) -> None:
    client = AmiClient(HOST, asterisk.port, "tester", "secret", timing=Timing(boot=0.05))
    await client.start()
    peer = await asterisk.accept()
    await peer.greet()
    await peer.reply(await peer.expect("Login"))
    await client.wait_ready(PATIENCE)
    assert "read = system" in caplog.text
    await client.stop()


@pytest.mark.parametrize(
    "flood",
    [
        b"Event: X\r\nField: " + b"y" * 3_000,
        b"Event: X\r\nField: " + b"y" * 3_000 + b"\r\n\r\n",
        b"Event: X\r\n" + b"Field: y\r\n" * 2_000,
    ],
)
async def test_a_line_or_message_without_bounds_drops_the_link(
    asterisk: ScriptedAmi, client: AmiClient, flood: bytes
) -> None:
    peer = await up(asterisk, client)
    asking = asyncio.create_task(client.action("CoreStatus"))
    await peer.expect("CoreStatus")
    await peer.raw(flood)
    with pytest.raises(OutcomeUnknown, match="broken peer"):
        await asking
    await up(asterisk, client)


async def test_garbage_between_messages_is_skipped(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    events: asyncio.Queue[Event] = asyncio.Queue()
    client.subscribe(["Hangup"], events.put_nowait)
    await peer.raw(b"\r\n\r\n\r\nnonsense\r\n\r\n: \r\n\r\n\xff\xfe\r\n\r\n")
    await peer.event("Hangup", Uniqueid="u", Empty="")
    event = await asyncio.wait_for(events.get(), PATIENCE)
    assert dict(event.fields) == {"Event": "Hangup", "Uniqueid": "u", "Empty": ""}


async def test_a_late_reply_is_ignored(asterisk: ScriptedAmi, client: AmiClient) -> None:
    peer = await up(asterisk, client)
    with pytest.raises(OutcomeUnknown) as late:
        await client.action("CoreStatus", timeout=0.01)
    sent = await peer.expect("CoreStatus")
    assert late.value.action_id == sent["ActionID"][0]
    asking = asyncio.create_task(client.action("CoreSettings"))
    now = await peer.expect("CoreSettings")
    await peer.reply(sent, Which="late")
    await peer.reply({"ActionID": ["somebody else's"]}, "Error")
    await peer.raw(message(Response="Error", Message="no ActionID at all"))
    await peer.reply(now, Which="right")
    assert (await asking).get("Which") == "right"


async def test_replies_out_of_order_find_their_actions(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    asking = [asyncio.create_task(client.action("Getvar", {"Variable": v})) for v in "abc"]
    sent = [await peer.expect("Getvar") for _ in asking]
    assert len({one["ActionID"][0] for one in sent}) == 3
    for one in reversed(sent):
        await peer.reply(one, Value=one["Variable"][0] * 2)
    assert [(await one).get("Value") for one in asking] == ["aa", "bb", "cc"]


async def test_action_ids_differ_between_clients_and_links(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    ids = []
    for _ in range(2):
        peer = await up(asterisk, client)
        asking = asyncio.create_task(client.action("Ping"))
        sent = await peer.expect("Ping")
        ids.append(sent["ActionID"][0])
        await peer.reply(sent)
        await asking
        peer.drop()
    other = AmiClient(HOST, asterisk.port, "tester", "secret", timing=QUICK)
    peer = await asterisk.accept()  # the first client again
    await other.start()
    login = await (await asterisk.accept()).log_in()
    ids.append(login["ActionID"][0])
    await other.stop()
    assert len(set(ids)) == 3


async def test_a_list_is_collected_and_its_items_are_events_too(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    seen: list[str] = []
    client.subscribe(None, lambda event: seen.append(event.name))
    listing = asyncio.create_task(client.collect("QueueStatus", {"Queue": "northwind-en"}))
    sent = await peer.expect("QueueStatus")
    action_id = sent["ActionID"][0]
    await peer.reply(sent, EventList="start", Message="Queue status will follow")
    await peer.event("QueueMember", ActionID=action_id, Name="1001")
    await peer.event("Hangup", Uniqueid="not of the list")
    await peer.event("QueueMember", ActionID="another list", Name="1002")
    await peer.event("QueueEntry", ActionID=action_id, Position="1")
    await peer.event("QueueStatusComplete", ActionID=action_id, EventList="Complete", ListItems="2")
    items = await listing
    assert [(i.name, i.get("Name") or i.get("Position")) for i in items] == [
        ("QueueMember", "1001"),
        ("QueueEntry", "1"),
    ]
    assert seen == ["QueueMember", "Hangup", "QueueMember", "QueueEntry", "QueueStatusComplete"]


async def test_a_list_that_never_completes_times_out(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    listing = asyncio.create_task(client.collect("CoreShowChannels", timeout=0.2))
    sent = await peer.expect("CoreShowChannels")
    await peer.reply(sent, EventList="start")
    await peer.event("CoreShowChannel", ActionID=sent["ActionID"][0])
    with pytest.raises(OutcomeUnknown):
        await listing
    assert client.connected


@pytest.mark.parametrize("ending", [None, "cancelled"])
async def test_a_list_that_is_none_is_told(
    asterisk: ScriptedAmi, client: AmiClient, ending: str | None
) -> None:
    peer = await up(asterisk, client)
    listing = asyncio.create_task(client.collect("CoreShowChannels"))
    sent = await peer.expect("CoreShowChannels")
    if ending is None:
        await peer.reply(sent)
    else:
        await peer.reply(sent, EventList="start")
        await peer.event("X", ActionID=sent["ActionID"][0], EventList=ending)
    with pytest.raises(UnexpectedReply):
        await listing


async def test_when_the_loss_is_announced_pending_actions_have_failed(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    told: asyncio.Queue[tuple[bool, bool, bool]] = asyncio.Queue()
    asking = asyncio.create_task(client.action("CoreStatus"))
    await peer.expect("CoreStatus")

    def broken(up: bool) -> None:
        raise RuntimeError("a bad listener")

    client.on_link(broken)
    client.on_link(lambda up: told.put_nowait((up, client.connected, asking.done())))
    undo = client.on_link(lambda up: pytest.fail("was taken off"))
    undo()
    undo()
    peer.drop()
    assert await asyncio.wait_for(told.get(), PATIENCE) == (False, False, True)
    with pytest.raises(OutcomeUnknown):
        await asking
    await up(asterisk, client)
    assert (await asyncio.wait_for(told.get(), PATIENCE))[:2] == (True, True)
    await client.stop()
    assert (await asyncio.wait_for(told.get(), PATIENCE))[:2] == (False, False)


async def test_stop_fails_what_is_pending_as_unknown(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    asking = asyncio.create_task(client.action("CoreStatus"))
    await peer.expect("CoreStatus")
    await client.stop()
    with pytest.raises(OutcomeUnknown, match="closed by us"):
        await asking
    await client.start()
    await up(asterisk, client)


async def test_unsubscribing_in_the_middle_of_an_event_holds_at_once(
    asterisk: ScriptedAmi, client: AmiClient
) -> None:
    peer = await up(asterisk, client)
    seen: list[str] = []
    done = asyncio.Event()
    undos: list[Callable[[], None]] = []

    def first(event: Event) -> None:
        seen.append("first")
        for undo in undos:
            undo()

    client.subscribe(["Hangup"], first)
    undos.append(client.subscribe(["Hangup"], lambda _: seen.append("second")))
    client.subscribe(["Hangup"], lambda _: done.set())
    await peer.event("Hangup")
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert seen == ["first"]


async def test_a_peer_that_does_not_read_gets_no_more(asterisk: ScriptedAmi) -> None:
    client = AmiClient(
        HOST, asterisk.port, "tester", "secret", timing=QUICK, limits=Limits(backlog=10_000)
    )
    await client.start()
    peer = await up(asterisk, client)
    waiting: list[asyncio.Task[object]] = []
    with pytest.raises(NotConnected, match="does not read"):
        async with asyncio.timeout(PATIENCE):
            while True:  # the peer's and the kernel's buffers fill up first
                ask = client.action("UserEvent", {"UserEvent": "x" * 900}, timeout=PATIENCE)
                task = asyncio.create_task(ask)
                waiting.append(task)
                await asyncio.sleep(0)
                if task.done():
                    task.result()
    peer.drop()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], OutcomeUnknown)
    await client.stop()


async def test_nothing_is_logged_but_names(
    asterisk: ScriptedAmi, client: AmiClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    peer = await up(asterisk, client)
    number, secret = "12025550123", "tester"
    seen: list[Event] = []
    client.subscribe(["Newchannel"], seen.append)
    calling = asyncio.create_task(
        client.originate(
            channel=f"PJSIP/{number}@carrier-sim",
            context="outbound",
            exten="s",
            channel_id="attempt-7",
            timeout_ms=25_000,
            caller_id=number,
            variables={"BL_ATTEMPT": "7", "BL_CAMPAIGN": "c"},
        )
    )
    sent = await peer.expect("Originate")
    assert sent["Variable"] == ["BL_ATTEMPT=7", "BL_CAMPAIGN=c"]
    assert (sent["Async"], sent["Priority"], sent["Timeout"]) == (["true"], ["1"], ["25000"])
    await peer.event("Newchannel", CallerIDNum=number, Channel=f"PJSIP/{number}")
    await peer.raw(message(Junk=number) + message(Response="Error", Message=number, ActionID="x"))
    await peer.reply(sent, "Error", Message="Originate failed")
    with pytest.raises(Exception, match="Originate failed"):
        await calling
    peer.drop()
    await up(asterisk, client)
    assert number not in caplog.text
    assert f"Username: {secret}" not in caplog.text
    assert [event.get("CallerIDNum") for event in seen] == [number]
    assert number not in repr(seen)


async def test_bad_credentials_name_the_address() -> None:
    assert "127.0.0.21:5038" in str(BadCredentials("127.0.0.21", 5038))


async def test_keeper_that_dies_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(_self: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("pbx.ami.reconnect.LinkKeeper._keep_up", faulty)
    client = AmiClient("127.0.0.21", 1, "user", "secret")
    assert not client.failed
    await client.start()
    async with asyncio.timeout(5):
        while not client.failed:
            await asyncio.sleep(0)
    await client.stop()
