"""A campaign on people of every behaviour: each ends as what happened to it."""

from __future__ import annotations

import time

import pytest

from dialer.control import explain, pause, start, status, stop
from drill.people import Behaviour
from incident.outcomes import AttemptOutcome
from incident.store.attempts import open_attempts
from pbx.ami import Event
from tests.acceptance.crews import OUTCOMES, SLOW
from tests.acceptance.notices import (
    books_are_clean,
    dialled_through,
    listed,
    most_at_once,
    run_campaign,
    tried,
)
from tests.acceptance.system import System, files_holding
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXPECTED = {
    Behaviour.PERSON: AttemptOutcome.CONNECTED,
    Behaviour.MACHINE: AttemptOutcome.MACHINE,
    Behaviour.BUSY: AttemptOutcome.BUSY,
    Behaviour.NO_ANSWER: AttemptOutcome.NO_ANSWER,
    Behaviour.INVALID: AttemptOutcome.INVALID_NUMBER,
    Behaviour.CONGESTION: AttemptOutcome.CONGESTION,
    Behaviour.REJECTED: AttemptOutcome.FAILED,
    Behaviour.IMPATIENT: AttemptOutcome.LIVE_ANSWERED,
}
LIST = {
    Behaviour.NO_ANSWER: 3,
    Behaviour.MACHINE: 4,
    Behaviour.PERSON: 6,
    Behaviour.BUSY: 5,
    Behaviour.INVALID: 5,
    Behaviour.CONGESTION: 5,
    Behaviour.REJECTED: 4,
    Behaviour.IMPATIENT: 5,
}
LINES = 6


async def test_every_behaviour_ends_as_what_it_was(system: System) -> None:
    assert set(EXPECTED) == set(Behaviour)
    # An agent listens longer than the machine's greeting lasts.
    await system.habits(talk_min=7, talk_max=7)
    await system.sign_in(OUTCOMES)
    people = listed(LIST, area=212, first=30000000)
    campaign = await run_campaign(system, "outcomes", people, max_lines=LINES)
    await dialled_through(system, campaign)
    await system.sign_out(OUTCOMES)
    await system.habits(talk_min=1, talk_max=2)
    found = await tried(system, campaign)
    wrong = [
        (each.behaviour, each.attempt.outcome, each.attempt.detail, each.attempt.cause)
        for each in found
        if each.attempt.outcome != EXPECTED[each.behaviour]
    ]
    assert wrong == []
    assert sorted(each.phone for each in found) == sorted(person.phone for person in people)
    assert {system.dialled[person.phone] for person in people} == {1}
    await books_are_clean(system, campaign)
    assert most_at_once([each.attempt for each in found]) <= LINES
    connected = [each for each in found if each.attempt.outcome == AttemptOutcome.CONNECTED]
    assert {each.attempt.agent for each in connected} <= set(OUTCOMES.numbers)
    assert all(each.contact.state == "done" for each in connected)
    invalid = [each for each in found if each.behaviour is Behaviour.INVALID]
    assert all(each.contact.state == "exhausted" for each in invalid)


async def test_called_numbers_are_nowhere_to_be_read(system: System) -> None:
    for number in {each.phone for each in await tried(system, "outcomes")}:
        assert await files_holding(system.stage.home, number[2:]) == []


async def test_nobody_is_dialled_without_an_agent_and_explain_says_so(system: System) -> None:
    people = listed({Behaviour.PERSON: 12}, area=303, first=31000000)
    campaign = await run_campaign(system, "slow", people)

    async def explained() -> bool:
        said = " ".join(await explain(system.stage.store, system.stage.home, campaign))
        return "dials nothing because" in said

    await eventually(explained)
    assert await tried(system, campaign) == []


async def test_abandoned_with_an_apology_and_paused_within_a_second(system: System) -> None:
    """Every second notice call meets an agent who lets the telephone ring: two seconds, then the
    apology is heard to its end. (Were it every one, the dialer would hold the campaign.)

    The operator pauses at the first one. How soon that must hold is a promise, so it is measured.
    """
    store = system.stage.store
    played: list[str] = []

    def hear(event: Event) -> None:
        if event.get("UserEvent") == "BreachlineAbandoned":
            played.append(event.get("Attempt"))

    undo = system.pbx.subscribe(["UserEvent"], hear)
    try:
        await system.habits(slow_every=2)
        await system.sign_in(SLOW)
        await eventually(lambda: played)
        paused = time.time()
        await pause(store, "slow", paused)
        await dialled_out(system, "slow")
    finally:
        undo()
        await system.habits(slow_every=0)
    abandoned = [
        each.attempt
        for each in await tried(system, "slow")
        if each.attempt.outcome == AttemptOutcome.ABANDONED
    ]
    assert {attempt.id for attempt in abandoned} == set(played)
    for attempt in abandoned:
        assert attempt.agent is None
        assert attempt.answered_at is not None
        assert attempt.ended_at is not None
        # Two seconds for an agent, then the apology, at least as long as its own prompt.
        assert attempt.ended_at - attempt.answered_at > 2 + apology_seconds(system)
    # There was more to do, and agents were free for it.
    assert (await status(store, "slow")).contacts["ready"] > len(abandoned)
    assert max(each.attempt.created_at for each in await tried(system, "slow")) <= paused + 1


def apology_seconds(system: System) -> float:
    """How long the apology is, a little less: it is PCM at 8,000 bytes a second."""
    live = system.stage.home.prompts / "live" / "slow" / "en" / "outbound.abandoned.ulaw"
    return live.stat().st_size / 8000 - 0.5


async def test_a_paused_campaign_goes_on_and_a_stopped_one_ends(system: System) -> None:
    store = system.stage.store
    before = len(await tried(system, "slow"))
    await start(store, "slow")

    async def dials_again() -> bool:
        return len(await tried(system, "slow")) > before

    await eventually(dials_again)
    await stop(store, "slow")
    await dialled_out(system, "slow")
    await system.sign_out(SLOW)
    assert (await status(store, "slow")).contacts["ready"] > 0
    await books_are_clean(system, "slow")


async def dialled_out(system: System, campaign: str) -> None:
    """Wait until no attempt of the campaign is open."""

    async def none_open() -> bool:
        return not any(
            each.campaign == campaign for each in await open_attempts(system.stage.store)
        )

    await eventually(none_open, patience=60)
