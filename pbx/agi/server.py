"""The FastAGI server: takes calls from Asterisk and gives each to the handler of its path."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType

from pbx.agi.connection import Connection
from pbx.agi.errors import CallerHungUp
from pbx.agi.limits import Limits
from pbx.agi.request import AgiRequest
from pbx.agi.session import AgiSession

Handler = Callable[[AgiSession], Awaitable[None]]

_log = logging.getLogger(__name__)
_BACKLOG = 4096
_CANCEL_SECONDS = 5.0


class AgiServer:
    """Serves FastAGI on ``host``:``port``.

    ``routes`` maps the path of ``agi://host/path?query`` (no slashes around it) to its handler.
    ``observe_turn`` gets, in seconds, the time from Asterisk's answer (or opening lines) to our
    next command.

    When a handler returns, the session is closed; AGISTATUS is then SUCCESS. When it raises
    anything but CallerHungUp, or is ended by ``stop``, AGISTATUS is FAILURE. Note that Asterisk
    also says FAILURE after a session in which a file was missing, and SUCCESS when this process
    dies: a dialplan must decide by a variable that the handler sets last.

    ``totals`` counts how connections ended: completed, hung_up, failed, lifetime, stopped,
    refused, unknown_path, rejected, port_check.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Handler],
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        observe_turn: Callable[[float], None] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._routes = {path.strip("/"): handler for path, handler in routes.items()}
        self._limits = limits
        self._observe = observe_turn
        self._listener: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._tasks: dict[asyncio.Task[None], Connection] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._stopping = False
        self._refusing = False
        self.totals: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """Calls being served now."""
        return len(self._tasks)

    @property
    def port(self) -> int:
        """The port that is listened on (differs from the one asked for when that was 0)."""
        if self._listener is None or not self._listener.sockets:
            return self._port
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Starts listening; raises OSError where the address cannot be had."""
        self._stopping = False
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, self._limits, self._observe),
            self._host,
            self._port,
            backlog=_BACKLOG,
        )

    async def stop(self, grace: float) -> None:
        """Stops listening, lets calls go on for ``grace`` seconds, then fails what is left,
        so that the dialplan takes those callers on."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._tasks and grace > 0:
            await asyncio.wait(set(self._tasks), timeout=grace)
        for task in list(self._tasks):
            task.cancel("stopping")
        if self._tasks:
            _, stuck = await asyncio.wait(set(self._tasks), timeout=_CANCEL_SECONDS)
            for task in stuck:
                _log.error("%s does not end when cancelled", task.get_name())
        try:
            async with asyncio.timeout(self._limits.farewell_seconds):
                await self._none_open.wait()
        except TimeoutError:
            _log.info("cut %d connections that did not close", len(self._connections))
            for connection in list(self._connections):
                connection.abort()
            await self._none_open.wait()

    # From connections.

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._none_open.clear()
        if self._stopping:
            self._refuse(connection, "stopping")
        elif len(self._connections) > self._limits.max_sessions + self._limits.max_waiting:
            self._refuse(connection, "too many connections")

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._none_open.set()

    def rejected(self, _connection: Connection, reason: str) -> None:
        """Nothing of what the peer sent is logged."""
        if reason == "port check":
            self.totals["port_check"] += 1
            return
        self.totals["rejected"] += 1
        _log.info("dropped a connection: %s", reason)

    def requested(self, connection: Connection, request: AgiRequest) -> None:
        handler = self._routes.get(request.script)
        if handler is None:
            self.totals["unknown_path"] += 1
            _log.warning("call %s asks for an unknown path", request.unique_id)
            connection.fail()
        elif self._stopping:
            self._refuse(connection, "stopping")
        elif len(self._tasks) >= self._limits.max_sessions:
            self._refuse(connection, "too many calls at once")
        else:
            self._refusing = False
            session = AgiSession(connection, request, self._limits)
            task = asyncio.create_task(
                self._serve(handler, session, connection),
                name=f"agi:{request.script}:{request.unique_id}",
            )
            self._tasks[task] = connection
            task.add_done_callback(self._tasks.pop)

    def _refuse(self, connection: Connection, why: str) -> None:
        self.totals["refused"] += 1
        _log.log(
            logging.DEBUG if self._refusing else logging.WARNING,
            "refused a call: %s (%d are served)",
            why,
            len(self._tasks),
        )
        self._refusing = True
        connection.fail()

    async def _serve(self, handler: Handler, session: AgiSession, connection: Connection) -> None:
        call = session.request.unique_id
        try:
            async with asyncio.timeout(self._limits.session_seconds) as lifetime:
                await handler(session)
        except CallerHungUp:
            self.totals["hung_up"] += 1
            connection.close()
        except asyncio.CancelledError:
            self.totals["stopped"] += 1
            connection.fail()
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: logged, counted, told to Asterisk
            kind = "lifetime" if lifetime.expired() else "failed"
            self.totals[kind] += 1
            # The message may hold what the caller entered: type and place only.
            _log.error("call %s %s: %s", call, kind, describe(error))
            connection.fail()
        else:
            self.totals["completed"] += 1
            connection.close()


def describe(error: BaseException) -> str:
    """An exception without its message: its type and where it was raised, with its cause's."""
    text = f"{type(error).__name__} at {_places(error.__traceback__)}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text if cause is None else f"{text}, from {type(cause).__name__}"


def _places(traceback: TracebackType | None) -> str:
    places: list[str] = []
    while traceback is not None:
        name = Path(traceback.tb_frame.f_code.co_filename).name
        places.append(f"{name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " < ".join(reversed(places[-3:]))
