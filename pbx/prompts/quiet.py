"""What placeholders hear while they wait: next to nothing.

Asterisk plays its queues' announcements to the placeholder of a kept place as to anybody else, and
gives nobody to an agent as long as one is being played to them. A placeholder's language is
``en_kept``, and under that name every announcement is a frame of sound: a fiftieth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

SUFFIX: Final = "_kept"
"""After the language (dialplan/kept.conf)."""
PLACE_TEXTS: Final = ("wait.next", "wait.place")
"""What a queue says of the place in line (`pbx.render.sections.queues`)."""
_FRAME: Final = b"\xff" * 160
"""Some sound in every codec that we have; nobody listens."""


def quieten(folder: Path, language: str, names: Iterable[str], codecs: Iterable[str]) -> None:
    """Put short sounds for placeholders beside the prompts of a language, which are in
    ``folder``."""
    quiet = folder / f"{language}{SUFFIX}"
    quiet.mkdir(parents=True, exist_ok=True)
    for codec in set(codecs):
        for name in names:
            (quiet / f"{name}.{codec}").write_bytes(_FRAME)
