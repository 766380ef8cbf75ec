"""Puts a system together: incidents into force, Asterisk's files, the parts to supervise."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.home import Home
from incident.plan import Plan, parse_plan, require_carrier
from incident.settings import CarrierSettings, Settings
from incident.store.agents import list_agents
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident, activate, active_incidents
from pbx import names
from pbx.ami import AmiClient, NotConnected
from pbx.emergency_pack import PROMPTS as EMERGENCY_TEXTS
from pbx.emergency_pack import write_emergency_pack
from pbx.prompts.audio import formats_for
from pbx.prompts.book import PromptBook, go_live
from pbx.prompts.build import BuildReport, build
from pbx.prompts.core_sounds import convert_music, link_core_sounds
from pbx.prompts.waits import compose_waits
from pbx.reload import reload_asterisk
from pbx.render import AgentPhone, HotlineNumber, Outsourcer, read_secrets, render_asterisk
from pbx.runtime import probes
from pbx.runtime.part import Part
from pbx.runtime.programs import asterisk, mosquitto, prometheus, python_service
from pbx.runtime.tree import Tree

log: Final = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
MONITORING = Path(__file__).resolve().parents[1] / "monitoring"


@dataclass(frozen=True, slots=True)
class Activated:
    """What ``activate_plan`` did."""

    incident: ActiveIncident
    prompts: BuildReport


async def activate_plan(
    home: Home, settings: Settings, store: Store, file: Path, progress: Progress
) -> Activated:
    """Check a plan, render its prompts, and put it in force.

    In force last of all: a caller never reaches an incident whose prompts are not there.
    Raises PlanError, the prompt engines' errors, DidTaken.
    """
    text = await asyncio.to_thread(file.read_text, encoding="utf-8")
    return await put_in_force(
        home, settings, store, parse_plan(text, str(file)), text=text, progress=progress
    )


async def put_in_force(
    home: Home, settings: Settings, store: Store, plan: Plan, *, text: str, progress: Progress
) -> Activated:
    """``activate_plan`` for a plan that was read already; ``text``: as it was written.

    Takes milliseconds when its prompts are there.
    """
    require_carrier(text, plan.incident, plan.overflow, _trunks(settings))
    report = await asyncio.to_thread(build, home, plan, settings, progress=progress)
    incident = await activate(store, plan, text, time.time())
    book = PromptBook.load(home, plan.incident, incident.content_version)
    write_emergency_pack(
        home,
        plan.incident,
        plan.languages,
        {
            language: {name: book.path(name, language) for name in EMERGENCY_TEXTS}
            for language in plan.languages
        },
        incident.key.public_key,
    )
    go_live(home, plan.incident, incident.content_version)
    home.plans.mkdir(parents=True, exist_ok=True)
    (home.plans / f"{plan.incident}.yaml").write_text(text, encoding="utf-8")
    return Activated(incident, report)


async def render_home(home: Home, settings: Settings, tree: Tree, store: Store) -> list[Path]:
    """Write Asterisk's files for the active incidents and agents; returns those that changed."""
    incidents = await active_incidents(store)
    languages = {each.id: each.plan.languages for each in incidents}
    phones = [
        AgentPhone(
            agent.number,
            agent.password,
            tuple(
                names.queue(incident, language)
                for incident in agent.incidents
                for language in agent.languages
                if language in languages.get(incident, ())
            ),
        )
        for agent in await list_agents(store)
    ]
    sounds = home.asterisk / "sounds"
    await asyncio.to_thread(link_core_sounds, tree.sounds, sounds, formats_for(settings))
    for each in incidents:
        composed = await asyncio.to_thread(
            compose_waits,
            home,
            each.id,
            each.plan.languages,
            sounds=sounds,
            formats=formats_for(settings),
            offer=settings.waiting.keep_place,
        )
        for what in composed.silent:
            log.warning("incident %s: those who wait hear no range in %s", each.id, what)
    return render_asterisk(
        home,
        settings,
        modules=tree.modules,
        share=tree.data,
        moh=await asyncio.to_thread(convert_music, tree.moh, formats_for(settings)),
        incidents=[HotlineNumber(each.id, each.did, each.plan.languages) for each in incidents],
        agents=phones,
        outsourcers=_outsourcers(settings, incidents),
    )


def _trunks(settings: Settings) -> dict[str, CarrierSettings]:
    return {carrier.name: carrier for carrier in settings.carrier if carrier.outbound}


def _outsourcers(settings: Settings, incidents: Iterable[ActiveIncident]) -> list[Outsourcer]:
    """A trunk that was taken out of the settings since the activation is no way any more."""
    trunks = _trunks(settings) if settings.load.overflow else {}
    return [
        Outsourcer(each.id, overflow, trunks[overflow.carrier].max_channels)
        for each in incidents
        if (overflow := each.plan.overflow) is not None and overflow.carrier in trunks
    ]


async def reload_if_running(home: Home, settings: Settings, wait: float = 2.0) -> bool:
    """Have this home's Asterisk read its files again; False when none is running."""
    if not await _listens(settings.bind, settings.asterisk.ami_port):
        return False
    account = read_secrets(home)
    ami = AmiClient(settings.bind, settings.asterisk.ami_port, account.ami_user, account.ami_secret)
    await ami.start()
    try:
        await ami.wait_ready(wait)
        await reload_asterisk(ami)
    except NotConnected:
        return False
    finally:
        await ami.stop()
    return True


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(2):
            return await probes.accepts(host, port)
    except (OSError, TimeoutError):
        return False


def system_parts(home: Home, settings: Settings, tree: Tree) -> list[Part]:
    """The parts of a whole system, in the order in which they start."""
    for folder in (home.log, home.run):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    bind, ports = settings.bind, settings.metrics
    parts: list[Part] = []
    if settings.mqtt.url is None:
        parts.append(mosquitto(tree, home, settings))
    parts += [
        asterisk(tree, home, settings),
        python_service("hotline", "ivr.service", home, bind, ports.hotline_port),
        python_service("dialer", "dialer.service", home, bind, ports.dialer_port),
        prometheus(tree, home, settings, prometheus_configuration(home, settings)),
    ]
    return parts


def prometheus_configuration(home: Home, settings: Settings) -> Path:
    """``monitoring/prometheus.yml`` with this home's addresses."""
    template = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    values = {
        "@BIND@": settings.bind,
        "@HOTLINE_PORT@": str(settings.metrics.hotline_port),
        "@DIALER_PORT@": str(settings.metrics.dialer_port),
        "@ASTERISK_PORT@": str(settings.asterisk.http_port),
        "@PROMETHEUS_PORT@": str(settings.metrics.prometheus_port),
        "@RULES@": str(MONITORING / "rules"),
        "@NODE@": settings.node,
    }
    for place, value in values.items():
        template = template.replace(place, value)
    folder = home.root / "prometheus"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "prometheus.yml"
    file.write_text(template, encoding="utf-8")
    return file
