"""``breachline plan``: words, tables, files and plots; refusals that say why."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from console import forecast_commands
from console.__main__ import main
from ivr.staffing.actual import HEADERS

PROJECT = Path(__file__).resolve().parents[2]
PEOPLE = ("--people", "814000", "--letters-from", "2026-12-01", "--days", "14")


DEFINED = {
    *("day", "from", "calls", "range", "self", "to agents", "agents", "rota", "hours", "channels"),
    *("rule", "in 30 s", "mean wait", "wait", "hang up", "busy", "again", "call-backs", "lost"),
    *("needed", "letters", "calls placed", "reached", "en", "es", "together"),
    *("if each speaks all", "counted", "before", "now"),
}


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(forecast_commands, "_today", lambda _zone: date(2026, 11, 24))

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["breachline", "plan", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return run


def words(text: str) -> str:
    """The running text before the tables, its lines joined."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def test_people_are_enough(plan: Any) -> None:
    done = plan("--people", "814000")
    assert done.code == 0, done.err
    assert words(done.out).startswith("Expect ")
    assert "By day, for 80% answered within 30 s" in done.out
    assert "by quarter hour" in done.out
    assert "Assumed: a peak of 0.90% of the people" in done.out


def test_what_is_said_for_the_published_size(plan: Any) -> None:
    done = plan(*PEOPLE)
    said = words(done.out)
    assert "from 814,000 people until Monday 14 December 2026" in said
    assert "the busiest day is Monday 7 December with 7,58" in said
    assert "49 agents on Monday 7 December at 10:30" in said
    assert "70 on the rota with 30% shrinkage" in said
    assert "The last letters arrive by Tuesday 8 December 2026." in said
    # Nothing is cut off, and 80 columns hold it.
    assert "…" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_columns_line_up(plan: Any) -> None:
    lines = plan(*PEOPLE).out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Monday 7 December, by"))
    rows = [line for line in lines[start + 3 :] if line[:2].isdigit() and line[2:3] == ":"]
    assert len(rows) == 48
    ends = [row.index("%") for row in rows]
    assert len(set(ends)) == 1


def test_with_the_agents_there_are(plan: Any) -> None:
    done = plan(*PEOPLE, "--agents", "30")
    said = words(done.out)
    assert "With 30 agents: on Monday 7 December" in said
    assert "hang up" in said
    assert "What callers meet with 30 agents" in done.out
    calm = words(plan(*PEOPLE, "--agents", "90").out)
    assert "100% are answered within 30 s, the mean wait is 0 s, 0% hang up" in calm


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--service-level", "90/20"), "For 90% answered within 20 s: "),
        (("--mean-wait", "5"), "For a mean wait of 5 s: "),
        (("--abandonment", "2%"), "For at most 2.0% hanging up: "),
    ],
)
def test_other_targets(plan: Any, option: tuple[str, str], text: str) -> None:
    assert text in words(plan(*PEOPLE, *option).out)


def test_an_incidents_plan_gives_hours_languages_and_its_deadline(plan: Any) -> None:
    sample = str(PROJECT / "plans" / "sample.yaml")
    calls = ("--calls-per-day", "3000", "--call-people", "60000")
    done = plan(*PEOPLE, "--incident", sample, *calls)
    assert done.code == 0, done.err
    assert "America/Chicago" in done.out
    assert "Agents at the peak, by language" in done.out
    assert "Too late: the last notice calls come" in words(done.out)
    assert "Notices going out" in done.out


def test_json_and_csv_hold_everything(plan: Any, tmp_path: Path) -> None:
    as_json, as_csv = tmp_path / "plan.json", tmp_path / "plan.csv"
    files = ("--json", str(as_json), "--csv", str(as_csv), "--languages", "en=87,es=13")
    done = plan(*PEOPLE, *files)
    assert done.code == 0, done.err
    data = json.loads(as_json.read_text(encoding="utf-8"))
    with as_csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(data["quarters"]) == 14 * 96
    assert data["summary"]["busiest_day"] == "2026-12-07"
    assert " ".join(data["summary"]["words"]) == words(done.out)
    peak = max(rows, key=lambda row: int(row["agents"]))
    assert int(peak["agents"]) == data["summary"]["agents"] == 49
    assert peak["start"] == "2026-12-07T10:15:00-05:00" or "T10:30" in peak["start"]
    assert float(peak["calls_low"]) < float(peak["calls"]) < float(peak["calls_high"])
    assert abs(int(peak["agents_square_root"]) - 49) <= 3
    assert int(peak["agents_en"]) > int(peak["agents_es"]) > 0
    of_day = [row for row in rows if row["start"].startswith("2026-12-07")]
    total = next(day["calls"] for day in data["days"] if day["day"] == "2026-12-07")
    assert sum(float(row["calls"]) for row in of_day) == pytest.approx(total, rel=1e-4)
    assert data["scenario"]["response"]["peak_share"] == "0.9 %"


