"""What the line of `kept_line` asks of the store, and the least that does it, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from incident.outcomes import CallbackOutcome
from incident.store.callbacks import (
    Begun,
    Decide,
    Ended,
    Kept,
    Place,
    PlaceState,
    Refusal,
    Tries,
    Why,
)

LIVING = (PlaceState.OPEN, PlaceState.CALLING)


class Book(Protocol):
    """What the hotline asks of the store."""

    def keep(
        self, phone: str, *, token: str, key: str, call: str, rank: float, not_before: float
    ) -> Kept | Refusal: ...
    def places(self) -> Sequence[Place]: ...
    def place(self, token: str) -> Place | None: ...
    def known(self, tokens: Collection[str]) -> Collection[str]: ...
    def begin(self, token: str, attempt: str, now: float) -> Begun | Refusal: ...
    def answered(self, attempt: str, now: float) -> None: ...
    def end(
        self,
        attempt: str,
        outcome: CallbackOutcome,
        now: float,
        decide: Decide,
        answered: float | None,
    ) -> Ended | None: ...
    def unfinished(self) -> Sequence[str]: ...
    def cancel(self, token: str, now: float) -> Place | Refusal: ...
    def reschedule(self, token: str, not_before: float) -> Place | Refusal: ...
    def change_number(self, token: str, phone: str) -> Place | Refusal: ...
    def stop_calling(self, phone: str, now: float) -> None: ...
    def close(self) -> None: ...


@dataclass
class _Attempt:
    token: str
    answered: float | None = None
    outcome: CallbackOutcome | None = None


@dataclass
class MemoryBook:
    """The least that does what `Book` promises; the store is held against the same machine."""

    rows: dict[str, Place] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, _Attempt] = field(default_factory=dict)
    stopped: set[bytes] = field(default_factory=set)

    def keep(
        self, phone: str, *, token: str, key: str, call: str, rank: float, not_before: float
    ) -> Kept | Refusal:
        number = phone.encode()
        if number in self.stopped:
            return Refusal(Why.DO_NOT_CALL)
        if key in self.keys:
            return Kept(self.rows[self.keys[key]], new=False)
        living = self._living(number)
        if living is not None:
            return Kept(living, new=False)
        self.keys[key] = token
        self.rows[token] = Place(
            id=len(self.rows) + 1,
            token=token,
            incident="northwind",
            language="en",
            rank=rank,
            not_before=not_before,
            state=PlaceState.OPEN,
            attempts=0,
            call_id=call,
            phone=number,
            phone_hash=number,
            source="waiting",
            requested_at=rank,
            ended_at=None,
            agent=None,
            detail=None,
        )
        return Kept(self.rows[token], new=True)

    def _living(self, number: bytes) -> Place | None:
        return next((row for row in self.places() if row.phone_hash == number), None)

    def places(self) -> Sequence[Place]:
        rows = [row for row in self.rows.values() if row.state in LIVING]
        return sorted(rows, key=lambda row: (row.rank, row.id))

    def place(self, token: str) -> Place | None:
        return self.rows.get(token)

    def known(self, tokens: Collection[str]) -> Collection[str]:
        return {token for token in tokens if token in self.rows}

    def _set(self, token: str, **values: Any) -> Place:
        self.rows[token] = replace(self.rows[token], **values)
        return self.rows[token]

    def begin(self, token: str, attempt: str, now: float) -> Begun | Refusal:
        row = self.rows.get(token)
        if row is None:
            return Refusal(Why.UNKNOWN_PLACE)
        before = self.attempts.get(attempt)
        if before is not None:
            if before.outcome is not None:
                return Refusal(Why.ATTEMPT_OVER, row)
            return Begun(attempt, row.attempts, "public", None, row, again=True)
        if row.state not in LIVING:
            return Refusal(Why.OVER, row)
        in_call = {
            self.rows[item.token].phone_hash
            for item in self.attempts.values()
            if item.outcome is None
        }
        if row.state is PlaceState.CALLING or row.phone_hash in in_call:
            return Refusal(Why.CALLING, row)
        if row.not_before > now:
            return Refusal(Why.NOT_DUE, row)
        row = self._set(token, state=PlaceState.CALLING, attempts=row.attempts + 1)
        self.attempts[attempt] = _Attempt(token)
        return Begun(attempt, row.attempts, "public", None, row)

    def answered(self, attempt: str, now: float) -> None:
        if self.attempts[attempt].outcome is None:
            self.attempts[attempt].answered = now

    def end(
        self,
        attempt: str,
        outcome: CallbackOutcome,
        now: float,
        decide: Decide,
        answered: float | None,
    ) -> Ended | None:
        item = self.attempts[attempt]
        if item.outcome is not None:
            return Ended(attempt, item.outcome, self.rows[item.token], first=False)
        item.outcome = outcome
        item.answered = item.answered or answered
        row = self.rows[item.token]
        if row.state is PlaceState.CALLING:
            counts = Counter(
                each.outcome
                for each in self.attempts.values()
                if each.token == item.token and each.outcome is not None
            )
            step = decide(Tries(outcome, now, item.answered is not None, counts))
            row = self._set(item.token, state=step.state, not_before=step.not_before)
        return Ended(attempt, outcome, row, first=True)

    def unfinished(self) -> Sequence[str]:
        return [key for key, item in self.attempts.items() if item.outcome is None]

    def _changed(self, token: str, **values: Any) -> Place | Refusal:
        row = self.rows[token]
        if row.state is PlaceState.CALLING:
            return Refusal(Why.CALLING, row)
        if row.state is not PlaceState.OPEN:
            return Refusal(Why.OVER, row)
        return self._set(token, **values)

    def cancel(self, token: str, now: float) -> Place | Refusal:
        row = self.rows[token]
        if row.state not in LIVING:
            return Refusal(Why.OVER, row)
        return self._set(token, state=PlaceState.CANCELLED)

    def reschedule(self, token: str, not_before: float) -> Place | Refusal:
        return self._changed(token, not_before=not_before)

    def change_number(self, token: str, phone: str) -> Place | Refusal:
        other = self._living(phone.encode())
        if self.rows[token].state is PlaceState.OPEN:
            if phone.encode() in self.stopped:
                return Refusal(Why.DO_NOT_CALL, self.rows[token])
            if other is not None and other.token != token:
                return Refusal(Why.NUMBER_TAKEN, other)
        return self._changed(token, phone_hash=phone.encode())

    def stop_calling(self, phone: str, now: float) -> None:
        self.stopped.add(phone.encode())
        living = self._living(phone.encode())
        if living is not None:
            self._set(living.token, state=PlaceState.CANCELLED)

    def close(self) -> None:
        return
