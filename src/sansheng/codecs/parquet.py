"""Parquet files of pictures in the layout of Hugging Face: a column of struct{bytes, path} or of raw bytes, and labels.

The one constraint: what a path in such a file says is a name and nothing more; only bytes in the file are read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sansheng.codecs.label_file import File, label_columns
from sansheng.codecs.pixels import counted
from sansheng.codecs.shelf import SPLIT_NAMES, SUFFIXES, Shelf
from sansheng.errors import DataError

SUFFIX = ".parquet"
MOST_BYTES = 8 * 2**30
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")
"""How files of pictures begin."""


def picture_column(path: Path) -> str | None:
    """The column that holds pictures, or None where there is none. Raises DataError for what is no Parquet file."""
    try:
        with pq.ParquetFile(path) as file:
            fields = list(file.schema_arrow)
            raw = [field.name for field in fields if _is_binary(field.type)]
            structs = [field.name for field in fields if _holds_bytes(field.type)]
            return next((name for name in (*structs, *raw) if _begins_as_picture(file, name)), None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None


def files_in(folder: Path) -> list[Path]:
    """The Parquet files of a folder that holds no pictures as files; links are not followed."""
    found = [path for path in folder.rglob("[!.]*.*") if not path.is_symlink()]
    if any(path.suffix.lower() in SUFFIXES for path in found):
        return []
    return [path for path in found if path.suffix.lower() == SUFFIX]


def shelf_of_parquet(where: str, paths: Sequence[Path]) -> Shelf:
    """The pictures of one Parquet file or of several, those named ``train-…`` and ``test-…`` being a split.

    Raises DataError for a file without a column of pictures.
    """
    splits = _splits(paths)
    columns: list[pa.ChunkedArray] = []
    names: dict[str, list[str]] = {split: [] for split in splits}
    frames, places, notes = [], {}, []
    for split, members in splits.items():
        for path in members:
            pictures, frame = _read(path)
            prefix = f"{path.name}, row " if len(paths) > 1 else "row "
            own = [f"{prefix}{i}" for i in range(len(pictures))]
            places |= {name: (len(columns), i) for i, name in enumerate(own)}
            names[split] += own
            columns.append(pictures)
            frames.append(frame.set_axis(pd.Index(own), axis=0))
    left = len(paths) - sum(map(len, splits.values()))
    notes += ["files train-… and test-… kept as the split"] if "test" in splits else []
    notes += [f"{counted(left, 'file')} of the validation split left out"] if left else []
    labels, remarks = label_columns(pd.concat(frames, join="inner"))

    def open_row(name: str) -> File:
        column, row = places[name]
        value = columns[column][row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        return io.BytesIO(content or b"")

    return Shelf(where, names, open_row, labels, [*notes, *remarks])


def _splits(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by the word their name begins with, if those are train and test (and perhaps validation)."""
    words = {path: path.stem.split("-")[0].lower() for path in paths}
    meanings = {SPLIT_NAMES.get(word, word) for word in words.values()}
    if not {"train", "test"} <= meanings <= {"train", "test", "val", "valid", "validation"}:
        return {"train": sorted(paths)}
    return {
        split: sorted(path for path, word in words.items() if SPLIT_NAMES.get(word) == split)
        for split in ("train", "test")
    }


def _read(path: Path) -> tuple[pa.ChunkedArray, pd.DataFrame]:
    """(the column of pictures, the other columns)"""
    column = picture_column(path)
    if column is None:
        raise DataError(f"{path}: no column holds pictures (struct{{bytes, path}}, or the bytes of image files)")
    metadata = pq.read_metadata(path)
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if size > MOST_BYTES:
        raise DataError(f"{path}: unpacks to {size / 2**30:.0f} GiB; 8 GiB is the most. Take a sample of its rows")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None
    pictures, rest = table.column(column), table.drop_columns([column])
    frame = rest.to_pandas()
    for name, levels in _class_names(table.schema).items():
        if name in frame.columns and frame[name].between(0, len(levels) - 1).all():
            frame[name] = [levels[int(i)] for i in frame[name]]
    return pictures, frame


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """What whole numbers stand for, where Hugging Face's remark in the schema says so."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            str(name): list(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(f.name == "bytes" and _is_binary(f.type) for f in kind)


def _begins_as_picture(file: pq.ParquetFile, name: str) -> bool:
    """Whether the first value there is looks like the file of a picture."""
    for batch in file.iter_batches(batch_size=64, columns=[name]):
        for value in batch.column(0).to_pylist():
            content: Any = value.get("bytes") if isinstance(value, dict) else value
            if content:
                return content.startswith(MAGIC)
    return False
