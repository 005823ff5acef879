"""A network and a path as one function D(u_t, t) = E[u | u_t], the loss that teaches it, and how to draw with it.

Diffusion, flow matching and the prior a VAE is given after training are this, with different paths and noise. The one
constraint: everything happens in the coordinates u = (x − μ) · g, measured on training data, in which numbers have mean
0 and standard deviation 1 and symbols stand `SYMBOL_SCALE` times further apart than one-hot vectors do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sansheng import guidance
from sansheng.errors import unknown
from sansheng.model import Known, Sampling, given
from sansheng.paths import Path, log_noise, sampling_times
from sansheng.samplers import SAMPLERS, Denoise, evaluations, resampled
from sansheng.space import Real, Space
from sansheng.within import Within, choose

SYMBOL_SCALE = 3.0
FILLING = "ancestral"
"""The sampler of what is not known, each of whose steps is taken `ROUNDS` times."""
FILLING_STEPS = 32
ROUNDS = 4
POOLED, POOLED_STEPS = 1000, 12
"""How many draws tell how the parts of an example hang together, and the steps they are drawn in."""
TURNS = 30
"""How often numbers drawn are brought to what is known of them and back within their bounds."""
CONFINED_STEPS = 64
"""Steps of drawing within a set."""


class Coordinates(nn.Module):
    """u = (x − centre) · gain per channel, and `spread`, the standard deviation of u, equal within a slot."""

    centre: Tensor
    gain: Tensor
    spread: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__()
        shape = (space.channels, *[1] * len(space.positions))
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("gain", torch.ones(shape))
        self.register_buffer("spread", torch.ones(shape))

    def measure(self, space: Space, x: Float[Tensor, "N C *P"]) -> None:
        """Set the coordinates from training data (any number of rows will do)."""
        axes = (0, *range(2, x.ndim))
        centre, variance = x.mean(axes), x.var(axes, unbiased=False)
        for slot, start in zip(space.slots, space.offsets, strict=True):
            span = slice(start, start + slot.width)
            deviation = variance[span].mean().sqrt().clamp_min(1e-4)
            real = bool(space.is_real[start])
            gain = 1 / deviation if real else torch.tensor(SYMBOL_SCALE)
            self.centre[span] = centre[span].view(-1, *self.centre.shape[1:])
            self.gain[span] = gain
            self.spread[span] = (deviation * gain).clamp_min(0.05)

    def embed(self, x: Tensor) -> Tensor:
        return (x - self.centre) * self.gain

    def restore(self, u: Tensor) -> Tensor:
        return u / self.gain + self.centre


class Denoiser(nn.Module):
    """E[u | u_t] from a network F, with the preconditioning of Karras 2022 (table 1) for any path.

    For numbers, D = c_skip u_t + c_out F(c_in u_t, c_noise) with v = α²σ_d² + σ²: c_skip = ασ_d²/v, c_out = σσ_d/√v,
    c_in = 1/√v, c_noise = ¼ ln(σ/α). For symbols, F gives logits and D the embedded mean of their softmax.
    """

    is_real: Tensor

    def __init__(self, space: Space, network: nn.Module, path: Path) -> None:
        super().__init__()
        self.space = space.with_likelihood("gaussian").always()  # what does not count is 0, and learnt to be
        self.network = network
        self.path = path
        self.coordinates = Coordinates(space)
        self.register_buffer("is_real", space.is_real.bool().view(-1, *[1] * len(space.positions)), persistent=False)

    def params(
        self, u_t: Float[Tensor, "B C *P"], t: Tensor, condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "B C *P"], Tensor]:
        """(means of numbers and logits of symbols, c_out). t: ``()`` or ``(B,)`` in [0, 1]."""
        alpha, sigma = _broadcast(self.path.alpha(t), u_t), _broadcast(self.path.sigma(t), u_t)
        spread = self.coordinates.spread
        total = alpha**2 * spread**2 + sigma**2
        raw = self.network(u_t * total.rsqrt(), log_noise(self.path, t) / 4, condition).to(u_t.dtype)
        c_out = sigma * spread * total.rsqrt()
        return torch.where(self.is_real, alpha * spread**2 / total * u_t + c_out * raw, raw), c_out

    def forward(self, u_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """E[u | u_t]."""
        mean = self.space.mean(self.params(u_t, t, condition)[0])
        return torch.where(self.is_real, mean, self.coordinates.embed(mean))

    def loss(
        self, x: Float[Tensor, "B C *P"], t: Float[Tensor, " B"], z: Tensor, condition: Tensor | None = None
    ) -> Float[Tensor, " B"]:
        """Nats per dimension. For numbers Karras' weighted square: the Gaussian nll at standard deviation c_out."""
        u = self.coordinates.embed(x)
        u_t = _broadcast(self.path.alpha(t), x) * u + _broadcast(self.path.sigma(t), x) * z
        params, c_out = self.params(u_t, t, condition)
        miss = self.space.nll(
            torch.where(self.is_real, (params - u) / c_out.clamp_min(1e-4), params),
            torch.where(self.is_real, torch.zeros_like(x), x),
        )
        return miss / self.space.size


