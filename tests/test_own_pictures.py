"""A person's own pictures from end to end: transparency is remembered, large sets train, any size works."""

import csv
import json

import numpy as np
import pytest
import torch

import sansheng
from paint import pictures, save
from sansheng.budget import Budget
from sansheng.cli import main
from sansheng.codecs import Records, from_memory, rows
from sansheng.data import open_data, read_records
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


@pytest.mark.parametrize("size", ["12", "8x10"])
def test_the_size_that_is_asked_for_is_kept_by_the_run(clear, tmp_path, size):
    high, wide = (12, 12) if size == "12" else (8, 10)
    made = sansheng.train(clear, family="vae", options={"size": size}, out=tmp_path / "run", **TINY)
    assert made.draw(1).values.shape == (1, high, wide, 3)
    assert sansheng.load(tmp_path / "run").open_data().test_records.values.shape[1:] == (high, wide, 3)
    assert sansheng.resume(tmp_path / "run", steps=1).draw(1).values.shape == (1, high, wide, 3)


def test_any_source_of_pictures_is_brought_to_a_size(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 30), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", x_train=pixels, x_test=pixels[:10])
    for source in (tmp_path / "some.npz", pixels, "digits"):
        opened = open_data(source, options={"size": "6x9"})
        assert opened.train_records.values.shape[1:] == opened.test_records.values.shape[1:] == (6, 9, 1)
    (note,) = open_data(pixels, options={"size": "6x9"}).notes
    assert note == "images resized from 20 high x 30 wide to 6 high x 9 wide"
    assert open_data(pixels, options={"size": 6}).options == {"size": "6"}  # pyright: ignore[reportArgumentType]


def test_small_pictures_are_enlarged_by_a_model_of_a_size_that_was_asked_for(clear, tmp_path):
    sansheng.train("digits", family="flow", options={"size": "16"}, out=tmp_path / "run", **TINY)
    out = tmp_path / "large.npz"
    assert main(["enlarge", str(tmp_path / "run"), "digits", "-n", "3", "--out", str(out), "--quiet"]) == 0
    assert np.load(out)["images"].shape == (3, 16, 16, 1)


@pytest.mark.parametrize("size", ["0", "big", "8x8x3", "8x", "5000"])
def test_a_size_that_is_none_is_a_mistake(capsys, size):
    assert main(["info", "digits", "--size", size, "--quiet"]) == 2
    assert "--size is a side such as 32" in capsys.readouterr().err


def test_options_of_other_data_are_a_mistake_for_built_in_data_too(capsys):
    assert main(["info", "digits", "--rate", "8000", "--quiet"]) == 2
    assert "--rate is for audio data" in capsys.readouterr().err


def test_written_samples_of_a_conditional_run_are_read_again_for_it(clear, tmp_path):
    lines = "".join(f"{'ab'[i % 2]}/{i:02d}.png,{'red' if i % 3 else 'grün'},{i * 1.5}\n" for i in range(60))
    (clear / "labels.csv").write_text("file,colour,age\n" + lines, "utf-8")
    made = sansheng.train(clear, family="vae", condition=("colour", "age"), out=tmp_path / "run", **TINY)
    drawn = made.draw(3)
    made.codec.write(drawn, tmp_path / "out.npz")
    again = read_records(tmp_path / "out.npz", "image")
    assert again.labels["colour"].tolist() == drawn.labels["colour"].tolist()
    assert torch.equal(made.codec.encode(again).condition, made.codec.encode(drawn).condition)


def test_samples_are_read_as_they_are_handed_out(clear, tmp_path):
    made = sansheng.train(clear, family="vae", out=tmp_path / "run", **TINY)
    kind, source = from_memory(made.sample(3, seed=1))
    assert kind == "image"
    np.testing.assert_array_equal(source.records.values, made.draw(3, seed=1).values)


def test_strange_pictures_are_called_by_their_files(clear, tmp_path, capsys):
    sansheng.train(clear, family="vae", out=tmp_path / "run", **TINY)
    names = [f"{i}, new.png" for i in range(6)]
    for name in names:
        save(tmp_path / "new" / name, pictures(np.random.default_rng(1), 8, 9, 3))
    (tmp_path / "new" / names[2]).write_bytes(b"")
    assert main(["anomaly", str(tmp_path / "run"), str(tmp_path / "new"), "--quiet", "--samples", "1"]) == 0
    head, *lines = csv.reader(capsys.readouterr().out.splitlines())
    assert head == ["example", "file", "bits_per_dimension", "share_of_held_out_below"]
    readable = [name for name in names if name != names[2]]
    assert {line[1]: int(line[0]) for line in lines} == {name: i for i, name in enumerate(readable)}


def test_one_picture_is_enough_for_a_trained_run_and_too_few_to_train_on(clear, tmp_path, capsys):
    sansheng.train(clear, family="vae", out=tmp_path / "run", **TINY)
    one = save(tmp_path / "one.png", pictures(np.random.default_rng(1), 8, 9, 3))
    assert main(["reconstruct", str(tmp_path / "run"), str(one), "--out", str(tmp_path / "seen"), "--quiet"]) == 0
    assert main(["anomaly", str(tmp_path / "run"), str(one), "--quiet", "--samples", "1"]) == 0
    assert ",one.png," in capsys.readouterr().out
    for words in (["info", str(one)], ["train", str(one), "--family", "vae", "--as", "image"]):
        assert main([*words, "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "one picture is no set to learn from" in said
    assert "the data has 1 example; two are the least" in said


def test_a_flow_bounds_likelihood_in_two_ways_and_a_vae_in_one(clear, tmp_path, capsys):
    for family in ("flow", "vae"):
        made = sansheng.train(clear, family=family, out=tmp_path / family, **TINY)
        words = ["anomaly", str(made.path), str(clear), "--samples", "2", "--variational", "--quiet"]
        assert main(words) == (0 if family == "flow" else 2)
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 61
    assert "a vae has one bound alone" in said.err


def test_names_follow_their_records():
    records = Records(np.arange(4), names=["a", "b", "c", "d"])
    assert records.take(np.array([2, 0])).names == ["c", "a"]
    assert records.join(records.take(np.array([1]))).names == ["a", "b", "c", "d", "b"]
    assert records.join(Records(np.arange(2))).names == ()
