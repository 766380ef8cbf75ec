"""A real Asterisk on rendered files: no word of complaint, and where it listens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from incident.home import Home
from incident.settings import AgentSettings, AsteriskSettings, CarrierSettings, Settings
from pbx.ami import AmiClient
from pbx.prompts.core_sounds import link_core_sounds
from pbx.reload import reload_asterisk
from pbx.render import AgentPhone, HotlineNumber, read_secrets, render_asterisk
from pbx.render.asterisk import PROJECT
from pbx.runtime.tree import Tree, ensure_tree

BIND = "127.0.0.28"
START = 60.0
"""Seconds for Asterisk to start on a busy machine."""
SETTINGS = Settings(
    bind=BIND,
    asterisk=AsteriskSettings(rtp_first=24000, rtp_last=24400),
    agents=AgentSettings(wrapup_seconds=2),
    carrier=(
        CarrierSettings(name="first", host="127.0.28.1"),
        CarrierSettings(name="second", host="127.0.28.2", transport="tcp", codecs=("g722",)),
    ),
)
INCIDENTS = (
    HotlineNumber("northwind", "+18005550199", ("en", "es")),
    HotlineNumber("contoso-care", "+18005550198", ("en",)),
)
AGENTS = (
    AgentPhone("1001", "secret-1001", ("northwind-en", "northwind-es", "contoso-care-en")),
    AgentPhone("1002", "secret-1002", ("northwind-en",)),
)
_HEADING = re.compile(r"\[[^]]+\] Asterisk \d+\S* built by ")
"""The first line of every log file."""


@dataclass
class Started:
    home: Home
    ami: AmiClient
    process: asyncio.subprocess.Process

    def complaints(self) -> list[str]:
        """Lines of its log of warnings and errors, and of its output, that are not its heading."""
        files = (self.home.asterisk / "log" / "messages.log", self.home.root / "out")
        lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return [line for line in lines if line.strip("\x1b[0m ") and not _HEADING.match(line)]


@asynccontextmanager
async def started(tree: Tree, root: Path, conf: Path | None = None) -> AsyncIterator[Started]:
    home = Home.at(root)
    link_core_sounds(tree.sounds, home.asterisk / "sounds", ("ulaw",))
    render_asterisk(
        home,
        SETTINGS,
        modules=tree.modules,
        share=tree.data,
        moh=tree.moh,
        incidents=INCIDENTS,
        agents=AGENTS,
        conf=conf or PROJECT / "asterisk-conf",
    )
    account = read_secrets(home)
    port = SETTINGS.asterisk.ami_port
    ami = AmiClient(BIND, port, account.ami_user, account.ami_secret)
    with (home.root / "out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *tree.command("asterisk", "-f", "-C", str(home.asterisk / "etc" / "asterisk.conf")),
            env={**os.environ, **tree.env()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        await ami.start()
        try:
            await ami.wait_ready(START)
            yield Started(home, ami, process)
        finally:
            await ami.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def tree() -> Tree:
    return ensure_tree(SETTINGS, lambda _line: None)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's folder: the path of Asterisk's control socket must stay under 108 bytes.
    made = Path(tempfile.mkdtemp(prefix="bl-start-"))
    yield made
    shutil.rmtree(made)


def listening(pid: int, protocol: str) -> set[tuple[str, int]]:
    """Local address and port of a process's sockets: TCP ones that listen, UDP ones that are bound
    (proc(5), /proc/net)."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            own.add(str(link.readlink()))
    found = set()
    for version, family in (("", socket.AF_INET), ("6", socket.AF_INET6)):
        table = Path(f"/proc/{pid}/net/{protocol}{version}").read_text().splitlines()[1:]
        for row in map(str.split, table):
            if f"socket:[{row[9]}]" not in own or row[3] != {"tcp": "0A", "udp": "07"}[protocol]:
                continue
            address, _, port = row[1].partition(":")
            words = [address[at : at + 8] for at in range(0, len(address), 8)]
            raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
            found.add((socket.inet_ntop(family, raw), int(port, 16)))
    return found


async def test_it_starts_without_a_complaint_and_listens_on_its_address_only(
    tree: Tree, folder: Path
) -> None:
    async with started(tree, folder / "home") as system:
        queues = await system.ami.collect("QueueStatus")
        assert {each.get("Queue") for each in queues if each.name == "QueueParams"} == {
            "northwind-en",
            "northwind-en-notices",
            "northwind-es",
            "northwind-es-notices",
            "contoso-care-en",
            "contoso-care-en-notices",
        }
        endpoints = await system.ami.collect("PJSIPShowEndpoints")
        assert {each.get("ObjectName") for each in endpoints if each.get("ObjectName")} == {
            "agent-1001",
            "agent-1002",
            "carrier-first",
            "carrier-second",
            "inbound-first",
            "inbound-second",
        }
        # A reload, as after `agents add`, is as quiet as the start.
        await reload_asterisk(system.ami)
        assert system.complaints() == []
        ports = SETTINGS.asterisk
        assert listening(system.process.pid, "tcp") == {
            (BIND, ports.sip_port),
            (BIND, ports.ami_port),
            (BIND, ports.http_port),
        }
        udp = listening(system.process.pid, "udp")
        assert (BIND, ports.sip_port) in udp
        # PJSIP makes a DNS resolver at every start, with one socket per address family on a port
        # of the kernel's choice; no option prevents it. Our files hold addresses only, so it asks
        # nobody and takes no answer.
        others = sorted(address for address, _ in udp - {(BIND, ports.sip_port)})
        assert others == ["0.0.0.0", "::"]


async def test_an_unusual_home_path_is_read_as_it_is(tree: Tree, folder: Path) -> None:
    async with started(tree, folder / "Häuser @x ~1 +=:%") as system:
        queues = await system.ami.collect("QueueStatus", {"Queue": "northwind-es"})
        assert [each.get("Queue") for each in queues if each.name == "QueueParams"] == [
            "northwind-es"
        ]
        assert system.complaints() == []


async def test_a_planted_fault_is_a_complaint(tree: Tree, folder: Path) -> None:
    """What keeps the tests above able to fail."""
    modules = (PROJECT / "asterisk-conf" / "modules.conf").read_text()
    conf = folder / "conf"
    shutil.copytree(PROJECT / "asterisk-conf", conf)
    (conf / "modules.conf").write_text(modules + "load = app_nothing_such.so\n")
    async with started(tree, folder / "home", conf=conf) as system:
        assert any("app_nothing_such" in line for line in system.complaints())
