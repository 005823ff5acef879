"""Every family against the packages of its own field on pictures: same data, CPU seconds and cores, in one run.

    python benchmarks/images.py --prepare environments
    python benchmarks/images.py mnist.npz --environments environments --cpu-seconds 1200 \\
        --out runs/images --features extractor/small_cnn.py --weights extractor/weights.safetensors
    python benchmarks/images.py --table runs/images/results.jsonl --figure docs/benchmarks-images.png

The data are an .npz with ``train_images``, ``test_images`` (uint8) and ``train_labels``. Contenders take turns of
``--turn`` CPU seconds, the others stopped, train until they have used ``--cpu-seconds`` and then draw ``--samples``
pictures. All are scored alike, against equally many training pictures where neighbourhoods are compared and all of them
for the Frechet distance; the row "real" is the test split. Features come from a Python file with ``load`` and
``features`` and its weights, or else from the package's own small network trained on the labels.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import contenders
import images_table
import numpy as np
from interleave import interleave

Features = Callable[[np.ndarray], np.ndarray]
MOST_SCORED = 5000


def extractor(data: Any, module: Path | None, weights: Path | None) -> Features:
    """``(N, H, W, C)`` uint8 to features ``(N, F)``."""
    if module is None:
        from sansheng.metrics.image import fit_classifier_features

        return fit_classifier_features(with_channel(data["train_images"]), data["train_labels"], seed=0)
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    network = loaded.load(str(weights))
    return lambda pictures: loaded.features(network, pictures[..., 0])


def with_channel(pictures: np.ndarray) -> np.ndarray:
    return pictures[..., None] if pictures.ndim == 3 else pictures


class Judge:
    """Scores pictures against the training pictures."""

    def __init__(self, features: Features, train: np.ndarray) -> None:
        self.features, self.train = features, features(with_channel(train))

    def scores(self, pictures: np.ndarray) -> dict[str, float]:
        """Frechet distance, precision, recall, density and coverage."""
        from sansheng.metrics.coverage import neighbourhoods
        from sansheng.metrics.distances import frechet

        fake = self.features(with_channel(pictures))
        rows = np.random.default_rng(0).permutation(len(self.train))
        n = min(len(fake), len(rows), MOST_SCORED)
        means = neighbourhoods(self.train[rows[:n]], fake[:n]).means()
        values = dict(zip(("precision", "recall", "density", "coverage"), means.tolist(), strict=True))
        return {"frechet": frechet(self.train, fake), **values}


def run(args: argparse.Namespace) -> Path:
    """One interleaved run; returns the file of results, a line for every row."""
    chosen = contenders.changed(contenders.choose(args.contenders), args.set)
    arguments = ["--data", str(args.data.resolve()), "--cpu-seconds", str(args.cpu_seconds)]
    arguments += ["--samples", str(args.samples), "--threads", str(args.threads), "--seed", str(args.seed)]
    jobs = [
        contenders.job(name, contender, args.environments, args.out, arguments, args.threads)
        for name, contender in chosen.items()
    ]
    if args.cores:  # inherited by the jobs, and only one of them runs at a time
        os.sched_setaffinity(0, {int(core) for core in args.cores.split(",")})
    statuses: dict[str, int] = {}
    for turn in interleave(jobs, args.turn):
        if turn.status is not None:
            statuses[turn.name] = turn.status
        state = "" if turn.status is None else f", ended with {turn.status}"
        print(f"{turn.name}: {turn.cpu_seconds:.1f} CPU s{state}", flush=True)
    return score(args, statuses)


def score(args: argparse.Namespace, statuses: dict[str, int]) -> Path:
    """Score what the contenders left in ``out``; one that failed has a line that says so."""
    data = np.load(args.data)
    judge = Judge(extractor(data, args.features, args.weights), data["train_images"])
    asked = {"data": args.data.name, "budget": args.cpu_seconds, "turn": args.turn, "seed": args.seed}
    real = with_channel(data["test_images"])[: args.samples]
    np.savez_compressed(args.out / "real.npz", images=real[: images_table.SHOWN])
    lines: list[dict[str, Any]] = [
        {"row": "real", "samples": len(real), "pictures": "real.npz", **judge.scores(real)},
    ]
    for name, status in statuses.items():
        lines += [known | judge.scores(pictures) for known, pictures in left_by(name, args.out)]
        if status:
            lines.append({"row": name, "contender": name, "failed": last_line(args.out / name / "log.txt", status)})
    results = args.out / "results.jsonl"
    results.write_text("".join(json.dumps(line | asked) + "\n" for line in lines))
    return results


def left_by(name: str, out: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """What is known of each row of a contender, and its pictures."""
    for file in sorted((out / name).glob("*.json")):
        place = {"contender": name, "pictures": f"{name}/{file.stem}.npz"}
        yield place | json.loads(file.read_text()), np.load(out / place["pictures"])["images"]


def last_line(log: Path, status: int) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"status {status}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--prepare", type=Path, metavar="DIR", help="make the environments of the peers and stop")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of these results and stop")
    parser.add_argument("--figure", type=Path, help="with --table: draw this file too")
    parser.add_argument("--environments", type=Path, default=Path("runs/environments"))
    parser.add_argument("--contenders", default="", help="names separated by commas; all if none")
    parser.add_argument("--set", action="append", default=[], metavar="CONTENDER.KEY=VALUE")
    parser.add_argument("--cpu-seconds", type=float, default=1200.0)
    parser.add_argument("--turn", type=float, default=20.0, help="CPU seconds of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", default="", help="cores to stay on, such as 0,1")
    parser.add_argument("--samples", type=int, default=MOST_SCORED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/images"))
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    if args.prepare:
        contenders.prepare(args.prepare)
        return
    if args.data is None and args.table is None:
        raise SystemExit("give the data (an .npz file), --prepare DIR or --table FILE")
    try:
        results = args.table or run(args)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    rows = images_table.read(results)
    print(images_table.markdown(rows))
    if args.figure:
        images_table.draw(rows, results.parent, args.figure)


if __name__ == "__main__":
    main(sys.argv[1:])
