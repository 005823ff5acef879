"""Windows of series: the published judges, a stronger one, and what is known of good series, for every family.

    python benchmarks/series.py stock_goog.csv --budget 15m --threads 1 --cpu
    python benchmarks/series.py stock_goog.csv --budget 15m --threads 1 --cpu --shuffled --real
    python benchmarks/series.py etth1.csv --budget 20m --threads 1 --cpu --forecast 24 --last 24
    python benchmarks/series.py ecg5000_train.csv --budget 10m --threads 1 --cpu --condition label

Windows of 24 unless told, in [0, 1] by their channels. The published protocol (Yoon 2019) knows no held-out windows:
samples are compared with those trained on, as many of each, and so are held-out windows, which differ from them by what
has changed in time. It draws windows of all times; with ``--shuffled`` so does this, and held-out windows then overlap
those trained on: of stock prices, predictions learnt from real windows err by 0.037 on these and by 0.044 on the first
four fifths alone, whatever the model. Judges are trained three times, from seeds 0, 1 and 2; their mean is given. With
`--forecast` models that can are asked for the steps after held-out pasts, beside a repetition of the last `--last`
steps: mean absolute error of the median of 20 draws, and the continuous ranked probability score, both in [0, 1] units.
With `--condition` a classifier trained on real windows says whether samples are what was asked for. A line of JSON is
added to ``--out`` for every row.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cpu import count_cpu_seconds

import sansheng.run as sansheng
from sansheng import checkpoint
from sansheng.codecs.series_past import Past
from sansheng.data import Data, open_data
from sansheng.filling import Drawing
from sansheng.forecasting import go_on
from sansheng.metrics.judges import discriminate, prediction_errors
from sansheng.metrics.kernels import RandomKernels
from sansheng.metrics.series import continuous_ranked_probability, series_errors
from sansheng.run import Run

JUDGES = 3
STRONG = 24
SAMPLES = 3000
PASTS, DRAWS = 100, 100


def judged(train: np.ndarray, windows: np.ndarray, judges: int) -> dict[str, float]:
    """Means over judges of the published scores and of a stronger judge's, and distances of distributions."""
    seeds = range(judges)
    told = [discriminate(train, windows, seed=s).score for s in seeds]
    strong = [discriminate(train, windows, seed=s, hidden=STRONG).score for s in seeds]
    off = [float(prediction_errors(train, windows, seed=s).mean()) for s in seeds]
    scores = {"discriminative": told, "strong": strong, "predictive": off}
    return {name: float(np.mean(values)) for name, values in scores.items()} | asdict(series_errors(train, windows))


def forecasts(run: Run | None, data: Data, horizon: int, last: int) -> dict[str, float]:
    """Errors of what follows held-out pasts; without a model of a repetition of the last steps."""
    held_out, n = data.test_records, data.codec.space.positions[0]
    starts = np.linspace(0, len(held_out.values) - 1 - horizon - last, PASTS).round().astype(int)
    rows = np.concatenate([held_out.values[:, 0], held_out.values[-1, 1:]])  # windows begin one step after another
    past = np.stack([rows[s : s + max(last, n)] for s in starts])
    truth = np.stack([rows[s + max(last, n) : s + max(last, n) + horizon] for s in starts])
    if run is None:
        again = np.tile(past[:, -last:], (1, -(-horizon // last), 1))[:, :horizon]
        drawn = again[None]
    else:
        labels = {name: column[starts] for name, column in held_out.labels.items() if name in data.condition}
        found = go_on(run, Past(past, list(range(PASTS)), labels=labels), horizon, Drawing(DRAWS))
        drawn = found.reshape(PASTS, DRAWS, *found.shape[1:]).swapaxes(0, 1)
    low, high = np.nanmin(data.train_records.values, (0, 1)), np.nanmax(data.train_records.values, (0, 1))
    drawn, truth = ((values - low) / (high - low) for values in (drawn, truth))
    error = np.abs(np.median(drawn, axis=0) - truth).mean()
    return {"mae": float(error), "crps": float(continuous_ranked_probability(drawn, truth).mean())}


def named_right(data: Data, records: Any, classifier: RandomKernels) -> float:
    label = data.condition[0]
    return float((classifier.classes[classifier.predict(records.values)] == records.labels[label]).mean())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--families", default="vae,gan,diffusion,flow")
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--condition", default="")
    parser.add_argument("--window", type=int, help="steps of a window")
    parser.add_argument("--shuffled", action="store_true", help="split windows at random, not by time")
    parser.add_argument("--forecast", type=int, default=0, metavar="STEPS")
    parser.add_argument("--last", type=int, default=24, help="steps that are repeated for reference")
    parser.add_argument("--judges", type=int, default=JUDGES)
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--real", action="store_true", help="the rows of real data too")
    parser.add_argument("--runs", type=Path, default=Path("runs/series"))
    parser.add_argument("--out", type=Path, default=Path("runs/series.jsonl"))
    args = parser.parse_args()
    if args.shuffled and (args.condition or args.forecast):
        parser.error("--shuffled windows have neither labels nor an order in time")
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    options = {"window": str(args.window)} if args.window else {}
    condition = tuple(name for name in args.condition.split(",") if name)
    data = open_data(args.data, kind="series", condition=condition, options=options)
    if args.shuffled:
        data = open_data(data.train_records.join(data.test_records), kind="series")  # channels keep their names
    train = data.train_records.values
    classifier = None
    if data.condition:
        classifier = RandomKernels(train, data.train_records.labels[data.condition[0]], seed=0)
    args.out.parent.mkdir(parents=True, exist_ok=True)

    def tell(name: str, found: dict[str, Any]) -> None:
        row = {"data": args.data.stem, "row": name, "budget": args.budget, "threads": args.threads, "cpu": args.cpu}
        row["window"] = args.window
        row |= {"shuffled": args.shuffled, "set": args.set, "parameters": args.parameters} | found
        with args.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    if args.real:
        half = np.random.default_rng(0).permutation(len(train))
        halves = np.split(train[half[: len(half) // 2 * 2]], 2)
        tell("halves of the training windows", judged(*halves, args.judges))
        found = judged(train, data.test_records.values, args.judges)
        if classifier is not None:
            found["named_right"] = named_right(data, data.test_records, classifier)
        if args.forecast:
            found |= forecasts(None, data, args.forecast, args.last)
        tell("held-out", found)
    for family in args.families.split(","):
        for seed in range(args.seeds):
            run = sansheng.train(
                data, family=family, budget=args.budget, seed=seed, out=args.runs / f"{args.data.stem}-{family}-{seed}",
                force=True, parameters=args.parameters, settings=dict(pair.split("=", 1) for pair in args.set),
            )  # fmt: skip
            began = time.perf_counter()
            drawn = run.draw(min(SAMPLES, len(train)))
            found = {"seed": seed, "seconds_1000": (time.perf_counter() - began) * 1000 / len(drawn)}
            found["steps"] = checkpoint.entries(run.path / "checkpoint")[0]["step"]
            found |= judged(train, drawn.values, args.judges)
            if classifier is not None:
                found["named_right"] = named_right(data, drawn, classifier)
            if args.forecast and family in ("diffusion", "flow"):
                found |= forecasts(run, data, args.forecast, args.last)
            tell(family, found)


if __name__ == "__main__":
    main()
