"""A large set of pictures is decoded once, found again by its content, and never held or encoded as a whole."""

import json

import numpy as np
import pytest
import torch

from paint import notes, pictures, save
from sansheng.codecs import Reading, Records, cache, image, rows
from sansheng.codecs import pictures as reader
from sansheng.codecs.image import ImageCodec
from sansheng.data import Batches, open_data
from sansheng.errors import DataError


@pytest.fixture(autouse=True)
def small_is_large(tmp_path, monkeypatch):
    """A cache of its own, and 600 bytes are a large set."""
    monkeypatch.setenv("SANSHENG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rows, "LARGE", 600)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(40):
        save(tmp_path / "photos" / "ab"[i % 2] / f"{i:02d}.png", pictures(rng, 6, 5, 3))
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch):
    """Names of pictures that were decoded."""
    names = []
    load = reader._load

    def counting(shelf, name, *rest):
        names.append(name)
        return load(shelf, name, *rest)

    monkeypatch.setattr(reader, "_load", counting)
    return names


def in_memory(folder, monkeypatch, reading=None):
    with monkeypatch.context() as patch:
        patch.setattr(rows, "LARGE", 2**30)
        return image.read(folder, reading)


def test_a_large_set_is_decoded_once_and_is_what_decoding_gives(folder, decoded, monkeypatch):
    expected = in_memory(folder, monkeypatch)
    decoded.clear()
    first = image.read(folder)
    assert len(decoded) == 40
    again = image.read(folder)
    assert len(decoded) == 40
    assert isinstance(again.records.values, np.memmap)
    for source in (first, again):
        np.testing.assert_array_equal(source.records.values, expected.records.values)
        assert source.records.labels["label"].tolist() == expected.records.labels["label"].tolist()
    assert notes(first) == notes(again)
    assert "decoded once into" in notes(first)
    assert len(list(cache.home().iterdir())) == 2  # nothing half written is left


def test_other_content_or_another_way_of_reading_is_decoded_anew(folder, decoded):
    image.read(folder)
    see_through = np.full((6, 5, 4), 9, np.uint8)
    save(folder / "a" / "00.png", see_through)
    assert (image.read(folder).records.values[0] == round((9 * 9 + 246 * 255) / 255)).all()  # on white
    assert len(decoded) == 80
    assert image.read(folder, Reading(alpha=True)).records.values.shape[3] == 4
    assert len(decoded) == 120


def test_grey_transparency_and_broken_files_are_as_in_memory(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    for i in range(40):
        save(tmp_path / "grey" / f"{i:02d}.png", pictures(rng, 6, 5), "RGB")
    (tmp_path / "grey" / "05.png").write_bytes((tmp_path / "grey" / "06.png").read_bytes()[:90])
    for _ in range(2):
        source = image.read(tmp_path / "grey")
        expected = in_memory(tmp_path / "grey", monkeypatch)
        assert source.records.values.shape == (39, 6, 5, 1)
        np.testing.assert_array_equal(source.records.values, expected.records.values)
        assert "skipped 1 broken: 05.png" in notes(source)


def test_what_was_only_half_written_is_decoded_again(folder, decoded):
    image.read(folder)
    facts = next(cache.home().glob("*.json"))
    facts.write_text(json.dumps({"shape": [1, 2, 3, 4], "facts": {}}))
    image.read(folder)
    assert len(decoded) == 80
    facts.unlink()
    image.read(folder)
    assert len(decoded) == 120


def test_progress_is_told(folder, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK", 16)
    told = []
    image.read(folder, Reading(progress=lambda done, total: told.append((done, total))))
    assert told == [(16, 40), (32, 40), (40, 40)]


def test_no_room_and_no_right_to_write_are_said(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: cache.shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(DataError, match="decoded images need 0 MiB, and 0 are free; name another folder as SANSHENG_C"):
        image.read(folder)
    assert not list(cache.home().iterdir())
    (tmp_path / "file").touch()
    monkeypatch.setenv("SANSHENG_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written"):
        image.read(folder)


# -- never all at once -----------------------------------------------------------------------------------------


def test_rows_are_what_indexing_the_whole_gives(tmp_path):
    np.save(tmp_path / "whole.npy", pictures(np.random.default_rng(2), 50, 4, 5, 3))
    whole = np.load(tmp_path / "whole.npy", mmap_mode="r")
    some = np.random.default_rng(3).permutation(50)[:40]
    lazy = rows.take(whole, some)
    assert isinstance(lazy, rows.Rows)
    assert (len(lazy), lazy.shape, lazy.nbytes) == (40, (40, 4, 5, 3), 40 * 60)
    np.testing.assert_array_equal(np.asarray(lazy), whole[some])
    np.testing.assert_array_equal(lazy[7], whole[some[7]])
    np.testing.assert_array_equal(lazy[3:6], whole[some[3:6]])
    assert isinstance(lazy[:20], rows.Rows)
    np.testing.assert_array_equal(np.asarray(lazy[np.arange(30)]), whole[some[:30]])
    np.testing.assert_array_equal(np.concatenate(list(rows.chunks(lazy, 7))), whole[some])


def test_batches_of_a_large_set_are_bit_for_bit_those_of_a_small_one(folder, monkeypatch):
    large = open_data(folder, condition="label")
    with monkeypatch.context() as patch:
        patch.setattr(rows, "LARGE", 2**30)
        small = open_data(folder, condition="label")
    assert isinstance(large.train_records.values, rows.Rows)
    assert large.digest == small.digest
    assert large.codec.to_json() == small.codec.to_json()
    one, other = (Batches(data.train, seed=0, size=8) for data in (large, small))
    for step in range(6):
        assert torch.equal(one(step).x, other(step).x)
        assert torch.equal(one(step).condition, other(step).condition)
    assert torch.equal(large.train.x, small.train.x)
    assert torch.equal(large.test.rows(slice(3)).x, small.test.x[:3])


def test_a_large_set_is_encoded_batch_by_batch(monkeypatch):
    values = pictures(np.random.default_rng(4), 60, 4, 4, 1)
    encoded_at_once = []
    plain = image._to_numbers
    monkeypatch.setattr(image, "_to_numbers", lambda x: encoded_at_once.append(len(x)) or plain(x))
    codec = ImageCodec.fit(Records(values))
    batches = Batches(codec.encode(Records(values)), seed=0, size=5)
    for step in range(20):
        batches(step)
    assert encoded_at_once == [5] * 20
