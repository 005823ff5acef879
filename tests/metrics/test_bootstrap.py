"""Intervals hold what they say: simulated coverage, closed forms, and pooling over seeds."""

import numpy as np
import pytest
from scipy import stats

from sansheng.metrics.bootstrap import (
    bootstrap,
    normal_interval,
    pool,
    share_interval,
    subsample_interval,
    subsample_spread,
)
from sansheng.metrics.coverage import precision
from sansheng.metrics.distances import frechet


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean(x: np.ndarray) -> float:
    return float(x.mean())


def test_bootstrap_covers_a_mean_at_the_nominal_rate() -> None:
    draw = rng()
    found = [bootstrap(mean, draw.exponential(size=100), generator=draw, rounds=100) for _ in range(200)]
    assert np.mean([i.low <= 1 <= i.high for i in found]) == pytest.approx(0.93, abs=0.05)


def test_bootstrap_spread_is_the_standard_error() -> None:
    x = rng().standard_normal(400)
    found = bootstrap(mean, x, generator=rng(1), rounds=2000, level=0.9)
    assert found.value == mean(x)
    assert (found.high - found.low) / 2 == pytest.approx(1.645 * x.std() / 20, rel=0.07)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_subsamples_of_any_share_give_the_standard_error(share: float) -> None:
    x = rng().standard_normal(400)
    found = subsample_spread(mean, x, generator=rng(1), rounds=2000, share=share)
    assert found == pytest.approx(x.std(ddof=1) / 20, rel=0.06)


def test_spread_of_several_numbers_at_once_keeps_them_apart() -> None:
    x = rng().standard_normal((200, 2)) * [1, 10]
    both = subsample_spread(lambda rows: rows.mean(0), x, generator=rng(1), rounds=200)
    first = subsample_spread(lambda rows: rows[:, 0].mean(), x, generator=rng(1), rounds=200)
    assert both[0] == pytest.approx(float(first))
    assert both[1] / both[0] == pytest.approx(10, rel=0.3)


def test_frechet_interval_covers_at_the_nominal_rate() -> None:
    """From N(0, I) to N(1, I) in the plane it is 2; at 200 rows the bias is a small part of the spread."""
    draw = rng()
    found = [
        subsample_interval(
            frechet, draw.standard_normal((200, 2)), draw.standard_normal((200, 2)) + 1, generator=draw, rounds=20
        )
        for _ in range(100)
    ]
    assert 0.88 < np.mean([i.low <= 2 <= i.high for i in found]) < 1


def test_precision_interval_covers_at_the_nominal_rate() -> None:
    """What it estimates depends on n, so the target is the mean over fresh samples of that n."""
    draw = rng()

    def sample() -> tuple[np.ndarray, np.ndarray]:
        return draw.standard_normal((80, 2)), 2 * draw.standard_normal((80, 2))

    target = np.mean([precision(*sample()) for _ in range(150)])
    found = []
    for _ in range(60):
        pair = sample()
        spread = float(subsample_spread(precision, *pair, generator=draw, rounds=20))
        found.append(share_interval(precision(*pair), 80, spread))
    assert np.mean([i.low <= target <= i.high for i in found]) > 0.88


def test_normal_interval_is_two_standard_errors() -> None:
    assert normal_interval(3.0, 2.0) == pytest.approx((3, 3 - 2 * 1.959964, 3 + 2 * 1.959964))


@pytest.mark.parametrize("k", [0, 1, 17, 40])
def test_share_interval_is_wilsons(k: int) -> None:
    known = stats.binomtest(k, 40).proportion_ci(method="wilson")
    assert share_interval(k / 40, 40) == pytest.approx((k / 40, known.low, known.high))


def test_a_share_known_less_well_counts_as_fewer_rows() -> None:
    assert share_interval(0.5, 400, np.sqrt(0.25 / 100)) == share_interval(0.5, 100)
    assert share_interval(0.5, 400, 1e-6) == share_interval(0.5, 400)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none_of_rows_that_go_together_say_little(share: float) -> None:
    """Samples far from all data have one nearest row, so that copying is 0 or 1 by the fall of a coin."""
    one, many = share_interval(share, 400, 0.5), share_interval(share, 400)
    assert one.low < 0.5 < one.high
    assert many.high - many.low < 0.02
    assert share_interval(share, 400, 1e-6) == many


# -- seeds -----------------------------------------------------------------------------------------------------


def test_one_seed_keeps_its_interval() -> None:
    assert pool([(1.0, 0.5, 2.0)]) == (1.0, 0.5, 2.0)


def test_seeds_that_differ_are_pooled_by_students_t() -> None:
    """Exactly known values: the t interval of their mean."""
    values = np.array([1.0, 2.0, 4.0])
    known = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert pool([(v, v, v) for v in values]) == pytest.approx((values.mean(), *known))


def test_seeds_that_agree_share_the_noise_within_each() -> None:
    """Four equal values, each ± 1: had their noise been their own, they would differ."""
    assert pool([(3.0, 2.0, 4.0)] * 4) == pytest.approx((3.0, 2.0, 4.0), rel=1e-4)


@pytest.mark.parametrize("shared", [0.3, 0.5, 0.9])
def test_noise_that_seeds_share_is_not_averaged_away(shared: float) -> None:
    draw, hits = rng(), []
    for _ in range(500):
        noise = np.sqrt(shared) * draw.standard_normal() + np.sqrt(1 - shared) * draw.standard_normal(5)
        pooled = pool([tuple(normal_interval(v, 1.0)) for v in noise])
        hits.append(pooled.low <= 0 <= pooled.high)
    assert 0.92 < np.mean(hits) < 0.985


@pytest.mark.parametrize(("between", "within"), [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
def test_pooled_intervals_cover_at_the_nominal_rate(between: float, within: float) -> None:
    draw, hits = rng(), []
    for _ in range(500):
        values = between * draw.standard_normal(3) + within * draw.standard_normal(3)
        pooled = pool([tuple(normal_interval(v, within)) for v in values])
        hits.append(pooled.low <= 0 <= pooled.high)
    assert np.mean(hits) > 0.92


def test_what_no_interval_can_be_made_of_is_refused() -> None:
    x = np.arange(10.0)
    with pytest.raises(ValueError, match="no seeds"):
        pool([])
    with pytest.raises(ValueError, match="rounds must be at least 2"):
        bootstrap(mean, x, generator=rng(), rounds=1)
    with pytest.raises(ValueError, match="level in"):
        subsample_interval(mean, x, generator=rng(), level=1.0)
    with pytest.raises(ValueError, match=r"at least 2 rows; 0\.1 leaves 1"):
        subsample_spread(mean, x, generator=rng(), share=0.1)
