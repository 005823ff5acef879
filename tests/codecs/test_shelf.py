"""Where pictures lie: folders and label files are read by stated rules, and nothing outside them is."""

import os
import unicodedata

import numpy as np
import pytest

from paint import notes, pictures, save
from sansheng.codecs import image
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
    assert "left out, as they are in neither: 2 images of val" in notes(source)


@pytest.mark.parametrize(
    ("train", "held"), [("train", "val"), ("Train", "Test"), ("training", "Valid"), ("TRAIN", "validation")]
)
def test_a_split_is_found_in_any_case_and_without_a_test_folder(rng, tmp_path, train, held):
    for split, n in ((train, 3), (held, 2)):
        for name in "ab":
            for i in range(n):
                save(tmp_path / split / name / f"{i}.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["a"] * 3 + ["b"] * 3
    assert source.test.labels["label"].tolist() == ["a", "a", "b", "b"]
    assert f"sub-folders {train} and {held} kept as the split, {held} held out" in notes(source)


def test_what_is_beside_a_split_is_left_out_and_counted(rng, tmp_path):
    for folder in ("train/a", "train/b", "test/a", "test/b", "unlabeled", "More"):
        for i in range(3):
            save(tmp_path / folder / f"{i}.png", pictures(rng, 4, 4))
    save(tmp_path / "overview.png", pictures(rng, 40, 40))
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["a"] * 3 + ["b"] * 3
    assert len(source.test) == 6
    assert "left out, as they are in neither: 3 images of More, 3 images of unlabeled" in notes(source)
    assert "1 image beside the sub-folders left out (the first: overview.png)" in notes(source)


def test_a_split_in_every_class_is_kept_as_one(tmp_path):
    for place, value in (("a/train/0", 1), ("a/test/0", 2), ("b/Train/0", 3), ("b/test/0", 4), ("b/val/0", 5)):
        save(tmp_path / f"{place}.png", np.full((4, 4), value, np.uint8))
    source = image.read(tmp_path)
    assert source.records.values[:, 0, 0, 0].tolist() == [1, 3]
    assert source.test.values[:, 0, 0, 0].tolist() == [2, 4]
    assert source.records.labels["label"].tolist() == source.test.labels["label"].tolist() == ["a", "b"]
    assert "sub-folders Train and train and test kept as the split, test held out" in notes(source)
    assert "left out, as they are in neither: 1 image of val" in notes(source)


def test_strays_beside_a_split_in_every_class_are_left_out_if_they_are_few(rng, tmp_path):
    for part in ("a/train", "a/test", "b/train", "b/test"):
        for i in range(2):
            save(tmp_path / part / f"{i}.png", pictures(rng, 4, 4))
    save(tmp_path / "a" / "overview.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["a", "a", "b", "b"]
    assert len(source.test) == 4
    assert "1 image beside the sub-folders left out (the first: a/overview.png)" in notes(source)
    for i in range(3):
        save(tmp_path / "b" / f"{i}.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert source.test is None
    assert source.records.labels["label"].tolist() == ["a"] * 5 + ["b"] * 7
    assert "train and test in sub-folders are read as one: too many images are in neither" in notes(source)


def test_a_split_in_some_classes_alone_is_none_and_said(rng, tmp_path):
    for place in ("a/train", "a/test", "b/more"):
        save(tmp_path / place / "0.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert source.test is None
    assert source.records.labels["label"].tolist() == ["a", "a", "b"]
    assert "train and test in sub-folders are read as one: no such split in b" in notes(source)


def test_a_few_strays_beside_the_classes_are_left_out(rng, tmp_path):
    for name in ("cat", "dog"):
        for i in range(4):
            save(tmp_path / "pets" / name / f"{i}.png", pictures(rng, 4, 4))
    save(tmp_path / "pets" / "overview.png", pictures(rng, 40, 40))
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["cat"] * 4 + ["dog"] * 4
    assert "1 image beside the sub-folders left out (the first: pets/overview.png)" in notes(source)
    save(tmp_path / "zoo.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert len(source.records) == 10
    assert not source.records.labels
    assert "no labels: 2 of 10 images are in no sub-folder that could be one (the first: pets/overview.png)" in notes(
        source
    )


def test_pictures_are_not_left_out_where_no_labels_are_to_be_had(rng, tmp_path):
    for i in range(8):
        save(tmp_path / "all" / f"{i}.png", pictures(rng, 4, 4))
    save(tmp_path / "one.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert len(source.records) == 9
    assert not source.notes


def test_a_test_folder_without_classes_says_why_there_are_no_labels(rng, tmp_path):
    for name in ("train/cat", "train/dog", "test"):
        for i in range(3):
            save(tmp_path / name / f"{i}.png", pictures(rng, 4, 4))
    source = image.read(tmp_path)
    assert (len(source.records), len(source.test)) == (6, 3)
    assert not source.records.labels
    assert "no labels: 3 of 3 images of test are in no sub-folder" in notes(source)


def test_a_name_that_is_not_utf_8_is_read_like_any_other(rng, tmp_path):
    for name in ("cat", "dog"):
        for i in range(4):
            save(tmp_path / name / f"{i}.png", pictures(rng, 4, 4))
    strange = os.fsdecode(b"caf\xe9.png")
    save(tmp_path / "dog" / strange, pictures(rng, 4, 4))
    (tmp_path / "dog" / os.fsdecode(b"t\xe9.png")).write_bytes(b"")
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["cat"] * 4 + ["dog"] * 5
    assert source.records.names[-1] == r"dog/caf\xe9.png"
    assert r"skipped 1 broken: dog/t\xe9.png (empty)" in notes(source)
    for text in source.notes:
        assert text.encode()
    lines = "".join(f"{name}/{i}.png,{i}\n" for name in ("cat", "dog") for i in range(4))
    (tmp_path / "labels.csv").write_text("file,label\n" + lines)
    assert image.read(tmp_path).records.labels["label"].tolist() == [0, 1, 2, 3] * 2


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


def test_a_folder_that_holds_everything_is_passed_through(rng, tmp_path):
    for name in ("cat", "dog"):
        save(tmp_path / "data" / "photos" / name / "a.png", pictures(rng, 4, 4))
    assert image.read(tmp_path).records.labels["label"].tolist() == ["cat", "dog"]


def test_the_overview_beside_written_samples_is_none_of_them(rng, tmp_path):
    save(tmp_path / "00000.png", pictures(rng, 4, 4))
    save(tmp_path / "grid.png", pictures(rng, 40, 40))
    assert len(image.read(tmp_path).records) == 1


# -- labels.csv ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["file", "filename", "file_name"])
def test_labels_come_from_a_table_beside_the_pictures(tmp_path, column):
    for i in range(4):
        save(tmp_path / "deep" / f"{i}.png", np.full((4, 4), i, np.uint8))
    table = f"{column},label,age\ndeep/3.png,cat,9.5\ndeep/0.png,dog,1\ndeep/9.png,emu,1\n2.png,cat,3\n"
    (tmp_path / "labels.csv").write_text(table)
    source = image.read(tmp_path)
    assert source.records.values[:, 0, 0, 0].tolist() == [0, 2, 3]
    assert source.records.labels["label"].tolist() == ["dog", "cat", "cat"]
    assert source.records.labels["age"].tolist() == [1, 3, 9.5]
    assert "1 image without a line left out; 1 line without an image" in notes(source)


def test_a_table_goes_before_sub_folders_and_keeps_whole_numbers_and_names_like_none(rng, tmp_path):
    for name in ("a/1.png", "b/1.png"):
        save(tmp_path / name, pictures(rng, 4, 4))
    (tmp_path / "labels.csv").write_text("file;label;kind\na/1.png;7;None\nb/1.png;8;NA\n")
    labels = image.read(tmp_path).records.labels
    assert labels["label"].dtype.kind == "i"
    assert (labels["label"].tolist(), labels["kind"].tolist()) == ([7, 8], ["None", "NA"])


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["01", "1", "2"], ["01", "1", "2"]),
        (["007", "008", "009"], ["007", "008", "009"]),
        (["1e5", "100000", "2"], ["1e5", "100000", "2"]),
        (["12345678901234567890", "12345678901234567891", "1"],) * 2,
        (["9007199254740993", "9007199254740992", "0.5"],) * 2,
        (["3", "-1", "0"], [3, -1, 0]),
        (["0.50", "-.5", "2"], [0.5, -0.5, 2.0]),
        (["1e-05", "0.25", "1.5e+20"], [1e-05, 0.25, 1.5e20]),
        (["True", "False", "True"], [True, False, True]),
        (["yes", "1", "2"], ["yes", "1", "2"]),
    ],
)
def test_a_column_is_numbers_only_if_each_text_is_plainly_one(tmp_path, texts, found):
    for i in range(3):
        save(tmp_path / f"{i}.png", np.full((4, 4), i, np.uint8))
    (tmp_path / "labels.csv").write_text("file,code\n" + "".join(f"{i}.png,{text}\n" for i, text in enumerate(texts)))
    code = image.read(tmp_path).records.labels["code"]
    assert code.tolist() == found
    assert {type(value) for value in code.tolist()} == {type(value) for value in found}


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("folder", ["", "gemüse/"])
def test_accents_that_macos_writes_apart_match_those_of_a_table(tmp_path, on_disk, in_table, folder):
    names = [f"{folder}é{i}.png" for i in range(3)]
    for i, name in enumerate(names):
        save(tmp_path / unicodedata.normalize(on_disk, name), np.full((4, 4), i, np.uint8))
    lines = "".join(f"{unicodedata.normalize(in_table, name)},{i}\n" for i, name in enumerate(names))
    (tmp_path / "labels.csv").write_text("file,label\n" + lines, "utf-8")
    assert image.read(tmp_path).records.labels["label"].tolist() == [0, 1, 2]


def test_pictures_that_lack_a_label_are_left_out_unless_they_are_many(rng, tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", np.full((4, 4), i, np.uint8))
    (tmp_path / "labels.csv").write_text("file,label,age,sure,x\n0.png,a,1,True,\n1.png,b,,,\n2.png,a,3,False,7\n")
    source = image.read(tmp_path)
    assert source.records.values[:, 0, 0, 0].tolist() == [0, 2]
    found = {name: column.tolist() for name, column in source.records.labels.items()}
    assert found == {"label": ["a", "a"], "age": [1, 3], "sure": [True, False]}
    assert {type(value) for value in found["age"] + found["sure"]} == {int, bool}
    assert "1 image without a value of 'age', 'sure' left out" in notes(source)
    assert "column 'x' is no label: it has no value for 1 image" in notes(source)


def test_no_picture_is_left_out_for_the_sake_of_labels_that_there_are_none_of(tmp_path):
    for i in range(4):
        save(tmp_path / f"{i}.png", np.full((4, 4), i, np.uint8))
    (tmp_path / "labels.csv").write_text("file,label\n0.png,\n1.png,b\n2.png,\n")
    source = image.read(tmp_path)
    assert len(source.records) == 4
    assert not source.records.labels
    assert "column 'label' is no label: it has no value for 2 images" in notes(source)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("name,label\n0.png,a\n", "needs a column file or filename and one with the label, not name, label"),
        ("file\n0.png\n", "needs a column"),
        ("file,label\n7.png,a\n", r"names none of the 2 images \(the first: 0.png\)"),
        ("file,label\n0.png,a\n0.png,b\n", "0.png has more than one line"),
        ("", "cannot be read as a table"),
        ("file,label\n0.png,a\n1.png,b,c\n", "line 3 has 3 fields, the header 2"),
        ("file,label\n0.png,a,c\n1.png,b\n", "line 2 has 3 fields, the header 2"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(rng, tmp_path, table, complaint):
    for i in range(2):
        save(tmp_path / f"{i}.png", pictures(rng, 4, 4))
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=complaint):
        image.read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8", "latin-1"])
def test_a_table_is_read_in_the_encoding_of_its_mark(tmp_path, encoding):
    for i in range(2):
        save(tmp_path / f"{i}.png", np.full((4, 4), i, np.uint8))
    text = ("" if encoding == "latin-1" else "\ufeff") + "file\tlabel\n0.png\tgrün\n1.png\trot\n"
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    assert image.read(tmp_path).records.labels["label"].tolist() == ["grün", "rot"]


def test_blank_fields_at_the_ends_of_lines_are_no_data(tmp_path, recwarn):
    for i in range(2):
        save(tmp_path / f"{i}.png", np.full((4, 4), i, np.uint8))
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a,\n1.png,b,\n")
    assert image.read(tmp_path).records.labels["label"].tolist() == ["a", "b"]
    assert not list(recwarn)


def test_each_part_of_a_split_may_have_a_table_of_its_own(rng, tmp_path):
    for split, label in (("train", "x"), ("test", "y")):
        for i in range(2):
            save(tmp_path / split / f"{i}.png", pictures(rng, 4, 4))
        (tmp_path / split / "labels.csv").write_text(f"file,label\n0.png,{label}0\n1.png,{label}1\n")
    source = image.read(tmp_path)
    assert source.records.labels["label"].tolist() == ["x0", "x1"]
    assert source.test.labels["label"].tolist() == ["y0", "y1"]


def test_written_samples_are_read_again_with_their_labels(rng, tmp_path):
    records = image.Records(
        pictures(rng, 4, 5, 6, 4), {"label": np.array([1, 0, 1, 1]), "side": np.array(list("abba"))}
    )
    image.ImageCodec.fit(records).write(records, tmp_path / "out")
    again = image.read(tmp_path / "out").records
    assert {name: column.tolist() for name, column in again.labels.items()} == {
        "label": [1, 0, 1, 1],
        "side": list("abba"),
    }
