"""From what a person asked for to data that are open and a recipe with every choice resolved.

The one constraint: nothing is written yet, so a mistake costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sansheng import devices
from sansheng.budget import Budget
from sansheng.codecs.base import Codec, Records
from sansheng.data import IN_MEMORY, Data, open_data
from sansheng.errors import DataError
from sansheng.events import Event, Observer, ignore
from sansheng.loop import State
from sansheng.recipe import DataReference, Recipe, resolve
from sansheng.rules import broken, read_rules, seen_together

Source = str | Path | pd.DataFrame | pd.Series | np.ndarray | list[Any] | Records
"""A built-in name, a path, or the data itself."""
EVERY = 10.0
"""Seconds between two words on how far reading has come."""


def plan(
    source: Source | Data,
    *,
    family: str,
    preset: str = "default",
    budget: Budget,
    condition: Sequence[str] | str = (),
    parameters: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    settings: Mapping[str, Any] | None = None,
    kind: str | None = None,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str | int | float] | None = None,
    rules: Sequence[str] = (),
    observe: Observer = ignore,
) -> tuple[Data, Recipe]:
    """The data, opened, and every choice resolved, before anything is written. Arguments and errors as in `train`."""
    device, precision = devices.choose(device, precision)
    if isinstance(source, Data):
        data = source
    else:
        data = read_data(source, kind, condition, observe, alpha=alpha, types=types, query=query, options=options)
    space, condition_space = data.codec.space, data.codec.condition_space
    reference = DataReference(
        name=data.name,
        source=data.source,
        kind=data.kind,
        digest=data.digest,
        split_seed=data.split_seed,
        condition=data.condition,
        alpha=data.alpha,
        types=dict(data.types),
        query=data.query,
        options=dict(data.options),
    )
    recipe = resolve(
        reference,
        space,
        condition_space,
        family=family,
        preset=preset,
        budget=budget,
        parameters=parameters,
        seed=seed,
        device=device,
        precision=precision,
        overrides=settings or {},
        rows=len(data.train),
    )
    return data, _with_rules(recipe, data, tuple(rules), observe)


def _with_rules(recipe: Recipe, data: Data, texts: tuple[str, ...], observe: Observer) -> Recipe:
    """The recipe with its rules, having told which of them the training rows break."""
    if not texts:
        return recipe
    read_rules(texts, data.codec, {})
    combinations = seen_together(texts, data.train_records)
    for remark in broken(read_rules(texts, data.codec, combinations), data.train_records):
        observe(Event("note", remark))
    return recipe.model_copy(update={"rules": texts, "combinations": combinations})


def read_data(
    source: Source,
    kind: str | None,
    condition: Sequence[str] | str,
    observe: Observer,
    *,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str | int | float] | None = None,
) -> Data:
    """`open_data`, telling what was understood."""
    observe(Event("phase", "reading and encoding the data"))
    names = (condition,) if isinstance(condition, str) else tuple(condition)
    data = open_data(
        source, kind=kind, condition=names, alpha=alpha, types=types, query=query, options=options,
        progress=telling(observe),
    )  # fmt: skip
    for note in data.notes:
        observe(Event("note", note))
    return data


def telling(observe: Observer, clock: Callable[[], float] = time.monotonic) -> Callable[[int, int], None]:
    """A function of (done, total) images that tells an observer now and then, with the time left."""
    began = told = clock()

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = clock()
        if done and now - told >= EVERY:
            told, left = now, (now - began) * (total - done) / done
            share = done / total
            text = f"{done:,} of {total:,} images decoded ({share:.0%}), about {left:,.0f} s left"
            observe(Event("note", text, progress=share, seconds=now - began, left=left))

    return tell


def parse_budget(budget: str | int | float | None, steps: int | None) -> Budget | None:
    """A budget from either option, a number being of seconds, None for neither.

    Raises ValueError for both, or one that is none.
    """
    if budget is not None and steps is not None:
        raise ValueError("give a budget in time or in steps, not both")
    if steps is not None:
        return Budget(steps=steps)
    return None if budget is None else Budget.parse(str(budget))


def extend(recipe: Recipe, state: State, more: Budget) -> Recipe:
    """The recipe with a longer budget, and the clock of `state` set back to the share of it that is spent.

    Steps are taken on the number of threads that is there: none is tried any more.
    """
    threads = recipe.threads
    if more.steps is not None:
        longer = Budget(steps=state.step + more.steps)
        share = state.step / (state.step + more.steps)
        slope = (1 - share) / more.steps
        if state.clock.threads:
            threads, state.clock.threads = state.clock.threads[-1][1], []
    else:
        extra, spent = more.seconds or 0.0, state.clock.seconds
        longer = Budget(seconds=spent + extra)
        share = spent / (spent + extra)
        slope = (1 - share) * spent / max(1, state.step) / extra
    state.clock.knots.append((state.step, share, slope))
    found = {"steps": longer.steps, "seconds": longer.seconds, "most_steps": 0}
    return recipe.model_copy(update=found | {"knots": [], "changes": [], "threads": threads})


def reopen(reference: DataReference, codec: Codec, source: Source | None, changed: bool, observe: Observer) -> Data:
    """The data a run was trained on, from where it was or from `source`, split and encoded as it was.

    changed: let it pass if its content is no longer what it was. Raises DataError if it is gone or has changed.
    """
    if source is None and reference.source.endswith(IN_MEMORY):
        raise DataError("the run was trained on data in memory: give the same data again")
    data = open_data(
        reference.source if source is None else source,
        kind=reference.kind,
        condition=reference.condition,
        split_seed=reference.split_seed,
        codec=codec,
        alpha=reference.alpha,
        types=reference.types,
        query=reference.query if source is None else None,
        options=reference.options,
        progress=telling(observe),
    )
    if data.digest != reference.digest and not changed:
        what = f"{reference.source} is not what the run was trained on"
        raise DataError(
            f"{what}: its content, or how it is read, has changed (sansheng resume --force trains on it all the same)"
        )
    return data
