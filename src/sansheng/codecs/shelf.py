"""Where pictures or recordings lie, whatever holds them: their names, their bytes, their split and their labels.

The one constraint: a shelf says where things are and decodes nothing; names are paths with ``/`` between, relative
to the folder or archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pandas as pd

from sansheng.codecs.label_file import LABEL_FILE, File, join_labels, read_label_file
from sansheng.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
OVERVIEW, FIRST = "grid.png", "00000.png"
"""The picture of pictures that sits beside written samples, and is not one of them; and the first of those."""
SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
LEFT_OUT_NAMES = ("val", "valid", "validation")
HIDDEN = (".", "__MACOSX")


@dataclass(frozen=True)
class Shelf:
    """Pictures to read. where: the path a person gave. splits: names of "train" and perhaps of "test" pictures.

    open: a name's bytes, as a binary file. labels: a row for each name, a column for each label. others: how many
    files of each suffix are no pictures.
    """

    where: str
    splits: Mapping[str, Sequence[str]]
    open: Callable[[str], File]
    labels: pd.DataFrame
    notes: Sequence[str] = ()
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [name for split in self.splits.values() for name in split]


@dataclass
class Listing:
    """Files found, sorted into those of the wanted suffixes (`pictures`, unless told), label files and others."""

    pictures: list[str] = field(default_factory=list)
    label_files: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    suffixes: tuple[str, ...] = SUFFIXES
    noun: str = "images"

    def add(self, name: str) -> None:
        """Sort a file in; hidden ones are passed over."""
        path = PurePosixPath(name)
        if any(part.startswith(HIDDEN) for part in path.parts):
            return
        if path.suffix.lower() in self.suffixes:
            self.pictures.append(name)
        elif path.name.lower() == LABEL_FILE:
            self.label_files.append(name)
        else:
            self.others[path.suffix.lower() or "without suffix"] += 1


def arrange(where: str, listing: Listing, open: Callable[[str], File], notes: Sequence[str] = ()) -> Shelf:
    """The shelf of a tree of files: labels from ``labels.csv`` or else from sub-folders, sub-folders `train` and `test`
    as a split. Folders that hold everything there is are passed through. Raises DataError if there are no pictures.
    """
    there = set(listing.pictures)
    written = {str(PurePosixPath(name).with_name(OVERVIEW)) for name in there if PurePosixPath(name).name == FIRST}
    names = sorted(there - written, key=lambda name: PurePosixPath(name).parts)
    if not names:
        others = ", ".join(f"{n:,} {suffix}" for suffix, n in listing.others.most_common(5)) or "nothing"
        raise DataError(
            f"{where}: no {listing.noun}; looked for {' '.join(listing.suffixes)} in it and its sub-folders, found "
            f"{others}"
        )
    parts = {name: PurePosixPath(name).parts for name in names}
    depth = _shared(list(parts.values()))
    splits, said = _split(parts, depth, listing.noun)
    names = [name for split in splits.values() for name in split]
    if listing.label_files:
        tables = [(name, read_label_file(where, name, open)) for name in sorted(listing.label_files)]
        labels, remarks = join_labels(where, names, tables)
        splits = {key: [name for name in split if name in labels.index] for key, split in splits.items()}
    else:
        labels, remarks = _sub_folders(names, parts, depth + ("test" in splits)), []
    return Shelf(where, splits, open, labels, [*notes, *said, *remarks], listing.others)


def _shared(parts: Sequence[tuple[str, ...]]) -> int:
    """How many folders, one in another, hold every picture there is."""
    first, last = min(parts), max(parts)
    depth = 0
    while depth < min(len(first), len(last)) - 1 and first[depth] == last[depth]:
        depth += 1
    return depth


def _split(parts: Mapping[str, tuple[str, ...]], depth: int, noun: str) -> tuple[dict[str, list[str]], list[str]]:
    """The tree's own train and test split, if its only sub-folders are called so."""
    top = {name: path[depth] for name, path in parts.items()}
    named = {folder for folder in top.values() if folder in SPLIT_NAMES}
    meanings = {SPLIT_NAMES[folder] for folder in named}
    if meanings != {"train", "test"} or len(named) > 2 or set(top.values()) - named - set(LEFT_OUT_NAMES):
        return {"train": list(parts)}, []
    splits: dict[str, list[str]] = {"train": [], "test": []}
    for name, folder in top.items():
        if folder in SPLIT_NAMES:
            splits[SPLIT_NAMES[folder]].append(name)
    left = sum(folder in LEFT_OUT_NAMES for folder in top.values())
    notes = ["sub-folders train and test kept as the split"]
    return splits, notes + ([f"{left:,} {noun} of the validation sub-folder left out"] if left else [])


def _sub_folders(names: Sequence[str], parts: Mapping[str, tuple[str, ...]], depth: int) -> pd.DataFrame:
    """Label "label": the sub-folder, where every picture is in one of at least two."""
    inside = all(len(parts[name]) > depth + 1 for name in names)
    folders = [parts[name][depth] for name in names] if inside else []
    return pd.DataFrame({"label": folders} if len(set(folders)) > 1 else {}, index=pd.Index(names))
