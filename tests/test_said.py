"""What people are told, or may write, so that they do not train on something else than they meant."""

import numpy as np
import pandas as pd
import pytest
import soundfile

import sansheng
from sansheng.compare import compare
from sansheng.data import open_data
from sansheng.errors import DataError


@pytest.fixture
def reviews(tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["good", "bad", "fine", "so", "it", "was"], 6)) + f" {i}" for i in range(120)]
    path = tmp_path / "reviews.csv"
    pd.DataFrame({"text": texts, "stars": rng.choice([1, 5], 120)}).to_csv(path, index=False)
    return path


def test_a_table_says_which_column_of_texts_it_leaves_out(reviews):
    assert any("--as text --column text" in note for note in open_data(reviews).notes)
    assert not any("--as text" in note for note in open_data(reviews, kind="text").notes)


def test_the_command_of_a_report_says_what_the_data_were_read_as(reviews, tmp_path):
    how = {"steps": 2, "seeds": 1, "samples": 20}
    text = compare(reviews, families="vae", kind="text", out=tmp_path / "text", **how)
    assert "--as text" in text.report.read_text()
    table = compare(reviews, families="vae, flow", out=tmp_path / "table", **how)
    assert "--as table" not in table.report.read_text()
    assert [run.recipe.family for run in table.runs] == ["vae", "flow"]


def test_drawing_takes_a_step(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    with pytest.raises(ValueError, match="at least 1 step"):
        sansheng.train(frame, family="flow", steps=2, settings={"steps": 0}, out=tmp_path / "run")


def test_recordings_without_any_sound_are_refused(tmp_path):
    for i in range(12):
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(4000, np.float32), 8000)
    with pytest.raises(DataError, match="no sound in any of the 12"):
        open_data(tmp_path, kind="audio")
