"""Parquet files of pictures, as Hugging Face lays them out, are images with labels; other Parquet files are tables."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from paint import notes
from sansheng import codecs
from sansheng.codecs import image
from sansheng.errors import DataError


def png(value: int, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.new("L", (5, 4), value).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def write(path, pictures, metadata=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": pictures, **columns})
    pq.write_table(table.replace_schema_metadata(metadata or {}), path)
    return path


def structs(values):
    return [{"bytes": png(value), "path": f"/home/someone/{value}.png"} for value in values]


def first_pixels(source):
    return source.records.values[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("raw", [False, True])
def test_a_column_of_pictures_is_read_with_the_other_columns_as_labels(tmp_path, raw):
    pictures = [png(value) for value in (3, 1, 2)] if raw else structs((3, 1, 2))
    path = write(tmp_path / "a.parquet", pictures, label=[0, 1, 0], age=[0.5, 1.5, 2.5], who=["x", "y", "z"])
    assert codecs.guess(path) == "image"
    source = codecs.read(path, "image")
    assert source.records.values.shape == (3, 4, 5, 1)
    assert first_pixels(source) == [3, 1, 2]
    found = {name: column.tolist() for name, column in source.records.labels.items()}
    assert found == {"label": [0, 1, 0], "age": [0.5, 1.5, 2.5], "who": ["x", "y", "z"]}


def test_class_names_in_the_schema_are_the_labels(tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path = write(tmp_path / "a.parquet", structs((1, 2, 3)), metadata, label=[1, 0, 1])
    assert image.read(path).records.labels["label"].tolist() == ["dog", "cat", "dog"]
    path = write(tmp_path / "b.parquet", structs((1, 2, 3)), metadata, label=[1, -1, 1])  # unknown: numbers stay
    assert image.read(path).records.labels["label"].tolist() == [1, -1, 1]


def test_a_folder_of_shards_is_one_set_with_its_split(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00002.parquet", structs((1, 2)), label=["a", "b"])
    write(tmp_path / "data" / "train-00001-of-00002.parquet", structs((3,)), label=["c"])
    write(tmp_path / "data" / "test-00000-of-00001.parquet", structs((9,)), label=["a"])
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", structs((8,)), label=["a"])
    assert codecs.guess(tmp_path) == "image"
    source = image.read(tmp_path)
    assert first_pixels(source) == [1, 2, 3]
    assert source.test.values[:, 0, 0, 0].tolist() == [9]
    assert source.test.labels["label"].tolist() == ["a"]
    assert "kept as the split" in notes(source)
    assert "left out, as they are in neither: 1 file validation-…" in notes(source)


@pytest.mark.parametrize("held", ["validation", "val", "Test"])
def test_shards_called_validation_are_held_out_where_there_is_no_test(tmp_path, held):
    write(tmp_path / "train-00000-of-00001.parquet", structs((1, 2)), label=["a", "b"])
    write(tmp_path / f"{held}-00000-of-00001.parquet", structs((9,)), label=["a"])
    write(tmp_path / "extra-00000-of-00001.parquet", structs((7,)), label=["a"])
    source = image.read(tmp_path)
    assert first_pixels(source) == [1, 2]
    assert source.test.values[:, 0, 0, 0].tolist() == [9]
    assert "held out" in notes(source)
    assert "left out, as they are in neither: 1 file extra-…" in notes(source)


def test_shards_of_one_name_in_several_folders_are_all_read(tmp_path):
    for folder, values in (("a", (1, 2)), ("b", (3, 4))):
        write(tmp_path / folder / "train-00000.parquet", structs(values), label=[folder] * 2)
    source = image.read(tmp_path)
    assert first_pixels(source) == [1, 2, 3, 4]
    assert source.records.labels["label"].tolist() == ["a", "a", "b", "b"]
    assert source.records.names[-1] == "b/train-00000.parquet, row 1"


def test_rows_that_lack_a_label_are_left_out(tmp_path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path = write(tmp_path / "a.parquet", structs((1, 2, 3)), metadata, label=[1, None, 0], n=[1, 2, None], t=[True] * 3)
    source = image.read(path)
    assert first_pixels(source) == [1, 3]
    assert source.records.labels["label"].tolist() == ["dog", "cat"]
    assert "1 image without a value of 'label' left out" in notes(source)
    assert "column 'n' is no label: it has no value for 1 image" in notes(source)
    path = write(tmp_path / "b.parquet", structs((1, 2, 3)), n=[1, None, 3], t=[True, None, False])
    labels = {name: column.tolist() for name, column in image.read(path).records.labels.items()}
    assert labels == {"n": [1, 3], "t": [True, False]}
    assert {type(value) for value in labels["n"] + labels["t"]} == {int, bool}


def test_a_logo_beside_parquet_files_does_not_hide_them(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00001.parquet", structs((1, 2, 3)), label=["a", "b", "a"])
    pd.DataFrame({"a": range(9)}).to_parquet(tmp_path / "table.parquet")
    (tmp_path / "broken.parquet").write_text("not parquet")
    for i in range(2):
        (tmp_path / f"logo{i}.png").write_bytes(png(100))
    source = image.read(tmp_path)
    assert first_pixels(source) == [1, 2, 3]
    assert source.records.labels["label"].tolist() == ["a", "b", "a"]
    assert "read from 1 Parquet file; 2 image files beside left out" in notes(source)
    (tmp_path / "logo2.png").write_bytes(png(100))
    source = image.read(tmp_path)
    assert first_pixels(source) == [100] * 3
    assert "other files ignored: 3 .parquet" in notes(source)


def test_rows_without_bytes_are_broken_and_nothing_is_read_by_path(tmp_path):
    Image.new("L", (5, 4)).save(tmp_path / "secret.png")
    rows = [*structs(range(9)), {"bytes": None, "path": str(tmp_path / "secret.png")}]
    source = image.read(write(tmp_path / "a.parquet", rows, label=list(range(10))))
    assert first_pixels(source) == list(range(9))
    assert source.records.labels["label"].tolist() == list(range(9))
    assert "skipped 1 broken: row 9 (empty)" in notes(source)


def test_a_table_stays_a_table(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "blob": [b"abc", b"def"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert codecs.guess(tmp_path / "t.parquet") == "table"
    with pytest.raises(DataError, match="no column holds pictures"):
        image.read(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_text("not parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        codecs.guess(tmp_path / "t.parquet")


def test_columns_that_cannot_be_labels_are_named(tmp_path):
    path = write(tmp_path / "a.parquet", structs((1, 2)), label=[0, 1], gap=[None] * 2, boxes=[[1, 2], [3]])
    source = image.read(path)
    assert set(source.records.labels) == {"label"}
    assert "column 'gap' is no label: it has no value for 2 images" in notes(source)
    assert "column 'boxes' is no label: it holds neither text nor numbers" in notes(source)
    assert np.array_equal(first_pixels(source), [1, 2])
