"""What simulated callers conclude from a call, and that each call is accounted for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from drill.callers import INTENTS, CallerResult, Callers, Intent
from pbx.ami import AmiClient, Event, NotConnected

LEAF = Intent("what happened", ((1, "1"), (1.5, "1")))
AGENT = Intent("agent", ((1, "1"), (1.5, "0")), agent=True, patience=30)


class Network:
    """The simulated network's manager interface: notes what is dialled, says what it is told."""

    def __init__(self) -> None:
        self.dialled: list[dict[str, Any]] = []
        self.refuse = False
        self.handlers: list[tuple[set[str], Callable[[Event], None]]] = []

    def subscribe(
        self, names: Iterable[str], handler: Callable[[Event], None]
    ) -> Callable[[], None]:
        entry = (set(names), handler)
        self.handlers.append(entry)
        return lambda: self.handlers.remove(entry)

    async def originate(self, **given: Any) -> None:
        if self.refuse:
            raise NotConnected
        self.dialled.append(given)

    def tell(self, name: str, **fields: str) -> None:
        for names, handler in list(self.handlers):
            if name in names:
                handler(Event(name, fields, 0.0))

    def report(self, pressed: str, met: str, ended: str, call: str | None = None) -> None:
        self.tell(
            "UserEvent",
            UserEvent="DrillCaller",
            Caller=call or self.dialled[-1]["channel_id"],
            Pressed=pressed,
            Met=met,
            Ended=ended,
        )


@pytest.fixture
def network() -> Network:
    return Network()


def callers(network: Network, seed: int = 1) -> Callers:
    return Callers(cast(AmiClient, network), "+18005550199", seed=seed)


@pytest.mark.parametrize(
    ("intent", "pressed", "met", "ended", "reached", "dropped"),
    [
        (LEAF, "all", "nobody", "self", True, False),
        (LEAF, "all", "nobody", "other", False, True),
        (LEAF, "1", "nobody", "other", False, True),
        (AGENT, "all", "agent", "other", True, False),
        (AGENT, "all", "nobody", "self", False, False),  # lost patience: waited in vain
        (AGENT, "all", "nobody", "other", False, True),
        (AGENT, "1", "nobody", "other", False, True),
    ],
)
async def test_what_a_call_came_to(
    network: Network,
    intent: Intent,
    pressed: str,
    met: str,
    ended: str,
    reached: bool,
    dropped: bool,
) -> None:
    group = callers(network)
    future = await group.place(intent)
    assert group.active == 1
    network.report(pressed, met, ended)
    result = await asyncio.wait_for(future, 1)
    assert result.answered
    assert result.reached(intent.agent) is reached
    assert result.dropped(intent.agent) is dropped
    assert group.results == [(intent, result)]
    assert group.active == 0


async def test_a_call_that_is_not_answered_or_not_placed_is_dropped(network: Network) -> None:
    group = callers(network)
    unanswered = await group.place(LEAF)
    call = network.dialled[-1]["channel_id"]
    network.tell("OriginateResponse", Uniqueid=call, Response="Success")
    assert not unanswered.done()
    network.tell("OriginateResponse", Uniqueid=call, Response="Failure")
    network.refuse = True
    unplaced = await group.place(AGENT)
    for future, intent in ((unanswered, LEAF), (unplaced, AGENT)):
        result = await asyncio.wait_for(future, 1)
        assert result == CallerResult(intent.name, False, False, False, False)
        assert result.dropped(intent.agent)
        assert not result.reached(intent.agent)


async def test_a_call_is_counted_once_and_others_reports_are_not_ours(network: Network) -> None:
    group = callers(network)
    future = await group.place(LEAF)
    network.report("all", "nobody", "self", call="somebody-else")
    network.tell("UserEvent", UserEvent="DrillPerson", Met="agent")
    assert not future.done()
    network.report("all", "nobody", "self")
    network.report("all", "nobody", "other")
    assert len(group.results) == 1
    assert future.result().ended_by_caller
    group.close()
    assert network.handlers == []


async def test_what_the_network_is_told(network: Network) -> None:
    await callers(network).place(AGENT)
    (call,) = network.dialled
    assert call["channel"] == "PJSIP/+18005550199@pbx"
    assert re.fullmatch(r"<\+1\d{3}55501\d\d>", call["caller_id"])
    assert call["variables"] == {
        "CALLER": call["channel_id"],
        "STEPS": "1:1-1.5:0",
        "GOAL": "agent",
        "STAY": "4",
        "PATIENCE": "30",
        "MET": "nobody",
    }


async def test_run_places_every_call_and_finished_waits_for_the_last(network: Network) -> None:
    group = callers(network)
    await group.run(calls=5, seconds=0)
    assert len({call["channel_id"] for call in network.dialled}) == 5
    with pytest.raises(TimeoutError):
        await group.finished(0)


async def test_finished_returns_when_all_are_over(network: Network) -> None:
    group = callers(network)
    await group.finished(0)
    await group.run(calls=3, seconds=0)
    waiting = asyncio.create_task(group.finished(5), name="finished")
    await asyncio.sleep(0)
    for call in network.dialled:
        network.report("all", "nobody", "self", call=call["channel_id"])
    await waiting
    assert len(group.results) == 3


def test_the_same_seed_draws_the_same_intents(network: Network) -> None:
    one, two, other = (callers(network, seed) for seed in (1, 1, 2))
    drawn = [one.draw() for _ in range(200)]
    assert drawn == [two.draw() for _ in range(200)]
    assert drawn != [other.draw() for _ in range(200)]
    assert set(drawn) == set(INTENTS)


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
def test_an_intent_can_be_played_and_wants_an_agent_if_it_ends_in_0(intent: Intent) -> None:
    assert re.fullmatch(r"[0-9.]+:[0-9*#](-[0-9.]+:[0-9*#])*", intent.steps)
    assert intent.agent == (intent.keys[-1][1] == "0")
