"""Letters that reached the wrong people, as callers said: a work list for whoever posts letters."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from incident.outcomes import SelfServiceResult
from incident.store.engine import Store
from incident.store.schema import CallRow, ContactRow, ImportRow


@dataclass(frozen=True, slots=True)
class MistakenLetter:
    """``reference``: the letter's number. ``said_at``: when it was said last, Unix seconds.
    ``calls``: how many callers said so."""

    reference: str
    said_at: float
    calls: int


@dataclass(frozen=True, slots=True)
class MistakenLetters:
    """``letters``: latest first. ``unnamed``: calls about a letter whose number was not given, or
    is none of ours."""

    letters: tuple[MistakenLetter, ...]
    unnamed: int


async def mistaken_letters(store: Store, incident: str, since: float = 0.0) -> MistakenLetters:
    """What callers said of letters that are not for them, from ``since`` (Unix seconds) on."""
    said = (
        CallRow.incident_id == incident,
        CallRow.result == SelfServiceResult.LETTER_BY_MISTAKE.value,
        CallRow.started_at >= since,
    )
    last = func.max(CallRow.started_at)
    async with store.read() as session:
        found = await session.execute(
            select(ContactRow.reference, last, func.count())
            .join(CallRow, CallRow.contact_id == ContactRow.id)
            .join(ImportRow, ImportRow.id == ContactRow.import_id)
            .where(*said, ImportRow.committed_at.is_not(None))
            .group_by(ContactRow.reference)
            .order_by(last.desc(), ContactRow.reference)
        )
        letters = tuple(MistakenLetter(*row) for row in found)
        unnamed = await session.scalar(
            select(func.count()).select_from(CallRow).where(*said, CallRow.contact_id.is_(None))
        )
    return MistakenLetters(letters, unnamed or 0)
