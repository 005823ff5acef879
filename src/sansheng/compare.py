"""Several models of one data set under the same conditions: one table with intervals, one page, one folder.

The one constraint: every model gets the same split, budget and seeds, its size by one rule, and every row, real data
included, is scored on equally many examples against the same training split.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sansheng import checkpoint, codecs, devices
from sansheng import folder as files
from sansheng.budget import DEFAULT_SECONDS, Budget
from sansheng.closer import bias_notes, closer_look, table_chapters
from sansheng.codecs.audio import AudioCodec
from sansheng.codecs.base import Records
from sansheng.data import Data
from sansheng.entry import EVALUATION_KEY, CostPoint, Entry, build_page, table_of
from sansheng.errors import DataError
from sansheng.events import Event, Observer, ignore
from sansheng.metrics.image import SMALLEST
from sansheng.metrics.scores import FEWEST, score_privacy
from sansheng.model import Sampling
from sansheng.plan import Source, parse_budget, read_data
from sansheng.presets import has_preset
from sansheng.recipe import count_parameters
from sansheng.report import Page, render
from sansheng.run import BOUNDED, Run, load, train
from sansheng.run import resume as resume_run
from sansheng.score import Extractor, Scorer, counted_text, fit_scorer, independent_columns

FAMILY_NAMES = ("vae", "gan", "diffusion", "flow")
SAMPLES = 2000
COST_SAMPLES = 500
OF_HELD_OUT = ("copying", "usefulness", "membership", "attribute_inference", "singling_out", "ngram_divergence")
"""Scores that hold samples against held-out examples, which say nothing of these examples themselves."""
EVALUATIONS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Comparison:
    """What came of it: the folder `out`, the files `report` and `scores`, the runs, and the page as data."""

    out: Path
    runs: list[Run]
    page: Page

    @property
    def report(self) -> Path:
        return self.out / "report.html"

    @property
    def scores(self) -> Path:
        return self.out / "scores.json"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(header, rows) of text for a terminal: the best family first and the references last."""
        return table_of(self.page)


def compare(
    source: Source,
    *,
    families: Sequence[str] = FAMILY_NAMES,
    presets: Sequence[str] = ("default",),
    budget: str | int | float | None = None,
    steps: int | None = None,
    seeds: int = 3,
    condition: Sequence[str] | str = (),
    parameters: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    out: str | Path | None = None,
    samples: int | None = None,
    kind: str | None = None,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str | int | float] | None = None,
    rules: Sequence[str] = (),
    force: bool = False,
    resume: bool = False,
    features: Extractor | None = None,
    observe: Observer = ignore,
) -> Comparison:
    """Train every family on the same data under the same conditions, score them, and write a report.

    budget: time for each model and seed; 60 s unless `steps` or a time is given. seeds: models of each kind. samples:
    examples each row is scored on; by default as many as are held out, at most 2,000. resume: keep what is finished in
    `out` and go on with the rest. features: an extractor in place of our own. Other arguments and errors as in `train`.
    """
    if seeds < 1 or (samples is not None and samples < 1):
        raise ValueError("a comparison needs at least 1 seed and 1 sample")
    families, presets = _listed(families), _listed(presets)
    names = _names(families, presets)
    limit = parse_budget(budget, steps) or Budget(seconds=DEFAULT_SECONDS)
    devices.choose(device, precision)
    data = read_data(source, kind, condition, observe, alpha=alpha, types=types, query=query, options=options)
    n = samples or min(SAMPLES, len(data.test))
    _require_enough(data, n, own=features is None)
    folder = _folder(out, data.name, force, resume)
    how: dict[str, Any] = {"parameters": parameters, "device": device, "precision": precision, "observe": observe}
    how["rules"] = tuple(rules)
    how |= {"budget": None if limit.seconds is None else str(limit), "steps": limit.steps}
    runs = {
        name: [_train(data, source, folder, key, seed, how, resume) for seed in range(seeds)]
        for name, key in names.items()
    }
    observe(Event("phase", "preparing the scores"))
    scorer = fit_scorer(data.for_scores(), seed=data.split_seed, features=features)
    entries = [_score_family(name, runs[name], scorer, n, observe) for name in names]
    entries += _references(scorer, n, observe)
    asked = {"--families": ",".join(families), "--presets": ",".join(presets), "--seeds": seeds}
    asked |= {"--parameters": parameters, "--samples": samples, "--rule": list(rules), **_asked_of(data)}
    observe(Event("phase", "writing the report"))
    more: dict[str, Any] = {"sections": closer_look(entries, scorer), "chapters": table_chapters(entries, scorer)}
    page = build_page(data, entries, n=n, asked=asked, notes=bias_notes(scorer), **more)
    _write(folder, data, entries, page)
    observe(Event("saved", str(folder / "report.html")))
    return Comparison(folder, [run for group in runs.values() for run in group], page)


