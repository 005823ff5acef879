"""Images: bytes of grey or RGB, with or without alpha, to numbers in [−1, 1] at H x W positions, and back.

The one constraint: all images of a data set have one size and one number of channels, settled when it is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from sansheng.codecs import parquet, rows, zipped
from sansheng.codecs.archive import SUFFIXES, label_columns, read_arrays, write_npz
from sansheng.codecs.base import Deferred, Encoded, Reading, Records, Source
from sansheng.codecs.folder import readable, shelf_of_folder
from sansheng.codecs.labels import Conditions, summarise
from sansheng.codecs.pictures import NO_ALPHA, read_pictures
from sansheng.codecs.pixels import (
    MAX_SIDE,
    Scale,
    array_to_images,
    asked_size,
    by,
    counted,
    cut_off,
    fitted,
    kept_scales,
    narrowed,
    over_white,
    resized,
    scale_of,
    settled_of,
    settled_scales,
    to_nhwc,
    to_picture,
    widened,
)  # fmt: skip
from sansheng.codecs.shelf import OVERVIEW, Shelf, shelf_of_one
from sansheng.codecs.shelf import SUFFIXES as PICTURES
from sansheng.errors import DataError, unknown
from sansheng.space import Real, Space

GRID_GAP = 2
"""White pixels between the images of a grid."""
GRID_IMAGES = 64
GRID_WIDTH = 640
"""About how wide a grid is drawn [px]."""
WRITTEN = (".png", ".npz", ".npy")
OPTIONS = ("size", "scale")
READABLE = (zipped.SUFFIX, parquet.SUFFIX, *SUFFIXES)
COLOURS = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}


def read(path: Path, reading: Reading | None = None) -> Source:
    """Read images from a folder, a zip, a Parquet file or a .npy or .npz, as uint8 ``(N, H, W, 1 … 4)``.

    One picture is a set of one: enough for a model that is there, too few to train on.

    Raises DataError for a path that is none of these, or holds no images.
    """
    how = reading or Reading()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    shelf = _shelf(path)
    if shelf is not None:
        return read_pictures(shelf, how)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: images are read from a folder of them, or from {' or '.join(READABLE)}")
    found = read_arrays(path)
    try:
        source = from_arrays(
            found.values, found.labels, test_values=found.test_values, test_labels=found.test_labels, alpha=how.alpha,
            size=asked_size(how.options), settled=settled_scales(how.options),
        )  # fmt: skip
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Source(source.records, source.test, [*found.notes, *source.notes])


def from_arrays(
    values: np.ndarray,
    labels: Mapping[str, np.ndarray] | None = None,
    *,
    test_values: np.ndarray | None = None,
    test_labels: Mapping[str, np.ndarray] | None = None,
    alpha: bool = False,
    size: tuple[int, int] | None = None,
    settled: Mapping[str, Scale] | None = None,
) -> Source:
    """Images of any layout and range as records.

    values: (N, H, W), (N, H, W, C), (N, C, H, W) with C = 1 … 4, or (N, H·W) for squares; numbers of any range, which
    is found in the training images and used for the test images too. alpha: keep the last channel of 2 or 4 where any
    training image is transparent; else they are laid over white. size: (width, height) they are cropped and resized to;
    without it those over `MAX_SIDE` px are shrunk. settled: scales of data that were read before, by kind of number.
    """
    nhwc, remark = to_nhwc(values)
    numbers = _numbers(values.dtype)
    scale = _settled_for(values, numbers, settled or {}) or scale_of(values)
    about = kept_scales({numbers: scale}) if numbers else {}
    clear = _count_clear(nhwc, scale.high)
    kept = alpha and clear > 0
    images = array_to_images(values, scale, kept, size)
    notes = [note for note in (remark, scale.note, _alpha_note(nhwc.shape, clear, alpha)) if note]
    if images.shape[1:3] != nhwc.shape[1:3]:
        why = "" if size else f" (at most {MAX_SIDE} px a side unless --size says more)"
        done = "resized" if size else "shrunk"
        lost = cut_off(nhwc.shape[2:0:-1], images.shape[2:0:-1])
        crop = f", {lost:.0%} of each cut off" if lost > 0.5 else ""
        notes.append(f"images {done} from {by(*nhwc.shape[1:3])} to {by(*images.shape[1:3])}{crop}{why}")
    records = Records(images, label_columns(labels or {}, len(images), "training images"), about)
    if test_values is None or not len(test_values):
        return Source(records, None, notes)
    test = array_to_images(test_values, scale, kept, size)
    if test.shape[1:] != images.shape[1:]:
        raise DataError(f"test images are {test.shape[1:]}, training images {images.shape[1:]} (H, W, C)")
    held_out = Records(test, label_columns(test_labels or {}, len(test), "test images"), about)
    return Source(records, held_out, notes)


def brought_to(source: Source, options: Mapping[str, str]) -> Source:
    """Pictures that are bytes already, in the size that is asked for."""
    size = asked_size(options)
    if size is None:
        return source
    parts = [source.records, *([source.test] if source.test is not None else [])]
    records = [Records(resized(part.values, size), part.labels) for part in parts]
    return Source(records[0], records[1] if len(records) > 1 else None, source.notes)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Images ``(N, H, W, C)`` side by side in rows of `columns`, white gaps between: ``(H', W', C)`` uint8."""
    n, height, width, channels = images.shape
    rows = max(1, math.ceil(n / columns))
    tiles = np.full((rows * columns, height + GRID_GAP, width + GRID_GAP, channels), 255, np.uint8)
    tiles[:n, :height, :width] = images
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    page = tiles.reshape(rows * (height + GRID_GAP), columns * (width + GRID_GAP), channels)
    return page[:-GRID_GAP, :-GRID_GAP]


