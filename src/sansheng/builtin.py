"""Data sets that need no file: those scikit-learn ships and generated points. Nothing is downloaded.

The one constraint: each is the same on every run; what is drawn is drawn from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sansheng.codecs.base import Records, Source
from sansheng.errors import unknown

POINTS = 100_000
MOONS = 20_000
RING_SD = 0.01
GRID_SD = 0.05
MIXTURES = ("ring", "grid")
"""Those whose modes are known: see `centres`."""


def names() -> tuple[str, ...]:
    """The names of all built-in data sets."""
    return tuple(BUILTIN)


def load(name: str) -> tuple[str, Source]:
    """(kind, source) of a built-in data set. Raises ValueError listing them for an unknown name."""
    if name not in BUILTIN:
        raise unknown("built-in data set", name, BUILTIN)
    kind, make = BUILTIN[name]
    return kind, Source(make())


def centres(name: str) -> tuple[np.ndarray, float]:
    """The modes ``(M, 2)`` of "ring" or "grid" and their standard deviation, for counting those a model covers.

    Raises ValueError for data that is no such mixture.
    """
    if name == "ring":
        angle = 2 * np.pi * np.arange(8) / 8
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), RING_SD
    if name == "grid":
        axis = np.arange(-4.0, 5.0, 2.0)
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2), GRID_SD
    raise unknown("mixture", name, MIXTURES)


def _mixture(name: str) -> Records:
    """Equal Gaussians about the centres; the label "mode" is the index of the centre."""
    generator = np.random.default_rng(0)
    middle, sd = centres(name)
    mode = generator.integers(len(middle), size=POINTS)
    points = middle[mode] + sd * generator.standard_normal((POINTS, 2))
    return Records(points.astype(np.float32), {"mode": mode})


def _moons() -> Records:
    from sklearn.datasets import make_moons

    points, moon = make_moons(MOONS, noise=0.05, random_state=0)
    return Records(np.asarray(points, np.float32), {"moon": np.asarray(moon, np.int64)})


def _checkerboard() -> Records:
    """Uniform on the dark half of a board of 4 x 4 squares of side 2 over [−4, 4]²."""
    generator = np.random.default_rng(0)
    column = generator.integers(4, size=POINTS)
    row = 2 * generator.integers(2, size=POINTS) + column % 2
    corner = 2.0 * np.stack([column, row], axis=1) - 4
    return Records((corner + 2 * generator.random((POINTS, 2))).astype(np.float32))


def _digits() -> Records:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Records(pixels[..., None], {"label": bunch.target.astype(np.int64)})


def _iris() -> Records:
    from sklearn.datasets import load_iris

    return _frame(load_iris(as_frame=True), "species", np.array(["setosa", "versicolor", "virginica"]))


def _wine() -> Records:
    from sklearn.datasets import load_wine

    return _frame(load_wine(as_frame=True), "class", np.array([0, 1, 2]))


def _breast_cancer() -> Records:
    from sklearn.datasets import load_breast_cancer

    return _frame(load_breast_cancer(as_frame=True), "diagnosis", np.array(["malignant", "benign"]))


def _diabetes() -> Records:
    """With unscaled measurements, as a person would hold them."""
    from sklearn.datasets import load_diabetes

    return _frame(load_diabetes(as_frame=True, scaled=False), "progression", None)


def _frame(bunch: Any, target: str, levels: np.ndarray | None) -> Records:
    """A scikit-learn table with its target as the last column, by level if it has levels."""
    values = bunch["target"].to_numpy()
    return Records(bunch["data"].assign(**{target: values if levels is None else levels[values]}))


BUILTIN: dict[str, tuple[str, Callable[[], Records]]] = {
    "digits": ("image", _digits),
    "wine": ("table", _wine),
    "breast-cancer": ("table", _breast_cancer),
    "iris": ("table", _iris),
    "diabetes": ("table", _diabetes),
    "ring": ("array", lambda: _mixture("ring")),
    "grid": ("array", lambda: _mixture("grid")),
    "moons": ("array", _moons),
    "checkerboard": ("array", _checkerboard),
}
