"""A transformer for symbols in a row: every position reads every other, or only those up to itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.layers import Context, split_heads, zero

HEAD = 16


class Block(nn.Module):
    """Attention and an MLP, each normalised, scaled, shifted and gated by the context (adaLN-Zero, Peebles 2023)."""

    def __init__(self, width: int, context: int, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.heads = split_heads(width, HEAD)
        self.modulation = zero(nn.Linear(context, 6 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(context)[:, None].chunk(6, dim=2)
        h = F.layer_norm(x, x.shape[-1:]) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2).flatten(2)
        x = x + gate1 * self.out(mixed)
        h = F.layer_norm(x, x.shape[-1:]) * (1 + scale2) + shift2
        return x + gate2 * self.mlp(h)


class TransformerDenoiser(nn.Module):
    """``(B, C, L)``, c_noise ``(B,)``, condition -> ``(B, C, L)``; fewer than L positions are the first ones.

    causal: a position reads none that come after it.
    """

    def __init__(
        self, channels: int, length: int, *, width: int, depth: int = 4, condition: int = 0, causal: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        self.context = Context(width, condition=condition, timed=True)
        self.blocks = nn.ModuleList(Block(width, width, causal=causal) for _ in range(depth))
        self.modulation = zero(nn.Linear(width, 2 * width))
        self.head = zero(nn.Linear(width, channels))

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(t, condition, len(x))
        h = self.stem(x.transpose(1, 2)) + self.position[: x.shape[2]]
        for block in self.blocks:
            h = block(h, context)
        scale, shift = self.modulation(context)[:, None].chunk(2, dim=2)
        h = F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift
        return self.head(h).transpose(1, 2)
