"""How fast contacts are imported, beside the database's own bulk load of the same rows.

The import and each baseline run in a process of their own, one after the other, on a fresh
database each. A baseline loads a prepared file of the finished columns, in plain text, into a
table with the same columns and indexes: no checking, no encryption. The fastest baseline counts.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from incident.contacts import import_contacts
from incident.contacts.header import REQUIRED
from incident.home import Home
from incident.plan import load_plan
from incident.privacy import Keyring
from incident.store.engine import migrate, open_store
from incident.store.incidents import activate

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

ROWS = 1_000_000
MAX_RATIO = 8.0
MAX_PEAK_MB = 300.0
_PLAN = Path(__file__).parent.parent / "plans" / "sample.yaml"
_COLUMNS = (
    "id",
    "incident_id",
    "import_id",
    "import_line",
    "reference",
    "phone_enc",
    "phone_hash",
    "name_enc",
    "state",
    "postal_code",
    "language",
    "data_types",
)
_HEADER = (*REQUIRED, "given_name", "family_name")
_AREA_CODES = [
    "202", "205", "206", "207", "208", "209", "210", "212", "213", "214", "215", "216", "217",
    "218", "219", "224", "225", "228", "229", "231", "234", "239", "240", "248", "251", "252",
    "253", "254", "256", "260", "262", "267", "269", "270", "276", "281", "301", "302", "303",
    "304", "305", "307", "308", "309", "310", "312", "313", "314", "315", "316", "317", "318",
    "319", "320", "321", "323", "325", "330", "334", "336", "337", "339", "347", "351", "352",
    "360", "361", "386", "401", "402", "404", "405", "406", "407", "408", "409", "410", "412",
    "413", "414", "415", "417", "419", "423", "425", "430", "432", "434", "435", "440", "443",
    "469",
]  # fmt: skip
_STATES = [
    "NY", "CA", "TX", "FL", "IL", "PA", "OH", "GA", "NC", "MI", "NJ", "VA", "WA", "AZ", "MA", "TN",
    "IN", "MO", "MD", "WI",
]  # fmt: skip
_GIVEN = [
    "Maria", "James", "José", "Linda", "Robert", "Ana", "David", "Susan", "Luis", "Karen",
]  # fmt: skip
_FAMILY = [
    "Smith", "Johnson", "García", "Brown", "Martínez", "Davis", "López", "Wilson", "Nguyen",
    "Clark",
]  # fmt: skip


def _people(rows: int) -> Iterator[tuple[str, str, str, str, str, str, str, str]]:
    for i in range(rows):
        mixed = i * 7_368_787 % 10_000_019
        area = _AREA_CODES[mixed % len(_AREA_CODES)]
        yield (
            f"NH{mixed:08d}",
            f"({area}) 555-01{mixed // 97 % 100:02d}",
            _STATES[mixed % 20],
            f"{mixed % 89999 + 10000:05d}",
            "es" if mixed % 5 == 0 else "en",
            "ssn,medical" if mixed % 3 else "contact",
            _GIVEN[mixed % 10],
            _FAMILY[mixed // 10 % 10],
        )


def write_sources(folder: Path, rows: int) -> tuple[Path, Path]:
    """The contacts file, and the same rows as a file of the table's columns."""
    contacts, raw = folder / "contacts.csv", folder / "raw.csv"
    with (
        contacts.open("w", newline="", encoding="utf-8") as one,
        raw.open("w", newline="", encoding="utf-8") as two,
    ):
        given, plain = csv.writer(one), csv.writer(two)
        given.writerow(_HEADER)
        for line, person in enumerate(_people(rows), 2):
            given.writerow(person)
            reference, phone, state, postal, language, types, first, last = person
            name = f"{first} {last}"
            plain.writerow(
                [line, "x", 1, line, reference, phone, phone, name, state, postal, language, types]
            )
    return contacts, raw


def _peak_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def _import(url: str, home: Home, source: Path) -> dict[str, float]:
    async with open_store(url, Keyring.open(home)) as store:
        plan_text = _PLAN.read_text(encoding="utf-8")
        incident = await activate(store, load_plan(_PLAN), plan_text, time.time())
        started = time.perf_counter()
        report = await import_contacts(store, incident, source, now=time.time())
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "added": report.added, "rejected": report.rejected}


def _raw_sqlite_python(file: Path, raw: Path) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    marks = ",".join("?" * len(_COLUMNS))
    with raw.open(newline="", encoding="utf-8") as lines:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO contacts ({','.join(_COLUMNS)}) VALUES ({marks})", csv.reader(lines)
        )
        connection.execute("COMMIT")
    connection.close()


def _raw_sqlite_shell(file: Path, raw: Path) -> None:
    script = (
        f".bail on\nPRAGMA synchronous=NORMAL;\nBEGIN;\n.import --csv {raw} contacts\nCOMMIT;\n"
    )
    subprocess.run(["sqlite3", str(file)], input=script, text=True, check=True, timeout=600)


