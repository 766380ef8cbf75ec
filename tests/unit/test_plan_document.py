"""Reading YAML: no implicit types, every position, and nothing that a file can do to us."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident.plan import PlanError
from incident.plan.document import DEPTH_LIMIT, SIZE_LIMIT, decode, read


def only_problem(text: str) -> tuple[int, int, str]:
    with pytest.raises(PlanError) as caught:
        read(text, "x.yaml")
    (problem,) = caught.value.problems
    return problem.line, problem.column, problem.message


def test_scalars_stay_as_they_are_written() -> None:
    text = "no: yes\n0: +18005550199\non: 2026-01-01\noct: 010\ntime: 12:30:00\nf: 1e3\n"
    assert read(text, "x").data == {
        "no": "yes",
        "0": "+18005550199",
        "on": "2026-01-01",
        "oct": "010",
        "time": "12:30:00",
        "f": "1e3",
    }


def test_only_plain_nothing_is_none() -> None:
    assert read("a:\nb: ~\nc: null\nd: ''\ne: 'null'\n", "x").data == {
        "a": None,
        "b": None,
        "c": None,
        "d": "",
        "e": "null",
    }


def test_positions_are_those_of_keys_and_items() -> None:
    document = read("a:\n  b:\n    - x\n    - {c: y}\n", "x")
    assert document.positions == {
        ("a",): (1, 1),
        ("a", "b"): (2, 3),
        ("a", "b", 0): (3, 7),
        ("a", "b", 1): (4, 7),
        ("a", "b", 1, "c"): (4, 8),
    }


def test_a_folded_text_has_no_trace_of_its_folds() -> None:
    assert read("a: >-\n  one\n  two\n", "x").data == {"a": "one two"}


def test_an_anchor_may_be_used_again() -> None:
    document = read("a: &t {en: hi}\nb: *t\n", "x")
    assert document.data["b"] == {"en": "hi"}
    assert document.problems == ()


def test_a_key_that_is_twice_is_a_problem_and_the_rest_is_read() -> None:
    document = read("a: 1\nb: 2\na: 3\n", "x")
    assert [(p.line, p.column) for p in document.problems] == [(3, 1)]
    assert "line 1" in document.problems[0].message
    assert document.data == {"a": "1", "b": "2"}


def test_tags_and_merge_keys_are_problems() -> None:
    document = read("a: !!python/object:os.system x\nb: {<<: {c: d}}\n", "x")
    assert ["tag" in p.message or "merge" in p.message for p in document.problems] == [True, True]
    assert document.data["b"] == {}


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "the file is empty"),
        ("- a\n", 1, 1, "must be a mapping"),
        ("a:\n\tb: 1\n", 2, 1, "a tab indents this line"),
        ("a:\n  b: c: d\n", 2, 7, "in quotes"),
        ("a: 'b\n", 2, 1, "quoted scalar"),
        ("a: *b\n", 1, 4, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, 1, "single document"),
        ("a: b\x00c\n", 1, 5, "U+0000"),
        ("a: b\nc: \x07\n", 2, 4, "U+0007"),
    ],
)
def test_what_yaml_cannot_be_says_where(text: str, line: int, column: int, says: str) -> None:
    found = only_problem(text)
    assert found[:2] == (line, column)
    assert says in found[2]


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    assert str(SIZE_LIMIT) in only_problem("a: " + "x" * SIZE_LIMIT)[2]
    with pytest.raises(PlanError, match=str(SIZE_LIMIT)):
        decode(b"x" * (SIZE_LIMIT + 1), "x")


def test_aliases_of_aliases_do_not_explode() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "expands" in only_problem("\n".join(levels))[2]


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n"])
def test_an_alias_of_itself_is_refused(text: str) -> None:
    assert "contains itself" in only_problem(text)[2]


def test_deep_nesting_is_refused() -> None:
    assert "nested deeper" in only_problem("a: " + "[" * (DEPTH_LIMIT + 5))[2]
    assert "nested deeper" in only_problem("{" * 100_000)[2]


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", "x") == "a: 1"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,?\t\n \\0é\x00~<="), max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        document = read(text, "x")
    except PlanError as error:
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)
        assert error.problems
    else:
        assert all(line >= 1 and column >= 1 for line, column in document.positions.values())
