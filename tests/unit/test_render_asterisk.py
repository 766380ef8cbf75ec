"""What is rendered for Asterisk: who may read it, what it says, which homes are refused."""

from __future__ import annotations

import configparser
import re
import stat
from pathlib import Path

import pytest

from incident.home import Home
from incident.settings import CallbackSettings, CarrierSettings, Settings
from pbx.render import (
    AgentPhone,
    HomeUnusable,
    HotlineNumber,
    TemplateError,
    check_home,
    read_secrets,
    render_asterisk,
)

CARRIERS = (
    CarrierSettings(name="first", host="192.0.2.1"),
    CarrierSettings(name="second", host="192.0.2.2", port=5070, transport="tcp", codecs=("g722",)),
)
INCIDENTS = (
    HotlineNumber("northwind", "+18005550199", ("en", "es")),
    HotlineNumber("fabrikam", "+442079460123", ("es",)),
)
AGENTS = (
    AgentPhone("1001", "pass-1001", ("northwind-en", "northwind-es")),
    AgentPhone("1002", "pass-1002", ("fabrikam-es",)),
)


def render(root: Path, settings: Settings | None = None) -> tuple[Home, list[Path]]:
    home = Home.at(root)
    changed = render_asterisk(
        home,
        settings or Settings(carrier=CARRIERS),
        modules=root,
        share=root,
        moh=root,
        incidents=INCIDENTS,
        agents=AGENTS,
    )
    return home, changed


def rendered(home: Home, name: str) -> str:
    return (home.asterisk / "etc" / name).read_text()


def section(text: str, heading: str) -> dict[str, str]:
    """The keys of the section under this heading; of the last one if there are several."""
    body = text.rpartition(f"{heading}\n")[2].partition("\n[")[0]
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    parser.read_string(f"[it]\n{body}")
    return dict(parser["it"])


