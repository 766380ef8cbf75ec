"""Lint of the dialplan, rendered as it will run: the hotline's PBX and the simulated network.

asterisklint checks syntax, labels and jumps. On top of it: every application and function that is
used has its module in modules.conf; nothing can place a call or run a program from the dialplan;
the names shared with Python (pbx/names.py) occur.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from drill.network import Habits, Network  # noqa: E402 - the path comes first
from incident.home import Home  # noqa: E402
from incident.plan import Overflow  # noqa: E402
from incident.settings import CarrierSettings, Settings  # noqa: E402
from pbx import names  # noqa: E402
from pbx.render import AgentPhone, HotlineNumber, Outsourcer, render_asterisk  # noqa: E402

FORBIDDEN = (
    "Dial",
    "RetryDial",
    "Originate",
    "FollowMe",
    "Page",
    "Transfer",
    "BlindTransfer",
    "AttendedTransfer",
    "DISA",
    "ExternalIVR",
    "System",
    "TrySystem",
    "SHELL",
)
"""What could reach an outside number or the host; none may stand in our dialplan, but for
`ALLOWED`."""

ALLOWED = (
    # A placeholder, or a guard: a Local channel between two contexts of ours.
    r"Originate\(Local/(s|\$\{BL_KEPT\})@[a-z-]+/n,exten,[a-z-]+,s,1,30,a(v\(.*\))?\)$",
    # A call-back: number and trunk are given by the hotline for this one call, after it has written
    # down that it is made; the variables are set empty before it is asked.
    r"Dial\(PJSIP/\$\{BL_DIAL\}@\$\{BL_TRUNK\},\$\{BL_RING\},U\(kept-answered\^\$\{BL_TRY\}\)\)$",
    # To an outsourcer: one number and one trunk, both literal, from the incident's plan.
    r"Dial\(PJSIP/\+[1-9][0-9]{6,14}@carrier-[a-z][a-z0-9-]*,[0-9]+,"
    r"mb\(outsourcer-call\^s\^1\)U\(outsourcer-answered\^s\^1\)\)$",
)
"""Exact calls that may stand in our dialplan all the same."""

NEWER = (
    r"function '(CHANNEL_EXISTS|PJSIP_HEADERS|QUEUE_GET_CHANNEL|UUID)' does not exist",
    r"too many arguments for app 'Originate'",
)
"""What asterisklint does not know yet."""


def main() -> int:
    """Print every finding; 1 if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        etc, public = render(Path(folder))
        findings = [
            *lint(etc, PROJECT / "asterisk-conf" / "modules.conf"),
            *lint(public, PROJECT / "drill" / "network" / "modules.conf"),
            *outside_reach(PROJECT / "dialplan"),
            *outside_reach(etc, "extensions*.conf"),
            *shared_names(),
        ]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def render(folder: Path) -> tuple[Path, Path]:
    """The hotline's and the public network's files, as they will run; their ``etc`` folders."""
    home = Home.at(folder)
    settings = Settings(carrier=(CarrierSettings(name="example", host="127.0.0.2"),))
    render_asterisk(
        home,
        settings,
        modules=folder,
        share=folder,
        moh=folder,
        incidents=[HotlineNumber("example", "+18005550199", ("en", "es"))],
        agents=[AgentPhone("1001", "example", ("example-en", "example-es"))],
        outsourcers=[
            Outsourcer(
                "example",
                Overflow(carrier="example", number="+18885550177", share=0.5, when_wait_over=60),
                5,
            )
        ],
    )
    network = Network(home)
    network.render(
        [("1001", "example")], Habits(), modules=folder, share=folder, moh=folder, sounds=folder
    )
    return home.asterisk / "etc", network.base / "etc"


def lint(etc: Path, modules: Path) -> list[str]:
    """asterisklint's findings and modules that are used but not loaded."""
    checked = _asterisklint(etc, "dialplan-check")
    known = re.compile("|".join(NEWER))
    findings = [line for line in checked.splitlines() if line.strip() and not known.search(line)]
    wanted = set(re.findall(r"^load => (\S+)$", _asterisklint(etc, "modules-show"), re.MULTILINE))
    loaded = set(re.findall(r"^(?:load|require) = (\S+)$", modules.read_text(), re.MULTILINE))
    findings += [
        f"{modules}: the dialplan needs {name}, which is not loaded"
        for name in sorted(wanted - loaded)
    ]
    return findings


def _asterisklint(etc: Path, command: str) -> str:
    program = Path(sys.executable).with_name("asterisklint")
    done = subprocess.run(
        [str(program), command, "extensions.conf"],
        cwd=etc,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def outside_reach(folder: Path, which: str = "*.conf") -> list[str]:
    """Lines of our dialplan that could dial out or run a program, in whatever case: Asterisk
    takes ``dial`` for ``Dial``. And those that could say whom a call-back calls: the hotline's
    answer alone does, and the dialplan sets it empty before it asks."""
    pattern = re.compile(rf"\b({'|'.join(FORBIDDEN)})\b(?=\(|\s*$)", re.IGNORECASE)
    allowed = re.compile(rf",({'|'.join(ALLOWED)})")
    chosen = re.compile(rf"({names.DIAL}|{names.TRUNK})=[^)]")
    found = []
    for file in sorted(folder.glob(which)):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            said = re.split(r"(?<!\\);", line)[0].rstrip()
            place = f"{folder.name}/{file.name}:{number}"
            if (match := pattern.search(said)) and not allowed.search(said):
                found.append(f"{place}: {match[1]}() may not stand in the dialplan")
            if match := chosen.search(said):
                found.append(f"{place}: {match[1]} is for the hotline to say")
    return found


def shared_names() -> list[str]:
    """Names of pbx/names.py that no dialplan or configuration file mentions."""
    text = "".join(
        file.read_text()
        for folder in ("dialplan", "asterisk-conf")
        for file in (PROJECT / folder).glob("*.conf")
    )
    generated = {names.INCIDENT}
    given = {names.CAMPAIGN}
    shared = [
        value
        for key, value in vars(names).items()
        if key.isupper() and isinstance(value, str) and value not in given | generated
    ]
    return [f"pbx/names.py: {name} is used by no dialplan" for name in shared if name not in text]


if __name__ == "__main__":
    sys.exit(main())
