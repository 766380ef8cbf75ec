"""What was learned about callers and agents, kept across restarts in ``HOME/run``."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ivr.predictor import BadMemory, Learner

log: Final = logging.getLogger(__name__)
NAME: Final = "learned.json"
_LARGEST: Final = 4 * 1024 * 1024


def load(file: Path) -> dict[str, Learner]:
    """Learners by incident. A file that is not there or damaged is a cold start, never an error:
    calls are answered with what is believed of any hotline."""
    try:
        with file.open("rb") as stream:
            data = json.loads(stream.read(_LARGEST))
        if not isinstance(data, dict):
            raise BadMemory("all of it")
        return {str(incident): Learner.from_dict(each) for incident, each in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning(
            "%s is not usable (%s): waiting times are predicted anew from what is usual",
            file,
            error if isinstance(error, BadMemory) else type(error).__name__,
        )
        return {}


def dump(learners: Mapping[str, Learner]) -> bytes:
    """What ``save`` writes; made apart from it, so that writing can be left to a thread."""
    return json.dumps(
        {incident: learner.to_dict() for incident, learner in learners.items()}
    ).encode()


def save(file: Path, data: bytes) -> None:
    """The old content or the new one, whatever happens meanwhile. Blocks; raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
