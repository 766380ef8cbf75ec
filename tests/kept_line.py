"""A line with kept places, for tests: callers who keep theirs, people who are called back, agents
whose telephones answer. Everything is SIP on loopback; order is what the agents' telephones and
the people's tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import select

from incident.store.agents import list_agents
from incident.store.incidents import active_incidents
from incident.store.schema import CallbackAttemptRow, CallbackRow
from pbx.ami import Refused
from pbx.names import kept_token
from tests.running import Running, eventually
from tests.sip_caller import SipCall
from tests.sip_peer import Ringing, SipPeer, sip_peer

DID = "+18005550199"
QUEUE = "northwind-en"
TO_THE_LINE = ",1,0"
CONFIRM = "1"
SOON = "1"


@dataclass
class People:
    """Those who are called back: what each telephone does is set by its number."""

    calls: list[Ringing] = field(default_factory=list)
    does: dict[str, Callable[[Ringing], None]] = field(default_factory=dict)

    def ring(self, call: Ringing) -> None:
        self.calls.append(call)
        self.does.get(call.number, Ringing.answer)(call)

    def rang(self, number: str) -> int:
        """How often this telephone was called."""
        return sum(call.number == number for call in self.calls)

    def call(self, number: str) -> Ringing:
        return next(call for call in reversed(self.calls) if call.number == number)


@dataclass
class Agents:
    """Telephones that answer whatever rings; ``calls`` in the order in which they came."""

    calls: list[Ringing] = field(default_factory=list)

    def ring(self, call: Ringing) -> None:
        self.calls.append(call)
        call.answer()


@dataclass
class Line:
    system: Running
    host: str
    people: People
    agents: Agents
    stack: AsyncExitStack

    async def dial(self, caller: str) -> SipCall:
        """A caller in the menus."""
        call = SipCall(self.host, (self.system.settings.bind, 5060), DID, caller)
        self.stack.callback(_leave, call)
        await call.dial()
        assert call.status == 200
        return call

    async def wait_in_line(self, caller: str) -> SipCall:
        """A caller who joins the line, behind all who are there."""
        before = len(await self.entries())
        call = await self.dial(caller)
        await call.press(TO_THE_LINE)
        await eventually(lambda: self.stand(before + 1))
        return call

    async def wait_in_line_emergency(self, caller: str) -> SipCall:
        """The same while the hotline is not there: language, no number."""
        before = len(await self.entries())
        call = await self.dial(caller)
        await call.press(f"{',' * 7}1,,2")
        await eventually(lambda: self.stand(before + 1))
        return call

    async def keep(self, call: SipCall, *, keys: str = CONFIRM) -> str:
        """A caller in line keeps the place; gives its token, once the call is over."""
        known = {place.token for place in await self.places()}
        await self.press_until_held(call)
        await call.press(f",,{keys},,{SOON}")
        await call.ended()

        async def new() -> bool:
            return any(place.token not in known for place in await self.places())

        await eventually(new)
        (place,) = [place for place in await self.places() if place.token not in known]
        return place.token

    async def press_until_held(self, call: SipCall) -> None:
        """Press 1 in line. While the place in line is being said, app_queue swallows a key."""
        before = await self.placeholders()
        for _ in range(20):
            await call.press("1")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.6):
                    while await self.placeholders() == before:
                        await asyncio.sleep(0.02)
                    return
        raise AssertionError("the key was not taken")

    async def entries(self) -> list[tuple[str, str]]:
        """The line by Asterisk's own account, the head first: token or "", and channel."""
        events = await self.system.ami.collect("QueueStatus", {"Queue": QUEUE})
        found = sorted(
            (int(event.get("Position")), event.get("Channel"))
            for event in events
            if event.name == "QueueEntry"
        )
        return [(kept_token(channel) or "", channel) for _, channel in found]

    async def stand(self, number: int) -> bool:
        return len(await self.entries()) == number

    async def placeholders(self) -> list[str]:
        return [token for token, _ in await self.entries() if token]

    async def tokens(self) -> list[str]:
        return [token for token, _ in await self.entries()]

    async def places(self) -> list[CallbackRow]:
        async with self.system.store.read() as session:
            return list(await session.scalars(select(CallbackRow).order_by(CallbackRow.id)))

    async def place(self, token: str) -> CallbackRow:
        return next(place for place in await self.places() if place.token == token)

    async def tries(self) -> list[CallbackAttemptRow]:
        async with self.system.store.read() as session:
            return list(
                await session.scalars(
                    select(CallbackAttemptRow).order_by(CallbackAttemptRow.created_at)
                )
            )

    async def state(self, token: str, state: str) -> None:
        """Wait until a place is in this state."""

        async def there() -> bool:
            return (await self.place(token)).state == state

        await eventually(there)

    async def numbers(self) -> dict[str, str]:
        """The number of each place, by token."""
        (incident,) = await active_incidents(self.system.store)
        return {place.token: incident.key.decrypt(place.phone_enc) for place in await self.places()}

    async def sign_in(self, agent: str = "1001") -> None:
        await self.system.sign_in(agent, QUEUE)

    async def sign_out(self, agent: str = "1001") -> None:
        with suppress(Refused):
            await self.system.ami.action(
                "QueueRemove", {"Queue": QUEUE, "Interface": f"PJSIP/agent-{agent}"}
            )

    async def agent_call(self, number: int) -> Ringing:
        """The ``number``-th call that agents got, counted from 1, once it stands."""
        await eventually(lambda: len(self.agents.calls) >= number)
        call = self.agents.calls[number - 1]
        await eventually(call.acknowledged.is_set)
        return call

    async def connected(self, number: int) -> Ringing:
        """The same, once whoever stood in line is given to the agent: one who hangs up before that
        has met nobody, and the caller stays in line."""
        call = await self.agent_call(number)
        log = self.system.home.asterisk / "log" / "queue_log"
        await eventually(lambda: log.read_text(encoding="utf-8").count("|CONNECT|") >= number)
        return call

    async def talks(self, token: str) -> None:
        """Wait until a person has heard who calls, and talks with the agent."""
        log = self.system.home.asterisk / "log" / "queue_log"
        await eventually(lambda: f"|BLMET|{token}" in log.read_text(encoding="utf-8"))

    async def quiet(self) -> bool:
        return not await self.system.ami.collect("CoreShowChannels")


def _leave(call: SipCall) -> None:
    if call.answered.is_set() and not call.over.is_set():
        call.hang_up()
    call.close()


@asynccontextmanager
async def line(system: Running, agents_host: str) -> AsyncIterator[Line]:
    """Nobody is in line at the beginning, nobody on the telephone at the end."""
    people, agents = People(), Agents()
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(sip_peer(system.caller, 5060, people.ring))
        phones = await stack.enter_async_context(sip_peer(agents_host, 5060, agents.ring))
        for agent in await list_agents(system.store):
            await phones.register(
                f"agent-{agent.number}", agent.password, (system.settings.bind, 5060)
            )
        made = Line(system, system.caller, people, agents, stack)
        try:
            yield made
        finally:
            for agent in await list_agents(system.store):
                await made.sign_out(agent.number)
            for call in (*people.calls, *agents.calls):
                if call.acknowledged.is_set() and not call.ended.is_set():
                    call.hang_up()
            assert isinstance(outside, SipPeer)
