"""The two halves of a ladder VAE: features from the bottom up, latents and data from the top down.

Every group of latents u is standard normal under the prior; what a hierarchical prior would say of it given all groups
above, z = μ(h) + σ(h) u (Sønderby 2016, eq. 5-7), is the top-down network's reading of u. So a ladder is a VAE whose
code is all u in a row, and whose posterior of each group has seen the draws of those above.

A ladder of dense layers is the same without positions inside the network: all its levels are vectors.

The one constraint: data on a grid of positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.networks.conv import Block, Grid, depth_to_space, level_widths, space_to_depth
from sansheng.networks.layers import Context, zero

FINEST = 4
"""Latent channels of the finest level; each level below has twice as many."""
GROUPS = 2
"""Groups of latents a level, but one at the finest."""
DENSE_LATENTS = 32
"""Latent numbers of a group of dense layers."""

Choose = Callable[[int, Tensor], Tensor]
"""(which group, the state h above it ``(B, W, *P)``) -> u ``(B, Z, *P)``."""


class Dense(Grid):
    """A grid whose layers are dense: two levels, each one vector."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = self.padded = tuple(positions)
        self.axes, self.factor, self.halvings = 0, 1, 1
        self.lowest, self.sizes = (), ((), ())

    def conv(self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> nn.Linear:
        return nn.Linear(channels_in, channels_out)

    def patch(self, channels: int) -> int:
        return channels * math.prod(self.positions)

    def pad(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def crop(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, *self.positions))


def _layout(positions: Sequence[int], width: int, dense: bool) -> tuple[Grid, list[int]]:
    """Where layers work, and the channels of every level, the finest first."""
    if dense:
        grid = Dense(positions)
        return grid, [width] * len(grid.sizes)
    grid = Grid(positions)
    return grid, level_widths(grid, width)


class LadderEncoder(nn.Module):
    """``x: (B, C, *P)``, condition -> features ``(B, W, *P_level)`` of every level, the finest first."""

    def __init__(
        self,
        channels: int,
        positions: Sequence[int],
        *,
        width: int,
        depth: int = 1,
        condition: int = 0,
        dense: bool = False,
    ) -> None:
        super().__init__()
        self.grid, widths = _layout(positions, width, dense)
        grid = self.grid
        self.context = Context(2 * width, condition=condition, timed=False)
        context = 2 * width if condition else 0
        self.stem = grid.conv(grid.patch(channels), widths[0])
        self.levels = nn.ModuleList()
        previous = widths[0]
        for level, w in enumerate(widths):
            halve = [grid.conv(previous, previous, 3, 2)] if level else []
            blocks = [Block(grid, previous if i == 0 else w, w, context, norm=True) for i in range(depth)]
            self.levels.append(nn.ModuleList([*halve, *blocks]))
            previous = w

    def forward(self, x: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> list[Tensor]:
        context = self.context(None, condition)
        h = self.stem(space_to_depth(self.grid.pad(x), self.grid.factor))
        features = []
        for level in self.levels:
            assert isinstance(level, nn.ModuleList)
            for layer in level:
                h = layer(h, context) if isinstance(layer, Block) else layer(h)
            features.append(h)
        return features


class Group(nn.Module):
    """One group of latents: how u is read, and how its posterior is found from the state above and the features.

    Where layers are dense, u is read as it is: with a reading that is learned few latents came into use (after a minute
    of digits in black and white 15 of 96, not 84, and −ELBO a nat worse). Its posterior does not begin as N(0, 1).
    """

    def __init__(self, grid: Grid, width: int, latents: int, context: int) -> None:
        super().__init__()
        dense = not grid.axes
        self.prior = None if dense else zero(grid.conv(width, 2 * latents, 1))
        self.mix = Block(grid, 2 * width, width, context, norm=True)
        posterior = grid.conv(width, 2 * latents, 1)
        self.posterior = posterior if dense else zero(posterior)
        self.inject = grid.conv(latents, width, 1)
        self.block = Block(grid, width, width, context, norm=True)

    def infer(self, h: Tensor, features: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(u | x, groups above), with positions N(0, 1) at first."""
        mean, log_variance = self.posterior(F.silu(self.mix(torch.cat([h, features], 1), context))).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, h: Tensor, u: Tensor, context: Tensor | None) -> Tensor:
        if self.prior is not None:
            mean, log_scale = self.prior(h).chunk(2, dim=1)
            u = mean + log_scale.clamp(-5, 5).exp() * u
        return self.block(h + self.inject(u), context)


class LadderDecoder(nn.Module):
    """All u in a row ``(B, latent)``, condition -> parameters ``(B, C, *P)``."""

    def __init__(
        self, channels: int, positions: Sequence[int], *, width: int, condition: int = 0, dense: bool = False
    ) -> None:
        super().__init__()
        self.grid, widths = _layout(positions, width, dense)
        grid = self.grid
        self.context = Context(2 * width, condition=condition, timed=False)
        context = 2 * width if condition else 0
        self.start = nn.Parameter(0.1 * torch.randn(widths[-1], *grid.lowest))
        self.groups, self.rise = nn.ModuleList(), nn.ModuleList()
        self.levels: list[int] = []
        """Of each group, the coarsest first."""
        self.shapes: list[tuple[int, ...]] = []
        """(Z, *P) of each group."""
        for level in reversed(range(len(widths))):
            latents = DENSE_LATENTS if dense else FINEST * 2**level
            for _ in range(GROUPS if level else 1):
                self.groups.append(Group(grid, widths[level], latents, context))
                self.levels.append(level)
                self.shapes.append((latents, *grid.sizes[level]))
            if level:
                self.rise.append(grid.conv(widths[level], widths[level - 1], 1))
        self.head = grid.conv(widths[0], grid.patch(channels))
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.latent = sum(self.sizes)

    def forward(self, u: Tensor, t: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        parts = [part.unflatten(1, shape) for part, shape in zip(u.split(self.sizes, 1), self.shapes, strict=True)]
        return self.walk(len(u), lambda i, h: parts[i], self.context(None, condition))

    def infer(
        self, features: Sequence[Tensor], condition: Tensor | None, samples: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(u, mean, log variance, noise, params) of draws of q(u | x), or of the means where there is no generator.

        `features` are of B examples; all has ``samples · B`` rows, those of all examples again and again.
        """
        n = samples * len(features[0])
        condition = None if condition is None else condition.repeat(samples, 1)
        context, found = self.context(None, condition), []

        def choose(i: int, h: Tensor) -> Tensor:
            below, group = features[self.levels[i]], self.groups[i]
            assert isinstance(group, Group)
            mean, log_variance = group.infer(h, below.repeat(samples, *[1] * (below.ndim - 1)), context)
            mean, log_variance = mean.float(), log_variance.float().clamp(-14, 6)
            noise = torch.zeros_like(mean)
            if generator is not None:
                noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            u = mean + noise * (0.5 * log_variance).exp()
            found.append((u, mean, log_variance, noise))
            return u

        params = self.walk(n, choose, context).float()
        u, mean, log_variance, noise = (torch.cat([p.flatten(1) for p in c], 1) for c in zip(*found, strict=True))
        return u, mean, log_variance, noise, params

    def walk(self, n: int, choose: Choose, context: Tensor | None) -> Tensor:
        """From the top down, each group's u chosen as it is come to."""
        h = self.start.expand(n, *self.start.shape)
        level = self.levels[0]
        for i, group in enumerate(self.groups):
            if self.levels[i] < level:
                level = self.levels[i]
                h = self.rise[len(self.rise) - 1 - level](h)
                h = F.interpolate(h, self.grid.sizes[level]) if self.grid.axes else h
            h = group(h, choose(i, h), context)
        return self.grid.crop(depth_to_space(self.head(F.silu(h)), self.grid.factor))
