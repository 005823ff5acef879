"""A character n-gram model of lines: the reference that a neural model of text has to beat.

The one constraint: a line's end is a character like any other, predicted and paid for, unless lines are cut out of a
longer text and have no ends of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sansheng.metrics.text import END, START


class NGramModel:
    """Interpolated n-gram model with Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999, eq. 17).

    p(c | h) = (N(hc) + T(h) p(c | h')) / (N(h) + T(h)), with h' the history without its first character, N counts in
    training and T(h) the number of different characters seen after h; below the empty history all characters, the end
    of the line, and one for what was never seen are equally likely. `order` counts the predicted character, so 3 looks
    back two. marked: lines begin and end; without marks they are windows of a longer text, whose first characters are
    foretold from those there are. Raises ValueError for an order below 1.
    """

    def __init__(self, order: int, *, marked: bool = True) -> None:
        if order < 1:
            raise ValueError(f"an n-gram model has an order of at least 1, not {order}")
        self.order, self.marked = order, marked
        self._alphabet: list[str] = []
        self._counts: dict[str, dict[int, int]] = {}
        self._cache: dict[str, np.ndarray] = {}

    def fit(self, lines: Sequence[str]) -> NGramModel:
        """Count. Returns itself. Raises ValueError if there are no lines."""
        if not lines:
            raise ValueError("there are no lines to fit an n-gram model to")
        ends = [END] if self.marked else []
        self._alphabet = [*ends, *sorted(set("".join(lines)) - set(ends))]
        place = {c: i for i, c in enumerate(self._alphabet)}
        counts: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        for line in lines:
            for history, character in self._steps(line):
                for start in range(len(history) + 1):
                    counts[history[start:]][place[character]] += 1
        self._counts, self._cache = {h: dict(c) for h, c in counts.items()}, {}
        return self

    def sample(self, n: int, rng: np.random.Generator, *, longest: int = 1000) -> list[str]:
        """`n` lines, each cut at `longest` characters. Raises ValueError before `fit`."""
        self._check_fitted()
        cumulative: dict[str, np.ndarray] = {}
        return [self._line(rng, longest, cumulative) for _ in range(n)]

    def bits_per_character(self, lines: Sequence[str]) -> float:
        """Cross-entropy of `lines` [bits], ends of lines counted as characters.

        Raises ValueError before `fit` or if there are no lines.
        """
        if not lines:
            raise ValueError("there are no lines to score")
        characters = sum(len(line) + self.marked for line in lines)
        return float(-self.log_likelihood(lines).sum() / np.log(2) / characters)

    def log_likelihood(self, lines: Sequence[str]) -> Float[np.ndarray, " N"]:
        """log p of each line [nats], its end included. Raises ValueError before `fit`."""
        self._check_fitted()
        place, unknown = {c: i for i, c in enumerate(self._alphabet)}, len(self._alphabet)
        return np.array(
            [sum(np.log(self._next(h)[place.get(c, unknown)]) for h, c in self._steps(line)) for line in lines]
        )

    def _check_fitted(self) -> None:
        if not self._alphabet:
            raise ValueError("fit the n-gram model before using it")

    def _steps(self, line: str) -> list[tuple[str, str]]:
        """(history, character) for each character of a line and its end; the start mark stands before it."""
        back = self.order - 1
        if not self.marked:
            return [(line[max(0, i - back) : i], character) for i, character in enumerate(line)]
        padded = START * back + line + END
        return [(padded[i : i + back], padded[i + back]) for i in range(len(line) + 1)]

    def _next(self, history: str) -> np.ndarray:
        """Probabilities of every character after `history`, the last one for a character never seen."""
        if history not in self._counts:  # never the empty history, which every line counts
            return self._next(history[1:])
        if history not in self._cache:
            seen = self._counts[history]
            shorter = self._next(history[1:]) if history else self._uniform()
            p = len(seen) * shorter
            p[list(seen)] += list(seen.values())
            self._cache[history] = p / (sum(seen.values()) + len(seen))
        return self._cache[history]

    def _uniform(self) -> np.ndarray:
        size = len(self._alphabet) + 1
        return np.full(size, 1 / size)

    def _line(self, rng: np.random.Generator, longest: int, cumulative: dict[str, np.ndarray]) -> str:
        back, text = self.order - 1, ""
        while len(text) < longest:
            history = (START * back * self.marked + text)[-back:] if back else ""
            if history not in cumulative:
                known = self._next(history)[:-1]
                cumulative[history] = np.cumsum(known / known.sum())
            chosen = min(int(np.searchsorted(cumulative[history], rng.random(), side="right")), len(self._alphabet) - 1)
            if self.marked and self._alphabet[chosen] == END:
                break
            text += self._alphabet[chosen]
        return text
