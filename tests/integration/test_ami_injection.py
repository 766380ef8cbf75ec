"""Callers whose number or name has line breaks: no event and no AGI line is made of them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from pbx.agi import AgiRequest, AgiServer, AgiSession
from pbx.ami import Event
from tests.dialer_pbx import DID, INCIDENT, NETWORK, PBX, pbx, settings
from tests.sip_caller import SipCall

EVENT = "Event: QueueCallerJoin\r\nPrivilege: agent,all\r\nQueue: forged\r\nUniqueid: forged"
WHOLE = quote(f"1\r\n\r\n{EVENT}\r\n\r\nX: y", safe="")
HEADERS = quote("1\r\nUniqueid: forged\r\nEvent: QueueCallerJoin\r\nQueue: forged", safe="")
LINES = quote("15125550109\nagi_arg_1: forged\nagi_uniqueid: forged", safe="")
LAST = "15125550100"


async def test_no_caller_makes_events_or_agi_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    requests: list[AgiRequest] = []
    events: list[Event] = []
    over = asyncio.Event()

    async def hotline(session: AgiSession) -> None:
        requests.append(session.request)
        await session.set_variable("BL_NEXT", "hangup")

    def heard(event: Event) -> None:
        events.append(event)
        if event.name == "Hangup" and event.get("CallerIDNum") == LAST:
            over.set()

    port = settings().asterisk.agi_port
    server = AgiServer(PBX, port, {"hotline": hotline})
    await server.start()
    try:
        async with pbx(tmp_path) as running, running.ami() as ami:
            ami.subscribe(None, heard)
            sip = (PBX, running.settings.asterisk.sip_port)
            for number, caller in (
                (DID, WHOLE),
                (DID, HEADERS),
                (DID, LINES),
                ("+1512" + WHOLE, "15125550109"),
                ("+1512" + HEADERS, "15125550109"),
                (DID, LAST),
            ):
                call = SipCall(NETWORK, sip, number, caller)
                try:
                    await call.dial()
                    await call.ended()
                finally:
                    call.close()
            async with asyncio.timeout(20):
                await over.wait()
    finally:
        await server.stop(0)
    assert len(requests) == 4
    assert {request.args for request in requests} == {(INCIDENT, "")}  # nobody is shed
    assert not [request for request in requests if "forged" in request.unique_id]
    assert [event.name for event in events if "forged" in str(dict(event.fields))] == []
    assert not [record for record in caplog.records if "neither event" in record.getMessage()]
