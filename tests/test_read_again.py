"""New data put to a trained model: under their own labels, or under labels that are drawn or typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sansheng import filling, latent
from sansheng.cli import main
from sansheng.cli.samples import read_for
from sansheng.codecs.base import Records
from sansheng.codecs.image import ImageCodec
from sansheng.data import open_data
from sansheng.errors import DataError
from sansheng.run import Run, load, train
from sansheng.score import fit_scorer
from sansheng.text_gaps import fill_lines

SMALL = {"steps": 2, "parameters": 3000, "settings": {"threads": 1}, "previews": False}
HOLE = [slice(0, 2), slice(0, 2)]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pictures(folder: Path, *labels: str, n: int = 6) -> Path:
    """Noise, in a folder for each label; without labels in the folder itself."""
    rng = np.random.default_rng(0)
    for label in labels or ("",):
        for i in range(n):
            save(folder / label / f"{i}.png", rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return folder


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A flow and a VAE of cats and dogs."""
    out = tmp_path_factory.mktemp("pets")
    source = pictures(out / "pets", "cat", "dog")
    return {
        family: train(source, family=family, condition="label", out=out / family, **SMALL) for family in ("flow", "vae")
    }


@pytest.fixture
def cows(tmp_path: Path) -> Path:
    return pictures(tmp_path / "cows", "cow", "fox", n=2)


# -- labels ------------------------------------------------------------------------------------------------


def test_labels_the_model_has_not_seen_come_back_as_they_are(pets: dict[str, Run], cows: Path) -> None:
    flow, vae = pets["flow"], pets["vae"]
    records = read_for(flow, str(cows))
    assert records.labels["label"].tolist() == ["cow", "cow", "fox", "fox"]
    filled = filling.fill_hole(flow, records, HOLE, filling.Drawing(draws=2, steps=2))
    assert filled.labels["label"].tolist() == ["cow"] * 4 + ["fox"] * 4
    assert latent.reconstruct(vae, records).labels["label"].tolist() == ["cow", "cow", "fox", "fox"]
    way = latent.interpolate(vae, records.take(np.array([0, 3])), steps=4)
    assert way.labels["label"].tolist() == ["cow", "cow", "fox", "fox"]
    assert latent.traverse(vae, records, 0, steps=3).labels["label"].tolist() == ["cow"] * 3


def test_pictures_without_labels_are_filled_and_reconstructed(pets: dict[str, Run], tmp_path: Path) -> None:
    flow, vae = pets["flow"], pets["vae"]
    records = read_for(flow, str(pictures(tmp_path / "plain")))
    assert filling.lacking(flow, records) == ["label"]
    known = {"cat", "dog"}
    how = filling.Drawing(steps=2)
    assert set(filling.fill_hole(flow, records, HOLE, how).labels["label"]) <= known
    small = Records(records.values[:, ::2, ::2])
    assert set(filling.enlarge(flow, small, how).labels["label"]) <= known
    for made in (latent.reconstruct(vae, records), latent.interpolate(vae, records), latent.traverse(vae, records, 0)):
        assert set(made.labels["label"]) <= known


def test_labels_can_be_typed_and_those_that_are_drawn_are_said(
    pets: dict[str, Run], tmp_path: Path, cows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, runs = str(pictures(tmp_path / "plain")), {name: str(run.path) for name, run in pets.items()}
    fill = ["fill", runs["flow"], plain, "--hole", "0:2,0:2", "--steps", "2", "--out"]
    assert main([*fill, str(tmp_path / "drawn")]) == 0
    assert "no label is given, so it is drawn" in capsys.readouterr().err
    assert main([*fill, str(tmp_path / "filled"), "--where", "label=dog"]) == 0
    assert "no label is given" not in capsys.readouterr().err
    assert main(["reconstruct", runs["vae"], str(cows), "--out", str(tmp_path / "seen"), "--where", "label=dog"]) == 0
    for folder in ("filled", "seen"):
        assert set(pd.read_csv(tmp_path / folder / "labels.csv")["label"]) == {"dog"}
    assert main([*fill, str(tmp_path / "none"), "--where", "label=cow"]) == 2
    assert "Valid: cat, dog" in capsys.readouterr().err


def test_held_out_labels_that_the_training_split_lacks_are_said(tmp_path: Path) -> None:
    for part, label in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "cow"), ("test", "fox")):
        pictures(tmp_path / "pets" / part, label, n=2)
    notes = open_data(tmp_path / "pets", condition="label").notes
    assert "4 held-out examples have a label the training split lacks: cow, fox" in notes
    assert not [note for note in open_data(tmp_path / "pets").notes if "lacks" in note]


