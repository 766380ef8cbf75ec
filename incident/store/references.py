"""What a letter's reference number stands for: data types, never whose they are."""

from __future__ import annotations

from sqlalchemy import select

from incident.store.engine import Store
from incident.store.schema import ContactRow, ImportRow


async def data_types_of(store: Store, incident: str, reference: str) -> tuple[str, ...] | None:
    """The data types exposed of the contact with this reference; None where there is none.

    A contact of an import that was not completed does not count.
    """
    async with store.read() as session:
        found = await session.scalar(
            select(ContactRow.data_types)
            .join(ImportRow, ImportRow.id == ContactRow.import_id)
            .where(
                ContactRow.incident_id == incident,
                ContactRow.reference == reference,
                ImportRow.committed_at.is_not(None),
            )
        )
    if found is None:
        return None
    return tuple(code for code in found.split(",") if code)
