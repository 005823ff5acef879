"""Lines of text by their character n-grams: how far from real lines, how varied.

The one constraint: a line's beginning and end are characters too, so that length and word edges count; and divergences
between counts shrink as counts grow, so compare them at equal numbers of lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

START, END = "\x02", "\x03"
ORDERS = (1, 2, 3, 4)
WORDY = 3
"""Words a line must have on average to be seen as words."""
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
MOST_COMPARED = 2_000_000
BASE = np.uint64(0x9E3779B97F4A7C15)


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


def self_bleu(lines: Sequence[str], *, most: int = 200) -> float:
    """How well each of the first `most` lines is foretold by the others: mean BLEU-4, in [0, 1]; high is repetitive.

    (Zhu 2018, with the precision of Papineni 2002, a one added to both counts beyond single tokens as in Lin & Och
    2004.) Tokens are words if lines have three of them on average, else characters. It grows with the number of lines:
    compare at equal numbers. Raises ValueError for fewer than two lines.
    """
    if len(lines) < 2:
        raise ValueError(f"a line is compared with the others, and there are {len(lines)}")
    tokens = _tokens(lines[:most])
    lengths = np.array([len(line) for line in tokens])
    logs = np.zeros((len(tokens), len(ORDERS)))
    for column, n in enumerate(ORDERS):
        counts = [Counter(tuple(line[i : i + n]) for i in range(len(line) - n + 1)) for line in tokens]
        top: dict[tuple[str, ...], tuple[int, int, int]] = {}  # of each n-gram the largest count, whose, the next
        for owner, own in enumerate(counts):
            for gram, count in own.items():
                first, whose, second = top.get(gram, (0, -1, 0))
                top[gram] = (count, owner, first) if count > first else (first, whose, max(second, count))
        for owner, own in enumerate(counts):
            others = {gram: top[gram][2] if top[gram][1] == owner else top[gram][0] for gram in own}
            matched, add = sum(min(count, others[gram]) for gram, count in own.items()), float(n > 1)
            logs[owner, column] = np.log(max(matched + add, 1e-9) / max(own.total() + add, 1e-9))
    nearest = np.array([_closest(np.delete(lengths, i), length) for i, length in enumerate(lengths)])
    brevity = np.minimum(0, 1 - nearest / np.maximum(lengths, 1))
    return float(np.exp(logs.mean(1) + brevity).mean())


def _closest(others: np.ndarray, length: np.integer) -> int:
    """The length that is nearest, the shorter of two."""
    return int(min(others, key=lambda other: (abs(other - length), other)))


def _tokens(lines: Sequence[str]) -> list[Sequence[str]]:
    words: list[Sequence[str]] = [line.split() for line in lines]
    return words if np.mean([len(line) for line in words]) >= WORDY else list(lines)


def longest_copied(train: Sequence[str], fake: Sequence[str]) -> Int[np.ndarray, " N"]:
    """Of each line, how long its longest run of characters is that stands in a training line too.

    Runs of one length are compared by their polynomial hashes; the length is found by bisection. At most the first
    `MOST_COMPARED` characters of training lines are looked at.
    """
    known = _codes(train, MOST_COMPARED)
    rows = [_codes([line]) for line in fake]
    low, high = np.zeros(len(fake), int), np.array([len(line) for line in fake], int)
    while (low < high).any():
        open_rows = np.flatnonzero(low < high)
        middles = np.sort((low[open_rows] + high[open_rows] + 1) // 2)
        n = int(middles[len(middles) // 2])  # the same length for all whose range holds it
        asked = [i for i in open_rows if low[i] < n <= high[i]]
        own = [_hashes(rows[i], n) for i in asked]
        there = _found(np.unique(np.concatenate(own)), _hashes(known, n))
        for i, hashes in zip(asked, own, strict=True):
            found = bool(np.isin(hashes, there).any())
            low[i], high[i] = (n, high[i]) if found else (low[i], n - 1)
    return low


def _codes(lines: Sequence[str], most: int | None = None) -> np.ndarray:
    """Code points of all lines in a row, a zero between them, as uint64."""
    joined = "\0".join(lines)[:most]
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _found(asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of `asked`, few, sorted and different, those that are among `known`, many in any order: these are not sorted."""
    if not len(asked):
        return asked
    at = np.searchsorted(asked, known).clip(max=len(asked) - 1)
    return asked[np.unique(at[asked[at] == known])]


def _hashes(codes: np.ndarray, n: int) -> np.ndarray:
    """Of every run of n code points without a zero: Σ c·bⁿ⁻ⁱ modulo 2⁶⁴, by doubling."""
    if len(codes) < n:
        return np.empty(0, np.uint64)
    with np.errstate(over="ignore"):
        total, length, done = np.zeros(len(codes) - n + 1, np.uint64), 1, 0
        block, base = codes + np.uint64(1), BASE
        while True:  # `block` holds the hashes of runs of `length`, `base` is b to that power
            if n & length:
                total = total * base + block[done : done + len(total)]
                done += length
            length *= 2
            if length > n:
                break
            block = block[: len(block) - length // 2] * base + block[length // 2 :]
            base = base * base
    ends = np.concatenate([[0], np.cumsum(codes == 0)])
    return total[ends[n:] == ends[: len(ends) - n]]


def known_words(train: Sequence[str], fake: Sequence[str]) -> Int[np.ndarray, "N 2"] | None:
    """Of each line of `fake`, (words that stand in training lines, words); None where lines have few words.

    Words are letters in a row, whatever their case; those that an edge of a text may have cut are left out. "Few" is
    less than three a line on average.
    """
    if not fake or np.mean([len(line.split()) for line in fake]) < WORDY:
        return None
    known = {word.lower() for line in train for word in WORD.findall(line)}
    words = [[word.lower() for word in WORD.findall(line)[1:-1]] for line in fake]
    return np.array([(sum(word in known for word in line), len(line)) for line in words])


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
