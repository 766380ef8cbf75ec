"""Kept places, stop-calling requests, activation codes, and what a caller was told and sent to."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('open', 'calling')")
_UNENDED = sa.text("ended_at IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("callbacks") as batch:
        batch.add_column(sa.Column("token", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("rank", sa.Float(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("not_before", sa.Float(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("ended_at", sa.Float(), nullable=True))
        batch.add_column(sa.Column("agent", sa.String(length=32), nullable=True))
        batch.add_column(sa.Column("detail", sa.String(length=200), nullable=True))
        batch.add_column(sa.Column("asked_by", sa.LargeBinary(), nullable=True))
        batch.add_column(
            sa.Column("relay", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    _keep_what_is_there()
    with op.batch_alter_table("callbacks") as batch:
        batch.alter_column("token", existing_type=sa.String(length=40), nullable=False)
        batch.create_unique_constraint(op.f("uq_callbacks_token"), ["token"])
    op.create_index(
        op.f("ix_callbacks_incident_id_state_rank"), "callbacks", ["incident_id", "state", "rank"]
    )
    for by in ("phone_hash", "asked_by"):
        op.create_index(
            op.f(f"ix_callbacks_incident_id_{by}_requested_at"),
            "callbacks",
            ["incident_id", by, "requested_at"],
        )
    op.create_index(
        "uq_callbacks_open_phone",
        "callbacks",
        ["incident_id", "phone_hash"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "callback_attempts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("callback_id", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.String(length=32), nullable=False),
        sa.Column("agent", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("answered_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("cause", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["callback_id"], ["callbacks.id"], name=op.f("fk_callback_attempts_callback_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback_attempts")),
    )
    op.create_index(op.f("ix_callback_attempts_callback_id"), "callback_attempts", ["callback_id"])
    op.create_index(
        "uq_callback_attempts_open",
        "callback_attempts",
        ["callback_id"],
        unique=True,
        sqlite_where=_UNENDED,
        postgresql_where=_UNENDED,
    )
    op.create_table(
        "do_not_call",
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("phone_hash", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", sa.Float(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("call_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_do_not_call_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", "phone_hash", name=op.f("pk_do_not_call")),
    )
    op.create_table(
        "reference_guard",
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("closed_until", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_reference_guard_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", "kind", "key", name=op.f("pk_reference_guard")),
    )
    op.create_index(op.f("ix_reference_guard_at"), "reference_guard", ["at"])
    op.create_table(
        "inbound_load",
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("predicted_seconds", sa.Float(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("node", "incident_id", name=op.f("pk_inbound_load")),
    )
    op.add_column("contacts", sa.Column("activation_enc", sa.LargeBinary(), nullable=True))
    op.add_column("contacts", sa.Column("kind", sa.String(length=12), nullable=True))
    op.add_column("calls", sa.Column("result", sa.String(length=24), nullable=True))
    op.add_column("calls", sa.Column("promised_low", sa.Float(), nullable=True))
    op.add_column("calls", sa.Column("promised_high", sa.Float(), nullable=True))
    op.add_column("calls", sa.Column("sent_to", sa.String(length=32), nullable=True))
    op.add_column("calls", sa.Column("place", sa.String(length=40), nullable=True))
    op.add_column("calls", sa.Column("contact_id", sa.Integer(), nullable=True))


def _keep_what_is_there() -> None:
    """Requests of before: each gets a token and the rank of its time; of several open ones for
    one number the first keeps its place."""
    table = sa.table(
        "callbacks",
        sa.column("id", sa.Integer),
        sa.column("incident_id", sa.String),
        sa.column("phone_hash", sa.LargeBinary),
        sa.column("requested_at", sa.Float),
        sa.column("state", sa.String),
        sa.column("token", sa.String),
        sa.column("rank", sa.Float),
        sa.column("ended_at", sa.Float),
        sa.column("detail", sa.String),
    )
    connection = op.get_bind()
    seen: set[tuple[str, bytes]] = set()
    for row in connection.execute(
        sa.select(table).order_by(table.c.requested_at, table.c.id)
    ).all():
        values: dict[str, object] = {"token": uuid.uuid4().hex, "rank": row.requested_at}
        if row.state == "open":
            if (row.incident_id, bytes(row.phone_hash)) in seen:
                values |= {
                    "state": "cancelled",
                    "ended_at": row.requested_at,
                    "detail": "the same number has an earlier place",
                }
            seen.add((row.incident_id, bytes(row.phone_hash)))
        connection.execute(sa.update(table).where(table.c.id == row.id).values(**values))


def downgrade() -> None:
    for column in ("contact_id", "place", "sent_to", "promised_high", "promised_low", "result"):
        op.drop_column("calls", column)
    op.drop_column("contacts", "kind")
    op.drop_column("contacts", "activation_enc")
    op.drop_table("inbound_load")
    op.drop_table("reference_guard")
    op.drop_table("do_not_call")
    op.drop_table("callback_attempts")
    op.drop_index("uq_callbacks_open_phone", table_name="callbacks")
    op.drop_index(op.f("ix_callbacks_incident_id_state_rank"), table_name="callbacks")
    for by in ("phone_hash", "asked_by"):
        name = f"ix_callbacks_incident_id_{by}_requested_at"
        op.drop_index(op.f(name), table_name="callbacks")
    with op.batch_alter_table("callbacks") as batch:
        batch.drop_constraint(op.f("uq_callbacks_token"), type_="unique")
        for column in (
            "relay",
            "asked_by",
            "detail",
            "agent",
            "ended_at",
            "attempts",
            "not_before",
            "rank",
            "token",
        ):
            batch.drop_column(column)
