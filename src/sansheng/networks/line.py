"""A network for symbols in a row, at full length: what stands near says most, wherever it stands.

Convolutions, and in long lines one layer of attention for what is further away than they reach. Attention alone learns
a fraction of it in the same minutes on two cores: after two of them on prose 4.8 bits a character are left, not 3.3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sansheng.networks.layers import Context, split_heads, zero

KERNEL = 5
HEAD = 64
FAR = 64
"""Positions up to which convolutions reach from every one to every other."""
NEAR = (1, 1, 2, 4)
AFTER = 8
"""Dilations before and after the attention of longer lines."""


class Block(nn.Module):
    """h + GELU(conv(scale(c) · N(h) + shift(c))), with N the layer norm of each position.

    The convolution is one matrix product over the neighbours of every position laid side by side: on a CPU that takes
    two thirds of the time of ``nn.Conv1d``, which needs channels before positions.
    """

    def __init__(self, width: int, context: int, dilation: int, *, causal: bool = False) -> None:
        super().__init__()
        self.dilation, self.causal = dilation, causal
        self.norm = nn.LayerNorm(width)
        self.modulation = zero(nn.Linear(context, 2 * width))
        self.conv = nn.Linear(KERNEL * width, width)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulation(context)[:, None].chunk(2, dim=2)
        inner = torch.addcmul(shift, self.norm(h), 1 + scale)
        return h + F.gelu(self.conv(neighbours(inner, self.dilation, causal=self.causal)))


class Attention(nn.Module):
    """h + what every position finds at every other, by torch's fused kernel; begins as the identity."""

    def __init__(self, width: int, context: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = split_heads(width, HEAD), causal
        self.norm = nn.LayerNorm(width)
        self.modulation = zero(nn.Linear(context, 2 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = zero(nn.Linear(width, width))

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulation(context)[:, None].chunk(2, dim=2)
        inner = torch.addcmul(shift, self.norm(h), 1 + scale)
        q, k, v = self.qkv(inner).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return h + self.out(found.transpose(1, 2).flatten(2))


def neighbours(h: Tensor, dilation: int, *, causal: bool = False) -> Tensor:
    """(B, L, W) -> (B, L, KERNEL · W): what stands around each position, or before it; zeros beyond the ends."""
    length, reach = h.shape[1], KERNEL // 2 * dilation
    padded = F.pad(h, (0, 0, 2 * reach, 0) if causal else (0, 0, reach, reach))
    return torch.cat([padded[:, i * dilation : i * dilation + length] for i in range(KERNEL)], dim=2)


class LineDenoiser(nn.Module):
    """``(B, C, L)``, c_noise ``(B,)``, condition -> ``(B, C, L)``, starting at zero; fewer than L are the first ones.

    Every position gets a vector of its own beside its symbol. In lines of up to `FAR` the kernels of later blocks reach
    further apart until the whole line is in sight; in longer ones attention does that.

    causal: a position reads none that come after it.
    """

    def __init__(
        self, channels: int, length: int, *, width: int, depth: int = 5, condition: int = 0, causal: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.1)
        self.context = Context(width, condition=condition, timed=True)
        near = dilations(length, depth) if length <= FAR else NEAR
        self.blocks = nn.ModuleList(Block(width, width, dilation, causal=causal) for dilation in near)
        if length > FAR:
            self.blocks.append(Attention(width, width, causal=causal))
            self.blocks.append(Block(width, width, AFTER, causal=causal))
        self.norm = nn.LayerNorm(width)
        self.head = zero(nn.Linear(width, channels))

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        return self.head(self._read(self.stem(x.transpose(1, 2)), t, condition)).transpose(1, 2)

    def tell(
        self,
        symbols: Int[Tensor, "B L"],
        shown: Bool[Tensor, "B L"],
        t: Tensor | None = None,
        condition: Tensor | None = None,
        *,
        asked: Bool[Tensor, "B L"] | None = None,
    ) -> Tensor:
        """What `forward` makes of one-hot vectors, set to zero where they are not shown, without making any:
        ``(B, L, C)``, or ``(M, C)`` of the M positions that are asked. Of thousands of levels that takes a quarter.
        """
        vectors = F.embedding(symbols, self.stem.weight.mT) * shown[..., None]
        h = self._read(vectors + self.stem.bias, t, condition)
        return self.head(h if asked is None else h[asked])

    def _read(self, h: Tensor, t: Tensor | None, condition: Tensor | None) -> Tensor:
        context = self.context(t, condition)
        h = h + self.position[: h.shape[1]]
        for block in self.blocks:
            h = block(h, context)
        return self.norm(h)


def dilations(length: int, depth: int) -> list[int]:
    """Ones and then powers of two: as few doublings, and as few blocks beyond `depth`, as let each of `length`
    positions see every other."""
    doublings = 0
    while True:
        steps = [1] * max(1, depth - doublings) + [2**i for i in range(1, doublings + 1)]
        if KERNEL // 2 * sum(steps) >= length - 1:
            return steps
        doublings += 1
