"""The benchmark of pictures: turns are fair, and the table says what the lines say."""

from __future__ import annotations

import importlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
BUSY = "import time\nwhile time.process_time() < {seconds}: sum(range(1000))"
TURN, LATE = 0.2, 0.15


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """A script of the benchmarks, or of its peers, as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    return importlib.import_module


def jobs(interleave: ModuleType, folder: Path, *codes: str) -> list:
    return [
        interleave.Job(f"job{i}", [sys.executable, "-c", code], folder / f"{i}.txt") for i, code in enumerate(codes)
    ]


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux
def test_cpu_seconds_of_two_jobs_differ_by_at_most_a_turn(load, tmp_path: Path) -> None:
    interleave = load("interleave")
    used: dict[str, float] = defaultdict(float)
    ended: dict[str, int] = {}
    order = []
    for turn in interleave.interleave(jobs(interleave, tmp_path, *[BUSY.format(seconds=0.9)] * 2), TURN):
        order.append(turn.name)
        used[turn.name] = turn.cpu_seconds
        if turn.status is not None:
            ended[turn.name] = turn.status
        if not ended:
            assert abs(used["job0"] - used["job1"]) <= TURN + LATE
    assert ended == {"job0": 0, "job1": 0}
    assert order[:6] == ["job0", "job1"] * 3  # neither ran through before the other began
    assert min(used.values()) > 0.6


@linux
def test_a_job_that_fails_is_told_and_does_not_end_the_others(load, tmp_path: Path) -> None:
    interleave = load("interleave")
    turns = interleave.interleave(jobs(interleave, tmp_path, "raise SystemExit(3)", BUSY.format(seconds=0.5)), TURN)
    assert {turn.name: turn.status for turn in turns if turn.status is not None} == {"job0": 3, "job1": 0}


@linux
def test_leaving_early_ends_every_job(load, tmp_path: Path) -> None:
    interleave = load("interleave")
    turns = interleave.interleave(jobs(interleave, tmp_path, *[BUSY.format(seconds=60)] * 2), TURN)
    players = []
    real = interleave.Player
    interleave.Player = lambda job: players.append(real(job)) or players[-1]
    try:
        next(turns)
        turns.close()
    finally:
        interleave.Player = real
    assert [player.process.poll() for player in players] == [-9, -9]


def test_a_turn_of_no_length_is_refused(load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above zero"):
        next(load("interleave").interleave([], 0.0))


LINES = (
    {"row": "worse", "library": "a", "version": "1", "torch": "2", "settings": "wide", "frechet": 30.0,
     "precision": 0.5, "recall": 0.25, "density": 0.5, "coverage": 0.125, "seconds_1000": 2.0, "steps": 1200,
     "parameters": 3400, "cpu_seconds": 60.2, "fit_seconds": 0.0, "pictures": "worse.npz"},
    {"row": "broken", "failed": "ValueError: no"},
    {"row": "better", "library": "sansheng", "version": "1", "torch": "2", "settings": "s", "frechet": 3.0},
    {"row": "real", "frechet": 0.5},
)  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def test_the_table_orders_rows_by_distance_and_tells_what_failed(load, results: Path) -> None:
    table = load("images_table")
    text = table.markdown(table.read(results))
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "Frechet" not in line]
    assert [row[0] for row in rows] == ["| real", "| better", "| worse"]
    assert rows[2][1:9] == ["30.0", "0.50", "0.25", "0.50", "0.12", "2", "1,200", "3,400"]
    assert len({len(row) for row in rows}) == 1
    assert "- broken failed: ValueError: no" in text.splitlines()[-1]
    assert "- worse: a 1, torch 2; wide" in text


def test_the_figure_shows_the_first_samples_of_the_right_row(load, results: Path) -> None:
    table = load("images_table")
    pictures = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    np.savez(results.parent / "worse.npz", images=pictures)
    rows = [row for row in table.read(results) if "failed" not in row]
    strips = table._strips(rows, results.parent)
    assert strips.shape == (12, 4 * table.SHOWN)
    assert (strips[:8] == 255).all()  # real and better left none
    assert strips[8].tolist() == np.repeat(np.arange(table.SHOWN), 4).tolist()
    table.draw(table.read(results), results.parent, results.with_suffix(".png"))
    assert results.with_suffix(".png").read_bytes()[1:4] == b"PNG"


def test_pictures_survive_padding_and_the_way_to_tensors_and_back(load) -> None:
    task = load("task")
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 27, 3), dtype=np.uint8)
    wide = task.padded(images)
    assert wide.shape == (3, 32, 32, 3)
    assert (task.cropped(task.as_pictures(task.as_floats(wide)), images) == images).all()


def test_options_of_contenders_are_checked(load) -> None:
    contenders = load("contenders")
    chosen = contenders.choose("sansheng-vae,diffusers")
    assert contenders.changed(chosen, ["diffusers.width=32"])["diffusers"].options == {"width": "32"}
    with pytest.raises(ValueError, match="sansheng-vae, diffusers"):
        contenders.changed(chosen, ["ddpm.dim=8"])
    with pytest.raises(ValueError, match="torchgan"):
        contenders.choose("stylegan")
