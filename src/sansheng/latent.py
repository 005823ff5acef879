"""What a model that has codes can do with a person's own records: show them again, walk between two, turn one number.

The one constraint: everything is deterministic, for codes are means and what is shown is the likeliest datum of a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import CountsCharacters, Records
from sansheng.codecs.labels import Labelled
from sansheng.errors import DataError
from sansheng.filling import called, labelled, lacking, unseen, with_own_labels
from sansheng.model import Batch, HasCode
from sansheng.run import Run

CHUNK = 500
SLOW = 200
"""Held-out records that others are held against where each takes many evaluations."""
MOST_LABELS = 32
"""Values of labels that are summed over where records lack them."""


def reconstruct(run: Run, records: Records) -> Records:
    """Each record as the model knows it: encoded, and decoded from its code alone."""
    given = labelled(run, records, {}, 0)
    codes, condition = encode(run, given)
    return with_own_labels(show(run, codes, condition), called(given, records))


def interpolate(run: Run, records: Records, steps: int = 8) -> Records:
    """`steps` (>= 2) records evenly on the line between the codes of the first two, ends included.

    What is given is that of the nearer end. Raises ValueError for fewer records or steps than two.
    """
    if len(records) < 2 or steps < 2:
        raise ValueError(
            f"a way leads from one record to another in 2 or more steps, not {steps} steps from {len(records)}"
        )
    two = records.take(np.arange(2))
    ends = labelled(run, two, {}, 0)
    codes, condition = encode(run, ends)
    share = torch.linspace(0, 1, steps)[:, None]
    end = (share[:, 0] > 0.5).long()
    way = show(run, (1 - share) * codes[:1] + share * codes[1:], None if condition is None else condition[end])
    return with_own_labels(way, called(ends, two).take(end.numpy()))


def traverse(run: Run, record: Records, latent: int, *, steps: int = 7, span: float = 3.0) -> Records:
    """The first record with one number of its code at `steps` even places in [−span, span], the rest as it is.

    Codes are scaled so that N(0, 1) is common. Raises ValueError for a `latent` there is not.
    """
    first = record.take(np.arange(1))
    given = labelled(run, first, {}, 0)
    codes, condition = encode(run, given)
    if not 0 <= latent < codes.shape[1]:
        raise ValueError(f"the code has numbers 0 to {codes.shape[1] - 1}, and no {latent}")
    walked = codes.repeat(steps, 1)
    walked[:, latent] = torch.linspace(-span, span, steps)
    turned = show(run, walked, None if condition is None else condition.repeat(steps, 1))
    return with_own_labels(turned, called(given, first).take(np.zeros(steps, int)))


def surprise(
    run: Run, records: Records, *, where: Mapping[str, Any] | None = None, samples: int = 50, seed: int = 0,
    variational: bool = False,
) -> np.ndarray:  # fmt: skip
    """How little the model expects each record, ``(N,)`` [bits per dimension]: −bound on log₂ p(x) / D, with D the
    dimensions of the space, or of text the characters of each, its end counted.

    where: labels in place of the records' own. Of records that lack those the model is given it is that of p(x) =
    Σ p(c) p(x | c) over all c of training, by their shares there. Other arguments as for `Run.log_likelihood`. Raises
    ValueError for a family without such a bound, and for labels that are lacking and take too many values to sum over;
    DataError for labels that the model has never seen.
    """
    how = {"samples": samples, "seed": seed, "variational": variational}
    for name, values in unseen(run, records).items():
        if name not in (where or {}):
            raise DataError(
                f"the model has seen no {name} {str(values[0])!r}, which {len(values):,} of these have; "
                f"--where {name}=VALUE gives them one"
            )
    if where or not lacking(run, records):
        bound = run.log_likelihood(labelled(run, records, where or {}, seed), **how)
    else:
        bound = _over_labels(run, records, how)
    codec = run.codec
    sizes = codec.characters(records).clip(1) if isinstance(codec, CountsCharacters) else run.model.space.size
    return -bound / (sizes * np.log(2))


def _over_labels(run: Run, records: Records, how: dict[str, Any]) -> np.ndarray:
    """log Σ p(c) p(x | c) of each record, ``(N,)`` [nats]."""
    assert isinstance(run.codec, Labelled)
    assert run.conditions is not None
    rows, counts = run.conditions.unique(dim=0, return_counts=True)
    if len(rows) > MOST_LABELS:
        name = lacking(run, records)[0]
        raise ValueError(
            f"these have no {name}, of which the model knows too many to try each: --where {name}=VALUE gives one"
        )
    shares = np.log(counts.numpy() / counts.sum().item())
    bounds = []
    for row, share in zip(rows, shares, strict=True):
        labels = run.codec.conditions.decode(row.expand(len(records), -1))
        bounds.append(share + run.log_likelihood(replace(records, labels=labels), **how))
    return np.logaddexp.reduce(bounds, axis=0)


def usual(run: Run, records: Records, where: Mapping[str, Any], *, exact: bool) -> Records:
    """Held-out records to hold the surprise of `records` against: without the labels that are summed over there.

    All of them, or where an `exact` likelihood is slow `SLOW`, drawn evenly.
    """
    held_out = run.open_data().test_records
    if exact and run.model.slow_likelihood and len(held_out) > SLOW:
        some = np.random.default_rng(0).permutation(len(held_out))[:SLOW]
        held_out = held_out.take(np.sort(some))
    lost = [] if where else lacking(run, records)
    return replace(held_out, labels={name: column for name, column in held_out.labels.items() if name not in lost})


def encode(run: Run, records: Records) -> tuple[Tensor, Tensor | None]:
    """Codes ``(N, D)`` and what is given ``(N, K)``. Raises ValueError for a family that has no codes."""
    model = _with_codes(run)
    encoded = run.codec.encode(records)
    codes = []
    for first in range(0, len(encoded), CHUNK):
        some = encoded.rows(slice(first, first + CHUNK)).to(run.device)
        codes.append(model.code(Batch(some.x.to(run.device), some.condition)))
    return torch.cat(codes).cpu(), encoded.condition


def show(run: Run, codes: Tensor, condition: Tensor | None) -> Records:
    """Records of codes ``(N, D)``, with what is given ``(N, K)``."""
    model = _with_codes(run)
    shown = [
        model.show(
            codes[first : first + CHUNK].to(run.device),
            None if condition is None else condition[first : first + CHUNK].to(run.device),
        ).cpu()
        for first in range(0, len(codes), CHUNK)
    ]
    return run.codec.decode(torch.cat(shown), condition)


def _with_codes(run: Run) -> HasCode:
    if not isinstance(run.model, HasCode):
        raise ValueError(f"a {run.recipe.family} has no codes: reconstruct, interpolate and traverse need a vae")
    return run.model
