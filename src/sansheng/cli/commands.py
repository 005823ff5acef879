"""The commands: each calls what does the work and prints what came of it.

The one constraint: importing this file imports neither torch nor numpy, so that help and complaints come at once.
Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App

import sansheng
from sansheng.budget import Budget
from sansheng.cli.options import (
    AS_READ,
    SOURCE,
    Alpha,
    As,
    Condition,
    Device,
    Family,
    Force,
    Limit,
    Number,
    Out,
    Precision,
    Preset,
    Query,
    Quiet,
    Reading,
    Rules,
    RunPath,
    Seed,
    Settings,
    Size,
    Smoke,
    Source,
    Steps,
    Types,
    flag,
    option,
    read_limit,
    read_pairs,
    read_size,
    refuse_overwriting,
    split_names,
)
from sansheng.events import Event, Observer, ignore

SMOKE_SAMPLES = 100

app = App(
    name="sansheng",
    help="Train, sample, score and fairly compare a VAE, a GAN, a diffusion and a flow model on your own data.",
    help_format="plaintext",
    help_epilogue="sansheng COMMAND --help shows examples; --debug with any command shows the traceback of an error.",
    version=lambda: sansheng.__version__,
    suppress_keyboard_interrupt=False,
)


@app.command(sort_key=1)
def train(
    data: Source, /, *, family: Family, preset: Preset = "default", budget: Limit = None, steps: Steps = None,
    condition: Condition = None, parameters: Size = None, seed: Seed = 0, device: Device = "auto",
    precision: Precision = "auto", out: Out = None, settings: Settings = None, kind: As = None, alpha: Alpha = False,
    types: Types = None, query: Query = None, reading: Reading = AS_READ, rules: Rules = None, force: Force = False,
    dry_run: Annotated[bool, flag("Say what would be done, and what it would take; train nothing.")] = False,
    smoke: Smoke = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Train one model on your data, and print the folder it is kept in.

    Ctrl-C saves and says how to go on. For example:

        sansheng train digits --family flow --budget 1m
        sansheng train photos/ --family gan --budget 1h --condition label
        sansheng train patients.csv --family vae --set beta=4 --parameters 1M
    """
    limit, size, overrides = read_limit(budget, steps, smoke), read_size(parameters), read_pairs("--set", settings)
    refuse_overwriting(out, force or dry_run)
    from sansheng import presets
    from sansheng.plan import plan
    from sansheng.run import train as run_training

    presets.has_preset(family, preset)
    presets.parse_overrides(family, overrides, preset)
    choices: dict[str, Any] = {"family": family, "preset": preset, "condition": split_names(condition)}
    choices |= {
        "parameters": size,
        "seed": seed,
        "device": device,
        "precision": precision,
        "settings": overrides,
        "kind": kind,
        "alpha": alpha,
        "types": read_pairs("--type", types),
        "query": query,
        "options": reading.given(),
        "rules": tuple(rules or ()),
    }
    with reporter(quiet) as observe:
        if dry_run:
            _show_plan(*plan(data, budget=limit, observe=observe, **choices))
            return
        trained = run_training(data, **_spelled(limit), **choices, out=out, force=force, observe=observe)
        if smoke:
            trained.evaluate(SMOKE_SAMPLES, observe=observe)
    observe(Event("note", f"draw from it: {shlex.join(['sansheng', 'sample', str(trained.path), '-n', '100'])}"))
    print(trained.path)


