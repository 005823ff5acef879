"""Diffusion: learn E[x | x_t] along a path that drowns data in noise, then walk back (Ho 2020; Karras 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from sansheng.denoiser import Denoiser, NoisePredictor, checked_share, filled, stratified_normal
from sansheng.drawing import Drawn, count_evaluations, sample_denoiser, sample_within
from sansheng.likelihood import can_measure, measure_bound, measure_likelihood
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Progress, Sampling, Turn, given, output_bias
from sansheng.space import Space
from sansheng.told import noise_levels, tell, told_examples


class Diffusion(GenerativeModel):
    """Draw ln(σ/α) ~ N(noise_mean, noise_std²), make x_t, and learn to see through it.

    levels: train on that many evenly spaced times instead (Ho 2020). `drop` is the share of examples whose condition is
    hidden in training, which makes guidance possible, and `known_share` that of those some cells of which are told
    (`told.draw_masks`), moved by `drift` (`told.drifted`).
    `steps`, `sampler` and `guidance` are the defaults of `sample`.
    """

    quick_sampler = "dpmpp_2m"
    slow_likelihood = True

    def __init__(
        self,
        space: Space,
        denoiser: Denoiser | NoisePredictor,
        *,
        condition_space: Space | None = None,
        noise_mean: float = -0.5,
        noise_std: float = 1.4,
        levels: int | None = None,
        drop: float = 0.1,
        known_share: float = 0.0,
        drift: float = 0.0,
        steps: int = 18,
        sampler: str = "adams",
        guidance: float = 1.0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        constant: bool = False,
    ) -> None:
        super().__init__()
        self.space, self.condition_space = space, condition_space
        self.denoiser = denoiser
        self.noise_mean, self.noise_std, self.levels, self.drop = noise_mean, noise_std, levels, drop
        self.known_share, self.drift = checked_share(known_share, denoiser), drift
        self.default = Drawn(sampler, steps, guidance)
        self.learning_rate, self.weight_decay, self.constant = learning_rate, weight_decay, constant

    def measure(self, x: Tensor) -> None:
        self.denoiser.measure(x)

    def logit_bias(self) -> Tensor | None:
        return output_bias(self.denoiser.network) if isinstance(self.denoiser, Denoiser) else None

    def turns(self) -> dict[str, Turn]:
        turn = Turn(
            self.denoiser, self.loss, self.learning_rate, weight_decay=self.weight_decay, constant=self.constant
        )
        return {"denoiser": turn}

    def loss(self, batch: Batch, progress: Progress, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the batch of the denoising loss, in nats per dimension."""
        x, mask = tell(batch.x, self.space, self.known_share, self.drift, generator)
        x = filled(x, self.space, generator)
        t = self._times(len(x), generator, x.device, mask)
        z = torch.randn(x.shape, generator=generator, device=x.device)
        keep = torch.rand(len(x), generator=generator, device=x.device) >= self.drop
        more = {} if mask is None else {"mask": mask, "first": told_examples(len(x), self.known_share)}
        return self.denoiser.loss(x, t, z, given(batch.condition, keep), **more).mean(), {}

    def _times(self, n: int, generator: torch.Generator, device: torch.device, mask: Tensor | None) -> Tensor:
        if self.levels is not None:
            return torch.randint(1, self.levels + 1, (n,), generator=generator, device=device) / self.levels
        normal = stratified_normal(n, generator, device)
        return self.denoiser.path.time(noise_levels(normal, self.noise_mean, self.noise_std, mask))

    @property
    def has_likelihood(self) -> bool:
        """Numbers alone have one."""
        return can_measure(self.space)

    @torch.no_grad()
    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """log p(x | condition) of each example along the probability flow, ``(B,)`` [nats], exact but for its noise."""
        return measure_likelihood(self.denoiser, batch, generator)

    @torch.no_grad()
    def variational_bound(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """A lower bound on it from `samples` noise levels, ``(B,)`` [nats] (`likelihood.variational_bound`)."""
        return measure_bound(self.denoiser, batch, generator, samples=samples)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Tensor | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:
        return sample_denoiser(self.denoiser, n, condition, settings, self.default, generator)

    @torch.no_grad()
    def sample_within(
        self, n: int, conditions: Tensor | None, settings: Sampling, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """As every family's: by guidance (`guidance.confined`)."""
        return sample_within(self.denoiser, n, conditions, settings, generator)

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return count_evaluations(self.denoiser, settings, self.default, self.condition_space is not None)
