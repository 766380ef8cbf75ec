"""A drill against a system that is up already, where that can be done soundly."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from console.door import Refused, store_of
from console.drill_stage import DRILL, PUBLIC, Crew, linked, make_scene
from drill.agents import SIGN_OUT, press, sign_in
from drill.network import Habits, Network
from drill.surge import Scene
from incident.home import Home
from incident.settings import CarrierSettings, Settings, load_settings
from incident.store.agents import Agent, list_agents
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident, active_incidents
from pbx import names
from pbx.ami import AmiClient
from pbx.ami import Refused as ActionRefused
from pbx.render import read_secrets
from pbx.runtime.part import PartEvent
from pbx.runtime.process import Record
from pbx.runtime.programs import asterisk_at
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import ensure_tree

SIP_PORT: Final = 5060


@asynccontextmanager
async def running_scene(
    home: Home,
    crew: Crew,
    *,
    report: Callable[[str], None],
    on_part: Callable[[PartEvent], None],
) -> AsyncIterator[Scene]:
    """Start the simulated public beside the running system and sign its agents in; sign them out
    and stop it at the end. The calls stay in the system's books.

    Raises Refused, with what to do, where a drill would touch anybody but the simulated public.
    """
    settings = load_settings(home)
    carrier = simulated_carrier(settings)
    tree = await asyncio.to_thread(ensure_tree, settings, report)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_of(home, settings))
        incident, agents = await choose_crew(store, crew)
        account = read_secrets(home)
        pbx = await linked(
            stack,
            AmiClient(
                settings.bind, settings.asterisk.ami_port, account.ami_user, account.ami_secret
            ),
        )
        await nobody_there(pbx, agents)
        network = Network(
            home,
            bind=carrier.host,
            agents_bind=_beside(settings, carrier),
            pbx=settings.bind,
            pbx_port=settings.asterisk.sip_port,
        )
        habits = Habits(talk_min=crew.talk[0], talk_max=crew.talk[1], speech=True)
        phones = [(agent.number, agent.password) for agent in agents]
        await asyncio.to_thread(
            lambda: network.render(
                phones,
                habits,
                modules=tree.modules,
                share=tree.data,
                moh=tree.moh,
                sounds=tree.sounds,
            )
        )
        part = asterisk_at(
            tree, PUBLIC, network.config, home.log / "public.out", (network.bind, network.ami_port)
        )
        folder = network.base / "supervisor"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        supervisor = Supervisor([part], folder, on_part)
        stack.push_async_callback(supervisor.stop)
        await supervisor.start()
        public = await linked(
            stack, AmiClient(network.bind, network.ami_port, "drill", network.ami_secret())
        )
        numbers = [agent.number for agent in agents]
        stack.push_async_callback(_sign_out, public, numbers)
        await sign_in(public, numbers)

        def pid(name: str) -> int | None:
            if name == DRILL:
                return os.getpid()
            if name == PUBLIC:
                return supervisor.pid(PUBLIC)
            record = Record.read(home.run / f"{name}.json")
            return None if record is None else record.pid

        yield await make_scene(
            stack, incident=incident, store=store, network=network, public=public, pbx=pbx, pid=pid
        )


def simulated_carrier(settings: Settings) -> CarrierSettings:
    """The carrier whose place the simulated public takes. Raises Refused where there is none."""
    bind = settings.bind
    for carrier in settings.carrier:
        here = ipaddress.IPv4Address(carrier.host).is_loopback and carrier.host != bind
        if here and carrier.transport == "udp" and carrier.port == SIP_PORT:
            if _taken(carrier.host, SIP_PORT):
                raise Refused(
                    f"something answers as carrier {carrier.name} at {carrier.host} already: end "
                    "it first ('ss -lnp' says what it is)"
                )
            return carrier
    raise Refused(
        "a system is up in this home, and none of its carriers is the simulated public: simulated "
        "callers cannot reach it, and called people would be real ones. Drill in a home of the "
        "drill's own (another --home), or in a copy of this one with a [[carrier]] at 127.0.0.2"
    )


async def choose_crew(store: Store, crew: Crew) -> tuple[ActiveIncident, list[Agent]]:
    """The incident with the most agents, and as many of them as the drill needs."""
    incidents = await active_incidents(store)
    if not incidents:
        raise Refused("no incident is active in this home")
    everybody = await list_agents(store)
    serving = {
        each.id: [agent for agent in everybody if each.id in agent.incidents] for each in incidents
    }
    incident = max(incidents, key=lambda each: len(serving[each.id]))
    there = serving[incident.id]
    if len(there) < crew.agents:
        raise Refused(
            f"{incident.id} has {len(there)} agents here, and the drill needs {crew.agents}: add "
            "some with 'breachline agents add', or drill with --agents fewer"
        )
    return incident, there[: crew.agents]


async def nobody_there(pbx: AmiClient, agents: list[Agent]) -> None:
    if await pbx.collect("CoreShowChannels"):
        raise Refused("there are calls on the line; a drill would mix with them. Try again later")
    try:
        contacts = await pbx.collect("PJSIPShowContacts")
    except ActionRefused:  # there is none at all
        return
    wanted = {names.agent_endpoint(agent.number) for agent in agents}
    registered = {event.get("Endpoint") for event in contacts} & wanted
    if registered:
        raise Refused(
            f"{len(registered)} of the agents' own telephones are registered; the drill's would "
            "take their calls away. Switch them off, or add agents for the drill"
        )


def _beside(settings: Settings, carrier: CarrierSettings) -> str:
    """A loopback address for the agents' telephones that is nobody's yet."""
    others = {settings.bind, *(each.host for each in settings.carrier)}
    start = ipaddress.IPv4Address(carrier.host)
    for step in range(1, 200):
        address = str(start + step)
        if address not in others and not _taken(address, SIP_PORT):
            return address
    raise Refused(f"no free loopback address after {carrier.host} for the agents' telephones")


def _taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


async def _sign_out(public: AmiClient, numbers: list[str]) -> None:
    for number in numbers:
        await press(public, number, SIGN_OUT)
    await asyncio.sleep(4)  # a key call takes three seconds
