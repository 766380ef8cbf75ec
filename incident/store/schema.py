"""The tables. Times are Unix seconds (UTC, float); ``*_enc`` columns are AES-GCM sealed with
the incident's key; ``*_hash`` columns are keyed hashes for look-up (never reversible)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class IncidentRow(Base):
    """An activated incident; ``key_wrapped`` is its data key under the home's master key."""

    __tablename__ = "incidents"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    did: Mapped[str] = mapped_column(String(20), unique=True)
    plan_text: Mapped[str] = mapped_column(Text)
    plan_hash: Mapped[str] = mapped_column(String(64))
    content_version: Mapped[str] = mapped_column(String(64))
    key_wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    activated_at: Mapped[float] = mapped_column(Float)
    active: Mapped[bool] = mapped_column(Boolean, default=True)


class ContentRow(Base):
    """One text of one content version; what a call heard is found by its version."""

    __tablename__ = "contents"
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float)


class ImportRow(Base):
    """One contacts import. Its contacts count only once ``committed_at`` is set."""

    __tablename__ = "imports"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    source: Mapped[str] = mapped_column(String(300))
    source_hash: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[float] = mapped_column(Float)
    committed_at: Mapped[float | None] = mapped_column(Float)
    added: Mapped[int] = mapped_column(Integer, default=0)
    known: Mapped[int] = mapped_column(Integer, default=0)
    rejected: Mapped[int] = mapped_column(Integer, default=0)


class ContactRow(Base):
    """A person to notify. ``data_types``: comma-separated codes of the plan. ``import_line``:
    the line of the imported file. ``kind``: minor or deceased, else none. ``activation_enc``: the
    person's enrolment code. Counts only while its import is committed."""

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("incident_id", "reference"),
        Index(None, "incident_id", "phone_hash"),
        Index(None, "import_id"),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"))
    import_line: Mapped[int] = mapped_column(Integer)
    reference: Mapped[str] = mapped_column(String(40))
    phone_enc: Mapped[bytes] = mapped_column(LargeBinary)
    phone_hash: Mapped[bytes] = mapped_column(LargeBinary)
    name_enc: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str | None] = mapped_column(String(8))
    postal_code: Mapped[str | None] = mapped_column(String(12))
    language: Mapped[str] = mapped_column(String(8))
    data_types: Mapped[str] = mapped_column(String(200))
    activation_enc: Mapped[bytes | None] = mapped_column(LargeBinary)
    kind: Mapped[str | None] = mapped_column(String(12))


class CampaignRow(Base):
    """An outbound campaign. ``desired``: draft, running, paused or stopped; the dialer
    converges on it. ``retry_rules``: JSON, see ``dialer.retry``."""

    __tablename__ = "campaigns"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    carrier: Mapped[str] = mapped_column(String(32))
    mode: Mapped[str] = mapped_column(String(16))
    desired: Mapped[str] = mapped_column(String(16))
    max_lines: Mapped[int] = mapped_column(Integer)
    calls_per_second: Mapped[float] = mapped_column(Float)
    ring_seconds: Mapped[int] = mapped_column(Integer)
    retry_rules: Mapped[str] = mapped_column(Text)
    calling_hours: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float)
    changed_at: Mapped[float] = mapped_column(Float)


