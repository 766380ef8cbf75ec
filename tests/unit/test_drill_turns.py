"""Who was served before somebody who had asked earlier."""

from __future__ import annotations

import dataclasses
from typing import Any

from drill.books import Books, Kept, Noted
from drill.turns import TOLERANCE, Turn, out_of_turn, turns_of


def call(**changes: Any) -> Noted:
    made = Noted(
        id="1.1",
        caller=b"a",
        started_at=90.0,
        queued_at=100.0,
        connected_at=130.0,
        ended_at=160.0,
        wait=30.0,
        outcome="agent",
        promised_high=None,
        sent_to=None,
        place=None,
        language="en",
    )
    return dataclasses.replace(made, **changes)


def place(**changes: Any) -> Kept:
    made = Kept(b"b", "en", 105.0, 101.0, 0.0, "done", 170.0, None, ("connected",), 140.0)
    return dataclasses.replace(made, **changes)


def test_in_turn_is_in_turn() -> None:
    line = [Turn("en", at, at + 30, at + 30) for at in (1.0, 2.0, 3.0)]
    assert out_of_turn(line) == 0


def test_whoever_is_served_before_somebody_who_waits_on_is_out_of_turn() -> None:
    waits_on = Turn("en", 1.0, None, 100.0)
    served = Turn("en", 2.0, 50.0, 50.0)
    assert out_of_turn([waits_on, served]) == 1
    assert out_of_turn([waits_on, dataclasses.replace(served, line="es")]) == 0
    assert out_of_turn([dataclasses.replace(waits_on, rank=3.0), served]) == 0
    assert out_of_turn([dataclasses.replace(waits_on, left=50.0 + TOLERANCE), served]) == 0


def test_turns_are_callers_on_the_line_and_kept_places_by_their_rank() -> None:
    gave_up = call(outcome="abandoned_waiting", connected_at=None)
    found = list(turns_of(Books([call(), gave_up], [place()])))
    assert found == [
        Turn("en", 100.0, 130.0, 130.0),
        Turn("en", 100.0, None, 160.0),
        Turn("en", 101.0, 140.0, 140.0),
    ]


def test_others_are_in_no_line() -> None:
    calls = [call(queued_at=None), call(ended_at=None), call(place="t"), call(sent_to="outsourcer")]
    kept = [place(not_before=900.0), place(tried_at=None, tries=())]
    assert list(turns_of(Books(calls, kept))) == []
