"""The incidents that this hotline serves now, with every prompt's file looked up beforehand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from sqlalchemy import select

from incident.content import spoken_texts
from incident.home import Home
from incident.metrics import (
    CALLBACKS,
    CONTENT_INFO,
    EMERGENCY_CALLBACKS,
    INBOUND_CALLS,
    SELF_SERVICE,
    WAIT_PROMISES,
)
from incident.outcomes import CallbackOutcome, CallOutcome, SelfServiceResult
from incident.plan import Plan
from incident.privacy import IncidentKey
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident, active_incidents
from incident.store.schema import IncidentRow
from pbx import names
from pbx.prompts import ManifestError, PromptBook, PromptMissing

log: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 3.0
"""How often prompts that are not built yet are looked for."""


@dataclass(frozen=True, slots=True)
class ServedIncident:
    """An incident as a call needs it. ``paths``: language, then text name, then the file."""

    id: str
    plan: Plan
    key: IncidentKey
    content_version: str
    paths: Mapping[str, Mapping[str, str]]

    @property
    def languages(self) -> tuple[str, ...]:
        return self.plan.languages


class NotServed(Exception):
    """A call for an incident that is not on the air: the emergency path takes it."""

    def __init__(self, incident: str | None) -> None:
        self.incident = incident
        super().__init__(f"incident {incident!r} is not served here")


def serve(active: ActiveIncident, book: PromptBook) -> ServedIncident:
    """Raises PromptMissing when a text of the plan has no sound."""
    paths: dict[str, dict[str, str]] = {language: {} for language in active.plan.languages}
    for text in spoken_texts(active.plan):
        paths[text.language][text.name] = book.path(text.name, text.language)
    return ServedIncident(active.id, active.plan, active.key, book.version, paths)


class Incidents:
    """What is on the air. Calls keep the version that they began with."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home
        self._served: dict[str, ServedIncident] = {}
        self._signature: object = None
        self._again_at = 0.0
        self._told: set[tuple[str, str]] = set()
        self._changed: list[Callable[[], None]] = []

    def get(self, incident: str | None) -> ServedIncident | None:
        return self._served.get(incident) if incident else None

    @property
    def all(self) -> Mapping[str, ServedIncident]:
        return self._served

    def keys(self) -> dict[str, IncidentKey]:
        return {served.id: served.key for served in self._served.values()}

    def queues(self) -> dict[str, tuple[str, str]]:
        """Name of each callers' queue: its incident and language."""
        return {
            names.queue(served.id, language): (served.id, language)
            for served in self._served.values()
            for language in served.languages
        }

    def on_change(self, handler: Callable[[], None]) -> None:
        self._changed.append(handler)

    async def refresh(self) -> bool:
        """Read again if anything was activated since; says whether something changed.

        An incident without its prompts keeps its former version, or is not served at all:
        its callers then take the emergency path.
        """
        signature = await self._look()
        if signature == self._signature and monotonic() < self._again_at:
            return False
        fresh: dict[str, ServedIncident] = {}
        complete = True
        for active in await active_incidents(self._store):
            served = await self._load(active)
            complete = complete and served is not None
            served = served or self._served.get(active.id)
            if served is not None:
                fresh[active.id] = served
        self._signature = signature
        self._again_at = float("inf") if complete else monotonic() + _RETRY_SECONDS
        if fresh == self._served:
            return False
        self._served = fresh
        self._show()
        for handler in self._changed:
            handler()
        return True

    async def _look(self) -> object:
        async with self._store.read() as session:
            rows = await session.execute(
                select(IncidentRow.id, IncidentRow.plan_hash, IncidentRow.activated_at)
                .where(IncidentRow.active)
                .order_by(IncidentRow.id)
            )
            return tuple(tuple(row) for row in rows)

    async def _load(self, active: ActiveIncident) -> ServedIncident | None:
        before = self._served.get(active.id)
        if (
            before is not None
            and before.content_version == active.content_version
            and before.plan == active.plan
        ):
            return before
        try:
            book = await asyncio.to_thread(
                PromptBook.load, self._home, active.id, active.content_version
            )
            served = await asyncio.to_thread(serve, active, book)
        except (PromptMissing, ManifestError) as error:
            known = (active.id, active.content_version) in self._told
            self._told.add((active.id, active.content_version))
            level = logging.DEBUG if known else logging.ERROR
            log.log(level, "incident %s: %s; %s", active.id, error, _meanwhile(before))
            return None
        log.info("incident %s is on the air, content %s", served.id, served.content_version[:12])
        return served

    def _show(self) -> None:
        CONTENT_INFO.clear()
        for served in self._served.values():
            CONTENT_INFO.labels(served.id, served.content_version).set(1)
            # A counter that appears at 1 has lost its first event to increase(): all begin at 0.
            for outcome in CallOutcome:
                INBOUND_CALLS.labels(served.id, outcome.value)
            for result in SelfServiceResult:
                SELF_SERVICE.labels(served.id, result.value)
            EMERGENCY_CALLBACKS.labels(served.id)
            for kept in ("yes", "no"):
                WAIT_PROMISES.labels(served.id, kept)
            for ended in CallbackOutcome:
                CALLBACKS.labels(served.id, ended.value)


def _meanwhile(before: ServedIncident | None) -> str:
    if before is None:
        return "until then its callers take the emergency path"
    return "until then its callers hear the former version"
