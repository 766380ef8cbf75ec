"""``breachline.toml``: what an operator may set, checked before anything starts.

Unknown keys are errors that name the key and the nearest valid one; every error
names its place in the file.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from incident.home import Home

Slug = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
Codec = Literal["ulaw", "alaw", "g722"]
Port = Annotated[int, Field(ge=1, le=65535)]
_HOST_NAME = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"


class SettingsError(Exception):
    """The settings file cannot be used; ``problems`` holds one sentence for each mistake."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.file = file
        self.problems = problems
        super().__init__(f"{file}: " + "; ".join(problems))


class _Section(BaseModel):
    # Strict: true is no port, and "5060" is no number. TOML has types of its own.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _address(value: str) -> str:
    """An IPv4 address: carriers are told apart by it, and it is written into ``host:port``."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError as error:
        raise ValueError(
            f"{value!r} is not an IPv4 address; host names and IPv6 are not taken here"
        ) from error


class AsteriskSettings(_Section):
    """``root``: none for the private tree, or the root of an installed Asterisk (``"/"``)."""

    root: Path | None = Field(None, strict=False)
    sip_port: Port = 5060
    ami_port: Port = 5038
    agi_port: Port = 4573
    http_port: Port = 8088
    rtp_first: int = Field(10000, ge=1024, le=65000)
    rtp_last: int = Field(12999, ge=1024, le=65535)
    advertised_host: str | None = Field(None, pattern=_HOST_NAME)

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
    port: Port = 5060
    transport: Literal["udp", "tcp"] = "udp"
    max_channels: int = Field(30, ge=1, le=10000)
    calls_per_second: float = Field(5.0, gt=0, le=1000)
    codecs: tuple[Codec, ...] = Field(("ulaw", "alaw"), min_length=1, strict=False)
    outbound: bool = True

    _host = field_validator("host")(_address)


class AgentSettings(_Section):
    """``wrapup_seconds``: how long after a call an agent is left alone to finish it.

    ``ring_seconds``: how long an agent's telephone rings before the next agent is tried.
    """

    wrapup_seconds: int = Field(15, ge=0, le=600)
    ring_seconds: int = Field(15, ge=2, le=60)


Pause = Annotated[int, Field(ge=1, le=86400)]


def _region(name: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - slow, and seldom needed

    if name not in SUPPORTED_REGIONS:
        raise ValueError(f"{name!r} is no country of ISO 3166 in capitals (US, CA, GB)")
    return name


Region = Annotated[str, AfterValidator(_region)]


class CallbackSettings(_Section):
    """Calling back those who keep a place. Pauses in seconds, before the next try.

    ``tries``: how many may end without an answer before the place is given up.
    ``ring_seconds``: how long the person's telephone rings. ``no_answer_pauses``: after the first
    such try, the second, ...; the last one for the rest. ``busy_tries``, ``not_carried_tries``:
    bounds for busy lines, and for calls that the network did not carry; neither is a try.

    Against abuse (docs/self-service.md), ``regions``: countries and territories (ISO 3166) whose
    numbers a stranger may leave. ``others_a_day``: numbers that are not the caller's own, to be
    called back or never called again, that one caller may leave within 24 hours.
    ``number_a_day``: places that one number is given within 24 hours. ``unknown_an_hour``: numbers
    that all callers without a number of their own may leave within an hour.
    """

    regions: tuple[Region, ...] = Field(
        ("US", "CA", "PR", "VI", "GU", "AS", "MP"), min_length=1, strict=False
    )
    others_a_day: int = Field(3, ge=0, le=1000)
    number_a_day: int = Field(10, ge=1, le=1000)
    unknown_an_hour: int = Field(60, ge=0, le=100_000)
    tries: int = Field(3, ge=1, le=20)
    ring_seconds: int = Field(25, ge=10, le=60)
    no_answer_pauses: tuple[Pause, ...] = Field((900, 3600), min_length=1, strict=False)
    unknown_pause: Pause = 900
    busy_tries: int = Field(6, ge=1, le=50)
    busy_pause: Pause = 300
    not_carried_tries: int = Field(10, ge=1, le=100)
    not_carried_pause: Pause = 60


class WaitingSettings(_Section):
    """What callers who wait for an agent are told and offered.

    ``estimate``: how long the wait may be. ``keep_place``: to be called back when the turn comes;
    offered from ``offer_callback_after`` seconds of predicted wait (P50) on, and always where
    nothing can be predicted.
    """

    estimate: bool = True
    keep_place: bool = True
    offer_callback_after: int = Field(60, ge=0, le=7200)


class DatabaseSettings(_Section):
    """``url``: none for SQLite in the home, or ``postgresql+psycopg://...``."""

    url: str | None = None


class MqttSettings(_Section):
    """``url``: none for the embedded Mosquitto on ``bind``, or ``mqtt://host:port``."""

    url: str | None = None
    port: Port = 1883


class ConsoleSettings(_Section):
    port: Port = 8080


class MetricsSettings(_Section):
    hotline_port: Port = 9101
    dialer_port: Port = 9102
    console_port: Port = 9103
    prometheus_port: Port = 9090


class PromptSettings(_Section):
    """``engine``: auto takes gTTS where there is Internet, else flite and espeak-ng."""

    engine: Literal["auto", "gtts", "offline"] = "auto"


class SelfServiceSettings(_Section):
    """Against guessing reference numbers. ``misses``: of all callers of an incident together
    before look-ups close; ``closed_minutes``: for how long (docs/self-service.md)."""

    misses: int = Field(40, ge=4, le=10000)
    closed_minutes: int = Field(10, ge=1, le=15)


