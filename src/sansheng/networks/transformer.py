"""Transformers that read long lines of symbols into a few numbers, and write them from these: a patch a position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.layers import split_heads, zero

HEAD = 16
PATCHES = 32
SHARE = 8
"""Numbers by which each patch is told of the code, and tells of itself."""


class Block(nn.Module):
    """Attention and an MLP, each normalised, scaled, shifted and gated by the context (adaLN-Zero, Peebles 2023)."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.heads = split_heads(width, HEAD)
        self.modulation = zero(nn.Linear(context, 6 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(context)[:, None].chunk(6, dim=2)
        h = F.layer_norm(x, x.shape[-1:]) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + gate1 * self.out(mixed)
        h = F.layer_norm(x, x.shape[-1:]) * (1 + scale2) + shift2
        return x + gate2 * self.mlp(h)


class Patches:
    """A line in at most `PATCHES` runs of equally many symbols, the last filled up with nothing.

    What costs is the number of positions that attend to one another.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.size = math.ceil(length / PATCHES)
        self.count = math.ceil(length / self.size)

    def cut(self, x: Tensor) -> Tensor:
        """``(B, C, L)`` -> ``(B, count, C · size)``."""
        x = F.pad(x, (0, self.count * self.size - self.length))
        return x.unflatten(2, (self.count, self.size)).transpose(1, 2).flatten(2)

    def join(self, patches: Tensor) -> Tensor:
        """The inverse of `cut`."""
        x = patches.unflatten(2, (-1, self.size)).transpose(1, 2).flatten(2)
        return x[..., : self.length]


class TransformerEncoder(nn.Module):
    """``(B, C, L)``, condition -> ``(B, out)``: a few numbers of each patch, and one linear layer on them all."""

    def __init__(self, channels: int, length: int, out: int, *, width: int, depth: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.patches = Patches(length)
        self.stem = nn.Linear(channels * self.patches.size, width)
        self.position = nn.Parameter(torch.randn(self.patches.count, width) * 0.1)
        self.always = nn.Parameter(torch.randn(width))
        self.condition = nn.Linear(condition, width) if condition else None
        self.blocks = nn.ModuleList(Block(width, width) for _ in range(depth))
        self.share = nn.Linear(width, SHARE)
        self.head = nn.Linear(SHARE * self.patches.count, out)

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.always.expand(len(x), -1)
        if self.condition is not None and condition is not None:
            context = context + self.condition(condition)
        h = self.stem(self.patches.cut(x)) + self.position
        for block in self.blocks:
            h = block(h, F.silu(context))
        return self.head(self.share(F.layer_norm(h, h.shape[-1:])).flatten(1))


class TransformerDecoder(nn.Module):
    """``(B, latent)``, condition -> ``(B, C, L)``: all patches at once, each beginning as a vector of its own and its
    share of the code, which scales and shifts them in every block again."""

    def __init__(
        self, latent: int, channels: int, length: int, *, width: int, depth: int = 4, condition: int = 0
    ) -> None:
        super().__init__()
        self.patches = Patches(length)
        self.position = nn.Parameter(torch.randn(self.patches.count, width))
        self.stem = nn.Linear(latent + condition, SHARE * self.patches.count)
        self.share = nn.Linear(SHARE, width)
        self.context = nn.Sequential(nn.Linear(latent + condition, width), nn.SiLU())
        self.blocks = nn.ModuleList(Block(width, width) for _ in range(depth))
        self.head = nn.Linear(width, channels * self.patches.size)

    def forward(self, z: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        given = z if condition is None else torch.cat([z, condition], dim=1)
        context = self.context(given)
        h = self.position + self.share(self.stem(given).unflatten(1, (-1, SHARE)))
        for block in self.blocks:
            h = block(h, context)
        return self.patches.join(self.head(F.layer_norm(h, h.shape[-1:])))
