"""Every choice of one run, resolved, as JSON; and the model it builds.

The one constraint: a recipe and the space of its data determine the model's architecture completely. This is the
only file that knows families by name.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from sansheng import networks
from sansheng.budget import Budget
from sansheng.denoiser import Denoiser, NoisePredictor
from sansheng.errors import unknown
from sansheng.families import FAMILIES
from sansheng.families.diffusion import Diffusion
from sansheng.families.flow import Flow
from sansheng.families.gan import GAN
from sansheng.families.vae import VAE
from sansheng.model import GenerativeModel
from sansheng.networks.mlp import Bounded, PlainMLP, ResidualMLP
from sansheng.paths import PATHS, VP, Rectified
from sansheng.space import Real, Space

PRESETS = ("default", "survey")
SURVEY_WIDTHS = (512, 256)
Geometry = Literal["points", "rows", "grid", "line"]


class DataReference(BaseModel):
    """Where the data came from, and how it was split."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    source: str
    kind: str
    digest: str
    split_seed: int
    condition: tuple[str, ...] = ()


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
    threads: int
    settings: dict[str, Any]
    knots: list[tuple[int, float, float]] = []
    """For a run by seconds, once it has ended: the clock that repeats it bit for bit."""

    @property
    def budget(self) -> Budget:
        return Budget(steps=self.steps, seconds=self.seconds)


def geometry(space: Space) -> Geometry:
    """What the defaults depend on: a few numbers, a row of slots, a grid of numbers, or symbols in a line."""
    if space.positions:
        return "line" if space.symbolic else "grid"
    only_numbers = all(isinstance(slot, Real) for slot in space.slots)
    return "points" if only_numbers and space.channels <= 8 else "rows"


# -- defaults ------------------------------------------------------------------------------------------------

PARAMETERS: dict[Geometry, int] = {"points": 250_000, "rows": 400_000, "grid": 600_000, "line": 800_000}
BATCH: dict[Geometry, int] = {"points": 512, "rows": 256, "grid": 128, "line": 128}
LATENT: dict[Geometry, int] = {"points": 4, "rows": 24, "grid": 24, "line": 48}

DEFAULTS: dict[str, Callable[[Geometry], dict[str, Any]]] = {
    "vae": lambda g: {
        "latent": LATENT[g],
        "beta": 1.0,
        "warm_up": 0.1,
        "samples": 1,
        "draw_numbers": g in ("points", "rows"),
        "prior": True,
        "prior_share": 0.25,
        "learning_rate": 1e-3,
    },
    "gan": lambda g: {
        "latent": {"points": 16, "rows": 64, "grid": 64, "line": 64}[g],
        "loss": "relativistic",
        "gamma": {"points": 0.05, "rows": 0.3, "grid": 0.3, "line": 0.3}[g],
        "learning_rate": 5e-4,
        "betas": (0.0, 0.99),
    },
    "diffusion": lambda g: {
        "path": "edm" if g != "line" else "cosine",
        "noise_mean": -1.0 if g == "points" else -0.5,
        "noise_std": 1.8 if g == "points" else 1.4,
        "drop": 0.1,
        "steps": 18,
        "sampler": "heun",
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
    },
    "flow": lambda g: {
        "time_mean": -0.5 if g == "points" else 0.0,
        "time_std": 1.6 if g == "points" else 1.0,
        "drop": 0.1,
        "steps": 18,
        "sampler": "heun",
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
    },
}

SURVEY: dict[str, dict[str, Any]] = {
    "vae": {
        "latent": 20,
        "beta": 1.0,
        "warm_up": 0.0,
        "samples": 1,
        "draw_numbers": False,
        "prior": False,
        "prior_share": 0.0,
        "learning_rate": 1e-3,
        "constant": True,
    },
    "gan": {
        "latent": 100,
        "loss": "minimax",
        "gamma": 0.0,
        "learning_rate": 2e-4,
        "betas": (0.9, 0.999),
        "constant": True,
    },
    "diffusion": {
        "path": "vp",
        "levels": 200,
        "drop": 0.1,
        "steps": 200,
        "sampler": "ancestral",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "constant": True,
    },
}

_FAMILY_OPTIONS: dict[str, dict[str, Any]] = {
    family: {
        name: p.default
        for name, p in inspect.signature(kind.__init__).parameters.items()
        if p.kind is p.KEYWORD_ONLY and name not in ("condition_space", "prior")
    }
    for family, kind in FAMILIES.items()
}
_EXTRA_OPTIONS: dict[str, dict[str, Any]] = {
    "vae": {"prior": True},
    "gan": {},
    "diffusion": {"path": "edm"},
    "flow": {},
}
_RUN_OPTIONS = ("batch", "width", "ema_length")