@app.command(sort_key=2)
def sample(
    run: RunPath,
    /,
    *,
    n: Number = 100,
    out: Annotated[
        str | None,
        option(
            "A folder (of images or recordings), or a file ending in .png, .wav, .flac, .npz, .npy, .csv, .parquet or "
            ".txt.",
            metavar="PATH",
        ),
    ] = None,
    seed: Seed = 0,
    steps: Annotated[int | None, option("Steps of drawing, for diffusion and flow.")] = None,
    sampler: Annotated[str | None, option("How to draw, for diffusion and flow: adams, heun, euler, ...")] = None,
    where: Annotated[
        list[str] | None,
        option(
            'What is asked: the value of a condition; of a table\'s columns "age>=60" or "state in CA,NY" too.',
            metavar="NAME=VALUE",
        ),
    ] = None,
    reject: Annotated[bool, flag("Get what --where asks by drawing until enough is; the rate is shown.")] = False,
    guidance: Annotated[
        float | None, option("Above 1, samples fit their condition better and vary less; 1 is the model as trained.")
    ] = None,
    weak: Annotated[str | None, option("A smaller or less trained run for guidance to lead away from.")] = None,
    no_copies: Annotated[bool, flag("Of text and tables: draw anew what stands in the data already.")] = False,
    length: Annotated[int | None, option("Of series: steps in time, where more or fewer than a window has.")] = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw new examples from a trained model.

    Without --out, rows and lines are printed, and images are written to a folder in the run. For example:

        sansheng sample runs/digits-flow-1 -n 64 --out digits.png
        sansheng sample runs/patients-vae-1 -n 1000 --where sex=f --where "age>=60" --out new.csv
        sansheng sample runs/names-diffusion-1 -n 20 --no-copies
    """
    refuse_overwriting(out, force)
    from sansheng.cli import samples
    from sansheng.run import load

    with reporter(quiet) as observe:
        trained = load(run, device=device)
        choices: dict[str, Any] = {"seed": seed, "where": tuple(where or ()), "steps": steps, "sampler": sampler}
        choices |= {"reject": reject, "guidance": guidance, "no_copies": no_copies}
        choices["weak"] = None if weak is None else load(weak, device=device)
        target = samples.target(trained, out, choices)
        refuse_overwriting(target, force)
        observe(Event("phase", f"drawing {n:,} samples"))
        if target is not None:
            samples.draw_and_write(trained, n, target, choices, observe, length)
            print(target)
            return
        records = samples.drawn(trained, n, choices, observe, length)
    sys.stdout.write(samples.text(trained.codec, records) or "")


@app.command(sort_key=3)
def evaluate(
    run: RunPath,
    /,
    *,
    n: Number = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Annotated[bool, flag("Print the scores as JSON.", "--json")] = False,
    quiet: Quiet = False,
) -> None:
    """Score samples of a model against the data it was trained on.

    For example:

        sansheng evaluate runs/digits-flow-1
        sansheng evaluate runs/digits-flow-1 -n 5000 --json > scores.json
    """
    from sansheng.console import print_table
    from sansheng.report.explanations import explain
    from sansheng.run import load

    with reporter(quiet) as observe:
        scores = load(run, device=device).evaluate(n, seed=seed, observe=observe)
    if as_json:
        print(json.dumps({name: _finite(score.to_json()) for name, score in scores.items()}, indent=1))
        return
    header = ["score", "value", "95 % interval", "n", "better", "unit"]
    rows = [
        [explain(name).title, f"{s.value:.4g}", f"{s.low:.4g} to {s.high:.4g}", f"{s.n:,}", s.better, s.unit]
        for name, s in scores.items()
    ]
    print_table(header, rows)
    if "membership" in scores:
        print("\nWhat attacks found out is an estimate, no guarantee: a stronger attack may find out more.")


@app.command(sort_key=4)
def compare(
    data: Source, /, *,
    families: Annotated[str, option("Which models, with commas between.")] = "vae,gan,diffusion,flow",
    presets: Annotated[str, option("Settings to begin from, with commas between: default, survey.")] = "default",
    budget: Limit = None, steps: Steps = None,
    seeds: Annotated[int, option("Models of each kind, each from a seed of its own.")] = 3,
    condition: Condition = None, parameters: Size = None, device: Device = "auto", precision: Precision = "auto",
    out: Out = None,
    samples: Annotated[int | None, option("Examples to score each on; as many as are held out unless told.")] = None,
    kind: As = None, alpha: Alpha = False, types: Types = None, query: Query = None, reading: Reading = AS_READ,
    rules: Rules = None, force: Force = False,
    resume: Annotated[bool, flag("Go on with the comparison in --out: what is finished is kept.")] = False,
    smoke: Smoke = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Train several kinds of model under the same conditions, score them, and write a report.

    Every model gets the same split, time and seeds, and as many parameters (a GAN of large pictures fewer, where a CPU
    has less than ten minutes for it, unless --parameters says how many); rows of real data stand beside them. For
    example:

        sansheng compare digits --budget 30s --seeds 1 --out runs/digits
        sansheng compare patients.csv --families vae,flow --condition sex
        sansheng compare digits --presets survey,default --budget 1m
    """
    limit, size = read_limit(budget, steps, smoke), read_size(parameters)
    refuse_overwriting(out, force or resume)
    from sansheng import devices
    from sansheng.compare import compare as run_comparison
    from sansheng.console import print_table

    devices.choose(device, precision)
    with reporter(quiet) as observe:
        made = run_comparison(
            data,
            families=split_names([families]),
            presets=split_names([presets]),
            **_spelled(limit),
            seeds=1 if smoke else seeds,
            condition=split_names(condition),
            parameters=size,
            device=device,
            precision=precision,
            out=out,
            samples=SMOKE_SAMPLES if smoke and samples is None else samples,
            kind=kind,
            alpha=alpha,
            types=read_pairs("--type", types),
            query=query,
            options=reading.given(),
            rules=tuple(rules or ()),
            force=force,
            resume=resume,
            observe=observe,
        )
    print_table(*made.table())
    print(f"\nreport: {made.report}")


@app.command(sort_key=5)
def resume(
    run: RunPath,
    /,
    *,
    budget: Annotated[str | None, option("Train for so much longer: 30s, 5m, 1h.")] = None,
    steps: Annotated[int | None, option("Train for so many steps more.")] = None,
    force: Annotated[bool, flag("Go on though the data has changed.")] = False,
    quiet: Quiet = False,
) -> None:
    """Go on with training that was stopped, exactly where it was, or train a finished model longer.

    For example:

        sansheng resume runs/digits-flow-1
        sansheng resume runs/digits-flow-1 --budget 10m
    """
    from sansheng.run import resume as go_on

    with reporter(quiet) as observe:
        trained = go_on(run, budget=budget, steps=steps, force=force, observe=observe)
    print(trained.path)


@app.command(sort_key=6)
def info(
    source: Annotated[str, SOURCE], /, *, condition: Condition = None, kind: As = None, alpha: Alpha = False,
    types: Types = None, query: Query = None, reading: Reading = AS_READ, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show what was understood of your data and what training on it takes; or, given a run, what it is.

    For example:

        sansheng info patients.csv --type stage=category
        sansheng info sqlite:///clinic.db --query "SELECT * FROM patients"
        sansheng info runs/digits-flow-1
    """
    pairs = read_pairs("--type", types)
    from sansheng.console import print_pairs
    from sansheng.estimate import estimate
    from sansheng.plan import read_data
    from sansheng.run import load

    if (Path(source).expanduser() / "recipe.json").is_file():
        print_pairs(load(source).describe())
        return
    with reporter(quiet) as observe:
        found = read_data(
            source, kind, split_names(condition), observe, alpha=alpha, types=pairs, query=query,
            options=reading.given(),
        )  # fmt: skip
        observe(Event("phase", "trying a few steps of each family"))
        lines = [*_data_lines(found), *estimate(found)]
    print_pairs(lines)


# -- what is shown -------------------------------------------------------------------------------------------


def reporter(quiet: bool) -> AbstractContextManager[Observer]:
    from sansheng.console import Reporter

    return nullcontext(ignore) if quiet else Reporter()


def _spelled(limit: Budget) -> dict[str, Any]:
    """A budget as the functions for Python users take it."""
    return {"steps": limit.steps} if limit.steps is not None else {"budget": f"{limit.seconds}s"}


def _data_lines(data: Any) -> list[tuple[str, str]]:
    split = f"{len(data.train):,} to train on, {len(data.test):,} held out"
    notes = [("note", note) for note in data.notes]
    return [("source", data.source), ("kind", data.kind), *data.codec.describe(), ("split", split), *notes]


def _show_plan(data: Any, recipe: Any) -> None:
    from sansheng.console import print_pairs
    from sansheng.estimate import estimate

    choices = recipe.model_dump(
        exclude={"sansheng", "data", "settings", "knots", "changes", "steps", "seconds", "threads"}
    )
    settings = ", ".join(f"{name}={value}" for name, value in recipe.settings.items())
    lines = [(name, str(value)) for name, value in choices.items()]
    takes = f"{dict(estimate(data, [recipe.family]))[recipe.family]} (the default model)"
    print_pairs([*_data_lines(data), *lines, ("budget", str(recipe.budget)), ("settings", settings), ("takes", takes)])


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: they become null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
