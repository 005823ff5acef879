"""What happens around the steps: a loss that is no number, two processes on one run, a journal with a gap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from sansheng import checkpoint
from sansheng.budget import Budget, Clock
from sansheng.errors import DataError
from sansheng.events import Event
from sansheng.families.gan import GAN
from sansheng.loop import State
from sansheng.loop import train as take_steps
from sansheng.model import Batch
from sansheng.networks.mlp import PlainMLP
from sansheng.run import load, train
from sansheng.session import Session, TrainingFailed, read_journal
from sansheng.space import Real, Space
from small import make


def quick(out: Path, **more: object) -> object:
    return train(make("array"), family="vae", out=out, parameters=3000, previews=False, **{"steps": 4, **more})  # pyright: ignore


def gan() -> GAN:
    torch.manual_seed(0)
    generator = PlainMLP((3,), (2,), widths=(8,), activation=torch.nn.ReLU())
    critic = PlainMLP((2,), (1,), widths=(8,), activation=torch.nn.ReLU())
    return GAN(Space((Real(2),)), generator, critic, latent=3)


def test_a_loss_that_is_no_number_stops_with_advice_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    budget = Budget(steps=9)
    state = State(gan(), Clock.start(budget))

    def batches(step: int) -> Batch:
        return Batch(torch.full((4, 2), float("nan") if step == 5 else 1.0))

    def run() -> None:
        with Session(tmp_path, state, budget, lambda event: None, None) as session:
            for step in take_steps(state, batches, seed=0, budget=budget):
                session.after(step)
                if step.step == 3:
                    checkpoint.save(tmp_path / "checkpoint", state)

    with pytest.raises(TrainingFailed, match=r"at step 5.*checkpoint, of step 3.*learning_rate") as caught:
        run()
    assert "--precision fp32" in str(caught.value)
    fresh = State(gan(), Clock.start(budget))
    checkpoint.restore(tmp_path / "checkpoint", fresh)
    assert fresh.step == 3
    assert all(torch.isfinite(p).all() for p in fresh.model.parameters())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    budget = Budget(steps=2)
    state = State(gan(), Clock.start(budget))

    def run() -> None:
        with Session(tmp_path, state, budget, lambda event: None, None) as session:
            for step in take_steps(state, lambda _: Batch(torch.ones(4, 2)), seed=0, budget=budget):
                session.after(step)
            next(state.model.parameters()).data.fill_(float("inf"))

    with pytest.raises((TrainingFailed, FloatingPointError)):
        run()
    assert not checkpoint.entries(tmp_path / "checkpoint")


def test_a_second_process_is_kept_off_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    budget = Budget(steps=1)
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(DataError, match="another process"),
        Session(tmp_path / "run", State(gan(), Clock.start(budget)), budget, lambda event: None, None),
    ):
        pass


def test_a_journal_with_a_gap_and_a_torn_line_is_read_as_what_counts(tmp_path: Path) -> None:
    lines = [
        {"step": s, "seconds": s, "progress": 0, "values": {"loss": v}} for s, v in [(1, 1), (2, 2), (3, 3), (2, 9)]
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 3, "sec'
    (tmp_path / "journal.jsonl").write_text(text)
    read = read_journal(tmp_path)
    assert [(line["step"], line["values"]["loss"]) for line in read] == [(1, 1), (2, 9)]


def test_progress_is_told_as_it_goes(tmp_path: Path) -> None:
    seen: list[Event] = []
    quick(tmp_path / "run", observe=seen.append)
    steps = [event for event in seen if event.kind == "step"]
    assert [event.step for event in steps] == [1, 2, 3, 4]
    assert steps[-1].progress == pytest.approx(1)
    assert steps[-1].left == pytest.approx(0, abs=0.1)
    assert {"bound/loss", "bound/kl"} <= steps[0].values.keys()


def test_an_interval_checkpoint_is_written_as_time_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sansheng.session.CHECKPOINT_SECONDS", 0.0)
    quick(tmp_path / "run")
    assert [entry["step"] for entry in checkpoint.entries(tmp_path / "run" / "checkpoint")] == [4, 3]


def test_a_run_trained_on_the_cpu_loads_there(tmp_path: Path) -> None:
    quick(tmp_path / "run")
    assert load(tmp_path / "run", device="cpu").device.type == "cpu"
    with pytest.raises(ValueError, match="device"):
        load(tmp_path / "run", device="abacus")
