"""Self-service that ends a call well: by keys, with a real store; and what is kept of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from incident.metrics import SELF_SERVICE
from incident.outcomes import CallOutcome
from incident.outcomes import SelfServiceResult as Result
from incident.store import do_not_call
from incident.store.engine import Store
from incident.store.schema import ContactRow, DoNotCallRow
from tests.ivr_house import CALLER, REFERENCE, House, built, contact
from tests.ivr_talk import KEY

CODED, CHILD, ESTATE = "55550001", "55550002", "55550003"
CODE = "HB7-2K"
SPELT = ["h", "b", "7", "2", "k"]


@pytest.fixture
async def house(store: Store) -> House:
    code = KEY.encrypt(CODE)
    return await built(
        store,
        contact(CODED, activation_enc=code),
        contact(CHILD, kind="minor", activation_enc=code, data_types="ssn,medical,gone"),
        contact(ESTATE, kind="deceased", activation_enc=code),
    )


def spelt(heard: list[str]) -> list[str]:
    """The characters of a code that were said: digits, and letters by their words."""
    said = [path.rpartition("/") for path in heard]
    return [
        what for folder, _, what in said if folder in {"/digits", "/phonetic"} and len(what) == 1
    ]


async def result_of(house: House) -> str | None:
    return (await house.end()).result


async def test_the_code_is_read_twice_by_digits_and_words_with_the_date(house: House) -> None:
    caller = await house.call("1", "4", "", "1", f"{CODED}#", hangs_up=True)
    assert spelt(caller.heard) == []  # the caller hung up before it
    caller = await house.call("1", "4", "", "1", f"{CODED}#")
    assert spelt(caller.heard) == [*SPELT, *SPELT]
    letters = [path for path in caller.heard if path.startswith(("/letters/", "/phonetic/"))]
    assert letters[:4] == ["/letters/H", "/phonetic/h", "/letters/B", "/phonetic/b"]
    start = caller.texts.index("enrolment.code")
    assert "enrolment.code_again" in caller.texts[start:]
    assert "enrolment.done" in caller.texts[start:]


async def test_star_reads_the_code_again(house: House) -> None:
    silence = [""] * 18  # two readings of eight sounds each, and what is said before them
    caller = await house.call(
        "1", "4", "", "1", f"{CODED}#", "", *silence, "*", *silence, hangs_up=True
    )
    assert caller.texts.count("enrolment.code") == 2
    assert len(spelt(caller.heard)) == 20
    row = await house.end()
    assert row.result == Result.CODE_TOLD
    assert row.outcome == CallOutcome.SELF_SERVICE
    assert CODED not in row.menu_path
    assert "HB7" not in row.menu_path


async def test_one_key_after_what_was_involved_leads_to_the_code(house: House) -> None:
    caller = await house.call("1", "2", f"{CODED}#", "", "", "", "", "1")
    start = caller.texts.index("affected.next")
    assert caller.texts[start + 1] == "enrolment.code"
    assert await result_of(house) == Result.CODE_TOLD


async def test_who_has_no_code_hears_how_to_get_one(house: House) -> None:
    caller = await house.call("1", "4", "", "1", f"{REFERENCE}#", "", "0")
    assert caller.texts[-2:] == ["enrolment.no_code", "to_agent"]
    assert await result_of(house) == Result.CODE_MISSING


async def test_who_has_no_letter_hears_how_to_get_one(house: House) -> None:
    caller = await house.call("1", "4", "", "1", "#", "0")
    assert caller.texts[-2:] == ["enrolment.no_code", "to_agent"]


async def test_a_silent_caller_is_not_asked_three_times_for_a_code(house: House) -> None:
    caller = await house.call("1", "4", "", "1")
    assert caller.texts.count("enrolment.ask_reference") == 1


async def test_enrolment_leaves_the_keys_of_the_menu_as_they_are(house: House) -> None:
    caller = await house.call("1", "4", "3", "1", hangs_up=True)
    assert caller.texts[2:] == ["answer.enrolment", "menu.protect", "answer.credit_freeze"]


async def test_two_leads_from_what_was_involved_to_protection(house: House) -> None:
    caller = await house.call("1", "2", f"{REFERENCE}#", "", "", "", "", "2", "1", hangs_up=True)
    assert caller.texts[-3:] == ["affected.next", "menu.protect", "answer.credit_freeze"]
    assert await result_of(house) == Result.AFFECTED


async def test_star_tells_again_what_was_involved(house: House) -> None:
    caller = await house.call("1", "2", f"{REFERENCE}#", "", "", "", "", "*", hangs_up=True)
    assert caller.texts.count("affected.found") == 2
    assert caller.texts.count("affected.ask_reference") == 1


async def test_a_childs_letter_is_told_of_the_child(house: House) -> None:
    caller = await house.call("1", "2", f"{CHILD}#", "", "", "", "", "2", hangs_up=True)
    start = caller.texts.index("affected.found_minor")
    assert caller.texts[start:] == [
        "affected.found_minor",
        "other_data_type.ssn",
        "other_data_type.medical",
        "affected.next_minor",
        "answer.minor",
    ]
    assert await result_of(house) == Result.MINOR


async def test_a_childs_code_is_told(house: House) -> None:
    caller = await house.call("1", "2", f"{CHILD}#", "", "", "", "", "1")
    assert spelt(caller.heard) == [*SPELT, *SPELT]


async def test_of_someone_who_died_no_code_is_offered_and_none_told(house: House) -> None:
    caller = await house.call("1", "2", f"{ESTATE}#", "", "", "", "", "1", hangs_up=True)
    start = caller.texts.index("affected.found_deceased")
    assert caller.texts[start:] == [
        "affected.found_deceased",
        "other_data_type.ssn",
        "other_data_type.medical",
        "affected.next_deceased",
        "answer.deceased",
    ]
    again = await House(house.store).call("1", "4", "", "1", f"{ESTATE}#")
    assert spelt(again.heard) == []
    assert "enrolment.no_code" in again.texts


@pytest.mark.parametrize(
    ("key", "answer", "result"),
    [("1", "answer.minor", Result.MINOR), ("2", "answer.deceased", Result.DECEASED)],
)
async def test_family_is_helped_with_two_keys(
    house: House, key: str, answer: str, result: Result
) -> None:
    caller = await house.call("1", "6", key, hangs_up=True)
    assert caller.texts[2:] == ["menu.more_help", answer] or caller.texts[2:] == [answer]
    row = await house.end()
    assert (row.result, row.outcome) == (result, CallOutcome.SELF_SERVICE)


async def test_family_with_a_letter_hears_what_was_involved(house: House) -> None:
    caller = await house.call("1", "6", "2", "", "1", f"{ESTATE}#", "", hangs_up=True)
    assert caller.texts[-2:] == [ESTATE, "affected.found_deceased"]
    assert await result_of(house) == Result.DECEASED


@pytest.mark.parametrize("reference", [REFERENCE, "11112222"])
async def test_a_letter_by_mistake_is_noted_and_nobody_learns_whether_it_is_ours(
    house: House, reference: str
) -> None:
    caller = await house.call("1", "6", "3", "", f"{reference}#", "", hangs_up=True)
    assert caller.texts[-4:] == [
        "answer.mistake",
        "mistake.ask_reference",
        reference,
        "mistake.thanks",
    ]
    row = await house.end()
    assert row.result == Result.LETTER_BY_MISTAKE
    async with house.store.read() as session:
        known = await session.scalar(select(ContactRow.id).where(ContactRow.reference == reference))
    assert row.contact_id == known
    assert reference not in row.menu_path


async def test_a_letter_by_mistake_needs_no_number(house: House) -> None:
    caller = await house.call("1", "6", "3", "", "#", hangs_up=True)
    assert caller.texts[-1] == "mistake.thanks"


async def test_relay_brings_an_agent_who_is_told(house: House) -> None:
    caller = await house.call("1", "6", "5")
    assert caller.texts[-2:] == ["answer.relay", "to_agent"]
    assert caller.variables["__BL_RELAY"] == "1"
    assert caller.variables["BL_NEXT"] == "queue"
    assert await result_of(house) == Result.RELAY


async def test_whoever_leaves_the_relay_text_is_not_marked(house: House) -> None:
    caller = await house.call("1", "6", "5", "#", "0")
    assert "__BL_RELAY" not in caller.variables
    assert caller.variables["BL_NEXT"] == "queue"


async def test_genuine_says_yes_and_then_what_was_involved(house: House) -> None:
    caller = await house.call("1", "5", f"{REFERENCE}#", "", "", "1", hangs_up=True)
    assert caller.texts[3:] == [REFERENCE, "genuine.yes", "genuine.next", "affected.found"]
    row = await house.end()
    assert row.result == Result.AFFECTED
    assert "genuine:yes" in row.menu_path


async def test_genuine_without_a_find_accuses_nobody_and_offers_an_agent(house: House) -> None:
    guesses = [burst for n in range(3) for burst in (f"7777000{n}#", "")]
    caller = await house.call("1", "5", "", *guesses, "0")
    assert caller.texts.count("genuine.not_found") == 2
    assert caller.texts[-2:] == ["genuine.not_found_help", "to_agent"]
    assert "affected.not_found" not in caller.texts
    assert await result_of(house) == Result.NOT_FOUND


@pytest.mark.parametrize("menu", [("2",), ("5", ""), ("4", "", "1"), ("6", "1", "", "1")])
@pytest.mark.parametrize("entry", ["123456789#", "123*45*6789#"])
async def test_a_social_security_number_is_refused_and_kept_nowhere(
    house: House, menu: tuple[str, ...], entry: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.store.write() as session:
        session.add(contact("123456789"))
    caller = await house.call("1", *menu, entry, "0", hangs_up=True)
    assert "reference.never_ssn" in caller.texts
    assert not any("6789" in path for path in caller.heard)
    row = await house.end()
    assert "6789" not in row.menu_path
    assert row.contact_id is None
    assert "6789" not in caplog.text
    assert "6789" not in str(house.published)


async def dnc(store: Store) -> list[bytes]:
    async with store.read() as session:
        return list(await session.scalars(select(DoNotCallRow.phone_hash)))


async def test_three_keys_stop_the_calls_to_this_number(house: House) -> None:
    caller = await house.call("1", "6", "4", "", "", "1", hangs_up=True)
    assert caller.texts[-4:] == [
        "stop.this_number",
        CALLER.removeprefix("+1"),
        "stop.confirm",
        "stop.thanks",
    ]
    assert await dnc(house.store) == [KEY.lookup_hash(CALLER)]
    row = await house.end()
    assert (row.result, row.outcome) == (Result.STOP_CALLS, CallOutcome.SELF_SERVICE)


async def test_another_number_is_read_back_before_it_is_stopped(house: House) -> None:
    caller = await house.call(
        "1", "6", "4", "", "", "2", "5#", "3055550188#", "", "1", hangs_up=True
    )
    assert "callback.invalid" in caller.texts
    assert caller.texts[-3:] == ["3055550188", "stop.confirm", "stop.thanks"]
    assert await dnc(house.store) == [KEY.lookup_hash("+13055550188")]


async def test_a_caller_without_number_keys_one_in(house: House) -> None:
    caller = await house.call("1", "6", "4", "", "3055550188#", "", "1", number="", hangs_up=True)
    assert "stop.this_number" not in caller.texts
    assert "stop.what" in caller.texts
    assert await dnc(house.store) == [KEY.lookup_hash("+13055550188")]


@pytest.mark.parametrize("keys", [("#",), ("", "#"), ("", "", "#"), ("", "", "0"), ()])
async def test_nothing_is_stopped_unless_it_was_confirmed(
    house: House, keys: tuple[str, ...]
) -> None:
    await house.call("1", "6", "4", *keys)
    assert await dnc(house.store) == []


async def test_nobody_is_thanked_for_a_stop_that_is_not_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_given: object, **_more: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(do_not_call, "stop_calls", away)
    caller = await house.call("1", "6", "4", "", "", "1", "0")
    assert caller.texts[-2:] == ["stop.failed", "to_agent"]
    assert await result_of(house) is None


async def test_an_end_tells_the_result_and_each_result_is_counted_once(house: House) -> None:
    counter = SELF_SERVICE.labels("northwind", Result.DECEASED.value)
    before = counter._value.get()
    await house.call("1", "6", "2", "", "*", "", "*", hangs_up=True)
    await house.end()
    assert counter._value.get() == before + 1
    topic, payload = house.published[-1]
    assert topic.endswith("/ended")
    assert payload["result"] == Result.DECEASED


async def test_the_result_is_that_which_leaves_most_to_do(house: House) -> None:
    await house.call("1", "6", "3", "", "#", "#", "1", hangs_up=True)
    row = await house.end()
    assert row.result == Result.LETTER_BY_MISTAKE
