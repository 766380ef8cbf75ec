"""Everything around a dialer under test: PBX, called people, agents' telephones, store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from dialer import control
from dialer.retry import RetryRules
from incident.plan import parse_plan
from incident.privacy import Keyring
from incident.store.campaigns import Campaign, Desired
from incident.store.engine import Store, open_store
from incident.store.incidents import ActiveIncident, activate
from incident.store.schema import AttemptRow, CampaignContactRow, ContactRow, ImportRow
from pbx import names
from pbx.ami import AmiClient
from tests.database import fresh_database
from tests.dialer_pbx import AGENTS, INCIDENT, NETWORK, PBX, PHONES, Pbx, pbx, settings
from tests.sip_peer import Ringing, SipPeer, sip_peer

PROJECT = Path(__file__).resolve().parents[1]
T = TypeVar("T")
PATIENCE = 30.0
"""Seconds after which a test that still waits has failed."""


DRAFT = Campaign(
    id="notice",
    incident="northwind",
    carrier="public",
    mode="progressive",
    desired=Desired.DRAFT,
    max_lines=10,
    calls_per_second=5.0,
    ring_seconds=25,
    retry_rules=RetryRules().to_json(),
    calling_hours="{}",
    created_at=10.0,
    changed_at=10.0,
)
BOTH = ("en", "es")


async def activated(store: Store) -> ActiveIncident:
    """The sample incident, in force."""
    file = PROJECT / "plans" / "sample.yaml"
    text = file.read_text(encoding="utf-8")
    return await activate(store, parse_plan(text, str(file)), text, time.time())


async def add_contacts(
    store: Store,
    incident: ActiveIncident,
    phones: list[str],
    *,
    language: str = "en",
    committed: bool = True,
    first: int = 1,
) -> list[int]:
    """Import people with these numbers; returns their ids."""
    async with store.write() as session:
        source = ImportRow(
            incident_id=incident.id,
            source="a test",
            source_hash="",
            started_at=1.0,
            committed_at=2.0 if committed else None,
        )
        session.add(source)
        await session.flush()
        rows = [
            ContactRow(
                incident_id=incident.id,
                import_id=source.id,
                import_line=index,
                reference=f"{language}{first + index:07d}",
                phone_enc=incident.key.encrypt(phone),
                phone_hash=incident.key.lookup_hash(phone),
                state="NY",
                postal_code="10001",
                language=language,
                data_types="ssn",
            )
            for index, phone in enumerate(phones)
        ]
        session.add_all(rows)
        await session.flush()
        return [row.id for row in rows]


async def attempts_of(store: Store) -> list[AttemptRow]:
    async with store.read() as session:
        return list(await session.scalars(select(AttemptRow).order_by(AttemptRow.created_at)))


async def contact_rows(store: Store) -> dict[int, CampaignContactRow]:
    async with store.read() as session:
        rows = await session.scalars(select(CampaignContactRow))
        return {row.contact_id: row for row in rows}


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """Wait until ``look`` gives something true; returns that."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):
            await asyncio.sleep(0.05)
        return found


