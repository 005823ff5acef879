"""Draw what is missing of a person's records, given what is there: holes in pictures, gaps in lines, small pictures.

The one constraint: what is known comes back as it was; only diffusion and flow, which see through noise, can do this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import Records
from sansheng.codecs.labels import Labelled
from sansheng.codecs.text import TextCodec
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
GAP = "_"
"""Stands for a character to be found."""


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


def fill_cells(run: Run, records: Records, known: Tensor, how: Drawing = ONCE) -> Records:
    """Each record with the numbers of its encoded form that are not `known`, ``(N, C, *P)`` bool, drawn anew."""
    order = iter(known.repeat_interleave(how.draws, 0).split(CHUNK))
    return _draw(run, records, lambda x: known_cells(x, next(order).to(x.device)), how)


def fill_lines(
    run: Run, lines: Sequence[str], *, gap: str = GAP, how: Drawing = ONCE,
    labels: Mapping[str, np.ndarray] | None = None,
) -> Records:  # fmt: skip
    """Each line with its `gap` characters replaced by drawn ones. labels: of the lines, where they have any.

    A line that ends in a gap may end earlier or go on. Raises ValueError for a model of anything but text, a gap that
    is a character of the data, or a line longer than those the model draws.
    """
    codec = run.codec
    if not isinstance(codec, TextCodec):
        raise ValueError("gaps in lines are for models of text")
    if len(gap) != 1 or gap in codec.alphabet:
        raise ValueError(f"{gap!r} is a character of the data: choose another --gap")
    lines, given = [_in_known(line, codec, gap) for line in lines], lines
    most = codec.length - (codec.unit == "lines")
    for place, n in enumerate(codec.tokens.lengths(lines)):
        if n > most:
            symbols = "symbols" if codec.tokens.kind == "bpe" else codec.tokens.kind
            raise ValueError(f"line {place + 1} has {n:,} {symbols}, and this model draws lines of at most {most:,}")
    at = torch.zeros(len(lines), codec.length, dtype=torch.bool)
    for row, line in enumerate(lines):
        places = [place for place in codec.tokens.places(line, gap) if place < codec.length]
        at[row, places] = True
        if places and line.endswith(gap):
            at[row, places[-1] :] = True
    records = Records(
        [line.replace(gap, codec.alphabet[:1] or "a") for line in lines], labels or {}, {"unit": codec.unit}
    )
    known = ~at[:, None].expand(-1, codec.space.channels, -1)
    made = fill_cells(run, records, known, how)
    if codec.tokens.kind != "characters":
        return made
    whole = [line for line in given for _ in range(how.draws)]
    return replace(made, values=[_kept(line, new, gap) for line, new in zip(whole, made.values, strict=True)])


def _in_known(line: str, codec: TextCodec, gap: str) -> str:
    """A line with a stand-in for what the model does not know, so that every character keeps its place."""
    if codec.tokens.kind != "characters":
        return line
    return "".join(c if c == gap or c in codec.alphabet else codec.alphabet[0] for c in line)


def _kept(line: str, drawn: str, gap: str) -> str:
    """`drawn`, as far as it goes, with the characters of the line that are no gap."""
    return "".join(old if old != gap else new for old, new in zip(line, drawn, strict=False)) + drawn[len(line) :]


def fill_text(run: Run, text: str, *, gap: str = GAP, length: int | None = None, how: Drawing = ONCE) -> list[str]:
    """`draws` of a text of any length, its `gap` characters replaced by drawn ones, for a model of windows.

    length: how many characters it is to have, going on after its end; where there are no gaps and no length is given,
    by half a window, and to a whole one at least. Gaps are filled from the first on, a window at a time, half of which
    is known to stand before them. Characters that are known stay, whatever the model knows of them. Raises ValueError
    for other models, and for a length below that of the text.
    """
    size = _window_of(run)
    wanted = length or (len(text) if gap in text else max(size, len(text) + size // 2))
    if wanted < len(text):
        raise ValueError(f"the text has {len(text):,} characters already, more than the length asked for, {wanted:,}")
    template = text + gap * (max(wanted, size) - len(text))
    texts, seed = [template] * how.draws, how.seed
    while gap in texts[0][:wanted]:
        start = max(0, min(texts[0].index(gap) - size // 2, len(template) - size))
        span = slice(start, start + size)
        one = replace(how, draws=1, seed=derive_seed(seed, start, "text"))
        made = fill_lines(run, [each[span] for each in texts], gap=gap, how=one).values
        filled = zip(texts, made, strict=True)
        texts = [each[:start] + _merged(each[span], new, gap) + each[span.stop :] for each, new in filled]
    return [each[:wanted] for each in texts]


def _window_of(run: Run) -> int:
    """Characters of a window. Raises ValueError for a model of anything else."""
    codec = run.codec
    if not isinstance(codec, TextCodec) or codec.unit != "windows" or codec.tokens.kind != "characters":
        raise ValueError("a text goes on, and its gaps are filled, by models of windows of characters")
    return codec.length


def _merged(known: str, drawn: str, gap: str) -> str:
    """`known` with its gaps taken from `drawn`, and spaces where that ended early."""
    drawn = drawn.ljust(len(known))
    return "".join(new if old == gap else old for old, new in zip(known, drawn, strict=True))


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


def _draw(run: Run, records: Records, known: Callable[[Tensor], Known], how: Drawing) -> Records:
    """`draws` of each record; known: encoded records ``(B, C, *P)`` -> `Known`."""
    if how.draws < 1:
        raise ValueError(f"draw at least once, not {how.draws} times")
    own = records.take(np.arange(len(records)).repeat(how.draws))
    repeated = labelled(run, own, how.where, how.seed)
    encoded = run.codec.encode(repeated)
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
    return with_own_labels(run.codec.decode(torch.cat(pieces), condition), called(repeated, own, how.where))


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
        own = np.asarray(records.labels[name])
        labels[name] = np.where(np.isin(own.astype(str), values.astype(str)), drawn[name], own)
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
