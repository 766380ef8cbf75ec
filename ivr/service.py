"""The hotline service: ``python -m ivr.service --home HOME``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final

import uvloop
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from incident.booking import BookingLimits
from incident.events import BadBroker, EventPublisher
from incident.exposition import Exposition
from incident.guessing import GuessLimits
from incident.home import Home
from incident.log import configure
from incident.metrics import AGI_TURN, watch_disk
from incident.privacy import Keyring, PrivacyError
from incident.settings import Settings, SettingsError, load_settings
from incident.store.engine import Store, StoreError, migrate, open_store
from incident.store.schema import AgentRow
from ivr import announcer, crowd, experience, keeper, learned_file, lineup, overflow, tries
from ivr.agents import Agents
from ivr.announcer import Announcer
from ivr.callback_route import CallbackRoute
from ivr.callback_spool import CallbackSpool
from ivr.calls import CallBook
from ivr.crowd import Crowd
from ivr.experience import Experience
from ivr.flows.hotline import Hotline
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.keep_route import KeepRoute
from ivr.keeper import Keeper
from ivr.keeping.rules import CallbackRules
from ivr.lineup import Lineup
from ivr.overflow import Overflow
from ivr.reconcile import Reconciler
from ivr.served import Incidents
from ivr.tries import CallbackTries
from ivr.trunks import Trunks
from ivr.waiting import Waiting
from pbx.agi import AgiServer, Handler
from pbx.ami import AmiClient, AmiError
from pbx.render import read_secrets
from pbx.spool import CallbackRequest

log: Final = logging.getLogger(__name__)

SERVICE: Final = "hotline"
ROUTE: Final = "hotline"
POLL_SECONDS: Final = 1.0
AGENTS_SECONDS: Final = 5.0
"""How often it is looked who the agents are; only those who are offline need it."""
SHOW_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 2.0
"""At stop: how long callers may go on here before the emergency path takes them over."""
_RECONCILE_RETRY: Final = 2.0
REMEMBER_SECONDS: Final = 30.0
"""How often what was learned of waiting times is written down."""


class PartBroken(Exception):
    """The journal or the AMI link ended by itself: the service has to be started anew."""

    def __init__(self) -> None:
        super().__init__(
            "the journal or the AMI link ended by itself, a fault of ours; starting anew"
        )


class HotlineService:
    """Everything of the service, started in order and stopped in the opposite one."""

    def __init__(self, home: Home, settings: Settings, store: Store) -> None:
        self._home = home
        self._settings = settings
        self._store = store
        node, bind, asterisk = settings.node, settings.bind, settings.asterisk
        account = read_secrets(home)
        self._nudged = asyncio.Event()
        self._linked = asyncio.Event()
        self._failing: set[str] = set()
        self._agents_at = 0.0
        self._learned = home.run / learned_file.NAME
        self.events = EventPublisher(settings.mqtt_url(), node, SERVICE, on_nudge=self._nudged.set)
        self.journal = Journal(store, home.callback_spool, BookingLimits.of(settings.callbacks))
        self.incidents = Incidents(store, home)
        self.book = CallBook(node, self.journal, self.events)
        wrap_up = settings.agents.wrapup_seconds
        self.agents = Agents(wrap_up)
        self.lineup = Lineup()
        self.experience = Experience(self.incidents, self.lineup, self.agents, wrap_up)
        self.experience.restore(learned_file.load(self._learned))
        self.forecasts = Forecasts(
            self.incidents,
            self.lineup,
            self.agents,
            self.experience,
            settings=settings.waiting,
            wrap_up=wrap_up,
        )
        self.waiting = Waiting(
            self.incidents, self.book, self.agents, self.events, forecasts=self.forecasts
        )
        self.reconciler = Reconciler(
            node=node,
            store=store,
            incidents=self.incidents,
            book=self.book,
            agents=self.agents,
            lineup=self.lineup,
            log_file=home.asterisk / "log" / "queue_log",
        )
        self.spool = CallbackSpool(
            store,
            home.callback_spool,
            self.incidents.keys,
            self._taken,
            self.journal.booking,
        )
        self.ami = AmiClient(bind, asterisk.ami_port, account.ami_user, account.ami_secret)
        self.announcer = Announcer(
            self.ami, self.book, self.lineup, self.forecasts, self.incidents.queues
        )
        self.crowd = Crowd(
            node,
            self.incidents,
            self.book,
            self.forecasts,
            limits=settings.call_limits(),
            shed=settings.load.shed,
        )
        trunks = [each.name for each in settings.carrier if each.outbound]
        self.overflow = Overflow(
            self.incidents,
            self.book,
            self.forecasts,
            trunks if settings.load.overflow else (),
        )
        flow = Hotline(
            self.incidents,
            self.book,
            self.journal,
            store,
            limits=GuessLimits.of(settings.self_service),
            crowd=self.crowd,
            overflow=self.overflow,
            forecasts=self.forecasts,
        )
        self.keeper = Keeper(
            node=node,
            ami=self.ami,
            store=store,
            incidents=self.incidents,
            lineup=self.lineup,
            book=self.book,
            spool=home.callback_spool,
        )
        self.journal.on_kept(self.keeper.nudge)
        lines = Trunks(settings.carrier)
        self.tries = CallbackTries(
            store=store,
            incidents=self.incidents,
            book=self.book,
            publisher=self.events,
            rules=CallbackRules.of(settings.callbacks),
            trunks=lines,
            log_file=home.asterisk / "log" / "queue_log",
            node=settings.node,
        )
        self.tries.changed = self.keeper.nudge
        routes: dict[str, Handler] = {
            ROUTE: flow,
            "keep": KeepRoute(self.incidents, self.book, self.journal),
            "callback": CallbackRoute(
                store=store,
                incidents=self.incidents,
                tries=self.tries,
                trunks=lines,
                node=settings.node,
                ring_seconds=settings.callbacks.ring_seconds,
                ready=lambda: self.keeper.ready,
                adopt=self._take_callbacks,
            ),
        }
        self.agi = AgiServer(bind, asterisk.agi_port, routes, observe_turn=AGI_TURN.observe)
        self.exposition = Exposition(bind, settings.metrics.hotline_port, self.health)
        watch_disk(home.root)

    def health(self) -> dict[str, bool]:
        return {
            "asterisk": self.ami.connected,
            "broker": self.events.connected,
            "database": "poll" not in self._failing,
            "incidents": bool(self.incidents.all),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop``. Raises OSError where an address cannot be had."""
        async with AsyncExitStack() as stack:
            await self.events.start()
            stack.push_async_callback(self.events.stop)
            await self.journal.start()
            stack.push_async_callback(self.journal.stop)
            stack.callback(self.book.close)
            await self._poll()
            restored = await self.reconciler.restore()
            stack.callback(self.ami.on_link(self._link))
            # In this order: whoever asks where somebody stands asks after the line was told.
            stack.callback(self.ami.subscribe(lineup.EVENTS, self.lineup.on_event))
            # Before whoever ends the calls: what came of sending one is in the call.
            stack.callback(self.ami.subscribe(overflow.EVENTS, self.overflow.on_event))
            stack.callback(self.ami.subscribe(crowd.EVENTS, self.crowd.on_event))
            stack.callback(self.waiting.connect(self.ami))
            stack.callback(self.ami.subscribe(experience.EVENTS, self.experience.on_event))
            stack.callback(self.ami.subscribe(announcer.EVENTS, self.announcer.on_event))
            stack.callback(self.ami.subscribe(keeper.EVENTS, self.keeper.on_event))
            stack.callback(self.ami.subscribe(tries.EVENTS, self.tries.on_event))
            stack.push_async_callback(self._remember)
            await self.ami.start()
            stack.push_async_callback(self.ami.stop)
            await self.exposition.start()
            stack.push_async_callback(self.exposition.stop)
            await self.agi.start()
            stack.push_async_callback(self.agi.stop, GRACE_SECONDS)
            await self._take_callbacks()
            log.info(
                "the hotline serves %d incidents; %d calls were open",
                len(self.incidents.all),
                restored,
            )
            # What is there now stays: looking through it again and again would hold up calls.
            gc.collect()
            gc.freeze()
            await self._serve(stop)
            log.info("the hotline stops; %d callers are being talked with", self.agi.active)

    async def _serve(self, stop: asyncio.Event) -> None:
        tasks = [
            asyncio.create_task(self._every(POLL_SECONDS, self._poll, self._nudged), name="poll"),
            asyncio.create_task(
                self._every(POLL_SECONDS, self._take_callbacks), name="callback-spool"
            ),
            asyncio.create_task(self._show(), name="show-queues"),
            asyncio.create_task(self._every(POLL_SECONDS, self._relist), name="relist"),
            asyncio.create_task(self._every(POLL_SECONDS, self._tell_load), name="load"),
            asyncio.create_task(self._reconcile(), name="reconcile"),
            asyncio.create_task(self.announcer.run(), name="announcer"),
            asyncio.create_task(self.keeper.run(), name="keeper"),
            asyncio.create_task(self.tries.run(), name="callback-tries"),
            asyncio.create_task(
                self._every(tries.SWEEP_SECONDS, self._sweep), name="callback-sweep"
            ),
            asyncio.create_task(
                self._every(REMEMBER_SECONDS, self._remember), name="remember-rates"
            ),
        ]
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # none of them ends by itself
        finally:
            for task in (*tasks, stopped):
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)

    @staticmethod
    async def _every(
        seconds: float, work: Callable[[], Awaitable[None]], sooner: asyncio.Event | None = None
    ) -> None:
        signal_ = sooner or asyncio.Event()
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await signal_.wait()
            except TimeoutError:
                pass
            signal_.clear()
            await work()

    async def _poll(self) -> None:
        if self.journal.broken or self.ami.failed:
            raise PartBroken
        try:
            await self.incidents.refresh()
            if monotonic() >= self._agents_at:
                self._agents_at = monotonic() + AGENTS_SECONDS
                async with self._store.read() as session:
                    self.agents.know(
                        await session.scalars(select(AgentRow.number).where(AgentRow.active))
                    )
        except (SQLAlchemyError, StoreError, OSError) as error:
            self._failed("poll", "the database cannot be read", error)
        except PrivacyError as error:
            self._failed("poll", str(error), error)
        else:
            self._failing.discard("poll")

    async def _take_callbacks(self) -> None:
        try:
            taken = await self.spool.take()
        except (SQLAlchemyError, StoreError, OSError) as error:
            self._failed("spool", "call-backs cannot be taken over", error)
        else:
            self._failing.discard("spool")
            if taken:
                log.info("took over %d call-back requests of the emergency path", taken)

    async def _taken(self, request: CallbackRequest) -> None:
        await self.reconciler.left_number(request)
        if request.token:
            await self.tries.taken(request.token)

    def _failed(self, what: str, message: str, error: Exception) -> None:
        level = logging.DEBUG if what in self._failing else logging.ERROR
        self._failing.add(what)
        log.log(level, "%s (%s)", message, type(error).__name__)

    async def _show(self) -> None:
        while True:
            self.waiting.show()
            await asyncio.sleep(SHOW_SECONDS)

    def _link(self, up: bool) -> None:
        if up:
            self._linked.set()
        else:
            self._linked.clear()
            self.agents.lost()
            self.lineup.lost()
            self.experience.lost()
            self.announcer.lost()
            self.keeper.lost()

    async def _remember(self) -> None:
        """Keep what was learned of callers and agents for after a restart."""
        data = learned_file.dump(self.experience.all())
        try:
            await asyncio.to_thread(learned_file.save, self._learned, data)
        except OSError as error:
            self._failed("remember", "what was learned of waiting times cannot be kept", error)
        else:
            self._failing.discard("remember")

    async def _relist(self) -> None:
        """An event was missed, or came in an order that we do not know: ask who is in line."""
        if not (self.lineup.adrift and self.ami.connected):
            return
        try:
            await self.reconciler.list_queues(self.ami)
        except AmiError as error:
            self._failed("relist", "it is not known who stands in line", error)
        else:
            self._failing.discard("relist")

    async def _tell_load(self) -> None:
        try:
            await self.crowd.tell(self._store)
        except (SQLAlchemyError, StoreError, OSError) as error:
            self._failed("load", "the dialer cannot be told how busy it is here", error)
        else:
            self._failing.discard("load")

    async def _reconcile(self) -> None:
        while True:
            await self._linked.wait()
            self._linked.clear()
            try:
                await self.reconciler.with_asterisk(self.ami)
                await self.tries.settle(self.ami)
            except (AmiError, OSError, SQLAlchemyError, StoreError) as error:
                self._failed("reconcile", "calls could not be reconciled", error)
                await asyncio.sleep(_RECONCILE_RETRY)
                if self.ami.connected:
                    self._linked.set()
            else:
                self._failing.discard("reconcile")
                if self.ami.connected:
                    self.keeper.settled()

    async def _sweep(self) -> None:
        """Tries of whose end nothing was heard."""
        if not (self.ami.connected and self.keeper.ready):
            return
        try:
            await self.tries.settle(self.ami)
        except (AmiError, OSError, SQLAlchemyError, StoreError) as error:
            self._failed("sweep", "tries to call back cannot be looked up", error)
        else:
            self._failing.discard("sweep")


async def serve(home: Home, settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    url = settings.database_url(home)
    await migrate(url)
    async with open_store(url, Keyring.open(home)) as store:
        await HotlineService(home, settings, store).run(stop)


def main(argv: list[str] | None = None) -> int:
    """The program. Exit status 0 after a stop, 1 when it cannot run; the reason is logged."""
    parser = argparse.ArgumentParser(prog="python -m ivr.service", description=__doc__)
    parser.add_argument("--home", required=True, help="the home folder")
    home = Home.at(parser.parse_args(argv).home)
    try:
        settings = load_settings(home)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    configure(SERVICE, settings.node)
    try:
        uvloop.run(serve(home, settings))
    except (
        OSError,
        StoreError,
        PrivacyError,
        BadBroker,
        SQLAlchemyError,
        PartBroken,
    ) as error:
        log.critical("the hotline cannot run: %s", _reason(error))
        return 1
    return 0


def _reason(error: Exception) -> str:
    """A database error's own text, without the statement and its values."""
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)


if __name__ == "__main__":
    raise SystemExit(main())
