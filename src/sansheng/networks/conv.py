"""Convolutional networks over one or two axes of positions, of any length.

Full resolution is what costs: a space-to-depth stem and a pixel-shuffle head keep all but the last convolutions at 16
positions a side or fewer. Lengths that the strides do not divide are padded inside the network and cropped at its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.layers import Context, split_heads, zero

COARSE = 16
LOWEST = 4
FINE = 8
"""Channels at full resolution."""
SMALL = 32
"""Pictures up to this side are denoised in cells twice as large: many cheap steps see more than few dear ones."""
BLENDED = 16
"""Channels at full resolution from which noise is told, the noisy picture's among them: as many as vector units take at
once, so that 24 are dearer than they look."""


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """(B, C, *P) -> (B, C·fᵈ, *P/f): each cell of f positions an axis becomes channels."""
    if factor == 1:
        return x
    axes = x.ndim - 2
    for axis in range(axes):
        x = x.unflatten(2 + 2 * axis, (-1, factor))  # B C P1 f P2 f
    order = [0, 1, *(3 + 2 * i for i in range(axes)), *(2 + 2 * i for i in range(axes))]
    return x.permute(order).flatten(1, 1 + axes)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    if factor == 1:
        return x
    axes = x.ndim - 2
    x = x.unflatten(1, (-1, *[factor] * axes))  # B C f f P1 P2
    order = [0, 1, *(a for i in range(axes) for a in (2 + axes + i, 2 + i))]
    x = x.permute(order)
    for axis in range(axes):
        x = x.flatten(2 + axis, 3 + axis)
    return x


class Grid:
    """How positions are divided: a stem factor, with the padding it needs, then halvings, rounded up."""

    def __init__(self, positions: Sequence[int], coarse: int = COARSE) -> None:
        self.positions = tuple(positions)
        self.axes = len(self.positions)
        longest = max(self.positions)
        self.factor = 2 ** max(0, math.ceil(math.log2(longest / coarse)))
        self.halvings = max(0, math.ceil(math.log2(min(longest, coarse) / LOWEST)))
        self.padded = tuple(math.ceil(p / self.factor) * self.factor for p in self.positions)
        sizes = [tuple(p // self.factor for p in self.padded)]
        for _ in range(self.halvings):
            sizes.append(tuple(math.ceil(p / 2) for p in sizes[-1]))
        self.sizes = tuple(sizes)
        """Of every level, the finest first."""
        self.lowest = sizes[-1]

    def conv(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1
    ) -> nn.Conv1d | nn.Conv2d | nn.Linear:
        make = nn.Conv1d if self.axes == 1 else nn.Conv2d
        return make(channels_in, channels_out, kernel, stride, kernel // 2)

    def patch(self, channels: int) -> int:
        """Channels of what stands at one position of the finest level."""
        return channels * self.factor**self.axes

    def pad(self, x: Tensor) -> Tensor:
        if self.padded == self.positions:
            return x
        amounts = [n for p, q in zip(self.positions[::-1], self.padded[::-1], strict=True) for n in (0, q - p)]
        return F.pad(x, amounts)

    def crop(self, x: Tensor) -> Tensor:
        for axis, length in enumerate(self.positions):
            x = x.narrow(2 + axis, 0, length)
        return x


def level_widths(grid: Grid, width: int) -> list[int]:
    """Channels of every level, the finest first: `width` and twice that, in eights, which convolutions like."""
    return [_eights(width)] + [_eights(2 * width)] * grid.halvings


def _eights(channels: int) -> int:
    return channels if channels < 16 else channels // 8 * 8


def leaky(x: Tensor) -> Tensor:
    """A leaky ReLU of slope 0.2."""
    return F.leaky_relu(x, 0.2)


def modulated(x: Tensor, amounts: Tensor) -> Tensor:
    """Channels of x ``(B, C, *P)`` scaled by 1 + the first C of `amounts` ``(B, 2C)`` and shifted by the others."""
    scale, shift = amounts[(...,) + (None,) * (x.ndim - 2)].chunk(2, dim=1)
    return x * (1 + scale) + shift


class Block(nn.Module):
    """A residual block of two convolutions, shifted and scaled by the context; begins as the identity.

    Its activations are SiLU after a norm. Without a norm one leap of the optimiser can bring all units to where SiLU is
    flat, so that nothing is learned any more; a leaky ReLU has no such place.
    """

    def __init__(self, grid: Grid, channels_in: int, channels: int, context: int, *, norm: bool) -> None:
        super().__init__()
        self.activation = F.silu if norm else leaky
        self.norm1 = nn.GroupNorm(_groups(channels_in), channels_in) if norm else nn.Identity()
        self.conv1 = grid.conv(channels_in, channels)
        self.norm2 = nn.GroupNorm(_groups(channels), channels) if norm else nn.Identity()
        self.conv2 = zero(grid.conv(channels, channels))
        self.modulation = zero(nn.Linear(context, 2 * channels)) if context else None
        self.skip = nn.Identity() if channels_in == channels else grid.conv(channels_in, channels, 1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        h = self.norm2(self.conv1(self.activation(self.norm1(x))))
        if self.modulation is not None and context is not None:
            h = modulated(h, self.modulation(context))
        return self.skip(x) + self.conv2(self.activation(h))


class Attention(nn.Module):
    """Self-attention over all positions of a small grid, as a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = split_heads(channels, 32)
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x).flatten(2)).unflatten(1, (3, self.heads, -1)).transpose(-1, -2).unbind(1)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).flatten(1, 2)
        return x + self.out(mixed).view_as(x)


