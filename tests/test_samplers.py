"""Samplers with the exact denoiser of a known distribution, so that their error is their own and its order measured.

In one dimension the probability-flow ODE moves quantiles to quantiles, so the exact end of every trajectory is known
in closed form: x₀ = F₀⁻¹(F_t(x_t)), whatever the path.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from sansheng.paths import EDM, PATHS, Rectified, sampling_times
from sansheng.samplers import (
    SAMPLERS,
    adams,
    ancestral,
    churned,
    dpmpp_2m,
    dpmpp_2m_sde,
    euler,
    evaluations,
    heun,
    resampled,
)

ALL_PATHS = pytest.mark.parametrize("path", [kind() for kind in PATHS.values()], ids=list(PATHS))
DETERMINISTIC = pytest.mark.parametrize("sampler", [euler, heun, adams, dpmpp_2m])
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
MEANS = torch.tensor([-1.0, 0.8], dtype=torch.float64)
WIDTHS = torch.tensor([0.6, 0.4], dtype=torch.float64)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def mixture_denoiser(path):
    """E[x | x_t] of the mixture of Gaussians above."""

    def denoise(x_t, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        v = alpha**2 * WIDTHS**2 + sigma**2
        miss = x_t[..., None] - alpha * MEANS
        share = (WEIGHTS.log() - 0.5 * v.log() - 0.5 * miss**2 / v).softmax(-1)
        return (share * (MEANS + alpha * WIDTHS**2 / v * miss)).sum(-1)

    return denoise


def cdf(x, alpha, sigma):
    """F_t of the mixture along a path."""
    w, m, s = (a.numpy() for a in (WEIGHTS, MEANS, WIDTHS))
    return (w * norm.cdf((x[..., None] - alpha * m) / np.sqrt((alpha * s) ** 2 + sigma**2))).sum(-1)


def exact_end(path, times, x_t):
    """F_s⁻¹(F_t(x_t)) for the first and the last of `times`, by bisection."""
    (alpha_t, alpha_s), (sigma_t, sigma_s) = path.alpha(times[[0, -1]]).tolist(), path.sigma(times[[0, -1]]).tolist()
    target = cdf(x_t.numpy(), alpha_t, sigma_t)
    low, high = np.full_like(target, -50.0), np.full_like(target, 50.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = cdf(middle, alpha_s, sigma_s) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return torch.from_numpy((low + high) / 2)


def start_of(path, t):
    """Points from about the 5 % to the 95 % quantile of x_t."""
    mean = (path.alpha(t) * (WEIGHTS * MEANS).sum()).item()
    spread = math.sqrt(path.alpha(t).item() ** 2 + path.sigma(t).item() ** 2)
    return mean + spread * torch.linspace(-1.6, 1.6, 33, dtype=torch.float64)[:, None]


def even_in_log_noise(path, steps):
    """Times at which ln(σ/α) falls evenly from 3 to −3."""
    return path.time(torch.linspace(3, -3, steps + 1, dtype=torch.float64))


def own_times(path, steps):
    return path.times(steps).double()


def error(sampler, path, times):
    x = start_of(path, times[0])
    end = sampler(mixture_denoiser(path), path, x, times, gen())
    return (end - exact_end(path, times, x)).square().mean().sqrt().item()


def order(sampler, path, grid, steps=64):
    """The slope of ln(error) over ln(1/steps), from two doublings."""
    return math.log2(error(sampler, path, grid(path, steps)) / error(sampler, path, grid(path, 4 * steps))) / 2


@ALL_PATHS
def test_euler_is_of_first_order(path):
    assert order(euler, path, even_in_log_noise) == pytest.approx(1, abs=0.1)


@ALL_PATHS
@pytest.mark.parametrize("sampler", [heun, dpmpp_2m])
def test_second_order_samplers_are(path, sampler):
    assert order(sampler, path, even_in_log_noise) == pytest.approx(2, abs=0.15)


@ALL_PATHS
def test_adams_is_of_fourth_order(path):
    assert order(adams, path, even_in_log_noise, steps=128) == pytest.approx(4, abs=0.25)


@pytest.mark.parametrize("name", ["rectified", "cosine", "edm"])
def test_order_holds_all_the_way_from_noise_to_data(name):
    """Not for vp, whose σ starts as √t: even times near 0 leave a last step of order 1 to every sampler."""
    path = PATHS[name]()
    assert order(euler, path, own_times) == pytest.approx(1, abs=0.1)
    assert order(heun, path, own_times) == pytest.approx(2, abs=0.1)


@ALL_PATHS
@pytest.mark.parametrize("sampler", [heun, adams, dpmpp_2m])
def test_higher_order_pays_all_the_way(path, sampler):
    """Less error than Euler at the same number of evaluations."""
    calls = 64
    steps = calls // 2 if sampler is heun else calls
    assert error(sampler, path, own_times(path, steps)) < error(euler, path, own_times(path, calls)) / 2


@ALL_PATHS
@DETERMINISTIC
def test_point_data_is_reached_exactly(path, sampler):
    point = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    x = path.sigma(torch.ones(())) * torch.randn(5, 2, generator=gen(), dtype=torch.float64)
    end = sampler(lambda x_t, t: point.expand_as(x_t), path, x, path.times(4).double(), gen())
    torch.testing.assert_close(end, point.expand(5, 2), atol=1e-8, rtol=0)


@ALL_PATHS
def test_ancestral_ends_at_point_data(path):
    point = torch.tensor([[0.3, -0.7]])
    x = path.sigma(torch.ones(())) * torch.randn(5, 2, generator=gen())
    end = ancestral(lambda x_t, t: point.expand_as(x_t), path, x, path.times(4), gen())
    torch.testing.assert_close(end, point.expand(5, 2), atol=1e-5, rtol=0)


@ALL_PATHS
def test_ancestral_gives_the_right_mean_and_variance(path):
    n, steps = 20_000, 200
    times = path.times(steps).double()
    x = path.sigma(times[0]) * torch.randn(n, 1, generator=gen(1), dtype=torch.float64)
    end = ancestral(mixture_denoiser(path), path, x, times, gen(2))
    mean = (WEIGHTS * MEANS).sum().item()
    variance = (WEIGHTS * (WIDTHS**2 + MEANS**2)).sum().item() - mean**2
    assert end.mean().item() == pytest.approx(mean, abs=0.03)
    assert end.var().item() == pytest.approx(variance, rel=0.06)


@ALL_PATHS
def test_ancestral_step_draws_from_the_posterior_of_bayes(path):
    """q(x_s | x_t, x): prior N(α_s x, σ_s²) times likelihood N(x_t; r x_s, σ_t² − r² σ_s²)."""
    n, clean = 100_000, 0.8
    t, s = torch.tensor(0.6, dtype=torch.float64), torch.tensor(0.45, dtype=torch.float64)
    x_t = path.alpha(t) * clean + path.sigma(t) * 0.5
    r = path.alpha(t) / path.alpha(s)
    v = path.sigma(t) ** 2 - r**2 * path.sigma(s) ** 2
    variance = 1 / (1 / path.sigma(s) ** 2 + r**2 / v)
    mean = variance * (path.alpha(s) * clean / path.sigma(s) ** 2 + r * x_t / v)
    x = ancestral(
        lambda x_t, t: torch.full_like(x_t, clean), path, x_t.expand(n, 1).clone(), torch.stack([t, s]), gen()
    )
    assert abs(x.mean() - mean) < 5 * (variance / n).sqrt()
    assert x.var().item() == pytest.approx(variance.item(), rel=5 * math.sqrt(2 / n))


@ALL_PATHS
def test_churned_converges_to_the_distribution_with_second_order(path):
    """Root mean square distance between sorted ends and the quantiles of x_s, from starts with the law of x_t."""
    n, w, m, s = 40_000, WEIGHTS.numpy(), MEANS.numpy(), WIDTHS.numpy()
    which = (torch.arange(n) >= 0.3 * n).long()
    clean = (MEANS[which] + WIDTHS[which] * torch.randn(n, generator=gen(4), dtype=torch.float64))[:, None]
    miss = []
    for steps in (12, 24):
        times = even_in_log_noise(path, steps)
        start = path.alpha(times[0]) * clean + path.sigma(times[0]) * torch.randn(n, 1, generator=gen(1)).double()
        end = churned(mixture_denoiser(path), path, start, times, gen(2)).flatten().sort().values.numpy()
        alpha, sigma = path.alpha(times[-1]).item(), path.sigma(times[-1]).item()
        grid = np.linspace(-4, 4, 4001)
        law = (w * norm.cdf((grid[:, None] - alpha * m) / np.sqrt((alpha * s) ** 2 + sigma**2))).sum(-1)
        miss.append(np.sqrt(np.square(end - np.interp((np.arange(n) + 0.5) / n, law, grid)).mean()))
    assert miss[1] < 0.03
    assert miss[1] < max(miss[0] / 2.4, 0.015)  # as near as 40,000 draws come


def end_variance(sampler, path, steps, monkeypatch):
    """Variance at the last time of what a sampler makes of N(0, v) data, in closed form.

    With that denoiser, linear in x_t, the end is A x + Σ bᵢ zᵢ: A and the bᵢ are read off with units for x and zᵢ.
    """
    v, calls = 0.49, []
    times = even_in_log_noise(path, steps)
    rows = steps + 1

    def unit(shape, **_):
        calls.append(1)
        return torch.eye(rows, dtype=torch.float64)[:, len(calls), None].clone()

    def denoise(x_t, t):
        return path.alpha(t) * v / (path.alpha(t) ** 2 * v + path.sigma(t) ** 2) * x_t

    monkeypatch.setattr(torch, "randn", unit)
    spread = (path.alpha(times[0]) ** 2 * v + path.sigma(times[0]) ** 2).sqrt()
    start = torch.eye(rows, dtype=torch.float64)[:, 0, None] * spread
    end = sampler(denoise, path, start, times, gen())
    monkeypatch.undo()
    exact = path.alpha(times[-1]) ** 2 * v + path.sigma(times[-1]) ** 2
    return abs(end.square().sum().item() / exact.item() - 1)


@ALL_PATHS
@pytest.mark.parametrize(("sampler", "wanted"), [(ancestral, 1), (churned, 2), (dpmpp_2m_sde, 2)])
def test_the_law_of_stochastic_samplers_has_their_order(path, sampler, wanted, monkeypatch):
    """Weak order, by the variance of the ends, which needs no draws."""
    few, many = (end_variance(sampler, path, steps, monkeypatch) for steps in (128, 512))
    assert math.log2(few / many) / 2 == pytest.approx(wanted, abs=0.15)


def test_taking_steps_again_does_not_change_the_distribution():
    path = PATHS["cosine"]()
    x = path.sigma(torch.ones(())) * torch.randn(20_000, 1, generator=gen(1), dtype=torch.float64)
    end = resampled(3)(mixture_denoiser(path), path, x, path.times(60).double(), gen(2))
    mean = (WEIGHTS * MEANS).sum().item()
    variance = (WEIGHTS * (WIDTHS**2 + MEANS**2)).sum().item() - mean**2
    assert end.mean().item() == pytest.approx(mean, abs=0.04)
    assert end.var().item() == pytest.approx(variance, rel=0.08)


def test_euler_on_the_straight_path_follows_the_velocity():
    x = torch.randn(6, 3, generator=gen())
    t, s = torch.tensor(0.7), torch.tensor(0.5)
    velocity = (x - x.tanh()) / t
    end = euler(lambda x_t, t: x_t.tanh(), Rectified(), x, torch.stack([t, s]), gen())
    torch.testing.assert_close(end, x + (s - t) * velocity)


def trapezoid(denoise, x, sigmas):
    """Karras 2022, alg. 1: d = (x − D)/σ, averaged over both ends of a step."""
    path = EDM()
    for sigma, to in zip(sigmas[:-1], sigmas[1:], strict=True):
        d = (x - denoise(x, sigma / path.sigma_max)) / sigma
        following = x + (to - sigma) * d
        if to > 0:
            d2 = (following - denoise(following, to / path.sigma_max)) / to
            following = x + (to - sigma) * (d + d2) / 2
        x = following
    return x


def test_heun_does_the_same_on_every_path():
    """From the same noise σ/α to the same, x/α goes the same way."""
    ratios = torch.tensor([30.0, 4.0, 0.9, 0.2], dtype=torch.float64)
    paths = [EDM(), Rectified(), PATHS["cosine"](), PATHS["vp"]()]
    ends = []
    for path in paths:
        times = path.time(ratios.log())
        start = path.alpha(times[0]) * start_of(EDM(), ratios[0] / EDM().sigma_max)
        ends.append(heun(mixture_denoiser(path), path, start, times, gen()) / path.alpha(times[-1]))
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [6, 10, 18])
def test_heun_errs_less_than_where_noise_itself_is_stepped(steps):
    path = EDM()
    times = path.times(steps).double()
    start = start_of(path, times[0])
    truth = exact_end(path, times, start)
    ours = heun(mixture_denoiser(path), path, start, sampling_times(path, "heun", steps).double(), gen())
    theirs = trapezoid(mixture_denoiser(path), start, path.sigma(times))
    assert (ours - truth).abs().mean() < (theirs - truth).abs().mean() / 3


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_evaluations_are_counted_right(name, steps):
    calls = []

    def denoise(x_t, t):
        calls.append(t.item())
        return 0.5 * x_t

    SAMPLERS[name](denoise, Rectified(), torch.ones(1, 1), Rectified().times(steps), gen())
    assert len(calls) == evaluations(name, steps)
    assert min(calls) > 0  # never at σ = 0, where ẑ = (x_t − α D)/σ is not defined


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_functions_of_their_arguments(name):
    path = Rectified()
    x = torch.randn(3, 2, generator=gen())

    def run(seed):
        return SAMPLERS[name](lambda x_t, t: 0.5 * x_t, path, x.clone(), path.times(5), gen(seed))

    assert torch.equal(run(1), run(1))
    assert torch.equal(run(1), run(2)) == (SAMPLERS[name] not in (ancestral, churned, dpmpp_2m_sde))


def test_names_of_the_field_are_the_same_samplers():
    assert SAMPLERS["ddim"] is SAMPLERS["euler"]
    assert SAMPLERS["ddpm"] is SAMPLERS["ancestral"]