def _raw_postgres(url: URL, raw: Path) -> None:
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        statement = f"COPY contacts ({','.join(_COLUMNS)}) FROM STDIN (FORMAT CSV)"
        with raw.open("rb") as file, cursor.copy(statement) as copy:
            while block := file.read(1 << 18):
                copy.write(block)


def _prepare_raw(url: str) -> None:
    """The same tables as an import finds; the foreign keys' rows are there."""
    engine = create_engine(url.replace("+aiosqlite", ""), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO incidents VALUES ('x', 'x', '', '', '', '', :key, 0, :yes)"),
            {"key": b"", "yes": True},
        )
        connection.execute(text("INSERT INTO imports VALUES (1, 'x', '', '', 0, 0, 0, 0, 0)"))
    engine.dispose()


def _worker(task: str, url: str, home: str, source: str) -> dict[str, float]:
    """What one of the bench's processes does."""
    parsed = make_url(url)
    if task == "import":
        result = asyncio.run(_import(url, Home.at(home), Path(source)))
        return {**result, "peak_mb": _peak_mb()}
    loads: dict[str, Callable[[], None]] = {
        "executemany": lambda: _raw_sqlite_python(Path(parsed.database or ""), Path(source)),
        "shell": lambda: _raw_sqlite_shell(Path(parsed.database or ""), Path(source)),
        "copy": lambda: _raw_postgres(parsed, Path(source)),
    }
    started = time.perf_counter()
    loads[task]()
    return {"seconds": time.perf_counter() - started}


def _in_process(task: str, url: str, home: Path, source: Path) -> dict[str, float]:
    arguments = [sys.executable, "-m", "bench.contacts_import", task, url, str(home), str(source)]
    root = Path(__file__).parent.parent
    done = subprocess.run(
        arguments, check=True, stdout=subprocess.PIPE, cwd=root, timeout=3600, text=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


class _Databases:
    """Fresh migrated databases: SQLite files, or databases of a PostgreSQL server."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = server
        self._made: list[str] = []
        self.kind = "postgresql" if server else "sqlite"

    def fresh(self) -> tuple[str, Path]:
        name = f"breachline_bench_{secrets.token_hex(6)}"
        home = self._folder / name
        home.mkdir()
        if self._server is None:
            url = f"sqlite+aiosqlite:///{home / 'breachline.db'}"
        else:
            self._administer(f"CREATE DATABASE {name}")
            self._made.append(name)
            url = (
                make_url(self._server)
                .set(drivername="postgresql+psycopg", database=name)
                .render_as_string(hide_password=False)
            )
        asyncio.run(migrate(url))
        return url, home

    def drop(self) -> None:
        for name in self._made:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        url = make_url(self._server or "").set(drivername="postgresql")
        conninfo = url.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())


def run(options: Mapping[str, str]) -> dict[str, object]:
    """Measure. ``rows``: how many (default a million); ``database``: a PostgreSQL server's
    SQLAlchemy URL (default BREACHLINE_TEST_POSTGRES, and without that SQLite)."""
    rows = int(options.get("rows", ROWS))
    server = options.get("database") or os.environ.get("BREACHLINE_TEST_POSTGRES")
    with tempfile.TemporaryDirectory(prefix="breachline-bench-") as name:
        folder = Path(name)
        contacts, raw = write_sources(folder, rows)
        databases = _Databases(folder, server)
        try:
            imported = _in_process("import", *databases.fresh(), contacts)
            baselines = {load: _baseline(databases, load, raw) for load in _loads(databases.kind)}
        finally:
            databases.drop()
    fastest = min(baselines, key=lambda load: baselines[load])
    ratio = imported["seconds"] / baselines[fastest]
    return {
        "database": databases.kind,
        "rows": rows,
        "added": imported["added"],
        "rejected": imported["rejected"],
        "import_seconds": round(imported["seconds"], 2),
        "rows_per_second": round(rows / imported["seconds"]),
        "peak_mb": round(imported["peak_mb"], 1),
        "baseline": fastest,
        "baseline_seconds": {load: round(took, 2) for load, took in baselines.items()},
        "ratio": round(ratio, 2),
        "passed": (
            ratio <= MAX_RATIO and imported["peak_mb"] < MAX_PEAK_MB and imported["added"] == rows
        ),
    }


def _loads(kind: str) -> list[str]:
    if kind == "postgresql":
        return ["copy"]
    return ["executemany", "shell"] if shutil.which("sqlite3") else ["executemany"]


def _baseline(databases: _Databases, load: str, raw: Path) -> float:
    url, home = databases.fresh()
    _prepare_raw(url)
    return _in_process(load, url, home, raw)["seconds"]


if __name__ == "__main__":
    print(json.dumps(_worker(*sys.argv[1:5])))
