"""What the command line and the console do with campaigns. The dialer converges on it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dialer.eligibility import DEFAULT_HOURS, CallingHours
from dialer.report import LiveReport, read_report
from dialer.retry import RetryRules
from incident.home import Home
from incident.settings import CarrierSettings, Settings
from incident.store import attempts, campaigns
from incident.store.attempts import Abandonment, Audit
from incident.store.campaigns import Campaign, Desired, NoContacts, Waiting
from incident.store.engine import Store, StoreError
from incident.store.incidents import active_incident

MODES = ("progressive",)
_MONTH = 30 * 24 * 3600.0


class CarrierUnknown(StoreError):
    """``breachline.toml`` has no such carrier for outbound calls."""

    def __init__(self, carrier: str, known: tuple[str, ...]) -> None:
        self.carrier = carrier
        self.known = known
        there = ", ".join(known) if known else "none; add a [[carrier]] to breachline.toml"
        super().__init__(f"there is no outbound carrier {carrier!r} (there are: {there})")


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """Where a campaign stands. ``contacts`` by state, ``outcomes`` of ended attempts."""

    campaign: Campaign
    contacts: Mapping[str, int]
    outcomes: Mapping[str, int]
    audit: Audit
    abandonment: Abandonment
    live: LiveReport | None

    @property
    def finished(self) -> bool:
        """Nobody is left to call, now or later, and no call is in flight."""
        left = self.contacts["ready"] + self.contacts["leased"]
        return left == 0 and self.audit.in_flight == 0


async def create_campaign(
    store: Store,
    settings: Settings,
    name: str,
    incident: str,
    *,
    carrier: str | None = None,
    mode: str = "progressive",
    max_lines: int | None = None,
    calls_per_second: float | None = None,
    ring_seconds: int = 25,
    retry_rules: RetryRules | None = None,
    calling_hours: str = DEFAULT_HOURS,
    again: bool = False,
    now: float | None = None,
) -> tuple[Campaign, int]:
    """Write a campaign as a draft; returns it and the number of its contacts.

    ``carrier``: default the first outbound one; its limits are the defaults of ``max_lines`` and
    ``calls_per_second``. Nothing is called before ``start``. ``again``: also people whom another
    campaign of this incident has reached; kept with the retry rules.

    Raises UnknownIncident, CarrierUnknown, CampaignExists, NoContacts, BadCampaign, BadHours.
    """
    if mode not in MODES:
        raise campaigns.BadCampaign(f"mode {mode!r}: there is {', '.join(MODES)}")
    found = await active_incident(store, incident)
    trunk = _carrier(settings, carrier)
    at = time.time() if now is None else now
    rules = retry_rules or RetryRules()
    if again:
        rules = rules.model_copy(update={"again": True})
    campaign = Campaign(
        id=name,
        incident=incident,
        carrier=trunk.name,
        mode=mode,
        desired=Desired.DRAFT,
        max_lines=trunk.max_channels if max_lines is None else max_lines,
        calls_per_second=trunk.calls_per_second if calls_per_second is None else calls_per_second,
        ring_seconds=ring_seconds,
        retry_rules=rules.to_json(),
        calling_hours=CallingHours.parse(calling_hours).to_json(),
        created_at=at,
        changed_at=at,
    )
    added = await campaigns.create(store, campaign, found.plan.languages, again=rules.again)
    return campaign, added


async def start(store: Store, campaign: str, now: float | None = None) -> Campaign:
    """Let it run; contacts imported since its creation join it.

    Raises CampaignUnknown, AlreadyStopped, NoContacts, UnknownIncident.
    """
    row = await campaigns.get(store, campaign)
    if row.desired is Desired.STOPPED:
        raise campaigns.AlreadyStopped(campaign)
    incident = await active_incident(store, row.incident)
    again = RetryRules.parse(row.retry_rules).again
    await campaigns.take_in_contacts(store, campaign, incident.plan.languages, again=again)
    if not any((await campaigns.counts(store, campaign)).values()):
        raise NoContacts(row.incident, incident.plan.languages)
    return await campaigns.set_desired(store, campaign, Desired.RUNNING, _now(now))


async def pause(store: Store, campaign: str, now: float | None = None) -> Campaign:
    """Place nothing more for now; calls in flight go on.

    Raises CampaignUnknown, AlreadyStopped.
    """
    return await campaigns.set_desired(store, campaign, Desired.PAUSED, _now(now))


async def stop(store: Store, campaign: str, now: float | None = None) -> Campaign:
    """Place nothing more, for good; calls in flight go on. Raises CampaignUnknown."""
    return await campaigns.set_desired(store, campaign, Desired.STOPPED, _now(now))


async def status(
    store: Store, campaign: str, *, home: Home | None = None, now: float | None = None
) -> CampaignStatus:
    """Raises CampaignUnknown."""
    row = await campaigns.get(store, campaign)
    rules = RetryRules.parse(row.retry_rules)
    return CampaignStatus(
        campaign=row,
        contacts=await campaigns.counts(store, campaign),
        outcomes=await attempts.outcomes(store, campaign),
        audit=await attempts.audit(
            store,
            campaign,
            pauses=rules.pauses,
            last=rules.last,
            max_attempts=rules.max_attempts,
        ),
        abandonment=await attempts.abandonment(store, campaign, _now(now) - _MONTH),
        live=None if home is None else read_report(home, campaign),
    )


async def explain(store: Store, home: Home, campaign: str, now: float | None = None) -> list[str]:
    """In plain sentences: what it does, or why it does nothing. Raises CampaignUnknown."""
    at = _now(now)
    row = await campaigns.get(store, campaign)
    hours = CallingHours.parse(row.calling_hours)
    counts = await campaigns.counts(store, campaign)
    waiting = await campaigns.waiting(store, campaign, at)
    sentences = [_headline(row), *_live(row, home, hours, at)]
    sentences += [_language(language, found, hours) for language, found in sorted(waiting.items())]
    sentences.append(
        f"Contacts: {counts['ready']} to call, {counts['leased']} in a call, "
        f"{counts['done']} reached, {counts['exhausted']} without another try."
    )
    if counts["do_not_call"]:
        sentences.append(f"{counts['do_not_call']} asked not to be called.")
    if counts["ready"] + counts["leased"] == 0:
        sentences.append("Nobody is left to call: this campaign has done its work.")
    return sentences


def _headline(row: Campaign) -> str:
    match row.desired:
        case Desired.RUNNING:
            return (
                f"{row.id} is to run: {row.mode}, carrier {row.carrier}, at most {row.max_lines} "
                f"lines and {row.calls_per_second:g} calls per second."
            )
        case Desired.DRAFT:
            return f"{row.id} has not been started: breachline campaign start {row.id}"
        case Desired.PAUSED:
            return f"{row.id} is paused: breachline campaign start {row.id} lets it go on."
        case Desired.STOPPED:
            return f"{row.id} was stopped for good."


def _live(row: Campaign, home: Home, hours: CallingHours, now: float) -> list[str]:
    if row.desired is not Desired.RUNNING:
        return []
    report = read_report(home, row.id)
    if report is None or not report.fresh(now):
        seen = "" if report is None else f" (last heard of {_clock(report.at, hours)})"
        return [f"Nothing is dialled: the dialer is not running{seen}."]
    if report.blocked:
        opening = hours.opens(now)
        until = "" if opening is None else f" (opens {_clock(opening, hours)})"
        return [f"Dials nothing: {report.blocked}{until}."]
    return [
        f"{item.queue}: dials {item.dial or 'nothing'} because {item.reason}."
        for item in report.languages
    ] + [f"{report.lines} calls are in flight."]


def _language(language: str, found: Waiting, hours: CallingHours) -> str:
    later = f", {found.later} later" if found.later else ""
    if found.later and found.next_at is not None:
        later += f" (the first at {_clock(found.next_at, hours)})"
    return f"Ready in {language}: {found.due} now{later}."


def _clock(at: float, hours: CallingHours) -> str:
    local = datetime.fromtimestamp(at, ZoneInfo(hours.timezone))
    return f"{local:%Y-%m-%d %H:%M:%S} {hours.timezone}"


def _now(now: float | None) -> float:
    return time.time() if now is None else now


def _carrier(settings: Settings, name: str | None) -> CarrierSettings:
    outbound = [carrier for carrier in settings.carrier if carrier.outbound]
    for carrier in outbound:
        if name is None or carrier.name == name:
            return carrier
    raise CarrierUnknown(name or "", tuple(carrier.name for carrier in outbound))


def report_json(status: CampaignStatus) -> str:
    """A status as one JSON object, for scripts."""
    return json.dumps(
        {
            "campaign": status.campaign.id,
            "desired": status.campaign.desired.value,
            "contacts": dict(status.contacts),
            "outcomes": dict(status.outcomes),
            "dialled": status.audit.dialled,
            "in_flight": status.audit.in_flight,
            "not_sent": status.audit.not_sent,
            "unexplained": status.audit.unexplained,
            "dialled_twice": status.audit.dialled_twice,
            "abandon_ratio": round(status.abandonment.ratio, 4),
            "finished": status.finished,
        },
        sort_keys=True,
    )
