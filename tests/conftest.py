"""Fixtures that every test may take."""

from __future__ import annotations

from typing import Final

import pytest

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

TOGETHER: Final = {
    "test_dialer_live": "dialer",
    "test_dialer_beside_callers": "dialer",
    "test_ami_injection": "dialer",
}
"""Modules whose systems have the same addresses (``tests.dialer_pbx``)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where two workers share the tests, a module's stay together, on a system of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            module = item.path.stem
            group = TOGETHER.get(module, f"{item.path.parent.name}-{module}")
            item.add_marker(pytest.mark.xdist_group(group))
