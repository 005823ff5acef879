"""Pictures in any form people keep them, to bytes: arrays of any layout and range, PIL images of any mode.

The one constraint: a rule is settled once (from the training split) and then holds for every picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sansheng.errors import DataError

MAX_SIDE = 128
"""Larger pictures are shrunk to this [px]: full resolution is what costs."""
FEW_LEVELS = 16
"""Numbers up to this are levels of grey (scikit-learn's digits have 17), not a very dark picture."""
CHUNK = 4096
DEPTHS = (255, 1023, 4095, 16383, 65535)
"""What can be white in a picture of more than 8 bits: the largest number of 8, 10, 12, 14 or 16 bits."""
LARGEST = 512
"""The longest side a person may ask for [px]."""
LIKE = {"deep": "whole", "whole": "deep", "light": "real", "real": "light"}
"""Scales of files (deep, light) and of arrays (whole, real) of the same kind of number."""


@dataclass(frozen=True)
class Scale:
    """Which numbers are black and white. note: what to tell the person, or None where nothing is changed."""

    low: float
    high: float
    note: str | None = None

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """round(255 (x − low)/(high − low)), clipped, uint8 of the same shape."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        out = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), CHUNK):
            part = values[start : start + CHUNK].astype(np.float64)
            scaled = (part - self.low) * (255 / (self.high - self.low))
            out[start : start + CHUNK] = np.rint(scaled).clip(0, 255)
        return out


def scale_of(values: np.ndarray) -> Scale:
    """Find the scale of an array of pictures.

    Truth values and floats in [0, 1] or [−1, 1] fill the range of a byte; numbers up to 255 are bytes already, unless
    none is above 16: then the largest is white. All others follow the rule of files (`deep_scale`).
    Raises DataError for values that are not finite numbers.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(f"images must be numbers, not {values.dtype}")
    if values.dtype.kind == "b":
        return Scale(0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        bad = next(i for i, image in enumerate(values) if not np.isfinite(image).all())
        raise DataError(f"image {bad} holds values that are not finite numbers")
    if (low >= 0 and FEW_LEVELS < high <= 255) or low == high == 0:
        return Scale(0.0, 255.0)
    if values.dtype.kind == "f" and low >= -1 and high <= 1:
        floor = 0.0 if low >= 0 else -1.0
        return Scale(floor, 1.0, f"values in [{floor:g}, 1] read as black to white")
    scale = deep_scale(low, high)
    read = f"{scale.high:,.0f} read as white" if scale.high in DEPTHS else "stretched to 0 … 255"
    return Scale(scale.low, scale.high, f"values from {low:g} to {high:g}: {read}")


def settled_scales(options: Mapping[str, str]) -> dict[str, Scale]:
    """The scales of the option `scale`, as `ImageCodec.reading` writes it, by what they are of; none without it.

    Raises ValueError for another text.
    """
    try:
        ends = json.loads(options.get("scale", "{}"))
        return {name: Scale(float(low), float(high)) for name, (low, high) in ends.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"scale is what a codec says of the data it was fitted on, not {options['scale']!r}") from None


def settled_of(kind: str, settled: Mapping[str, Scale], low: float, high: float) -> Scale | None:
    """The settled scale for numbers of a `kind` from `low` to `high`, or None where there is none.

    Files are read by the scale of arrays, and arrays by that of files, where it holds all of their values.
    """
    other = settled.get(LIKE.get(kind, ""))
    alike = other is not None and other.low <= low <= high <= other.high and (high <= 1) == (other.high <= 1)
    return settled.get(kind) or (other if alike else None)


def kept_scales(scales: Mapping[str, Scale]) -> dict[str, dict[str, list[float]]]:
    """What records of pictures say of how they were read, as JSON: black and white, by what these are of."""
    return {"scale": {name: [scale.low, scale.high] for name, scale in scales.items()}} if scales else {}


def to_nhwc(values: np.ndarray) -> tuple[np.ndarray, str | None]:
    """An array of pictures as ``(N, H, W, C)``, C in 1 … 4, and a remark if the axes were moved.

    Reads (N, H, W), (N, H, W, C), (N, C, H, W) and rows of H·W numbers of a square picture. Two channels are grey
    and alpha, four are RGB and alpha.
    Raises DataError for any other shape.
    """
    shape = values.shape
    if 0 in shape or not shape:
        raise DataError(f"an array of shape {shape} holds no images")
    if values.ndim == 4 and shape[3] <= 4:
        return values, None
    if values.ndim == 4 and shape[1] <= 4:
        return np.moveaxis(values, 1, 3), "channels-first images turned to channels-last"
    one_picture = values.ndim == 3 and shape[2] in (3, 4) and shape[1] > 4
    if values.ndim == 3 and not one_picture:
        return values[..., None], None
    side = round(shape[-1] ** 0.5)
    if values.ndim == 2 and side * side == shape[1]:
        return values.reshape(-1, side, side, 1), f"rows of {shape[1]} numbers read as images of {side} x {side}"
    hint = " (one colour image? a set of them is needed)" if one_picture else ""
    raise DataError(
        f"an array of shape {shape} is not images{hint}; allowed: (N, H, W), (N, H, W, 1…4), (N, 1…4, H, W)"
    )


def array_to_images(
    values: np.ndarray, scale: Scale, alpha: bool = False, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Bytes ``(N, H, W, C)``: scaled, brought to `size` (width, height) or else shrunk to `MAX_SIDE`.

    Transparent ones are laid over white unless `alpha`.
    """
    images = np.ascontiguousarray(scale.to_bytes(to_nhwc(values)[0]))
    if images.shape[3] in (2, 4) and not alpha:
        images = over_white(images)
    images = resized(images, size or capped((images.shape[2], images.shape[1])))
    return cleared(images) if images.shape[3] in (2, 4) else images


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bytes ``(N, *, *, C)``, each cropped to the aspect of `size` (width, height) and resized to it."""
    if images.shape[1:3] == size[::-1]:
        return images
    return np.stack([_channels_last(fitted(to_picture(image), size)) for image in images])


def asked_size(options: Mapping[str, str]) -> tuple[int, int] | None:
    """(width, height) of the option `size`, ``"32"`` or ``"28x36"`` (height x width), or None where nothing is asked.

    Raises ValueError for another text, or a side over `LARGEST`.
    """
    text = options.get("size")
    if text is None:
        return None
    sides = [int(side) for side in text.lower().split("x") if side.strip().isdigit()]
    if len(sides) != text.lower().count("x") + 1 or len(sides) > 2 or not 1 <= min(sides) <= max(sides) <= LARGEST:
        raise ValueError(
            f"--size is a side such as 32, or HEIGHTxWIDTH such as 28x36, of 1 to {LARGEST} px, not {text!r}"
        )
    return sides[-1], sides[0]


def cut_off(size: tuple[int, int], target: tuple[int, int]) -> float:
    """Which share of a picture of `size` (width, height) is cropped to give it the aspect of `target`."""
    aspects = size[0] / size[1], target[0] / target[1]
    return 1 - min(aspects) / max(aspects)


def by(height: int, width: int) -> str:
    """``64 x 64``, ``28 high x 36 wide``."""
    return f"{height} x {width}" if height == width else f"{height} high x {width} wide"


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) shrunk to `MAX_SIDE`; sides of a shrunk picture are multiples of 8."""
    factor = MAX_SIDE / max(size)
    if factor >= 1:
        return size
    width, height = (max(8, 8 * round(side * factor / 8)) for side in size)
    return width, height


@dataclass(frozen=True)
class Rule:
    """How pictures of any mode become bytes. deep, light: the scales of those of more than 8 bits, and of floats."""

    alpha: bool = False
    deep: Scale = Scale(0.0, 65535.0)
    light: Scale = Scale(0.0, 1.0)


def counted(n: int, thing: str = "image") -> str:
    """``1 image``, ``2,000 images``."""
    return f"{n:,} {thing}{'s' * (n != 1)}"


def depth_of(high: float) -> float:
    """What is white where pictures of more than 8 bits go up to `high`: the least of `DEPTHS` that holds it, or `high`
    where it is beyond them or of few levels."""
    if 0 < high <= FEW_LEVELS:
        return high
    return next((float(depth) for depth in DEPTHS if high <= depth), high)


def deep_scale(low: float, high: float) -> Scale:
    """Of pictures of more than 8 bits with these values; those below 0 have no depth, and are stretched."""
    return Scale(low, high if high > low else low + 1) if low < 0 else Scale(0.0, depth_of(high))


def light_scale(low: float, high: float) -> Scale:
    """Of pictures of floats with these values, as for arrays where they are in [0, 1] or [−1, 1]."""
    if high > 1 or low < -1:
        return deep_scale(low, high)
    return Scale(-1.0 if low < 0 else 0.0, 1.0)


def plain(image: Image.Image, rule: Rule) -> tuple[Image.Image, bool]:
    """A picture of any mode as L, RGB, LA or RGBA, one rule each, and whether any of it is transparent.

    More than 8 bits, floats: by the scale of `rule`. Palette, CMYK, YCbCr, Lab, HSV: to RGB. Colour
    pictures whose channels are all equal: L. Transparency (RGBA, LA, that of one colour): over white, or with
    ``rule.alpha`` kept, and what cannot be seen is white.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return plain_numbers(np.asarray(image)[..., None], rule, image.info.get("transparency"), image.mode == "F")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return _seen(rgba[..., :3], rgba[..., 3:], rule.alpha)
    if image.mode in ("1", "L"):
        return image.convert("L"), False
    return _greyed(np.asarray(image.convert("RGB"))), False


def plain_numbers(numbers: np.ndarray, rule: Rule, clear: Any = None, light: bool = False) -> tuple[Image.Image, bool]:
    """As `plain`, of a picture ``(H, W, 1 … 4)`` by a scale of `rule`: `light`, or else deep. clear: the number, or the
    three of them, that cannot be seen.

    Opaque is the white of the scale, if no alpha is above, and else the largest number of 16 bits.
    """
    scale, channels = rule.light if light else rule.deep, numbers.shape[2]
    colours = scale.to_bytes(numbers[..., : channels - (channels in (2, 4))])
    if channels in (2, 4):
        alpha = numbers[..., -1:]
        opacity = Scale(0.0, scale.high if alpha.max() <= scale.high else float(DEPTHS[-1])).to_bytes(alpha)
    elif clear is None:
        return _greyed(colours), False
    else:
        opacity = np.where((numbers == np.asarray(clear)).all(axis=2, keepdims=True), np.uint8(0), np.uint8(255))
    return _seen(np.broadcast_to(colours, (*colours.shape[:2], 3)), opacity, rule.alpha)


def _seen(colours: np.ndarray, opacity: np.ndarray, alpha: bool) -> tuple[Image.Image, bool]:
    """Bytes ``(H, W, 3)`` with those of their alpha ``(H, W, 1)`` as a picture, and whether any is transparent."""
    rgba, clear = np.concatenate([colours, opacity], axis=2), bool((opacity < 255).any())
    return _greyed(cleared(rgba) if clear and alpha else over_white(rgba)), clear


def _greyed(pixels: np.ndarray) -> Image.Image:
    """Bytes ``(H, W, 1, 3 or 4)``; colours that are all equal become grey."""
    if (pixels[..., 1:3] == pixels[..., :1]).all():
        pixels = pixels[..., [0, *range(3, pixels.shape[2])]]
    return to_picture(pixels)


def over_white(images: np.ndarray) -> np.ndarray:
    """Pictures ``(..., 2 or 4)``, the last channel alpha, laid over white: ``(..., 1 or 3)``."""
    opacity = images[..., -1:].astype(np.float32) / 255
    return np.rint(images[..., :-1] * opacity + 255 * (1 - opacity)).astype(np.uint8)


def cleared(images: np.ndarray) -> np.ndarray:
    """Pictures ``(..., 2 or 4)`` with white where nothing is seen, so that no hidden colour is learnt."""
    colours = np.where(images[..., -1:] == 0, np.uint8(255), images[..., :-1])
    return np.concatenate([colours, images[..., -1:]], axis=-1)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Centre-cropped to the aspect of `size` (width, height), then resized to it; clear pixels do not bleed."""
    if image.size == size:
        return image
    return ImageOps.fit(image, size, method=Image.Resampling.LANCZOS)


def to_picture(image: np.ndarray) -> Image.Image:
    """``(H, W, C)`` bytes as L, LA, RGB or RGBA for C = 1 … 4."""
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))


def widened(image: Image.Image, channels: int) -> np.ndarray:
    """A picture in L, LA, RGB or RGBA as ``(H, W, 3 or 4)``: grey repeated, opaque where it has no alpha."""
    mode = "RGB" if channels == 3 else "RGBA"
    pixels = np.asarray(image.convert(mode))
    return cleared(pixels) if image.mode in ("LA", "RGBA") and channels == 4 else pixels


def narrowed(images: np.ndarray, channels: int) -> np.ndarray:
    """Pictures ``(N, H, W, 3 or 4)`` with only `channels` (1 … 4): over white without alpha, luma without colour."""
    if channels in (1, 3) and images.shape[3] == 4:
        images = over_white(images)
    if channels >= 3:
        return images
    red, green, blue = (images[..., i].astype(np.uint32) for i in range(3))
    luma = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)  # ITU-R 601-2, as Pillow
    return np.stack([luma, images[..., 3]], axis=3) if channels == 2 else luma[..., None]


def _channels_last(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
