"""Callers come first: the dialer's decision to place nothing, with its reason and numbers."""

from __future__ import annotations

import pytest

from dialer.give_way import Inbound, give_way, sharing
from incident.store.inbound_load import FRESH_SECONDS, InboundLoad

BOTH = frozenset({"northwind-en", "northwind-es"})
MIXED = frozenset({"northwind-en", "lakeshore-en"})
ALONE = frozenset({"lakeshore-en"})


def load(
    level: str = "busy",
    *,
    incident: str = "northwind",
    waiting: int = 12,
    predicted: float | None = 340.0,
    at: float = 100.0,
) -> InboundLoad:
    return InboundLoad("node1", incident, level, waiting, 40, predicted, at)


def test_queues_share_agents_by_those_who_serve_both() -> None:
    assert sharing("northwind-en", [BOTH, MIXED]) == BOTH | MIXED
    assert sharing("northwind-es", [BOTH, MIXED]) == BOTH
    assert sharing("northwind-es", []) == {"northwind-es"}


def test_nothing_known_and_nobody_waiting_lets_it_dial() -> None:
    assert give_way("northwind-en", [BOTH], Inbound()) is None
    assert give_way("northwind-en", [BOTH], Inbound((load("normal"),), {}, 0)) is None


@pytest.mark.parametrize("level", ["busy", "shedding"])
def test_a_busy_hotline_is_given_way_to_with_the_numbers(level: str) -> None:
    found = give_way("northwind-en", [BOTH], Inbound((load(level),)))
    assert found is not None
    assert found.reason == (
        f"12 callers wait for northwind-en, predicted 340 s, the hotline is {level}: giving way"
    )
    assert found.numbers == {
        "inbound_waiting": 12,
        "inbound_channels": 40,
        "predicted_seconds": 340,
    }


def test_also_to_another_incident_whose_callers_need_the_same_agents() -> None:
    busy = Inbound((load(incident="lakeshore"),))
    assert give_way("northwind-es", [BOTH, ALONE], busy) is None
    found = give_way("northwind-en", [BOTH, MIXED], busy)
    assert found is not None
    assert found.reason.startswith("12 callers wait for lakeshore, ")


def test_the_worst_news_is_told() -> None:
    found = give_way(
        "northwind-en",
        [BOTH],
        Inbound((load(predicted=900), load("shedding", predicted=None), load("normal"))),
    )
    assert found is not None
    assert "wait not known, the hotline is shedding" in found.reason
    assert "predicted_seconds" not in found.numbers


def test_where_nobody_serves_the_callers_it_says_so() -> None:
    found = give_way("northwind-en", [BOTH], Inbound((load(predicted=24 * 3600.0),)))
    assert found is not None
    assert "nobody to serve them" in found.reason


def test_too_many_who_wait_for_the_same_agents_are_given_way_to() -> None:
    waiting = {"northwind-en": 2, "lakeshore-en": 4, "northwind-es": 9}
    found = give_way("northwind-en", [MIXED], Inbound((), waiting, 5))
    assert found is not None
    assert found.reason == (
        "6 callers wait for lakeshore-en, northwind-en, more than 5: giving way"
    )
    assert give_way("northwind-en", [MIXED], Inbound((), waiting, 6)) is None
    assert give_way("northwind-en", [frozenset({"northwind-en"})], Inbound((), waiting, 2)) is None


def test_news_grow_old() -> None:
    assert load(at=10).fresh(10 + FRESH_SECONDS)
    assert not load(at=10).fresh(10.1 + FRESH_SECONDS)
