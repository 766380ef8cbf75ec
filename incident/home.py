"""The home folder: where one running system keeps everything that is its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside one home (``--home``, default ``./var``). Nothing is created here."""

    root: Path

    @classmethod
    def at(cls, root: Path | str) -> Home:
        return cls(Path(root).expanduser().resolve())

    @property
    def settings_file(self) -> Path:
        return self.root / "breachline.toml"

    @property
    def secrets(self) -> Path:
        """Mode 0700: master key, AMI secret."""
        return self.root / "secrets"

    @property
    def database_file(self) -> Path:
        return self.root / "breachline.db"

    @property
    def plans(self) -> Path:
        """Copies of the activated incident plans, ``<incident>.yaml``."""
        return self.root / "plans"

    @property
    def prompts(self) -> Path:
        """Rendered prompts, ``<language>/<hash>.<format>``, and ``manifest.json``."""
        return self.root / "prompts"

    @property
    def studio(self) -> Path:
        """Recordings that override synthesis, ``<incident>/<language>/<text name>.wav``."""
        return self.root / "studio"

    @property
    def asterisk(self) -> Path:
        """Rendered ``etc/``, and Asterisk's own ``run/``, ``log/``, ``spool/``, ``lib/``."""
        return self.root / "asterisk"

    @property
    def emergency(self) -> Path:
        """What the emergency path needs without any service, ``<incident>.json``."""
        return self.root / "emergency"

    @property
    def callback_spool(self) -> Path:
        """Call-back requests taken by the emergency path, one sealed file each."""
        return self.root / "spool" / "callbacks"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Process ids, sockets and the supervisor's state."""
        return self.root / "run"
