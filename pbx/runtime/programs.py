"""The parts of a running system: what is started, where it keeps its things, when it is ready."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Final

from incident.home import Home
from incident.settings import Settings
from pbx.runtime import probes
from pbx.runtime.part import Part
from pbx.runtime.tree import Tree

REPOSITORY: Final = Path(__file__).resolve().parents[2]
AMI_GREETING: Final = b"Asterisk Call Manager"
FULLY_BOOTED: Final = b"fully booted"


class UnsafeBind(Exception):
    """The embedded broker was asked to listen where strangers could publish."""

    def __init__(self, bind: str) -> None:
        self.bind = bind
        super().__init__(
            f"the embedded MQTT broker has no passwords and serves loopback only, not {bind}: "
            "name a broker of your own in [mqtt] url"
        )


def asterisk(tree: Tree, home: Home, settings: Settings) -> Part:
    """The PBX, on the configuration rendered into the home."""
    return asterisk_at(
        tree,
        "asterisk",
        home.asterisk / "etc" / "asterisk.conf",
        home.log / "asterisk.out",
        (settings.bind, settings.asterisk.ami_port),
    )


def asterisk_at(
    tree: Tree, name: str, configuration: Path, log: Path, ami: tuple[str, int]
) -> Part:
    """An Asterisk on a rendered configuration; ``ami``: where its manager listens.

    Ready when AMI greets and every module is up. SIGTERM makes it hang up and end in order.
    """
    remote = tree.command("asterisk", "-C", str(configuration), "-rx", "core waitfullybooted")

    async def ready() -> bool:
        if not await probes.greets(*ami, AMI_GREETING):
            return False
        return await probes.says(remote, {**os.environ, **tree.env()}, FULLY_BOOTED)

    return Part(
        name=name,
        argv=tree.command("asterisk", "-f", "-C", str(configuration)),
        env=tree.env(),
        cwd=configuration.parent,
        log=log,
        ready=ready,
        ready_timeout=60.0,
        # On SIGTERM Asterisk hangs up and gives its channels 15 s to end.
        stop_timeout=20.0,
        # Callers wait inside it: it outlives a supervisor that was killed.
        adopt=True,
    )


def mosquitto(tree: Tree, home: Home, settings: Settings) -> Part:
    """The MQTT broker; writes its configuration. Raises UnsafeBind off loopback."""
    host, port = settings.bind, settings.mqtt.port
    if not ipaddress.ip_address(host).is_loopback:
        raise UnsafeBind(host)
    folder = home.root / "mosquitto"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mosquitto.conf"
    file.write_text(
        "# Written at every start from breachline.toml.\n"
        # Started by root it would look for an account of its own, which this host may not have.
        "user nobody\n"
        f"listener {port} {host}\n"
        "allow_anonymous true\n"
        # The database is the truth; retained states are published again after a restart.
        "persistence false\n"
        "log_dest stderr\n"
        "log_type error\n"
        "log_type warning\n"
        "connection_messages false\n"
        "max_packet_size 1048576\n",
        encoding="utf-8",
    )

    async def ready() -> bool:
        return await probes.accepts(host, port)

    return Part(
        name="mosquitto",
        argv=tree.command("mosquitto", "-c", str(file)),
        env=tree.env(),
        cwd=folder,
        log=home.log / "mosquitto.log",
        ready=ready,
        ready_timeout=15.0,
    )


def prometheus(tree: Tree, home: Home, settings: Settings, configuration: Path) -> Part:
    """Prometheus with ``configuration``; its data stays in the home."""
    host, port = settings.bind, settings.metrics.prometheus_port
    folder = home.root / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)

    async def ready() -> bool:
        return await probes.http_ok(host, port, "/-/ready")

    return Part(
        name="prometheus",
        argv=tree.command(
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder}",
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={_authority(host, port)}",
            "--log.level=warn",
        ),
        env=tree.env(),
        cwd=folder,
        log=home.log / "prometheus.log",
        ready=ready,
    )


def python_service(name: str, module: str, home: Home, host: str, metrics_port: int) -> Part:
    """One of our own services: ``python -P -m module --home HOME``, ready when it shows metrics."""

    async def ready() -> bool:
        return await probes.http_ok(host, metrics_port, "/metrics")

    return Part(
        name=name,
        argv=[sys.executable, "-P", "-m", module, "--home", str(home.root)],
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        cwd=home.root,
        log=home.log / f"{name}.log",
        ready=ready,
        stop_timeout=15.0,
        end_if_silent=True,
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
