"""Scores of series against what is known in closed form, and judges against data where the answer is known."""

import numpy as np
import pytest
from scipy import stats

from sansheng.metrics import score_series
from sansheng.metrics.judges import discriminate, min_max, prediction_errors
from sansheng.metrics.kernels import RandomKernels
from sansheng.metrics.series import (
    autocorrelation,
    continuous_ranked_probability,
    correlations,
    largest_gap,
    series_errors,
    stylised,
)


def autoregressive(n, length=24, memory=0.8, seed=0, channels=2):
    """AR(1) of unit variance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, length, channels))
    for t in range(1, length):
        x[:, t] = memory * x[:, t - 1] + np.sqrt(1 - memory**2) * x[:, t]
    return x


# -- closed forms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [-0.5, 0.0, 0.9])
def test_autocorrelation_of_a_first_order_process(memory):
    x = autoregressive(20000, memory=memory, channels=1)[:, :, 0]
    np.testing.assert_allclose(autocorrelation(x, 5), memory ** np.arange(1, 6), atol=0.02)


def test_autocorrelation_of_constant_rows_is_none():
    np.testing.assert_array_equal(autocorrelation(np.full((5, 8), 3.0), 4), 0)


def test_correlations_are_those_of_numpy():
    x = autoregressive(500, channels=3) @ np.array([[1, 0.5, 0], [0, 1, 2], [0, 0, 1.0]])
    np.testing.assert_allclose(correlations(x), np.corrcoef(x.reshape(-1, 3).T), atol=1e-10)


def test_largest_gap_is_the_kolmogorov_smirnov_distance():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(300).round(1), rng.standard_normal(200).round(1) + 0.3
    assert largest_gap(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_ranked_probability_of_a_normal_forecast():
    """σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π), Gneiting & Raftery 2007, eq. 21."""
    rng = np.random.default_rng(0)
    z = np.array([-1.0, 0.0, 2.0])
    expected = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    draws = rng.standard_normal((200_000, 1)).repeat(3, axis=1)
    np.testing.assert_allclose(continuous_ranked_probability(draws, z), expected, atol=0.01)


def test_ranked_probability_of_one_draw_is_the_error():
    np.testing.assert_allclose(continuous_ranked_probability(np.array([[3.0, -1.0]]), np.array([1.0, 1.0])), [2, 2])


def test_stylised_facts_of_a_random_walk_and_of_clustered_returns():
    rng = np.random.default_rng(0)
    calm = np.exp(np.cumsum(0.01 * rng.standard_normal((4000, 30)), axis=1))
    plain = stylised(calm)
    assert abs(plain.clustering) < 0.02
    assert abs(plain.leverage) < 0.02
    assert abs(plain.kurtosis) < 0.1
    spells = np.repeat(rng.choice([0.005, 0.03], (4000, 3)), 10, axis=1)
    rough = stylised(np.exp(np.cumsum(spells * rng.standard_normal((4000, 30)), axis=1)))
    assert rough.clustering > 0.2
    assert rough.kurtosis > 1


def test_drawdown_by_hand():
    prices = np.array([[100.0, 120, 60, 90], [10, 11, 12, 13]])
    assert stylised(prices).drawdown == pytest.approx((0.5 + 0) / 2)
    with pytest.raises(ValueError, match="above 0"):
        stylised(np.array([[1.0, 0.0]]))


def test_errors_are_nothing_of_the_same_windows_and_tell_memory_from_margins():
    x = autoregressive(3000)
    same = series_errors(x, x)
    assert (same.marginal, same.tails, same.autocorrelation, same.cross_correlation) == (0, 0, 0, 0)
    rng = np.random.default_rng(1)
    shuffled = rng.permuted(x, axis=1)
    forgot = series_errors(x, shuffled)
    assert forgot.marginal == 0
    assert forgot.autocorrelation > 0.2
    wide = series_errors(x, 2 * x)
    assert wide.autocorrelation < 1e-9
    assert wide.tails > 0.5
    mixed = series_errors(x, x @ np.array([[1, 0.7], [0, np.sqrt(1 - 0.49)]]))
    assert mixed.cross_correlation == pytest.approx(0.7, abs=0.03)


# -- judges ------------------------------------------------------------------------------------------------------


def test_scaling_is_by_the_real_windows():
    real, fake = min_max(np.array([[[0.0], [10.0]]]), np.array([[[5.0], [20.0]]]))
    np.testing.assert_allclose(real.ravel(), [0, 1])
    np.testing.assert_allclose(fake.ravel(), [0.5, 2])


def test_a_judge_guesses_between_alike_and_sees_a_drift():
    a, b = autoregressive(800, memory=0.95, seed=0), autoregressive(800, memory=0.95, seed=1)
    drift = b + np.linspace(-2, 2, 24)[:, None]
    how = {"seed": 0, "iterations": 200, "hidden": 16, "rate": 1e-2}
    assert discriminate(a, b, **how).score < 0.1
    assert discriminate(a, drift, **how).score > 0.35
    with pytest.raises(ValueError, match="10 windows"):
        discriminate(a[:5], b, **how)


def test_who_learnt_from_noise_predicts_worse():
    a, b = autoregressive(800, memory=0.95, seed=0), autoregressive(800, memory=0.95, seed=1)
    a[:, 1:, 1], b[:, 1:, 1] = a[:, :-1, 0], b[:, :-1, 0]  # the last channel follows the first
    noise = np.random.default_rng(2).permuted(b, axis=1)
    how = {"seed": 0, "iterations": 200, "rate": 1e-2}
    good, bad = prediction_errors(a, b, **how), prediction_errors(a, noise, **how)
    assert good.shape == (800,)
    assert good.mean() < 0.6 * bad.mean()


# -- features ----------------------------------------------------------------------------------------------------


def test_random_kernels_tell_memory_apart_and_are_drawn_from_a_seed():
    smooth, rough = autoregressive(400, memory=0.95, seed=0), autoregressive(400, memory=0.2, seed=1)
    both, labels = np.concatenate([smooth, rough]), np.repeat(["smooth", "rough"], 400)
    kernels = RandomKernels(both, labels, seed=0)
    fresh = np.concatenate([autoregressive(200, memory=0.95, seed=2), autoregressive(200, memory=0.2, seed=3)])
    named = kernels.classes[kernels.predict(fresh)]
    assert (named == np.repeat(["smooth", "rough"], 200)).mean() > 0.97
    np.testing.assert_array_equal(kernels(fresh), RandomKernels(both, seed=0)(fresh))
    assert np.isfinite(kernels(fresh)).all()
    with pytest.raises(ValueError, match="labels"):
        RandomKernels(both, seed=0).predict(fresh)


def test_windows_that_were_each_standardized_may_be_a_hair_off():
    def standardized(*args, **kwargs):
        x = autoregressive(*args, **kwargs)
        return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)

    train = np.concatenate([standardized(200, memory=0.95, seed=0), standardized(200, memory=0.2, seed=1)])
    kernels = RandomKernels(train, np.repeat([0, 1], 200), seed=0)
    fresh = np.concatenate([standardized(200, memory=0.95, seed=2), standardized(200, memory=0.2, seed=3)])
    off = fresh * 1.01 + 0.01
    assert (kernels.predict(off) == np.repeat([0, 1], 200)).mean() > 0.95
    assert np.abs(kernels(off) - kernels(fresh)).max() < 1


def test_features_of_windows_with_gaps_and_of_two_steps():
    x = autoregressive(60, length=2)
    x[0, 0, 0] = np.nan
    assert np.isfinite(RandomKernels(x, seed=0)(x)).all()


# -- all of them -------------------------------------------------------------------------------------------------


def test_scores_of_series_have_their_directions_and_intervals():
    real = np.exp(np.cumsum(0.02 * autoregressive(400, memory=0.0), axis=1))
    fake = np.exp(np.cumsum(0.05 * autoregressive(400, memory=0.0, seed=1), axis=1))
    good = score_series(real[:200], real[200:], generator=np.random.default_rng(0), prices=[0, 1])
    bad = score_series(real, fake, generator=np.random.default_rng(0), prices=[0, 1])
    for name in ("discriminative", "marginal_error", "tail_error", "drawdown_error"):
        assert bad[name].value > good[name].value, name
    assert all(s.low <= s.value <= s.high and s.better == "lower" for s in (good | bad).values())
    one = score_series(real[:, :, :1], real[:, :, :1], generator=np.random.default_rng(0))
    assert "cross_error" not in one
    assert "clustering_error" not in one


def test_gaps_change_no_memory_and_no_correlation():
    whole = autoregressive(4000, seed=3)
    whole[:, :, 1] += whole[:, :, 0]
    holes = np.where(np.random.default_rng(0).random(whole.shape) < 0.4, np.nan, whole)
    np.testing.assert_allclose(autocorrelation(holes[:, :, 0]), autocorrelation(whole[:, :, 0]), atol=0.02)
    np.testing.assert_allclose(correlations(holes), correlations(whole), atol=0.02)
