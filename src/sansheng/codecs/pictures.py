"""Pictures as people have them, mixed in size, mode and health, to one array of bytes.

The one constraint: every picture is read by the same stated rule, and whatever is changed or skipped is said.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sansheng.codecs import cache, deep, rows
from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.each import MAX_BROKEN, each
from sansheng.codecs.label_file import to_labels
from sansheng.codecs.pixels import (
    MAX_SIDE,
    Rule,
    Scale,
    asked_size,
    by,
    capped,
    counted,
    cut_off,
    deep_scale,
    fitted,
    kept_scales,
    light_scale,
    narrowed,
    plain,
    plain_numbers,
    settled_of,
    settled_scales,
    widened,
)  # fmt: skip
from sansheng.codecs.shelf import Shelf
from sansheng.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ORIENTATION = 0x0112
"""The EXIF tag; from 5 on, width and height change places."""
CHUNK = 256
"""Pictures decoded at a time."""
TO_RGB = {"P": "palette", "CMYK": "CMYK", "YCbCr": "YCbCr", "LAB": "Lab", "HSV": "HSV"}
LEAST_SHARE = 0.1
"""A size is common if so many pictures have it; two that are alike by chance are not."""
NO_ALPHA = "no image is transparent: no alpha kept"


@dataclass(frozen=True)
class Look:
    """What the head of a file says. size: (width, height) as the picture is meant to be seen. low, high: its least and
    largest value, where it has more than 8 bits (deep). cut: it has, and only the upper 8 can be read.
    """

    size: tuple[int, int]
    mode: str
    turned: bool
    animated: bool
    low: float = 0.0
    high: float = 0.0
    deep: bool = False
    cut: bool = False


@dataclass
class Decoded:
    """Pictures as bytes ``(N, H, W, 3 or 4)``. names: theirs, in order. channels: how many say all there is of the
    training pictures. clear: how many are transparent.
    """

    images: np.ndarray
    names: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    channels: int = 1
    clear: int = 0


def read_pictures(shelf: Shelf, reading: Reading) -> Source:
    """Every picture of a shelf as uint8 ``(N, H, W, C)``, C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    Pictures are turned by their EXIF tag, made grey if all of the training pictures are, laid over white unless their
    transparency is kept, and brought to the size that is asked for, or else to the commonest, at most `MAX_SIDE` on the
    longer side (centre-crop to its aspect, then resize). Those of more than 8 bits are read by the scale settled in
    `reading`, or else by their own. A set that is large when decoded is decoded once and kept (`cache`).

    Raises DataError if there are none, or more than 20 % are broken.
    """
    asked = asked_size(reading.options)
    with _bombs_as_errors():
        looks, broken = each(lambda name: _look(shelf, name), shelf.names, _reason)
        train = [looks[name] for name in shelf.splits["train"] if name in looks]
        common = _commonest([look.size for look in train])
        size = asked or capped(common)
        rule, scales = _rule(list(looks.values()), reading)
        images, facts = _decode(shelf, list(looks), size, rule, reading)
    broken |= facts["broken"]
    _check_broken(shelf, broken)
    place = {name: index for index, name in enumerate(facts["names"])}
    kept = {key: [name for name in split if name in place] for key, split in shelf.splits.items()}
    if not kept["train"]:
        raise DataError(f"{shelf.where}: no training image can be read")
    first = len(kept["train"])
    parts = {"train": images[:first], "test": images[first:]}
    records = {
        key: Records(parts[key], to_labels(shelf.labels.loc[names]), kept_scales(scales), names=names)
        for key, names in kept.items()
        if len(names)
    }
    seen = [looks[name] for name in facts["names"]]
    said = [*_sizes(seen, size, None if asked else common), *_clear(facts["clear"], len(seen), rule, images.shape[3])]
    notes = [*shelf.notes, *said, *_changes(seen, rule), *facts["notes"], *_passed_over(shelf, broken)]
    return Source(records["train"], records.get("test"), notes)


# -- looking -----------------------------------------------------------------------------------------------


@contextmanager
def _bombs_as_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels"
    return (str(error) or type(error).__name__).splitlines()[0]


def _look(shelf: Shelf, name: str) -> Look:
    with shelf.open(name) as file:
        if not file.read(1):
            raise DataError("empty")
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            mode, cut = image.mode, deep.is_cut(image)
            numbers = deep.numbers(image, file, FORMATS) if cut else None
            orientation = image.getexif().get(ORIENTATION, 1)  # of a PNG this loads the pixels
            width, height = image.size
            animated = bool(getattr(image, "is_animated", False))
            if numbers is not None:
                low, high = _range(numbers[..., : 3 if numbers.shape[2] > 2 else 1])  # without alpha
            else:
                low, high = _range(np.asarray(image)) if mode == "F" or mode.startswith("I") else (0.0, 0.0)
    size = (height, width) if orientation >= 5 else (width, height)
    whole = numbers is not None or mode.startswith("I")
    return Look(size, mode, orientation > 1, animated, low, high, deep=whole, cut=cut and not whole)


def _range(pixels: np.ndarray) -> tuple[float, float]:
    """Raises DataError for pixels without a value: what they stand for nobody has said."""
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high):
        raise DataError("pixels that are not finite numbers")
    return low, high


def _commonest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The commonest size. Of several equally common, or of all where none is common, the one nearest to the median
    width and height.
    """
    if not sizes:
        return 1, 1
    counts = Counter(sizes)
    most = max(counts.values())
    among = [size for size, n in counts.items() if n == most] if _is_common(most, len(sizes)) else list(counts)
    middle = np.median(np.log(sizes), axis=0)
    distance = {size: round(float(np.abs(np.log(size) - middle).sum()), 6) for size in among}
    return min(among, key=lambda size: (distance[size], -size[0] * size[1], size))