def _listed(names: Sequence[str] | str) -> Sequence[str]:
    """Of a text with commas between them, as the command takes them, the names."""
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


def _asked_of(data: Data) -> dict[str, Any]:
    """What a person said of how the data are to be read and what is given, as options of the command."""
    return {
        "--as": data.kind if Path(data.source).exists() and codecs.guess(Path(data.source)) != data.kind else None,
        "--condition": ",".join(data.condition) or None,
        "--alpha": True if data.alpha else None,
        "--type": [f"{name}={kind}" for name, kind in data.types.items()],
        "--query": data.query,
        **{f"--{name.replace('_', '-')}": value for name, value in data.options.items()},
    }


def _require_enough(data: Data, n: int, *, own: bool) -> None:
    """Before anything is trained: enough examples to score, and for features of our `own` pictures that have some."""
    sides = data.codec.space.positions
    if own and data.kind == "image" and min(sides) < SMALLEST:
        found = " x ".join(map(str, sides))
        raise ValueError(f"pictures are compared from {SMALLEST} x {SMALLEST} pixels on, and these are {found}")
    if min(n, len(data.train), len(data.test)) < FEWEST:
        found = f"{len(data.train)} examples to train on, {len(data.test)} held out and {n} samples"
        raise DataError(f"{data.name}: {found} are too few to score; {FEWEST} of each are the least, hundreds better")


def _write(folder: Path, data: Data, entries: Sequence[Entry], page: Page) -> None:
    rows = [entry.to_json() for entry in entries]
    checkpoint.write_json(folder / "scores.json", {"data": data.name, "budget": page.budget, "rows": rows})
    checkpoint.write_bytes(folder / "report.html", render(page).encode())


# -- training ------------------------------------------------------------------------------------------------


