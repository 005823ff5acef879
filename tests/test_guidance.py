"""Guidance: the identities at scales 0, 1 and 2, what it does to Gaussians, and gaps filled as Bayes would."""

import pytest
import torch

from sansheng.guidance import autoguidance, classifier_free, conjugate_gradients, known_values
from sansheng.model import known_cells, known_means
from sansheng.paths import PATHS
from sansheng.samplers import heun, resampled

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
T = torch.tensor(0.4)


class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, x_t, t):
        self.calls += 1
        return self.function(x_t, t)


def pair():
    return Counted(lambda x, t: x * t + 1), Counted(lambda x, t: x.sin() - t)


def test_scale_zero_is_unconditional():
    c, u = pair()
    torch.testing.assert_close(classifier_free(c, u, 0.0)(X, T), u(X, T))


def test_scale_one_is_conditional_and_costs_one_evaluation():
    c, u = pair()
    torch.testing.assert_close(classifier_free(c, u, 1.0)(X, T), X * T + 1)
    assert (c.calls, u.calls) == (1, 0)


def test_scale_two_goes_as_far_again():
    c, u = pair()
    torch.testing.assert_close(classifier_free(c, u, 2.0)(X, T), 2 * (X * T + 1) - (X.sin() - T))
    assert (c.calls, u.calls) == (1, 1)


@pytest.mark.parametrize("scale", [0.5, 1.5, 4.0])
def test_guidance_is_affine_in_its_scale(scale):
    c, u = pair()
    zero, one = classifier_free(c, u, 0.0)(X, T), classifier_free(c, u, 1.0)(X, T)
    torch.testing.assert_close(classifier_free(c, u, scale)(X, T), (1 - scale) * zero + scale * one)


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guided_gaussians_of_one_width_are_a_gaussian_further_out(scale):
    """N(m, 1) for condition and N(0, 1) without: guided, the denoiser is that of N(w m, 1)."""
    alpha, sigma, m = 0.8, 0.6, 2.0

    def denoiser(mean):
        return lambda x, t: mean + alpha / (alpha**2 + sigma**2) * (x - alpha * mean)

    guided = classifier_free(denoiser(m), denoiser(0.0), scale)
    torch.testing.assert_close(guided(X, T), denoiser(scale * m)(X, T))


def test_autoguidance_goes_away_from_the_worse_model():
    good, bad = pair()
    torch.testing.assert_close(autoguidance(good, bad, 3.0)(X, T), 3 * good(X, T) - 2 * bad(X, T))
    assert autoguidance(good, bad, 1.0) is good


def test_autoguidance_sharpens_what_the_worse_model_blurs():
    """N(0, v) guided by N(0, v') of the same mean, v' > v, draws from a narrower Gaussian than N(0, v)."""
    path, wide, narrow = PATHS["cosine"](), 1.5, 1.0

    def denoiser(v):
        return lambda x, t: path.alpha(t) * v / (path.alpha(t) ** 2 * v + path.sigma(t) ** 2) * x

    x = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1))
    ends = [
        heun(denoise, path, x, path.times(40), torch.Generator()).var().item()
        for denoise in (denoiser(narrow), autoguidance(denoiser(narrow), denoiser(wide), 2.0))
    ]
    assert ends[0] == pytest.approx(narrow, rel=0.03)
    assert ends[1] < 0.9 * narrow


def test_known_values_replace_a_part_of_the_mean():
    keep = torch.tensor([True, False, True])
    informed = known_values(lambda x, t: x + t, PATHS["cosine"](), torch.full((4, 3), 7.0), lambda x: x * keep)
    found = informed(X, T)
    torch.testing.assert_close(found[:, keep], torch.full((4, 2), 7.0))
    torch.testing.assert_close(found[:, 1], X[:, 1] + T)


# -- what is not known, given what is ----------------------------------------------------------------------------

CORRELATION = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])


