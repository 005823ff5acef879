"""What training on some data will take, before it is started: steps a second, memory, disk.

The one constraint: measured on the machine at hand, by a few steps of the default model of each family.
"""

from __future__ import annotations

from collections.abc import Sequence

from sansheng import devices
from sansheng.budget import DEFAULT_SECONDS, Budget
from sansheng.data import Batches, Data, measured
from sansheng.folder import ROOM
from sansheng.plan import plan
from sansheng.presets import DEFAULTS
from sansheng.recipe import build, count_parameters

COPIES = 8
"""Weights, average, gradients, moments and what a step needs beside them, in weights' sizes: a rule of thumb."""


def estimate(data: Data, families: Sequence[str] = tuple(DEFAULTS)) -> list[tuple[str, str]]:
    """(family, steps a minute, memory and disk) of the default model of each family, as lines of text."""
    return [(family, _estimate(data, family)) for family in families]


def _estimate(data: Data, family: str) -> str:
    _, recipe = plan(data, family=family, budget=Budget(seconds=DEFAULT_SECONDS))
    model = build(recipe, data.codec.space, data.codec.condition_space)
    model.measure(measured(data.train, 2000))
    batches = Batches(data.train, seed=0, size=recipe.batch, device=recipe.device)
    _, seconds = devices.choose_threads(model.to(recipe.device), batches, recipe.device)
    parameters = count_parameters(model)
    memory = 4 * (COPIES * parameters + (len(data.train) + len(data.test)) * data.codec.space.size) / 2**20
    disk = ROOM * 4 * parameters / 2**20
    pace = f"about {60 / seconds:,.0f} steps of {recipe.batch} a minute on {recipe.device}"
    return f"{parameters:,} parameters, {pace}, {memory:,.0f} MiB of memory and {disk:,.0f} MiB of disk"
