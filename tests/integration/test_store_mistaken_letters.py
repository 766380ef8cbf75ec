"""The work list of letters that reached the wrong people."""

from __future__ import annotations

from dataclasses import replace

from incident.outcomes import SelfServiceResult as Result
from incident.store.calls import StoredCall, save_calls
from incident.store.engine import Store
from incident.store.mistaken_letters import MistakenLetter, mistaken_letters
from incident.store.schema import ImportRow
from tests.dialer_world import activated, add_contacts

CALL = StoredCall(
    id="node1-1.0",
    incident_id="northwind",
    node="node1",
    via="hotline",
    language="en",
    ani_enc=None,
    ani_hash=None,
    content_version="v",
    menu_path="",
    leaves=1,
    started_at=1.0,
    queued_at=None,
    connected_at=None,
    ended_at=2.0,
    wait_seconds=None,
    agent=None,
    outcome="self_service",
    result=Result.LETTER_BY_MISTAKE,
)


async def saved(store: Store) -> list[int]:
    """Two people; two callers say that the first one's letter is a mistake, one that the second
    one's was genuine, and one names no letter."""
    people = await add_contacts(store, await activated(store), ["+12125550100", "+12125550101"])
    calls = (
        replace(CALL, id="node1-1.1", contact_id=people[0], started_at=10.0),
        replace(CALL, id="node1-1.2", contact_id=people[0], started_at=30.0),
        replace(CALL, id="node1-1.3", contact_id=people[1], result=Result.GENUINE),
        replace(CALL, id="node1-1.4", started_at=40.0),
    )
    async with store.write() as session:
        await save_calls(session, store.dialect, calls)
    return people


async def test_each_letter_stands_once_with_how_many_said_so(store: Store) -> None:
    await saved(store)
    found = await mistaken_letters(store, "northwind")
    (letter,) = found.letters
    assert letter == MistakenLetter(letter.reference, 30.0, 2)
    assert found.unnamed == 1
    assert not (await mistaken_letters(store, "another")).letters


async def test_only_what_was_said_since(store: Store) -> None:
    await saved(store)
    found = await mistaken_letters(store, "northwind", 20.0)
    assert [each.calls for each in found.letters] == [1]
    assert not (await mistaken_letters(store, "northwind", 35.0)).letters


async def test_people_of_an_import_that_was_not_finished_are_nobody(store: Store) -> None:
    await saved(store)
    async with store.write() as session:
        imported = await session.get(ImportRow, 1)
        assert imported is not None
        imported.committed_at = None
    assert not (await mistaken_letters(store, "northwind")).letters
