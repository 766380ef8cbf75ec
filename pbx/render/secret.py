"""Secrets that a home makes once and keeps."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path


def made_once(file: Path, make: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    """What ``file`` holds; made by ``make`` and written (mode 0600) the first time.

    The file appears whole: a process that dies in between leaves none, and of two that start at
    once both get the same. Raises OSError, and ValueError for a file that is not ours.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(dict(make()), stream)
                stream.flush()
                os.fsync(stream.fileno())
            # Where another process was first, its secret is the home's.
            with contextlib.suppress(FileExistsError):
                file.hardlink_to(draft)
        finally:
            Path(draft).unlink()
    return {key: str(value) for key, value in json.loads(file.read_text(encoding="utf-8")).items()}
