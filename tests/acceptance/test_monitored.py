"""The real Prometheus beside the running system: every question that we ship has an answer."""

from __future__ import annotations

import json
import re
import urllib.parse

import pytest

from drill.people import Behaviour
from tests.acceptance.crews import MONITORED
from tests.acceptance.notices import dialled_through, listed, run_campaign
from tests.acceptance.system import DID, System
from tests.expressions import expressions
from tests.running import eventually
from tests.sip_caller import calling

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = (
    "inbound_calls_total",
    "menu_choices_total",
    "queue_waiting",
    "queue_wait_seconds",
    "agents",
    "agi_turn_seconds",
    "dials_total",
    "abandon_ratio",
    "agent_occupancy_ratio",
    "connect_seconds",
    "contacts",
    "notice_deadline_timestamp_seconds",
    "content_info",
)
"""Names that other people's dashboards rely on, each prefixed with ``breachline_``."""

_FICTIONAL = re.compile(r"55501\d\d")


async def test_every_expression_of_every_dashboard_and_rule_returns_data(system: System) -> None:
    await system.sign_in(MONITORED)
    people = listed({Behaviour.PERSON: 2, Behaviour.BUSY: 1}, area=602, first=60000000)
    campaign = await run_campaign(system, "monitored", people)
    async with calling(system.at.probe, system.at.bind, DID, caller="+12125550181") as call:
        await call.press(",,1,,,1")
    await dialled_through(system, campaign)
    asked = expressions()
    assert asked
    missing: list[str] = []

    async def all_answered() -> bool:
        missing[:] = [
            f"{each.source}: {each.operand}"
            for each in asked
            if not await query(system, each.operand)
        ]
        return not missing

    try:
        await eventually(all_answered, patience=40)
    except TimeoutError:
        pytest.fail("no data for:\n" + "\n".join(missing))
    finally:
        await system.sign_out(MONITORED)


async def test_all_names_of_the_contract_are_exposed(system: System) -> None:
    metrics = system.stage.settings.metrics
    pages = await system.page(metrics.hotline_port) + await system.page(metrics.dialer_port)
    exposed = set(re.findall(r"^breachline_(\w+?)(?:_bucket)?[{ ]", pages, re.MULTILINE))
    assert [name for name in CONTRACT if name not in exposed] == []


async def test_no_telephone_number_is_in_any_metric(system: System) -> None:
    metrics, asterisk = system.stage.settings.metrics, system.stage.settings.asterisk
    for port in (metrics.hotline_port, metrics.dialer_port, asterisk.http_port):
        assert _FICTIONAL.findall(await system.page(port)) == []
    stored = await query(system, '{__name__=~".+"}')
    assert len(stored) > 100
    labels = json.dumps([series["metric"] for series in stored])
    assert _FICTIONAL.findall(labels) == []


async def query(system: System, expression: str) -> list[dict[str, object]]:
    """What Prometheus answers now."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    answer = json.loads(await system.page(system.stage.settings.metrics.prometheus_port, path))
    assert answer["status"] == "success"
    result: list[dict[str, object]] = answer["data"]["result"]
    return result
