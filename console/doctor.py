"""``breachline doctor``: what is wrong with this home or machine, and what to do about it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from console.door import DEFAULT_HOME, HomeOption, JsonOption, Refused, out, print_json, run, table
from console.ports import taken_ports
from incident.home import Home
from incident.privacy import Keyring, PrivacyError
from incident.settings import Settings, SettingsError, load_settings
from incident.store.engine import StoreError, open_store
from incident.store.incidents import active_incidents
from pbx.prompts import ManifestError, PromptBook, PromptMissing
from pbx.render import HomeUnusable, check_home
from pbx.runtime.errors import TreeError
from pbx.runtime.tree import find_tree

State = Literal["ok", "note", "wrong"]
LEAST_DISK: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing looked at. ``advice``: what to do, empty when there is nothing to do."""

    what: str
    state: State
    found: str
    advice: str = ""


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Examine settings, disk, keys, database, prompts, ports and the running services."""
    found = examine(Home.at(home))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        rows = [(each.what, each.state, each.found, each.advice) for each in found]
        out.print(table(f"Home {Home.at(home).root}", ("what", "state", "found", "to do"), rows))
    wrong = [each.what for each in found if each.state == "wrong"]
    if wrong:
        raise Refused(f"{len(wrong)} things need attention: {', '.join(wrong)}")


def examine(home: Home) -> list[Examined]:
    """Everything, one after the other; what cannot be read does not stop the rest."""
    try:
        settings = load_settings(home)
    except SettingsError as error:
        return [Examined("settings", "wrong", str(error), "mend the file; then run doctor again")]
    there = "read" if home.settings_file.exists() else "no file: all defaults"
    found = [Examined("settings", "ok", there)]
    checks: tuple[Callable[[Home, Settings], list[Examined]], ...] = (
        _path,
        _disk,
        _runtime,
        _secrets,
        _database,
        _services,
    )
    for check in checks:
        found += check(home, settings)
    return found


def _path(home: Home, _: Settings) -> list[Examined]:
    try:
        check_home(home)
    except HomeUnusable as error:
        return [Examined("home", "wrong", error.reason, "restore a backup into another folder")]
    return [Examined("home", "ok", str(home.root))]


def _disk(home: Home, _: Settings) -> list[Examined]:
    place = home.root if home.root.exists() else home.root.parent
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= LEAST_DISK else "wrong"
    advice = "" if state == "ok" else "free at least 1 GB: calls and evidence are written here"
    return [Examined("disk", state, f"{free / 1e9:.1f} GB free", advice)]


def _runtime(_: Home, settings: Settings) -> list[Examined]:
    try:
        tree = find_tree(settings)
    except TreeError as error:
        return [Examined("programs", "wrong", str(error), "see docs/runtime.md")]
    if tree is None:
        return [Examined("programs", "note", "not built yet", "the next demo or up builds them")]
    return [Examined("programs", "ok", str(tree.root))]


def _secrets(home: Home, _: Settings) -> list[Examined]:
    if not home.secrets.exists():
        return [Examined("keys", "note", "none yet", "made at the first start; back them up then")]
    loose = [
        path.name
        for path in (home.secrets, *home.secrets.iterdir())
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if loose:
        return [Examined("keys", "wrong", f"others can read {', '.join(loose)}", "chmod go= them")]
    return [Examined("keys", "ok", "readable by the owner alone")]


def _database(home: Home, settings: Settings) -> list[Examined]:
    if settings.database.url is None and not home.database_file.exists():
        return [Examined("database", "note", "none yet", "breachline incident activate PLAN")]
    try:
        return run(_incidents(home, settings))
    except (StoreError, PrivacyError, OSError) as error:
        return [Examined("database", "wrong", str(error), "see docs/configuration.md")]


async def _incidents(home: Home, settings: Settings) -> list[Examined]:
    async with (
        asyncio.timeout(20),
        open_store(settings.database_url(home), Keyring.open(home)) as store,
    ):
        found = [Examined("database", "ok", store.dialect)]
        for each in await active_incidents(store):
            found.append(_prompts(home, each.id, each.did, each.content_version))
    if len(found) == 1:
        found.append(Examined("incidents", "note", "none active", "breachline incident activate"))
    return found


def _prompts(home: Home, incident: str, did: str, version: str) -> Examined:
    try:
        PromptBook.load(home, incident, version)
    except (PromptMissing, ManifestError) as error:
        return Examined(f"incident {incident}", "wrong", str(error), "breachline incident activate")
    return Examined(f"incident {incident}", "ok", f"{did}, prompts {version[:12]}")


def _services(home: Home, settings: Settings) -> list[Examined]:
    bind, ports = settings.bind, settings.metrics
    running = _accepts(bind, settings.asterisk.ami_port)
    if not running and not _page(bind, ports.hotline_port):
        taken = [Examined(each.part, "wrong", each.why) for each in taken_ports(settings)]
        advice = f"breachline up --home {home.root}"
        return [*taken, Examined("services", "note", "not running", advice)]
    found = [
        Examined("asterisk", "ok" if running else "wrong", f"{bind}:{settings.asterisk.ami_port}")
    ]
    for name, port in (("hotline", ports.hotline_port), ("dialer", ports.dialer_port)):
        up = _page(bind, port)
        log = Path(home.log.name) / f"{name}.log"
        advice = "" if up else f"look at {log} in the home"
        found.append(Examined(name, "ok" if up else "wrong", f"{bind}:{port}", advice))
    return found


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _page(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=2) as page:
            return bool(page.status == 200)
    except (OSError, urllib.error.URLError):
        return False
