"""Importing contacts into the store: all good rows or none, once, and nothing left behind."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from incident.contacts import (
    DatabaseRefused,
    HeaderRefused,
    ImportReport,
    ImportRunning,
    Progress,
    SourceUnreadable,
    import_contacts,
)
from incident.contacts import batches as batches_module
from incident.contacts.batches import Row
from incident.contacts.doors import (
    DATABASE_ERRORS,
    Begun,
    PostgresDoor,
    SqliteDoor,
    open_door,
)
from incident.contacts.errors import ReportUnwritable
from incident.home import Home
from incident.privacy import Keyring
from incident.store.engine import Store, open_store
from incident.store.incidents import ActiveIncident, activate
from incident.store.schema import AgentRow, ContactRow, ImportRow
from tests.database import NOW, fresh_database, on_postgres, sample_plan

HEADER = "reference,phone,state,postal_code,language,data_types,given_name,family_name"


def line(reference: str, phone: str = "2025550143", name: str = "Ana", state: str = "NY") -> str:
    return f"{reference},{phone},{state},10001,en,ssn,{name},García"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "BATCH_ROWS", 3)


async def contacts(store: Store) -> list[ContactRow]:
    """Those that count."""
    async with store.read() as session:
        return list(
            await session.scalars(
                select(ContactRow)
                .join(ImportRow, ImportRow.id == ContactRow.import_id)
                .where(ImportRow.committed_at.is_not(None))
                .order_by(ContactRow.reference)
            )
        )


async def count(store: Store, table: type[ContactRow] | type[ImportRow]) -> int:
    async with store.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def report_rows(path: Path | None) -> list[list[str]]:
    assert path is not None
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def figures(report: ImportReport) -> tuple[int, int, int]:
    return report.added, report.known, report.rejected


async def test_codes_and_kinds_are_stored_and_a_second_import_adds_nothing(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    source.write_text(
        "reference,phone,state,postal_code,language,data_types,activation_code,kind\n"
        "A1,2025550143,NY,10001,en,ssn,hbw7-29kx,\n"
        "A2,2025550143,NY,10001,en,ssn,,minor\n",
        encoding="utf-8",
    )
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (2, 0, 0)
    one, two = await contacts(store)
    assert incident.key.decrypt(one.activation_enc or b"") == "HBW7-29KX"
    assert (one.kind, two.activation_enc, two.kind) == (None, None, "minor")
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (0, 2, 0)
    source.write_text(source.read_text(encoding="utf-8").replace("hbw7", "hbw8"), encoding="utf-8")
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (0, 1, 1)


async def test_rows_are_stored_sealed_and_found_by_hash(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    write(source, line("A1"), line("A2", "+1 (305) 555-0101", ""))
    report = await import_contacts(store, incident, source, now=NOW)
    assert report == ImportReport(2, 0, 0, None)
    one, two = await contacts(store)
    assert incident.key.decrypt(one.phone_enc) == "+12025550143"
    assert incident.key.decrypt(one.name_enc or b"") == "Ana García"
    assert one.phone_hash == incident.key.lookup_hash("+12025550143")
    assert (one.reference, one.state, one.postal_code) == ("A1", "NY", "10001")
    assert (one.language, one.data_types, one.import_line) == ("en", "ssn", 2)
    assert incident.key.decrypt(two.phone_enc) == "+13055550101"
    async with store.read() as session:
        (record,) = await session.scalars(select(ImportRow))
    assert (record.added, record.known, record.rejected) == (2, 0, 0)
    assert (record.committed_at, record.source, record.started_at) == (NOW, "list.csv", NOW)


@pytest.mark.skipif(on_postgres(), reason="about SQLite's file")
async def test_no_number_or_name_is_in_the_database_file(
    store: Store, incident: ActiveIncident, source: Path, home: Home
) -> None:
    write(source, line("A1"), line("A2", "bad"))
    await import_contacts(store, incident, source, now=NOW)
    for file in home.root.glob("breachline.db*"):
        content = file.read_bytes()
        assert b"2025550143" not in content
        assert b"Garc" not in content


async def test_running_it_twice_adds_nothing(
    store: Store, incident: ActiveIncident, source: Path, small_batches: None
) -> None:
    write(source, *(line(f"A{i}", f"20255501{i:02d}") for i in range(10)))
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (10, 0, 0)
    before = [(row.id, row.phone_enc) for row in await contacts(store)]
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (0, 10, 0)
    assert [(row.id, row.phone_enc) for row in await contacts(store)] == before


async def test_a_longer_list_adds_only_what_is_new(
    store: Store, incident: ActiveIncident, source: Path, small_batches: None
) -> None:
    write(source, line("A1"), line("A3"))
    await import_contacts(store, incident, source, now=NOW)
    write(source, line("A0"), line("A1"), line("A2"), line("A3"), line("A4"))
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (3, 2, 0)
    assert [row.reference for row in await contacts(store)] == ["A0", "A1", "A2", "A3", "A4"]


@pytest.mark.parametrize(
    "other",
    [
        line("A1", phone="2025550144"),
        line("A1", state="NJ"),
        line("A1", name="Eva"),
        "A1,2025550143,NY,10002,en,ssn,Ana,García",
        "A1,2025550143,NY,10001,es,ssn,Ana,García",
        "A1,2025550143,NY,10001,en,medical,Ana,García",
    ],
)
async def test_a_reference_with_other_data_is_rejected(
    store: Store, incident: ActiveIncident, source: Path, other: str
) -> None:
    await import_contacts(store, incident, write(source, line("A1")), now=NOW)
    report = await import_contacts(store, incident, write(source, line("A0"), other), now=NOW)
    assert figures(report) == (1, 0, 1)
    assert report_rows(report.report_path) == [
        ["line", "reference", "column", "reason"],
        ["3", "A1", "reference", "was imported before with other data"],
    ]
    stored = (await contacts(store))[1]
    assert incident.key.decrypt(stored.phone_enc) == "+12025550143"
    assert (stored.state, stored.postal_code, stored.language) == ("NY", "10001", "en")


async def test_a_repeated_reference_keeps_the_first_and_names_its_line(
    store: Store, incident: ActiveIncident, source: Path, small_batches: None
) -> None:
    rows = [line(f"A{i}") for i in range(7)]
    write(source, line("B"), line("B", "2025550144"), *rows, line("B"), line("C"))
    report = await import_contacts(store, incident, source, now=NOW)
    assert figures(report) == (9, 0, 2)
    assert report_rows(report.report_path)[1:] == [
        ["3", "B", "reference", "is on line 2 already"],
        ["11", "B", "reference", "is on line 2 already"],
    ]
    stored = {row.reference: row for row in await contacts(store)}
    assert incident.key.decrypt(stored["B"].phone_enc) == "+12025550143"


async def test_one_number_may_belong_to_several_people(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    write(source, line("A1", name="Ana"), line("A2", name="Eva"))
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (2, 0, 0)
    assert len({row.phone_hash for row in await contacts(store)}) == 1


async def test_the_report_is_private_in_file_order_and_without_personal_data(
    store: Store, incident: ActiveIncident, source: Path, tmp_path: Path
) -> None:
    write(
        source,
        line("A1"),
        line("A2", "202555014"),
        line("A1"),
        line("A3", state="Atlantis"),
        line("!", "2025550143"),
    )
    wanted = tmp_path / "rejected rows.csv"
    report = await import_contacts(store, incident, source, report=wanted, now=NOW)
    assert report.report_path == wanted
    assert [row[:3] for row in report_rows(wanted)[1:]] == [
        ["3", "A2", "phone"],
        ["4", "A1", "reference"],
        ["5", "A3", "state"],
        ["6", "", "reference"],
    ]
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o600
    text = wanted.read_text(encoding="utf-8")
    for private in ("202555", "Ana", "García"):
        assert private not in text
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == [
        "list.csv",
        "rejected rows.csv",
    ]


async def test_an_old_report_does_not_outlive_its_truth(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    first = await import_contacts(store, incident, write(source, line("A1", "bad")), now=NOW)
    assert len(report_rows(first.report_path)) == 2
    second = await import_contacts(store, incident, write(source, line("A1")), now=NOW)
    assert second.report_path == first.report_path
    assert len(report_rows(first.report_path)) == 1


async def test_a_report_without_a_place_refuses_before_anything_is_written(
    store: Store, incident: ActiveIncident, source: Path, tmp_path: Path
) -> None:
    write(source, line("A1"))
    with pytest.raises(ReportUnwritable, match="another place"):
        await import_contacts(
            store, incident, source, report=tmp_path / "no folder" / "r.csv", now=NOW
        )
    assert await count(store, ContactRow) == await count(store, ImportRow) == 0


async def test_a_refused_file_leaves_nothing(
    store: Store, incident: ActiveIncident, source: Path, small_batches: None
) -> None:
    good = "\n".join([HEADER, *(line(f"A{i}", name="Ána") for i in range(20_000))])
    source.write_bytes(good.encode() + b"\n\xff,broken\n" + b"A,b\n" * 10)
    reached: list[Progress] = []
    with pytest.raises(SourceUnreadable, match="line 20002"):
        await import_contacts(store, incident, source, progress=reached.append, now=NOW)
    assert reached[-1].added > 0, "rows had been written when the damage was found"
    assert await count(store, ContactRow) == await count(store, ImportRow) == 0
    assert [path.name for path in source.parent.glob("*.csv*")] == ["list.csv"]


async def test_a_file_without_the_columns_leaves_nothing(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    source.write_text("reference,phone\nA1,2025550143\n", encoding="utf-8")
    with pytest.raises(HeaderRefused):
        await import_contacts(store, incident, source, now=NOW)
    assert await count(store, ImportRow) == 0


async def test_progress_reaches_the_end_in_this_loop(
    store: Store, incident: ActiveIncident, source: Path, small_batches: None
) -> None:
    write(source, *(line(f"A{i}") for i in range(7)), line("A1"), line("A9", "bad"))
    reached: list[Progress] = []
    threads = set()

    def note(progress: Progress) -> None:
        threads.add(threading.current_thread())
        reached.append(progress)

    await import_contacts(store, incident, source, progress=note, now=NOW)
    size = source.stat().st_size
    assert reached[-1] == Progress(size, size, 7, 0, 2)
    assert len(reached) >= 3
    assert threads == {threading.main_thread()}


@dataclass
class Pause:
    """After its first batch an import sets ``reached`` and waits for ``go_on``."""

    reached: asyncio.Event
    go_on: threading.Event


@pytest.fixture
async def pause(small_batches: None, monkeypatch: pytest.MonkeyPatch) -> Pause:
    door = PostgresDoor if on_postgres() else SqliteDoor
    insert, loop = door.insert, asyncio.get_running_loop()
    pause = Pause(asyncio.Event(), threading.Event())

    def insert_and_wait(self: Any, rows: Sequence[Row]) -> int:
        added = insert(self, rows)
        loop.call_soon_threadsafe(pause.reached.set)
        assert pause.go_on.wait(30)
        return added

    monkeypatch.setattr(door, "insert", insert_and_wait)
    return pause


async def test_cancelling_takes_back_what_was_written(
    store: Store, incident: ActiveIncident, source: Path, pause: Pause
) -> None:
    write(source, *(line(f"A{i}") for i in range(100)))
    task = asyncio.create_task(import_contacts(store, incident, source, now=NOW), name="import")
    await pause.reached.wait()
    assert await count(store, ContactRow) == 3
    task.cancel()
    await asyncio.sleep(0)
    pause.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(store, ContactRow) == await count(store, ImportRow) == 0
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (100, 0, 0)


async def test_others_write_between_batches_and_see_none_of_it(
    store: Store, incident: ActiveIncident, source: Path, pause: Pause
) -> None:
    write(source, *(line(f"A{i}") for i in range(10)))
    task = asyncio.create_task(import_contacts(store, incident, source, now=NOW), name="import")
    await pause.reached.wait()
    async with store.write() as session:
        session.add(
            AgentRow(number="101", incidents="a", languages="en", secret_enc=b"", created_at=NOW)
        )
    assert await contacts(store) == []
    pause.go_on.set()
    assert figures(await task) == (10, 0, 0)
    assert len(await contacts(store)) == 10
    async with store.read() as session:
        assert await session.get(AgentRow, "101") is not None


async def test_a_second_import_at_the_same_time_is_refused(
    store: Store, incident: ActiveIncident, source: Path
) -> None:
    write(source, line("A1"))
    with open_door(store.engine.url) as door:
        door.begin(Begun(incident.id, "other.csv", "", NOW))
        with pytest.raises(ImportRunning, match="wait"):
            await import_contacts(store, incident, source, now=NOW)
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (1, 0, 0)
    assert await count(store, ImportRow) == 1


async def test_a_database_that_fails_is_said_in_words_and_nothing_counts(
    store: Store,
    incident: ActiveIncident,
    source: Path,
    small_batches: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(source, *(line(f"A{i}") for i in range(20)))
    door = PostgresDoor if on_postgres() else SqliteDoor
    insert, calls = door.insert, 0

    def fail_later(self: Any, rows: Sequence[Row]) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise DATABASE_ERRORS[on_postgres()]("disk is full")
        return insert(self, rows)

    monkeypatch.setattr(door, "insert", fail_later)
    with pytest.raises(DatabaseRefused, match=r"disk is full.*nothing was imported$"):
        await import_contacts(store, incident, source, now=NOW)
    assert await count(store, ContactRow) == await count(store, ImportRow) == 0


SCRIPT = """
import asyncio, sys
from pathlib import Path
from incident.contacts import batches, import_contacts
from incident.home import Home
from incident.privacy import Keyring
from incident.store.engine import open_store
from incident.store.incidents import active_incidents

