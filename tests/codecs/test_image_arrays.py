"""Arrays of images of any layout, range and archive become bytes by stated rules."""

import zipfile

import numpy as np
import pytest

from paint import notes, pictures, save
from sansheng.codecs import Reading, Records, from_memory, image
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
    for shape in [(6, 7, 3), (5, 7), (4, 6, 7, 5), (0, 8, 8), (2, 2, 2, 2, 2)]:
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


def test_examples_that_lack_a_label_are_left_out_unless_they_are_many(rng, tmp_path):
    train, test = pictures(rng, 4, 4, 4), pictures(rng, 2, 4, 4)
    arrays = {"x_train": train, "y_train": np.array([0, np.nan, 1, 0]), "x_test": test, "y_test": np.array([1.0, 0])}
    np.savez(tmp_path / "a.npz", **arrays, label_few=np.full(4, np.nan))
    source = image.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.records.values[..., 0], train[[0, 2, 3]])
    assert source.records.labels["label"].tolist() == [0, 1, 0]
    assert len(source.test) == 2
    assert "1 of 6 examples without a value of 'label' left out" in notes(source)
    assert "'few' is no label: 4 of 6 examples have no value" in notes(source)


def test_arrays_of_more_than_8_bits_are_read_as_files_of_them_are(rng, tmp_path):
    deep = rng.integers(0, 3001, (5, 4, 4)).astype(np.uint16)
    deep[0, 0, 0] = 3000
    for i in range(5):
        save(tmp_path / "files" / f"{i}.png", deep[i])
    of_files, of_arrays = image.read(tmp_path / "files"), image.from_arrays(deep)
    np.testing.assert_array_equal(of_files.records.values, of_arrays.records.values)
    assert "values from 0 to 3000: 4,095 read as white" in notes(of_arrays) or deep.min() > 0
    floats = image.from_arrays(deep.astype(np.float32) + 0.25)
    assert floats.records.values.max() == round(255 * 3000.25 / 4095)
    assert image.from_arrays(deep * 1.0e3).records.values.max() == 255


@pytest.mark.parametrize("trained_on", ["arrays", "files"])
def test_new_pictures_in_memory_or_in_files_are_read_by_the_scale_of_a_codec(rng, tmp_path, trained_on):
    deep = rng.integers(0, 4001, (5, 4, 4)).astype(np.uint16)
    deep[0, 0, 0] = 4000
    for i in range(5):
        save(tmp_path / "seen" / f"{i}.png", deep[i])
        save(tmp_path / "dark" / f"{i}.png", deep[i] // 8)
    source = image.from_arrays(deep) if trained_on == "arrays" else image.read(tmp_path / "seen")
    options = image.ImageCodec.fit(source.records).reading()
    expected = np.rint((deep // 8) * (255 / 4095))
    _, in_memory = from_memory(deep // 8, options=options)
    np.testing.assert_array_equal(in_memory.records.values[..., 0], expected)
    in_files = image.read(tmp_path / "dark", Reading(options=options))
    np.testing.assert_array_equal(in_files.records.values[..., 0], expected)


def test_how_much_of_long_pictures_is_cut_off_is_said(rng):
    assert "8 high x 128 wide, 84% of each cut off" in notes(image.from_arrays(pictures(rng, 2, 10, 1000)))


def test_several_labels_are_several_columns(rng, tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures(rng, 3, 4, 4), labels=np.eye(3, 2, dtype=int))
    assert set(image.read(tmp_path / "a.npz").records.labels) == {"label_0", "label_1"}


def test_a_label_is_one_value_for_each_example():
    with pytest.raises(DataError, match="label 'x' has 2 values for 3 examples"):
        Records(np.zeros((3, 4, 4, 1), np.uint8), {"x": np.arange(2)})


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


@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_is_kept_or_laid_over_white(rng, colours):
    opaque = pictures(rng, 3, 4, 5, colours)
    alpha = np.full((3, 4, 5, 1), 255, np.uint8)
    alpha[1, 2] = 0
    stored = np.concatenate([opaque, alpha], axis=3)
    flat, kept = image.from_arrays(stored), image.from_arrays(stored, alpha=True)
    white = np.where(alpha == 0, 255, opaque)
    np.testing.assert_array_equal(flat.records.values, white)
    np.testing.assert_array_equal(kept.records.values, np.concatenate([white, alpha], axis=3))
    assert "1 transparent image of 3 laid over white" in notes(flat)
    assert "transparency kept, in 1 of 3" in notes(kept)
    none = image.from_arrays(stored[:1], alpha=True, test_values=stored[1:])
    assert none.records.values.shape[3] == none.test.values.shape[3] == colours
    assert "no image is transparent" in notes(none)


def test_floats_with_alpha_are_scaled_before_they_are_laid_over_white(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.broadcast_to([1.0, 0.0, 0.0, 0.5], (2, 4, 4, 4)))
    source = image.read(tmp_path / "a.npz", Reading(alpha=True))
    assert source.records.values[0, 0, 0].tolist() == [255, 0, 0, 128]
    assert image.read(tmp_path / "a.npz").records.values[0, 0, 0].tolist() == [255, 127, 127]
