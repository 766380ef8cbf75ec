"""A small influx on a real system, and a detector that hears silence where there is silence."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from console.drill_stage import Crew, drill_scene, own_home, write_drill_settings
from console.stage import Addresses
from drill.character import Temper
from drill.line import Line, Lines
from drill.listening import PCMA, PCMU, SAMPLED, Ears, Gap, Listener
from drill.surge import Influx, Now, Scene, Surge
from drill.verdict import OURS
from incident.home import Home
from pbx.reload import reload_asterisk
from tests.running import eventually

AT = Addresses("127.0.36.1", "127.0.36.2", "127.0.36.3", "127.0.36.4")
SILENT_DID = "18005550111"
SILENT = f"""
[dids](+)
exten => {SILENT_DID},1,Answer()
 same => n,Playback(agent-loginok)
 same => n,Wait(4)
 same => n,Playback(agent-loginok)
 same => n,Hangup()
"""
"""Some sound, four seconds of silence sent as such, some sound."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    home = own_home(tmp_path_factory.mktemp("drill"))
    crew = Crew(agents=3, talk=(2, 4), wrapup=1)
    write_drill_settings(home, AT, crew, off=False)
    async with drill_scene(
        home, AT, crew, report=lambda _line: None, progress=lambda *_: None, on_part=lambda _: None
    ) as started:
        _add_silent_did(home)
        await reload_asterisk(started.pbx)
        yield started


def _add_silent_did(home: Home) -> None:
    file = home.asterisk / "etc" / "extensions_generated.conf"
    file.write_text(file.read_text(encoding="utf-8") + SILENT, encoding="utf-8")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_small_influx_is_answered_and_accounted_for(scene: Scene) -> None:
    influx = Influx(
        calls=12,
        seconds=6,
        seed=4,
        temper=Temper(self_service=0.6, patience=36000, accepts=0, redials=0),
        quiet_before=2.5,
        quiet_after=5,
        drain=120,
    )
    seen: list[Now] = []
    figures = await Surge(scene, influx, seen.append).run(asyncio.Event())
    assert (figures.planned, figures.calls, figures.redials) == (12, 12, 0)
    assert (figures.busy, figures.dropped, figures.gave_up) == (0, 0, 0)
    assert figures.silences == ()
    assert figures.self_service + figures.answered == 12
    assert figures.self_service > 0
    assert figures.answered == figures.wanted_agent > 0
    assert sum(figures.outcomes.values()) == 12
    assert figures.outcomes["agent"] == figures.answered
    assert (figures.left_open, figures.dialled_twice, figures.lost) == (0, 0, 0)
    for part in OURS:
        assert figures.uses[part].memory_peak > 10
        assert not figures.uses[part].restarted
    assert figures.late < 3
    assert max(now.on_the_line for now in seen) > 0
    assert max(now.talking for now in seen) > 0
    assert seen[-1].ended == 12


@pytest.mark.asyncio(loop_scope="module")
async def test_a_caller_who_is_given_silence_hears_silence(scene: Scene) -> None:
    ears, lock = Ears(2.0), threading.Lock()
    over: list[Line] = []

    def answered(line: Line) -> None:
        with lock:
            ears.begin(line.port, time.time())

    lines = Lines(scene.public, scene.fingers, on_answer=answered, on_over=over.append)
    with Listener(ears, lock, here=scene.here, pbx=scene.pbx_address, ports=scene.ports) as heard:
        await lines.place(SILENT_DID, "+12125550107")
        await eventually(lambda: over, patience=60)
        with lock:
            gaps = ears.end(over[0].port, time.time())
        assert heard.alive
        assert heard.lost == 0
        assert over[0].answered_at is not None
    lines.close()
    assert len(gaps) == 1
    assert 3.5 < gaps[0].seconds < 6
    assert gaps[0].began > over[0].answered_at + 0.5


SOUND, SILENCE = b"\x90" * 160, b"\xff" * 160
PORT = 14998


def _packet(sequence: int, payload: bytes, kind: int = 0) -> bytes:
    return bytes((0x80, kind)) + sequence.to_bytes(2, "big") + bytes(8) + payload


def _gaps(play: Callable[[Callable[[bytes, str], None]], None]) -> list[Gap]:
    """What is heard of packets that ``play`` sends from an address of its choice."""
    ears, lock = Ears(0.3), threading.Lock()
    with Listener(ears, lock, here=AT.public, pbx=AT.bind, ports=(14000, 14999)) as heard:
        begun = time.time()
        ears.begin(PORT, begun)

        def send(packet: bytes, source: str) -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((source, 0))
                sender.sendto(packet, (AT.public, PORT))

        play(send)
        assert heard.alive
        heard_last = time.time()
        # The kernel has the packet's time; the thread takes it within its own time-out.
        time.sleep(0.3)
        with lock:
            return ears.end(PORT, heard_last)


def test_silence_and_nothing_at_all_are_the_same_on_the_wire() -> None:
    def play(send: Callable[[bytes, str], None]) -> None:
        send(_packet(0, SOUND), AT.bind)
        for number in range(1, 5):
            time.sleep(0.1)
            send(_packet(number * SAMPLED, SILENCE), AT.bind)
        time.sleep(0.1)
        send(_packet(5 * SAMPLED, SOUND), AT.bind)
        time.sleep(0.5)
        send(_packet(6 * SAMPLED, SOUND), AT.bind)

    assert [round(gap.seconds, 1) >= 0.5 for gap in _gaps(play)] == [True, True]


def test_sound_from_others_and_what_is_no_voice_does_not_count() -> None:
    def play(send: Callable[[bytes, str], None]) -> None:
        send(_packet(0, SOUND), AT.bind)
        for number in range(1, 5):
            time.sleep(0.1)
            send(_packet(number * SAMPLED, SOUND), AT.probe)
            send(_packet(number * SAMPLED, SOUND, kind=101), AT.bind)
        time.sleep(0.1)
        send(_packet(5 * SAMPLED, SOUND), AT.bind)

    assert len(_gaps(play)) == 1


def test_sound_all_the_time_is_no_gap_in_either_law() -> None:
    def play(send: Callable[[bytes, str], None]) -> None:
        for number in range(12):
            law = PCMU if number < 4 else PCMA
            send(_packet(number * SAMPLED, SOUND, kind=law), AT.bind)
            time.sleep(0.05)

    assert _gaps(play) == []


def test_own_homes_alone_are_emptied(tmp_path: Path) -> None:
    home = own_home(tmp_path / "mine")
    (home.root / "breachline.db").touch()
    home.prompts.mkdir()
    (home.prompts / "manifest.json").touch()
    assert own_home(tmp_path / "mine") == home
    assert sorted(each.name for each in home.root.iterdir()) == [".drill", "prompts"]
    assert (home.prompts / "manifest.json").exists()
