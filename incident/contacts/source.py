"""A contacts file as lines of text: its encoding, and reading it in bounded memory.

The whole file is read once before anything is imported: only then is it known that it is UTF-8
throughout. A list exported from an office program is often plain ASCII for sixty thousand rows
until the first name with an accent, so a sample from its start would tell nothing.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import itertools
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

from incident.contacts.errors import SourceUnreadable

BLOCK_BYTES = 1 << 18
MAX_LINE = 1 << 20
_SAMPLE_BYTES = 1 << 16
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = ["cp1252", "latin_1", "mac_roman", "cp850"]
_HIGH_LINES = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")


@dataclass(frozen=True, slots=True)
class Source:
    """What the first reading found. ``size``: bytes; ``sha256``: hexadecimal."""

    path: Path
    encoding: str
    size: int
    sha256: str


def examine(path: Path) -> Source:
    """Find a file's encoding and hash. Raises SourceUnreadable."""
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE_BYTES)
            file.seek(0)
            encoding = _marked(start)
            digest, size, is_utf8, high = _first_reading(file)
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be read: {error.strerror}") from error
    if not start.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise SourceUnreadable(path, "is empty")
    if encoding is None:
        encoding = "utf-8" if is_utf8 else _legacy(high)
    return Source(path, encoding, size, digest)


def _marked(start: bytes) -> str | None:
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    # UTF-16 without a mark: every other byte of Latin text is zero.
    pairs = max(1, len(start) // 2)
    if start[1::2].count(0) > 0.4 * pairs and start[::2].count(0) < 0.1 * pairs:
        return "utf-16-le"
    if start[::2].count(0) > 0.4 * pairs and start[1::2].count(0) < 0.1 * pairs:
        return "utf-16-be"
    return None


def _first_reading(file: io.BufferedReader) -> tuple[str, int, bool, bytes]:
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, is_utf8, high = 0, True, bytearray()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
        size += len(block)
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
        if not block.isascii() and len(high) < _SAMPLE_BYTES:
            for match in _HIGH_LINES.finditer(block):
                high += match.group()
                if len(high) >= _SAMPLE_BYTES:
                    break
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    return digest.hexdigest(), size, is_utf8, bytes(high)


def _legacy(high: bytes) -> str:
    """The encoding of lines that are not all UTF-8."""
    wide = sum(not character.isascii() for character in high.decode("utf-8", "ignore"))
    broken = high.decode("utf-8", "replace").count("�")
    if wide > broken:
        # UTF-8 with a damaged place: reading it will stop there and name the line.
        return "utf-8"
    best = charset_normalizer.from_bytes(high, cp_isolation=_LEGACY).best()
    return best.encoding if best is not None else "cp1252"


class Lines:
    """The lines of a source, in memory bounded by a block; ``done`` counts the bytes read.

    To be read once, and closed.
    Iterating raises SourceUnreadable, with the line, where the file does not decode or a line
    is longer than MAX_LINE characters.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.done = 0
        self._line = 0
        self._reading = self._blocks()

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self._reading)

    def close(self) -> None:
        """Close the file, also when it was not read to its end."""
        self._reading.close()

    def _blocks(self) -> Generator[io.StringIO, None, None]:
        decoder = codecs.getincrementaldecoder(self.source.encoding)()
        held = ""
        with self.source.path.open("rb") as file:
            while True:
                data = file.read(BLOCK_BYTES)
                self.done += len(data)
                text = held + self._decode(decoder, data, held)
                if not data:
                    break
                cut = text.rfind("\n") + 1 or text.rfind("\r", 0, len(text) - 1) + 1
                block, held = text[:cut], text[cut:]
                if len(held) > MAX_LINE:
                    raise self._refused(
                        f"is longer than {MAX_LINE} characters; is this a table at all?", block
                    )
                if block:
                    yield io.StringIO(block, newline="")
                    self._line += _count(block)
        if text:
            yield io.StringIO(text, newline="")

    def _decode(self, decoder: codecs.IncrementalDecoder, data: bytes, held: str) -> str:
        try:
            return decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(self.source.encoding, "ignore")
            raise self._refused(
                f"holds bytes that are not {self.source.encoding}; save the file as UTF-8",
                held + good,
            ) from error

    def _refused(self, reason: str, before: str) -> SourceUnreadable:
        ended = _count(before) - (0 if not before or before[-1] in "\r\n" else 1)
        return SourceUnreadable(self.source.path, reason, self._line + ended + 1)


def _count(text: str) -> int:
    return sum(1 for _ in io.StringIO(text, newline=""))
