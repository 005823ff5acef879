"""A set that examples are to lie in: numbers in intervals, symbols among those allowed.

The one constraint: a set is a product over single symbols and numbers (or a number with the symbol that says whether it
counts), so that its probability, given what is known of each, is a product too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

FAR = 1e3
"""Stands for infinity where a slope is taken."""
THIN = 1e-3
"""A number that must have one value is looked for in an interval so wide."""
LEAST = 1e-6
"""A probability below this is taken for it where its logarithm is wanted."""
POOL = 100
"""Proposals, at most, for each example wanted; and `LEAST_POOL` in any case."""
LEAST_POOL, ROUND = 20_000, 4_000


@dataclass(frozen=True)
class Allowed:
    """What is allowed of one number, one symbol, or a number and the symbol that says whether it counts.

    real: the channel of the number, which lies in one of `intervals`. symbols: the channels of the symbol, and `levels`
    says of each whether it is allowed. Where there are both, the first symbol says that the number counts.
    """

    real: int | None = None
    intervals: tuple[tuple[float, float], ...] = ()
    symbols: tuple[int, ...] = ()
    levels: tuple[bool, ...] = ()

    def log_chance(self, mean: Float[Tensor, "B C"], variance: Float[Tensor, "B C"]) -> Float[Tensor, " B"]:
        """log p(allowed), ``(B,)`` [nats], of a Gaussian number and a symbol with probabilities `mean`."""
        inside = self._log_inside(mean, variance)
        if not self.symbols:
            return inside
        levels = mean[:, list(self.symbols)].clamp_min(0) * torch.tensor(self.levels, device=mean.device)
        if self.real is None:
            return levels.sum(1).clamp(LEAST, 1).log()
        counts = levels[:, 0] * inside.exp() if self.intervals else torch.zeros_like(inside)
        return (counts + levels[:, 1:].sum(1)).clamp(LEAST, 1).log()

    def _log_inside(self, mean: Tensor, variance: Tensor) -> Tensor:
        if self.real is None or not self.intervals:
            return mean.new_zeros(len(mean))
        center, spread = mean[:, self.real], variance[:, self.real].clamp_min(1e-8).sqrt()
        parts = []
        for low, high in self.intervals:
            wide = max(0.0, THIN - (high - low)) / 2
            a, b = ((end - center) / spread for end in (low - wide, high + wide))
            parts.append(log_normal_interval(a, b))
        return torch.logsumexp(torch.stack(parts), 0)

    def holds(self, x: Float[Tensor, "B C"]) -> Bool[Tensor, " B"]:
        """Whether valid examples are allowed."""
        inside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        if self.real is not None:
            for low, high in self.intervals:
                inside |= (x[:, self.real] >= low) & (x[:, self.real] <= high)
        if not self.symbols:
            return inside
        which = x[:, list(self.symbols)].argmax(1)
        allowed = torch.tensor(self.levels, device=x.device)[which]
        return allowed if self.real is None else torch.where(which == 0, allowed & inside, allowed)

    def redraw(self, x: Tensor, mean: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
        """`x` with the number and the symbol drawn anew from what is allowed of N(mean, variance) and of p = mean."""
        x = x.clone()
        if self.symbols:
            weights = mean[:, list(self.symbols)].clamp_min(0)
            if self.real is not None and self.intervals:
                first = weights[:, :1] * self._log_inside(mean, variance).exp()[:, None]
                weights = torch.cat([first, weights[:, 1:]], dim=1)
            weights = (weights + 1e-12) * torch.tensor(self.levels, device=x.device)
            drawn = torch.multinomial(weights, 1, generator=generator)[:, 0]
            x[:, list(self.symbols)] = F.one_hot(drawn, len(self.symbols)).to(x)
        if self.real is not None and self.intervals:
            center, spread = mean[:, self.real], variance[:, self.real].clamp_min(1e-8).sqrt()
            x[:, self.real] = _truncated(center, spread, self.intervals, generator)
        return x

    def bring(self, x: Tensor) -> Tensor:
        """Unhardened `x` with a symbol that is not allowed put behind all others, and the number moved inside.

        A number just outside is mirrored at the border, so that none pile up there.
        """
        x = x.clone()
        if self.symbols:
            banned = [c for c, allowed in zip(self.symbols, self.levels, strict=True) if not allowed]
            x[:, banned] = -FAR
        if self.real is not None and self.intervals:
            value = x[:, self.real]
            ends = torch.tensor(self.intervals, device=x.device, dtype=x.dtype)
            nearest = torch.maximum(torch.minimum(value[:, None], ends[:, 1]), ends[:, 0])
            best = (nearest - value[:, None]).abs().argmin(1)
            border, (low, high) = nearest[torch.arange(len(x), device=x.device), best], ends[best].T
            x[:, self.real] = torch.minimum(torch.maximum(2 * border - value, low), high)
        return x


@dataclass(frozen=True, eq=False)
class Spelled:
    """What is allowed of a level written as digits, each a symbol: `allowed` of each number, first digit first.

    first: the channel they begin at. base: levels of a digit. The digits are independent given what is known, so the
    probability of a number is the product of theirs, and that of the set is a sum over `allowed`, exact.
    """

    first: int
    base: int
    allowed: tuple[bool, ...]

    def log_chance(self, mean: Float[Tensor, "B C"], variance: Float[Tensor, "B C"]) -> Float[Tensor, " B"]:
        """As of `Allowed`."""
        digits = self._digits(mean.clamp_min(0))
        chance = digits[0]
        for digit in digits[1:]:
            chance = (chance[:, :, None] * digit[:, None]).flatten(1)
        return (chance * self._mask(mean)).sum(1).clamp(LEAST, 1).log()

    def holds(self, x: Float[Tensor, "B C"]) -> Bool[Tensor, " B"]:
        """As of `Allowed`."""
        number = sum(d.argmax(1) * self.base**i for i, d in enumerate(reversed(self._digits(x))))
        return self._mask(x)[number]

    def redraw(self, x: Tensor, mean: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
        """As of `Allowed`."""
        weights = self._scores(mean.clamp_min(1e-12).log()).exp() * self._mask(mean)
        return self._put(x, torch.multinomial(weights, 1, generator=generator)[:, 0], 0.0)

    def bring(self, x: Tensor) -> Tensor:
        """Unhardened `x` with every digit behind those of the allowed number that has the largest sum."""
        scores = self._scores(x).masked_fill(~self._mask(x), -math.inf)
        return self._put(x, scores.argmax(1), -FAR)

    def _digits(self, x: Tensor) -> list[Tensor]:
        count = round(math.log(len(self.allowed), self.base))
        return [x[:, self.first + i * self.base : self.first + (i + 1) * self.base] for i in range(count)]

    def _scores(self, x: Tensor) -> Tensor:
        """Of each number the sum over its digits, ``(B, numbers)``."""
        digits = self._digits(x)
        scores = digits[0]
        for digit in digits[1:]:
            scores = (scores[:, :, None] + digit[:, None]).flatten(1)
        return scores

    def _mask(self, x: Tensor) -> Tensor:
        return torch.tensor(self.allowed, device=x.device)

    def _put(self, x: Tensor, number: Tensor, other: float) -> Tensor:
        """`x` with the digits of `number` at 1 and all others at `other`."""
        x = x.clone()
        for digit in reversed(self._digits(x)):  # views of x
            digit.fill_(other).scatter_(1, (number % self.base)[:, None], 1.0)
            number = number // self.base
        return x


@dataclass(frozen=True)
class Within:
    """Every one of `parts` is allowed."""

    parts: tuple[Allowed | Spelled, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The channels of the numbers that are confined."""
        numbers = [part for part in self.parts if isinstance(part, Allowed) and part.intervals]
        return tuple(part.real for part in numbers if part.real is not None)

    def log_chance(self, mean: Float[Tensor, "B C"], variance: Float[Tensor, "B C"]) -> Float[Tensor, " B"]:
        """The sum of the parts' log probabilities [nats]."""
        return torch.stack([part.log_chance(mean, variance) for part in self.parts]).sum(0)

    def holds(self, x: Float[Tensor, "B C"]) -> Bool[Tensor, " B"]:
        """Whether valid examples lie in the set."""
        return torch.stack([part.holds(x) for part in self.parts]).all(0)

    def redraw(self, x: Tensor, mean: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
        for part in self.parts:
            x = part.redraw(x, mean, variance, generator)
        return x

    def bring(self, x: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """The nearest to unhardened `x` that lies in the set once it is hardened."""
        for part in self.parts:
            x = part.bring(x)
        return x


def log_normal_interval(a: Tensor, b: Tensor) -> Tensor:
    """log(Φ(b) − Φ(a)) for a < b, with slopes that stay finite in the tails."""
    a, b = a.clamp(-FAR, FAR), b.clamp(-FAR, FAR)
    left, right = torch.where(a > 0, -b, a), torch.where(a > 0, -a, b)
    low, high = torch.special.log_ndtr(left), torch.special.log_ndtr(right)
    return high + torch.log1p(-(low - high).clamp_max(-1e-6).exp())


def _truncated(
    center: Tensor, spread: Tensor, intervals: tuple[tuple[float, float], ...], generator: torch.Generator
) -> Tensor:
    """Draws from a Gaussian confined to a union of intervals."""
    ends = torch.tensor(intervals, device=center.device, dtype=center.dtype)
    a, b = ((end - center[:, None]) / spread[:, None] for end in ends.T)
    weights = log_normal_interval(a, b.maximum(a + 1e-6)).softmax(1)
    which = torch.multinomial(weights, 1, generator=generator)
    low, high = a.gather(1, which)[:, 0].double(), b.gather(1, which)[:, 0].double()
    flip = low > 0  # the left tail has the digits
    left, right = torch.where(flip, -high, low), torch.where(flip, -low, high)
    share = torch.rand(center.shape, generator=generator, device=center.device).double()
    p, q = torch.special.ndtr(left), torch.special.ndtr(right)
    z = torch.special.ndtri((p + share * (q - p)).clamp(1e-300, 1 - 1e-16))
    value = center + spread * torch.where(flip, -z, z).to(center)
    chosen = ends[which[:, 0]]
    return torch.minimum(torch.maximum(value, chosen[:, 0]), chosen[:, 1])


# -- models that draw at once --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Proposals:
    """Draws `x: (B, C)` of a model; the `mean` (probabilities of symbols) and `variance` they were drawn with given
    their codes; and the conditions of each, or None.
    """

    x: Tensor
    mean: Tensor
    variance: Tensor
    condition: Tensor | None

    def take(self, index: Tensor) -> Proposals:
        condition = None if self.condition is None else self.condition[index]
        return Proposals(self.x[index], self.mean[index], self.variance[index], condition)


def resample(
    propose: Callable[[int], Proposals], n: int, within: Within, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """`n` draws given that they lie `within`, and their conditions, by importance resampling of codes (Rubin 1988).

    A code z is worth w = p(within | z), exactly known because all is independent given z; codes are gathered until
    their worth adds up to n, and then none is taken twice. What is confined is drawn anew from p(. | z, within). Where
    `POOL` codes an example are not enough, codes repeat, and the draws vary less than they should. Raises ValueError
    if no code is worth anything.
    """
    pools: list[Proposals] = []
    weights: list[Tensor] = []
    seen, most = 0, max(POOL * n, LEAST_POOL)
    while seen < most and sum(float(w.sum()) for w in weights) < n:
        made = propose(ROUND)
        worth = within.log_chance(made.mean, made.variance).exp()
        worth = torch.where(worth > 10 * LEAST, worth, 0.0)  # below it is rounding
        kept = worth.nonzero()[:, 0]
        pools.append(made.take(kept))
        weights.append(worth[kept])
        seen += ROUND
    weight = torch.cat(weights)
    if not len(weight):
        raise ValueError(f"none of {seen:,} draws comes near what --where asks for; ask for less")
    places = _systematic(weight, n, generator)
    chosen = _join(pools).take(places)
    x = within.redraw(chosen.x, chosen.mean, chosen.variance, generator)
    return x, chosen.condition


def _systematic(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """`n` places in proportion to `weight`, each ⌊n w⌋ or ⌈n w⌉ times (Kitagawa 1996), in random order."""
    ends = weight.double().cumsum(0)
    start = torch.rand((), generator=generator, device=weight.device).double()
    marks = (torch.arange(n, device=weight.device) + start) / n * ends[-1]
    places = torch.searchsorted(ends, marks, right=True).clamp_max(len(weight) - 1)
    return places[torch.randperm(n, generator=generator, device=weight.device)]


def _join(pools: list[Proposals]) -> Proposals:
    conditions = [pool.condition for pool in pools if pool.condition is not None]
    x, mean, variance = (torch.cat([getattr(p, name) for p in pools]) for name in ("x", "mean", "variance"))
    return Proposals(x, mean, variance, torch.cat(conditions) if conditions else None)


def choose(log_worth: Float[Tensor, " M"], n: int, generator: torch.Generator) -> Tensor:
    """`n` of M places, in proportion to exp(log_worth)."""
    weight = (log_worth - log_worth.max()).exp()
    return _systematic(weight, n, generator) if math.isfinite(float(weight.sum())) else torch.arange(n) % len(weight)
