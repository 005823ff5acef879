"""Augmentations a gradient passes through, for critics of few pictures (Zhao 2020; Karras 2020, ADA).

Each example is changed by each augmentation with the same chance, and real and generated examples alike, so the critic
cannot learn few pictures by heart while the generator learns none of the changes: as long as most examples are left as
they are, only the undisturbed distribution explains all that is seen.

The one constraint: pictures, that is numbers on two axes, centred on about zero.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SHIFT = 1 / 8
"""Of a side, by how much a picture is moved at most."""
CUT = 1 / 2
"""Of a side, how much a hole takes away."""


def augment(
    x: Float[Tensor, "B C H W"], chance: Tensor | float, generator: torch.Generator
) -> Float[Tensor, "B C H W"]:
    """x with brightness, contrast, place and a hole changed, each in a share `chance` of the examples."""
    for change in (brightness, contrast, shift, cut):
        chosen = torch.rand(len(x), generator=generator, device=x.device) < chance
        x = change(x, chosen, generator)
    return x


def brightness(x: Tensor, chosen: Bool[Tensor, " B"], generator: torch.Generator) -> Tensor:
    """x + b, b ~ U(−½, ½)."""
    return x + _where(chosen, _uniform(x, -0.5, 0.5, generator), 0.0)


def contrast(x: Tensor, chosen: Bool[Tensor, " B"], generator: torch.Generator) -> Tensor:
    """Distances from the picture's mean times c ~ U(½, 3/2)."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * _where(chosen, _uniform(x, 0.5, 1.5, generator), 1.0)


def shift(x: Tensor, chosen: Bool[Tensor, " B"], generator: torch.Generator) -> Tensor:
    """Moved by up to an eighth of each side, its border repeated."""
    rows, columns = (_places(len(x), side, chosen, generator) for side in x.shape[2:])
    every = torch.arange(len(x), device=x.device)[:, None, None]
    return x[every, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def cut(x: Tensor, chosen: Bool[Tensor, " B"], generator: torch.Generator) -> Tensor:
    """A hole of half of each side, centred anywhere, is zero."""
    inside = chosen.view(-1, 1, 1)
    for axis, side in enumerate(x.shape[2:]):
        centre = torch.rand(len(x), generator=generator, device=x.device) * side
        near = (torch.arange(side, device=x.device) + 0.5 - centre[:, None]).abs() < CUT * side / 2
        inside = inside & (near[:, :, None] if axis == 0 else near[:, None, :])
    return x.masked_fill(inside[:, None], 0.0)


def _uniform(x: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(len(x), generator=generator, device=x.device)


def _where(chosen: Tensor, value: Tensor, otherwise: float) -> Tensor:
    return torch.where(chosen, value, otherwise).view(-1, 1, 1, 1)


def _places(n: int, side: int, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """``(n, side)``: where each row or column comes from."""
    reach = max(1, round(SHIFT * side))
    by = torch.randint(-reach, reach + 1, (n,), generator=generator, device=chosen.device) * chosen
    return (torch.arange(side, device=chosen.device) + by[:, None]).clamp(0, side - 1)
