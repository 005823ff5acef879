"""A person's own pictures from end to end: transparency is remembered, large sets train, any size works."""

import json

import numpy as np
import pytest
import torch

import sansheng
from paint import pictures, save
from sansheng.budget import Budget
from sansheng.cli import main
from sansheng.codecs import rows
from sansheng.data import open_data
from sansheng.events import Event
from sansheng.plan import plan, telling
from sansheng.recipe import build

TINY = {"settings": {"width": 8}, "steps": 2, "previews": False}


def first_numbers(images: np.ndarray) -> np.ndarray:
    """A row of each picture: features that need no training."""
    return images[:, 0].reshape(len(images), -1).astype(np.float32)


@pytest.fixture
def clear(tmp_path):
    """A folder of 60 pictures that are transparent somewhere."""
    rng = np.random.default_rng(0)
    for i in range(60):
        save(tmp_path / "clear" / "ab"[i % 2] / f"{i:02d}.png", pictures(rng, 8, 9, 4))
    return tmp_path / "clear"


def test_alpha_is_remembered_by_the_run(clear, tmp_path):
    made = sansheng.train(clear, family="vae", alpha=True, out=tmp_path / "run", **TINY)
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]["alpha"] is True
    assert [picture.mode for picture in made.sample(2)] == ["RGBA", "RGBA"]
    again = sansheng.load(tmp_path / "run")
    assert again.open_data().train_records.values.shape == (45, 8, 9, 4)
    longer = sansheng.resume(tmp_path / "run", steps=1)
    assert longer.draw(1).values.shape == (1, 8, 9, 4)


def test_a_run_made_before_there_was_alpha_is_read(clear, tmp_path):
    sansheng.train(clear, family="vae", out=tmp_path / "run", **TINY)
    path = tmp_path / "run" / "recipe.json"
    recipe = json.loads(path.read_text())
    del recipe["data"]["alpha"]
    path.write_text(json.dumps(recipe))
    assert sansheng.load(path.parent).open_data().train_records.values.shape == (45, 8, 9, 3)


def test_alpha_on_the_command_line(clear, tmp_path, capsys):
    assert main(["train", str(clear), "--family", "vae", "--alpha", "--dry-run", "--quiet"]) == 0
    assert "RGBA" in capsys.readouterr().out
    options = ["--families", "vae", "--alpha", "--smoke", "--parameters", "20k", "--quiet"]
    out = tmp_path / "compared"
    assert main(["compare", str(clear), *options, "--out", str(out)]) == 0
    assert sansheng.load(out / "vae-default-0").recipe.data.alpha
    assert "--alpha" in (out / "report.html").read_text("utf-8")
    assert "--alpha True" not in (out / "report.html").read_text("utf-8")
    walked = tmp_path / "seen"
    assert main(["reconstruct", str(out / "vae-default-0"), str(clear), "--out", str(walked), "--quiet"]) == 0
    assert len(list(walked.glob("0*.png"))) == 60


def test_alpha_of_what_is_no_image_is_a_mistake(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"alpha .* is for images, and this is array data"):
        open_data(np.zeros((40, 3)), alpha=True)
    assert main(["info", "ring", "--alpha", "--quiet"]) == 2
    assert "is for images" in capsys.readouterr().err
    assert open_data("digits", alpha=True).codec.space.channels == 1


def test_a_large_set_is_trained_on_as_a_small_one_is(clear, tmp_path, monkeypatch):
    monkeypatch.setenv("SANSHENG_CACHE", str(tmp_path / "cache"))
    small = sansheng.train(clear, family="flow", condition="label", out=tmp_path / "small", **TINY)
    monkeypatch.setattr(rows, "LARGE", 2000)
    large = sansheng.train(clear, family="flow", condition="label", out=tmp_path / "large", **TINY)
    assert list((tmp_path / "cache").glob("*.npy"))
    assert isinstance(large.open_data().train_records.values, rows.Rows)
    for one, other in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert torch.equal(one, other)
    one, other = (made.evaluate(20, features=first_numbers)["frechet"].value for made in (small, large))
    assert one == other


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (33, 17), (5, 5)])
def test_models_of_any_height_and_width(shape, family):
    data = np.random.default_rng(0).integers(0, 256, (40, *shape, 1), dtype=np.uint8)
    opened, recipe = plan(data, family=family, budget=Budget(steps=1), settings={"width": 8})
    model = build(recipe, opened.codec.space, opened.codec.condition_space)
    drawn = model.sample(2, condition=None, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 1, *shape)
    assert torch.isfinite(drawn).all()


def test_progress_of_reading_is_told_now_and_then_with_the_time_left():
    seen: list[Event] = []
    times = iter([0.0, 1.0, 10.0, 12.0, 30.0])
    tell = telling(seen.append, clock=lambda: next(times))
    for done in (10, 100, 120, 300):
        tell(done, 400)
    assert [event.text for event in seen] == [
        "100 of 400 images decoded (25%), about 30 s left",
        "300 of 400 images decoded (75%), about 10 s left",
    ]
