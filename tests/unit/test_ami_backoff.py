"""How long the AMI client waits before it tries again."""

from __future__ import annotations

import pytest

from pbx.ami import Backoff


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.5), (1.0, 1.0)])
def test_delays_double_up_to_the_cap_and_are_drawn_below_it(drawn: float, share: float) -> None:
    backoff = Backoff(0.5, 3.0, lambda: drawn)
    delays = [backoff.next() for _ in range(5)]
    assert delays == [share * cap for cap in (0.5, 1.0, 2.0, 3.0, 3.0)]


def test_reset_begins_anew() -> None:
    backoff = Backoff(0.5, 3.0, lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5


def test_clients_do_not_come_back_in_step() -> None:
    one, other = Backoff(1.0, 60.0), Backoff(1.0, 60.0)
    assert [one.next() for _ in range(8)] != [other.next() for _ in range(8)]
