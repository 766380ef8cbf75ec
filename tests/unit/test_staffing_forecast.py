"""From notices to calls, quarter hours, redials, call-backs, notice calls, and days."""

from __future__ import annotations

import itertools
import random
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import simpy

from incident.plan.hours import DAYS, Hours
from ivr.staffing.curve import callers, delivered, mailing, response, total_response
from ivr.staffing.days import summaries
from ivr.staffing.erlang_b import blocking
from ivr.staffing.flow import Flow, Point
from ivr.staffing.forecast import ground, make, next_mailing_day
from ivr.staffing.load import scenario
from ivr.staffing.notice import NoPace, OneChannelForEachAgent, finished, notice_days
from ivr.staffing.quarters import Quarter, quarters, spread
from ivr.staffing.ranges import around, gamma_quantile
from ivr.staffing.scenario import Letters, NoticeCalls, Scenario
from ivr.staffing.target import OutOfReach

TUESDAY = date(2026, 12, 1)
ROUND_THE_CLOCK = Hours.model_validate(
    {"timezone": "America/New_York", "weekly": dict.fromkeys(DAYS, "00:00-24:00")}
)


def of(**keys: Any) -> Scenario:
    whole = {"people": 814_000, "letters": {"first": TUESDAY}, **keys}
    return scenario(None, {f"--{name}": ((name,), value) for name, value in whole.items()})


def test_the_busiest_day_is_the_published_peak() -> None:
    """Epiq: 7,230 calls on the busiest day for 814,093 people; 0.9 % of ours is 7,326."""
    shape = of().response
    arrived = delivered(mailing(Letters(first=TUESDAY), 814_000, TUESDAY), shape.delivery)
    per_person = total_response(shape).calls_per_person
    by_day = {day: calls * per_person for day, calls in callers(arrived, shape).items()}
    assert max(by_day.values()) == pytest.approx(0.009 * 814_000)
    assert max(by_day, key=lambda day: by_day[day]) == date(2026, 12, 7)
    # Most come within eight days of the first letter in the door.
    first_week = sum(calls for day, calls in by_day.items() if day <= date(2026, 12, 10))
    assert 0.7 < first_week / sum(by_day.values()) < 0.9


def test_the_total_may_be_given_instead_of_the_peak() -> None:
    made = total_response(of(response={"total": "5 %"}).response)
    assert (made.calls_per_person, made.from_peak) == (0.05, False)


def test_letters_are_mailed_on_working_days_and_not_delivered_on_sundays() -> None:
    friday = date(2026, 12, 4)
    mailed = mailing(Letters(first=friday, days=3), 300, TUESDAY)
    assert mailed == {friday: 100, date(2026, 12, 7): 100, date(2026, 12, 8): 100}
    assert delivered({friday: 100.0}, {2: 0.5, 3: 0.5}) == {date(2026, 12, 7): 100.0}
    assert delivered({friday: 100.0}, {2: 1.0}, late=-4) == {friday: 100.0}
    by_day = Letters.model_validate({"by_day": {"2026-12-06": "7"}})
    assert mailing(by_day, 300, TUESDAY) == {date(2026, 12, 6): 7.0}
    assert next_mailing_day(friday) == date(2026, 12, 7)


def test_the_response_is_a_whole_and_quick_at_first() -> None:
    shares = response(of().response)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert all(later < earlier for earlier, later in itertools.pairwise(shares))
    assert sum(shares[:8]) > 0.8


def test_days_on_which_the_clocks_change_have_their_quarters() -> None:
    hours = ROUND_THE_CLOCK
    spring, autumn = (quarters(day, 1, hours) for day in (date(2027, 3, 14), date(2026, 11, 1)))
    assert (len(spring), len(autumn)) == (92, 100)
    for day in (spring, autumn):
        moments = [each.start.timestamp() for each in day]
        assert {b - a for a, b in itertools.pairwise(moments)} == {900.0}
        shares = spread(of().response.hourly, 0.15, day)
        assert sum(shares) == pytest.approx(1)
        assert min(shares) > 0


def test_few_call_when_nobody_answers() -> None:
    day = quarters(date(2026, 12, 7), 1, of().hours)
    shares = spread(of().response.hourly, 0.15, day)
    opened = sum(share for share, each in zip(shares, day, strict=True) if each.open)
    assert 0.93 < opened < 1
    assert not any(
        share
        for share, each in zip(spread((1.0,) * 24, 0.0, day), day, strict=True)
        if not each.open
    )


def steady(made: Scenario, fresh: float, agents: int | None, hours: int = 24) -> list[Point]:
    start = datetime(2026, 12, 1, tzinfo=UTC)
    day = [Quarter(start + timedelta(minutes=15 * i), TUESDAY, True) for i in range(4 * hours)]
    return Flow(made, day, [fresh] * len(day), agents).run()


def test_the_staffed_quarters_keep_the_target() -> None:
    for point in steady(of(), 150, None):
        assert point.answered_in_time >= 0.8
        assert point.calls == pytest.approx(point.fresh + point.redials)
        assert abs(point.agents - point.check) <= 3
    fewer = steady(of(target={"abandoned": "3%"}), 150, None)[-1]
    assert fewer.abandoned / fewer.to_agents <= 0.03
    quick = steady(of(target={"mean_wait_seconds": "5"}), 150, None)[-1]
    assert quick.mean_wait <= 5


