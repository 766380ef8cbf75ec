"""What is rendered, what is not, and what callers hear meanwhile."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from pathlib import Path

import pytest

from incident.content import Text, content_version
from incident.home import Home
from incident.settings import Codec
from pbx.prompts import manifest as manifests
from pbx.prompts.book import PromptBook, PromptMissing, go_live, prune
from pbx.prompts.build import BuildReport, build_texts
from pbx.prompts.engines import Engine, EngineFailed, WithFallback
from pbx.prompts.manifest import BuildBusy, ManifestError, load_manifest, locked, manifest_file
from tests.spoken_prompts import GOODBYE, GREETING, SALUDO, TEXTS, HummingEngine, always, never

ULAW: tuple[Codec, ...] = ("ulaw",)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


def run(home: Home, engine: Engine, *texts: Text, incident: str = "acme") -> BuildReport:
    return build_texts(home, incident, texts or TEXTS, ULAW, always(engine), house=home.root / "no")


def files(home: Home) -> dict[str, bytes]:
    return {
        str(file.relative_to(home.prompts)): file.read_bytes()
        for file in home.prompts.glob("*/*.*")
        if file.is_file()
    }


def test_every_text_gets_a_file_that_the_book_finds(home: Home) -> None:
    seen: list[tuple[int, int, str]] = []
    report = build_texts(
        home,
        "acme",
        TEXTS,
        ("ulaw", "g722"),
        always(HummingEngine()),
        progress=lambda *step: seen.append(step),
        house=home.root / "no",
    )
    assert (report.rendered, report.reused, report.studio) == (3, 0, 0)
    assert report.engines == {"en": {"hum/1": 2}, "es": {"hum/1": 1}}
    assert [step[:2] for step in seen] == [(1, 3), (2, 3), (3, 3)]
    assert {step[2] for step in seen} == {"en greeting", "en goodbye", "es greeting"}
    book = PromptBook.load(home, "acme")
    assert book.version == report.version == content_version(TEXTS)
    assert book.languages == ("en", "es")
    for text in TEXTS:
        path = Path(book.path(text.name, text.language))
        assert path.is_absolute()
        assert path.parent == home.prompts / text.language
        assert path.name == text.hash[:24]
        size = path.with_suffix(".ulaw").stat().st_size
        assert size == path.with_suffix(".g722").stat().st_size > 8000
        assert book.prompt(text.name, text.language).hash == text.hash


def test_a_second_build_renders_nothing_and_asks_for_no_engine(home: Home) -> None:
    run(home, HummingEngine())
    before = files(home)
    report = build_texts(home, "acme", TEXTS, ULAW, never, house=home.root / "no")
    assert (report.rendered, report.reused) == (0, 3)
    assert files(home) == before


def test_the_same_text_is_one_file_in_all_incidents(home: Home) -> None:
    run(home, HummingEngine())
    before = files(home)
    report = build_texts(home, "other", [GREETING], ULAW, never, house=home.root / "no")
    assert (report.rendered, report.reused) == (0, 1)
    assert files(home) == before
    mine, theirs = PromptBook.load(home, "acme"), PromptBook.load(home, "other")
    assert mine.path("greeting", "en") == theirs.path("greeting", "en")
    with pytest.raises(PromptMissing):
        theirs.path("goodbye", "en")


def test_the_same_words_under_two_names_are_spoken_once(home: Home) -> None:
    engine = HummingEngine()
    report = run(home, engine, GREETING, replace(GREETING, name="again"))
    assert engine.spoken == [GREETING.text]
    assert report.rendered == 2


def test_a_changed_comma_is_a_new_file_and_the_old_one_stays(home: Home) -> None:
    run(home, HummingEngine())
    old = PromptBook.load(home, "acme")
    changed = replace(GOODBYE, text=GOODBYE.text.replace(",", ""))
    engine = HummingEngine()
    report = run(home, engine, GREETING, changed, SALUDO)
    assert engine.spoken == [changed.text]
    assert (report.rendered, report.reused) == (1, 2)
    new = PromptBook.load(home, "acme")
    assert new.version != old.version
    assert new.path("goodbye", "en") != old.path("goodbye", "en")
    assert new.path("greeting", "en") == old.path("greeting", "en")
    assert Path(old.path("goodbye", "en") + ".ulaw").is_file()
    again = PromptBook.load(home, "acme", old.version)
    assert again.path("goodbye", "en") == old.path("goodbye", "en")


@pytest.mark.parametrize("damage", ["remove", "shorten"])
def test_a_lost_or_damaged_file_is_rendered_again(home: Home, damage: str) -> None:
    run(home, HummingEngine())
    file = Path(PromptBook.load(home, "acme").path("goodbye", "en") + ".ulaw")
    whole = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(whole[:100])
    engine = HummingEngine()
    assert run(home, engine).rendered == 1
    assert engine.spoken == [GOODBYE.text]
    assert file.read_bytes() == whole


def test_a_new_format_is_added_to_every_text(home: Home) -> None:
    run(home, HummingEngine())
    report = build_texts(
        home, "acme", TEXTS, ("ulaw", "alaw"), always(HummingEngine()), house=home.root / "no"
    )
    assert report.rendered == 3
    assert sum(name.endswith(".alaw") for name in files(home)) == 3


def test_another_engine_changes_nothing_until_it_is_asked_to(home: Home) -> None:
    run(home, HummingEngine())
    other = HummingEngine(name="hum/2")
    assert run(home, other).rendered == 0
    report = build_texts(
        home, "acme", TEXTS, ULAW, always(other), again=True, house=home.root / "no"
    )
    assert report.rendered == 3
    assert report.engines["es"] == {"hum/2": 1}


def test_a_failure_is_told_and_what_was_done_is_kept(home: Home) -> None:
    with pytest.raises(EngineFailed, match="out of breath"):
        run(home, HummingEngine(fails_on="Gracias"))
    with pytest.raises(PromptMissing):
        PromptBook.load(home, "acme")
    engine = HummingEngine()
    run(home, engine)
    assert GREETING.text not in engine.spoken  # the longest: rendered before the failure
    assert SALUDO.text in engine.spoken


def test_a_failed_build_leaves_the_last_version_as_it_was(home: Home) -> None:
    run(home, HummingEngine())
    before = PromptBook.load(home, "acme")
    changed = replace(SALUDO, text=SALUDO.text + " Mucho.")
    with pytest.raises(EngineFailed):
        run(home, HummingEngine(fails_on="Mucho"), GREETING, GOODBYE, changed)
    after = PromptBook.load(home, "acme")
    assert after.version == before.version
    assert after.path("greeting", "es") == before.path("greeting", "es")


def test_a_silent_engine_is_a_failure(home: Home) -> None:
    with pytest.raises(EngineFailed, match="only silence"):
        run(home, HummingEngine(level=0.0))


def test_the_fallback_is_taken_once_for_all_and_reported(home: Home) -> None:
    second = HummingEngine(name="hum/2")
    made: list[int] = []

    def offline() -> Engine:
        made.append(1)
        return second

    report = run(home, WithFallback(HummingEngine(fails_on=" "), offline))
    assert report.fell_back == "out of breath"
    assert sorted(second.spoken) == sorted(text.text for text in TEXTS)
    assert made == [1]
    assert report.engines == {"en": {"hum/2": 2}, "es": {"hum/2": 1}}


def test_live_names_follow_only_when_told(home: Home) -> None:
    run(home, HummingEngine())
    link = go_live(home, "acme")
    live = link / "en" / "goodbye.ulaw"
    book = PromptBook.load(home, "acme")
    assert live.resolve() == Path(book.path("goodbye", "en") + ".ulaw")
    changed = replace(GOODBYE, text="Goodbye, then, and thank you.")
    run(home, HummingEngine(), GREETING, changed)
    assert live.resolve() == Path(book.path("goodbye", "en") + ".ulaw")
    go_live(home, "acme")
    newer = PromptBook.load(home, "acme")
    assert live.resolve() == Path(newer.path("goodbye", "en") + ".ulaw")
    assert not (link / "es").exists()
    assert len([path for path in link.parent.iterdir() if not path.is_symlink()]) == 1


def test_live_of_one_incident_is_not_anothers_with_a_longer_name(home: Home) -> None:
    for incident in ("acme", "acme-two"):
        run(home, HummingEngine(), incident=incident)
        go_live(home, incident)
    go_live(home, "acme")
    assert (home.prompts / "live/acme-two/en/greeting.ulaw").is_file()


def test_prune_keeps_what_is_latest_live_or_may_be_playing(home: Home) -> None:
    first, second, third = (
        replace(GREETING, text=f"Greeting number {n}, with an apology.") for n in (1, 2, 3)
    )
    run(home, HummingEngine(), first)
    go_live(home, "acme")
    for text in (second, third):
        run(home, HummingEngine(), text)

    def there(text: Text) -> bool:
        return (home.prompts / "en" / f"{text.hash[:24]}.ulaw").is_file()

    now = 1e12
    assert prune(home, keep_seconds=60, now=now) == 0  # retired just now
    assert [there(text) for text in (first, second, third)] == [True, True, True]
    assert prune(home, keep_seconds=60, now=now + 59) == 0
    assert prune(home, keep_seconds=60, now=now + 60) == 1
    assert [there(text) for text in (first, second, third)] == [True, False, True]
    assert set(load_manifest(home).incidents["acme"].versions) == {
        content_version([first]),
        content_version([third]),
    }


def test_a_text_that_comes_back_is_no_longer_retired(home: Home) -> None:
    run(home, HummingEngine(), GREETING, GOODBYE)
    run(home, HummingEngine(), GREETING)
    prune(home, keep_seconds=60, now=100.0)
    assert run(home, HummingEngine(), GREETING, GOODBYE).rendered == 0
    assert prune(home, keep_seconds=60, now=1e12) == 0


def test_what_was_never_built_says_so(home: Home) -> None:
    with pytest.raises(PromptMissing, match="prompts build"):
        PromptBook.load(home, "acme")
    run(home, HummingEngine())
    with pytest.raises(PromptMissing):
        PromptBook.load(home, "acme", "0" * 64)
    with pytest.raises(PromptMissing, match="'farewell' in 'en'"):
        PromptBook.load(home, "acme").path("farewell", "en")


def test_a_broken_manifest_is_named_and_made_anew_when_removed(home: Home) -> None:
    run(home, HummingEngine())
    before = files(home)
    manifest_file(home).write_text('{"layout": 1, "incidents": 7}')
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        run(home, HummingEngine())
    manifest_file(home).unlink()
    run(home, HummingEngine())
    assert files(home) == before


def test_a_second_builder_waits_and_then_says_who_holds_it(home: Home) -> None:
    with locked(home), pytest.raises(BuildBusy), locked(home, seconds=0.0):
        pass
    with (home.prompts / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again


def test_a_half_written_file_never_shows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    target = home.prompts / "en" / "x.ulaw"
    manifests.write_atomically(target, b"old")

    def fail(self: Path, _target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        manifests.write_atomically(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert [file.name for file in target.parent.iterdir()] == ["x.ulaw"]
