"""A kept place is neither jumped nor lost, over random schedules (see kept_schedules)."""

from __future__ import annotations

from hypothesis import settings

from tests.kept_book import MemoryBook
from tests.kept_schedules import machine

TestKeptPlaces = machine(MemoryBook).TestCase
TestKeptPlaces.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
