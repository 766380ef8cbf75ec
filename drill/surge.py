"""An influx of simulated callers against a running system, from the first call to the figures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from drill.books import Books, is_due, read_books
from drill.called_back import CalledBack
from drill.character import Character, Temper, draw, ways_of
from drill.line import Line, Lines
from drill.listening import Ears, Gap, Listener, NotPermitted
from drill.machine import Meter
from drill.outcome import Evidence, figures_of
from drill.shape import Shape, arrivals
from drill.surge_caller import Behaviour, End, Phase, Story
from drill.verdict import Figures
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident
from pbx.ami import AmiClient

SHORTEST_SILENCE: Final = 2.0
"""Seconds; a shorter pause is how people speak."""


@dataclass(frozen=True, slots=True)
class Influx:
    """What comes. ``seconds``: in which the first calls are placed; ``target``: of the service
    level; ``offered``: a call-back is, so that callers may take it. ``quiet_before``,
    ``quiet_after``: seconds of watching the idle machine; ``drain``: seconds that calls and
    call-backs in progress may take after the last call was placed."""

    calls: int
    seconds: float
    shape: Shape = Shape.FLAT
    seed: int = 1
    temper: Temper = field(default_factory=Temper)
    target: float = 30.0
    offered: bool = True
    listen: bool = True
    quiet_before: float = 5.0
    quiet_after: float = 20.0
    drain: float = 900.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What it comes to. ``public``: the simulated network's manager, ``fingers``: more sessions
    of it for pressing keys; ``pbx``: the product's. ``here``: the address of the callers' network
    and the ports of their sound; ``pid``: of a part by name, None while it is down."""

    incident: ActiveIncident
    store: Store
    public: AmiClient
    fingers: Sequence[AmiClient]
    pbx: AmiClient
    here: str
    pbx_address: str
    ports: tuple[int, int]
    parts: tuple[str, ...]
    pid: Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Now:
    """The moment, for who watches. ``talking``: with an agent, called back ones too;
    ``places``: kept and not yet served."""

    seconds: float
    what: str
    placed: int
    redials: int
    calls: int
    on_the_line: int
    waiting: int
    talking: int
    places: int
    ended: int


