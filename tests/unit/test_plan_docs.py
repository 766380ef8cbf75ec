"""The guide to the plan names everything that a plan may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from incident.plan import Plan
from incident.plan.names import HOUSE_TEXTS, REQUIRED_TEXTS
from incident.plan.placeholders import NAMES

GUIDE = (Path(__file__).parents[2] / "docs" / "incident-plan.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*REQUIRED_TEXTS, *HOUSE_TEXTS])
def test_every_text_is_in_the_guide(name: str) -> None:
    assert f"`{name}`" in GUIDE


@pytest.mark.parametrize("name", NAMES)
def test_every_placeholder_is_in_the_guide(name: str) -> None:
    assert f"{{{name}}}" in GUIDE


@pytest.mark.parametrize("key", list(Plan.model_fields))
def test_every_key_is_in_the_guide(key: str) -> None:
    assert f"| `{key}" in GUIDE
