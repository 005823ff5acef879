"""A run: what its folder holds is enough to draw again, to go on exactly, and to be refused if it was tampered with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sansheng import checkpoint
from sansheng.errors import DataError
from sansheng.events import Event
from sansheng.run import Run, load, resume, train
from sansheng.session import Interrupted, read_journal
from small import ASKED, FAMILIES, KINDS, WINDOW, make

SMALL = {"parameters": 4000, "previews": False, "settings": {"batch": 16, "threads": 1}}


def quick(family: str, out: Path, source: object = None, **more: object) -> Run:
    given = make("array") if source is None else source
    return train(given, family=family, out=out, **{"steps": 6, **SMALL, **more})  # pyright: ignore


def weights(run: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_valid_records_of_every_kind(family: str, kind: str, tmp_path: Path) -> None:
    source = make(kind)
    run = quick(family, tmp_path / "run", source, steps=2, **ASKED.get(kind, {}))
    drawn = run.draw(5)
    assert len(drawn) == 5
    if kind == "table":
        frame = run.sample(5)
        assert list(frame.columns) == list(source.columns)  # pyright: ignore
        assert set(frame["job"]) <= {"clerk", "cook", "poet"}
        assert frame.dtypes.equals(source.dtypes)  # pyright: ignore
    elif kind == "text":
        assert all(set(line) <= set("abcde") for line in run.sample(5))
    elif kind == "image":
        assert drawn.values.shape == (5, 6, 5, 1)
        assert [picture.size for picture in run.sample(5)] == [(5, 6)] * 5
    elif kind == "series":
        frame = run.sample(5)
        assert list(frame.columns)[-3:] == ["price", "warmth", "visits"]
        assert len(frame) == 5 * WINDOW
        assert (frame["price"] > 0).all()
        assert frame["visits"].dtype == np.int64
        assert np.isfinite(frame.drop(columns="warmth").select_dtypes("number")).all(axis=None)
    elif kind == "audio":
        assert drawn.values.shape == (5, source.shape[1])  # pyright: ignore
        assert 0 < np.abs(drawn.values).max() <= 1
    else:
        assert drawn.values.shape == (5, 3)
        assert np.isfinite(drawn.values).all()


def test_a_run_that_is_loaded_draws_what_it_drew_before(family: str, tmp_path: Path) -> None:
    run = quick(family, tmp_path / "run")
    np.testing.assert_array_equal(run.sample(7, seed=3), load(tmp_path / "run").sample(7, seed=3))
    assert not np.array_equal(run.sample(7, seed=3), run.sample(7, seed=4))


def test_the_first_samples_do_not_depend_on_how_many_are_asked_for_in_whole_chunks(tmp_path: Path) -> None:
    run = quick("gan", tmp_path / "run")
    few, many = run.sample(2000, seed=1), run.sample(2500, seed=1)
    np.testing.assert_array_equal(few, many[:2000])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_stopped_and_resumed_is_unbroken_bit_for_bit(family: str, kind: str, tmp_path: Path) -> None:
    source, asked = make(kind), ASKED.get(kind, {})
    quick(family, tmp_path / "whole", source, **asked)

    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        quick(family, tmp_path / "broken", source, observe=stop, **asked)
    with pytest.raises(DataError, match="sansheng resume"):
        load(tmp_path / "broken")
    resume(tmp_path / "broken", source=source)  # pyright: ignore
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    steps = [line["step"] for line in read_journal(tmp_path / "broken")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_same_seed_trains_the_same_weights_and_another_one_does_not(family: str, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        quick(family, tmp_path / name, seed=seed)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_previews_change_nothing(tmp_path: Path) -> None:
    quick("vae", tmp_path / "plain")
    quick("vae", tmp_path / "shown", previews=True)
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "shown"))
    assert list((tmp_path / "shown" / "previews").glob("*.png"))


def test_a_run_by_seconds_keeps_the_clock_that_repeats_it(tmp_path: Path) -> None:
    run = quick("flow", tmp_path / "run", steps=None, budget="0.3s")
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["seconds"] == 0.3
    assert recipe["knots"]
    assert run.recipe.knots[-1][0] <= read_journal(tmp_path / "run")[-1]["step"]


def test_a_spent_run_goes_on_only_when_given_more(tmp_path: Path) -> None:
    quick("gan", tmp_path / "run")
    with pytest.raises(ValueError, match="spent its budget"):
        resume(tmp_path / "run", source=make("array"))  # pyright: ignore
    longer = resume(tmp_path / "run", steps=4, source=make("array"))  # pyright: ignore
    assert longer.recipe.steps == 10
    assert read_journal(tmp_path / "run")[-1]["step"] == 10


def test_the_number_of_threads_is_tried_by_the_clock_alone(tmp_path: Path) -> None:
    """It is written down from the first step on; more steps are taken on the last one, with which they repeat."""
    settings = {"batch": 16, "threads": 0}
    run = quick("vae", tmp_path / "run", steps=None, budget="0.3s", settings=settings, device="cpu")
    kept = checkpoint.entries(tmp_path / "run" / "checkpoint")[0]["threads"]
    assert kept[0] == [0, run.recipe.threads]
    assert [tuple(change) for change in kept[1:]] == run.recipe.changes
    longer = resume(tmp_path / "run", steps=4, source=make("array"))  # pyright: ignore
    assert checkpoint.entries(tmp_path / "run" / "checkpoint")[0]["threads"] == []
    assert (longer.recipe.threads, longer.recipe.changes) == (kept[-1][1], [])
    fixed = quick("vae", tmp_path / "fixed", steps=None, budget="0.3s")
    assert checkpoint.entries(fixed.path / "checkpoint")[0]["threads"] == []
    by_steps = quick("vae", tmp_path / "steps", settings=settings)
    assert checkpoint.entries(by_steps.path / "checkpoint")[0]["threads"] == []


def test_changed_data_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, make("array"))  # pyright: ignore
    quick("vae", tmp_path / "run", path)
    np.save(path, 1 + make("array"))  # pyright: ignore
    with pytest.raises(DataError, match="changed"):
        resume(tmp_path / "run", steps=2)
    assert resume(tmp_path / "run", steps=2, force=True).recipe.steps == 8


def test_an_output_folder_is_never_overwritten_unless_asked(tmp_path: Path) -> None:
    quick("vae", tmp_path / "run")
    before = weights(tmp_path / "run")
    with pytest.raises(FileExistsError, match="--force"):
        quick("vae", tmp_path / "run", seed=5)
    assert same(before, weights(tmp_path / "run"))
    quick("vae", tmp_path / "run", seed=5, force=True)
    assert not same(before, weights(tmp_path / "run"))


def test_force_never_removes_a_folder_that_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.txt").write_text("dear")
    with pytest.raises(DataError, match="not made by sansheng"):
        quick("vae", tmp_path / "photos", force=True)
    assert (tmp_path / "photos" / "holiday.txt").read_text() == "dear"


def test_a_flipped_bit_in_the_weights_is_named(tmp_path: Path) -> None:
    quick("vae", tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.safetensors has changed"):
        load(tmp_path / "run")


def test_a_recipe_of_another_version_says_so(tmp_path: Path) -> None:
    quick("vae", tmp_path / "run")
    path = tmp_path / "run" / "recipe.json"
    recipe = json.loads(path.read_text()) | {"flavour": "new", "sansheng": "99.0"}
    path.write_text(json.dumps(recipe))
    with pytest.raises(DataError, match=r"flavour.*99\.0"):
        load(tmp_path / "run")


def test_what_is_asked_for_is_given(family: str, tmp_path: Path) -> None:
    """A label that the data and the sample must agree on: it is a column of the table."""
    run = quick(family, tmp_path / "run", make("table"), condition="job")
    assert set(run.sample(9, where={"job": "poet"})["job"]) == {"poet"}
    assert set(run.sample(200)["job"]) == {"clerk", "cook", "poet"}
    with pytest.raises(ValueError, match="clerk, cook, poet"):
        run.sample(1, where={"job": "king"})
    with pytest.raises(ValueError, match="job"):
        run.sample(1, where={"trade": "poet"})


@pytest.mark.parametrize("family", ["diffusion", "flow"])
def test_a_condition_is_learnt(family: str, tmp_path: Path) -> None:
    """Two clusters far apart, told by a label: samples land where they were asked to, more so with guidance."""
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=400)
    frame = pd.DataFrame({"side": np.array(["left", "right"])[side], "x": 10.0 * side + rng.standard_normal(400)})
    run = train(
        frame, family=family, condition="side", out=tmp_path / "run", steps=150, parameters=8000, previews=False
    )
    left, right = (run.sample(200, where={"side": name})["x"] for name in ("left", "right"))
    assert left.median() < 4 < 6 < right.median()


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_families_that_draw_at_once_refuse_a_sampler(family: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="diffusion and flow"):
        quick(family, tmp_path / "run").sample(2, steps=5)


def test_scores_are_written_with_their_intervals(tmp_path: Path) -> None:
    run = quick("vae", tmp_path / "run", make("table", 120))
    scores = run.evaluate(30, source=make("table", 120))  # pyright: ignore
    written = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert written.keys() == scores.keys()
    assert {"frechet", "coverage", "two_sample_auc", "copying", "shape_error", "trend_error", "bound"} <= scores.keys()
    for score in written.values():
        assert score["low"] <= score["value"] <= score["high"]
        assert score["better"] in ("lower", "higher")
        assert score["n"] > 0


def test_other_features_may_be_given(tmp_path: Path) -> None:
    run = quick("vae", tmp_path / "run", make("image", 120))
    seen: list[tuple[int, ...]] = []

    def means(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return images.reshape(len(images), -1)[:, :4].astype(float)

    run.evaluate(30, source=make("image", 120), features=means)  # pyright: ignore
    assert (30, 6, 5, 1) in seen


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    lines = dict(quick("gan", tmp_path / "run").describe())
    assert lines["family"] == "gan (default)"
    assert "6 steps" in lines["trained"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert "no formal privacy" in card


def test_half_precision_trains_to_numbers(family: str, tmp_path: Path) -> None:
    run = quick(family, tmp_path / "run", precision="bf16")
    assert run.recipe.precision == "bf16"
    assert all(torch.isfinite(w).all() for w in weights(tmp_path / "run").values())
    full = quick(family, tmp_path / "full", precision="fp32")
    assert not same(weights(run.path), weights(full.path))


KILLED = """
import sys
import sansheng.session
from sansheng.run import train

sansheng.session.CHECKPOINT_SECONDS = 0.0
train(sys.argv[1], family="gan", out=sys.argv[2], steps=int(sys.argv[3]), parameters=4000, previews=False)
"""


def test_killed_without_warning_a_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    steps, path = 60, tmp_path / "rows.npy"
    np.save(path, make("array"))  # pyright: ignore
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(tmp_path / "killed"), str(steps)])
    folder, deadline = tmp_path / "killed" / "checkpoint", time.monotonic() + 60
    while len(checkpoint.entries(folder)) < 2 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert 0 < checkpoint.entries(folder)[0]["step"] < steps
    resume(tmp_path / "killed")
    train(path, family="gan", out=tmp_path / "whole", steps=steps, parameters=4000, previews=False)
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "whole"))


def test_guidance_without_anything_to_follow_is_refused(tmp_path: Path) -> None:
    run = train("moons", family="flow", out=tmp_path / "r", steps=2, parameters=3_000, previews=False)
    with pytest.raises(ValueError, match="--guidance follows a condition"):
        run.draw(2, guidance=3.0)
    assert len(run.draw(2, guidance=1.0)) == 2
