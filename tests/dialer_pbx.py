"""A real Asterisk with our own configuration and dialplan, for the dialer's tests."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from incident.home import Home
from incident.settings import AgentSettings, AsteriskSettings, CarrierSettings, Settings
from pbx.ami import AmiClient
from pbx.render import AgentPhone, HotlineNumber, read_secrets, render_asterisk
from pbx.runtime.tree import Tree, ensure_tree

PBX = "127.0.0.25"
NETWORK = "127.0.0.26"
AGENTS = "127.0.25.27"
"""Agents' telephones: not on the carrier's address, or they would be taken for the carrier."""

INCIDENT = "northwind"
DID = "+18005550199"
LANGUAGES = ("en", "es")
PHONES = (
    AgentPhone("1001", "one-secret", ("northwind-en", "northwind-es")),
    AgentPhone("1002", "two-secret", ("northwind-en",)),
)


def settings(*, wrapup: int = 0, channels: int = 30, rate: float = 50.0) -> Settings:
    return Settings(
        bind=PBX,
        asterisk=AsteriskSettings(rtp_first=21000, rtp_last=21400),
        agents=AgentSettings(wrapup_seconds=wrapup, ring_seconds=5),
        carrier=(
            CarrierSettings(
                name="public", host=NETWORK, max_channels=channels, calls_per_second=rate
            ),
        ),
    )


@dataclass
class Pbx:
    home: Home
    settings: Settings
    tree: Tree
    process: asyncio.subprocess.Process | None = None

    def render(self) -> None:
        sounds = self.home.asterisk / "sounds"
        sounds.mkdir(parents=True, exist_ok=True)
        for language, voice in (("en", "en"), ("es", "es")):
            link = sounds / language
            if not link.is_symlink():
                link.symlink_to(self.tree.sounds / voice)
        render_asterisk(
            self.home,
            self.settings,
            modules=self.tree.modules,
            share=self.tree.data,
            moh=self.tree.moh,
            incidents=[HotlineNumber(INCIDENT, DID, LANGUAGES)],
            agents=PHONES,
        )
        apology = self.tree.sounds / "en" / "hello-world.gsm"
        for language in LANGUAGES:
            folder = self.home.prompts / "live" / INCIDENT / language
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / "outbound.abandoned.gsm"
            if not target.is_symlink():
                target.symlink_to(apology)

    async def start(self) -> None:
        output = (self.home.root / "asterisk.out").open("ab")
        command = self.tree.command(
            "asterisk", "-f", "-C", str(self.home.asterisk / "etc" / "asterisk.conf")
        )
        with output:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.tree.env()},
            )
        async with self.ami():
            pass  # logged in and fully booted

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.send_signal(how)
            try:
                async with asyncio.timeout(10):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self.process = None

    @asynccontextmanager
    async def ami(self) -> AsyncIterator[AmiClient]:
        account = read_secrets(self.home)
        client = AmiClient(
            PBX, self.settings.asterisk.ami_port, account.ami_user, account.ami_secret
        )
        await client.start()
        try:
            await client.wait_ready(30)
            yield client
        finally:
            await client.stop()


@asynccontextmanager
async def pbx(root: Path, configured: Settings | None = None) -> AsyncIterator[Pbx]:
    made = configured or settings()
    tree = await asyncio.to_thread(ensure_tree, made, lambda _line: None)
    running = Pbx(Home.at(root), made, tree)
    running.render()
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
