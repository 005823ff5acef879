"""What an attacker who holds the synthetic table could learn of the people in the training data: four attacks.

Each is run on rows that were trained on and, in the same way, on as many held-out rows that were not: what succeeds
equally on both is knowledge of the population, and only the difference is a leak. The one constraint: these are
estimates from the attacks that were run. A stronger attack may find more, so no value here is a guarantee; a guarantee
needs training with differential privacy (Dwork et al. 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from sansheng.metrics.bootstrap import Interval, normal_interval
from sansheng.metrics.memory import ClosestPairs, closest
from sansheng.metrics.neighbours import distance_blocks, nearest
from sansheng.metrics.rows import RowSpace, keys
from sansheng.metrics.twosample import hanley_mcneil

NEAR = 0.01
"""A near copy is nearer to a training row than all but this share of held-out rows are."""
TOLERANCE = 0.05
"""A number is guessed if the guess is within five percentiles of it."""
WIDTH = 0.025
"""A predicate on a number holds within so many percentiles / 100 to either side."""
TARGETS = 1000
"""People attacked, of either kind."""
ROWS = 5000
"""Rows of any table that an attack looks at."""
REFERENCE = 20_000
"""Training rows that it looks at; copies are looked for among all, so many at a time."""
NEIGHBOURS_HELD_OUT = 2000
"""Held-out rows that say what is near."""
PREDICATES = 4000
"""Combinations tried; those that are unique among synthetic rows are held against the real ones, up to `ENOUGH`."""
ENOUGH = 1000
MOST_COLUMNS = 6
"""Of a predicate that is to single someone out."""


@dataclass(frozen=True)
class Pair:
    """A synthetic row beside the training and the held-out row nearest to it: places in their tables, distances."""

    fake: int
    train: int
    held_out: int
    to_train: float
    to_held_out: float


@dataclass(frozen=True)
class Copies:
    """For each synthetic row 1 if it is, exactly, a training row, and 1 if nearly or exactly (of at most `ROWS`); the
    same of held-out rows (nearly: of at most `NEIGHBOURS_HELD_OUT`)."""

    exact: np.ndarray
    near: np.ndarray
    held_out_exact: np.ndarray
    held_out_near: np.ndarray


@dataclass(frozen=True)
class Guesses:
    """Shares guessed right by column, of training and of held-out people, with the difference [points] and overall."""

    columns: list[str]
    train: list[float]
    held_out: list[float]
    gaps: list[Interval]
    advantage: Interval
    n: int


@dataclass(frozen=True)
class SinglingOut:
    """Shares of `n` predicates true of exactly one training and of one held-out row; the difference [points]."""

    train: float
    held_out: float
    advantage: Interval
    n: int


@dataclass(frozen=True)
class Findings:
    """What all attacks on one synthetic table found; membership is an AUC, told of as many people of each kind."""

    copies: Copies
    membership: Interval
    people: int
    guesses: Guesses
    singling_out: SinglingOut
    rows: int


class Attacks:
    """Training and held-out rows read once, to be attacked with one synthetic table after another."""

    def __init__(self, train: pd.DataFrame, held_out: pd.DataFrame, *, seed: int = 0) -> None:
        """Raises ValueError for fewer than 4 rows of either or if every column is an identifier."""
        if min(len(train), len(held_out)) < 4:
            raise ValueError(
                f"attacks need 4 rows of each kind, got {len(train)} to train on, {len(held_out)} held out"
            )
        self.space = RowSpace.fit(train)
        self._known = set(keys(train, self.space.names))
        self._held_out_exact = self._known_rows(held_out)
        generator = np.random.default_rng([seed, 7])
        train_at = generator.permutation(len(train))[:REFERENCE]
        self._held_out_at = generator.permutation(len(held_out))[:ROWS]
        self._train = self.space.read(train.iloc[train_at])
        self._held_out = self.space.read(held_out.iloc[self._held_out_at])
        self._all = train
        self._to_train = self._nearest(self._held_out[:NEIGHBOURS_HELD_OUT])[1]
        self._reach = float(np.quantile(self._to_train, NEAR))

    def run(self, fake: pd.DataFrame, generator: np.random.Generator) -> Findings:
        """Every attack."""
        (auc, people), single = self.membership(fake), self.singling_out(fake, generator)
        return Findings(self.copies(fake), auc, people, self.attribute_inference(fake), single, len(fake))

    def suspects(self, fake: pd.DataFrame, count: int) -> list[Pair]:
        """The synthetic rows most like copies of a training row, the most so first; see `memory.ClosestPairs`."""
        made = self._some(fake)
        train_at, to_train = self._nearest(made)
        with threadpool_limits(1):
            held_out_at, to_held_out = closest(self.space.points(self._held_out), self.space.points(made))
        found = ClosestPairs(train_at, np.sqrt(to_train), held_out_at, np.sqrt(to_held_out))
        return [
            Pair(
                int(i),
                int(found.train[i]),
                int(self._held_out_at[found.held_out[i]]),
                float(found.to_train[i]),
                float(found.to_held_out[i]),
            )
            for i in found.suspects(count)
        ]

    def _known_rows(self, frame: pd.DataFrame) -> np.ndarray:
        """1 for each row that is a training row."""
        return np.array([float(key in self._known) for key in keys(frame, self.space.names)])

    def _nearest(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each row that was read, (the place of the nearest training row, the squared distance to it)."""
        points = self.space.points(rows)
        at, best = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), np.inf)
        with threadpool_limits(1):
            for start in range(0, len(self._all), REFERENCE):
                part = self.space.points(self.space.read(self._all.iloc[start : start + REFERENCE]))
                where, squared = closest(part, points)
                nearer = squared < best
                at[nearer], best[nearer] = where[nearer] + start, squared[nearer]
        return at, best

    def copies(self, fake: pd.DataFrame) -> Copies:
        """Exact copies (of all columns) and near ones: nearer to training than 99 % of held-out rows are.

        Some rows recur by right, so compare with the shares among held-out rows.
        (Distance to closest record, as in Zhao et al. 2021, with held-out rows to say what is near.)
        """
        exact = self._known_rows(fake)
        to_train = self._nearest(self._some(fake))[1]
        near = np.maximum(to_train <= self._reach, exact[: len(to_train)])
        return Copies(exact, near, self._held_out_exact, (self._to_train <= self._reach).astype(float))

    def membership(self, fake: pd.DataFrame) -> tuple[Interval, int]:
        """(AUC of telling who was trained on, rows of each kind): ½ if it cannot be told, 1 if always.

        Who lies where the synthetic density is high for the density of the population is taken for a member: the ratio
        p_synthetic(x) / p_reference(x) (van Breugel et al. 2023, DOMIAS), with densities from the distance to the
        nearest row (Loftsgaarden & Quesenberry 1965). Half of the held-out rows are the reference, the other half those
        to be told from members. The standard error is Hanley & McNeil's (1982).
        """
        half = min(len(self._held_out) // 2, TARGETS)
        outsiders, reference = self._held_out[:half], self._held_out[half:]
        members = self._train[:half]
        people = self.space.points(np.concatenate([members, outsiders]))
        with threadpool_limits(1):
            distances = [nearest(people, self.space.points(rows)) for rows in (reference, self._some(fake, REFERENCE))]
        to_reference, to_fake = (np.log(d + 1e-9) for d in distances)
        is_member = np.repeat([True, False], [len(members), len(outsiders)])
        auc = float(roc_auc_score(is_member, to_reference - to_fake))
        return normal_interval(auc, hanley_mcneil(auc, len(members), len(outsiders))), half

    def attribute_inference(self, fake: pd.DataFrame) -> Guesses:
        """Guess each column of a person whose other columns are known: that of the synthetic row nearest in the others.

        Right is the same level, or within five percentiles. The leak is the success on training rows less that on
        held-out ones (Stadler et al. 2022; Giomi et al. 2023, Anonymeter, section 4.3), averaged over columns.
        """
        n = min(TARGETS, len(self._train), len(self._held_out))
        people, made = np.concatenate([self._train[:n], self._held_out[:n]]), self._some(fake)
        with threadpool_limits(1):
            right = np.column_stack([self._guessed(people, made, i) for i in range(people.shape[1])])
        train, held_out = right[:n], right[n:]
        return Guesses(
            self.space.names,
            train.mean(0).tolist(),
            held_out.mean(0).tolist(),
            [_difference(train[:, i], held_out[:, i]) for i in range(right.shape[1])],
            _difference(train.mean(1), held_out.mean(1)),
            n,
        )

    def singling_out(self, fake: pd.DataFrame, generator: np.random.Generator) -> SinglingOut:
        """How often a combination of two to six values that is unique among synthetic rows is so in the training data.

        A predicate ("ward is b, age is about 61, smoker") that is true of exactly one person singles them out (Cohen &
        Nissim 2020); some do by chance, as the rate on as many held-out rows shows (Giomi et al. 2023, section 4.1).
        """
        made = self._some(fake)
        n = min(len(self._held_out), len(self._train), ROWS)
        train, held_out = self._train[:n], self._held_out[:n]
        tried = (self._singled(made, train, held_out, generator) for _ in range(PREDICATES))
        found = list(islice((hit for hit in tried if hit is not None), ENOUGH))
        if not found:
            return SinglingOut(0.0, 0.0, Interval(0.0, 0.0, 0.0), 0)
        hits = np.array(found)
        rates = (hits >= 0).mean(0)
        error = _error_of_people(hits, n)
        advantage = normal_interval(100 * float(rates[0] - rates[1]), error)
        return SinglingOut(float(rates[0]), float(rates[1]), advantage, len(hits))

    def _singled(
        self, made: np.ndarray, train: np.ndarray, held_out: np.ndarray, generator: np.random.Generator
    ) -> tuple[int, int] | None:
        """Which training and which held-out row one predicate singles out, −1 for none or several.

        None if the predicate does not single out a synthetic row either.
        """
        width = made.shape[1]
        size = int(generator.integers(min(2, width), min(MOST_COLUMNS, width) + 1))
        columns = generator.choice(width, size, replace=False)
        row = made[generator.integers(len(made))]
        if self._only(made, row, columns) < 0:
            return None
        return self._only(train, row, columns), self._only(held_out, row, columns)

    def _only(self, rows: np.ndarray, row: np.ndarray, columns: np.ndarray) -> int:
        """The place of the one row that agrees with `row` in some columns; −1 if there is none or more than one."""
        where = np.arange(len(rows))
        for i in columns:
            agree = self.space.same(int(i), rows[where, i], np.full(len(where), row[i]), WIDTH) > 0
            where = where[agree]
        return int(where[0]) if len(where) == 1 else -1

    def _guessed(self, people: np.ndarray, made: np.ndarray, i: int) -> np.ndarray:
        """1 for each person whose column i is that of the nearest synthetic row in all others."""
        to, given = self.space.points(made, leave_out=i), self.space.points(people, leave_out=i)
        closest = np.concatenate([squared.argmin(1) for _, squared in distance_blocks(given, to)])
        return self.space.same(i, people[:, i], made[closest, i], TOLERANCE)

    def _some(self, fake: pd.DataFrame, limit: int = ROWS) -> np.ndarray:
        """At most so many of the synthetic rows, the first: they are in no order."""
        return self.space.read(fake.iloc[:limit])


def _error_of_people(hits: np.ndarray, people: int) -> float:
    """Standard error [points] of the difference of two rates, from who was singled out how often.

    The people are the sample and not the predicates, many of which single out the same odd person: the error is that of
    a sum of independent people, (Σ h²)^½ over their counts h, and never less than that of one hit.
    """
    counts = np.concatenate([np.bincount(column[column >= 0], minlength=people) for column in hits.T])
    return 100 * float(np.sqrt(max(1, np.square(counts).sum()))) / len(hits)


def _difference(train: np.ndarray, held_out: np.ndarray) -> Interval:
    """Difference of two means [points] with the standard error of independent samples; of shares at 0 or 1, 1/n."""
    sizes = len(train), len(held_out)
    variance = sum(max(float(x.var(ddof=1)), 1 / n) / n for x, n in zip((train, held_out), sizes, strict=True))
    return normal_interval(100 * float(train.mean() - held_out.mean()), 100 * float(np.sqrt(variance)))
