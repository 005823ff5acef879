"""Rows that are as a person asked, without drawing until enough happen to be.

The one constraint: every row that comes back is as asked, in the values that are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sansheng.codecs.base import Codec, Records
from sansheng.codecs.coders import Digits, Levels
from sansheng.codecs.labels import Labelled
from sansheng.codecs.table import TableCodec
from sansheng.events import Event, Observer, ignore
from sansheng.loop import derive_seed
from sansheng.model import GenerativeModel, Sampling
from sansheng.where import Clause, confine

CHUNK = 2000
"""Rows drawn at a time."""
TRIES = 20
"""Rounds of drawing anew what did not come out as asked."""
MOST_REJECTED = 1000
"""Rows drawn for each that is wanted, at most, where rows are rejected."""


def draw_asked(
    model: GenerativeModel,
    codec: Codec,
    conditions: Tensor | None,
    n: int,
    clauses: Sequence[Clause],
    settings: Sampling,
    seed: int,
    *,
    reject: bool = False,
    observe: Observer = ignore,
) -> Records:
    """`n` rows of which every clause holds. reject: draw as ever, and leave out the rest, instead of steering.

    conditions: rows of what may be given. Those of which the clauses do not hold are left out first. Raises ValueError
    where none is left, or the rows do not come. observe: told the share that was as asked, where that is not all.
    """
    assert isinstance(codec, TableCodec)
    if not reject:
        settings = replace(settings, within=confine(clauses, codec))
    conditions = _fitting(conditions, codec, clauses)
    found: list[pd.DataFrame] = []
    have, drawn = 0, 0
    device = next(model.parameters()).device
    conditions = None if conditions is None else conditions.to(device)
    while have < n and drawn < (MOST_REJECTED if reject else TRIES) * max(n, 100):
        count = CHUNK if reject else min(CHUNK, n - have)
        generator = torch.Generator(device).manual_seed(derive_seed(seed, drawn, "asked"))
        x, condition = _draw(model, count, conditions, settings, generator)
        frame = codec.decode(x.cpu(), None if condition is None else condition.cpu()).values
        frame = _rare(frame, clauses, np.random.default_rng([seed, drawn]))
        fits = np.all([clause.holds(frame) for clause in clauses], axis=0)
        found.append(frame.iloc[np.flatnonzero(fits)])
        have, drawn = have + int(fits.sum()), drawn + count
    if have < n:
        asked = " and ".join(clause.text for clause in clauses)
        raise ValueError(f"{have:,} of {drawn:,} rows drawn are such that {asked}; {n:,} do not come: ask for less")
    if reject or have < drawn:
        observe(Event("note", f"{have / drawn:.2%} of the rows drawn were as asked"))
    return Records(codec.reissue(pd.concat(found, ignore_index=True).head(n)))


def _draw(
    model: GenerativeModel, n: int, conditions: Tensor | None, settings: Sampling, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    if settings.within is not None:
        return model.sample_within(n, conditions, settings, generator)
    condition = None
    if conditions is not None:
        condition = conditions[torch.randint(len(conditions), (n,), generator=generator, device=conditions.device)]
    return model.sample(n, condition=condition, settings=settings, generator=generator), condition


def _fitting(conditions: Tensor | None, codec: TableCodec, clauses: Sequence[Clause]) -> Tensor | None:
    """The conditions as asked; one of what was asked itself, where every condition was and no row is like it."""
    about = [clause for clause in clauses if clause.column.name in codec.condition_names]
    if conditions is None or not about:
        return conditions
    given = codec.decode(torch.zeros(len(conditions), codec.space.channels), conditions).values
    fits = np.all([clause.holds(given) for clause in about], axis=0)
    if fits.any():
        return conditions[torch.from_numpy(np.flatnonzero(fits))]
    equal = {clause.column.name: clause.equal for clause in about}
    if len(about) == len(codec.condition_names) == len(equal) and None not in equal.values():
        return codec.encode_condition({c.column.name: c.text.partition("=")[2].lstrip("= ") for c in about}, 1)
    asked = " and ".join(clause.text for clause in about)
    raise ValueError(f"no row kept of the training data is such that {asked}; ask for less")


def _rare(frame: pd.DataFrame, clauses: Sequence[Clause], generator: np.random.Generator) -> pd.DataFrame:
    """Of rare levels taken together, which decoding draws among all, those that were asked for."""
    for clause in clauses:
        coder = clause.column.coder
        if not (isinstance(coder, Levels | Digits) and coder.rare):
            continue
        rare = np.array(coder.rare, dtype=object)
        asked = clause.test(rare)
        name = clause.column.name
        wrong = frame[name].isin(list(rare[~asked])).to_numpy()
        if asked.any() and wrong.any():
            share = np.array(coder.counts, dtype=float)[asked]
            frame.loc[wrong, name] = generator.choice(rare[asked], wrong.sum(), p=share / share.sum())
    return frame


def given_rows(codec: Codec, conditions: Tensor | None, n: int, where: Mapping[str, Any], seed: int) -> Tensor | None:
    """``(n, K)``: as `where` says, and the rest as in rows drawn from the training data that are so.

    Raises ValueError for an unknown name.
    """
    if conditions is None:
        if where:
            hint = f"train one with --condition {next(iter(where))}"
            raise ValueError(f"this model is not conditioned on anything, so --where has no meaning; {hint}")
        return None
    rng = np.random.default_rng([seed, 1])
    if where and isinstance(codec, Labelled):
        return codec.conditions.encode_some(where, n, conditions, rng)
    if where:
        return codec.encode_condition(where, n)
    return conditions[torch.from_numpy(rng.integers(len(conditions), size=n))]
