"""Gaps in texts, drawn given what is there: in lines, in one text of any length, and after its end.

The one constraint: what is known comes back as it was. Symbols of bytes or pieces can be any character, so that a
mark that data of these hold too is taken for a gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import Records
from sansheng.codecs.text import TextCodec, checked
from sansheng.codecs.tokens import END, GAP, REPLACEMENT
from sansheng.filling import ONCE, Drawing, fill_cells
from sansheng.loop import derive_seed
from sansheng.run import Run

MARK = "_"
"""Stands for a character to be found, unless told."""
STALLED = 20
"""Draws in a row that end at once, each knowing half as much as the one before it, before a model is given up."""


def fill_lines(
    run: Run, lines: Sequence[str], *, gap: str = MARK, how: Drawing = ONCE,
    labels: Mapping[str, np.ndarray] | None = None,
) -> Records:  # fmt: skip
    """Each line with its `gap` characters replaced by drawn ones. labels: of the lines, where they have any.

    A line that ends in a gap may end earlier or go on. Where symbols are bytes or pieces of words, what is drawn for a
    gap is about as long. Raises ValueError for a model of anything but text, a gap that is one of its characters, or a
    line longer than those the model draws, and DataError for one that is no line.
    """
    codec = _checked(run, gap)
    checked(lines, codec.unit)
    rows = np.full((len(lines), codec.length), END)
    most = codec.length - (codec.unit == "lines")
    symbols = codec.tokens.kind.replace("bpe", "pieces of words, of which gaps make more,")
    for place, (line, row) in enumerate(zip(lines, rows, strict=True)):
        template = codec.tokens.with_gaps(line, gap)
        n = len(template)
        if n > most:
            raise ValueError(f"line {place + 1} has {n:,} {symbols}, and this model draws lines of at most {most:,}")
        row[:n] = template
        row[n:] = GAP if line.endswith(gap) else END

    def say(drawn: np.ndarray) -> list[str]:
        whole = [(line, row) for line, row in zip(lines, rows, strict=True) for _ in range(how.draws)]
        return [_filled(codec, line, row, new, gap) for (line, row), new in zip(whole, drawn, strict=True)]

    return _drawn(run, rows, Records(list(lines), labels or {}, {"unit": codec.unit}), how, say)


def fill_text(run: Run, text: str, *, gap: str = MARK, length: int | None = None, how: Drawing = ONCE) -> list[str]:
    """`draws` of a text of any length, its `gap` characters replaced by drawn ones, for a model of windows.

    length: how many characters it is to have, going on after its end; where there are no gaps and no length is given,
    by half a window, and to a whole one at least. Gaps are filled from the first on, a window at a time, half of which
    is known to stand before them, with as many characters, or where symbols are bytes or pieces of words with about as
    many. Raises ValueError for other models, a gap that is one of its characters, a length below that of the text, and
    a model that has nothing to say.
    """
    codec = _checked(run, gap)
    if how.draws < 1:
        raise ValueError(f"draw at least once, not {how.draws} times")
    if codec.unit != "windows":
        raise ValueError("a text goes on, and its gaps are filled, by models of a long text in windows")
    size = codec.window or codec.length
    wanted = length
    if wanted is None:
        wanted = len(text) if gap in text else max(size, len(text) + size // 2)
    if wanted < len(text):
        raise ValueError(f"the text has {len(text):,} characters already, more than the length asked for, {wanted:,}")
    begun = _Begun("", text + gap * (wanted - len(text))).after_what_is_known(gap)
    texts, turn = [begun] * how.draws, 0
    while unfinished := [i for i, each in enumerate(texts) if each.rest]:
        one = replace(how, draws=1, seed=derive_seed(how.seed, turn, "text"))
        for i, longer in zip(unfinished, _one_window(run, [texts[i] for i in unfinished], gap, one), strict=True):
            texts[i] = longer
        turn += 1
    return [each.done for each in texts]


@dataclass(frozen=True)
class _Begun:
    """A text as far as it is known or drawn, and the rest, which begins with a gap unless it is empty.

    stalled: draws in a row that added nothing.
    """

    done: str
    rest: str
    stalled: int = 0

    def after_what_is_known(self, gap: str) -> _Begun:
        known = self.rest if gap not in self.rest else self.rest[: self.rest.index(gap)]
        return replace(self, done=self.done + known, rest=self.rest[len(known) :])


def _one_window(run: Run, texts: Sequence[_Begun], gap: str, how: Drawing) -> list[_Begun]:
    """Each with the gaps filled that a window has room for, half of which is for what is done, but the less the oftener
    a model ended a text there."""
    codec = _checked(run, gap)
    size, rows = codec.window or codec.length, np.full((len(texts), codec.length), GAP)
    for row, each in zip(rows, texts, strict=True):
        before = max(size // 2, size - len(each.rest))
        past = each.done[len(each.done) - (min(before, len(each.done)) >> each.stalled) :]
        done = codec.tokens.with_gaps(past.replace(gap, " ") + gap, gap)  # as what stands before a gap
        done = done[done != GAP]
        ahead = codec.tokens.with_gaps(each.rest[: 2 * size], gap)
        done = done[-(codec.length - min(len(ahead), codec.length // 2)) :]
        n = min(len(ahead), codec.length - len(done))
        row[: len(done)], row[len(done) : len(done) + n] = done, ahead[:n]

    def say(drawn: np.ndarray) -> list[_Begun]:
        return [_gone_on(codec, each, row, new, gap) for each, row, new in zip(texts, rows, drawn, strict=True)]

    return _drawn(run, rows, Records([""] * len(texts), {}, {"unit": codec.unit}), how, say).values


def _gone_on(codec: TextCodec, text: _Begun, row: np.ndarray, drawn: np.ndarray, gap: str) -> _Begun:
    for start, stop in _runs(row):
        size = len(text.rest) - len(text.rest.lstrip(gap))
        if not size:
            break
        levels = drawn[start:stop]
        if stop == len(row):
            return _to_the_edge(codec, text, levels, size).after_what_is_known(gap)
        new = _said(codec, text.done, levels[levels != END])
        if codec.tokens.kind == "characters":
            new = new.ljust(size)
        text = _Begun(text.done + new, text.rest[size:]).after_what_is_known(gap)
    return text


def _to_the_edge(codec: TextCodec, text: _Begun, levels: np.ndarray, size: int) -> _Begun:
    """With as much of a gap of `size` filled as there is in a window, but for what its edge may have cut."""
    new = _said(codec, text.done, levels)
    if codec.tokens.kind != "characters" and (levels != END).all():
        new = new.rstrip(REPLACEMENT)
    if len(new) < size and codec.tokens.kind == "bpe":
        new = re.sub(r"(?<=\S)\s+\S*$", "", new)
    if text.rest[size:]:  # what comes behind the gap is for another window to see
        new = new[: max(1, size // 2, size - (codec.window or codec.length) // 4)]
    new = new[:size]
    if not new and text.stalled == STALLED:
        raise ValueError(f"this model has nothing to say after {text.done[-20:]!r}")
    return _Begun(text.done + new, text.rest[len(new) :], 0 if new else text.stalled + 1)


def _filled(codec: TextCodec, line: str, row: np.ndarray, drawn: np.ndarray, gap: str) -> str:
    """A line with its gaps taken from what was drawn; a gap at its end ends where that does."""
    known = re.split(f"{re.escape(gap)}+", line)
    text = known[0]
    for (start, stop), after in zip(_runs(row), known[1:], strict=True):
        new = drawn[start:stop]
        text += _said(codec, text, new if stop == len(row) else new[new != END]) + after
    return text


def _runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of every run of gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row == GAP, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _said(codec: TextCodec, before: str, levels: np.ndarray) -> str:
    """What levels say up to their end; a space is not said twice where pieces of words begin with it."""
    new = codec.legible(codec.tokens.lines(levels[None])[0]) if len(levels) else ""
    there = len(before) - len(before.rstrip(" ")) if codec.tokens.kind == "bpe" else 0
    return new[min(there, len(new) - len(new.lstrip(" "))) :]


def _drawn(
    run: Run, rows: np.ndarray, records: Records, how: Drawing, say: Callable[[np.ndarray], list]
) -> Records:  # fmt: skip
    """`draws` of each record, whose levels ``(N, L)`` are drawn where they are `GAP`; say: what all of them mean."""
    codec = run.codec
    assert isinstance(codec, TextCodec)
    if not len(rows):
        return records
    known = torch.from_numpy(rows != GAP)[:, None].expand(-1, codec.space.channels, -1)
    levels = np.where(rows == GAP, END + 1, rows).repeat(how.draws, 0)

    def decode(x: Tensor, condition: Tensor | None) -> Records:
        return replace(codec.decode(x, condition), values=say(x.argmax(1).numpy()))

    return fill_cells(run, records, known, how, encode=lambda some: codec.encode_levels(levels, some), decode=decode)


def _checked(run: Run, gap: str) -> TextCodec:
    """Its codec. Raises ValueError for models of anything but text, and for a gap that cannot be one."""
    codec = run.codec
    if not isinstance(codec, TextCodec):
        raise ValueError("gaps in lines are for models of text")
    if len(gap) != 1 or gap in codec.alphabet:
        raise ValueError(f"{gap!r} is a character of the data: choose another --gap")
    return codec
