"""How likely a diffusion or a flow finds data: exactly, along its probability flow, and by the variational bound.

Along dx = D dα + ẑ dσ, ẑ = (x − αD)/σ, the divergence needs only the trace of ∂D/∂x. The way is walked in y = x/(α+σ)
by q = σ/(α+σ), on which dy = (ẑ − D) dq whatever the path: where α stays 1 and σ grows, a rule for x itself finds too
little room for the noise, and data too likely. The trace is estimated with random signs v as vᵀ(∂D/∂x)v (Hutchinson
1989; Grathwohl 2019), which makes log p₀(y) = log p₁(y₁) + ∫ divergence exact on average (Song 2021, eq. 39).

The one constraint: numbers alone. What comes out is a density of the numbers as given; for pixels in [−1, 1] of 256
levels the bits per dimension of the literature are its bits per dimension plus log₂ 127.5.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sansheng.denoiser import Denoiser, NoisePredictor
from sansheng.model import Batch, given
from sansheng.paths import Path
from sansheng.samplers import Denoise
from sansheng.space import Real, Space

FLOW_STEPS = 64
LEAST, MOST = -4.0, 5.0
"""ln(σ/α) where the flow begins, the data being blurred by this share of their spread, and where it ends."""


def flow_log_likelihood(
    denoise: Denoise, path: Path, x: Float[Tensor, "B C *P"], generator: torch.Generator, *, steps: int = FLOW_STEPS
) -> Float[Tensor, " B"]:
    """log p(x) of the flow that `denoise` defines, ``(B,)`` [nats], by Heun's rule, `steps` steps even in ln(σ/α).

    The trace is estimated with one row of signs for each example, the same along its whole way.
    """
    signs = torch.randint(0, 2, x.shape, generator=generator, device=x.device).to(x) * 2 - 1
    times = path.time(torch.linspace(LEAST, MOST, steps + 1, dtype=torch.float64)).to(x)
    alpha, sigma = path.alpha(times), path.sigma(times)
    scale, q = alpha + sigma, sigma / (alpha + sigma)
    y, total = (1 - q[0]) * x, torch.zeros(len(x), device=x.device, dtype=x.dtype)
    volume = x[0].numel() * (1 - q[0]).log()
    for k in range(steps):
        step = q[k + 1] - q[k]
        slope, rate = _rates(denoise, path, scale[k] * y, times[k], signs)
        slope_t, rate_t = _rates(denoise, path, scale[k + 1] * (y + step * slope), times[k + 1], signs)
        y = y + step * (slope + slope_t) / 2
        total = total + step * (scale[k] * rate + scale[k + 1] * rate_t) / 2
    variance = (1 - q[-1]) ** 2 + q[-1] ** 2  # coordinates have a spread of about 1
    last = -0.5 * (y.square() / variance + variance.log() + math.log(2 * math.pi)).flatten(1).sum(1)
    return last + total + volume


def variational_bound(
    denoise: Denoise, path: Path, x: Float[Tensor, "B C *P"], generator: torch.Generator, *, samples: int
) -> Float[Tensor, " B"]:
    """A lower bound on log p(x), ``(B,)`` [nats], estimated without bias from `samples` noise levels (Kingma 2021).

    −∫ e^(−2ℓ) E|x − D|² dℓ over ℓ = ln(σ/α), less how far the noisiest x is from N(0, I) and what telling x from the
    least noisy one costs.
    """
    d, total = x[0].numel(), torch.zeros(len(x), device=x.device, dtype=x.dtype)
    shift = torch.rand((), generator=generator, device=x.device)
    for k in range(samples):
        level = LEAST + (MOST - LEAST) * (k + shift) / samples
        t = path.time(level.double()).to(x)
        z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        missed = x - denoise(path.alpha(t) * x + path.sigma(t) * z, t)
        total = total + (-2 * level).exp() * missed.square().flatten(1).sum(1)
    integral = (MOST - LEAST) * total / samples
    telling = d * (LEAST + 0.5 * math.log(2 * math.pi) + 0.5)
    share = 1 / (1 + math.exp(2 * MOST))  # α² on a path of variance 1 with the same σ/α
    end = 0.5 * (share * x.square().flatten(1).sum(1) + d * ((1 - share) - 1 - math.log(1 - share)))
    return -integral - telling - end


def can_measure(space: Space) -> bool:
    """Whether data of this space have a density: numbers alone."""
    return all(isinstance(slot, Real) for slot in space.slots)


def measure_likelihood(
    denoiser: Denoiser | NoisePredictor, batch: Batch, generator: torch.Generator
) -> Float[Tensor, " B"]:
    """The flow's log-density of data in their own coordinates, ``(B,)`` [nats]. Raises ValueError for symbols."""
    denoise, u, volume = _in_coordinates(denoiser, batch)
    return volume + flow_log_likelihood(denoise, denoiser.path, u, generator)


def measure_bound(
    denoiser: Denoiser | NoisePredictor, batch: Batch, generator: torch.Generator, *, samples: int
) -> Float[Tensor, " B"]:
    """The variational bound on it, from `samples` noise levels, ``(B,)`` [nats]. Raises ValueError for symbols."""
    denoise, u, volume = _in_coordinates(denoiser, batch)
    return volume + variational_bound(denoise, denoiser.path, u, generator, samples=samples)


def _in_coordinates(denoiser: Denoiser | NoisePredictor, batch: Batch) -> tuple[Denoise, Tensor, Tensor]:
    """(the denoiser given the condition, data in its coordinates, ln |du/dx| of a datum)"""
    if not can_measure(denoiser.space):
        raise ValueError("a likelihood along a flow is for numbers alone")
    condition, coordinates = given(batch.condition), denoiser.coordinates
    volume = coordinates.gain.expand(denoiser.space.shape).log().sum()
    return lambda u_t, t: denoiser(u_t, t, condition), coordinates.embed(batch.x), volume


def _rates(denoise: Denoise, path: Path, x: Tensor, t: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
    """ẑ − D, and the trace of its ∂/∂x of each example."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        mean = denoise(leaf, t)
        (slope,) = torch.autograd.grad(mean, leaf, signs)
    trace = (slope * signs).flatten(1).sum(1)
    alpha, sigma = path.alpha(t), path.sigma(t)
    mean = mean.detach()
    return (x - alpha * mean) / sigma - mean, (x[0].numel() - alpha * trace) / sigma - trace
