"""Images survive the round trip, and a folder in any state is read by stated rules."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sansheng.codecs import image
from sansheng.codecs.base import Records
from sansheng.codecs.image import ImageCodec
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pictures(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def notes(source: image.Source) -> str:
    return " | ".join(source.notes)


# -- the codec ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_every_byte_survives_the_round_trip(channels: int):
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(channels, axis=3)
    codec = ImageCodec.fit(Records(values))
    x = codec.encode(Records(values)).x
    codec.space.check(x)
    assert (x.min(), x.max()) == (-1, 1)
    np.testing.assert_array_equal(codec.decode(x).values, values)


def test_decode_rounds_to_the_nearest_byte(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 2, 4, 4, 1)))
    x = codec.encode(Records(pictures(rng, 2, 4, 4, 1))).x
    np.testing.assert_array_equal(codec.decode(x + 0.4 / 127.5).values, codec.decode(x).values)


def test_it_is_restored_from_json(rng):
    records = Records(pictures(rng, 6, 4, 5, 3), {"label": np.array(["a", "b", "c"] * 2), "size": rng.random(6)})
    codec = ImageCodec.fit(records, condition=("label", "size"))
    again = ImageCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert again.space == codec.space
    assert again.condition_space == codec.condition_space
    assert again.describe() == codec.describe()
    one, other = codec.encode(records), again.encode(records)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.condition, other.condition)


def test_description(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 1200, 8, 8, 1), {"label": np.arange(1200) % 3}))
    assert codec.describe()[:2] == [
        ("data", "1,200 grey images, 8 x 8"),
        ("label", "3 levels: 0 (400), 1 (400), 2 (400)"),
    ]


def test_records_of_another_shape_are_refused(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 2, 4, 4, 1)))
    with pytest.raises(DataError, match=r"\(4, 4, 1\)"):
        codec.encode(Records(pictures(rng, 2, 5, 4, 1)))
    with pytest.raises(DataError, match="uint8"):
        ImageCodec.fit(Records(rng.random((2, 4, 4, 1))))


# -- conditions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "typed"),
    [
        (np.array([3, 5, 7]), "5"),
        (np.array(["cat", "dog", "emu"]), "dog"),
        (np.array([1.0, 2.0, 30.0]), "2"),
        (np.array([False, True]), "true"),
        (np.array(["x", "y"], dtype=object), "y"),
    ],
)
def test_conditions_come_back_with_their_type(rng, levels, typed):
    labels = levels.repeat(2)
    records = Records(pictures(rng, len(labels), 4, 4, 1), {"label": labels})
    codec = ImageCodec.fit(records, condition=("label",))
    codec = ImageCodec.from_json(json.loads(json.dumps(codec.to_json())), {})
    encoded = codec.encode(records)
    back = codec.decode(encoded.x, encoded.condition).labels["label"]
    assert back.tolist() == labels.tolist()
    assert back.dtype.kind == np.array(levels.tolist()).dtype.kind
    given = codec.encode_condition({"label": typed}, 4)
    assert given.shape == (4, len(levels))
    assert codec.conditions.decode(given)["label"].tolist() == [levels[1]] * 4


def test_a_real_label_is_standardised(rng):
    label = rng.normal(50, 10, 100)
    records = Records(pictures(rng, 100, 2, 2, 1), {"age": label})
    codec = ImageCodec.fit(records, condition=("age",))
    condition = codec.encode(records).condition
    assert condition.mean().item() == pytest.approx(0, abs=1e-5)
    assert condition.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(codec.decode(codec.encode(records).x, condition).labels["age"], label, rtol=1e-5)
    expected = torch.full((2, 1), (30 - label.mean()) / label.std())
    torch.testing.assert_close(codec.encode_condition({"age": "30"}, 2), expected.float())
    with pytest.raises(ValueError, match="number"):
        codec.encode_condition({"age": "old"}, 1)


def test_condition_mistakes_say_what_is_valid(rng):
    labels = {"label": np.array(["cat", "dog"] * 2), "side": np.array([0, 1, 1, 0])}
    records = Records(pictures(rng, 4, 2, 2, 1), labels)
    codec = ImageCodec.fit(records, condition=("label", "side"))
    with pytest.raises(ValueError, match="cat, dog"):
        codec.encode_condition({"label": "dgo", "side": "1"}, 1)
    with pytest.raises(ValueError, match="needed for side"):
        codec.encode_condition({"label": "dog"}, 1)
    with pytest.raises(ValueError, match="label, side"):
        codec.encode_condition({"lable": "dog", "side": 1}, 1)
    with pytest.raises(ValueError, match="label, side"):
        ImageCodec.fit(records, condition=("class",))
    with pytest.raises(ValueError, match="no labels"):
        ImageCodec.fit(Records(records.values), condition=("label",))
    with pytest.raises(ValueError, match="without a condition"):
        ImageCodec.fit(records).encode_condition({"label": "cat"}, 1)
    with pytest.raises(DataError, match="no label 'label'"):
        codec.encode(Records(records.values))


def test_a_list_gives_each_sample_its_condition(rng):
    records = Records(pictures(rng, 4, 2, 2, 1), {"label": np.arange(4)})
    codec = ImageCodec.fit(records, condition=("label",))
    assert torch.equal(codec.encode_condition({"label": [2, 0]}, 2), torch.eye(4)[[2, 0]])
    with pytest.raises(ValueError, match="2 values of label"):
        codec.encode_condition({"label": [2, 0]}, 3)


def test_a_level_the_training_split_did_not_have_is_no_level(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 2, 2, 2, 1), {"label": np.array(["a", "b"])}), condition=("label",))
    held_out = Records(pictures(rng, 2, 2, 2, 1), {"label": np.array(["b", "zebra"])})
    assert codec.encode(held_out).condition.tolist() == [[0, 1], [0, 0]]
    assert codec.condition_space.channels == 2


def test_missing_labels_name_the_row(rng):
    values = pictures(rng, 3, 2, 2, 1)
    for label in (np.array(["a", None, "b"], dtype=object), np.array([0.5, np.nan, 1])):
        with pytest.raises(DataError, match="row 1"):
            ImageCodec.fit(Records(values, {"label": label}), condition=("label",))


# -- arrays of images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranged", ["bool", "unit", "signed", "wide", "few", "bytes as ints"])
def test_any_range_becomes_bytes(rng, tmp_path, ranged):
    grey = pictures(rng, 5, 6, 7)
    grey[0, 0, :2] = 0, 255
    stored, expected = {
        "bool": (grey > 99, np.where(grey > 99, 255, 0)),
        "unit": (grey / 255, grey),
        "signed": ((grey / 127.5 - 1).astype(np.float32), grey),
        "wide": (grey.astype(np.uint16) * 257, grey),
        "few": (grey // 16, np.rint(grey // 16 * 17)),
        "bytes as ints": (grey.astype(np.int64), grey),
    }[ranged]
    np.save(tmp_path / "a.npy", stored)
    source = image.read(tmp_path / "a.npy")
    np.testing.assert_array_equal(source.records.values[..., 0], expected)
    assert bool(source.notes) == (ranged in ("unit", "signed", "wide", "few"))


def test_layouts(rng):
    colour = pictures(rng, 4, 6, 7, 3)
    np.testing.assert_array_equal(image.from_arrays(colour).records.values, colour)
    first = image.from_arrays(np.moveaxis(colour, 3, 1))
    np.testing.assert_array_equal(first.records.values, colour)
    assert "channels-last" in notes(first)
    flat = image.from_arrays(pictures(rng, 4, 64))
    assert flat.records.values.shape == (4, 8, 8, 1)
    clear = np.concatenate([colour, np.zeros_like(colour[..., :1])], axis=3)
    assert (image.from_arrays(clear).records.values == 255).all()
    for shape in [(6, 7, 3), (5, 7), (4, 6, 7, 2), (0, 8, 8), (2, 2, 2, 2, 2)]:
        with pytest.raises(DataError):
            image.from_arrays(np.zeros(shape, np.uint8))


def test_large_images_are_shrunk(rng):
    source = image.from_arrays(pictures(rng, 2, 300, 400))
    assert source.records.values.shape == (2, 96, 128, 1)
    assert "shrunk" in notes(source)


def test_npz_keeps_its_split_and_squeezes_labels(rng, tmp_path):
    train, test = pictures(rng, 6, 4, 4), pictures(rng, 2, 4, 4)
    arrays = {"train_images": train, "test_images": test, "val_images": test}
    arrays |= {"train_labels": np.arange(6)[:, None], "test_labels": np.arange(2)[:, None]}
    np.savez(tmp_path / "a.npz", **arrays)
    source = image.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.records.values[..., 0], train)
    np.testing.assert_array_equal(source.test.values[..., 0], test)
    assert source.records.labels["label"].tolist() == list(range(6))
    assert source.test.labels["label"].shape == (2,)
    assert "val_images" in notes(source)


def test_the_training_range_is_used_for_the_test_split(rng, tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.full((2, 4, 4), 16.0), x_test=np.full((2, 4, 4), 8.0))
    assert (image.read(tmp_path / "a.npz").test.values == 128).all()


def test_several_labels_are_several_columns(rng, tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures(rng, 3, 4, 4), labels=np.eye(3, 2, dtype=int))
    assert set(image.read(tmp_path / "a.npz").records.labels) == {"label_0", "label_1"}


def test_bad_archives(rng, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, foo=pictures(rng, 3, 4, 4), bar=np.arange(3))
    with pytest.raises(DataError, match=r"foo \(3, 4, 4\)"):
        image.read(path)
    np.savez(path, images=pictures(rng, 3, 4, 4), labels=np.arange(2))
    with pytest.raises(DataError, match="one for each of 3"):
        image.read(path)
    np.savez(path, images=np.array([None, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled"):
        image.read(path)
    path.write_bytes(b"PK not a zip")
    with pytest.raises(DataError, match="cannot be read"):
        image.read(path)
    np.savez(path, images=np.full((2, 4, 4), np.nan))
    with pytest.raises(DataError, match="image 0"):
        image.read(path)


def test_archives_that_claim_more_than_they_hold_are_refused(tmp_path):
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 64, 64), }".ljust(117) + b"\n"
    data = header + len(text).to_bytes(2, "little") + text
    (tmp_path / "a.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", data)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError):
            image.read(tmp_path / name)


# -- folders -----------------------------------------------------------------------------------------------


def test_labels_come_from_sub_folders(rng, tmp_path):
    for name in ("dog", "cat"):
        for i in range(2):
            save(tmp_path / name / "deep" / f"{i}.PNG", pictures(rng, 5, 4, 3))
    source = image.read(tmp_path)
    assert source.records.values.shape == (4, 5, 4, 3)
    assert source.records.labels["label"].tolist() == ["cat", "cat", "dog", "dog"]
    save(tmp_path / "loose.png", pictures(rng, 5, 4, 3))
    assert not image.read(tmp_path).records.labels


def test_a_train_and_a_test_folder_are_a_split(rng, tmp_path):
    for split, n in (("train", 3), ("test", 2), ("val", 1)):
        for name in "ab":
            for i in range(n):
                save(tmp_path / split / name / f"{i}.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert (len(source.records), len(source.test)) == (6, 4)
    assert source.test.labels["label"].tolist() == ["a", "a", "b", "b"]
    assert "2 images of the validation" in notes(source)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"])
def test_every_format(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", np.full((8, 8), 100, np.uint8))
    values = image.read(tmp_path).records.values
    assert values.shape == (1, 8, 8, 1)
    assert np.abs(values.astype(int) - 100).max() <= 2


def test_one_rule_for_each_mode(tmp_path):
    red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3))
    grey = np.full((4, 4), 200, np.uint8)
    save(tmp_path / "0rgb.png", red)
    save(tmp_path / "1palette.png", red, "P")
    save(tmp_path / "2cmyk.tif", red, "CMYK")
    save(tmp_path / "3clear.png", np.dstack([red, np.zeros((4, 4), np.uint8)]))
    save(tmp_path / "4la.png", np.dstack([grey, np.zeros((4, 4), np.uint8)]))
    save(tmp_path / "5sixteen.png", grey.astype(np.uint16) * 257)
    save(tmp_path / "6bit.png", grey, "1", bits=1)
    save(tmp_path / "7float.tif", (grey / 255).astype(np.float32))
    expected = [[255, 0, 0]] * 3 + [[255] * 3] * 2 + [[200] * 3]
    values = image.read(tmp_path).records.values
    np.testing.assert_allclose(values[:6, 0, 0], expected, atol=2)
    assert set(np.unique(values[6])) <= {0, 255}
    np.testing.assert_allclose(values[7], 200, atol=1)


def test_grey_stored_as_colour_is_grey(rng, tmp_path):
    grey = pictures(rng, 4, 4)
    save(tmp_path / "a.png", grey, "RGB")
    np.testing.assert_array_equal(image.read(tmp_path).records.values[0, ..., 0], grey)


def test_exif_rotation_is_undone(tmp_path):
    upright = np.zeros((4, 8), np.uint8)
    upright[:, 4:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    save(tmp_path / "a.png", np.rot90(upright), exif=exif)
    np.testing.assert_array_equal(image.read(tmp_path).records.values[0, ..., 0], upright)


def test_mixed_sizes_are_cropped_and_resized_to_the_commonest(tmp_path):
    wide = np.zeros((8, 32), np.uint8)
    wide[:, 12:20] = 255
    for name in ("a.png", "b.png"):
        save(tmp_path / name, np.zeros((4, 4), np.uint8))
    save(tmp_path / "c.png", wide)
    source = image.read(tmp_path)
    assert source.records.values.shape == (3, 4, 4, 1)
    assert (source.records.values[2] > 230).all()  # the middle square alone
    assert "1 of 3 images, of 2 sizes" in notes(source)


def test_large_pictures_are_shrunk_and_said(rng, tmp_path):
    save(tmp_path / "a.jpg", pictures(rng, 600, 800, 3))
    source = image.read(tmp_path)
    assert source.records.values.shape == (1, 96, 128, 3)
    assert "128 px" in notes(source)


def test_broken_files_are_skipped_and_listed(rng, tmp_path):
    for i in range(12):
        good = save(tmp_path / f"{i:02d}.png", pictures(rng, 16, 16))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:150])
    (tmp_path / "notes.txt").write_text("hello")
    source = image.read(tmp_path)
    assert len(source.records) == 12
    for told in ("skipped 3", "empty.png (empty)", "text.jpg (not an image)", "cut.png", "1 .txt"):
        assert told in notes(source)


def test_too_many_broken_files_are_an_error(rng, tmp_path):
    save(tmp_path / "a.png", pictures(rng, 4, 4))
    (tmp_path / "b.png").touch()
    with pytest.raises(DataError, match=r"1 of 2 images cannot be read.*b.png, empty"):
        image.read(tmp_path)


def test_a_decompression_bomb_is_a_broken_file(rng, tmp_path, monkeypatch):
    for i in range(9):
        save(tmp_path / f"{i}.png", pictures(rng, 4, 4))
    save(tmp_path / "bomb.png", np.zeros((20, 20), np.uint8))
    for limit in (300, 100):  # a warning of Pillow's above the limit, an error above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        source = image.read(tmp_path)
        assert len(source.records) == 9
        assert "bomb.png (too many pixels)" in notes(source)


def test_an_empty_folder_says_what_was_looked_for_and_found(tmp_path):
    (tmp_path / "a.doc").touch()
    with pytest.raises(DataError, match=r"no images; looked for \.png .*found 1 \.doc"):
        image.read(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        image.read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="folder of them"):
        image.read(tmp_path / "a.doc")


def test_links_out_of_the_folder_and_hidden_files_are_not_read(rng, tmp_path):
    secret = save(tmp_path / "secret" / "s.png", pictures(rng, 4, 4))
    folder = tmp_path / "my photos ü"
    save(folder / "a.png", pictures(rng, 4, 4))
    save(folder / "._a.png", pictures(rng, 4, 4))
    os.symlink(secret, folder / "link.png")
    os.symlink(secret.parent, folder / "linked")
    os.symlink(folder / "a.png", folder / "same.png")
    source = image.read(folder)
    assert len(source.records) == 2
    assert "2 links" in notes(source)


# -- writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out", "out.npz", "out.npy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(rng, tmp_path, target, channels):
    records = Records(pictures(rng, 5, 6, 4, channels), {"label": np.arange(5) % 2})
    codec = ImageCodec.fit(records)
    paths = codec.write(records, tmp_path / "deep" / target)
    assert all(path.is_file() for path in paths)
    again = image.read(tmp_path / "deep" / target).records
    np.testing.assert_array_equal(again.values, records.values)
    if target == "out.npz":
        assert again.labels["label"].tolist() == [0, 1, 0, 1, 0]


def test_a_folder_with_something_in_it_is_never_written_to(rng, tmp_path):
    records = Records(pictures(rng, 2, 4, 4, 1))
    codec = ImageCodec.fit(records)
    names = [path.name for path in codec.write(records, tmp_path / "out")]
    assert names == ["00000.png", "00001.png", "grid.png"]
    with pytest.raises(ValueError, match="exists"):
        codec.write(records, tmp_path / "out")
    with pytest.raises(ValueError, match=r"\.npy, \.npz, \.png"):
        codec.write(records, tmp_path / "out.jpg")


def test_a_grid_has_every_image_in_its_place(rng):
    images = pictures(rng, 5, 3, 4, 1)
    page = image.grid(images, 3)
    gap = image.GRID_GAP
    assert page.shape == (2 * 3 + gap, 3 * 4 + 2 * gap, 1)
    np.testing.assert_array_equal(page[3 + gap :, 4 + gap : 8 + gap], images[4])
    assert (page[3 : 3 + gap] == 255).all()
    assert (page[3 + gap :, 8 + gap :] == 255).all()


def test_a_preview_is_large_enough_to_see(rng, tmp_path):
    records = Records(pictures(rng, 100, 8, 8, 1))
    codec = ImageCodec.fit(records)
    path = codec.preview(records, tmp_path / "step-1.5")
    assert path.name == "step-1.5.png"
    with Image.open(path) as page:
        assert page.size == (8 * 80 + 7 * image.GRID_GAP,) * 2
    assert [picture.size for picture in codec.present(records)] == [(8, 8)] * 100
