"""The log's last guard: which digits are a telephone number."""

from __future__ import annotations

import io
import json
import logging

import pytest

from incident.log import configure, masked


@pytest.mark.parametrize(
    "text",
    [
        "+442079460123",
        "15125550109",
        "5125550109",
        "(512) 555-0109",
        "512-555-0109",
        "512.555.0109",
        "1 512 555 0109",
        "+1 (512) 555-0109",
        "sip:15125550109@192.0.2.1",
        "<15125550109>",
        "a\\n15125550109",
        "sip:%2B15125550109@x",
        '{\\"caller\\": 15125550109}',
    ],
)
def test_a_number_is_blotted_out(text: str) -> None:
    shown = masked(f"from {text}, gone")
    assert "<number>" in shown
    assert "0109" not in shown
    assert "0123" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "node1-1795469072.7",
        "1795469072",
        "1795469072.5125550109",
        "0.5125550109",
        "2026-11-23T21:38:32.512555Z",
        "9d31ee7a5125550109",
        "51255501-0951-4125-8555-512555010951",
        "192.0.2.10:5038",
        '"size": 5125550109',
        "17954690721234",
    ],
)
def test_ids_and_times_stay(text: str) -> None:
    assert masked(text) == text


def test_a_masked_line_is_still_json() -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    out = io.StringIO()
    try:
        configure("hotline", "node1", stream=out)
        logging.getLogger("x").warning("5125550109 is %s", "there", extra={"size": 5125550109})
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    line = json.loads(out.getvalue())
    assert line["event"] == "<number> is there"
    assert line["size"] == 5125550109
