"""Texts from tables: which column, what its labels are where there are blanks, what is cut, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from sansheng.codecs import text
from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.text import TextCodec
from sansheng.data import open_data, read_records
from sansheng.errors import DataError


def reviews(n: int = 40, **columns: list) -> pd.DataFrame:
    return pd.DataFrame({
        "shop": [f"shop {i % 4}" for i in range(n)], "review": [f"review number {i} was good" for i in range(n)],
        "stars": [1 + i % 5 for i in range(n)], **columns,
    })  # fmt: skip


def read(path: Path, **options: str) -> Source:
    return text.read(path, Reading(options=options))


def stars(codec: TextCodec, records: Records) -> torch.Tensor:
    given = codec.encode(records).condition
    assert given is not None
    return given


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    reviews().to_csv(path, index=False)
    return path


# -- windows -------------------------------------------------------------------------------------------------


def test_windows_of_a_column_are_refused(table: Path) -> None:
    for options in ({"window": "64"}, {"unit": "windows"}, {"unit": "windows", "window": "64"}):
        with pytest.raises(
            ValueError, match=r"is for one long text, and each text of the column 'review' is an example"
        ):
            read(table, **options)
        with pytest.raises(ValueError, match="for one long text"):
            text.from_frame(reviews(), options)
        with pytest.raises(ValueError, match="for one long text, and this is read as lines"):
            text.from_lines(["anna", "bo"], options)
    with pytest.raises(ValueError, match="Did you mean 'lines'"):
        read(table, unit="line")
    assert len(read(table, unit="lines").records) == 40


def test_a_table_without_text_may_still_be_a_long_text(tmp_path: Path) -> None:
    path = tmp_path / "digits.csv"
    path.write_text("3,1,4\n" + "1,5,9\n" * 100)
    assert {len(window) for window in read(path, window="32").records.values} == {32}


def test_texts_that_are_cut_are_counted_in_a_note(tmp_path: Path) -> None:
    long = [f"{i:03d} {'x' * (123 + i)}" for i in range(5)]  # of 127 to 131 characters
    said = "4 of 45 texts cut, being longer than 127 characters (--tokens bpe holds more of each)"
    frame = pd.DataFrame({"review": [*long, *reviews()["review"]]})
    assert said in text.from_frame(frame, {}).notes
    (tmp_path / "a.txt").write_text("\n".join(frame["review"]))
    assert said in read(tmp_path / "a.txt", unit="lines").notes
    assert said in open_data(tmp_path / "a.txt", kind="text", options={"unit": "lines"}).notes
    assert not any("cut" in note for note in text.from_frame(frame, {"tokens": "bpe"}).notes)
    assert not any("cut" in note for note in text.from_frame(reviews(), {}).notes)
    assert dict(TextCodec.fit(Records(frame["review"].tolist())).describe())["cut"].startswith("4 lines")


# -- the column ----------------------------------------------------------------------------------------------


def test_other_tables_are_read_from_the_column_that_was_found(table: Path, tmp_path: Path) -> None:
    codec = TextCodec.fit(read(table).records)
    assert codec.reading() == {"unit": "lines", "column": "review"}
    again = TextCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert again.reading() == codec.reading()
    other = reviews(shop=[f"a shop with a name that is longer than any review, number {i}" for i in range(40)])
    other.to_csv(tmp_path / "other.csv", index=False)
    assert text.read(tmp_path / "other.csv").records.values[0].startswith("a shop")
    found = read_records(str(tmp_path / "other.csv"), "text", options=again.reading())
    assert found.values == other["review"].tolist()


def test_a_table_without_that_column_is_refused(table: Path, tmp_path: Path) -> None:
    options = TextCodec.fit(read(table).records).reading()
    reviews().rename(columns={"review": "reviews"}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DataError, match=r"other\.csv: unknown column of text 'review'.*Valid: reviews, shop"):
        read(tmp_path / "other.csv", **options)
    pd.DataFrame({"review": [1, 2], "n": [3, 4]}).to_csv(tmp_path / "numbers.csv", index=False)
    with pytest.raises(DataError, match="no column of text in it"):
        read(tmp_path / "numbers.csv", **options)


def test_lines_have_no_column_and_are_read_by_models_of_one(table: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "a.jsonl").write_text('"one"\n"two"\n')
    options = TextCodec.fit(read(table).records).reading()
    for name in ("a.txt", "a.jsonl"):
        assert read(tmp_path / name, **options).records.values == ["one", "two"]
    assert TextCodec.fit(read(tmp_path / "a.txt").records).reading() == {"unit": "lines"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_tables_are_written_under_the_name_the_column_had(table: Path, tmp_path: Path, suffix: str) -> None:
    source = read(table)
    codec = TextCodec.fit(source.records, condition=("stars",))
    (path,) = codec.write(source.records.take(pd.RangeIndex(5).to_numpy()), tmp_path / f"five{suffix}")
    assert read(path, **codec.reading()).records.values == source.records.values[:5]
    assert set(read(path).records.labels) == {"shop", "stars"}
    lines = TextCodec.fit(Records(["one", "two"]))
    (path,) = lines.write(Records(["one", "two"]), tmp_path / f"lines{suffix}")
    assert read(path).records.about["column"] == "text"


def test_codecs_that_were_saved_without_a_column_read_as_before(table: Path) -> None:
    saved = TextCodec.fit(read(table).records).to_json()
    del saved["column"]
    assert TextCodec.from_json(saved, {}).reading() == {"unit": "lines"}


# -- labels and line ends ------------------------------------------------------------------------------------


def test_a_missing_star_is_a_level_and_costs_no_text(table: Path, tmp_path: Path) -> None:
    frame = reviews().assign(stars=[None, *reviews()["stars"][1:]])
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    data = open_data(tmp_path / "gaps.csv", kind="text", condition="stars")
    assert len(data.train_records) + len(data.test_records) == 40
    assert "column 'stars': 1 text without a value, as level (missing)" in data.notes
    assert not any("image" in note for note in data.notes)
    labels = read(tmp_path / "gaps.csv").records.labels["stars"]
    assert labels[:3].tolist() == ["(missing)", "2", "3"]
    codec = TextCodec.fit(read(tmp_path / "gaps.csv").records, condition=("stars",))
    assert codec.encode_condition({"stars": "1"}, 1).argmax() == 1
    whole, gaps = read(table).records, read(tmp_path / "gaps.csv").records
    assert torch.equal(stars(codec, whole)[1:], stars(codec, gaps)[1:])
    assert stars(TextCodec.fit(whole, condition=("stars",)), gaps).sum(1).tolist() == [0, *[1] * 39]


def test_line_ends_of_any_kind_within_a_cell_become_a_space(tmp_path: Path) -> None:
    frame = pd.DataFrame({"said": ["so\r\nfine", "so\rgood", "so\nbad", "a\u2028b"], "n": range(4)})
    expected = ["so fine", "so good", "so bad", "a\u2028b"]
    assert text.from_frame(frame, {}).records.values == expected
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    assert read(tmp_path / "a.jsonl").records.values == expected
    (tmp_path / "a.csv").write_bytes(b'said,n\r\n"so\r\nfine",1\r\n"so\nbad",2\r\n')
    assert read(tmp_path / "a.csv").records.values == ["so fine", "so bad"]
