"""Logs of the services: structured JSON lines on standard error, without personal data."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

NORTH_AMERICAN: Final = (
    r"(?:(?<![0-9A-Za-z])|(?<=\\[nrt])|(?<=%2B)|(?<=%2b))"  # also after an escape
    r"(?<![0-9]\.)"  # a fraction's digits
    r'(?<![^\\]": )(?<![^\\]":)'  # a JSON number: counts and times
    r"(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-]?)[2-9][0-9]{2}[ .-]?[0-9]{4}"
    r"(?![0-9A-Za-z])"
)
"""A telephone number as North Americans and their carriers write it, without plus or with it.
Unix times (they begin with 1 and have ten digits) and ids made of them are none."""
_PHONE: Final = re.compile(rf"\+[0-9]{{7,15}}|(?P<plain>{NORTH_AMERICAN})")
_QUIET: Final = ("aiosqlite", "asyncio", "sqlalchemy", "alembic", "mqtt", "httpx", "hpack")


def masked(text: str) -> str:
    """A text with everything that looks like an E.164 or North American number blotted out."""
    return _PHONE.sub(lambda found: "<number>" if found["plain"] else "+<number>", text)


class _Masking(logging.Handler):
    """The last guard: whatever a library put into a message, no number is written."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(masked(self.format(record)) + "\n")
            self._stream.flush()
        except OSError:
            self.handleError(record)


def configure(
    service: str, node: str, *, level: str = "INFO", stream: TextIO | None = None
) -> None:
    """Send every log line of this process, also those of ``logging``, out as one JSON object.

    Each has ``at`` (UTC), ``level``, ``logger``, ``event``, ``service`` and ``node``.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _belongs(service, node),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = _Masking(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _belongs(service: str, node: str) -> structlog.typing.Processor:
    def add(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["service"] = service
        event["node"] = node
        return event

    return add
