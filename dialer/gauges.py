"""Metrics of campaigns that come from the store rather than from a call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from incident import metrics
from incident.outcomes import AttemptOutcome
from incident.plan import Plan
from incident.store import attempts, campaigns
from incident.store.campaigns import Campaign, Desired
from incident.store.engine import Store

_MONTH = 30 * 24 * 3600.0


def deadline(plan: Plan) -> float | None:
    """The end of the day by which notice is due, at the organisation's place; Unix seconds."""
    if plan.dates.notice_by is None:
        return None
    after = plan.dates.notice_by + timedelta(days=1)
    return datetime.combine(after, clock(), ZoneInfo(plan.hours.timezone)).timestamp()


def show_campaign(campaign: Campaign, plan: Plan | None) -> None:
    for outcome in AttemptOutcome:
        # A counter that appears at 1 has lost its first event to increase(): all begin at 0.
        metrics.DIALS.labels(campaign.id, outcome.value)
    running = campaign.desired is Desired.RUNNING
    metrics.CAMPAIGN_RUNNING.labels(campaign.id).set(1 if running else 0)
    due = None if plan is None else deadline(plan)
    if due is not None:
        metrics.NOTICE_DEADLINE.labels(campaign.id, "plan").set(due)


async def show_counts(store: Store, campaign: str) -> Mapping[str, int]:
    """Contacts by state and the abandonment of the last 30 days; returns the contacts."""
    counts = await campaigns.counts(store, campaign)
    for state, number in counts.items():
        metrics.CONTACTS.labels(campaign, state).set(number)
    live = await attempts.abandonment(store, campaign, time.time() - _MONTH)
    metrics.ABANDON_RATIO.labels(campaign).set(live.ratio)
    return counts
