"""Keeps one logged-in link up: connect, log in, ping, and after a loss again, ever more slowly.

Nothing here knows what the link is used for, and nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pbx.ami.errors import (
    AmiError,
    BadCredentials,
    LinkFailed,
    NotConnected,
    OutcomeUnknown,
    Refused,
)
from pbx.ami.messages import Event, Outgoing
from pbx.ami.protocol import Limits, Link

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """All in seconds."""

    connect: float = 5.0
    """From the first packet to Asterisk's greeting."""
    login: float = 5.0
    boot: float = 60.0
    """How long a logged-in link waits for FullyBooted before it counts as up all the same."""
    ping_interval: float = 10.0
    ping_timeout: float = 5.0
    retry_first: float = 0.5
    retry_most: float = 10.0
    stable: float = 30.0
    """A link that stood this long ends the back-off that came before it."""
    credentials_retry: float = 60.0
    """Between two tries with credentials that Asterisk does not accept."""
    stop_grace: float = 2.0


class Backoff:
    """Growing delays in seconds, each drawn between half of its cap and the cap."""

    def __init__(self, first: float, most: float, draw: Callable[[], float] | None = None) -> None:
        self._first = first
        self._most = most
        self._draw = draw or random.random
        self._cap = first

    def next(self) -> float:
        delay = self._cap * (0.5 + 0.5 * self._draw())
        self._cap = min(self._most, self._cap * 2)
        return delay

    def reset(self) -> None:
        self._cap = self._first


