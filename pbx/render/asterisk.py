"""Renders ``asterisk-conf/`` and ``dialplan/`` of the project into ``HOME/asterisk``."""

from __future__ import annotations

import os
import re
import secrets as random_secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from incident.home import Home
from incident.settings import Settings
from pbx.render import sections
from pbx.render.secret import made_once
from pbx.render.sections import AgentPhone, HotlineNumber, Outsourcer
from pbx.render.template import TemplateError, fill, link, write_if_changed

PROJECT = Path(__file__).resolve().parents[2]
_GENERATED = {"extensions_generated.conf", "queues_generated.conf", "pjsip_generated.conf"}
_FOLDERS = ("etc", "lib", "run", "log", "spool", "cache", "agi-bin", "data", "lib/keys")
_MAINTENANCE = "res_pjsip_maintenance.so"
_SOCKET_BYTES = 107
"""Longest path of a socket on Linux: ``sun_path`` has 108 bytes, the last one zero (unix(7))."""
_MISREAD = re.compile(r"[^\w ./@+=:%~-]")
"""What a path may not hold: in one place or another Asterisk's files give it a meaning (``;`` a
comment, ``,`` and ``&`` the next item of a list, ``$`` a variable, ``*`` and ``[`` a pattern)."""


class HomeUnusable(TemplateError):
    """Asterisk cannot run in this home folder; ``reason`` says why, the message what to do."""

    def __init__(self, root: Path, reason: str) -> None:
        self.root = root
        self.reason = reason
        super().__init__(f"{str(root)!r} cannot be the home folder: {reason}")


def check_home(home: Home) -> None:
    """Raises HomeUnusable for a path that Asterisk would cut off or misread."""
    socket = os.fsencode(home.asterisk / "run" / "asterisk.ctl")
    if len(socket) > _SOCKET_BYTES:
        over = len(socket) - _SOCKET_BYTES
        raise HomeUnusable(
            home.root,
            f"the path of Asterisk's control socket below it would be {over} bytes too long; "
            "use a shorter --home path",
        )
    misread = _MISREAD.search(str(home.root))
    if misread:
        raise HomeUnusable(
            home.root,
            f"Asterisk would misread {misread[0]!r} in its path; use a --home path of letters, "
            "digits and - _ . only",
        )


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the services need to log in to this home's Asterisk."""

    ami_user: str
    ami_secret: str


def read_secrets(home: Home) -> Secrets:
    """The home's AMI account; made with a random secret the first time (mode 0600)."""
    kept = made_once(
        home.secrets / "ami.json",
        lambda: {"user": "breachline", "secret": random_secrets.token_urlsafe(32)},
    )
    return Secrets(kept["user"], kept["secret"])


def render_asterisk(
    home: Home,
    settings: Settings,
    *,
    modules: Path,
    share: Path,
    moh: Path,
    incidents: Sequence[HotlineNumber],
    agents: Sequence[AgentPhone],
    outsourcers: Sequence[Outsourcer] = (),
    conf: Path = PROJECT / "asterisk-conf",
    dialplan: Path = PROJECT / "dialplan",
) -> list[Path]:
    """Write every file that Asterisk reads; returns those that changed.

    ``modules``: Asterisk's module folder; ``share``: its data (``documentation``, ``keys``);
    ``moh``: music on hold. Raises TemplateError for a value that cannot stand in a file, and
    HomeUnusable (one of them) for a home folder that Asterisk cannot run in.
    """
    check_home(home)
    base = home.asterisk
    for folder in _FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    link(base / "data" / "documentation", share / "documentation")
    link(base / "data" / "moh", moh)
    link(base / "data" / "sounds", base / "sounds")
    live = home.prompts / "live"
    account = read_secrets(home)
    advertised = settings.asterisk.advertised_host
    values = {
        "ETC": str(base / "etc"),
        "ASTERISK": str(base),
        "MODULES": str(modules),
        "DIALPLAN": str(base / "etc" / "dialplan"),
        "NODE": settings.node,
        "BIND": settings.bind,
        "SIP_PORT": str(settings.asterisk.sip_port),
        "AMI_PORT": str(settings.asterisk.ami_port),
        "AMI_SECRET": account.ami_secret,
        "AGI_PORT": str(settings.asterisk.agi_port),
        "HTTP_PORT": str(settings.asterisk.http_port),
        "RTP_FIRST": str(settings.asterisk.rtp_first),
        "RTP_LAST": str(settings.asterisk.rtp_last),
        "MEDIA": advertised or settings.bind,
        "BIND_MEDIA": "no" if advertised else "yes",
        "EXTERNAL": _external(advertised),
        "AGENT_RING": str(settings.agents.ring_seconds),
        "WRAPUP": str(settings.agents.wrapup_seconds),
        "PROMPTS_LIVE": str(live),
        **_limits(settings, modules),
    }
    files = {
        base / "etc" / source.name: fill(
            source.read_text(encoding="utf-8"), values, f"asterisk-conf/{source.name}"
        )
        for source in sorted(conf.glob("*.conf"))
    }
    for source in sorted(dialplan.glob("*.conf")):
        files[base / "etc" / "dialplan" / source.name] = source.read_text(encoding="utf-8")
    files[base / "etc" / "extensions_generated.conf"] = sections.extensions(
        incidents, agents
    ) + sections.outsourcers(outsourcers)
    files[base / "etc" / "queues_generated.conf"] = sections.queues(
        incidents,
        str(live),
        str(home.prompts / "waits"),
        keep_place=settings.waiting.keep_place,
    )
    files[base / "etc" / "pjsip_generated.conf"] = (
        sections.carriers(settings.carrier) + "\n" + sections.agents(agents)
    )
    changed = [path for path, content in files.items() if write_if_changed(path, content)]
    scripts = {
        "emergency": _script("pbx.emergency", str(home.root), ",".join(settings.callbacks.regions)),
        "carriers": _script(
            "pbx.carriers", str(home.root), settings.bind, str(settings.asterisk.ami_port)
        ),
    }
    for name, content in scripts.items():
        if write_if_changed(base / "agi-bin" / name, content, 0o700):
            changed.append(base / "agi-bin" / name)
    return changed


def _limits(settings: Settings, modules: Path) -> dict[str, str]:
    """How many inbound calls the dialplan lets in, and whether Asterisk can tell carriers when to
    come again (its maintenance mode, since 20.20 and 22.10)."""
    limits = settings.call_limits()
    able = settings.load.retry_after and (modules / _MAINTENANCE).exists()
    return {
        "SHED_ABOVE": str(limits.shed),
        "REFUSE_ABOVE": str(limits.refuse),
        "RETRY_AFTER": "1" if able else "0",
        "MAINTENANCE": f"require = {_MAINTENANCE}" if able else f"; {_MAINTENANCE}: not used",
    }


def _external(advertised: str | None) -> str:
    if advertised is None:
        return "; nothing is advertised but the bind address"
    return f"external_signaling_address = {advertised}"


def _script(module: str, *arguments: str) -> str:
    """A wrapper with absolute paths: the script must start whatever else is broken. The
    dialplan's own arguments come last."""
    command = shlex.join([sys.executable, "-m", module, *arguments])
    return f'#!/bin/sh\ncd {shlex.quote(str(PROJECT))} && exec {command} "$@"\n'
