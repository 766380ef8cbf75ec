"""Every metric of the contract, defined once. Labels never hold a phone number or a name."""

from __future__ import annotations

import shutil
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

_WAITS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_TURNS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_CONNECTS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)

INBOUND_CALLS = Counter(
    "breachline_inbound_calls", "Inbound calls ended, by outcome.", ("incident", "outcome")
)
MENU_CHOICES = Counter(
    "breachline_menu_choices", "Keys pressed in menus.", ("incident", "menu", "choice")
)
SELF_SERVICE = Counter(
    "breachline_self_service",
    "What self-service came to, by result; a call may come to several.",
    ("incident", "result"),
)
QUEUE_WAITING = Gauge(
    "breachline_queue_waiting", "Callers waiting for an agent now.", ("incident", "language")
)
QUEUE_WAIT = Histogram(
    "breachline_queue_wait_seconds",
    "Time in queue until an agent answered or the caller left.",
    buckets=_WAITS,
)
PLACES_KEPT = Gauge(
    "breachline_places_kept",
    "Places in line kept for callers who are to be called back.",
    ("incident", "language"),
)
PREDICTED_WAIT = Gauge(
    "breachline_predicted_wait_seconds",
    "What a caller who came now would wait: median (0.5) and 0.9 quantile; NaN where unknown.",
    ("incident", "language", "quantile"),
)
WAIT_PROMISES = Counter(
    "breachline_wait_promise",
    "Callers who were told how long they would wait, by whether it came true.",
    ("incident", "kept"),
)
AGENTS = Gauge(
    "breachline_agents", "Agents by state: ready, busy, wrapup, paused, offline.", ("state",)
)
AGI_TURN = Histogram(
    "breachline_agi_turn_seconds",
    "From Asterisk's reply to our next command.",
    buckets=_TURNS,
)
AGENT_OCCUPANCY = Gauge(
    "breachline_agent_occupancy_ratio", "Busy and wrap-up time over logged-in time, last 5 minutes."
)
CONTENT_INFO = Gauge(
    "breachline_content_info", "The content version on the air (1).", ("incident", "version")
)
DIALS = Counter("breachline_dials", "Outbound attempts ended, by outcome.", ("campaign", "outcome"))
ABANDON_RATIO = Gauge(
    "breachline_abandon_ratio",
    "Abandoned over live-answered attempts, last 30 days.",
    ("campaign",),
)
CONNECT = Histogram(
    "breachline_connect_seconds",
    "From the called person's answer to the agent bridged.",
    buckets=_CONNECTS,
)
CONTACTS = Gauge("breachline_contacts", "Contacts of a campaign, by state.", ("campaign", "state"))
NOTICE_DEADLINE = Gauge(
    "breachline_notice_deadline_timestamp_seconds",
    "When notice is due, Unix seconds.",
    ("campaign", "jurisdiction"),
)
CAMPAIGN_RUNNING = Gauge(
    "breachline_campaign_running", "1 while a campaign should be dialling.", ("campaign",)
)
OVERFLOW = Counter(
    "breachline_overflow",
    "Callers sent to an outsourcer, by what came of it.",
    ("incident", "carrier", "result"),
)
LOAD_LEVEL = Gauge(
    "breachline_load_level", "How busy the hotline is: 0 normal, 1 busy, 2 shedding.", ("incident",)
)
SHED_CALLS = Counter(
    "breachline_shed_calls",
    "New callers who got the essentials and a call-back offer instead of the line.",
    ("incident",),
)
REFUSED_CALLS = Counter(
    "breachline_refused_calls",
    "Calls that the dialplan refused with 503 because the node was full.",
    ("incident",),
)
INBOUND_CHANNELS = Gauge("breachline_inbound_channels", "Inbound calls on this node now.")
INBOUND_CHANNELS_LIMIT = Gauge(
    "breachline_inbound_channels_limit", "Inbound calls above which carriers are told 503."
)
CALLBACKS = Counter(
    "breachline_callbacks",
    "Tries to call back people who keep a place, by how they ended.",
    ("incident", "outcome"),
)
EMERGENCY_CALLBACKS = Counter(
    "breachline_emergency_callbacks",
    "Call-back numbers taken by the emergency path.",
    ("incident",),
)
CALLBACKS_SET_ASIDE = Gauge(
    "breachline_callbacks_set_aside",
    "Spooled call-back requests that the store refused or that do not open: nobody is called.",
)
DISK_FREE = Gauge("breachline_disk_free_bytes", "Bytes left for us on a volume.", ("volume",))
DISK_FREE_RATIO = Gauge(
    "breachline_disk_free_ratio", "Share of a volume that is left for us.", ("volume",)
)


def watch_disk(path: Path, volume: str = "home") -> None:
    """Have every scrape measure the volume that holds ``path``.

    A path that cannot be read counts as full: nothing can be kept there either, and an
    error here would take every other metric of the scrape with it.
    """

    def free() -> float:
        try:
            return float(shutil.disk_usage(path).free)
        except OSError:
            return 0.0

    def ratio() -> float:
        try:
            usage = shutil.disk_usage(path)
        except OSError:
            return 0.0
        return usage.free / usage.total if usage.total else 0.0

    DISK_FREE.labels(volume).set_function(free)
    DISK_FREE_RATIO.labels(volume).set_function(ratio)