def fill(path, known, sampler, steps, n=20_000):
    """Draws of a correlated Gaussian whose first number is `known`."""

    def denoise(x_t, t):
        total = path.alpha(t) ** 2 * CORRELATION + path.sigma(t) ** 2 * torch.eye(3)
        return path.alpha(t) * x_t @ torch.linalg.solve(total, CORRELATION)

    times, told = path.times(steps), torch.tensor([known, 0.0, 0.0]).expand(n, 3)
    keep = lambda x: x * torch.tensor([1.0, 0.0, 0.0])  # noqa: E731
    generator = torch.Generator().manual_seed(0)
    x = path.alpha(times[0]) * keep(told) + path.sigma(times[0]) * torch.randn(n, 3, generator=generator)
    return sampler(known_values(denoise, path, told, keep), path, x, times, generator)


@pytest.mark.parametrize("name", ["cosine", "rectified", "edm"])
def test_filled_gaps_have_the_conditional_distribution(name):
    """x₂, x₃ | x₁ = k: mean C₂₁ k and covariance C₂₂ − C₂₁ C₁₂."""
    path, known = PATHS[name](), 1.5
    found = fill(path, known, heun, 40)
    assert torch.allclose(found[:, 0], torch.tensor(known), atol=1e-4)
    mean, rest = CORRELATION[1:, 0] * known, CORRELATION[1:, 1:] - torch.outer(CORRELATION[1:, 0], CORRELATION[0, 1:])
    assert torch.allclose(found[:, 1:].mean(0), mean, atol=0.03)
    assert torch.allclose(found[:, 1:].T.cov(), rest, atol=0.05)


def test_steps_taken_again_come_nearer_to_the_conditional_of_a_mixture():
    """Two bumps at (−1, −1) and (1, 1), and x₁ = 0.15 between them: the share of each is known."""
    path, centres, width, known = PATHS["cosine"](), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), 0.5, 0.15

    def denoise(x_t, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        v = alpha**2 * width**2 + sigma**2
        miss = x_t[:, None] - alpha * centres
        share = (-0.5 * miss.square().sum(2) / v).softmax(1)
        return (share[..., None] * (centres + alpha * width**2 / v * miss)).sum(1)

    upper = (-0.5 * (known - centres[:, 0]) ** 2 / width**2).softmax(0)[1].item()
    told, keep = torch.tensor([known, 0.0]).expand(4000, 2), lambda x: x * torch.tensor([1.0, 0.0])
    shares = []
    for rounds in (1, 8):
        generator, times = torch.Generator().manual_seed(0), path.times(32)
        x = path.alpha(times[0]) * keep(told) + path.sigma(times[0]) * torch.randn(4000, 2, generator=generator)
        ends = resampled(rounds)(known_values(denoise, path, told, keep), path, x, times, generator)
        shares.append((ends[:, 1] > 0).float().mean().item())
    assert abs(shares[1] - upper) < 0.06
    assert abs(shares[1] - upper) < 0.6 * abs(shares[0] - upper)


def test_conjugate_gradients_solve_in_as_many_steps_as_there_are_unknowns():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    matrix, target = root @ root.mT + torch.eye(3, dtype=torch.float64), torch.randn(5, 3, generator=generator).double()
    found = conjugate_gradients(lambda v: (matrix @ v[..., None])[..., 0], target, 3)
    torch.testing.assert_close((matrix @ found[..., None])[..., 0], target)


def test_conjugate_gradients_leave_what_is_not_positive():
    found = conjugate_gradients(lambda v: v * torch.tensor([[1.0], [-1.0]]), torch.ones(2, 4), 3)
    torch.testing.assert_close(found, torch.tensor([[1.0], [0.0]]).expand(2, 4))


def test_means_over_blocks_are_kept():
    known = known_means(torch.arange(32.0).view(1, 2, 4, 4), 2)
    part = known.keep(known.x)
    assert part[0, 0, 0, 0] == part[0, 0, 1, 1] == (0 + 1 + 4 + 5) / 4
    torch.testing.assert_close(known.keep(part), part)
    with pytest.raises(ValueError, match="do not divide positions of 4 x 4"):
        known_means(known.x, 3)


def test_single_cells_are_kept():
    mask = torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    known = known_cells(torch.ones(1, 2, 4, 4), mask)
    assert torch.equal(known.keep(known.x) == 1, mask)
