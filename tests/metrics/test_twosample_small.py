"""The two-sample test of few rows: what differs is told apart, what does not is told apart no better than by chance."""

import numpy as np
import pytest

from sansheng.metrics import twosample
from sansheng.metrics.twosample import two_sample_auc


def drawn(n: int, seed: int, apart: float = 0.0) -> float:
    """AUC of n rows of eight numbers and as many whose means are so far apart."""
    rng = np.random.default_rng([n, seed])
    real, fake = rng.standard_normal((2, n, 8))
    return two_sample_auc(real, fake + apart, rng).auc


@pytest.mark.parametrize("n", [10, 12, 20, 24, 40])
def test_few_rows_that_lie_far_apart_are_told_apart(n: int) -> None:
    assert drawn(n, 0, 100.0) > 0.97  # of 64 values two share one of 63 bins


def test_the_worse_of_two_small_samples_scores_worse() -> None:
    near, far = (np.mean([drawn(16, seed, apart) for seed in range(4)]) for apart in (0.5, 2.0))
    assert far > 0.9
    assert near < far - 0.1


@pytest.mark.parametrize(("n", "times"), [(10, 24), (20, 16), (40, 8)])
def test_few_rows_of_one_distribution_are_told_apart_no_better_than_by_chance(n: int, times: int) -> None:
    """One AUC of ten rows has a standard error of 0.13. Folds make it a little less than a half: a classifier that
    holds out more of one kind has learnt from less of it."""
    found = np.mean([drawn(n, seed) for seed in range(times)])
    assert 0.42 < found < 0.55


def test_what_a_leaf_holds_at_least_is_that_of_many_rows_from_a_hundred_on() -> None:
    """Figures of large data stay what they were with scikit-learn's own smallest leaf, 20."""
    assert [twosample._few(n) for n in (10, 12, 25, 50, 99, 100, 2000)] == [2, 2, 5, 10, 19, 20, 20]
    assert twosample._judge(0, twosample._few(100)).get_params()["min_samples_leaf"] == 20
