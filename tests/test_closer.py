"""A closer look at pictures with labels: copies stand beside what they copy, classes sum to all."""

from __future__ import annotations

import numpy as np
import pytest

from sansheng.closer import PAIRS, bias_notes, closer_look
from sansheng.codecs.base import Records
from sansheng.data import open_data
from sansheng.entry import Entry
from sansheng.score import Scorer, fit_scorer


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """Digits, with little training of the features."""
    return fit_scorer(open_data("digits", condition="label"), seed=0)


def some(records: Records, n: int, seed: int = 0) -> Records:
    return records.take(np.random.default_rng(seed).permutation(len(records))[:n])


def test_copies_are_named_first_and_beside_what_they_copy(scorer: Scorer) -> None:
    train, held_out = scorer.data.train_records, scorer.data.test_records
    copied = np.array([5, 60, 700])
    mixed = train.take(copied).join(some(held_out, 100))
    pairs = scorer.pairs(mixed)
    assert set(pairs.suspects(3).tolist()) == {0, 1, 2}
    assert scorer.which[pairs.train[:3]].tolist() == copied.tolist()


def test_pictures_get_pairs_and_labels_a_table(scorer: Scorer) -> None:
    held_out = Entry("held-out data", "reference", shown=scorer.data.test_records)
    sections = closer_look([held_out], scorer)
    assert [section.title for section in sections] == ["Class by class"]  # references have no pairs
    columns, rows = sections[0].panels[0].content  # pyright: ignore
    assert columns == ["class", "held-out data"]  # a column an entry, or references are out of sight
    assert [row[0] for row in rows] == [str(digit) for digit in range(10)]
    assert sum(float(row[1].split()[0]) for row in rows) == pytest.approx(100, abs=0.6)


def test_class_scores_of_real_data_are_good_and_of_wrong_labels_bad(scorer: Scorer) -> None:
    held_out, rng = scorer.data.test_records, np.random.default_rng(0)
    scores = scorer.score(held_out, rng)
    assert scores["class_imbalance"].value < 0.12
    assert scores["named_right"].value > 0.9
    wrong = Records(held_out.values, {"label": rng.permutation(held_out.labels["label"])})
    assert scorer.score(wrong, rng)["named_right"].value < 0.3
    zeros = held_out.take(np.flatnonzero(held_out.labels["label"] == 0))
    assert scorer.score(zeros, rng)["class_imbalance"].value > 0.8


def test_without_labels_asked_for_nothing_is_named_right(scorer: Scorer) -> None:
    assert "named_right" not in scorer.score(Records(scorer.data.test_records.values), np.random.default_rng(0))


def test_the_bias_of_few_samples_is_told_where_it_can_be_found(scorer: Scorer) -> None:
    assert bias_notes(scorer) == []  # 449 held out are too few for 64 features
    rng = np.random.default_rng(0)
    plain = open_data(rng.standard_normal((4000, 4)).astype(np.float32))
    (note,) = bias_notes(fit_scorer(plain, seed=0))
    assert "biased upwards by few samples" in note
    assert "1,000" in note


def test_the_picture_of_pairs_has_three_rows(scorer: Scorer) -> None:
    from sansheng.closer import _pairs

    panel = _pairs("gan", some(scorer.data.test_records, 50), scorer)
    assert isinstance(panel.content, bytes)
    width, height = (int.from_bytes(panel.content[i : i + 4], "big") for i in (16, 20))
    assert width / height == pytest.approx(PAIRS / 3, rel=0.06)
