"""An Originate whose reply is lost, against a scripted Asterisk: looked up, never sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from dialer import campaign as running
from dialer import recovery as recovering
from dialer.agents_watch import AgentsWatch
from dialer.books import Books
from dialer.campaign import Floor, Runner
from dialer.eligibility import CallingHours, CampaignRules, Verdict
from dialer.lines import Line, Lines
from dialer.pacing import Decision, Snapshot
from dialer.placing import Placer
from dialer.recovery import Recovery
from dialer.retry import RetryRules
from dialer.tracker import Tracker
from incident.settings import CarrierSettings
from incident.store import campaigns
from incident.store.attempts import Opened, lease_and_open
from incident.store.campaigns import Desired
from incident.store.do_not_call import stop_calls
from incident.store.engine import Store
from pbx.ami import AmiClient, Timing
from tests.dialer_world import (
    BOTH,
    DRAFT,
    activated,
    add_contacts,
    attempts_of,
    contact_rows,
    eventually,
)
from tests.scripted_ami import HOST, Headers, Peer, ScriptedAmi, scripted_ami

PHONE = "+12125550101"
QUICK = Timing(ping_interval=600, retry_first=0.01, retry_most=0.02)


class Nobody:
    def publish(
        self, topic_suffix: str, payload: Mapping[str, Any], *, retain: bool = False
    ) -> None:
        assert PHONE[1:] not in f"{topic_suffix} {payload}"


@dataclass
class Desk:
    """One attempt that is committed and not yet sent, and all that would place and follow it."""

    store: Store
    asterisk: ScriptedAmi
    ami: AmiClient
    lines: Lines
    books: Books
    recovery: Recovery
    placer: Placer
    queue_log: Path
    opened: Opened
    paused: str = ""

    async def link(self, channels: list[dict[str, str]] | None = None) -> Peer:
        """Take the client's next login, and what it asks first."""
        peer = await self.asterisk.accept()
        await peer.log_in()
        # The look-up of a line whose reply was lost may be on its way before the queues' states.
        asked = await peer.receive()
        if asked["Action"] == ["CoreShowChannels"] and channels is not None:
            await self.answer(peer, asked, channels)
            asked, channels = await peer.receive(), None
        assert asked["Action"] == ["QueueStatus"], asked["Action"]
        await listed(peer, asked, "QueueStatusComplete", [])
        if channels is not None:
            await self.shown(peer, channels)
        return peer

    async def shown(self, peer: Peer, channels: list[dict[str, str]]) -> None:
        """Answer the look-up, with the channels that there are."""
        await self.answer(peer, await peer.expect("CoreShowChannels"), channels)

    async def answer(self, peer: Peer, asked: Headers, channels: list[dict[str, str]]) -> None:
        items = [{"Event": "CoreShowChannel", **item} for item in channels]
        await listed(peer, asked, "CoreShowChannelsComplete", items)

    async def ready(self) -> None:
        async def look() -> bool:
            return self.recovery.ready

        await eventually(look)

    def place(self) -> asyncio.Task[None]:
        line = Line(
            id=self.opened.id,
            campaign="notice",
            incident="northwind",
            language="en",
            carrier="public",
            placed=0.0,
            link=self.recovery.link,
        )
        self.lines.add(line)
        placing = self.placer.place(
            line,
            phone=PHONE,
            caller_id=self.opened.did,
            ring_seconds=25,
            may_send=lambda: self.paused,
            sending=lambda _goes: None,
        )
        return asyncio.create_task(placing, name="placing")

    async def outcome(self) -> tuple[str | None, str]:
        async def look() -> tuple[str | None, str] | None:
            rows = [row for row in await attempts_of(self.store) if row.ended_at is not None]
            return (rows[0].outcome, rows[0].detail or "") if rows else None

        return await eventually(look)


