"""A whole system under test: staged once, driven from outside, watched at both ends.

What the acceptance tests know comes from three independent sides: the callers' and called
people's own network (a second Asterisk), the PBX's AMI, and the store.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import select

from console.door import store_of
from console.stage import Addresses, Stage, staged, write_settings
from drill.agents import SIGN_OUT, press, sign_in
from drill.network import Habits
from incident.home import Home
from incident.plan import parse_plan
from incident.settings import load_settings
from incident.store.agents import add_agent, list_agents
from incident.store.incidents import activate
from incident.store.schema import CallRow
from pbx.ami import AmiClient, Event
from pbx.render import read_secrets
from pbx.runtime.part import Part, PartEvent
from pbx.runtime.tree import ensure_tree
from tests.running import eventually, plan_text

DID: Final = "18005550199"
SECOND_DID: Final = "18005550123"
SECOND: Final = Path(__file__).resolve().parents[2] / "plans" / "second.yaml"


@dataclass(frozen=True, slots=True)
class Crew:
    """Agents of one incident and one language set, so that tests do not share agents."""

    numbers: tuple[str, ...]
    incidents: tuple[str, ...]
    languages: tuple[str, ...]


class PartLog:
    """What the supervisor told of its parts, with the time of each."""

    def __init__(self) -> None:
        self.events: list[tuple[float, PartEvent]] = []

    def __call__(self, event: PartEvent) -> None:
        self.events.append((time.monotonic(), event))

    def since(self, moment: float, name: str, kind: str) -> float | None:
        """When the part had the first such event after ``moment`` (monotonic seconds)."""
        for at, event in self.events:
            if at > moment and event.name == name and event.kind == kind:
                return at
        return None


@dataclass
class System:
    """``dialled``: how often the public network was asked for each number, by its own count."""

    stage: Stage
    at: Addresses
    pbx: AmiClient
    parts: PartLog
    dialled: Counter[str] = field(default_factory=Counter)

    async def queue_entries(self, queue: str) -> int:
        """Callers waiting in a queue, by Asterisk's own count."""
        events = await self.pbx.collect("QueueStatus", {"Queue": queue})
        return sum(event.name == "QueueEntry" for event in events)

    async def members(self, queue: str) -> set[str]:
        """Agents signed in to a queue."""
        events = await self.pbx.collect("QueueStatus", {"Queue": queue})
        return {event.get("Name") for event in events if event.name == "QueueMember"}

    async def sign_in(self, crew: Crew) -> None:
        """Have a crew's telephones sign in, and wait until every queue has them."""
        await sign_in(self.stage.public, crew.numbers)
        await self._members_are(crew, set(crew.numbers))

    async def sign_out(self, crew: Crew) -> None:
        for number in crew.numbers:
            await press(self.stage.public, number, SIGN_OUT)
        await self._members_are(crew, set())

    async def _members_are(self, crew: Crew, wanted: set[str]) -> None:
        mine = set(crew.numbers)
        for incident in crew.incidents:
            for language in crew.languages:
                queue = f"{incident}-{language}"

                async def settled(queue: str = queue) -> bool:
                    return (await self.members(queue)) & mine == wanted

                await eventually(settled)

    async def habits(self, **values: int) -> None:
        """Change how the public behaves from now on (``talk_max=2``)."""
        for name, value in values.items():
            await self.stage.public.action(
                "Setvar", {"Variable": name.upper(), "Value": str(value)}
            )

    async def quiet(self) -> None:
        """Wait until nobody is on the line."""

        async def nobody() -> bool:
            return not await self.pbx.collect("CoreShowChannels")

        await eventually(nobody, patience=60)

    async def calls(self, incident: str, caller: str | None = None) -> list[CallRow]:
        """Stored calls of an incident, oldest first; ``caller``: of this number alone."""
        query = select(CallRow).where(CallRow.incident_id == incident).order_by(CallRow.started_at)
        async with self.stage.store.read() as session:
            rows = list(await session.scalars(query))
        if caller is None:
            return rows
        wanted = (await self.stage.incident(incident)).key.lookup_hash(caller)
        return [row for row in rows if row.ani_hash == wanted]

    async def ended(self, incident: str, caller: str) -> CallRow:
        """The caller's stored call, once it has ended."""

        async def over() -> bool:
            rows = await self.calls(incident, caller)
            return bool(rows) and all(row.ended_at is not None for row in rows)

        await eventually(over)
        (row,) = await self.calls(incident, caller)
        return row

    async def pressed(self, incident: str, caller: str, *path: str) -> None:
        """Wait until the store knows that the caller went this way."""

        async def there() -> bool:
            rows = await self.calls(incident, caller)
            return bool(rows) and rows[-1].menu_path.split() == list(path)

        await eventually(there)

    def kill(self, *names: str) -> float:
        """SIGKILL parts; returns the moment (monotonic seconds)."""
        moment = time.monotonic()
        for name in names:
            pid = self.stage.supervisor.pid(name)
            assert pid is not None, f"{name} is down already"
            os.kill(pid, signal.SIGKILL)
        return moment

    async def back(self, moment: float, *names: str) -> float:
        """Wait until parts that were killed at ``moment`` are ready; seconds that it took."""
        await eventually(
            lambda: all(self.parts.since(moment, name, "ready") is not None for name in names),
            patience=60,
        )
        return max((self.parts.since(moment, name, "ready") or moment) - moment for name in names)

    async def page(self, port: int, path: str = "/metrics") -> str:
        """What an HTTP door on the bind address shows."""

        def fetch() -> str:
            url = f"http://{self.at.bind}:{port}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(fetch)

    def asterisk_complaints(self) -> list[str]:
        """Asterisk's own warnings and errors so far (the log holds nothing else but a banner)."""
        file = self.stage.home.asterisk / "log" / "messages.log"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if re.search(r"\b(WARNING|ERROR)\[", line)]

    def _rang(self, event: Event) -> None:
        number = event.get("Exten")
        if event.get("Channel").startswith("PJSIP/pbx-") and re.fullmatch(r"\+1[0-9]{10}", number):
            self.dialled[number] += 1


