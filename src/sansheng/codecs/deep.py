"""Pictures of 16 bits a channel, all 16 of them: of those in colour or with alpha, Pillow alone keeps the upper 8.

The one constraint: Pillow decodes them, once by the upper and once by the lower byte of every number; what it has no
such pair of decoders for is left to it, and said (`is_cut`).
"""

from __future__ import annotations

import re
import sys
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

SIXTEEN = re.compile(r".*;16[BLN]")
"""How Pillow calls numbers of 16 bits: upper byte first, lower byte first, as on this machine."""
MODES = ("RGB", "RGBA", "LA", "CMYK")
BOTH_BYTES = "LA;16B"
"""Grey and alpha have as many bytes as red, green, blue and alpha of 8 bits, so that one decoding gives all of them."""


def is_cut(image: Image.Image) -> bool:
    """Whether Pillow would keep only the upper 8 bits; to be asked before the pixels are loaded."""
    return image.mode in MODES and SIXTEEN.fullmatch(_coding(image)) is not None


def numbers(image: Image.Image, file: IO[bytes], formats: tuple[str, ...]) -> np.ndarray | None:
    """A picture that `is_cut` as ``(H, W, C)`` uint16, upright, C = 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    image: as just opened from `file`, which is read once more. None where Pillow cannot give the lower bytes.
    """
    coding = _coding(image)
    if coding == BOTH_BYTES:
        pairs = _decoded(_coded(image, "RGBA"))
        return pairs[..., 0::2] * np.uint16(256) + pairs[..., 1::2]
    lower = _lower(coding)
    if lower is None:
        return None
    upper = _decoded(image)
    with Image.open(file, formats=formats) as again:
        return upper * np.uint16(256) + _decoded(_coded(again, lower))


def _lower(coding: str) -> str | None:
    """The decoder that takes the other byte of each number: the lower one."""
    order = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    return coding[:-1] + order[coding[-1]] if coding[:-1] in ("RGB;16", "RGBA;16") else None


def _coding(image: Image.Image) -> str:
    tiles: list[Any] = getattr(image, "tile", [])
    if not tiles:
        return ""
    given = tiles[0][3]
    return str(given if isinstance(given, str) else given[0] if given else "")


def _coded(image: Image.Image, coding: str) -> Image.Image:
    image.tile = [_tile(tile, coding) for tile in image.tile]  # pyright: ignore[reportAttributeAccessIssue]
    return image


def _tile(tile: Any, coding: str) -> Any:
    given = coding if isinstance(tile[3], str) else (coding, *tile[3][1:])
    made = (*tile[:3], given)
    return made if type(tile) is tuple else type(tile)(*made)


def _decoded(image: Image.Image) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
