"""A convolutional network for symbols in a row, at full length: what stands near says most, wherever it stands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.layers import Context, zero

KERNEL = 5


class Block(nn.Module):
    """h + GELU(conv(scale(c) · N(h) + shift(c))), with N the layer norm of each position.

    The convolution is one matrix product over the neighbours of every position laid side by side: on a CPU that takes
    two thirds of the time of ``nn.Conv1d``, which needs channels before positions.
    """

    def __init__(self, width: int, context: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.modulation = zero(nn.Linear(context, 2 * width))
        self.conv = nn.Linear(KERNEL * width, width)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulation(context)[:, None].chunk(2, dim=2)
        inner = torch.addcmul(shift, self.norm(h), 1 + scale)
        return h + F.gelu(self.conv(neighbours(inner, self.dilation)))


def neighbours(h: Tensor, dilation: int) -> Tensor:
    """(B, L, W) -> (B, L, KERNEL · W): what stands around each position, zeros beyond the ends."""
    length, reach = h.shape[1], KERNEL // 2 * dilation
    padded = F.pad(h, (0, 0, reach, reach))
    return torch.cat([padded[:, i * dilation : i * dilation + length] for i in range(KERNEL)], dim=2)


class LineDenoiser(nn.Module):
    """``(B, C, L)``, c_noise ``(B,)``, condition -> ``(B, C, L)``, starting at zero.

    Every position gets a vector of its own beside its symbol, and the kernels of later blocks reach further apart until
    the whole line is in sight.
    """

    def __init__(self, channels: int, length: int, *, width: int, depth: int = 5, condition: int = 0) -> None:
        super().__init__()
        self.stem = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.1)
        self.context = Context(width, condition=condition, timed=True)
        self.blocks = nn.ModuleList(Block(width, width, dilation) for dilation in dilations(length, depth))
        self.norm = nn.LayerNorm(width)
        self.head = zero(nn.Linear(width, channels))

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(t, condition, len(x))
        h = self.stem(x.transpose(1, 2)) + self.position
        for block in self.blocks:
            h = block(h, context)
        return self.head(self.norm(h)).transpose(1, 2)


def dilations(length: int, depth: int) -> list[int]:
    """Ones and then powers of two: as few doublings, and as few blocks beyond `depth`, as let each of `length`
    positions see every other."""
    doublings = 0
    while True:
        steps = [1] * max(1, depth - doublings) + [2**i for i in range(1, doublings + 1)]
        if KERNEL // 2 * sum(steps) >= length - 1:
            return steps
        doublings += 1
