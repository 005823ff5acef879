"""Modes covered and high-quality samples on mixtures in the plane, by family, over seeds.

Protocol of Lin 2018 (PacGAN, section 4.1; after Srivastava 2017, VEEGAN): ring = 8 Gaussians on the unit circle with
standard deviation 0.01, grid = 25 Gaussians on {−4, −2, 0, 2, 4}² with 0.05, and 2,500 samples a model. A sample is of
high quality within 3 standard deviations of the nearest centre; a mode is covered by at least one such sample. Perfect
samples reach 98.9 %. Ours trains for a time rather than for epochs, on the training split of 100,000 points.

    python benchmarks/points.py --families gan,vae,diffusion,flow --data grid,ring --budget 60s --seeds 10 --jobs 2

Each model runs on one thread in a process of its own. With ``--out FILE`` every result is added to that file as a line
of JSON as soon as it is there, and results it already holds for the same budget are not made again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SAMPLES = 2500
KEY = ("data", "family", "seed", "budget")


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Train and score one model; `task` says data, family, seed and budget."""
    import torch

    import sansheng.run as sansheng
    from sansheng.builtin import centres
    from sansheng.metrics.coverage import modes
    from sansheng.session import read_journal

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = sansheng.train(
            task["data"],
            family=task["family"],
            budget=task["budget"],
            seed=task["seed"],
            device="cpu",
            out=Path(folder) / "run",
            previews=False,
        )
        covered, good = modes(run.draw(SAMPLES, seed=task["seed"]).values, *centres(task["data"]))
        last = read_journal(run.path)[-1]
    return {**task, "modes": covered, "high_quality": good, "steps": last["step"], "seconds": last["seconds"]}


def table(results: Iterable[dict[str, Any]]) -> str:
    """Markdown: one row for each data set and family."""
    from sansheng.builtin import centres

    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["data"], result["family"]), []).append(result)
    lines = [
        "| data | family | seeds | modes, mean | modes, fewest | high quality %, mean | lowest | steps, mean |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (data, family), group in groups.items():
        covered, good = [r["modes"] for r in group], [100 * r["high_quality"] for r in group]
        n, there = len(group), len(centres(data)[0])
        steps = sum(r["steps"] for r in group) / n
        lines.append(
            f"| {data} | {family} | {n} | {sum(covered) / n:.1f}/{there} | {min(covered)} "
            f"| {sum(good) / n:.1f} | {min(good):.1f} | {steps:,.0f} |"
        )
    return "\n".join(lines)


def read(path: Path | None) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Results by what they are of. A last line that was cut short is made again."""
    results = {}
    if path is not None and path.exists():
        for line in path.read_text("utf-8").splitlines():
            try:
                result = json.loads(line)
            except json.JSONDecodeError:
                continue
            results[tuple(result[name] for name in KEY)] = result
    return results


def add(path: Path | None, result: dict[str, Any]) -> None:
    """Append one line, on a line of its own even where the last was cut short."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + json.dumps(result) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="modes covered and high-quality samples on mixtures in the plane")
    parser.add_argument("--families", default="gan,vae,diffusion,flow")
    parser.add_argument("--data", default="grid,ring")
    parser.add_argument("--budget", default="60s", help="training time of one model")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="models trained at a time, one thread each")
    parser.add_argument("--out", type=Path, help="file of JSON lines to add to and go on from")
    return parser.parse_args()


def main() -> None:
    given = parse()
    tasks = [
        {"data": data, "family": family, "seed": seed, "budget": given.budget}
        for seed in range(given.seeds)
        for data in given.data.split(",")
        for family in given.families.split(",")
    ]
    results = read(given.out)
    left = [task for task in tasks if tuple(task[name] for name in KEY) not in results]
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes to come, which start afresh
    with multiprocessing.get_context("spawn").Pool(given.jobs, maxtasksperchild=1) as pool:
        for result in pool.imap_unordered(measure, left):
            print(json.dumps(result), flush=True)
            results[tuple(result[name] for name in KEY)] = result
            add(given.out, result)
    asked = [results[tuple(task[name] for name in KEY)] for task in tasks]
    print(table(sorted(asked, key=lambda r: (r["data"], r["family"], r["seed"]))))


if __name__ == "__main__":
    main()
