"""Draw with a denoiser: by any sampler, guided, with what is known, within a set.

The one constraint: all of it wraps the denoiser and is one, so that every sampler goes with everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from sansheng import guidance
from sansheng.denoiser import Coordinates, Denoiser, NoisePredictor
from sansheng.errors import unknown
from sansheng.model import GenerativeModel, Known, Sampling, given
from sansheng.paths import sampling_times
from sansheng.samplers import SAMPLERS, Denoise, evaluations, resampled
from sansheng.space import Real, Space
from sansheng.told import Told
from sansheng.within import Within, choose

Guided = TypeVar("Guided", bound=GenerativeModel)

FILLING = "ancestral"
"""The sampler of what is not known, each of whose steps is taken `ROUNDS` times."""
FILLING_STEPS = 32
AUTOGUIDED = 2.0
"""How far to lead away from a weak model unless told: at 1 it would not be looked at (Karras 2024, figure 2)."""
ROUNDS = 4
POOLED, POOLED_STEPS = 1000, 12
"""How many draws tell how the parts of an example hang together, and the steps they are drawn in."""
TURNS = 30
"""How often numbers drawn are brought to what is known of them and back within their bounds."""
CONFINED_STEPS = 64
"""Steps of drawing within a set."""


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
    told = _told(denoiser, known)
    denoise = _watched(_guided(denoiser, condition, scale, weak, told), denoiser, watch)
    average = guidance.slope_only
    guided = known is not None and told is None
    if (guided or within is not None) and not denoiser.space.positions:
        average = _covariance(denoiser, condition, scale, weak, generator, least=float(known is None))
    if within is not None:
        denoise = _confined(denoise, denoiser, within, average)
    if known is None:
        return _finish(denoiser, how(denoise, path, x, times, generator), within)
    if guided:
        part = denoiser.coordinates.embed(known.x)
        x = x + path.alpha(times[0]) * known.keep(part)
        how = resampled(ROUNDS) if sampler == FILLING else how
        denoise = guidance.known_values(denoise, path, part, known.keep, average=average)
    u = how(denoise, path, x, times, generator)
    drawn = _finish(denoiser, u, within)
    return _as_known(denoiser.space, drawn, known) if known.mask is None else torch.where(known.mask, known.x, drawn)


def is_told(denoiser: Denoiser | NoisePredictor, known: Known | None) -> bool:
    """Whether what is known is cells, and the network learnt to be told them."""
    return known is not None and known.mask is not None and isinstance(denoiser, Denoiser) and denoiser.told


def _told(denoiser: Denoiser | NoisePredictor, known: Known | None) -> Told | None:
    if known is None or known.mask is None or not is_told(denoiser, known):
        return None
    alike = bool((known.mask == known.mask[:1]).all())
    assert isinstance(denoiser, Denoiser)
    blanks = denoiser.observed.blanks(known.x)
    return Told(denoiser.coordinates.embed(known.x), known.mask, alike=alike, blanks=blanks)


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

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"drawing takes at least 1 step, not {self.steps}")


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
    how = choice(settings, default, told=is_told(denoiser, settings.known))
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


def choice(settings: Sampling, default: Drawn, *, told: bool = False) -> Drawn:
    """As asked for, else what fills gaps well where there are gaps the network is not told of, else the default."""
    if settings.known is not None and not told:
        default = Drawn(FILLING, FILLING_STEPS)
    scale = guidance_scale(settings, default.guidance)
    return Drawn(settings.sampler or default.sampler, settings.steps or default.steps, scale)


def guidance_scale(settings: Sampling, usual: float = 1.0) -> float:
    """How far guidance leads: as far as asked for, or as `usual`, but always away from a weaker model."""
    default = usual if settings.weak is None else max(usual, AUTOGUIDED)
    return default if settings.guidance is None else settings.guidance


def led_evaluations(model: GenerativeModel, settings: Sampling, steps: int, usual: float = 1.0) -> int:
    """Network evaluations of so many steps, each of which takes two where `led_away` has something to lead from."""
    led = model.condition_space is not None or settings.weak is not None
    return steps * (2 if led and guidance_scale(settings, usual) != 1 else 1)


def led_away(
    model: Guided, settings: Sampling, condition: Tensor | None, usual: float = 1.0
) -> tuple[Guided | None, Tensor | None, float]:
    """(what guidance leads away from, the condition it sees, how far): a weaker model, this one without its condition,
    or nothing. Raises ValueError for a weak model of another family or other data."""
    scale, weak = guidance_scale(settings, usual), settings.weak
    if weak is not None and not (isinstance(weak, type(model)) and weak.space == model.space):
        raise ValueError("a weak model to be guided by is of the same family and data")
    if scale == 1 or (weak is None and condition is None):
        return None, None, scale
    if weak is not None:
        return weak, given(condition), scale
    assert condition is not None
    hidden = torch.zeros(len(condition), dtype=torch.bool, device=condition.device)
    return model, given(condition, hidden), scale


def count_evaluations(
    denoiser: Denoiser | NoisePredictor, settings: Sampling, default: Drawn, conditional: bool
) -> int:
    """Network evaluations a sample costs."""
    told = is_told(denoiser, settings.known)
    how = choice(settings, default, told=told)
    guided = 2 if how.guidance != 1 and (conditional or settings.weak is not None) else 1
    rounds = ROUNDS if settings.known is not None and not told and how.sampler == FILLING else 1
    return guided * rounds * evaluations(how.sampler, how.steps)


def _guided(
    denoiser: Denoiser | NoisePredictor,
    condition: Tensor | None,
    scale: float,
    weak: Denoiser | NoisePredictor | None,
    told: Told | None = None,
) -> Denoise:
    kept, dropped = given(condition), None
    more = {} if told is None else {"known": told}

    def conditional(u_t: Tensor, t: Tensor) -> Tensor:
        return denoiser(u_t, t, kept, **more)

    if weak is not None:
        return guidance.autoguidance(conditional, _translated(weak, denoiser.coordinates, kept), scale)
    if condition is not None:
        dropped = given(condition, torch.zeros(len(condition), dtype=torch.bool, device=condition.device))
    return guidance.classifier_free(
        conditional,
        lambda u_t, t: denoiser(u_t, t, dropped, **more),
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


def check_sampler(settings: Sampling) -> None:
    """Raise ValueError for a sampler or a number of steps that does not exist."""
    if settings.sampler is not None and settings.sampler not in SAMPLERS:
        raise unknown("sampler", settings.sampler, SAMPLERS)
    if settings.steps is not None and settings.steps < 1:
        raise ValueError(f"a sampler takes at least 1 step, not {settings.steps}")
