"""Looks at the ports of a system before it starts: whose they are, and whether ``bind`` is ours."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Final

from incident.home import Home
from incident.settings import Settings
from pbx.runtime.process import Process, Record

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortTaken:
    """A port that cannot be listened on. ``why``: in words, with what to do."""

    part: str
    port: int
    why: str

    def __str__(self) -> str:
        return f"{self.part}: {self.why}"


def ports_of(settings: Settings) -> list[tuple[str, str, int]]:
    """Part, protocol and port of everything that a system listens on."""
    asterisk, metrics = settings.asterisk, settings.metrics
    found = [
        ("SIP", "udp", asterisk.sip_port),
        ("SIP", "tcp", asterisk.sip_port),
        ("Asterisk's manager", "tcp", asterisk.ami_port),
        ("Asterisk's HTTP", "tcp", asterisk.http_port),
        ("hotline (FastAGI)", "tcp", asterisk.agi_port),
        ("hotline (metrics)", "tcp", metrics.hotline_port),
        ("dialer (metrics)", "tcp", metrics.dialer_port),
        ("Prometheus", "tcp", metrics.prometheus_port),
    ]
    if settings.mqtt.url is None:
        found.append(("Mosquitto", "tcp", settings.mqtt.port))
    return found


def left_running(home: Home) -> bool:
    """Whether parts of this home run on from a supervisor that was killed: the ports are theirs."""
    for file in home.run.glob("*.json"):
        record = Record.read(file)
        process = None if record is None else Process.reopen(record)
        if process is not None:
            process.close()
            return True
    return False


def taken_ports(settings: Settings) -> list[PortTaken]:
    """Every port that something else holds, or that this machine's addresses do not allow."""
    found = []
    for part, kind, port in ports_of(settings):
        with socket.socket(socket.AF_INET, _KINDS[kind]) as probe:
            if kind == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.bind, port))
            except OSError as error:
                found.append(PortTaken(part, port, _why(error, settings.bind, kind, port)))
                if error.errno == errno.EADDRNOTAVAIL:
                    break
    return found


def _why(error: OSError, bind: str, kind: str, port: int) -> str:
    place = f"{kind.upper()} port {port} on {bind}"
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return (
                f"bind = {bind!r} is no address of this machine ('ip address' lists them); "
                "change it in breachline.toml"
            )
        case errno.EADDRINUSE:
            return (
                f"{place} is taken by another program ('ss -lnp' says which): stop it, or choose "
                "another port or bind in breachline.toml"
            )
        case errno.EACCES:
            return f"{place} needs root, or a port above 1023"
    return f"{place} cannot be used: {error.strerror}"