@final
class ImageCodec:
    """Grey or RGB images of one size; x/127.5 − 1 is what is modelled."""

    kind = "image"
    level = 2 / 255

    def __init__(
        self, shape: tuple[int, int, int], conditions: Conditions, description: list[tuple[str, str]],
        scale: Mapping[str, list[float]] | None = None,
    ) -> None:  # fmt: skip
        """shape: (H, W, C) of every image. description: what `fit` understood, as (name, text) lines. scale: what was
        black and white where that had to be found (`pixels.kept_scales`).
        """
        height, width, channels = shape
        self.shape = shape
        self.conditions = conditions
        self.description = description
        self.scale = dict(scale or {})
        self.space = Space((Real(channels, -1.0, 1.0),), (height, width))
        self.condition_space = conditions.space
        self.condition_names = conditions.names

    @classmethod
    def fit(cls, records: Records, *, condition: tuple[str, ...] = ()) -> ImageCodec:
        """Settle size, channels and the levels of the labels in `condition` from the training records."""
        values = records.values
        if not isinstance(values, np.ndarray | rows.Rows) or values.ndim != 4 or values.dtype != np.uint8:
            raise DataError("image records are a uint8 array (N, H, W, C); `from_arrays` makes one of any array")
        if not len(values) or values.shape[3] not in COLOURS:
            raise DataError(f"image records of shape {values.shape}; (N, H, W, 1 … 4) with N > 0 is allowed")
        n, height, width, channels = values.shape
        data = f"{counted(n, f'{COLOURS[channels]} image')}, {by(height, width)}"
        description = [("data", data), *summarise(records.labels)]
        conditions, scale = Conditions.fit(records.labels, condition), records.about.get("scale")
        return cls((height, width, channels), conditions, description, scale)

    def encode(self, records: Records) -> Encoded:
        """Images above `rows.LARGE` bytes are encoded when they are asked for.

        Images of another size are cropped at their centre to this aspect and resized, as untidy folders are; those of
        other channels become grey or coloured, over white unless alpha is kept.
        """
        values = records.values if rows.is_large(records.values) else np.asarray(records.values)
        if values.shape[1:] != self.shape:
            values = self._conformed(values)
        condition = self.conditions.encode(records.labels)
        if not rows.is_large(values):
            return Encoded(_to_numbers(values), condition)
        return Encoded(Deferred(len(values), lambda index: _to_numbers(np.asarray(values[index]))), condition)

    def _conformed(self, values: np.ndarray | rows.Rows) -> np.ndarray:
        """``(N, *, *, 1 … 4)`` uint8 in this codec's shape. Raises DataError for what are no such images."""
        if len(values.shape) != 4 or values.dtype != np.uint8 or values.shape[3] not in COLOURS:
            raise DataError(f"expected images of shape {self.shape} (H, W, C), got {values.dtype} {values.shape[1:]}")
        height, width, channels = self.shape
        alpha = channels in (2, 4)
        shown = (np.asarray(image) if alpha else _opaque(np.asarray(image)) for image in values)
        found = [widened(fitted(to_picture(image), (width, height)), 4 if alpha else 3) for image in shown]
        return narrowed(np.stack(found), channels)

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        self.space.check(x)
        pixels = x.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        images = np.ascontiguousarray(pixels.movedim(1, 3).cpu().numpy())
        return Records(images, self.conditions.decode(condition))

    def present(self, records: Records) -> list[Image.Image]:
        return [to_picture(image) for image in records.values]

    def write(self, records: Records, path: Path) -> list[Path]:
        """A path without suffix is a folder of 00000.png, … and grid.png (labels in labels.csv); .png is one grid;
        .npz holds images and labels, .npy images.
        """
        suffix = path.suffix.lower()
        if suffix not in ("", *WRITTEN):
            raise unknown("suffix for images", suffix, ["(none: a folder)", *WRITTEN])
        if not suffix:
            return _write_folder(records, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            to_picture(_overview(records.values)).save(path, format="PNG")
        elif suffix == ".npz":
            write_npz(path, "images", records.values, records.labels)
        else:
            with path.open("wb") as file:
                np.save(file, records.values, allow_pickle=False)
        return [path]

    def preview(self, records: Records, path: Path) -> Path:
        """A grid of at most 64 images, enlarged by a whole number until about 640 px wide, as PNG."""
        target = path.with_name(path.name + ".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        to_picture(_overview(_opaque(records.values[:GRID_IMAGES]))).save(target, format="PNG")
        return target

    def reading(self) -> dict[str, str]:
        """Options that read other images by the scale of these, however dark or bright they are."""
        return {"scale": json.dumps(self.scale)} if self.scale else {}

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
            **({"scale": self.scale} if self.scale else {}),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> ImageCodec:
        """Restore what `to_json` and `arrays` saved."""
        height, width, channels = data["shape"]
        description = [(name, text) for name, text in data["description"]]
        conditions = Conditions.from_json(data["conditions"])
        return cls((height, width, channels), conditions, description, data.get("scale"))


def _shelf(path: Path) -> Shelf | None:
    """Where the pictures of a path lie, if they are files of pictures."""
    suffix = path.suffix.lower()
    if path.is_dir():
        tables = parquet.files_in(path)
        return parquet.shelf_of_parquet(str(path), tables) if tables else shelf_of_folder(path)
    if suffix == zipped.SUFFIX:
        return zipped.shelf_of_zip(path)
    if suffix in PICTURES:
        return shelf_of_one(str(path), readable(path.name), lambda: path.open("rb"))
    return parquet.shelf_of_parquet(str(path), [path]) if suffix == parquet.SUFFIX else None


def _numbers(dtype: np.dtype) -> str:
    """Of what kind the scale is that is kept: what is white among floats says nothing of bytes; none of truth values.

    Bytes are apart from other whole numbers because samples are written as bytes, whatever the data were.
    """
    return "bytes" if dtype == np.uint8 else {"i": "whole", "u": "whole", "f": "real"}.get(dtype.kind, "")


def _settled_for(values: np.ndarray, numbers: str, settled: Mapping[str, Scale]) -> Scale | None:
    """The scale of earlier data, unless these cannot be read by it: bytes above its white, values that are no numbers
    (which `scale_of` refuses)."""
    if not numbers or not settled or (numbers == "real" and not np.isfinite(values).all()):
        return None
    low, high = float(values.min()), float(values.max())
    scale = settled_of(numbers, settled, low, high)
    beyond = scale is not None and numbers == "bytes" and high > scale.high
    return None if beyond else scale


def _to_numbers(values: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 3, 1)))
    return x.float().div_(127.5).sub_(1)


