"""The AMI client that the rest of the product uses."""

from __future__ import annotations

import inspect
import itertools
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pbx.ami.errors import InvalidValue, NotConnected
from pbx.ami.messages import Event, Outgoing, Response, check_headers, variable_headers
from pbx.ami.protocol import Limits
from pbx.ami.reconnect import Backoff, LinkKeeper, Timing

log: Final = logging.getLogger(__name__)

_NOTHING: Final[Mapping[str, str | Sequence[str]]] = MappingProxyType({})


class AmiClient:
    """One manager session that comes back by itself. It never sends an action twice.

    ``start`` returns at once; ``wait_ready`` tells whether the login worked. Handlers run in the
    event loop, in the order of arrival, before anything else that the same bytes bring: they must
    be quick and must not block. Whoever needs to await puts the event into a queue.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        secret: str,
        *,
        timing: Timing | None = None,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        check_headers("Login", {"Username": username, "Secret": secret})
        self._tokens = itertools.count()
        self._subscribers: dict[int, tuple[frozenset[str] | None, Callable[[Event], None]]] = {}
        self._link_handlers: dict[int, Callable[[bool], None]] = {}
        self._keeper = LinkKeeper(
            host,
            port,
            username,
            secret,
            deliver=self._deliver,
            announce=self._announce,
            timing=timing or Timing(),
            limits=limits or Limits(),
            backoff=backoff,
        )

    @property
    def connected(self) -> bool:
        """Logged in, and the link not known to be lost."""
        return self._keeper.link is not None

    @property
    def failed(self) -> bool:
        """The task that keeps the link up ended by itself: a fault of ours, and for good."""
        return self._keeper.failed

    async def start(self) -> None:
        """Begin to connect, and to reconnect until `stop`. Does not wait for the login."""
        self._keeper.start()

    async def wait_ready(self, timeout: float) -> None:
        """Wait for the login, ``timeout`` seconds at most.

        Raises `BadCredentials` as soon as Asterisk refuses them, `NotConnected` with the last
        failure when the time is over, or when the client is not running.
        """
        await self._keeper.wait_ready(timeout)

    async def stop(self) -> None:
        """Close the link; actions without a reply fail as `OutcomeUnknown`. No reconnect after."""
        await self._keeper.stop()

    def subscribe(
        self, names: Iterable[str] | None, handler: Callable[[Event], None]
    ) -> Callable[[], None]:
        """Call ``handler`` for each event of these names (None: all). Returns the undo.

        Events that answer one of our own actions come too: OriginateResponse, and the items of
        lists. A handler that raises is logged, and stops neither the others nor the link.
        """
        if isinstance(names, str):
            raise TypeError("names is a collection of event names, not one name")
        _refuse_coroutines(handler)
        wanted = None if names is None else frozenset(name.lower() for name in names)
        token = next(self._tokens)
        self._subscribers[token] = (wanted, handler)
        return lambda: _drop(self._subscribers, token)

    def on_link(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """Call ``handler`` with True after each login, False after each loss. Returns the undo.

        When False comes, every action of the lost link has already failed. Handlers that were
        added while the link is up hear of its next change.
        """
        _refuse_coroutines(handler)
        token = next(self._tokens)
        self._link_handlers[token] = handler
        return lambda: _drop(self._link_handlers, token)

    async def action(
        self,
        name: str,
        fields: Mapping[str, str | Sequence[str]] = _NOTHING,
        *,
        timeout: float = 5.0,
    ) -> Response:
        """Send one action, wait ``timeout`` seconds for its response. A sequence repeats a header.

        Nothing was sent: `InvalidValue`, `NotConnected`. Asterisk did not do it: `Refused`.
        Anything may have happened: `OutcomeUnknown`.
        """
        return await self._request(self._keeper.outgoing(name, fields), timeout)

    async def collect(
        self,
        name: str,
        fields: Mapping[str, str | Sequence[str]] = _NOTHING,
        *,
        timeout: float = 10.0,
    ) -> list[Event]:
        """Send a list action (QueueStatus, CoreShowChannels, ...); return its items when complete.

        Errors as for `action`; `UnexpectedReply` when the reply is no list or an endless one.
        A list that is not complete after ``timeout`` seconds is `OutcomeUnknown`, never cut short.
        """
        outgoing = self._keeper.outgoing(name, fields, is_list=True)
        return list((await self._request(outgoing, timeout)).items)

    async def originate(
        self,
        *,
        channel: str,
        context: str,
        exten: str,
        channel_id: str,
        timeout_ms: int,
        caller_id: str,
        variables: Mapping[str, str] = MappingProxyType({}),
        timeout: float = 5.0,
    ) -> Response:
        """Have Asterisk call ``channel`` and run it at ``exten`` of ``context`` once answered.

        The response says that the call was queued, no more; how it went comes as an
        OriginateResponse event with ``Uniqueid`` = ``channel_id`` and the response's ActionID
        (``Response`` Success or Failure; ``Reason`` 4 answered, 5 busy, 8 congestion, 3 rang until
        the time-out, 0 anything else). A ``channel_id`` that is in use now is queued all the same
        and fails with reason 0, under the Uniqueid of the call that lives; one that was used
        before is called again. So the caller never uses one twice.

        ``timeout_ms`` is the ring time in milliseconds, ``timeout`` the wait for the response in
        seconds. Errors as for `action`; variables whose value Asterisk would split or trim are an
        `InvalidValue`.
        """
        if timeout_ms <= 0:
            raise InvalidValue("Timeout", "the ring time has to be positive")
        for header, value in (("Channel", channel), ("Exten", exten), ("ChannelId", channel_id)):
            if not value.strip():
                raise InvalidValue(header, "it is empty")
        fields: dict[str, str | Sequence[str]] = {
            "Channel": channel,
            "Context": context,
            "Exten": exten,
            "Priority": "1",
            "ChannelId": channel_id,
            "Timeout": str(timeout_ms),
            "CallerID": caller_id,
            "Async": "true",
        }
        if variables:
            fields["Variable"] = variable_headers(variables)
        return await self.action("Originate", fields, timeout=timeout)

    async def _request(self, outgoing: Outgoing, timeout: float) -> Response:
        link = self._keeper.link
        if link is None:
            raise NotConnected(f"{outgoing.name} was not sent: no AMI link to Asterisk")
        return await link.request(outgoing, timeout)

    def _deliver(self, event: Event) -> None:
        name = event.name.lower()
        for token, (wanted, handler) in tuple(self._subscribers.items()):
            # One handler may have taken another one off.
            if token in self._subscribers and (wanted is None or name in wanted):
                try:
                    handler(event)
                except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                    _report(handler, f"event {event.name}", error)

    def _announce(self, up: bool) -> None:
        for token, handler in tuple(self._link_handlers.items()):
            if token in self._link_handlers:
                try:
                    handler(up)
                except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                    _report(handler, "link up" if up else "link lost", error)


def _drop(table: MutableMapping[int, Any], token: int) -> None:
    table.pop(token, None)


def _refuse_coroutines(handler: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(handler):
        raise TypeError("handlers are plain functions: order would be lost in tasks of their own")


def _report(handler: Callable[..., object], what: str, error: Exception) -> None:
    """Log where a handler failed, without its message: that may quote a telephone number."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    name = getattr(handler, "__qualname__", type(handler).__name__)
    log.error("AMI: handler %s failed on %s: %s at %s", name, what, type(error).__name__, where)