@dataclass
class World:
    pbx: Pbx
    store: Store
    incident: ActiveIncident
    network: SipPeer
    agents: SipPeer
    ami: AmiClient
    calls: asyncio.Queue[Ringing]
    offers: asyncio.Queue[Ringing]
    auto_answer: list[bool] = field(default_factory=lambda: [True])
    dialer: asyncio.subprocess.Process | None = None

    async def sign_in(self, number: str = "1001", *languages: str) -> None:
        phone = next(phone for phone in PHONES if phone.number == number)
        await self.agents.register(names.agent_endpoint(number), phone.password, (PBX, 5060))
        for language in languages or ("en", "es"):
            queue = names.queue(INCIDENT, language)
            for name in (queue, names.notices(queue)):
                interface = f"PJSIP/{names.agent_endpoint(number)}"
                await self.ami.action(
                    "QueueAdd",
                    {
                        "Queue": name,
                        "Interface": interface,
                        "MemberName": number,
                        "StateInterface": interface,
                    },
                )

    async def campaign(
        self,
        phones: list[str],
        *,
        language: str = "en",
        ring_seconds: int = 25,
        rules: RetryRules | None = None,
        start: bool = True,
    ) -> list[int]:
        contacts = await add_contacts(self.store, self.incident, phones, language=language)
        await control.create_campaign(
            self.store,
            self.pbx.settings,
            "notice",
            INCIDENT,
            ring_seconds=ring_seconds,
            retry_rules=rules,
            calling_hours="00:00-24:00 UTC",
        )
        if start:
            await control.start(self.store, "notice")
        return contacts

    async def start_dialer(self) -> None:
        log = (self.pbx.home.root / "dialer.out").open("ab")
        with log:
            self.dialer = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "dialer.service",
                "--home",
                str(self.pbx.home.root),
                cwd=PROJECT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ},
            )

    async def stop_dialer(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        process, self.dialer = self.dialer, None
        if process is None:
            return None
        if process.returncode is None:
            process.send_signal(how)
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode

    async def rings(self) -> Ringing:
        """The next called telephone that rings."""
        async with asyncio.timeout(PATIENCE):
            return await self.calls.get()

    async def offered(self) -> Ringing:
        """The next ring of an agent's telephone; when it answers by itself, once it is up."""
        async with asyncio.timeout(PATIENCE):
            call = await self.offers.get()
            if self.auto_answer[0]:
                await call.acknowledged.wait()
            return call

    async def ended(self, number: int) -> list[AttemptRow]:
        """Wait until that many attempts have ended; gives all attempts."""

        async def look() -> list[AttemptRow] | None:
            rows = await attempts_of(self.store)
            done = [row for row in rows if row.ended_at is not None]
            return rows if len(done) >= number else None

        return await eventually(look)

    async def noted(self, fact: str) -> AttemptRow:
        """Wait until an attempt has this fact (``answered_at``, ...) in the store."""

        async def look() -> AttemptRow | None:
            rows = await attempts_of(self.store)
            return next((row for row in rows if getattr(row, fact) is not None), None)

        return await eventually(look)

    def log(self) -> str:
        return (self.pbx.home.root / "dialer.out").read_text(encoding="utf-8")


def _toml(world: Pbx) -> str:
    made = world.settings
    carrier = made.carrier[0]
    return (
        f'bind = "{made.bind}"\n'
        f"[asterisk]\nrtp_first = {made.asterisk.rtp_first}\n"
        f"rtp_last = {made.asterisk.rtp_last}\n"
        f"[agents]\nwrapup_seconds = {made.agents.wrapup_seconds}\n"
        f"ring_seconds = {made.agents.ring_seconds}\n"
        f"[[carrier]]\nname = {json.dumps(carrier.name)}\nhost = {json.dumps(carrier.host)}\n"
        f"max_channels = {carrier.max_channels}\n"
        f"calls_per_second = {carrier.calls_per_second}\n"
    )


@asynccontextmanager
async def world(root: Path, *, wrapup: int = 0) -> AsyncIterator[World]:
    """A PBX with nobody signed in, a store with the sample incident, telephones on the wire."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(pbx(root, settings(wrapup=wrapup)))
        ami = await stack.enter_async_context(running.ami())
        url = stack.enter_context(fresh_database(running.home))
        toml = _toml(running) + f"[database]\nurl = {json.dumps(url)}\n"
        running.home.settings_file.write_text(toml, encoding="utf-8")
        store = await stack.enter_async_context(open_store(url, Keyring.open(running.home)))
        calls: asyncio.Queue[Ringing] = asyncio.Queue()
        offers: asyncio.Queue[Ringing] = asyncio.Queue()
        auto = [True]

        def ring(call: Ringing) -> None:
            call.reply(180)
            calls.put_nowait(call)

        def offer(call: Ringing) -> None:
            call.reply(180)
            if auto[0]:
                call.answer()
            offers.put_nowait(call)

        network = await stack.enter_async_context(sip_peer(NETWORK, 5060, ring))
        agents = await stack.enter_async_context(sip_peer(AGENTS, 5060, offer))
        made = World(
            running, store, await activated(store), network, agents, ami, calls, offers, auto
        )
        try:
            yield made
        finally:
            await made.stop_dialer()