def test_redials_grow_with_those_who_hang_up() -> None:
    rules = {"call_backs": {"accepted": "0"}}
    never = steady(of(redials={"share": "0"}, **rules), 160, 25)[-1]
    again = steady(of(redials={"share": "50%"}, **rules), 160, 25)[-1]
    assert never.redials == 0
    # In the long run, half of those who hang up come back.
    assert again.redials == pytest.approx(0.5 * again.abandoned, rel=0.03)
    assert again.abandoned > never.abandoned
    assert again.mean_wait > never.mean_wait


def test_call_backs_take_agents_time_and_no_caller_is_lost_between() -> None:
    without = steady(of(call_backs={"accepted": "0"}), 160, 25)[-1]
    offered = steady(of(), 160, 25)[-1]
    assert without.kept == without.called_back == 0
    assert offered.kept > 10
    assert offered.called_back == pytest.approx(offered.kept, rel=0.02)
    for point in (without, offered):
        live = point.to_agents - point.abandoned - point.kept
        on_backs = point.called_back * (300 * (1 - 0.07**2) + 25 * 1.07)
        assert live * 300 + on_backs == pytest.approx(25 * 900 * point.occupancy, rel=0.02)


def test_call_backs_that_agents_cannot_make_are_owed_and_not_forgotten() -> None:
    points = steady(of(), 400, 5, hours=3)
    assert [point.owed for point in points] == sorted(point.owed for point in points)
    assert points[-1].owed > 100
    promised = sum(point.kept for point in points)
    assert promised == pytest.approx(sum(p.called_back for p in points) + points[-1].owed)


def test_a_simulation_of_redials_and_call_backs_agrees() -> None:
    """Callers one by one, first come first served, call-backs at their place in the line."""
    chance, world = random.Random(7), simpy.Environment()
    desk = simpy.PriorityResource(world, capacity=10)
    made, quarter, hours, warm = of(), 50.0, 160, 4 * 3600.0
    seen = dict.fromkeys(("wanting", "abandoned", "kept", "in_time"), 0)

    def note(what: str, began: float) -> None:
        if began > warm:
            seen[what] += 1

    def call() -> Generator[Any, Any, None]:
        began = world.now
        note("wanting", began)
        turn = desk.request(priority=int(began * 1000))
        patience = chance.expovariate(1 / 180)
        yield turn | world.timeout(min(patience, 60))
        if not turn.triggered and patience > 60:
            if chance.random() < 0.37:
                note("kept", began)
                yield turn
                yield world.timeout(27 + chance.expovariate(1 / 300))
                desk.release(turn)
                return
            yield turn | world.timeout(patience - 60)
        if turn.triggered:
            if world.now - began <= 30:
                note("in_time", began)
            yield world.timeout(chance.expovariate(1 / 300))
            desk.release(turn)
            return
        turn.cancel()
        note("abandoned", began)
        if chance.random() < 0.5:
            yield world.timeout(chance.expovariate(1 / 2400))
            world.process(call())

    def arrive() -> Generator[Any, Any, None]:
        while True:
            yield world.timeout(chance.expovariate(quarter * 0.6 / 900))
            world.process(call())

    world.process(arrive())
    world.run(until=hours * 3600)
    settled = steady(made, quarter, 10)[-1]
    each = 4 * hours - warm / 900
    assert seen["wanting"] / each == pytest.approx(settled.to_agents, rel=0.04)
    assert seen["abandoned"] / each == pytest.approx(settled.abandoned, rel=0.12)
    assert seen["kept"] / each == pytest.approx(settled.kept, rel=0.2)
    assert seen["in_time"] / seen["wanting"] == pytest.approx(settled.answered_in_time, abs=0.06)


def test_who_calls_at_night_comes_back_in_the_morning() -> None:
    made = of(days="14")
    forecast = make(ground(made, TUESDAY))
    day = forecast.of(date(2026, 12, 7))
    closed = [i for i in day if not forecast.ground.quarters[i].open]
    opening = next(i for i in day if forecast.ground.quarters[i].open)
    assert all(forecast.points[i].agents == 0 for i in closed)
    assert all(forecast.points[i].turned_away > 0 for i in closed if forecast.points[i].fresh)
    later = opening + 20
    # Sunday's callers: redials and call-backs meet the opening, and fade.
    assert forecast.points[opening].redials > 4 * forecast.points[later].redials
    assert forecast.points[opening].called_back > 5 * forecast.points[later].called_back


def test_next_to_nobody_calls() -> None:
    assert {point.agents for point in steady(of(), 1e-300, None, hours=2)} == {0}
    assert {point.agents for point in steady(of(), 0.01, None, hours=2)} == {1}


def test_too_many_agents_are_refused() -> None:
    with pytest.raises(OutOfReach, match="beyond any hotline"):
        steady(of(), 1e9, None)


