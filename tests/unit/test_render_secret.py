"""A secret is made once, whole, and for its owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pbx.render.secret import made_once


def test_the_first_secret_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "one.json"
    assert made_once(file, lambda: {"secret": "a"}) == {"secret": "a"}
    assert made_once(file, lambda: {"secret": "b"}) == {"secret": "a"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_one_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    def dies() -> dict[str, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(tmp_path / "one.json", dies)
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_once_both_get_the_same(tmp_path: Path) -> None:
    file = tmp_path / "one.json"

    def other_is_first() -> dict[str, str]:
        made_once(file, lambda: {"secret": "theirs"})
        return {"secret": "ours"}

    assert made_once(file, other_is_first) == {"secret": "theirs"}
    assert list(tmp_path.iterdir()) == [file]
