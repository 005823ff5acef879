"""Masked diffusion for symbols: hide some, learn to tell them from the rest, then reveal a line bit by bit.

Absorbing discrete diffusion (Austin 2021; Sahoo 2024; Shi 2024) in its time-free form: its bound is that of a model
which reads in any order (Hoogeboom 2022, eq. 5; Ou 2025), so that only how many symbols are hidden need be drawn.
"""

from __future__ import annotations

import functools
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sansheng.denoiser import stratified
from sansheng.drawing import led_away, led_evaluations
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Known, Progress, Sampling, Turn, given
from sansheng.placed import placed
from sansheng.space import Space, numbered


@runtime_checkable
class Teller(Protocol):
    """A network that takes symbols by their numbers, for which they need not be made vectors of thousands of zeros."""

    def tell(
        self, symbols: Tensor, shown: Tensor, t: Tensor, condition: Tensor | None, *, asked: Tensor | None = None
    ) -> Tensor:
        """Logits ``(B, L, C)``, or ``(M, C)`` of the positions that are asked."""
        ...


class MaskedDiffusion(GenerativeModel):
    """network: ``(x with zeros for what is hidden, share hidden: (B,), condition) -> logits (B, C, *P)``.

    drop: share of examples whose condition is hidden in training. steps: how many times a line is looked at when it is
    drawn, and never more often than it has symbols to be drawn; with as many as that, samples follow the network's
    conditionals exactly. temperature: what logits are divided by when a line is drawn; below 1, likelier lines and more
    copies. Raises ValueError for a space with numbers in it.
    """

    quick_sampler = "ancestral"

    def __init__(
        self,
        space: Space,
        network: nn.Module,
        *,
        condition_space: Space | None = None,
        drop: float = 0.1,
        steps: int = 64,
        temperature: float = 1.0,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__()
        if not space.symbolic:
            raise ValueError("masked diffusion is for symbols alone: there is no hiding a number by half")
        if temperature <= 0:
            raise ValueError(f"a temperature is above 0, not {temperature}")
        self.space, self.condition_space, self.network = space, condition_space, network
        self.drop, self.steps, self.temperature = drop, steps, temperature
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def turns(self) -> dict[str, Turn]:
        how = {"weight_decay": self.weight_decay, "betas": (0.9, 0.98)}
        return {"denoiser": Turn(self, self.loss, self.learning_rate, **how)}

    def loss(self, batch: Batch, progress: Progress, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative bound in nats per symbol, one draw of what is hidden for each example."""
        keep = torch.rand(len(batch), generator=generator, device=batch.x.device) >= self.drop
        return -self._bound(batch.x, given(batch.condition, keep), generator).mean() / self.space.size, {}

    @torch.no_grad()
    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """A lower bound on log p(x | condition), ``(B,)`` [nats], estimated without bias from `samples` draws."""
        condition = given(batch.condition)
        draws = [self._bound(batch.x, condition, generator) for _ in range(samples)]
        return torch.stack(draws).mean(0)

    def _bound(self, x: Tensor, condition: Tensor | None, generator: torch.Generator) -> Float[Tensor, " B"]:
        """(D/k) Σ log p(hidden symbol | the rest) with k of D symbols hidden, k uniform on 1..D and stratified."""
        n, units = len(x), self.space.size
        share = stratified(n, generator, x.device)
        hidden = (share * units).long().clamp_max(units - 1) + 1
        mask = self._ranks(n, generator, x.device) < hidden[:, None]
        return -units / hidden * self._cost(x, mask, condition)

    def _cost(self, x: Tensor, mask: Bool[Tensor, "B D"], condition: Tensor | None) -> Float[Tensor, " B"]:
        """−Σ log p(hidden symbol | the rest) [nats]."""
        if self._teller is None:
            # the one-hot vectors of what is shown are set to zero, so that `nll` leaves them out
            return self.space.nll(self._logits(x, mask, condition), x * self._channels(mask))
        symbols, share = numbered(x), mask.float().mean(1)
        if x.device.type != "cpu":  # how many are hidden is not known beforehand, and a GPU would be waited for
            logits = self._teller.tell(symbols, ~mask, share, condition).float()
            return (F.cross_entropy(logits.mT, symbols, reduction="none") * mask).sum(1)
        logits = self._teller.tell(symbols, ~mask, share, condition, asked=mask).float()
        costs = F.cross_entropy(logits, symbols[mask], reduction="none")
        return costs.new_zeros(len(x)).index_add(0, mask.nonzero()[:, 0], costs)

    @property
    def _teller(self) -> Teller | None:
        """The network, where it takes symbols by their numbers and there is one at each position."""
        network = self.network
        return network if isinstance(network, Teller) and len(self.space.slots) == 1 else None

    def _ranks(self, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """A random order of the symbols of each example: ``(n, D)``, each row a permutation."""
        return torch.rand(n, self.space.size, generator=generator, device=device).argsort(1).argsort(1)

    def _logits(self, x: Tensor, mask: Bool[Tensor, "B D"], condition: Tensor | None) -> Tensor:
        return self.network(x * ~self._channels(mask), mask.float().mean(1), condition).float()

    def _channels(self, mask: Tensor) -> Tensor:
        """A value for each symbol, ``(B, D)``, as one for each channel, ``(B, C, *P)``."""
        return mask.unflatten(1, (len(self.space.slots), *self.space.positions)).index_select(1, self._slot)

    @property
    def _slot(self) -> Tensor:
        """Of every channel which slot it is of."""
        return placed(self.space.units, next(self.parameters()).device)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Tensor | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:
        steps = self._steps(settings)
        device = next(self.parameters()).device
        x = torch.zeros(n, *self.space.shape, device=device)
        ranks, told = self._ranks(n, generator, device), torch.zeros((n, 1), dtype=torch.long, device=device)
        if settings.known is not None:
            x, ranks, told = self._tell(settings.known, ranks)
            steps = min(steps, self.space.size - int(told.min()))  # each look is for what is not told
        known, (poorer, dropped, scale) = given(condition), led_away(self, settings, condition)
        for step in range(steps):
            first, last = (told + (self.space.size - told) * i // steps for i in (step, step + 1))
            mask = ranks >= first
            due = mask & (ranks < last)
            ask = functools.partial(_asked, x=x, mask=mask, due=due)
            logits = ask(self, known)
            if poorer is not None:
                without = ask(poorer, dropped)
                logits = without + scale * (logits - without)
            if self._teller is None:
                self._reveal(x, logits / self.temperature, due, generator)
            else:
                _write(x, logits / self.temperature, due, generator)
        return x

    def _reveal(self, x: Tensor, logits: Tensor, due: Bool[Tensor, "B D"], generator: torch.Generator) -> None:
        """Write symbols drawn from `logits` into the zeros of `x` where they are due, and draw no others."""
        logits, cells, due = logits.flatten(2), x.view(*x.shape[:2], -1), due.unflatten(1, (len(self.space.slots), -1))
        for group in self.space.category_groups:
            channels = placed(group, x.device)
            example, slot, position = due[:, self._slot[channels[:, 0]]].nonzero(as_tuple=True)
            if len(example):
                asked = logits[example[:, None], channels[slot], position[:, None]].softmax(1)
                drawn = torch.multinomial(asked, 1, generator=generator).squeeze(1)
                cells[example, channels[slot, drawn], position] = 1.0

    def _tell(self, known: Known, ranks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is shown at first, the order with it before all else, and how much it is, ``(B, 1)``. Whole symbols must
        be known."""
        if known.mask is None:
            raise ValueError("of symbols single ones can be known, and no means")
        shown = known.mask.flatten(2)[:, list(self.space.offsets)].reshape(len(ranks), -1)
        return known.x * known.mask, (ranks - self.space.size * shown).argsort(1).argsort(1), shown.sum(1, keepdim=True)

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return led_evaluations(self, settings, self._steps(settings))

    def _steps(self, settings: Sampling) -> int:
        if settings.sampler not in (None, "ancestral"):
            raise ValueError(f"masked diffusion has one sampler, ancestral, and no {settings.sampler!r}")
        if settings.steps is not None and settings.steps < 1:
            raise ValueError(f"a sampler takes at least 1 step, not {settings.steps}")
        return min(settings.steps or self.steps, self.space.size)


def _asked(model: MaskedDiffusion, condition: Tensor | None, *, x: Tensor, mask: Tensor, due: Tensor) -> Tensor:
    """Logits of all symbols, or where a model takes these by their numbers ``(M, C)`` of the M that are due."""
    if model._teller is None:
        return model._logits(x, mask, condition)
    return model._teller.tell(numbered(x), ~mask, mask.float().mean(1), condition, asked=due).float()


def _write(x: Tensor, logits: Float[Tensor, "M C"], due: Bool[Tensor, "B L"], generator: torch.Generator) -> None:
    """Write symbols drawn from `logits` into the zeros of `x` where they are due."""
    example, position = due.nonzero(as_tuple=True)
    if len(example):
        drawn = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
        x[example, drawn, position] = 1.0
