"""Small data of every kind, made by seeded generators, that train in a blink."""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = ("image", "table", "text", "array", "series", "audio")
FAMILIES = ("vae", "gan", "diffusion", "flow")
RATE, WINDOW = 8000, 8
ASKED = {
    "series": {"kind": "series", "options": {"window": WINDOW}},
    "audio": {"kind": "audio", "options": {"rate": RATE, "mels": 32}},
}
"""What a person says of data that would else be taken for a table or an array."""


def make(kind: str, n: int = 60) -> object:
    """`n` records of a kind, as a person would hold them in memory."""
    rng = np.random.default_rng(7)
    if kind == "image":
        return rng.integers(0, 256, (n, 6, 5, 1), dtype=np.uint8)
    if kind == "array":
        return rng.standard_normal((n, 3)).astype(np.float32)
    if kind == "text":
        return ["".join(rng.choice(list("abcde"), rng.integers(2, 7))) for _ in range(n)]
    if kind == "series":
        return rows_in_time(n + 2 * (WINDOW - 1), rng)
    if kind == "audio":
        return np.stack([tone(hertz) for hertz in rng.uniform(200, 2000, n)])
    age = rng.integers(18, 90, n).astype(float)
    age[::7] = np.nan
    return pd.DataFrame({"age": age, "job": rng.choice(["clerk", "cook", "poet"], n), "paid": rng.exponential(10, n)})


def rows_in_time(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """A price that grows, a number that now and then is missing, and a count, day by day."""
    warmth = np.sin(np.arange(n) / 3) + 0.1 * rng.standard_normal(n)
    warmth[::9] = np.nan
    price = (50 * np.exp(np.cumsum(0.02 + 0.03 * rng.standard_normal(n)))).round(2)
    days = pd.date_range("2024-01-01", periods=n)
    return pd.DataFrame({"date": days, "price": price, "warmth": warmth, "visits": rng.poisson(6, n)})


def tone(hertz: float, samples: int = 8192) -> np.ndarray:
    """A sine that swells and fades, ``(T,)`` in [−1, 1]."""
    return (np.sin(2 * np.pi * hertz * np.arange(samples) / RATE) * np.hanning(samples)).astype(np.float32)
