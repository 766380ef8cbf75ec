"""Since when those in line wait, asked of their channels after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from ivr.lineup import Lineup
from ivr.ranks import AT_ONCE, ask_ranks
from pbx.ami import AmiClient, Event, NotConnected, OutcomeUnknown, Refused, Response

QUEUE = "northwind-en"
NOW = 2000.0


class Asterisk:
    """Says what channels know, by name; what is an error is raised."""

    def __init__(self, ranks: Mapping[str, str | Exception]) -> None:
        self.ranks = ranks
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def action(self, name: str, fields: Mapping[str, str], *, timeout: float) -> Response:
        assert (name, fields["Variable"]) == ("Getvar", "BL_RANK")
        self.asked.append(fields["Channel"])
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.answers.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        said = self.ranks[fields["Channel"]]
        if isinstance(said, Exception):
            raise said
        return Response(name, "1", {"Value": said})


def in_line(*channels: str) -> Lineup:
    """Everybody has been in this queue for ten seconds."""
    lineup = Lineup(clock=lambda: NOW)
    lineup.serve([QUEUE])
    relist(lineup, *channels)
    return lineup


def relist(lineup: Lineup, *channels: str) -> None:
    lineup.listing()
    for place, channel in enumerate(channels, 1):
        fields = {"Queue": QUEUE, "Channel": channel, "Uniqueid": channel, "Wait": "10"}
        lineup.on_event(Event("QueueEntry", {**fields, "Position": str(place)}, 0.0))
    lineup.listed()


def ranks(lineup: Lineup) -> list[float]:
    return [entry.rank for entry in lineup.entries(QUEUE)]


async def ask(asterisk: Asterisk, lineup: Lineup, seconds: float = 5.0) -> None:
    await ask_ranks(cast(AmiClient, asterisk), lineup, seconds=seconds)


async def test_whoever_has_waited_for_longer_says_so_and_keeps_it() -> None:
    lineup = in_line("came-back", "has-none", "has-gone")
    asterisk = Asterisk(
        {
            "came-back": "1500123",
            "has-none": "",
            "has-gone": Refused("Getvar", "No such channel"),
        }
    )
    await ask(asterisk, lineup)
    assert ranks(lineup) == [1500.123, NOW - 10, NOW - 10]
    assert [entry.joined for entry in lineup.entries(QUEUE)] == [NOW - 10] * 3
    relist(lineup, "came-back", "has-none", "has-gone")
    await ask(asterisk, lineup)
    assert len(asterisk.asked) == 3
    assert ranks(lineup)[0] == 1500.123


@pytest.mark.parametrize("error", [NotConnected("x"), OutcomeUnknown("Getvar", "1", "late")])
async def test_who_could_not_be_asked_is_asked_after_the_next_list(error: Exception) -> None:
    lineup = in_line("one", "two")
    await ask(Asterisk({"one": error, "two": "1600000"}), lineup)
    assert ranks(lineup) == [NOW - 10, 1600.0]
    again = Asterisk({"one": "1500000"})
    relist(lineup, "one", "two")
    await ask(again, lineup)
    assert (ranks(lineup), again.asked) == ([1500.0, 1600.0], ["one"])


async def test_nobody_is_asked_whose_rank_was_heard() -> None:
    lineup = in_line()
    fields = {"UserEvent": "BreachlinePlace", "Call": "one", "Rank": "1500.5"}
    lineup.on_event(Event("UserEvent", fields, 0.0))
    relist(lineup, "one")
    await ask(Asterisk({}), lineup)
    assert ranks(lineup) == [1500.5]


async def test_few_are_asked_at_once_and_an_asterisk_that_is_silent_is_not_waited_for() -> None:
    channels = [f"channel-{number}" for number in range(3 * AT_ONCE)]
    lineup = in_line(*channels)
    asterisk = Asterisk(dict.fromkeys(channels, "1500000"))
    asterisk.answers.clear()
    await ask(asterisk, lineup, 0.05)
    assert asterisk.most == AT_ONCE
    assert set(ranks(lineup)) == {NOW - 10}
    asterisk.answers.set()
    await ask(asterisk, lineup)
    assert set(ranks(lineup)) == {1500.0}
    assert asterisk.most == AT_ONCE


async def test_who_leaves_meanwhile_is_not_remembered() -> None:
    lineup = in_line("one")
    asterisk = Asterisk({"one": "1500000"})
    asterisk.answers.clear()
    asking = asyncio.create_task(ask(asterisk, lineup), name="ask")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lineup.on_event(Event("Hangup", {"Uniqueid": "one"}, 0.0))
    asterisk.answers.set()
    await asking
    assert lineup.guessed() == ()
    relist(lineup, "one")
    assert ranks(lineup) == [NOW - 10]