class ConvDenoiser(nn.Module):
    """A U-Net ``(B, C, *P)``, c_noise ``(B,)``, condition -> ``(B, out, *P)`` of `width` channels, doubled once.

    What is within a cell is decided last, at full resolution, by two convolutions that see the noisy picture too: small
    noise is told from its neighbours, which cells of channels learn slowly.
    """

    def __init__(
        self,
        channels: int,
        positions: Sequence[int],
        *,
        out: int | None = None,
        width: int,
        depth: int = 1,
        condition: int = 0,
        cells: int = 0,
    ) -> None:
        """cells: positions along a side of what is one cell, a power of two; 0 for what suits the size."""
        super().__init__()
        if cells < 0 or cells & (cells - 1) or cells * LOWEST > max(positions):
            raise ValueError(f"cells are 1, 2, 4 or 8 pixels a side, {LOWEST} cells a picture at least, not {cells}")
        out = out or channels
        picture = len(positions) == 2 and max(positions) <= SMALL
        coarse = math.ceil(max(positions) / cells) if cells else COARSE // 2 if picture else COARSE
        self.grid = grid = Grid(positions, coarse)
        widths, context = level_widths(grid, width), 2 * width
        width = widths[0]
        self.context = Context(context, condition=condition, timed=True)
        self.stem = grid.conv(grid.patch(channels), width)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, previous = [width], width
        for level, w in enumerate(widths):
            for _ in range(depth if level else max(1, depth - 1)):
                self.down.append(Block(grid, previous, w, context, norm=True))
                previous = w
                skips.append(w)
            if level < grid.halvings:
                self.down.append(grid.conv(w, w, 3, 2))
                skips.append(w)
        self.middle = nn.ModuleList([Block(grid, previous, previous, context, norm=True), Attention(previous)])
        for level, w in reversed(list(enumerate(widths))):
            for _ in range((depth if level else max(1, depth - 1)) + 1):
                self.up.append(Block(grid, previous + skips.pop(), w, context, norm=True))
                previous = w
            if level:
                self.up.append(grid.conv(w, w, 3))
        self.norm = nn.GroupNorm(_groups(width), width)
        self.blend = None
        if grid.factor == 1:
            self.head = zero(grid.conv(width, out))
            return
        fine = max(FINE, BLENDED - channels)
        self.head = grid.conv(width, grid.patch(fine))
        self.mix = grid.conv(fine + channels, BLENDED)
        self.modulation = zero(nn.Linear(context, 2 * BLENDED))
        self.blend = zero(grid.conv(BLENDED, out))

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(t, condition)
        padded = self.grid.pad(x)
        h = self.stem(space_to_depth(padded, self.grid.factor))
        skips = [h]
        for layer in self.down:
            h = layer(h, context) if isinstance(layer, Block) else layer(h)
            skips.append(h)
        h = self.middle[1](self.middle[0](h, context))
        for layer in self.up:
            if isinstance(layer, Block):
                h = layer(torch.cat([h, skips.pop()], dim=1), context)
            else:
                h = layer(F.interpolate(h, skips[-1].shape[2:]))
        h = depth_to_space(self.head(F.silu(self.norm(h))), self.grid.factor)
        if self.blend is not None:
            h = self.mix(torch.cat([h, padded], dim=1))
            h = self.blend(F.silu(modulated(h, self.modulation(context))))
        return self.grid.crop(h)


