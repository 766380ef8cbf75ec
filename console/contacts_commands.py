"""``contacts import|stop|mistakes``."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from console.door import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    Refused,
    err,
    out,
    print_json,
    run,
    settings_of,
    store_of,
    table,
)
from incident.contacts import ImportReport, import_contacts
from incident.contacts import Progress as Imported
from incident.contacts.phones import BadPhone, to_e164
from incident.events import nudge
from incident.store.do_not_call import Stopped, stop_calls
from incident.store.incidents import active_incident
from incident.store.mistaken_letters import MistakenLetters, mistaken_letters
from incident.store.references import Guessable, guessable

contacts_app = typer.Typer(no_args_is_help=True, help="People to notify.")


@contacts_app.command("import")
def contacts_import(
    file: Annotated[Path, typer.Argument(help="CSV file.", exists=True, dir_okay=False)],
    incident: Annotated[str, typer.Option(help="The incident's id.")],
    report: Annotated[
        Path | None, typer.Option(help="Where rejected rows go (default: beside the file).")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Import contacts: reference, phone, state, postal_code, language, data_types; if there are
    such columns also given_name, family_name, activation_code, kind (adult, minor, deceased).

    All good rows or, after an error, none; importing a file again adds nothing.
    """
    done, close = run(_import(home, file, incident, report))
    out.print(
        table(
            "Contacts",
            ("rows", "number"),
            (("added", done.added), ("known already", done.known), ("rejected", done.rejected)),
        )
    )
    if done.report_path is not None:
        out.print(f"each rejected row with its line and reason: {done.report_path}")
    for each in close:
        err.print(
            f"warning: reference numbers of {each.digits} digits can be guessed: of "
            f"{each.among:,}, {each.near:,} lie within 100 of the next. Give letters random "
            "numbers, so long that fewer than one in a thousand is taken (docs/self-service.md)."
        )


@contacts_app.command("stop")
def contacts_stop(
    phone: Annotated[
        str,
        typer.Argument(help="The number; - (best) asks for it, or reads one from standard input."),
    ] = "-",
    *,
    incident: Annotated[str, typer.Option(help="The incident's id.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Never call a number again for this incident. It cannot be undone, and stops no letter.

    A number written on the command line stays in the shell's history: write - instead.
    """
    if phone == "-":
        phone = typer.prompt("Number") if sys.stdin.isatty() else sys.stdin.readline()
    stopped = run(_stop(home, phone.strip(), incident))
    out.print(
        f"{'Noted' if stopped.new else 'It was noted before'}: this number is not called again for "
        f"{incident}. {stopped.contacts:,} contacts of campaigns are left out from now on, and "
        f"{len(stopped.places):,} call-backs are cancelled."
    )


@contacts_app.command("mistakes")
def contacts_mistakes(
    incident: Annotated[str, typer.Option(help="The incident's id.")],
    days: Annotated[int, typer.Option(min=1, help="Only what was said in so many days.")] = 3650,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Letters that reached the wrong people, as callers said: whose address is to be looked at."""
    found = run(_mistakes(home, incident, time.time() - days * 86_400))
    if json:
        print_json(asdict(found))
        return
    rows = [
        (each.reference, f"{datetime.fromtimestamp(each.said_at, UTC):%Y-%m-%d %H:%M}", each.calls)
        for each in found.letters
    ]
    out.print(table("Letters by mistake", ("reference", "said last (UTC)", "calls"), rows))
    if found.unnamed:
        out.print(f"{found.unnamed:,} more calls named no letter of ours.")


async def _mistakes(where: Path, incident: str, since: float) -> MistakenLetters:
    home, settings = settings_of(where)
    async with store_of(home, settings) as store:
        chosen = await active_incident(store, incident)
        return await mistaken_letters(store, chosen.id, since)


async def _stop(where: Path, phone: str, incident: str) -> Stopped:
    home, settings = settings_of(where)
    try:
        number = to_e164(phone)
    except BadPhone as error:
        raise Refused(f"the number {error}") from error
    async with store_of(home, settings) as store:
        chosen = await active_incident(store, incident)
        stopped = await stop_calls(
            store,
            chosen.id,
            chosen.key.lookup_hash(number),
            source="agent",
            call=None,
            now=time.time(),
        )
    # Services look by themselves, too; a nudge that is lost costs half a second.
    await nudge(settings.mqtt_url(), settings.node)
    return stopped


async def _import(
    where: Path, file: Path, incident: str, report: Path | None
) -> tuple[ImportReport, tuple[Guessable, ...]]:
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

            done = await import_contacts(
                store, chosen, file, report=report, progress=show, now=time.time()
            )
        return done, await guessable(store, chosen.id)
