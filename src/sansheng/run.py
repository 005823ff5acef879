"""A run: one folder on disk that says everything about one trained model, and can continue it.

The one constraint: a run's folder and the data are all that `load`, `resume` and `evaluate` need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sansheng import checkpoint, devices
from sansheng import folder as files
from sansheng.again import Known, draw_new, require_exact
from sansheng.asked import draw_asked, given_rows
from sansheng.budget import DEFAULT_SECONDS, Budget, Clock
from sansheng.calibration import calibrate
from sansheng.card import model_card, run_facts
from sansheng.codecs.base import Codec, Quantised, Records, previewed
from sansheng.data import Batches, Data, measured
from sansheng.errors import DataError
from sansheng.events import Event, Observer, ignore
from sansheng.health import examine
from sansheng.loop import State, derive_seed
from sansheng.loop import train as take_steps
from sansheng.metrics import FEWEST, Score, score_privacy
from sansheng.model import Batch, GenerativeModel, HasLikelihood, HasVariationalBound, Sampling
from sansheng.pace import Pace, Threads
from sansheng.plan import Source, extend, parse_budget, plan, reopen
from sansheng.recipe import Recipe, build, count_parameters
from sansheng.rules import obey, read_rules
from sansheng.score import Extractor, Scorer, fit_scorer
from sansheng.session import Interrupted, Session, TrainingFailed
from sansheng.where import Where, as_mapping, steering_clauses

__all__ = ["Interrupted", "Run", "TrainingFailed", "load", "resume", "train"]

BOUNDED, SLOW = 500, 100
"""Held-out examples whose likelihood is measured, at most; and where it is slow."""


class Run:
    """A trained model, ready to draw from. Made by `train`, `load` and `resume`."""

    def __init__(
        self, path: Path, recipe: Recipe, codec: Codec, model: GenerativeModel, conditions: Tensor | None
    ) -> None:
        """conditions: rows of what is given, to draw from when nothing in particular is asked."""
        self.path, self.recipe, self.codec, self.conditions = path, recipe, codec, conditions
        self.model = model.eval()
        self._examples: Known | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.recipe.family} on {self.recipe.data.name})"

    # -- drawing -------------------------------------------------------------------------------------------

    def sample(
        self, n: int = 16, *, seed: int = 0, where: Where | None = None, steps: int | None = None,
        sampler: str | None = None, guidance: float | None = None, weak: Run | None = None, reject: bool = False,
        no_copies: bool = False, source: Source | None = None, observe: Observer = ignore,
    ) -> Any:  # fmt: skip
        """Draw `n` examples: a list of PIL images or strings, a DataFrame, an array. Arguments as in `draw`."""
        how = {"steps": steps, "sampler": sampler, "guidance": guidance, "weak": weak, "reject": reject}
        how |= {"no_copies": no_copies, "source": source}
        return self.codec.present(self.draw(n, seed=seed, where=where, **how, observe=observe))

    def draw(
        self,
        n: int = 16,
        *,
        seed: int = 0,
        where: Where | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: float | None = None,
        weak: Run | None = None,
        reject: bool = False,
        no_copies: bool = False,
        source: Source | None = None,
        observe: Observer = ignore,
    ) -> Records:
        """Draw `n` (>= 1) examples as records.

        where: values of what the model is conditioned on, such as ``{"label": 3}``; those not named are drawn from the
        training data that are so; of a table values of any column, or texts such as "age>=60" (see `where`). reject:
        get such rows by drawing until enough are, instead of steering, and tell `observe` the share. steps, sampler,
        guidance: for diffusion and flow (`samplers.SAMPLERS`), the recipe's unless told; a guidance scale of 1 is the
        model as trained. weak: a smaller or less trained run of the same data and family that guidance leads away from
        (Karras 2024), in place of the model without its condition, at a scale of 2 or more unless told. no_copies: of
        text and tables, draw anew what stands in the data already, held-out examples included; source: the data again,
        if it was given from memory. The same seed draws the same examples on the same machine.
        """
        if n < 1 or seed < 0:
            raise ValueError(f"draw at least one example, with a seed of at least 0, not {n} with {seed}")
        if guidance is not None and not math.isfinite(guidance):
            raise ValueError(f"guidance is a number such as 2, not {guidance}")
        if guidance not in (None, 1) and self.conditions is None and weak is None:
            raise ValueError("--guidance follows a condition or leads away from --weak; this model has no condition")
        how = {"where": where, "steps": steps, "sampler": sampler, "guidance": guidance, "weak": weak, "reject": reject}
        if no_copies:
            require_exact(self.codec)  # before the data are read
            draw = lambda count, seed: self.draw(count, seed=seed, **how, observe=observe)  # noqa: E731
            self._examples = self._examples or Known(self.open_data(source, observe=observe))
            return draw_new(self._examples, self.codec, n, draw, seed, observe)
        rules = read_rules(self.recipe.rules, self.codec, self.recipe.combinations)
        if not rules:
            return self._draw(n, seed, **how, observe=observe)
        draw = partial(self._draw, **how, observe=observe)
        return obey(rules, self.codec, n, draw, seed, observe, steering_clauses(where or {}, self.codec))

    def _draw(
        self, n: int, seed: int = 0, *, where: Where | None = None, steps: int | None = None,
        sampler: str | None = None, guidance: float | None = None, weak: Run | None = None, reject: bool = False,
        observe: Observer = ignore,
    ) -> Records:  # fmt: skip
        """As `draw`, whatever the rules."""
        settings = Sampling(steps, sampler, guidance, weak=None if weak is None else weak.model)
        clauses = steering_clauses(where or {}, self.codec)
        if clauses:
            how = (n, clauses, settings, seed)
            return draw_asked(self.model, self.codec, self.conditions, *how, reject=reject, observe=observe)
        condition = self.condition_rows(n, as_mapping(where or {}), seed)
        pieces = []
        for first in range(0, n, size := devices.at_a_time(self.model.space, self.device)):
            count = min(size, n - first)
            generator = torch.Generator(self.device).manual_seed(derive_seed(seed, first, "sample"))
            given = None if condition is None else condition[first : first + count].to(self.device)
            pieces.append(self.model.sample(count, condition=given, settings=settings, generator=generator).cpu())
        return self.codec.decode(torch.cat(pieces), condition)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def condition_rows(self, n: int, where: Mapping[str, Any], seed: int) -> Tensor | None:
        """``(n, K)`` (`asked.given_rows`)."""
        return given_rows(self.codec, self.conditions, n, where, seed)

    def log_likelihood(
        self, records: Records, *, samples: int = 50, seed: int = 0, variational: bool = False
    ) -> np.ndarray:
        """A lower bound on log p of each record in encoded form, ``(N,)`` [nats], where the family has one.

        That of a diffusion or flow of numbers is exact along its flow, or with `variational` the bound by noise levels.

        Of pixels it is the probability of their levels, bounded by the density of levels blurred evenly (Theis 2016).
        """
        if not (self.model.has_likelihood and isinstance(self.model, HasLikelihood)):
            raise ValueError(f"a {self.recipe.family} has no likelihood bound of these data")
        measure = self.model.log_likelihood
        if variational:
            if not isinstance(self.model, HasVariationalBound):
                raise ValueError(f"a {self.recipe.family} has one bound alone, so leave out --variational")
            measure = self.model.variational_bound
        density = getattr(self.model, "observed", self.model.space) is self.model.space and not self.model.space.binary
        level = self.codec.level if isinstance(self.codec, Quantised) and density else None
        encoded = self.codec.encode(records)
        generator = torch.Generator(self.device).manual_seed(derive_seed(seed, "likelihood"))
        bounds = []
        for first in range(0, len(encoded), 100):
            some = encoded.rows(slice(first, first + 100)).to(self.device)
            x = some.x
            if level is not None:
                x = x + level * (torch.rand(x.shape, generator=generator, device=x.device) - 0.5)
            bound = measure(Batch(x, some.condition), samples=samples, generator=generator).cpu()
            bounds.append(bound if level is None else bound + self.model.space.size * math.log(level))
        return torch.cat(bounds).numpy()

    # -- scores --------------------------------------------------------------------------------------------

    def evaluate(
        self,
        n: int = 2000,
        *,
        seed: int = 0,
        observe: Observer = ignore,
        source: Source | None = None,
        features: Extractor | None = None,
    ) -> dict[str, Score]:
        """Score `n` samples against the data the run was trained on, and write `scores.json`.

        source: the data again, if it was given from memory. features: records' values -> ``(N, F)``, such as Inception
        or CLIP, in place of our own. Raises DataError if the data has changed.
        """
        data = self.open_data(source, observe=observe)
        if n < FEWEST:
            raise ValueError(f"{n} samples are too few to score; {FEWEST} are the least")
        observe(Event("phase", "preparing the scores"))
        scorer = fit_scorer(data.for_scores(), seed=self.recipe.data.split_seed, features=features)
        observe(Event("phase", f"drawing {n:,} samples"))
        records = self.draw(n, seed=seed)
        scores = self.score(scorer, records, seed=seed)
        if (found := scorer.attack(records, np.random.default_rng([seed, 5]))) is not None:
            scores |= score_privacy(found)
        checkpoint.write_json(self.path / "scores.json", {name: score.to_json() for name, score in scores.items()})
        return scores

    def score(self, scorer: Scorer, records: Records, *, seed: int = 0) -> dict[str, Score]:
        """The scores of records drawn from this run, with a bound on held-out likelihood where the family has one.

        A model with another likelihood than the data's own (the survey's Bernoulli) has a bound like no other's.
        """
        scores = scorer.score(records, np.random.default_rng([seed, 2]))
        if self.model.has_likelihood and self.model.space.slots == self.codec.space.slots:
            most = SLOW if self.model.slow_likelihood else BOUNDED
            held_out = scorer.measured(most)
            scores["bound"] = scorer.bound(self.log_likelihood(held_out, seed=seed), held_out)
        return scores

    def symptoms(self) -> list[str]:
        """What was found wrong at the end of training, in words."""
        path = self.path / "health.json"
        return checkpoint.read_json(path) if path.exists() else []

    def open_data(self, source: Source | None = None, *, changed: bool = False, observe: Observer = ignore) -> Data:
        """The data of the run, split and encoded as it was. Raises DataError if it is gone.

        changed: let it pass if its content is no longer what it was.
        """
        return reopen(self.recipe.data, self.codec, source, changed, observe)

    def describe(self) -> list[tuple[str, str]]:
        """What this run is, as (name, description) lines."""
        latest = next(iter(checkpoint.entries(self.path / "checkpoint")), None)
        return [*run_facts(self.recipe, count_parameters(self.model), latest), *self.codec.describe()]


# -- making, opening, continuing -----------------------------------------------------------------------------


def train(
    source: Source | Data,
    *,
    family: str,
    preset: str = "default",
    budget: str | int | float | None = None,
    steps: int | None = None,
    condition: Sequence[str] | str = (),
    parameters: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    kind: str | None = None,
    alpha: bool = False,
    types: Mapping[str, str] | None = None,
    query: str | None = None,
    options: Mapping[str, str | int | float] | None = None,
    rules: Sequence[str] = (),
    force: bool = False,
    previews: bool = True,
    observe: Observer = ignore,
) -> Run:
    """Train one model on a person's data and return the run.

    source: a built-in name, a path, or the data itself. family: "vae", "gan", "diffusion" or "flow". budget: a time
    such as "5m" or seconds, or `steps`; 60 s if neither is given. condition: a label or columns the samples can be
    asked for. parameters: trained numbers in the model, all networks together. settings: the family's own, as in
    ``--set``. out: the run folder, never overwritten without `force`. alpha: keep the transparency of images. types:
    what columns are, where the guess is wrong, such as ``{"age": "number"}``. query: the SELECT, if `source` is a
    database's URL. options: how this kind of data is to be read, such as ``{"window": "48", "entity": "patient"}`` for
    series. rules: what rows of a table obey (see `rules`).

    Raises ValueError for a wrong option, DataError for data that cannot be used, FileExistsError for a folder that is
    there, Interrupted (after saving) on Ctrl-C and SIGTERM, TrainingFailed if a loss stops being a number.
    """
    limit = parse_budget(budget, steps) or Budget(seconds=DEFAULT_SECONDS)
    data, recipe = plan(
        source,
        family=family,
        preset=preset,
        budget=limit,
        condition=condition,
        parameters=parameters,
        seed=seed,
        device=device,
        precision=precision,
        settings=settings,
        kind=kind,
        alpha=alpha,
        types=types,
        query=query,
        options=options,
        rules=rules,
        observe=observe,
    )
    return _begin(data, recipe, out, force, observe, previews)


def _begin(data: Data, recipe: Recipe, out: str | Path | None, force: bool, observe: Observer, previews: bool) -> Run:
    """Make the model and its folder, and train it."""
    model = build(recipe, data.codec.space, data.codec.condition_space)
    files.require_room(out, model)
    folder = files.make_folder(out, f"{data.name}-{recipe.family}", force)
    model.measure(measured(data.train))
    model.to(recipe.device)
    batches = Batches(data.train, seed=recipe.seed, size=recipe.batch, device=recipe.device)
    state = State(model, Clock.start(recipe.budget), recipe.ema_length)
    if not recipe.threads:
        recipe = recipe.model_copy(update={"threads": devices.choose_threads(model, batches, recipe.device)[0]})
        if recipe.seconds is not None and recipe.device == "cpu":
            state.clock.threads.append((0, recipe.threads))
    conditions = None if data.train.condition is None else data.train.condition[: files.MOST_CONDITIONS]
    files.write_setup(folder, recipe, data.codec, conditions)
    count, what = count_parameters(model), f"a {recipe.family} of {data.name}"
    if recipe.preset == "default" and not 0.8 < count / recipe.parameters < 1.25:
        observe(Event("note", f"{what} comes no closer to {recipe.parameters:,} parameters than {count:,}"))
    observe(Event("phase", f"training {what}, {count:,} parameters, for {recipe.budget} in {folder}"))
    return _go_on(folder, recipe, data, state, conditions, observe, previews)


def load(path: str | Path, *, device: str = "auto") -> Run:
    """Open a run. Raises DataError naming the file that is missing, damaged, or from a newer version."""
    folder = Path(path).expanduser()
    recipe, codec, conditions = files.read_setup(folder)
    model = build(recipe, codec.space, codec.condition_space)
    tensors = files.read_weights(folder)
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise DataError(
            f"{folder}: model.safetensors does not fit recipe.json: damaged, or of networks built otherwise than now"
        ) from None
    return Run(folder, recipe, codec, model.to(devices.choose(device, "auto")[0]), conditions)


def resume(
    path: str | Path,
    *,
    budget: str | int | float | None = None,
    steps: int | None = None,
    force: bool = False,
    observe: Observer = ignore,
    source: Source | None = None,
) -> Run:
    """Go on where a run stopped; what it ends with is bit for bit what it would have ended with.

    budget, steps: train for that much longer than it has been; needed if the run has spent its budget. force: go on
    though the data has changed. source: the data again, if it was given from memory. Raises as `train` does.
    """
    more = parse_budget(budget, steps)
    folder = Path(path).expanduser()
    recipe, codec, conditions = files.read_setup(folder)
    model = build(recipe, codec.space, codec.condition_space).to(recipe.device)
    state = State(model, Clock.start(recipe.budget), recipe.ema_length)
    remark = checkpoint.restore(folder / "checkpoint", state)
    if more is not None:
        recipe = extend(recipe, state, more)
    elif state.progress >= 1:
        raise ValueError(f"{folder} has spent its budget of {recipe.budget}; give --budget or --steps to train longer")
    observe(Event("phase", "reading and encoding the data"))
    data = Run(folder, recipe, codec, state.average, None).open_data(source, changed=force, observe=observe)
    if remark:
        observe(Event("note", remark))
    files.write_recipe(folder, recipe)
    observe(Event("phase", f"going on from step {state.step:,} in {folder}"))
    return _go_on(folder, recipe, data, state, conditions, observe, True)


def _go_on(
    folder: Path, recipe: Recipe, data: Data, state: State, conditions: Tensor | None, observe: Observer, previews: bool
) -> Run:
    """Train until the budget is spent, keeping the folder up to date, and open what came of it."""
    run = Run(folder, recipe, data.codec, state.average, conditions)
    batches = Batches(data.train, seed=recipe.seed, size=recipe.batch, device=recipe.device)

    def preview(path: Path) -> Path:
        return data.codec.preview(run._draw(previewed(data.codec)), path)

    changes = state.clock.threads
    pace = Pace(Threads(state.clock, most) if changes and (most := devices.most_threads()) > 1 else None)
    with (
        devices.threads(changes[-1][1] if changes else recipe.threads),
        Session(folder, state, recipe.budget, observe, preview if previews else None) as session,
    ):
        steps = take_steps(state, batches, seed=recipe.seed, budget=recipe.budget, precision=recipe.precision)
        for step in pace.watch(steps) if recipe.device == "cpu" else steps:
            session.after(step)
    if 0 < recipe.budget.most <= state.step:
        ended = f"ended after {state.step:,} steps, {state.clock.seconds:,.0f} s, for more is learning by heart"
        observe(Event("note", f"{ended} (--set most_steps=0 for all of the time)"))
    if recipe.seconds is not None:
        recipe = recipe.model_copy(update={"knots": state.clock.knots, "changes": changes[1:]})
        files.write_recipe(folder, recipe)
    files.write_weights(folder, state.average.state_dict())
    if calibrate(state, data.train, state.step * recipe.batch, recipe.seed, observe):
        files.write_weights(folder, state.average.state_dict())
    symptoms = pace.symptoms() + examine(state, data.test, data.train, recipe.seed)
    checkpoint.write_json(folder / "health.json", symptoms)
    observe(Event("health", symptoms[0] if symptoms else "ok"))
    run.path.joinpath("README.md").write_text(model_card(recipe, data.codec.describe(), state, symptoms), "utf-8")
    return load(folder, device=recipe.device)
