"""The emergency script as Asterisk runs it: a process with AGI on its standard input and output."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from incident.home import Home
from incident.privacy import IncidentKey
from pbx.emergency import EmergencyCall, e164
from pbx.emergency_pack import PROMPTS, PackError, read_emergency_pack, write_emergency_pack
from pbx.spool import list_spooled, read_spooled

PROJECT = Path(__file__).resolve().parents[2]
KEY = IncidentKey(b"k" * 32)
HANG_UP = "HANG UP"


def prompts(folder: Path) -> dict[str, dict[str, Path]]:
    made: dict[str, dict[str, Path]] = {}
    for language in ("en", "es"):
        (folder / language).mkdir(parents=True)
        for name in PROMPTS:
            path = folder / language / name.replace(".", "-").replace("_", "-")
            path.with_suffix(".ulaw").write_bytes(b"\xff" * 160)
            made.setdefault(language, {})[name] = path
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    # A blank in the path: it must reach Asterisk as one argument.
    home = Home.at(tmp_path / "a home")
    write_emergency_pack(home, "northwind", ("en", "es"), prompts(home.prompts), KEY.public_key)
    return home


@dataclass
class Call:
    """What the script did with one caller."""

    played: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    complaint: str = ""


Keys = Callable[[str], str]


def run(
    home: Home,
    keys: Keys,
    *,
    incident: str = "northwind",
    language: str = "",
    name: bytes = b"unknown",
    regions: str = "",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Call:
    """Plays Asterisk. ``keys`` gives what the caller presses at a prompt ("" for nothing), as
    ``language/name``; at ``wait`` after it; HANG_UP ends the call there."""
    call = Call(variables={"BL_INCIDENT": incident, "BL_LANGUAGE": language, **variables})
    with script(home, *filter(None, [regions])) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            b"agi_request: /x/emergency\nagi_uniqueid: 1795465890.61\n"
            b"agi_callerid: unknown\nagi_calleridname: " + name + b"\n\n"
        )
        process.stdin.flush()
        for raw in process.stdout:
            reply = answer(call, raw.decode().strip(), keys)
            if reply == HANG_UP:
                process.send_signal(signal.SIGHUP)
                process.stdin.write(b"200 result=-1\n")
                break
            with suppress(BrokenPipeError):
                process.stdin.write(f"{reply}\n".encode())
                process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        call.status = process.wait()
        assert process.stderr is not None
        call.complaint = process.stderr.read().decode()
    return call


@contextmanager
def script(home: Home, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "pbx.emergency", str(home.root), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    ) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def answer(call: Call, command: str, keys: Keys) -> str:
    verb, _, rest = command.partition(" ")
    if command.startswith("SET VARIABLE"):
        name, value = rest.removeprefix("VARIABLE ").replace('"', "").split(" ", 1)
        call.variables[name.lstrip("_")] = value
        return "200 result=1"
    if command.startswith("GET VARIABLE"):
        value = call.variables.get(rest.removeprefix("VARIABLE ").strip('"'), "")
        return f"200 result=1 ({value})" if value else "200 result=0"
    if verb == "STREAM" or command.startswith("GET DATA"):
        _, path, arguments = rest.split('"', 2)
        prompt = f"{Path(path).parent.name}/{Path(path).name}"
        call.played.append(prompt)
        pressed = keys(prompt)
        if pressed == HANG_UP:
            return HANG_UP
        if command.startswith("GET DATA"):
            return f"200 result={pressed} (timeout)" if pressed else "200 result= (timeout)"
        allowed = arguments.split('"')[1]
        return f"200 result={ord(pressed) if pressed and pressed in allowed else 0} endpos=1"
    if command.startswith("SAY DIGITS"):
        call.said.append(rest.split('"')[1])
        return "200 result=0"
    if command.startswith("WAIT FOR DIGIT"):
        pressed = keys("wait after " + call.played[-1])
        return HANG_UP if pressed == HANG_UP else f"200 result={ord(pressed) if pressed else 0}"
    return "510 Invalid or unknown command"


def plain(name: str) -> str:
    return re.sub("[^a-z]+", "-", name)


def script_of(**pressed: str) -> Keys:
    """Keys by prompt name, ``en__callback_confirm``; several calls take one key after another
    where they are parted by blanks."""
    left = {plain(name): keys.split(" ") for name, keys in pressed.items()}

    def keys(prompt: str) -> str:
        queue = left.get(plain(prompt.replace("wait after ", "wait/")), [])
        return queue.pop(0) if queue else ""

    return keys


def test_a_number_is_taken_sealed_and_the_call_ends(home: Home) -> None:
    call = run(
        home,
        script_of(
            es__language_offer="2",
            es__emergency_callback_offer="1",
            es__callback_enter_number="8005550123",
            es__callback_confirm="1",
        ),
    )
    assert call.played == [
        "en/language-offer",
        "es/language-offer",
        "es/emergency-essentials",
        "es/emergency-callback-offer",
        "es/callback-enter-number",
        "es/callback-confirm",
        "es/callback-thanks",
        "es/goodbye",
    ]
    assert call.said == ["8005550123"]
    assert call.variables["BL_NEXT"] == "kept"
    assert call.variables["BL_LANGUAGE"] == "es"
    assert call.variables["CHANNEL(language)"] == "es"
    assert (call.status, call.complaint) == (0, "")
    (path,) = list_spooled(home.callback_spool)
    request = read_spooled(path, {"northwind": KEY})
    assert (request.incident, request.language, request.phone) == (
        "northwind",
        "es",
        "+18005550123",
    )
    assert request.call_id == "1795465890.61"
    # The dialplan holds the place under the very token that the hotline will read.
    assert request.token == call.variables["BL_KEPT"] == path.stem
    assert call.variables["BL_HOLDS"] == "wanted"
    assert request.rank is not None
    assert int(call.variables["BL_RANK"]) == round(request.rank * 1000)


class Line:
    """An AGI session without a process: the offer is taken, and every question answered with 1."""

    env: Final[dict[str, str]] = {}

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}

    def set_variable(self, name: str, value: str) -> None:
        self.variables[name] = value

    def stream_file(self, _path: str, keys: str) -> str:
        return "1" if "1" in keys else ""

    def get_data(self, *_how: object) -> str:
        return "2025550123"

    def say_digits(self, _digits: str) -> None:
        return None


def test_a_rank_is_rounded_as_the_hotline_rounds_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbx.emergency.time.time", lambda: 1795465328.9996)
    line = Line()
    EmergencyCall(line, home, read_emergency_pack(home, "northwind"), "en").run()
    assert line.variables["BL_RANK"] == "1795465329000"


def test_where_too_many_call_nobody_is_asked_to_stay_on_the_line(home: Home) -> None:
    left = script_of(
        en__shed_callback_offer="1",
        en__callback_enter_number="2025550123",
        en__callback_confirm="1",
    )
    call = run(home, left, language="en", variables={"BL_SHED": "1"})
    assert call.played[:3] == [
        "en/emergency-essentials",
        "en/shed-callback-offer",
        "en/callback-enter-number",
    ]
    assert call.variables["BL_NEXT"] == "kept"
    call = run(home, script_of(), language="en", variables={"BL_SHED": "1"})
    assert call.played == ["en/emergency-essentials", "en/shed-callback-offer", "en/goodbye"]
    assert call.variables["BL_NEXT"] == "hangup"


PLACE = {"BL_KEPT": "0123456789abcdef0123456789abcdef", "BL_RANK": "1795465000123"}


def test_who_was_in_line_is_asked_for_the_number_alone_and_keeps_the_place(home: Home) -> None:
    call = run(
        home,
        script_of(en__callback_enter_number="2025550123", en__callback_confirm="1"),
        language="en",
        variables=PLACE,
    )
    assert call.played == [
        "en/callback-enter-number",
        "en/callback-confirm",
        "en/callback-thanks",
        "en/goodbye",
    ]
    assert call.variables["BL_NEXT"] == "kept"
    assert "BL_HOLDS" not in call.variables  # a placeholder stands there already
    (path,) = list_spooled(home.callback_spool)
    request = read_spooled(path, {"northwind": KEY})
    assert (request.token, request.rank) == (PLACE["BL_KEPT"], 1795465000.123)
    assert not request.relay


def test_the_agent_of_the_call_back_will_know_that_an_operator_speaks(home: Home) -> None:
    keys = script_of(en__callback_enter_number="2025550123", en__callback_confirm="1")
    run(home, keys, language="en", variables={**PLACE, "BL_RELAY": "1"})
    (path,) = list_spooled(home.callback_spool)
    assert read_spooled(path, {"northwind": KEY}).relay


def test_who_was_in_line_and_gives_no_number_goes_back_to_it(home: Home) -> None:
    call = run(home, script_of(), language="en", variables=PLACE)
    assert call.played[0] == "en/callback-enter-number"
    assert call.variables["BL_NEXT"] == "queue"
    assert list_spooled(home.callback_spool) == ()


def test_the_place_counts_also_for_who_hangs_up_while_thanked(home: Home) -> None:
    call = run(
        home,
        script_of(
            en__callback_enter_number="2025550123",
            en__callback_confirm="1",
            en__callback_thanks=HANG_UP,
        ),
        language="en",
        variables=PLACE,
    )
    assert call.variables["BL_NEXT"] == "kept"
    assert len(list_spooled(home.callback_spool)) == 1


def test_a_caller_who_presses_nothing_hears_everything_and_waits(home: Home) -> None:
    call = run(home, script_of())
    assert call.played == [
        "en/language-offer",
        "es/language-offer",
        "en/emergency-essentials",
        "es/emergency-essentials",
        "en/emergency-callback-offer",
        "es/emergency-callback-offer",
        "en/emergency-to-agent",
    ]
    assert call.variables["BL_NEXT"] == "queue"
    assert call.variables["BL_LANGUAGE"] == "en"
    assert call.status == 0


def test_a_language_chosen_before_is_kept(home: Home) -> None:
    call = run(home, script_of(es__emergency_callback_offer="2"), language="es")
    assert call.played == [
        "es/emergency-essentials",
        "es/emergency-callback-offer",
        "es/emergency-to-agent",
    ]
    assert call.variables["BL_NEXT"] == "queue"


def test_an_unknown_language_is_asked_for(home: Home) -> None:
    call = run(home, script_of(wait__es_language_offer="2"), language="xx")
    assert call.variables["BL_LANGUAGE"] == "es"


def test_a_language_key_during_the_essentials_still_chooses(home: Home) -> None:
    call = run(home, script_of(en__emergency_essentials="2"))
    assert call.played[2:5] == [
        "en/emergency-essentials",
        "es/emergency-essentials",
        "es/emergency-callback-offer",
    ]
    assert call.variables["BL_LANGUAGE"] == "es"


def test_the_answer_to_the_offer_tells_the_language(home: Home) -> None:
    call = run(home, script_of(wait__es_emergency_callback_offer="2"))
    assert call.variables["BL_LANGUAGE"] == "es"
    assert call.played[-1] == "es/emergency-to-agent"


def test_a_number_can_be_entered_again(home: Home) -> None:
    call = run(
        home,
        script_of(
            en__emergency_callback_offer="1",
            en__callback_enter_number="123 8005550100 8005550123",
            en__callback_confirm="2 1",
        ),
        language="en",
    )
    assert call.said == ["8005550100", "8005550123"]
    assert call.played.count("en/callback-invalid") == 1
    (path,) = list_spooled(home.callback_spool)
    assert read_spooled(path, {"northwind": KEY}).phone == "+18005550123"


def test_after_three_attempts_the_caller_waits(home: Home) -> None:
    call = run(home, script_of(en__emergency_callback_offer="1"), language="en")
    assert call.played.count("en/callback-enter-number") == 3
    assert call.variables["BL_NEXT"] == "queue"
    assert list_spooled(home.callback_spool) == ()


@pytest.mark.parametrize(
    "where",
    [
        "en/language-offer",
        "en/emergency-essentials",
        "en/emergency-callback-offer",
        "wait after en/emergency-callback-offer",
        "en/callback-enter-number",
        "en/callback-confirm",
    ],
)
def test_a_hang_up_anywhere_is_quiet_and_leaves_no_number(home: Home, where: str) -> None:
    keys = {
        "en/emergency-callback-offer": "1",
        "en/callback-enter-number": "8005550123",
    }
    if where.startswith("wait"):
        del keys["en/emergency-callback-offer"]
    call = run(home, lambda prompt: HANG_UP if prompt == where else keys.get(prompt, ""))
    assert (call.status, call.complaint) == (0, "")
    assert list_spooled(home.callback_spool) == ()


def test_a_number_once_confirmed_survives_the_hang_up(home: Home) -> None:
    keys = {
        "en/emergency-callback-offer": "1",
        "en/callback-enter-number": "18005550123",
        "en/callback-confirm": "1",
        "en/callback-thanks": HANG_UP,
    }
    call = run(home, lambda prompt: keys.get(prompt, ""), language="en")
    assert (call.status, call.complaint) == (0, "")
    assert len(list_spooled(home.callback_spool)) == 1


@pytest.mark.parametrize("incident", ["other", "", "../northwind", "a b"])
def test_without_a_pack_the_caller_goes_on_to_the_queue(home: Home, incident: str) -> None:
    call = run(home, script_of(), incident=incident)
    assert call.variables["BL_NEXT"] == "queue"
    assert call.played == []
    assert call.status == 1
    assert call.complaint.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 1}', b"\xff"])
def test_a_damaged_pack_is_no_more_than_a_complaint(home: Home, content: bytes) -> None:
    (home.emergency / "northwind.json").write_bytes(content)
    call = run(home, script_of())
    assert call.variables["BL_NEXT"] == "queue"
    assert call.status == 1
    assert "northwind.json" in call.complaint


def test_a_missing_prompt_is_left_out_and_the_rest_is_said(home: Home) -> None:
    (home.prompts / "en" / "emergency-essentials.ulaw").unlink()
    call = run(home, script_of(), language="en")
    assert call.played == ["en/emergency-callback-offer", "en/emergency-to-agent"]
    assert call.variables["BL_NEXT"] == "queue"
    assert call.status == 0
    assert "en/emergency.essentials is missing" in call.complaint


def test_a_spool_that_cannot_be_written_thanks_nobody(home: Home) -> None:
    home.callback_spool.parent.mkdir(parents=True)
    home.callback_spool.write_bytes(b"a file where the folder should be")
    call = run(
        home,
        script_of(
            en__emergency_callback_offer="1",
            en__callback_enter_number="8005550123",
            en__callback_confirm="1",
        ),
        language="en",
    )
    assert call.variables["BL_NEXT"] == "queue"
    assert "en/callback-thanks" not in call.played
    assert call.status == 1
    assert "5550123" not in call.complaint


def test_caller_names_in_any_encoding(home: Home) -> None:
    call = run(home, script_of(), language="en", name=b"Jos\xe9 \xff\xfe")
    assert call.status == 0
    assert call.variables["BL_NEXT"] == "queue"


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("8005550123", "+18005550123"),
        ("18005550123", "+18005550123"),
        ("01152155501234", "+52155501234"),
        ("5550123", None),
        ("1005550123", None),
        ("8001550123", None),
        ("80055501234", None),
        ("011", None),
        ("", None),
        ("*800555012", None),
        ("9005550123", None),
        ("19765550123", None),
        ("5125550123", "+15125550123"),
        ("5129760123", None),
        ("5005550123", None),
        ("01119005550123", None),
        ("011881612345678", None),
        ("011979123456789", None),
        ("011886223456789", "+886223456789"),
    ],
)
def test_entered_keys_as_numbers(digits: str, number: str | None) -> None:
    assert e164(digits) == number


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ("8005550123", True),
        ("2025550123", True),
        ("8098675309", False),
        ("18768675309", False),
        ("01152155501234", False),
        ("011449098790018", False),
    ],
)
def test_only_numbers_of_the_regions_may_be_left(home: Home, keys: str, kept: bool) -> None:
    call = run(
        home,
        script_of(
            en__emergency_callback_offer="1",
            en__callback_enter_number=keys,
            en__callback_confirm="1",
        ),
        language="en",
        regions="US,CA",
    )
    assert call.variables["BL_NEXT"] == ("kept" if kept else "queue")
    assert ("en/callback-invalid" in call.played) is not kept
    assert bool(list_spooled(home.callback_spool)) is kept
    assert call.complaint == ""


def test_a_pack_is_read_as_it_was_written(home: Home) -> None:
    pack = read_emergency_pack(home, "northwind")
    assert pack.languages == ("en", "es")
    assert pack.public_key == KEY.public_key
    assert set(pack.prompts["es"]) == set(PROMPTS)
    content = json.loads((home.emergency / "northwind.json").read_text())
    assert content["incident"] == "northwind"
    assert [path.name for path in home.emergency.iterdir()] == ["northwind.json"]


def test_a_pack_without_every_prompt_is_not_written(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    made = prompts(home.prompts)
    del made["es"]["callback.thanks"]
    with pytest.raises(PackError, match=r"es/callback\.thanks"):
        write_emergency_pack(home, "northwind", ("en", "es"), made, KEY.public_key)
    assert not home.emergency.exists()


@pytest.mark.parametrize("path", ["relative", '/a"b', "/a\nb", "/a\\b"])
def test_a_path_that_asterisk_would_misread_is_not_written(tmp_path: Path, path: str) -> None:
    home = Home.at(tmp_path)
    made: dict[str, dict[str, str | Path]] = {"en": {**dict.fromkeys(PROMPTS, path)}}
    with pytest.raises(PackError):
        write_emergency_pack(home, "northwind", ("en",), made, KEY.public_key)


@pytest.mark.parametrize("incident", ["", "../x", "a/b", "."])
def test_a_pack_has_a_safe_name(tmp_path: Path, incident: str) -> None:
    with pytest.raises(PackError):
        write_emergency_pack(Home.at(tmp_path), incident, ("en",), {}, KEY.public_key)