class ConvEncoder(nn.Module):
    """``(B, C, *P)``, condition -> ``(B, out)``: stem, blocks and halvings, one linear layer."""

    def __init__(
        self,
        channels: int,
        positions: Sequence[int],
        out: int,
        *,
        width: int,
        depth: int = 1,
        condition: int = 0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid = Grid(positions)
        self.activation = F.silu if norm else leaky
        context, widths = 2 * width if condition else 0, level_widths(grid, width)
        self.context = Context(2 * width, condition=condition, timed=False)
        self.stem = grid.conv(grid.patch(channels), widths[0])
        self.layers = nn.ModuleList()
        previous = widths[0]
        for level, w in enumerate(widths):
            for _ in range(depth):
                self.layers.append(Block(grid, previous, w, context, norm=norm))
                previous = w
            if level < grid.halvings:
                self.layers.append(grid.conv(w, w, 3, 2))
        self.head = nn.Linear(previous * math.prod(grid.lowest), out)

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(None, condition)
        h = self.stem(space_to_depth(self.grid.pad(x), self.grid.factor))
        for layer in self.layers:
            h = layer(h, context) if isinstance(layer, Block) else layer(h)
        return self.head(self.activation(h).flatten(1))


class ConvDecoder(nn.Module):
    """``(B, latent)``, condition -> ``(B, C, *P)``: a linear layer, blocks and doublings.

    Where cells became positions, a last convolution goes across their edges: without it a checkerboard shows (Odena
    2016).
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        positions: Sequence[int],
        *,
        width: int,
        depth: int = 1,
        condition: int = 0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid = Grid(positions)
        self.activation = F.silu if norm else leaky
        context, widths = 2 * width if condition else 0, level_widths(grid, width)
        self.context = Context(2 * width, condition=condition, timed=False)
        previous = widths[-1]
        self.stem = nn.Linear(latent + condition, previous * math.prod(grid.lowest))
        self.layers = nn.ModuleList()
        for level, w in reversed(list(enumerate(widths))):
            for _ in range(depth):
                self.layers.append(Block(grid, previous, w, context, norm=norm))
                previous = w
            if level:
                self.layers.append(nn.Upsample(grid.sizes[level - 1]))
        fine = channels if grid.factor == 1 else FINE
        self.head = grid.conv(previous, grid.patch(fine))
        self.blend = None if grid.factor == 1 else grid.conv(fine, channels)

    def forward(self, z: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        context = self.context(None, condition)
        given = z if condition is None else torch.cat([z, condition], dim=1)
        h = self.stem(given).unflatten(1, (-1, *self.grid.lowest))
        for layer in self.layers:
            h = layer(h, context) if isinstance(layer, Block) else layer(h)
        h = depth_to_space(self.head(self.activation(h)), self.grid.factor)
        return self.grid.crop(h if self.blend is None else self.blend(self.activation(h)))


def _groups(channels: int) -> int:
    """Groups of a group norm: 8, or the most that divide the channels and leave two or more to each."""
    return math.gcd(channels // 2, 8)
