"""The dialer: runs the campaigns that the store says should run.

    python -m dialer.service --home HOME

SIGTERM and SIGINT: nothing more is placed, replies that are due are waited for, then it ends.
Calls in flight go on in Asterisk; the next start finds out how they ended.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from dialer.agents_watch import AgentsWatch
from dialer.alone import Alone
from dialer.books import Books
from dialer.breaker import too_many
from dialer.campaign import Floor, Runner
from dialer.eligibility import BadHours, CallingHours, CampaignRules
from dialer.gauges import show_campaign, show_counts
from dialer.lines import Line, Lines
from dialer.pacing import Pacer, Progressive
from dialer.placing import Placer
from dialer.recovery import Recovery
from dialer.report import LiveReport, write_report
from dialer.retry import BadRules, RetryRules
from dialer.tracker import Tracker
from incident.events import BadBroker, EventPublisher
from incident.exposition import Exposition
from incident.home import Home
from incident.log import configure
from incident.messages import CampaignState, send
from incident.metrics import watch_disk
from incident.outcomes import AttemptOutcome
from incident.privacy import Keyring, PrivacyError
from incident.settings import Settings, SettingsError, load_settings
from incident.store import campaigns
from incident.store.attempts import abandonment
from incident.store.campaigns import Campaign, Desired
from incident.store.engine import Store, StoreError, migrate, open_store
from incident.store.inbound_load import fresh_loads
from incident.store.incidents import UnknownIncident, active_incident
from pbx.ami import AmiClient, Timing
from pbx.render import read_secrets

log: Final = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_COUNT_SECONDS = 5.0
_COUNT_SHARE = 20.0
"""Counting costs: at most one part in so many of the time goes into it."""
_FLUSH_SECONDS = 10.0
_DAY = 24 * 3600.0

PACERS: Final[Mapping[str, Pacer]] = {"progressive": Progressive()}


class AlreadyRunning(Exception):
    """Another dialer of this home runs: two would end each other's attempts."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"another dialer of this home is running (it holds {file})")


