"""Frechet distance, sampling speed and conditional accuracy of every family on 28 x 28 digits.

Features and the classifier that names the digits are given as a Python file with ``load``, ``features`` and ``logits``
and a file of weights, so figures compare with others measured with the same two:

    python benchmarks/mnist.py mnist.npz extractor/small_cnn.py extractor/weights.safetensors --budget 20m --threads 2

Every model is scored on 5,000 samples against the 60,000 training pictures; "real" is every second picture of the test
split. With ``--condition label`` samples are asked for by label and the share named right is added, of diffusion and
flow at each strength of ``--guidance 1,1.5,2`` too (1,000 samples each). With ``--sweep dpmpp_2m:16,heun:100`` these
two are scored with those samplers and steps as well, on ``--sweep-samples``. A line of JSON is added to ``--out`` for
every model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from cpu import count_cpu_seconds

import sansheng.run as sansheng
from sansheng import checkpoint
from sansheng.data import Data, open_data
from sansheng.metrics.distances import frechet
from sansheng.run import Run

SAMPLES = 5000
TIMED = 1000


def module_from(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Judge:
    """The features of the training pictures, and what is asked of samples."""

    def __init__(self, module: Path, weights: Path, data: Data) -> None:
        self.module = module_from(module)
        self.network = self.module.load(str(weights))
        self.train = self.module.features(self.network, np.asarray(data.train_records.values)[..., 0])
        self.test = self.module.features(self.network, np.asarray(data.test_records.values)[::2, ..., 0])

    def distance(self, images: np.ndarray) -> float:
        return frechet(self.train, self.module.features(self.network, images[..., 0]))

    def named_right(self, images: np.ndarray, labels: np.ndarray) -> float:
        return float((np.asarray(self.module.logits(self.network, images[..., 0]).argmax(1)) == labels).mean())


def measure(run: Run, judge: Judge, sweep: list[tuple[str, int]], samples: int) -> dict[str, Any]:
    """Distance, speed and, of a conditional model, accuracy."""
    records = run.draw(SAMPLES)
    began = time.perf_counter()
    run.draw(TIMED, seed=1)
    seconds = time.perf_counter() - began
    result: dict[str, Any] = {"frechet": judge.distance(records.values), "seconds_1000": seconds}
    result["steps"] = checkpoint.entries(run.path / "checkpoint")[0]["step"]
    if records.labels:
        result["named_right"] = judge.named_right(records.values, next(iter(records.labels.values())))
    if sweep and run.model.quick_sampler is not None:
        result["sweep"] = [sweep_point(run, judge, sampler, steps, samples) for sampler, steps in sweep]
    return result


def guided(run: Run, judge: Judge, strength: float) -> dict[str, float]:
    """What guidance by the label does."""
    records = run.draw(TIMED, guidance=strength)
    right = judge.named_right(records.values, next(iter(records.labels.values())))
    return {"guidance": strength, "frechet": judge.distance(records.values), "named_right": right}


def sweep_point(run: Run, judge: Judge, sampler: str, steps: int, samples: int) -> dict[str, Any]:
    began = time.perf_counter()
    images = run.draw(samples, sampler=sampler, steps=steps).values
    seconds = (time.perf_counter() - began) * 1000 / samples
    return {"sampler": sampler, "steps": steps, "frechet": judge.distance(images), "seconds_1000": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--families", default="vae,gan,diffusion,flow")
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--condition", default="")
    parser.add_argument("--guidance", default="", metavar="STRENGTH,...")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--sweep", default="", metavar="SAMPLER:STEPS,...")
    parser.add_argument("--sweep-samples", type=int, default=2000)
    parser.add_argument("--runs", type=Path, default=Path("runs/mnist"))
    parser.add_argument("--out", type=Path, default=Path("runs/mnist.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    data = open_data(args.data, condition=tuple(name for name in args.condition.split(",") if name))
    judge = Judge(args.features, args.weights, data)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print("real", round(frechet(judge.train, judge.test), 3), flush=True)
    pairs = [pair.split(":") for pair in args.sweep.split(",") if pair]
    sweep = [(sampler, int(steps)) for sampler, steps in pairs]
    for family in args.families.split(","):
        run = sansheng.train(
            data, family=family, budget=args.budget, seed=args.seed, out=args.runs / family, force=True,
            parameters=args.parameters, settings=dict(pair.split("=", 1) for pair in args.set),
        )  # fmt: skip
        asked = {"family": family, "budget": args.budget, "seed": args.seed, "condition": args.condition}
        asked |= {"set": args.set, "parameters": args.parameters, "threads": args.threads, "cpu": args.cpu}
        result = asked | measure(run, judge, sweep, args.sweep_samples)
        if args.condition and run.model.quick_sampler is not None:
            result["guided"] = [guided(run, judge, float(w)) for w in args.guidance.split(",") if w]
        with args.out.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
