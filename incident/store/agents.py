"""Agents: their telephones, which incidents they serve and which languages they speak."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select

from incident.store.engine import Store, StoreError
from incident.store.schema import AgentRow, IncidentRow

_NUMBER = re.compile(r"[0-9]{2,12}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Agent:
    """``number``: digits; the SIP endpoint is ``agent-<number>`` and ``password`` its secret."""

    number: str
    incidents: tuple[str, ...]
    languages: tuple[str, ...]
    password: str = field(repr=False)


class BadAgent(StoreError):
    """What was asked for is no agent; the message says which part and why."""


async def add_agent(
    store: Store, number: str, incidents: Iterable[str], languages: Iterable[str], now: float
) -> Agent:
    """Add an agent with a random password, or change whom an existing one serves.

    An existing agent keeps its password, so that its telephone stays registered.

    Raises BadAgent for a number, incident or language that cannot be.
    """
    served, spoken = _unique(incidents), _unique(languages)
    if not _NUMBER.fullmatch(number):
        raise BadAgent(f"agent number {number!r}: 2 to 12 digits are expected")
    if not spoken:
        raise BadAgent(f"agent {number} speaks no language; name at least one")
    for language in spoken:
        if not _LANGUAGE.fullmatch(language):
            raise BadAgent(f"agent {number}: {language!r} is no language code (like en or es)")
    if not served:
        raise BadAgent(f"agent {number} serves no incident; name at least one")
    async with store.write() as session:
        known = set(await session.scalars(select(IncidentRow.id)))
        for incident in served:
            if incident not in known:
                there = ", ".join(sorted(known)) or "none"
                raise BadAgent(f"agent {number}: no incident {incident!r} (there are: {there})")
        row = await session.get(AgentRow, number)
        if row is None:
            password = secrets.token_urlsafe(_PASSWORD_BYTES)
            row = AgentRow(
                number=number, secret_enc=store.keyring.seal(password.encode()), created_at=now
            )
            session.add(row)
        row.incidents = ",".join(served)
        row.languages = ",".join(spoken)
        row.active = True
        return _agent(store, row)


async def list_agents(store: Store) -> tuple[Agent, ...]:
    """All active agents, by number. Raises NotOurs when another home sealed a password."""
    async with store.read() as session:
        rows = await session.scalars(
            select(AgentRow).where(AgentRow.active).order_by(AgentRow.number)
        )
        return tuple(_agent(store, row) for row in rows)


async def remove_agent(store: Store, number: str) -> None:
    """Take an agent off all queues. Raises BadAgent when there is none with this number."""
    async with store.write() as session:
        row = await session.get(AgentRow, number)
        if row is None or not row.active:
            raise BadAgent(f"there is no agent {number}")
        row.active = False


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.strip() for value in values))


def _agent(store: Store, row: AgentRow) -> Agent:
    return Agent(
        number=row.number,
        incidents=tuple(row.incidents.split(",")),
        languages=tuple(row.languages.split(",")),
        password=store.keyring.unseal(row.secret_enc).decode(),
    )
