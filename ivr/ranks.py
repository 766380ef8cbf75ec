"""Since when those in line really wait: their own ranks, asked of Asterisk.

A list of the queues tells for how long somebody stands in this queue. Whoever came back from giving
a number, or takes a kept place in person, has waited for longer, and only their channel knows.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

from ivr.lineup import Entry, Lineup
from pbx import names
from pbx.ami import AmiClient, AmiError, Refused

log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 20
"""How many channels are asked at the same time."""
ANSWER_SECONDS: Final = 2.0
ALL_SECONDS: Final = 10.0
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")


async def ask_ranks(client: AmiClient, lineup: Lineup, *, seconds: float = ALL_SECONDS) -> None:
    """Ask everybody whose rank was taken from a list. Whoever does not say keeps that one; whoever
    could not be asked is asked again after the next list. Takes ``seconds`` at most."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(entry: Entry) -> None:
        async with turns:
            try:
                answer = await client.action(
                    "Getvar",
                    {"Channel": entry.channel, "Variable": names.RANK},
                    timeout=ANSWER_SECONDS,
                )
            except Refused:
                said = ""  # it has hung up
            except AmiError as error:
                log.debug("somebody in line cannot be asked since when (%s)", error)
                return
            else:
                said = answer.get("Value")
        if lineup.entry(entry.unique_id) is not None:
            rank = int(said) / 1000 if _MILLISECONDS.fullmatch(said) else None
            lineup.name(entry.unique_id, None, rank)

    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for entry in lineup.guessed():
                group.create_task(ask(entry), name="ask-rank")
    except TimeoutError:
        log.warning("it took too long to ask since when they wait: the list's word is taken")