def _is_common(alike: int, n: int) -> bool:
    """Whether so many of `n` pictures have one size that it is no chance."""
    return alike >= max(LEAST_SHARE * n, min(3, n / 2))


def _rule(looks: Sequence[Look], reading: Reading) -> tuple[Rule, dict[str, Scale]]:
    """What is black and white where there are more than 8 bits, by the values of the whole set unless that is settled;
    and the scales of what there is, for data that are read later.
    """
    settled = settled_scales(reading.options)
    there = {"deep": [look for look in looks if look.deep], "light": [look for look in looks if look.mode == "F"]}
    ends = {name: _ends(found) for name, found in there.items()}
    scales = {
        "deep": settled_of("deep", settled, *ends["deep"]) or deep_scale(*ends["deep"]),
        "light": settled_of("light", settled, *ends["light"]) or light_scale(*ends["light"]),
    }
    return Rule(reading.alpha, **scales), {name: scale for name, scale in scales.items() if there[name]}


def _ends(looks: Sequence[Look]) -> tuple[float, float]:
    return min((look.low for look in looks), default=0.0), max((look.high for look in looks), default=0.0)


# -- decoding ----------------------------------------------------------------------------------------------


def _decode(
    shelf: Shelf, names: list[str], size: tuple[int, int], rule: Rule, reading: Reading
) -> tuple[np.ndarray, dict[str, Any]]:
    """Pictures ``(N, H, W, C)``, and the facts: names, broken, clear, notes. From the cache if they are large."""
    shape = (len(names), size[1], size[0], 4 if rule.alpha else 3)
    train = frozenset(shelf.splits["train"])
    if math.prod(shape) <= rows.LARGE:
        made = _fill(shelf, names, np.empty(shape, np.uint8), rule, reading, train)
        return narrowed(made.images, made.channels), _facts(made)
    options = {"size": size, "alpha": rule.alpha, "white": [rule.deep.high, rule.light.high],
               "train": len(train & set(names))}  # fmt: skip
    if rule.deep.low or rule.light.low:
        options["black"] = [rule.deep.low, rule.light.low]
    digests, _ = each(lambda name: _digest(shelf, name), names, _reason)
    key = cache.key_of(list(digests.values()), options)
    found = cache.find(key)
    if found is None:
        with cache.scratch(shape) as array:
            made = _fill(shelf, names, array, rule, reading, train)
            parts = (narrowed(part, made.channels) for part in rows.chunks(made.images, CHUNK))
            found = cache.keep(key, parts, (*made.images.shape[:3], made.channels), _facts(made)), _facts(made)
    images, facts = found
    where = f"decoded once into {cache.home() / key}.npy ({images.nbytes / 2**20:,.0f} MiB), which may be deleted"
    return images, facts | {"notes": [where]}


def _facts(made: Decoded) -> dict[str, Any]:
    return {"names": made.names, "broken": made.broken, "clear": made.clear, "notes": []}


def _digest(shelf: Shelf, name: str) -> bytes:
    with shelf.open(name) as file:
        return hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\0" + file.read()).digest()


def _fill(
    shelf: Shelf, names: Sequence[str], out: np.ndarray, rule: Rule, reading: Reading, train: frozenset[str]
) -> Decoded:
    """Decode pictures into `out` ``(N, H, W, 3 or 4)``, one after another without those that cannot be."""
    made, modes = Decoded(out), set[str]()
    size = (out.shape[2], out.shape[1])
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        good, bad = each(lambda name: _load(shelf, name, size, rule, out.shape[3]), some, _reason)
        made.broken |= bad
        for name, (pixels, mode, clear) in good.items():
            out[len(made.names)] = pixels
            made.names.append(name)
            made.clear += clear
            modes |= {mode} if name in train else set()
        reading.progress(min(start + CHUNK, len(names)), len(names))
    made.images = out[: len(made.names)]
    made.channels = (3 if modes & {"RGB", "RGBA"} else 1) + bool(modes & {"LA", "RGBA"})
    return made