def _names(families: Sequence[str], presets: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name of each row -> (family, preset). A preset that some of the families lack is left out for those."""
    keys = [(family, preset) for preset in dict.fromkeys(presets) for family in dict.fromkeys(families)]
    kept = [(family, preset) for family, preset in keys if has_preset(family, preset)]
    if not kept:
        raise ValueError(f"there is no {', '.join(presets)} preset of {', '.join(families) or 'no family'}")
    alone = len({preset for _, preset in kept}) == 1
    return {family if alone else f"{family} ({preset})": (family, preset) for family, preset in kept}


def _folder(out: str | Path | None, name: str, force: bool, resume: bool) -> Path:
    if not resume:
        return files.make_folder(out, f"{name}-compared", force)
    if out is None or not Path(out).expanduser().is_dir():
        raise FileNotFoundError(f"there is no comparison to go on with at {out}; give its folder as --out")
    return Path(out).expanduser()


def _train(
    data: Data, source: Source, folder: Path, key: tuple[str, str], seed: int, how: dict[str, Any], resume: bool
) -> Run:
    """Train one model, or with `resume` take or finish the one that is there."""
    family, preset = key
    path = folder / f"{family}-{preset}-{seed}"
    if resume and (path / "model.safetensors").exists():
        kept = load(path, device=how["device"])
        if kept.codec.space != data.codec.space:
            raise DataError(f"{path} was trained on data that were read in another way: compare into a new folder")
        how["observe"](Event("note", f"{path} is finished: kept, as trained for {kept.recipe.budget}"))
        return kept
    if resume and checkpoint.entries(path / "checkpoint"):
        return resume_run(path, observe=how["observe"], source=None if isinstance(source, str | Path) else source)
    return train(data, family=family, preset=preset, seed=seed, out=path, force=resume, **how)


# -- scoring -------------------------------------------------------------------------------------------------


def _score_family(name: str, runs: list[Run], scorer: Scorer, n: int, observe: Observer) -> Entry:
    entry = Entry(name, "family", runs=runs)
    for run in runs:
        observe(Event("phase", f"scoring {name}, seed {run.recipe.seed}"))
        began = time.perf_counter()
        records = run.draw(n)
        cost = _cost(run, (time.perf_counter() - began) * 1000 / n)
        entry.shown = entry.shown or records
        entry.scores.append(run.score(scorer, records))
        if len(entry.scores) == 1:
            _attack(entry, scorer)
        entry.costs.append(cost)
        entry.symptoms += [s for s in (*run.symptoms(), *scorer.symptoms(records)) if s not in entry.symptoms]
    model = runs[0].model
    if model.quick_sampler is not None:
        observe(Event("phase", f"scoring {name}: quality against sampling cost"))
        choices = [Sampling(steps=steps, sampler=model.quick_sampler) for steps in EVALUATIONS]
        distinct = {model.evaluations(choice): choice for choice in reversed(choices)}
        entry.cost_curve = [_cost_point(runs[0], scorer, distinct[e], min(n, COST_SAMPLES)) for e in sorted(distinct)]
    else:
        score, cost = entry.scores[0][scorer.headline], entry.costs[0]
        entry.cost_curve = [CostPoint(int(cost[EVALUATION_KEY]), score, cost["sample_seconds_per_1000"])]
    entry.headline = scorer.headline
    return entry


def _attack(entry: Entry, scorer: Scorer) -> None:
    """Try the privacy of the rows shown, and add what was found to the first scores."""
    if entry.shown is not None:
        entry.findings = scorer.attack(entry.shown, np.random.default_rng([0, 5]))
    if entry.findings is not None:
        entry.scores[0] |= score_privacy(entry.findings)


def _cost(run: Run, seconds_per_1000: float) -> dict[str, float]:
    latest = checkpoint.entries(run.path / "checkpoint")[0]
    return {
        "train_seconds": latest["seconds"],
        "parameters": count_parameters(run.model),
        "steps": latest["step"],
        "sample_seconds_per_1000": seconds_per_1000,
        EVALUATION_KEY: run.model.evaluations(Sampling()),
    }


def _cost_point(run: Run, scorer: Scorer, how: Sampling, n: int) -> CostPoint:
    evaluations, began = run.model.evaluations(how), time.perf_counter()
    records = run.draw(n, steps=how.steps, sampler=how.sampler)
    seconds = (time.perf_counter() - began) * 1000 / n
    return CostPoint(evaluations, scorer.quality(records, np.random.default_rng([evaluations])), seconds)


def _counted(scorer: Scorer, n: int) -> list[Entry]:
    """Of text, a row of a model that only counts, with what held-out text costs it."""
    found = counted_text(scorer.data, n, np.random.default_rng(0))
    if found is None:
        return []
    records, model = found
    held_out = scorer.measured(BOUNDED)
    scores = scorer.score(records, np.random.default_rng([0, 2]))
    scores["bound"] = scorer.bound(model.log_likelihood(held_out.values), held_out)
    return [Entry(f"counting runs of {model.order} characters", "reference", [scores], shown=records)]


def _references(scorer: Scorer, n: int, observe: Observer) -> list[Entry]:
    """Rows of real data: the best any model can look, perfect copying, and right columns without their relations."""
    observe(Event("phase", "scoring real data for reference"))
    data, generator = scorer.data, np.random.default_rng(0)

    def some(records: Records) -> Records:
        return records.take(np.sort(generator.permutation(len(records))[:n]))

    rows = {"held-out data": some(data.test_records), "training data replayed": some(data.train_records)}
    if isinstance(data.codec, AudioCodec):
        held_out = rows["held-out data"]
        through = data.codec.decode(data.codec.encode(held_out).x)
        rows["held-out data, through the representation"] = replace(through, labels=held_out.labels)
    shuffled = independent_columns(data.train_records, generator)
    if shuffled is not None:
        rows["columns independent"] = some(shuffled)
    entries = [
        Entry(name, "reference", [scorer.score(records, np.random.default_rng([0, 2]))], shown=records)
        for name, records in rows.items()
    ]
    for entry in entries:
        _attack(entry, scorer)
    entries += _counted(scorer, n)
    for metric in OF_HELD_OUT:
        for entry in entries:
            if entry.name.startswith("held-out"):
                entry.scores[0].pop(metric, None)
    return entries
