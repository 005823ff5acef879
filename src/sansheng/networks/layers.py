"""Pieces that several networks share. None of them keeps running statistics, so training and sampling agree."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """x -> [x, sin(2π f x), cos(2π f x)] with fixed frequencies, on the channels given; the others pass as they are.

    Without them a network on a few numbers cannot see fine structure (Tancik 2020).
    """

    channels: Tensor
    frequencies: Tensor

    def __init__(self, channels: Tensor, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("channels", channels, persistent=False)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def width(self, inputs: int) -> int:
        """Channels out for `inputs` channels in."""
        return inputs + 2 * len(self.channels) * len(self.frequencies)

    def forward(self, x: Tensor) -> Tensor:
        if not len(self.channels):
            return x
        phase = 2 * math.pi * (x[:, self.channels, None] * self.frequencies).flatten(1)
        return torch.cat([x, phase.sin(), phase.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """A scalar per example, ``(B,)``, to ``(B, width)``: sines of geometric frequencies, then a small MLP."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(-1.5, 1.0, 16) * 2 * math.pi, persistent=False)
        self.net = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        phase = t[:, None] * self.frequencies
        return self.net(torch.cat([phase.sin(), phase.cos()], dim=1))


class Context(nn.Module):
    """Time and condition to one vector that every block of a network reads: ``(B, width)``, or ``(1, width)`` where it
    is the same for all examples, as it is when samples are drawn without a condition. None if there is neither."""

    def __init__(self, width: int, *, condition: int, timed: bool) -> None:
        super().__init__()
        self.width = width
        self.time = TimeEmbedding(width) if timed else None
        self.condition = nn.Linear(condition, width) if condition else None

    @property
    def empty(self) -> bool:
        return self.time is None and self.condition is None

    def forward(self, t: Tensor | None, condition: Tensor | None) -> Tensor | None:
        """t: ``(B,)``, or ``()`` for all alike."""
        parts = []
        if self.time is not None and t is not None:
            parts.append(self.time(t.view(-1)))
        if self.condition is not None and condition is not None:
            parts.append(self.condition(condition))
        return F.silu(sum(parts[1:], parts[0])) if parts else None


def zero(module: nn.Linear | nn.Conv1d | nn.Conv2d) -> nn.Linear | nn.Conv1d | nn.Conv2d:
    """The same layer starting at zero, so that a residual block begins as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def split_heads(width: int, size: int) -> int:
    """The most heads of at least `size` channels that divide `width` evenly."""
    return next(heads for heads in range(max(1, width // size), 0, -1) if width % heads == 0)
