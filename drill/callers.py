"""Simulated callers: they dial the hotline, press their way through its menus, and say what
they met there. What a caller met is heard on the line (see ``drill/network``), not assumed."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pbx.ami import AmiClient, AmiError, Event


@dataclass(frozen=True, slots=True)
class Intent:
    """What a caller wants. ``keys``: (seconds before, key). ``stay``: seconds of listening to
    an answer before hanging up; ``agent``: stays for an agent, at most ``patience`` seconds."""

    name: str
    keys: tuple[tuple[float, str], ...]
    stay: float = 4.0
    agent: bool = False
    patience: int = 90

    @property
    def steps(self) -> str:
        return "-".join(f"{seconds:g}:{key}" for seconds, key in self.keys)


INTENTS: Mapping[Intent, float] = {
    Intent("what happened", ((1, "1"), (1.5, "1"))): 4,
    Intent("what happened (es)", ((1, "2"), (1.5, "1"))): 2,
    Intent("credit freeze", ((1, "1"), (1.5, "3"), (1.5, "1"))): 3,
    Intent("fraud alert (es)", ((1, "2"), (1.5, "3"), (1.5, "2"))): 1,
    Intent("bank and cards", ((1, "1"), (1, "3"), (1, "4"))): 1,
    Intent("medical identity", ((1, "1"), (1, "3"), (1, "5"))): 1,
    Intent("enrolment", ((1, "1"), (1.5, "4"))): 2,
    Intent("genuine?", ((1, "1"), (1.5, "5"))): 1,
    Intent("repeat and back", ((1, "1"), (1, "3"), (1, "*"), (1, "#"), (1, "1"))): 1,
    Intent("wrong key first", ((1, "1"), (1, "8"), (3, "1"))): 1,
    Intent("agent", ((1, "1"), (1.5, "0")), agent=True): 4,
    Intent("agent (es)", ((1, "2"), (1.5, "0")), agent=True): 2,
    Intent("agent after an answer", ((1, "1"), (1, "1"), (2, "0")), agent=True): 2,
}
"""What callers of the demo want, with weights."""


@dataclass(frozen=True, slots=True)
class CallerResult:
    """How one simulated call went. ``reached``: met what was wanted. ``dropped``: the other side
    ended the call before the caller had pressed all keys or, wanting an agent, had met one."""

    intent: str
    pressed_all: bool
    met_agent: bool
    ended_by_caller: bool
    answered: bool

    def reached(self, wants_agent: bool) -> bool:
        return self.met_agent if wants_agent else (self.pressed_all and self.ended_by_caller)

    def dropped(self, wants_agent: bool) -> bool:
        if not self.answered:
            return True
        return not self.ended_by_caller and not (wants_agent and self.met_agent)


@dataclass
class Callers:
    """Places simulated calls from the public network and collects how they went."""

    ami: AmiClient
    did: str
    seed: int = 1
    intents: Mapping[Intent, float] = field(default_factory=lambda: INTENTS)
    results: list[tuple[Intent, CallerResult]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 - a simulation, not a secret
        self._open: dict[str, asyncio.Future[CallerResult]] = {}
        self._intents: dict[str, Intent] = {}
        self._undo = [
            self.ami.subscribe(["UserEvent"], self._reported),
            self.ami.subscribe(["OriginateResponse"], self._placed),
        ]

    def close(self) -> None:
        for undo in self._undo:
            undo()

    @property
    def active(self) -> int:
        return len(self._open)

    def draw(self) -> Intent:
        return self._rng.choices(list(self.intents), list(self.intents.values()))[0]

    async def place(self, intent: Intent) -> asyncio.Future[CallerResult]:
        """Dial the hotline; the future resolves when the call is over."""
        call = uuid.uuid4().hex
        future: asyncio.Future[CallerResult] = asyncio.get_running_loop().create_future()
        self._open[call] = future
        self._intents[call] = intent
        area = self._rng.choice(("212", "303", "404", "512", "602", "702"))
        try:
            await self.ami.originate(
                channel=f"PJSIP/{self.did}@pbx",
                context="caller",
                exten="s",
                channel_id=call,
                timeout_ms=15000,
                caller_id=f"<+1{area}55501{self._rng.randrange(100):02d}>",
                variables={
                    "CALLER": call,
                    "STEPS": intent.steps,
                    "GOAL": "agent" if intent.agent else "leaf",
                    "STAY": f"{intent.stay:g}",
                    "PATIENCE": str(intent.patience),
                    "MET": "nobody",
                },
            )
        except AmiError:
            self._finish(call, CallerResult(intent.name, False, False, False, False))
        return future

    async def run(self, *, calls: int, seconds: float) -> None:
        """Place ``calls`` calls at random times (a Poisson stream conditioned on its number)
        within ``seconds``."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for at in sorted(self._rng.uniform(0, seconds) for _ in range(calls)):
            await asyncio.sleep(max(0.0, begin + at - loop.time()))
            await self.place(self.draw())

    async def finished(self, timeout: float) -> None:
        """Wait until every call placed so far is over; TimeoutError if one is not."""
        pending: Sequence[asyncio.Future[CallerResult]] = list(self._open.values())
        if pending:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*pending)

    def _finish(self, call: str, result: CallerResult) -> None:
        future = self._open.pop(call, None)
        intent = self._intents.pop(call, None)
        if future is None or intent is None:
            return
        self.results.append((intent, result))
        if not future.done():
            future.set_result(result)

    def _placed(self, event: Event) -> None:
        call = event.get("Uniqueid")
        if event.get("Response") != "Success" and call in self._open:
            name = self._intents[call].name
            self._finish(call, CallerResult(name, False, False, False, False))

    def _reported(self, event: Event) -> None:
        if event.get("UserEvent") != "DrillCaller" or event.get("Caller") not in self._open:
            return
        call = event.get("Caller")
        self._finish(
            call,
            CallerResult(
                intent=self._intents[call].name,
                pressed_all=event.get("Pressed") == "all",
                met_agent=event.get("Met") == "agent",
                ended_by_caller=event.get("Ended") == "self",
                answered=True,
            ),
        )
