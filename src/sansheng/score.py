"""Scores of any data: the right features and tables of metrics for what the records are.

The one constraint: everything learnt (features, vocabularies) is learnt from the training split, which is also the
reference every row is compared with; held-out data serve as a row of their own and for the share of copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from sansheng import builtin
from sansheng.codecs.base import CountsCharacters, Records
from sansheng.codecs.text import TextCodec
from sansheng.codecs.text_file import EACH
from sansheng.data import Data
from sansheng.metrics import Score, score_features, score_usefulness
from sansheng.metrics.bootstrap import Interval, subsample_interval
from sansheng.metrics.checks import subsample
from sansheng.metrics.classes import ClassDistance, class_distances
from sansheng.metrics.distances import frechet
from sansheng.metrics.extrapolation import frechet_debiased
from sansheng.metrics.health import lost_classes
from sansheng.metrics.memory import ClosestPairs, closest_pairs
from sansheng.metrics.ngram_model import NGramModel
from sansheng.metrics.privacy import Attacks, Findings
from sansheng.metrics.score import score as make_score
from sansheng.metrics.scores import LIMIT
from sansheng.metrics.usefulness import choose_target
from sansheng.score_kinds import (
    EXTRAS,
    FEATURES,
    HEADLINES,
    REFERENCE,
    Classifier,
    Extra,
    Extractor,
    Judge,
    compared,
    fit_judges,
    reference,
    score_classes,
)  # fmt: skip

ORDER = 5
"""Characters of the runs that are counted: those that foretell names and plays best."""
MOST_COUNTED = 2_000_000
"""Characters of training text at most whose runs are counted."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """`score` is what a comparison prints of each row; `symptoms` what it says of a row's health."""

    data: Data
    features: Extractor
    extra: Extra
    headline: str
    """The score that stands for quality where there is room for one."""
    train: np.ndarray
    held_out: np.ndarray
    which: np.ndarray
    """Of each row of `train`, the place of its record in the training split."""
    classifier: Classifier | None
    judges: dict[str, Judge] = field(default_factory=dict)
    """What tells each label that is judged, the classifier's first."""
    attacks: Attacks | None = None
    """What a table's privacy is tried with."""
    target: str | None = None
    """The column of a table that its usefulness is measured on."""

    def score(self, records: Records, generator: np.random.Generator) -> dict[str, Score]:
        """Every score of these records against the training split."""
        drawn = self.features(records.values)
        common = score_features(self.train, self.held_out, drawn, generator=generator)
        return {
            **self.extra(records, generator),
            **self._usefulness(records, generator),
            **self._class_scores(records, generator),
            **common,
        }

    def attack(self, records: Records, generator: np.random.Generator) -> Findings | None:
        """What attacks on the privacy of the training rows find in these; None for what is not a table."""
        if self.attacks is None:
            return None
        return self.attacks.run(compared(self.data, records.values), generator)

    def quality(self, records: Records, generator: np.random.Generator) -> Score:
        """The headline score alone."""
        if self.headline != "frechet":
            return self.extra(records, generator)[self.headline]
        drawn, share = self.features(records.values), min(0.5, 1000 / len(records))
        with threadpool_limits(1):  # small products, which threads slow down
            near = subsample_interval(frechet, self.train[:LIMIT], drawn, generator=generator, rounds=20, share=share)
        return make_score(near, len(drawn), "lower", "squared feature units")

    def symptoms(self, records: Records) -> list[str]:
        """Classes that training data have and these records lack, where labels exist."""
        found = []
        for label, judge in self.judges.items():
            predicted, real = (judge.teller.predict(r.values) for r in (records, self.data.test_records))
            names = judge.names
            lost = [str(names[i]) for i in lost_classes(predicted, real, len(names))]
            if lost:
                found.append(
                    f"mode collapse: {len(lost)} of {len(names)} classes of {label} hardly come: {', '.join(lost)}"
                )
        return found

    def _usefulness(self, records: Records, generator: np.random.Generator) -> dict[str, Score]:
        if self.target is None:
            return {}
        tables = compared(self.data, records.values), compared(self.data, self.data.test_records.values)
        return score_usefulness(*tables, self.target, generator=generator)

    def _class_scores(self, records: Records, generator: np.random.Generator) -> dict[str, Score]:
        """How the classes come, and whether those that were asked for came."""
        scores: dict[str, Score] = {}
        for label, judge in self.judges.items():
            found = judge.teller.predict(records.values)
            asked = records.labels.get(label) if label in self.data.condition else None
            of_one = score_classes(judge.real, found, judge.names, asked, generator=generator)
            scores |= {f"{key}:{label}" if len(self.judges) > 1 else key: score for key, score in of_one.items()}
        return scores

    def classes(self, records: Records) -> list[tuple[str, ClassDistance]]:
        """Of each class its name, how often it comes and its Frechet distance; empty where there are no labels."""
        if self.classifier is None:
            return []
        some = self.data.train_records.take(reference(self.data))
        real, drawn = self.classifier(some.values), self.classifier(records.values)
        labels = (self.classifier.predict(some.values), self.classifier.predict(records.values))
        names = self.classifier.classes
        found = class_distances(real, labels[0], drawn, labels[1], len(names))
        return [(str(names[c.label]), c) for c in found]

    def pairs(self, records: Records) -> ClosestPairs:
        """Of each record the nearest training record and the nearest held-out one, by the features."""
        return closest_pairs(self.train, self.held_out, self.features(records.values))

    def bias(self, generator: np.random.Generator) -> float | None:
        """How much of a Frechet distance of as many samples as are held out their number alone makes, or None.

        Found on real data, where nothing else should be left; None where there are too few to tell.
        """
        n = min(len(self.held_out), LIMIT)
        try:
            return frechet_debiased(self.train[:LIMIT], subsample(self.held_out, n, generator), generator).bias
        except ValueError:
            return None

    def measured(self, most: int) -> Records:
        """At most so many held-out records, drawn evenly, whose likelihood is bounded: the same for every row.

        The first ones would be of one class, one patient or one stretch of time where the data are in order.
        """
        records = self.data.test_records
        some = np.random.default_rng(self.data.split_seed).permutation(len(records))[:most]
        return records.take(np.sort(some))

    def bound(self, log_likelihood: np.ndarray, records: Records) -> Score:
        """A likelihood bound of these examples as bits per dimension of the encoded space, of text per character.

        The error of a ratio of sums is that of what is over or under it, by the delta method (Cochran 1977, eq. 2.46).
        """
        codec, bits = self.data.codec, -log_likelihood / np.log(2)
        spelled = isinstance(codec, CountsCharacters)
        sizes = codec.characters(records) if spelled else np.full(len(bits), codec.space.size)
        value = float(bits.sum() / sizes.sum())
        error = stats.sem(bits - value * sizes) / sizes.mean() if len(bits) > 1 else 0.0
        unit = "bits/char" if spelled else "bits/dim"
        return make_score(Interval(value, value - 1.96 * error, value + 1.96 * error), len(bits), "lower", unit)