async def main(url, root, source):
    batches.BATCH_ROWS = 3
    async with open_store(url, Keyring.open(Home.at(root))) as store:
        (incident,) = await active_incidents(store)
        tell = lambda progress: print(progress.added, flush=True)
        await import_contacts(store, incident, Path(source), progress=tell, now=1.0)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_import_counts_for_nothing_and_is_cleaned_by_the_next(
    store: Store, incident: ActiveIncident, source: Path, home: Home, database_url: str
) -> None:
    write(source, *(line(f"A{i}") for i in range(20_000)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, database_url, str(home.root), str(source),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert int(await process.stdout.readline()) > 0
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()
    assert await count(store, ContactRow) > 0
    assert await contacts(store) == []
    write(source, line("A1"), line("A2"))
    assert figures(await import_contacts(store, incident, source, now=NOW)) == (2, 0, 0)
    assert await count(store, ContactRow) == 2
    assert await count(store, ImportRow) == 1


FIELD = st.text("A1,;\"'\n\r\t \x00é", max_size=6)


@given(
    rows=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["R1", "R2", "R3"]), st.sampled_from(["01", "02"])).map(
                lambda pair: [pair[0], f"20255501{pair[1]}", "NY", "10001", "en", "ssn", "", ""]
            ),
            st.lists(FIELD, max_size=9),
        ),
        max_size=12,
    ),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
)
@settings(
    max_examples=8 if on_postgres() else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_each_row_is_added_known_or_rejected_and_a_second_run_adds_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    delimiter: str,
    encoding: str,
) -> None:
    folder = tmp_path_factory.mktemp("import")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(HEADER.split(","))
    writer.writerows(rows)
    source = folder / "list.csv"
    source.write_bytes(text.getvalue().encode(encoding))
    home = Home.at(folder / "home")
    with fresh_database(home) as url:
        asyncio.run(_twice(url, home, source, rows))


async def _twice(url: str, home: Home, source: Path, rows: list[list[str]]) -> None:
    async with open_store(url, Keyring.open(home)) as store:
        incident = await activate(store, *sample_plan(), NOW)
        first = await import_contacts(store, incident, source, now=NOW)
        good = {row[0] for row in rows if len(row) == 8 and row[0].startswith("R")}
        assert {row.reference for row in await contacts(store)} >= good
        assert first.added == len(await contacts(store))
        assert first.known == 0
        second = await import_contacts(store, incident, source, now=NOW)
        assert second.added == 0
        assert second.known + second.rejected == first.added + first.rejected
        assert await count(store, ContactRow) == first.added
