"""Gaps are what the model was told are gaps, and what fills them obeys the equations among its rules."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sansheng.cli import main
from sansheng.imputing import impute, read_table, write_filled
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


def holed(n: int = 200) -> pa.Table:
    """Columns of many types, with gaps, under an index with a name."""
    rng = np.random.default_rng(0)

    def gaps(values: list, every: int) -> list:
        return [None if i % every == 3 else value for i, value in enumerate(values)]

    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(i)) for i in rng.integers(0, 900, n)]
    hours = pd.date_range("2022-01-01", periods=n, freq="h", tz="Europe/Berlin").tolist()
    prices = [decimal.Decimal(int(v)).scaleb(-2) for v in rng.integers(100, 10**6, n)]
    table = pa.table(
        {
            "code": pa.array((10**17 + rng.integers(0, 10**9, n)).tolist(), pa.int64()),
            "x": pa.array(rng.normal(size=n).round(3)),
            "price": pa.array(gaps(prices, 10), pa.decimal128(10, 2)),
            "day": pa.array(gaps(days, 17), pa.date32()),
            "yes": pa.array(gaps((rng.random(n) < 0.5).tolist(), 9), pa.bool_()),
            "small": pa.array(gaps(rng.integers(0, 99, n).tolist(), 11), pa.int32()),
            "large": pa.array(gaps((10**17 + rng.integers(0, 4, n)).tolist(), 8), pa.int64()),
            "at": pa.array(gaps(hours, 13), pa.timestamp("us", "Europe/Berlin")),
            "ward": pa.array(gaps(rng.choice(["a", "b"], n).tolist(), 7)).dictionary_encode(),
            "patient": pa.array(range(1000, 1000 + n), pa.int64()),
        }
    )
    frame = table.select(["x", "patient"]).to_pandas().set_index("patient")
    return table.replace_schema_metadata(pa.Schema.from_pandas(frame).metadata)


def test_a_parquet_table_keeps_its_schema_its_index_and_what_was_observed(tmp_path: Path) -> None:
    source, target = tmp_path / "t.parquet", tmp_path / "full.parquet"
    pq.write_table(holed(), source)
    run = train(source, family="flow", out=tmp_path / "r", steps=5, parameters=8_000, previews=False)
    write_filled(impute(run, read_table(source)), run.codec, source, target, 0)
    before, after = pq.read_table(source), pq.read_table(target)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert pd.read_parquet(target).index.name == "patient"
    for name in before.column_names:
        old, new = before.column(name).to_pylist(), after.column(name).to_pylist()
        assert None not in new
        assert [b for a, b in zip(old, new, strict=True) if a is not None] == [a for a in old if a is not None]


def test_filled_thousands_are_set_off_as_the_others_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pay = [f'"{v:,}"' if i % 10 else "" for i, v in enumerate(rng.integers(20_000, 90_000, 300))]
    lines = [f"{text},{v:.2f}" for text, v in zip(pay, rng.normal(size=300), strict=True)]
    (tmp_path / "pay.csv").write_text("\n".join(["pay,x", *lines]) + "\n")
    run = train(tmp_path / "pay.csv", family="flow", out=tmp_path / "r", steps=5, parameters=8_000, previews=False)
    made = impute(run, read_table(tmp_path / "pay.csv"))
    write_filled(made, run.codec, tmp_path / "pay.csv", tmp_path / "full.csv", 0)
    full = read_table(tmp_path / "full.csv")
    assert full["pay"].dtype == np.int64
    assert full["pay"].between(20_000, 90_000).all()
