"""Samplers: from noise to data along a path, given only D(x_t, t) = E[x | x_t].

Every sampler is a function ``(denoise, path, x, times, generator) -> x`` that keeps no state. Deterministic ones
integrate dx = D dα + ẑ dσ with ẑ = (x_t − α D)/σ. The one constraint: `times` falls strictly, from where `x` is
to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from sansheng.paths import Path

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t: (B, C, *P), t: scalar tensor) -> E[x | x_t]."""
Sampler = Callable[[Denoise, Path, Tensor, Tensor, torch.Generator], Tensor]


CHURN = 10.0
"""How often a trajectory's noise is renewed in all, about."""
CHURNED = (0.1, 100.0)
"""The range of σ/α, in standard deviations of the data, in which it is."""
PAST = 3
"""Slopes that foretell the next of `adams`."""


def _pairs(times: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(times[:-1], times[1:], strict=True)


def _noise(path: Path, x_t: Tensor, mean: Tensor, t: Tensor) -> Tensor:
    """E[z | x_t] from E[x | x_t]."""
    return (x_t - path.alpha(t) * mean) / path.sigma(t)


def euler(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """First order, one evaluation a step: x_s = α_s D + σ_s ẑ. This is DDIM (Song 2021, eq. 12 with η = 0)."""
    for t, s in _pairs(times):
        mean = denoise(x, t)
        x = path.alpha(s) * mean + path.sigma(s) * _noise(path, x, mean, t)
    return x


def heun(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Second order, two evaluations a step but the last: the trapezoid rule (Karras 2022, alg. 1) on the straight path.

    Along x / (α + σ) data and noise change at an even pace on every path, and a step's noise at both ends weighs alike.
    Along x itself where α = 1, steps from much noise must be far smaller: the error of 10 of them on mixtures of
    normals is 4 to 40 times as large.
    """
    for t, s in _pairs(times):
        mean = denoise(x, t)
        noise = _noise(path, x, mean, t)
        predicted = path.alpha(s) * mean + path.sigma(s) * noise
        if path.sigma(s) == 0:
            return predicted
        mean_s = denoise(predicted, s)
        noise_s = _noise(path, predicted, mean_s, s)
        size_t, size_s = path.alpha(t) + path.sigma(t), path.alpha(s) + path.sigma(s)
        less_noise = path.sigma(s) / size_s - path.sigma(t) / size_t
        x = size_s * (x / size_t + less_noise * (noise + noise_s - mean - mean_s) / 2)
    return x


def adams(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Fourth order but for its first steps, one evaluation a step: Adams' predictor and corrector.

    On the straight path, y = x/(α + σ) over u = σ/(α + σ), the slope is ẑ − D. The last `PAST` slopes foretell y at the
    next time (Adams-Bashforth), D is asked for there, and the slope found there corrects the step (Adams-Moulton) and
    serves the next: no evaluation is spent on correcting, as in UniPC (Zhao 2023), which steps in ln(α/σ).
    """
    at = times.cpu().double()
    places = (path.sigma(at) / (path.alpha(at) + path.sigma(at))).tolist()
    y, slopes = x / (path.alpha(times[0]) + path.sigma(times[0])), []
    for i, t in enumerate(times):
        step, size = places[i - 1 : i + 1], path.alpha(t) + path.sigma(t)
        foretold = y + _integral(places[max(i - PAST, 0) : i], slopes[-PAST:], *step) if i else y
        x = size * foretold
        if path.sigma(t) == 0:
            return x
        mean = denoise(x, t)
        slopes = [*slopes[-PAST:], _noise(path, x, mean, t) - mean]
        if i:
            y = y + _integral(places[i + 1 - len(slopes) : i + 1], slopes, *step)
    return (path.alpha(times[-1]) + path.sigma(times[-1])) * y


def _integral(places: list[float], slopes: list[Tensor], start: float, stop: float) -> Tensor:
    """From `start` to `stop` of the polynomial through the slopes at `places`."""
    powers = np.arange(len(places))
    area = (stop - start) ** (powers + 1) / (powers + 1)
    weights = np.linalg.solve((np.asarray(places) - start) ** powers[:, None], area).tolist()
    return torch.stack([weight * slope for weight, slope in zip(weights, slopes, strict=True)]).sum(0)


def dpmpp_2m(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Second order, one evaluation a step: DPM-Solver++(2M) (Lu 2022, alg. 2) in λ = ln(α/σ).

    x_s = (σ_s/σ_t) x_t + α_s (1 − e^{−h}) D̄ with D̄ = D + (h/2h₋)(D − D₋); the last step is of first order.
    """
    return _looking_back(denoise, path, x, times, generator, renewed=False)


def dpmpp_2m_sde(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """One evaluation a step: SDE-DPM-Solver++(2M) (Lu 2022, section 6), which renews noise as `ancestral` does.

    x_s = (σ_s/σ_t) e^{−h} x_t + α_s (1 − e^{−2h}) D̄ + σ_s √(1 − e^{−2h}) z, with D̄ as in `dpmpp_2m`. What a network
    gets wrong early is drawn anew later, not carried to the end.
    """
    return _looking_back(denoise, path, x, times, generator, renewed=True)


def _looking_back(
    denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator, *, renewed: bool
) -> Tensor:
    previous, previous_h = None, None
    for t, s in _pairs(times):
        mean = denoise(x, t)
        if path.sigma(s) == 0 or path.alpha(t) < 1e-4:  # λ is infinite at an end: the first-order step is exact there
            x = path.alpha(s) * mean + path.sigma(s) * _noise(path, x, mean, t)
            previous = None
            continue
        h = (path.alpha(s) / path.sigma(s)).log() - (path.alpha(t) / path.sigma(t)).log()
        if previous is None or previous_h is None:
            extrapolated = mean
        else:
            extrapolated = mean + h / (2 * previous_h) * (mean - previous)
        kept, most = path.sigma(s) / path.sigma(t), 2 * h if renewed else h
        if renewed:
            z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = kept * torch.exp(-h) * x + path.sigma(s) * (-torch.expm1(-most)).sqrt() * z
        else:
            x = kept * x
        x = x - path.alpha(s) * torch.expm1(-most) * extrapolated
        previous, previous_h = mean, h
    return x


def ancestral(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from q(x_s | x_t, x = D), one evaluation a step: DDPM (Ho 2020, eq. 6-7) for any path.

    With r = α_t/α_s and v = σ_t² − r² σ_s²: mean (r σ_s²/σ_t²) x_t + (α_s v/σ_t²) D, variance v σ_s²/σ_t².
    """
    for t, s in _pairs(times):
        x = _reveal(path, x, denoise(x, t), t, s, generator)
    return x


def churned(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Second order, two evaluations a step but the last: `heun` from a little more noise (Karras 2022, alg. 2).

    Before each step x is noised anew until σ/α is (1 + γ) times what it was, γ = min(CHURN/steps, √2 − 1), which
    corrects what earlier steps did wrong, as a Langevin step does.
    """
    gamma = min(CHURN / (len(times) - 1), 2**0.5 - 1)
    for t, s in _pairs(times):
        ratio = path.sigma(t) / path.alpha(t).clamp_min(1e-12)
        if CHURNED[0] <= ratio <= CHURNED[1]:
            more = path.time(((1 + gamma) * ratio).log()).clamp(max=times[0])
            x, t = _drown(path, x, t, more, generator), more
        x = heun(denoise, path, x, torch.stack([t, s]), generator)
    return x


def resampled(rounds: int) -> Sampler:
    """`ancestral`, but every step is taken `rounds` times, noised back between (Lugmayr 2022, alg. 1).

    Parts that are held fixed and parts that are drawn have time to agree. ``rounds · steps`` evaluations.
    """

    def sample(denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
        for t, s in _pairs(times):
            for last in [False] * ((rounds if path.sigma(s) > 0 else 1) - 1) + [True]:
                x = _reveal(path, x, denoise(x, t), t, s, generator)
                x = x if last else _drown(path, x, s, t, generator)
        return x

    return sample


def _reveal(path: Path, x: Tensor, mean: Tensor, t: Tensor, s: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from q(x_s | x_t, x = mean), s < t."""
    alpha_s, sigma_s, sigma_t = path.alpha(s), path.sigma(s), path.sigma(t)
    r = path.alpha(t) / alpha_s
    v = (sigma_t**2 - r**2 * sigma_s**2).clamp_min(0)
    z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return r * sigma_s**2 / sigma_t**2 * x + alpha_s * v / sigma_t**2 * mean + v.sqrt() * sigma_s / sigma_t * z


def _drown(path: Path, x: Tensor, s: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from q(x_t | x_s), s < t."""
    r = path.alpha(t) / path.alpha(s)
    v = (path.sigma(t) ** 2 - r**2 * path.sigma(s) ** 2).clamp_min(0)
    z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return r * x + v.sqrt() * z


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "ddim": euler,
    "heun": heun,
    "adams": adams,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "churned": churned,
    "ancestral": ancestral,
    "ddpm": ancestral,
}


def evaluations(sampler: str, steps: int) -> int:
    """How often `denoise` is called."""
    return 2 * steps - 1 if sampler in ("heun", "churned") else steps
