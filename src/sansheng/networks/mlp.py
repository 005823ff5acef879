"""Multilayer perceptrons: for data without positions, for latents, and the survey's plain ones.

Data of any shape is flattened, so a plain MLP also runs on images and sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.layers import Context, FourierFeatures, zero

FREQUENCIES = tuple(2.0**k for k in range(-3, 4))
"""Cycles per unit; numbers come with a standard deviation of about 1, so these see details from 3 down to 0.02."""


class Block(nn.Module):
    """h + W₂ φ(scale(c) · W₁ N(h) + shift(c)), with N the layer norm or nothing.

    With it φ is SiLU and the block starts as the identity. Without it, for a GAN, φ is a leaky rectifier: the gradient
    of a gradient penalty costs less, and such a critic learns faster (one of convolutions does not).
    """

    def __init__(self, width: int, context: int, *, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.first = nn.Linear(width, width)
        self.second = zero(nn.Linear(width, width)) if norm else nn.Linear(width, width)
        self.modulation = zero(nn.Linear(context, 2 * width)) if context else None
        self.activation = _activation(norm)

    def forward(self, h: Tensor, context: Tensor | None) -> Tensor:
        inner = self.first(self.norm(h))
        if self.modulation is not None and context is not None:
            scale, shift = self.modulation(context).chunk(2, dim=1)
            inner = torch.addcmul(shift, inner, 1 + scale)
        return h + self.second(self.activation(inner))


class Steps(nn.Module):
    """``(B, C, L)`` -> ``(B, out, L)``: one small network for all steps of a series, from what is at and beside each.

    It reads the `context` of the whole, and where its step is. It starts at zero. What channels of one step have to do
    with one another is so learnt from all steps at once; a network that sees a window whole learns it for each anew.
    """

    def __init__(self, channels: int, length: int, out: int, *, context: int, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Linear(3 * channels, width)
        self.place = nn.Parameter(torch.zeros(length, width))
        self.modulation = zero(nn.Linear(context, 2 * width))
        self.norm = nn.LayerNorm(width)
        self.second = nn.Linear(width, width)
        self.last = zero(nn.Linear(width, out))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1))
        near = torch.cat([padded[:, :, :-2], x, padded[:, :, 2:]], dim=1)
        scale, shift = self.modulation(context)[:, None].chunk(2, dim=2)
        h = F.silu(torch.addcmul(shift, self.first(near.mT) + self.place, 1 + scale))
        return self.last(F.silu(self.second(self.norm(h)))).mT


class ResidualMLP(nn.Module):
    """``(B, *in)`` -> ``(B, *out)`` by residual blocks of `width`, reading time and condition in every block.

    fourier: the channels that get Fourier features; norm: layer norm in each block (not for a critic). spans: add
    W (g(h) ⊙ V x), with h what the blocks made, W and V square, and x the first so many numbers as come out. What is
    narrower than its data cannot tell noise from them; this can be any linear denoiser at every strength of noise.
    steps: add `Steps`, which see h.
    """

    def __init__(
        self,
        shape_in: Sequence[int],
        shape_out: Sequence[int],
        *,
        width: int,
        depth: int = 3,
        condition: int = 0,
        timed: bool = False,
        fourier: Tensor | None = None,
        norm: bool = True,
        zero_output: bool = False,
        spans: bool = False,
        steps: bool = False,
    ) -> None:
        super().__init__()
        self.shape_out = tuple(shape_out)
        channels = torch.zeros(0, dtype=torch.long) if fourier is None else fourier
        self.features = FourierFeatures(channels, torch.tensor(FREQUENCIES))
        self.stem = nn.Linear(self.features.width(math.prod(shape_in)), width)
        self.context = Context(width, condition=condition, timed=timed)
        blocks = (Block(width, 0 if self.context.empty else width, norm=norm) for _ in range(depth))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        head = nn.Linear(width, math.prod(shape_out))
        self.head = zero(head) if zero_output else head
        self.activation = _activation(norm)
        self.within = None
        if spans:
            size = math.prod(shape_out)
            self.within = nn.Linear(size, size, bias=False)
            self.gain = nn.Linear(width, size)
            self.out = zero(nn.Linear(size, size, bias=False))
        self.steps = Steps(shape_in[0], shape_in[1], shape_out[0], context=width) if steps else None

    @property
    def output_bias(self) -> Tensor | None:
        """What is added to every number that comes out, flattened."""
        return self.head.bias

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(t, condition)
        h = self.stem(self.features(x.flatten(1)))
        for block in self.blocks:
            h = block(h, context)
        h = self.activation(self.norm(h))
        y = self.head(h)
        if self.within is not None:
            y = y + self.out(self.gain(h) * self.within(x.flatten(1)[:, : y.shape[1]]))
        y = y.unflatten(1, self.shape_out)
        return y if self.steps is None else y + self.steps(x, h)


def _activation(norm: bool) -> nn.Module:
    return nn.SiLU() if norm else nn.LeakyReLU(0.2)


class PlainMLP(nn.Module):
    """Linear layers of the widths given with one activation between them; time and condition are more inputs."""

    def __init__(
        self,
        shape_in: Sequence[int],
        shape_out: Sequence[int],
        *,
        widths: Sequence[int],
        activation: nn.Module,
        condition: int = 0,
        timed: bool = False,
    ) -> None:
        super().__init__()
        self.shape_out, self.timed, self.conditional = tuple(shape_out), timed, condition > 0
        sizes = [math.prod(shape_in) + condition + timed, *widths, math.prod(shape_out)]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            layers += [nn.Linear(a, b)] + ([activation] if i < len(widths) else [])
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        parts = [x.flatten(1)]
        if self.timed and t is not None:
            parts.append(t.expand(len(x))[:, None])
        if self.conditional and condition is not None:
            parts.append(condition)
        return self.layers(torch.cat(parts, dim=1)).unflatten(1, self.shape_out)


class Bounded(nn.Module):
    """A network whose numbers end in tanh, stretched to the bounds [low, high] of the space (finite)."""

    low: Tensor
    high: Tensor
    is_real: Tensor

    def __init__(self, network: nn.Module, low: Tensor, high: Tensor, is_real: Tensor) -> None:
        """low, high, is_real: one value a channel, shaped to broadcast over ``(B, C, *P)``."""
        super().__init__()
        self.network = network
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("is_real", is_real.bool(), persistent=False)

    @property
    def output_bias(self) -> Tensor | None:
        return getattr(self.network, "output_bias", None)

    def forward(self, z: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        raw = self.network(z, t, condition)
        return torch.where(self.is_real, self.low + (self.high - self.low) * (raw.tanh() + 1) / 2, raw)
