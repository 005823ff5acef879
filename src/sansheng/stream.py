"""A great many samples, drawn and written piece by piece, so that memory stays as it is however many there are.

The one constraint: a piece is a pure function of the seed and of where it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sansheng.codecs.base import Records
from sansheng.codecs.table import TableCodec
from sansheng.loop import derive_seed
from sansheng.run import Run

PIECE = 50_000
"""Rows at a time."""


def can_stream(run: Run, path: Path, n: int) -> bool:
    """Whether so many samples had better be written piece by piece, and can be: rows of a table to Parquet."""
    return n > PIECE and path.suffix.lower() == ".parquet" and isinstance(run.codec, TableCodec)


def pieces(run: Run, n: int, seed: int, draw: Callable[[int, int], Records]) -> Iterator[Records]:
    """`n` rows, `PIECE` at a time, identifiers going on from piece to piece; draw: (how many, seed) -> rows."""
    assert isinstance(run.codec, TableCodec)
    for first in range(0, n, PIECE):
        made = draw(min(PIECE, n - first), seed if not first else derive_seed(seed, first, "piece"))
        yield Records(run.codec.reissue(made.values, first))


def write_stream(
    run: Run,
    n: int,
    path: Path,
    *,
    seed: int,
    draw: Callable[[int, int], Records],
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write `n` rows to a Parquet file, a row group a piece. tell: told (rows written, of how many)."""
    writer: pq.ParquetWriter | None = None
    done = 0
    try:
        for piece in pieces(run, n, seed, draw):
            content = pa.Table.from_pandas(piece.values, schema=writer.schema if writer else None, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, _schema(content))
            writer.write_table(content.cast(writer.schema))
            done += len(piece)
            tell(done, n)
    finally:
        if writer is not None:
            writer.close()


def _schema(content: pa.Table) -> pa.Schema:
    """That of the first piece; a column with nothing in it yet is text."""
    fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in content.schema]
    return pa.schema(fields, metadata=content.schema.metadata)