class DialerService:
    """Everything of one dialer process; ``start`` and ``stop`` once each."""

    def __init__(self, home: Home, settings: Settings, store: Store, alone: Alone) -> None:
        self._home = home
        self._alone = alone
        self._settings = settings
        self._store = store
        account = read_secrets(home)
        self._ami = AmiClient(
            settings.bind,
            settings.asterisk.ami_port,
            account.ami_user,
            account.ami_secret,
            timing=Timing(retry_most=2.0),
        )
        self._publisher = EventPublisher(
            settings.mqtt_url(), settings.node, "dialer", on_nudge=self._look
        )
        self._lines = Lines()
        self._books = Books(store)
        self._rules: dict[str, RetryRules] = {}
        self._watch = AgentsWatch(self._ami, settings.agents.wrapup_seconds, self._nudge)
        self._tracker = Tracker(
            self._ami,
            self._lines,
            self._books,
            publisher=self._publisher,
            rules=lambda campaign: self._rules.get(campaign, RetryRules()),
            changed=self._nudge,
            ended=self._ended,
        )
        self._recovery = Recovery(
            self._ami,
            store,
            lines=self._lines,
            books=self._books,
            tracker=self._tracker,
            watch=self._watch,
            log_file=home.asterisk / "log" / "queue_log",
            changed=self._nudge,
        )
        placer = Placer(self._ami, self._tracker, self._recovery.check)
        load = settings.load
        self._floor = Floor(
            store,
            self._lines,
            self._watch,
            self._recovery,
            placer,
            give_way_above=load.give_way_waiting if load.give_way else None,
        )
        self._runners: dict[str, Runner] = {}
        self._reasons: dict[str, str] = {}
        self._published: dict[str, tuple[Any, ...]] = {}
        self._counts: dict[str, Mapping[str, int]] = {}
        self._listed: tuple[Campaign, ...] = ()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._door = Exposition(settings.bind, settings.metrics.dialer_port, self._health)
        watch_disk(home.root)

    async def start(self) -> None:
        """Read the campaigns' rules first: recovery needs them to end what it finds."""
        await self._door.start()
        await self._publisher.start()
        self._books.start()
        for campaign in await campaigns.list_all(self._store):
            freed = await campaigns.settle_orphans(self._store, campaign.id)
            if freed:
                log.warning("campaign %s: %d contacts had a lease and no call", campaign.id, freed)
        await self._converge()
        self._recovery.start()
        await self._ami.start()
        self._tasks = [
            asyncio.create_task(self._alone.keep(), name="dialer-alone"),
            asyncio.create_task(self._poll(), name="dialer-poll"),
            asyncio.create_task(self._report(), name="dialer-report"),
            asyncio.create_task(self._count(), name="dialer-count"),
        ]

    async def stop(self) -> None:
        """Place nothing more, wait for what was sent, write what is known, then let go."""
        for runner in self._runners.values():
            runner.halt()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()))
        await self._recovery.stop()
        await self._ami.stop()
        self._tracker.close()
        self._watch.close()
        await self._books.stop(_FLUSH_SECONDS)
        await self._publisher.stop()
        await self._door.stop()

    def broken(self) -> str:
        """Which of our tasks ended though it should not have; empty while all is well."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        ended += ["dialer-books"] if self._books.failed else []
        ended += ["dialer-recovery"] if self._recovery.failed else []
        ended += ["ami"] if self._ami.failed else []
        return ", ".join(ended)

    def _health(self) -> Mapping[str, bool]:
        return {"asterisk": self._recovery.ready, "tasks": not self.broken()}

    def _look(self) -> None:
        self._wanted.set()

    def _ended(self, line: Line, outcome: AttemptOutcome) -> None:
        self._floor.breaker(line.campaign, line.queue).ended(outcome, time.monotonic())

    def _nudge(self) -> None:
        for runner in self._runners.values():
            runner.nudge()

    async def _poll(self) -> None:
        while True:
            try:
                await self._converge()
                self._floor.loads = await fresh_loads(self._store, time.time())
            except (StoreError, SQLAlchemyError, OSError) as error:
                log.warning("the store cannot be read now (%s)", type(error).__name__)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()

    async def _converge(self) -> None:
        self._listed = await campaigns.list_all(self._store)
        for campaign in self._listed:
            await self._converge_one(campaign)

    async def _converge_one(self, campaign: Campaign) -> None:
        self._note_rules(campaign)
        runner = self._runners.get(campaign.id)
        if runner is not None:
            runner.update(campaign)
            if campaign.desired is Desired.RUNNING and not runner.failed:
                return
            del self._runners[campaign.id]
            await runner.stop()
        self._reasons[campaign.id] = ""
        if campaign.desired is Desired.RUNNING:
            made = await self._runner(campaign)
            if made is not None:
                self._runners[campaign.id] = made
                made.start()

    def _note_rules(self, campaign: Campaign) -> None:
        try:
            self._rules[campaign.id] = RetryRules.parse(campaign.retry_rules)
        except BadRules:
            log.exception("campaign %s: its retry rules cannot be used", campaign.id)

    async def _runner(self, campaign: Campaign) -> Runner | None:
        """None, with the reason kept, for a campaign that cannot run as it is."""
        carriers = {item.name: item for item in self._settings.carrier if item.outbound}
        carrier = carriers.get(campaign.carrier)
        pacer = PACERS.get(campaign.mode)
        try:
            incident = await active_incident(self._store, campaign.incident)
            rules = CampaignRules(
                CallingHours.parse(campaign.calling_hours),
                again=RetryRules.parse(campaign.retry_rules).again,
            )
        except (UnknownIncident, BadHours, BadRules, PrivacyError) as error:
            self._reasons[campaign.id] = str(error)
            return None
        show_campaign(campaign, incident.plan)
        if carrier is None or pacer is None:
            missing = "carrier " + campaign.carrier if carrier is None else "mode " + campaign.mode
            self._reasons[campaign.id] = f"breachline.toml has no outbound {missing}"
            return None
        return Runner(
            campaign, incident, carrier=carrier, pacer=pacer, rules=rules, floor=self._floor
        )

    async def _report(self) -> None:
        while True:
            for campaign in self._listed:
                self._report_one(campaign)
            await asyncio.sleep(_REPORT_SECONDS)

    def _report_one(self, campaign: Campaign) -> None:
        runner = self._runners.get(campaign.id)
        show_campaign(campaign, None)
        lines = self._lines.of_campaign(campaign.id)
        blocked = self._reasons.get(campaign.id, "") if runner is None else runner.blocked
        if campaign.desired is Desired.RUNNING:
            report = LiveReport(
                campaign=campaign.id,
                at=time.time(),
                blocked=blocked,
                lines=lines,
                last_placed=None if runner is None else runner.last_placed,
                languages=() if runner is None else runner.reports(),
            )
            try:
                write_report(self._home, report)
            except OSError as error:
                log.warning("the report of %s cannot be written (%s)", campaign.id, error.strerror)
        state = campaign.desired.value
        if campaign.desired is Desired.RUNNING and blocked:
            state = "held"
        counts = dict(self._counts.get(campaign.id, {}))
        reason = blocked if runner is None else runner.why
        key = (campaign.desired, state, lines, tuple(sorted(counts.items())), reason)
        if self._published.get(campaign.id) != key:
            self._published[campaign.id] = key
            message = CampaignState(
                campaign=campaign.id,
                incident=campaign.incident,
                desired=campaign.desired.value,
                state=state,
                lines=lines,
                contacts=counts,
                reason=reason,
                at=time.time(),
            )
            send(self._publisher, message)

    async def _count(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                for campaign in self._listed:
                    self._counts[campaign.id] = await show_counts(self._store, campaign.id)
                    await self._judge(campaign.id)
            except (StoreError, SQLAlchemyError, OSError) as error:
                log.warning("contacts cannot be counted now (%s)", type(error).__name__)
            took = time.monotonic() - begun
            await asyncio.sleep(max(_COUNT_SECONDS, took * _COUNT_SHARE))

    async def _judge(self, campaign: str) -> None:
        runner = self._runners.get(campaign)
        if runner is not None:
            found = await abandonment(self._store, campaign, time.time() - _DAY)
            over = too_many(found.live, found.abandoned)
            for queue in runner.queues:
                self._floor.breaker(campaign, queue).over = over


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Raises AlreadyRunning. The kernel lets go of the lock when the process dies."""
    home.run.mkdir(parents=True, exist_ok=True)
    file = home.run / "dialer.lock"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AlreadyRunning(file) from error
    finally:
        os.close(descriptor)


async def serve(home: Home, settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; 0, or 1 when a task of ours broke."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    url = settings.database_url(home)
    await migrate(url)
    async with open_store(url, Keyring.open(home)) as store:
        alone = Alone(store)
        service = DialerService(home, settings, store, alone)
        await alone.take()
        try:
            await service.start()
            log.info("dialer up")
            while not asked.is_set() and not service.broken():
                try:
                    async with asyncio.timeout(1.0):
                        await asked.wait()
                except TimeoutError:
                    continue
            broken = service.broken()
            if broken:
                log.error("dialer: %s ended by itself; stopping to be started afresh", broken)
            return 1 if broken else 0
        finally:
            await service.stop()
            await alone.release()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dialer.service", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = Home.at(parser.parse_args(arguments).home)
    try:
        settings = load_settings(home)
        configure("dialer", settings.node)
        with only_one(home):
            return asyncio.run(serve(home, settings))
    except (SettingsError, AlreadyRunning, BadBroker, PrivacyError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