class Surge:
    """One drill; `run` it once."""

    def __init__(
        self, scene: Scene, influx: Influx, watch: Callable[[Now], None] = lambda _now: None
    ) -> None:
        self._scene = scene
        self._influx = influx
        self._watch = watch
        self._stories: list[Story] = []
        self._gaps: dict[str, list[Gap]] = {}
        self._ears = Ears(SHORTEST_SILENCE)
        self._lock = threading.Lock()
        self._meter = Meter(scene.parts, scene.pid)
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = time.time()
        self._what = "watching the idle machine"
        self._late = 0.0
        self._listens = False

    async def run(self, stop: asyncio.Event) -> Figures:
        """Until every call and call-back has ended and the machine was watched for a while.

        ``stop``: end early; calls in progress are hung up. Raises ExceptionGroup of what callers'
        tasks raised (a fault of ours).
        """
        scene, influx = self._scene, self._influx
        with ExitStack() as stack:
            lines = Lines(scene.public, scene.fingers, on_answer=self._answered, on_over=self._over)
            stack.callback(lines.close)
            self._lines = lines
            self._called_back = CalledBack(scene.public)
            stack.callback(self._called_back.close)
            listener = self._listener(stack)
            self._listens = listener is not None
            sampler = asyncio.create_task(self._sample(), name="drill:sampler")
            try:
                await _until(stop, influx.quiet_before)
                first = time.time()
                self._what = "calls come in"
                await self._influx_of_calls(stop)
                self._what = "calls and call-backs end"
                ends = time.time() + influx.drain
                await self._ended(stop, ends)
                books = await self._call_backs_ended(stop, ends)
                last = time.time()
                self._what = "watching the quiet machine"
                await _until(stop, influx.quiet_after)
                channels = await scene.pbx.collect("CoreShowChannels")
                books = await read_books(scene.store, scene.incident, self._began)
            finally:
                sampler.cancel()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(sampler, *self._tasks, return_exceptions=True)
                deaf = listener is None or not listener.alive or listener.lost > 0
            heard = None if deaf else self._gaps
            return figures_of(
                Evidence(
                    stories=self._stories,
                    books=books,
                    rings=self._called_back.rings,
                    gaps=heard,
                    began=first,
                    ended=time.time(),
                    planned=influx.calls,
                    late=self._late,
                    target=influx.target,
                    left_open=len(channels),
                    uses=self._meter.uses(began=first, ended=last),
                    person=scene.incident.key.lookup_hash,
                )
            )

    def _listener(self, stack: ExitStack) -> Listener | None:
        if not self._influx.listen:
            return None
        scene = self._scene
        try:
            return stack.enter_context(
                Listener(
                    self._ears,
                    self._lock,
                    here=scene.here,
                    pbx=scene.pbx_address,
                    ports=scene.ports,
                )
            )
        except NotPermitted:
            return None

    def _answered(self, line: Line) -> None:
        with self._lock:
            self._ears.begin(line.port, line.answered_at or time.time())

    def _quiet(self, line: Line) -> float:
        if not self._listens:
            return 0.0
        with self._lock:
            return self._ears.quiet(line.port, time.time())

    def _over(self, line: Line) -> None:
        with self._lock:
            self._gaps[line.id] = self._ears.end(line.port, line.over_at or time.time())

    async def _influx_of_calls(self, stop: asyncio.Event) -> None:
        influx = self._influx
        ways = ways_of(self._scene.incident.plan)
        people = draw(influx.calls, ways, influx.temper, influx.seed)
        begin = asyncio.get_running_loop().time()
        times = arrivals(influx.shape, influx.calls, influx.seconds, influx.seed)
        for at, character in zip(times, people, strict=True):
            await _until(stop, begin + at - asyncio.get_running_loop().time())
            if stop.is_set():
                return
            self._late = max(self._late, asyncio.get_running_loop().time() - begin - at)
            task = asyncio.create_task(self._caller(character), name="drill:caller")
            self._tasks.add(task)

    async def _caller(self, character: Character) -> None:
        story = await self._call(character, again=False)
        if story.end is End.GAVE_UP and character.redial_after is not None:
            await asyncio.sleep(character.redial_after)
            await self._call(character, again=True)

    async def _call(self, character: Character, *, again: bool) -> Story:
        number = self._scene.incident.did.removeprefix("+")
        line = await self._lines.place(number, character.number)
        story = Story(character, line, again)
        self._stories.append(story)
        return await Behaviour(self._lines, story, offered=self._influx.offered).play()

    async def _ended(self, stop: asyncio.Event, ends: float) -> None:
        """Every caller has hung up for good; who has not when time is over is hung up."""
        stopped = asyncio.create_task(stop.wait(), name="drill:stop")
        try:
            while (left := [task for task in self._tasks if not task.done()]) and not stop.is_set():
                if time.time() >= ends:
                    break
                await asyncio.wait([*left, stopped], timeout=1, return_when="FIRST_COMPLETED")
        finally:
            stopped.cancel()
        for task in left:
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        faults = [each for each in done if isinstance(each, Exception)]
        if faults:
            raise ExceptionGroup("simulated callers failed", faults)

    async def _call_backs_ended(self, stop: asyncio.Event, ends: float) -> Books:
        scene = self._scene
        while True:
            books = await read_books(scene.store, scene.incident, self._began)
            now = time.time()
            due = [each for each in books.kept if is_due(each, now)]
            if (not due and not self._called_back.open) or now >= ends or stop.is_set():
                return books
            await _until(stop, 1)

    async def _sample(self) -> None:
        while True:
            self._meter.sample(time.time())
            self._watch(self._now())
            await asyncio.sleep(1)

    def _now(self) -> Now:
        phases = Counter(story.phase for story in self._stories)
        asked = [story for story in self._stories if story.end is End.CALLED_BACK]
        rings = self._called_back.rings
        served = sum(story.character.number in rings for story in asked)
        return Now(
            seconds=time.time() - self._began,
            what=self._what,
            placed=sum(not story.again for story in self._stories),
            redials=sum(story.again for story in self._stories),
            calls=self._influx.calls,
            on_the_line=self._lines.open,
            waiting=phases[Phase.WAITING] + phases[Phase.KEEPING],
            talking=phases[Phase.AGENT] + self._called_back.talking,
            places=len(asked) - served,
            ended=phases[Phase.OVER],
        )


async def _until(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, unless told to stop."""
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            pass
