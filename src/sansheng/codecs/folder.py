"""A folder of pictures as people have them: mixed in size, mode and health, labelled by sub-folder.

The one constraint: every picture is read by the same stated rule, and whatever is changed or skipped is said.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from sansheng.codecs.base import Records, Source
from sansheng.codecs.pixels import MAX_SIDE, capped, fitted, plain, with_channels
from sansheng.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_BROKEN = 0.2
"""A larger share of broken files is an error: something is wrong with the folder as a whole."""
OVERVIEW = "grid.png"
"""The picture of pictures that sits beside written samples, and is not one of them."""
SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
LEFT_OUT_NAMES = ("val", "valid", "validation")
ORIENTATION = 0x0112
"""The EXIF tag; from 5 on, width and height change places."""
T = TypeVar("T")


@dataclass
class _Found:
    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    links: int = 0


def read_folder(root: Path) -> Source:
    """Read every picture under `root`, sorted by path, as uint8 ``(N, H, W, 1 or 3)``.

    Labels are the first-level sub-folders if every picture is in one of at least two; sub-folders `train` and
    `test` are a split. Pictures are turned by their EXIF tag, made grey if all of them are, and brought to the
    commonest size (centre-crop to its aspect, then resize), at most `MAX_SIDE` on the longer side.

    Raises DataError if there are none, or more than 20 % are broken.
    """
    found = _find(root)
    if not found.files:
        others = ", ".join(f"{n:,} {suffix}" for suffix, n in found.others.most_common(5)) or "nothing"
        raise DataError(f"{root}: no images; looked for {' '.join(SUFFIXES)} in it and its sub-folders, found {others}")
    splits, notes = _split(root, found.files)
    files = [path for split in splits.values() for path in split]
    with _bombs_as_errors():
        sizes, broken = _each(_measure, files)
        size = capped(_commonest([sizes[path] for path in splits["train"] if path in sizes]))
        pictures, undecodable = _each(lambda path: _load(path, size), list(sizes))
    broken |= undecodable
    _check_broken(root, broken, len(files))
    kept = {name: [path for path in split if path in pictures] for name, split in splits.items()}
    channels = 1 if all(pictures[path].ndim == 2 for path in kept["train"]) else 3
    depth = 1 if "test" in splits else 0
    records = {
        name: Records(_stack(pictures, split, channels), _labels(root, split, depth))
        for name, split in kept.items()
        if split
    }
    if "train" not in records:
        raise DataError(f"{root}: no training image can be read")
    notes += _remarks(root, found, broken, [sizes[path] for path in pictures], size)
    return Source(records["train"], records.get("test"), notes)


def _find(root: Path) -> _Found:
    """Pictures under `root`; hidden files and links that lead out of it are passed over."""
    found, home = _Found(), root.resolve()
    for folder, names, files in os.walk(root):
        found.links += sum(os.path.islink(os.path.join(folder, name)) for name in names)
        names[:] = [name for name in names if not name.startswith((".", "__MACOSX"))]
        for name in (name for name in files if not name.startswith(".")):
            path = Path(folder, name)
            if path.suffix.lower() not in SUFFIXES:
                found.others[path.suffix.lower() or "without suffix"] += 1
            elif path.is_symlink() and not path.resolve().is_relative_to(home):
                found.links += 1
            else:
                found.files.append(path)
    overview, first = root / OVERVIEW, root / "00000.png"
    found.files = sorted(path for path in found.files if path != overview or first not in found.files)
    return found


def _split(root: Path, files: Sequence[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """The folder's own train and test split, if its only sub-folders are called so."""
    top = [path.relative_to(root).parts[0] for path in files]
    names = {name for name in top if name in SPLIT_NAMES}
    meanings = {SPLIT_NAMES[name] for name in names}
    if meanings != {"train", "test"} or len(names) > 2 or set(top) - names - set(LEFT_OUT_NAMES):
        return {"train": list(files)}, []
    splits: dict[str, list[Path]] = {"train": [], "test": []}
    for name, path in zip(top, files, strict=True):
        if name in SPLIT_NAMES:
            splits[SPLIT_NAMES[name]].append(path)
    left = sum(name in LEFT_OUT_NAMES for name in top)
    notes = ["sub-folders train and test kept as the split"]
    return splits, notes + ([f"{left:,} images of the validation sub-folder left out"] if left else [])


