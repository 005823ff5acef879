"""What a family is given unless a person says otherwise: the default preset by geometry, and the survey's own.

The one constraint: settings depend on the geometry of the space, never on what kind of data it is.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sansheng.errors import unknown
from sansheng.families import FAMILIES
from sansheng.networks import sees_whole
from sansheng.space import Real, Space
from sansheng.wiener import suits

PRESETS = ("default", "survey")
DENOISING = ("diffusion", "flow")
Geometry = Literal["points", "rows", "strip", "tile", "grid", "word", "line"]


def geometry(space: Space) -> Geometry:
    """What the defaults depend on: a few numbers, a row of slots, a short strip of numbers along one axis, a small or
    a large grid of numbers, a short or a long line of symbols."""
    if space.positions:
        small, large = ("word", "line") if space.symbolic else ("tile", "grid")
        if small == "tile" and len(space.positions) == 1 and sees_whole(space):
            return "strip"
        return small if sees_whole(space) else large
    only_numbers = all(isinstance(slot, Real) for slot in space.slots)
    return "points" if only_numbers and space.channels <= 8 else "rows"


# -- defaults ------------------------------------------------------------------------------------------------

PARAMETERS: dict[Geometry, int] = {
    "points": 80_000,
    "rows": 400_000,
    "strip": 400_000,
    "tile": 150_000,
    "grid": 150_000,
    "word": 150_000,
    "line": 300_000,
}
ALPHABET, A_LEVEL = 64, 200
"""Levels of a long line that its parameters do for, and parameters for each beyond: what reads it and what tells it."""
SMALL, LARGE = 256, 2048
"""Positions of a grid up to which that many parameters do, and from which more positions ask for no more."""
SPANS = 4
"""Parameters a denoiser of one channel has at least for every pair of its numbers, half of them in its linear part."""
A_WINDOW, NARROWEST = 40, 100_000
"""Parameters a denoiser of a strip has for each training window, and at least: with more it learns windows by heart and
makes others too faint. Of 2,729 windows of prices one of 400,000 leaves 0.11 of the variance out after 3 minutes, 0.2
after 15, one of 100,000 leaves out 0.03, and is off by 0.117 in place of 0.125 on windows it has not seen."""
PASSES, ENOUGH = 1000, 10_000
"""Times a denoiser of a strip of several channels sees each window before training by time ends, and steps it takes at
least. What follows is learning by heart, for which the time grows with the windows, while that to learn what they have
in common does not (Bonnaire 2025, arXiv:2505.17638). Of 2,261 windows of prices, and at last 2,729, a strong judge's
score after 525, 1,050, 2,100 and 5,900 passes was .006, .002, .016 and .034, and returns had .94, .91, .88 and .86 of
the real deviation."""
PATIENT, LEAST = 600.0, 0.4
"""Seconds of a CPU that are worth all parameters of a GAN of a large grid, and the least share of them. After 3 minutes
of emoji of 32 x 32 one of 200,000 parameters is at a Fréchet distance of 10, one of 550,000 at 18; flows of as many are
at 17 and 12."""
BATCH: dict[Geometry, int] = {
    "points": 256,
    "rows": 256,
    "strip": 256,
    "tile": 64,
    "grid": 32,
    "word": 128,
    "line": 16,
}
FEWER: dict[tuple[str, Geometry], int] = {("gan", "grid"): 16}
"""Batches of a family that gains more from more steps: 891 modes of StackedMNIST after 5 minutes, in place of 853."""
LATENT: dict[Geometry, int] = {"points": 0, "rows": 24, "strip": 24, "tile": 24, "grid": 24, "word": 48, "line": 48}
"""Latent numbers of a VAE; of points, those beyond one for each number."""
FREE_BITS = 0.1
"""Nats that each latent of a VAE on symbols has for nothing: with none, no latent is in use after 2,000 steps on names,
and the bound is 3.72 bits a character in place of 3.47; with 0.25 it is 3.82."""
KNOWN_SHARE = 0.3
"""Share of examples of numbers in a row some of which a denoiser is told in training, as pasts and gaps will be."""
DRIFT = 1.0
"""By how much such examples move as a whole, in standard deviations of their levels: what follows held-out pasts of
temperatures (ETTh1, windows of 72, 2 CPU minutes) is then off by 0.065 in place of 0.068."""
MISMATCH = 1.0
"""Weight of telling what is given with another example. Of spoken digits asked for by digit and speaker (32 x 32, 4 CPU
minutes) 99.2 % are named right in place of 93.5, and the Fréchet distance is 0.10 in place of 0.14."""
COINS = 8
"""Latent numbers of a GAN on points that are coin flips; beside them it has one for each number."""

DEFAULTS: dict[str, Callable[[Geometry], dict[str, Any]]] = {
    "vae": lambda g: {
        "latent": LATENT[g],
        "beta": 0.02 if g == "points" else 1.0,
        "warm_up": 0.1,
        "samples": 1,
        "samples_from": 0.0,
        "draw_numbers": g in ("points", "rows", "strip"),
        "likelihood": "gaussian",
        "scale_rate": 10.0,
        **({"free_bits": FREE_BITS} if g in SYMBOLS else {}),
        "prior": True,
        "prior_share": 0.6 if g == "points" else 0.25,
        "prior_times": (-0.5, 1.6) if g == "points" else (0.0, 1.2),
        "prior_steps": 18 if g == "points" else 10,
        "learning_rate": {"points": 2e-3, "grid": 3e-3, "line": 2e-3}.get(g, 1e-3),
    },
    "gan": lambda g: {
        "latent": COINS if g == "points" else 64,
        "loss": "relativistic",
        "coins": COINS if g == "points" else 0,
        "noise": 1.0 if g == "points" else 0.0,
        "augment": False,
        "mismatch": MISMATCH,
        "gamma": {"points": 1.0, "strip": 0.012, "tile": 0.012, "grid": 0.012}.get(g, 0.025),
        "gamma_left": 3e-4 if g == "points" else 0.1,
        "learning_rate": {"points": 3e-3, "grid": 2e-3, "rows": 2e-3}.get(g, 5e-4),
        "betas": (0.0, 0.9 if g == "points" else 0.99),
    },
    "diffusion": lambda g: {
        "path": "masked" if g in SYMBOLS else "edm",
        "noise_mean": {"points": -1.0, "grid": 0.0, "word": 0.7, "line": 0.7}.get(g, -0.5),
        "noise_std": {"points": 1.8, "grid": 1.0, "word": 0.8, "line": 0.8}.get(g, 1.4),
        **_denoising(g),
    },
    "flow": lambda g: {
        "path": "simplex" if g in SYMBOLS else "straight",
        "time_mean": {"points": -0.5, "word": 0.7, "line": 0.7}.get(g, 0.0),
        "time_std": {"points": 1.6, "word": 0.8, "line": 0.8}.get(g, 1.0),
        **_denoising(g),
    },
}
"""GANs on rows learn at four times the rate of others: after 90 CPU seconds of Adult trees tell their rows from real
ones with an AUC of .76, at 5e-4 of .94."""
SYMBOLS = ("word", "line")


def _denoising(g: Geometry) -> dict[str, Any]:
    """What diffusion and flow have in common. Symbols are decided by many small steps rather than a few good ones."""
    return {
        "drop": 0.1,
        **({"guidance": 2.0} if g == "grid" else {}),
        "steps": {"word": 64, "line": 64, "grid": 16, "rows": 12}.get(g, 18),
        "sampler": {"word": "ancestral", "line": "ancestral", "grid": "dpmpp_2m_sde"}.get(g, "adams"),
        "learning_rate": {"word": 3e-3, "line": 3e-3, "grid": 2e-3}.get(g, 1e-3),
        "weight_decay": 0.1 if g in SYMBOLS else 0.01,
    }


SURVEY: dict[str, dict[str, Any]] = {
    "vae": {
        "latent": 20,
        "beta": 1.0,
        "warm_up": 0.0,
        "samples": 1,
        "samples_from": 0.0,
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
        if p.kind is p.KEYWORD_ONLY and name not in ("condition_space", "prior", "observed")
    }
    for family, kind in FAMILIES.items()
}
_EXTRA_OPTIONS: dict[str, dict[str, Any]] = {
    "vae": {
        "prior": True,
        "latent": 24,
        "likelihood": "gaussian",
        "ladder": False,
        "dense": False,
        "transformer": False,
    },
    "gan": {"latent": 64},
    "diffusion": {"path": "edm", "temperature": 1.0, "cells": 0, "linear": False},
    "flow": {"path": "straight", "cells": 0, "linear": False},
}
RUN_OPTIONS: dict[str, Any] = {"batch": 128, "width": 64, "ema_length": 0.1, "threads": 0, "most_steps": 0}
"""Settings of the run rather than of the family."""


def default_batch(family: str, space: Space) -> int:
    """Examples a step unless a person says otherwise."""
    kind = geometry(space)
    return FEWER.get((family, kind), BATCH[kind])


def default_most_steps(family: str, preset: str, space: Space, rows: int, batch: int) -> int:
    """Steps after which a run by time ends unless a person says otherwise, 0 for any number."""
    if preset != "default" or family not in DENOISING or geometry(space) != "strip" or space.channels == 1:
        return 0
    return max(ENOUGH, PASSES * rows // batch)


def default_parameters(
    space: Space, family: str = "", seconds: float | None = None, rows: int | None = None
) -> int:  # fmt: skip
    """Parameters unless a person says otherwise: of a grid, in proportion to its positions between two sizes.

    Of a long line there are more where its symbols are of many levels, as pieces of words are. Of a strip a denoiser
    has fewer where there are few `rows` to learn from.

    seconds: how long a CPU trains, where that is what ends training. A GAN of a large grid that has less than `PATIENT`
    is smaller, and takes more steps in them; the other families are better off large.
    """
    kind = geometry(space)
    base = PARAMETERS[kind]
    if kind == "strip" and family in DENOISING:
        enough = base if rows is None else min(base, max(NARROWEST, A_WINDOW * rows))
        return max(enough, SPANS * space.positions[0] ** 2) if space.channels == 1 else enough
    if kind == "line":
        return base + A_LEVEL * max(0, space.channels - ALPHABET)
    if kind not in ("tile", "grid"):
        return base
    if (family, kind) == ("gan", "grid") and seconds is not None:
        base = round(base * min(1.0, max(LEAST, math.sqrt(seconds / PATIENT))))
    return base * min(LARGE, max(SMALL, math.prod(space.positions))) // SMALL


def has_preset(family: str, preset: str) -> bool:
    """Whether there is this preset of this family. Raises ValueError for one that no family has, or no such family."""
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES)
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return preset == "default" or family in SURVEY


def settings_for(family: str, preset: str, space: Space) -> dict[str, Any]:
    """The family's settings in this preset for this geometry. Raises ValueError listing what exists."""
    there = has_preset(family, preset)
    if preset == "default":
        settings = DEFAULTS[family](geometry(space))
        if settings.get("path") == "simplex" and len(space.slots) > 1:
            settings["path"] = "straight"
        if geometry(space) == "points" and "latent" in settings:
            settings["latent"] += space.channels
        if family in DENOISING and len(space.positions) == 1 and not space.symbolic:
            linear = geometry(space) == "strip" and suits(space)
            settings |= {"known_share": KNOWN_SHARE, "drift": DRIFT, "linear": linear}
        return settings
    if not there:
        raise ValueError(f"the survey has no {family} model: --preset survey is for {', '.join(SURVEY)}")
    return dict(SURVEY[family])


