"""All scores of one model's samples, by kind of data, each with its interval.

The one constraint: the keys are those of `scores.json` and do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Num
from threadpoolctl import threadpool_limits

from sansheng.metrics.bootstrap import Interval, normal_interval, share_interval, subsample_interval, subsample_spread
from sansheng.metrics.checks import feature_pair, features, some_rows, subsample
from sansheng.metrics.coverage import K, neighbourhoods
from sansheng.metrics.distances import frechet, kernel_distance, mind_interval
from sansheng.metrics.memory import copied_share, copying
from sansheng.metrics.privacy import Findings
from sansheng.metrics.score import Score, score
from sansheng.metrics.table import TableComparison
from sansheng.metrics.text import (
    NgramComparison,
    distinct_ngrams,
    known_words,
    longest_copied,
    self_bleu,
    unique_share,
)
from sansheng.metrics.twosample import two_sample_auc
from sansheng.metrics.usefulness import usefulness

LIMIT = 5000
"""Rows of each kind that a score of features or lines looks at."""
ROUNDS = 30
"""Subsamples an interval is made of."""
SUBSAMPLE = 500
"""Rows of a subsample where the cost grows with their square."""
TABLE_SUBSAMPLE = 2000
COMPARED, COPIES = 200, 200
"""Lines that are compared with one another, and that are looked for in all training lines."""
USED = 20_000
"""Synthetic rows a predictor is trained on."""
DIRECTIONS = 300
"""Along which clouds are compared."""
NARROW = 256
"""Up to so many features one thread does it: hundreds of small products, between which threads wait for one another,
and on a busy machine wait long."""
SHORT = 64
"""Characters of a line, on average, up to which some are made again by chance."""
FEWEST = 2 * (K + 1)


def score_features(
    train: Num[np.ndarray, "N F"],
    held_out: Num[np.ndarray, "H F"],
    fake: Num[np.ndarray, "M F"],
    *,
    generator: np.random.Generator,
) -> dict[str, Score]:
    """frechet, kernel, mind, precision, recall, density, coverage, two_sample_auc and copying, of any data's features.

    The reference is `train`; `held_out` serves `copying` alone. At most 5,000 rows of each are looked at, and as many
    real as fake ones by the neighbourhood scores. Raises ValueError for fewer than 12 rows of train or fake or 4
    held out, unequal numbers of features, NaN or inf.
    """
    real, fake = feature_pair(train, fake, least=FEWEST)
    held_out = subsample(features("held_out", held_out, least=4), LIMIT, generator)
    real, fake = subsample(real, LIMIT, generator), subsample(fake, LIMIT, generator)
    with threadpool_limits(1 if real.shape[1] <= NARROW else None):
        return {
            **_distance_scores(real, fake, generator),
            **_neighbourhood_scores(real, fake, generator),
            "two_sample_auc": _two_sample_score(real, fake, generator),
            "copying": _copying_score(train, held_out, fake, generator),
        }


def score_table(
    real: pd.DataFrame, fake: pd.DataFrame, *, generator: np.random.Generator, categorical: Sequence[str] = ()
) -> dict[str, Score]:
    """shape_error, trend_error and missing_error [%] of a synthetic table; `table.table_errors` says what they are.

    missing_error only where something is missing in the real table or in the synthetic one.
    """
    comparison = TableComparison(real, fake, categorical=categorical)
    errors, rows = comparison.errors(), [np.arange(n) for n in comparison.rows]
    values = {"shape_error": errors.shape, "trend_error": errors.trend}
    if real.isna().any(axis=None) or fake.isna().any(axis=None):
        values["missing_error"] = errors.missing_mean
    spread = np.zeros(3)
    if min(comparison.rows) >= 4:
        share = min(0.5, TABLE_SUBSAMPLE / min(comparison.rows))
        spread = subsample_spread(comparison.overall, *rows, generator=generator, rounds=ROUNDS, share=share)
    return {
        name: score(normal_interval(value, float(s)), len(fake), "lower", "%")
        for (name, value), s in zip(values.items(), spread, strict=False)
    }


def score_usefulness(
    fake: pd.DataFrame, held_out: pd.DataFrame, target: str, *, generator: np.random.Generator
) -> dict[str, Score]:
    """usefulness (AUC or R2) of `fake` to predict `target` in held-out rows; empty where nothing can be learnt."""
    try:
        found = usefulness(some_rows(fake, USED), some_rows(held_out, LIMIT), target, generator=generator)
    except ValueError:
        return {}  # such as a target that is missing in all synthetic rows
    return {"usefulness": score(found.measures[found.measure], found.n, "higher", found.measure)}


def score_privacy(found: Findings) -> dict[str, Score]:
    """copied, near_copies, membership, attribute_inference and singling_out: estimates, no guarantee."""
    copies, single, n, looked = found.copies, found.singling_out, found.rows, len(found.copies.near)
    scores = {
        "copied": score(share_interval(float(copies.exact.mean()), n), n, "lower", "share"),
        "near_copies": score(share_interval(float(copies.near.mean()), looked), looked, "lower", "share"),
        "membership": score(found.membership, found.people, "lower", "AUC"),
        "attribute_inference": score(found.guesses.advantage, found.guesses.n, "lower", "points"),
    }
    if single.n:
        scores["singling_out"] = score(single.advantage, single.n, "lower", "points")
    return scores


def score_text(
    train: Sequence[str], held_out: Sequence[str], fake: Sequence[str], *, generator: np.random.Generator
) -> dict[str, Score]:
    """ngram_divergence from held-out lines [bits], copied (share that stands in `train`), unique (share), distinct
    (4-grams), self_bleu, longest_copied [characters] and, of prose, known_words (share); of short lines also
    copied_by_chance, the share that stands in `held_out`, for as many lines as `train` has.

    At most 5,000 lines of `held_out` and `fake` are looked at. Raises ValueError for fewer than 4 of either.
    """
    if min(len(held_out), len(fake)) < 4:
        raise ValueError(f"scoring text needs 4 lines of each kind, got {len(held_out)} held out and {len(fake)} fake")
    every, held_out, fake = held_out, _some(held_out, generator), _some(fake, generator)
    comparison, n = NgramComparison(held_out, fake), len(fake)
    rows = [np.arange(count) for count in comparison.lines]
    divergence = subsample_interval(comparison.divergence, *rows, generator=generator, rounds=ROUNDS)

    some, words = fake[:COMPARED], known_words(train, fake)
    runs = longest_copied(train, fake[:COPIES])
    near = normal_interval(float(runs.mean()), float(runs.std(ddof=1) / np.sqrt(len(runs))))
    unlike = share_interval(unique_share(fake), n, _spread(unique_share, fake, generator))
    scores = {
        "ngram_divergence": score(divergence, n, "lower", "bits"),
        "copied": score(share_interval(copied_share(train, fake), n), n, "lower", "share"),
        **_by_chance(train, every, fake),
        "unique": score(unlike, n, "higher", "share"),
        "distinct": score(
            _of_lines(lambda lines: distinct_ngrams(lines, 4), some, generator), len(some), "higher", "share"
        ),
        "self_bleu": score(_of_lines(self_bleu, some, generator), len(some), "lower", "BLEU-4"),
        "longest_copied": score(near, len(runs), "lower", "characters"),
    }
    if words is not None and words[:, 1].any():
        known = float(subsample_spread(_known_share, words, generator=generator, rounds=ROUNDS))
        scores["known_words"] = score(share_interval(_known_share(words), n, known), n, "higher", "share")
    return scores


def _by_chance(train: Sequence[str], held_out: Sequence[str], fake: Sequence[str]) -> dict[str, Score]:
    """copied_by_chance, where lines are short enough to be made again: no model has seen those held out.

    Held-out lines themselves have none.
    """
    times, n, again = len(train) / len(held_out), len(fake), copied_share(held_out, fake)
    if again == 1 or np.mean([len(line) for line in held_out]) > SHORT:
        return {}
    value, low, high = share_interval(again, n)
    return {"copied_by_chance": score(Interval(value * times, low * times, high * times), n, "lower", "share")}


def _known_share(words: np.ndarray) -> float:
    """Of all words, those known; of each line `words` has both numbers."""
    return float(words[:, 0].sum() / max(words[:, 1].sum(), 1))


def _spread(measure: Callable[[Sequence[str]], float], lines: Sequence[str], generator: np.random.Generator) -> float:
    """The standard error of a measure of lines."""

    def of_rows(rows: np.ndarray) -> float:
        return measure([lines[i] for i in map(int, rows)])

    return float(subsample_spread(of_rows, np.arange(len(lines)), generator=generator, rounds=ROUNDS))


def _of_lines(
    measure: Callable[[Sequence[str]], float], lines: Sequence[str], generator: np.random.Generator
) -> Interval:
    return normal_interval(measure(lines), _spread(measure, lines, generator))


def _distance_scores(real: np.ndarray, fake: np.ndarray, generator: np.random.Generator) -> dict[str, Score]:
    n, share = len(fake), _share(real, fake, rows=2 * SUBSAMPLE)
    near = subsample_interval(frechet, real, fake, generator=generator, rounds=ROUNDS, share=share)
    share = _share(real, fake, rows=SUBSAMPLE)
    kernel = subsample_interval(kernel_distance, real, fake, generator=generator, rounds=ROUNDS, share=share)
    sliced = mind_interval(real, fake, generator, directions=DIRECTIONS, rounds=ROUNDS // 3)
    return {
        "frechet": score(near, n, "lower", "squared feature units"),
        "kernel": score(kernel, n, "lower", "squared kernel units"),
        "mind": score(sliced, n, "lower", "squared feature units"),
    }


def _neighbourhood_scores(real: np.ndarray, fake: np.ndarray, generator: np.random.Generator) -> dict[str, Score]:
    """Precision, recall, density and coverage of equally many rows, from one pass and one set of subsamples."""
    n = min(len(real), len(fake))
    real, fake = subsample(real, n, generator), subsample(fake, n, generator)

    def means(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
        return neighbourhoods(real, fake).means()

    share = _share(real, fake, rows=SUBSAMPLE)
    spread = subsample_spread(means, real, fake, generator=generator, rounds=ROUNDS, share=share)
    precision, recall, density, coverage = map(float, means(real, fake))
    of_precision, of_recall, of_density, of_coverage = map(float, spread)
    return {
        "precision": score(share_interval(precision, n, of_precision), n, "higher", "share"),
        "recall": score(share_interval(recall, n, of_recall), n, "higher", "share"),
        "density": score(normal_interval(density, of_density), n, "higher", "ratio"),
        "coverage": score(share_interval(coverage, n, of_coverage), n, "higher", "share"),
    }


def _two_sample_score(real: np.ndarray, fake: np.ndarray, generator: np.random.Generator) -> Score:
    found = two_sample_auc(real, fake, generator)
    return score(normal_interval(found.auc, found.standard_error), found.n, "lower", "AUC")


def _copying_score(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray, generator: np.random.Generator) -> Score:
    """The spread is over all three samples: with few held-out rows they, not the fakes, are what is uncertain."""
    train = subsample(train, len(held_out), generator)
    value = copying(train, held_out, fake, generator)

    def again(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
        return copying(train, held_out, fake, generator)

    share = _share(train, held_out, fake, rows=SUBSAMPLE)
    spread = float(subsample_spread(again, train, held_out, fake, generator=generator, rounds=ROUNDS, share=share))
    return score(share_interval(value, len(fake), spread), len(fake), "lower", "share")


def _share(*samples: np.ndarray, rows: int) -> float:
    """Of each sample, so that the smallest one gives `rows`, or half of what it has."""
    return min(0.5, rows / min(map(len, samples)))


def _some(lines: Sequence[str], generator: np.random.Generator) -> list[str]:
    """At most `LIMIT` of the lines."""
    if len(lines) <= LIMIT:
        return list(lines)
    return [lines[int(i)] for i in generator.choice(len(lines), LIMIT, replace=False)]
