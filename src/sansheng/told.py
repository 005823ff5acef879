"""Networks that are told some cells of an example while they see the rest through noise (Tashiro 2021, section 4.3).

Filling gaps is then what was trained, and needs no slope of the denoiser. The one constraint: what is told stands in
the network's input twice, as clean values among the noisy ones and as a mask of where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sansheng.placed import placed
from sansheng.space import Real, Space

NOISIER, WIDER = 1.0, 1.5
"""How much higher, and wider apart, the logarithms of the noise are where cells are told: what follows from them is
decided in more noise than that in which anything is to be seen without."""


@dataclass(frozen=True, eq=False)
class Told:
    """u ``(B, C, *P)`` is known where `mask`, as large, is True.

    first: how many of the first examples may be told anything; None for all. alike: all are told the same cells.
    blanks: 1 where what is told is that a number is missing, which says nothing of its value.
    """

    u: Float[Tensor, "B C *P"]
    mask: Bool[Tensor, "B C *P"]
    first: int | None = None
    alike: bool = False
    blanks: Float[Tensor, "B C *P"] | None = None

    @property
    def solid(self) -> Bool[Tensor, "B C *P"]:
        """Where values are told."""
        return self.mask if self.blanks is None else self.mask & (self.blanks == 0)

    def keep(self, mean: Tensor) -> Tensor:
        return torch.where(self.mask, self.u, mean)

    def of(self, channels: Int[Tensor, " K"]) -> Told:
        """Of these channels, and of the first examples alone."""
        parts = (self.u, self.mask, self.blanks)
        u, mask, blanks = (p if p is None else p[: self.first].index_select(1, channels) for p in parts)
        assert u is not None
        assert mask is not None
        return Told(u, mask, alike=self.alike and blanks is None, blanks=blanks)


def tell(
    x: Float[Tensor, "B C *P"], space: Space, share: float, drift: float, generator: torch.Generator
) -> tuple[Float[Tensor, "B C *P"], Bool[Tensor, "B C *P"] | None]:
    """x, of which that share of examples has cells told and is moved (`drifted`), and which; None where none has."""
    if not share:
        return x, None
    mask = draw_masks(x, space.units, share, generator)
    return (drifted(x, mask, space, drift, generator) if drift else x), mask


def draw_masks(
    x: Float[Tensor, "B C *P"], units: Int[Tensor, " C"], share: float, generator: torch.Generator
) -> Bool[Tensor, "B C *P"]:
    """Which cells of examples `x` are told: none but of the first ones (`told_examples`).

    Of these in equal parts: all positions before a random one, all outside or inside of a random box, and a
    random share of single ones; of every second one in all channels, else in each of `units` (`Space.units`) with a
    chance of one half.
    """
    (n, _, *sides), device = x.shape, x.device

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator, device=device)

    def like(value: Tensor) -> Tensor:
        return value.view(n, *[1] * (x.ndim - 1))

    inside = torch.ones((n, 1, *sides), dtype=torch.bool, device=device)
    before = inside
    for axis, side in enumerate(sides):
        ends = (uniform(n, 2).sort(1).values * (side + 1)).floor()
        place = torch.arange(side, device=device).view(-1, *[1] * (len(sides) - axis - 1))
        inside = inside & (place >= like(ends[:, 0])) & (place < like(ends[:, 1]))
        if axis == 0:
            before = (place < like((uniform(n) * side).floor())).expand_as(inside)
    single = uniform(n, 1, *sides) < like(uniform(n))
    kind = like((4 * uniform(n)).floor())
    mask = torch.where(kind < 2, torch.where(kind == 0, before, ~inside), torch.where(kind == 2, inside, single))
    left_out = uniform(n, int(units[-1]) + 1).index_select(1, placed(units, device)) < 0.5
    partly = like(uniform(n) < 0.5) & left_out[(...,) + (None,) * len(sides)]
    first = told_examples(n, share)
    chosen = (torch.arange(n, device=device) < first) & (uniform(n) < share * n / max(1, first))
    return mask & ~partly & like(chosen)


def told_examples(n: int, share: float) -> int:
    """How many of `n` examples are told cells at most: known beforehand, as no number drawn on a GPU is."""
    return math.ceil(n * share)


def drifted(
    x: Float[Tensor, "B C *P"], mask: Bool[Tensor, "B C *P"], space: Space, amount: float, generator: torch.Generator
) -> Float[Tensor, "B C *P"]:
    """x, moved where cells are told: each number by N(0, (amount · s)²), alike at all positions of an example.

    s² is by how much the means of a batch's examples vary, less twice what they would if positions were independent,
    as returns are: then there is no level. What a past says of its future hangs less on its level so, which will be
    another in later times; Kim 2022 (RevIN) takes the level out of what a forecaster sees. Numbers that may be missing
    stay.
    """
    across = x.flatten(2)
    chance = across.var(2, unbiased=False).mean(0) / across.shape[2]
    spread = (across.mean(2).var(0, unbiased=False) - 2 * chance).clamp_min(0).sqrt() * placed(
        _lasting(space), x.device
    )
    told = mask.flatten(1).any(1).to(x)
    shift = amount * torch.randn(x.shape[:2], generator=generator, device=x.device) * spread * told[:, None]
    return x + shift[(...,) + (None,) * (x.ndim - 2)]


@cache
def _lasting(space: Space) -> Float[Tensor, " C"]:
    """1 for a channel of numbers that always count, else 0."""
    return torch.tensor([float(isinstance(s, Real) and not s.optional) for s in space.slots for _ in range(s.width)])


def noise_levels(normal: Float[Tensor, " B"], mean: float, std: float, mask: Tensor | None) -> Float[Tensor, " B"]:
    """ln(σ/α) of each example from standard normal draws: N(mean, std²), more where cells are told."""
    usual = mean + std * normal
    if mask is None:
        return usual
    return torch.where(mask.flatten(1).any(1), mean + NOISIER + WIDER * std * normal, usual)
