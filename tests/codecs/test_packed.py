"""A large table is kept small, and its rows are those of a small one, bit for bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sansheng.codecs import table as module
from sansheng.codecs.base import Deferred, Records
from sansheng.codecs.packed import pack
from sansheng.codecs.table import TableCodec
from sansheng.space import Category, Real, Space


def test_what_is_unpacked_was_packed() -> None:
    space = Space((Category(300), Real(2), Category(2)))
    x = space.harden(torch.randn(50, 304, generator=torch.Generator().manual_seed(0)))
    held = pack(space, x.split(7), 50)
    places = np.array([49, 0, 7, 7])
    assert torch.equal(held.encode(places), x[places])
    assert torch.equal(held.encode(np.arange(50)), x)


def test_large_tables_are_encoded_as_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 40, 500), "b": rng.choice(["x", "y"], 500), "c": rng.normal(size=500)})
    codec = TableCodec.fit(Records(frame), condition=("b",))
    whole = codec.encode(Records(frame))
    monkeypatch.setattr(module, "LARGE", 100)
    monkeypatch.setattr(module, "ROWS", 64)
    large = codec.encode(Records(frame))
    assert isinstance(large._x, Deferred)
    assert torch.equal(large.x, whole.x)
    some = torch.tensor([3, 499, 3])
    assert torch.equal(large.rows(some).x, whole.x[some])
    assert torch.equal(large.rows(some).condition, whole.condition[some])  # pyright: ignore
