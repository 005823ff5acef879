"""Guidance wraps a denoiser and is a denoiser, so every sampler works with it unchanged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sansheng.paths import Path
from sansheng.samplers import Denoise


def classifier_free(conditional: Denoise, unconditional: Denoise, scale: float) -> Denoise:
    """D(∅) + w (D(c) − D(∅)) (Ho & Salimans 2022, eq. 6 with w = 1 + their w); w = 1 costs no second evaluation."""
    if scale == 1:
        return conditional

    return autoguidance(conditional, unconditional, scale)


def autoguidance(good: Denoise, bad: Denoise, scale: float) -> Denoise:
    """D_bad + w (D_good − D_bad) (Karras 2024, eq. 4): away from what a smaller or less trained model gets wrong."""
    if scale == 1:
        return good

    def guided(x_t: Tensor, t: Tensor) -> Tensor:
        base = bad(x_t, t)
        return base + scale * (good(x_t, t) - base)

    return guided


def known_values(
    denoise: Denoise, path: Path, known: Tensor, keep: Callable[[Tensor], Tensor], *, iterations: int = 3
) -> Denoise:
    """E[x | x_t, the part of x that `keep` projects on], by matching moments (Rozet 2024, eq. 14-18).

    D + V Aᵀ (A V Aᵀ)⁻¹ (y − A D) with A the projection, y the part of `known` and V = Cov[x | x_t] = (σ²/α) ∂D/∂x_t:
    exact if x given x_t is Gaussian. The equations are solved by `iterations` of conjugate gradients, each of which
    costs a product with the denoiser's transposed slope. The part itself is exactly that of `known`.
    """
    part = keep(known)

    def informed(x_t: Tensor, t: Tensor) -> Tensor:
        if path.alpha(t) < 1e-3:  # x_t says nothing of x yet, and its slope nothing of the covariance
            mean = denoise(x_t, t)
            return part + mean - keep(mean)
        with torch.enable_grad():
            leaf = x_t.detach().requires_grad_(True)
            mean = denoise(leaf, t)

        def covary(v: Tensor) -> Tensor:
            return path.sigma(t) ** 2 / path.alpha(t) * torch.autograd.grad(mean, leaf, v, retain_graph=True)[0]

        missed = part - keep(mean.detach())
        weights = conjugate_gradients(lambda v: keep(covary(keep(v))), missed, iterations)
        mean = mean.detach() + covary(keep(weights))
        return part + mean - keep(mean)

    return informed


def conjugate_gradients(apply: Callable[[Tensor], Tensor], target: Tensor, iterations: int) -> Tensor:
    """w with A w = target of each example, A symmetric and positive on the way (Hestenes & Stiefel 1952).

    An example whose A turns out not to be, as a network's may, keeps what it has.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.ndim - 1))

    w, rest, way = torch.zeros_like(target), target, target
    length = dot(rest, rest)
    going = torch.ones_like(length, dtype=torch.bool)
    for _ in range(iterations):
        image = apply(way)
        curve = dot(way, image)
        going = going & (curve > 1e-8 * dot(way, way))
        step = torch.where(going, length / curve.where(going, 1.0), 0.0)
        w, rest = w + step * way, rest - step * image
        shorter = dot(rest, rest)
        way, length = rest + shorter / length.clamp_min(1e-20) * way, shorter
    return w