def settings_for(family: str, preset: str, space: Space) -> dict[str, Any]:
    """The family's settings in this preset for this geometry. Raises ValueError listing what exists."""
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES)
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    if preset == "default":
        return DEFAULTS[family](geometry(space))
    if family not in SURVEY:
        raise ValueError(f"the survey has no {family} model: --preset survey is for {', '.join(SURVEY)}")
    return dict(SURVEY[family])


def parse_overrides(family: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Check ``--set key=value`` against the family's constructor; text becomes the type of the default.

    Raises ValueError listing the keys there are, or the type a value should have.
    """
    known = _FAMILY_OPTIONS[family] | _EXTRA_OPTIONS[family] | {"batch": 1, "width": 1, "ema_length": 0.1, "latent": 1}
    known = {k: v for k, v in known.items() if k != "latent" or family in ("vae", "gan")}
    parsed: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            raise unknown(f"setting of a {family}", key, known)
        parsed[key] = _parse(key, value, known[key])
    return parsed


def _parse(key: str, value: Any, default: Any) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = json.loads(value.lower() if value.lower() in ("true", "false", "null", "none") else value)
        except json.JSONDecodeError:
            raise ValueError(f"{key} should look like {json.dumps(default)}, not {value!r}") from None
    if isinstance(default, bool) != isinstance(value, bool) or isinstance(default, str) != isinstance(value, str):
        raise ValueError(f"{key} should be {'true or false' if isinstance(default, bool) else 'like ' + repr(default)}")
    return tuple(value) if isinstance(value, list) else value


# -- building ------------------------------------------------------------------------------------------------


def build(recipe: Recipe, space: Space, condition_space: Space | None) -> GenerativeModel:
    """The model of a recipe, with weights drawn from the recipe's seed and no trace left in global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return assemble(recipe.family, recipe.preset, recipe.settings, space, condition_space, recipe.width)


def assemble(
    family: str, preset: str, settings: Mapping[str, Any], space: Space, condition_space: Space | None, width: int
) -> GenerativeModel:
    """A model from its parts; `width` is that of every network (the survey's are fixed)."""
    condition = 0 if condition_space is None else condition_space.channels + 1
    make = _SURVEY_BUILDERS if preset == "survey" else _BUILDERS
    return make[family](dict(settings), space, condition_space, condition, width)


def _vae(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> VAE:
    latent, with_prior = s["latent"], s.pop("prior")
    prior = None
    if with_prior:
        net = ResidualMLP((latent,), (latent,), width=128, condition=condition, timed=True, zero_output=True)
        prior = Denoiser(Space((Real(latent),)), net, Rectified())
    encoder = networks.encoder(space, 2 * latent, width=width, condition=condition)
    decoder = networks.decoder(space, latent, width=width, condition=condition)
    return VAE(space, encoder, decoder, prior=prior, condition_space=condition_space, **s)


def _gan(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> GAN:
    generator = networks.decoder(space, s["latent"], width=width, condition=condition)
    critic = networks.encoder(space, 1, width=width, condition=condition, norm=False)
    return GAN(space, generator, critic, condition_space=condition_space, **s)


def _diffusion(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> Diffusion:
    path = s.pop("path")
    if path not in PATHS:
        raise unknown("path", path, PATHS)
    denoiser = Denoiser(space, networks.denoiser(space, width=width, condition=condition), PATHS[path]())
    return Diffusion(space, denoiser, condition_space=condition_space, **s)


def _flow(s: dict[str, Any], space: Space, condition_space: Space | None, condition: int, width: int) -> Flow:
    denoiser = Denoiser(space, networks.denoiser(space, width=width, condition=condition), Rectified())
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
    return Diffusion(space, NoisePredictor(space, net, VP()), condition_space=condition_space, **s)


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
    """The width, a multiple of 16, whose model comes closest to `parameters`. Nothing is allocated to find it."""

    def size(width: int) -> int:
        fresh = Space(space.slots, space.positions)  # a space caches tensors: none of these may stay on "meta"
        with torch.device("meta"):
            return count_parameters(assemble(family, preset, settings, fresh, condition_space, width))

    if preset == "survey":
        return 0
    step = networks.WIDTH_STEP
    low, high = 1, 2
    while size(high * step) < parameters and high < 1024:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle * step) < parameters else (low, middle)
    return min((low, high), key=lambda k: abs(size(k * step) - parameters)) * step