class ContactState(StrEnum):
    """ready (may be dialled from ``not_before``), leased (an attempt is in flight or about to
    be), done (reached), exhausted (no attempt left), do_not_call (asked not to be called)."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    EXHAUSTED = "exhausted"
    DO_NOT_CALL = "do_not_call"


class CampaignContactRow(Base):
    """A contact within a campaign. ``state``: a ContactState. ``last_outcome`` is of the latest
    attempt."""

    __tablename__ = "campaign_contacts"
    __table_args__ = (
        Index(None, "campaign_id", "state", "not_before", "contact_id"),
        Index(None, "contact_id"),
    )
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[float] = mapped_column(Float, default=0.0)
    lease_until: Mapped[float | None] = mapped_column(Float)
    last_outcome: Mapped[str | None] = mapped_column(String(20))


class AttemptRow(Base):
    """One outbound attempt, committed before its Originate; ``id`` is its ChannelId.

    The partial unique index is the last guard of "nobody is called twice": a contact has at
    most one attempt that has not ended.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "uq_attempts_open_contact",
            "contact_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "campaign_id", "created_at"),
        Index(None, "campaign_id", "outcome"),
        Index(None, "contact_id"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    number: Mapped[int] = mapped_column(Integer)
    carrier: Mapped[str] = mapped_column(String(32))
    content_version: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Float)
    answered_at: Mapped[float | None] = mapped_column(Float)
    connected_at: Mapped[float | None] = mapped_column(Float)
    ended_at: Mapped[float | None] = mapped_column(Float)
    outcome: Mapped[str | None] = mapped_column(String(20))
    detail: Mapped[str | None] = mapped_column(String(200))
    cause: Mapped[int | None] = mapped_column(Integer)
    agent: Mapped[str | None] = mapped_column(String(32))


