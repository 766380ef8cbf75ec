"""What heals the line of kept places, with the real store and an Asterisk that only listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from incident.outcomes import CallbackOutcome
from incident.plan import parse_plan
from incident.settings import CarrierSettings
from incident.store import callbacks
from incident.store.callbacks import Begun, PlaceState
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident
from incident.store.schema import CallbackAttemptRow
from ivr import keeper
from ivr.callback_route import CallbackRoute
from ivr.calls import HOTLINE, Call, CallBook
from ivr.journal import Journal
from ivr.keeper import OPEN_SECONDS, Keeper
from ivr.keeping.rules import CallbackRules
from ivr.lineup import Lineup
from ivr.orphans import ORPHAN_SECONDS
from ivr.served import Incidents, ServedIncident
from ivr.tries import CallbackTries
from ivr.trunks import Trunks
from pbx import names
from pbx.ami import AmiClient, Event, Refused, Response
from pbx.spool import write_spooled
from tests.ivr_talk import Caller, Published, request, served
from tests.running import eventually, plan_text

PLAN = parse_plan(plan_text(), "test")
TOKEN = "0123456789abcdef" * 2
PHONE = "+12025550101"
PLACEHOLDER = f"Local/{TOKEN}@kept-far-00000001;1"
TRY = "a" * 32
AT = 1000.0
QUEUE_START = "1|NONE|NONE|NONE|QUEUESTART|\n"
OWNER = "PJSIP/carrier-public-00000007"
QUEUE = "northwind-en"
IN_LINE = "node1-1795465328.80"


class Air:
    def __init__(self) -> None:
        self.all: dict[str, ServedIncident] = {PLAN.incident: served(PLAN)}

    def get(self, incident: str | None) -> ServedIncident | None:
        return self.all.get(incident or "")

    def queues(self) -> dict[str, tuple[str, str]]:
        return {QUEUE: ("northwind", "en")}


class Asterisk:
    """Takes every order and tells nothing of its own."""

    connected = True

    def __init__(self) -> None:
        self.orders: list[tuple[str, Mapping[str, str]]] = []
        self.originated: list[str] = []
        self.lists: list[str] = []
        self.variables: dict[tuple[str, str], str] = {}
        """By channel ("" for a function of none) and name."""
        self.refuses: set[str] = set()
        self.asked = 0

    async def action(self, name: str, fields: Mapping[str, str]) -> Response:
        if name != "Getvar":
            self.orders.append((name, fields))
            return Response(name, "1", {})
        self.asked += 1
        channel, variable = fields.get("Channel", ""), fields["Variable"]
        if channel in self.refuses:
            raise Refused(name, "No such channel")
        return Response(name, "1", {"Value": self.variables.get((channel, variable), "")})

    async def collect(self, name: str, *, timeout: float) -> list[Event]:
        self.lists.append(name)
        return []

    async def originate(self, *, channel: str, **_more: object) -> None:
        self.originated.append(channel)

    @property
    def taken_out(self) -> list[str]:
        return [fields["Caller"] for name, fields in self.orders if name == "QueueWithdrawCaller"]

    @property
    def opened(self) -> bool:
        return ("Setvar", {"Variable": names.LINE, "Value": "open"}) in self.orders


class Desk:
    """``log``: Asterisk's queue log."""

    def __init__(
        self,
        store: Store,
        log: Path,
        clock: Callable[[], float] = time.time,
        node: str = "node1",
    ) -> None:
        self.store = store
        self.log = log
        self.asterisk = Asterisk()
        self.book = CallBook("node1", Journal(store), Published())
        self.lineup = Lineup()
        self.lineup.serve([QUEUE])
        self.air = cast(Incidents, Air())
        self.keeper = Keeper(
            node="node1",
            ami=cast(AmiClient, self.asterisk),
            store=store,
            incidents=self.air,
            lineup=self.lineup,
            book=self.book,
            spool=log.with_name("spool"),
            clock=clock,
        )
        self.trunks = Trunks([CarrierSettings(name="public", host="127.0.25.2", outbound=True)])
        self.tries = CallbackTries(
            store=store,
            incidents=self.air,
            book=self.book,
            publisher=Published(),
            rules=CallbackRules(),
            trunks=self.trunks,
            log_file=log,
            node=node,
            clock=clock,
        )

    async def settle(self) -> None:
        await self.tries.settle(cast(AmiClient, self.asterisk))

    async def place(self, incident: ActiveIncident, call: str | None = None) -> None:
        await callbacks.keep(
            self.store,
            callbacks.request(
                incident.key,
                incident=incident.id,
                language="en",
                e164=PHONE,
                source="menu",
                source_key=TOKEN,
                call=call,
                now=1.0,
                token=TOKEN,
            ),
        )

    async def state(self) -> PlaceState | None:
        found = await callbacks.place_by_token(self.store, TOKEN)
        return None if found is None else found.state

    def in_person(self) -> Call:
        """The owner has called again and waits at the place."""
        call = self.book.begin(IN_LINE, "northwind", via=HOTLINE)
        self.book.in_person(call, TOKEN)
        self.book.queued(call, "en", self.book.now())
        return call

    async def looks(self, until: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.keeper.run(), name="keeper")
        try:
            await eventually(until)
        finally:
            task.cancel()
            await asyncio.wait({task})

    def joined(self) -> None:
        """The placeholder stands in line."""
        event = Event(
            "QueueCallerJoin",
            {
                "Queue": QUEUE,
                "Channel": PLACEHOLDER,
                "Uniqueid": f"kept-{TOKEN}",
                "Position": "1",
                "Count": "1",
            },
            0.0,
        )
        self.lineup.on_event(event)
        self.keeper.on_event(event)


