"""What each kind of data is judged by: the features that are learnt of it, and scores of its own.

The one constraint: everything is learnt from the training split; of held-out labels is read only whether a label that
nobody asked for can be told.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from sansheng import builtin
from sansheng.codecs.audio import AudioCodec
from sansheng.codecs.base import Records
from sansheng.codecs.dtypes import moments
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_file import CALENDAR
from sansheng.codecs.table import TableCodec
from sansheng.data import Data
from sansheng.metrics import Score, score_series, score_table, score_text
from sansheng.metrics.bootstrap import Interval, share_interval, subsample_spread
from sansheng.metrics.classes import class_imbalance
from sansheng.metrics.coverage import modes
from sansheng.metrics.image import ImageFeatures, fit_classifier_features, fit_transform_features
from sansheng.metrics.kernels import RandomKernels
from sansheng.metrics.rows import identifies
from sansheng.metrics.score import score as make_score
from sansheng.metrics.spelling import SpellingClassifier
from sansheng.metrics.table import series
from sansheng.metrics.text import ngram_features, top_ngrams

Extractor = Callable[[Any], np.ndarray]
"""Records' values (uint8 images, a DataFrame, an array, a list of strings) -> features ``(N, F)``."""
FitTeller = Callable[[np.ndarray], "Teller"]
"""Labels of all training examples -> what tells them."""
Extra = Callable[[Records, np.random.Generator], dict[str, Score]]

MOST_CLASSES = 100
A_CLASS = 4
"""Examples a number has on average where numbers are classes and no quantity."""
MOST_JUDGED = 4
"""Labels that are judged, each by a network of its own."""
MOST_UNASKED = 20
"""Classes of a label nobody asked for that is judged all the same, where it can be told."""
REFERENCE = 20_000
"""Training examples the features of at most so many of which are the reference."""


@runtime_checkable
class Teller(Protocol):
    """What tells the classes of a label."""

    classes: np.ndarray

    def predict(self, values: Any, /) -> np.ndarray:
        """``(N,)``: places in `classes`."""
        ...


@runtime_checkable
class Classifier(Teller, Protocol):
    """Features that tell classes too."""

    def __call__(self, values: Any, /) -> np.ndarray: ...


def reference(data: Data) -> np.ndarray:
    """Places of at most `REFERENCE` training records, in order, drawn evenly: files are often sorted."""
    return np.sort(np.random.default_rng(0).permutation(len(data.train_records))[:REFERENCE])


def compared_columns(data: Data) -> list[str]:
    """The columns that a table is judged by: all but identifiers and what was left out, which are new by right."""
    columns = data.codec.columns if isinstance(data.codec, TableCodec) else ()
    known = [c.name for c in columns if c.slots or c.kind == "constant"]
    train = data.train_records.values
    return [name for name in known if not identifies(train[name])] or known


def compared(data: Data, frame: pd.DataFrame) -> pd.DataFrame:
    """Those columns of rows, dates that are written as text as moments: a day off is near, and not another level."""
    judged = pd.DataFrame(frame[compared_columns(data)]).copy()
    columns = data.codec.columns if isinstance(data.codec, TableCodec) else ()
    for column in columns:
        if column.name in judged and column.kind == "date" and column.dtype.date_format is not None:
            judged[column.name] = moments(series(frame, column.name), column.dtype)
    return judged


def _image_features(data: Data, seed: int) -> tuple[Extractor, Classifier | None]:
    """A small network trained to name the labels, or without labels how a picture was turned."""
    images, label = data.train_records.values, label_of(data)
    if label:
        network = fit_classifier_features(images, data.train_records.labels[label], seed=seed)
        return network, network
    return fit_transform_features(images, seed=seed), None


def label_of(data: Data) -> str:
    """The name of the first labels of a few classes, those that are given before others; or nothing."""
    return next(iter(labels_of(data)), "")


def labels_of(data: Data) -> list[str]:
    """All such names; what only says when a series begins is no class, nor is a number that hardly comes again."""
    labels = {
        n: column for n, column in data.train_records.labels.items() if data.kind != "series" or n not in CALENDAR
    }
    classes = {name: len(np.unique(column)) for name, column in labels.items()}
    names = [name for name, n in classes.items() if 2 <= n <= MOST_CLASSES and not _is_quantity(labels[name], n)]
    return sorted(names, key=lambda name: name not in data.condition)


