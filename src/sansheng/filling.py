"""Draw what is missing of a person's records, given what is there: holes in pictures, small pictures, any cells.

The one constraint: what is known comes back as it was; only diffusion and flow, which see through noise, can do this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import Encoded, Records
from sansheng.codecs.labels import Labelled
from sansheng.loop import derive_seed
from sansheng.model import Known, Sampling, known_cells, known_means
from sansheng.run import Run


@dataclass(frozen=True)
class Drawing:
    """How to draw what is missing: `draws` of each record, in a row; the rest as for `Run.draw`.

    where: labels that are given in place of the records' own; those that are neither are drawn as for `Run.draw`.
    """

    draws: int = 1
    seed: int = 0
    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


ONCE = Drawing()
CHUNK = 100


def fill_hole(run: Run, records: Records, hole: Sequence[slice], how: Drawing = ONCE) -> Records:
    """Each picture (or window of a series) with the positions within `hole`, a slice an axis, drawn anew.

    Raises ValueError for records without positions, a hole outside them, or a model that cannot fill.
    """
    space = run.codec.space
    if len(space.positions) != len(hole) or not hole:
        raise ValueError(f"these data have {len(space.positions)} axes of positions, and the hole {len(hole)}")
    known = torch.ones(space.shape, dtype=torch.bool)
    known[(slice(None), *hole)] = False
    if known.all():
        raise ValueError(f"the hole is outside of {' x '.join(map(str, space.positions))} positions")
    return _draw(run, records, lambda x: known_cells(x, known.to(x.device).expand_as(x)), how)


def fill_cells(
    run: Run, records: Records, known: Tensor, how: Drawing = ONCE, *,
    encode: Callable[[Records], Encoded] | None = None,
    decode: Callable[[Tensor, Tensor | None], Records] | None = None,
) -> Records:  # fmt: skip
    """Each record with the numbers of its encoded form that are not `known`, ``(N, C, *P)`` bool, drawn anew.

    encode, decode: in place of the codec's own.
    """
    order = iter(known.repeat_interleave(how.draws, 0).split(CHUNK))
    return _draw(run, records, lambda x: known_cells(x, next(order).to(x.device)), how, encode, decode)


def enlarge(run: Run, records: Records, how: Drawing = ONCE) -> Records:
    """Pictures as large as those the model was trained on, whose means over blocks are the small pictures given.

    Raises ValueError unless both sides of the model's pictures are the same whole multiple of those given.
    """
    large, small = run.codec.space.positions, tuple(np.asarray(records.values).shape[1:-1])
    factor = large[0] // small[0] if small and small[0] else 0
    if factor < 2 or tuple(factor * side for side in small) != large:
        sizes = (" x ".join(map(str, size)) for size in (small, large))
        raise ValueError("pictures of {} cannot be enlarged to {} by a whole number".format(*sizes))
    values = np.asarray(records.values)
    for axis in range(1, values.ndim - 1):
        values = values.repeat(factor, axis)
    return _draw(run, Records(values, records.labels), lambda x: known_means(x, factor), how)


def _draw(
    run: Run, records: Records, known: Callable[[Tensor], Known], how: Drawing,
    encode: Callable[[Records], Encoded] | None = None,
    decode: Callable[[Tensor, Tensor | None], Records] | None = None,
) -> Records:  # fmt: skip
    """`draws` of each record; known: encoded records ``(B, C, *P)`` -> `Known`."""
    if how.draws < 1:
        raise ValueError(f"draw at least once, not {how.draws} times")
    own = records.take(np.arange(len(records)).repeat(how.draws))
    repeated = labelled(run, own, how.where, how.seed)
    encoded = (encode or run.codec.encode)(repeated)
    condition = encoded.condition
    if condition is None:
        condition = run.condition_rows(len(repeated), {}, how.seed)
    pieces: list[Tensor] = []
    for first in range(0, len(repeated), CHUNK):
        x = encoded.rows(slice(first, first + CHUNK)).x.to(run.device)
        generator = torch.Generator(run.device).manual_seed(derive_seed(how.seed, first, "fill"))
        given = None if condition is None else condition[first : first + CHUNK].to(run.device)
        settings = Sampling(how.steps, how.sampler, how.guidance, known=known(x))
        pieces.append(run.model.sample(len(x), condition=given, settings=settings, generator=generator).cpu())
    made = (decode or run.codec.decode)(torch.cat(pieces), condition)
    return with_own_labels(made, called(repeated, own, how.where))


def labelled(run: Run, records: Records, where: Mapping[str, Any], seed: int) -> Records:
    """Records with a value for each label the model is conditioned on: as `where` says, or their own, or else drawn.

    Labels of their own that the model has never seen are drawn too. Raises ValueError for labels in `where` that there
    are not, and for any of a table, which are columns.
    """
    if where and not isinstance(run.codec, Labelled):
        raise ValueError(f"--where is for labels, and what is given of a {run.codec.kind} stands in its columns")
    if not isinstance(run.codec, Labelled):
        return records
    odd = {name: values for name, values in unseen(run, records).items() if name not in where}
    if not (where or odd or lacking(run, records)):
        return records
    drawn = run.codec.conditions.decode(run.condition_rows(len(records), where, seed))
    labels = {**drawn, **records.labels, **{name: drawn[name] for name in where}}
    for name, values in odd.items():
        own = np.asarray(records.labels[name]).astype(object)
        labels[name] = np.where(np.isin(own.astype(str), values.astype(str)), np.asarray(drawn[name], object), own)
    return replace(records, labels=labels)


def unseen(run: Run, records: Records) -> dict[str, np.ndarray]:
    """By name, the labels of these records that the model is conditioned on and has never seen."""
    return run.codec.conditions.unseen(records.labels) if isinstance(run.codec, Labelled) else {}


def called(given: Records, records: Records, where: Mapping[str, Any] | None = None) -> Records:
    """`given`, as `labelled` made them of `records`, under these records' own labels, but for those of `where`."""
    own = {name: column for name, column in records.labels.items() if name not in (where or {})}
    return replace(given, labels={**given.labels, **own})


def lacking(run: Run, records: Records) -> list[str]:
    """The labels the model is conditioned on that these records do not have."""
    names = run.codec.conditions.names if isinstance(run.codec, Labelled) else ()
    return [name for name in names if name not in records.labels]


def with_own_labels(made: Records, records: Records) -> Records:
    """What was made of `records`, one of each, under the labels these have: the model need not know all of them."""
    return replace(made, labels={name: records.labels.get(name, column) for name, column in made.labels.items()})


def parse_hole(text: str) -> list[slice]:
    """``"8:20,8:20"`` -> slices; an end may be left out. Raises ValueError for other texts."""
    try:
        ends = [part.split(":") for part in text.split(",")]
        return [slice(int(a) if a.strip() else None, int(b) if b.strip() else None) for a, b in ends]
    except ValueError:
        raise ValueError(f"--hole is a range an axis, such as 8:20,8:20 (rows, columns), not {text!r}") from None
