"""A raw CSV to as many valid synthetic rows as it has: training, time to sample, and what is wrong with the rows.

    python benchmarks/valid_rows.py adult_train.csv [--families vae gan diffusion flow] [--budget 60s] [--rows 32561]
    python benchmarks/valid_rows.py support2.csv --rows 40000 --cpu --threads 1

A row is valid if it has the table's columns and types, only levels the table has, and numbers within its range, other
than identifiers; gaps may only come where the table has them. It says how many points a column's share of gaps
is off on average, at worst, and in how many columns by more than one. With ``--cpu`` a second of the budget is one
of this process's processor time. Prints one line of JSON a family, with shape, trend and missing errors against
the training split, usefulness, and what attacks on privacy find (value and 95 % interval).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from cpu import count_cpu_seconds
from pandas.api import types

import sansheng.run
from sansheng.data import open_data
from sansheng.metrics import score_privacy, score_usefulness
from sansheng.metrics.privacy import Attacks
from sansheng.metrics.table import table_errors
from sansheng.metrics.usefulness import choose_target


def faults(real: pd.DataFrame, made: pd.DataFrame, identifiers: Collection[str]) -> list[str]:
    """What is wrong with the rows, in words."""
    if list(real.columns) != list(made.columns):
        return ["other columns"]
    found = [f"{c}: {made[c].dtype}, not {real[c].dtype}" for c in real if made[c].dtype != real[c].dtype]
    for column in real:
        a, b = real[column], made[column]
        if b.isna().any() and not a.isna().any():
            found.append(f"{column}: gaps where there are none")
        if column in identifiers:
            continue
        if types.is_numeric_dtype(a):
            if b.min() < a.min() or b.max() > a.max():
                found.append(f"{column}: outside of [{a.min()}, {a.max()}]")
        elif strange := set(b.dropna()) - set(a.dropna()):
            found.append(f"{column}: {len(strange)} unknown levels")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--families", nargs="+", default=["vae", "gan", "diffusion", "flow"])
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--rows", type=int, default=32_561)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu", action="store_true", help="count seconds of processor time")
    asked = parser.parse_args()
    if asked.cpu:
        count_cpu_seconds()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    data = open_data(asked.path)
    real, held_out = data.train_records.values, data.test_records.values
    identifiers = [c.name for c in data.codec.columns if c.kind == "identifier"]
    attacks, target = Attacks(real, held_out), choose_target(real)
    for family in asked.families:
        with tempfile.TemporaryDirectory() as folder:
            run = sansheng.run.train(data, family=family, budget=asked.budget, out=Path(folder) / "run", previews=False)
            began = time.perf_counter()
            made = run.sample(asked.rows)
            seconds = time.perf_counter() - began
            steps = json.loads((run.path / "journal.jsonl").read_text().splitlines()[-1])["step"]
        errors, rng = table_errors(real, made), np.random.default_rng(0)
        scores = score_privacy(attacks.run(made, rng))
        if target is not None:
            scores |= score_usefulness(made, held_out, target, generator=rng)
        line = {
            "family": family,
            "steps": steps,
            "rows": len(made),
            "sample_seconds": round(seconds, 1),
            "faults": faults(real, made, identifiers),
            "share_of_gaps": [round(float(np.mean(t.isna())), 4) for t in (real, made)],
            "shape_error": round(errors.shape, 2),
            "trend_error": round(errors.trend, 2),
            "missing_error": round(errors.missing_mean, 2),
            "missing_above_one": sum(points > 1 for points in errors.missing.values()),
            "missing_worst": max((round(points, 2), column) for column, points in errors.missing.items()),
            "scores": {name: [round(v, 4) for v in (s.value, s.low, s.high)] for name, s in scores.items()},
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
