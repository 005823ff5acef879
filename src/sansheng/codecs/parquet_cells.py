"""Cells of a Parquet table written over, its types, index and all other cells as they were.

The one constraint: a cell is written in the type of its column, and none but those given is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sansheng.errors import DataError

Cells = tuple[np.ndarray, pd.Series]
"""Rows ``(K,)``, from 0, and what is written there ``(K,)``."""


def columns_of(path: Path) -> list[str]:
    """The columns of a file in their order, without those that are an index."""
    schema = pq.read_schema(path)
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]


def holds_text(path: Path, name: str) -> bool:
    """Whether a column holds texts, which may be the levels of a dictionary."""
    held = _value_type(pq.read_schema(path).field(name).type)
    return pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held)


def write_over(source: Path, target: Path, cells: Mapping[str, Cells]) -> None:
    """Write the table of one file to another, with these cells, by column, in place of what was there.

    Raises DataError, naming the column, for what its type cannot hold.
    """
    table = pq.read_table(source)
    for name, (rows, values) in cells.items():
        place = table.schema.get_field_index(name)
        try:
            column = _with(table.column(place), rows, values)
        except (pa.ArrowException, ValueError, TypeError) as error:
            held = f"holds {table.column(place).type}, in which its gaps cannot be filled"
            raise DataError(f"{source}: column {name!r} {held}: {str(error).splitlines()[0]}") from None
        table = table.set_column(place, table.schema.field(place), column)
    pq.write_table(table, target)


def _with(column: pa.ChunkedArray, rows: np.ndarray, values: pd.Series) -> pa.ChunkedArray:
    """A column with other values in some rows."""
    held = _value_type(column.type)
    given = pa.array([_as(value, held) for value in values.tolist()], type=held)
    places = np.full(len(column), -1)
    places[rows] = np.arange(len(rows))
    old = column.cast(held).combine_chunks()
    both = pa.concat_arrays([old.combine_chunks() if isinstance(old, pa.ChunkedArray) else old, given])
    taken = both.take(pa.array(np.where(places < 0, np.arange(len(column)), len(column) + places)))
    return pa.chunked_array([_encoded(taken, column.type)])


def _encoded(values: pa.Array, held: pa.DataType) -> pa.Array:
    return values.dictionary_encode().cast(held) if pa.types.is_dictionary(held) else values


def _value_type(held: pa.DataType) -> pa.DataType:
    return held.value_type if pa.types.is_dictionary(held) else held  # pyright: ignore[reportAttributeAccessIssue]


def _as(value: Any, held: pa.DataType) -> Any:
    """A drawn value as a column of this type holds it; None for missing."""
    if pd.isna(value):
        return None
    if pa.types.is_boolean(held):
        return bool(value)
    if pa.types.is_integer(held):
        return int(value) if isinstance(value, int | str) else round(float(value))
    if pa.types.is_floating(held):
        return float(value)
    if pa.types.is_decimal(held):
        step = Decimal(1).scaleb(-held.scale)  # pyright: ignore[reportAttributeAccessIssue]
        return Decimal(str(value)).quantize(step, ROUND_HALF_EVEN)
    if pa.types.is_date(held):
        return pd.Timestamp(value).date()
    return time.fromisoformat(value) if pa.types.is_time(held) else value
