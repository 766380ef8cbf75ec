"""Asterisk's queue log, read for how calls ended."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from incident.outcomes import CallOutcome
from ivr.queue_log import Waited, parse, read

LOG = """\
1795465300|NONE|NONE|NONE|QUEUESTART|
1795465301|node1-1795465300.1|northwind-en|NONE|ENTERQUEUE||+12025550101|1
1795465305|node1-1795465300.1|northwind-en|1001|CONNECT|4|node1-1795465304.9|1
1795465400|node1-1795465300.1|northwind-en|1001|COMPLETECALLER|4|95|1
1795465310|node1-1795465309.2|northwind-es|NONE|ENTERQUEUE||+12025550102|2
1795465311|node1-1795465309.2|northwind-es|1001|RINGNOANSWER|5000
1795465320|node1-1795465309.2|northwind-es|NONE|ABANDON|1|2|10
1795465330|node1-1795465329.3|northwind-en|NONE|ENTERQUEUE||+12025550103|1
1795465340|node1-1795465329.3|northwind-en|NONE|EXITEMPTY|1|1|10
1795465350|node1-1795465349.4|northwind-en|NONE|ENTERQUEUE||+12025550104|1
"""


def test_each_end_is_told_apart() -> None:
    assert parse(LOG.splitlines(keepends=True)) == {
        "node1-1795465300.1": Waited(
            "northwind-en", 1795465301.0, 1795465305.0, "1001", 1795465400.0, CallOutcome.AGENT
        ),
        "node1-1795465309.2": Waited(
            "northwind-es",
            1795465310.0,
            None,
            None,
            1795465320.0,
            CallOutcome.ABANDONED_WAITING,
        ),
        "node1-1795465329.3": Waited(
            "northwind-en", 1795465330.0, None, None, 1795465340.0, CallOutcome.NO_AGENT
        ),
        "node1-1795465349.4": Waited("northwind-en", 1795465350.0),
    }


def test_a_placeholder_of_a_kept_place_is_no_call() -> None:
    lines = [
        "1795465400|node1-1795465399.8|northwind-en|NONE|BLPLACE|0123456789abcdef",
        "1795465400|node1-1795465399.8|northwind-en|NONE|ENTERQUEUE|||2",
        "1795465440|node1-1795465399.8|northwind-en|1001|CONNECT|40|node1-1795465430.9|2",
        "1795465500|node1-1795465399.8|northwind-en|1001|COMPLETEAGENT|40|60|2",
    ]
    assert parse(lines) == {}


def test_a_caller_still_with_an_agent_has_no_end() -> None:
    lines = LOG.splitlines()[:3]
    waited = parse(lines)["node1-1795465300.1"]
    assert waited.outcome is CallOutcome.AGENT
    assert waited.ended_at is None


def test_no_log_is_no_calls(tmp_path: Path) -> None:
    assert read(tmp_path / "queue_log") == {}


@given(st.lists(st.text(max_size=60)))
def test_no_line_makes_it_fail(lines: list[str]) -> None:
    parse(lines)


KEPT_LOG = """\
1795465301|node1-1795465300.1|northwind-en|NONE|ENTERQUEUE|||1
1795465311|node1-1795465300.1|northwind-en|NONE|EXITWITHKEY|1|1|1|10
1795465320|node1-1795465300.1|northwind-en|NONE|ENTERQUEUE|||1
1795465302|node1-1795465301.2|northwind-en|NONE|ENTERQUEUE|||2
1795465312|node1-1795465301.2|northwind-en|NONE|EXITWITHKEY|1|2|2|10
1795465303|node1-1795465302.3|northwind-en|NONE|ENTERQUEUE|||3
1795465313|node1-1795465302.3|northwind-en|NONE|EXITWITHKEY|1|3|3|10
1795465314|node1-1795465302.3|northwind-en|agent-1001|BLJOINED|0123456789abcdef0123456789abcdef
"""


def test_who_left_by_key_came_back_or_met_the_agent_is_known() -> None:
    calls = parse(KEPT_LOG.splitlines(keepends=True))
    back, gone, joined = (calls[f"node1-179546530{n}.{n + 1}"] for n in range(3))
    assert (back.entered_at, back.ended_at, back.outcome) == (1795465301.0, None, None)
    assert (gone.ended_at, gone.outcome) == (1795465312.0, CallOutcome.ABANDONED_WAITING)
    assert (joined.connected_at, joined.agent, joined.outcome) == (
        1795465314.0,
        "1001",
        CallOutcome.AGENT,
    )
