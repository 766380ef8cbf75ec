"""What a caller of a surge does, from dialling to the end, and the story of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from drill.character import Character
from drill.line import Line, Lines

TALK_LIMIT: Final = 900.0
"""Seconds after which a caller ends a talk with an agent that nobody else ends."""
HELLO: Final = "C"
"""A key that no telephone has: the agent hears that somebody is there."""
HELLO_AFTER: Final = (0.5, 5.0)
"""Pressed twice: the first may be lost in the agent's own key."""
BEGIN: Final = 1.0
"""Seconds of listening before any key."""
ACCEPT_EVERY: Final = 8.0
ACCEPT_TRIES: Final = 10
"""A caller who wants to be called back presses 1 whenever the other side waits for an answer, and
at the latest after so many seconds, until it says goodbye: for the offer, for "is this your
number?", for "as soon as possible?", and again for a key that was not heard."""


class Phase(StrEnum):
    """Where a caller is."""

    RINGING = "ringing"
    MENU = "menu"
    ANSWER = "answer"
    WAITING = "waiting"
    KEEPING = "keeping"
    AGENT = "agent"
    OVER = "over"


class End(StrEnum):
    """How a call ended, as its caller met it.

    ``refused``: never answered (busy, 503, nobody there). ``served``: listened to an answer and
    hung up. ``agent``: an agent was heard. ``called_back``: asked for a call-back, and the other
    side ended the call; whether it was noted is the store's to say. ``gave_up``: hung up while
    waiting for an agent. ``dropped``: the other side ended the call before any of these.
    """

    REFUSED = "refused"
    SERVED = "served"
    AGENT = "agent"
    CALLED_BACK = "called_back"
    GAVE_UP = "gave_up"
    DROPPED = "dropped"


@dataclass(eq=False, slots=True)
class Story:
    """One call. ``phases``: (Unix seconds, phase), in order."""

    character: Character
    line: Line
    again: bool = False
    phases: list[tuple[float, Phase]] = field(default_factory=list)
    end: End | None = None

    @property
    def phase(self) -> Phase:
        return self.phases[-1][1] if self.phases else Phase.RINGING

    def phase_at(self, moment: float) -> Phase:
        """Where the caller was then (Unix seconds)."""
        there = [phase for at, phase in self.phases if at <= moment]
        return there[-1] if there else Phase.RINGING

    def since(self, phase: Phase) -> float | None:
        """When this phase began first."""
        return next((at for at, each in self.phases if each is phase), None)

    @property
    def wait(self) -> float | None:
        """Seconds between asking for an agent and hearing one."""
        asked = self.since(Phase.WAITING)
        if asked is None or self.line.agent_at is None:
            return None
        return max(0.0, self.line.agent_at - asked)


class Behaviour:
    """Plays one character on one line."""

    def __init__(self, lines: Lines, story: Story, *, offered: bool) -> None:
        self._lines = lines
        self._story = story
        self._line = story.line
        self._offered = offered

    async def play(self) -> Story:
        """Until the line is over."""
        story, line = self._story, self._line
        self._enter(Phase.RINGING, line.placed_at)
        try:
            story.end = await self._live()
        finally:
            await self._lines.hang_up(line)
            self._enter(Phase.OVER, line.over_at)
        return story

    def _enter(self, phase: Phase, at: float | None = None) -> None:
        self._story.phases.append((time.time() if at is None else at, phase))

    async def _live(self) -> End:
        line, character = self._line, self._story.character
        if not await line.until(line.answered, 30):
            return End.REFUSED
        self._enter(Phase.MENU)
        for seconds, key in character.keys:
            if await self._turn(seconds):
                return End.DROPPED
            await self._lines.press(line, key)
        if not character.agent:
            self._enter(Phase.ANSWER)
            return End.DROPPED if await line.until(line.over, character.stay) else End.SERVED
        self._enter(Phase.WAITING)
        return await self._wait(time.time() + character.patience)

    async def _wait(self, gives_up: float) -> End:
        line, after = self._line, self._story.character.accepts_after
        if self._offered and after is not None and not await line.until(line.agent, after):
            self._enter(Phase.KEEPING)
            for _ in range(ACCEPT_TRIES):
                if line.over.is_set():
                    break
                await self._lines.press(line, "1")
                await self._turn(ACCEPT_EVERY)
                if line.agent.is_set():
                    break
            if line.over.is_set() and not line.agent.is_set():
                return End.CALLED_BACK
        if await line.until(line.agent, gives_up - time.time()):
            self._enter(Phase.AGENT, line.agent_at)
            for seconds in HELLO_AFTER:
                await line.until(line.over, seconds)
                await self._lines.press(line, HELLO)
            await line.until(line.over, TALK_LIMIT)
            return End.AGENT
        return End.DROPPED if line.over.is_set() else End.GAVE_UP

    async def _turn(self, seconds: float) -> bool:
        """Until this caller wants to press, or is waited for; whether the line is over."""
        await self._line.until(self._line.over, min(BEGIN, seconds))
        return await self._lines.asked(self._line, seconds - BEGIN)
