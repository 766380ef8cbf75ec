"""Which engine speaks, and that a missing Internet never holds a build."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from incident.settings import PromptSettings, Settings
from pbx.prompts import engines
from pbx.prompts.engines import (
    EngineFailed,
    Gtts,
    Offline,
    Programs,
    WithFallback,
    choose_engine,
    plain_ascii,
)


@dataclass(frozen=True)
class Script:
    """Programs that are one Python script; it sees their arguments."""

    code: str

    def command(self, program: str, *args: str) -> list[str]:
        return [sys.executable, "-c", self.code, program, *args]

    def env(self) -> dict[str, str]:
        return {"ESPEAK_DATA_PATH": "/data"}


def none() -> Programs:
    raise AssertionError("no program is needed yet")


def settings(engine: str) -> Settings:
    return Settings(prompts=PromptSettings.model_validate({"engine": engine}))


def test_auto_takes_gtts_only_where_it_can_be_reached() -> None:
    online = choose_engine(settings("auto"), none, reachable=lambda: True)
    assert isinstance(online, WithFallback)
    assert isinstance(online.first, Gtts)
    offline = choose_engine(settings("auto"), lambda: Script(""), reachable=lambda: False)
    assert isinstance(offline, Offline)


def test_a_named_engine_asks_no_one() -> None:
    def probe() -> bool:
        raise AssertionError("no probe is needed")

    assert isinstance(choose_engine(settings("gtts"), none, reachable=probe), Gtts)
    chosen = choose_engine(settings("offline"), lambda: Script(""), reachable=probe)
    assert isinstance(chosen, Offline)


def test_english_is_flites_and_everything_else_espeaks(tmp_path: Path) -> None:
    code = """
import os, sys
arguments = sys.argv[1:]
option = "-o" if arguments[0] == "flite" else "-w"
text = open(arguments[arguments.index("-f") + 1], "rb").read()
with open(arguments[arguments.index(option) + 1], "wb") as out:
    out.write(repr((arguments[0], text, os.environ["ESPEAK_DATA_PATH"])).encode())
"""
    engine = Offline(Script(code))
    english = engine.speak("It\u2019s done.", "en", tmp_path)
    assert english.engine == "flite/slt"
    assert english.file.read_text() == repr(("flite", b"It's done.\n", "/data"))
    spanish = engine.speak("Pasó.", "es", tmp_path)
    assert spanish.engine == "espeak-ng/es-419"
    assert spanish.file.read_text() == repr(("espeak-ng", "Pasó.\n".encode(), "/data"))
    assert engine.speak("Oui.", "de", tmp_path).engine == "espeak-ng/de"


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("raise SystemExit('no such voice')", "no such voice"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import sys; print('Error: bad voice', file=sys.stderr)", "bad voice"),
        ("", "no sound file"),
    ],
)
def test_a_failing_program_is_told_with_its_words(tmp_path: Path, code: str, detail: str) -> None:
    with pytest.raises(EngineFailed, match=detail) as caught:
        Offline(Script(code)).speak("Hola.", "es", tmp_path)
    assert caught.value.language == "es"
    assert "studio" in str(caught.value)


def test_a_hanging_program_ends_with_the_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "SYNTHESIS_SECONDS", 0.2)
    with pytest.raises(EngineFailed, match="no end after"):
        Offline(Script("import time; time.sleep(600)")).speak("Hola.", "es", tmp_path)


def test_typographic_signs_do_not_swallow_words() -> None:
    assert plain_ascii("driver\u2019s \u201clicense\u201d \u2014 caf\u00e9\u00a0bar\u2026") == (
        'driver\'s "license" ,  cafe bar.'
    )
