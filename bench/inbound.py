"""Inbound calls at a steady rate: the hotline beside the same menu written in plain dialplan.

SIPp calls a real PBX, chooses a language and "enrolment", listens, and hangs up. Measured in
the same run: failed calls, CPU of Asterisk and of the hotline for each call, and the time from
Asterisk's reply to the hotline's next command (``agi_turn_seconds``).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from console.assemble import activate_plan, render_home, system_parts
from console.door import store_of
from drill.sipp import Press, SippResult, run_sipp, scenario
from incident.home import Home
from incident.settings import Settings, load_settings
from incident.store.schema import CallRow
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import Tree, ensure_tree

BIND, SIPP = "127.0.0.31", "127.0.0.32"
PLAIN_DID, HOTLINE_DID = "18005550177", "18005550199"
PLAN = Path(__file__).resolve().parents[1] / "plans" / "sample.yaml"
PARTS = ("mosquitto", "asterisk", "hotline")
SETTINGS = f"""
bind = "{BIND}"
[prompts]
engine = "offline"
[[carrier]]
name = "sipp"
host = "{SIPP}"
"""
LISTEN_MS = 6000
"""A caller hears six seconds of an answer that takes most of a minute."""
PRESSES = [Press(700, "1"), Press(900, "4")]
"""English, enrolment. Never the same key twice: SIPp gives both the same RTP time, and Asterisk
rightly takes the second for the first, sent again."""

PLAIN = """
[dids](+)
exten => {did},1,Goto(bench-language,s,1)

[bench-language]
exten => s,1,Answer()
 same => n,BackGround({live}/en/language.offer)
 same => n,BackGround({live}/es/language.offer)
 same => n,WaitExten(4)
exten => 1,1,Set(CHANNEL(language)=en)
 same => n,Goto(bench-main,s,1)
exten => 2,1,Set(CHANNEL(language)=es)
 same => n,Goto(bench-main,s,1)

[bench-main]
exten => s,1,BackGround({live}/en/greeting)
 same => n(menu),BackGround({live}/en/menu.main)
 same => n,WaitExten(5)
exten => 4,1,BackGround({live}/en/answer.enrolment)
 same => n,BackGround({live}/en/after_answer)
 same => n,WaitExten(5)
"""


@dataclass(frozen=True, slots=True)
class Phase:
    """One load: SIPp's counts and the CPU seconds that each process used meanwhile."""

    sipp: SippResult
    asterisk_cpu: float
    hotline_cpu: float


def run(options: Mapping[str, str]) -> dict[str, object]:
    """``rate``: calls a second; ``calls``: calls in each of the two loads."""
    return asyncio.run(_run(float(options["rate"]), int(options["calls"])))


async def _run(rate: float, calls: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Home.at(folder)
        await asyncio.to_thread(home.settings_file.write_text, SETTINGS, encoding="utf-8")
        settings = load_settings(home)
        tree = await asyncio.to_thread(ensure_tree, settings, _say)
        supervisor = await _start(home, settings, tree)
        try:
            plain = await _phase(supervisor, tree, home, PLAIN_DID, rate, calls)
            before = _turns()
            hotline = await _phase(supervisor, tree, home, HOTLINE_DID, rate, calls)
            answered = await _reached_an_answer(home, settings)
            turns = {bound: count - before.get(bound, 0.0) for bound, count in _turns().items()}
        finally:
            await supervisor.stop()
    return {
        "rate": rate,
        "calls": calls,
        "hotline": {**_figures(hotline, calls), "reached_an_answer": answered},
        "plain_dialplan": _figures(plain, calls),
        "hotline_cpu_share_of_asterisk": round(hotline.hotline_cpu / hotline.asterisk_cpu, 3),
        "agi_turn_p50_ms": round(1000 * quantile(turns, 0.50), 2),
        "agi_turn_p99_ms": round(1000 * quantile(turns, 0.99), 2),
        "agi_turns": int(max(turns.values())),
    }


async def _reached_an_answer(home: Home, settings: Settings) -> int:
    """Calls that the hotline stored as having come to an answer by their keys."""
    query = select(func.count()).where(CallRow.leaves > 0)
    async with store_of(home, settings) as store, store.read() as session:
        return await session.scalar(query) or 0


def _figures(phase: Phase, calls: int) -> dict[str, object]:
    return {
        "successful": phase.sipp.successful,
        "failed": phase.sipp.failed + calls - phase.sipp.successful - phase.sipp.failed,
        "seconds": round(phase.sipp.seconds, 1),
        "asterisk_cpu_ms_per_call": round(1000 * phase.asterisk_cpu / calls, 2),
        "hotline_cpu_ms_per_call": round(1000 * phase.hotline_cpu / calls, 2),
    }


async def _start(home: Home, settings: Settings, tree: Tree) -> Supervisor:
    async with store_of(home, settings, create=True) as store:
        await activate_plan(home, settings, store, PLAN, lambda *_: None)
        await render_home(home, settings, tree, store)
    generated = home.asterisk / "etc" / "extensions_generated.conf"
    live = home.prompts / "live" / "northwind"
    with generated.open("a", encoding="utf-8") as stream:
        stream.write(PLAIN.format(did=PLAIN_DID, live=live))
    parts = [part for part in system_parts(home, settings, tree) if part.name in PARTS]
    supervisor = Supervisor(parts, home.run)
    await supervisor.start()
    return supervisor


async def _phase(
    supervisor: Supervisor, tree: Tree, home: Home, did: str, rate: float, calls: int
) -> Phase:
    _say(
        f"{calls} calls at {rate:g}/s to {'plain dialplan' if did == PLAIN_DID else 'the hotline'}"
    )
    asterisk, hotline = supervisor.pid("asterisk"), supervisor.pid("hotline")
    if asterisk is None or hotline is None:
        raise RuntimeError("a part died before the load")
    before = cpu_seconds(asterisk), cpu_seconds(hotline)
    result = await run_sipp(
        tree,
        home.root / "sipp" / did,
        scenario(PRESSES, LISTEN_MS),
        target=f"{BIND}:5060",
        source=SIPP,
        service=did,
        calls=calls,
        rate=rate,
        timeout=calls / rate + 60,
    )
    return Phase(result, cpu_seconds(asterisk) - before[0], cpu_seconds(hotline) - before[1])


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _turns() -> dict[float, float]:
    """The cumulative histogram of ``agi_turn_seconds``, by upper bound."""
    with urllib.request.urlopen(f"http://{BIND}:9101/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    prefix = 'breachline_agi_turn_seconds_bucket{le="'
    found = (line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix))
    return {float(bound): float(count) for bound, count in found}


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """A quantile of a cumulative histogram, linear within its bucket (as Prometheus does)."""
    bounds = sorted(buckets)
    wanted = share * buckets[bounds[-1]]
    low, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf") or buckets[bound] == below:
                return low
            return low + (bound - low) * (wanted - below) / (buckets[bound] - below)
        low, below = bound, buckets[bound]
    return low


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
