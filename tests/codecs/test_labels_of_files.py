"""Labels as files give them: with blanks, as numbers or as texts of numbers, and in the letters of two computers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sansheng import codecs
from sansheng.codecs.base import Reading, Source
from sansheng.codecs.label_file import label_columns, with_missing
from sansheng.codecs.labels import Conditions, without_gaps
from sansheng.errors import DataError

RATE = 8000
WITH_BLANKS = np.array(["(missing)", "1", "10", "2"])


def given(conditions: Conditions, **labels: np.ndarray) -> torch.Tensor:
    encoded = conditions.encode(labels)
    assert encoded is not None
    return encoded


# -- blanks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pd.Series([1.0, None, 20.0]), ["1", "(missing)", "20"]),
        (pd.Series([1, None, 20], dtype="Int64"), ["1", "(missing)", "20"]),
        (pd.Series([1.5, None, -2.0]), ["1.5", "(missing)", "-2"]),
        (pd.Series(["1.0", None, "b"]), ["1.0", "(missing)", "b"]),
        (pd.Series([True, None, False], dtype="boolean"), ["True", "(missing)", "False"]),
        (pd.Series([True, None, False], dtype=object), ["True", "(missing)", "False"]),
    ],
)
def test_blanks_are_a_level_and_whole_numbers_stay_whole(column: pd.Series, texts: list[str]) -> None:
    assert without_gaps(column).tolist() == texts


def test_a_column_without_blanks_stays_what_it_is() -> None:
    for column in (pd.Series([1, 2]), pd.Series([0.5, 1.0]), pd.Series(["a", "b"])):
        assert without_gaps(column) is column


def test_only_columns_that_can_be_labels_get_that_level() -> None:
    frame = pd.DataFrame({
        "stars": [5.0, None, 4.0], "tags": [["a"], None, ["b"]], "never": [None] * 3, "whole": [1, 2, 3],
        "limit": [np.inf, None, 1.0],
    })  # fmt: skip
    filled, notes = with_missing(frame, "text")
    assert notes == ["column 'stars': 1 text without a value, as level (missing)"]
    labels, left = label_columns(filled, "text")
    assert list(labels.columns) == ["stars", "whole"]
    assert left[0] == "column 'tags' is no label: it has no value for 1 text"
    many = pd.DataFrame({"price": [None, *np.arange(1500) + 0.5]})
    assert with_missing(many, "text")[1] == []
    assert "it has no value for 1 text" in label_columns(many, "text")[1][0]


# -- numbers and texts of numbers ----------------------------------------------------------------------------


def test_numbers_are_levels_that_blanks_have_made_texts() -> None:
    conditions = Conditions.fit({"ward": WITH_BLANKS}, ["ward"])
    expected = torch.eye(4)[[1, 3, 2]]
    for numbers in (np.array([1, 2, 10]), np.array([1.0, 2.0, 10.0]), np.array([1, 2, 10], dtype=object)):
        assert torch.equal(given(conditions, ward=numbers), expected)
    assert conditions.unseen({"ward": np.array([1.0, 7.0])})["ward"].tolist() == [7.0]
    assert given(conditions, ward=np.array([1, 7])).sum(1).tolist() == [1, 0]
    assert torch.equal(conditions.encode_given({"ward": "1"}, 1), torch.eye(4)[[1]])


def test_texts_that_blanks_have_made_of_numbers_are_those_numbers() -> None:
    for levels in (np.array([1, 2, 10]), np.array([1.0, 2.0, 10.0])):
        conditions = Conditions.fit({"ward": levels}, ["ward"])
        assert torch.equal(given(conditions, ward=WITH_BLANKS[1:]), torch.eye(3)[[0, 2, 1]])
        assert given(conditions, ward=WITH_BLANKS).sum(1).tolist() == [0, 1, 1, 1]
        assert conditions.unseen({"ward": WITH_BLANKS})["ward"].tolist() == ["(missing)"]


def test_truth_values_match_the_texts_that_blanks_have_made_of_them() -> None:
    conditions = Conditions.fit({"new": np.array(["(missing)", "False", "True"])}, ["new"])
    assert torch.equal(given(conditions, new=np.array([True, False])), torch.eye(3)[[2, 1]])


def test_numbers_and_words_have_nothing_in_common() -> None:
    words = Conditions.fit({"ward": np.array(["east", "west"])}, ["ward"])
    with pytest.raises(DataError, match=r"'ward' is of type int64, and was <U4 in the training split"):
        words.encode({"ward": np.array([1, 2])})


def test_levels_of_older_runs_are_asked_for_as_whole_numbers_too() -> None:
    conditions = Conditions.fit({"ward": np.array(["(missing)", "1.0", "2.0"])}, ["ward"])
    assert torch.equal(conditions.encode_given({"ward": "1"}, 1), torch.eye(3)[[1]])
    assert torch.equal(given(conditions, ward=np.array([2, 1])), torch.eye(3)[[2, 1]])
    codes = Conditions.fit({"ward": np.array(["1", "1.0"])}, ["ward"])
    assert torch.equal(codes.encode_given({"ward": ["1", "1.0"]}, 2), torch.eye(2))
    with pytest.raises(ValueError, match=r"unknown value of ward '3'.*Valid: \(missing\), 1\.0, 2\.0"):
        conditions.encode_given({"ward": "3"}, 1)


# -- recordings ----------------------------------------------------------------------------------------------


def tone(i: int, samples: int = 3000) -> np.ndarray:
    return np.sin(np.arange(samples) * (0.1 + 0.05 * i)) * np.hanning(samples)


def write(folder: Path, name: str, wave: np.ndarray) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE)


def read(folder: Path, **options: str) -> Source:
    return codecs.read(folder, "audio", Reading(options=options))


@pytest.mark.parametrize("pattern", ["{who}_{take}", None])
def test_accents_of_two_computers_are_one_level(tmp_path: Path, pattern: str | None) -> None:
    names = [unicodedata.normalize(form, "zoë") for form in ("NFC", "NFD")]
    assert names[0] != names[1]
    for take in range(2):
        for i, who in enumerate((*names, "bo")):
            write(tmp_path, f"{who}_{take}.wav" if pattern else f"{who}/{take}.wav", tone(3 * take + i))
    found = read(tmp_path, label_pattern=pattern) if pattern else read(tmp_path)
    assert len(found.records) == 6
    assert sorted(set(found.records.labels["who" if pattern else "label"])) == ["bo", "zoë"]


def test_a_pattern_may_have_accents_too(tmp_path: Path) -> None:
    for take in range(3):
        write(tmp_path, unicodedata.normalize("NFD", f"café_{take % 2}_{take}.wav"), tone(take))
    pattern = unicodedata.normalize("NFC", "café_{digit}_{take}")
    assert read(tmp_path, label_pattern=pattern).records.labels["digit"].tolist() == [0, 0, 1]


def test_what_is_wrong_with_a_recording_is_said_in_words(tmp_path: Path) -> None:
    for i in range(8):
        write(tmp_path, f"{i}.wav", tone(i))
    (tmp_path / "bad.wav").write_bytes(b"RIFF nonsense")
    (note,) = [note for note in read(tmp_path).notes if "broken" in note]
    assert note.startswith("skipped 1 broken: bad.wav (")
    assert "<_io" not in note
    assert str(tmp_path) not in note
    for i in range(5):
        (tmp_path / f"bad{i}.wav").write_bytes(b"RIFF nonsense")
    with pytest.raises(DataError, match=r"\(the first: bad\.wav, [^<]*\); at most"):
        read(tmp_path)


def test_recordings_that_are_silent_or_become_so_are_named(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path, f"{i}.wav", tone(i))
    write(tmp_path, "opposed.wav", np.stack([tone(1), -tone(1)], axis=1))
    write(tmp_path, "stereo.wav", np.stack([tone(1), 0.5 * tone(1)], axis=1))
    for i in range(6):
        write(tmp_path, f"silent{i}.wav", np.zeros(3000))
    notes = read(tmp_path).notes
    named = ", ".join(f"silent{i}.wav" for i in range(5))
    assert f"6 recordings without any sound: {named}, …" in notes
    assert [note for note in notes if note.endswith("cancel out: opposed.wav")]
    assert "channels averaged in 2 recordings" in notes
    assert not any("stereo.wav" in note for note in notes)


def test_a_number_that_is_no_level_is_unseen_whatever_stands_beside_it() -> None:
    conditions = Conditions.fit({"ward": np.array(["1", "2", "(missing)"])}, ["ward"])
    assert conditions.unseen({"ward": np.array([3, 1])})["ward"].tolist() == [3]
    assert conditions.unseen({"ward": np.array([3])})["ward"].tolist() == [3]
    with pytest.raises(DataError, match="is of type"):
        Conditions.fit({"ward": np.array(["a", "b"])}, ["ward"]).unseen({"ward": np.array([3])})