async def listed(peer: Peer, action: Headers, complete: str, items: list[dict[str, str]]) -> None:
    await peer.reply(action, EventList="start", Message="will follow")
    for item in [*items, {"Event": complete, "EventList": "Complete"}]:
        name = item["Event"]
        fields = {key: value for key, value in item.items() if key != "Event"}
        await peer.event(name, ActionID=action["ActionID"][0], **fields)


@pytest_asyncio.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    incident = await activated(store)
    await add_contacts(store, incident, [PHONE])
    await campaigns.create(store, DRAFT, BOTH)
    await campaigns.set_desired(store, "notice", Desired.RUNNING, 20.0)
    async with scripted_ami() as asterisk:
        ami = AmiClient(HOST, asterisk.port, "tester", "secret", timing=QUICK)
        lines, books, log = Lines(), Books(store), tmp_path / "queue_log"
        tracker = Tracker(
            ami,
            lines,
            books,
            publisher=Nobody(),
            rules=lambda _campaign: RetryRules(),
            changed=lambda: None,
        )
        recovery = Recovery(
            ami,
            store,
            lines=lines,
            books=books,
            tracker=tracker,
            watch=AgentsWatch(ami, 0.0),
            log_file=log,
            changed=lambda: None,
            settle=0.05,
            sweep=0.2,
        )
        placer = Placer(ami, tracker, recovery.check)
        books.start()
        recovery.start()
        await ami.start()
        # The first link comes up before there is an attempt: recovery has nothing to look for.
        placeholder = Opened("", "", 0, 0, "", b"", "", 0.0)
        made = Desk(store, asterisk, ami, lines, books, recovery, placer, log, placeholder)
        try:
            yield made
        finally:
            await recovery.stop()
            await ami.stop()
            tracker.close()
            await books.stop(5)


async def opened(desk: Desk) -> Peer:
    peer = await desk.link()
    await desk.ready()
    (desk.opened,) = await lease_and_open(desk.store, "notice", "en", 1, 100.0)
    return peer


