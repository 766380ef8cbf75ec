"""A caller without a telephone: what the flows play is noted, what the caller presses is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from incident.content import spoken_texts
from incident.plan import Plan
from incident.privacy import IncidentKey
from ivr.served import ServedIncident
from pbx.agi import AgiRequest, AgiSession, CallerHungUp, Digits

KEY = IncidentKey(b"k" * 32)


def served(plan: Plan) -> ServedIncident:
    """A plan whose prompts are named by their texts: ``/<language>/<text name>``."""
    paths: dict[str, dict[str, str]] = {}
    for text in spoken_texts(plan):
        paths.setdefault(text.language, {})[text.name] = f"/{text.language}/{text.name}"
    return ServedIncident(plan.incident, plan, KEY, "version", paths)


def request(unique_id: str = "node1-1795465328.79", caller: str = "+12025550123") -> AgiRequest:
    return AgiRequest(
        script="hotline",
        query={},
        args=(),
        channel="PJSIP/carrier-public-00000001",
        unique_id=unique_id,
        caller_number=caller,
        caller_name="",
        caller_withheld=False,
        dialled="",
        extension="s",
        context="hotline",
        language="en",
    )


@dataclass
class Caller:
    """``bursts``: keys pressed together; after the last the caller is silent, or hangs up.

    A burst is pressed when something is played or waited for; what is left of it goes to
    whatever asks next, as with a caller who types faster than we speak.
    """

    bursts: list[str]
    hangs_up: bool = False
    request: AgiRequest = field(default_factory=request)
    heard: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    _left: str = ""

    @classmethod
    def pressing(cls, *bursts: str, hangs_up: bool = False) -> Caller:
        return cls(list(bursts), hangs_up=hangs_up)

    @property
    def session(self) -> AgiSession:
        return cast(AgiSession, self)

    @property
    def texts(self) -> list[str]:
        """What was played, by name, without languages."""
        return [PurePosixPath(path).name for path in self.heard]

    def _key(self, allowed: Iterable[str] = "0123456789*#") -> str:
        if not self._left and self.bursts:
            self._left = self.bursts.pop(0)
        elif not self._left and self.hangs_up:
            raise CallerHungUp("line")
        if not self._left or self._left[0] not in allowed:
            return ""
        key, self._left = self._left[0], self._left[1:]
        return key

    async def stream_file(self, path: str, escape_digits: str = "") -> str:
        self.heard.append(path)
        return self._key(escape_digits) if escape_digits else ""

    async def get_data(self, path: str, timeout_ms: int, max_digits: int) -> Digits:
        self.heard.append(path)
        value = ""
        while len(value) < max_digits:
            if value and not self._left:
                return Digits(value, timed_out=True)
            key = self._key()
            if key in {"", "#"}:
                return Digits(value, timed_out=not key)
            value += key
        return Digits(value, timed_out=False)

    async def wait_for_digit(self, timeout_ms: int) -> str:
        return self._key() if self._left else ""

    async def say_digits(self, digits: str, escape_digits: str = "") -> str:
        self.heard.append(f"/digits/{digits}")
        return self._key(escape_digits)

    async def say_alpha(self, text: str, escape_digits: str = "") -> str:
        self.heard.append(f"/letters/{text}")
        return self._key(escape_digits)

    async def say_phonetic(self, text: str, escape_digits: str = "") -> str:
        self.heard.append(f"/phonetic/{text.lower()}")
        return self._key(escape_digits)

    async def set_variable(self, name: str, value: str) -> None:
        self.variables[name] = value

    async def get_variable(self, name: str) -> str | None:
        return self.variables.get(name, self.variables.get(f"__{name}"))


class Published(list[tuple[str, Any]]):
    """A publisher that keeps what it is given."""

    def publish(self, topic_suffix: str, payload: Any, *, retain: bool = False) -> None:
        self.append((topic_suffix, payload))
