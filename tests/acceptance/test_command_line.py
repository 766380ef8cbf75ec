"""What commands refuse, and how they say so: exit code 1 with a reason, 2 for wrong usage."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from incident.home import Home
from incident.plan import parse_plan
from incident.privacy import Keyring
from incident.settings import Settings
from incident.store.engine import migrate, open_store
from incident.store.incidents import activate

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "plans" / "sample.yaml"


def breachline(*arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", *map(str, arguments)],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_key_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "breachline.toml").write_text("[asterisk]\nami_prt = 5038\n")
    done = breachline("campaign", "status", "any", "--home", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "'asterisk.ami_prt'" in done.stderr
    assert "'ami_port'" in done.stderr
    assert not (tmp_path / "breachline.db").exists()


def test_a_broken_plan_is_refused_with_its_line(tmp_path: Path) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines, 1) if line.startswith("did:"))
    lines[at - 1] = 'did: "not a number"'
    plan = tmp_path / "plan.yaml"
    plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = breachline("incident", "check", plan)
    assert done.returncode == 1
    assert re.search(rf"\b{at}\b.*did", done.stderr), done.stderr
    sound = breachline("incident", "check", SAMPLE)
    assert sound.returncode == 0, sound.stderr


@pytest.mark.parametrize("wrong", [("no-such-command",), ("incident", "check"), ("demo", "--for")])
def test_wrong_usage(wrong: tuple[str, ...]) -> None:
    done = breachline(*wrong)
    assert done.returncode == 2
    assert done.stderr


def test_an_unknown_campaign_is_refused(tmp_path: Path) -> None:
    done = breachline("campaign", "explain", "spring", "--home", tmp_path)
    assert done.returncode == 1
    assert "'spring'" in done.stderr


async def _activate(home: Home) -> None:
    """The sample incident in force, without its prompts: nobody is going to hear them."""
    url = Settings().database_url(home)
    await migrate(url)
    async with open_store(url, Keyring.open(home)) as store:
        text = SAMPLE.read_text(encoding="utf-8")
        await activate(store, parse_plan(text, "sample"), text, 1.0)


def test_calls_are_stopped_by_a_number_from_standard_input(tmp_path: Path) -> None:
    """The number is nowhere but in the pipe: not in what is said, not in a file of the home."""
    asyncio.run(_activate(Home.at(tmp_path)))
    stop = ("contacts", "stop", "-", "--incident", "northwind", "--home", tmp_path)
    done = breachline(*stop, typed="(305) 555-0188\n")
    assert done.returncode == 0, done.stderr
    assert "not called again for northwind" in done.stdout
    again = breachline(*stop, typed="3055550188\n")
    assert "noted before" in again.stdout
    wrong = breachline(*stop, typed="305\n")
    assert wrong.returncode == 1
    assert "not a valid telephone number" in wrong.stderr
    for text in (done.stdout, done.stderr, wrong.stderr):
        assert "5550188" not in text
    with sqlite3.connect(tmp_path / "breachline.db") as database:
        rows = database.execute("SELECT incident_id, source FROM do_not_call").fetchall()
    assert rows == [("northwind", "agent")]
    assert b"5550188" not in (tmp_path / "breachline.db").read_bytes()
    listed = breachline(
        "contacts", "mistakes", "--incident", "northwind", "--home", tmp_path, "--json"
    )
    assert json.loads(listed.stdout) == {"letters": [], "unnamed": 0}


def test_backup_and_restore(tmp_path: Path) -> None:
    home, copy, archive = tmp_path / "home", tmp_path / "copy", tmp_path / "backup.tar.gz"
    home.mkdir()
    (home / "breachline.toml").write_text('bind = "127.0.0.1"\n')
    (home / "studio").mkdir()
    (home / "studio" / "take.wav").write_bytes(b"RIFF")
    assert breachline("campaign", "explain", "none", "--home", home).returncode == 1
    done = breachline("backup", archive, "--home", home)
    assert done.returncode == 0, done.stderr
    assert archive.stat().st_mode & 0o777 == 0o600
    assert breachline("backup", archive, "--home", home).returncode == 1
    done = breachline("restore", archive, "--home", copy)
    assert done.returncode == 0, done.stderr
    for name in ("breachline.toml", "secrets/master.key", "studio/take.wav"):
        assert (copy / name).read_bytes() == (home / name).read_bytes()
    assert (copy / "secrets" / "master.key").stat().st_mode & 0o777 == 0o600
    assert _schema(copy) == _schema(home) != []
    again = breachline("restore", archive, "--home", copy)
    assert again.returncode == 1
    assert "already" in again.stderr


def _schema(home: Path) -> list[str]:
    with sqlite3.connect(home / "breachline.db") as database:
        found = [str(row[0]) for row in database.execute("select name from sqlite_master")]
    database.close()
    return sorted(found)
