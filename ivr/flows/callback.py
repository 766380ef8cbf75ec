"""Call me back: chosen in a menu, or because nobody is there at this hour."""

from __future__ import annotations

from typing import Literal

from ivr.flows.keep_place import MAX_DIGITS, keep_place
from ivr.journal import Journal
from ivr.talk import Talk

__all__ = ("MAX_DIGITS", "callback")


async def callback(talk: Talk, journal: Journal, source: Literal["menu", "after_hours"]) -> str:
    """Gives END_CALL once a place is kept, else the key that ended it, or ""."""
    return await keep_place(talk, journal, source, caller=talk.session.request.caller_number)
