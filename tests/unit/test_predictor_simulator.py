"""The simulated hotline that the predictions are measured on, against queueing theory."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from bench import waiting
from bench.queue_simulator import Group, Simulation, World
from bench.waiting_cases import CASES, Case, Stationary, exponential, forever, ramp, steady


def mean_wait_theory(agents: int, load: float, service: float) -> float:
    """Erlang C: the mean wait of those who wait is service / (agents - offered)."""
    return service / (agents - agents * load)


def outcomes(
    world: World, runs: int, stationary: Stationary | None = None
) -> list[waiting.Outcome]:
    case = Case("test", lambda _: world, runs, stationary)
    return [outcome for seed in range(runs) for outcome in waiting.simulate(case, seed)]


def test_nobody_hangs_up_as_erlang_c_says() -> None:
    world = World(
        {"en": steady(0.8 * 5 / 60)}, 0.8 * 5 / 60, (Group(("en",), 5),), exponential(60), forever,
        (3600.0, 4 * 3600.0),
    )  # fmt: skip
    found = outcomes(world, 6)
    assert all(outcome.served for outcome in found)
    mean = statistics.fmean(outcome.wait for outcome in found)
    assert mean == pytest.approx(mean_wait_theory(5, 0.8, 60), rel=0.15)


def test_virtual_waits_are_what_the_line_ahead_says() -> None:
    """With the true rates, the formula has no bias over callers who hang up and who do not."""
    world = World(
        {"en": steady(1.3 * 8 / 60)}, 1.3 * 8 / 60, (Group(("en",), 8),), exponential(60),
        exponential(40), (3600.0, 4 * 3600.0),
    )  # fmt: skip
    found = outcomes(world, 4, Stationary(8 / 60, 1 / 40))
    errors = [outcome.wait - outcome.note.true_mean for outcome in found]
    sd = math.sqrt(statistics.fmean(outcome.note.variance for outcome in found))
    assert statistics.fmean(errors) == pytest.approx(0.0, abs=0.08 * sd)
    assert statistics.pstdev(errors) == pytest.approx(sd, rel=0.1)
    assert any(not outcome.served for outcome in found)


def test_queues_that_share_agents_get_them_alike() -> None:
    """Both are flooded: the small one gets as many agents as the large one."""
    world = World(
        {"en": steady(1.0), "es": steady(0.3)}, 1.0, (Group(("en", "es"), 10),), exponential(60),
        exponential(60), (600.0, 3600.0),
    )  # fmt: skip
    onlooker = waiting.Onlooker(None)
    Simulation(world, random.Random(1), onlooker).run()
    served = [caller.queue for caller in onlooker.scored if caller.served]
    assert served.count("en") / served.count("es") == pytest.approx(1.0, abs=0.2)


def test_agents_sign_out_after_their_call_and_come_back() -> None:
    changes = ((100.0, -4), (2000.0, 2))
    world = World(
        {"en": steady(0.5)}, 0.5, (Group(("en",), 5, changes),), exponential(60), exponential(60),
        (1000.0, 3000.0),
    )  # fmt: skip
    onlooker = waiting.Onlooker(None)
    simulation = Simulation(world, random.Random(1), onlooker)
    seen: list[int] = []
    for at in (1500.0, 2500.0):
        simulation.at(at, lambda: seen.append(len(simulation.able("en"))))
    simulation.run()
    assert seen == [1, 3]


def test_notices_stop_once_callers_wait_if_the_dialer_gives_way() -> None:
    def waits(gives_way: float) -> float:
        world = World(
            {"en": steady(0.08)}, 0.08, (Group(("en",), 5),), exponential(60), exponential(90),
            (600.0, 6000.0), notices=steady(0.5), gives_way=gives_way,
        )  # fmt: skip
        return statistics.fmean(outcome.wait for outcome in outcomes(world, 2))

    assert waits(5.0) < 0.8 * waits(math.inf)


def test_ramps_are_straight_and_level_outside() -> None:
    level = ramp((10.0, 1.0), (20.0, 3.0))
    assert [level(at) for at in (0.0, 10.0, 15.0, 20.0, 99.0)] == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_vicidial_blends_long_waiters_in_and_has_a_floor() -> None:
    assert waiting.vicidial([20, 40], [100, 10]) == pytest.approx((20 + 40 + 100) / 3)
    assert waiting.vicidial([20, 40], [], own=25) == 10.0
    assert waiting.vicidial([0.0], []) == 10.0


def test_a_rival_is_beaten_only_beyond_chance() -> None:
    assert waiting.verdict(-5.0, 2.0) == "better"
    assert waiting.verdict(5.0, 2.0) == "WORSE"
    assert waiting.verdict(3.0, 2.0) == waiting.verdict(-3.0, 2.0) == "tie"
    assert waiting.verdict(0.05, 0.0) == "tie"


def test_a_case_has_all_its_figures_and_rows() -> None:
    name = "s=5 load 1.2"
    (case,) = [case for case in CASES if case.name == name]
    figures = waiting.score(Case(name, case.world, 2, case.stationary))
    for group in ("", "served_"):
        assert isinstance(figures[f"{group}rmse_ours"], float)
        assert figures[f"{group}verdict"] in {"better", "tie", "WORSE"}
    tables = waiting.tables({"cases": {name: figures}})
    assert [len(row) for _, headings, rows in tables for row in rows] == [
        len(headings) for _, headings, _ in tables
    ]
    assert all(row[0] == name for _, _, rows in tables for row in rows)


def test_targets_name_the_cases_that_fall_short() -> None:
    good = {"ours_over_irreducible": 1.02, "verdict": "tie", "served_verdict": "better",
            "rmse_ours": 1.0, "rmse_vicidial": 2.0, "p90_covers": 0.9}  # fmt: skip
    bad = {**good, "verdict": "WORSE", "p90_covers": 0.96}
    found = waiting.targets({"good": good, "bad": bad})
    assert found["worse_than_best_rival"] == "bad"
    assert found["p90_outside_85_to_95"] == "bad"
    assert found["over_irreducible_by_10_percent"] == "none"


def test_names_fit_a_table_and_differ() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert max(len(name) for name in names) <= 24
