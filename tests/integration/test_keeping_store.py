"""The same random schedules as in tests/unit, with the real store as the book."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from incident.home import Home
from incident.outcomes import CallbackOutcome
from incident.privacy import Keyring
from incident.store import callbacks
from incident.store.callbacks import Begun, Decide, Ended, Kept, Place, Refusal
from incident.store.engine import open_store
from incident.store.incidents import activate
from incident.store.schema import DoNotCallRow
from tests.database import NOW, fresh_database, on_postgres, sample_plan
from tests.kept_schedules import machine

T = TypeVar("T")


class StoreBook:
    """A fresh database, asked as the hotline asks it."""

    def __init__(self) -> None:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="breachline-book-"))
            home = Home.at(Path(folder))
            url = stack.enter_context(fresh_database(home))
            runner = stack.enter_context(asyncio.Runner())
            opened = open_store(url, Keyring.open(home))
            self._run = runner.run
            self.store = self.run(opened.__aenter__())
            stack.callback(lambda: self.run(opened.__aexit__(None, None, None)))
            plan, text = sample_plan()
            self.incident = self.run(activate(self.store, plan, text, NOW))
            self._stack = stack.pop_all()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        result: T = self._run(work)
        return result

    def keep(
        self, phone: str, *, token: str, key: str, call: str, rank: float, not_before: float
    ) -> Kept | Refusal:
        wanted = callbacks.request(
            self.incident.key,
            incident=self.incident.id,
            language="en",
            e164=phone,
            source="waiting",
            source_key=key,
            call=call,
            now=rank,
            token=token,
            rank=rank,
            not_before=not_before,
        )
        return self.run(callbacks.keep(self.store, wanted))

    def places(self) -> Sequence[Place]:
        return self.run(callbacks.open_places(self.store, self.incident.id))

    def place(self, token: str) -> Place | None:
        return self.run(callbacks.place_by_token(self.store, token))

    def known(self, tokens: Collection[str]) -> Collection[str]:
        return self.run(callbacks.known_tokens(self.store, tokens))

    def begin(self, token: str, attempt: str, now: float) -> Begun | Refusal:
        return self.run(
            callbacks.begin_attempt(
                self.store,
                token,
                attempt_id=attempt,
                node="n",
                carrier="public",
                agent=None,
                now=now,
            )
        )

    def answered(self, attempt: str, now: float) -> None:
        self.run(callbacks.note_answered(self.store, attempt, now))

    def end(
        self,
        attempt: str,
        outcome: CallbackOutcome,
        now: float,
        decide: Decide,
        answered: float | None,
    ) -> Ended | None:
        return self.run(
            callbacks.end_attempt(self.store, attempt, outcome, now, decide, answered_at=answered)
        )

    def unfinished(self) -> Sequence[str]:
        return [item.attempt for item in self.run(callbacks.unfinished_attempts(self.store, "n"))]

    def cancel(self, token: str, now: float) -> Place | Refusal:
        return self.run(callbacks.cancel(self.store, token, "by the caller", now))

    def reschedule(self, token: str, not_before: float) -> Place | Refusal:
        return self.run(callbacks.reschedule(self.store, token, not_before))

    def change_number(self, token: str, phone: str) -> Place | Refusal:
        key = self.incident.key
        return self.run(
            callbacks.change_number(self.store, token, key.encrypt(phone), key.lookup_hash(phone))
        )

    def stop_calling(self, phone: str, now: float) -> None:
        self.run(self._stop(self.incident.key.lookup_hash(phone), now))

    async def _stop(self, number: bytes, now: float) -> None:
        async with self.store.write() as session:
            known = await session.get(DoNotCallRow, (self.incident.id, number))
            if known is None:
                session.add(
                    DoNotCallRow(
                        incident_id=self.incident.id,
                        phone_hash=number,
                        requested_at=now,
                        source="menu",
                    )
                )
            await callbacks.cancel_for_number(
                session, self.incident.id, number, "asked not to be called", now
            )

    def close(self) -> None:
        try:
            assert self.run(callbacks.audit(self.store, self.incident.id)).clean
        finally:
            self._stack.close()


TestKeptPlacesInTheStore = machine(StoreBook).TestCase
TestKeptPlacesInTheStore.settings = settings(
    max_examples=10 if on_postgres() else 40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
