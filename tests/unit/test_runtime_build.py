"""Building the tree on a machine that is made up: what is run, and how failures are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pbx.runtime import mmdebstrap
from pbx.runtime.build import INFO_FILE, NEEDED_BYTES, PROGRAMS, build_tree
from pbx.runtime.errors import TreeError
from pbx.runtime.host import Finished, Host
from pbx.runtime.packages import ARCHITECTURES
from pbx.runtime.tree import private_tree

X86 = ARCHITECTURES["x86_64"]
SAYS = {
    "asterisk": "Asterisk 22.10.1",
    "mosquitto": "mosquitto version 2.1.2",
    "prometheus": "prometheus, version 3.5.3",
    "promtool": "promtool, version 3.5.3",
    "sipp": " SIPp v3.8.0",
    "flite": "  version: flite-2.2",
    "espeak-ng": "eSpeak NG text-to-speech: 1.52",
    "sox": "sox:  SoX_ng v14",
}


class FakeHost(Host):
    """A machine that has ``programs``; ``answers`` say how commands end, by their first word."""

    def __init__(
        self,
        *,
        root: bool = True,
        programs: Sequence[str] = ("mmdebstrap", "ldconfig"),
        answers: Mapping[str, list[Finished]] | None = None,
        free: int = 10 * NEEDED_BYTES,
        keyring: bool = True,
    ) -> None:
        super().__init__()
        self.root = root
        self.programs = set(programs)
        self.answers = {name: list(each) for name, each in (answers or {}).items()}
        self.free = free
        self.keyring = keyring
        self.ran: list[list[str]] = []
        self.silent: set[str] = set()

    def is_root(self) -> bool:
        return self.root

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def which(self, program: str) -> str | None:
        return program if program in self.programs else None

    def exists(self, file: Path) -> bool:
        return self.keyring if file.is_relative_to("/usr") else super().exists(file)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        on_line: Callable[[str], None] = lambda _line: None,
        on_tick: Callable[[], None] = lambda: None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Finished:
        self.ran.append(list(argv))
        name = Path(argv[0]).name
        if queue := self.answers.get(name):
            done = queue.pop(0)
            if done.code == 0 and name == "apt-get" and "install" in argv:
                self.programs.add(argv[-1])
            if done.code == 0 and "download" in argv and cwd is not None:
                (cwd / f"{argv[-1]}_1_all.deb").touch()
            return done
        if name == "mmdebstrap" or any(word.endswith("/mmdebstrap") for word in argv):
            on_line("I: downloading packages with apt...")
            unpacked(Path(argv[-1]))
        for program, line in SAYS.items():
            if any(word.endswith(f"/{program}") for word in argv):
                return Finished(0, () if program in self.silent else (line,))
        if name == "dpkg-deb":
            made = Path(argv[-1]) / "usr/share/keyrings/debian-archive-keyring.gpg"
            made.parent.mkdir(parents=True)
            made.touch()
        return Finished(0, ())

    def unpacking(self) -> list[list[str]]:
        return [argv for argv in self.ran if any(w.startswith("--mode=") for w in argv)]


def unpacked(target: Path) -> None:
    """What mmdebstrap leaves, as far as the builder looks at it."""
    for name in PROGRAMS:
        file = target / "usr/bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("program")
        file.chmod(0o700)
    secret = target / "usr/share/asterisk/secret"
    secret.parent.mkdir(parents=True)
    secret.touch(mode=0o600)
    (target / "usr/bin/sox").chmod(0o4755)
    for voice in ("en_US_f_Allison", "es_MX_f_Allison"):
        (target / "usr/share/asterisk/sounds" / voice).mkdir(parents=True)


def build(host: FakeHost, final: Path, told: list[str] | None = None) -> None:
    lines = told if told is not None else []
    build_tree(final, ("asterisk", "sox"), X86, lines.append, private_tree, host=host)


def failed(*lines: str, code: int = 25) -> Finished:
    return Finished(code, lines)


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "tree-1"


def test_whole_tree_appears_at_once(final: Path) -> None:
    host, told = FakeHost(), list[str]()
    leftover = final.with_name("tree-1.building-99")
    leftover.mkdir()
    build(host, final, told)
    assert [entry.name for entry in final.parent.iterdir()] == ["tree-1"]
    assert (final / INFO_FILE).is_file()
    assert (final / "usr/share/asterisk/sounds/en").resolve().name == "en_US_f_Allison"
    assert (final / "usr/share/asterisk/sounds/es").resolve().name == "es_MX_f_Allison"
    assert any("downloading packages" in line for line in told)
    (argv,) = host.unpacking()
    assert argv[1] == "--mode=root"
    assert "--include=asterisk,sox" in argv
    assert argv[-2] == "forky"


def test_every_user_may_use_the_tree_and_nothing_is_set_user_id(final: Path) -> None:
    build(FakeHost(), final)
    modes = {
        name: (final / name).stat().st_mode & 0o7777
        for name in ("usr", "usr/bin/asterisk", "usr/bin/sox", "usr/share/asterisk/secret")
    }
    assert modes["usr"] & 0o555 == 0o555
    assert modes["usr/bin/asterisk"] == 0o755
    assert modes["usr/bin/sox"] == 0o755
    assert modes["usr/share/asterisk/secret"] == 0o644


def test_program_that_does_not_run_leaves_no_tree(final: Path) -> None:
    host = FakeHost()
    host.silent.add("prometheus")
    with pytest.raises(TreeError, match="started prometheus out of the new tree"):
        build(host, final)
    assert not final.exists()
    assert not list(final.parent.glob("*.building-*"))


def test_interruption_leaves_no_tree(final: Path) -> None:
    class Interrupted(FakeHost):
        def which(self, program: str) -> str | None:
            if program == "ldconfig":
                raise KeyboardInterrupt
            return super().which(program)

    with pytest.raises(KeyboardInterrupt):
        build(Interrupted(), final)
    assert list(final.parent.glob("tree*")) == []


def test_full_disk_is_seen_before_anything_is_fetched(final: Path) -> None:
    host = FakeHost(free=NEEDED_BYTES - 1)
    with pytest.raises(TreeError, match=r"2 GB of free disk") as caught:
        build(host, final)
    assert "XDG_CACHE_HOME" in caught.value.remedy
    assert host.ran == []


def test_ordinary_user_needs_no_namespaces(final: Path) -> None:
    host = FakeHost(root=False)
    build(host, final)
    assert [argv[1] for argv in host.unpacking()] == ["--mode=chrootless"]


def test_ordinary_user_tries_fakechroot_next(final: Path) -> None:
    host = FakeHost(
        root=False,
        programs=("mmdebstrap", "ldconfig", "fakechroot", "fakeroot"),
        answers={"mmdebstrap": [failed("E: chrootless mode is not for this variant")]},
    )
    build(host, final)
    assert [argv[1] for argv in host.unpacking()] == ["--mode=chrootless", "--mode=fakechroot"]


def test_ordinary_user_who_cannot_unpack_is_told_the_ways_out(final: Path) -> None:
    host = FakeHost(root=False, answers={"mmdebstrap": [failed("E: unable to pick mode")]})
    with pytest.raises(TreeError, match="unable to pick mode") as caught:
        build(host, final)
    for way in ("as root", "fakechroot", "namespaces", '[asterisk] root = "/"', "docker/"):
        assert way in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("Err:1 forky InRelease  Could not resolve 'mirror'", "BREACHLINE_DEBIAN_MIRROR"),
        ("E: Failed to fetch http://mirror/x.deb  404  Not Found", "http_proxy"),
        ("W: GPG error: forky InRelease: NO_PUBKEY 6ED0E7B82643E131", "debian-archive-keyring"),
        ("tar: usr/bin/x: Cannot write: No space left on device", "XDG_CACHE_HOME"),
        ("E: something else", '[asterisk] root = "/"'),
    ],
)
def test_failed_unpacking_is_explained(final: Path, line: str, remedy: str) -> None:
    host = FakeHost(
        root=False,
        programs=("mmdebstrap", "ldconfig", "fakechroot", "fakeroot"),
        answers={"mmdebstrap": [failed(line), failed(line)]},
    )
    with pytest.raises(TreeError) as caught:
        build(host, final)
    assert line in caught.value.happened
    assert remedy in caught.value.remedy
    # Another mode is tried only where it could help.
    assert len(host.unpacking()) == (2 if "something else" in line else 1)


def test_root_installs_mmdebstrap_alone_after_an_update(final: Path) -> None:
    host = FakeHost(
        programs=("ldconfig", "apt-get"),
        answers={
            "apt-get": [failed("E: Unable to locate package"), Finished(0, ()), Finished(0, ())]
        },
    )
    build(host, final)
    apt = [argv for argv in host.ran if argv[0] == "apt-get"]
    assert [argv[1] for argv in apt] == ["install", "update", "install"]
    assert apt[0][2:] == ["--yes", "--no-install-recommends", "mmdebstrap"]


def test_root_without_network_learns_that_mmdebstrap_is_missing(final: Path) -> None:
    broken = failed("E: Unable to locate package mmdebstrap", code=100)
    host = FakeHost(programs=("apt-get",), answers={"apt-get": [broken, broken, broken]})
    with pytest.raises(TreeError, match="Unable to locate package") as caught:
        build(host, final)
    assert "by hand" in caught.value.remedy


def test_ordinary_user_fetches_mmdebstrap_and_keys_without_installing(final: Path) -> None:
    done = Finished(0, ())
    host = FakeHost(
        root=False,
        programs=("ldconfig", "apt-get"),
        keyring=False,
        answers={"apt-get": [done, done]},
    )
    build(host, final)
    apt = [argv[1:] for argv in host.ran if argv[0] == "apt-get"]
    assert apt == [["download", "mmdebstrap"], ["download", "debian-archive-keyring"]]
    (argv,) = host.unpacking()
    tools = final.parent / "tools"
    assert argv[:2] == ["perl", str(tools / "mmdebstrap/usr/bin/mmdebstrap")]
    keys = tools / "debian-archive-keyring/usr/share/keyrings/debian-archive-keyring.gpg"
    assert f"--keyring={keys}" in argv


def test_no_keys_and_no_way_to_fetch_them(final: Path) -> None:
    host = FakeHost(keyring=False)
    with pytest.raises(TreeError, match="Debian's keys") as caught:
        build(host, final)
    assert "debian-archive-keyring" in caught.value.remedy
    assert host.unpacking() == []


def test_not_a_debian_host(final: Path) -> None:
    with pytest.raises(TreeError, match="looked for mmdebstrap") as caught:
        build(FakeHost(programs=()), final)
    assert "docker/" in caught.value.remedy


def test_host_proxy_and_named_mirror_are_used(final: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mmdebstrap.MIRROR_VARIABLE, "http://mirror.example/debian")
    host = FakeHost(
        programs=("mmdebstrap", "ldconfig", "apt-config"),
        answers={
            "apt-config": [Finished(0, ("PROXY='http://cache.example:3142'",)), Finished(0, ())],
            "mmdebstrap": [failed("E: seen")],
        },
    )
    with pytest.raises(TreeError, match="seen"):
        build(host, final)
    (argv,) = host.unpacking()
    assert '--aptopt=Acquire::http::Proxy "http://cache.example:3142"' in argv
    assert argv[-1] == "http://mirror.example/debian"
