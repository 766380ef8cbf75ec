"""What Alembic runs for every command; the connection comes from ``incident.store.upgrade``."""

from __future__ import annotations

from alembic import context

from incident.store.schema import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_server_default=True,
)
context.run_migrations()
