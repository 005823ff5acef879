"""Every family against CTGAN and TVAE on tables: same rows, CPU seconds and cores, interleaved in one run.

    python benchmarks/tables.py --prepare environments
    python benchmarks/tables.py adult_train.csv --test adult_test.csv --target income --environments environments \\
        --cpu-seconds 600 --seeds 0,1,2 --out runs/tables/adult
    python benchmarks/tables.py --table runs/tables/adult/results.jsonl
    python benchmarks/tables.py --redraw adams:12,heun:10 --target income --out runs/tables/adult

``--redraw`` draws anew, by each sampler and its steps, from the flows and diffusions that are kept, and adds the rows;
with ``--calibrate`` from all families, after what training ends with now.
Without ``--test`` a fifth of the rows is held out. A contender named ``NAME@SECONDS`` has a budget of its own, which
may be ``inf``: ``ctgan@inf`` takes its 300 epochs. Each draws as many rows as there are to train on. Scores: shape and
trend error against the training rows [%]; the AUC of boosted trees told 8,000 drawn from 8,000 training rows (0.5 is
best); that of boosted trees trained on drawn rows and tested on held-out ones; the share of drawn rows nearer to the
training rows than to as many held-out ones [%]. Reference rows: held-out rows (as many as are drawn, or all there are;
where they are fewer, "real" trains the predictor on as many training rows), and columns drawn each on its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import contenders
import numpy as np
import pandas as pd
from interleave import interleave

OURS = {f"sansheng-{f}": contenders.Contender("run_sansheng_table.py", "", {"family": f}) for f in contenders.OURS}
PEERS = {name: contenders.Contender("run_ctgan.py", "ctgan", {"model": name}) for name in ("ctgan", "tvae")}
CONTENDERS = OURS | PEERS
TOLD = 8000
HELD_OUT = 0.2
FOREVER = 1e9
COLUMNS = (
    ("seed", "seed", "d"), ("shape error", "shape", ".2f"), ("trend error", "trend", ".2f"),
    ("tree AUC", "tree_auc", ".3f"), ("predictor AUC", "useful", ".4f"), ("nearer to train [%]", "nearer", ".1f"),
    ("training [CPU s]", "cpu_seconds", ".0f"), ("100,000 rows [CPU s]", "per_100000", ".1f"),
    ("parameters", "parameters", ",d"), ("steps", "steps", ",d"), ("epochs", "epochs", "d"),
)  # fmt: skip


class Judge:
    """Scores rows against training rows, with the held-out ones for the predictor and for what is near."""

    def __init__(self, train: pd.DataFrame, test: pd.DataFrame, target: str | None) -> None:
        from sansheng.metrics.rows import RowSpace
        from sansheng.metrics.usefulness import choose_target

        self.train, self.test, self.target = train, test, choose_target(train, target)
        self.space = RowSpace.fit(train)
        self.near = [self.space.points(self.space.read(frame)) for frame in (train, test)]

    def columns(self, frame: pd.DataFrame) -> np.ndarray:
        """Numbers as they are and levels by their frequency in training, −1 beyond the smallest for missing."""
        parts = []
        for column in self.space.columns:
            values = pd.to_numeric(frame[column.name]).to_numpy(float) if column.numbers is not None else None
            values = column.read(frame) if values is None else values
            parts.append(np.where(np.isnan(values), np.nanmin(values, initial=0.0) - 1, values))
        return np.column_stack(parts)

    def scores(self, made: pd.DataFrame, *, predictor: pd.DataFrame | None = None) -> dict[str, float]:
        from sansheng.metrics.memory import nearer_to_train
        from sansheng.metrics.table import table_errors
        from sansheng.metrics.twosample import two_sample_auc
        from sansheng.metrics.usefulness import usefulness

        errors, rng = table_errors(self.train, made), np.random.default_rng(0)
        told = two_sample_auc(self.columns(self.train), self.columns(made), rng, limit=TOLD)
        some = made.iloc[:TOLD]
        found = {"shape": errors.shape, "trend": errors.trend, "tree_auc": told.auc}
        found["nearer"] = 100 * nearer_to_train(*self.near, self.space.points(self.space.read(some)), rng).mean()
        if self.target is not None:
            trained_on = made if predictor is None else predictor
            found["useful"] = usefulness(trained_on, self.test, self.target).value
        return {name: float(value) for name, value in found.items()}


def references(judge: Judge) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    n = min(len(judge.test), len(judge.train))
    real = judge.scores(judge.test.iloc[:n], predictor=judge.train)
    del real["nearer"]  # they are the held-out rows themselves
    yield {"row": "real", "rows": n, **real}
    shuffled = pd.DataFrame({c: judge.train[c].to_numpy()[rng.permutation(len(judge.train))] for c in judge.train})
    shuffled = shuffled.astype(judge.train.dtypes.to_dict())
    yield {"row": "columns on their own", "rows": len(shuffled), **judge.scores(shuffled)}


def named(asked: str) -> dict[str, tuple[contenders.Contender, float | None]]:
    """Contenders with the budgets of their own. Raises ValueError listing the valid names."""
    found = {}
    for name in [part for part in asked.split(",") if part] or list(CONTENDERS):
        bare, _, seconds = name.partition("@")
        if bare not in CONTENDERS:
            raise ValueError(f"no contender is called {bare}; there are {', '.join(CONTENDERS)}")
        found[name] = CONTENDERS[bare], min(float(seconds), FOREVER) if seconds else None
    return found


def run(args: argparse.Namespace) -> Path:
    """One interleaved run for each seed; returns the file of results, a line for every row."""
    train, test = split(args.data, args.test)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, frame in (("train", train), ("test", test)):
        frame.to_csv(args.out / f"{name}.csv", index=False)
    train, test = (pd.read_csv(args.out / f"{name}.csv") for name in ("train", "test"))
    judge, chosen = Judge(train, test, args.target), named(args.contenders)
    results = args.out / "results.jsonl"
    if not results.exists():
        results.write_text("".join(json.dumps(line) + "\n" for line in references(judge)))
    for seed in args.seeds.split(","):
        race(args, chosen, int(seed))
        lines = [line_of(args, name, int(seed), judge) for name in chosen]
        with results.open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
    return results


def split(data: Path, test: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    whole = pd.read_csv(data)
    if test is not None:
        return whole, pd.read_csv(test)
    order = np.random.default_rng(0).permutation(len(whole))
    held = round(HELD_OUT * len(whole))
    return whole.iloc[np.sort(order[held:])], whole.iloc[np.sort(order[:held])]


def race(args: argparse.Namespace, chosen: dict[str, tuple[contenders.Contender, float | None]], seed: int) -> None:
    arguments = ["--data", str(args.out.resolve()), "--threads", str(args.threads), "--seed", str(seed)]
    jobs = []
    for name, (contender, seconds) in chosen.items():
        budget = ["--cpu-seconds", str(seconds or args.cpu_seconds), "--timed", str(args.timed)]
        place = args.out / f"seed-{seed}"
        jobs.append(contenders.job(name, contender, args.environments, place, [*arguments, *budget], args.threads))
    if args.cores:
        os.sched_setaffinity(0, {int(core) for core in args.cores.split(",")})
    for turn in interleave(jobs, args.turn):
        if turn.status is not None:
            print(f"seed {seed}, {turn.name}: {turn.cpu_seconds:.0f} CPU s, ended with {turn.status}", flush=True)


def line_of(args: argparse.Namespace, name: str, seed: int, judge: Judge) -> dict[str, Any]:
    folder = args.out / f"seed-{seed}" / name
    asked = {"row": name, "seed": seed, "budget": args.cpu_seconds}
    if not (folder / "meta.json").exists():
        log = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
        return asked | {"failed": log[-1] if log else "said nothing"}
    made = pd.read_csv(folder / "rows.csv").astype(judge.train.dtypes.to_dict())
    meta = json.loads((folder / "meta.json").read_text())
    meta["per_100000"] = meta["draw_cpu_seconds"] * 100_000 / meta["drawn"]
    return asked | meta | judge.scores(made)


def redraw(args: argparse.Namespace) -> Path:
    """Scores of rows drawn anew from the models that are kept, each sampler and seed a row."""
    import torch

    torch.set_num_threads(args.threads)
    train, test = (pd.read_csv(args.out / f"{name}.csv") for name in ("train", "test"))
    judge, results = Judge(train, test, args.target), args.out / "results.jsonl"
    for name in ("flow", "diffusion", "vae", "gan") if args.calibrate else ("flow", "diffusion"):
        for folder in sorted(args.out.glob(f"seed-*/sansheng-{name}*")):
            for choice in args.redraw.split(",") if name in ("flow", "diffusion") else ["calibrated"]:
                seed = int(folder.parent.name.removeprefix("seed-"))
                run = reopened(folder / "run", choice, train if args.calibrate else None)
                began = time.process_time()
                made = run.sample(len(train), seed=seed)
                took = (time.process_time() - began) * 100_000 / len(train)
                scores = judge.scores(made.astype(train.dtypes.to_dict()))
                line = {"row": f"{folder.name}, {choice}", "seed": seed, "per_100000": took, **scores}
                with results.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    return results


def reopened(folder: Path, choice: str, train: pd.DataFrame | None) -> Any:
    """The run, drawing by SAMPLER:STEPS if it can; calibrated as after training if `train` is given."""
    from sansheng import calibration, checkpoint, codecs
    from sansheng.drawing import Drawn
    from sansheng.families.diffusion import Diffusion
    from sansheng.families.flow import Flow
    from sansheng.run import load

    run = load(folder)
    if isinstance(run.model, Diffusion | Flow):
        (sampler, _, steps), default = choice.partition(":"), run.model.default
        run.model.default = Drawn(sampler, int(steps) if steps else default.steps, default.guidance)
    if train is not None:
        steps = checkpoint.entries(folder / "checkpoint")[0]["step"]
        n = calibration.drawn_each_round(run.model, steps * run.recipe.batch)
        encoded = run.codec.encode(codecs.table.from_frame(train).records)
        calibration.match_levels(run.model, encoded, n, run.recipe.seed)
    return run


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """A table of all rows, in the order they were measured."""
    rows = ["| | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for line in lines:
        cells = ["" if line.get(key) is None else format(line[key], form) for _, key, form in COLUMNS]
        rows.append(f"| {line['row']} | " + " | ".join(cells) + " |" + line.get("failed", ""))
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--prepare", type=Path, metavar="DIR", help="make the environment of the peers and stop")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of these results and stop")
    parser.add_argument(
        "--redraw", default="", metavar="SAMPLER[:STEPS],...", help="draw from the runs in --out and stop"
    )
    parser.add_argument("--calibrate", action="store_true", help="with --redraw: runs from before this was usual")
    parser.add_argument("--test", type=Path)
    parser.add_argument("--target")
    parser.add_argument("--environments", type=Path, default=Path("runs/environments"))
    parser.add_argument("--contenders", default="", help="names separated by commas; all if none")
    parser.add_argument("--cpu-seconds", type=float, default=600.0)
    parser.add_argument("--turn", type=float, default=10.0, help="CPU seconds of a turn")
    parser.add_argument("--timed", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", default="", help="cores to stay on, such as 0,1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    args = parser.parse_args(arguments)
    if args.prepare:
        contenders.prepare(args.prepare, ["ctgan"])
    elif args.table:
        print(markdown([json.loads(line) for line in args.table.read_text().splitlines()]))
    elif args.redraw:
        print(markdown([json.loads(line) for line in redraw(args).read_text().splitlines()]))
    elif args.data is None:
        parser.error("give a table, --prepare, --table or --redraw")
    else:
        print(markdown([json.loads(line) for line in run(args).read_text().splitlines()]))


if __name__ == "__main__":
    main(sys.argv[1:])
