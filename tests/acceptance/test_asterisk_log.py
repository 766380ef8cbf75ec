"""What Asterisk complained of in the whole run: nothing that is not known and named here."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALLOWED: tuple[str, ...] = ()
"""Regular expressions, each with the reason why it cannot be helped."""


async def test_asterisk_complained_of_nothing_unexpected(system: System) -> None:
    found = [
        line
        for line in system.asterisk_complaints()
        if not any(re.search(known, line) for known in ALLOWED)
    ]
    assert found == []
