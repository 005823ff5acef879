"""Images survive the round trip to numbers and to files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from paint import pictures
from sansheng.codecs import Reading, image
from sansheng.codecs.base import Records
from sansheng.codecs.image import ImageCodec
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
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


def test_images_of_another_size_and_colour_are_made_to_fit(rng):
    """A grey codec reads a wide coloured image: its middle square, in luma (ITU-R 601-2)."""
    codec = ImageCodec.fit(Records(pictures(rng, 2, 4, 4, 1)))
    wide = np.zeros((1, 8, 16, 3), np.uint8)
    wide[:, :, 4:12] = (255, 0, 0)  # what a centre crop keeps
    seen = codec.decode(codec.encode(Records(wide)).x).values
    assert seen.shape == (1, 4, 4, 1)
    assert (np.abs(seen.astype(int) - round(0.299 * 255)) <= 5).all()  # the filter rings at the edges
    coloured = ImageCodec.fit(Records(pictures(rng, 2, 4, 4, 3)))
    grey = pictures(rng, 1, 4, 4, 1)
    np.testing.assert_array_equal(coloured.decode(coloured.encode(Records(grey)).x).values, grey.repeat(3, axis=3))


def test_what_are_no_images_is_refused(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 2, 4, 4, 1)))
    with pytest.raises(DataError, match="expected images of shape"):
        codec.encode(Records(rng.random((2, 5, 5, 1))))


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


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_channels_are_presented_as_the_mode_they_are(rng, tmp_path, channels, mode):
    records = Records(pictures(rng, 3, 4, 5, channels))
    codec = ImageCodec.fit(records)
    assert [picture.mode for picture in codec.present(records)] == [mode] * 3
    assert {"LA": "grey + alpha"}.get(mode, mode.replace("L", "grey")) in codec.describe()[0][1]
    with Image.open(codec.preview(records, tmp_path / "p")) as page:  # as it looks on a white page
        assert page.mode == mode.replace("A", "")


def test_images_that_are_no_bytes_cannot_be_fitted(rng):
    with pytest.raises(DataError, match="uint8"):
        ImageCodec.fit(Records(rng.random((2, 4, 4, 1))))


# -- writing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out", "out.npz", "out.npy"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_read_again(rng, tmp_path, target, channels):
    values = pictures(rng, 5, 6, 4, channels)
    if channels in (2, 4):
        values[..., -1] |= 1
        values[0, 0, 0] = 255, *[255] * (channels - 2), 0  # what cannot be seen is white
    records = Records(values, {"label": np.arange(5) % 2})
    codec = ImageCodec.fit(records)
    paths = codec.write(records, tmp_path / "deep" / target)
    assert all(path.is_file() for path in paths)
    again = image.read(tmp_path / "deep" / target, Reading(alpha=True)).records
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
