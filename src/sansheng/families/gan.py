"""The GAN: a generator turns noise into data, a critic says how real it looks, and each learns from the other.

By default the relativistic pairing loss with zero-centred gradient penalties on real and generated data (Jolicoeur-
Martineau 2018; Huang 2024), which converges locally; the older losses are there to choose, and to see why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.augment import augment as augmented
from sansheng.budget import geometric
from sansheng.errors import unknown
from sansheng.model import (
    DEFAULT_SAMPLING,
    Batch,
    GenerativeModel,
    Progress,
    Sampling,
    Turn,
    given,
    output_bias,
    refuse_steps,
    sample_codes,
)
from sansheng.space import Real, Space
from sansheng.within import Proposals


@dataclass(frozen=True)
class Adversarial:
    """What the critic and the generator minimise, given the critic's logits ``(B,)`` of real and generated data."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


NEAR = 0.15
"""The share of other data that are near a datum."""
MEASURED = 1000
"""Training examples at which distances are measured."""
AHEAD = 0.8
"""The share of pairs a critic may tell apart before what it sees is augmented more: r = 0.6 of Karras 2020."""
ADJUSTMENT = 1e-5
"""By how much the chance of an augmentation moves for every example seen: from 0 to 1 in a hundred thousand."""
MOST = 0.8
"""The chance of an augmentation at most: beyond it, what is changed would look as likely as what is not."""
BLURRED = 0.7
"""The share of training in which there is instance noise."""

