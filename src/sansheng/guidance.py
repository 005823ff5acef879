"""Guidance wraps a denoiser and is a denoiser, so every sampler works with it unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


Covariance = Callable[[Tensor], Tensor | None]
"""t -> the covariance of x given x_t, ``(C, C)``, averaged over x_t, for what has no positions; None where the slope of
the denoiser tells it better. Of much noise a network's slope says little: σ²/α multiplies its faults."""


def slope_only(t: Tensor) -> Tensor | None:
    """No covariance but that of the denoiser's slope."""
    return None


def average_covariance(
    denoise: Denoise, path: Path, draws: Tensor, generator: torch.Generator, *, least: float = 0.0
) -> Covariance:
    """E[(x − D)(x − D)ᵀ] over `draws` of x ``(N, C)``, noised to t, wherever σ > `least` α."""
    found: dict[float, Tensor] = {}

    def covariance(t: Tensor) -> Tensor | None:
        alpha, sigma = path.alpha(t), path.sigma(t)
        if sigma <= least * alpha:
            return None
        if float(t) not in found:
            z = torch.randn(draws.shape, generator=generator, device=draws.device)
            with torch.no_grad():
                missed = draws - denoise(alpha * draws + sigma * z, t)
            found[float(t)] = missed.T @ missed / len(draws)
        return found[float(t)]

    return covariance


def known_values(
    denoise: Denoise,
    path: Path,
    known: Tensor,
    keep: Callable[[Tensor], Tensor],
    *,
    iterations: int = 3,
    average: Covariance = slope_only,
) -> Denoise:
    """E[x | x_t, the part of x that `keep` projects on], by matching moments (Rozet 2024, eq. 14-18).

    D + V Aᵀ (A V Aᵀ)⁻¹ (y − A D) with A the projection, y the part of `known` and V = Cov[x | x_t] = (σ²/α) ∂D/∂x_t,
    or its `average`: exact if x given x_t is Gaussian. The equations are solved by `iterations` of conjugate gradients,
    each of which costs a product with the denoiser's transposed slope. The part itself is exactly that of `known`.
    """
    part = keep(known)

    def informed(x_t: Tensor, t: Tensor) -> Tensor:
        usual = average(t)
        if usual is not None:
            mean = denoise(x_t, t)
            return solved(mean, lambda v: v @ usual, 2 * iterations)
        if path.alpha(t) < 1e-3:  # x_t says nothing of x yet, and its slope nothing of the covariance
            mean = denoise(x_t, t)
            return part + mean - keep(mean)
        with torch.enable_grad():
            leaf = x_t.detach().requires_grad_(True)
            mean = denoise(leaf, t)

        def covary(v: Tensor) -> Tensor:
            return path.sigma(t) ** 2 / path.alpha(t) * torch.autograd.grad(mean, leaf, v, retain_graph=True)[0]

        return solved(mean.detach(), covary, iterations)

    def solved(mean: Tensor, covary: Callable[[Tensor], Tensor], iterations: int) -> Tensor:
        missed = part - keep(mean)
        weights = conjugate_gradients(lambda v: keep(covary(keep(v))), missed, iterations)
        mean = mean + covary(keep(weights))
        return part + mean - keep(mean)

    return informed


def confined(
    denoise: Denoise,
    path: Path,
    numbers: Sequence[int],
    spread: Tensor,
    log_chance: Callable[[Tensor, Tensor], Tensor],
    *,
    average: Covariance = slope_only,
) -> Denoise:
    """E[x | x_t, x lies in a set] = D + (σ²/α) ∇ log p(set | x_t), Tweedie's formula with Bayes' (Dhariwal 2021).

    log_chance: (D, variances) -> log p(set), ``(B,)``. The probability of a symbol is D's own, so the formula is exact
    there; a number, of the channels `numbers`, is taken for a Gaussian of variance V = (σ²/α) ∂D/∂x_t, as in
    `known_values`, or of `average` V, which is exact where data are Gaussian. spread: the standard deviation of the
    data, which bounds that variance.
    """
    chosen = list(numbers)

    def informed(x_t: Tensor, t: Tensor) -> Tensor:
        usual = average(t)
        if usual is None and path.alpha(t) < 1e-3:  # x_t says nothing of x yet
            return denoise(x_t, t)
        nested = x_t.requires_grad  # somebody else wants the slope of D
        with torch.enable_grad():
            leaf = x_t if nested else x_t.detach().requires_grad_(True)
            mean = denoise(leaf, t)
        gain = path.sigma(t) ** 2 / path.alpha(t).clamp_min(1e-3)
        if usual is None:
            variance = _variances(mean, leaf, gain, chosen, _usual_variance(path, t, spread))
        else:
            variance = usual.diagonal().expand_as(mean)
        guess = mean.detach().requires_grad_(True)
        with torch.enable_grad():
            (way,) = torch.autograd.grad(log_chance(guess, variance).sum(), guess)
        pull = torch.zeros_like(guess)
        if usual is not None:
            pull = way[:, chosen] @ usual[chosen]
            way = way.index_fill(1, torch.tensor(chosen, dtype=torch.long, device=way.device), 0.0)
        if bool(way.any()) and path.alpha(t) >= 1e-3:
            pull = pull + gain * torch.autograd.grad(mean, leaf, way, retain_graph=nested)[0]
        return (mean if nested else mean.detach()) + pull

    return informed


def _usual_variance(path: Path, t: Tensor, spread: Tensor) -> Tensor:
    """Var[x | x_t] of Gaussian data of standard deviation `spread`."""
    return (path.sigma(t) * spread) ** 2 / ((path.alpha(t) * spread) ** 2 + path.sigma(t) ** 2)


def _variances(mean: Tensor, leaf: Tensor, gain: Tensor, numbers: Sequence[int], usual: Tensor) -> Tensor:
    """Var[x | x_t] of the channels `numbers` by the slope of the mean, not too far from the usual; usual elsewhere."""
    variance = usual.expand_as(mean).clone()
    for channel in numbers:
        with torch.enable_grad():
            total = mean[:, channel].sum()
        slope = torch.autograd.grad(total, leaf, retain_graph=True)[0][:, channel]
        most = usual.expand_as(mean)[:, channel]
        variance[:, channel] = (gain * slope).clamp(min=1e-2 * most, max=4 * most)
    return variance


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
