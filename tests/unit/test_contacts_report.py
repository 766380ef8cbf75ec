"""The report of rejected rows: whose file it is, and what may stand in it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from incident.contacts.report import Rejection, Report
from incident.contacts.rows import reportable_reference


def test_no_link_that_lies_there_is_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    path = tmp_path / "list.rejected.csv"
    path.with_name(path.name + ".part").symlink_to(other)
    path.symlink_to(other)
    with Report(path, always=True) as report:
        report.add([Rejection(2, "NW-1", "phone", "is empty")])
        assert report.keep() == path
    assert other.read_text() == "mine"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "NW-1" in path.read_text()


def test_a_report_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with Report(tmp_path / "list.rejected.csv", always=True):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reference", ["NW-1024", "1024", "A1", "2026/11/7", "nw7"])
def test_a_code_is_reported(reference: str) -> None:
    assert reportable_reference([reference], 0) == reference


@pytest.mark.parametrize(
    "shifted",
    ["Ann", "Ann.Lee", "ANN-LEE", "Ann.Lee70", "annlee70", "Lee/7", "A-B", "512-555-0109", ""],
)
def test_what_may_be_a_name_or_a_number_is_not(shifted: str) -> None:
    assert reportable_reference([shifted], 0) == ""
