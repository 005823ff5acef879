"""Symbols as often as in training: after training the logits of each level are shifted by one number.

A network that has not quite learned how often a level comes says so a little too often or too rarely, alike for most
examples. Of all changes that make it come as often as it should, weighting what is drawn by an exponential of its
levels is the least (the tilt of raking, Deville & Särndal 1992, section 4); here it is one number added to each logit,
so it costs nothing when drawing. The one constraint: only the training data and what the model draws are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sansheng.codecs.base import Encoded
from sansheng.events import Event, Observer
from sansheng.loop import State, derive_seed
from sansheng.model import DEFAULT_SAMPLING, GenerativeModel

SHARE = 0.2
"""Of what training cost, at most, in evaluations of the network."""
BACKWARD = 3
"""Evaluations that a training example costs."""
ROUNDS = 5
FEWEST, MOST, CHEAP = 500, 8192, 160_000
"""Examples drawn in a round: with fewer the levels are left as they are, more than `MOST` are of little use, unless all
rounds together stay below `CHEAP` evaluations of the network, as a GAN's do."""
FARTHEST = 2.0
"""Shift of a logit [nats], at most."""
STRIDE = 0.5
"""How far a shift goes in a round, at most: a level that never came says little of how far it must."""
SURE = 3.0
"""Standard deviations of chance by which a level must miss, on either side, to have been moved too far."""
WORSE = 2.0
"""Times the squared distance of frequencies that there was before, beyond which the shifts have failed."""
AT_ONCE = 50_000
"""Training rows that are encoded at a time."""
GENTLEST, STEEPEST = 0.5, 3.0
"""How much the logarithm of a frequency may seem to follow a shift."""


def calibrate(state: State, train: Encoded, examples: int, seed: int, observe: Observer) -> bool:
    """Calibrate the averaged model after training on so many examples, where that is worth it; whether it was."""
    n = drawn_each_round(state.average, examples)
    if not (n and _can_shift(state.average)):
        return False
    observe(Event("phase", "matching how often levels come"))
    match_levels(state.average, train, n, seed)
    return True


def drawn_each_round(model: GenerativeModel, examples: int) -> int:
    """How many examples to draw after training on so many; 0 if that is too few to learn from."""
    cost = ROUNDS * model.evaluations(DEFAULT_SAMPLING)
    n = min(max(MOST, CHEAP // cost), int(SHARE * BACKWARD * examples / cost))
    return n if n >= FEWEST else 0


@torch.no_grad()
def match_levels(model: GenerativeModel, train: Encoded, n: int, seed: int) -> Tensor | None:
    """Shift the logits of `model` in place until levels come as often as in `train`, by `ROUNDS` draws of `n` >= 1.

    Returns the shifts ``(L,)`` [nats] of its symbols' channels, or None for a model that has none to shift.
    A shift is shrunk by what is chance in it (James & Stein 1961), so that a model that is right stays as it is.
    """
    bias, symbols = model.logit_bias(), torch.nonzero(model.space.is_real == 0).squeeze(1)
    if bias is None or not _can_shift(model):
        return None
    found = Shifts(_mean(train)[symbols], n)
    symbols = symbols.to(bias.device)
    before = bias[symbols].clone()
    for k in range(ROUNDS):
        bias[symbols] = before + found.shift.to(before)
        found.add(_frequencies(model, train.condition, n, derive_seed(seed, max(0, k - 1), "calibration"), symbols))
    final = found.shrunk()
    bias[symbols] = before + final.to(before)
    return final


def _can_shift(model: GenerativeModel) -> bool:
    """Whether it makes symbols at no positions, by a layer that adds one number to each logit."""
    return not (model.space.positions or model.space.is_real.all() or model.logit_bias() is None)


def _mean(train: Encoded) -> Tensor:
    """The mean example ``(C,)``."""
    parts = (
        train.rows(slice(first, first + AT_ONCE)).x.double().sum(0).cpu() for first in range(0, len(train), AT_ONCE)
    )
    return torch.stack(list(parts)).sum(0) / len(train)


def _frequencies(model: GenerativeModel, conditions: Tensor | None, n: int, seed: int, symbols: Tensor) -> Tensor:
    """How often levels are drawn, ``(L,)``, under conditions as in training."""
    generator = torch.Generator(symbols.device).manual_seed(seed)
    given = None
    if conditions is not None:
        rows = torch.randint(len(conditions), (n,), generator=torch.Generator().manual_seed(seed))
        given = conditions[rows].to(symbols.device)
    return model.sample(n, condition=given, generator=generator)[:, symbols].double().mean(0).cpu()


@dataclass
class Shifts:
    """What the draws so far say about the shifts. The first two are to be of the same noise: their difference is what
    a shift does, and no chance. Later draws, which are nearer, count for more."""

    wanted: Tensor
    n: int
    shift: Tensor = field(init=False)
    slope: Tensor = field(init=False)
    """How much the logarithm of each frequency follows its shift."""
    _distances: list[float] = field(default_factory=list)
    _first: Tensor | None = None
    _last: Tensor = field(init=False)
    _estimates: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shift, self.slope = torch.zeros_like(self.wanted), torch.ones_like(self.wanted)

    def add(self, drawn: Tensor) -> None:
        """Learn from how often levels came, with `shift` as it is, and move it."""
        half = 0.5 / self.n  # a level that never came is half an example
        missing = torch.log(self.wanted.clamp_min(half)) - torch.log(drawn.clamp_min(half))
        self._distances.append(float((self.wanted - drawn).square().sum()))
        if self._first is None:
            self._first, self.shift = missing, self._moved(missing)
            return
        if not self._estimates:
            weight = self.wanted * (1 - self.wanted) * (self.shift.abs() < STRIDE)
            moved = (weight * self.shift * (self._first - missing)).sum() / (weight * self.shift**2).sum()
            self.slope = self.slope * moved.nan_to_num(1.0).clamp(GENTLEST, STEEPEST)
        else:  # a level that was too frequent and is too rare now, both by more than chance, was moved too far
            beyond = torch.minimum(missing.abs(), self._last.abs()) > SURE * self._chance().sqrt()
            self.slope = torch.where(beyond & (missing * self._last < 0), 2 * self.slope, self.slope)
        self._last = missing
        self._estimates.append(self._moved(missing / self.slope))
        weights = torch.arange(1, len(self._estimates) + 1, dtype=missing.dtype)
        self.shift = (weights / weights.sum()) @ torch.stack(self._estimates)

    def shrunk(self) -> Tensor:
        """The shift less what chance alone would make of it; nothing if levels came farther by more than chance."""
        if self._distances[-1] > WORSE * self._distances[0]:
            return torch.zeros_like(self.shift)
        chance = self._chance() / max(1, len(self._estimates)) / self.slope**2
        return self.shift * (1 - chance / self.shift.square().clamp_min(1e-12)).clamp_min(0)

    def _chance(self) -> Tensor:
        """The variance of the logarithm of each frequency in one draw."""
        p = self.wanted.clamp_min(0.5 / self.n)
        return (1 - p) / (p * self.n)

    def _moved(self, by: Tensor) -> Tensor:
        return (self.shift + by.clamp(-STRIDE, STRIDE)).clamp(-FARTHEST, FARTHEST)
