"""The two-sample test: no better than chance on equals, sure of what differs, not fooled by copies."""

import numpy as np
import pytest

from sansheng.metrics import twosample
from sansheng.metrics.twosample import hanley_mcneil, two_sample_auc


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gaussians(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    one, other = rng(seed).standard_normal((2, n, 4))
    return one, other


def test_one_distribution_is_told_apart_no_better_than_by_chance() -> None:
    values = [two_sample_auc(*gaussians(300, seed), rng(seed)).auc for seed in range(4)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.04)


def test_far_distributions_are_told_apart() -> None:
    real, fake = gaussians(200)
    assert two_sample_auc(real, fake + 5, rng()).auc > 0.999


def test_the_best_possible_auc_of_a_shift_is_nearly_reached() -> None:
    """Two unit Gaussians d apart: no classifier beats Φ(d / √2), here 0.855."""
    real, fake = gaussians(1500)
    assert 0.82 < two_sample_auc(real, fake + np.array([1.5, 0, 0, 0]), rng()).auc < 0.88


def test_replayed_rows_score_as_real_ones() -> None:
    """Were copies split between folds, the classifier would have learnt each fake's twin as real: AUC near 0."""
    real, _ = gaussians(300)
    assert two_sample_auc(real, rng(1).permutation(real), rng()).auc == pytest.approx(0.5, abs=0.01)


def test_equal_rows_share_a_fold_and_folds_are_balanced() -> None:
    """Repeats of a row must not be judged by a classifier that saw them."""
    pool = rng().standard_normal((100, 3))
    rows, is_real = np.concatenate([pool, pool, pool[:50], pool[:50]]), np.repeat([True, False], [200, 100])
    fold = twosample._folds(rows, is_real, rng(1))
    assert np.array_equal(fold[:100], fold[100:200])
    assert np.array_equal(fold[:50], fold[200:250])
    assert np.bincount(fold[is_real], minlength=5).tolist() == [40] * 5
    assert np.bincount(fold[~is_real], minlength=5).tolist() == [20] * 5


@pytest.mark.parametrize("values", [1, 5])
def test_a_collapsed_generator_is_found_out(values: int) -> None:
    real, _ = gaussians(300)
    fake = np.repeat(rng(1).standard_normal((values, 4)), 300 // values, axis=0)
    assert two_sample_auc(real, fake, rng()).auc > 0.99


def test_ten_rows_of_one_value_still_leave_both_kinds_to_every_classifier() -> None:
    assert two_sample_auc(np.arange(10.0)[:, None], np.full((10, 1), 3.5), rng()).n == 10
    assert two_sample_auc(np.zeros((10, 1)), np.zeros((10, 1)), rng()).auc == pytest.approx(0.5)


def test_cells_of_a_table_of_categories_are_compared_by_how_often_they_come() -> None:
    cells = np.eye(30)
    p, q = rng(1).dirichlet(np.ones(30), size=2)
    real, same, other = (cells[rng(seed).choice(30, 600, p=w)] for seed, w in ((2, p), (3, p), (4, q)))
    assert two_sample_auc(real, same, rng()).auc == pytest.approx(0.5, abs=0.07)
    best = sum(a * (q[p * q[i] < q * p[i]].sum() + 0.5 * q[i]) for i, a in enumerate(p))
    assert two_sample_auc(real, other, rng()).auc == pytest.approx(best, abs=0.05)


def test_no_more_rows_than_the_limit_and_as_many_of_each() -> None:
    real, fake = gaussians(300)
    assert two_sample_auc(real, fake[:70], rng()).n == 70
    assert two_sample_auc(real, fake, rng(), limit=50).n == 50


def test_same_generator_same_answer() -> None:
    real, fake = gaussians(150)
    assert two_sample_auc(real, fake, rng(7)) == two_sample_auc(real, fake, rng(7))


def test_hanley_mcneil_is_the_spread_of_simulated_areas() -> None:
    """Exponential scores, the model behind its eq. 2, at an area of 0.75 (odds of 3 to 1)."""
    draw, n = rng(5), 60
    high, low = draw.exponential(3, (2000, n, 1)), draw.exponential(1, (2000, 1, n))
    areas = (high > low).mean((1, 2))
    assert areas.mean() == pytest.approx(0.75, abs=0.005)
    assert hanley_mcneil(0.75, n, n) == pytest.approx(areas.std(), rel=0.05)
