"""Data and budgets as Python people hold them, and what is said of those that cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sansheng.compare import compare
from sansheng.data import open_data
from sansheng.errors import DataError
from sansheng.plan import parse_budget
from sansheng.run import train
from sansheng.where import as_mapping

SMALL: dict[str, Any] = {"steps": 3, "parameters": 4000}
WORDS = [f"the {a} {b}" for a in ("old", "new", "red", "dry") for b in ("cat", "hat", "mat", "bat", "rat")]


def test_a_column_of_a_frame_is_texts_or_a_table() -> None:
    assert open_data(pd.Series(WORDS, name="said"), kind="text").train_records.about["column"] == "said"
    table = open_data(pd.Series(range(40), dtype=float))
    assert list(table.train_records.values.columns) == ["value"]


@pytest.mark.parametrize("text", ["a long time ago\n" * 300, "so " * 400])
def test_a_text_in_place_of_a_path_is_told_how_to_come(text: str) -> None:
    with pytest.raises(DataError, match="no path: text in memory is a list of strings"):
        open_data(text, kind="text")


def test_a_budget_may_be_a_number_of_seconds() -> None:
    for same in (90, 90.0, "90", "90s", "1.5m"):
        limit = parse_budget(same, None)
        assert limit is not None
        assert limit.seconds == 90
    with pytest.raises(ValueError, match="a budget is a time"):
        parse_budget(-1, None)


def test_a_seed_below_zero_is_refused_by_name(tmp_path: Path) -> None:
    run = train(WORDS, family="vae", out=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="a seed of at least 0"):
        run.sample(2, seed=-1)


def test_a_comparison_with_a_label_says_that_it_takes_a_value() -> None:
    with pytest.raises(ValueError, match="a label is given by its value"):
        as_mapping(["stars>=4"])
    assert as_mapping(["stars=4"]) == {"stars": "4"}


def test_the_command_of_data_in_memory_names_no_file_there_is_not(tmp_path: Path) -> None:
    whence = {"whence": ["here", "there"] * 40}
    frame = pd.DataFrame({"said": [f"{w} {i}" for i in range(4) for w in WORDS], **whence})
    made = compare(frame, kind="text", families="vae", condition="whence", out=tmp_path / "all", seeds=1, **SMALL)
    page = made.report.read_text()
    assert "YOUR_DATA" in page
    assert "in memory --" not in page
    assert "1 generative model compared" in page
    assert re.search(r"<th[^>]*>\s*whence\s*</th>", page)  # labels stand beside samples


def test_too_few_samples_to_score_are_refused_before_any_is_drawn(tmp_path: Path) -> None:
    said: list[str] = []
    run = train("iris", family="vae", out=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="5 samples are too few to score; 12 are the least"):
        run.evaluate(5, observe=lambda event: said.append(event.text))
    assert not [text for text in said if "drawing" in text]


def test_a_comparison_goes_on_only_with_data_that_are_read_as_before(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(f"{word} {i}" for i in range(3) for word in WORDS))
    how: dict[str, Any] = {"kind": "text", "families": "vae", "seeds": 1, "out": tmp_path / "all", **SMALL}
    compare(file, **how)
    assert compare(file, resume=True, **how).report.exists()
    with pytest.raises(DataError, match="read in another way"):
        compare(file, resume=True, options={"tokens": "bytes"}, **how)
