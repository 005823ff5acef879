"""Is a trained model well: what its family can tell, whether it covers the data, whether averaging helped.

The one constraint: held-out examples only, in encoded form, so that one rule serves every kind of data and family.
"""

from __future__ import annotations

import numpy as np
import torch

from sansheng.codecs.base import Encoded
from sansheng.loop import State, derive_seed
from sansheng.metrics.coverage import coverage
from sansheng.metrics.distances import sliced_wasserstein
from sansheng.model import DEFAULT_SAMPLING, Batch, GenerativeModel, Sampling

EXAMPLES = 250
FEWEST = 20
STEPS = 10
WORSE = 1.5
"""How much farther from the data the averaged weights' samples must be than the raw ones' to be worth a word."""
LITTLE = 0.25
"""Share of the coverage real data reach, below which modes must be missing."""


def examine(state: State, held_out: Encoded, train: Encoded, seed: int) -> list[str]:
    """Symptoms in words; empty if there are none, or too few held-out examples to tell."""
    n = min(EXAMPLES, len(held_out), len(train))
    if n < FEWEST:
        return []
    device = next(state.average.parameters()).device
    held = held_out.rows(slice(n))
    some, condition = held.x, None if held.condition is None else held.condition.to(device)
    generator = torch.Generator(device).manual_seed(derive_seed(seed, "health"))
    real, known = _flat(some), _flat(train.rows(slice(n)).x)
    found = state.average.examine(Batch(some.to(device), condition), generator)
    averaged, raw = (_draw(model, n, condition, generator) for model in (state.average, state.model.eval()))
    rng = np.random.default_rng(seed)
    near, nearer = sliced_wasserstein(real, averaged, rng), sliced_wasserstein(real, raw, rng)
    floor = sliced_wasserstein(real, known, rng)
    if near > WORSE * nearer + floor:
        found.append("the averaged weights are worse than the raw ones: train longer, or --set ema_length=0.03")
    if coverage(real, averaged) < LITTLE * coverage(real, known):
        found.append("low coverage: samples reach little of the held-out data (too little training, or mode collapse)")
    return found


def _flat(x: torch.Tensor) -> np.ndarray:
    return x.flatten(1).float().cpu().numpy()


def _draw(model: GenerativeModel, n: int, condition: torch.Tensor | None, generator: torch.Generator) -> np.ndarray:
    """Samples good enough to tell, by the sampler of few steps where there is one."""
    quick = DEFAULT_SAMPLING if model.quick_sampler is None else Sampling(STEPS, model.quick_sampler)
    return _flat(model.sample(n, condition=condition, settings=quick, generator=generator))