def _count_clear(images: np.ndarray, opaque: float) -> int:
    """How many of ``(N, H, W, C)`` have an alpha below opaque."""
    if images.shape[3] not in (2, 4):
        return 0
    return sum(int((part.reshape(len(part), -1) < opaque).any(1).sum()) for part in rows.chunks(images[..., -1], 4096))


def _alpha_note(shape: tuple[int, ...], clear: int, alpha: bool) -> str | None:
    if clear and not alpha:
        return f"{counted(clear, 'transparent image')} of {shape[0]:,} laid over white (--alpha keeps transparency)"
    if not alpha:
        return None
    return f"transparency kept, in {clear:,} of {shape[0]:,} images" if clear else NO_ALPHA


def _opaque(images: np.ndarray) -> np.ndarray:
    """As they look on a white page."""
    return over_white(images) if images.shape[-1] in (2, 4) else images


def _overview(images: np.ndarray) -> np.ndarray:
    """A nearly square grid, each image enlarged by a whole number so that small ones can be seen."""
    columns = max(1, math.ceil(math.sqrt(len(images))))
    factor = max(1, round(GRID_WIDTH / (columns * images.shape[2])))
    return grid(images.repeat(factor, axis=1).repeat(factor, axis=2), columns)


def _write_folder(records: Records, folder: Path) -> list[Path]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not an empty folder; nothing was written, choose another path")
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(5, len(str(len(records) - 1)))
    paths = [folder / f"{index:0{digits}d}.png" for index in range(len(records))]
    for path, image in zip(paths, records.values, strict=True):
        to_picture(image).save(path, format="PNG")
    overview = folder / OVERVIEW
    to_picture(_overview(_opaque(records.values[:GRID_IMAGES]))).save(overview, format="PNG")
    if not records.labels:
        return [*paths, overview]
    table = folder / "labels.csv"
    pd.DataFrame({"file": [path.name for path in paths], **records.labels}).to_csv(table, index=False)
    return [*paths, overview, table]
