"""Budgets as people write them, progress that ends on time and repeats, and the schedules that follow it."""

import json
import math

import pytest

from sansheng.budget import Budget, Clock, geometric, learning_rate, ramp


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("1d", 86400), (" 2 m ", 120)]
)
def test_parse_reads_times(text, seconds):
    assert Budget.parse(text) == Budget(seconds=float(seconds))


@pytest.mark.parametrize(
    "text", ["", "soon", "5 minutes", "-3s", "0", "0s", "1e3", "5mm", "nan", "inf", "1,5m", "m", "10 steps"]
)
def test_parse_refuses_what_is_no_time_and_says_what_is(text):
    with pytest.raises(ValueError, match=r"30s, 5m or 1h") as caught:
        Budget.parse(text)
    assert repr(text) in str(caught.value)
    assert "--steps" in str(caught.value)


@pytest.mark.parametrize("fields", [{}, {"steps": 10, "seconds": 1.0}])
def test_a_budget_is_one_of_steps_and_seconds(fields):
    with pytest.raises(ValueError, match="either steps or seconds"):
        Budget(**fields)


@pytest.mark.parametrize("fields", [{"steps": 0}, {"steps": -5}, {"seconds": 0.0}, {"seconds": -1.0}])
def test_a_budget_is_above_zero(fields):
    with pytest.raises(ValueError, match="above zero"):
        Budget(**fields)


@pytest.mark.parametrize("text", ["30s", "5m", "2h", "90s", "1.5s"])
def test_a_budget_reads_its_own_name(text):
    assert Budget.parse(str(Budget.parse(text))) == Budget.parse(text)


def test_a_budget_of_steps_ends_at_that_step():
    for steps in (1, 3, 7, 1000, 12_345):
        clock = Clock.start(Budget(steps=steps))
        assert clock.progress(0) == pytest.approx(0, abs=1e-9)
        assert clock.progress(steps - 1) < 1
        assert clock.progress(steps) == 1


def run_by_seconds(seconds, cost):
    """Take steps that cost `cost(step)` [s] until the budget is spent."""
    budget, step = Budget(seconds=seconds), 0
    clock = Clock.start(budget)
    while clock.progress(step) < 1:
        clock.seconds += cost(step)
        step += 1
        clock.tick(step, budget)
        assert step < 1_000_000, "the budget never ends"
    return clock, step


SPEEDS = {
    "steady": lambda step: 0.01,
    "slow first step": lambda step: 0.5 if step == 0 else 0.01,
    "slows down": lambda step: 0.004 if step < 3000 else 0.02,
    "speeds up": lambda step: 0.02 if step < 500 else 0.004,
    "uneven": lambda step: 0.01 * (1 + math.sin(step) ** 2),
}


@pytest.mark.parametrize("cost", SPEEDS.values(), ids=SPEEDS)
def test_a_budget_of_seconds_ends_on_time(cost):
    clock, _ = run_by_seconds(30.0, cost)
    assert clock.seconds == pytest.approx(30, rel=0.03)


@pytest.mark.parametrize("cost", SPEEDS.values(), ids=SPEEDS)
def test_progress_never_falls_and_neither_do_its_knots(cost):
    clock, steps = run_by_seconds(30.0, cost)
    progress = [clock.progress(step) for step in range(steps + 1)]
    assert all(a <= b for a, b in zip(progress, progress[1:], strict=False))
    assert progress[-1] == 1
    for (s, p, r), (s2, p2, _) in zip(clock.knots, clock.knots[1:], strict=False):
        assert s < s2
        assert p <= p2
        assert r >= 0


def test_progress_follows_the_seconds():
    clock, steps = run_by_seconds(30.0, SPEEDS["steady"])
    halfway = next(step for step in range(steps) if clock.progress(step) >= 0.5)
    assert halfway * 0.01 == pytest.approx(15, rel=0.05)


