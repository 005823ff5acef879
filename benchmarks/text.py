"""Text: does a model do more than count, and how near does it come to one that reads from left to right?

    python benchmarks/text.py input.txt --budget 30m --threads 2
    python benchmarks/text.py input.txt --budget 30m --cpu --families diffusion,autoregressive

A long text is read in windows, its last tenth held out; lines are split at random. Prints, a line of JSON a row, the
bits each character of held-out text costs: exactly, by n-gram models that count and by a causal, autoregressive network
on the backbone of the diffusion model, trained in the same budget or until it gets no better on text set apart; as an
upper bound, by the families that have one. Beside it stand what samples are judged by: the share of words that are
words of the training text, divergence, copies. "bits" of a VAE are its importance-weighted bound of 50 samples. Windows
begin anew for every model, which costs the n-gram models about 0.02 bits.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cpu import count_cpu_seconds
from torch import Tensor

import sansheng.run as sansheng
from sansheng import checkpoint
from sansheng.budget import Clock
from sansheng.codecs.base import Records
from sansheng.codecs.text import TextCodec
from sansheng.codecs.text_file import EACH
from sansheng.data import Batches, Data, open_data
from sansheng.loop import State, derive_seed, train
from sansheng.metrics.ngram_model import NGramModel
from sansheng.metrics.scores import score_text
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Sampling, Turn
from sansheng.networks.line import LineDenoiser
from sansheng.plan import parse_budget
from sansheng.presets import default_parameters
from sansheng.recipe import count_parameters
from sansheng.space import Space

ORDERS = (3, 4, 5, 6)
WIDTHS = range(16, 1025, 16)
CHUNK = 100
"""Texts whose likelihood is found at once."""
APART, LOOK, PATIENCE = 0.05, 0.01, 0.1
"""Share of the text set apart; shares of the budget from look to look at it, and without a better one until the end."""


class Autoregressive(GenerativeModel):
    """p(x) = Π p(x_i | x_1 … x_{i-1}), by the network that diffusion has, reading no position ahead of its own."""

    def __init__(self, space: Space, width: int, learning_rate: float = 3e-3) -> None:
        super().__init__()
        self.space, self.condition_space, self.learning_rate = space, None, learning_rate
        self.network = LineDenoiser(space.channels, space.positions[0], width=width, causal=True)

    def turns(self) -> dict[str, Turn]:
        return {"line": Turn(self, self.loss, self.learning_rate, weight_decay=0.1, betas=(0.9, 0.98))}

    def _logits(self, x: Tensor) -> Tensor:
        """Of every symbol given those before it, the first given none."""
        symbols = torch.nn.functional.pad(x[..., :-1].argmax(1), (1, 0))
        shown = torch.arange(x.shape[2]).expand_as(symbols) > 0
        return self.network.tell(symbols, shown, x.new_zeros(len(x))).mT

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Nats per symbol."""
        return self.space.nll(self._logits(batch.x), batch.x).mean() / self.space.size, {}

    @torch.no_grad()
    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Tensor:
        """log p(x), exactly, ``(B,)`` [nats]."""
        return -self.space.nll(self._logits(batch.x), batch.x)

    @torch.no_grad()
    def sample(
        self, n: int, *, condition: Tensor | None = None, settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:  # fmt: skip
        x = torch.zeros(n, *self.space.shape)
        for place in range(x.shape[2]):
            logits = self._logits(x[..., : place + 1])[..., -1:]
            x[..., place : place + 1] = Space(self.space.slots, (1,)).sample(logits, generator=generator)
        return x

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return self.space.positions[0]


Found = tuple[int, list[str], np.ndarray | None]
"""Steps taken, samples, and log p of each held-out text [nats] where there is a bound."""


def read_in_order(
    data: Data, held_out: Records, n: int, *, budget: str, seed: int, parameters: int, batch: int
) -> Found:
    """An autoregressive model of about as many parameters, trained by the same loop.

    It learns a text of this size by heart long before half an hour is over. So the last `APART` of what there is to
    train on is set apart, and the average that does best there is kept; once `PATIENCE` of the budget has brought no
    better one, training ends.
    """
    codec, limit = data.codec, parse_budget(budget, None)
    assert limit is not None
    torch.manual_seed(seed)
    with torch.device("meta"):
        sizes = {width: count_parameters(Autoregressive(codec.space, width)) for width in WIDTHS}
    width = min(sizes, key=lambda w: abs(sizes[w] - parameters))
    state = State(Autoregressive(codec.space, width), Clock.start(limit))
    cut = round((1 - APART) * len(data.train))
    spread = np.unique(np.linspace(cut + EACH, len(data.train) - 1, CHUNK).round().astype(int))
    learnt, apart = (codec.encode(data.train_records.take(some)) for some in (np.arange(cut), spread))
    shown = Batch(apart.x)
    average, least, best, looked, steps = state.average, math.inf, 0.0, 0.0, 0
    batches = Batches(learnt, seed=seed, size=batch)
    for step in train(state, batches, seed=seed, budget=limit):
        if step.progress < looked + LOOK:
            continue
        looked = step.progress
        found = -float(state.average.eval().log_likelihood(shown, samples=1, generator=torch.Generator()).mean())
        if found < least:
            average, least, best, steps = copy.deepcopy(state.average), found, looked, step.step
        if looked > best + PATIENCE:
            break
    generator = torch.Generator().manual_seed(derive_seed(seed, "text"))
    assert isinstance(average, Autoregressive)
    pieces = codec.encode(held_out).x.split(CHUNK)
    nats = [average.log_likelihood(Batch(x), samples=1, generator=generator) for x in pieces]
    lines = codec.decode(average.sample(n, generator=generator)).values
    return steps, lines, torch.cat(nats).numpy()


def of_family(data: Data, held_out: Records, n: int, **how: Any) -> Found:
    """As `sansheng train` and `sansheng sample` make them."""
    run = sansheng.train(data, force=True, previews=False, **how)
    nats = run.log_likelihood(held_out, samples=50) if run.model.has_likelihood else None
    return checkpoint.entries(run.path / "checkpoint")[0]["step"], run.draw(n).values, nats


def judged(
    data: Data, lines: Sequence[str], nats: np.ndarray | None, held_out: Records, others: Sequence[str]
) -> dict[str, Any]:
    """What samples are judged by, and bits per character of held-out text. nats: log p of each of `held_out`. others:
    the held-out text that samples are held against."""
    codec = data.codec
    assert isinstance(codec, TextCodec)
    rng, known = np.random.default_rng(0), data.train_records.values
    scores = score_text(known, others, lines, generator=rng)
    found = {name: round(score.value, 4) for name, score in scores.items()}
    if nats is not None:
        found["bits"] = round(float(-nats.sum() / np.log(2) / codec.characters(held_out).sum()), 4)
    return {**found, "texts": len(lines), "some": lines[:2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--families", default="diffusion,flow,vae,gan,autoregressive", help="with commas between")
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--window", type=int)
    parser.add_argument("--tokens")
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--scored", type=int, default=400, help="held-out texts whose bits are counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--references", action=argparse.BooleanOptionalAction, default=True, help="rows of n-grams")
    parser.add_argument("--runs", type=Path, default=Path("runs/text"))
    parser.add_argument("--out", type=Path, default=Path("runs/text.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.cpu:
        count_cpu_seconds()
    options = {name: str(v) for name in ("window", "tokens") if (v := getattr(args, name)) is not None}
    data = open_data(args.path, kind="text", options=options)
    codec, rng = data.codec, np.random.default_rng(args.seed)
    assert isinstance(codec, TextCodec)
    held_out = data.test_records.take(np.sort(rng.permutation(len(data.test))[: args.scored]))
    n, parameters = args.samples, args.parameters or default_parameters(codec.space)

    def report(row: str, lines: Sequence[str], nats: np.ndarray | None, **more: Any) -> None:
        every = data.test_records.values
        others = every[n:] if row == "held-out" else every  # not against themselves
        result = {"row": row, **more} | judged(data, lines, nats, held_out, others)
        with args.out.open("a") as file:
            file.write(json.dumps({**vars(args), **result}, default=str) + "\n")
        print(json.dumps(result, ensure_ascii=False), flush=True)

    report("held-out", data.test_records.values[:n], None)
    windows = codec.unit == "windows"
    for order in ORDERS if args.references else ():
        model = NGramModel(order, marked=not windows).fit(data.train_records.values[:: EACH if windows else 1])
        lines = model.sample(n, rng, longest=codec.length)
        report(f"{order}-gram", lines, model.log_likelihood(held_out.values))
    for family in args.families.split(","):
        began = time.process_time()
        how = {"budget": args.budget, "seed": args.seed, "parameters": parameters}
        if family == "autoregressive":
            row = read_in_order(data, held_out, n, batch=args.batch, **how)
        else:
            settings = {"batch": args.batch, "threads": args.threads} | dict(pair.split("=", 1) for pair in args.set)
            row = of_family(data, held_out, n, family=family, settings=settings, out=args.runs / family, **how)
        steps, lines, nats = row
        report(family, lines, nats, steps=steps, cpu_seconds=round(time.process_time() - began))


if __name__ == "__main__":
    main()
