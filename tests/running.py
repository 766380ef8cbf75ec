"""A running hotline for tests: a real Asterisk and the real service, in a home of their own.

>>> async with running(bind="127.0.0.24", carrier="127.0.24.1") as system:
...     await system.start_hotline()
...     ...

Asterisk is up when the context begins; the hotline is started, stopped and killed by the test.
Prompts are short silences under the right names, unless ``spoken`` says otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from console.assemble import render_home
from incident.content import content_version, spoken_texts
from incident.home import Home
from incident.plan import Plan, parse_plan
from incident.privacy import Keyring
from incident.settings import (
    AgentSettings,
    AsteriskSettings,
    CarrierSettings,
    LoadSettings,
    Settings,
)
from incident.store.agents import add_agent
from incident.store.engine import Store, migrate, open_store
from incident.store.incidents import activate
from pbx.ami import AmiClient
from pbx.emergency_pack import PROMPTS as EMERGENCY_TEXTS
from pbx.emergency_pack import write_emergency_pack
from pbx.prompts.book import PromptBook, go_live
from pbx.prompts.manifest import (
    AudioFile,
    Entry,
    IncidentPrompts,
    Version,
    load_manifest,
    save_manifest,
)
from pbx.render import read_secrets
from pbx.runtime.tree import Tree, ensure_tree

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE = PROJECT / "plans" / "sample.yaml"
PATIENCE = 30.0
"""Seconds after which a test that still waits has failed."""

_SILENCE = b"\xff" * 800
"""A tenth of a second of ulaw."""


def plan_text(*, open_now: bool = True) -> str:
    """The sample plan, with hours that are open (or closed) whenever the test runs."""
    text = SAMPLE.read_text(encoding="utf-8")
    before, _, rest = text.partition("\nhours:\n")
    _, _, after = rest.partition("\ndata_types:")
    day = datetime.now(UTC).strftime("%A").lower()
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    # Closed: open on one day only, which is neither today nor a neighbour of it.
    other = days[(days.index(day) + 3) % 7]
    weekly = "\n".join(
        f"    {name}: {'00:00-24:00' if open_now or name == other else 'null'}" for name in days
    )
    quoted = weekly.replace("00:00-24:00", '"00:00-24:00"')
    hours = f"\nhours:\n  timezone: UTC\n  weekly:\n{quoted}\n"
    return f"{before}{hours}\ndata_types:{after}"


def silent_prompts(home: Home, plan: Plan) -> str:
    """Prompts of a tenth of a second each; gives the content version."""
    texts = spoken_texts(plan)
    version = content_version(texts)
    manifest = load_manifest(home)
    prompts: dict[str, dict[str, Entry]] = {}
    for text in texts:
        stem = hashlib.sha256(f"{plan.incident} {text.name} {text.hash}".encode()).hexdigest()[:24]
        file = home.prompts / text.language / f"{stem}.ulaw"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_SILENCE)
        manifest.files[f"{text.language}/{stem}"] = AudioFile(
            engine="silence", pipeline=1, seconds=0.1, sizes={"ulaw": len(_SILENCE)}
        )
        prompts.setdefault(text.language, {})[text.name] = Entry(hash=text.hash, stem=stem)
    built = Version(built=time.time(), prompts=prompts)
    manifest.incidents[plan.incident] = IncidentPrompts(latest=version, versions={version: built})
    save_manifest(home, manifest)
    return version


async def activate_silently(home: Home, store: Store, text: str) -> Plan:
    """Put a plan in force with silent prompts, as ``incident activate`` would with real ones."""
    plan = parse_plan(text, "a test's plan")
    version = silent_prompts(home, plan)
    active = await activate(store, plan, text, time.time())
    book = PromptBook.load(home, plan.incident, version)
    paths = {
        language: {name: book.path(name, language) for name in EMERGENCY_TEXTS}
        for language in plan.languages
    }
    write_emergency_pack(home, plan.incident, plan.languages, paths, active.key.public_key)
    go_live(home, plan.incident, version)
    return plan


@dataclass
class Running:
    """``caller``: the address that the PBX takes for its carrier."""

    home: Home
    settings: Settings
    tree: Tree
    store: Store
    ami: AmiClient
    caller: str
    asterisk: asyncio.subprocess.Process | None = None
    hotline: asyncio.subprocess.Process | None = None
    _logs: list[Path] = field(default_factory=list)

    async def start_asterisk(self) -> None:
        """Start the PBX and wait until it is fully up."""
        configuration = str(self.home.asterisk / "etc" / "asterisk.conf")
        self.asterisk = await self._start(
            "asterisk", *self.tree.command("asterisk", "-f", "-C", configuration)
        )
        await self.ami.wait_ready(PATIENCE)

    async def start_hotline(self) -> None:
        """Start the service and wait until it serves and hears Asterisk."""
        self.hotline = await self._start(
            "hotline", sys.executable, "-m", "ivr.service", "--home", str(self.home.root)
        )

        async def ready() -> bool:
            assert self.hotline is not None
            assert self.hotline.returncode is None, self.log("hotline")
            health = await self.health()
            return bool(health.get("asterisk")) and bool(health.get("incidents"))

        await eventually(ready)

    async def health(self) -> dict[str, bool]:
        """What the hotline says of itself; empty when it does not answer."""
        answer = await self.http(self.settings.metrics.hotline_port, "/healthz")
        return dict(json.loads(answer)) if answer else {}

    async def metrics(self) -> str:
        return await self.http(self.settings.metrics.hotline_port, "/metrics")

    async def http(self, port: int, path: str) -> str:
        """The body of an answer; "" when there is none."""
        try:
            reader, writer = await asyncio.open_connection(self.settings.bind, port)
        except OSError:
            return ""
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            async with asyncio.timeout(PATIENCE):
                answer = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        return answer.partition(b"\r\n\r\n")[2].decode()

    async def stop_hotline(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self.hotline = self.hotline, None
        await _end(process, how)

    async def stop_asterisk(self, how: signal.Signals = signal.SIGKILL) -> None:
        process, self.asterisk = self.asterisk, None
        await _end(process, how)

    def log(self, name: str) -> str:
        return (self.home.log / f"{name}.out").read_text(errors="replace")

    def asterisk_complaints(self) -> list[str]:
        """Asterisk's own warnings and errors so far."""
        file = self.home.asterisk / "log" / "messages.log"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if " WARNING[" in line or " ERROR[" in line]

    async def sign_in(self, agent: str, *queues: str) -> None:
        """Add an agent's telephone to queues, as dialling *11 does."""
        interface = f"PJSIP/agent-{agent}"
        for queue in queues:
            await self.ami.action(
                "QueueAdd",
                {
                    "Queue": queue,
                    "Interface": interface,
                    "MemberName": agent,
                    "StateInterface": interface,
                },
            )

    async def _start(self, name: str, *command: str) -> asyncio.subprocess.Process:
        self.home.log.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.tree.env(), "PYTHONPATH": str(PROJECT)}
        with (self.home.log / f"{name}.out").open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *command,
                cwd=PROJECT,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