def test_the_agents_there_are_are_taken_as_they_are() -> None:
    forecast = make(ground(of(agents="20", days="14"), TUESDAY))
    assert forecast.given is not None
    opened = [i for i, each in enumerate(forecast.ground.quarters) if each.open]
    assert {forecast.given[i].agents for i in opened} == {20}
    worst = max(opened, key=lambda i: forecast.given[i].mean_wait if forecast.given else 0.0)
    assert forecast.points[worst].agents > 20
    assert forecast.given[worst].answered_in_time < 0.8 < forecast.points[worst].answered_in_time


def test_days_add_up() -> None:
    forecast = make(ground(of(days="14", languages={"en": "87%", "es": "13%"}), TUESDAY))
    days = summaries(forecast)
    assert sum(each.calls for each in days) == pytest.approx(
        sum(point.calls for point in forecast.points)
    )
    busiest = max(days, key=lambda each: each.calls)
    assert busiest.low < busiest.calls < busiest.high
    assert busiest.agents_low < busiest.agents < busiest.agents_high
    assert busiest.rota == -(-busiest.agents * 10 // 7)
    assert busiest.self_service == pytest.approx(busiest.calls - busiest.to_agents)
    i = busiest.peak
    own = [forecast.languages[language][i] for language in ("en", "es")]
    assert sum(point.fresh for point in own) == pytest.approx(forecast.points[i].fresh)
    assert sum(point.agents for point in own) > forecast.points[i].agents
    load = max(forecast.points[i].channels for i in forecast.of(busiest.day))
    assert blocking(load * busiest.high / busiest.calls, busiest.channels) <= 0.001


def test_ranges_hold_eighty_of_a_hundred() -> None:
    chance = random.Random(1)
    for mean, deviation in ((100.0, 60.0), (30.0, 8.0), (5.0, 5.0)):
        shape = (mean / deviation) ** 2
        drawn = [chance.gammavariate(shape, mean / shape) for _ in range(20_000)]
        low, high = around(mean, deviation**2)
        inside = sum(low <= each <= high for each in drawn) / len(drawn)
        assert inside == pytest.approx(0.8, abs=0.02)
    assert gamma_quantile(0.0, 4.0, 1.0) == 0.0
    assert around(0.1, 25.0)[0] == 0.0
    assert around(1e-200, 1e-200) == (1e-200, 1e-200)


def calls(**keys: Any) -> NoticeCalls:
    return NoticeCalls.model_validate({"people": "1000", **keys})


def ten_hours(_: date) -> float:
    return 10.0


def test_notice_calls_go_round_by_round_to_their_end() -> None:
    wanted = calls(per_day="500", answered="30%", attempts="2")
    days = notice_days(wanted, TUESDAY, ten_hours, OneChannelForEachAgent(wanted))
    assert [round(each.placed) for each in days] == [500, 500, 500, 200]
    assert sum(each.reached for each in days) == pytest.approx(300 + 210)
    assert sum(each.given_up for each in days) == pytest.approx(490)
    assert finished(days) == date(2026, 12, 4)


def test_agents_and_lines_bound_the_notice_calls() -> None:
    one = calls(agents="2", ring_seconds="22", answered="25%", talk_seconds="152")
    capacity = OneChannelForEachAgent(one)
    assert capacity.seconds == 60
    assert notice_days(one, TUESDAY, ten_hours, capacity)[0].placed == pytest.approx(1000)
    two = calls(agents="2", channels="1", ring_seconds="22", answered="25%", talk_seconds="152")
    assert notice_days(two, TUESDAY, ten_hours, capacity)[0].placed == pytest.approx(600)


def test_notice_calls_without_a_pace_or_without_hours() -> None:
    with pytest.raises(NoPace, match="--calls-per-day"):
        notice_days(calls(), TUESDAY, ten_hours, OneChannelForEachAgent(calls()))
    never = notice_days(calls(per_day="5"), TUESDAY, lambda _: 0.0, OneChannelForEachAgent(calls()))
    assert finished(never) is None
    assert notice_days(NoticeCalls(), TUESDAY, ten_hours, OneChannelForEachAgent(calls())) == []


def test_notice_calls_bring_calls_in_and_need_agents_and_lines() -> None:
    quiet = make(ground(of(days="10"), TUESDAY))
    notices = {"people": "100000", "per_day": "20000"}
    loud = make(ground(of(days="10", calls=notices, response={"after_call": "0"}), TUESDAY))
    first = loud.of(TUESDAY)
    assert sum(loud.notice_calls[i] for i in first) == pytest.approx(20_000)
    assert sum(quiet.points[i].calls for i in first) == 0
    # 8 % of the 14,000 people who did not answer call the number that they saw.
    assert sum(loud.points[i].fresh for i in first) == pytest.approx(0.08 * 14_000, rel=0.02)
    busy = max(first, key=loud.notice_agents)
    # 11 hours from 9 to 20, 94 s for a call.
    assert loud.notice_agents(busy) == -(-20_000 * 94 // (11 * 3600))
    assert loud.notice_channels(busy) == loud.notice_agents(busy)
    assert loud.finish is not None
