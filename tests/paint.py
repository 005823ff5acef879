"""Pictures for tests, and their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sansheng.codecs import Source


def pictures(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def notes(source: Source) -> str:
    return " | ".join(source.notes)
