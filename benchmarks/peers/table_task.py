"""What every contender on tables is asked, its clock, and what it hands back. Needs numpy, pandas and torch alone.

The one constraint: the clock is the CPU time of this process (all threads), from the moment libraries are loaded and
the table is read; training, preparation of the columns included, ends with the first step that meets the budget.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch


class TableTask:
    """Arguments of a contender: folder of the data, budget [CPU s], threads, seed, out, and options ``key=value``."""

    def __init__(self, library: str, **defaults: Any) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
        parser.add_argument("--cpu-seconds", type=float, required=True)
        parser.add_argument("--timed", type=int, default=100_000, help="rows drawn to time the drawing")
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", type=Path, required=True)
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        args = parser.parse_args()
        chosen = dict(pair.split("=", 1) for pair in args.set)
        if unknown := set(chosen) - set(defaults):
            raise SystemExit(f"unknown option {', '.join(sorted(unknown))}; there are {', '.join(sorted(defaults))}")
        self.library, self.budget, self.timed, self.seed, self.out = (
            library, args.cpu_seconds, args.timed, args.seed, args.out,
        )  # fmt: skip
        self.options = defaults | {name: type(defaults[name])(text) for name, text in chosen.items()}
        self.train, self.test = (pd.read_csv(args.data / name) for name in ("train.csv", "test.csv"))
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        np.random.seed(args.seed)
        self.start()

    def start(self) -> None:
        """The budget counts from here."""
        self._began = time.process_time()

    def spent(self) -> float:
        return time.process_time() - self._began

    def report(self, draw: Callable[[int], pd.DataFrame], parameters: int, trained: float, **known: Any) -> None:
        """Draw as many rows as there are to train on, write them, then draw `timed` rows against the clock."""
        draw(len(self.train)).to_csv(self.out / "rows.csv", index=False)
        began, wall = time.process_time(), time.perf_counter()
        draw(self.timed)
        meta = {
            "library": self.library, "version": importlib.metadata.version(self.library), "parameters": parameters,
            "cpu_seconds": round(trained, 1), "drawn": self.timed,
            "draw_cpu_seconds": round(time.process_time() - began, 1),
            "draw_seconds": round(time.perf_counter() - wall, 1), **known,
        }  # fmt: skip
        (self.out / "meta.json").write_text(json.dumps(meta))
