"""Rows of numbers: standardised on the training split, bounded, given back in their own type."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sansheng.codecs import archive, array
from sansheng.codecs.array import ArrayCodec
from sansheng.codecs.base import Records
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_columns_are_standardised_and_come_back(rng):
    values = rng.normal([5, -300, 0], [1, 50, 1e-3], (200, 3))
    codec = ArrayCodec.fit(Records(values))
    x = codec.encode(Records(values)).x
    codec.space.check(x)
    torch.testing.assert_close(x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(3))
    np.testing.assert_allclose(codec.decode(x).values, values, rtol=1e-5, atol=1e-5)


def test_bounds_lie_a_tenth_of_the_range_beyond_the_training_split():
    values = np.array([[0.0, 10.0], [1.0, 30.0]])
    codec = ArrayCodec.fit(Records(values))
    far = codec.space.harden(torch.tensor([[99.0, 99.0], [-99.0, -99.0]]))
    np.testing.assert_allclose(codec.decode(far).values, [[1.1, 32], [-0.1, 8]], rtol=1e-5)
    inside = codec.encode(Records(values)).x
    assert torch.equal(codec.space.harden(inside), inside)


def test_many_columns_share_one_slot(rng):
    assert len(ArrayCodec.fit(Records(rng.random((4, 256)))).space.slots) == 256
    codec = ArrayCodec.fit(Records(rng.random((4, 257))))
    assert len(codec.space.slots) == 1
    assert codec.space.shape == (257,)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, bool])
def test_values_come_back_in_their_dtype(rng, dtype):
    values = rng.integers(0, 256, (50, 4)).astype(dtype)
    codec = ArrayCodec.fit(Records(values))
    decoded = codec.decode(codec.encode(Records(values)).x).values
    assert decoded.dtype == values.dtype
    np.testing.assert_allclose(decoded, values, rtol=1e-5, atol=0 if values.dtype.kind in "iub" else 1e-4)
    wild = codec.decode(torch.full((1, 4), 99.0)).values
    assert (wild >= values.max(0)).all()


def test_a_constant_column_and_one_row_are_kept():
    values = np.array([[1.0, 7.0], [2.0, 7.0]])
    codec = ArrayCodec.fit(Records(values))
    np.testing.assert_allclose(codec.decode(codec.encode(Records(values)).x).values, values)
    assert ("constant", "1 columns hold one value") in codec.describe()
    one = ArrayCodec.fit(Records(values[:1]))
    np.testing.assert_allclose(one.decode(one.encode(Records(values[:1])).x).values, values[:1])


def test_it_is_restored_from_json_and_arrays(rng):
    records = Records(rng.normal(size=(30, 2)).astype(np.float32), {"label": np.arange(30) % 3})
    codec = ArrayCodec.fit(records, condition=("label",))
    again = ArrayCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert (again.space, again.describe()) == (codec.space, codec.describe())
    assert torch.equal(again.encode(records).x, codec.encode(records).x)
    encoded = codec.encode(records)
    decoded = again.decode(encoded.x, encoded.condition)
    assert decoded.values.dtype == np.float32
    assert decoded.labels["label"].tolist() == records.labels["label"].tolist()
    assert torch.equal(again.encode_condition({"label": "2"}, 3), torch.eye(3)[[2, 2, 2]])


def test_bad_values_are_named(rng, tmp_path):
    values = rng.random((5, 3))
    values[3, 1] = np.nan
    with pytest.raises(DataError, match="row 3, column 1 is nan"):
        ArrayCodec.fit(Records(values))
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match=r"a\.npy: row 3, column 1"):
        array.read(tmp_path / "a.npy")
    with pytest.raises(DataError, match="column 0 holds numbers too large"):
        ArrayCodec.fit(Records(np.array([[1e308], [-1e308]])))
    with pytest.raises(DataError, match="must be numbers"):
        array.from_arrays(np.array([["a"]]))
    with pytest.raises(DataError, match="image"):
        array.from_arrays(np.zeros((2, 8, 8)))
    with pytest.raises(DataError, match="no numbers"):
        array.from_arrays(np.zeros((0, 2)))
    with pytest.raises(DataError, match="rows of 3"):
        ArrayCodec.fit(Records(rng.random((5, 3)))).encode(Records(rng.random((5, 2))))


def test_reading_keeps_the_split(rng, tmp_path):
    train, test = rng.random((6, 2)), rng.random((3, 2))
    np.savez(tmp_path / "a.npz", x_train=train, x_test=test, y_train=np.arange(6), y_test=np.arange(3))
    source = array.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.records.values, train)
    np.testing.assert_array_equal(source.test.values, test)
    assert source.test.labels["label"].tolist() == [0, 1, 2]
    np.save(tmp_path / "b.npy", np.arange(4))
    assert array.read(tmp_path / "b.npy").records.values.shape == (4, 1)
    with pytest.raises(DataError, match=r"\.npy or \.npz"):
        array.read(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_is_written_is_read_again(rng, tmp_path, suffix):
    records = Records(rng.random((6, 2)), {"label": np.arange(6), "age": rng.random(6)})
    codec = ArrayCodec.fit(records)
    (path,) = codec.write(records, tmp_path / f"out{suffix}")
    again = array.read(path).records
    np.testing.assert_array_equal(again.values, records.values)
    if suffix == ".npz":
        assert again.labels["label"].tolist() == list(range(6))
        np.testing.assert_array_equal(again.labels["age"], records.labels["age"])


def test_labels_of_any_name_keep_it_in_a_npz(tmp_path):
    names = ("x", "label_x", "label", "labels", "label_label", "label_0", "0", "y")
    labels = {name: np.arange(3) + 10 * i for i, name in enumerate(names)}
    archive.write_npz(tmp_path / "a.npz", "data", np.zeros((3, 2)), labels)
    again = array.read(tmp_path / "a.npz").records.labels
    assert {name: column.tolist() for name, column in again.items()} == {n: c.tolist() for n, c in labels.items()}


def test_an_extra_label_never_hides_the_main_one(tmp_path):
    np.savez(
        tmp_path / "a.npz", data=np.zeros((3, 2)), labels=np.arange(3), label_label=np.arange(3) + 10, label_=[1] * 3
    )
    again = array.read(tmp_path / "a.npz").records.labels
    assert again["label"].tolist() == [0, 1, 2]
    assert set(again) == {"label", "label_label", "label_"}


def test_csv_and_mistaken_suffixes(rng, tmp_path):
    records = Records(rng.random((6, 2)), {"label": np.arange(6)})
    codec = ArrayCodec.fit(records)
    (path,) = codec.write(records, tmp_path / "out.csv")
    table = pd.read_csv(path)
    assert list(table) == ["x0", "x1", "label"]
    np.testing.assert_allclose(table[["x0", "x1"]], records.values)
    with pytest.raises(ValueError, match=r"\.csv, \.npy, \.npz"):
        codec.write(records, tmp_path / "out")


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_preview_draws_a_picture(rng, tmp_path, columns):
    records = Records(rng.random((50, columns)), {"label": np.arange(50) % 3})
    codec = ArrayCodec.fit(records)
    path = codec.preview(records, tmp_path / "previews" / "step")
    with Image.open(path) as picture:
        assert picture.size == (500, 500)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5
    np.testing.assert_array_equal(codec.present(records), records.values)
