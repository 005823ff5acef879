"""Classifier-free guidance: the identities at scales 0, 1 and 2, and what it does to a Gaussian."""

import pytest
import torch

from sansheng.guidance import classifier_free

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
