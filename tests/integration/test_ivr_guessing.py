"""Guessing reference numbers by telephone: 10,000 tries from changing numbers, and honest callers
in the middle of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from incident.guessing import GuessLimits, Verdict
from incident.store.engine import Store
from incident.store.references import close_together, guessable, look_up
from incident.store.schema import ReferenceGuardRow
from tests.ivr_house import House, built, contact
from tests.ivr_talk import KEY, Caller

TRIES = 10_000
PEOPLE = 1_000
STEP = 0.5
"""Seconds between two tries: more calls at once than most lines of a guesser would carry."""
TOLD = 15 * 60.0
"""Within this time look-ups are open again, callers are told."""
START = 1_795_000_000.0


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Attack:
    """``heard``: what callers heard while look-ups were closed, by whether they guessed right."""

    answered: int = 0
    refused: int = 0
    found: int = 0
    heard: dict[bool, Counter[tuple[str, ...]]] = field(
        default_factory=lambda: {True: Counter(), False: Counter()}
    )
    seconds: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    """How long those calls took; told, never asserted."""

    def note(self, caller: Caller, guess: str, seconds: float, *, right: bool) -> None:
        texts = tuple("<number>" if text == guess else text for text in caller.texts)
        if "affected.found" in texts:
            self.found += 1
        if "reference.not_now" in texts:
            self.refused += 1
            self.heard[right][texts] += 1
            self.seconds[right].append(seconds)
        else:
            self.answered += 1


def numbers(seed: int, count: int) -> list[str]:
    return random.Random(seed).sample(
        [f"{n:08d}" for n in range(10_000_000, 99_999_999, 89)], count
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def references(store: Store) -> list[str]:
    """A thousand people, each with a telephone."""
    chosen = numbers(1, PEOPLE)
    await built(
        store,
        *(
            contact(reference, phone=f"+1212{2_000_000 + index:07d}")
            for index, reference in enumerate(chosen)
        ),
    )
    return chosen


async def closed_until(store: Store) -> float:
    async with store.read() as session:
        found = await session.scalar(
            select(ReferenceGuardRow.closed_until).where(ReferenceGuardRow.kind == "budget")
        )
    return found or 0.0


async def asks(house: House, reference: str, number: str) -> Caller:
    """One caller with one question, who then hangs up."""
    return await house.call("1", "2", f"{reference}#", "", hangs_up=True, number=number)


async def test_ten_thousand_tries_reveal_nothing_and_lock_nobody_out(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock)
    attack, rng = Attack(), random.Random(2)
    known = set(references)
    wrong = [number for number in numbers(3, TRIES + PEOPLE) if number not in known]
    own = served_again = 0
    refused_at: float | None = None
    closed = 0.0
    honest, other_phone = references[-1], "+13105550142"
    begun = perf_counter()
    for index in range(TRIES):
        clock.now += STEP
        # Every tenth guess is right, once the budget is gone: a guesser's luck beyond belief.
        right = index % 10 == 0 and clock.now < closed
        guess = rng.choice(references[:500]) if right else wrong[index]
        at = perf_counter()
        caller = await asks(house, guess, f"+1415{2_000_000 + index:07d}")
        attack.note(caller, guess, perf_counter() - at, right=right)
        if not right and "reference.not_now" not in caller.texts:
            closed = await closed_until(store)
        if index % 500 == 499:
            mine = index // 500
            caller = await asks(house, references[mine], f"+1212{2_000_000 + mine:07d}")
            own += "affected.found" in caller.texts
        if index == 2000:
            caller = await asks(house, honest, other_phone)
            assert "reference.not_now" in caller.texts
            refused_at = clock.now
        elif refused_at is not None and clock.now >= refused_at + TOLD and not served_again:
            caller = await asks(house, honest, other_phone)
            assert "affected.found" in caller.texts
            served_again = index
    took = perf_counter() - begun
    clock.now += TOLD
    after = await asks(house, references[-2], "+13105550143")
    print(
        f"\n{TRIES} tries in {TRIES * STEP / 60:.0f} simulated minutes: {attack.answered} answered "
        f"as not found, {attack.refused} refused, {attack.found} found; "
        f"{sum(attack.heard[True].values())} right guesses among the refused; "
        f"own telephone served {own} of {TRIES // 500}; refused caller served again "
        f"{TOLD / 60:.0f} min later, at try {served_again}; {1000 * took / TRIES:.1f} ms a call; "
        f"refused in {1000 * median(attack.seconds[True]):.2f} ms where the number exists, "
        f"{1000 * median(attack.seconds[False]):.2f} ms where not"
    )
    assert attack.found == 0
    assert sum(attack.heard[True].values()) > 500
    assert list(attack.heard[True]) == list(attack.heard[False])
    assert len(attack.heard[True]) == 1
    assert attack.answered <= 40 + 10 * (1 + TRIES * STEP / 600) + TRIES * STEP / 22
    assert own == TRIES // 500
    assert served_again
    assert "affected.found" in after.texts


async def test_a_restart_of_the_hotline_forgets_nothing(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock, limits=GuessLimits(misses=5))
    for index in range(6):
        await asks(house, f"1234000{index}", f"+1415{2_000_000 + index:07d}")
    again = House(store, clock=clock, limits=GuessLimits(misses=5))
    for reference in (references[0], "12349999"):
        caller = await asks(again, reference, "+13105550142")
        assert "reference.not_now" in caller.texts


async def test_one_number_is_held_back_and_others_are_not(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock)
    for index in range(7):
        caller = await asks(house, f"1234000{index}", "+14155550101")
    assert "reference.not_now" in caller.texts
    assert "affected.found" in (await asks(house, references[0], "+13105550142")).texts
    clock.now += TOLD
    assert "affected.found" in (await asks(house, references[0], "+14155550101")).texts


async def test_a_caller_without_number_is_served_while_it_is_open(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock)
    assert "affected.found" in (await asks(house, references[0], "")).texts


async def test_after_a_refusal_the_call_asks_for_no_other_number(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock, limits=GuessLimits(misses=1))
    await asks(house, "12340000", "+14155550101")
    caller = await house.call("1", "2", f"{references[0]}#", "", "", "*", "", hangs_up=True)
    assert caller.texts.count("affected.ask_reference") == 1
    assert caller.texts.count("reference.not_now") == 2


async def test_the_database_does_the_same_for_a_number_that_exists_and_for_others(
    store: Store, references: list[str], clock: Clock
) -> None:
    limits = GuessLimits(misses=1)

    async def tried(reference: str, caller: str) -> tuple[Verdict, list[str]]:
        statements: list[str] = []

        def note(_c: Any, _x: Any, statement: str, *_more: Any) -> None:
            statements.append(statement)

        engine: Engine = store.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            verdict, letter = await look_up(
                store,
                KEY,
                "northwind",
                reference,
                caller=KEY.lookup_hash(caller),
                limits=limits,
                now=clock.now,
            )
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert (letter is None) is (verdict is not Verdict.ANSWERED)
        return verdict, statements

    await tried("12340000", "+14155550101")
    right = await tried(references[0], "+14155550102")
    wrong = await tried("12340001", "+14155550103")
    assert right == wrong
    assert right[0] is Verdict.REFUSED


async def test_what_is_kept_against_guessing_goes_after_days(
    store: Store, references: list[str], clock: Clock
) -> None:
    house = House(store, clock=clock, limits=GuessLimits(misses=1))
    await asks(house, "12340000", "+14155550101")
    await asks(house, "12340001", "+14155550102")
    clock.now += 3 * 24 * 3600
    await asks(house, references[0], "+14155550103")
    async with store.read() as session:
        kinds = sorted(await session.scalars(select(ReferenceGuardRow.kind)))
    assert kinds == ["budget", "number"]


async def test_numbers_that_can_be_guessed_are_pointed_out(store: Store) -> None:
    await built(store, *(contact(f"3000{index:04d}") for index in range(50)))
    (close,) = await guessable(store, "northwind")
    assert (close.digits, close.near, close.among) == (8, 49, 51)


def test_random_numbers_are_not_and_letters_are_never() -> None:
    assert close_together(numbers(1, PEOPLE)) == ()
    assert close_together(f"NW-{index:05d}" for index in range(50)) == ()
    (crowded,) = close_together(f"{n:06d}" for n in random.Random(1).sample(range(10**6), 5000))
    assert crowded.digits == 6