def _is_quantity(column: np.ndarray, classes: int) -> bool:
    return column.dtype.kind == "f" and len(column) < A_CLASS * classes


class Heard:
    """What a network makes of the spectrograms of waves: features, and classes if it was trained on labels."""

    def __init__(self, codec: AudioCodec, network: ImageFeatures) -> None:
        self.codec, self.network, self.classes = codec, network, network.classes

    def __call__(self, values: Any, /) -> np.ndarray:
        return self.network(self.codec.pictures(values))

    def predict(self, values: Any, /) -> np.ndarray:
        """``(N,)``: places in `classes`."""
        return self.network.predict(self.codec.pictures(values))


def _audio_features(data: Data, seed: int) -> tuple[Extractor, Classifier | None]:
    """As of pictures, of log-mel spectrograms of what is heard, whatever the representation."""
    codec, label = data.codec, label_of(data)
    assert isinstance(codec, AudioCodec)
    pictures = codec.pictures(data.train_records.values)
    if not label:
        return Heard(codec, fit_transform_features(pictures, seed=seed)), None
    heard = Heard(codec, fit_classifier_features(pictures, data.train_records.labels[label], seed=seed))
    return heard, heard


def _encoded_features(data: Data, seed: int) -> tuple[Extractor, None]:
    """Encoded space, standardised: what is given counts too. Equal rows have equal features, so that copies show."""
    codec = data.codec
    assert isinstance(codec, TableCodec)

    def embed(values: Any) -> np.ndarray:
        encoded = codec.encode(Records(values), spread=False)
        parts = [encoded.x.flatten(1)] + ([] if encoded.condition is None else [encoded.condition])
        return np.concatenate([part.numpy() for part in parts], axis=1)

    return _standardised(embed, data), None


def _plain_features(data: Data, seed: int) -> tuple[Extractor, None]:
    return _standardised(lambda values: np.asarray(values, dtype=np.float64), data), None


def _series_features(data: Data, seed: int) -> tuple[Extractor, Classifier | None]:
    """Random convolutions, the same for every comparison of these data."""
    some, label = data.train_records.take(reference(data)), label_of(data)
    kernels = RandomKernels(some.values, some.labels[label] if label else None, seed=seed)
    return kernels, kernels if label else None


def _ngram_features(data: Data, seed: int) -> tuple[Extractor, None]:
    """How often the commonest n-grams of training lines come."""
    vocabulary = top_ngrams(data.train_records.values)
    return _standardised(lambda lines: ngram_features(lines, vocabulary), data), None


