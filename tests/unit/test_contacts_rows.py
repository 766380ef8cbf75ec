"""One row: what is accepted and how it is written down, what is rejected and in which words."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from incident.contacts import batches as batches_module
from incident.contacts.batches import Batch, batches
from incident.contacts.errors import ContactsError
from incident.contacts.rows import Accepts
from incident.contacts.source import examine
from incident.privacy import IncidentKey

COLUMNS = (
    "reference", "phone", "state", "postal_code", "language", "data_types", "given_name",
    "family_name",
)  # fmt: skip
GOOD = ("NH-1001", "(202) 555-0143", "NY", "10001", "en", "ssn", "Ana", "García")
ACCEPTS = Accepts(("en", "es"), ("ssn", "medical", "drivers_licence"))
KEY = IncidentKey(bytes(32))


def read_all(path: Path) -> Batch:
    whole = Batch()
    for batch in batches(examine(path), ACCEPTS, KEY):
        whole.rows += batch.rows
        whole.rejections += batch.rejections
        whole.read += batch.read
    return whole


def read_text(folder: Path, text: str) -> Batch:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_all(path)


def read_rows(folder: Path, *rows: tuple[str, ...]) -> Batch:
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    return read_text(folder, text.getvalue())


def changed(**values: str) -> tuple[str, ...]:
    return tuple(values.get(name, value) for name, value in zip(COLUMNS, GOOD, strict=True))


def test_a_row_is_kept_in_the_stores_form(tmp_path: Path) -> None:
    (row,) = read_rows(tmp_path, GOOD).rows
    assert row.line == 2
    assert KEY.decrypt(row.phone_enc) == "+12025550143"
    assert row.phone_hash == KEY.lookup_hash("+12025550143")
    assert row.name_enc is not None
    assert KEY.decrypt(row.name_enc) == "Ana García"
    assert row[1] == "NH-1001"
    assert row[5:9] == ("NY", "10001", "en", "ssn")
    assert (row.activation_enc, row.kind) == (None, None)


WITH_CODE = "reference,phone,state,postal_code,language,data_types,Enrollment Code,Recipient Type"


def read_coded(folder: Path, *ends: str) -> Batch:
    rows = "\n".join(f"R-{i},2025550143,NY,10001,en,ssn,{end}" for i, end in enumerate(ends, 1))
    return read_text(folder, f"{WITH_CODE}\n{rows}\n")


@pytest.mark.parametrize(
    ("end", "code", "kind"),
    [
        ("hbw7-29kx,Adult", "HBW7-29KX", None),
        ("  HBW7 29KX ,", "HBW7 29KX", None),
        (",Child", None, "minor"),
        ("1234,DECEASED", "1234", "deceased"),
        (",decedent", None, "deceased"),
    ],
)
def test_an_activation_code_is_sealed_and_a_kind_is_known(
    tmp_path: Path, end: str, code: str | None, kind: str | None
) -> None:
    (row,) = read_coded(tmp_path, end).rows
    assert (None if row.activation_enc is None else KEY.decrypt(row.activation_enc)) == code
    assert row.kind == kind


@pytest.mark.parametrize(
    ("end", "column", "reason"),
    [
        ("hbw,", "activation_code", "4 to 30 letters"),
        ("HBW7--29KX,", "activation_code", "single spaces or hyphens"),
        ("HBW7_29KX,", "activation_code", "4 to 30 letters"),
        ("CÓDIGO77,", "activation_code", "A to Z"),
        (f"{'7' * 31},", "activation_code", "4 to 30 letters"),
        (",grown-up", "kind", "adult, minor or deceased"),
    ],
)
def test_a_bad_code_or_kind_is_named_and_not_quoted(
    tmp_path: Path, end: str, column: str, reason: str
) -> None:
    batch = read_coded(tmp_path, "HBW7-29KX,", end)
    assert len(batch.rows) == 1
    (rejection,) = batch.rejections
    assert (rejection.line, rejection.column) == (3, column)
    assert reason in rejection.reason
    assert end.strip(",") not in str(rejection)


@pytest.mark.parametrize("reference", ["123456789", "123-45-6789", "123.45.6789"])
def test_a_reference_like_a_social_security_number_is_refused(
    tmp_path: Path, reference: str
) -> None:
    batch = read_rows(tmp_path, changed(reference=reference), changed(reference="1234567890"))
    assert [row.reference for row in batch.rows] == ["1234567890"]
    (rejection,) = batch.rejections
    assert "Social Security number" in rejection.reason
    assert reference not in str(rejection)


@pytest.mark.parametrize(
    ("column", "raw", "kept"),
    [
        ("state", "ny", "NY"),
        ("state", " New York ", "NY"),
        ("state", "D.C.", "DC"),
        ("state", "Puerto Rico", "PR"),
        ("state", "", None),
        ("postal_code", "2108", "02108"),
        ("postal_code", "100011234", "10001-1234"),
        ("postal_code", "k1a 0b1", "K1A 0B1"),
        ("postal_code", "", None),
        ("language", "ES", "es"),
        ("language", "Español", "es"),
        ("language", "en_US", "en"),
        ("data_types", "SSN; Medical ;ssn", "ssn,medical"),
        ("data_types", "Driver's", None),
        ("data_types", "drivers license|ssn", "drivers_licence,ssn"),
        ("reference", "  A/b-1_2.3 ", "A/b-1_2.3"),
        ("reference", "\x00A1\u200b\x07", "A1"),
    ],
)
def test_usual_spellings(tmp_path: Path, column: str, raw: str, kept: str | None) -> None:
    batch = read_rows(tmp_path, changed(**{column: raw}))
    if column == "data_types" and kept is None:
        assert [rejected.column for rejected in batch.rejections] == ["data_types"]
        return
    (row,) = batch.rows
    assert getattr(row, column) == kept


@pytest.mark.parametrize(
    ("column", "raw", "reason"),
    [
        ("reference", "", "is empty"),
        ("reference", "R" * 41, "longer than 40"),
        ("reference", "=1+1", "letters, digits"),
        ("reference", "Ana García", "letters, digits"),
        ("phone", "", "is empty"),
        ("phone", "2025550", "valid"),
        ("phone", "5" * 200, "longer"),
        ("state", "Atlantis", "not a state"),
        ("postal_code", "1" * 50, "not a postal code"),
        ("language", "fr", r"\(en, es\)"),
        ("language", "", "is empty"),
        ("data_types", "shoe size", r"\(ssn, medical, drivers_licence\)"),
        ("data_types", " ; ", "are empty"),
        ("given_name", "A" * 101, "longer than 100"),
    ],
)
def test_a_rejection_names_line_column_and_reason(
    tmp_path: Path, column: str, raw: str, reason: str
) -> None:
    batch = read_rows(tmp_path, GOOD, changed(**{column: raw}), changed(reference="NH-2"))
    assert [row.line for row in batch.rows] == [2, 4]
    (rejection,) = batch.rejections
    assert (rejection.line, rejection.column) == (3, column)
    assert re.search(reason, rejection.reason)
    assert raw.strip(" ;") == "" or raw not in str(rejection)


def test_rows_of_another_width_are_rejected_and_empty_ends_are_not(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    batch = read_text(
        tmp_path,
        f"{header}\nA1,2025550143,NY,10001,en,ssn,Ana,G,,\n"
        "A2,2025550143,NY\n"
        "A3,2025550143,NY,10001,en,ssn,Ana,G,more\n\n \n"
        "A4,2025550143,NY,10001,en,ssn,,",
    )
    assert [(row.line, row.reference) for row in batch.rows] == [(2, "A1"), (7, "A4")]
    assert batch.rows[1].name_enc is None
    assert [(r.line, r.reference, r.reason) for r in batch.rejections] == [
        (3, "A2", "has 3 columns, the header has 8"),
        (4, "A3", "has 9 columns, the header has 8"),
    ]


def test_quoted_line_breaks_keep_the_lines_right(tmp_path: Path) -> None:
    batch = read_rows(tmp_path, changed(given_name="Ana\r\nMaria"), changed(reference="no way"))
    (row,) = batch.rows
    assert row.name_enc is not None
    assert KEY.decrypt(row.name_enc).split() == ["Ana", "Maria", "García"]
    assert (row.line, batch.rejections[0].line) == (2, 4)


def test_an_open_quote_is_pointed_out(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    row = "A1,2025550143,NY,10001,en,ssn,"
    batch = read_text(tmp_path, f'{header}\n{row}"Ana,G\n{row}Ana,G\n{row}Ana,G\n')
    (rejection,) = batch.rejections
    assert rejection.line == 2
    assert "lines 2 to 4" in rejection.reason
    assert "quote" in rejection.reason


def test_an_open_quote_that_swallows_the_file_refuses_it(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    row = "A1,2025550143,NY,10001,en,ssn,"
    with pytest.raises(ContactsError, match=r"line 3: .*quote not closed"):
        read_text(tmp_path, f'{header}\n{row},\n{row}"Ana,G\n' + f"{row}Ana,G\n" * 10_000)


def test_a_rejected_rows_number_and_name_are_never_reported(tmp_path: Path) -> None:
    batch = read_rows(
        tmp_path,
        ("2025550143", "Ana", "NY", "10001", "en", "ssn", "x", "y"),
        ("Ana", "2025550143x", "2025550143", "2025550143", "en", "ssn", "x", "y"),
        ("NH-1", "2025550143", "NY", "2025550143", "2025550143", "2025550143", "Ana", "y"),
        ("2025550143", "NY", "10001", "en", "ssn", "Ana", "García"),
    )
    assert len(batch.rejections) == 4
    assert [rejection.reference for rejection in batch.rejections] == ["", "", "NH-1", ""]
    for private in ("2025550143", "Ana", "García"):
        assert private not in str(batch.rejections)


@given(rows=st.lists(st.lists(st.text(max_size=12), max_size=10), max_size=8))
@example(rows=[["\x00"], ["\x85", "\x1c"], ['"', "\r", "\n"]])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_row_is_accepted_or_rejected_once(tmp_path: Path, rows: list[list[str]]) -> None:
    text = io.StringIO()
    try:
        csv.writer(text).writerows([COLUMNS, GOOD, *rows])
    except csv.Error:
        return
    path = tmp_path / "list.csv"
    path.write_bytes(text.getvalue().encode("utf-8", "replace"))
    batch = read_all(path)
    assert len(batch.rows) + len(batch.rejections) == batch.read
    assert batch.rows[0].reference == "NH-1001"
    lines = [row.line for row in batch.rows] + [rejected.line for rejected in batch.rejections]
    assert len(set(lines)) == len(lines)


@given(content=st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_read_or_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    for start in (b"", ",".join(COLUMNS).encode() + b"\n"):
        path.write_bytes(start + content)
        try:
            batch = read_all(path)
        except ContactsError as error:
            assert "list.csv" in str(error)
        else:
            assert len(batch.rows) + len(batch.rejections) == batch.read


def test_batches_hold_all_rows_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "BATCH_ROWS", 3)
    batch = read_rows(tmp_path, *(changed(reference=f"R{i}") for i in range(10)))
    assert [row.reference for row in batch.rows] == [f"R{i}" for i in range(10)]
    assert batch.read == 10
