"""What is said before a start about ports and addresses that cannot be used."""

from __future__ import annotations

import socket

import pytest

from console.ports import ports_of, taken_ports
from incident.settings import Settings

BIND = "127.0.0.29"


def test_nothing_is_said_when_all_is_free() -> None:
    assert taken_ports(Settings(bind=BIND)) == []


@pytest.mark.parametrize(("kind", "port"), [("udp", 5060), ("tcp", 9101), ("tcp", 1883)])
def test_a_port_that_another_program_holds_is_named(kind: str, port: int) -> None:
    kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
    with socket.socket(socket.AF_INET, kinds[kind]) as holder:
        holder.bind((BIND, port))
        if kind == "tcp":
            holder.listen()
        (found,) = taken_ports(Settings(bind=BIND))
    assert found.port == port
    assert f"{kind.upper()} port {port} on {BIND} is taken" in str(found)


def test_an_address_of_another_machine_is_said_once() -> None:
    (found,) = taken_ports(Settings(bind="192.0.2.10"))
    assert "no address of this machine" in str(found)


def test_the_broker_of_somebody_else_is_not_looked_for() -> None:
    settings = Settings.model_validate({"mqtt": {"url": "mqtt://127.0.0.1:1883"}})
    assert 1883 not in {port for _, _, port in ports_of(settings)}