def _labels(root: Path, files: Sequence[Path], depth: int) -> dict[str, np.ndarray]:
    parts = [path.relative_to(root).parts[depth:] for path in files]
    if all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) > 1:
        return {"label": np.array([part[0] for part in parts])}
    return {}


@contextmanager
def _bombs_as_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _each(read: Callable[[Path], T], paths: Sequence[Path]) -> tuple[dict[Path, T], dict[Path, str]]:
    """What `read` makes of each path, in order, and for the others what is wrong with them."""

    def attempt(path: Path) -> tuple[T, None] | tuple[None, str]:
        try:
            return read(path), None
        except Exception as error:  # a decoder may raise anything on a broken file
            return None, _reason(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = dict(zip(paths, pool.map(attempt, paths), strict=True))
    good = {path: value for path, (value, _) in results.items() if value is not None}
    return good, {path: why for path, (_, why) in results.items() if why is not None}


def _measure(path: Path) -> tuple[int, int]:
    """(width, height) as the picture is meant to be seen."""
    if not path.stat().st_size:
        raise DataError("empty")
    with Image.open(path, formats=FORMATS) as image:
        turned = image.getexif().get(ORIENTATION, 1) >= 5
        width, height = image.size
    return (height, width) if turned else (width, height)


def _load(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The picture brought to `size` (width, height): ``(H, W)`` or ``(H, W, 3)`` uint8."""
    with Image.open(path, formats=FORMATS) as image:
        image.draft(None, (2 * max(size), 2 * max(size)))
        upright = plain(ImageOps.exif_transpose(image))
        return np.asarray(fitted(upright, size))


def _stack(pictures: dict[Path, np.ndarray], paths: Sequence[Path], channels: int) -> np.ndarray:
    return np.stack([with_channels(pictures[path], channels) for path in paths])


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels"
    return (str(error) or type(error).__name__).splitlines()[0]


def _commonest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The commonest size; of several equally common, the middle one by area."""
    if not sizes:
        return 1, 1
    counts = Counter(sizes)
    most = max(counts.values())
    tied = sorted((size for size, n in counts.items() if n == most), key=lambda s: (s[0] * s[1], s))
    return tied[len(tied) // 2]


def _check_broken(root: Path, broken: dict[Path, str], n: int) -> None:
    if len(broken) > MAX_BROKEN * n:
        path, why = next(iter(broken.items()))
        raise DataError(
            f"{root}: {len(broken):,} of {n:,} images cannot be read (the first: {path.relative_to(root)}, {why}); "
            f"at most {MAX_BROKEN:.0%} may be broken"
        )


def _remarks(
    root: Path, found: _Found, broken: dict[Path, str], sizes: Sequence[tuple[int, int]], size: tuple[int, int]
) -> list[str]:
    """What a person should know of what was changed and skipped."""
    notes = []
    changed = sum(old != size for old in sizes)
    if changed:
        shrunk = f" (larger ones are shrunk to {MAX_SIDE} px)" if max(map(max, sizes)) > MAX_SIDE else ""
        notes.append(
            f"{changed:,} of {len(sizes):,} images, of {len(set(sizes)):,} sizes, "
            f"cropped to the aspect of and resized to {size[0]} x {size[1]}{shrunk}"
        )
    if broken:
        named = ", ".join(f"{path.relative_to(root)} ({why})" for path, why in list(broken.items())[:5])
        notes.append(f"skipped {len(broken):,} broken: {named}{', …' if len(broken) > 5 else ''}")
    if found.links:
        notes.append(f"{found.links:,} links to other folders not followed")
    if found.others:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in found.others.most_common(5))
        notes.append(f"other files ignored: {kinds}")
    return notes
