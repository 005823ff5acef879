"""The contract between a family and the loop: a model says whose turn it is and down which loss.

A VAE, a diffusion and a flow model take one turn a step, a GAN takes two. The loop knows nothing else of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sansheng.space import Space
from sansheng.within import Proposals, Within, resample


@dataclass(frozen=True)
class Batch:
    """Encoded examples, and what is given of each: ``x: (B, C, *P)``, ``condition: (B, K)`` or None."""

    x: Float[Tensor, "B C *P"]
    condition: Float[Tensor, "B K"] | None = None

    def __len__(self) -> int:
        return len(self.x)


Progress = float | Tensor
"""In [0, 1]; a tensor ``()`` where a step is recorded to be repeated (`graphs`): a number would stay as it is."""
Loss = Callable[[Batch, Progress, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
"""(batch, progress in [0, 1] within the turn's own share, generator) -> (scalar to descend, named values to log)."""


@dataclass(frozen=True)
class Turn:
    """One optimiser's go: the module whose parameters move, the loss they go down, and how.

    `start` and `stop` are the share of the budget in which the turn is taken (a VAE fits its prior at the end);
    the progress a loss and a learning rate see runs from 0 to 1 within that share.
    """

    module: nn.Module
    loss: Loss
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    constant: bool = False
    """Keep the learning rate constant instead of warming it up and letting it fall."""
    start: float = 0.0
    stop: float = 1.0


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of each example to be drawn: the part `keep` of ``x: (n, C, *P)``.

    keep: a linear projection, alike for all examples or with a row for each: a mask that sets the rest to zero, or the
    means over blocks of positions (`known_cells`, `known_means`).
    """

    x: Float[Tensor, "B C *P"]
    keep: Callable[[Tensor], Tensor]
    mask: Bool[Tensor, "B C *P"] | None = None
    """Where the part is single channels: which."""


def known_cells(x: Float[Tensor, "B C *P"], mask: Bool[Tensor, "B C *P"]) -> Known:
    """x is known where `mask` is True: gaps are filled."""
    return Known(x, lambda value: value * mask, mask)


def known_means(x: Float[Tensor, "B C *P"], factor: int) -> Known:
    """The means over blocks of `factor` positions a side are known: small pictures are enlarged.

    Raises ValueError for sides that `factor` does not divide.
    """
    axes = x.ndim - 2
    if axes not in (1, 2) or any(side % factor for side in x.shape[2:]):
        raise ValueError(f"blocks of {factor} do not divide positions of {' x '.join(map(str, x.shape[2:]))}")
    pool = (F.avg_pool1d, F.avg_pool2d)[axes - 1]
    return Known(x, lambda value: F.interpolate(pool(value, factor), scale_factor=factor))


@dataclass(frozen=True)
class Sampling:
    """How to draw. None means the family's own default. A family that has no such choice refuses it."""

    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    """Guidance scale w in D_0 + w (D − D_0); 1 is the model as trained. D_0 is the model without its condition, or
    `weak`."""
    weak: GenerativeModel | None = None
    """A worse model of the same data, of the same family, to be guided away from."""
    known: Known | None = None
    """What is known already; only the rest is drawn."""
    within: Within | None = None
    """What the examples are confined to, for `GenerativeModel.sample_within`."""
    watch: Callable[[Tensor], None] | None = None
    """Told E[x | x_t], hardened, at every evaluation, by families that draw in steps."""


DEFAULT_SAMPLING = Sampling()


class GenerativeModel(nn.Module, ABC):
    """A family: one question asked of the data, through `Space`. Never says what kind of data it is.

    space: of one example x. condition_space: of what is given beside it, or None.
    """

    space: Space
    condition_space: Space | None
    quick_sampler: ClassVar[str | None] = None
    """Of a family that draws in steps, the sampler that makes the most of a few, at one evaluation a step."""
    slow_likelihood: ClassVar[bool] = False
    """Whether a likelihood costs as much as hundreds of evaluations."""

    @property
    def has_likelihood(self) -> bool:
        """Whether it bounds the likelihood of data in its space."""
        return isinstance(self, HasLikelihood)

    def logit_bias(self) -> Float[Tensor, " C"] | None:
        """What its last layer adds to the logits of symbols at no positions (`calibration`); None where none does."""
        return None

    @abstractmethod
    def turns(self) -> dict[str, Turn]:
        """Who is trained, in the order of their turns within one step."""

    def measure(self, x: Float[Tensor, "N C *P"]) -> None:
        """Read off training data, once before training, what the family must know of it; most need nothing."""
        return

    def symptoms(self, values: Mapping[str, float], progress: float) -> list[str]:
        """What is wrong, in words, as far as the logged `values` of a step tell; most families cannot tell."""
        return []

    def examine(self, batch: Batch, generator: torch.Generator) -> list[str]:
        """What is wrong with the trained model, in words, looking at held-out examples."""
        return []

    @abstractmethod
    def sample(
        self,
        n: int,
        *,
        condition: Float[Tensor, "B K"] | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Float[Tensor, "B C *P"]:
        """Draw `n` valid examples, hardened; `condition` has one row for each."""

    def sample_within(
        self, n: int, conditions: Float[Tensor, "M K"] | None, settings: Sampling, generator: torch.Generator
    ) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B K"] | None]:
        """`n` examples of those that lie within `settings.within`, and the condition of each.

        conditions: what may be given, any of them. What is confined are single symbols and numbers at no positions.
        Raises ValueError for a family that has no way to, or where nothing it draws comes near.
        """
        raise ValueError("this model cannot be confined; add --reject to draw until enough is as --where asks for")

    @abstractmethod
    def evaluations(self, settings: Sampling) -> int:
        """Network evaluations one sample costs with these settings."""


@runtime_checkable
class HasLikelihood(Protocol):
    """A family that bounds the likelihood of data, of some spaces at least: see `GenerativeModel.has_likelihood`."""

    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """A lower bound on log p(x | condition) of each example, ``(B,)`` [nats]."""
        ...


@runtime_checkable
class HasVariationalBound(Protocol):
    """A family with an exact likelihood that has a variational bound too."""

    def variational_bound(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """A lower bound on log p(x | condition) of each example, ``(B,)`` [nats]."""
        ...


@runtime_checkable
class HasCode(Protocol):
    """A family that knows a datum by a few numbers, and shows what they stand for."""

    def code(self, batch: Batch) -> Float[Tensor, "B D"]:
        """The numbers of each example."""
        ...

    def show(self, code: Float[Tensor, "B D"], condition: Tensor | None = None) -> Float[Tensor, "B C *P"]:
        """The likeliest datum of each code, hardened; `condition` has one row for each."""
        ...


def output_bias(network: nn.Module) -> Tensor | None:
    """What its last layer adds to every output, flattened; None for a network that does not say."""
    return getattr(network, "output_bias", None)


def given(condition: Tensor | None, keep: Tensor | None = None) -> Tensor | None:
    """A condition as the networks read it: its channels and one more that is 1 where it is given.

    keep: ``(B,)`` bool; where False the condition is dropped, and the model is left unconditional there.
    """
    if condition is None:
        return None
    flag = condition.new_ones(len(condition), 1) if keep is None else keep.to(condition)[:, None]
    return torch.cat([condition * flag, flag], dim=1)


def refuse_steps(settings: Sampling, family: str) -> None:
    """Raise ValueError where a family that draws in one evaluation is asked for a sampler."""
    for name in ("steps", "sampler"):
        if getattr(settings, name) is not None:
            raise ValueError(f"a {family} draws in one evaluation: --{name} is for diffusion and flow")
    if settings.guidance not in (None, 1) or settings.weak is not None:
        raise ValueError(f"--guidance is for diffusion and flow, not for a {family}")
    if settings.known is not None:
        raise ValueError(
            f"a {family} cannot fill gaps, go on, or draw more than a window: that is for diffusion and flow"
        )


def sample_codes(
    propose: Callable[[int, Tensor | None], Proposals],
    n: int,
    conditions: Tensor | None,
    within: Within,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """What families that draw at once do to lie `within`; propose: (how many, a condition for each) -> draws."""

    def proposed(count: int) -> Proposals:
        if conditions is None:
            return propose(count, None)
        rows = torch.randint(len(conditions), (count,), generator=generator, device=conditions.device)
        return propose(count, conditions[rows])

    return resample(proposed, n, within, generator)
