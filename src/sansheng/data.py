"""From a name, a path or a value in memory to training and held-out tensors, and endless batches of them.

The one constraint: the codec is fitted to the training split alone, and a batch is a pure function of
(seed, step, rank).
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.util import hash_pandas_object
from torch import Tensor

from sansheng import builtin, codecs
from sansheng.codecs.base import Codec, Encoded, Reading, Records, Source, quiet
from sansheng.codecs.coders import Constant
from sansheng.codecs.database import is_url, kept_url, name_of, read_query
from sansheng.codecs.labels import Labelled
from sansheng.codecs.rows import Rows, chunks, is_large, on_disk
from sansheng.codecs.table import TableCodec
from sansheng.errors import DataError
from sansheng.model import Batch

SMALL = 10_000
"""Below this many examples a larger share is held out, and never more than this many are."""
MOST_BYTES = 8 * 2**30
MEASURED, LEAST, NUMBERS = 20_000, 256, 20_000_000
"""Examples that are looked at before training, at most; and fewer, but for the `LEAST`, if these are more numbers."""
ROWS_HASHED = 4096
"""At a time."""
SHOWN = 5
"""Levels that a remark names."""
LONGEST_PATH = 1000
IN_MEMORY = "in memory"
"""How the origin of data that were given and not read ends."""


@dataclass(frozen=True, eq=False)
class Data:
    """A data set that is ready to train on.

    source: the resolved path, or the built-in name. digest: SHA-256 of what the records hold, so that a run can tell
    whether its data has changed. notes: what a person should know of how the data was read.
    """

    name: str
    source: str
    kind: str
    digest: str
    codec: Codec
    train: Encoded
    test: Encoded
    train_records: Records
    test_records: Records
    notes: tuple[str, ...]
    condition: tuple[str, ...]
    split_seed: int
    alpha: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    query: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def for_scores(self, most: int = 20_000) -> Data:
        """The same, with `most` records drawn at random in memory in place of those that are mapped from disk."""
        cut = (_held(records, most, self.split_seed) for records in (self.train_records, self.test_records))
        return replace(self, **dict(zip(("train_records", "test_records"), cut, strict=True)))


def open_data(
    source: str | Path | pd.DataFrame | pd.Series | np.ndarray | list[Any] | Records,
    *,
    kind: str | None = None,
    condition: tuple[str, ...] | str = (),
    split_seed: int = 0,
    codec: Codec | None = None,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str | int | float] | None = None,
    progress: Callable[[int, int], None] = quiet,
) -> Data:
    """Read, split and encode a data set.

    source: a built-in name, a path, or the data itself. A name with neither a separator nor a suffix is the built-in
    one even where a file is called so. kind: forces what is otherwise guessed. condition: the label or columns that
    are given. codec: use this one, fitted before, with its own condition. alpha: keep the transparency of images as a
    channel of its own, where there is any. types: what columns of a table are, where the guess is wrong, such as
    ``{"age": "number"}`` (`column_kinds.ASKABLE`). query: the SELECT, where `source` is the URL of a database.
    options: how this kind of data is to be read, by name, such as ``{"window": "48"}`` (`codecs.KINDS`). progress: told
    (done, total) while many images are decoded.

    A test split that comes with the data is kept; otherwise 25 % (20 % from 10,000 examples on, at most 10,000) are
    held out at random by `split_seed`, of a table with a `group` (options) whole groups. Raises DataError for data that
    cannot be used and ValueError for an unknown kind or condition.
    """
    how = {name: str(value) for name, value in (options or {}).items()}  # numbers, as Python users write them, too
    name, origin, kind, found = _find(source, kind, Reading(alpha, progress, how), query)
    asked = dict(types or {})
    groups = _groups(found.records, how.get("group"))
    if groups is not None:
        asked.setdefault(how["group"], "identifier")
    found = codecs.retype(kind, found, asked)
    given = _conditions(condition, codec)
    train, test = split(found, split_seed, groups)
    fitted = codec if codec is not None else codecs.fit(kind, train, given, asked)
    if not is_large(train.values):
        _check_size(fitted, len(train) + len(test))
    digest = digest_of(found.records, found.test)
    return Data(
        name, origin, kind, digest, fitted, fitted.encode(train), fitted.encode(test), train, test,
        (*found.notes, *_unseen(fitted, test), *_texts_left_out(fitted)), given, split_seed, alpha, asked, query, how,
    )  # fmt: skip


def read_records(
    source: str | Path | pd.DataFrame | pd.Series | np.ndarray | list[Any] | Records,
    kind: str,
    *,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Records:
    """Everything there is at a name, a path or in memory, in its own order. Raises DataError for what is no `kind`."""
    found = codecs.retype(kind, _find(source, kind, Reading(alpha, options=options or {}), query)[3], types or {})
    return found.records if found.test is None else found.records.join(found.test)


def split(source: Source, seed: int, groups: np.ndarray | None = None) -> tuple[Records, Records]:
    """(training, held-out) records, all of a group ``(N,)`` on one side. Raises DataError for fewer than two of them.

    What is held out of groups is nearest above the share that is held out of records.
    """
    n = len(source.records)
    if source.test is not None and len(source.test) and n:
        return source.records, source.test
    if n < 2:
        raise DataError(f"the data has {n} example{'s' * (n != 1)}; two are the least, hundreds are better")
    held = max(1, min(SMALL, round(n * (0.25 if n < SMALL else 0.2))))
    order = np.random.default_rng(seed).permutation(n)
    if groups is not None:
        held, order = _whole_groups(groups, held, seed)
    return source.records.take(np.sort(order[held:])), source.records.take(np.sort(order[:held]))


def _groups(records: Records, name: str | None) -> np.ndarray | None:
    """Whose each row of a table is, as numbers; a row that does not say is on its own. None if there is no
    `name`. Raises DataError listing the columns there are.
    """
    if name is None:
        return None
    frame: pd.DataFrame = records.values
    if name not in frame.columns:
        raise DataError(
            f"the table has no column {name!r} to group rows by; it has {', '.join(map(str, frame.columns))}"
        )
    codes = pd.factorize(frame[name])[0]
    return np.where(codes < 0, codes.max() + 1 + np.arange(len(codes)), codes)


def _whole_groups(groups: np.ndarray, held: int, seed: int) -> tuple[int, np.ndarray]:
    """(how many rows are held out, all rows with those first): groups at random until there are `held` rows."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError("all rows are of one group; two groups are the least, hundreds are better")
    order = np.random.default_rng(seed).permutation(len(names))
    chosen = min(int(np.searchsorted(np.cumsum(sizes[order]), held)) + 1, len(names) - 1)
    rank = np.argsort(order)[which]
    return int(sizes[order[:chosen]].sum()), np.argsort(rank, kind="stable")


