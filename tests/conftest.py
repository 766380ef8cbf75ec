"""Fixtures that every test may take."""

from __future__ import annotations

from tests.database import (
    database_url,
    drop_template,
    empty_database_url,
    home,
    incident,
    keyring,
    store,
)

__all__ = [
    "database_url",
    "drop_template",
    "empty_database_url",
    "home",
    "incident",
    "keyring",
    "store",
]
