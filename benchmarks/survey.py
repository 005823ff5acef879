"""The survey's claims about the families, each as an experiment with a figure, an interval and a verdict.

    python benchmarks/survey.py --budget 60s --seeds 3 --out runs/survey          # every claim
    python benchmarks/survey.py --only collapse --budget 30s --seeds 10 --out runs/survey

blur      A VAE trains simply and its pictures are blurred: sharpness of samples against real digits, and whether the
          family that finds held-out digits likeliest is the one that draws them best.
collapse  A GAN is unstable and prone to mode collapse: modes of the ring and the grid over training, the minimax
          loss of the survey against the relativistic one with R1 and R2, on the same networks.
cost      Diffusion is better and more stable and pays in evaluations: quality against evaluations, and the spread over
          seeds of every family.

Results are added to ``results.json`` in the folder; ``docs/survey.md`` is written by hand from it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cpu import count_cpu_seconds
from scipy import ndimage, stats

import sansheng.run as sansheng
from sansheng.budget import Budget, Clock
from sansheng.builtin import centres
from sansheng.data import Batches, open_data
from sansheng.loop import State, train
from sansheng.metrics.coverage import modes
from sansheng.recipe import DataReference, build, resolve
from sansheng.score import fit_scorer

FAMILIES = ("vae", "gan", "diffusion", "flow")
EVALUATIONS = (1, 2, 4, 8, 16, 32, 64)
SAMPLES = 449
MOMENTS = 16
PLAIN = {"gamma": 0.0, "noise": 0.0, "coins": 0, "learning_rate": 3e-4, "betas": (0.5, 0.99)}
"""Without penalty, at the better of two learning rates on the ring (3e-4, 1e-3), as the default's needs the penalty."""
LOSSES = {
    "minimax (the survey's loss)": {"loss": "minimax", **PLAIN},
    "non-saturating": {"loss": "non_saturating", **PLAIN},
    "relativistic without penalty": {"loss": "relativistic", **PLAIN},
    "relativistic with R1 and R2 (default)": {},
}


def sharpness(images: np.ndarray) -> np.ndarray:
    """Standard deviation of each picture's Laplacian, ``(N,)`` [grey levels]: edges are what blur takes away."""
    pictures = images[..., 0].astype(float)
    return np.array([ndimage.laplace(picture, mode="nearest").std() for picture in pictures])


def interval(values: list[float]) -> dict[str, float]:
    """Mean over seeds with its 95 % interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return {"value": mean, "low": mean - half, "high": mean + half, "seeds": n, "sd": float(np.std(values))}


def blur_and_cost(budget: str, seeds: int) -> dict[str, Any]:
    """Digits by every family: sharpness, distance, bound, and quality against evaluations."""
    data = open_data("digits")
    scorer = fit_scorer(data, seed=0)
    real = sharpness(data.test_records.values)
    found: dict[str, Any] = {"real": {"sharpness": float(real.mean()), "error": float(stats.sem(real))}}
    for family in FAMILIES:
        rows: dict[str, list[float]] = {}
        curves: list[dict[int, float]] = []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                run = sansheng.train(
                    data, family=family, budget=budget, seed=seed, out=Path(folder) / "run", previews=False
                )
                records = run.draw(SAMPLES, seed=seed)
                scores = run.score(scorer, records, seed=seed)
                rows.setdefault("sharpness", []).append(float(sharpness(records.values).mean()))
                for name in ("frechet", "precision", "recall", "bound"):
                    if name in scores:
                        rows.setdefault(name, []).append(scores[name].value)
                if run.model.quick_sampler is not None:
                    curves.append(
                        {
                            n: scorer.quality(
                                run.draw(SAMPLES, seed=seed, steps=n, sampler=run.model.quick_sampler),
                                np.random.default_rng(seed),
                            ).value
                            for n in EVALUATIONS
                        }
                    )
        found[family] = {name: interval(values) for name, values in rows.items()}
        if curves:
            found[family]["by_evaluations"] = {n: interval([curve[n] for curve in curves]) for n in EVALUATIONS}
        print(family, json.dumps(found[family]), flush=True)
    return found


def collapse(budget: str, seeds: int) -> dict[str, Any]:
    """Modes over training for each loss, on the ring and the grid."""
    found: dict[str, Any] = {}
    for data in ("ring", "grid"):
        for name, settings in LOSSES.items():
            runs = [list(modes_over_training(data, budget, seed, settings)) for seed in range(seeds)]
            ends = [run[-1] for run in runs]
            found[f"{data}: {name}"] = {
                "modes": interval([end["modes"] for end in ends]),
                "high_quality": interval([end["high_quality"] for end in ends]),
                "all_modes": sum(end["modes"] == len(centres(data)[0]) for end in ends),
                "over_training": runs,
            }
            summary = {k: v for k, v in found[f"{data}: {name}"].items() if k != "over_training"}
            print(f"{data}: {name}", json.dumps(summary), flush=True)
    return found


def modes_over_training(name: str, budget: str, seed: int, settings: dict[str, Any]) -> Iterator[dict[str, float]]:
    """(progress, modes, high quality) of the averaged generator at sixteen moments of a training run."""
    data = open_data(name)
    limit = Budget.parse(budget)
    reference = DataReference(name=name, source=name, kind="array", digest="", split_seed=0)
    recipe = resolve(
        reference, data.codec.space, None, family="gan", preset="default", budget=limit, parameters=None, seed=seed,
        device="cpu", precision="fp32", overrides=settings, rows=len(data.train),
    )  # fmt: skip
    model = build(recipe, data.codec.space, None)
    model.measure(data.train.x[:20_000])
    state = State(model, Clock.start(limit), recipe.ema_length)
    batches = Batches(data.train, seed=seed, size=recipe.batch, device="cpu")
    due = 1 / MOMENTS
    for step in train(state, batches, seed=seed, budget=limit):
        if step.progress >= due:
            due += 1 / MOMENTS
            drawn = state.average.sample(2500, generator=torch.Generator().manual_seed(seed))
            covered, good = modes(data.codec.decode(drawn).values, *centres(name))
            yield {"progress": step.progress, "step": step.step, "modes": covered, "high_quality": good}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["blur", "collapse"])
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="budgets are in CPU seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/survey"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if args.only in (None, "blur"):
        results["digits"] = {"budget": args.budget, **blur_and_cost(args.budget, args.seeds)}
        path.write_text(json.dumps(results, indent=1))
    if args.only in (None, "collapse"):
        results["collapse"] = {"budget": args.budget, **collapse(args.budget, args.seeds)}
    path.write_text(json.dumps(results, indent=1))
    print(path)


if __name__ == "__main__":
    main()
