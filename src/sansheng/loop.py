"""The one training loop, a generator: for each step, each turn of the model goes down its loss once.

The one constraint: a step is a pure function of the state before it, the seed and the step's number, so that a run
stopped anywhere and continued ends bit for bit where an unbroken one does. Logging, checkpoints, previews and
the end of the budget are plain ``if`` in the caller's ``for``.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sansheng.budget import Budget, Clock, learning_rate
from sansheng.graphs import Recorded, Take
from sansheng.model import Batch, GenerativeModel, Progress, Turn

Batches = Callable[[int], Batch]
"""step -> batch, a pure function."""


@dataclass(frozen=True)
class Step:
    """What one step did. `values` are tensors: reading one waits for the device."""

    step: int
    seconds: float
    progress: float
    values: dict[str, Tensor]


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any parts, by SHA-256."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


class State:
    """Everything a step changes: the model, its moving average, the optimisers, the step and the clock."""

    def __init__(self, model: GenerativeModel, clock: Clock, ema_length: float = 0.1) -> None:
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self.turns = model.turns()
        self.optimizers = {name: _optimizer(turn) for name, turn in self.turns.items()}
        self.clock = clock
        self.step = 0
        self.ema_length = ema_length
        self._average: list[Tensor] = list(self.average.parameters())
        self._current: list[Tensor] = list(model.parameters())
        self._buffers = list(zip(self.average.buffers(), model.buffers(), strict=True))

    @property
    def progress(self) -> float:
        return self.clock.progress(self.step)

    @property
    def going(self) -> dict[str, float]:
        """The turns that are taken now, and how far each has come in its own share of the budget, in [0, 1)."""
        now = self.progress
        taken = {name: turn for name, turn in self.turns.items() if turn.start <= now < turn.stop}
        return {name: (now - turn.start) / (turn.stop - turn.start) for name, turn in taken.items()}

    def update_average(self) -> None:
        """θ̄ ← θ̄ + (θ − θ̄) w with w = (γ + 1)/(n + γ + 1): an average over the last `ema_length` of the steps so far.

        The power-function average of Karras 2023 (eq. 3): it forgets the start without a constant to choose.
        """
        gamma = 1 / self.ema_length - 1
        weight = min(1.0, (gamma + 1) / (self.step + gamma + 1))
        with torch.no_grad():
            get_ema_multi_avg_fn(1 - weight)(self._average, self._current, self.step)
            for mean, value in self._buffers:
                mean.copy_(value)


def _optimizer(turn: Turn) -> torch.optim.Optimizer:
    decayed = [p for p in turn.module.parameters() if p.requires_grad and p.ndim >= 2]
    rest = [p for p in turn.module.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": turn.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    device = next(turn.module.parameters()).device
    if device.type != "cuda":
        return torch.optim.AdamW(groups, lr=turn.learning_rate, betas=turn.betas, fused=True)
    rate = torch.tensor(turn.learning_rate, device=device)  # a recorded step reads it anew
    return torch.optim.AdamW(groups, lr=rate, betas=turn.betas, fused=True, capturable=True)


def train(state: State, batches: Batches, *, seed: int, budget: Budget, precision: str = "fp32") -> Iterator[Step]:
    """Take steps until the budget is spent, yielding after each.

    precision: "fp32", or "bf16" for autocast. Raises FloatingPointError at a loss that is not finite.
    """
    device = next(state.model.parameters()).device
    generator = torch.Generator(device)
    take: Take = partial(_take_turns, state, precision)
    if device.type == "cuda":
        take = Recorded(take, device)
    state.model.train()
    while state.progress < 1:
        began = time.perf_counter()
        generator.manual_seed(derive_seed(seed, state.step, "noise"))
        going = state.going
        for name, share in going.items():
            _set_rate(state.optimizers[name], state.turns[name], share)
        values = take(batches(state.step), going, generator)
        if device.type == "cpu" or state.step % 25 == 0:
            _require_finite(values, state.step)
        state.step += 1
        state.update_average()
        state.clock.seconds += time.perf_counter() - began
        state.clock.tick(state.step, budget)
        yield Step(state.step, state.clock.seconds, state.progress, values)


def _take_turns(
    state: State, precision: str, batch: Batch, going: Mapping[str, Progress], generator: torch.Generator
) -> dict[str, Tensor]:
    """Every turn that is taken goes down its loss once."""
    kind = batch.x.device.type
    cached = kind != "cuda"  # a copy made while a step is recorded would be one of that recording
    values: dict[str, Tensor] = {}
    for name, share in going.items():
        turn = state.turns[name]
        with torch.autocast(kind, torch.bfloat16, cache_enabled=cached) if precision == "bf16" else nullcontext():
            loss, logged = turn.loss(batch, share, generator)
        values |= {f"{name}/loss": loss.detach(), **{f"{name}/{k}": v.detach() for k, v in logged.items()}}
        values[f"{name}/gradient"] = _descend(loss, turn, state.optimizers[name])
    return values


def _set_rate(optimizer: torch.optim.Optimizer, turn: Turn, progress: float) -> None:
    rate = turn.learning_rate * learning_rate(progress, constant=turn.constant)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def _descend(loss: Tensor, turn: Turn, optimizer: torch.optim.Optimizer) -> Tensor:
    """One step of the turn's own parameters; gradients of others are never formed. Returns the gradient's norm."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    norm = nn.utils.clip_grad_norm_(parameters, turn.clip)
    optimizer.step()
    return norm.detach()


def _require_finite(values: dict[str, Tensor], step: int) -> None:
    for name, value in values.items():
        if not torch.isfinite(value).all():
            raise FloatingPointError(f"{name} is {value.item()} at step {step}")
