"""How fast every family trains and draws on each device and precision of this machine, on the same data.

    python benchmarks/devices.py digits wine prices.csv lines.txt [--devices cpu cuda+fp32 cuda+bf16] [--budget 5s]

A run is what `sansheng train` makes with that budget and no other setting; it is then drawn from twice, and the faster
counts. Prints one line of JSON each: steps and examples a second while training, examples a second of drawing, and
the last losses. A file's kind may follow it after a `=`: ``prices.csv=series``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import sansheng.run
from sansheng.data import Data, open_data
from sansheng.devices import available

FAMILIES = ("vae", "gan", "diffusion", "flow")


def measure(data: Data, family: str, device: str, budget: str, n: int) -> dict[str, Any]:
    device, _, precision = device.partition("+")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = sansheng.run.train(
            data, family=family, budget=budget, device=device, precision=precision or "auto",
            out=Path(folder) / "run", previews=False,
        )  # fmt: skip
        whole = time.perf_counter() - began
        journal = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    steps = [line for line in journal if "step" in line]
    times = []
    for seed in range(2):
        began = time.perf_counter()
        run.draw(n, seed=seed)
        times.append(time.perf_counter() - began)
    rate = steps[-1]["step"] / steps[-1]["seconds"]
    return {
        "data": data.name, "family": family, "device": run.recipe.device, "precision": run.recipe.precision,
        "steps": steps[-1]["step"], "steps_per_second": round(rate, 1),
        "examples_per_second": round(rate * run.recipe.batch), "batch": run.recipe.batch,
        "drawn_per_second": round(n / min(times)), "whole_seconds": round(whole, 1),
        "last": {k: round(v, 4) for k, v in steps[-1]["values"].items() if k.endswith("loss")},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--devices", nargs="+", default=available(), help="such as cpu, cuda+fp32, cuda+bf16")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--budget", default="5s")
    parser.add_argument("--drawn", type=int, default=1000)
    parser.add_argument("--threads", type=int, help="of the processor, at most")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    for source in asked.data:
        path, _, kind = source.partition("=")
        data = open_data(path, kind=kind or None)
        for family in asked.families:
            for device in asked.devices:
                print(json.dumps(measure(data, family, device, asked.budget, asked.drawn)), flush=True)


if __name__ == "__main__":
    main()
