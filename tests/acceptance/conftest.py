"""One whole system for all tests that can share it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from console.stage import Addresses
from drill.network import Habits
from incident.home import Home
from tests.acceptance.crews import CREWS, PLANS
from tests.acceptance.system import System, whole_system

ADDRESSES = Addresses("127.0.2.1", "127.0.2.2", "127.0.2.3", "127.0.2.4")

ORDER = (
    "test_hotline_calls",
    "test_campaign_outcomes",
    "test_monitored",
    "test_services_killed",
    "test_asterisk_killed",
    "test_asterisk_log",
)
"""Modules on the shared system: what breaks it comes last, then what looks back on all of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep to `ORDER`, and begin with what takes longest; everything else stays where it is,
    after."""
    here = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: here.get(item.path.stem, len(here)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Everything running; nobody signed in, nobody on the line."""
    home = Home.at(tmp_path_factory.mktemp("whole"))
    async with whole_system(
        home,
        ADDRESSES,
        plans=PLANS,
        crews=CREWS,
        habits=Habits(ring_min=1, ring_max=2, talk_min=1, talk_max=2),
    ) as running:
        yield running
