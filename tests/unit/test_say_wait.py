"""What is chosen before a caller joins the line."""

from __future__ import annotations

from typing import cast

import pytest

from incident.plan import parse_plan
from ivr.calls import CallBook
from ivr.flows.say_wait import say_wait
from ivr.forecasts import Forecast
from ivr.journal import Journal
from ivr.predictor import Prediction, Promise
from ivr.talk import Talk
from pbx import names
from tests.ivr_talk import Caller, Published, served
from tests.running import SAMPLE

PLAN = parse_plan(SAMPLE.read_text(encoding="utf-8"), "sample")


class Written:
    def call(self, call: object) -> None:
        """Nothing is kept."""


def talk(caller: Caller) -> Talk:
    incident = served(PLAN)
    book = CallBook("node1", cast(Journal, Written()), Published())
    call = book.begin(caller.request.unique_id, incident.id, via="hotline")
    made = Talk(caller.session, incident, call, book)
    made.language = "es"
    return made


def forecast(
    first: Promise | None, *, seconds: float | None = 400.0, offer: bool = True
) -> Forecast:
    prediction = None if seconds is None else Prediction(seconds, seconds, seconds, 2 * seconds)
    return Forecast("northwind-es", 4, prediction, first, offer)


@pytest.mark.parametrize(
    ("given", "language", "words"),
    [
        (forecast(Promise(5, 15)), "es_w5t15", (5, 15, True)),
        (forecast(Promise(0, 1), offer=False), "es_w0t1s", (0, 1, False)),
        (forecast(None), "es", (0, 0, True)),
        (forecast(None, seconds=None), "es", (0, 0, True)),
        (forecast(None, offer=False), "es_s", (0, 0, False)),
    ],
)
async def test_the_first_announcement_is_chosen(
    given: Forecast, language: str, words: tuple[int, int, bool]
) -> None:
    caller = Caller.pressing()
    about = talk(caller)
    assert await say_wait(about, given) == ""
    assert caller.variables == {names.WAIT: language}
    assert about.call.first_words == words
    assert caller.heard == []


@pytest.mark.parametrize("given", [None, forecast(Promise(0, 1), seconds=0.0)])
async def test_where_an_agent_is_free_nothing_is_said(given: Forecast | None) -> None:
    caller = Caller.pressing()
    about = talk(caller)
    assert await say_wait(about, given) == ""
    assert caller.variables == {}
    assert about.call.first_words is None
