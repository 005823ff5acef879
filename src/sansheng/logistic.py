"""Pixels as a mixture of discretised logistic distributions: a likelihood that knows pixels are whole numbers.

p(x) = Σ_k π_k Π_c [σ((x_c + ½Δ − m_kc)/s_kc) − σ((x_c − ½Δ − m_kc)/s_kc)] at every position, with the channels of a
component in a chain, m_kc = μ_kc + Σ_{d<c} a_kcd x_d (Salimans 2017, eq. 2 and 3). It is a probability and not a
density, so its bits per dimension are those a lossless code would need.

The one constraint: one slot of numbers between finite bounds, on `levels` evenly spaced values.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sansheng.space import Real, Space

LEVELS = 256
COMPONENTS = 8
NARROWEST = -7.0
"""The least logarithm of a scale, in units of half the range."""
TINY = 1e-5
"""A bin's probability below which the density at its middle stands for it."""


class LogisticMixture:
    """The verbs of `Space` that a VAE needs of p(x | params), with `channels` parameters a position.

    params: ``(B, channels, *P)``: for each component its logit, then for each channel a mean, a logarithm of a scale
    and the weights of the channels before it. Raises ValueError for a space that is not one slot of bounded numbers.
    """

    def __init__(self, space: Space, *, components: int = COMPONENTS, levels: int = LEVELS) -> None:
        slot = space.slots[0]
        if len(space.slots) != 1 or not isinstance(slot, Real) or not slot.high - slot.low < float("inf"):
            raise ValueError("a logistic likelihood is for pictures: numbers of one kind between finite bounds")
        if components < 1 or levels < 2:
            raise ValueError(f"a mixture has a component and two levels at least, not {components} and {levels}")
        self.width, self.low, self.high = slot.width, slot.low, slot.high
        self.components, self.bin = components, 2 / (levels - 1)
        self.levels = levels
        self.channels = components * (1 + 2 * self.width + self.width * (self.width - 1) // 2)

    def nll(
        self, params: Float[Tensor, "B K *P"], x: Float[Tensor, "B C *P"], scale: Tensor | float = 1.0
    ) -> Float[Tensor, " B"]:
        """−log p(x | params) of each example, summed over positions [nats]; `scale` is not for this likelihood."""
        logits, means, log_scales, weights = self._split(params.float())
        value = self._to_unit(x)[:, None]
        centred = value - self._chained(means, weights, value)
        inverse = (-log_scales).exp()
        above, below = inverse * (centred + self.bin / 2), inverse * (centred - self.bin / 2)
        inside = above.sigmoid() - below.sigmoid()
        middle = inverse * centred
        density = middle - log_scales - 2 * F.softplus(middle) + math.log(self.bin)
        log_p = torch.where(inside > TINY, inside.clamp_min(1e-12).log(), density)
        log_p = torch.where(value < -1 + self.bin / 2, F.logsigmoid(above), log_p)
        log_p = torch.where(value > 1 - self.bin / 2, F.logsigmoid(-below), log_p)
        return -(logits.log_softmax(1) + log_p.sum(2)).logsumexp(1).reshape(len(x), -1).sum(1)

    def sample(
        self, params: Float[Tensor, "B K *P"], scale: Tensor | float = 1.0, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C *P"]:
        """x ~ p(x | params), or with ``scale = 0`` the mean of a component drawn, which has no noise of its own."""
        logits, means, log_scales, weights = self._split(params.float())
        exponential = torch.empty_like(logits).exponential_(generator=generator)
        means, log_scales, weights = _pick((logits - exponential.log()).argmax(1), means, log_scales, weights)
        uniform = torch.rand(means.shape, generator=generator, device=means.device).clamp(1e-5, 1 - 1e-5)
        noise = log_scales.exp() * uniform.logit()
        return self._walk(means, weights, 0 * noise if isinstance(scale, float) and scale == 0 else noise)

    def mode(self, params: Float[Tensor, "B K *P"]) -> Float[Tensor, "B C *P"]:
        """The mean of the likeliest component."""
        logits, means, log_scales, weights = self._split(params.float())
        means, _, weights = _pick(logits.argmax(1), means, log_scales, weights)
        return self._walk(means, weights, torch.zeros_like(means))

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits ``(B, K, *P)``; means, log scales ``(B, K, C, *P)``; weights ``(B, K, C(C−1)/2, *P)`` in (−1, 1)."""
        k, c = self.components, self.width
        sizes = [k, k * c, k * c, k * (c * (c - 1) // 2)]
        logits, means, log_scales, weights = params.split(sizes, dim=1)
        parts = (part.unflatten(1, (k, -1)) for part in (means, log_scales) + ((weights,) if c > 1 else ()))
        means, log_scales, *rest = parts
        return logits, means, log_scales.clamp_min(NARROWEST), rest[0].tanh() if rest else weights

    def _chained(self, means: Tensor, weights: Tensor, value: Tensor) -> Tensor:
        """The mean of each channel given those before it; `value` ``(B, 1 or K, C, *P)`` holds them."""
        shifted, at = [means[:, :, 0]], 0
        for channel in range(1, self.width):
            mean = means[:, :, channel]
            for before in range(channel):
                mean = mean + weights[:, :, at] * value[:, :, before]
                at += 1
            shifted.append(mean)
        return torch.stack(shifted, dim=2)

    def _walk(self, means: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
        """Channel after channel of one component, each on the levels there are, ``(B, C, *P)``."""
        values: list[Tensor] = []
        at = 0
        for channel in range(self.width):
            value = means[:, channel] + noise[:, channel]
            for before in range(channel):
                value = value + weights[:, at] * values[before]
                at += 1
            values.append(((value.clamp(-1, 1) + 1) / self.bin).round() * self.bin - 1)
        return self.low + (self.high - self.low) * (torch.stack(values, dim=1) + 1) / 2

    def _to_unit(self, x: Tensor) -> Tensor:
        """[low, high] -> [−1, 1]."""
        return 2 * (x.float() - self.low) / (self.high - self.low) - 1


def _pick(component: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
    """Of each part ``(B, K, n, *P)`` the component ``(B, *P)`` chosen at every position: ``(B, n, *P)``."""
    picked = []
    for part in parts:
        if part.ndim == component.ndim + 2:
            index = component[:, None, None].expand(-1, -1, part.shape[2], *component.shape[1:])
            picked.append(part.gather(1, index).squeeze(1))
        else:
            picked.append(part)
    return tuple(picked)
