"""Fixtures that every test may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling

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
    "test_hotline_calls": "system",
    "test_campaign_outcomes": "system",
    "test_monitored": "system",
    "test_services_killed": "system",
    "test_asterisk_killed": "system",
    "test_asterisk_log": "system",
}
"""Modules on one system (``tests/acceptance/conftest.py``), or on the same addresses
(``tests.dialer_pbx``)."""


class BySystem(LoadFileScheduling):  # type: ignore[misc]  # has no types
    """Gives each worker whole modules, and those on one system to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER.get(Path(file).stem, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySystem:
    """Two workers share the tests (``console/project_tests.py``)."""
    return BySystem(config, log)