def digest_of(records: Records, test: Records | None = None) -> str:
    """SHA-256 of everything the records hold, labels included, as hexadecimal."""
    state = hashlib.sha256()
    for part in (records, test):
        for piece in [] if part is None else [part.values, *_flat(part.labels)]:
            for content in _contents(piece):
                state.update(content)
        state.update(b"\xff")
    return state.hexdigest()


def measured(encoded: Encoded, most: int = MEASURED) -> Tensor:
    """At most so many examples ``(N, C, *P)``, drawn evenly and in order, fewer of large ones: `NUMBERS` in all."""
    size = encoded.rows(slice(1)).x.numel()
    n = min(len(encoded), most, max(LEAST, NUMBERS // max(size, 1)))
    some = np.sort(np.random.default_rng(0).permutation(len(encoded))[:n])
    return encoded.rows(torch.from_numpy(some)).x


class Batches:
    """Endless batches of shuffled examples: ``batches(step)`` depends on (seed, step, rank) and nothing else.

    Every epoch has its own order; what does not fill a batch at the end of one is left for another. If a batch is
    larger than the data, it is drawn with replacement. Remembering the order of the current epoch is only for speed.
    """

    def __init__(
        self, encoded: Encoded, *, seed: int, size: int, rank: int = 0, device: str | torch.device = "cpu"
    ) -> None:
        if size < 1 or seed < 0 or rank < 0:
            raise ValueError(f"need size >= 1, seed >= 0 and rank >= 0, not size {size}, seed {seed}, rank {rank}")
        if not len(encoded):
            raise DataError("there are no examples to draw batches from")
        self.encoded, self.device = encoded.to(device), device
        self.seed, self.size, self.rank = seed, size, rank
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Batch:
        drawn = self.encoded.rows(self._index(step)).to(self.device)
        return Batch(drawn.x, drawn.condition)

    def _index(self, step: int) -> Tensor:
        n = len(self.encoded)
        if self.size > n:
            return torch.from_numpy(self._generator(step).integers(n, size=self.size))
        epoch, place = divmod(step, n // self.size)
        if epoch != self._epoch:
            order = torch.from_numpy(self._generator(epoch).permutation(n))
            self._epoch, self._order = epoch, order.to(self.encoded.device)
        return self._order[place * self.size : (place + 1) * self.size]

    def _generator(self, count: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.rank, count])


def batch(encoded: Encoded, *, seed: int, step: int, size: int, rank: int = 0) -> Batch:
    """The batch of one step: what `Batches` gives, without remembering anything."""
    return Batches(encoded, seed=seed, size=size, rank=rank)(step)


# -- finding the data --------------------------------------------------------------------------------------


def _find(
    source: str | Path | pd.DataFrame | pd.Series | np.ndarray | list[Any] | Records,
    kind: str | None,
    reading: Reading,
    query: str | None = None,
) -> tuple[str, str, str, Source]:
    """(name, origin, kind, source)."""
    if isinstance(source, str) and is_url(source):
        found = codecs.from_memory(read_query(source, query), kind, options=reading.options)
        return name_of(source), kept_url(source), *found
    if query is not None:
        raise ValueError("a query (--query) needs the URL of a database, such as sqlite:///file.db")
    if isinstance(source, Records):
        kind, _ = (kind, None) if kind else codecs.from_memory(source.values)
        return kind, f"{kind} {IN_MEMORY}", kind, Source(source)
    if not isinstance(source, (str, Path)):
        kind, found = codecs.from_memory(source, kind, alpha=reading.alpha, options=reading.options)
        return kind, f"{kind} {IN_MEMORY}", kind, found
    if str(source) in builtin.names():
        return str(source), str(source), *_builtin(str(source), kind, reading)
    path = Path(source).expanduser()
    if not _exists(path):
        raise DataError(_not_found(str(source)))
    kind = kind or codecs.guess(path)
    path = path.resolve()
    return path.stem, str(path), kind, codecs.read(path, kind, reading)


def _builtin(name: str, kind: str | None, reading: Reading) -> tuple[str, Source]:
    own, source = builtin.load(name)
    if kind not in (None, own):
        raise DataError(f"{name} is {own} data and cannot be read as {kind}; leave the kind out")
    return own, codecs.from_builtin(own, source, reading)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False


def _not_found(given: str) -> str:
    if "\n" in given or len(given) > LONGEST_PATH:
        return (
            f"{given[:40]!r} … is no path: text in memory is a list of strings, one an example; a long text is read "
            "from a file"
        )
    parent = Path(given).expanduser().parent
    beside = [p.name for p in parent.glob("[!.]*")][:1000] if _exists(parent) else []
    close = difflib.get_close_matches(Path(given).name, [*builtin.names(), *beside], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{given}: no such file or folder, and no built-in data set.{hint} Built in: {', '.join(builtin.names())}"


def _conditions(condition: tuple[str, ...] | str, codec: Codec | None) -> tuple[str, ...]:
    names = (condition,) if isinstance(condition, str) else tuple(dict.fromkeys(condition))
    if codec is None:
        return names
    if names and names != codec.condition_names:
        raise ValueError(f"the model is conditioned on {codec.condition_names or 'nothing'}, not on {names}")
    return codec.condition_names


def _texts_left_out(codec: Codec) -> Iterator[str]:
    """A remark on each column of a table that is text of which there is little to learn as a column."""
    for column in codec.columns if isinstance(codec, TableCodec) else ():
        if column.kind == "text" and isinstance(column.coder, Constant) and column.coder.value is None:
            name = column.name
            yield f"column {name!r} is left out, as text; for a model of its texts: --as text --column {name}"


def _unseen(codec: Codec, held_out: Records) -> Iterator[str]:
    """A remark on each label of held-out examples that the model cannot be given, for it has not seen it."""
    unseen = codec.conditions.unseen(held_out.labels) if isinstance(codec, Labelled) else {}
    for name, values in unseen.items():
        levels = [str(level) for level in np.unique(values)]
        shown = f"{', '.join(levels[:SHOWN])}{', …' if len(levels) > SHOWN else ''}"
        n = len(values)
        some, have = ("example", "has") if n == 1 else ("examples", "have")
        yield f"{n:,} held-out {some} {have} a {name} the training split lacks: {shown}"


def _held(records: Records, most: int, seed: int) -> Records:
    if not on_disk(records.values):
        return records
    some = np.sort(np.random.default_rng(seed).permutation(len(records))[:most])
    part = records.take(some)
    return Records(np.asarray(part.values), part.labels)


def _check_size(codec: Codec, n: int) -> None:
    """Numbers take four bytes each, symbols in a row two (their levels are kept)."""
    space = codec.space
    lines = space.symbolic and space.positions
    size = n * (2 * math.prod(space.positions) if lines else 4 * math.prod(space.shape))
    if size > MOST_BYTES:
        most = MOST_BYTES * n // size
        limit = f"{MOST_BYTES / 2**30:.3g} GiB is the most"
        what = f"{n:,} examples of shape {space.shape} take {size / 2**30:.2g} GiB encoded; {limit}"
        raise DataError(f"{what}. Give at most {most:,} examples, or smaller ones")


# -- content -----------------------------------------------------------------------------------------------


def _flat(labels: Mapping[str, np.ndarray]) -> list[object]:
    return [piece for name in sorted(labels) for piece in ([name], labels[name])]


def _contents(piece: object) -> Iterator[bytes]:
    """Parts of bytes that together differ if the content does."""
    if isinstance(piece, Rows) or (isinstance(piece, np.ndarray) and piece.dtype.kind not in "OU" and piece.ndim):
        yield f"{piece.dtype.str}{piece.shape}".encode()
        for part in chunks(piece, ROWS_HASHED):
            yield np.ascontiguousarray(part).tobytes()
    else:
        yield _content(piece)


def _content(piece: object) -> bytes:
    """Bytes that differ if the content does."""
    if isinstance(piece, pd.DataFrame):
        hashes = hash_pandas_object(piece, index=False).to_numpy()  # pyright: ignore[reportCallIssue]
        return _content([str(name) for name in piece.columns]) + hashes.tobytes()
    if isinstance(piece, np.ndarray) and piece.dtype.kind in "OU":
        return _content([str(value) for value in piece.ravel()])
    if isinstance(piece, list):
        return "".join(f"{len(text)}:{text}" for text in map(str, piece)).encode("utf-8", "surrogatepass")
    raise DataError(f"records hold {type(piece).__name__!r}; allowed: a DataFrame, an array or a list of strings")