def incident_plan(name: str, did: str) -> str:
    """The sample plan as another incident on another number, open around the clock."""
    text = re.sub(r"(?m)^incident: .*$", f"incident: {name}", plan_text())
    return re.sub(r"(?m)^did: .*$", f'did: "+{did}"', text)


async def files_holding(home: Home, digits: str) -> list[str]:
    """Files that the system itself wrote (not the simulated public's), in which these digits
    can be read.

    Another process reads them: closing a SQLite database's file, however it was opened, takes
    away the locks that this process holds on it, and the database would be damaged.
    """
    search = await asyncio.create_subprocess_exec(
        "grep",
        "--recursive",
        "--files-with-matches",
        "--fixed-strings",
        "--text",
        "--exclude-dir=public",
        digits,
        str(home.root),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        found, _ = await search.communicate()
    assert search.returncode in {0, 1}, "grep failed"
    return found.decode().splitlines()


def processes_of(home: Home) -> dict[int, str]:
    """Processes whose command line names the home."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(home.root) in command:
                found[int(folder.name)] = command
    return found


def listening_on(at: Addresses) -> list[str]:
    """Sockets that listen (TCP) or are bound (UDP) on one of a stage's addresses."""
    ours = (at.bind, at.public, at.probe, at.agents, at.outsourcer)
    found = []
    for table, open_state in (("tcp", "0A"), ("udp", "07")):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            host = ".".join(str(byte) for byte in reversed(bytes.fromhex(address)))
            if fields[3] == open_state and host in ours:
                found.append(f"{table} {host}:{int(port, 16)}")
    return found


@asynccontextmanager
async def whole_system(
    home: Home,
    at: Addresses,
    *,
    plans: Mapping[str, str],
    crews: Sequence[Crew],
    habits: Habits,
    parts: Callable[[Part], bool] = lambda _part: True,
) -> AsyncIterator[System]:
    """A system with these plans (name to text) and crews, running; stopped on the way out."""
    write_settings(home, at, wrapup=1)
    settings = load_settings(home)
    tree = await asyncio.to_thread(ensure_tree, settings, lambda _line: None)
    files = []
    for name, text in plans.items():
        file = home.root / f"{name}.plan.yaml"
        file.write_text(text, encoding="utf-8")
        files.append(file)
    async with store_of(home, settings) as store:
        for name, text in plans.items():
            await activate(store, parse_plan(text, name), text, time.time())
        for crew in crews:
            for number in crew.numbers:
                await add_agent(store, number, crew.incidents, crew.languages, time.time())
        numbers = [agent.number for agent in await list_agents(store)]
    log = PartLog()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            staged(
                home,
                tree,
                at=at,
                habits=habits,
                agents=numbers,
                plans=files,
                parts=parts,
                on_part=log,
            )
        )
        account = read_secrets(home)
        pbx = AmiClient(at.bind, settings.asterisk.ami_port, account.ami_user, account.ami_secret)
        stack.push_async_callback(pbx.stop)
        await pbx.start()
        await pbx.wait_ready(10)
        system = System(stage, at, pbx, log)
        stack.callback(stage.public.subscribe(["Newchannel"], system._rang))
        yield system
