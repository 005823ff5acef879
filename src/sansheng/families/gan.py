"""The GAN: a generator turns noise into data, a critic says how real it looks, and each learns from the other.

By default the relativistic pairing loss with zero-centred gradient penalties on real and generated data (Jolicoeur-
Martineau 2018; Huang 2024), which converges locally; the older losses are there to choose, and to see why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansheng.budget import geometric
from sansheng.errors import unknown
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Sampling, Turn, given, refuse_steps
from sansheng.space import Space


@dataclass(frozen=True)
class Adversarial:
    """What the critic and the generator minimise, given the critic's logits ``(B,)`` of real and generated data."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


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

    gamma: weight of ½ γ (R1 + R2), falling geometrically to a tenth over the budget; for ``wasserstein_gp`` the
    weight of E(‖∇D‖ − 1)² at points between real and generated. 0 means no penalty.
    """

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
        temperature: float = 1.0,
        learning_rate: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.99),
        constant: bool = False,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise unknown("GAN loss", loss, LOSSES)
        self.space, self.condition_space, self.latent = space, condition_space, latent
        self.generator, self.critic = generator, critic
        self.adversarial, self.penalised, self.gamma = LOSSES[loss], loss == "wasserstein_gp", gamma
        self.temperature, self.learning_rate, self.betas, self.constant = temperature, learning_rate, betas, constant

    def turns(self) -> dict[str, Turn]:
        how = {"learning_rate": self.learning_rate, "betas": self.betas, "constant": self.constant, "clip": 10.0}
        return {
            "critic": Turn(self.critic, self.critic_loss, **how),
            "generator": Turn(self.generator, self.generator_loss, **how),
        }

    def generate(self, n: int, condition: Tensor | None, generator: torch.Generator) -> Tensor:
        """Differentiable samples; `condition` as the networks read it."""
        device = next(self.generator.parameters()).device
        z = torch.randn(n, self.latent, generator=generator, device=device)
        params = self.generator(z, None, condition).float()
        return self.space.relax(params, temperature=self.temperature, generator=generator)

    def judge(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The critic's logits, ``(B,)``."""
        return self.critic(x, None, condition).float().squeeze(1)

    def critic_loss(
        self, batch: Batch, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        condition = given(batch.condition)
        with torch.no_grad():
            fake = self.generate(len(batch), condition, generator)
        real = batch.x.detach().requires_grad_(self.gamma > 0)
        fake = fake.requires_grad_(self.gamma > 0)
        real_logits, fake_logits = self.judge(real, condition), self.judge(fake, condition)
        loss = self.adversarial.critic(real_logits, fake_logits)
        logged = {
            "real": real_logits.mean(),
            "fake": fake_logits.mean(),
            "ahead": (real_logits > fake_logits).float().mean(),
        }
        if self.gamma > 0 and self.penalised:
            loss = loss + self.gamma * self._slope_penalty(real.detach(), fake.detach(), condition, generator)
        elif self.gamma > 0:
            r1, r2 = _squared_slope(real_logits, real), _squared_slope(fake_logits, fake)
            loss = loss + 0.5 * geometric(progress, self.gamma, self.gamma / 10) * (r1 + r2).mean()
            logged |= {"r1": r1.mean(), "r2": r2.mean()}
        return loss, logged

    def generator_loss(
        self, batch: Batch, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        condition = given(batch.condition)
        with torch.no_grad():
            real_logits = self.judge(batch.x, condition)
        fake_logits = self.judge(self.generate(len(batch), condition, generator), condition)
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

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return 1


def _squared_slope(logits: Tensor, x: Tensor) -> Tensor:
    """‖∇ₓ D(x)‖² of each example, ``(B,)`` (R1 and R2: Mescheder 2018, eq. 9)."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
