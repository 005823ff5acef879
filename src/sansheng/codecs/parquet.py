"""Parquet files of pictures in the layout of Hugging Face: a column of struct{bytes, path} or of raw bytes, and labels.

The one constraint: what a path in such a file says is a name and nothing more; only bytes in the file are read.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sansheng.codecs.folder import readable
from sansheng.codecs.label_file import File, complete, label_columns
from sansheng.codecs.pixels import counted
from sansheng.codecs.shelf import HIDDEN, MOST_NAMED, SPLIT_NAMES, SUFFIXES, Shelf, held_out_part
from sansheng.errors import DataError

SUFFIX = ".parquet"
MOST_BYTES = 8 * 2**30
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")
"""How files of pictures begin."""
WITH_GAPS = {
    pa.bool_(): pd.BooleanDtype(),
    **{
        kind: pd.Int64Dtype()
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
    },
}
"""Columns that stay what they are where values are missing."""


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
    """The Parquet files of a folder; links are not followed. Beside pictures that are files, as a logo is in a clone of
    a repository, only files of pictures count, and only if they hold more of them; else there are none.
    """
    found = _tables(folder)
    loose = _loose(folder)
    if not loose:
        return found
    rows = {path: n for path in found if (n := _pictures_in(path))}
    return list(rows) if sum(rows.values()) > loose else []


def _visible(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("[!.]*.*") if not path.is_symlink()]
    return [path for path in found if not any(part.startswith(HIDDEN) for part in path.relative_to(folder).parts)]


def _tables(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() == SUFFIX]


def _loose(folder: Path) -> int:
    """How many pictures are files of their own."""
    return sum(path.suffix.lower() in SUFFIXES for path in _visible(folder))


def _pictures_in(path: Path) -> int:
    """How many rows a Parquet file of pictures has; 0 for another, or one that cannot be read."""
    try:
        return pq.read_metadata(path).num_rows if picture_column(path) else 0
    except (DataError, pa.ArrowException, OSError):
        return 0


def shelf_of_parquet(where: str, paths: Sequence[Path]) -> Shelf:
    """The pictures of one Parquet file or of several, those named ``train-…`` and ``test-…`` (or else
    ``validation-…``) being a split.

    Raises DataError for a file without a column of pictures.
    """
    splits, notes = _splits(paths)
    loose = _loose(Path(where)) if Path(where).is_dir() else 0
    if loose:
        notes.append(f"read from {counted(len(paths), 'Parquet file')}; {counted(loose, 'image file')} beside left out")
    columns: list[pa.ChunkedArray] = []
    names: dict[str, list[str]] = {split: [] for split in splits}
    frames, places = [], {}
    for split, members in splits.items():
        for path in members:
            pictures, frame = _read(path)
            prefix = f"{readable(path.relative_to(where).as_posix())}, row " if len(paths) > 1 else "row "
            own = [f"{prefix}{i}" for i in range(len(pictures))]
            places |= {name: (len(columns), i) for i, name in enumerate(own)}
            names[split] += own
            columns.append(pictures)
            frames.append(frame.set_axis(pd.Index(own), axis=0))
    whole, left = complete(pd.concat(frames, join="inner"))
    labels, remarks = label_columns(whole)
    names = {split: [name for name in some if name in labels.index] for split, some in names.items()}

    def open_row(name: str) -> File:
        column, row = places[name]
        value = columns[column][row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        return io.BytesIO(content or b"")

    return Shelf(where, names, open_row, labels, [*notes, *left, *remarks])


def _splits(paths: Sequence[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """(files by the word their name begins with, if those are a split, notes); what is in neither part is left out."""
    words = {path: path.stem.split("-")[0].lower() for path in sorted(paths)}
    parts = {path: SPLIT_NAMES.get(word) for path, word in words.items()}
    held = held_out_part(set(parts.values()))
    if held is None:
        return {"train": list(words)}, []
    splits = {
        key: [path for path, found in parts.items() if found == part]
        for key, part in (("train", "train"), ("test", held))
    }
    notes = [f"files train-… and {held}-… kept as the split, {held} held out"]
    beside = Counter(words[path] for path, part in parts.items() if part not in ("train", held))
    if beside:
        named = ", ".join(f"{counted(n, 'file')} {word}-…" for word, n in beside.most_common(MOST_NAMED))
        notes.append(f"left out, as they are in neither: {named}{', …' if len(beside) > MOST_NAMED else ''}")
    return splits, notes


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
    frame = rest.to_pandas(types_mapper=WITH_GAPS.get)
    for name, levels in _class_names(table.schema).items():
        if name in frame.columns and frame[name].dropna().between(0, len(levels) - 1).all():
            frame[name] = [None if pd.isna(i) else levels[int(i)] for i in frame[name]]
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
