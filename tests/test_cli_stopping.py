"""What is stopped has saved, says how it goes on, and ends where an unbroken run does."""

from __future__ import annotations

import importlib
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import Sansheng, training
from sansheng import checkpoint, session
from sansheng.cli import main
from sansheng.console import Reporter
from sansheng.events import Event
from sansheng.loop import State


def signal_at(step: int, signum: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal come while that step is being reported."""
    plain = Reporter.__call__

    def observe(self: Reporter, event: Event) -> None:
        plain(self, event)
        if event.kind == "step" and event.step == step:
            signal.raise_signal(signum)

    monkeypatch.setattr(Reporter, "__call__", observe)


@pytest.fixture(scope="module")
def unbroken(models: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights a run ends with that nothing stops."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*training(models), str(out)]) == 0
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_saves_and_prints_the_command_that_ends_where_an_unbroken_run_does(
    signum: int, code: int, models: Path, unbroken: bytes, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        signal_at(3, signum, patch)
        said, out, err = sansheng(*training(models), "a stopped run")
    assert (said, out) == (code, "")
    assert [entry["step"] for entry in checkpoint.entries(Path("a stopped run/checkpoint"))] == [3]
    hint = err.splitlines()[-1]
    command = shlex.split(hint[hint.index("sansheng resume") :])
    assert command == ["sansheng", "resume", "a stopped run"]
    assert sansheng("sample", "a stopped run")[2].count("sansheng resume") == 1
    assert sansheng(*command[1:])[:2] == (0, "a stopped run\n")
    assert Path("a stopped run/model.safetensors").read_bytes() == unbroken


def test_a_second_stop_while_saving_leaves_the_checkpoint_before(
    models: Path, unbroken: bytes, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def stop(descriptor: int) -> None:
        signal.raise_signal(signal.SIGINT)

    def save_and_be_stopped(folder: Path, state: State) -> None:
        if state.step == 3:
            patch.setattr(checkpoint.os, "fsync", stop)
        save(folder, state)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever ran before this
    with monkeypatch.context() as patch:
        patch.setattr(session, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
        patch.setattr(checkpoint, "save", save_and_be_stopped)
        signal_at(3, signal.SIGINT, patch)
        code, _, err = sansheng(*training(models), "stopped")
    signal.signal(signal.SIGINT, before)
    assert code == 130
    assert err.splitlines()[-1].startswith("sansheng: stopped; if training had begun, what was saved is kept")
    assert [entry["step"] for entry in checkpoint.entries(Path("stopped/checkpoint"))] == [2, 1]
    assert sansheng("resume", "stopped")[0] == 0
    assert Path("stopped/model.safetensors").read_bytes() == unbroken


def test_a_comparison_that_was_stopped_says_how_it_goes_on(
    models: Path, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", str(models / "image.npz"), "--families", "gan", "--seeds", "2", "--steps", "4")
    words += ("--parameters", "5k")
    with monkeypatch.context() as patch:
        signal_at(3, signal.SIGINT, patch)
        code, out, err = sansheng(*words, "--force")
    assert (code, out) == (130, "")
    hint = err.splitlines()[-1]
    command = shlex.split(hint[hint.index("sansheng compare") :])
    assert command == ["sansheng", *words, "--out", "runs/image-compared-1", "--resume"]

    def refuse(*args: object, **options: object) -> None:
        raise ValueError("everything is trained, and scoring is not for this test")

    monkeypatch.setattr(importlib.import_module("sansheng.compare"), "fit_scorer", refuse)
    assert "everything is trained" in sansheng(*command[1:])[2]
    steps = [checkpoint.entries(Path(f"runs/image-compared-1/gan-default-{s}/checkpoint"))[0]["step"] for s in (0, 1)]
    assert steps == [4, 4]


def test_ctrl_c_in_a_shell_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    """The whole program, once, with a signal from outside."""
    words = [
        "train",
        "iris",
        "--family",
        "flow",
        "--budget",
        "300s",
        "--parameters",
        "5k",
        "--out",
        str(tmp_path / "r"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "sansheng", *words], stderr=subprocess.PIPE, text=True)
    journal, deadline = tmp_path / "r" / "journal.jsonl", time.monotonic() + 90
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"sansheng resume {tmp_path / 'r'}" in err
    assert checkpoint.entries(tmp_path / "r" / "checkpoint")
