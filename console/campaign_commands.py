"""``contacts import`` and ``campaign create|start|pause|stop|status|explain``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from console.door import (
    DEFAULT_HOME,
    HomeOption,
    err,
    out,
    run,
    settings_of,
    store_of,
    table,
)
from incident.contacts import ImportReport, import_contacts
from incident.contacts import Progress as Imported
from incident.store.incidents import active_incident

contacts_app = typer.Typer(no_args_is_help=True, help="People to notify.")
campaign_app = typer.Typer(no_args_is_help=True, help="Outbound notice campaigns.")


@contacts_app.command("import")
def contacts_import(
    file: Annotated[Path, typer.Argument(help="CSV file.", exists=True, dir_okay=False)],
    incident: Annotated[str, typer.Option(help="The incident's id.")],
    report: Annotated[
        Path | None, typer.Option(help="Where rejected rows go (default: beside the file).")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Import contacts: reference, phone, state, postal_code, language, data_types, and names.

    All good rows or, after an error, none; importing a file again adds nothing.
    """
    done = run(_import(home, file, incident, report))
    out.print(
        table(
            "Contacts",
            ("rows", "number"),
            (("added", done.added), ("known already", done.known), ("rejected", done.rejected)),
        )
    )
    if done.report_path is not None:
        out.print(f"each rejected row with its line and reason: {done.report_path}")


async def _import(where: Path, file: Path, incident: str, report: Path | None) -> ImportReport:
    home, settings = settings_of(where)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    async with store_of(home, settings) as store:
        chosen = await active_incident(store, incident)
        with bar:
            task = bar.add_task("importing", total=None)

            def show(at: Imported) -> None:
                bar.update(
                    task,
                    completed=at.done,
                    total=at.size,
                    description=f"{at.added:,} added, {at.rejected:,} rejected",
                )

            return await import_contacts(
                store, chosen, file, report=report, progress=show, now=time.time()
            )