LOSSES: dict[str, Adversarial] = {
    # −log σ(D(x) − D(y)), and the other way round (Jolicoeur-Martineau 2018)
    "relativistic": Adversarial(lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean()),
    # Goodfellow 2014, eq. 1: the generator descends log(1 − σ(D(y))), which vanishes when the critic is sure
    "minimax": Adversarial(
        lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: -F.softplus(f).mean()
    ),
    # Goodfellow 2014, section 3: −log σ(D(y)) instead
    "non_saturating": Adversarial(
        lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: F.softplus(-f).mean()
    ),
    # Lim & Ye 2017
    "hinge": Adversarial(lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean()),
    # Arjovsky 2017; the gradient penalty of Gulrajani 2017 is `GAN.penalty`
    "wasserstein_gp": Adversarial(lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
}


class GAN(GenerativeModel):
    """generator: ``(z: (B, latent), -, condition) -> params``; critic: ``(x, -, condition) -> (B, 1)``.

    gamma: weight of ½ γ s² (R1 + R2), s being the distance to near data, `measure`: a critic whose logit changes by as
    much between neighbours is penalised as much, whatever the size of a picture. It falls to the share `gamma_left` of
    itself, its logarithm with the square of progress, so slowly while learning rates are high: any faster, and the
    balance of modes is lost again. For ``wasserstein_gp`` the weight of E(‖∇D‖ − 1)² at points between real and
    generated. 0 means no penalty.
    coins: how many of the latent numbers are coin flips of −1 and 1. A continuous map of normal numbers cannot leave
    the gaps between modes empty (Khayatkhoei 2018), a map of coin flips can.
    noise: standard deviation at the start of the instance noise on all the critic sees (Sønderby 2017). Blurred data
    are one mode, which divides as the noise falls, so that none is forgotten.
    augment: change the pictures the critic sees (`sansheng.augment`), with a chance that grows while it tells more than
    `AHEAD` of pairs apart, as it does once it knows few data by heart (Karras 2020, section 3.2), and falls otherwise.
    mismatch: weight of −log σ(D(x | y) − D(x | y')) with y' what is given of another example: the critic is to tell
    what does not go with what is given, and not only what does not look real (Reed 2016, section 4.1).
    pack: how many examples the critic judges together (Lin 2018): it then sees a lack of variety. Its networks read
    ``(B / pack, pack · channels, *positions)``.
    """

    near: Tensor
    chance: Tensor
    """Of each augmentation."""

    def __init__(
        self,
        space: Space,
        generator: nn.Module,
        critic: nn.Module,
        *,
        latent: int,
        condition_space: Space | None = None,
        loss: str = "relativistic",
        gamma: float = 1.0,
        gamma_left: float = 0.1,
        coins: int = 0,
        noise: float = 0.0,
        augment: bool = False,
        mismatch: float = 0.0,
        pack: int = 1,
        temperature: float = 1.0,
        learning_rate: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.99),
        constant: bool = False,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise unknown("GAN loss", loss, LOSSES)
        if not 0 <= coins <= latent:
            raise ValueError(f"coins are some of the {latent} latent numbers, not {coins} of them")
        if noise < 0:
            raise ValueError(f"noise is a standard deviation, not {noise}")
        if gamma_left <= 0:
            raise ValueError(f"gamma_left is a share above 0, not {gamma_left}")
        if pack < 1:
            raise ValueError(f"pack is how many examples are judged together, at least 1, not {pack}")
        if mismatch < 0:
            raise ValueError(f"mismatch is a weight of at least 0, not {mismatch}")
        self.gamma_left, self.coins, self.noise, self.pack, self.mismatch = gamma_left, coins, noise, pack, mismatch
        if augment and (len(space.positions) != 2 or not all(isinstance(slot, Real) for slot in space.slots)):
            raise ValueError("only pictures, numbers on two axes, can be augmented")
        self.augment = augment
        self.register_buffer("near", torch.ones(()))
        self.register_buffer("chance", torch.zeros(()))
        self.space, self.condition_space, self.latent = space, condition_space, latent
        self.generator, self.critic = generator, critic
        self.adversarial, self.penalised, self.gamma = LOSSES[loss], loss == "wasserstein_gp", gamma
        self.temperature, self.learning_rate, self.betas, self.constant = temperature, learning_rate, betas, constant

    def measure(self, x: Tensor) -> None:
        """The squared distance within which the nearest 15 % of pairs of data lie."""
        some = x[:: max(1, len(x) // MEASURED)][:MEASURED].flatten(1).float()
        squared = torch.pdist(some).square()
        if len(squared) and squared.max() > 0:
            self.near.copy_(torch.maximum(squared.quantile(NEAR), 0.01 * squared.mean()))

    def logit_bias(self) -> Tensor | None:
        return output_bias(self.generator)

    def turns(self) -> dict[str, Turn]:
        how = {"learning_rate": self.learning_rate, "betas": self.betas, "constant": self.constant, "clip": 10.0}
        return {
            "critic": Turn(self.critic, self.critic_loss, **how),
            "generator": Turn(self.generator, self.generator_loss, **how),
        }

    def symptoms(self, values: Mapping[str, float], progress: float) -> list[str]:
        """A critic that always tells real from generated by a wide margin leaves the generator without a slope."""
        margin = values["critic/real"] - values["critic/fake"]
        if progress > 0.1 and values["critic/ahead"] > 0.99 and margin > 10:
            return ["the critic has won: a larger gamma, or --set loss=relativistic"]
        return []

    @torch.no_grad()
    def examine(self, batch: Batch, generator: torch.Generator) -> list[str]:
        """As `symptoms`, on held-out data and fresh samples."""
        condition = given(batch.condition)
        seen = None if condition is None else self.together(condition)
        real = self.judge(self.together(batch.x), seen)
        fake = self.judge(self.together(self.generate(len(batch), condition, generator)), seen)
        apart = (real[:, None] > fake[None, :]).float().mean().item()
        if apart > 0.99:
            return [f"the critic has won: it tells {apart:.1%} of pairs of held-out and generated examples apart"]
        return []

    def generate(self, n: int, condition: Tensor | None, generator: torch.Generator) -> Tensor:
        """Differentiable samples; `condition` as the networks read it."""
        params = self.params(n, condition, generator)
        return self.space.relax(params, temperature=self.temperature, generator=generator)

    def params(self, n: int, condition: Tensor | None, generator: torch.Generator) -> Tensor:
        """What the generator makes of fresh codes: numbers, and logits of symbols."""
        device = next(self.generator.parameters()).device
        z = torch.randn(n, self.latent, generator=generator, device=device)
        if self.coins:
            z = torch.cat([z[:, : self.coins].sign(), z[:, self.coins :]], dim=1)
        return self.generator(z, None, condition).float()

    def judge(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The critic's logits, ``(B,)``, of what `together` made of the data and of the condition."""
        return self.critic(x, None, condition).float().squeeze(1)

    def together(self, x: Tensor) -> Tensor:
        """(B, C, *P) -> (B / pack, pack · C, *P): rows side by side, those left over unseen, too few of them twice."""
        if self.pack == 1:
            return x
        packs = max(1, len(x) // self.pack)
        rows = torch.arange(packs * self.pack, device=x.device) % len(x)
        return x[rows].unflatten(0, (packs, self.pack)).flatten(1, 2)

    def disturb(self, x: Tensor, progress: Progress, generator: torch.Generator) -> Tensor:
        """What the critic sees of x: augmented, with instance noise, and put together.

        The noise's standard deviation falls from `noise` to a fiftieth of it, and then there is none.
        """
        if self.augment:
            x = augmented(x, self.chance, generator)
        if self.noise and (isinstance(progress, Tensor) or progress < BLURRED):
            scale = geometric(progress / BLURRED, self.noise, self.noise / 50) * (progress < BLURRED)
            x = x + scale * torch.randn(x.shape, generator=generator, device=x.device)
        return self.together(x)

    def critic_loss(
        self, batch: Batch, progress: Progress, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        condition = given(batch.condition)
        with torch.no_grad():
            fake = self.disturb(self.generate(len(batch), condition, generator), progress, generator)
        real = self.disturb(batch.x, progress, generator)
        both = torch.cat([real, fake]).detach().requires_grad_(self.gamma > 0)
        condition = None if condition is None else self.together(condition)
        logits = self.judge(both, None if condition is None else condition.repeat(2, 1))
        real_logits, fake_logits = logits.chunk(2)
        loss = self.adversarial.critic(real_logits, fake_logits)
        logged = {
            "real": real_logits.mean(),
            "fake": fake_logits.mean(),
            "ahead": (real_logits > fake_logits).float().mean(),
        }
        if self.mismatch and condition is not None:
            wrong = self.judge(real, condition.roll(1, 0))
            loss = loss + self.mismatch * F.softplus(wrong - real_logits).mean()
            logged["wrong"] = wrong.mean()
        if self.augment:
            self._adjust(logged["ahead"], len(batch))
            logged["chance"] = self.chance.clone()
        if self.gamma > 0 and self.penalised:
            loss = loss + self.gamma * self._slope_penalty(real, fake, condition, generator)
        elif self.gamma > 0:
            r1, r2 = _squared_slope(logits, both).chunk(2)
            weight = geometric(progress**2, self.gamma, self.gamma * self.gamma_left) * self.near
            loss = loss + 0.5 * weight * (r1 + r2).mean()
            logged |= {"r1": r1.mean(), "r2": r2.mean()}
        return loss, logged

    @torch.no_grad()
    def _adjust(self, ahead: Tensor, examples: int) -> None:
        """More augmentation while the critic is too far ahead, less while it is not."""
        self.chance.add_(ADJUSTMENT * examples * torch.sign(ahead - AHEAD)).clamp_(0, MOST)

    def generator_loss(
        self, batch: Batch, progress: Progress, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        condition = given(batch.condition)
        with torch.no_grad():
            seen = None if condition is None else self.together(condition)
            real_logits = self.judge(self.disturb(batch.x, progress, generator), seen)
        fake = self.disturb(self.generate(len(batch), condition, generator), progress, generator)
        fake_logits = self.judge(fake, seen)
        return self.adversarial.generator(real_logits, fake_logits), {}

    def _slope_penalty(
        self, real: Tensor, fake: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """E(‖∇D(x̂)‖ − 1)² at x̂ uniformly between pairs (Gulrajani 2017, eq. 3)."""
        share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator, device=real.device)
        between = (share * real + (1 - share) * fake).requires_grad_(True)
        slope = (_squared_slope(self.judge(between, condition), between) + 1e-12).sqrt()
        return (slope - 1).square().mean()

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Tensor | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:
        refuse_steps(settings, "GAN")
        return self.space.harden(self.generate(n, given(condition), generator))

    @torch.no_grad()
    def sample_within(
        self, n: int, conditions: Tensor | None, settings: Sampling, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """As every family's: codes are resampled by p(within | z); of a number, which z tells, that is 0 or 1."""
        refuse_steps(settings, "GAN")
        assert settings.within is not None

        def propose(count: int, condition: Tensor | None) -> Proposals:
            params = self.params(count, given(condition), generator)
            x = self.space.harden(self.space.relax(params, temperature=self.temperature, generator=generator))
            return Proposals(x, self.space.mean(params), torch.zeros_like(params), condition)

        return sample_codes(propose, n, conditions, settings.within, generator)

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return 1


def _squared_slope(logits: Tensor, x: Tensor) -> Tensor:
    """‖∇ₓ D(x)‖² of each example, ``(B,)`` (R1 and R2: Mescheder 2018, eq. 9)."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
