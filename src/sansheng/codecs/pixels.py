"""Pictures in any form people keep them, to bytes: arrays of any layout and range, PIL images of any mode.

The one constraint: a rule is settled once (from the training split) and then holds for every picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from sansheng.errors import DataError

MAX_SIDE = 128
"""Larger pictures are shrunk to this [px]: full resolution is what costs."""
FEW_LEVELS = 16
"""Whole numbers up to this are levels of grey (scikit-learn's digits have 17), not a very dark picture."""
CHUNK = 4096


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

    Truth values and floats in [0, 1] or [−1, 1] fill the range of a byte; numbers up to 255 are bytes already,
    unless none is above 16; every other range is stretched, from 0 (or the least value if negative) to the largest.
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
    floor = min(low, 0.0)
    return Scale(floor, high if high > floor else floor + 1.0, f"values from {low:g} to {high:g} stretched to 0 … 255")


def to_nhwc(values: np.ndarray) -> tuple[np.ndarray, str | None]:
    """An array of pictures as ``(N, H, W, C)``, C in 1, 3, 4, and a remark if the axes were moved.

    Reads (N, H, W), (N, H, W, C), (N, C, H, W) and rows of H·W numbers of a square picture.
    Raises DataError for any other shape.
    """
    shape = values.shape
    if 0 in shape or not shape:
        raise DataError(f"an array of shape {shape} holds no images")
    if values.ndim == 4 and shape[3] in (1, 3, 4):
        return values, None
    if values.ndim == 4 and shape[1] in (1, 3, 4):
        return np.moveaxis(values, 1, 3), "channels-first images turned to channels-last"
    one_picture = values.ndim == 3 and shape[2] in (3, 4) and shape[1] > 4
    if values.ndim == 3 and not one_picture:
        return values[..., None], None
    side = round(shape[-1] ** 0.5)
    if values.ndim == 2 and side * side == shape[1]:
        return values.reshape(-1, side, side, 1), f"rows of {shape[1]} numbers read as images of {side} x {side}"
    hint = " (one colour image? a set of them is needed)" if one_picture else ""
    raise DataError(
        f"an array of shape {shape} is not images{hint}; allowed: (N, H, W), (N, H, W, 1|3), (N, 1|3, H, W)"
    )


def array_to_images(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Bytes ``(N, H, W, 1 or 3)``: scaled, transparent ones laid over white, shrunk to `MAX_SIDE`."""
    images = np.ascontiguousarray(scale.to_bytes(to_nhwc(values)[0]))
    height, width = images.shape[1:3]
    if images.shape[3] == 4:
        images = np.stack([np.asarray(over_white(Image.fromarray(image))) for image in images])
    if max(height, width) > MAX_SIDE:
        size = capped((width, height))
        images = np.stack([_resized(image, size) for image in images])
    return images


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) shrunk to `MAX_SIDE`; sides of a shrunk picture are multiples of 8."""
    factor = MAX_SIDE / max(size)
    if factor >= 1:
        return size
    width, height = (max(8, 8 * round(side * factor / 8)) for side in size)
    return width, height


def plain(image: Image.Image) -> Image.Image:
    """A picture of any mode as L or RGB, one rule each.

    Transparency (RGBA, LA, a palette's): over white. 16 bits: divided by 257. Floats: [0, 1] read as black to white,
    or bytes if any is above 1. Palette, CMYK, YCbCr, Lab, HSV: to RGB. Colour pictures whose channels are all equal: L.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(np.rint(np.asarray(image) / 257.0).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return Image.fromarray(Scale(0.0, 1.0 if values.max() <= 1 else 255.0).to_bytes(values))
    if image.has_transparency_data:
        image = over_white(image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    colours = np.asarray(image.convert("RGB"))
    grey = (colours == colours[..., :1]).all()
    return Image.fromarray(np.ascontiguousarray(colours[..., 0]) if grey else colours)


def over_white(image: Image.Image) -> Image.Image:
    """A transparent picture laid over white, RGB."""
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Centre-cropped to the aspect of `size` (width, height), then resized to it."""
    if image.size == size:
        return image
    return ImageOps.fit(image, size, method=Image.Resampling.LANCZOS)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """A picture ``(H, W)`` or ``(H, W, 3)`` as ``(H, W, channels)``: grey repeated, colour to its luma."""
    if image.ndim == 2:
        return np.repeat(image[..., None], channels, axis=2)
    return image if channels == 3 else np.asarray(Image.fromarray(image).convert("L"))[..., None]


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    grey = image.shape[2] == 1
    small = np.asarray(fitted(Image.fromarray(image[..., 0] if grey else image), size))
    return small[..., None] if grey else small
