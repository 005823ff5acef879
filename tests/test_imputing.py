"""Gaps are what the model was told are gaps, and what fills them obeys the equations among its rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sansheng.cli import main
from sansheng.imputing import impute
from sansheng.run import Run, train

RULES = ("total = sub + fee", "sub = x + y")


def bills(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, y, fee = (rng.gamma(4, 2, n).round(1) for _ in range(3))
    return pd.DataFrame({"x": x, "y": y, "fee": fee, "sub": (x + y).round(1), "total": (x + y + fee).round(1)})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of bills whose column y is written as text, "-" for what nobody knew."""
    folder = tmp_path_factory.mktemp("bills")
    frame = bills()
    frame.assign(y=frame.y.astype(str).mask(frame.index % 20 == 0, "-")).to_csv(folder / "b.csv", index=False)
    return train(
        folder / "b.csv", family="flow", out=folder / "r", steps=60, parameters=8_000, previews=False, rules=RULES,
        types={"y": "number"},
    )  # fmt: skip


def test_what_is_filled_obeys_equations_and_what_was_observed_stays(run: Run) -> None:
    whole = bills(80, 1)
    holed = whole.copy()
    holed.loc[::2, "sub"] = np.nan
    holed.loc[::3, "total"] = np.nan
    holed.loc[::10, "y"] = np.nan
    made = impute(run, holed).filled()
    assert not made.isna().any().any()
    for name in whole:
        seen = holed[name].notna()
        assert (made[name][seen] == holed[name][seen]).all()
    filled = holed["total"].isna()
    np.testing.assert_allclose(made.total[filled], (made["sub"] + made.fee)[filled], atol=0.051)
    filled = holed["sub"].isna()
    np.testing.assert_allclose(made["sub"][filled], (made.x + made.y)[filled], atol=0.051)


def test_observed_cells_that_break_a_rule_are_what_gaps_are_computed_from(run: Run) -> None:
    wrong = bills(20, 3)
    wrong["sub"], wrong["total"] = 100.0, np.nan
    made = impute(run, wrong).filled()
    assert (made["sub"] == 100).all()
    np.testing.assert_allclose(made["total"], 100 + made.fee, atol=0.051)


def test_texts_that_are_no_numbers_are_gaps_where_training_said_so(run: Run, tmp_path: Path) -> None:
    frame = bills(12, 2)
    frame.assign(y=frame.y.astype(str).mask(frame.index == 3, "-")).to_csv(tmp_path / "new.csv", index=False)
    assert main(["impute", str(run.path), str(tmp_path / "new.csv"), "--out", str(tmp_path / "full.csv")]) == 0
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("new.csv", "full.csv"))
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [4]
    assert float(after[4].split(",")[1]) > 0


def test_what_is_filled_obeys_rules_that_no_formula_restores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"low": rng.normal(size=300).round(2), "high": rng.normal(size=300).round(2)})
    run = train(
        frame, family="flow", out=tmp_path / "r", steps=60, parameters=8_000, previews=False, rules=("low <= high",),
    )  # fmt: skip
    holed = pd.DataFrame({"low": rng.normal(size=60).round(2), "high": np.nan})
    made = impute(run, holed)
    assert (made.filled().low == holed.low).all()
    wide = holed.low < 1
    assert (made.filled().high >= made.filled().low)[wide].all()
    assert made.broken == (made.filled().high < made.filled().low).sum()
    hopeless = impute(run, pd.DataFrame({"low": [99.0], "high": [np.nan]}))
    assert hopeless.broken == 1