async def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until a condition (plain or coroutine function) holds."""
    async with asyncio.timeout(patience):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.05)


async def _end(process: asyncio.subprocess.Process | None, how: signal.Signals) -> None:
    if process is None or process.returncode is not None:
        return
    process.send_signal(how)
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"a process did not end on {how.name}") from None


def settings_for(
    bind: str,
    carrier: str,
    *,
    carrier_port: int = 5060,
    trunks: Sequence[CarrierSettings] = (),
    load: LoadSettings | None = None,
) -> Settings:
    """Settings of a test's system: default ports on ``bind``, one carrier (and more ``trunks``),
    short wrap-up."""
    return Settings(
        bind=bind,
        asterisk=AsteriskSettings(rtp_first=23000, rtp_last=23400),
        agents=AgentSettings(wrapup_seconds=1, ring_seconds=5),
        carrier=(CarrierSettings(name="public", host=carrier, port=carrier_port), *trunks),
        load=load or LoadSettings(),
    )


def _toml(settings: Settings) -> str:
    asterisk = settings.asterisk
    load = settings.load.model_dump(exclude_none=True)
    carriers = "".join(
        f'[[carrier]]\nname = "{carrier.name}"\nhost = "{carrier.host}"\nport = {carrier.port}\n'
        f"max_channels = {carrier.max_channels}\n"
        for carrier in settings.carrier
    )
    return (
        f'bind = "{settings.bind}"\n'
        f"[asterisk]\nrtp_first = {asterisk.rtp_first}\nrtp_last = {asterisk.rtp_last}\n"
        f"[agents]\nwrapup_seconds = {settings.agents.wrapup_seconds}\n"
        f"ring_seconds = {settings.agents.ring_seconds}\n"
        "[load]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in load.items())
        + carriers
    )


@asynccontextmanager
async def running(
    *,
    bind: str,
    carrier: str,
    plans: Sequence[str] | None = None,
    agents: Sequence[str] = ("1001",),
    trunks: Sequence[CarrierSettings] = (),
    load: LoadSettings | None = None,
) -> AsyncIterator[Running]:
    """A system with the incidents of these plans (default: the sample, open around the clock).

    Each agent serves every incident in every language; nobody is signed in.
    """
    settings = settings_for(bind, carrier, trunks=trunks, load=load)
    tree = await asyncio.to_thread(ensure_tree, settings, lambda _line: None)
    # Not pytest's folder: the path of Asterisk's control socket must stay under 108 bytes.
    home = Home.at(tempfile.mkdtemp(prefix="bl-"))
    home.settings_file.write_text(_toml(settings), encoding="utf-8")
    url = settings.database_url(home)
    system: Running | None = None
    try:
        await migrate(url)
        async with open_store(url, Keyring.open(home)) as store:
            active = [await activate_silently(home, store, text) for text in plans or [plan_text()]]
            spoken = {language for plan in active for language in plan.languages}
            for number in agents:
                ids = [plan.incident for plan in active]
                await add_agent(store, number, ids, sorted(spoken), time.time())
            await render_home(home, settings, tree, store)
            account = read_secrets(home)
            ami = AmiClient(bind, settings.asterisk.ami_port, account.ami_user, account.ami_secret)
            system = Running(home, settings, tree, store, ami, carrier)
            await ami.start()
            try:
                await system.start_asterisk()
                yield system
            finally:
                await ami.stop()
                await system.stop_hotline()
                await system.stop_asterisk()
    finally:
        shutil.rmtree(home.root)
