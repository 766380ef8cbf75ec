"""``campaign create|start|pause|stop|status|explain``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from console.door import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
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
from incident.events import nudge
from incident.store.campaigns import Campaign
from incident.store.engine import Store

campaign_app = typer.Typer(no_args_is_help=True, help="Outbound notice campaigns.")


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
