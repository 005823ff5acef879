"""What is said of texts at the command line: where strange ones stand, what was never seen, what is left out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sansheng.cli import main
from sansheng.codecs.base import previewed
from sansheng.codecs.text import TextCodec
from sansheng.filling import Drawing
from sansheng.run import Run, load, train
from sansheng.text_gaps import fill_lines

WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in ("lo", "na", "ri")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A flow of short words with two labels, one of which is given."""
    folder = tmp_path_factory.mktemp("told")
    rng = np.random.default_rng(0)
    labels = {"kind": rng.choice(["a", "b"], len(WORDS)), "shop": rng.choice(["x", "y"], len(WORDS))}
    pd.DataFrame({"word": WORDS, **labels}).to_csv(folder / "words.csv", index=False)
    return train(
        folder / "words.csv", kind="text", family="flow", condition="kind", steps=900, parameters=20_000,
        out=folder / "run", options={"column": "word"},
    )  # fmt: skip


def test_strange_texts_come_first_and_say_where_they_stand(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.txt").write_text("\n".join(["balo", "", "kuri", "balo", "lllllll", "dena"]) + "\n")
    assert main(["anomaly", str(run.path), str(tmp_path / "some.txt"), "--samples", "20"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["example", "where", "bits_per_character", "share_of_held_out_below"]
    assert (rows[0]["where"], rows[0]["example"]) == ("line 5", "2")  # an empty line and a repeated one are no examples
    assert float(rows[0]["bits_per_character"]) > 2 * float(rows[-1]["bits_per_character"])


def test_characters_never_seen_and_columns_left_out_are_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"word": ["ba__", "zeta", "_una"], "kind": ["a", "b", "a"], "shop": ["x", "x", "y"]})
    table.to_csv(tmp_path / "gaps.csv", index=False)
    assert main(["fill", str(run.path), str(tmp_path / "gaps.csv"), "--out", str(tmp_path / "filled.csv")]) == 0
    said = capsys.readouterr().err
    assert "the model has never seen 'tz'" in said
    assert "left out, as the model does not know them: shop" in said
    filled = pd.read_csv(tmp_path / "filled.csv")
    assert list(filled.columns) == ["word", "kind"]
    assert [len(word) for word in filled.word][1:] == [4, 4]
    assert filled.word[0].startswith("ba")


def test_gaps_are_filled_with_what_fits(run: Run) -> None:
    """The vowels of these words are in one place, their last two letters one of three pairs."""
    made = fill_lines(run, ["b_lo", "ku_i"], how=Drawing(draws=20, where={"kind": "a"})).values
    assert np.mean([word[1] in "aeiou" for word in made[:20]]) > 0.8
    assert np.mean([word[2] == "r" for word in made[20:]]) > 0.8
    assert all(word[0] + word[2:] == "blo" for word in made[:20])


def test_a_flow_of_words_has_a_bound_that_training_lowers(run: Run) -> None:
    held_out = run.open_data().test_records
    bits = -run.log_likelihood(held_out, samples=20) / np.log(2) / [len(word) + 1 for word in held_out.values]
    assert np.mean(bits) < 2.2  # 60 words of four letters are 5.9 bits of 5 symbols; all symbols alike 3.9 a symbol


def test_previews_draw_no_more_than_they_show(run: Run) -> None:
    codec = load(run.path).codec
    assert isinstance(codec, TextCodec)
    assert previewed(codec) == 40
    codec.unit = "windows"
    assert previewed(codec) == 4
    assert previewed(train("iris", family="vae", steps=2, parameters=4000, out=run.path.parent / "iris").codec) == 64