def _load(shelf: Shelf, name: str, size: tuple[int, int], rule: Rule, channels: int) -> tuple[np.ndarray, str, bool]:
    """(the picture brought to `size` (width, height), its mode among L, LA, RGB and RGBA, whether it is transparent)"""
    with ExitStack() as stack:
        file = stack.enter_context(shelf.open(name))
        image = stack.enter_context(Image.open(file, formats=FORMATS))
        numbers = deep.numbers(image, file, FORMATS) if deep.is_cut(image) else None
        if numbers is None:
            image.draft(None, (2 * max(size), 2 * max(size)))
            upright, clear = plain(ImageOps.exif_transpose(image), rule)
        else:
            upright, clear = plain_numbers(numbers, rule, image.info.get("transparency"))
        small = fitted(upright, size)
        return widened(small, channels), small.mode, clear


# -- what is said ------------------------------------------------------------------------------------------


def _check_broken(shelf: Shelf, broken: dict[str, str]) -> None:
    n = len(shelf.names)
    if len(broken) > MAX_BROKEN * n:
        name, why = next(iter(broken.items()))
        raise DataError(
            f"{shelf.where}: {len(broken):,} of {n:,} images cannot be read (the first: {name}, {why}); "
            f"at most {MAX_BROKEN:.0%} may be broken"
        )


def _sizes(looks: Sequence[Look], size: tuple[int, int], common: tuple[int, int] | None) -> Iterator[str]:
    """How the pictures came to one size. common: whose size it is but for `capped`; None where it was asked for."""
    sizes, n = [look.size for look in looks], len(looks)
    changed = sum(old != size for old in sizes)
    if not changed:
        return
    cut = max(size) == MAX_SIDE < max(map(max, sizes))
    shrunk = f" (at most {MAX_SIDE} px a side unless --size says more)" if cut else ""
    yield (
        f"{changed:,} of {n:,} images, of {counted(len(set(sizes)), 'size')}, "
        f"cropped to the aspect of and resized to {by(size[1], size[0])}{shrunk}"
    )
    if common is not None and len(set(sizes)) > 1:
        alike, shape = sizes.count(common), by(common[1], common[0])
        why = "the commonest size" if _is_common(alike, n) else "no size is common, this one is in the middle"
        yield f"{shape} is the size of {alike:,} of {n:,} images: {why}"
    lost = [share for old in sizes if (share := cut_off(old, size)) > 0.5]
    if lost:
        yield f"cropping takes over half of {counted(len(lost))}, up to {max(lost):.0%} (--size asks for other sides)"


def _clear(clear: int, n: int, rule: Rule, channels: int) -> Iterator[str]:
    """What became of transparency, in `clear` of `n` pictures."""
    if clear and not rule.alpha:
        yield f"{counted(clear, 'transparent image')} of {n:,} laid over white (--alpha keeps transparency)"
    elif rule.alpha:
        kept = channels in (2, 4)
        yield f"transparency kept, in {clear:,} of {n:,} images" if kept else NO_ALPHA


def _changes(looks: Sequence[Look], rule: Rule) -> Iterator[str]:
    modes = Counter(look.mode for look in looks)
    turned, animated = sum(look.turned for look in looks), sum(look.animated for look in looks)
    whole, cut = sum(look.deep for look in looks), sum(look.cut for look in looks)
    colours = [f"{modes[mode]:,} {name}" for mode, name in TO_RGB.items() if modes[mode]]
    if colours:
        yield f"read as RGB: {', '.join(colours)}"
    if whole:
        yield f"{counted(whole)} of more than 8 bits: {_ends_said(rule.deep)}"
    if cut:
        yield f"{counted(cut)} of 16 bits read by the upper 8: what ends at 4,095 of 65,535 is nearly black"
    if modes["F"]:
        yield f"{counted(modes['F'])} of floats: {_ends_said(rule.light)}"
    if turned:
        yield f"{counted(turned)} turned upright by their EXIF tag"
    if animated:
        yield f"{counted(animated, 'animation')} read by their first frame"


def _ends_said(scale: Scale) -> str:
    """``4,095 read as white``, ``-1,000 read as black, 2,000 as white``."""
    low, high = (f"{end:,.0f}" if end == round(end) else f"{end:.6g}" for end in (scale.low, scale.high))
    return f"{low} read as black, {high} as white" if scale.low else f"{high} read as white"


def _passed_over(shelf: Shelf, broken: dict[str, str]) -> Iterator[str]:
    if broken:
        named = ", ".join(f"{name} ({why})" for name, why in list(broken.items())[:5])
        yield f"skipped {len(broken):,} broken: {named}{', …' if len(broken) > 5 else ''}"
    if shelf.others:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in Counter(shelf.others).most_common(5))
        yield f"other files ignored: {kinds}"
