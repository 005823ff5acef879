"""Texts are told apart by how they are spelt, and those that were asked for by label are checked."""

from __future__ import annotations

import numpy as np
import pytest

from sansheng.codecs.base import Records
from sansheng.data import open_data
from sansheng.metrics.spelling import SpellingClassifier
from sansheng.score import fit_scorer

ENDINGS = {"latin": ("us", "um", "is"), "slav": ("ov", "ski", "ich")}


def names(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Made-up names whose endings say where they are from."""
    rng = np.random.default_rng(seed)
    whence = rng.choice(sorted(ENDINGS), n)
    stems = ["".join(rng.choice(list("abdegilmnorst"), rng.integers(3, 8))) for _ in range(n)]
    return [stem + rng.choice(ENDINGS[place]) for stem, place in zip(stems, whence, strict=True)], whence


def test_it_tells_what_it_was_not_shown() -> None:
    lines, whence = names(600, 0)
    told = SpellingClassifier(lines, whence, seed=0)
    others, theirs = names(300, 1)
    assert told.classes.tolist() == ["latin", "slav"]
    assert (told.classes[told.predict(others)] == theirs).mean() > 0.97
    again = SpellingClassifier(lines, whence, seed=0)
    assert (again.predict(others) == told.predict(others)).all()
    assert len(told.predict([])) == 0


def test_what_has_no_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to tell apart"):
        SpellingClassifier(["a", "b"], np.array(["x", "x"]), seed=0)
    with pytest.raises(ValueError, match="2 texts and 1 labels"):
        SpellingClassifier(["a", "b"], np.array(["x"]), seed=0)


def test_texts_that_obey_their_label_are_named_right_and_others_are_not() -> None:
    lines, whence = names(400, 0)
    records, rng = Records(lines, {"whence": whence}, {"unit": "lines"}), np.random.default_rng(0)
    scorer = fit_scorer(open_data(records, kind="text", condition="whence"), seed=0)
    held_out = scorer.data.test_records
    scores = scorer.score(held_out, rng)
    assert scores["named_right"].value > 0.95
    assert scores["class_imbalance"].value < 0.15
    swapped = {"whence": np.where(held_out.labels["whence"] == "slav", "latin", "slav")}
    assert scorer.score(Records(held_out.values, swapped, held_out.about), rng)["named_right"].value < 0.05
    slavs = held_out.take(np.flatnonzero(held_out.labels["whence"] == "slav"))
    assert scorer.symptoms(slavs) == ["mode collapse: 1 of 2 classes of whence hardly come: latin"]
    assert not scorer.symptoms(held_out)


def test_labels_of_texts_that_are_not_asked_for_are_not_judged() -> None:
    lines, whence = names(200, 0)
    scorer = fit_scorer(open_data(Records(lines, {"whence": whence}, {"unit": "lines"}), kind="text"), seed=0)
    assert "class_imbalance" not in scorer.score(scorer.data.test_records, np.random.default_rng(0))