def fit_scorer(data: Data, *, seed: int, features: Extractor | None = None) -> Scorer:
    """Learn the features of `data`, or take those given. Raises ValueError for fewer than 12 training examples."""
    classifier, judges = None, {}
    if features is None:
        features, classifier = FEATURES[data.kind](data, seed)
        judges = fit_judges(data, classifier, seed)
    some = np.random.default_rng(seed).permutation(len(data.train_records))[:REFERENCE]
    train = features(data.train_records.take(some).values)
    held_out = features(data.test_records.values)
    headline = "high_quality" if data.source in builtin.MIXTURES else HEADLINES.get(data.kind, "frechet")
    scorer = Scorer(data, features, EXTRAS[data.kind](data), headline, train, held_out, some, classifier, judges)
    if data.kind != "table":
        return scorer
    rows, target = compared(data, data.train_records.values), next(iter(data.condition), None)
    attacks = Attacks(rows, compared(data, data.test_records.values), seed=seed)
    return replace(scorer, attacks=attacks, target=choose_target(rows, target))


def independent_columns(records: Records, generator: np.random.Generator) -> Records | None:
    """The same columns, each shuffled on its own: right margins and nothing else. None where there are no columns.

    Moments of a wave are none.
    """
    values = records.values
    if isinstance(values, pd.DataFrame):
        shuffled = {c: values[c].iloc[generator.permutation(len(values))].array for c in values.columns}
        return Records(pd.DataFrame(shuffled), records.labels)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] > 1 and "rate" not in records.about:
        return Records(generator.permuted(values, axis=0), records.labels)
    if isinstance(records.values, np.ndarray) and values.ndim == 3 and values.shape[2] > 1 and "names" in records.about:
        columns = [values[generator.permutation(len(values)), :, i] for i in range(values.shape[2])]
        return replace(records, values=np.stack(columns, axis=2))  # each channel of a series keeps its own time
    return None


def counted_text(data: Data, n: int, generator: np.random.Generator) -> tuple[Records, NGramModel] | None:
    """`n` texts by a model that only counts runs of `ORDER` characters of training text. None of what is no text.

    Of windows that overlap every character is counted once; of a large set, a part is.
    """
    if not isinstance(data.codec, TextCodec):
        return None
    windows = data.codec.unit == "windows"
    texts = data.train_records.values[:: EACH if windows else 1]
    sizes = [len(text) for text in texts]
    model = NGramModel(ORDER, marked=not windows).fit(texts[: 1 + MOST_COUNTED // (int(np.mean(sizes)) + 1)])
    lines = model.sample(n, generator, longest=max(sizes))
    return Records(lines, {}, data.train_records.about), model
