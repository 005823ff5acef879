"""The kind of a file or a value is guessed as a person would, and any codec is restored by its kind."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sansheng import codecs
from sansheng.codecs import KINDS, Codec, Records
from sansheng.codecs.audio_file import from_waves
from sansheng.codecs.series_file import from_windows
from sansheng.errors import DataError

EXAMPLES = {
    "image": Records(np.random.default_rng(0).integers(0, 256, (8, 4, 6, 3), dtype=np.uint8)),
    "table": Records(pd.DataFrame({"x": np.arange(60.0), "y": ["a", "b"] * 30})),
    "text": Records(["one", "two", "three"]),
    "array": Records(np.random.default_rng(0).normal(size=(9, 3))),
    "audio": from_waves(np.random.default_rng(0).normal(size=(6, 4096)).cumsum(1), {"rate": "8000"}).records,
    "series": from_windows(np.random.default_rng(0).normal(size=(40, 12, 2)).cumsum(1)),
}


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(KINDS)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_codec_keeps_the_contract(kind, tmp_path):
    records = EXAMPLES[kind]
    codec = codecs.fit(kind, records)
    assert isinstance(codec, Codec)
    assert codec.kind == kind
    again = codecs.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    encoded = codec.encode(records)
    assert encoded.condition is None
    assert torch.equal(again.encode(records).x, encoded.x)
    assert torch.equal(codec.space.harden(encoded.x), encoded.x)
    decoded = again.decode(encoded.x)
    assert len(codec.present(decoded)) == len(records)
    assert codec.preview(decoded, tmp_path / "p").stat().st_size > 0
    assert codec.describe()[0][0] == "data"
    noise = torch.randn(5, *codec.space.shape, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(codec.encode(codec.decode(codec.space.harden(noise))).x).all()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("t.csv", "table"), ("t.TSV", "table"), ("t.parquet", "table"), ("t.txt", "text"), ("t.zip", "image")],
)
def test_suffixes_tell_the_kind(tmp_path, name, kind):
    (tmp_path / name).write_text("")
    assert codecs.guess(tmp_path / name) == kind


def test_a_folder_and_an_array_of_many_axes_are_images(tmp_path):
    assert codecs.guess(tmp_path) == "image"
    for shape, kind in [((5, 4, 4), "image"), ((5, 3, 4, 4), "image"), ((5, 4), "array"), ((5,), "array")]:
        np.save(tmp_path / "a.npy", np.zeros(shape))
        np.savez(tmp_path / "a.npz", x_train=np.zeros(shape), y_train=np.zeros(5))
        assert codecs.guess(tmp_path / "a.npy") == kind
        assert codecs.guess(tmp_path / "a.npz") == kind


def test_an_unknown_suffix_lists_what_is_known(tmp_path):
    (tmp_path / "a.mp3").write_text("")
    with pytest.raises(DataError, match=r"cannot tell what it is by '\.mp3'; known: \.csv.*\.npz, a folder of images"):
        codecs.guess(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.DataFrame({"a": [1, 2]}), "table"),
        (["a", "b"], "text"),
        (np.zeros((3, 2)), "array"),
        (np.zeros((3, 4, 4), np.uint8), "image"),
    ],
)
def test_values_tell_the_kind(values, kind):
    found, source = codecs.from_memory(values)
    assert found == kind
    assert len(source.records) == len(values)


def test_a_list_of_pil_images_is_read_as_a_folder_of_them_is():
    painted = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 4), dtype=np.uint8)
    several = [Image.fromarray(pixels).convert("RGB") for pixels in painted]
    kind, source = codecs.from_memory(several)
    assert kind == "image"
    np.testing.assert_array_equal(source.records.values, [np.asarray(one) for one in several])
    _, source = codecs.from_memory([Image.fromarray(pixels) for pixels in painted], alpha=True)
    assert source.records.values.shape == (4, 6, 8, 4)
    _, source = codecs.from_memory([*several, several[0].resize((9, 9))], options={"size": "5"})
    assert source.records.values.shape == (5, 5, 5, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_a_pil_image_of_any_mode_is_read(mode):
    grey = Image.new("L", (6, 4), 255)
    through = "RGBA" if mode == "PA" else "RGB"
    some = Image.merge("LAB", (grey,) * 3) if mode == "LAB" else grey.convert(through).convert(mode)
    assert codecs.from_memory([some])[1].records.values.shape[:3] == (1, 4, 6)


@pytest.mark.parametrize(("mode", "dtype", "high"), [("I;16", "u2", 4095), ("I", "i4", 65535), ("F", "f4", 1.0)])
def test_a_pil_image_of_more_than_8_bits_is_read_without_loss(mode, dtype, high):
    deep = Image.fromarray(np.linspace(0, high, 24).reshape(4, 6).astype(dtype))
    assert deep.mode == mode
    values = codecs.from_memory([deep])[1].records.values
    assert (values[0, 0, 0, 0], values[0, -1, -1, 0]) == (0, 255)
    assert len(np.unique(values)) == 24


def test_a_list_of_other_things_says_what_to_give_instead():
    for several, name in (([Image.new("L", (4, 4)), "a"], "Image"), ([np.zeros(3)], "ndarray"), (["a", 1], "int")):
        with pytest.raises(
            DataError, match=rf"strings \(text\) or of PIL images.* is '{name}'; give numbers as one array"
        ):
            codecs.from_memory(several)


def test_the_kind_can_be_forced_where_it_fits():
    kind, source = codecs.from_memory(np.zeros((3, 16)), "image")
    assert (kind, source.records.values.shape) == ("image", (3, 4, 4, 1))
    with pytest.raises(DataError, match="'ndarray' cannot be read as table; it can as array or image"):
        codecs.from_memory(np.zeros((3, 16)), "table")
    with pytest.raises(DataError, match="cannot tell what kind of data 'dict' is"):
        codecs.from_memory({})
    with pytest.raises(ValueError, match=r"unknown kind of data 'tabel'\. Did you mean 'table'"):
        codecs.from_memory(["a"], "tabel")


def test_a_file_can_be_read_as_another_kind(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert codecs.read(tmp_path / "t.csv", "text").records.values == ["a,b", "1,2"]
    Image.new("L", (4, 4)).save(tmp_path / "p.png")
    with pytest.raises(DataError, match=r"a table is one of"):
        codecs.read(tmp_path / "p.png", "table")
