"""Lines of text by their character n-grams: how far from real lines, how varied.

The one constraint: a line's beginning and end are characters too, so that length and word edges count; and divergences
between counts shrink as counts grow, so compare them at equal numbers of lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

START, END = "\x02", "\x03"
ORDERS = (1, 2, 3, 4)


def ngrams(line: str, n: int) -> list[str]:
    """The runs of n characters of a line between its two marks."""
    marked = START + line + END
    return [marked[i : i + n] for i in range(len(marked) - n + 1)]


def ngram_divergence(real: Sequence[str], fake: Sequence[str], n: int) -> float:
    """Jensen-Shannon divergence between the n-gram distributions [bits], in [0, 1]; lower is better.

    (Lin 1991, eq. 5.1.) Raises ValueError for n < 1 or an empty list. Lines too short for any n-gram add none.
    """
    return float(NgramComparison(real, fake, orders=(n,)).divergence())


def ngram_profile_divergence(real: Sequence[str], fake: Sequence[str]) -> float:
    """Mean of `ngram_divergence` over n = 1 to 4 [bits], in [0, 1]; lower is better."""
    return NgramComparison(real, fake).divergence()


class NgramComparison:
    """Two lists of lines counted once, to be compared as a whole or on some of their lines."""

    def __init__(self, real: Sequence[str], fake: Sequence[str], *, orders: Sequence[int] = ORDERS) -> None:
        """Raises ValueError for an order below 1 or an empty list."""
        if not real or not fake:
            raise ValueError(f"there must be lines on both sides, got {len(real)} real and {len(fake)} fake")
        if min(orders) < 1:
            raise ValueError(f"an n-gram has at least one character, not {min(orders)}")
        self._counts = [_counts(real, fake, n) for n in orders]
        self.lines = (len(real), len(fake))

    def divergence(self, real_lines: np.ndarray | None = None, fake_lines: np.ndarray | None = None) -> float:
        """Mean divergence over the orders [bits], of all lines or those at these positions."""
        return float(np.mean([jensen_shannon(_total(a, real_lines), _total(b, fake_lines)) for a, b in self._counts]))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence of two vectors of counts [bits], in [0, 1]; 1 if just one is empty, 0 if both are."""
    if not p.sum() or not q.sum():
        return float(bool(p.sum()) != bool(q.sum()))
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def relative_entropy(a: np.ndarray) -> float:
        there = a > 0
        return float((a[there] * np.log2(a[there] / middle[there])).sum())

    return max(0.0, (relative_entropy(p) + relative_entropy(q)) / 2)


def top_ngrams(train: Sequence[str], size: int = 256, *, orders: Sequence[int] = (1, 2, 3)) -> list[str]:
    """The `size` n-grams that come most often in training lines, most common first: a vocabulary of features.

    Ties are settled by the alphabet. Raises ValueError if there are no lines.
    """
    if not train:
        raise ValueError("there are no training lines to take n-grams from")
    counts = Counter(gram for line in train for n in orders for gram in ngrams(line, n))
    del counts[START], counts[END]
    return sorted(counts, key=lambda gram: (-counts[gram], gram))[:size]


def ngram_features(lines: Sequence[str], vocabulary: Sequence[str]) -> Float[np.ndarray, "N F"]:
    """How often each n-gram of `vocabulary` (see `top_ngrams`) stands in each line, float32 ``(N, len(vocabulary))``.

    Raises ValueError for an empty vocabulary.
    """
    if not vocabulary:
        raise ValueError("the vocabulary is empty")
    orders = sorted({len(gram) for gram in vocabulary})
    place = {gram: i for i, gram in enumerate(vocabulary)}
    counts = np.zeros((len(lines), len(vocabulary)), dtype=np.float32)
    for row, line in zip(counts, lines, strict=True):
        for n in orders:
            for gram in ngrams(line, n):
                if gram in place:
                    row[place[gram]] += 1
    return counts


def unique_share(lines: Sequence[str]) -> float:
    """Different lines over all lines, in (0, 1]; compare at equal numbers of lines.

    Raises ValueError if there are none.
    """
    if not lines:
        raise ValueError("there are no lines")
    return len(set(lines)) / len(lines)


def distinct_ngrams(lines: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams ("distinct-n", Li et al. 2016), in [0, 1]; 0 if the lines hold none."""
    grams = Counter(gram for line in lines for gram in ngrams(line, n))
    return len(grams) / grams.total() if grams else 0.0


def _counts(real: Sequence[str], fake: Sequence[str], n: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """How often each n-gram stands in each line of the two lists, ``(lines, n-grams)``, in one vocabulary."""
    analyzer: Any = lambda line: ngrams(line, n)  # noqa: E731  (sklearn's stubs know only names of analyzers)
    counter = CountVectorizer(analyzer=analyzer)
    try:
        counts = sparse.csr_matrix(counter.fit_transform([*real, *fake]))
    except ValueError:  # sklearn's word for an empty vocabulary: no line is n characters long
        counts = sparse.csr_matrix((len(real) + len(fake), 1))
    return counts[: len(real)], counts[len(real) :]


def _total(counts: sparse.csr_matrix, lines: np.ndarray | None) -> np.ndarray:
    return np.asarray((counts if lines is None else counts[lines]).sum(axis=0), dtype=float).ravel()
