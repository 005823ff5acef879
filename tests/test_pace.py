"""Threads follow what steps cost on them by now, at little cost themselves; a busy machine is told."""

import time

import pytest
import torch

from sansheng.budget import Clock
from sansheng.devices import faster, threads
from sansheng.loop import Step
from sansheng.pace import Pace, Threads


def taken(cost, seconds, start=2, most=2):
    """Steps until `seconds` are spent: (when it was taken, threads, seconds) of each, and the clock."""
    clock = Clock([(0, 0.0, 1e-6)], threads=[(0, start)])
    choice, spent, steps = Threads(clock, most), 0.0, []
    while spent < seconds:
        steps.append((spent, choice.now, cost(choice.now, spent)))
        spent += steps[-1][2]
        choice.after(len(steps), steps[-1][2])
    return steps, clock


def share_of(steps, number, first=0.0, last=float("inf")):
    """Share of the time between `first` and `last` [s] that was spent on `number` threads."""
    some = [(n, seconds) for when, n, seconds in steps if first <= when < last]
    return sum(seconds for n, seconds in some if n == number) / sum(seconds for _, seconds in some)


@pytest.mark.parametrize(
    ("one", "two", "better"),
    [(0.010, 0.006, 2), (0.010, 0.0095, 1), (0.010, 0.030, 1), (3.0, 1.8, 2), (0.004, 0.08, 1)],
)
def test_most_of_the_time_is_spent_on_the_better_number(one, two, better):
    seconds = max(100, 400 * one)
    for start in (1, 2):
        steps, _ = taken(lambda n, when: two if n == 2 else one, seconds, start)
        assert share_of(steps, better) > 0.94
        fair = seconds / (two if better == 2 else one)
        assert len(steps) > 0.94 * fair, "trials cost too much"


def test_another_program_that_comes_and_goes_is_followed():
    """Two threads take 5 ms, and 100 ms while the other program runs; one takes 8 ms always."""
    steps, clock = taken(lambda n, when: 0.008 if n == 1 else 0.1 if 60 <= when < 120 else 0.005, 180)
    assert share_of(steps, 2, 0, 60) > 0.95
    assert share_of(steps, 1, 68, 120) > 0.95
    assert share_of(steps, 2, 132, 180) > 0.95
    assert [n for _, n in clock.threads[:3]] == [2, 1, 2]
    assert len(clock.threads) < 100


def test_changes_are_written_down_where_they_happen():
    steps, clock = taken(lambda n, when: 0.01 if n == 1 else 0.02, 30)
    now = dict(clock.threads)
    number = now[0]
    for step, (_, n, _) in enumerate(steps):
        number = now.get(step, number)
        assert n == number


def test_more_threads_must_be_worth_it():
    assert faster({1: 1.0, 4: 0.8}) == 4
    assert faster({1: 1.0, 4: 0.95}) == 1
    assert faster({4: 0.95}) == 4


def steps_of(work, n):
    for step in range(n):
        work()
        yield Step(step + 1, 0.0, 0.0, {})


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_run_that_waited_for_processors_says_so(monkeypatch):
    monkeypatch.setattr("sansheng.pace.LONG", 0.2)
    pace = Pace(None)
    with threads(1):
        assert len(list(pace.watch(steps_of(lambda: time.sleep(0.05), 6)))) == 6
    (symptom,) = pace.symptoms()
    assert symptom.startswith("busy machine: training had ")
    alone = Pace(None)
    alone.seconds, alone.had, alone.could = 10.0, 19.0, 20.0
    assert alone.symptoms() == []


def test_what_happens_between_steps_is_no_part_of_them(monkeypatch):
    """Previews wait for the disk and for drawing: no training."""
    pace = Pace(None)
    with threads(1):
        for _ in pace.watch(steps_of(lambda: spin(0.02), 5)):
            time.sleep(0.1)
    assert pace.seconds < 0.5
    assert pace.had >= 0.1


def test_the_number_of_threads_changes_within_a_run():
    if torch.get_num_threads() < 2:
        pytest.skip("one processor")
    clock = Clock([(0, 0.0, 1e-6)], threads=[(0, 2)])
    with threads(2):
        pace = Pace(Threads(clock, 2))
        seen = [
            torch.get_num_threads()
            for _ in pace.watch(steps_of(lambda: time.sleep(0.03 if torch.get_num_threads() == 2 else 0.004), 500))
        ]
        assert set(seen) == {1, 2}
        assert seen[-1] == 1
