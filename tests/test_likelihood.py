"""Likelihoods with the exact denoiser of a known distribution, against its density."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from sansheng.likelihood import LEAST, flow_log_likelihood, variational_bound
from sansheng.paths import PATHS

ALL_PATHS = pytest.mark.parametrize("path", [kind() for kind in PATHS.values()], ids=list(PATHS))
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 0.8, 0.3], [0.0, 0.3, 1.2]], dtype=torch.float64)
MEAN = torch.tensor([0.5, -0.3, 0.0], dtype=torch.float64)
EXACT = MultivariateNormal(MEAN, COVARIANCE)
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
CENTRES = torch.tensor([-0.9, 0.6], dtype=torch.float64)
WIDTH = 0.4


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(path):
    """E[x | x_t] of the Gaussian above."""

    def denoise(x_t, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        total = alpha**2 * COVARIANCE + sigma**2 * torch.eye(3, dtype=torch.float64)
        return MEAN + alpha * (x_t - alpha * MEAN) @ torch.linalg.solve(total, COVARIANCE)

    return denoise


def mixture(path):
    """E[x | x_t] of a mixture of two Gaussians on the line."""

    def denoise(x_t, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        v = alpha**2 * WIDTH**2 + sigma**2
        miss = x_t[..., None] - alpha * CENTRES
        share = (WEIGHTS.log() - 0.5 * miss**2 / v).softmax(-1)
        return (share * (CENTRES + alpha * WIDTH**2 / v * miss)).sum(-1)

    return denoise


def density_of_mixture(x):
    """Blurred by what the flow begins with."""
    v = WIDTH**2 + math.exp(2 * LEAST)
    return (WEIGHTS.log() - 0.5 * (x - CENTRES) ** 2 / v - 0.5 * math.log(2 * math.pi * v)).logsumexp(-1)


@ALL_PATHS
def test_the_flow_has_the_density_of_a_gaussian(path):
    """Averaged over signs: with correlations one row of them gives the trace only on average."""
    x = MEAN + torch.randn(5, 3, generator=gen(), dtype=torch.float64)
    found = flow_log_likelihood(gaussian(path), path, x.repeat(4000, 1), gen(1), steps=96).view(4000, 5).mean(0)
    torch.testing.assert_close(found, EXACT.log_prob(x), atol=0.08, rtol=0)


@ALL_PATHS
def test_the_flow_has_the_density_of_a_mixture_and_gets_nearer_with_steps(path):
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    miss = [
        (flow_log_likelihood(mixture(path), path, x, gen(), steps=steps) - density_of_mixture(x)).abs().max().item()
        for steps in (24, 96)
    ]
    assert miss[1] < 0.025
    assert miss[1] < miss[0] / 3


@ALL_PATHS
@pytest.mark.parametrize("spread", [1.0, 0.5, 0.2])
def test_no_path_makes_data_likelier_than_another(path, spread):
    """At the default steps, of a Gaussian in one number: its blurred density to a hundredth of a nat."""

    def denoise(x_t, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        return alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * x_t

    v = spread**2 + math.exp(2 * LEAST)
    x = spread * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact = (-0.5 * x.square() / v - 0.5 * math.log(2 * math.pi * v)).squeeze(1)
    torch.testing.assert_close(flow_log_likelihood(denoise, path, x, gen()), exact, atol=0.01, rtol=0)


@ALL_PATHS
def test_the_bound_of_the_true_denoiser_is_tight(path):
    """With E[x | x_t] itself the variational bound is the likelihood, but for noise in the estimate."""
    x = torch.linspace(-1.5, 1.2, 5, dtype=torch.float64)[:, None]
    draws = [variational_bound(mixture(path), path, x, gen(seed), samples=100) for seed in range(20)]
    found, error = torch.stack(draws).mean(0), torch.stack(draws).std(0) / 20**0.5
    assert ((found - density_of_mixture(x)).abs() < 4 * error + 0.03).all()


def test_the_bound_of_a_wrong_denoiser_is_lower():
    path = PATHS["cosine"]()
    x = CENTRES[torch.arange(400) % 2, None] + WIDTH * torch.randn(400, 1, generator=gen(), dtype=torch.float64)
    right = variational_bound(mixture(path), path, x, gen(1), samples=64).mean()
    wrong = variational_bound(lambda x_t, t: 0.8 * mixture(path)(x_t, t), path, x, gen(1), samples=64).mean()
    assert wrong < right - 0.3