def parse_overrides(family: str, overrides: Mapping[str, Any], preset: str = "default") -> dict[str, Any]:
    """Check ``--set key=value`` against the family's constructor; text becomes the type of the default.

    The survey's networks and likelihoods are fixed. Raises ValueError listing the keys there are, or the type a value
    should have.
    """
    extra = _EXTRA_OPTIONS[family]
    if preset == "survey":
        extra = {key: value for key, value in extra.items() if key in SURVEY[family]}
    known = RUN_OPTIONS | _FAMILY_OPTIONS[family] | extra
    parsed: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            raise unknown(f"setting of a {family}" + (" of the survey" if preset == "survey" else ""), key, known)
        parsed[key] = _parse(key, value, known[key])
    return parsed


def _parse(key: str, value: Any, default: Any) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = None if value.lower() == "none" else json.loads(value.lower())
        except json.JSONDecodeError:
            raise ValueError(f"setting {key} should be {_like(default)}, not {value!r}") from None
    if isinstance(value, list):
        value = tuple(float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    wanted = (default is None or isinstance(default, int | float)) and not isinstance(default, bool)
    if wanted != (number or (value is None and default is None)) or (not wanted and type(value) is not type(default)):
        raise ValueError(f"setting {key} should be {_like(default)}, not {value!r}")
    if isinstance(default, int) and not isinstance(default, bool) and not float(value or 0).is_integer():
        raise ValueError(f"setting {key} should be a whole number, not {value!r}")
    return value


def _like(default: Any) -> str:
    """What a value looks like, for an error."""
    if isinstance(default, bool):
        return "true or false"
    return "a whole number" if default is None else f"like {json.dumps(default)}"
