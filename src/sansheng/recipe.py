"""Every choice of one run, resolved, as JSON; and the model it builds.

The one constraint: a recipe and the space of its data determine the model's architecture completely. This is the
only file that knows families by name.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from sansheng import networks
from sansheng.budget import Budget
from sansheng.denoiser import Denoiser, NoisePredictor
from sansheng.errors import unknown
from sansheng.families.diffusion import Diffusion
from sansheng.families.flow import Flow
from sansheng.families.gan import GAN
from sansheng.families.masked import MaskedDiffusion
from sansheng.families.simplex import SimplexFlow
from sansheng.families.vae import VAE, LadderVAE
from sansheng.logistic import LogisticMixture
from sansheng.model import GenerativeModel
from sansheng.networks.mlp import Bounded, PlainMLP, ResidualMLP
from sansheng.paths import PATHS, VP, Rectified
from sansheng.presets import (
    RUN_OPTIONS,
    default_batch,
    default_most_steps,
    default_parameters,
    geometry,
    parse_overrides,
    settings_for,
)
from sansheng.space import LIKELIHOODS, Real, Space

SURVEY_WIDTHS = (512, 256)
MASKED = "masked"
"""The path of a diffusion that hides symbols instead of drowning numbers in noise."""
STRAIGHT, SIMPLEX = "straight", "simplex"
"""The paths of a flow: from noise, and of symbols between the corners that stand for them."""
NOT_OF = {
    MASKED: ("noise_mean", "noise_std", "sampler", "levels", "known_share", "drift", "linear", "guidance"),
    SIMPLEX: ("time_mean", "time_std", "drift", "linear"),
}
"""Settings of other paths, which these have no use for."""
LOGISTIC = "logistic"
"""The likelihood of pixels as whole numbers, which has a mixture of its own."""
PRIOR_WIDTH = 64
"""Of the prior of a VAE, where its codes are many."""


class DataReference(BaseModel):
    """Where the data came from, and how it was split."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    source: str
    kind: str
    digest: str
    split_seed: int
    condition: tuple[str, ...] = ()
    alpha: bool = False
    types: dict[str, str] = {}
    query: str | None = None
    options: dict[str, str] = {}


class Recipe(BaseModel):
    """Every choice of a run. `settings` are the family's own, `width` is solved for `parameters`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sansheng: str
    data: DataReference
    family: str
    preset: str
    seed: int
    steps: int | None
    seconds: float | None
    parameters: int
    width: int
    batch: int
    ema_length: float
    precision: str
    device: str
    most_steps: int = 0
    """After which a run by seconds ends, though there is time left; 0 for any number."""
    threads: int
    """0 until it is known with how many the steps are fastest."""
    settings: dict[str, Any]
    knots: list[tuple[int, float, float]] = []
    """For a run by seconds, once it has ended: the clock that repeats it bit for bit."""
    changes: list[tuple[int, int]] = []
    """As `knots`: (step, threads) wherever another number of threads was taken."""
    rules: tuple[str, ...] = ()
    """What rows that are drawn obey."""
    combinations: dict[str, list[list[str]]] = {}
    """Of rules that fix them: the values seen together in training."""

    @property
    def budget(self) -> Budget:
        return Budget(self.steps, self.seconds, 0 if self.steps else self.most_steps)


def resolve(
    data: DataReference,
    space: Space,
    condition_space: Space | None,
    *,
    family: str,
    preset: str,
    budget: Budget,
    parameters: int | None,
    seed: int,
    device: str,
    precision: str,
    overrides: Mapping[str, Any],
    rows: int,
) -> Recipe:
    """Every choice that follows from what a person asked for and from `rows` training examples of `space`.

    Raises ValueError for a family, preset or setting that does not exist, listing those that do.
    """
    settings = settings_for(family, preset, space)
    chosen = parse_overrides(family, overrides, preset)
    run = RUN_OPTIONS | {"batch": default_batch(family, space), "width": 0}
    run |= {key: chosen.pop(key) for key in list(chosen) if key in RUN_OPTIONS}
    run["batch"] = min(run["batch"], max(rows, 1))
    if "most_steps" not in overrides:
        run["most_steps"] = default_most_steps(family, preset, space, rows, run["batch"])
    settings = _of_its_path(settings | chosen, chosen)
    _check(run, parameters, seed)
    goal = parameters or default_parameters(space, family, budget.seconds if device == "cpu" else None, rows)
    width = run["width"] or solve_width(family, preset, settings, space, condition_space, goal)
    return Recipe(
        sansheng=version("sansheng"),
        data=data,
        family=family,
        preset=preset,
        seed=seed,
        steps=budget.steps,
        seconds=budget.seconds,
        parameters=goal,
        width=width,
        batch=run["batch"],
        ema_length=run["ema_length"],
        precision=precision,
        device=device,
        most_steps=run["most_steps"],
        threads=run["threads"],
        settings=settings,
    )


def _of_its_path(settings: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is of other paths. Raises ValueError where that was asked for."""
    path = settings.get("path")
    others = NOT_OF.get(path, ()) if isinstance(path, str) else ()
    lost = [name for name in others if name in asked]
    if lost:
        raise ValueError(f"{lost[0]} is not a setting of path={path}")
    return {name: value for name, value in settings.items() if name not in others}


