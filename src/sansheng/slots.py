"""What one entry of an example is: some numbers, or a symbol.

The one constraint: a slot says what values are valid and how a miss is measured, and nothing of where they come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Likelihood = Literal["gaussian", "bernoulli"]
LIKELIHOODS: tuple[Likelihood, ...] = get_args(Likelihood)


@dataclass(frozen=True)
class Real:
    """A slot of `width` numbers in [`low`, `high`]; the likelihood says how `Space.nll` measures a miss.

    A Bernoulli likelihood (of a grey level in [low, high] as the probability of a white pixel) needs finite bounds.
    optional: the numbers count only where the next slot, a Category, is at its first level, and are 0 elsewhere.
    unknown: its second level says of an optional number nothing but that it is missing.
    """

    width: int = 1
    low: float = -math.inf
    high: float = math.inf
    likelihood: Likelihood = "gaussian"
    optional: bool = False
    unknown: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"a Real slot has at least one channel, not {self.width}")
        if not self.low < self.high:
            raise ValueError(f"a Real slot needs low < high, not [{self.low}, {self.high}]")
        if self.likelihood == "bernoulli" and not math.isfinite(self.high - self.low):
            raise ValueError("a Bernoulli likelihood needs finite bounds")


@dataclass(frozen=True)
class Category:
    """A slot that holds one of `levels` symbols, one-hot."""

    levels: int

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"a Category slot has at least one level, not {self.levels}")

    @property
    def width(self) -> int:
        return self.levels


Slot = Real | Category