def counts(plan: Any, tmp_path: Path, factor: float) -> str:
    """Six hours of the first day on which calls come, ``factor`` times those forecast."""
    as_csv, file = tmp_path / "forecast.csv", tmp_path / "counts.csv"
    plan(*PEOPLE, "--csv", str(as_csv))
    with as_csv.open(encoding="utf-8", newline="") as rows:
        lines = [
            f"{row['start']},{round(float(row['calls']) * factor)}"
            for row in csv.DictReader(rows)
            if "2026-12-03T08:00" <= row["start"] < "2026-12-03T14:00"
        ]
    file.write_text("time,calls\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def test_the_first_hours_correct_it(plan: Any, tmp_path: Path) -> None:
    as_json = tmp_path / "plan.json"
    done = plan(*PEOPLE, "--actual", counts(plan, tmp_path, 1.6), "--json", str(as_json))
    said = words(done.out)
    assert said.startswith("First 6 hours: 547 calls, 1.6 times the forecast; expect 11,")
    assert "calls on Monday 7 December (" in said
    assert "agents at the peak (" in said
    assert "instead of 49." in said
    assert "Corrected by real counts" in done.out
    correction = json.loads(as_json.read_text(encoding="utf-8"))["correction"]
    assert 1.35 < correction["scale"] < 1.65
    assert correction["shift_days"] == 0


def test_how_real_counts_were_read_is_said(plan: Any, tmp_path: Path) -> None:
    file, as_json = tmp_path / "counts.csv", tmp_path / "plan.json"
    rows = "".join(f"2026-12-03 {hour:02}:00,60\n" for hour in range(8, 20))
    file.write_text("time,calls\n" + rows, encoding="utf-8")
    done = plan(*PEOPLE, "--actual", str(file), "--json", str(as_json))
    assert done.code == 0, done.err
    read = "12 hourly counts, 08:00 to 20:00 on Thursday 3 December 2026"
    assert "First 12 hours: 720 calls, 1.2 times the forecast; expect" in words(done.out)
    assert f"Read: {read}." in words(done.out)
    data = json.loads(as_json.read_text(encoding="utf-8"))
    assert data["correction"]["read"] == read
    counted = [row["counted"] for row in data["quarters"] if row["counted"] is not None]
    assert counted == [15] * 48


def test_one_count_whose_length_nobody_knows_is_refused(plan: Any, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("time,calls\n2026-12-03 08:00,60\n", encoding="utf-8")
    done = plan(*PEOPLE, "--actual", str(file))
    assert done.code == 1
    assert "line 2: one count alone does not say how long it is" in done.err
    assert "add a column 'minutes' (or 'end')" in done.err


def test_names_of_columns_are_told_where_none_is_known(plan: Any, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("when,how many,what\n2026-12-03 08:00,60,1\n", encoding="utf-8")
    done = plan(*PEOPLE, "--actual", str(file))
    assert done.code == 1
    said = " ".join(done.err.split())
    for names in HEADERS.values():
        assert names.replace(" ", ", ").replace("_", " ") in said


def test_more_agents_than_needed_are_told_of_the_busiest_day(plan: Any, tmp_path: Path) -> None:
    as_json = tmp_path / "plan.json"
    done = plan(*PEOPLE, "--agents", "50000", "--json", str(as_json))
    assert (
        "With 50,000 agents: on Monday 7 December 100% are answered within 30 s, the mean wait is "
        "0 s, 0% hang up"
    ) in words(done.out)
    days = json.loads(as_json.read_text(encoding="utf-8"))["days"]
    nobody = [day for day in days if day["to_agents"] == 0 or not day["hours"]]
    assert nobody
    # Nothing is said of calls that are none.
    assert {day[key] for day in nobody for key in ("answered", "mean_wait", "abandoned")} == {None}


def test_the_days_of_the_mail_and_the_holidays_are_named(plan: Any, tmp_path: Path) -> None:
    said = words(plan(*PEOPLE).out)
    assert (
        "Letters go out on Tuesday 1 December, Wednesday 2 December and Thursday 3 December 2026 "
        "(Mondays to Fridays, public holidays included), and arrive on no Sunday."
    ) in said
    assert "No day counts as a holiday: name those without agents in hours.closed." in said
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "people: 5000\ndays: 10\nletters: {by_day: {2026-12-01: 5000}}\nhours:\n"
        "  timezone: America/New_York\n  closed: [2026-12-08]\n"
        "  weekly: {monday: 08:00-20:00, tuesday: 08:00-20:00, wednesday: 08:00-20:00,\n"
        "           thursday: 08:00-20:00, friday: null, saturday: null, sunday: null}\n",
        encoding="utf-8",
    )
    said = words(plan(str(file)).out)
    assert "on Tuesday 1 December 2026 (the days that letters.by_day names)" in said
    assert "Holidays, without agents: Tuesday 8 December (hours.closed)" in said


def test_a_mailing_in_the_past_is_noted_and_real_counts_explain_it(
    plan: Any, tmp_path: Path
) -> None:
    past = ("--people", "814000", "--letters-from", "2026-11-16", "--days", "14")
    note = (
        "Note: the first mailing day, Monday 16 November 2026, is past (today is Tuesday "
        "24 November 2026)"
    )
    assert note in words(plan(*past).out)
    assert "is past" not in words(plan(*PEOPLE).out)
    file = tmp_path / "counts.csv"
    file.write_text("day,calls\n2026-11-19,500\n", encoding="utf-8")
    corrected = plan(*past, "--actual", str(file))
    assert corrected.code == 0, corrected.err
    assert "is past" not in words(corrected.out)


def test_letters_beyond_the_end_are_noted(plan: Any) -> None:
    start = ("--people", "814000", "--letters-from", "2026-12-01")
    whole = plan(*start, "--letters-days", "100")
    assert "the forecast ends" not in words(whole.out)
    assert "until Monday 3 May 2027" in words(whole.out)
    said = words(plan(*start, "--letters-days", "10", "--days", "7").out)
    assert "Note: the forecast ends on Monday 7 December 2026, but " in said
    assert "letters arrive after it, until Saturday 19 December 2026, and" in said
    assert "--days 33 shows them." in said
    long = words(plan(*start, "--letters-days", "400").out)
    assert "--days shows 400 at most, so plan the later ones on their own." in long


def test_every_column_is_defined_in_the_guide(plan: Any, tmp_path: Path) -> None:
    guide = (PROJECT / "docs" / "planning.md").read_text(encoding="utf-8")
    calls = ("--calls-per-day", "3000", "--languages", "en=87%,es=13%", "--agents", "30")
    actual = ("--actual", counts(plan, tmp_path, 1.6))
    lines = plan(*PEOPLE, *calls, *actual).out.splitlines()
    heads = [above for above, rule in itertools.pairwise(lines) if set(rule) == {"─"}]
    assert len(heads) == 6
    for head in heads:
        rest = head
        for name in sorted(DEFINED, key=len, reverse=True):
            rest = rest.replace(name, " ")
        assert rest.split() == [], head
    for name in DEFINED - {"en", "es", "in 30 s"}:
        assert f"| {name} |" in guide


def test_the_names_of_columns_of_counts_are_in_the_guide() -> None:
    guide = (PROJECT / "docs" / "planning.md").read_text(encoding="utf-8")
    for names in HEADERS.values():
        for name in names.split():
            assert f"`{name.replace('_', ' ')}`" in guide


def test_plots(plan: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "plots", tmp_path / "b"
    actual = ("--actual", counts(plan, tmp_path, 1.6), "--agents", "60")
    assert plan(*PEOPLE, *actual, "--plots", str(first)).code == 0
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        f"{what}.{kind}" for what in ("agents", "calls", "waits") for kind in ("png", "svg")
    ]
    for path in first.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert 20_000 < path.stat().st_size < 400_000
    for path in first.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert path.stat().st_size < 400_000
    # The same forecast gives the same files.
    plan(*PEOPLE, *actual, "--plots", str(second))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_the_busiest_day_is_named_on_the_axis(plan: Any, tmp_path: Path) -> None:
    for days in ("14", "28", "60"):
        assert plan(*PEOPLE[:-1], days, "--plots", str(tmp_path)).code == 0
        for name in ("calls", "agents"):
            drawn = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
            assert "<!-- 7 Dec -->" in drawn, (days, name)


def test_matplotlib_is_loaded_for_plots_only() -> None:
    code = "import sys, console.__main__; sys.exit('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False, timeout=60)
    assert done.returncode == 0


def test_assumptions_are_a_scenario(plan: Any, tmp_path: Path) -> None:
    text = plan(*PEOPLE, "--self-service", "55%", "--assumptions").out
    assert "self_service: 55 %" in text
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    from_file, from_options = plan(str(file)), plan(*PEOPLE, "--self-service", "55%")
    assert from_file.code == 0, from_file.err
    assert from_file.out == from_options.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "how many people are to be notified? --people 814000"),
        (("--people", "many"), "--people: 'many' is not a whole number"),
        (("--people", "0"), "--people: with nobody to notify"),
        (("--people", "99999999999"), "--people: '99999999999' is not between"),
        ((*PEOPLE, "--peak-share", "0.9"), "--peak-share: must be at most 0.2"),
        ((*PEOPLE, "--self-service", "40"), "write 40 % if you mean percent"),
        ((*PEOPLE, "--letters-days", "0"), "--letters-days: must be at least 1"),
        (("--people", "9", "--letters-from", "soon"), "--letters-from: 'soon' is not a date"),
        ((*PEOPLE, "--service-level", "high"), "--service-level: 'high' is none; write 80/30"),
        ((*PEOPLE, "--service-level", "100/30"), "--service-level: must be at most 0.999"),
        ((*PEOPLE, "--mean-wait", "5", "--abandonment", "3%"), "give one of"),
        ((*PEOPLE, "--languages", "en"), "write en=87%,es=13%"),
        ((*PEOPLE, "--languages", "en=50%,es=20%"), "are together 70.0%, not 100 %"),
        ((*PEOPLE, "--languages", "en=50%,en=50%"), "a language is named twice"),
        ((*PEOPLE, "--day", "2020-01-01"), "is not within 2026-12-01 to 2026-12-14"),
        ((*PEOPLE, "--day", "x"), "--day: 'x' is not a date"),
        ((*PEOPLE, "--agents", "-1"), "--agents: '-1' is not a whole number"),
        ((*PEOPLE, "--agents", "0"), "--agents: with 0 agents nobody is answered"),
        ((*PEOPLE, "--agents", "100000"), "--agents: 100,000 agents are more than any hotline has"),
        (("--people", "814.000"), "--people: '814.000' may be read in two ways; write 814000 or"),
    ],
)
def test_an_option_that_cannot_be_is_wrong_usage(
    plan: Any, arguments: tuple[str, ...], message: str
) -> None:
    done = plan(*arguments)
    assert done.code == 2
    said = " ".join(done.err.replace("│", " ").split())
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*PEOPLE, "--call-people", "90"), "notice calls need a pace"),
        ((*PEOPLE, "--actual", "/dev/null"), "/dev/null: is empty"),
        ((*PEOPLE, "--json", "/nonexistent/plan.json"), "/nonexistent/plan.json"),
        ((*PEOPLE, "--plots", "/dev/null/plots"), "/dev/null/plots"),
        (
            ("--people", "1000000000", "--response", "20"),
            "agents would have to talk at once; more than 50,000",
        ),
    ],
)
def test_refusals(plan: Any, arguments: tuple[str, ...], message: str) -> None:
    done = plan(*arguments)
    assert done.code == 1
    said = " ".join(done.err.split())
    assert said.startswith("refused: ")
    assert message in said
    assert "Traceback" not in said


def test_a_mistake_in_a_scenario_is_refused_with_its_place(plan: Any, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("people: 814.000\n", encoding="utf-8")
    done = plan(str(file), "--agents", "30")
    assert done.code == 1
    assert "scenario.yaml:1:1 people: '814.000' may be read in two ways" in " ".join(
        done.err.split()
    )


def test_counts_of_another_time_are_refused(plan: Any, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("time,calls\n2020-01-01 08:00-08:15,4\n", encoding="utf-8")
    done = plan(*PEOPLE, "--actual", str(file))
    assert done.code == 1
    assert "none of the 1 counts falls into the forecast's days" in " ".join(done.err.split())


def test_a_file_that_is_not_there_is_wrong_usage(plan: Any) -> None:
    assert plan("nowhere.yaml").code == 2


def test_help_names_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["breachline", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "plan  " in capsys.readouterr().out
