"""All scores of a model together: their keys, their ranges, their directions, and what they say of known models."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from sansheng.metrics import Score, pool_scores, score_features, score_table, score_text
from sansheng.metrics.bootstrap import Interval, pool
from sansheng.metrics.distances import frechet, kernel_distance
from sansheng.metrics.score import score
from sansheng.metrics.text import ngram_profile_divergence

KEYS = ["frechet", "kernel", "mind", "precision", "recall", "density", "coverage", "two_sample_auc", "copying"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def split(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, held-out and fresh rows of one distribution."""
    train, held_out, fresh = rng(seed).standard_normal((3, n, 4))
    return train, held_out, fresh


def inside(found: dict[str, Score]) -> bool:
    return all(s.low <= s.value <= s.high for s in found.values())


def test_scores_of_fresh_replayed_shifted_and_collapsed_samples() -> None:
    train, held_out, fresh = split()
    models = {"fresh": fresh, "replayed": train, "shifted": fresh + 1.5, "collapsed": 0.05 * fresh}
    found = {name: score_features(train, held_out, fake, generator=rng()) for name, fake in models.items()}
    assert all(list(scores) == KEYS and inside(scores) for scores in found.values())

    def of(model: str, key: str) -> float:
        return found[model][key].value

    assert of("fresh", "copying") == pytest.approx(0.5, abs=0.1)
    assert of("replayed", "copying") == 1
    assert of("replayed", "frechet") == pytest.approx(0, abs=1e-9)
    for key in KEYS[:-1]:  # each knows a shifted cloud from a fresh one, in its own direction
        worse = of("shifted", key) - of("fresh", key)
        assert worse > 0 if found["fresh"][key].better == "lower" else worse < 0
    assert of("collapsed", "precision") > 0.95
    assert of("collapsed", "recall") < 0.3
    assert found["fresh"]["frechet"].high < found["shifted"]["frechet"].low


def test_values_are_those_of_the_metrics_alone() -> None:
    train, held_out, fresh = split()
    found = score_features(train, held_out, fresh[:200], generator=rng())
    assert found["frechet"].value == frechet(train, fresh[:200])
    assert found["kernel"].value == kernel_distance(train, fresh[:200])
    assert {s.n for s in found.values()} == {200}


