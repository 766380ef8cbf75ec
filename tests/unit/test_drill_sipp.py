"""Scenarios for SIPp, and its own counts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from drill.sipp import Press, _counts, scenario


def test_a_scenario_presses_its_keys_in_order_and_hangs_up() -> None:
    root = ElementTree.fromstring(scenario([Press(1500, "1"), Press(200, "#")], 4000).encode())
    assert [each.get("milliseconds") for each in root.iter("pause")] == ["1500", "200", "4000"]
    assert [each.get("play_dtmf") for each in root.iter("exec")] == ["1", "#"]
    sent = [(each.text or "").split()[0] for each in root.iter("send")]
    assert sent == ["INVITE", "ACK", "BYE"]
    assert "sip:+12125550142@" in scenario([], 0)


def test_a_caller_who_waits_is_hung_up_by_the_other_side() -> None:
    root = ElementTree.fromstring(scenario([], 9000, hang_up=False, line="0107").encode())
    (bye,) = [each for each in root.iter("recv") if each.get("request") == "BYE"]
    assert bye.get("timeout") == "9000"
    sent = [(each.text or "").split()[0] for each in root.iter("send")]
    assert sent == ["INVITE", "ACK", "SIP/2.0"]


def test_the_last_row_of_its_counts_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "stats.csv"
    file.write_text("SuccessfulCall(C);FailedCall(C);\n1;0;\n7;2;\n")
    assert _counts(file) == (7, 2)


def test_no_counts_are_no_result(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _counts(tmp_path / "stats.csv")