class CallRow(Base):
    """One inbound call; ``id`` is Asterisk's unique id. ``menu_path``: choices, space separated.

    ``result``: what self-service came to. ``promised_low``, ``promised_high``: the wait that was
    announced first, seconds. ``sent_to``: the trunk that took the call over. ``place``: the token
    of the place that this caller keeps (`CallbackRow`). ``contact_id``: whose reference number
    the caller gave last, if it was one of ours.
    """

    __tablename__ = "calls"
    __table_args__ = (
        Index(None, "incident_id", "started_at"),
        Index(
            "ix_calls_open",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    node: Mapped[str] = mapped_column(String(32))
    via: Mapped[str] = mapped_column(String(12))
    language: Mapped[str | None] = mapped_column(String(8))
    ani_enc: Mapped[bytes | None] = mapped_column(LargeBinary)
    ani_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    content_version: Mapped[str | None] = mapped_column(String(64))
    menu_path: Mapped[str] = mapped_column(Text, default="")
    leaves: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[float] = mapped_column(Float)
    queued_at: Mapped[float | None] = mapped_column(Float)
    connected_at: Mapped[float | None] = mapped_column(Float)
    ended_at: Mapped[float | None] = mapped_column(Float)
    wait_seconds: Mapped[float | None] = mapped_column(Float)
    agent: Mapped[str | None] = mapped_column(String(32))
    outcome: Mapped[str | None] = mapped_column(String(20))
    result: Mapped[str | None] = mapped_column(String(24))
    promised_low: Mapped[float | None] = mapped_column(Float)
    promised_high: Mapped[float | None] = mapped_column(Float)
    sent_to: Mapped[str | None] = mapped_column(String(32))
    place: Mapped[str | None] = mapped_column(String(40))
    contact_id: Mapped[int | None] = mapped_column(Integer)


class CallbackRow(Base):
    """A place in line that is kept for a call-back. ``source_key`` makes taking it over exactly
    once; ``token`` names it in Asterisk (channel variables, queue_log).

    ``rank``: Unix time at which the caller joined the line; it never changes, and the line is
    served in its order. ``not_before``: not called earlier (a chosen time, or a pause after an
    unanswered try). ``asked_by``: the hash of the caller's own number, None where it is not known.
    ``relay``: a relay operator will speak for the person. ``state``: open (in line, or due later),
    calling (an agent is held and the person is being called or talks), done, given_up (unanswered
    too often), cancelled. The partial unique index is the last guard of "no second entry" for one
    number.
    """

    __tablename__ = "callbacks"
    __table_args__ = (
        Index(None, "incident_id", "state", "rank"),
        Index(None, "incident_id", "phone_hash", "requested_at"),
        Index(None, "incident_id", "asked_by", "requested_at"),
        Index(
            "uq_callbacks_open_phone",
            "incident_id",
            "phone_hash",
            unique=True,
            sqlite_where=text("state IN ('open', 'calling')"),
            postgresql_where=text("state IN ('open', 'calling')"),
        ),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    language: Mapped[str] = mapped_column(String(8))
    phone_enc: Mapped[bytes] = mapped_column(LargeBinary)
    phone_hash: Mapped[bytes] = mapped_column(LargeBinary)
    source: Mapped[str] = mapped_column(String(20))
    source_key: Mapped[str] = mapped_column(String(80), unique=True)
    call_id: Mapped[str | None] = mapped_column(String(64))
    requested_at: Mapped[float] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(12), default="open")
    token: Mapped[str] = mapped_column(String(40), unique=True)
    rank: Mapped[float] = mapped_column(Float, server_default="0")
    not_before: Mapped[float] = mapped_column(Float, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    ended_at: Mapped[float | None] = mapped_column(Float)
    agent: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None] = mapped_column(String(200))
    asked_by: Mapped[bytes | None] = mapped_column(LargeBinary)
    relay: Mapped[bool] = mapped_column(Boolean, server_default=false())


class CallbackAttemptRow(Base):
    """One try to reach a person who keeps a place, committed before anything is dialled.
    ``node``: whose Asterisk dials; nobody else can know how it ends."""

    __tablename__ = "callback_attempts"
    __table_args__ = (
        Index(None, "callback_id"),
        Index(
            "uq_callback_attempts_open",
            "callback_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    callback_id: Mapped[int] = mapped_column(ForeignKey("callbacks.id"))
    node: Mapped[str] = mapped_column(String(32))
    number: Mapped[int] = mapped_column(Integer)
    carrier: Mapped[str] = mapped_column(String(32))
    agent: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[float] = mapped_column(Float)
    answered_at: Mapped[float | None] = mapped_column(Float)
    ended_at: Mapped[float | None] = mapped_column(Float)
    outcome: Mapped[str | None] = mapped_column(String(20))
    cause: Mapped[int | None] = mapped_column(Integer)


class DoNotCallRow(Base):
    """A number that must not be called for this incident any more. Never removed. ``source``:
    hotline or agent."""

    __tablename__ = "do_not_call"
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    phone_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    requested_at: Mapped[float] = mapped_column(Float)
    source: Mapped[str] = mapped_column(String(20))
    call_id: Mapped[str | None] = mapped_column(String(64))


class ReferenceGuardRow(Base):
    """What the guard against guessing reference numbers remembers; see ``incident.guessing``.

    ``kind`` and ``key``: budget (of the incident; empty), number (a caller's; its hash) or refused
    (a caller's number and a reference number together; keyed hash). ``value``: tokens left.
    """

    __tablename__ = "reference_guard"
    __table_args__ = (Index(None, "at"),)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    closed_until: Mapped[float] = mapped_column(Float)
    at: Mapped[float] = mapped_column(Float)


class InboundLoadRow(Base):
    """How busy a node's hotline is for an incident, for the dialer: written about once a second.

    ``level``: normal, busy (the dialer gives way) or shedding (new callers get the short way).
    ``at``: when it was written; old news counts as none.
    """

    __tablename__ = "inbound_load"
    node: Mapped[str] = mapped_column(String(32), primary_key=True)
    incident_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    level: Mapped[str] = mapped_column(String(12))
    waiting: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    predicted_seconds: Mapped[float | None] = mapped_column(Float)
    at: Mapped[float] = mapped_column(Float)


class AgentRow(Base):
    """An agent's telephone: SIP endpoint ``agent-<number>``; ``secret_enc`` is sealed with the
    home's master key. ``incidents`` and ``languages``: comma-separated."""

    __tablename__ = "agents"
    number: Mapped[str] = mapped_column(String(12), primary_key=True)
    incidents: Mapped[str] = mapped_column(String(300))
    languages: Mapped[str] = mapped_column(String(60))
    secret_enc: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float] = mapped_column(Float)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