async def test_the_order_names_the_attempt_and_nothing_personal(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    order = await peer.expect("Originate")
    assert order["ChannelId"] == [desk.opened.id]
    assert order["Channel"] == [f"PJSIP/{PHONE}@carrier-public"]
    assert order["Timeout"] == ["25000"]
    assert order["CallerID"] == ["+18005550199"]
    assert set(order["Variable"]) == {
        f"__BL_ATTEMPT={desk.opened.id}",
        "__BL_CAMPAIGN=notice",
        "__BL_INCIDENT=northwind",
        "__BL_LANGUAGE=en",
    }
    await peer.reply(order)
    await placing


async def test_a_lost_reply_is_looked_up_and_the_call_followed(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    await peer.expect("Originate")
    peer.drop()
    await placing
    channel = {"Uniqueid": desk.opened.id, "ChannelState": "5"}
    second = await desk.link([channel])
    await desk.ready()
    assert await second.silent(), "the order was sent again"
    await second.event("OriginateResponse", Response="Failure", Reason="0", Uniqueid=desk.opened.id)
    await second.event("Hangup", Uniqueid=desk.opened.id, Cause="17", TechCause="486")
    assert (await desk.outcome())[0] == "busy"
    assert len(await attempts_of(desk.store)) == 1


async def test_a_lost_reply_without_a_channel_is_unknown(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    await peer.expect("Originate")
    peer.drop()
    await placing
    second = await desk.link([])
    await desk.shown(second, [])
    assert (await desk.outcome())[0] == "unknown"
    await desk.ready()
    assert await second.silent(), "the order was sent again"


async def test_a_machine_that_an_agent_heard_meanwhile_is_no_success(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    await peer.reply(await peer.expect("Originate"))
    await placing
    peer.drop()
    told = [("ENTERQUEUE", "NONE"), ("CONNECT", "1001"), ("BLMACHINE", ""), ("COMPLETEAGENT", "")]
    at = int(time.time())
    desk.queue_log.write_text(
        "".join(f"{at}|{desk.opened.id}|q|{agent}|{event}|1|2\n" for event, agent in told)
    )
    second = await desk.link([])
    await desk.shown(second, [])
    assert (await desk.outcome())[0] == "machine"


async def test_a_channel_that_comes_up_late_is_followed(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    await peer.expect("Originate")
    peer.drop()
    await placing
    second = await desk.link([])
    await desk.shown(second, [{"Uniqueid": desk.opened.id, "ChannelState": "5"}])
    await desk.ready()
    assert (await attempts_of(desk.store))[0].ended_at is None
    await second.event("Newstate", Uniqueid=desk.opened.id, ChannelState="6")
    await second.event("AgentConnect", Uniqueid=desk.opened.id, MemberName="1001")
    await second.event("Hangup", Uniqueid=desk.opened.id, Cause="16")
    assert (await desk.outcome())[0] == "connected"


async def test_events_before_the_reply_are_taken_and_the_reply_changes_nothing(
    desk: Desk,
) -> None:
    peer = await opened(desk)
    placing = desk.place()
    order = await peer.expect("Originate")
    await peer.event("Newstate", Uniqueid=desk.opened.id, ChannelState="5")
    await peer.event("Hangup", Uniqueid=desk.opened.id, Cause="17")
    await peer.event("OriginateResponse", Response="Failure", Reason="0", Uniqueid=desk.opened.id)
    assert (await desk.outcome())[0] == "busy"
    await peer.reply(order)
    await placing
    assert len(desk.lines) == 0


async def test_without_a_link_nothing_was_sent_and_the_try_does_not_count(desk: Desk) -> None:
    peer = await opened(desk)
    await desk.asterisk.deafen()
    peer.drop()

    async def gone() -> bool:
        return not desk.ami.connected

    await eventually(gone)
    await desk.place()
    outcome, detail = await desk.outcome()
    assert (outcome, detail.startswith("not sent")) == ("failed", True)
    (contact,) = (await contact_rows(desk.store)).values()
    assert (contact.state, contact.attempts) == ("ready", 0)


async def test_a_refusal_is_explained_and_counts(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    order = await peer.expect("Originate")
    await peer.reply(order, "Error", Message="Permission denied")
    await placing
    assert await desk.outcome() == ("failed", "Asterisk refused: Permission denied")
    (contact,) = (await contact_rows(desk.store)).values()
    assert contact.attempts == 1


async def test_a_pause_at_the_last_moment_sends_nothing(desk: Desk) -> None:
    peer = await opened(desk)
    desk.paused = "the campaign was paused"
    await desk.place()
    assert (await desk.outcome())[1] == "not sent: the campaign was paused"
    assert await peer.silent()


class OneLine:
    """A pacer that wants one line, whoever is there."""

    name = "one-line"

    def decide(self, snapshot: Snapshot) -> Decision:
        return Decision(min(1, snapshot.limits.calls, snapshot.limits.ceiling), "", {})


@asynccontextmanager
async def campaign_of(desk: Desk) -> AsyncIterator[Runner]:
    watch = AgentsWatch(desk.ami, 0.0)
    runner = Runner(
        replace(await campaigns.get(desk.store, "notice"), max_lines=1),
        await activated(desk.store),
        carrier=CarrierSettings(name="public", host="127.0.0.9"),
        pacer=OneLine(),
        rules=CampaignRules(CallingHours.parse("00:00-24:00 UTC")),
        floor=Floor(desk.store, desk.lines, watch, desk.recovery, desk.placer),
    )
    runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def test_a_number_that_cannot_be_read_ends_its_attempt_and_frees_its_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.link()
    await desk.ready()

    async def sealed(*given: Any, **more: Any) -> tuple[Opened, ...]:
        return tuple(replace(item, phone=b"x") for item in await lease_and_open(*given, **more))

    monkeypatch.setattr(running, "lease_and_open", sealed)
    async with campaign_of(desk) as runner:
        assert await desk.outcome() == ("failed", "its number cannot be read")
        assert len(desk.lines) == 0
        rate = runner._carrier_rate()
        assert rate.available(time.monotonic()) == rate.per_second


async def test_who_asks_after_the_lease_not_to_be_called_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await desk.link()
    await desk.ready()

    async def asked(*given: Any, **more: Any) -> tuple[Opened, ...]:
        opened = await lease_and_open(*given, **more)
        incident = await activated(desk.store)
        for item in opened:
            number = incident.key.lookup_hash(incident.key.decrypt(item.phone))
            await stop_calls(
                desk.store, incident.id, number, source="hotline", call=None, now=time.time()
            )
        return opened

    monkeypatch.setattr(running, "lease_and_open", asked)
    async with campaign_of(desk) as runner:
        assert await desk.outcome() == ("failed", "not sent: asked not to be called")
        assert await peer.silent()
        assert runner.last_placed is None
    (contact,) = (await contact_rows(desk.store)).values()
    assert (contact.state, contact.attempts) == ("do_not_call", 0)


async def test_nobody_is_called_of_whom_the_store_cannot_say(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await desk.link()
    await desk.ready()

    async def away(*_given: object) -> bool:
        raise OSError("away")

    monkeypatch.setattr(running, "contact_asked_not", away)
    async with campaign_of(desk):
        assert (await desk.outcome())[1] == "not sent: the store cannot be asked (OSError)"
        assert await peer.silent()


async def test_a_call_that_failed_to_be_placed_is_looked_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await desk.link()
    await desk.ready()

    async def fail(*_given: object, **_more: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(desk.placer, "place", fail)
    async with campaign_of(desk):
        await desk.shown(peer, [])
        await desk.shown(peer, [])
        assert (await desk.outcome())[0] == "unknown"


async def test_a_lease_whose_commit_is_in_doubt_is_looked_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await desk.link()
    await desk.ready()
    monkeypatch.setattr(recovering, "OPENING_SECONDS", 0.1)

    async def lost(*given: Any, **more: Any) -> tuple[Opened, ...]:
        if await lease_and_open(*given, **more):
            raise OperationalError("COMMIT", None, Exception("connection lost"))
        return ()

    monkeypatch.setattr(running, "lease_and_open", lost)
    async with campaign_of(desk):
        await desk.shown(peer, [])
        await desk.shown(peer, [])
        assert (await desk.outcome())[0] == "unknown"


async def test_an_attempt_whose_commit_is_just_being_answered_is_left_alone(desk: Desk) -> None:
    peer = await desk.link()
    await desk.ready()
    assert await lease_and_open(desk.store, "notice", "en", 1, time.time())
    desk.recovery.check()
    assert await peer.silent()
    assert (await attempts_of(desk.store))[0].ended_at is None


async def test_a_line_that_rings_for_too_long_is_looked_up(desk: Desk) -> None:
    peer = await opened(desk)
    placing = desk.place()
    await peer.reply(await peer.expect("Originate"))
    await placing
    (line,) = desk.lines
    line.placed -= line.ring_seconds + recovering.OVERDUE_SECONDS + 1
    await desk.shown(peer, [])
    await desk.shown(peer, [])
    assert (await desk.outcome())[0] == "unknown"


@pytest.mark.parametrize(
    ("age", "verdict", "said"),
    [
        (60.0, Verdict(True), "the store took too long"),
        (0.0, Verdict(False, "outside the calling hours"), "outside the calling hours"),
    ],
)
async def test_the_last_look_before_the_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, age: float, verdict: Verdict, said: str
) -> None:
    peer = await desk.link()
    await desk.ready()

    async def late(*given: Any, **more: Any) -> tuple[Opened, ...]:
        found = await lease_and_open(*given, **more)
        monkeypatch.setattr(running, "campaign_open", lambda _rules, _now: verdict)
        return tuple(replace(item, created_at=item.created_at - age) for item in found)

    monkeypatch.setattr(running, "lease_and_open", late)
    async with campaign_of(desk):
        assert await desk.outcome() == ("failed", f"not sent: {said}")
    assert await peer.silent()
