"""The images and the composed system take what the private runtime takes, and hold no secret."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from incident.home import Home
from incident.settings import Settings, load_settings
from pbx.runtime.packages import LIST_FILE, SUITE, parse_packages

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SERVICES = (DOCKER / "services.Dockerfile").read_text(encoding="utf-8")
ASTERISK = (DOCKER / "asterisk.Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = "/var/lib/breachline"
CODE = "/opt/breachline"
OURS = ("asterisk", "hotline", "dialer", "operator")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = YAML(typ="safe").load(text)
    return loaded


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "breachline.toml").write_bytes((DOCKER / "breachline.toml").read_bytes())
    return load_settings(Home.at(tmp_path))


def _groups(dockerfile: str) -> set[str]:
    return set(re.findall(r'awk \'\$1 == "([a-z]+)"', dockerfile))


def _named_packages(dockerfile: str) -> set[str]:
    """What is installed by name and not by the list."""
    installs = re.findall(r"--no-install-recommends(.*?)&&", dockerfile, re.DOTALL)
    words = re.sub(r"\$\([^)]*\)", " ", " ".join(installs)).replace("\\", " ").split()
    return set(words)


def test_every_group_of_the_package_list_has_its_place(compose: dict[str, Any]) -> None:
    groups = set(parse_packages(LIST_FILE.read_text(encoding="utf-8")))
    assert _groups(ASTERISK) == {"asterisk"}
    assert _groups(SERVICES) == {"speech"}
    elsewhere = {"mosquitto", "prometheus"}
    assert elsewhere <= set(compose["services"])
    assert groups == {"asterisk", "speech", "drill"} | elsewhere


def test_no_package_of_the_runtime_is_named_beside_the_list() -> None:
    assert _named_packages(SERVICES) == {"ca-certificates", "python3", "python3-venv"}
    assert _named_packages(ASTERISK) == set()


def test_awk_reads_the_list_as_the_runtime_does() -> None:
    done = subprocess.run(
        ["awk", '$1 == "asterisk" { print $2 }', str(LIST_FILE)],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    groups = parse_packages(LIST_FILE.read_text(encoding="utf-8"))
    assert tuple(done.stdout.split()) == groups["asterisk"]


def test_the_base_is_the_runtimes_debian_suite() -> None:
    assert f"ARG BASE=docker.io/library/debian:{SUITE}-slim" in SERVICES
    assert f"debian:{SUITE}-slim" in (DOCKER / "build").read_text(encoding="utf-8")


def test_dependencies_are_the_pinned_ones() -> None:
    assert f"--require-hashes -r {CODE}/requirements/runtime.txt" in SERVICES
    assert "!requirements/runtime.txt" in IGNORED


def test_all_code_and_configuration_goes_in_and_nothing_else() -> None:
    assert IGNORED[1] == "*"
    let_in = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    packages = set(PROJECT["tool"]["importlinter"]["root_packages"])
    data = {"asterisk-conf", "dialplan", "monitoring", "prompts", "plans", "bench"}
    started = {"docker/start", "docker/start-asterisk", "docker/healthy.py"}
    assert let_in == packages | data | started | {"pyproject.toml", "requirements/runtime.txt"}
    for name in let_in:
        assert (ROOT / name).exists()


def test_images_end_as_an_ordinary_user_with_the_same_number_everywhere(
    compose: dict[str, Any],
) -> None:
    for dockerfile in (SERVICES, ASTERISK):
        assert re.findall(r"^USER (\w+)$", dockerfile, re.MULTILINE)[-1] == "breachline"
    assert "--uid 10001" in SERVICES
    assert compose["services"]["prometheus"]["user"] == "10001:10001"


def test_versions_are_the_projects_and_foreign_images_are_pinned(compose: dict[str, Any]) -> None:
    version = PROJECT["project"]["version"]
    assert f"ARG SERVICES=breachline/services:{version}" in ASTERISK
    for name, service in compose["services"].items():
        repository, _, tag = service["image"].partition(":")
        if name in OURS:
            assert repository in {"breachline/services", "breachline/asterisk"}
            assert tag == f"${{BREACHLINE_VERSION:-{version}}}"
        else:
            assert re.search(r"\d+\.\d+", tag)


def test_what_keeps_running_has_a_health_check_and_is_restarted(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "operator":
            assert service["profiles"] == ["operator"]
            continue
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"


def test_ours_share_the_home_and_the_network(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert f"home:{HOME}" in service["volumes"]
        assert service["network_mode"] == "host"
        assert service["cap_drop"] == ["ALL"]
    assert f"ln -s {HOME} {CODE}/var" in SERVICES
    for script in ("start-asterisk", "healthy.py"):
        assert HOME in (DOCKER / script).read_text(encoding="utf-8")


def test_the_settings_fit_the_composed_system(compose: dict[str, Any], settings: Settings) -> None:
    services = compose["services"]
    assert settings.asterisk.root == Path("/")
    assert settings.database.url == "postgresql+psycopg://breachline@127.0.0.1:5432/breachline"
    assert services["postgres"]["ports"] == ["127.0.0.1:5432:5432"]
    assert settings.mqtt.url == "mqtt://127.0.0.1:1883"
    assert services["mosquitto"]["ports"] == ["127.0.0.1:1883:1883"]
    listen = f"--web.listen-address=${{BREACHLINE_BIND:-{settings.bind}}}"
    assert f"{listen}:{settings.metrics.prometheus_port}" in services["prometheus"]["command"]


def test_prometheus_and_grafana_take_what_monitoring_holds(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert f"../monitoring/rules:{CODE}/monitoring/rules:ro" in services["prometheus"]["volumes"]
    assert f"prometheus:{HOME}/prometheus" in services["prometheus"]["volumes"]
    assert f"prometheus:{HOME}/prometheus" in services["asterisk"]["volumes"]
    assert "../monitoring/grafana:/var/lib/dashboards:ro" in services["grafana"]["volumes"]
    provider = YAML(typ="safe").load(
        (DOCKER / "grafana/provisioning/dashboards/breachline.yml").read_text(encoding="utf-8")
    )
    assert provider["providers"][0]["options"]["path"] == "/var/lib/dashboards"


def test_no_secret_is_in_an_image_or_in_the_compose_file(compose: dict[str, Any]) -> None:
    for dockerfile in (SERVICES, ASTERISK):
        assert not re.search(r"password|secret|token", dockerfile, re.IGNORECASE)
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert name.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    for secret in compose["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert (DOCKER / "secrets" / ".gitignore").read_text(encoding="utf-8").startswith("*\n")


@pytest.mark.parametrize("script", ["build", "start", "start-asterisk"])
def test_scripts_are_posix_shell_and_may_be_run(script: str) -> None:
    file = DOCKER / script
    assert file.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(file)], timeout=10, check=True)