def test_a_steady_run_needs_few_knots():
    """Once the pace is known, progress aimed at the end of the budget gets there without being corrected."""
    clock, steps = run_by_seconds(30.0, SPEEDS["steady"])
    assert steps > 2000
    assert len(clock.knots) < 12


def test_progress_replays_from_its_recorded_knots():
    """What a step saw when it was taken is what it sees again, knots having been added since and stored as JSON."""
    budget, step, seen = Budget(seconds=20.0), 0, []
    clock = Clock.start(budget)
    while (progress := clock.progress(step)) < 1:
        seen.append(progress)
        clock.seconds += SPEEDS["uneven"](step)
        step += 1
        clock.tick(step, budget)
    again = Clock([(s, p, r) for s, p, r in json.loads(json.dumps(clock.knots))])
    assert [again.progress(step) for step in range(len(seen))] == seen
    assert again.progress(len(seen)) == 1


def test_a_single_step_longer_than_the_budget_is_the_last():
    _, steps = run_by_seconds(1.0, lambda step: 5.0)
    assert steps == 1


@pytest.mark.parametrize("cost", SPEEDS.values(), ids=SPEEDS)
def test_a_budget_of_seconds_ends_at_the_most_steps_it_may_take(cost):
    """Progress goes to 1 in so many steps, so that learning rates fall as in any other run."""
    clock, step, budget, halfway = Clock.start(b := Budget(seconds=300.0, most=2000)), 0, b, 0
    while clock.progress(step) < 1:
        halfway = step if clock.progress(step) < 0.5 else halfway
        clock.seconds += cost(step)
        step += 1
        clock.tick(step, budget)
    assert step == pytest.approx(2000, abs=1)
    assert halfway == pytest.approx(1000, rel=0.05)
    assert len(clock.knots) < 12
    assert clock.seconds < 200


@pytest.mark.parametrize("cost", SPEEDS.values(), ids=SPEEDS)
def test_time_ends_it_where_that_is_sooner(cost):
    clock, step, budget = Clock.start(b := Budget(seconds=30.0, most=10**6)), 0, b
    while clock.progress(step) < 1:
        clock.seconds += cost(step)
        step += 1
        clock.tick(step, budget)
    assert clock.seconds == pytest.approx(30, rel=0.03)


def test_steps_do_not_look_at_the_clock():
    budget = Budget(steps=100)
    clock = Clock.start(budget)
    clock.seconds = 1e6
    clock.tick(50, budget)
    assert len(clock.knots) == 1


def test_learning_rate_rises_then_falls_to_a_hundredth():
    rates = [learning_rate(i / 1000) for i in range(1001)]
    top = rates.index(max(rates))
    assert all(a < b for a, b in zip(rates[:top], rates[1 : top + 1], strict=True))
    assert all(a > b for a, b in zip(rates[top:-1], rates[top + 1 :], strict=True))
    assert 0 < rates[0] < 0.05
    assert max(rates) == pytest.approx(1)
    assert top == pytest.approx(50, abs=1)
    assert rates[-1] == pytest.approx(0.01)
    assert max(abs(a - b) for a, b in zip(rates, rates[1:], strict=False)) < 0.03  # no jumps


def test_learning_rate_is_half_way_down_half_way_through_the_fall():
    assert learning_rate(0.05 + 0.95 / 2) == pytest.approx((1 + 0.01) / 2)


def test_a_constant_learning_rate_is_constant():
    assert {learning_rate(p / 10, constant=True) for p in range(11)} == {1.0}


def test_ramp_is_linear_then_one():
    assert [ramp(p, 0.5) for p in (0.0, 0.25, 0.5, 1.0)] == [0, 0.5, 1, 1]
    assert ramp(0.0, 0.0) == 1


def test_geometric_is_linear_in_the_logarithm():
    assert geometric(0.0, 5.0, 0.05) == pytest.approx(5)
    assert geometric(0.5, 5.0, 0.05) == pytest.approx(0.5)
    assert geometric(1.0, 5.0, 0.05) == pytest.approx(0.05)
