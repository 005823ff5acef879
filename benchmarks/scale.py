"""A million rows of 50 columns: does training fit into 8 GiB, and sampling into a memory that does not grow?

    python benchmarks/scale.py [--rows 1000000] [--steps 50] [--family flow] [--folder DIR]

Each of the three parts (the table, training, sampling) is a process of its own, whose peak resident memory is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS, CATEGORIES, GROUP = 25, 25, 50_000
LIMIT = 8.0
"""GiB resident that training may take."""


def write_table(path: Path, rows: int) -> None:
    """Numbers that follow five hidden ones, categories of 2 to 26 levels that follow the numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, NUMBERS))
    writer: pq.ParquetWriter | None = None
    for first in range(0, rows, GROUP):
        n = min(GROUP, rows - first)
        numbers = rng.normal(size=(n, 5)) @ mixing + 0.3 * rng.normal(size=(n, NUMBERS))
        columns: dict[str, Any] = {f"number{i}": np.exp(numbers[:, i] / 2).round(3) for i in range(NUMBERS)}
        for i in range(CATEGORIES):
            share = 1 / (1 + np.exp(-numbers[:, i] - rng.normal(size=n)))
            columns[f"category{i}"] = np.array([f"level{k}" for k in range(2 + i)])[(share * (2 + i)).astype(int)]
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def train(path: Path, out: Path, family: str, steps: int) -> None:
    from sansheng.run import train as train_run

    train_run(path, family=family, steps=steps, out=out, previews=False, observe=lambda event: print(" ", event.text))


def sample(run: Path, out: Path, rows: int) -> None:
    from sansheng.cli import main

    main(["sample", str(run), "-n", str(rows), "--out", str(out), "--force", "--quiet"])


def measured(work: Callable[..., None], pipe: Any, *arguments: Any) -> None:
    began = time.monotonic()
    work(*arguments)
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    pipe.send((time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit))


def apart(work: Callable[..., None], *arguments: Any) -> tuple[float, float]:
    """(seconds, peak resident GiB) of work done in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=measured, args=(work, there, *arguments))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        raise SystemExit(f"{work.__name__} failed") from None
    finally:
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--family", default="flow")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="sansheng-scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    table, run, drawn = folder / "table.parquet", folder / f"run-{given.family}", folder / "drawn.parquet"
    parts: dict[str, tuple[Any, ...]] = {
        "generating": (write_table, table, given.rows),
        "training": (train, table, run, given.family, given.steps),
        "sampling": (sample, run, drawn, given.rows),
    }
    for name, (work, *arguments) in parts.items():
        done = (name == "generating" and table.exists()) or (name == "training" and (run / "files.json").exists())
        if not done:
            seconds, peak = apart(work, *arguments)
            print(f"{name:<11} {given.rows:>10,} rows  {seconds:7.0f} s  {peak:6.2f} GiB at most", flush=True)
            if name == "training" and peak > LIMIT:
                print(f"            over the {LIMIT:.0f} GiB it may take")


if __name__ == "__main__":
    main()
