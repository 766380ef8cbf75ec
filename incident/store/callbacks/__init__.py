"""Kept places: who is to be called back, in what order, and every try to reach them.

`requests` takes them over (once, however often they are handed in), `places` looks them up and
changes them, `tries` begins and ends the attempts, `report` says what became of them.
"""

from __future__ import annotations

from incident.store.callbacks.places import (
    Kept,
    Place,
    PlaceState,
    Refusal,
    Why,
    cancel,
    cancel_for_number,
    change_number,
    keep,
    known_tokens,
    open_places,
    over_tokens,
    place_by_call,
    place_by_phone,
    place_by_token,
    reschedule,
)
from incident.store.callbacks.report import (
    Audit,
    Explanation,
    Try,
    audit,
    count_places,
    explain,
)
from incident.store.callbacks.requests import (
    CallbackRequest,
    count_callbacks,
    request,
    save_callbacks,
)
from incident.store.callbacks.tries import (
    Begun,
    Decide,
    Ended,
    Next,
    Tries,
    UnfinishedAttempt,
    begin_attempt,
    end_attempt,
    note_answered,
    unfinished_attempts,
)

__all__ = [
    "Audit",
    "Begun",
    "CallbackRequest",
    "Decide",
    "Ended",
    "Explanation",
    "Kept",
    "Next",
    "Place",
    "PlaceState",
    "Refusal",
    "Tries",
    "Try",
    "UnfinishedAttempt",
    "Why",
    "audit",
    "begin_attempt",
    "cancel",
    "cancel_for_number",
    "change_number",
    "count_callbacks",
    "count_places",
    "end_attempt",
    "explain",
    "keep",
    "known_tokens",
    "note_answered",
    "open_places",
    "over_tokens",
    "place_by_call",
    "place_by_phone",
    "place_by_token",
    "request",
    "reschedule",
    "save_callbacks",
    "unfinished_attempts",
]
