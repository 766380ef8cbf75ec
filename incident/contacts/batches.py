"""A contacts file as batches of finished rows, ready for the store's bulk doors."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from incident.contacts.errors import SourceUnreadable
from incident.contacts.header import read_header
from incident.contacts.report import Rejection
from incident.contacts.rows import (
    Accepts,
    BadRow,
    Contact,
    normalised_name,
    reportable_reference,
    row_reader,
)
from incident.contacts.source import Lines, Source
from incident.privacy import IncidentKey

BATCH_ROWS = 4000


class Row(NamedTuple):
    """A contact as the store keeps it; the order of the columns in ``incident.store.schema``."""

    line: int
    reference: str
    phone_enc: bytes
    phone_hash: bytes
    name_enc: bytes | None
    state: str | None
    postal_code: str | None
    language: str
    data_types: str
    activation_enc: bytes | None
    kind: str | None


@dataclass(slots=True)
class Batch:
    """Some of a file's rows. ``done``: bytes of the file read so far."""

    rows: list[Row] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    read: int = 0
    done: int = 0


def batches(source: Source, accepts: Accepts, key: IncidentKey) -> Generator[Batch, None, None]:
    """Read, check and seal a file's rows; to be closed. Raises HeaderRefused and
    SourceUnreadable."""
    with contextlib.closing(Lines(source)) as lines:
        yield from _batches(lines, accepts, key)


def _batches(lines: Lines, accepts: Accepts, key: IncidentKey) -> Iterator[Batch]:
    table, rest = read_header(lines)
    reader = csv.reader(rest, delimiter=table.delimiter)
    read = row_reader(table, accepts)
    reference_at = table.columns["reference"]
    good: list[tuple[int, Contact]] = []
    batch = Batch()
    while True:
        first = table.line + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise SourceUnreadable(
                lines.source.path,
                f"cannot be read as a table: {error} (is a quote not closed?)",
                first,
            ) from error
        last = table.line + reader.line_num
        if not fields or (len(fields) == 1 and not fields[0].strip("\0 \t\x1a")):
            continue
        try:
            good.append((first, read(fields)))
        except BadRow as error:
            reason = error.reason
            if last > first:
                reason += f" (lines {first} to {last} are one row; is a quote not closed?)"
            reference = reportable_reference(fields, reference_at)
            batch.rejections.append(Rejection(first, reference, error.column, reason))
        batch.read += 1
        if batch.read >= BATCH_ROWS:
            yield _finished(batch, good, key, lines.done)
            batch, good = Batch(), []
    yield _finished(batch, good, key, lines.done)


def _finished(batch: Batch, good: list[tuple[int, Contact]], key: IncidentKey, done: int) -> Batch:
    phones = key.encrypt_many([contact[1] for _, contact in good])
    names = iter(key.encrypt_many([normalised_name(c[6]) for _, c in good if c[6]]))
    codes = iter(key.encrypt_many([contact[7] for _, contact in good if contact[7]]))
    lookup = key.lookup_hash
    batch.rows = [
        Row(
            line,
            reference,
            phone_enc,
            lookup(e164),
            next(names) if name else None,
            state,
            postal_code,
            language,
            data_types,
            next(codes) if code else None,
            kind,
        )
        for (
            line,
            (reference, e164, state, postal_code, language, data_types, name, code, kind),
        ), phone_enc in zip(good, phones, strict=True)
    ]
    batch.done = done
    return batch