def test_nothing_of_it_can_be_read_by_others(tmp_path: Path) -> None:
    home, changed = render(tmp_path)
    assert changed
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.secrets / "ami.json").stat().st_mode) == 0o600
    secret = read_secrets(home).ami_secret
    assert secret in rendered(home, "manager.conf")
    for folder in ("etc", "lib", "run", "log", "spool", "agi-bin"):
        assert stat.S_IMODE((home.asterisk / folder).stat().st_mode) == 0o700, folder
    for file in (home.asterisk / "etc").rglob("*.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((home.asterisk / "agi-bin" / "emergency").stat().st_mode) == 0o700


def test_rendering_again_changes_nothing_and_one_change_one_file(tmp_path: Path) -> None:
    home, first = render(tmp_path)
    secret = read_secrets(home)
    assert {path.name for path in first} >= {"asterisk.conf", "inbound.conf", "emergency"}
    assert render(tmp_path)[1] == []
    assert read_secrets(home) == secret
    _, changed = render(tmp_path, Settings(carrier=CARRIERS[:1]))
    assert [path.name for path in changed] == ["pjsip_generated.conf"]


def test_the_emergency_path_is_told_whose_numbers_may_be_left(tmp_path: Path) -> None:
    narrow = Settings(carrier=CARRIERS, callbacks=CallbackSettings(regions=("US", "PR")))
    home, _ = render(tmp_path, narrow)
    script = (home.asterisk / "agi-bin" / "emergency").read_text()
    assert script.endswith(f'{home.root} US,PR "$@"\n')


def test_no_place_is_left_unfilled(tmp_path: Path) -> None:
    home, _ = render(tmp_path)
    for file in (home.asterisk / "etc").rglob("*.conf"):
        assert not re.search(r"@[A-Z_]+@", file.read_text()), file


def test_each_carrier_has_its_transport_codecs_and_address(tmp_path: Path) -> None:
    home, _ = render(tmp_path)
    text = rendered(home, "pjsip_generated.conf")
    first = section(text, "[carrier-first](carrier)")
    assert first == {
        "transport": "transport-udp",
        "allow": "ulaw,alaw",
        "context": "refused",
        "aors": "carrier-first",
    }
    second = section(text, "[carrier-second](carrier)")
    assert (second["transport"], second["allow"]) == ("transport-tcp", "g722")
    assert "contact = sip:192.0.2.1:5060\n" in text
    # Not escaped, the rest of the line would be a comment and the call go out over UDP.
    assert "contact = sip:192.0.2.2:5070\\;transport=tcp\n" in text
    assert re.findall(r"endpoint = (\S+)\nmatch = (\S+)", text) == [
        ("inbound-first", "192.0.2.1"),
        ("inbound-second", "192.0.2.2"),
    ]
    # What comes from a carrier has an endpoint of its own, which can be closed alone.
    assert section(text, "[inbound-second](carrier)") == {
        "transport": "transport-tcp",
        "allow": "g722",
    }
    assert "registration" not in text


def test_each_agent_has_a_password_and_signs_in_to_both_queues_of_a_language(
    tmp_path: Path,
) -> None:
    home, _ = render(tmp_path)
    account = section(rendered(home, "pjsip_generated.conf"), "[agent-1002]")
    assert (account["username"], account["password"]) == ("agent-1002", "pass-1002")
    text = rendered(home, "extensions_generated.conf")
    joined = re.findall(r"AddQueueMember\((\S+?),(\S+?),0,,(\d+),(\S+?)\)", text)
    left = re.findall(r"RemoveQueueMember\((\S+?),(\S+?)\)", text)
    expected = [
        ("northwind-en", "1001"),
        ("northwind-en-notices", "1001"),
        ("northwind-es", "1001"),
        ("northwind-es-notices", "1001"),
        ("fabrikam-es", "1002"),
        ("fabrikam-es-notices", "1002"),
    ]
    assert [(queue, number) for queue, _, number, _ in joined] == expected
    assert all(phone == state == f"PJSIP/agent-{number}" for _, phone, number, state in joined)
    assert left == [(queue, f"PJSIP/agent-{number}") for queue, number in expected]


def test_a_queue_and_a_notices_queue_for_each_incident_and_language(tmp_path: Path) -> None:
    home, _ = render(tmp_path)
    text = rendered(home, "queues_generated.conf")
    assert re.findall(r"^\[(\S+)\]\((\S+)\)$", text, re.MULTILINE) == [
        ("northwind-en", "incident"),
        ("northwind-en-notices", "notices"),
        ("northwind-es", "incident"),
        ("northwind-es-notices", "notices"),
        ("fabrikam-es", "incident"),
        ("fabrikam-es-notices", "notices"),
    ]
    waiting = section(text, "[northwind-es](incident)")
    spoken = home.prompts / "live" / "northwind" / "es"
    assert waiting["queue-thereare"] == str(spoken / "wait.place")
    assert waiting["queue-youarenext"] == str(spoken / "wait.next")
    said = home.prompts / "waits" / "northwind" / "es" / "queue.wait"
    assert waiting["queue-thankyou"] == str(said)


def test_a_did_is_known_however_a_carrier_writes_it(tmp_path: Path) -> None:
    assert INCIDENTS[0].dialled_forms == ("+18005550199", "18005550199", "8005550199")
    assert INCIDENTS[1].dialled_forms == ("+442079460123", "442079460123")
    home, _ = render(tmp_path)
    dids = rendered(home, "extensions_generated.conf").partition("[agent-sign-in]")[0]
    found = re.findall(
        r"exten => (\S+),1,(?:(?!exten).)*?Set\(__BL_INCIDENT=(\S+)\)", dids, re.DOTALL
    )
    assert found == [(form, item.incident) for item in INCIDENTS for form in item.dialled_forms]
    assert dids.count("Set(BL_DEFAULT_LANGUAGE=en)") == 3
    assert dids.count("Set(BL_DEFAULT_LANGUAGE=es)") == 2


def test_what_a_caller_says_is_made_harmless_before_anything_else(tmp_path: Path) -> None:
    home, _ = render(tmp_path)
    dids = rendered(home, "extensions_generated.conf").partition("[agent-sign-in]")[0]
    for number in dids.split("exten => ")[1:]:
        steps = [line.partition("Set(")[2] for line in number.splitlines()]
        assert [step.partition("=")[0] for step in steps[:6]] == [
            "CALLERID(num)",
            "CALLERID(ani)",
            "CALLERID(dnid)",
            "CALLERID(rdnis)",
            "CALLERID(name)",
            "__BL_INCIDENT",
        ]
        assert steps[0] == "CALLERID(num)=${FILTER(0-9+,${CALLERID(num)})})"


def test_behind_nat_media_and_signalling_say_the_public_address(tmp_path: Path) -> None:
    plain = rendered(render(tmp_path / "a")[0], "pjsip.conf")
    assert "external_" not in plain
    assert plain.count("media_address = 127.0.0.1") == 2
    settings = Settings.model_validate({"asterisk": {"advertised_host": "203.0.113.10"}})
    natted = rendered(render(tmp_path / "b", settings)[0], "pjsip.conf")
    assert natted.count("external_signaling_address = 203.0.113.10\n") == 2
    assert natted.count("media_address = 203.0.113.10") == 2


@pytest.mark.parametrize("bad", ["", "a\nb", "a;b", "a,b", "a]", "a b", "${X}", "é"])
def test_a_value_that_could_be_another_line_is_refused(bad: str) -> None:
    for make in (
        lambda: HotlineNumber(bad, "+18005550199", ("en",)),
        lambda: HotlineNumber("northwind", bad, ("en",)),
        lambda: HotlineNumber("northwind", "+18005550199", (bad,)),
        lambda: AgentPhone(bad, "secret", ()),
        lambda: AgentPhone("1001", bad, ()),
        lambda: AgentPhone("1001", "secret", ("northwind-en", bad)),
    ):
        with pytest.raises(TemplateError) as refused:
            make()
        assert "secret" not in str(refused.value)


def test_an_incident_without_a_language_is_refused() -> None:
    with pytest.raises(TemplateError, match="no language"):
        HotlineNumber("northwind", "+18005550199", ())


def test_the_longest_home_path_is_that_of_the_control_socket() -> None:
    rest = len("/asterisk/run/asterisk.ctl")
    check_home(Home(Path("/" + "x" * (107 - rest - 1))))
    # Bytes count, not letters.
    for root in ("/" + "x" * (108 - rest - 1), "/x" + "é" * ((108 - rest - 2) // 2)):
        with pytest.raises(HomeUnusable, match=r"1 bytes too long; use a shorter --home path"):
            check_home(Home(Path(root)))


@pytest.mark.parametrize("sign", [*";,&|\"'\\$[]{}()*?<>#^!", "\n", "\t", "\udcff", "\u2028"])
def test_a_home_path_that_asterisk_would_misread_is_refused(tmp_path: Path, sign: str) -> None:
    root = Path("/srv") / f"a{sign}b"
    with pytest.raises(HomeUnusable, match="Asterisk would misread") as refused:
        render(root)
    assert refused.value.root == root
    # It is printed to a terminal: nothing of the name may stand there unescaped.
    str(refused.value).encode()
    assert not root.exists()


@pytest.mark.parametrize("name", ["a b", "a@b", "Häuser", "日本", "x=~1%+:"])
def test_a_home_path_that_is_only_unusual_is_taken(name: str) -> None:
    check_home(Home(Path("/srv") / name))
