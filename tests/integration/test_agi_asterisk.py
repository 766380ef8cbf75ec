"""FastAGI and the emergency script with a real Asterisk: what AGISTATUS says in each case.

The dialplan decides by these facts; a new Asterisk that changes one must fail here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from incident.home import Home
from incident.privacy import IncidentKey
from incident.settings import Settings
from pbx.agi import AgiServer, AgiSession, CallerHungUp, CommandFailed, InvalidArgument, Limits
from pbx.ami import AmiClient, Event
from pbx.emergency_pack import PROMPTS, write_emergency_pack
from pbx.runtime.tree import ensure_tree
from pbx.spool import list_spooled, read_spooled

HOST = "127.0.0.22"
AGI_PORT = 4583
AMI_PORT = 5048
PROJECT = Path(__file__).resolve().parents[2]
KEY = IncidentKey(b"k" * 32)

MODULES = (
    "pbx_config res_speech res_agi app_userevent app_senddtmf app_verbose func_channel "
    "func_callerid func_logic format_gsm format_pcm format_wav codec_gsm codec_ulaw "
    "res_timing_timerfd bridge_simple"
)
ENDED = "Call: ${BL_CALL},Status: ${AGISTATUS},Next: ${BL_NEXT}"
DIALPLAN = """
[near]
exten => s,1,Answer()
 same => n,Set(AGIEXITONHANGUP=yes)
 same => n,Set(CALLERID(all)="Ana ""A"" <18005550123>")
 same => n,AGI(agi://{host}:{port}/${{BL_PATH}}?x=1,first arg,second)
 same => n,UserEvent(AgiEnded,{ended},Alive: yes)
 same => n,Hangup()
exten => script,1,Answer()
 same => n,Set(AGIEXITONHANGUP=yes)
 same => n,AGI({folder}/agi/${{BL_PATH}})
 same => n,UserEvent(AgiEnded,{ended},Alive: yes)
 same => n,Hangup()
exten => h,1,UserEvent(AgiEnded,{ended},Alive: no)

[far]
exten => stay,1,Answer()
 same => n,Wait(60)
; Longer than near's Answer(), which waits half a second for sound.
exten => go,1,Answer()
 same => n,Wait(1.2)
exten => press,1,Answer()
 same => n,Wait(1)
 same => n,SendDTMF(5)
 same => n,Wait(60)
; Presses 1 until the number is asked for, enters it, and confirms it after it is read back.
exten => number,1,Answer()
 same => n,Wait(1)
 same => n,SendDTMF(1)
 same => n,Wait(1)
 same => n,SendDTMF(8005550123#,100,100)
 same => n(again),Wait(1)
 same => n,SendDTMF(1)
 same => n,Goto(again)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A running Asterisk's folder. Not pytest's: a control socket's path has 107 bytes."""
    tree = ensure_tree(Settings(), lambda _: None)
    folder = Path(tempfile.mkdtemp(prefix="bl-agi-"))
    for name in ("etc", "lib", "run", "log", "spool", "cache", "agi"):
        (folder / name).mkdir()
    files = {
        "asterisk": "[directories]\n"
        f"astetcdir => {folder}/etc\nastmoddir => {tree.modules}\nastvarlibdir => {folder}/lib\n"
        f"astdbdir => {folder}/lib\nastkeydir => {folder}/lib\nastdatadir => {tree.data}\n"
        f"astagidir => {folder}/agi\nastspooldir => {folder}/spool\nastrundir => {folder}/run\n"
        f"astlogdir => {folder}/log\nastcachedir => {folder}/cache\n",
        "modules": "[modules]\nautoload = no\n"
        + "".join(f"load = {m}.so\n" for m in MODULES.split()),
        "manager": f"[general]\nenabled = yes\nport = {AMI_PORT}\nbindaddr = {HOST}\n"
        "[tester]\nsecret = right\nread = all\nwrite = all\n",
        "extensions": DIALPLAN.format(host=HOST, port=AGI_PORT, folder=folder, ended=ENDED),
    }
    for name, content in files.items():
        (folder / "etc" / f"{name}.conf").write_text(content)
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            tree.command("asterisk", "-f", "-C", f"{folder}/etc/asterisk.conf"),
            env={**os.environ, **tree.env()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield folder
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


class Calls:
    """Makes calls and hears how Asterisk ended AGI()."""

    def __init__(self, client: AmiClient) -> None:
        self._client = client
        self._call = ""
        self._ended: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        client.subscribe(["UserEvent"], self._heard)

    def _heard(self, event: Event) -> None:
        if event.get("UserEvent") == "AgiEnded" and event.get("Call") == self._call:
            self._ended.put_nowait((event.get("Status"), event.get("Next"), event.get("Alive")))

    async def start(self, path: str, far: str = "stay", exten: str = "s", **more: str) -> None:
        self._call = uuid.uuid4().hex
        self._ended = asyncio.Queue()
        values = {"BL_CALL": self._call, "BL_PATH": path, **more}
        variables = [f"__{name}={value}" for name, value in values.items()]
        response = await self._client.action(
            "Originate",
            {
                "Channel": f"Local/{exten}@near/n",
                "Context": "far",
                "Exten": far,
                "Priority": "1",
                "Timeout": "20000",
                "Async": "true",
                "Variable": variables,
            },
        )
        assert response.get("Response") == "Success"

    async def ended(self) -> tuple[str, str, str]:
        """AGISTATUS, BL_NEXT, and whether the dialplan went on (``no``: h extension)."""
        async with asyncio.timeout(30):
            return await self._ended.get()

    async def make(self, path: str, far: str = "stay", exten: str = "s") -> tuple[str, str, str]:
        await self.start(path, far, exten)
        return await self.ended()


@pytest.fixture
async def calls(folder: Path) -> AsyncIterator[Calls]:
    client = AmiClient(HOST, AMI_PORT, "tester", "right")
    await client.start()
    await client.wait_ready(60)
    yield Calls(client)
    await client.stop()


@asynccontextmanager
async def serving(flow: Callable[[AgiSession], Awaitable[None]]) -> AsyncIterator[AgiServer]:
    server = AgiServer(HOST, AGI_PORT, {"flow": flow}, limits=Limits())
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


async def well(session: AgiSession) -> None:
    await session.set_variable("BL_NEXT", "queue")


async def test_a_good_end(calls: Calls) -> None:
    async with serving(well):
        assert await calls.make("flow") == ("SUCCESS", "queue", "yes")


async def test_a_flow_that_raises(calls: Calls) -> None:
    async def raises(session: AgiSession) -> None:
        await session.answer()
        raise RuntimeError

    async with serving(raises):
        assert await calls.make("flow") == ("FAILURE", "", "yes")


async def test_a_path_that_is_not_there_and_a_server_that_is_not_there(calls: Calls) -> None:
    async with serving(well):
        assert await calls.make("nothing") == ("FAILURE", "", "yes")
    assert await calls.make("flow") == ("FAILURE", "", "yes")


async def test_a_server_that_dies_looks_like_a_good_end(calls: Calls) -> None:
    playing = asyncio.Event()

    async def plays(session: AgiSession) -> None:
        playing.set()
        await session.stream_file("tt-monkeys")

    async with serving(plays) as server:
        await calls.start("flow")
        await playing.wait()
        await asyncio.sleep(0)
        for connection in list(server._connections):
            connection.abort()
        assert await calls.ended() == ("SUCCESS", "", "yes")


async def test_a_stop_in_the_middle_is_a_failure(calls: Calls) -> None:
    playing = asyncio.Event()

    async def plays(session: AgiSession) -> None:
        playing.set()
        await session.stream_file("tt-monkeys")

    async with serving(plays) as server:
        await calls.start("flow")
        await playing.wait()
        await server.stop(0)
        assert await calls.ended() == ("FAILURE", "", "yes")


@pytest.mark.parametrize(
    "command",
    [
        lambda s: s.stream_file("tt-monkeys"),
        lambda s: s.get_data("tt-monkeys", 9000, 3),
        lambda s: s.wait_for_digit(20000),
        lambda s: s.say_digits("123456789012345"),
        lambda s: s.exec("Wait", "20"),
    ],
)
async def test_a_caller_who_hangs_up(
    calls: Calls, command: Callable[[AgiSession], Awaitable[object]]
) -> None:
    caught: asyncio.Queue[CallerHungUp] = asyncio.Queue()

    async def waits(session: AgiSession) -> None:
        try:
            await command(session)
        except CallerHungUp as error:
            caught.put_nowait(error)
            raise

    async with serving(waits) as server:
        assert await calls.make("flow", "go") == ("HANGUP", "", "no")
        async with asyncio.timeout(10):
            await caught.get()
    assert server.totals == {"hung_up": 1}


async def test_our_own_hang_up(calls: Calls) -> None:
    async with serving(lambda session: session.hangup()):
        assert await calls.make("flow") == ("HANGUP", "", "no")


async def test_what_commands_give_and_take(calls: Calls) -> None:
    nasty = 'a "q" (x) \\ \\" hangup) result=-1 ${EPOCH} ñ'
    failures: list[BaseException] = []

    async def asks(session: AgiSession) -> None:
        try:
            await all_of(session)
        except Exception as error:
            failures.append(error)
            raise

    async def all_of(session: AgiSession) -> None:
        request = session.request
        assert (request.script, request.query, request.args) == (
            "flow",
            {"x": "1"},
            ("first arg", "second"),
        )
        assert request.caller_number == "18005550123"
        await session.answer()
        assert await session.stream_file("tt-monkeys", "5") == "5"
        assert await session.stream_file("beep") == ""
        digits = await session.get_data("beep", 200, 3)
        assert (digits.value, digits.timed_out) == ("", True)
        assert await session.wait_for_digit(100) == ""
        await session.set_variable("V", nasty)
        assert await session.get_variable("V") == nasty
        assert await session.get_full_variable("${V}") == nasty
        assert await session.get_variable("NONE") is None
        assert await session.channel_status() == 6
        assert await session.say_digits("7") == ""
        assert await session.say_number(3) == ""
        assert await session.say_alpha("a") == ""
        assert await session.say_phonetic("a") == ""
        assert await session.say_date(date(2026, 11, 1), "") == ""
        await session.verbose('quote " and \\')
        assert await session.exec("NoOp", "a b", "c") == "0"
        for wrong, code in (
            (session.exec("NoSuchApplication"), -2),
            (session.get_data("no-such-file", 100, 1), -1),
            (session.say_digits("*1"), 520),
        ):
            with pytest.raises(CommandFailed) as caught:
                await wrong
            assert caught.value.code == code
        with pytest.raises(InvalidArgument):
            await session.set_variable("V", "x" * 5000)
        await session.set_variable("BL_NEXT", "queue")

    async with serving(asks):
        result = await calls.make("flow", "press")
    assert failures == []
    assert result == ("SUCCESS", "queue", "yes")


async def test_a_missing_file_sticks_to_agistatus(calls: Calls) -> None:
    async def misses(session: AgiSession) -> None:
        with pytest.raises(CommandFailed):
            await session.stream_file("no-such-file")
        await session.set_variable("BL_NEXT", "queue")

    async with serving(misses):
        assert await calls.make("flow") == ("FAILURE", "queue", "yes")


def emergency(folder: Path, home: Home) -> None:
    script = folder / "agi" / "emergency"
    script.write_text(
        f"#!/bin/sh\ncd '{PROJECT}' && exec '{sys.executable}' -m pbx.emergency '{home.root}'\n"
    )
    script.chmod(0o700)


@pytest.fixture
def home(folder: Path, tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "a home")
    emergency(folder, home)
    return home


def with_prompts(home: Home, folder: Path) -> None:
    """Silence of a tenth of a second for every text."""
    made: dict[str, dict[str, Path]] = {"en": {}, "es": {}}
    for language, named in made.items():
        (home.prompts / language).mkdir(parents=True)
        for name in PROMPTS:
            named[name] = home.prompts / language / name
            (home.prompts / language / f"{name}.ulaw").write_bytes(b"\xff" * 800)
    write_emergency_pack(home, "northwind", ("en", "es"), made, KEY.public_key)


async def test_without_its_pack_the_emergency_script_says_queue(calls: Calls, home: Home) -> None:
    await calls.start("emergency", exten="script", BL_INCIDENT="northwind")
    assert await calls.ended() == ("FAILURE", "queue", "yes")


async def test_a_caller_who_waits_through_the_emergency_script(
    calls: Calls, folder: Path, home: Home
) -> None:
    with_prompts(home, folder)
    await calls.start("emergency", exten="script", BL_INCIDENT="northwind", BL_LANGUAGE="es")
    assert await calls.ended() == ("SUCCESS", "queue", "yes")


async def test_a_caller_who_leaves_a_number_and_one_who_hangs_up(
    calls: Calls, folder: Path, home: Home
) -> None:
    with_prompts(home, folder)
    await calls.start("emergency", "number", "script", BL_INCIDENT="northwind", BL_LANGUAGE="en")
    assert await calls.ended() == ("SUCCESS", "kept", "yes")
    (path,) = list_spooled(home.callback_spool)
    assert read_spooled(path, {"northwind": KEY}).phone == "+18005550123"
    assert (await calls.ended())[2] == "no"
    await calls.start("emergency", "go", "script", BL_INCIDENT="northwind", BL_LANGUAGE="en")
    assert await calls.ended() == ("HANGUP", "queue", "no")


async def test_a_script_that_is_not_there(calls: Calls) -> None:
    await calls.start("no-such-script", exten="script")
    assert await calls.ended() == ("NOTFOUND", "", "yes")
