"""``breachline.toml``: every mistake is named with its place, and nothing else sets anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident.home import Home
from incident.settings import CarrierSettings, Settings, SettingsError, load_settings


def load(folder: Path, text: str | bytes) -> Settings:
    home = Home.at(folder)
    home.settings_file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(home)


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    assert caught.value.file == folder / "breachline.toml"
    assert all(each in str(caught.value) for each in caught.value.problems)
    return caught.value.problems


def carrier(name: str = "trunk", host: str = "192.0.2.1", more: str = "") -> str:
    return f'[[carrier]]\nname = "{name}"\nhost = "{host}"\n{more}\n'


def test_no_file_and_an_empty_file_are_all_defaults(tmp_path: Path) -> None:
    assert load_settings(Home.at(tmp_path)) == load(tmp_path, "") == Settings()


def test_a_full_file_is_read(tmp_path: Path) -> None:
    text = (
        'bind = "127.0.0.9"\nnode = "west-2"\n'
        '[asterisk]\nroot = "/"\nsip_port = 5070\nadvertised_host = "sip.example.org"\n'
        "[agents]\nwrapup_seconds = 0\n"
        '[database]\nurl = "postgresql+psycopg://db/x"\n[mqtt]\nurl = "mqtt://broker:1883"\n'
        '[prompts]\nengine = "offline"\n'
        + carrier(more='codecs = ["g722"]\ntransport = "tcp"\ncalls_per_second = 2')
        + carrier("other", "192.0.2.2", "outbound = false")
    )
    read = load(tmp_path, text)
    assert read.asterisk.root == Path("/")
    assert read.asterisk.advertised_host == "sip.example.org"
    assert read.carrier[0] == CarrierSettings(
        name="trunk", host="192.0.2.1", codecs=("g722",), transport="tcp", calls_per_second=2
    )
    assert [each.outbound for each in read.carrier] == [True, False]
    assert read.mqtt_url() == "mqtt://broker:1883"
    assert read.database_url(Home.at(tmp_path)) == "postgresql+psycopg://db/x"
    assert Settings(bind="127.0.0.9").mqtt_url() == "mqtt://127.0.0.9:1883"


@pytest.mark.parametrize(
    ("text", "place", "nearest"),
    [
        ("bnid = 1", "bnid", "bind"),
        ("[asterix]\nsip_port = 5060", "asterix", "asterisk"),
        ("[asterisk]\nsip_prot = 5060", "asterisk.sip_prot", "sip_port"),
        ("[console]\nprot = 1", "console.prot", "port"),
        (
            carrier() + carrier("b", "192.0.2.2", "max_chanels = 3"),
            "carrier[2].max_chanels",
            "max_channels",
        ),
        # These would be instructions to pydantic-settings.
        ('_env_file = "/etc/passwd"', "_env_file", "bind"),
        ("_cli_parse_args = true", "_cli_parse_args", "bind"),
    ],
)
def test_an_unknown_key_names_its_place_and_the_nearest(
    tmp_path: Path, text: str, place: str, nearest: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"unknown key {place!r}; the nearest valid key is ")
    if not place.startswith("_"):
        assert problem.endswith(repr(nearest))


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("[asterisk]\nsip_port = 0", "asterisk.sip_port: "),
        ("[asterisk]\nami_port = 65536", "asterisk.ami_port: "),
        ('[console]\nport = "8080"', "console.port: "),
        ("[console]\nport = true", "console.port: "),
        ("[mqtt]\nport = 1883.0", "mqtt.port: "),
        ("[metrics]\nhotline_port = -1", "metrics.hotline_port: "),
        ("[asterisk]\nrtp_first = 20000\nrtp_last = 20050", "asterisk: rtp_last must be"),
        ("[asterisk]\nroot = 3", "asterisk.root: "),
        ('[asterisk]\nadvertised_host = "a\\nb"', "asterisk.advertised_host: "),
        ('[asterisk]\nadvertised_host = "a ; b"', "asterisk.advertised_host: "),
        ("asterisk = 1", "asterisk: must be a section"),
        ('[carrier]\nname = "a"', "carrier: must be a list"),
        ('bind = "localhost"', "bind: 'localhost' is not an IPv4 address"),
        ('bind = "::1"', "bind: '::1' is not an IPv4 address"),
        ('bind = "fe80::1%eth0"', "bind: "),
        ('bind = "127.0.0.1\\n"', "bind: "),
        ("bind = 2130706433", "bind: "),
        ('node = "a/b"', "node: "),
        ('node = "a\\n"', "node: "),
        ('[prompts]\nengine = "loud"', "prompts.engine: "),
        ("[agents]\nring_seconds = 1", "agents.ring_seconds: "),
        ("[[carrier]]\nhost = '192.0.2.1'", "carrier[1].name: "),
        (carrier("Trunk"), "carrier[1].name: "),
        (carrier(host="sip.example.org"), "carrier[1].host: 'sip.example.org' is not an IPv4"),
        (carrier(more="calls_per_second = nan"), "carrier[1].calls_per_second: "),
        (carrier(more="calls_per_second = inf"), "carrier[1].calls_per_second: "),
        (carrier(more="max_channels = 0"), "carrier[1].max_channels: "),
        (carrier(more="outbound = 1"), "carrier[1].outbound: "),
        (carrier(more="codecs = []"), "carrier[1].codecs: "),
        (carrier(more='codecs = ["ulaw", "opus"]'), "carrier[1].codecs[2]: "),
        (carrier() + carrier(host="192.0.2.2"), "carrier[2].name: carrier[1] has the name"),
        (carrier() + carrier("b"), "carrier[2].host: carrier[1] has the address"),
        ("[console]\nport = 9101", "metrics.hotline_port: console.port has the port 9101 too"),
        ("[mqtt]\nport = 5060", "mqtt.port: asterisk.sip_port has the port 5060 too"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, beginning: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(beginning)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = 'bnid = 1\nbind = "here"\n[console]\nport = 0\nprot = 1\n' + carrier(more="x = 1")
    found = problems(tmp_path, text)
    assert [each.split(";")[0].split(":")[0] for each in found] == [
        "unknown key 'bnid'",
        "bind",
        "unknown key 'carrier[1].x'",
        "console.port",
        "unknown key 'console.prot'",
    ]


def test_a_port_of_a_broker_elsewhere_takes_none_here(tmp_path: Path) -> None:
    load(tmp_path, '[mqtt]\nport = 5060\nurl = "mqtt://broker:5060"')


@pytest.mark.parametrize(
    "text",
    ["bind = ", "[a", b"\xff\xfe", 'bind = "\x00"', "a = " + "[" * 50_000, "a = " + "9" * 5_000],
)
def test_what_is_no_toml_is_said_to_be_none(tmp_path: Path, text: str | bytes) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("not readable as TOML: ")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.settings_file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(home)


def test_no_variable_of_the_environment_sets_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for prefix in ("", "BREACHLINE_", "BREACHLINE_IGNORED_"):
        for name in ("BIND", "NODE"):
            monkeypatch.setenv(prefix + name, "127.9.9.9" if name == "BIND" else "elsewhere")
            monkeypatch.setenv((prefix + name).lower(), "127.9.9.9")
        monkeypatch.setenv(f"{prefix}MQTT", '{"port": 99}')
        monkeypatch.setenv(f"{prefix}CARRIER", '[{"name": "x", "host": "192.0.2.9"}]')
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("BIND=127.9.9.9\n")
    assert os.environ["BIND"] == "127.9.9.9"
    assert load(tmp_path, "") == Settings()
    assert (Settings().bind, Settings().node, Settings().mqtt.port) == ("127.0.0.1", "node1", 1883)
    assert Settings().carrier == ()


_KEYS = st.sampled_from(
    ["bind", "node", "asterisk", "carrier", "mqtt", "port", "root", "name", "host", "url", "_x", ""]
)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters='"\\\n\r'), max_size=20)
_SCALARS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.booleans().map(lambda value: str(value).lower()),
    _TEXT.map(lambda value: f'"{value}"'),
    st.just("1979-05-27T07:32:00Z"),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        st.tuples(_KEYS, inner).map(lambda pair: f'{{"{pair[0]}" = {pair[1]}}}'),
    ),
    max_leaves=6,
)
_LINES = st.one_of(
    st.tuples(_KEYS, _VALUES).map(lambda pair: f'"{pair[0]}" = {pair[1]}'),
    _KEYS.map(lambda key: f'["{key}"]'),
    _KEYS.map(lambda key: f'[["{key}"]]'),
)


@given(st.one_of(st.binary(max_size=200), st.lists(_LINES, max_size=8).map("\n".join)))
def test_whatever_the_file_holds_only_settings_errors_come(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        assert isinstance(load(folder, content), Settings)
    except SettingsError as error:
        assert error.problems
