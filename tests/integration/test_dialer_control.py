"""What operators ask of campaigns, and what they are told."""

from __future__ import annotations

import json
import time

import pytest

from dialer import control
from dialer.campaign import LanguageReport
from dialer.control import CarrierUnknown
from dialer.eligibility import BadHours
from dialer.report import LiveReport, read_report, report_file, write_report
from dialer.retry import RetryRules
from incident.home import Home
from incident.settings import CarrierSettings, Settings
from incident.store.campaigns import AlreadyStopped, CampaignUnknown, Desired
from incident.store.engine import Store
from incident.store.incidents import UnknownIncident
from tests.dialer_world import activated, add_contacts

NOW = 1_795_000_000.0
MADE = Settings(
    carrier=(
        CarrierSettings(name="inbound", host="127.0.0.9", outbound=False),
        CarrierSettings(name="public", host="127.0.0.8", max_channels=7, calls_per_second=3.0),
    )
)


async def made(store: Store, hours: str = "00:00-24:00 UTC") -> None:
    incident = await activated(store)
    await add_contacts(store, incident, ["+12125550101", "+12125550102"])
    await add_contacts(store, incident, ["+12125550103"], language="es")
    campaign, contacts = await control.create_campaign(
        store, MADE, "notice", "northwind", calling_hours=hours, now=NOW
    )
    assert (campaign.carrier, campaign.max_lines, campaign.calls_per_second) == ("public", 7, 3.0)
    assert (campaign.desired, contacts) == (Desired.DRAFT, 3)


async def told(store: Store, home: Home) -> str:
    return "\n".join(await control.explain(store, home, "notice", now=NOW))


def report(at: float, blocked: str = "") -> LiveReport:
    numbers = {"agents": 0.0}
    language = LanguageReport("northwind-es", 0, "0 agents are signed in for northwind-es", numbers)
    return LiveReport("notice", at, blocked, 2, None, (language,))


async def test_refusals_name_what_there_is(store: Store) -> None:
    with pytest.raises(UnknownIncident):
        await control.create_campaign(store, MADE, "notice", "northwind")
    await activated(store)
    with pytest.raises(CarrierUnknown, match="there are: public"):
        await control.create_campaign(store, MADE, "notice", "northwind", carrier="inbound")
    with pytest.raises(CarrierUnknown, match=r"breachline\.toml"):
        await control.create_campaign(store, Settings(), "notice", "northwind")
    with pytest.raises(BadHours):
        await control.create_campaign(store, MADE, "notice", "northwind", calling_hours="always")
    with pytest.raises(CampaignUnknown, match="campaign create"):
        await control.start(store, "notice")


async def test_calling_people_again_is_kept_with_the_retry_rules(store: Store) -> None:
    await made(store)
    for name, again in (("second", True), ("third", False)):
        campaign, _ = await control.create_campaign(store, MADE, name, "northwind", again=again)
        assert RetryRules.parse(campaign.retry_rules).again is again


async def test_start_pause_stop(store: Store) -> None:
    await made(store)
    incident = await activated(store)
    await add_contacts(store, incident, ["+12125550104"], first=90)
    assert (await control.start(store, "notice")).desired is Desired.RUNNING
    assert (await control.status(store, "notice")).contacts["ready"] == 4
    assert (await control.pause(store, "notice")).desired is Desired.PAUSED
    assert (await control.start(store, "notice")).desired is Desired.RUNNING
    assert (await control.stop(store, "notice")).desired is Desired.STOPPED
    assert (await control.stop(store, "notice")).desired is Desired.STOPPED
    for change in (control.start, control.pause):
        with pytest.raises(AlreadyStopped):
            await change(store, "notice")


async def test_explain_says_why_nothing_is_dialled(store: Store, home: Home) -> None:
    await made(store)
    assert "has not been started" in await told(store, home)
    await control.start(store, "notice")
    assert "the dialer is not running." in await told(store, home)
    write_report(home, report(NOW - 60))
    assert "the dialer is not running (last heard of 2026" in await told(store, home)
    write_report(home, report(NOW - 1))
    text = await told(store, home)
    assert "dials nothing because 0 agents are signed in for northwind-es" in text
    assert "Ready in en: 2 now." in text
    assert "Ready in es: 1 now." in text
    write_report(home, report(NOW - 1, "no link to Asterisk"))
    assert "Dials nothing: no link to Asterisk." in await told(store, home)
    await control.pause(store, "notice")
    assert "is paused" in await told(store, home)


async def test_explain_says_when_it_opens(store: Store, home: Home) -> None:
    await made(store, "08:00-08:01 America/Chicago")
    await control.start(store, "notice")
    write_report(home, report(NOW - 1, "outside the calling hours 08:00-08:01 America/Chicago"))
    assert "08:00:00 America/Chicago)" in await told(store, home)


async def test_a_status_as_json(store: Store) -> None:
    await made(store)
    found = json.loads(control.report_json(await control.status(store, "notice", now=NOW)))
    assert found["contacts"] == {
        "ready": 3,
        "leased": 0,
        "done": 0,
        "exhausted": 0,
        "do_not_call": 0,
    }
    assert (found["unexplained"], found["dialled_twice"], found["finished"]) == (0, 0, False)


def test_a_report_that_cannot_be_read_is_none(home: Home) -> None:
    write_report(home, report(time.time()))
    assert read_report(home, "notice") == report(read_at(home))
    report_file(home, "notice").write_text("{")
    assert read_report(home, "notice") is None
    assert read_report(home, "other") is None


def read_at(home: Home) -> float:
    found = read_report(home, "notice")
    assert found is not None
    return found.at
