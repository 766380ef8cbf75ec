"""The incidents and agents of the shared system: each group of tests has some of its own."""

from __future__ import annotations

from typing import Final

from drill.outsourcer import CARRIER, NUMBER
from tests.acceptance.system import DID, SECOND, Crew, incident_plan

OUTCOMES_DID: Final = "18005550101"
SLOW_DID: Final = "18005550102"
KILLS_DID: Final = "18005550103"
CRASH_DID: Final = "18005550104"
MONITORED_DID: Final = "18005550105"

NEVER_SENT: Final = (
    f"\noverflow:\n  carrier: {CARRIER}\n  number: '{NUMBER}'\n  share: 1\n  when_wait_over: 3600\n"
)
"""An outsourcer that gets nobody: its figures are there from the beginning all the same."""

PLANS: Final = {
    "northwind": incident_plan("northwind", DID),
    "lakeshore": SECOND.read_text(encoding="utf-8"),
    "outcomes": incident_plan("outcomes", OUTCOMES_DID),
    "slow": incident_plan("slow", SLOW_DID),
    "kills": incident_plan("kills", KILLS_DID),
    "crash": incident_plan("crash", CRASH_DID),
    "monitored": incident_plan("monitored", MONITORED_DID) + NEVER_SENT,
}

HOTLINE: Final = Crew(("1001", "1002", "1003"), ("northwind",), ("en", "es"))
OUTCOMES: Final = Crew(
    ("1101", "1102", "1103", "1104", "1105", "1106"), ("outcomes",), ("en", "es")
)
SLOW: Final = Crew(("1201", "1202"), ("slow",), ("en",))
NOTICES: Final = Crew(("1301", "1302"), ("kills",), ("en",))
"""Take the campaign's calls while the Spanish callers wait."""
CALLERS: Final = Crew(("1311", "1312", "1313", "1314", "1315", "1316"), ("kills",), ("es",))
CRASH: Final = Crew(("1401", "1402", "1403"), ("crash",), ("en",))

MONITORED: Final = Crew(("1501", "1502"), ("monitored",), ("en",))

CREWS: Final = (HOTLINE, OUTCOMES, SLOW, NOTICES, CALLERS, CRASH, MONITORED)
