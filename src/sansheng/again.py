"""Drawing anew until enough samples are as they must be, and samples that stand in the data already left out.

The one constraint: the number drawn is bounded, and depends on what was kept alone, so that a seed gives one result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import reduce

import numpy as np
import pandas as pd

from sansheng.codecs.base import Codec, Records
from sansheng.codecs.identifiers import Identifier
from sansheng.codecs.table import TableCodec
from sansheng.codecs.table_file import series_of
from sansheng.codecs.text import TextCodec
from sansheng.data import Data
from sansheng.events import Event, Observer
from sansheng.metrics.rows import identifies, keys

MOST, LEAST = 100, 1000
"""Samples drawn at most: so many for each that is wanted, but at least `LEAST`."""


def draw_until(
    n: int, draw: Callable[[int, int], Records], keep: Callable[[Records], Records], seed: int
) -> tuple[Records, float]:
    """(`n` samples of those that `keep` leaves, the share it left). draw: (how many, seed) -> samples.

    Raises ValueError, which says how few were left of how many, where it is next to none.
    """
    found: list[Records] = []
    have, drawn = 0, 0
    while have < n:
        if drawn >= max(LEAST, MOST * n):
            raise ValueError(f"only {have:,} of {drawn:,} samples drawn")
        count = n - have if not drawn else max(100, int(1.2 * (n - have) * drawn / max(have, 1)))
        count = min(count, max(n, LEAST))
        found.append(keep(draw(count, seed if not drawn else seed + 7919 * drawn)))
        have, drawn = have + len(found[-1]), drawn + count
    return reduce(Records.join, found).take(np.arange(n)), have / drawn


def require_exact(codec: Codec) -> None:
    """Raises ValueError for data no sample of which is ever equal to an example."""
    if not isinstance(codec, TableCodec | TextCodec):
        kind = codec.kind
        raise ValueError(f"--no-copies is for text and tables; of {kind} data none comes back exactly (see copying)")


class Known:
    """Every example of the data, held-out ones included, that a sample could be equal to: texts, and rows of tables.

    Of rows all columns count but those that name each row. Raises ValueError as `require_exact`.
    """

    def __init__(self, data: Data) -> None:
        require_exact(data.codec)
        self.names: list[str] = []
        values, codec = data.train_records.values, data.codec
        if isinstance(codec, TableCodec):
            issued = {column.name for column in codec.columns if isinstance(column.coder, Identifier)}
            self.names = [n for n in values.columns if n not in issued and not identifies(series_of(values, n))]
        self._known = {key for records in (data.train_records, data.test_records) for key in self._keys(records)}

    def _keys(self, records: Records) -> list[Hashable]:
        if not isinstance(records.values, pd.DataFrame):
            return list(records.values)
        return list(keys(records.values, self.names))

    def new_among(self, records: Records) -> Records:
        """Those that stand nowhere in the data."""
        return records.take(np.flatnonzero([key not in self._known for key in self._keys(records)]))


def draw_new(
    known: Known, codec: Codec, n: int, draw: Callable[[int, int], Records], seed: int, observe: Observer
) -> Records:
    """`n` samples that are none of the `known`; those that are one are drawn anew, and `observe` is told their share.

    draw: (how many, seed) -> samples. Raises ValueError where nearly all are known.
    """
    try:
        records, share = draw_until(n, draw, known.new_among, seed)
    except ValueError as error:
        raise ValueError(f"{error} are not in the data already; a smaller model or less training copies less") from None
    if share < 1:
        observe(
            Event("note", f"{1 - share:.1%} of the samples drawn stand in the data already; others took their place")
        )
    return Records(codec.reissue(records.values)) if isinstance(codec, TableCodec) else records
