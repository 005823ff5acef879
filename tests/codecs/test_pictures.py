"""Pictures of any size, mode and health are read by one stated rule each, and what is changed is said with counts."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paint import notes, pictures, save
from sansheng.codecs import Reading, image
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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


def test_sizes_that_are_alike_by_chance_do_not_decide(tmp_path):
    for i in range(38):
        save(tmp_path / f"{i:02d}.png", np.zeros((30 + i, 40 + i), np.uint8))
    for i in range(3):
        save(tmp_path / f"banner{i}.png", np.zeros((4, 90), np.uint8))
    source = image.read(tmp_path)
    assert source.records.values.shape == (41, 47, 57, 1)
    assert "47 high x 57 wide is the size of 1 of 41 images: no size is common, this one is in the middle" in notes(
        source
    )
    assert "cropping takes over half of 3 images, up to 95%" in notes(source)
    for i in range(10):
        save(tmp_path / f"same{i}.png", np.zeros((20, 20), np.uint8))
    source = image.read(tmp_path)
    assert source.records.values.shape == (51, 20, 20, 1)
    assert "20 x 20 is the size of 10 of 51 images: the commonest size" in notes(source)


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


# -- transparency ----------------------------------------------------------------------------------------------


def clear(colours: np.ndarray, alpha: int) -> np.ndarray:
    """Colours with an alpha, whose first column cannot be seen."""
    opacity = np.full((*colours.shape[:2], 1), alpha, np.uint8)
    opacity[:, 0] = 0
    return np.concatenate([colours, opacity], axis=2)


def test_transparency_is_laid_over_white_and_counted(tmp_path):
    red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3))
    save(tmp_path / "a.png", clear(red, 128))
    save(tmp_path / "b.png", clear(red, 255)[:, 1:].repeat(2, axis=1)[:, :4])  # an alpha that hides nothing
    save(tmp_path / "c.png", red)
    source = image.read(tmp_path)
    values = source.records.values
    np.testing.assert_array_equal(values[0, 0, :2], [[255] * 3, [255, 127, 127]])
    np.testing.assert_array_equal(values[1], red)
    assert "1 transparent image of 3 laid over white" in notes(source)


def test_transparency_is_kept_when_asked_for_and_hides_no_colours(tmp_path):
    blue = np.broadcast_to(np.array([0, 0, 255], np.uint8), (4, 4, 3))
    save(tmp_path / "a.png", clear(blue, 100))
    save(tmp_path / "b.png", np.full((4, 4), 7, np.uint8))
    source = image.read(tmp_path, Reading(alpha=True))
    values = source.records.values
    assert values.shape == (2, 4, 4, 4)
    np.testing.assert_array_equal(values[0, 0, :2], [[255, 255, 255, 0], [0, 0, 255, 100]])
    np.testing.assert_array_equal(values[1], np.broadcast_to([7, 7, 7, 255], (4, 4, 4)))
    assert "transparency kept, in 1 of 2 images" in notes(source)


def test_grey_with_alpha_has_two_channels_and_opaque_pictures_keep_no_alpha(rng, tmp_path):
    grey = pictures(rng, 4, 4, 1)
    save(tmp_path / "clear" / "a.png", clear(grey, 255))
    values = image.read(tmp_path / "clear", Reading(alpha=True)).records.values
    np.testing.assert_array_equal(values[0, :, 1:], clear(grey, 255)[:, 1:])
    save(tmp_path / "opaque" / "a.png", np.concatenate([grey, np.full_like(grey, 255)], axis=2))
    source = image.read(tmp_path / "opaque", Reading(alpha=True))
    np.testing.assert_array_equal(source.records.values[0], grey)
    assert "no image is transparent" in notes(source)


def test_clear_pixels_do_not_bleed_into_their_neighbours_when_resized(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.png", np.zeros((4, 4), np.uint8))
    half = np.zeros((16, 16, 4), np.uint8)  # green that cannot be seen beside opaque red
    half[:, :8] = 0, 255, 0, 0
    half[:, 8:] = 255, 0, 0, 255
    save(tmp_path / "c.png", half)
    shrunk = image.read(tmp_path, Reading(alpha=True)).records.values[2]
    seen = shrunk[shrunk[..., 3] > 16]
    assert (seen[:, 0] > 250).all()
    assert (seen[:, 1] < 5).all()


def test_the_training_pictures_settle_the_channels_of_the_test_pictures(tmp_path):
    grey = np.full((4, 4), 50, np.uint8)
    green = np.broadcast_to(np.array([0, 255, 0], np.uint8), (4, 4, 3))
    save(tmp_path / "train" / "a.png", grey)
    save(tmp_path / "test" / "b.png", clear(green, 255))
    source = image.read(tmp_path, Reading(alpha=True))
    assert source.records.values.shape == source.test.values.shape == (1, 4, 4, 1)
    np.testing.assert_array_equal(source.test.values[0, 0, :, 0], [255, 150, 150, 150])  # luma 0.587 * 255


# -- depth and counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("largest", "white"), [(200, 255), (900, 1023), (4000, 4095), (40_000, 65_535)])
def test_the_largest_of_all_deep_pictures_says_what_is_white(tmp_path, largest, white):
    save(tmp_path / "a.png", np.full((4, 4), largest, np.uint16))
    save(tmp_path / "b.png", np.full((4, 4), largest // 2, np.uint16))
    source = image.read(tmp_path)
    expected = np.rint([255 * largest / white, 255 * (largest // 2) / white])
    np.testing.assert_array_equal(source.records.values[:, 0, 0, 0], expected)
    assert f"2 images of more than 8 bits: {white:,} read as white" in notes(source)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([-1000, 0, 2000], np.int32), "images of more than 8 bits: -1,000 read as black, 2,000 as white"),
        (np.array([-1000, 0, 2000], np.float32), "images of floats: -1,000 read as black, 2,000 as white"),
        (np.array([-0.5, 0, 0.5], np.float32), "images of floats: -1 read as black, 1 as white"),
        (np.array([-7, -6, -5], np.int32), "images of more than 8 bits: -7 read as black, -5 as white"),
    ],
)
def test_negative_values_are_not_clipped_to_black(tmp_path, values, said):
    for i in range(2):
        save(tmp_path / f"{i}.tif", np.tile(values[:, None], (1, 3)))
    source = image.read(tmp_path)
    low, high = (-1, 1) if abs(values).max() < 1 else (values[0], values[-1])
    expected = np.rint(255 * (values.astype(float) - low) / (high - low))
    np.testing.assert_array_equal(source.records.values[0, :, 0, 0], expected)
    assert f"2 {said}" in notes(source)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_picture_with_pixels_that_are_no_numbers_is_left_out_alone(rng, tmp_path, bad):
    values = rng.random((6, 4, 4)).astype(np.float32)
    values[3, 0, 0] = bad
    for i in range(6):
        save(tmp_path / f"{i}.tif", values[i])
    source = image.read(tmp_path)
    kept = np.rint(255 * np.delete(values, 3, axis=0))
    np.testing.assert_array_equal(source.records.values[..., 0], kept)
    assert "skipped 1 broken: 3.tif (pixels that are not finite numbers)" in notes(source)


def sixteen(path: Path, values: np.ndarray, clear: bytes = b"") -> None:
    """A PNG of 16 bits a channel, (H, W, 1 … 4), with a colour that cannot be seen."""
    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    parts = [(b"IHDR", head), *([(b"tRNS", clear)] if clear else []), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("opaque", [4095, 65535])
def test_colour_and_alpha_of_16_bits_are_read_whole(rng, tmp_path, channels, opaque):
    values = rng.integers(0, 4096, (3, 5, 4, channels)).astype(np.uint16)
    values[0, 0, 0] = 4095
    if channels in (2, 4):
        values[..., -1] = opaque
        values[:, 2, :, -1] = 0
    for i in range(3):
        sixteen(tmp_path / f"{i}.png", values[i])
    source = image.read(tmp_path, Reading(alpha=True))
    expected = np.rint(values * (255 / 4095)).clip(0, 255)
    if channels in (2, 4):
        expected[:, 2, :, :-1] = 255
        assert "transparency kept, in 3 of 3 images" in notes(source)
    np.testing.assert_array_equal(source.records.values, expected)
    assert "3 images of more than 8 bits: 4,095 read as white" in notes(source)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_in_colour_of_16_bits_is_read_whole_in_either_order_of_bytes(rng, tmp_path, order, channels):
    values = rng.integers(0, 1024, (6, 4, channels)).astype(order + "u2")
    values[0, 0], values[..., 3:] = 1023, 1023
    tags = [(256, 4), (257, 6), (258, 16), (259, 1), (262, 2), (273, 200), (277, channels), (278, 6),
            (279, values.nbytes)] + [(338, 2)] * (channels == 4)  # fmt: skip
    entries = b""
    for tag, value in tags:
        n, at = (channels, 160) if tag == 258 else (1, value)
        packed = struct.pack(order + "I", at) if tag in (258, 273, 279) else struct.pack(order + "HH", at, 0)
        entries += struct.pack(order + "HHI", tag, 4 if tag in (273, 279) else 3, n) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)
    bits = struct.pack(order + "H", 16) * channels
    raw = head.ljust(160, b"\0") + bits
    (tmp_path / "a.tif").write_bytes(raw.ljust(200, b"\0") + values.tobytes())
    found = image.read(tmp_path).records.values[0]
    np.testing.assert_array_equal(found, np.rint(values[..., :3] * (255 / 1023)))


@pytest.mark.parametrize(("colour", "channels"), [(b"\0\x07", 1), (b"\0\x07\0\x08\0\x09", 3)])
def test_the_clear_colour_of_a_picture_of_16_bits_is_clear(tmp_path, colour, channels):
    values = np.full((4, 4, channels), 900, np.uint16)
    values[0] = (7, 8, 9)[:channels]
    sixteen(tmp_path / "a.png", values, colour)
    source = image.read(tmp_path)
    assert (source.records.values[0, 0] == 255).all()
    assert (source.records.values[0, 1:] == round(255 * 900 / 1023)).all()
    assert "1 transparent image of 1 laid over white" in notes(source)


def test_colour_of_16_bits_is_turned_by_its_tag(rng, tmp_path):
    values = rng.integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    sixteen(tmp_path / "a.png", values)
    raw, exif = (tmp_path / "a.png").read_bytes(), Image.Exif()
    exif[0x0112] = 6
    tag = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(tag)) + b"eXIf" + tag + struct.pack(">I", zlib.crc32(b"eXIf" + tag))
    (tmp_path / "a.png").write_bytes(raw[:33] + chunk + raw[33:])
    found = image.read(tmp_path).records.values[0]
    np.testing.assert_array_equal(found, np.rint(np.rot90(values, -1) * (255 / 65535)))


def test_every_rule_is_said_with_its_count(tmp_path):
    red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 3
    save(tmp_path / "a.png", red, "P")
    save(tmp_path / "b.png", red, "P")
    save(tmp_path / "c.tif", red, "CMYK")
    save(tmp_path / "d.jpg", red, exif=exif)
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    frames[0].save(tmp_path / "e.gif", save_all=True, append_images=frames[1:])
    save(tmp_path / "f.tif", np.full((4, 4), 0.5, np.float32))
    said = notes(image.read(tmp_path))
    for told in ("read as RGB: 3 palette, 1 CMYK", "1 image turned upright", "1 animation read by their first"):
        assert told in said
    assert "1 image of floats: 1 read as white" in said


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 13), (33, 17)])
def test_any_height_and_width(rng, tmp_path, shape):
    values = pictures(rng, *shape)
    save(tmp_path / "a.png", values)
    np.testing.assert_array_equal(image.read(tmp_path).records.values[0, ..., 0], values)
