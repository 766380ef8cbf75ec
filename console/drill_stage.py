"""The system that a drill runs against, started for it alone."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.assemble import Progress
from console.door import Refused
from console.stage import SAMPLE_PLANS, Addresses, staged, write_settings
from drill.agents import sign_in
from drill.network import Habits, Network
from drill.surge import Scene
from incident.home import Home
from incident.settings import load_settings
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident
from pbx.ami import AmiClient
from pbx.render import check_home, read_secrets
from pbx.runtime.part import PartEvent
from pbx.runtime.tree import ensure_tree

MARK: Final = ".drill"
"""A file that says that a home is a drill's own, and may be emptied."""
INCIDENT: Final = "northwind"
FINGERS: Final = 4
FIRST_AGENT: Final = 1001
PUBLIC: Final = "public network"
DRILL: Final = "this drill"
WATCHED: Final = ("asterisk", "hotline", "dialer", PUBLIC, DRILL)

OFF: Final[dict[str, dict[str, str]]] = {
    "waiting": {"estimate": "false", "keep_place": "false"},
    "load": {"shed": "false", "overflow": "false", "give_way": "false"},
}
"""Settings of the plain hotline: music and an agent, nothing else."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Agents. ``talk``: seconds, least and most; ``wrapup``: seconds after each call."""

    agents: int
    talk: tuple[int, int] = (20, 40)
    wrapup: int = 3


def own_home(root: Path) -> Home:
    """An empty home for one run; only the prompts of an earlier run stay.

    Raises Refused for a home that is not a drill's own.
    """
    home = Home.at(root)
    check_home(home)
    if home.root.is_dir() and any(home.root.iterdir()) and not (home.root / MARK).exists():
        raise Refused(
            f"{home.root} is not a drill's own home; a drill empties its home. Choose another "
            "with --home"
        )
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for each in home.root.iterdir():
        if each != home.prompts and each.name != MARK:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    (home.root / MARK).touch()
    return home


def write_drill_settings(home: Home, at: Addresses, crew: Crew, *, off: bool) -> None:
    """The stage's settings, and for ``off`` everything switched off that can be."""
    write_settings(home, at, wrapup=crew.wrapup)
    if off:
        sections = [
            f"\n[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for name, keys in OFF.items()
        ]
        with home.settings_file.open("a", encoding="utf-8") as file:
            file.write("".join(sections))


@asynccontextmanager
async def drill_scene(
    home: Home,
    at: Addresses,
    crew: Crew,
    *,
    report: Callable[[str], None],
    progress: Progress,
    on_part: Callable[[PartEvent], None],
) -> AsyncIterator[Scene]:
    """Start the system and the public, sign the agents in; stop everything at the end."""
    settings = load_settings(home)
    tree = await asyncio.to_thread(ensure_tree, settings, report)
    numbers = [str(FIRST_AGENT + index) for index in range(crew.agents)]
    habits = Habits(talk_min=crew.talk[0], talk_max=crew.talk[1], speech=True)
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            staged(
                home,
                tree,
                at=at,
                habits=habits,
                agents=numbers,
                plans=SAMPLE_PLANS[:1],
                on_part=on_part,
                progress=progress,
            )
        )
        stack.callback(report, "stopping")
        await sign_in(stage.public, numbers)
        account = read_secrets(home)
        pbx = await linked(
            stack,
            AmiClient(
                settings.bind, settings.asterisk.ami_port, account.ami_user, account.ami_secret
            ),
        )
        yield await make_scene(
            stack,
            incident=await stage.incident(INCIDENT),
            store=stage.store,
            network=stage.network,
            public=stage.public,
            pbx=pbx,
            pid=lambda part: os.getpid() if part == DRILL else stage.supervisor.pid(part),
        )


async def make_scene(
    stack: AsyncExitStack,
    *,
    incident: ActiveIncident,
    store: Store,
    network: Network,
    public: AmiClient,
    pbx: AmiClient,
    pid: Callable[[str], int | None],
) -> Scene:
    """Everything that a surge needs, with sessions for pressing keys."""
    fingers = []
    for _ in range(FINGERS):
        finger = await linked(
            stack, AmiClient(network.bind, network.ami_port, "drill", network.ami_secret())
        )
        await finger.action("Events", {"EventMask": "off"})
        fingers.append(finger)
    return Scene(
        incident=incident,
        store=store,
        public=public,
        fingers=fingers,
        pbx=pbx,
        here=network.bind,
        pbx_address=network.pbx,
        ports=(network.rtp_first, network.rtp_last),
        parts=WATCHED,
        pid=pid,
    )


async def linked(stack: AsyncExitStack, ami: AmiClient) -> AmiClient:
    """A manager session that ends with the stack."""
    stack.push_async_callback(ami.stop)
    await ami.start()
    await ami.wait_ready(10)
    return ami
