"""Flow matching on the simplex: symbols as points between the corners, from anywhere in it to one corner.

A point x_0 is drawn evenly from the simplex (Dirichlet(1, …, 1)) and goes straight to the corner c of a symbol, x_t =
(1 − t) x_0 + t e_c (the linear path of Stark 2024). All that x_t says of c is which k have x_tk ≥ t, the candidates.
With x_0 = E / G, E_k independent exponentials and G their sum, and the clock t = r / (r + G) at each position, these
are c and the k with E_k ≥ r: false ones go one after the other at the rate 1, where at even t nearly all go at once.
In y = (r + G) x_t the lead y_k − r of a candidate, which at 0 is none any more, falls along the velocity of E[x | x_t]
at the rate 1 − p_k, p_k being its share of E[x | x_t].

The same as a jump process, its leads drawn anew at every moment as having no memory they may be, has a bound: false
candidates go at the rate 1 and the true one never, where the model lets each go at 1 − p_k, which costs (Campbell 2022,
proposition 2) ∫ Σ −ln(1 − p_k) dr over the false ones that are left. Rates below `SLOWEST` count as that.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sansheng.denoiser import stratified
from sansheng.drawing import Drawn, led_away, led_evaluations
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Progress, Sampling, Turn, given
from sansheng.space import Category, Space, numbered

SAMPLERS = ("ancestral", "euler")
SLOWEST = 1e-6
"""Of the rates at which candidates go, so that no cost is without bound."""
ENDS = 10
"""Draws of r to each draw of the end."""
BEYOND = 2.0
"""How far r goes beyond ln V: e^−2 false candidates are then left at a position; what is left is drawn at once."""


class SimplexFlow(GenerativeModel):
    """network: ``(mean of the candidates: (B, V, *P), share of r: (B,), condition) -> logits (B, V, *P)``.

    drop: share of examples whose condition is hidden in training. known_share: share of examples that are told some of
    their symbols, as what stands around a gap is. steps: evaluations a sample takes. sampler: ``euler`` follows the
    flow, ``ancestral`` draws leads anew at every step. guidance: as in `Sampling`. Raises ValueError for anything but
    one symbol at each position.
    """

    quick_sampler = "ancestral"
    log_share: Tensor

    def __init__(
        self,
        space: Space,
        network: nn.Module,
        *,
        condition_space: Space | None = None,
        drop: float = 0.1,
        known_share: float = 0.3,
        steps: int = 64,
        sampler: str = "ancestral",
        guidance: float = 1.0,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__()
        if len(space.slots) != 1 or not isinstance(space.slots[0], Category):
            raise ValueError("the simplex is for one symbol at each position")
        for name, share in (("known_share", known_share), ("drop", drop)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share of the examples, in [0, 1], not {share}")
        self.space, self.condition_space, self.network = space, condition_space, network
        self.drop, self.known_share, self.default = drop, known_share, Drawn(sampler, steps, guidance)
        self._checked(sampler)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.last = math.log(space.channels) + BEYOND
        self.register_buffer("log_share", torch.zeros(space.channels, *[1] * len(space.positions)))

    def measure(self, x: Float[Tensor, "N C *P"]) -> None:
        """How often each symbol comes, one more time than counted."""
        counts = x.transpose(0, 1).flatten(1).sum(1) + 1
        self.log_share.copy_((counts / counts.sum()).log().view_as(self.log_share))

    def turns(self) -> dict[str, Turn]:
        how = {"weight_decay": self.weight_decay, "betas": (0.9, 0.98)}
        return {"velocity": Turn(self, self.loss, self.learning_rate, **how)}

    def loss(self, batch: Batch, progress: Progress, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Nats per symbol: what the symbol costs given the candidates, at an even r."""
        x = batch.x
        keep = torch.rand(len(x), generator=generator, device=x.device) >= self.drop
        r = self.last * stratified(len(x), generator, x.device)
        left = self._left(x, r, generator, told=self._told(x, generator))
        logits = self._logits(left, r, given(batch.condition, keep)).masked_fill(~left, -math.inf)
        return F.cross_entropy(logits, numbered(x)), {}

    @torch.no_grad()
    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """A lower bound on log p(x | condition), ``(B,)`` [nats], estimated without bias from `samples` draws of r and
        a tenth as many of the end, where hardly a candidate is left."""
        x, condition = batch.x, given(batch.condition)
        gone, end = x.new_zeros(len(x)), x.new_zeros(len(x))
        for draw in range(samples):
            r = self.last * (draw + torch.rand(len(x), generator=generator, device=x.device)) / samples
            logits, left = self._looked(x, r, condition, generator)
            lost = torch.where(left, -torch.log1p(-logits.softmax(1).clamp_max(1 - SLOWEST)), 0.0)
            gone += lost.scatter(1, numbered(x)[:, None], 0.0).flatten(1).sum(1)
        ends = -(-samples // ENDS)
        for _ in range(ends):
            logits, _ = self._looked(x, x.new_full((len(x),), self.last), condition, generator)
            end += F.cross_entropy(logits, numbered(x), reduction="none").flatten(1).sum(1)
        return -self.last * gone / samples - end / ends

    def _looked(
        self, x: Tensor, r: Float[Tensor, " B"], condition: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Logits of the candidates at r, −∞ of all others, and which these are."""
        left = self._left(x, r, generator)
        return self._logits(left, r, condition).masked_fill(~left, -math.inf), left

    def _told(self, x: Tensor, generator: torch.Generator) -> Bool[Tensor, "B 1 *P"]:
        """Where training examples are told their symbol: of `known_share` of them at any share of their positions."""
        lot = torch.rand(len(x), 2, generator=generator, device=x.device)
        share = torch.where(lot[:, 0] < self.known_share, lot[:, 1], 0.0).view(-1, *[1] * (x.ndim - 1))
        return torch.rand((len(x), 1, *x.shape[2:]), generator=generator, device=x.device) < share

    def _left(
        self, x: Tensor, r: Float[Tensor, " B"], generator: torch.Generator, told: Tensor | None = None
    ) -> Bool[Tensor, "B C *P"]:
        """The candidates at r: the true one, and each other with probability e^−r, where it is not told."""
        left = _even(x.shape, generator, x.device) < (-r).exp().view(-1, *[1] * (x.ndim - 1))
        return (left if told is None else left & ~told).scatter_(1, numbered(x)[:, None], True)

    def _logits(self, left: Tensor, r: Float[Tensor, " B"], condition: Tensor | None) -> Tensor:
        """Of every level, those that are out included. The network begins as what the shares alone say."""
        seen = self.log_share.exp() * left
        seen = seen / seen.sum(1, keepdim=True)
        return self.network(seen, r / self.last, condition).float() + self.log_share

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Tensor | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:
        steps, fresh = self._steps(settings), self._checked(settings.sampler or self.default.sampler) == "ancestral"
        shape, device = torch.Size((n, *self.space.shape)), self.log_share.device
        lead = -_even(shape, generator, device).log()
        left = torch.ones_like(lead, dtype=torch.bool)
        if settings.known is not None:
            left = self._tell(left, settings)
        width = self.last / max(1, steps - 1)
        for step in range(steps - 1):
            share = self._share(left, step * width, condition, settings)
            if fresh:
                kept = left & (_even(shape, generator, device) < math.exp(-width))
                left = kept.scatter_(1, _drawn(share, generator), True)
            else:
                left, lead = _flow(left, lead, share, width)
        drawn = _drawn(self._share(left, (steps - 1) * width, condition, settings), generator)
        return torch.zeros(shape, device=left.device).scatter_(1, drawn, 1.0)

    def _share(self, left: Tensor, r: float, condition: Tensor | None, settings: Sampling) -> Tensor:
        """What each candidate's share of E[x | x_t] is, guided where that is asked for."""
        levels = torch.full((len(left),), r, device=left.device)
        logits = self._logits(left, levels, given(condition))
        poorer, dropped, scale = led_away(self, settings, condition, self.default.guidance)
        if poorer is not None:
            without = poorer._logits(left, levels, dropped)
            logits = without + scale * (logits - without)
        return logits.masked_fill(~left, -math.inf).softmax(1)

    def _tell(self, left: Tensor, settings: Sampling) -> Tensor:
        """Where a symbol is known it is the one candidate. Whole symbols must be known."""
        known = settings.known
        if known is None or known.mask is None:
            raise ValueError("of symbols single ones can be known, and no means")
        return left & ((known.x > 0) | ~known.mask)

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return led_evaluations(self, settings, self._steps(settings), self.default.guidance)

    def _steps(self, settings: Sampling) -> int:
        if settings.steps is not None and settings.steps < 1:
            raise ValueError(f"a sampler takes at least 1 step, not {settings.steps}")
        return settings.steps or self.default.steps

    def _checked(self, sampler: str) -> str:
        if sampler not in SAMPLERS:
            raise ValueError(f"a flow on the simplex has the samplers {', '.join(SAMPLERS)}, and no {sampler!r}")
        return sampler


def _even(shape: torch.Size, generator: torch.Generator, device: torch.device) -> Float[Tensor, "B C *P"]:
    """Numbers in (0, 1], the levels of a position side by side in memory, as the network reads and writes them: of
    thousands of levels anything else takes twice the time."""
    apart = torch.rand((shape[0], *shape[2:], shape[1]), generator=generator, device=device)
    return (1 - apart).movedim(-1, 1)


def _drawn(share: Float[Tensor, "B C *P"], generator: torch.Generator) -> Int[Tensor, "B 1 *P"]:
    """Numbers of symbols drawn by their shares, by inversion: with thousands of levels ``torch.multinomial`` takes
    longer than the network."""
    total = share.movedim(1, -1).cumsum(-1)
    lot = 1 - torch.rand((*total.shape[:-1], 1), generator=generator, device=share.device)
    return torch.searchsorted(total, lot * total[..., -1:]).movedim(-1, 1)


def _flow(left: Tensor, lead: Tensor, share: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Candidates and their leads `width` further on: each lead falls at the rate 1 − share, and at 0 it is out."""
    time = torch.where(left, lead / (1 - share).clamp_min(1e-9), -1.0)
    first = torch.zeros_like(left).scatter_(1, time.argmax(1, keepdim=True), True)
    return left & ((time > width) | first), (lead - width * (1 - share)).clamp_min(1e-9)
