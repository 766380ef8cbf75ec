"""The AMI client with a real Asterisk: what the scripted peer cannot know."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from incident.settings import Settings
from pbx.ami import AmiClient, BadCredentials, Event, OutcomeUnknown, Refused, Timing
from pbx.runtime.tree import Tree, ensure_tree

HOST = "127.0.0.21"
START = 60.0
"""Seconds for Asterisk to start on a busy machine."""
PATIENCE = 20.0

MODULES = "pbx_config app_userevent app_queue res_timing_timerfd bridge_simple func_channel"
DIALPLAN = """
[far]
exten => answer,1,Answer()
 same => n,Wait(60)
exten => busy,1,Busy(20)
exten => ring,1,Ringing()
 same => n,Wait(60)

[near]
exten => s,1,UserEvent(Arrived,Value: ${BL_VALUE},Other: ${BL_OTHER})
 same => n,Hangup()
"""


class Asterisk:
    """A small Asterisk of our own: a manager, a dialplan, Local channels and nothing else."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        self._tree = tree
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        folders = ["etc", "lib", "run", "log", "spool", "cache", "agi"]
        for name in folders:
            (folder / name).mkdir()
        keys = {"astetcdir": "etc", "astvarlibdir": "lib", "astdbdir": "lib", "astkeydir": "lib"}
        keys |= {"astagidir": "agi", "astspooldir": "spool", "astrundir": "run"}
        keys |= {"astlogdir": "log", "astcachedir": "cache"}
        directories = {key: folder / name for key, name in keys.items()}
        directories |= {"astmoddir": tree.modules, "astdatadir": tree.data}
        self._write(
            "asterisk", "[directories]", *(f"{key} => {path}" for key, path in directories.items())
        )
        loads = (f"load = {module}.so" for module in MODULES.split())
        self._write("modules", "[modules]", "autoload = no", *loads)
        self._write(
            "manager",
            f"[general]\nenabled = yes\nport = {self.port}\nbindaddr = {HOST}",
            "[tester]\nsecret = right\nread = all\nwrite = all",
        )
        self._write("queues", "[general]", "[northwind-en]", "strategy = rrmemory")
        self._write("extensions", DIALPLAN)

    def _write(self, name: str, *lines: str) -> None:
        (self._folder / "etc" / f"{name}.conf").write_text("\n".join(lines) + "\n")

    async def start(self) -> None:
        with (self._folder / "out").open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *self._tree.command("asterisk", "-f", "-C", f"{self._folder}/etc/asterisk.conf"),
                env={**os.environ, **self._tree.env()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def asterisk() -> AsyncIterator[Asterisk]:
    tree = await asyncio.to_thread(ensure_tree, Settings(), lambda _: None)
    # Not pytest's folder: the path of Asterisk's control socket must stay under 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="bl-ami-"))
    server = Asterisk(tree, folder)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
        shutil.rmtree(folder)


@pytest.fixture
async def client(asterisk: Asterisk) -> AsyncIterator[AmiClient]:
    timing = Timing(retry_first=0.05, retry_most=0.2)
    client = AmiClient(HOST, asterisk.port, "tester", "right", timing=timing)
    await client.start()
    await client.wait_ready(START)
    yield client
    await client.stop()


class Heard:
    """Events in order; `until` waits for the first that matches, looking at each only once."""

    def __init__(self, client: AmiClient) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        client.subscribe(None, self.queue.put_nowait)

    async def until(self, **wanted: str) -> Event:
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self.queue.get()
                if all(event.get(key) == value for key, value in wanted.items()):
                    return event


async def call(client: AmiClient, exten: str, channel_id: str, value: str = "x") -> str:
    """Originate a Local call; the ActionID of its response."""
    response = await client.originate(
        channel=f"Local/{exten}@far",
        context="near",
        exten="s",
        channel_id=channel_id,
        timeout_ms=1_000,
        caller_id='"Northwind Health" <18005550199>',
        variables={"BL_VALUE": value, "BL_OTHER": "untouched"},
    )
    return response.action_id


async def test_actions_lists_and_refusals(client: AmiClient) -> None:
    assert (await client.action("Ping")).get("Ping") == "Pong"
    assert await client.collect("CoreShowChannels") == []
    member = {"Queue": "northwind-en", "Interface": "Local/answer@far"}
    await client.action("QueueAdd", member)
    with pytest.raises(Refused, match="Already there"):
        await client.action("QueueAdd", member)
    items = await client.collect("QueueStatus", {"Queue": "northwind-en"})
    assert [item.name for item in items] == ["QueueParams", "QueueMember"]
    with pytest.raises(Refused, match="Nonsense"):
        await client.action("Nonsense")
    longest = "x" * (1_000 - len("Value: "))
    heard = Heard(client)
    await client.action("UserEvent", {"UserEvent": "Long", "Value": longest})
    assert (await heard.until(Event="UserEvent")).get("Value") == longest


async def test_an_originate_is_followed_by_its_channel_id(client: AmiClient) -> None:
    heard = Heard(client)
    odd = "v(1)[2] ;$ {x} ${BL_OTHER} a=b ñ ' ` &|<>"
    await call(client, "answer", "attempt-1", odd)
    arrived = await heard.until(Event="UserEvent", UserEvent="Arrived")
    assert (arrived.get("Value"), arrived.get("Other")) == (odd, "untouched")
    assert arrived.get("Uniqueid") == "attempt-1"
    # The order of the two is Asterisk's: the call may be over before it is reported answered.
    heard = Heard(client)
    action_id = await call(client, "answer", "attempt-2")
    ends: dict[str, Event] = {}
    while {"OriginateResponse", "attempt-2", "attempt-2;2"} - ends.keys():
        event = await heard.until()
        if event.name == "OriginateResponse" and event.get("Uniqueid") == "attempt-2":
            ends[event.name] = event
        elif event.name == "Hangup":
            ends[event.get("Uniqueid")] = event
    answered = ends["OriginateResponse"]
    assert (answered.get("Response"), answered.get("Reason")) == ("Success", "4")
    assert answered.get("ActionID") == action_id


@pytest.mark.parametrize(("exten", "reason"), [("busy", "5"), ("ring", "3"), ("nosuch", "0")])
async def test_a_call_that_is_not_answered_says_why(
    client: AmiClient, exten: str, reason: str
) -> None:
    heard = Heard(client)
    action_id = await call(client, exten, "attempt-1")
    event = await heard.until(Event="OriginateResponse", ActionID=action_id)
    assert (event.get("Response"), event.get("Reason")) == ("Failure", reason)
    assert event.get("Uniqueid") == "attempt-1"


async def test_killed_in_the_middle_of_an_action_and_started_again(
    asterisk: Asterisk, client: AmiClient
) -> None:
    asterisk.signal(signal.SIGSTOP)  # it gets the action, but does not come to answer it
    calling = asyncio.create_task(call(client, "answer", "attempt-1"))
    await asyncio.sleep(0)
    await asterisk.kill()
    with pytest.raises(OutcomeUnknown) as lost:
        await calling
    assert lost.value.action == "Originate"
    heard = Heard(client)
    await asterisk.start()
    await client.wait_ready(START)
    assert (await client.action("Ping")).get("Ping") == "Pong"
    assert await client.collect("CoreShowChannels") == []
    seen = [heard.queue.get_nowait().name for _ in range(heard.queue.qsize())]
    assert "Newchannel" not in seen
    assert "FullyBooted" in seen


async def test_a_wrong_secret(asterisk: Asterisk, client: AmiClient) -> None:
    other = AmiClient(HOST, asterisk.port, "tester", "wrong")
    await other.start()
    with pytest.raises(BadCredentials):
        await other.wait_ready(PATIENCE)
    await other.stop()
    assert client.connected
