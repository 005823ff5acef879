"""Where pictures or recordings lie, whatever holds them: their names, their bytes, their split and their labels.

The one constraint: a shelf says where things are and decodes nothing; names are paths with ``/`` between, relative
to the folder or archive, and text that can be shown.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pandas as pd
from PIL import Image, ImageOps

from sansheng.codecs.label_file import LABEL_FILE, File, join_labels, read_label_file
from sansheng.codecs.pixels import counted
from sansheng.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
OVERVIEW, FIRST = "grid.png", "00000.png"
"""The picture of pictures that sits beside written samples, and is not one of them; and the first of those."""
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
"""What the parts of a split are called, in lower case, and which part each is."""
MOST_STRAYS = 0.2
"""Pictures outside the sub-folders are left out if they are a smaller share than this; else there are no labels."""
MOST_NAMED = 5
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
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
    (or else `val`) in any case as a split, be they above the others or in each of them. Folders that hold everything
    there is are passed through.

    Raises DataError if there are no pictures.
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
    paths = {name: PurePosixPath(name).parts for name in names}
    inside, depth = _inside(paths)
    splits, said, level = _split(paths, inside, depth, listing.noun)
    if listing.label_files:
        names = [name for split in splits.values() for name in split]
        tables = [(name, read_label_file(where, name, open)) for name in sorted(listing.label_files)]
        labels, remarks = join_labels(where, names, tables)
        splits = {key: [name for name in split if name in labels.index] for key, split in splits.items()}
    else:
        splits, labels, remarks = _sub_folders(splits, paths, level, listing.noun)
    return Shelf(where, splits, open, labels, [*notes, *said, *remarks], listing.others)


def shelf_of_images(images: Sequence[Image.Image]) -> Shelf:
    """Pictures in memory, as the files that they could have been read from. Raises DataError if there are none."""
    if not images:
        raise DataError("the list holds no images")
    names = [f"image {i}" for i in range(len(images))]
    places = dict(zip(names, images, strict=True))
    labels = pd.DataFrame(index=pd.Index(names))
    return Shelf("the list of images", {"train": names}, lambda name: _as_file(places[name]), labels)


def shelf_of_one(where: str, name: str, open: Callable[[], File]) -> Shelf:
    """One picture, as a set of one."""
    return Shelf(where, {"train": [name]}, lambda _: open(), pd.DataFrame(index=pd.Index([name])))


def _as_file(image: Image.Image) -> File:
    """A picture without loss: PNG, or TIFF where it has more than 8 bits."""
    upright, stream = ImageOps.exif_transpose(image), io.BytesIO()
    deep = upright.mode == "F" or upright.mode.startswith("I")
    if not deep and upright.mode not in PNG_MODES:
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    upright.save(stream, "TIFF" if deep else "PNG", **({} if deep else {"compress_level": 1}))
    stream.seek(0)
    return stream


def held_out_part(parts: Collection[str | None]) -> str | None:
    """Which part of a split is held out: "test", or "validation" where there is no test; None where there is no split.

    parts: the meanings of `SPLIT_NAMES` that are there.
    """
    if "train" not in parts:
        return None
    return next((part for part in ("test", "validation") if part in parts), None)


def _inside(paths: Mapping[str, tuple[str, ...]]) -> tuple[list[str], int]:
    """(the names but for a few strays beside the sub-folders, how many folders, one in another, hold all of these)"""
    inside = list(paths)
    while True:
        depth = _shared([paths[name] for name in inside])
        deeper = [name for name in inside if len(paths[name]) > depth + 1]
        if len(deeper) == len(inside) or len(paths) - len(deeper) >= MOST_STRAYS * len(paths):
            return inside, depth
        inside = deeper


def _shared(parts: Sequence[tuple[str, ...]]) -> int:
    """How many folders, one in another, hold every picture there is."""
    first, last = min(parts), max(parts)
    depth = 0
    while depth < min(len(first), len(last)) - 1 and first[depth] == last[depth]:
        depth += 1
    return depth


def _split(
    paths: Mapping[str, tuple[str, ...]], inside: Sequence[str], depth: int, noun: str
) -> tuple[dict[str, list[str]], list[str], int]:
    """(the tree's own train and test split, notes, how deep the folders lie that can be labels).

    Sub-folders called so are a split, or those in every sub-folder; what is in neither part is left out, and said.
    """
    if _held_out(paths, inside, depth):
        return *_parted(paths, inside, depth, noun), depth + 1
    deeper = [name for name in inside if len(paths[name]) > depth + 2]
    held = _held_out(paths, deeper, depth + 1)
    if held is None:
        return {"train": list(paths)}, [], depth
    own: dict[str, list[str]] = {}
    for name in deeper:
        own.setdefault(paths[name][depth], []).append(name)
    without = [folder for folder, names in own.items() if _held_out(paths, names, depth + 1) != held]
    few = len(paths) - len(deeper) < MOST_STRAYS * len(paths)
    if without or not few:
        some = ", ".join(without[:MOST_NAMED]) + (", …" if len(without) > MOST_NAMED else "")
        why = f"no such split in {some}" if without else f"too many {noun} are in neither"
        return {"train": list(paths)}, [f"train and {held} in sub-folders are read as one: {why}"], depth
    return *_parted(paths, deeper, depth + 1, noun), depth


def _held_out(paths: Mapping[str, tuple[str, ...]], inside: Sequence[str], depth: int) -> str | None:
    """What is held out if the folders at a depth are a split of everything inside; else None."""
    if any(len(paths[name]) <= depth + 1 for name in inside):
        return None
    return held_out_part({SPLIT_NAMES.get(paths[name][depth].lower()) for name in inside})


def _parted(
    paths: Mapping[str, tuple[str, ...]], inside: Sequence[str], depth: int, noun: str
) -> tuple[dict[str, list[str]], list[str]]:
    """(the split by the folders at a depth, notes)"""
    folders = {name: paths[name][depth] for name in inside}
    parts = {folder: SPLIT_NAMES.get(folder.lower()) for folder in sorted(set(folders.values()))}
    held = held_out_part(set(parts.values())) or "test"
    splits = {
        key: [name for name, folder in folders.items() if parts[folder] == part]
        for key, part in (("train", "train"), ("test", held))
    }
    kept = {part: " and ".join(folder for folder in parts if parts[folder] == part) for part in ("train", held)}
    notes = [f"sub-folders {kept['train']} and {kept[held]} kept as the split, {kept[held]} held out"]
    beside = Counter(folder for folder in folders.values() if parts[folder] not in ("train", held))
    if beside:
        named = [f"{_counted(n, noun)} of {folder}" for folder, n in beside.most_common(MOST_NAMED)]
        more = f", … ({_counted(beside.total(), noun)} in all)" if len(beside) > MOST_NAMED else ""
        notes.append(f"left out, as they are in neither: {', '.join(named)}{more}")
    strays = sorted(set(paths) - set(inside))
    return splits, notes + ([_strays_left(strays, noun)] if strays else [])


def _sub_folders(
    splits: dict[str, list[str]], paths: Mapping[str, tuple[str, ...]], depth: int, noun: str
) -> tuple[dict[str, list[str]], pd.DataFrame, list[str]]:
    """(splits, labels, notes): label "label" is the sub-folder, if there are at least two and nearly every picture of
    each split is in one. The few others are left out.
    """
    kept = {key: [name for name in split if len(paths[name]) > depth + 1] for key, split in splits.items()}
    inside = [name for split in kept.values() for name in split]
    folders = [paths[name][depth] for name in inside]
    bare = pd.DataFrame(index=pd.Index([name for split in splits.values() for name in split]))
    if len(set(folders)) < 2:
        return splits, bare, []
    strays: list[str] = []
    for split in splits.values():
        found = [name for name in split if len(paths[name]) <= depth + 1]
        if len(found) >= MOST_STRAYS * len(split):
            part = f" of {paths[found[0]][depth - 1]}" if len(splits) > 1 else ""
            lost = f"{len(found):,} of {len(split):,} {noun}{part}"
            return splits, bare, [f"no labels: {lost} are in no sub-folder that could be one (the first: {found[0]})"]
        strays += found
    remarks = [_strays_left(strays, noun)] if strays else []
    return kept, pd.DataFrame({"label": folders}, index=pd.Index(inside)), remarks


def _strays_left(strays: Sequence[str], noun: str) -> str:
    return f"{_counted(len(strays), noun)} beside the sub-folders left out (the first: {strays[0]})"


def _counted(n: int, noun: str) -> str:
    return counted(n, noun.removesuffix("s"))
