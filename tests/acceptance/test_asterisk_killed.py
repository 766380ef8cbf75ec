"""Asterisk itself killed: what was in flight is unknown, and is left alone as the rule says."""

from __future__ import annotations

import pytest

from dialer.retry import RetryRules, Rule
from drill.people import Behaviour
from incident.outcomes import AttemptOutcome, CallOutcome
from incident.store.attempts import open_attempts
from tests.acceptance.crews import CRASH, CRASH_DID
from tests.acceptance.notices import books_are_clean, dialled_through, listed, run_campaign, tried
from tests.acceptance.system import System
from tests.running import eventually
from tests.sip_caller import calling

pytestmark = pytest.mark.asyncio(loop_scope="session")

AFTER = 3600.0
"""Seconds until an attempt that ended as unknown may be followed by another."""


async def test_attempts_in_flight_end_as_unknown_and_calls_work_again(system: System) -> None:
    await system.sign_in(CRASH)
    ringing = len(CRASH.numbers)
    people = listed({Behaviour.NO_ANSWER: ringing, Behaviour.PERSON: 3}, area=512, first=50000000)
    rules = RetryRules(unknown=Rule(after=AFTER, times=1))
    campaign = await run_campaign(system, "crash", people, ring_seconds=30, retry_rules=rules)

    async def all_ring() -> bool:
        open_now = await open_attempts(system.stage.store)
        return sum(each.campaign == campaign for each in open_now) == ringing and all(
            system.dialled[person.phone] for person in people[:ringing]
        )

    await eventually(all_ring)
    cut_off = "+12125550171"
    async with calling(system.at.probe, system.at.bind, CRASH_DID, caller=cut_off) as call:
        await call.press(",,1")
        await eventually(lambda: stored(system, cut_off))
        moment = system.kill("asterisk")
    await system.back(moment, "asterisk")

    await dialled_through(system, campaign)
    await books_are_clean(system, campaign)
    found = await tried(system, campaign)
    assert len(found) == len(people)
    for each in found[:ringing]:
        assert each.behaviour is Behaviour.NO_ANSWER
        assert each.attempt.outcome == AttemptOutcome.UNKNOWN
        assert each.attempt.ended_at is not None
        assert (each.contact.state, each.contact.attempts) == ("ready", 1)
        assert each.contact.not_before == pytest.approx(each.attempt.ended_at + AFTER, abs=1)
        assert system.dialled[each.phone] == 1
    # The others were dialled after the restart, and met an agent who had not signed in again.
    assert [each.attempt.outcome for each in found[ringing:]] == [AttemptOutcome.CONNECTED] * 3

    row = await system.ended("crash", cut_off)
    assert row.outcome in {CallOutcome.ABANDONED_MENU, CallOutcome.UNOBSERVED}
    caller = "+12125550172"
    async with calling(system.at.probe, system.at.bind, CRASH_DID, caller=caller) as again:
        await again.press(",,1,,,1")
        await system.pressed("crash", caller, "language:1", "main:1")
    assert (await system.ended("crash", caller)).outcome == CallOutcome.SELF_SERVICE
    await system.sign_out(CRASH)


async def stored(system: System, caller: str) -> bool:
    return bool(await system.calls("crash", caller))
