"""``./breachline``: every command, and how refusals become exit codes.

Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 wrong usage.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

import typer

from console.backup import backup, restore
from console.bench import bench
from console.campaign_commands import campaign_app
from console.contacts_commands import contacts_app
from console.demo import demo
from console.doctor import doctor
from console.door import Refused, err
from console.drill_commands import drill_app
from console.forecast_commands import plan
from console.plan_commands import agents_app, incident_app, prompts_app
from console.project_tests import check, test
from console.refusals import REFUSALS
from console.up import render, up

_EXPECTED: Final[tuple[type[Exception], ...]] = (Refused, *REFUSALS)

app = typer.Typer(
    name="breachline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A data-breach hotline and notice dialer on Asterisk.",
)
app.command()(demo)
app.command()(up)
app.command()(render)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(test)
app.command()(check)
app.command()(plan)
app.command()(bench)
app.command()(doctor)
app.command()(backup)
app.command()(restore)
app.add_typer(incident_app, name="incident")
app.add_typer(contacts_app, name="contacts")
app.add_typer(campaign_app, name="campaign")
app.add_typer(agents_app, name="agents")
app.add_typer(drill_app, name="drill")
app.add_typer(prompts_app, name="prompts")


def main() -> None:
    """Run one command. What a person can mend is a sentence; anything else is a traceback."""
    # A core dump would hold keys and telephone numbers; every part inherits this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        app(prog_name="breachline")
    except _EXPECTED as error:
        err.print(f"refused: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(1)


if __name__ == "__main__":
    main()