class LoadSettings(_Section):
    """What this machine holds at once, and what it does as that comes near.

    ``max_channels``: inbound calls at once; none: a quarter of the RTP ports (a call takes two,
    and every caller may meet somebody on a second channel). Above ``shed_at`` (share of it) new
    callers hear the essentials and may leave a number instead of waiting; above ``refuse_at`` the
    carrier is told 503. ``retry_after``: let Asterisk tell carriers to stay away for five minutes
    with it (its own figure) while the node is full. ``give_way_waiting``: above so many waiting
    callers the dialer places nothing for queues that share their agents.

    ``shed``, ``overflow`` and ``give_way`` switch a part of it off.
    """

    max_channels: int | None = Field(None, ge=1, le=20000)
    shed_at: float = Field(0.8, gt=0, le=1)
    refuse_at: float = Field(1.0, gt=0, le=4)
    retry_after: bool = True
    give_way_waiting: int = Field(5, ge=0, le=10000)
    shed: bool = True
    overflow: bool = True
    give_way: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> LoadSettings:
        if self.refuse_at < self.shed_at:
            raise ValueError("refuse_at must not be below shed_at")
        return self


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Inbound calls at once: above ``shed`` the short way, above ``refuse`` none."""

    shed: int
    refuse: int


class Settings(BaseSettings):
    """All of ``breachline.toml``. ``node`` names this machine in MQTT topics."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True)

    bind: str = "127.0.0.1"
    node: str = Field("node1", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    asterisk: AsteriskSettings = AsteriskSettings()
    carrier: tuple[CarrierSettings, ...] = Field((), strict=False)
    agents: AgentSettings = AgentSettings()
    waiting: WaitingSettings = WaitingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    load: LoadSettings = LoadSettings()
    self_service: SelfServiceSettings = SelfServiceSettings()
    database: DatabaseSettings = DatabaseSettings()
    mqtt: MqttSettings = MqttSettings()
    console: ConsoleSettings = ConsoleSettings()
    metrics: MetricsSettings = MetricsSettings()
    prompts: PromptSettings = PromptSettings()

    _bind = field_validator("bind")(_address)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - called by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file alone: a variable such as BIND in somebody's shell must change nothing."""
        return (init_settings,)

    @model_validator(mode="after")
    def _together(self) -> Settings:
        problems = [*self._shared_carriers(), *self._shared_ports()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _shared_carriers(self) -> Iterator[str]:
        names: dict[str, int] = {}
        hosts: dict[str, int] = {}
        for number, carrier in enumerate(self.carrier, 1):
            if carrier.name in names:
                first = names[carrier.name]
                yield f"carrier[{number}].name: carrier[{first}] has the name {carrier.name!r} too"
            if carrier.host in hosts:
                first = hosts[carrier.host]
                yield (
                    f"carrier[{number}].host: carrier[{first}] has the address {carrier.host} "
                    "too, and a call could be either's"
                )
            names.setdefault(carrier.name, number)
            hosts.setdefault(carrier.host, number)

    def _shared_ports(self) -> Iterator[str]:
        """TCP ports on ``bind`` that two parts would both listen on."""
        taken: dict[int, str] = {}
        for section in ("asterisk", "mqtt", "console", "metrics"):
            for key, value in getattr(self, section):
                elsewhere = section == "mqtt" and self.mqtt.url is not None
                if elsewhere or (key != "port" and not key.endswith("_port")):
                    continue
                place = f"{section}.{key}"
                if value in taken:
                    yield f"{place}: {taken[value]} has the port {value} too"
                taken.setdefault(value, place)

    def call_limits(self) -> CallLimits:
        """How many inbound calls this node takes, see `LoadSettings`."""
        ports = self.asterisk.rtp_last - self.asterisk.rtp_first + 1
        most = self.load.max_channels or max(1, ports // 4)
        refuse = max(1, int(most * self.load.refuse_at))
        shed = max(1, int(most * self.load.shed_at)) if self.load.shed else refuse
        return CallLimits(min(shed, refuse), refuse)

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


_PLAIN = {
    "tuple_type": "must be a list (sections of a list have two brackets: [[carrier]])",
    "model_type": "must be a section, with keys of its own",
}
"""Pydantic's words where they would speak of Python to someone who writes TOML."""


def _explain(error: ValidationError) -> list[str]:
    problems = []
    for item in error.errors():
        location = tuple(item["loc"])
        place = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in location)
        place = place.lstrip(".")
        message = _PLAIN.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            problems.append(_unknown(place, location))
        else:
            problems.append(f"{place}: {message}" if place else message)
    return problems


def _unknown(place: str, location: tuple[int | str, ...]) -> str:
    near = _nearest(str(location[-1]), _fields_at(location[:-1]))
    return f"unknown key {place!r}; the nearest valid key is {near!r}"


def load_settings(home: Home) -> Settings:
    """Read ``breachline.toml`` of a home; a missing file means all defaults.

    Raises SettingsError with every mistake found.
    """
    file = home.settings_file
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raw = {}
    except OSError as error:
        raise SettingsError(file, [f"cannot be read: {error.strerror}"]) from error
    except RecursionError as error:
        raise SettingsError(file, ["not readable as TOML: nested too deeply"]) from error
    except ValueError as error:
        # Of TOML's grammar, of UTF-8, or of a number too long to be one.
        raise SettingsError(file, [f"not readable as TOML: {error}"]) from error
    # Before pydantic sees them: it takes keys such as _env_file for instructions of its own.
    problems = [_unknown(key, (key,)) for key in raw if key not in Settings.model_fields]
    known = {key: value for key, value in raw.items() if key in Settings.model_fields}
    try:
        settings = Settings(**known)
    except ValidationError as error:
        raise SettingsError(file, [*problems, *_explain(error)]) from error
    if problems:
        raise SettingsError(file, problems)
    return settings