def _check(run: Mapping[str, Any], parameters: int | None, seed: int) -> None:
    if run["batch"] < 1 or run["width"] % 2 or run["width"] < 0:
        raise ValueError("a batch is at least 1, and a width an even number")
    if run["threads"] < 0:
        raise ValueError("a number of threads is at least 1, or 0 for the fastest")
    if run["most_steps"] < 0:
        raise ValueError("most_steps is at least 1, or 0 for as many as there is time for")
    if not 0 < run["ema_length"] <= 1:
        raise ValueError(f"ema_length is a share of the steps, in (0, 1], not {run['ema_length']}")
    if (parameters is not None and parameters < 1) or seed < 0:
        raise ValueError("a number of parameters is at least 1, and a seed at least 0")


# -- building ------------------------------------------------------------------------------------------------


def build(recipe: Recipe, space: Space, condition_space: Space | None) -> GenerativeModel:
    """The model of a recipe, with weights drawn from the recipe's seed and no trace left in global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = assemble(recipe.family, recipe.preset, recipe.settings, space, condition_space, recipe.width)
    for parameter in model.parameters():
        if parameter.ndim == 4:  # convolutions of pictures take a tenth less time with channels last
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def assemble(
    family: str, preset: str, settings: Mapping[str, Any], space: Space, condition_space: Space | None, width: int
) -> GenerativeModel:
    """A model from its parts; `width` is that of every network (the survey's are fixed)."""
    condition = 0 if condition_space is None else condition_space.channels + 1
    make = _SURVEY_BUILDERS if preset == "survey" else _BUILDERS
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return make[family](chosen, space, condition_space, condition, width)


def _vae(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> VAE:
    ladder, with_prior, likelihood = s.pop("ladder", False), s.pop("prior"), s.pop("likelihood")
    how = {"width": width, "condition": condition, "dense": s.pop("dense", False)}
    transformer = s.pop("transformer", False)
    if transformer and (ladder or how["dense"]):
        raise ValueError("transformer goes with neither ladder nor dense")
    observed, measured, seen = None, space, space
    if likelihood == LOGISTIC:
        observed = LogisticMixture(space)
        seen = Space((Real(observed.channels),), space.positions)
    elif likelihood in LIKELIHOODS:
        measured = space.with_likelihood(likelihood)
    else:
        raise unknown("likelihood", likelihood, (*LIKELIHOODS, LOGISTIC))
    s |= {"observed": observed, "condition_space": condition_space}
    if ladder:
        s.pop("latent")
        encoder, decoder = networks.ladder(space, seen.channels, **how)
        prior = _prior(space, decoder.sizes[0], condition, width) if with_prior else None
        return LadderVAE(measured, encoder, decoder, prior=prior, **s)
    encoder = networks.encoder(space, 2 * s["latent"], **how, transformer=transformer)
    decoder = networks.decoder(seen, s["latent"], **how, transformer=transformer)
    prior = _prior(space, s["latent"], condition, width) if with_prior else None
    return VAE(measured, encoder, decoder, prior=prior, **s)


def _prior(space: Space, latent: int, condition: int, width: int) -> Denoiser:
    """A flow on the codes. Codes of few numbers have fine structure, as the numbers have."""
    few = geometry(space) == "points"
    net = ResidualMLP(
        (latent,),
        (latent,),
        width=width if few else PRIOR_WIDTH,
        condition=condition,
        timed=True,
        fourier=torch.arange(latent) if few else None,
        zero_output=True,
    )
    return Denoiser(Space((Real(latent),)), net, Rectified())


def _gan(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> GAN:
    generator = networks.decoder(space, s["latent"], width=width, condition=condition, norm=False)
    pack = max(1, s.get("pack", 1))  # the GAN refuses fewer
    seen = Space(space.slots * pack, space.positions)
    critic = networks.encoder(seen, 1, width=width, condition=condition * pack, norm=False)
    return GAN(space, generator, critic, condition_space=condition_space, **s)


def _diffusion(
    s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int
) -> GenerativeModel:
    path, told = s.pop("path"), bool(s.get("known_share"))
    told_network, cells = told and path != MASKED, s.pop("cells", 0)
    network = networks.denoiser(space, width=width, condition=condition, told=told_network, cells=cells)
    if path == MASKED:
        for other in NOT_OF[MASKED]:
            s.pop(other, None)
        return MaskedDiffusion(space, network, condition_space=condition_space, **s)
    if path not in PATHS:
        raise unknown("path", path, (*PATHS, MASKED))
    if "temperature" in s:
        raise ValueError("a temperature is for --set path=masked, whose symbols are drawn one by one")
    denoiser = Denoiser(space, network, PATHS[path](), told=told, linear=s.pop("linear", False))
    return Diffusion(space, denoiser, condition_space=condition_space, **s)


def _flow(
    s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int
) -> GenerativeModel:
    path, cells = s.pop("path", STRAIGHT), s.pop("cells", 0)
    told = bool(s.get("known_share")) and path != SIMPLEX
    network = networks.denoiser(space, width=width, condition=condition, told=told, cells=cells)
    if path == SIMPLEX:
        for other in NOT_OF[SIMPLEX]:
            s.pop(other, None)
        return SimplexFlow(space, network, condition_space=condition_space, **s)
    if path != STRAIGHT:
        raise unknown("path", path, (STRAIGHT, SIMPLEX))
    denoiser = Denoiser(space, network, Rectified(), told=told, linear=s.pop("linear", False))
    return Flow(space, denoiser, condition_space=condition_space, **s)


def _survey_vae(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> VAE:
    s.pop("prior")
    widths, latent = SURVEY_WIDTHS, s["latent"]
    encoder = PlainMLP(space.shape, (2 * latent,), widths=widths, activation=nn.ReLU(), condition=condition)
    decoder = PlainMLP((latent,), space.shape, widths=widths[::-1], activation=nn.ReLU(), condition=condition)
    bernoulli = space.with_likelihood("bernoulli")
    return VAE(bernoulli, encoder, decoder, condition_space=condition_space, learn_scale=False, **s)


def _survey_gan(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> GAN:
    widths = SURVEY_WIDTHS
    plain = PlainMLP((s["latent"],), space.shape, widths=widths[::-1], activation=nn.ReLU(), condition=condition)
    shape = (-1, *[1] * len(space.positions))
    low, high = torch.zeros(space.channels), torch.zeros(space.channels)
    low[space.real_channels], high[space.real_channels] = space.bounds
    generator = Bounded(plain, low.view(shape), high.view(shape), space.is_real.view(shape))
    critic = PlainMLP(space.shape, (1,), widths=widths, activation=nn.LeakyReLU(0.2), condition=condition)
    return GAN(space, generator, critic, condition_space=condition_space, **s)


def _survey_diffusion(
    s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int
) -> Diffusion:
    s.pop("path")
    widths = SURVEY_WIDTHS
    net = PlainMLP(space.shape, space.shape, widths=widths, activation=nn.ReLU(), condition=condition, timed=True)
    return Diffusion(space, NoisePredictor(space, net, VP(power=1.0)), condition_space=condition_space, **s)


_BUILDERS: dict[str, Callable[..., GenerativeModel]] = {
    "vae": _vae,
    "gan": _gan,
    "diffusion": _diffusion,
    "flow": _flow,
}
_SURVEY_BUILDERS: dict[str, Callable[..., GenerativeModel]] = {
    "vae": _survey_vae,
    "gan": _survey_gan,
    "diffusion": _survey_diffusion,
}


def count_parameters(model: nn.Module) -> int:
    """Trained numbers in a model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def solve_width(
    family: str, preset: str, settings: Mapping[str, Any], space: Space, condition_space: Space | None, parameters: int
) -> int:
    """The width whose model comes closest to `parameters`. Nothing is allocated to find it."""

    def size(width: int) -> int:
        fresh = Space(space.slots, space.positions)  # a space caches tensors: none of these may stay on "meta"
        with torch.device("meta"):
            return count_parameters(assemble(family, preset, settings, fresh, condition_space, width))

    if preset == "survey":
        return 0

    widths = networks.widths_for(space)

    def miss(place: int) -> int:
        return size(widths[place]) - parameters

    after = bisect.bisect_left(range(len(widths)), 0, key=miss)
    around = range(max(0, after - 1), min(len(widths), after + 1))
    return widths[min(around, key=lambda place: abs(miss(place)))]
