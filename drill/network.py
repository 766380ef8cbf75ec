"""The second Asterisk: everybody outside, rendered into ``HOME/public``."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drill.outsourcer import NUMBER, Mood, next_to
from incident.home import Home
from pbx import names
from pbx.render import fill
from pbx.render.secret import made_once
from pbx.render.template import link, write_if_changed

TEMPLATES = Path(__file__).resolve().parent / "network"
_FOLDERS = ("etc", "lib/keys", "run", "log", "spool", "cache", "data")


@dataclass(frozen=True, slots=True)
class Habits:
    """How the simulated public behaves. Times in whole seconds; every ``slow_every``-th
    notice call is answered by its agent only after 3.5 s (0: never). ``speech``: agents are heard
    all the time while they talk, else only as they begin. ``outsourcer``: what it does with a call
    (``drill/outsourcer.py``)."""

    ring_min: int = 1
    ring_max: int = 3
    talk_min: int = 3
    talk_max: int = 8
    slow_every: int = 0
    speech: bool = False
    outsourcer: Mood = "answers"


@dataclass(frozen=True, slots=True)
class Network:
    """Where the simulated public lives: its own addresses, and the PBX that it talks to."""

    home: Home
    bind: str = "127.0.0.2"
    agents_bind: str = "127.0.0.4"
    pbx: str = "127.0.0.1"
    pbx_port: int = 5060
    ami_port: int = 5038
    rtp_first: int = 14000
    rtp_last: int = 17999

    @property
    def outsourcer_bind(self) -> str:
        """The outsourcer's address, next to the agents'."""
        return next_to(self.agents_bind)

    @property
    def base(self) -> Path:
        return self.home.root / "public"

    @property
    def config(self) -> Path:
        return self.base / "etc" / "asterisk.conf"

    def ami_secret(self) -> str:
        """The simulated network's own AMI secret, made the first time."""
        kept = made_once(
            self.home.secrets / "public-ami.json", lambda: {"secret": secrets.token_urlsafe(24)}
        )
        return kept["secret"]

    def render(
        self,
        phones: Iterable[tuple[str, str]],
        habits: Habits,
        *,
        modules: Path,
        share: Path,
        moh: Path,
        sounds: Path,
    ) -> None:
        """Write the network's files; ``phones``: agents' numbers and SIP passwords."""
        for folder in _FOLDERS:
            (self.base / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        link(self.base / "data" / "documentation", share / "documentation")
        link(self.base / "data" / "moh", moh)
        link(self.base / "data" / "sounds", sounds)
        values = {
            "ETC": str(self.base / "etc"),
            "BASE": str(self.base),
            "MODULES": str(modules),
            "BIND": self.bind,
            "AGENT_BIND": self.agents_bind,
            "PBX": self.pbx,
            "PBX_PORT": str(self.pbx_port),
            "AMI_PORT": str(self.ami_port),
            "AMI_SECRET": self.ami_secret(),
            "RTP_FIRST": str(self.rtp_first),
            "RTP_LAST": str(self.rtp_last),
            "TALK_MIN": str(habits.talk_min),
            "TALK_MAX": str(habits.talk_max),
            "RING_MIN": str(habits.ring_min),
            "RING_MAX": str(habits.ring_max),
            "SLOW_EVERY": str(habits.slow_every),
            "OUTSOURCER": habits.outsourcer,
            "OUTSOURCER_NUMBER": NUMBER,
            "OUTSOURCER_BIND": self.outsourcer_bind,
            "SPEECH": str(self.base / "speech") if habits.speech else "",
        }
        write_speech(self.base / "speech.ulaw")
        for source in sorted(TEMPLATES.glob("*.conf")):
            content = fill(source.read_text(encoding="utf-8"), values, f"drill/{source.name}")
            write_if_changed(self.base / "etc" / source.name, content)
        write_if_changed(
            self.base / "etc" / "pjsip_generated.conf",
            "\n".join(self._phone(number, password) for number, password in phones),
        )

    def _phone(self, number: str, password: str) -> str:
        account = names.agent_endpoint(number)
        server = f"sip:{self.pbx}:{self.pbx_port}"
        return (
            f"[phone-{number}](party)\ntransport = transport-agents\naors = phone-{number}\n"
            f"outbound_auth = phone-{number}\nfrom_user = {account}\n"
            f"media_address = {self.agents_bind}\nbind_rtp_to_media_address = yes\n\n"
            f"[phone-{number}]\ntype = aor\ncontact = {server}\n\n"
            f"[phone-{number}]\ntype = auth\nauth_type = digest\nusername = {account}\n"
            f"password = {password}\n\n"
            f"[register-{number}]\ntype = registration\ntransport = transport-agents\n"
            f"outbound_auth = phone-{number}\nserver_uri = {server}\n"
            f"client_uri = sip:{account}@{self.pbx}:{self.pbx_port}\ncontact_user = {account}\n"
            f"retry_interval = 2\nforbidden_retry_interval = 5\nfatal_retry_interval = 5\n"
            f"max_retries = 100000\nexpiration = 120\n"
        )


def write_speech(file: Path) -> None:
    """One second of something that a telephone takes for a voice: syllables of a low tone."""
    loud = bytes((0x9E, 0x90, 0x9E, 0x1E, 0x10, 0x1E)) * 200
    file.write_bytes((loud + b"\xff" * 400) * 5)
