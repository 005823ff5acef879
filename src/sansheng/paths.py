"""Paths from data to noise: x_t = α(t) x + σ(t) z with z ~ N(0, I), t = 0 data and t = 1 noise.

The one constraint: the noise-to-signal ratio s = σ/α grows from 0 with t, and `time` inverts it. By the chain rule
the probability-flow ODE of every such path is dx = E[x|x_t] dα + E[z|x_t] dσ, so a sampler needs nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

MOST_NOISE, LEAST_NOISE, RHO = 40.0, 0.02, 3.0
"""Of `sampling_times`: in standard deviations of the data, found on handwritten digits (12 steps: 5.3 to 3.5)."""


@runtime_checkable
class Path(Protocol):
    """A path is α, σ, the inverse of ln(σ/α), and a grid of times to sample on."""

    def alpha(self, t: Tensor) -> Tensor:
        """α(t), the share of data."""
        ...

    def sigma(self, t: Tensor) -> Tensor:
        """σ(t), the standard deviation of noise."""
        ...

    def time(self, log_noise: Tensor) -> Tensor:
        """t in [0, 1] at which ln(σ/α) = `log_noise`."""
        ...

    def times(self, steps: int) -> Tensor:
        """``(steps + 1,)`` times from 1 (noise) down to 0 (data)."""
        ...


def log_noise(path: Path, t: Tensor) -> Tensor:
    """ln(σ/α), clamped to ±20 so that both ends are finite numbers."""
    tiny = torch.finfo(t.dtype).tiny
    return (path.sigma(t).clamp_min(tiny).log() - path.alpha(t).clamp_min(tiny).log()).clamp(-20, 20)


@dataclass(frozen=True)
class Rectified:
    """The straight path of flow matching: α = 1 − t, σ = t (Liu 2022; Lipman 2022, eq. 22 with σ_min = 0)."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def time(self, log_noise: Tensor) -> Tensor:
        return log_noise.sigmoid()

    def times(self, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1)


@dataclass(frozen=True)
class Cosine:
    """α = cos(πt/2), σ = sin(πt/2) (Nichol & Dhariwal 2021, eq. 17, without the offset)."""

    def alpha(self, t: Tensor) -> Tensor:
        return (t * (math.pi / 2)).cos()

    def sigma(self, t: Tensor) -> Tensor:
        return (t * (math.pi / 2)).sin()

    def time(self, log_noise: Tensor) -> Tensor:
        return log_noise.exp().atan() * (2 / math.pi)

    def times(self, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1)


@dataclass(frozen=True)
class VP:
    """ln α = −½(β₀ t + ½(β₁ − β₀) t²), σ² = 1 − α² (DDPM's linear schedule; Song 2021, eq. 33)."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    power: float = 2.0
    """Sampling times are even in t^(1/power): σ begins as √t, so even times (1, DDPM's own) leave a long last step."""

    def _log_alpha(self, t: Tensor) -> Tensor:
        return -0.5 * (self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t.square())

    def alpha(self, t: Tensor) -> Tensor:
        return self._log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(2 * self._log_alpha(t))).clamp_min(0).sqrt()

    def time(self, log_noise: Tensor) -> Tensor:
        integral = torch.nn.functional.softplus(2 * log_noise)  # β₀ t + ½(β₁ − β₀) t² = ln(1 + s²)
        slope = self.beta_max - self.beta_min
        root = (self.beta_min**2 + 2 * slope * integral).sqrt()
        return (2 * integral / (root + self.beta_min)).clamp(0, 1)

    def times(self, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1) ** self.power


@dataclass(frozen=True)
class EDM:
    """α = 1, σ = σ_max t; times are spaced so that σ^(1/ρ) is even, with a last step to 0 (Karras 2022, eq. 5).

    Noise is measured in units of the data's standard deviation: Karras' 0.002 and 80 for σ_data = ½ are .004 and 160.
    """

    sigma_min: float = 0.004
    sigma_max: float = 160.0
    rho: float = 7.0

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return t * self.sigma_max

    def time(self, log_noise: Tensor) -> Tensor:
        return (log_noise - math.log(self.sigma_max)).clamp_max(0).exp()

    def times(self, steps: int) -> Tensor:
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        sigma = torch.linspace(high, low, steps, dtype=torch.float64) ** self.rho
        return torch.cat([sigma / self.sigma_max, sigma.new_zeros(1)]).float()


PATHS: dict[str, type[Path]] = {"rectified": Rectified, "cosine": Cosine, "vp": VP, "edm": EDM}


def sampling_times(path: Path, sampler: str, steps: int) -> Tensor:
    """``(steps + 1,)`` times from 1 to 0 for a sampler: the path's own, but for some.

    Those of Heun and Adams are even on the straight path, in σ/(α + σ). DPM-Solver++(2M) is a method in ln(α/σ), and
    even times leave it few steps where that changes most. It takes times at which s^(1/ρ) is even, s = σ/α from
    `MOST_NOISE` to `LEAST_NOISE`; those of EDM are, with its own ends and ρ.
    """
    if sampler in ("heun", "adams"):
        first = torch.ones((), dtype=torch.float64)
        most = path.sigma(first) / (path.alpha(first) + path.sigma(first))
        share = most * torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        times = path.time((share / (1 - share)).log()).float()
        times[0], times[-1] = 1.0, 0.0
        return times
    if sampler not in ("dpmpp_2m", "dpmpp_2m_sde") or isinstance(path, EDM):
        return path.times(steps)
    ratio = torch.linspace(MOST_NOISE ** (1 / RHO), LEAST_NOISE ** (1 / RHO), steps, dtype=torch.float64) ** RHO
    times = path.time(ratio.log()).float()
    times[0] = 1.0
    return torch.cat([times, times.new_zeros(1)])
