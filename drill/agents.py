"""Simulated agents: telephones on the public network that sign in at the hotline's PBX."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

from pbx.ami import AmiClient

SIGN_IN = "*11"
SIGN_OUT = "*12"


async def press(ami: AmiClient, number: str, keys: str) -> None:
    """Let an agent's telephone dial a key sequence such as ``*11``.

    Raises AmiError if the simulated network does not take the call.
    """
    await ami.originate(
        channel=f"PJSIP/{keys}@phone-{number}",
        context="agent-key",
        exten="s",
        channel_id=uuid.uuid4().hex,
        timeout_ms=8000,
        caller_id="",
        variables={},
    )


async def sign_in(ami: AmiClient, numbers: Iterable[str], registered_timeout: float = 20.0) -> None:
    """Wait until each telephone is registered at the PBX, then sign its agent in.

    Raises TimeoutError if a telephone does not register in time.
    """
    waiting = set(numbers)
    async with asyncio.timeout(registered_timeout):
        while waiting:
            events = await ami.collect("PJSIPShowRegistrationsOutbound", {}, timeout=5)
            done = {
                number
                for number in waiting
                for event in events
                if event.get("ObjectName") == f"register-{number}"
                and event.get("Status") == "Registered"
            }
            for number in sorted(done):
                await press(ami, number, SIGN_IN)
            waiting -= done
            if waiting:
                await asyncio.sleep(0.25)