async def test_who_met_an_agent_in_person_is_not_called_though_the_call_is_long_over(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    await desk.place(incident)
    call = desk.in_person()
    desk.book.connected(call, "1001", desk.book.now())
    desk.book.end(call, desk.book.now())
    assert desk.book.get(IN_LINE) is None
    desk.keeper.settled()
    await desk.looks(lambda: not desk.book.met_in_person())
    assert await desk.state() is PlaceState.CANCELLED
    assert desk.asterisk.originated == []


async def test_the_line_opens_once_the_kept_places_stand_in_it(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    await desk.place(incident)
    desk.keeper.settled()
    await desk.looks(lambda: bool(desk.asterisk.originated))
    assert not desk.asterisk.opened
    desk.joined()
    await desk.looks(lambda: desk.asterisk.opened)


async def test_the_line_opens_at_once_where_nobody_keeps_a_place(
    store: Store, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    desk.keeper.settled()
    await desk.looks(lambda: desk.asterisk.opened)


async def test_the_line_opens_though_a_placeholder_never_comes_and_again_after_a_restart(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    now = time.time()
    desk = Desk(store, tmp_path / "queue_log", lambda: now)
    await desk.place(incident)
    desk.keeper.settled()
    await desk.looks(lambda: bool(desk.asterisk.originated))
    assert not desk.asterisk.opened
    now += OPEN_SECONDS
    await desk.looks(lambda: desk.asterisk.opened)
    desk.asterisk.orders.clear()
    desk.keeper.lost()
    now += 1.0
    desk.keeper.settled()
    now += OPEN_SECONDS
    await desk.looks(lambda: desk.asterisk.opened)


async def test_a_placeholder_calls_nobody_who_is_on_the_line_in_person(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    await desk.place(incident)

    async def nothing() -> None:
        """Nothing is in the spool."""

    route = CallbackRoute(
        store=store,
        incidents=desk.air,
        tries=desk.tries,
        trunks=desk.trunks,
        node="node1",
        ring_seconds=30,
        ready=lambda: True,
        adopt=nothing,
    )
    desk.in_person()
    caller = Caller([], request=replace(request(), args=("northwind", TOKEN, "1001")))
    await route(caller.session)
    assert caller.variables[names.NEXT] == "leave"
    assert await desk.state() is PlaceState.OPEN


def joined_line(token: str = TOKEN) -> str:
    return f"{int(time.time())}|{IN_LINE}|{QUEUE}|agent-1001|BLJOINED|{token}\n"


async def test_where_nobody_is_called_and_nobody_waits_the_log_is_not_asked(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    desk.log.mkdir()  # whoever reads it fails
    await desk.settle()
    assert desk.asterisk.lists == []
    await desk.place(incident)
    with pytest.raises(IsADirectoryError):
        await desk.settle()


async def test_who_met_an_agent_before_the_store_had_the_place_is_not_called(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    desk.log.write_text(joined_line("f" * 32))
    await desk.place(incident)
    await desk.tries.taken(TOKEN)
    assert await desk.state() is PlaceState.OPEN
    with desk.log.open("a") as log:
        log.write(joined_line())
    await desk.tries.taken(TOKEN)
    assert await desk.state() is PlaceState.CANCELLED


async def test_a_sweep_finds_who_met_an_agent(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    await desk.place(incident)
    await desk.settle()
    assert await desk.state() is PlaceState.OPEN
    desk.log.write_text(joined_line())
    await desk.settle()
    assert await desk.state() is PlaceState.CANCELLED


async def begun(desk: Desk, at: float) -> Begun:
    """Somebody is being called back."""
    found = await callbacks.begin_attempt(
        desk.store, TOKEN, attempt_id=TRY, node="node1", carrier="public", agent="1001", now=at
    )
    assert isinstance(found, Begun)
    return found


async def ended(desk: Desk) -> str | None:
    async with desk.store.read() as session:
        return (await session.scalars(select(CallbackAttemptRow))).one().outcome


def tried(at: float, event: str, data: str = TOKEN) -> str:
    return f"{at}|{TRY}|{QUEUE}|NONE|{event}|{data}\n"


async def found_later(
    desk: Desk, incident: ActiveIncident, log: str, *, answered: bool = False
) -> tuple[str | None, PlaceState | None]:
    """What is made of a try (of `AT`) that nobody watched to its end, by what the log says and
    whether the store knows that somebody answered."""
    await desk.place(incident)
    await begun(desk, AT)
    if answered:
        await callbacks.note_answered(desk.store, TRY, AT + 10)
    desk.log.write_text(log)
    await desk.settle()
    return await ended(desk), await desk.state()


@pytest.mark.parametrize(
    ("lines", "outcome", "state"),
    [
        ("DIAL ANSWERED", CallbackOutcome.NOT_CARRIED, PlaceState.OPEN),
        ("DIAL ANSWERED MET", CallbackOutcome.UNKNOWN, PlaceState.DONE),
        ("DIAL", CallbackOutcome.UNKNOWN, PlaceState.OPEN),
        ("", CallbackOutcome.NOT_CARRIED, PlaceState.OPEN),
        ("DIAL ANSWERED OVER:CANCEL^", CallbackOutcome.AGENT_LEFT, PlaceState.OPEN),
        ("DIAL ANSWERED OVER:ANSWER^16", CallbackOutcome.NO_ANSWER, PlaceState.OPEN),
        ("DIAL ANSWERED MET OVER:ANSWER^16", CallbackOutcome.CONNECTED, PlaceState.DONE),
        # What came before is in a log that was put away.
        ("OVER:ANSWER^16", CallbackOutcome.CONNECTED, PlaceState.DONE),
        ("OVER:BUSY^17", CallbackOutcome.BUSY, PlaceState.OPEN),
    ],
)
async def test_only_who_met_the_agent_before_everything_died_has_talked(
    store: Store,
    incident: ActiveIncident,
    tmp_path: Path,
    lines: str,
    outcome: CallbackOutcome,
    state: PlaceState,
) -> None:
    said = QUEUE_START
    for each in lines.split():
        event, _, data = each.partition(":")
        said += tried(AT, f"BL{event}", data or TOKEN)
    desk = Desk(store, tmp_path / "queue_log", lambda: AT + 60)
    assert await found_later(desk, incident, said) == (outcome, state)


async def test_a_log_that_lost_what_the_store_knows_is_not_trusted(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    """The machine died: the database is safe on the disk, the last lines of the log are not."""
    desk = Desk(store, tmp_path / "queue_log", lambda: AT + 60)
    found = await found_later(desk, incident, QUEUE_START + tried(AT, "BLDIAL"), answered=True)
    assert found == (CallbackOutcome.UNKNOWN, PlaceState.DONE)


async def test_of_another_node_nothing_is_ended(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log", lambda: AT + 60, node="node2")
    assert await found_later(desk, incident, QUEUE_START) == (None, PlaceState.CALLING)


async def test_a_placeholder_of_a_place_kept_during_the_look_stays(
    store: Store, incident: ActiveIncident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    desk.joined()
    looked = asyncio.Event()

    async def looks_too_early(*args: object) -> tuple[callbacks.Place, ...]:
        found = await callbacks.open_places(store)
        if not looked.is_set():
            await desk.place(incident)
            looked.set()
        return found

    monkeypatch.setattr(keeper, "open_places", looks_too_early)
    desk.keeper.settled()
    await desk.looks(lambda: desk.asterisk.opened)
    assert looked.is_set()
    assert [name for name, _ in desk.asterisk.orders] == ["Setvar"]


async def test_nobody_who_may_have_talked_is_called_again_where_the_log_is_too_young(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path / "queue_log", lambda: AT + 60)
    outcome, _ = await found_later(
        desk, incident, tried(AT + 40, "BLOVER", "ANSWER^16"), answered=True
    )
    assert outcome == CallbackOutcome.CONNECTED


@pytest.mark.parametrize(
    ("told", "logged", "outcome"),
    [
        ("BreachlineKeptMet", "", CallbackOutcome.CONNECTED),
        ("", "BLMET", CallbackOutcome.CONNECTED),  # the link was down at that moment
        ("", "", CallbackOutcome.NO_ANSWER),
    ],
)
async def test_a_talk_is_known_by_the_event_or_by_the_log(
    store: Store,
    incident: ActiveIncident,
    tmp_path: Path,
    told: str,
    logged: str,
    outcome: CallbackOutcome,
) -> None:
    desk = Desk(store, tmp_path / "queue_log")
    await desk.place(incident)
    desk.tries.begun(await begun(desk, time.time()))
    desk.log.write_text(tried(time.time(), "BLDIAL") + (tried(time.time(), logged)))
    for event in ("BreachlineKeptAnswered", told, "BreachlineKeptOver"):
        fields = {"UserEvent": event, "Token": TOKEN, "Try": TRY, "Status": "ANSWER"}
        desk.tries.on_event(Event("UserEvent", fields, 0.0))
    task = asyncio.create_task(desk.tries.run(), name="tries")
    try:
        await eventually(lambda: ended(desk))
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert await ended(desk) == outcome


class Orphaned:
    """A placeholder stands in line, and the store does not know its token."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.now = 1000.0
        self.desk = Desk(store, folder / "queue_log", lambda: self.now)
        self.asterisk = self.desk.asterisk
        self.spool = folder / "spool"
        self.desk.joined()
        self.desk.keeper.settled()

    async def looked_again(self) -> None:
        """Two whole looks."""
        for _ in range(3):
            asked = self.asterisk.asked
            self.desk.keeper.nudge()
            await eventually(lambda asked=asked: self.asterisk.asked > asked)  # type: ignore[misc]

    async def later(self) -> list[str]:
        """What was taken out, long after it was seen first."""
        await self.looked_again()
        self.now += ORPHAN_SECONDS
        await self.looked_again()
        return self.asterisk.taken_out


@pytest.fixture
async def orphaned(store: Store, tmp_path: Path) -> AsyncIterator[Orphaned]:
    made = Orphaned(store, tmp_path)
    task = asyncio.create_task(made.desk.keeper.run(), name="keeper")
    yield made
    task.cancel()
    await asyncio.wait({task})


async def test_a_placeholder_that_nobody_asks_for_goes_after_a_moment(orphaned: Orphaned) -> None:
    await orphaned.looked_again()
    orphaned.now += ORPHAN_SECONDS - 0.1
    await orphaned.looked_again()
    assert orphaned.asterisk.taken_out == []
    assert PLACEHOLDER in await orphaned.later()


async def test_a_place_stands_while_its_caller_gives_the_number(orphaned: Orphaned) -> None:
    asterisk = orphaned.asterisk
    asterisk.variables[PLACEHOLDER, names.OWNER] = OWNER
    asterisk.variables["", f"CHANNEL_EXISTS({OWNER})"] = "1"
    assert await orphaned.later() == []
    # The request may be on its way when the caller has gone: it has its moment, too.
    asterisk.variables["", f"CHANNEL_EXISTS({OWNER})"] = "0"
    await orphaned.looked_again()
    assert asterisk.taken_out == []
    assert PLACEHOLDER in await orphaned.later()


async def test_a_place_stands_while_its_request_is_in_the_spool(orphaned: Orphaned) -> None:
    write_spooled(orphaned.spool, "northwind", b"sealed", TOKEN)
    assert await orphaned.later() == []
    # Refused, say: the number is not one that may be called.
    (orphaned.spool / f"{TOKEN}.sealed").unlink()
    assert PLACEHOLDER in await orphaned.later()


async def test_a_placeholder_that_goes_by_itself_is_left_alone(orphaned: Orphaned) -> None:
    orphaned.asterisk.refuses.add(PLACEHOLDER)
    assert await orphaned.later() == []
