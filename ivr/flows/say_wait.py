"""Before a caller joins the line: what the first announcement there will say."""

from __future__ import annotations

from ivr.announcer import spoken_language
from ivr.forecasts import Forecast
from ivr.talk import Talk
from pbx import names


async def say_wait(talk: Talk, forecast: Forecast | None) -> str:
    """Choose the words for the range of the wait and the offer to keep the place.

    They are spoken as soon as the caller stands in line, by Asterisk: the place that is said is
    then the place that the caller has, the key that keeps it works, and nobody loses a place by
    listening. Nothing is said where an agent is free. Gives the key that was pressed: none, as
    keys are the line's business (``[waiting-keys]``).
    """
    if forecast is None or forecast.at_once:
        return ""
    first = forecast.first
    low, high = (first.low_minutes, first.high_minutes) if first is not None else (0, 0)
    talk.call.first_words = (low, high, forecast.offer)
    chosen = spoken_language(talk.language, first, offer=forecast.offer)
    await talk.session.set_variable(names.WAIT, chosen)
    return ""
