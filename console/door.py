"""What every command shares: the home option, running coroutines, refusals and exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from incident.home import Home
from incident.privacy import Keyring
from incident.settings import Settings, load_settings
from incident.store.engine import Store, migrate, open_store
from pbx.render import check_home

T = TypeVar("T")

HomeOption = Annotated[
    Path, typer.Option("--home", help="Folder of one running system.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DEFAULT_HOME = Path("var")

# No markup: paths and messages hold brackets.
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


class Refused(Exception):
    """A command will not do what was asked; the message says why and what to do next."""


def settings_of(home: Path) -> tuple[Home, Settings]:
    """The home and its settings. Raises SettingsError, and HomeUnusable for a path that Asterisk
    cannot work in (better said now than after minutes of preparation)."""
    at = Home.at(home)
    check_home(at)
    return at, load_settings(at)


@asynccontextmanager
async def store_of(home: Home, settings: Settings, *, create: bool = False) -> AsyncIterator[Store]:
    """The home's database, migrated. ``create``: make the home if it is not there.

    Raises Refused for a home that does not exist: it may be a slip of the pen.
    """
    if not create and not home.root.is_dir():
        raise Refused(
            f"there is no home at {home.root}. First: breachline incident activate PLAN "
            f"--home {home.root}"
        )
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if home.root.stat().st_uid == os.getuid():
        home.root.chmod(0o700)  # a folder that was made by hand is open to others
    url = settings.database_url(home)
    await migrate(url)
    async with open_store(url, Keyring.open(home)) as store:
        yield store


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command's coroutine to its end."""
    return asyncio.run(work)


def print_json(data: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def table(title: str, headings: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A table whose numbers line up on the right."""
    built = Table(title=title, title_justify="left", title_style="bold")
    cells = [list(row) for row in rows]
    for index, heading in enumerate(headings):
        numeric = bool(cells) and all(isinstance(row[index], int | float) for row in cells)
        built.add_column(heading, justify="right" if numeric else "left")
    for row in cells:
        built.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    return built


class Bar:
    """A progress bar on standard error for work that knows its total."""

    def __init__(self, what: str) -> None:
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=err,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        self._progress.update(self._task, completed=done, total=total, description=name)
