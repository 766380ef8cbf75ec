"""Rules and configuration, judged by the private tree's own promtool."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from incident.settings import Settings
from pbx.runtime.tree import Tree, ensure_tree
from tests.expressions import MONITORING, RULES, expressions


@pytest.fixture(scope="module")
def tree() -> Tree:
    return ensure_tree(Settings(), lambda _line: None)


def _promtool(tree: Tree, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        tree.command("promtool", *args),
        env={**os.environ, **tree.env()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_rules_behave_as_their_tests_say(tree: Tree, name: str) -> None:
    done = _promtool(tree, "test", "rules", str(MONITORING / "tests" / name))
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_have_no_mistake(tree: Tree) -> None:
    done = _promtool(tree, "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_filled_configuration_is_valid(tree: Tree, tmp_path: Path) -> None:
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    for place, value in {
        "@BIND@": "127.0.0.27",
        "@HOTLINE_PORT@": "9101",
        "@DIALER_PORT@": "9102",
        "@ASTERISK_PORT@": "8088",
        "@PROMETHEUS_PORT@": "9090",
        "@RULES@": str(MONITORING / "rules"),
        "@NODE@": "node1",
    }.items():
        assert place in text
        text = text.replace(place, value)
    file = tmp_path / "prometheus.yml"
    file.write_text(text, encoding="utf-8")
    done = _promtool(tree, "check", "config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout


def test_every_expression_of_rules_and_dashboards_parses(tree: Tree, tmp_path: Path) -> None:
    """One rule file with all of them: promtool names what it cannot parse."""
    lines = ["groups:", "  - name: parsed", "    rules:"]
    for number, each in enumerate(expressions()):
        expr = " ".join(each.operand.split()).replace("'", "''")
        lines += [f"      - record: parsed:{number}", f"        expr: '{expr}'"]
    file = tmp_path / "parsed.yml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = _promtool(tree, "check", "rules", "--lint=none", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
