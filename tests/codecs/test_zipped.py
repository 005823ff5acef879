"""Pictures in a zip are read as those of the folder it holds, and a zip that means harm is refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paint import notes, pictures, save
from sansheng.codecs import image, zipped
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pack(folder: Path, target: Path) -> Path:
    """A zip of a folder, the folder's own name included."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return target


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), value).save(stream, "PNG")
    return stream.getvalue()


def test_a_zip_is_read_as_the_folder_it_holds(rng, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    for name in ("cat", "dog"):
        for i in range(3):
            save(folder / name / f"{i}.png", pictures(rng, 4, 5, 3))
    save(folder / "__MACOSX" / "cat" / "._0.png", pictures(rng, 4, 5, 3))
    (folder / "readme.md").write_text("hello")
    packed = pack(folder, tmp_path / "photos.zip")
    before = sorted(tmp_path.rglob("*"))
    one, other = image.read(folder), image.read(packed)
    np.testing.assert_array_equal(one.records.values, other.records.values)
    assert other.records.labels["label"].tolist() == one.records.labels["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert "1 .md" in notes(other)
    assert sorted(tmp_path.rglob("*")) == before


def test_backslashes_in_a_zip_are_between_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, value in (("cat\\0.png", 1), ("cat\\1.png", 2), ("dog\\0.png", 3), ("empty\\", 0)):
            info = zipfile.ZipInfo("unnamed")
            info.filename = name
            archive.writestr(info, png(value) if value else b"")
    source = image.read(tmp_path / "a.zip")
    assert source.records.values[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert source.records.labels["label"].tolist() == ["cat", "cat", "dog"]
    assert not source.notes


def test_a_zip_may_hold_a_table_of_labels(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/0.png", png(1))
        archive.writestr("x/1.png", png(2))
        archive.writestr("x/labels.csv", "filename,label\n1.png,b\n0.png,a\n")
    assert image.read(tmp_path / "a.zip").records.labels["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize("harm", ["broken", "encrypted"])
def test_a_table_of_labels_that_a_zip_cannot_give_is_named(tmp_path, harm):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0.png", png(1))
        archive.writestr("labels.csv", "file,label\n0.png,a\n")
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    if harm == "broken":
        raw[raw.index(b"0.png,a")] ^= 1
    else:
        for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            raw[raw.rindex(head) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"a.zip: labels.csv cannot be read: .*(CRC|encrypted)"):
        image.read(tmp_path / "a.zip")


def test_names_that_lead_out_of_a_zip_are_only_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil.png", png(1))
        archive.writestr("/abs/evil.png", png(2))
    before = sorted(tmp_path.parent.iterdir())
    assert len(image.read(tmp_path / "a.zip").records) <= 2
    assert sorted(tmp_path.parent.iterdir()) == before


def test_a_zip_that_would_expand_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zipped, "GIB", 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**24))
    with pytest.raises(DataError, match=r"refused, it would expand from [\d,]+ to 16,777,216 bytes"):
        image.read(tmp_path / "bomb.zip")


def test_a_member_too_large_for_a_picture_is_a_broken_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(zipped, "MAX_MEMBER", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(9):
            archive.writestr(f"{i}.png", png(i))
        archive.writestr("large.png", png(0) + bytes(2000))
    source = image.read(tmp_path / "a.zip")
    assert len(source.records) == 9
    assert "skipped 1 broken: large.png (larger than 1,000 bytes)" in notes(source)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bomb.png", png(0))
    with pytest.raises(DataError, match=r"1 of 1 images cannot be read \(the first: bomb.png, too many pixels\)"):
        image.read(tmp_path / "a.zip")


def test_a_zip_of_other_things_or_none_at_all_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("t.csv", "a,b")
    with pytest.raises(DataError, match=r"no images; looked for \.png .*found 1 \.csv"):
        image.read(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_text("not a zip")
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        image.read(tmp_path / "b.zip")
