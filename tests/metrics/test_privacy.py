"""Attacks succeed on copies, and only as often as chance on fresh rows of the same population."""

import numpy as np
import pandas as pd
import pytest

from sansheng.metrics import privacy
from sansheng.metrics.bootstrap import Interval
from sansheng.metrics.privacy import Attacks
from sansheng.metrics.rows import RowSpace, keys
from sansheng.metrics.scores import score_privacy


def people(n: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    age = draw.gamma(9, 6, n)
    pressure = 90 + 0.6 * age + draw.normal(0, 12, n)
    ward = np.where(age + draw.normal(0, 10, n) > 55, "old", draw.choice(["a", "b"], n)).astype(object)
    ward[draw.random(n) < 0.1] = None
    ward = pd.Series(ward, dtype=object)
    count = draw.poisson(3, n)
    return pd.DataFrame({"age": age, "pressure": pressure, "ward": ward, "visits": count})


@pytest.fixture(autouse=True)
def few_predicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "PREDICATES", 800)


def within_three_errors(found: Interval, expected: float) -> bool:
    return abs(found.value - expected) < 3 * (found.high - found.low) / (2 * 1.96)


TRAIN, HELD_OUT = people(500, 0), people(500, 1)
ATTACKS = Attacks(TRAIN, HELD_OUT)


@pytest.mark.parametrize("seed", [2, 3])
def test_nothing_leaks_from_rows_that_never_saw_the_training_data(seed: int) -> None:
    found = ATTACKS.run(people(500, seed), np.random.default_rng(0))
    assert found.copies.exact.sum() == 0
    assert found.copies.near.mean() == pytest.approx(found.copies.held_out_near.mean(), abs=0.03)
    assert within_three_errors(found.membership, 0.5)
    assert within_three_errors(found.guesses.advantage, 0)
    assert within_three_errors(found.singling_out.advantage, 0)
    assert found.singling_out.n > 100


def test_everything_leaks_from_the_training_data_themselves() -> None:
    found = ATTACKS.run(TRAIN, np.random.default_rng(0))
    assert found.copies.exact.mean() == found.copies.near.mean() == 1
    assert found.copies.held_out_exact.sum() == 0
    assert found.membership.value > 0.95
    assert found.guesses.advantage.low > 10
    assert found.singling_out.train > 0.99
    assert found.singling_out.advantage.low > 30
    scores = score_privacy(found)
    assert list(scores) == ["copied", "near_copies", "membership", "attribute_inference", "singling_out"]
    assert all(s.low <= s.value <= s.high and s.better == "lower" for s in scores.values())


def test_copies_with_a_little_noise_are_near_and_not_exact() -> None:
    noisy = TRAIN.assign(age=TRAIN["age"] + 1e-6)
    found = ATTACKS.copies(noisy)
    assert found.exact.mean() == 0
    assert found.near.mean() > 0.95
    assert ATTACKS.membership(noisy)[0].low > 0.9


def test_the_most_suspicious_rows_come_first_with_their_originals() -> None:
    fresh = people(100, 4)
    fresh.iloc[17] = TRAIN.iloc[123]
    first, second = ATTACKS.suspects(fresh, 2)
    assert (first.fake, first.train, first.to_train) == (17, 123, 0)
    assert second.to_train > 0
    nearest = ATTACKS.space.points(ATTACKS.space.read(HELD_OUT.iloc[[first.held_out]]))
    made = ATTACKS.space.points(ATTACKS.space.read(fresh.iloc[[17]]))
    assert np.linalg.norm(nearest - made) == pytest.approx(first.to_held_out)


def test_the_same_rows_give_the_same_findings() -> None:
    once, again = (Attacks(TRAIN, HELD_OUT).run(people(200, 5), np.random.default_rng(1)) for _ in range(2))
    assert once.membership == again.membership
    assert once.singling_out == again.singling_out
    assert once.guesses == again.guesses


def test_one_odd_person_singled_out_by_many_predicates_is_one_person() -> None:
    many = np.array([[0, -1]] * 50)
    each = np.array([[i, -1] for i in range(50)])
    assert privacy._error_of_people(many, 60) == pytest.approx(100)
    assert privacy._error_of_people(each, 60) == pytest.approx(100 / np.sqrt(50))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="attacks need 4 rows of each kind, got 500 to train on, 3 held out"):
        Attacks(TRAIN, HELD_OUT[:3])
    with pytest.raises(ValueError, match="every column is an identifier"):
        Attacks(pd.DataFrame({"name": [f"n{i}" for i in range(9)]}), pd.DataFrame({"name": ["a"] * 9}))


# -- rows as points ----------------------------------------------------------------------------------------------


def test_distances_are_squares_of_ranks_and_one_for_another_level() -> None:
    space = RowSpace.fit(pd.DataFrame({"x": [0.0, 1, 2, 1000], "c": ["a", "a", "b", None]}))
    rows = pd.DataFrame({"x": [0.0, 1000, np.nan, 0, 0], "c": ["a", "a", "a", "b", None]})
    points = space.points(space.read(rows))
    squared = np.square(points - points[0]).sum(1)
    assert squared == pytest.approx([0, 0.75**2, 1 + (0.5 - 0.125) ** 2, 1, 1])
    assert np.square(points[3] - points[4]).sum() == pytest.approx(1)
    alone = space.points(space.read(rows), leave_out=0)
    assert np.square(alone - alone[0]).sum(1) == pytest.approx([0, 0, 0, 1, 1])


def test_levels_never_seen_are_one_level_of_their_own() -> None:
    space = RowSpace.fit(pd.DataFrame({"c": ["a", "b", "a"]}))
    points = space.points(space.read(pd.DataFrame({"c": ["a", "new", "newer", None]})))
    assert np.square(points - points[1]).sum(1) == pytest.approx([1, 0, 0, 1])


def test_names_of_people_are_left_out_and_numbers_agree_whatever_their_type() -> None:
    frame = pd.DataFrame({"id": [f"p{i}" for i in range(20)], "k": np.arange(20), "d": pd.Timestamp("2020-01-01")})
    assert RowSpace.fit(frame).names == ["k", "d"]
    assert keys(frame, ["k", "d"]) == keys(frame.assign(k=frame["k"].astype(float)), ["k", "d"])
    assert keys(pd.DataFrame({"x": [np.nan], "c": [None]}), ["x", "c"]) == [(None, None)]


def test_copies_are_looked_for_among_all_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "REFERENCE", 60)
    attacks, whole = Attacks(TRAIN, HELD_OUT), ATTACKS.copies(HELD_OUT)
    noisy = TRAIN.assign(age=TRAIN["age"] + 1e-6)
    assert attacks.copies(noisy).near.mean() > 0.95
    assert np.array_equal(attacks.copies(HELD_OUT).near, whole.near)
    assert [pair.train for pair in attacks.suspects(TRAIN.iloc[[70, 450]], 2)] == [70, 450]
