"""The dialplan's lint finds what it is for, and nobody can place a call through the hotline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbx import names
from scripts import dialplan_lint

MODULES = dialplan_lint.PROJECT / "asterisk-conf" / "modules.conf"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """The hotline's rendered files."""
    return dialplan_lint.render(tmp_path)[0]


def plant(etc: Path, line: str) -> None:
    file = etc / "dialplan" / "inbound.conf"
    file.write_text(f"{file.read_text()}\n[planted]\nexten => s,1,{line}\n")


def test_the_real_dialplan_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert dialplan_lint.main() == 0
    assert capsys.readouterr().out == ""


def test_a_jump_to_nowhere_is_found(etc: Path) -> None:
    assert dialplan_lint.lint(etc, MODULES) == []
    plant(etc, "Goto(nowhere)")
    assert any("nowhere" in finding for finding in dialplan_lint.lint(etc, MODULES))


def test_an_application_that_does_not_exist_is_found(etc: Path) -> None:
    plant(etc, "Playbcak(beep)")
    assert any("Playbcak" in finding for finding in dialplan_lint.lint(etc, MODULES))


@pytest.mark.parametrize("module", ["app_queue.so", "res_agi.so", "func_channel.so"])
def test_a_module_that_is_used_and_not_loaded_is_found(
    etc: Path, tmp_path: Path, module: str
) -> None:
    without = tmp_path / "modules.conf"
    without.write_text(MODULES.read_text().replace(f"require = {module}\n", ""))
    findings = dialplan_lint.lint(etc, without)
    assert findings == [f"{without}: the dialplan needs {module}, which is not loaded"]


@pytest.mark.parametrize(
    "line",
    [
        "Dial(PJSIP/x)",
        "dial(PJSIP/x)",
        "ExecIf($[1]?Originate(PJSIP/x,app,Echo))",
        "Set(A=${SHELL(id)})",
        "Originate(Local/${X}@kept-far/n,exten,kept-near,s,1,30,av(A=B))",
        "Dial(PJSIP/${BL_DIAL}@${BL_TRUNK},60)",
        "Dial(PJSIP/${BL_X}@carrier-a,20,mb(outsourcer-call^s^1)U(outsourcer-answered^s^1))",
        # What is allowed in a comment allows nothing before it.
        "Dial(PJSIP/x) ;,Originate(Local/s@closed-far/n,exten,closed,s,1,30,a)",
        # Whom a call-back calls, said by anybody but the hotline.
        "Set(BL_DIAL=${EXTEN})",
        "Set(__BL_TRUNK=carrier-a)",
        "Originate(Local/s@kept-far/n,exten,kept-near,s,1,30,av(__BL_DIAL=1))",
        "System(id)",
        "Transfer",
        "TrySystem (id)",
    ],
)
def test_what_reaches_outside_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.conf").write_text(f"[a]\nexten => s,1,{line.replace(' (', '(')} ; note\n")
    (finding,) = dialplan_lint.outside_reach(tmp_path)
    assert finding.startswith(f"{tmp_path.name}/x.conf:2: ")


def test_generated_dialplan_is_looked_at_too(etc: Path) -> None:
    assert dialplan_lint.outside_reach(etc, "extensions*.conf") == []
    with (etc / "extensions_generated.conf").open("a") as file:
        file.write("exten => x,1,Dial(PJSIP/${EXTEN}@carrier-example,20)\n")
    (finding,) = dialplan_lint.outside_reach(etc, "extensions*.conf")
    assert "extensions_generated.conf" in finding


def test_what_only_speaks_of_it_is_not(tmp_path: Path) -> None:
    text = "; Dial(x)\n[a]\nexten => s,1,NoOp() ; System(x)\n same => n,Playback(dial-here)\n"
    (tmp_path / "x.conf").write_text(text)
    assert dialplan_lint.outside_reach(tmp_path) == []


def test_a_name_that_no_dialplan_knows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LANGUAGE", "BL_TONGUE")
    assert dialplan_lint.shared_names() == ["pbx/names.py: BL_TONGUE is used by no dialplan"]


HARMLESS = {
    "AddQueueMember",
    "AGI",
    "Answer",
    "Bridge",
    "ChannelRedirect",
    "Echo",
    "ExecIf",
    "Gosub",
    "Goto",
    "GotoIf",
    "Hangup",
    "NoOp",
    "PauseQueueMember",
    "Playback",
    "Queue",
    "QueueLog",
    "RemoveQueueMember",
    "Return",
    "Set",
    "StartMusicOnHold",
    "StopMusicOnHold",
    "UnpauseQueueMember",
    "UserEvent",
    "Wait",
}
"""None of these calls a number: Queue() calls its members, which are agents' telephones. Whom
Bridge() and ChannelRedirect() move is a call already."""

CALLS = {"Dial", "Originate"}
"""What calls somebody: only in the very words that the lint allows."""

Contexts = dict[str, list[str]]