class LinkKeeper:
    """Owns the link and the one task that brings it up again.

    ``deliver`` gets every event in order; ``announce`` gets True after each login, False after
    each loss. Neither may raise.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        secret: str,
        *,
        deliver: Callable[[Event], None],
        announce: Callable[[bool], None],
        timing: Timing,
        limits: Limits,
        backoff: Backoff | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._secret = secret
        self._deliver = deliver
        self._announce = announce
        self._timing = timing
        self._limits = limits
        self._backoff = backoff or Backoff(timing.retry_first, timing.retry_most)
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._booted = asyncio.Event()
        self._settled = asyncio.Event()  # up, refused or ended: `wait_ready` can answer
        self._refusal: BadCredentials | None = None
        self._outage = ""
        self._id_prefix = f"breachline-{uuid.uuid4().hex[:12]}"
        self._id_numbers = itertools.count(1)

    @property
    def link(self) -> Link | None:
        """The link, while it is logged in and usable."""
        return self._link if self._link is not None and self._link.usable else None

    def outgoing(
        self, name: str, headers: Mapping[str, str | Sequence[str]], *, is_list: bool = False
    ) -> Outgoing:
        """An action with an ActionID that no other action of this client ever has."""
        action_id = f"{self._id_prefix}-{next(self._id_numbers)}"
        return Outgoing(name, action_id, headers, is_list=is_list)

    def start(self) -> None:
        if self._task is not None and not self._task.done():
            raise RuntimeError("this AMI client was started already")
        self._refusal, self._outage = None, ""
        self._settled.clear()
        self._backoff.reset()
        self._task = asyncio.create_task(
            self._keep_up(), name=f"ami link to {self._host}:{self._port}"
        )
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Close the link and end for good, also in the middle of a connect or a wait."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def wait_ready(self, timeout: float) -> None:
        where = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if self._task is None or self._task.done():
                        raise NotConnected(f"the AMI client for {where} is not running")
                    if self.link is not None:
                        return
                    if self._refusal is not None:
                        raise BadCredentials(self._host, self._port) from self._refusal
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            raise NotConnected(
                f"no AMI link to {where} within {timeout:g} s: "
                f"{self._outage or 'no answer yet'}; is Asterisk running and its manager enabled?"
            ) from None

    async def _keep_up(self) -> None:
        while True:
            try:
                link = await self._bring_up()
            except BadCredentials as error:
                self._report_refusal(error)
                delay = self._timing.credentials_retry
            except (OSError, AmiError) as error:
                self._report_outage(f"{type(error).__name__}: {error}")
                delay = self._backoff.next()
            else:
                delay = await self._use(link)
            await asyncio.sleep(delay)

    async def _bring_up(self) -> Link:
        link = Link(self._host, self._port, self._limits, self._receive)
        self._booted.clear()
        try:
            async with asyncio.timeout(self._timing.connect):
                await link.open()
        except TimeoutError:
            raise LinkFailed(
                f"no connection or no greeting within {self._timing.connect:g} s"
            ) from None
        try:
            await self._log_in(link)
            await self._wait_booted(link)
        except BaseException:
            await link.shut(0.0)
            raise
        return link

    async def _log_in(self, link: Link) -> None:
        login = self.outgoing(
            "Login", {"Username": self._username, "Secret": self._secret, "Events": "on"}
        )
        try:
            await link.request(login, self._timing.login)
        except Refused as error:
            # "Login Already In Use" and the like pass by themselves; a wrong secret does not.
            if "authentication" in error.message.lower():
                raise BadCredentials(self._host, self._port) from error
            raise

    async def _wait_booted(self, link: Link) -> None:
        """Modules and dialplan load after the manager's port opens; actions would be refused."""
        booted = asyncio.create_task(self._booted.wait(), name="ami wait for FullyBooted")
        try:
            await asyncio.wait(
                (booted, link.lost),
                timeout=self._timing.boot,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            booted.cancel()
        if link.lost.done():
            raise LinkFailed(f"link lost while Asterisk was starting ({link.lost.result()})")
        if not self._booted.is_set():
            log.warning(
                "AMI: no FullyBooted within %g s; going on without it. Does the manager account "
                "have `read = system`?",
                self._timing.boot,
            )

    async def _use(self, link: Link) -> float:
        """Announce the link, watch it until it is lost; return the delay before the next try."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        self._link = link
        self._refusal, self._outage = None, ""
        self._settled.set()
        log.info("AMI: logged in at %s:%d", self._host, self._port)
        self._announce(True)
        try:
            await self._watch(link)
        finally:
            await link.shut(self._timing.stop_grace)  # fails what is pending
            self._link = None
            self._announce(False)
        self._report_outage(f"link lost: {link.lost.result()}")
        if loop.time() - since >= self._timing.stable:
            self._backoff.reset()
        return self._backoff.next()

    async def _watch(self, link: Link) -> None:
        """Ping until the link is lost. A ping without a reply means a half-open link: drop it."""
        while True:
            await asyncio.wait((link.lost,), timeout=self._timing.ping_interval)
            if link.lost.done():
                return
            try:
                await link.request(self.outgoing("Ping", {}), self._timing.ping_timeout)
            except Refused:
                continue  # no reply that we like, but a reply
            except (NotConnected, OutcomeUnknown):
                link.abort(f"no reply to a ping within {self._timing.ping_timeout:g} s")
                return

    def _receive(self, event: Event) -> None:
        if event.name == "FullyBooted":
            self._booted.set()
        self._deliver(event)

    def _report_outage(self, why: str) -> None:
        """The first failure of an outage is for the operator, its repeats are for debugging."""
        level = logging.DEBUG if self._outage else logging.WARNING
        self._outage, self._refusal = why, None
        log.log(level, "AMI: %s:%d: %s; trying again", self._host, self._port, why)

    def _report_refusal(self, error: BadCredentials) -> None:
        level = logging.DEBUG if self._refusal else logging.ERROR
        self._outage, self._refusal = str(error), error
        self._settled.set()
        log.log(level, "AMI: %s (next try in %g s)", error, self._timing.credentials_retry)

    @property
    def failed(self) -> bool:
        """The keeper's task ended by an exception."""
        task = self._task
        return (
            task is not None
            and task.done()
            and not task.cancelled()
            and task.exception() is not None
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._settled.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical(
                "AMI: the link's keeper died and will not reconnect: a fault of ours",
                exc_info=error,
            )
