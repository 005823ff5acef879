"""Samples none of which stands in the data already."""

import numpy as np
import pandas as pd
import pytest

import sansheng
from sansheng.again import Known, draw_until
from sansheng.codecs.base import Records
from sansheng.data import open_data
from sansheng.errors import DataError

LINES = [a + b + c for a in "abcd" for b in "efgh" for c in "ijkl"]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A model of 60 of all 64 words of three letters, so that it can hardly say but what it has read."""
    folder = tmp_path_factory.mktemp("lines")
    path = folder / "words.txt"
    path.write_text("\n".join(LINES[:60]))
    return sansheng.train(path, family="diffusion", steps=60, kind="text", out=folder / "run", previews=False)


def test_texts_of_the_data_are_drawn_anew_and_their_share_is_told(lines):
    told = []
    with_copies = lines.draw(40, seed=3).values
    without = lines.draw(40, seed=3, no_copies=True, observe=lambda event: told.append(str(event.text))).values
    assert set(with_copies) & set(LINES[:60])
    assert len(without) == 40
    assert not set(without) & set(LINES[:60])
    kept = [text for text in with_copies if text not in LINES[:60]]
    assert without[: len(kept)] == kept, "what is no copy is drawn as it is without"
    share = next(float(text.split("%")[0]) for text in told if "stand in the data already" in text)
    assert 0 < share < 100
    assert lines.sample(40, seed=3, no_copies=True) == without


def test_held_out_texts_are_in_the_data_too(lines):
    data = lines.open_data()
    held_out = data.test_records
    assert len(held_out)
    assert not len(Known(data).new_among(held_out))


def test_a_row_is_known_by_all_columns_but_those_that_name_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"p{i:04d}" for i in range(200)], "sex": rng.choice(["f", "m"], 200)})
    frame["age"] = rng.integers(20, 80, 200)
    known = Known(open_data(frame))
    again = frame.head(3).assign(id=["q1", "q2", "q3"])
    other = pd.DataFrame({"id": ["p0000"], "sex": ["f"], "age": [19]})
    assert not len(known.new_among(Records(again)))
    assert len(known.new_among(Records(other))) == 1


def test_rows_of_the_data_are_drawn_anew_and_named_one_after_another(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(300), "sex": rng.choice(["f", "m"], 300), "age": rng.integers(20, 60, 300)})
    run = sansheng.train(frame, family="flow", steps=60, out=tmp_path / "run", previews=False)
    rows = run.sample(150, no_copies=True, source=frame)
    seen = set(zip(frame.sex, frame.age, strict=True))
    assert not seen & set(zip(rows.sex, rows.age, strict=True))
    assert len(rows) == 150
    assert rows.id.is_unique
    with pytest.raises(DataError, match="in memory"):
        sansheng.load(run.path).sample(5, no_copies=True)


def test_where_nothing_new_is_said_it_ends_with_an_error():
    with pytest.raises(ValueError, match=r"only 0 of 1,\d+ samples drawn"):
        draw_until(5, lambda count, seed: Records(["a"] * count), lambda found: found.take(np.arange(0)), 0)


def test_what_never_comes_back_exactly_is_no_comfort():
    data = open_data(np.random.default_rng(0).normal(size=(60, 24, 2)), kind="series")
    with pytest.raises(ValueError, match="for text and tables"):
        Known(data)