def contexts(etc: Path) -> Contexts:
    """Each context's lines, over every file that extensions.conf includes."""
    found: Contexts = {}
    name = ""
    main = (etc / "extensions.conf").read_text()
    files = [etc / "extensions.conf"]
    files += [etc / each for each in re.findall(r"^#include (\S+)", main, re.MULTILINE)]
    for file in files:
        for line in file.read_text().splitlines():
            if heading := re.match(r"\[([^]]+)\]", line):
                name = heading[1]
            elif line.strip() and not line.lstrip().startswith((";", "#")):
                found.setdefault(name, []).append(line.strip())
    return found


def applications(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if step := re.match(
            r"(?:exten|same) => (?:[^,]+,)?(?:n|\d+)(?:\(\w+\))?,(\w+)\((.*)\)$", line
        ):
            yield step[1], step[2]
        else:
            assert line.startswith("include => "), line


def leads_to(lines: list[str], known: Contexts) -> set[str]:
    """Contexts that a call may go to from these lines."""
    places = set()
    for line in lines:
        if line.startswith("include => "):
            places.add(line.removeprefix("include => "))
    for name, arguments in applications(lines):
        if name in {"Goto", "Gosub", "GotoIf"}:
            places |= set(re.findall(r"(?:^|[?:])([a-z-]+),[^,?:]+,\w+", arguments))
        if name in {"ExecIf", "ChannelRedirect"}:
            places |= set(re.findall(r"(?:^|\()\$\{[^,]+,([a-z-]+),s,1", arguments))
        if name == "Originate":
            places |= set(re.findall(r"@([a-z-]+)/n,exten,([a-z-]+),", arguments)[0])
        if name == "Queue":
            places |= {each for each in arguments.split(",")[6:7] if each}
        places |= set(re.findall(r"[bBGU]\(([a-z-]+)\^", arguments))
        if "hangup_handler_push" in arguments:
            places.add(arguments.rpartition("=")[2].split(",")[0])
    assert places <= set(known), places
    return places


@pytest.mark.parametrize("entrance", ["from-carrier", "from-agent"])
def test_no_way_in_leads_out(etc: Path, entrance: str) -> None:
    known = contexts(etc)
    reached: set[str] = set()
    open_ends = {entrance}
    while open_ends:
        context = open_ends.pop()
        reached.add(context)
        open_ends |= leads_to(known[context], known) - reached
    if entrance == "from-carrier":
        assert reached >= {"dids", "hotline", "waiting", "emergency", "agent-call", "outsourcer"}
        assert "agent-sign-in" not in reached
    else:
        assert reached == {"from-agent", "agent-sign-in", "agent-sign-out", "refused"}
    assert "outbound" not in reached
    for context in reached:
        for name, arguments in applications(known[context]):
            assert name in HARMLESS | CALLS, f"[{context}] {name}({arguments})"
            if name in CALLS:
                assert re.match("|".join(dialplan_lint.ALLOWED), f"{name}({arguments})"), arguments
            if name == "ExecIf":
                assert re.search(r"\?(Set|ChannelRedirect)\([^?]*$", arguments), arguments
            if name == "AddQueueMember":
                assert re.fullmatch(r"[a-z-]+,PJSIP/agent-1001,0,,1001,PJSIP/agent-1001", arguments)
            if name == "AGI":
                assert re.fullmatch(
                    r"\$\{BL_AGI\}/(hotline|keep|callback)(,\$\{BL_[A-Z]+\})*"
                    r"|\$\{BL_EMERGENCY_AGI\}|\$\{BL_CARRIERS_AGI\},(open|close)",
                    arguments,
                ), arguments
            if name == "Queue":
                # No option that lets either side transfer (t, T) or go on in the dialplan (g, F).
                assert re.fullmatch(
                    r"[^,]+,c?b\(agent-call\^s\^1\),,,,,(kept-agent)?,,\$\{BL_POSITION\}",
                    arguments,
                ), arguments


def test_nothing_is_called_that_an_earlier_try_was_told(etc: Path) -> None:
    steps = [f"{name}({arguments})" for name, arguments in applications(contexts(etc)["kept-call"])]
    asked = next(at for at, step in enumerate(steps) if step.startswith("AGI("))
    assert {"Set(BL_NEXT=)", "Set(BL_DIAL=)", "Set(BL_TRY=)"} <= set(steps[:asked])
    assert steps[asked + 1].startswith('GotoIf($["${BL_NEXT}" = "dial"]')
    assert sum(step.startswith("Dial(") for step in steps) == 1


def test_endpoints_enter_only_by_these_doors(etc: Path) -> None:
    text = (etc / "pjsip.conf").read_text() + (etc / "pjsip_generated.conf").read_text()
    assert set(re.findall(r"^context\s*=\s*(\S+)", text, re.MULTILINE)) == {
        "from-carrier",
        "from-agent",
        "refused",  # where a call that we place would be sent on to
    }
    assert (
        "context = refused" in text.partition("[carrier-example](carrier)")[2].partition("\n\n")[0]
    )
    assert "identify_by = ip\n" in text.partition("[carrier](!)")[2].partition("\n\n")[0]
    # A REFER would be a call to wherever the other side likes.
    assert text.count("allow_transfer = no") == text.count("type = endpoint") == 2
    assert "live_dangerously = no" in (etc / "asterisk.conf").read_text()
