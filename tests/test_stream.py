"""Rows that are written piece by piece make one table, in which nothing begins anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sansheng import stream
from sansheng.cli import main
from sansheng.run import train


def test_pieces_make_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"key": [f"P{i:03d}" for i in range(200)], "x": rng.normal(size=200), "y": rng.choice([*"ab"], 200)}
    )
    run = train(frame, family="vae", out=tmp_path / "r", steps=2, parameters=3000, previews=False)
    monkeypatch.setattr(stream, "PIECE", 50)
    out = tmp_path / "drawn.parquet"
    assert main(["sample", str(run.path), "-n", "130", "--out", str(out), "--quiet"]) == 0
    assert pq.ParquetFile(out).num_row_groups == 3
    made = pd.read_parquet(out)
    assert list(made.columns) == ["key", "x", "y"]
    assert not set(made["key"]) & set(frame["key"])
    issued = made["key"].str[1:].astype(int)
    assert list(issued) == list(range(issued[0], issued[0] + 130)), "issued on from piece to piece"
    assert len(set(made["x"])) > 120
    first = run.sample(50)
    pd.testing.assert_frame_equal(made.head(50), first, check_dtype=False)
