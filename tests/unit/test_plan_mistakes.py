"""Every mistake is found where it is and said so that the author can mend it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident.plan import PlanError, Problem, check_plan, describe_problems, parse_plan
from incident.plan.document import Path as KeyPath
from incident.plan.document import dotted, read

SAMPLE = (Path(__file__).parents[2] / "plans" / "sample.yaml").read_text(encoding="utf-8")


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse_plan(text, "x.yaml")
    except PlanError as error:
        return error.problems
    return ()


def change(old: str, new: str) -> str:
    assert SAMPLE.count(old) >= 1, old
    return SAMPLE.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_mistake_reads_as_file_line_column_place_and_advice() -> None:
    text = change("{answer: credit_freeze}", "{answer: credit_freze}")
    line = line_of(text, '"1": {answer: credit')
    with pytest.raises(PlanError) as caught:
        parse_plan(text, "plans/x.yaml")
    assert str(caught.value) == (
        f"plans/x.yaml:{line}:7  menus.protect.choices.1: "
        "answer 'credit_freze' is not defined; did you mean 'credit_freeze'?"
    )
    assert caught.value.source == "plans/x.yaml"


CASES = [
    # (what is written, what it becomes, where, part of the message)
    ("organisation:\n", "organization:\n", "organization", "did you mean 'organisation'?"),
    ("organisation:\n", "organization:\n", "organisation", "is missing"),
    ("incident: northwind", "incident: North Wind", "incident", "not a valid value"),
    ("incident: northwind", "incident:", "incident", "is empty"),
    ('did: "+18005550199"', "did: 8005550199", "did", "not in E.164 form"),
    ('did: "+18005550199"', 'did: "+1 800 555 0199"', "did", "not in E.164 form"),
    ('did: "+18005550199"', 'did: "+11115550199"', "did", "not a number that its country"),
    ('did: "+18005550199"', 'did: "+19005550199"', "did", "premium rate number: whoever calls"),
    ('did: "+18005550199"', 'did: "+12129760199"', "did", "premium rate number: whoever calls"),
    ('number: "+18005550199"', 'number: "+19005550199"', "callback_number", "premium rate"),
    ('phone: "+18005550146"', 'phone: "+19005550146"', "enrolment.phone", "premium rate"),
    (
        "{callback_number}. Goodbye",
        "{phone:+19005550199}.",
        "texts.outbound.abandoned.en",
        "premium",
    ),
    ("languages: [en, es]", "languages: en", "languages", "must be a list"),
    ("languages: [en, es]", "languages: [en, es, fr]", "languages[3]", "no house texts"),
    ("languages: [en, es]", "languages: [en, es, es]", "languages[3]", "listed twice"),
    ("languages: [en, es]", "languages: [en]", "organisation.spoken.es", "not in languages"),
    ("discovered: 2026", "discovered: 2025", "dates.discovered", "is before occurred_from"),
    ("determined: 2026", "determined: 2025", "dates.determined", "is before discovered"),
    ("occurred_to: 2026", "occurred_to: 2025", "dates.occurred_to", "is before occurred_from"),
    ("notice_by: 2026", "notice_by: 2025", "dates.notice_by", "is before discovered"),
    ("enrol_by: 2027", "enrol_by: 2026", "enrolment.enrol_by", "nobody could enrol"),
    ("discovered: 2026-10-12", "discovered: 20261012", "dates.discovered", "is not a date"),
    ("discovered: 2026-10-12", "discovered: 2026-02-30", "dates.discovered", "calendar"),
    ("America/Chicago", "America/Chcago", "hours.timezone", "did you mean 'America/Chicago'?"),
    ("America/Chicago", "../../etc/passwd", "hours.timezone", "not an IANA time zone"),
    ("monday: 00:00-24:00", "monday: 8-20", "hours.weekly.monday", "is not hours"),
    ("monday: 00:00-24:00", "monday: 08:00-24:30", "hours.weekly.monday", "past 24:00"),
    ("monday: 00:00-24:00", "monday: 20:00-08:00", "hours.weekly.monday", "ends before"),
    (
        "monday: 00:00-24:00",
        "monday: [08:00-12:00, 11:00-20:00]",
        "hours.weekly.monday",
        "overlap",
    ),
    ("monday: 00", "mondy: 00", "hours.weekly.mondy", "did you mean 'monday'?"),
    ("    monday: 00:00-24:00\n", "", "hours.weekly", "nothing for monday"),
    ("closed: []", "closed: [2026-12-25, never]", "hours.closed[2]", "is not a date"),
    ("months: 24", "months: lots", "enrolment.months", "must be a whole number, not 'lots'"),
    ("months: 24", "months: 0", "enrolment.months", "must be at least 1"),
    ("months: 24", "months: 24\n  months: 12", "enrolment.months", "is here twice"),
    ("website: harbor", "website: https://harbor", "enrolment.website", "without https://"),
    ("{menu: protect}", "{menu: protct}", "menus.main.choices.3", "did you mean 'protect'?"),
    ("{flow: affected}", "{flow: afected}", "menus.main.choices.2.flow", "did you mean 'affected'"),
    ("{menu: protect}", "{menu: protect, agent: true}", "menus.main.choices.3", "exactly one"),
    ("{menu: protect}", "{}", "menus.main.choices.3", "exactly one"),
    ("{menu: protect}", "protect", "menus.main.choices.3", "must be a mapping"),
    ("{menu: protect}", "{answer: enrolment}", "menus.protect", "no choice leads to this menu"),
    ("{menu: protect}", "{menu: main}", "answers.fraud_alert", "no menu choice plays"),
    ('"0": {agent: true}', '"0": {menu: protect}', "menus.main.choices.0", "must reach an agent"),
    ('"0": {agent: true}', '"10": {agent: true}', "menus.main.choices.10", "not a key from 0 to 9"),
    ('"0": {agent: true}', '"9": {agent: true}', "menus.main.choices", "key 0 must reach"),
    ("press 6. To speak", "press 7. To speak", "menus.main.prompt.en", "does not say what key 6"),
    ("press 6. To speak", "press 7. To speak", "menus.main.prompt.en", "key 7, which has no"),
    ("oprima el 6. Para hablar", "oprima el 7. Para", "menus.main.prompt.es", "key 6"),
    ("{flow: relay}", "{flow: really}", "menus.more_help.choices.5.flow", "did you mean 'relay'"),
    ("{menu: more_help}", "{menu: protect}", "menus.more_help", "no choice leads to this menu"),
    *(
        (f"  {name}:\n    en: >-\n", f"  x{name}:\n    en: >-\n", place, f"answer {name!r}")
        for name, place in (
            ("enrolment", "menus.main.choices.4"),
            ("minor", "menus.more_help.choices.1"),
            ("deceased", "menus.more_help.choices.2"),
            ("mistake", "menus.more_help.choices.3"),
            ("relay", "menus.more_help.choices.5"),
        )
    ),
    (
        "      es: El número de la licencia de conducir de esta persona estaba ahí.\n",
        "",
        "data_types.drivers_licence.other",
        "no text in 'es'",
    ),
    (
        "texts:\n",
        "texts:\n  affected.next: {en: 'Press 1.', es: 'Oprima el 1 o el 2. Oprima el 2.'}\n",
        "texts.affected.next.en",
        "does not say what key 2",
    ),
    ("  greeting:\n", "  greting:\n", "texts.greting", "did you mean 'greeting'?"),
    ("  greeting:\n", "  greting:\n", "texts", "'greeting' is missing"),
    ("      drivers_licence:\n", "      drivers:\n", "scripts.inbound.what_to_do", "nothing for"),
    (
        "{callback_number}. Goodbye",
        "{calback_number}. Goodbye",
        "texts.outbound.abandoned.en",
        "did you mean 'callback_number'?",
    ),
    ("{callback_number}. Goodbye", "{phone:12}.", "texts.outbound.abandoned.en", "E.164"),
    ("{callback_number}. Goodbye", "{ .", "texts.outbound.abandoned.en", "stands alone"),
    (
        "Watch your bank",
        "Now key in your Social Security number. Watch your bank",
        "texts.emergency.essentials.en",
        "asks for a Social Security number",
    ),
    (
        "    es: >-\n      Hace bien",
        "    no: >-\n      Hace bien",
        "answers.genuine",
        "no text in 'es'",
    ),
    (
        "    es: >-\n      Hace bien",
        "    no: >-\n      Hace bien",
        "answers.genuine.no",
        "not in languages",
    ),
]


@pytest.mark.parametrize(("old", "new", "where", "says"), CASES)
def test_a_mistake_is_found_at_its_place(old: str, new: str, where: str, says: str) -> None:
    text = change(old, new)
    found = [
        problem
        for problem in problems_of(text)
        if problem.where == where and says in problem.message
    ]
    assert len(found) == 1, describe_problems("x.yaml", problems_of(text))
    positions = read(text, "x.yaml").positions
    places = {dotted(path): position for path, position in positions.items()}
    here = where
    while here and here not in places:
        here = here.rpartition(".")[0]
    if "twice" not in says or "[" in where:
        assert (found[0].line, found[0].column) == places.get(here, (1, 1))


def test_all_mistakes_are_found_at_once() -> None:
    text = SAMPLE
    for old, new in [
        ('did: "+18005550199"', "did: 42"),
        ("America/Chicago", "Nowhere/Land"),
        ("{answer: credit_freeze}", "{answer: credit_freze}"),
        ("months: 24", "months: many"),
        ("{callback_number}. Goodbye", "{number}. Goodbye"),
        ("discovered: 2026", "discovered: 2025"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)
    assert {problem.where for problem in problems_of(text)} == {
        "did",
        "hours.timezone",
        "menus.protect.choices.1",
        "enrolment.months",
        "texts.outbound.abandoned.en",
        "dates.discovered",
    }


APOLOGIES: list[KeyPath] = [
    (*path, code)
    for path in [
        ("texts", "greeting"),
        ("texts", "emergency.essentials"),
        ("texts", "outbound.abandoned"),
        ("scripts", "inbound", "apology"),
        ("scripts", "outbound", "apology"),
    ]
    for code in ("en", "es")
]


def block(text: str, path: KeyPath) -> tuple[int, int]:
    """The lines of a key and all below it: first, and first after."""
    line, column = read(text, "x.yaml").positions[path]
    lines = text.splitlines()
    end = line
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) >= column
    ):
        end += 1
    return line - 1, end


@pytest.mark.parametrize("path", APOLOGIES, ids=dotted)
def test_a_text_without_its_apology_is_a_mistake(path: KeyPath) -> None:
    lines = SAMPLE.splitlines()
    first, after = block(SAMPLE, path)
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    lines[first:after] = [f"{indent}{path[-1]}: Good day."]
    found = [p for p in problems_of("\n".join(lines)) if "apology" in p.message]
    assert [(p.line, p.where) for p in found] == [(first + 1, dotted(path))]


KEYS = sorted(
    (
        path
        for path in read(SAMPLE, "x.yaml").positions
        if not any(isinstance(part, int) for part in path)
        # Optional, and the keys of choices that stand on one line with their parent.
        and path not in {("dates", "notice_by"), ("hours", "closed")}
        and not (path[0] == "data_types" and path[-1] == "other")
        and path[-1] not in {"answer", "menu", "flow", "agent"}
    ),
    key=str,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(KEYS))
def test_deleting_any_key_is_a_mistake_with_a_place_in_the_file(path: KeyPath) -> None:
    lines = SAMPLE.splitlines()
    first, after = block(SAMPLE, path)
    text = "\n".join([*lines[:first], *lines[after:]]) + "\n"
    found = problems_of(text)
    assert found, dotted(path)
    if read(text, "x.yaml").data:
        places = {(1, 1), *read(text, "x.yaml").positions.values()}
        assert all((problem.line, problem.column) in places for problem in found)


def test_check_says_what_keeps_a_file_from_being_read(tmp_path: Path) -> None:
    missing = check_plan(tmp_path / "none.yaml")
    assert [problem.message for problem in missing] == [
        "the file cannot be read: No such file or directory"
    ]
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"incident: northwind\ndid: \xff\n")
    assert check_plan(bad) == [Problem(2, 6, "", "byte 0xff is not UTF-8; save the file as UTF-8")]


def test_an_agent_three_keys_away_is_a_mistake() -> None:
    deep = (
        "  deep:\n"
        "    prompt: {en: 'Press 1.', es: 'Oprima el 1.'}\n"
        '    choices: {"1": {menu: deeper}}\n'
        "  deeper:\n"
        "    prompt: {en: 'Press 1.', es: 'Oprima el 1.'}\n"
        '    choices: {"1": {answer: fraud_alert}}\n'
        "\nanswers:\n"
    )
    text = change("\nanswers:\n", deep).replace('"2": {flow: affected}', '"2": {menu: deep}', 1)
    far = [p.where for p in problems_of(text) if "more than 2 keys away" in p.message]
    assert far == ["menus.deeper"]  # "deep" has main, and main's key 0, behind the pound key


def test_a_plan_without_the_later_flows_is_as_good_as_before() -> None:
    """A child, an estate, a stop: who leaves them out has no mistake, and no text to write."""
    lines = SAMPLE.splitlines()
    gone: list[KeyPath] = [("menus", "more_help"), ("menus", "main", "choices", "6")]
    gone += [("answers", name) for name in ("minor", "deceased", "mistake", "relay")]
    gone += [("data_types", code, "other") for code in ("ssn", "bank_card", "medical", "contact")]
    gone += [("data_types", "drivers_licence", "other")]
    for first, after in sorted((block(SAMPLE, path) for path in gone), reverse=True):
        del lines[first:after]
    text = "\n".join(lines) + "\n"
    text = text.replace("{flow: enrolment}", "{answer: enrolment}")
    text = re.sub(r"press\s+6\. To", "ask. To", text)
    text = re.sub(r"oprima\s+el\s+6\. Para", "pregunte. Para", text)
    assert problems_of(text) == ()


def test_a_toll_free_number_is_nobodys_premium_rate() -> None:
    assert problems_of(change('did: "+18005550199"', 'did: "+18009760199"')) == ()
