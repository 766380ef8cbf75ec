"""Incidents and agents in the store."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import func, select

from incident.content import content_version, spoken_texts
from incident.home import Home
from incident.privacy import Keyring, NotOurs
from incident.store.agents import BadAgent, add_agent, list_agents, remove_agent
from incident.store.engine import Store, open_store
from incident.store.incidents import (
    ActiveIncident,
    DidTaken,
    UnknownIncident,
    activate,
    active_incident,
    active_incidents,
    deactivate,
)
from incident.store.schema import AgentRow, ContentRow, IncidentRow
from tests.database import NOW, sample_plan


async def contents(store: Store) -> dict[tuple[str, str, str], str]:
    async with store.read() as session:
        rows = await session.scalars(select(ContentRow))
        return {(row.version, row.name, row.language): row.text for row in rows}


async def test_an_activated_incident_is_read_back(store: Store, incident: ActiveIncident) -> None:
    (found,) = await active_incidents(store)
    plan, _ = sample_plan()
    assert dataclasses.replace(found, key=incident.key) == incident
    assert found.plan == plan
    assert found.key.decrypt(incident.key.encrypt("x")) == "x"
    assert found.content_version == content_version(spoken_texts(plan))


async def test_every_text_of_the_version_is_kept(store: Store, incident: ActiveIncident) -> None:
    plan, _ = sample_plan()
    assert await contents(store) == {
        (incident.content_version, text.name, text.language): text.text
        for text in spoken_texts(plan)
    }


async def test_a_new_version_keeps_key_and_old_texts(
    store: Store, incident: ActiveIncident
) -> None:
    plan, plan_text = sample_plan()
    before = await contents(store)
    answers = dict(plan.answers)
    name = next(iter(answers))
    answers[name] = {language: text + " More." for language, text in answers[name].items()}
    changed = plan.model_copy(update={"answers": answers})
    again = await activate(store, changed, plan_text + "\n# changed\n", NOW + 1)
    assert again.content_version != incident.content_version
    assert again.key.public_key == incident.key.public_key
    after = await contents(store)
    assert before.items() < after.items()
    assert len(after) == 2 * len(before)
    async with store.read() as session:
        row = await session.get_one(IncidentRow, plan.incident)
        assert (row.content_version, row.activated_at) == (again.content_version, NOW + 1)
        assert row.plan_text.endswith("# changed\n")


async def test_activating_the_same_plan_again_adds_nothing(
    store: Store, incident: ActiveIncident
) -> None:
    plan, plan_text = sample_plan()
    await activate(store, plan, plan_text, NOW + 1)
    async with store.read() as session:
        texts = await session.scalar(select(func.count()).select_from(ContentRow))
    assert texts == len(spoken_texts(plan))


async def test_two_incidents_cannot_answer_one_number(
    store: Store, incident: ActiveIncident
) -> None:
    plan, plan_text = sample_plan()
    other = plan.model_copy(update={"incident": "another"})
    with pytest.raises(DidTaken, match=plan.incident) as caught:
        await activate(store, other, plan_text, NOW)
    assert caught.value.incident == plan.incident
    assert len(await active_incidents(store)) == 1


async def test_a_plan_that_is_no_longer_accepted_takes_no_other_off_the_air(
    store: Store, incident: ActiveIncident, caplog: pytest.LogCaptureFixture
) -> None:
    plan, plan_text = sample_plan()
    second = plan.model_copy(update={"incident": "old", "did": "+18005550123"})
    await activate(store, second, plan_text, NOW)
    async with store.write() as session:
        row = await session.get_one(IncidentRow, "old")
        row.plan_text = plan_text.replace(plan.callback_number, "+19005550123")
    assert [found.id for found in await active_incidents(store)] == [incident.id]
    assert "incident old is off the air" in caplog.text


async def test_an_incident_out_of_force_is_not_active(
    store: Store, incident: ActiveIncident
) -> None:
    assert (await active_incident(store, incident.id)).did == incident.did
    await deactivate(store, incident.id)
    assert await active_incidents(store) == ()
    with pytest.raises(UnknownIncident):
        await active_incident(store, incident.id)
    with pytest.raises(UnknownIncident):
        await deactivate(store, incident.id)
    plan, plan_text = sample_plan()
    again = await activate(store, plan, plan_text, NOW)
    assert again.key.public_key == incident.key.public_key


async def test_an_unknown_incident_is_answered_with_the_known(
    store: Store, incident: ActiveIncident
) -> None:
    with pytest.raises(UnknownIncident, match=f"active: {incident.id}") as caught:
        await active_incident(store, "nothing")
    assert caught.value.known == (incident.id,)


async def test_a_database_without_its_key_file_says_so(
    store: Store, incident: ActiveIncident, home: Home, database_url: str
) -> None:
    (home.secrets / "master.key").write_bytes(b"another home's key, of 32 bytes.")
    async with open_store(database_url, Keyring.open(home)) as other:
        with pytest.raises(NotOurs, match=r"master\.key"):
            await active_incidents(other)


async def test_agents_keep_their_password_when_they_change(
    store: Store, incident: ActiveIncident
) -> None:
    first = await add_agent(store, "101", [incident.id], ["en"], NOW)
    assert len(first.password) >= 32
    other = await add_agent(store, "102", [incident.id], ["en", "es", "en"], NOW)
    assert other.password != first.password
    again = await add_agent(store, "101", [incident.id], ["es"], NOW)
    assert again == dataclasses.replace(first, languages=("es",))
    assert await list_agents(store) == (again, other)
    assert other.languages == ("en", "es")


async def test_a_password_is_sealed_and_not_shown(store: Store, incident: ActiveIncident) -> None:
    agent = await add_agent(store, "101", [incident.id], ["en"], NOW)
    async with store.read() as session:
        row = await session.get_one(AgentRow, "101")
    assert agent.password.encode() not in row.secret_enc
    assert agent.password not in repr(agent)


async def test_a_removed_agent_is_gone_and_can_return(
    store: Store, incident: ActiveIncident
) -> None:
    await add_agent(store, "101", [incident.id], ["en"], NOW)
    await remove_agent(store, "101")
    assert await list_agents(store) == ()
    with pytest.raises(BadAgent, match="no agent 101"):
        await remove_agent(store, "101")
    await add_agent(store, "101", [incident.id], ["en"], NOW)
    assert len(await list_agents(store)) == 1


@pytest.mark.parametrize(
    ("number", "incidents", "languages", "reason"),
    [
        ("1", ["north"], ["en"], "2 to 12 digits"),
        ("10a", ["north"], ["en"], "2 to 12 digits"),
        ("1" * 13, ["north"], ["en"], "2 to 12 digits"),
        ("101", [], ["en"], "serves no incident"),
        ("101", ["north"], [], "speaks no language"),
        ("101", ["north"], ["English"], "no language code"),
        ("101", ["nowhere"], ["en"], "no incident 'nowhere'"),
    ],
)
async def test_what_is_no_agent_is_refused(
    store: Store,
    incident: ActiveIncident,
    number: str,
    incidents: list[str],
    languages: list[str],
    reason: str,
) -> None:
    served = [incident.id if name == "north" else name for name in incidents]
    with pytest.raises(BadAgent, match=reason):
        await add_agent(store, number, served, languages, NOW)
    assert await list_agents(store) == ()