def test_a_quantity_that_is_asked_for_can_be_named_right() -> None:
    ages = np.tile([20.3, 20.65, 21.0, 21.35], 20)
    images = np.clip((ages - 20)[:, None, None, None] * 150 + np.zeros((1, 6, 6, 1)), 0, 255).astype(np.uint8)
    data = open_data(Records(images, {"age": ages}), kind="image", condition="age")
    drawn = data.codec.decode(data.train.x, data.train.condition)
    assert set(drawn.labels["age"]) == set(ages)
    scores = fit_scorer(data, seed=0).score(drawn, np.random.default_rng(0))
    assert scores["named_right"].value > 0.9


def test_lines_are_filled_under_their_labels_or_others(tmp_path: Path) -> None:
    who = np.array(["ann", "bob"] * 10)
    lines = Records(["abc", "bcd"] * 10, {"who": who})
    run = train(lines, kind="text", family="diffusion", condition="who", out=tmp_path / "run", **SMALL)
    how = filling.Drawing(draws=2, steps=2)
    made = fill_lines(run, ["a_c", "b__"], how=how, labels={"who": np.array(["eve", "bob"])})
    assert made.labels["who"].tolist() == ["eve", "eve", "bob", "bob"]
    assert set(fill_lines(run, ["a_c"], how=how).labels["who"]) <= set(who)


# -- the scale ---------------------------------------------------------------------------------------------


def deep(folder: Path, *arrays: np.ndarray, suffix: str = "png") -> Path:
    for i, pixels in enumerate(arrays):
        save(folder / f"{i}.{suffix}", pixels)
    return folder


def trained_on(source: Path, out: Path) -> Run:
    train(source, family="flow", out=out, **SMALL)
    return load(out)


@pytest.mark.parametrize(
    ("dtype", "suffix", "low", "high"),
    [("uint16", "png", 0, 4095), ("int32", "tif", -1000, 2000), ("float32", "tif", -1, 1), ("float32", "tif", 0, 1)],
)
def test_new_pictures_are_read_by_the_scale_of_training(
    tmp_path: Path, dtype: str, suffix: str, low: float, high: float
) -> None:
    seen = np.linspace(low, high, 36).reshape(6, 6).astype(dtype)
    run = trained_on(deep(tmp_path / "seen", *[seen] * 4, suffix=suffix), tmp_path / "run")
    new = np.linspace(0, high / 5, 36).reshape(6, 6).astype(dtype)
    read = read_for(run, str(deep(tmp_path / "new", new, suffix=suffix))).values[0, ..., 0]
    np.testing.assert_array_equal(read, np.rint(255 * (new.astype(float) - low) / (high - low)))


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("float32", -1, 1), ("uint16", 0, 4095), ("uint8", 0, 255), ("int16", -50, 80)]
)
def test_new_arrays_are_read_by_the_scale_of_training(tmp_path: Path, dtype: str, low: float, high: float) -> None:
    np.save(tmp_path / "seen.npy", np.linspace(low, high, 6 * 36).reshape(6, 6, 6).astype(dtype))
    run = trained_on(tmp_path / "seen.npy", tmp_path / "run")
    new = np.linspace(0, high / 20, 2 * 36).reshape(2, 6, 6).astype(dtype)
    np.save(tmp_path / "new.npy", new)
    read = read_for(run, str(tmp_path / "new.npy")).values[..., 0]
    np.testing.assert_array_equal(read, np.rint(255 * (new.astype(float) - low) / (high - low)))


