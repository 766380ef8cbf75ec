"""One running campaign: looks, decides, leases, places; and always knows why it does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from dialer.agents_watch import AgentsWatch
from dialer.breaker import Breaker
from dialer.eligibility import CampaignRules, campaign_open, may_call
from dialer.give_way import Inbound, Yield, give_way
from dialer.limits import CallRate
from dialer.lines import Line, Lines
from dialer.pacing import Decision, Limits, Pacer, Snapshot
from dialer.placing import Placer
from dialer.recovery import Recovery
from dialer.sharing import claimed
from incident.privacy import PrivacyError
from incident.settings import CarrierSettings
from incident.store.attempts import Candidate, Opened, lease_and_open
from incident.store.campaigns import Campaign, Desired
from incident.store.do_not_call import WHY as ASKED_NOT
from incident.store.do_not_call import contact_asked_not
from incident.store.engine import Store, StoreError
from incident.store.inbound_load import InboundLoad
from incident.store.incidents import ActiveIncident
from pbx import names

log: Final = logging.getLogger(__name__)

TICK_SECONDS = 0.2
_BREATH_SECONDS = 0.02
"""Between two looks at least: a storm of events must not become a storm of decisions."""
_EMPTY_FIRST = 0.5
_EMPTY_LAST = 5.0
_PLACING_GRACE = 8.0
_STALE_SECONDS = 10.0
"""An attempt that is older is not placed any more; see ``recovery.OPENING_SECONDS``."""


@dataclass(slots=True)
class Floor:
    """What all campaigns of this process share. ``loads``: fresh news of how busy the hotlines
    are; ``give_way_above``: so many callers may wait for agents whom notice calls need, too (None:
    notice calls never give way)."""

    store: Store
    lines: Lines
    watch: AgentsWatch
    recovery: Recovery
    placer: Placer
    rates: dict[str, CallRate] = field(default_factory=dict)
    breakers: dict[tuple[str, str], Breaker] = field(default_factory=dict)
    loads: tuple[InboundLoad, ...] = ()
    give_way_above: int | None = None

    def breaker(self, campaign: str, queue: str) -> Breaker:
        return self.breakers.setdefault((campaign, queue), Breaker())

    def gives_way(self, queue: str) -> Yield | None:
        """Whether callers come first at this moment."""
        if self.give_way_above is None:
            return None
        waiting = Counter(at for call, at in self.watch.waiting() if self.lines.get(call) is None)
        # Looked at again here: the store may have been away since they were read.
        loads = tuple(load for load in self.loads if load.fresh(time.time()))
        inbound = Inbound(loads, waiting, self.give_way_above)
        return give_way(queue, self.watch.serving(), inbound)

    def needs(self, now: float) -> Counter[str]:
        """Calls by queue for which an idle agent will be needed."""
        found: Counter[str] = Counter()
        for queue in self.lines.queues():
            found[queue] += len(self.lines.ringing(queue, now))
        for line in self.lines:
            if line.waits and not self.watch.offered(line.id):
                found[line.queue] += 1
        for call, queue in self.watch.waiting():
            if self.lines.get(call) is None:
                found[queue] += 1
        return found


@dataclass(frozen=True, slots=True)
class LanguageReport:
    """The latest decision for one language, for ``campaign explain``."""

    queue: str
    dial: int
    reason: str
    numbers: Mapping[str, float]


@dataclass(slots=True)
class _Language:
    queue: str
    report: LanguageReport | None = None
    empty_until: float = 0.0
    empty_pause: float = _EMPTY_FIRST


class Runner:
    """Owns the task of one campaign that should run. ``campaign`` is replaced by the service as
    the store changes; ``blocked`` says what keeps it from dialling at all, if anything."""

    def __init__(
        self,
        campaign: Campaign,
        incident: ActiveIncident,
        *,
        carrier: CarrierSettings,
        pacer: Pacer,
        rules: CampaignRules,
        floor: Floor,
    ) -> None:
        self.campaign = campaign
        self.blocked = ""
        self.last_placed: float | None = None
        self._incident = incident
        self._carrier = carrier
        self._pacer = pacer
        self._rules = rules
        self._floor = floor
        self._languages = {
            language: _Language(names.queue(incident.id, language))
            for language in incident.plan.languages
        }
        self._rate = CallRate(campaign.calls_per_second)
        self._nudge = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._placing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"campaign-{self.campaign.id}")

    @property
    def failed(self) -> bool:
        """The task ended though nobody asked it to."""
        return self._task is not None and self._task.done() and not self._stopping

    def nudge(self) -> None:
        """Something may have changed: look now."""
        self._nudge.set()

    def halt(self) -> None:
        """Place nothing from this moment on."""
        self._stopping = True
        self._nudge.set()

    async def stop(self) -> None:
        """Place nothing more; wait for the replies to what was sent already."""
        self.halt()
        tasks = {*self._placing, *([self._task] if self._task is not None else [])}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PLACING_GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._task is not None and not self._task.cancelled():
            failure = self._task.exception()
            if failure is not None:
                log.error("campaign %s failed: %r", self.campaign.id, failure)

    def update(self, campaign: Campaign) -> None:
        """Take over what the store says now."""
        self.campaign = campaign
        self._rate.change(campaign.calls_per_second)
        if campaign.desired is not Desired.RUNNING:
            self.halt()

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(item.queue for item in self._languages.values())

    def reports(self) -> tuple[LanguageReport, ...]:
        return tuple(item.report for item in self._languages.values() if item.report is not None)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._tick()
            except (StoreError, SQLAlchemyError, OSError) as error:
                self.blocked = f"the store cannot be used now ({type(error).__name__})"
                log.warning("campaign %s: %s", self.campaign.id, self.blocked)
                await asyncio.sleep(TICK_SECONDS)
            await asyncio.sleep(_BREATH_SECONDS)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._nudge.wait()
            except TimeoutError:
                pass
            self._nudge.clear()

    async def _tick(self) -> None:
        if not self._floor.recovery.ready:
            self.blocked = "no link to Asterisk, or its calls in flight are still being looked up"
            return
        verdict = campaign_open(self._rules, time.time())
        self.blocked = verdict.reason
        if not verdict.ok:
            return
        # In turn, so that no language takes every agent whom two of them share.
        for language in tuple(self._languages):
            self._languages[language] = self._languages.pop(language)
            await self._dial(language)
        first = next(iter(self._languages))
        self._languages[first] = self._languages.pop(first)

    def _snapshot(self, queue: str, now: float) -> Snapshot:
        floor, campaign = self._floor, self.campaign
        own = {line.id for line in floor.lines}
        waiting = [call for call, at in floor.watch.waiting() if at == queue and call not in own]
        answered = [
            line
            for line in floor.lines
            if line.queue == queue and line.waits and not floor.watch.offered(line.id)
        ]
        carrier = self._carrier_rate()
        return Snapshot(
            queue=queue,
            now=now,
            agents=floor.watch.views(queue),
            claimed=claimed(floor.watch.idle(), queue, floor.needs(now)),
            ringing=floor.lines.ringing(queue, now),
            answered_waiting=len(answered),
            inbound_waiting=len(waiting),
            limits=Limits(
                channels=self._carrier.max_channels - floor.lines.of_carrier(campaign.carrier),
                calls=min(carrier.available(now), self._rate.available(now)),
                ceiling=campaign.max_lines - floor.lines.of_campaign(campaign.id),
            ),
        )

    def _carrier_rate(self) -> CallRate:
        return self._floor.rates.setdefault(
            self._carrier.name, CallRate(self._carrier.calls_per_second)
        )

    async def _dial(self, language: str) -> None:
        state = self._languages[language]
        now = time.monotonic()
        if now < state.empty_until or self._stopping:
            return
        held = self._floor.breaker(self.campaign.id, state.queue).held(now)
        if held is not None:
            state.report = LanguageReport(state.queue, 0, self._held_words(*held), {})
            return
        yielding = self._floor.gives_way(state.queue)
        if yielding is not None:
            state.report = LanguageReport(state.queue, 0, yielding.reason, dict(yielding.numbers))
            return
        decision = self._pacer.decide(self._snapshot(state.queue, now))
        if decision.dial > 0:
            opened = await self._open(language, state.queue, decision.dial, now)
            decision = self._note_supply(state, decision, len(opened))
            for attempt in opened:
                self._place(attempt)
        state.report = LanguageReport(
            state.queue, decision.dial, decision.reason, dict(decision.numbers)
        )

    def _held_words(self, seconds: float, why: str) -> str:
        zone = ZoneInfo(self._rules.hours.timezone)
        until = datetime.fromtimestamp(time.time() + seconds, zone)
        return f"{why}: held until {until:%H:%M:%S}; are the agents at their telephones?"

    def _note_supply(self, state: _Language, decision: Decision, found: int) -> Decision:
        if found >= decision.dial:
            state.empty_pause = _EMPTY_FIRST
            return decision
        # Asking again and again for contacts that are not due yet would cost the store a scan.
        state.empty_until = time.monotonic() + state.empty_pause
        state.empty_pause = min(_EMPTY_LAST, state.empty_pause * 2)
        reason = f"no further contact for {state.queue} is due now"
        return Decision(found, reason, decision.numbers)

    async def _open(self, language: str, queue: str, number: int, now: float) -> tuple[Opened, ...]:
        """Keep the places, lease and commit; the places of those that were not found go back."""
        floor, campaign = self._floor, self.campaign
        rates = (self._carrier_rate(), self._rate)
        floor.lines.keep(campaign.id, campaign.carrier, queue, number)
        for rate in rates:
            rate.take(number, now)
        opened: tuple[Opened, ...] = ()
        try:
            opened = await self._lease(language, number)
            for attempt in opened:
                floor.lines.add(
                    Line(
                        id=attempt.id,
                        campaign=campaign.id,
                        incident=self._incident.id,
                        language=language,
                        carrier=campaign.carrier,
                        placed=time.monotonic(),
                        ring_seconds=campaign.ring_seconds,
                        link=floor.recovery.link,
                    )
                )
        finally:
            floor.lines.keep(campaign.id, campaign.carrier, queue, -number)
            for rate in rates:
                rate.give_back(number - len(opened))
        return opened

    async def _lease(self, language: str, number: int) -> tuple[Opened, ...]:
        floor, campaign = self._floor, self.campaign
        try:
            return await lease_and_open(
                floor.store,
                campaign.id,
                language,
                number,
                time.time(),
                held=self._held,
                again=self._rules.again,
            )
        except BaseException:
            # It may have been committed all the same: then its attempts belong to nobody.
            floor.recovery.check()
            raise

    def _held(self, contact: Candidate) -> float | None:
        verdict = may_call(contact, self._rules, time.time())
        return None if verdict.ok else verdict.until

    def _place(self, attempt: Opened) -> None:
        task = asyncio.create_task(self._place_one(attempt), name=f"place-{attempt.id}")
        self._placing.add(task)
        task.add_done_callback(lambda ended: self._placed(attempt, ended))

    def _placed(self, attempt: Opened, task: asyncio.Task[None]) -> None:
        self._placing.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is None:
                return
            # Only its kind: the words of an error could hold the number.
            log.error("attempt %s: placing failed (%s)", attempt.id, type(error).__name__)
        line = self._floor.lines.get(attempt.id)
        if line is not None:
            line.doubtful = True
        self._floor.recovery.check()

    async def _place_one(self, attempt: Opened) -> None:
        line = self._floor.lines.get(attempt.id)
        if line is None:
            self._sending(False)  # recovery saw a lost link first, and has ended it
            return
        line.link = self._floor.recovery.link
        try:
            phone = self._incident.key.decrypt(attempt.phone)
        except (PrivacyError, ValueError):
            self._sending(False)
            self._floor.placer.unreadable(line)
            return
        refused = await self._refused(attempt)
        await self._floor.placer.place(
            line,
            phone=phone,
            caller_id=attempt.did,
            ring_seconds=self.campaign.ring_seconds,
            may_send=lambda: refused or self._why_not(attempt),
            sending=self._sending,
        )

    async def _refused(self, attempt: Opened) -> str:
        """Whether the person asked, since the lease, not to be called. Who cannot be asked about
        is not called either."""
        try:
            async with self._floor.store.read() as session:
                return ASKED_NOT if await contact_asked_not(session, attempt.contact) else ""
        except (StoreError, SQLAlchemyError, OSError) as error:
            return f"the store cannot be asked ({type(error).__name__})"

    def _why_not(self, attempt: Opened) -> str:
        now = time.time()
        if self._stopping:
            return "the campaign was paused or the dialer is stopping"
        if not self._floor.recovery.ready:
            return "no link to Asterisk"
        if now - attempt.created_at > _STALE_SECONDS:
            return "the store took too long"  # recovery may have given it up
        return campaign_open(self._rules, now).reason

    def _sending(self, goes: bool) -> None:
        now = time.monotonic()
        for rate in (self._carrier_rate(), self._rate):
            if goes:
                rate.sent(now)
            else:
                rate.give_back()
        if goes:
            self.last_placed = time.time()

    @property
    def why(self) -> str:
        """Why nothing is being dialled now; empty while something is."""
        if self.blocked:
            return self.blocked
        reports = self.reports()
        if any(report.dial for report in reports):
            return ""
        return "; ".join(report.reason for report in reports)