def _standardised(features: Extractor, data: Data) -> Extractor:
    raw = features(data.train_records.take(reference(data)).values)
    mean, scale = raw.mean(0), raw.std(0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    return lambda values: ((features(values) - mean) / scale).astype(np.float32)


def _nothing(data: Data) -> Extra:
    return lambda records, generator: {}


def _table_scores(data: Data) -> Extra:
    train = compared(data, data.train_records.values)
    return lambda records, generator: score_table(train, compared(data, records.values), generator=generator)


def _text_scores(data: Data) -> Extra:
    train, held_out = data.train_records.values, data.test_records.values
    return lambda records, generator: score_text(train, held_out, records.values, generator=generator)


def _series_scores(data: Data) -> Extra:
    """Prices are judged as prices, but for those that are told by another."""
    codec, train = data.codec, data.train_records.values
    channels = codec.channels if isinstance(codec, SeriesCodec) else []
    prices = [i for i, channel in enumerate(channels) if channel.kind == "price" and not channel.gaps]
    return lambda records, generator: score_series(train, records.values, generator=generator, prices=prices)


class Judge(NamedTuple):
    """Of one label what tells it, and what it makes of the `reference` examples."""

    teller: Teller
    real: np.ndarray

    @property
    def names(self) -> np.ndarray:
        return self.teller.classes


def fit_judges(data: Data, first: Classifier | None, seed: int) -> dict[str, Judge]:
    """A judge of each label: of the first the features, where they tell it, of others what is trained on them alone.

    Labels that are given are judged, and of recordings others too that can be told, such as who speaks.
    """
    if data.kind not in TELLERS:
        return {}
    found: dict[str, Teller] = {} if first is None else {label_of(data): first}
    fit = TELLERS[data.kind](data, seed)
    for name in labels_of(data):
        if name in found or len(found) == MOST_JUDGED:
            continue
        asked, column = name in data.condition, data.train_records.labels[name]
        if not asked and (data.kind != "audio" or len(np.unique(column)) > MOST_UNASKED):
            continue
        teller = fit(column)
        if asked or _can_tell(teller, data, name):
            found[name] = teller
    real = data.train_records.take(reference(data)).values
    return {name: Judge(teller, teller.predict(real)) for name, teller in found.items()}


def _can_tell(teller: Teller, data: Data, label: str) -> bool:
    """Whether of real held-out examples more are named right than half of those that naming all alike gets wrong."""
    labels = data.test_records.labels[label]
    right = float((teller.classes[teller.predict(data.test_records.values)] == labels).mean())
    alike = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return right > (1 + alike) / 2


def _image_tellers(data: Data, seed: int) -> FitTeller:
    images = data.train_records.values
    return lambda labels: fit_classifier_features(images, labels, seed=seed)


def _audio_tellers(data: Data, seed: int) -> FitTeller:
    codec = data.codec
    assert isinstance(codec, AudioCodec)
    pictures = functools.cache(lambda: codec.pictures(data.train_records.values))
    return lambda labels: Heard(codec, fit_classifier_features(pictures(), labels, seed=seed))


def _text_tellers(data: Data, seed: int) -> FitTeller:
    lines = data.train_records.values
    return lambda labels: SpellingClassifier(lines, labels, seed=seed)


def _series_tellers(data: Data, seed: int) -> FitTeller:
    where = reference(data)
    values = data.train_records.values[where]
    return lambda labels: RandomKernels(values, labels[where], seed=seed)


def score_classes(
    real: np.ndarray, found: np.ndarray, classes: np.ndarray, asked: np.ndarray | None, *,
    generator: np.random.Generator,
) -> dict[str, Score]:  # fmt: skip
    """How the predicted classes `found` come, and whether those that were asked for came, if any were."""
    n = len(found)

    def imbalance(rows: np.ndarray) -> float:
        return class_imbalance(real, rows, len(classes))

    spread = float(subsample_spread(imbalance, found, generator=generator, rounds=20))
    scores = {"class_imbalance": make_score(share_interval(imbalance(found), n, spread), n, "lower", "share")}
    if asked is not None:
        right = float((classes[found] == asked).mean())
        scores["named_right"] = make_score(share_interval(right, n), n, "higher", "share")
    return scores


def _mixture_scores(data: Data) -> Extra:
    """Modes and high quality, where the mixture is known (Lin et al. 2018)."""
    if data.source not in builtin.MIXTURES:
        return _nothing(data)
    centres, deviation = builtin.centres(data.source)

    def count(records: Records, generator: np.random.Generator) -> dict[str, Score]:
        n = len(records)
        covered, good = modes(records.values, centres, deviation)
        return {
            "high_quality": make_score(share_interval(good, n), n, "higher", "share"),
            "modes": make_score(Interval(covered, covered, covered), n, "higher", f"of {len(centres)}"),
        }

    return count


FEATURES: dict[str, Callable[[Data, int], tuple[Extractor, Classifier | None]]] = {
    "image": _image_features,
    "table": _encoded_features,
    "text": _ngram_features,
    "array": _plain_features,
    "series": _series_features,
    "audio": _audio_features,
}
EXTRAS: dict[str, Callable[[Data], Extra]] = {
    "image": _nothing,
    "table": _table_scores,
    "text": _text_scores,
    "array": _mixture_scores,
    "series": _series_scores,
    "audio": _nothing,
}
TELLERS: dict[str, Callable[[Data, int], FitTeller]] = {
    "image": _image_tellers,
    "text": _text_tellers,
    "series": _series_tellers,
    "audio": _audio_tellers,
}
HEADLINES = {"text": "ngram_divergence"}