class NoisePredictor(nn.Module):
    """E[u | u_t] from a network that predicts the noise, ε_θ(u_t, t): D = (u_t − σ ε_θ)/α (Ho 2020, eq. 12-14).

    Symbols are treated as the numbers of their one-hot vectors. This is the survey's diffusion model; `Denoiser` is
    better conditioned.
    """

    def __init__(self, space: Space, network: nn.Module, path: Path) -> None:
        super().__init__()
        self.space, self.network, self.path = space, network, path
        self.coordinates = Coordinates(space)

    def forward(self, u_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """E[u | u_t]."""
        noise = self.network(u_t, t, condition).to(u_t.dtype)
        return (u_t - _broadcast(self.path.sigma(t), u_t) * noise) / _broadcast(self.path.alpha(t), u_t)

    def loss(
        self, x: Float[Tensor, "B C *P"], t: Float[Tensor, " B"], z: Tensor, condition: Tensor | None = None
    ) -> Float[Tensor, " B"]:
        """The mean over dimensions of (ε − ε_θ)²."""
        u = self.coordinates.embed(x)
        u_t = _broadcast(self.path.alpha(t), x) * u + _broadcast(self.path.sigma(t), x) * z
        return (z - self.network(u_t, t, condition)).square().flatten(1).mean(1)


def draw(
    denoiser: Denoiser | NoisePredictor,
    n: int,
    *,
    condition: Float[Tensor, "B K"] | None,
    sampler: str,
    times: Tensor,
    scale: float,
    generator: torch.Generator,
    weak: Denoiser | NoisePredictor | None = None,
    known: Known | None = None,
    within: Within | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> Float[Tensor, "B C *P"]:
    """`n` hardened samples by `sampler` over `times`, guided at `scale`; with what is `known`, `within` a set."""
    device, path = denoiser.coordinates.centre.device, denoiser.path
    z = torch.randn((n, *denoiser.space.shape), generator=generator, device=device)
    x, times, how = path.sigma(times[0]) * z, times.to(device), SAMPLERS[sampler]
    denoise = _watched(_guided(denoiser, condition, scale, weak), denoiser, watch)
    average = guidance.slope_only
    if (known is not None or within is not None) and not denoiser.space.positions:
        average = _covariance(denoiser, condition, scale, weak, generator, least=float(known is None))
    if within is not None:
        denoise = _confined(denoise, denoiser, within, average)
    if known is None:
        return _finish(denoiser, how(denoise, path, x, times, generator), within)
    told = denoiser.coordinates.embed(known.x)
    x = x + path.alpha(times[0]) * known.keep(told)
    how = resampled(ROUNDS) if sampler == FILLING else how
    u = how(guidance.known_values(denoise, path, told, known.keep, average=average), path, x, times, generator)
    drawn = _finish(denoiser, u, within)
    return _as_known(denoiser.space, drawn, known) if known.mask is None else torch.where(known.mask, known.x, drawn)


def _finish(denoiser: Denoiser | NoisePredictor, u: Tensor, within: Within | None) -> Tensor:
    x = denoiser.coordinates.restore(u)
    return denoiser.space.harden(x if within is None else within.bring(x))


def _as_known(space: Space, x: Tensor, known: Known) -> Tensor:
    """Numbers with the part that is known to the full: bounds, which clip, and the projection met in turns."""
    for _ in range(TURNS if all(isinstance(slot, Real) for slot in space.slots) else 0):
        x = space.harden(x + known.keep(known.x - x))
    return x


def _covariance(
    denoiser: Denoiser | NoisePredictor,
    condition: Tensor | None,
    scale: float,
    weak: Denoiser | NoisePredictor | None,
    generator: torch.Generator,
    *,
    least: float,
) -> guidance.Covariance:
    """How the parts of an example hang together, from some of the model's own draws, where σ > `least` α.

    Many cells that are known pull at once, and the faults of a network's slopes add up: no slopes there.
    """
    path, coordinates = denoiser.path, denoiser.coordinates
    if condition is not None:
        condition = condition[torch.arange(POOLED, device=condition.device) % len(condition)]
    denoise, times = _guided(denoiser, condition, scale, weak), path.times(POOLED_STEPS).to(coordinates.centre.device)
    z = torch.randn((POOLED, *denoiser.space.shape), generator=generator, device=times.device)
    u = SAMPLERS["dpmpp_2m"](denoise, path, path.sigma(times[0]) * z, times, generator)
    u = coordinates.embed(denoiser.space.harden(coordinates.restore(u)))
    return guidance.average_covariance(denoise, path, u, generator, least=least)


def _confined(
    denoise: Denoise, denoiser: Denoiser | NoisePredictor, within: Within, average: guidance.Covariance
) -> Denoise:
    coordinates = denoiser.coordinates

    def log_chance(mean: Tensor, variance: Tensor) -> Tensor:
        return within.log_chance(coordinates.restore(mean), variance / coordinates.gain**2)

    return guidance.confined(denoise, denoiser.path, within.numbers, coordinates.spread, log_chance, average=average)


@dataclass(frozen=True)
class Drawn:
    """How diffusion and flow draw unless told; guidance as in `Sampling`."""

    sampler: str
    steps: int
    guidance: float = 1.0


def sample_within(
    denoiser: Denoiser | NoisePredictor,
    n: int,
    conditions: Tensor | None,
    settings: Sampling,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """What diffusion and flow do to lie within a set: conditions by their p(set | condition), then guidance to the set.

    The first look at nothing but noise says what the model expects of each condition, and so how likely the set is.
    """
    assert settings.within is not None
    condition = None
    if conditions is not None:
        path, coordinates = denoiser.path, denoiser.coordinates
        t = path.times(2)[0].to(conditions.device)
        z = path.sigma(t) * torch.randn((len(conditions), *denoiser.space.shape), generator=generator, device=t.device)
        mean = coordinates.restore(denoiser(z, t, given(conditions)))
        variance = (coordinates.spread / coordinates.gain) ** 2
        worth = settings.within.log_chance(mean, variance.expand_as(mean))
        condition = conditions[choose(worth, n, generator)]
    default = Drawn(FILLING, CONFINED_STEPS)
    return sample_denoiser(denoiser, n, condition, settings, default, generator), condition


def sample_denoiser(
    denoiser: Denoiser | NoisePredictor,
    n: int,
    condition: Tensor | None,
    settings: Sampling,
    default: Drawn,
    generator: torch.Generator,
) -> Tensor:
    """What diffusion and flow do to draw. Raises ValueError for settings there are not."""
    check_sampler(settings)
    how = choice(settings, default)
    weak = getattr(settings.weak, "denoiser", None)
    if settings.weak is not None and (weak is None or type(weak.path) is not type(denoiser.path)):
        raise ValueError("a weak model to be guided by is of the same family and path")
    times = sampling_times(denoiser.path, how.sampler, how.steps)
    options = {"sampler": how.sampler, "times": times, "scale": how.guidance, "generator": generator}
    return draw(
        denoiser,
        n,
        condition=condition,
        weak=weak,
        known=settings.known,
        within=settings.within,
        watch=settings.watch,
        **options,
    )


def choice(settings: Sampling, default: Drawn) -> Drawn:
    """As asked for, else what fills gaps well where there are gaps, else the default."""
    if settings.known is not None:
        default = Drawn(FILLING, FILLING_STEPS)
    scale = default.guidance if settings.guidance is None else settings.guidance
    return Drawn(settings.sampler or default.sampler, settings.steps or default.steps, scale)


def count_evaluations(settings: Sampling, default: Drawn, conditional: bool) -> int:
    """Network evaluations a sample costs."""
    how = choice(settings, default)
    guided = 2 if how.guidance != 1 and (conditional or settings.weak is not None) else 1
    rounds = ROUNDS if settings.known is not None and how.sampler == FILLING else 1
    return guided * rounds * evaluations(how.sampler, how.steps)


def _guided(
    denoiser: Denoiser | NoisePredictor,
    condition: Tensor | None,
    scale: float,
    weak: Denoiser | NoisePredictor | None,
) -> Denoise:
    kept, dropped = given(condition), None
    if weak is not None:
        return guidance.autoguidance(
            lambda u_t, t: denoiser(u_t, t, kept), _translated(weak, denoiser.coordinates, kept), scale
        )
    if condition is not None:
        dropped = given(condition, torch.zeros(len(condition), dtype=torch.bool, device=condition.device))
    return guidance.classifier_free(
        lambda u_t, t: denoiser(u_t, t, kept),
        lambda u_t, t: denoiser(u_t, t, dropped),
        1.0 if condition is None else scale,
    )


def _watched(denoise: Denoise, denoiser: Denoiser | NoisePredictor, watch: Callable[[Tensor], None] | None) -> Denoise:
    """The same, telling `watch` what it finds."""
    if watch is None:
        return denoise

    def watched(u_t: Tensor, t: Tensor) -> Tensor:
        mean = denoise(u_t, t)
        watch(denoiser.space.harden(denoiser.coordinates.restore(mean.detach())))
        return mean

    return watched


def _translated(weak: Denoiser | NoisePredictor, coordinates: Coordinates, condition: Tensor | None) -> Denoise:
    """The other denoiser; both were measured on the same data, so their coordinates must agree."""
    ours, theirs = coordinates, weak.coordinates
    if ours.gain.shape != theirs.gain.shape or not torch.allclose(ours.gain, theirs.gain, rtol=0.05):
        raise ValueError("a weak model to be guided by is trained on the same data")
    return lambda u_t, t: weak(u_t, t, condition)


def _broadcast(value: Tensor, like: Tensor) -> Tensor:
    """``()`` or ``(B,)`` to a shape that multiplies ``(B, C, *P)``."""
    return value.view(-1, *[1] * (like.ndim - 1))


def stratified_normal(n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """`n` standard normal draws, one from each of n equally likely intervals, in random order: less noise in a loss."""
    order = torch.randperm(n, generator=generator, device=device)
    uniform = (order + torch.rand(n, generator=generator, device=device)) / n
    return torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))


def check_sampler(settings: Sampling) -> None:
    """Raise ValueError for a sampler or a number of steps that does not exist."""
    if settings.sampler is not None and settings.sampler not in SAMPLERS:
        raise unknown("sampler", settings.sampler, SAMPLERS)
    if settings.steps is not None and settings.steps < 1:
        raise ValueError(f"a sampler takes at least 1 step, not {settings.steps}")
