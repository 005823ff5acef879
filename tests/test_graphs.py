"""A step of training asks nothing of the processor but to start it; on a GPU it is recorded once and repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sansheng import graphs, loop, space
from sansheng.budget import Budget, Clock
from sansheng.data import Batches, Data, open_data
from sansheng.graphs import WARM, Recorded
from sansheng.model import Batch, GenerativeModel
from sansheng.plan import plan
from sansheng.recipe import build
from small import make

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA knows")
PLACES = ("image", "table", "text", "array", "series", "pieces")


def data_of(kind: str, tmp_path: Path) -> tuple[Data, tuple[str, ...]]:
    """Small data of a kind, and what is given of them."""
    rng = np.random.default_rng(3)
    if kind == "series":
        prices = tmp_path / "prices.csv"
        times = np.datetime64("2024-01-01") + np.arange(300)
        rows = zip(times, rng.normal(size=(300, 2)).cumsum(0), strict=True)
        prices.write_text("time,a,b\n" + "".join(f"{t},{a},{b}\n" for t, (a, b) in rows))
        return open_data(prices, kind="series", options={"window": "8"}), ()
    if kind == "pieces":
        lines = [" ".join(rng.choice(["one", "two", "three"], 12)) for _ in range(80)]
        return open_data(lines, kind="text"), ()
    given = ("job",) if kind == "table" else ()
    return open_data(make(kind), condition=given), given


def built(data: Data, given: tuple[str, ...], family: str, device: str = "cpu") -> tuple[GenerativeModel, Any]:
    _, recipe = plan(data, family=family, budget=Budget(steps=12), condition=given, device=device, precision="fp32")
    model = build(recipe, data.codec.space, data.codec.condition_space)
    model.measure(data.train.x)
    return model, recipe


class Moves(TorchDispatchMode):
    """Writes down what is copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        tensors = [part for part in (*args, made) if isinstance(part, torch.Tensor)]
        if "copy" in str(function) and len({part.device.type for part in tensors}) > 1:
            self.seen.append(str(function))
        return made


def to_meta(model: nn.Module) -> None:
    """Put the numbers of a model where none are kept: operations have shapes there, and no values to wait for."""
    for part in model.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                part._parameters[name] = nn.Parameter(weight.to("meta"), weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = buffer.to("meta")


@pytest.mark.parametrize("kind", PLACES)
def test_a_step_neither_copies_from_the_processor_nor_waits_for_a_value(
    kind: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Constants may be copied the first time. Whatever asked for a value would fail, as there is none."""
    monkeypatch.setattr(space, "_gumbel", lambda like, generator: torch.zeros_like(like))  # has no shape-only form
    data, given = data_of(kind, tmp_path)
    model, recipe = built(data, given, family)
    batch = Batches(data.train, seed=0, size=recipe.batch)(0)
    to_meta(model)
    there = Batch(batch.x.to("meta"), None if batch.condition is None else batch.condition.to("meta"))
    moves = Moves()
    for turn in model.turns().values():
        for first in (True, False):
            with moves:
                loss, _ = turn.loss(there, torch.zeros((), device="meta"), torch.Generator())
                loss.backward(inputs=[p for p in turn.module.parameters() if p.requires_grad])
            assert first or not moves.seen
            moves.seen.clear()


def trained(data: Data, given: tuple[str, ...], family: str, take: Callable[..., Any], monkeypatch: Any) -> Any:
    """(state, what each step logged) after a few steps on a GPU that are taken by `take(plainly, device)`."""
    torch.manual_seed(0)
    model, recipe = built(data, given, family, "cuda")
    state = loop.State(model.to("cuda"), Clock.start(recipe.budget))
    monkeypatch.setattr(loop, "Recorded", take)
    batches = Batches(data.train, seed=0, size=recipe.batch, device="cuda")
    steps = loop.train(state, batches, seed=0, budget=recipe.budget)
    return state, [{name: float(value) for name, value in step.values.items()} for step in steps]


@on_a_gpu
@pytest.mark.parametrize("kind", PLACES)
def test_recorded_steps_are_the_steps_as_they_are_taken_otherwise(
    kind: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, given = data_of(kind, tmp_path)
    recorders: list[Recorded] = []

    def record(take: Any, device: torch.device) -> Recorded:
        recorders.append(Recorded(take, device))
        return recorders[-1]

    state, logged = trained(data, given, family, record, monkeypatch)
    monkeypatch.setattr(graphs, "WARM", 10**9)
    plain, expected = trained(data, given, family, Recorded, monkeypatch)
    assert recorders[0].refused == []
    assert any(recording is not None for recording in recorders[0]._recordings.values())
    for mine, theirs in zip(logged, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    for a, b in zip(state.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


@on_a_gpu
def test_a_step_that_cannot_be_recorded_is_taken_as_before() -> None:
    weight = torch.zeros((), device="cuda")

    def take(batch: Batch, going: Mapping[str, Any], generator: torch.Generator) -> dict[str, torch.Tensor]:
        noise = torch.rand((), generator=generator, device="cuda")
        weight.add_(noise if batch.x.sum() > 0 else -noise)  # a choice that hangs on a tensor
        return {"noise": noise}

    recorded, generator = Recorded(take, torch.device("cuda")), torch.Generator("cuda")
    batch = Batch(torch.ones(4, 1, device="cuda"))
    total = 0.0
    for step in range(2 * WARM):
        values = recorded(batch, {"turn": step / 10}, generator.manual_seed(step))
        total += float(values["noise"])
    assert len(recorded.refused) == 1
    assert float(weight) == pytest.approx(total, rel=1e-5)


@on_a_gpu
def test_every_repetition_has_its_batch_its_progress_and_its_noise() -> None:
    def take(batch: Batch, going: Mapping[str, Any], generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {
            "sum": batch.x.sum(),
            "progress": 2 * going["turn"],
            "noise": torch.rand((), generator=generator, device="cuda"),
        }

    recorded, generator = Recorded(take, torch.device("cuda")), torch.Generator("cuda")
    for step in range(3 * WARM):
        values = recorded(
            Batch(torch.full((4, 1), float(step), device="cuda")), {"turn": step / 10}, generator.manual_seed(step)
        )
        noise = torch.rand((), generator=generator.manual_seed(step), device="cuda")
        assert {name: float(v) for name, v in values.items()} == pytest.approx(
            {"sum": 4.0 * step, "progress": step / 5, "noise": float(noise)}
        )
    assert recorded.refused == []