def test_numbers_of_another_kind_have_a_scale_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "seen.npy", np.arange(6 * 36, dtype=np.uint8).reshape(6, 6, 6))
    run = trained_on(tmp_path / "seen.npy", tmp_path / "run")
    np.save(tmp_path / "new.npy", np.linspace(0, 1, 2 * 36).reshape(2, 6, 6))
    assert read_for(run, str(tmp_path / "new.npy")).values.max() == 255
    save(tmp_path / "folder" / "a.png", np.full((6, 6), 899, np.uint16))
    assert read_for(run, str(tmp_path / "folder")).values.max() == round(255 * 899 / 1023)


@pytest.mark.parametrize(("dtype", "most"), [("uint16", 4000), ("uint8", 16)])
def test_samples_are_read_again_as_they_are(tmp_path: Path, dtype: str, most: int) -> None:
    np.save(tmp_path / "seen.npy", np.linspace(0, most, 6 * 36).reshape(6, 6, 6).astype(dtype))
    run = trained_on(tmp_path / "seen.npy", tmp_path / "run")
    samples = Records(np.arange(2 * 36, dtype=np.uint8).reshape(2, 6, 6, 1) * 3)
    run.codec.write(samples, tmp_path / "samples.npy")
    np.testing.assert_array_equal(read_for(run, str(tmp_path / "samples.npy")).values, samples.values)


def test_settled_scales_do_not_let_values_that_are_no_numbers_pass(tmp_path: Path) -> None:
    np.save(tmp_path / "seen.npy", np.linspace(-1, 1, 6 * 36).reshape(6, 6, 6))
    run = trained_on(tmp_path / "seen.npy", tmp_path / "run")
    np.save(tmp_path / "new.npy", np.full((2, 6, 6), np.nan))
    with pytest.raises(DataError, match="not finite"):
        read_for(run, str(tmp_path / "new.npy"))


def test_runs_that_kept_no_scale_read_as_they_did(tmp_path: Path) -> None:
    run = trained_on(deep(tmp_path / "seen", *[np.full((6, 6), 4000, np.uint16)] * 4), tmp_path / "run")
    fields = {name: value for name, value in run.codec.to_json().items() if name != "scale"}
    old = ImageCodec.from_json(fields, {})
    assert old.to_json() == fields
    assert old.reading() == {}
    assert run.codec.to_json()["scale"] == {"deep": [0, 4095]}


@pytest.mark.parametrize("scale", ["4095", '{"deep": 3}', "dark"])
def test_what_is_no_scale_is_refused(tmp_path: Path, scale: str) -> None:
    with pytest.raises(ValueError, match="scale is what a codec says"):
        open_data(pictures(tmp_path / "plain"), options={"scale": scale})


# -- transparency ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [2, 4])
@pytest.mark.parametrize("side", [6, 9])
def test_what_is_transparent_is_laid_over_white_where_the_model_knows_no_alpha(
    channels: int, given: int, side: int
) -> None:
    codec = ImageCodec.fit(Records(np.zeros((2, 6, 6, channels), np.uint8)))
    for opacity, grey in ((0, 255), (128, 127), (255, 0)):
        black = np.zeros((1, side, side, given), np.uint8)
        black[..., -1] = opacity
        assert (codec.decode(codec.encode(Records(black)).x).values == grey).all()


def test_a_run_that_asked_for_alpha_and_found_none_reads_transparent_pictures(tmp_path: Path) -> None:
    run = train(pictures(tmp_path / "seen"), family="flow", alpha=True, out=tmp_path / "run", **SMALL)
    save(tmp_path / "new" / "a.png", np.zeros((6, 6, 4), np.uint8))
    save(tmp_path / "new" / "b.png", np.full((6, 6, 4), [0, 0, 0, 128], np.uint8))
    encoded = run.codec.encode(read_for(run, str(tmp_path / "new"))).x
    np.testing.assert_allclose(encoded.amax((1, 2, 3)).numpy(), [1, 127 / 127.5 - 1], atol=1e-6)
