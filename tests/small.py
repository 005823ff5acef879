"""Small data of every kind, made by seeded generators, that train in a blink."""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = ("image", "table", "text", "array")
FAMILIES = ("vae", "gan", "diffusion", "flow")


def make(kind: str, n: int = 60) -> object:
    """`n` records of a kind, as a person would hold them in memory."""
    rng = np.random.default_rng(7)
    if kind == "image":
        return rng.integers(0, 256, (n, 6, 5, 1), dtype=np.uint8)
    if kind == "array":
        return rng.standard_normal((n, 3)).astype(np.float32)
    if kind == "text":
        return ["".join(rng.choice(list("abcde"), rng.integers(2, 7))) for _ in range(n)]
    age = rng.integers(18, 90, n).astype(float)
    age[::7] = np.nan
    return pd.DataFrame({"age": age, "job": rng.choice(["clerk", "cook", "poet"], n), "paid": rng.exponential(10, n)})
