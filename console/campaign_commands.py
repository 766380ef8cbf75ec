"""``contacts import|stop`` and ``campaign create|start|pause|stop|status|explain``."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
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
from dialer import control
from dialer.control import CampaignStatus
from dialer.eligibility import DEFAULT_HOURS
from dialer.retry import RetryRules
from incident.contacts import ImportReport, import_contacts
from incident.contacts import Progress as Imported
from incident.contacts.phones import BadPhone, to_e164
from incident.events import nudge
from incident.store.campaigns import Campaign
from incident.store.do_not_call import Stopped, stop_calls
from incident.store.engine import Store
from incident.store.incidents import active_incident
from incident.store.references import Guessable, guessable

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


CampaignArgument = Annotated[str, typer.Argument(help="The campaign's id.")]


@campaign_app.command("create")
def campaign_create(
    campaign: CampaignArgument,
    *,
    incident: Annotated[str, typer.Option(help="The incident's id.")],
    carrier: Annotated[
        str | None, typer.Option(help="A carrier of breachline.toml (default: the first).")
    ] = None,
    mode: Annotated[str, typer.Option(help="progressive: one line for each idle agent.")] = (
        "progressive"
    ),
    max_lines: Annotated[
        int | None, typer.Option(min=1, help="Most calls at once (default: the carrier's).")
    ] = None,
    calls_per_second: Annotated[
        float | None, typer.Option(min=0.01, help="Fastest placing (default: the carrier's).")
    ] = None,
    ring_seconds: Annotated[int, typer.Option(min=15, max=120, help="How long it rings.")] = 25,
    hours: Annotated[str, typer.Option(help="When calls may be placed.")] = DEFAULT_HOURS,
    retry: Annotated[
        str | None, typer.Option(help="Retry rules as JSON; see docs/campaigns.md.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also people whom another campaign has reached.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a campaign over an incident's contacts. Calls nobody before it is started."""

    async def work() -> int:
        at, settings = settings_of(home)
        async with store_of(at, settings) as store:
            _, contacts = await control.create_campaign(
                store,
                settings,
                campaign,
                incident,
                carrier=carrier,
                mode=mode,
                max_lines=max_lines,
                calls_per_second=calls_per_second,
                ring_seconds=ring_seconds,
                retry_rules=None if retry is None else RetryRules.parse(retry),
                calling_hours=hours,
                again=again,
            )
        return contacts

    out.print(f"{campaign}: {run(work()):,} contacts. Next: breachline campaign start {campaign}")


@campaign_app.command("start")
def campaign_start(campaign: CampaignArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Let a campaign dial; also after a pause."""
    _want(home, campaign, control.start, f"is to run; see: breachline campaign explain {campaign}")


@campaign_app.command("pause")
def campaign_pause(campaign: CampaignArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Place no new call from within a second on; calls in progress go on."""
    _want(home, campaign, control.pause, "is paused")


@campaign_app.command("stop")
def campaign_stop(campaign: CampaignArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Stop a campaign for good."""
    _want(home, campaign, control.stop, "is stopped for good")


Change = Callable[[Store, str], Awaitable[Campaign]]


def _want(where: Path, campaign: str, change: Change, words: str) -> None:
    async def work() -> None:
        home, settings = settings_of(where)
        async with store_of(home, settings) as store:
            await change(store, campaign)
        # The dialer looks by itself too; a nudge that is lost costs half a second.
        await nudge(settings.mqtt_url(), settings.node)

    run(work())
    out.print(f"{campaign} {words}")


@campaign_app.command("status")
def campaign_status(
    campaign: CampaignArgument, as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME
) -> None:
    """Where a campaign stands: contacts, outcomes, abandonment."""

    async def work() -> CampaignStatus:
        at, settings = settings_of(home)
        async with store_of(at, settings) as store:
            return await control.status(store, campaign, home=at)

    status = run(work())
    if as_json:
        typer.echo(control.report_json(status))
        return
    out.print(
        table(
            f"{campaign}: {status.campaign.desired.value}, {status.campaign.mode}",
            ("contacts", "number"),
            status.contacts.items(),
        )
    )
    out.print(table("Attempts by outcome", ("outcome", "number"), status.outcomes.items()))
    audit = status.audit
    out.print(
        f"{audit.dialled} dialled, {audit.in_flight} in flight; abandoned "
        f"{status.abandonment.ratio:.1%} of live answers in 30 days"
    )


@campaign_app.command("explain")
def campaign_explain(
    campaign: CampaignArgument, as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME
) -> None:
    """Say in plain words what a campaign does now, or why it does nothing."""

    async def work() -> list[str]:
        at, settings = settings_of(home)
        async with store_of(at, settings) as store:
            return await control.explain(store, at, campaign)

    sentences = run(work())
    if as_json:
        print_json(sentences)
        return
    for sentence in sentences:
        out.print(sentence, markup=False, soft_wrap=True)
