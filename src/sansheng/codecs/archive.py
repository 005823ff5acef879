"""Arrays in .npy and .npz files, by the names people give them: values, labels, and a test split of their own.

The one constraint: nothing is unpickled, and nothing is allocated that the file cannot fill.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from sansheng.codecs.labels import lacking
from sansheng.errors import DataError, no_file

SUFFIXES = (".npy", ".npz")
TRAIN_VALUES = (
    *("train_images", "x_train", "train_x", "images_train", "train_data", "train"),
    *("images", "x", "data", "samples", "values", "windows", "arr_0"),
)
TRAIN_LABELS = ("train_labels", "y_train", "train_y", "labels_train", "labels", "label", "y", "targets", "target")
TEST_VALUES = ("test_images", "x_test", "test_x", "images_test", "test_data", "test")
TEST_LABELS = ("test_labels", "y_test", "test_y", "labels_test")
LABELS = "labels"
"""What the label called "label" is written as."""
EXTRA_LABEL = "label_"
"""What the names of all other labels begin with in a file, and only there."""
MAX_EXPANSION = 200
"""A compressed file may expand to so many times its size (and 1 GiB in any case)."""
GIB = 1 << 30


@dataclass(frozen=True)
class Arrays:
    """Values ``(N, ...)`` with labels by name ``(N,)``, and the file's own test split if it has one."""

    values: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    test_values: np.ndarray | None = None
    test_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()


def read_arrays(path: Path) -> Arrays:
    """Read a .npy or .npz file. Raises DataError for one that is missing, broken, hostile, or has no known names."""
    if not path.is_file():
        raise no_file(path)
    if path.suffix.lower() == ".npy":
        return Arrays(_read_npy(path))
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = _shapes(path, archive)
        with np.load(path, allow_pickle=False) as stored:
            return _assemble(path, stored, shapes)
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz archive ({_reason(error)})") from error


def write_npz(
    path: Path, name: str, values: np.ndarray, labels: Mapping[str, np.ndarray],
    about: Mapping[str, np.ndarray] | None = None,
) -> None:  # fmt: skip
    """Write `values` under `name`, what is known of all of them, and the labels under names that `read_arrays` knows
    and makes the same names of."""
    known = {LABELS if key == "label" else EXTRA_LABEL + key: column for key, column in labels.items()}
    arrays = {name: values, **(about or {}), **known}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a .npy file ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "pickle" in text or "Python objects" in text:
        return "it holds pickled Python objects, which are never loaded; save plain numbers or strings"
    return text


def _shapes(path: Path, archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    """The shape each array claims, once the claims are known to be honest and bearable."""
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    total = sum(info.file_size for info in members)
    if total > max(GIB, MAX_EXPANSION * path.stat().st_size):
        raise DataError(f"{path}: refused, it would expand from {path.stat().st_size:,} to {total:,} bytes")
    shapes = {}
    for info in members:
        with archive.open(info) as file:
            shape, dtype = _header(file)
        name = info.filename.removesuffix(".npy")
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize > info.file_size:
            raise DataError(f"{path}: array {name!r} claims shape {shape}, more than the file holds")
        shapes[name] = shape
    return shapes


def _header(file: zipfile.ZipExtFile | IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"array format version {version} is not supported")
    return shape, dtype


def _assemble(path: Path, stored: np.lib.npyio.NpzFile, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Pick values, labels and test split by name; say what is left out."""
    name = _pick(shapes, TRAIN_VALUES) or (next(iter(shapes)) if len(shapes) == 1 else None)
    if name is None:
        found = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
        raise DataError(f"{path}: no array is called {', '.join(TRAIN_VALUES)}; found {found}")
    labels, test = _pick(shapes, TRAIN_LABELS), _pick(shapes, TEST_VALUES)
    test_labels = _pick(shapes, TEST_LABELS) if test else None
    extra = [key for key in shapes if key.startswith(EXTRA_LABEL) and key != labels]
    left = [key for key in shapes if key not in {name, labels, test, test_labels, *extra}]
    values = stored[name]
    columns = {"label": stored[labels]} if labels else {}
    for key in extra:  # a key that would hide another keeps its prefix
        bare = key.removeprefix(EXTRA_LABEL)
        columns[bare if bare and bare not in columns else key] = stored[key]
    found = Arrays(
        values=values,
        labels=label_columns(columns, len(values), str(path)),
        test_values=stored[test] if test else None,
        test_labels=label_columns({"label": stored[test_labels]}, shapes[test][0], str(path))
        if test and test_labels
        else {},
        notes=[f"arrays left out: {', '.join(left)}"] if left else [],
    )
    return _complete(found)


def _complete(found: Arrays) -> Arrays:
    """Without the examples that lack a label, or without a label that too many lack (`lacking`)."""
    n, held = len(found.values), len(found.test_values) if found.test_values is not None else 0
    missing = {
        name: np.concatenate([_gaps(found.labels.get(name), n), _gaps(found.test_labels.get(name), held)])
        for name in dict.fromkeys([*found.labels, *found.test_labels])
    }
    out, dropped = lacking(missing)
    if not out.any() and not dropped:
        return found
    gone = [f"{name!r} is no label: {missing[name].sum():,} of {n + held:,} examples have no value" for name in dropped]
    named = ", ".join(repr(name) for name, gap in missing.items() if name not in dropped and gap.any())
    said = [f"{out.sum():,} of {n + held:,} examples without a value of {named} left out"] if out.any() else []
    train, test = ~out[:n], ~out[n:]
    return Arrays(
        found.values[train],
        {name: column[train] for name, column in found.labels.items() if name not in dropped},
        found.test_values[test] if found.test_values is not None else None,
        {name: column[test] for name, column in found.test_labels.items() if name not in dropped},
        [*found.notes, *said, *gone],
    )


def _gaps(column: np.ndarray | None, n: int) -> np.ndarray:
    """Which of the `n` values of a label are no value: those that are no finite numbers."""
    return ~np.isfinite(column) if column is not None and column.dtype.kind == "f" else np.zeros(n, dtype=bool)


def _pick(shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> str | None:
    """The first of `names` there is, whatever its case."""
    by_name = {key.lower(): key for key, shape in shapes.items() if shape}
    return next((by_name[name] for name in names if name in by_name), None)


def label_columns(labels: Mapping[str, np.ndarray], n: int, where: str) -> dict[str, np.ndarray]:
    """Labels as flat columns: ``(N, 1)`` is squeezed, ``(N, K)`` becomes label_0, label_1, …

    Raises DataError unless there is one for each of the `n` examples.
    """
    columns: dict[str, np.ndarray] = {}
    for name, values in labels.items():
        if values.ndim not in (1, 2) or len(values) != n:
            raise DataError(f"{where}: {name} has shape {values.shape}; one for each of {n:,} examples is needed")
        if values.ndim == 1 or values.shape[1] == 1:
            columns[name] = values.reshape(n)
        else:
            columns |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    return columns
