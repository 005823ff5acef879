"""Every kind of data there is a codec for, and the guess which of them a file or a value is.

The one constraint: nothing outside this package asks what kind of data it is dealing with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sansheng.codecs import archive, array, audio, audio_file, image, parquet, pixels, series, table, text, zipped
from sansheng.codecs.base import Codec, Encoded, Reading, Records, Source
from sansheng.codecs.pictures import read_pictures
from sansheng.codecs.shelf import SUFFIXES as PICTURES
from sansheng.codecs.shelf import shelf_of_images
from sansheng.errors import DataError, unknown

__all__ = [
    "KINDS", "Codec", "Encoded", "Kind", "Reading", "Records", "Source",
    "check_options", "codec_class", "fit", "from_builtin", "from_json", "from_memory", "guess", "read", "retype",
]  # fmt: skip

CodecClass = (
    type[image.ImageCodec]
    | type[table.TableCodec]
    | type[text.TextCodec]
    | type[array.ArrayCodec]
    | type[series.SeriesCodec]
    | type[audio.AudioCodec]
)


@dataclass(frozen=True)
class Kind:
    """A kind of data: how its files are read, which codec encodes it, and the names of its reading options."""

    read: Callable[[Path, Reading], Source]
    codec: CodecClass
    options: tuple[str, ...] = ()


def _without_options(read: Callable[[Path], Source]) -> Callable[[Path, Reading], Source]:
    return lambda path, reading: read(path)


KINDS: dict[str, Kind] = {
    "image": Kind(image.read, image.ImageCodec, image.OPTIONS),
    "table": Kind(_without_options(table.read), table.TableCodec, table.OPTIONS),
    "text": Kind(text.read, text.TextCodec, text.OPTIONS),
    "array": Kind(_without_options(array.read), array.ArrayCodec),
    "audio": Kind(audio.read, audio.AudioCodec, audio.OPTIONS),
    "series": Kind(series.read, series.SeriesCodec, series.OPTIONS),
}
SUFFIXES = {
    **dict.fromkeys(table.READABLE, "table"),
    **dict.fromkeys((".txt", ".jsonl", ".ndjson"), "text"),
    zipped.SUFFIX: "image",
}


def guess(path: Path) -> str:
    """The kind of an existing path: a folder is of images or of recordings, by what it holds more of.

    Arrays of rank 3 or 4 and Parquet files of pictures are images too.

    Raises DataError if none fits.
    """
    if path.is_dir():
        return "audio" if audio_file.mostly_sound(path) else "image"
    suffix = path.suffix.lower()
    if suffix == parquet.SUFFIX and path.stat().st_size and parquet.picture_column(path):
        return "image"
    if suffix in archive.SUFFIXES:
        return _kind_of_array(archive.read_arrays(path).values)
    if suffix in PICTURES:
        raise DataError(f"{path}: one picture is no set to learn from; give a folder or a {zipped.SUFFIX} of them")
    if suffix not in SUFFIXES:
        known = ", ".join([*SUFFIXES, *archive.SUFFIXES])
        raise DataError(f"{path}: cannot tell what it is by {suffix or 'a name without suffix'!r}; known: {known}, a "
                        f"folder of images; or say what it is: {', '.join(KINDS)}")  # fmt: skip
    return SUFFIXES[suffix]


def read(path: Path, kind: str, reading: Reading | None = None) -> Source:
    """Records of a path, read as `kind`.

    Raises ValueError for an unknown kind or an option that it does not have, DataError for unreadable data.
    """
    how = reading or Reading()
    check_options(kind, how.alpha, how.options)
    return _known(kind).read(path, how)


def from_memory(
    values: Any, kind: str | None = None, *, alpha: bool = False, options: Mapping[str, str] | None = None
) -> tuple[str, Source]:
    """(kind, source) of a DataFrame or one column of it (table), an array (image if of rank 3 or 4), or a list of
    strings (text) or of PIL images.

    A DataFrame can be series too, and so can an array of windows; they are if `kind` says so.

    Raises DataError for anything else, or a kind that these values cannot be.
    """
    if isinstance(values, pd.Series):
        values = values.to_frame(values.name if values.name is not None else "value")
    fitting = _fitting_kinds(values, alpha, options or {})
    chosen = kind or next(iter(fitting), None)
    if chosen is None:
        what = "a DataFrame, a numpy array, a list of strings or of PIL images, or a path"
        raise DataError(f"cannot tell what kind of data {type(values).__name__!r} is; give {what}")
    _known(chosen)
    if chosen not in fitting:
        can = f"; it can as {' or '.join(fitting)}" if fitting else ""
        raise DataError(f"{type(values).__name__!r} cannot be read as {chosen}{can}")
    check_options(chosen, alpha, options)
    return chosen, fitting[chosen](values)


def check_options(kind: str, alpha: bool, options: Mapping[str, str] | None = None) -> None:
    """Raise ValueError for reading options that are not of this kind of data."""
    if alpha and kind != "image":
        raise ValueError(f"alpha (--alpha) is for images, and this is {kind} data")
    for name in options or {}:
        if name not in _known(kind).options:
            whose = [other for other, found in KINDS.items() if name in found.options]
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag} is for {' and '.join(whose) or 'no'} data, and this is {kind} data (--as KIND)")


def from_builtin(kind: str, source: Source, reading: Reading) -> Source:
    """A built-in data set as a person wants it read. Raises ValueError for options that are not of its kind."""
    check_options(kind, reading.alpha, reading.options)
    return image.brought_to(source, reading.options) if kind == "image" else source


def codec_class(kind: str) -> CodecClass:
    """The codec of a kind. Raises ValueError listing the kinds for an unknown one."""
    return _known(kind).codec


def fit(kind: str, records: Records, condition: tuple[str, ...] = (), types: Mapping[str, str] | None = None) -> Codec:
    """A codec fitted to the training records alone. types: of columns, for tables only."""
    chosen = codec_class(kind)
    if chosen is table.TableCodec:
        return table.TableCodec.fit(records, condition=condition, types=types)
    if chosen is series.SeriesCodec:
        return series.SeriesCodec.fit(records, condition=condition, types=types)
    _no_types(kind, types)
    return chosen.fit(records, condition=condition)


def retype(kind: str, source: Source, types: Mapping[str, str]) -> Source:
    """Records with columns read as a person says they are. Raises ValueError where there are no columns."""
    if not types:
        return source
    if kind == "series":  # its codec knows
        return source
    if kind != "table":
        _no_types(kind, types)
    return table.retype(source, types)


def _no_types(kind: str, types: Mapping[str, str] | None) -> None:
    if types:
        raise ValueError(f"types of columns (--type) are for tables and series, and this is {kind} data")


def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Codec:
    """A codec from what its `to_json` and `arrays` said."""
    return codec_class(data["kind"]).from_json(data, arrays)


def _known(kind: str) -> Kind:
    if kind not in KINDS:
        raise unknown("kind of data", kind, KINDS)
    return KINDS[kind]


def _kind_of_array(values: np.ndarray) -> str:
    return "image" if values.ndim in (3, 4) else "array"


def _check_lines(values: list[Any]) -> None:
    """Raise DataError for a list that holds anything but text, naming the first such value."""
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(
                f"a list is of strings (text) or of PIL images, all of them, and value {place} is "
                f"{type(value).__name__!r}; give numbers as one array, such as np.stack(values)"
            )


def _fitting_kinds(values: Any, alpha: bool, options: Mapping[str, str]) -> dict[str, Callable[[Any], Source]]:
    """The kinds a value in memory can be, the likeliest first."""
    if isinstance(values, pd.DataFrame):
        as_text = lambda frame: text.from_frame(frame, options, "the DataFrame")  # noqa: E731
        return {"table": table.from_frame, "text": as_text, "series": lambda frame: series.from_memory(frame, options)}
    if isinstance(values, list) and values and all(isinstance(value, Image.Image) for value in values):
        how = Reading(alpha, options=options)
        return {"image": lambda images: read_pictures(shelf_of_images(images), how)}
    if isinstance(values, list):
        _check_lines(values)
        return {"text": lambda lines: text.from_lines(lines, options)}
    if isinstance(values, np.ndarray):
        both: dict[str, Callable[[Any], Source]] = {
            "array": array.from_arrays,
            "image": lambda images: image.from_arrays(
                images, alpha=alpha, size=pixels.asked_size(options), settled=pixels.settled_scales(options)
            ),
            "series": lambda windows: series.from_memory(windows, options),
            "audio": lambda waves: audio.from_waves(waves, options),
        }
        return dict(sorted(both.items(), key=lambda item: item[0] != _kind_of_array(values)))
    return {}