def test_same_generator_same_scores() -> None:
    train, held_out, fresh = split()
    once, again = (score_features(train, held_out, fresh, generator=rng(3)) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("sizes", [(12, 4, 12), (12, 5000, 5000), (300, 5, 40)])
def test_few_rows_of_any_kind_are_enough(sizes: tuple[int, int, int]) -> None:
    train, held_out, fake = (rng(i).standard_normal((n, 2)) for i, n in enumerate(sizes))
    assert inside(score_features(train, held_out, fake, generator=rng()))


def test_too_few_rows_are_refused() -> None:
    train, held_out, fresh = split()
    with pytest.raises(ValueError, match="fake has 11 rows; this metric needs at least 12"):
        score_features(train, held_out, fresh[:11], generator=rng())
    with pytest.raises(ValueError, match="held_out has 3 rows"):
        score_features(train, held_out[:3], fresh, generator=rng())
    with pytest.raises(ValueError, match="needs 4 lines of each kind"):
        score_text(["a"] * 9, ["a"] * 3, ["a"] * 9, generator=rng())


def test_two_thousand_images_are_scored_in_seconds() -> None:
    train, held_out, fake = (rng(i).standard_normal((n, 64)) for i, n in enumerate((1350, 447, 2000)))
    start = time.process_time()
    score_features(train, held_out, fake, generator=rng())
    assert time.process_time() - start < 6


def test_table_scores_tell_a_fresh_table_from_shuffled_columns() -> None:
    def table(seed: int) -> pd.DataFrame:
        x = rng(seed).standard_normal((400, 2)) @ np.array([[1, 0.9], [0, 0.3]])
        return pd.DataFrame({"x": x[:, 0], "y": x[:, 1], "c": np.where(x[:, 0] > 0, "a", "b")})

    real, fresh = table(0), table(1)
    draw = rng(2)
    shuffled = pd.DataFrame({c: draw.permutation(fresh[c]) for c in fresh})
    good, bad = (score_table(real, fake, generator=rng()) for fake in (fresh, shuffled))
    assert list(good) == ["shape_error", "trend_error"]
    assert inside(good)
    assert inside(bad)
    assert bad["shape_error"].value == good["shape_error"].value
    assert bad["trend_error"].low > good["trend_error"].high
    assert score_table(real, real, generator=rng())["trend_error"].value == 0


def test_text_scores_of_copies_and_of_strangers() -> None:
    draw = rng(4)
    lines = ["".join(draw.choice(list("abcd"), size=draw.integers(3, 9))) for _ in range(300)]
    train, held_out, fresh = lines[:100], lines[100:200], lines[200:]
    good = score_text(train, held_out, fresh, generator=rng())
    replay = score_text(train, held_out, train[:50] * 2, generator=rng())
    odd = score_text(train, held_out, ["xyz"] * 100, generator=rng())
    names = ["ngram_divergence", "copied", "copied_by_chance", "unique", "distinct", "self_bleu", "longest_copied"]
    assert list(good) == names
    assert odd["self_bleu"].value > good["self_bleu"].value
    assert replay["longest_copied"].value > good["longest_copied"].value > odd["longest_copied"].value
    assert inside(good)
    assert good["ngram_divergence"].value == pytest.approx(ngram_profile_divergence(held_out, fresh))
    assert replay["copied"].value == 1
    assert replay["unique"].value == len(set(train[:50])) / 100
    assert odd["ngram_divergence"].low > good["ngram_divergence"].high
    assert odd["unique"].value == 0.01


def test_copies_by_chance_are_counted_on_lines_that_no_model_has_seen() -> None:
    every = [a + b + c for a in "abcdefghij" for b in "abcdefghij" for c in "abcdefghij"]
    order = rng(5).permutation(len(every))
    lines = [every[i] for i in order]
    train, held_out = lines[:600], lines[600:800]
    blind = [every[i] for i in rng(6).integers(0, len(every), 2000)]
    found = score_text(train, held_out, blind, generator=rng())
    assert found["copied"].value == pytest.approx(0.6, abs=0.03)
    assert found["copied_by_chance"].value == pytest.approx(0.6, abs=0.08)
    assert found["copied_by_chance"].low < 0.6 < found["copied_by_chance"].high
    learnt = score_text(train, held_out, [*train, *blind[:600]], generator=rng())
    assert learnt["copied"].value > learnt["copied_by_chance"].high
    assert "copied_by_chance" not in score_text(train, held_out, held_out, generator=rng())
    long = [line * 30 for line in train]
    assert "copied_by_chance" not in score_text(long, long, long, generator=rng())


# -- one score -------------------------------------------------------------------------------------------------


def test_a_score_stays_in_the_range_of_its_unit() -> None:
    assert score(Interval(0.99, 0.95, 1.03), 10, "higher", "share").high == 1
    assert score(Interval(1e-9, -0.2, 0.2), 10, "lower", "squared feature units").low == 0
    assert score(Interval(-0.1, -0.2, 0.2), 10, "lower", "squared kernel units").low == -0.2
    assert score(Interval(9, -1, 12), 10, "higher", "of 8").high == 12


def test_a_score_is_plain_json() -> None:
    whole = score(Interval(np.float64(0.5), np.float64(0.4), np.float64(0.6)), 10, "higher", "share").to_json()
    expected = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "better": "higher", "unit": "share"}
    assert json.loads(json.dumps(whole)) == expected


def test_scores_of_seeds_are_pooled() -> None:
    seeds = [Score(v, v - 0.1, v + 0.1, 50, "higher", "share") for v in (0.8, 0.9, 0.99)]
    pooled = pool_scores(seeds)
    known = pool([(s.value, s.low, s.high) for s in seeds])
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx((known.value, known.low, 1))
    assert (pooled.n, pooled.better, pooled.unit) == (150, "higher", "share")
    with pytest.raises(ValueError, match="no seeds"):
        pool_scores([])
