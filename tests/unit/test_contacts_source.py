"""Contacts files as they come: encodings, separators, headers, and what is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incident.contacts import source as source_module
from incident.contacts.errors import HeaderRefused, SourceUnreadable
from incident.contacts.header import read_header
from incident.contacts.source import Lines, examine

HEADER = "reference,phone,state,postal_code,language,data_types,given_name,family_name"
NAMES = ["Zoë", "José", "García", "Muñoz", "Renée", "Peña", "Jürgen", "Núñez"]


def file(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path) -> str:
    with closing(Lines(examine(path))) as lines:
        return "".join(lines)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1",
     "mac_roman", "cp850"],
)  # fmt: skip
def test_usual_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    text = HEADER + "\r\n" + "".join(f"R{i},{name},calle\r\n" for i, name in enumerate(NAMES))
    assert read(file(tmp_path, text, encoding)) == text


def test_the_first_accent_may_come_late(tmp_path: Path) -> None:
    early = "R1,plain\n" * 60_000
    for encoding in ("cp1252", "utf-8"):
        path = file(tmp_path, early + "R2,José García\n", encoding)
        assert read(path).endswith("R2,José García\n")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_utf_8_text_comes_back_whole_whatever_the_block(
    tmp_path: Path, text: str, block: int
) -> None:
    path = file(tmp_path, "a\r\nb\rc\n" + text)
    source = examine(path)
    if source.encoding != "utf-8":
        return  # zeros at every second place: taken for UTF-16
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "BLOCK_BYTES", block)
        with closing(Lines(source)) as lines:
            assert "".join(lines) == "a\r\nb\rc\n" + text


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_damaged_utf_8_is_refused_with_its_line(tmp_path: Path, ending: str) -> None:
    lines = [f"R{i},José".encode() for i in range(1, 20_000)]
    lines[12_344] = b"R,Jos\xc3"
    path = file(tmp_path, ending.encode().join(lines))
    with pytest.raises(SourceUnreadable, match="UTF-8") as caught:
        read(path)
    assert caught.value.line == 12_345


def test_damaged_utf_16_is_refused_with_its_line(tmp_path: Path) -> None:
    good = "\n".join(f"R{i},x" for i in range(9)) + "\n"
    path = file(tmp_path, good.encode("utf-16") + b"\x00\xd8\x00\x00" + "\n".encode("utf-16-le"))
    with pytest.raises(SourceUnreadable) as caught:
        read(path)
    assert caught.value.line == 10


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b" \r\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceUnreadable, match="empty"):
        examine(file(tmp_path, content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(SourceUnreadable, match="cannot be read"):
            examine(path)


def test_a_line_without_end_is_refused_and_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MAX_LINE", 5000)
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 1000)
    path = file(tmp_path, HEADER + "\nR1\n" + "x" * 1_000_000)
    with (
        closing(Lines(examine(path))) as lines,
        pytest.raises(SourceUnreadable, match="longer than 5000") as caught,
    ):
        list(lines)
    assert caught.value.line == 3
    assert lines.done < 10_000


def header(folder: Path, content: str) -> tuple[str, dict[str, int], int]:
    with closing(Lines(examine(file(folder, content)))) as lines:
        table, _ = read_header(lines)
    return table.delimiter, dict(table.columns), table.line


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_usual_separators_are_found(tmp_path: Path, delimiter: str) -> None:
    found, columns, _ = header(tmp_path, HEADER.replace(",", delimiter) + "\n")
    assert found == delimiter
    assert columns == {name: i for i, name in enumerate(HEADER.split(","))}


@pytest.mark.parametrize(
    "names",
    [
        "Reference,PHONE,State,Postal Code,Language,Data Types",
        " reference , Phone Number , ST , Zip , lang , data-types ",
        '"Reference No.","Telephone","State","ZIP Code","Preferred Language","Data Type"',
        "\ufeffref;tel;state;postcode;language;data types",
        "sep=|\nref|tel|state|zip|language|data types|notes, private",
        "\n\n ;;; \nref;cell;state;zip;language;datatypes",
        '"refer\nence",phone,state,zip,language,data_types',
    ],
)
def test_columns_go_by_their_usual_names(tmp_path: Path, names: str) -> None:
    names = names.replace('"refer\nence"', '"reference\nnumber"')
    _, columns, _ = header(tmp_path, names + "\nR1,...\n")
    assert [columns[name] for name in HEADER.split(",")[:6]] == [0, 1, 2, 3, 4, 5]


def test_an_exact_name_wins_over_a_similar_one(tmp_path: Path) -> None:
    _, columns, _ = header(tmp_path, "mobile,tel," + HEADER + "\n")
    assert columns["phone"] == 3


def test_two_similar_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HeaderRefused, match="'mobile' and 'tel'"):
        header(tmp_path, HEADER.replace("phone", "mobile,tel") + "\n")


@pytest.mark.parametrize("column", HEADER.split(",")[:6])
def test_a_missing_column_is_named_with_what_was_found(tmp_path: Path, column: str) -> None:
    kept = [name for name in HEADER.split(",") if name != column]
    with pytest.raises(HeaderRefused, match=f"the column {column} is missing") as caught:
        header(tmp_path, "\n" + ",".join(kept) + "\n")
    assert caught.value.missing == (column,)
    assert caught.value.line == 2
    assert ", ".join(kept) in str(caught.value)


def test_a_file_without_header_shows_no_number(tmp_path: Path) -> None:
    with pytest.raises(HeaderRefused) as caught:
        header(tmp_path, "R1,(202) 555-0143,NY,10001,en,ssn,+12025550144\n")
    assert len(caught.value.missing) == 6
    assert "555" not in str(caught.value)


def test_only_blank_lines_are_no_header(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="no header"):
        header(tmp_path, ",,,\n" * 10)
