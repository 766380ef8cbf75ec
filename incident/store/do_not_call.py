"""Numbers that asked not to be called: kept for ever, and honoured at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Exists,
    Insert,
    Table,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from incident.booking import DAY, HOUR, BookingLimits
from incident.store.callbacks import cancel_for_number
from incident.store.engine import Store
from incident.store.schema import (
    CallRow,
    CampaignContactRow,
    ContactRow,
    ContactState,
    DoNotCallRow,
)

Source = Literal["hotline", "agent"]
WHY: Final = "asked not to be called"


@dataclass(frozen=True, slots=True)
class Stopped:
    """``new``: the number was not on the list before. ``contacts``: of campaigns, whom nobody
    will call any more now; ``places``: tokens of the kept places that were cancelled."""

    new: bool
    contacts: int
    places: tuple[str, ...]


async def stop_calls(
    store: Store,
    incident: str,
    phone_hash: bytes,
    *,
    source: Source,
    call: str | None,
    now: float,
) -> Stopped:
    """Never call this number again for this incident; asking twice does no harm.

    One transaction: when this returns, no dialer leases a contact of this number, and none of
    the attempts that are leased and not sent yet is sent. A telephone that is ringing already
    goes on ringing. ``phone_hash``: the incident key's ``lookup_hash``; ``now``: Unix seconds.
    """
    row = {
        "incident_id": incident,
        "phone_hash": phone_hash,
        "requested_at": now,
        "source": source,
        "call_id": call,
    }
    async with store.write() as session:
        added = await session.execute(
            _INSERTS[store.dialect], row, execution_options={"preserve_rowcount": True}
        )
        theirs = select(ContactRow.id).where(
            ContactRow.incident_id == incident, ContactRow.phone_hash == phone_hash
        )
        contacts = await session.execute(
            update(CampaignContactRow)
            .where(
                CampaignContactRow.contact_id.in_(theirs),
                CampaignContactRow.state == ContactState.READY,
            )
            .values(state=ContactState.DO_NOT_CALL.value)
            .execution_options(synchronize_session=False)
        )
        places = await cancel_for_number(session, incident, phone_hash, WHY, now)
    return Stopped(_rows(added) > 0, _rows(contacts), places)


async def stopped_too_many(
    store: Store,
    incident: str,
    phone_hash: bytes,
    *,
    caller: bytes | None,
    limits: BookingLimits,
    now: float,
) -> bool:
    """Whether this caller has stopped the calls to enough numbers that are not their own: a
    stranger must not keep many people's notices from them. ``caller``: the hash of the caller's
    number, None where it is not known; all such callers count together."""
    if caller == phone_hash:
        return False
    who: ColumnElement[bool]
    if caller is None:
        who, since, most = CallRow.ani_hash.is_(None), now - HOUR, limits.unknown_an_hour
    else:
        who = (CallRow.ani_hash == caller) & (DoNotCallRow.phone_hash != caller)
        since, most = now - DAY, limits.others_a_day
    async with store.read() as session:
        found = await session.scalar(
            select(func.count())
            .select_from(DoNotCallRow)
            .join(CallRow, CallRow.id == DoNotCallRow.call_id)
            .where(DoNotCallRow.incident_id == incident, DoNotCallRow.requested_at > since, who)
        )
    return (found or 0) >= most


def asked_not(phone_hash: Any, incident: Any) -> Exists:
    """For a query: whether a contact's number (columns) is on its incident's list."""
    return exists(
        select(DoNotCallRow.phone_hash)
        .where(DoNotCallRow.incident_id == incident, DoNotCallRow.phone_hash == phone_hash)
        .correlate_except(DoNotCallRow)
    )


async def contact_asked_not(session: AsyncSession, contact: int) -> bool:
    """Whether this contact's number is on its incident's list."""
    found = await session.scalar(
        select(DoNotCallRow.requested_at)
        .join(
            ContactRow,
            (ContactRow.incident_id == DoNotCallRow.incident_id)
            & (ContactRow.phone_hash == DoNotCallRow.phone_hash),
        )
        .where(ContactRow.id == contact)
    )
    return found is not None


async def set_aside(session: AsyncSession, campaign: str, contacts: Sequence[int]) -> None:
    """These contacts of a campaign are not called any more."""
    await session.execute(
        update(CampaignContactRow)
        .where(
            CampaignContactRow.campaign_id == campaign, CampaignContactRow.contact_id.in_(contacts)
        )
        .values(state=ContactState.DO_NOT_CALL.value)
        .execution_options(synchronize_session=False)
    )


def _rows(result: Any) -> int:
    return cast("CursorResult[Any]", result).rowcount


def _insert(dialect: str) -> Insert:
    table = DoNotCallRow.__table__
    assert isinstance(table, Table)
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement: Insert = make(table).on_conflict_do_nothing()
    return statement


_INSERTS: Final = {dialect: _insert(dialect) for dialect in ("sqlite", "postgresql")}
