"""``breachline.toml``: what an operator may set, checked before anything starts.

Unknown keys are errors that name the key and the nearest valid one; every error
names its place in the file.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from incident.home import Home

Slug = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
Codec = Literal["ulaw", "alaw", "g722"]


class SettingsError(Exception):
    """The settings file cannot be used; ``problems`` holds one sentence for each mistake."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.file = file
        self.problems = problems
        super().__init__(f"{file}: " + "; ".join(problems))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


class AsteriskSettings(_Section):
    """``root``: none for the private tree, or the root of an installed Asterisk (``"/"``)."""

    root: Path | None = None
    sip_port: int = Field(5060, ge=1, le=65535)
    ami_port: int = Field(5038, ge=1, le=65535)
    agi_port: int = Field(4573, ge=1, le=65535)
    http_port: int = Field(8088, ge=1, le=65535)
    rtp_first: int = Field(10000, ge=1024, le=65000)
    rtp_last: int = Field(12999, ge=1024, le=65535)
    advertised_host: str | None = None

    @model_validator(mode="after")
    def _rtp_range(self) -> AsteriskSettings:
        if self.rtp_last - self.rtp_first < 100:
            raise ValueError("rtp_last must be at least 100 above rtp_first")
        return self


class CarrierSettings(_Section):
    """A SIP trunk, identified by its address.

    ``max_channels`` bounds outbound calls at once, ``calls_per_second`` how fast they are
    placed. ``outbound = false`` makes it inbound only.
    """

    name: str = Slug
    host: str
    port: int = Field(5060, ge=1, le=65535)
    transport: Literal["udp", "tcp"] = "udp"
    max_channels: int = Field(30, ge=1, le=10000)
    calls_per_second: float = Field(5.0, gt=0, le=1000)
    codecs: tuple[Codec, ...] = ("ulaw", "alaw")
    outbound: bool = True

    _host = field_validator("host")(_address)


class AgentSettings(_Section):
    """``wrapup_seconds``: how long after a call an agent is left alone to finish it.

    ``ring_seconds``: how long an agent's telephone rings before the next agent is tried.
    """

    wrapup_seconds: int = Field(15, ge=0, le=600)
    ring_seconds: int = Field(15, ge=2, le=60)


class DatabaseSettings(_Section):
    """``url``: none for SQLite in the home, or ``postgresql+psycopg://...``."""

    url: str | None = None


class MqttSettings(_Section):
    """``url``: none for the embedded Mosquitto on ``bind``, or ``mqtt://host:port``."""

    url: str | None = None
    port: int = Field(1883, ge=1, le=65535)


class ConsoleSettings(_Section):
    port: int = Field(8080, ge=1, le=65535)


class MetricsSettings(_Section):
    hotline_port: int = Field(9101, ge=1, le=65535)
    dialer_port: int = Field(9102, ge=1, le=65535)
    console_port: int = Field(9103, ge=1, le=65535)
    prometheus_port: int = Field(9090, ge=1, le=65535)


class PromptSettings(_Section):
    """``engine``: auto takes gTTS where there is Internet, else flite and espeak-ng."""

    engine: Literal["auto", "gtts", "offline"] = "auto"


class Settings(BaseSettings):
    """All of ``breachline.toml``. ``node`` names this machine in MQTT topics."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="BREACHLINE_IGNORED_")

    bind: str = "127.0.0.1"
    node: str = Field("node1", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    asterisk: AsteriskSettings = AsteriskSettings()
    carrier: tuple[CarrierSettings, ...] = ()
    agents: AgentSettings = AgentSettings()
    database: DatabaseSettings = DatabaseSettings()
    mqtt: MqttSettings = MqttSettings()
    console: ConsoleSettings = ConsoleSettings()
    metrics: MetricsSettings = MetricsSettings()
    prompts: PromptSettings = PromptSettings()

    _bind = field_validator("bind")(_address)

    @model_validator(mode="after")
    def _carriers(self) -> Settings:
        names = [c.name for c in self.carrier]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"carrier name {name!r} is used twice")
        hosts = [c.host for c in self.carrier]
        for host in hosts:
            if hosts.count(host) > 1:
                raise ValueError(f"carrier host {host} is used twice: a call could be either's")
        return self

    def database_url(self, home: Home) -> str:
        """The SQLAlchemy URL of the store (asyncio driver)."""
        return self.database.url or f"sqlite+aiosqlite:///{home.database_file}"

    def mqtt_url(self) -> str:
        return self.mqtt.url or f"mqtt://{self.bind}:{self.mqtt.port}"


def _nearest(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=1, cutoff=0.0)
    return close[0] if close else valid[0]


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = getattr(annotation, "__args__", None)
        model = inner[0] if inner else annotation
    return list(model.model_fields)


def _explain(error: ValidationError) -> list[str]:
    problems = []
    for item in error.errors():
        location = tuple(item["loc"])
        place = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in location)
        place = place.lstrip(".") or "file"
        if item["type"] == "extra_forbidden":
            near = _nearest(str(location[-1]), _fields_at(location[:-1]))
            problems.append(f"unknown key {place!r}; the nearest valid key is {near!r}")
        else:
            problems.append(f"{place}: {item['msg'].removeprefix('Value error, ')}")
    return problems


def load_settings(home: Home) -> Settings:
    """Read ``breachline.toml`` of a home; a missing file means all defaults.

    Raises SettingsError with every mistake found.
    """
    file = home.settings_file
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raw = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(file, [f"not readable as TOML: {error}"]) from error
    try:
        return Settings(**raw)
    except ValidationError as error:
        raise SettingsError(file, _explain(error)) from error
