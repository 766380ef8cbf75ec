"""Numbers as planners write them: 814,000 people, 0.9 %, 80/30."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

_GROUPED: Final = re.compile(r"\d{1,3}(?:[,_ '’\u00a0\u202f]\d{3})+|\d+(?:\.0+)?", re.ASCII)
_POINTED: Final = re.compile(r"\d{1,3}(?:\.\d{3})+", re.ASCII)
"""Thousands in much of Europe, and a decimal number elsewhere."""
_DECIMAL: Final = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_MOST: Final = 1_000_000_000


def count(value: Any) -> int:
    """A whole number, also with thousands set apart (814,000, 814_000, 814 000). Raises ValueError,
    also for 814.000, which is two numbers to two readers."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        text = str(value).strip()
        if _POINTED.fullmatch(text):
            plain = text.replace(".", "")
            parted = text.replace(".", ",")
            raise ValueError(f"{value!r} may be read in two ways; write {plain} or {parted}")
        if not _GROUPED.fullmatch(text) or len(text) > 20:
            raise ValueError(f"{value!r} is not a whole number, zero or more")
        number = int(re.sub(r"\.0+$|\D", "", text))
    if not 0 <= number <= _MOST:
        raise ValueError(f"{value!r} is not between 0 and {_MOST:,}")
    return number


def share(value: Any) -> float:
    """A share from 0 to 1, written 0.37 or 37 %. Raises ValueError."""
    text = str(value).strip()
    percent = text.endswith("%")
    number = _number(text.removesuffix("%").strip(), value, "a share; write 37 % or 0.37")
    number = number / 100 if percent else number
    if number > 1:
        hint = "" if percent or number > 100 else f"; write {text} % if you mean percent"
        raise ValueError(f"{value!r} is more than the whole{hint}")
    return number


def several(value: Any) -> float:
    """A share that may be more than the whole: 5 %, 0.05, 150 %. Raises ValueError."""
    text = str(value).strip()
    number = _number(text.removesuffix("%").strip(), value, "a share; write 5 % or 0.05")
    return number / 100 if text.endswith("%") else number


def measure(value: Any) -> float:
    """A number, zero or more. Raises ValueError."""
    return _number(str(value).strip(), value, "a number, zero or more")


def _number(text: str, given: Any, what: str) -> float:
    if not _DECIMAL.fullmatch(text) or len(text) > 30:
        raise ValueError(f"{given!r} is not {what}")
    number = float(text)
    if not math.isfinite(number) or number > 1e12:
        raise ValueError(f"{given!r} is not {what}")
    return number


Count = Annotated[int, BeforeValidator(count)]
Share = Annotated[float, BeforeValidator(share)]
Measure = Annotated[float, BeforeValidator(measure)]
