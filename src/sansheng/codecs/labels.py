"""What is given beside an example: labels as levels (a Category slot) or numbers (a Real slot, standardised).

Every codec but the table's conditions through this. The one constraint: levels and moments come from the
training split alone, and the dtype of a label survives JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import pandas as pd
import torch
from pandas.api import types
from torch import Tensor

from sansheng.errors import DataError, unknown
from sansheng.space import Category, Real, Space

MAX_LEVELS = 1000
"""More levels than this are an identifier, not a condition."""
WHOLE_NUMBER_LEVELS = 256
"""Whole numbers with more distinct values than this are a quantity, not levels."""
SHOWN_LEVELS = 12
MOST_KEPT = 100
"""A quantity of so few distinct values keeps them, so that they come back to the last digit."""
MISSING = "(missing)"
"""The level of what has no value."""
WHOLE_FLOAT = re.compile(r"-?[0-9]+\.0")


@final
@dataclass(frozen=True)
class Levels:
    """A categorical label. values: its levels, sorted, in the label's own dtype."""

    name: str
    values: np.ndarray

    @property
    def slot(self) -> Category:
        return Category(len(self.values))

    def encode(self, column: np.ndarray) -> Tensor:
        """One-hot ``(N, levels)``; a level the training split did not have becomes a row of zeros."""
        index = torch.from_numpy(self._places(_plain(self.name, column)))[:, None]
        one_hot = torch.zeros(len(index), len(self.values))
        return one_hot.scatter_(1, index.clamp(min=0), (index >= 0).float())

    def unseen(self, column: np.ndarray) -> np.ndarray:
        """The values of a column that are no level."""
        plain = _plain(self.name, column)
        return plain[self._places(plain) < 0]

    def _places(self, plain: np.ndarray) -> np.ndarray:
        """Which level each value is, ``(N,)``, −1 for none. Numbers and texts are compared as they are written, since
        blanks make texts of numbers; raises DataError where none is a level and no text a number."""
        if (plain.dtype.kind == "U") == (self.values.dtype.kind == "U"):
            index = np.searchsorted(self.values, plain).clip(max=len(self.values) - 1)
            return np.where(self.values[index] == plain, index, -1)
        place = {spelled(level): index for index, level in enumerate(self.values.tolist())}
        found = np.array([place.get(spelled(value), -1) for value in plain.tolist()])
        texts = pd.Series((plain if plain.dtype.kind == "U" else self.values).tolist())
        if (found < 0).all() and pd.Series(pd.to_numeric(texts, errors="coerce")).isna().all():
            raise DataError(
                f"label {self.name!r} is of type {plain.dtype}, and was {self.values.dtype} in the training split"
            )
        return found

    def parse(self, typed: Any) -> Tensor:
        """One-hot ``(levels,)`` of a level as a person types it."""
        levels = self.values.tolist()
        place = next((index for index, level in enumerate(levels) if means(level, typed)), None)
        if place is None:
            place = next((index for index, level in enumerate(levels) if spelled(level) == spelled(typed)), None)
        if place is None:
            raise unknown(f"value of {self.name}", str(typed), map(str, levels))
        return torch.eye(len(levels))[place]

    def decode(self, block: Tensor) -> np.ndarray:
        return self.values[block.argmax(1).cpu().numpy()]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "levels": self.values.tolist(), "dtype": self.values.dtype.str}


@final
@dataclass(frozen=True)
class Number:
    """A label that is a quantity, given as (value − mean)/sd. values: those of the training split, sorted, where few.

    What is given is rounded to float32 on its way to the model, so labels come back as the number that was meant.
    """

    name: str
    mean: float
    sd: float
    dtype: str
    values: tuple[float, ...] = ()

    @property
    def slot(self) -> Real:
        return Real(1)

    def encode(self, column: np.ndarray) -> Tensor:
        plain = _plain(self.name, column)
        if plain.dtype.kind == "U":
            raise DataError(f"label {self.name!r} holds text, and was a number in the training split")
        return torch.from_numpy((plain.astype(np.float64) - self.mean) / self.sd).float()[:, None]

    def parse(self, typed: Any) -> Tensor:
        try:
            value = float(typed)
        except (TypeError, ValueError):
            value = float("nan")
        if not np.isfinite(value):
            raise ValueError(f"{self.name} is a number (mean {self.mean:.4g}, sd {self.sd:.4g}), not {typed!r}")
        return torch.tensor([(value - self.mean) / self.sd])

    def decode(self, block: Tensor) -> np.ndarray:
        given = block[:, 0].cpu().float().numpy()
        value, dtype = given.astype(np.float64) * self.sd + self.mean, np.dtype(self.dtype)
        if dtype.kind != "f":
            return np.rint(value).astype(dtype)
        unsure = np.maximum(np.spacing(np.abs(given)) * self.sd, 1e-14 * np.abs(value))
        return self._known(value, _rounded(value, unsure), unsure).astype(dtype)

    def _known(self, value: np.ndarray, otherwise: np.ndarray, unsure: np.ndarray) -> np.ndarray:
        """The values of the training split that numbers cannot be told from, and `otherwise` where there is none."""
        if not self.values:
            return otherwise
        known = np.array(self.values)
        right = np.searchsorted(known, value).clip(1, max(1, len(known) - 1))
        left, right = known[right - 1], known[right.clip(max=len(known) - 1)]
        nearest = np.where(value - left <= right - value, left, right)
        return np.where(np.abs(value - nearest) <= unsure, nearest, otherwise)

    def to_json(self) -> dict[str, Any]:
        kept = {"values": list(self.values)} if self.values else {}
        return {"name": self.name, "mean": self.mean, "sd": self.sd, "dtype": self.dtype, **kept}


@final
class Conditions:
    """The labels a model is conditioned on, in order: one slot each, no positions."""

    def __init__(self, labels: Sequence[Levels | Number]) -> None:
        self.labels = tuple(labels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def space(self) -> Space | None:
        return Space(tuple(label.slot for label in self.labels)) if self.labels else None

    @classmethod
    def fit(cls, labels: Mapping[str, np.ndarray], names: Sequence[str]) -> Conditions:
        """Settle levels and moments of the labels `names`. Raises ValueError for a name that is not a label."""
        if names and not labels:
            raise ValueError(f"cannot condition on {names[0]!r}: this data has no labels")
        for name in names:
            if name not in labels:
                raise unknown("condition", name, labels)
        return cls([_fit_label(name, labels[name]) for name in dict.fromkeys(names)])

    def encode(self, labels: Mapping[str, np.ndarray]) -> Tensor | None:
        """``(N, K)`` float32, or None without conditions. Raises DataError for a label that is missing."""
        for name in self.names:
            if name not in labels:
                raise DataError(f"these records have no label {name!r}, on which the model is conditioned")
        blocks = [label.encode(labels[label.name]) for label in self.labels]
        return torch.cat(blocks, dim=1) if blocks else None

    def encode_given(self, given: Mapping[str, Any], n: int) -> Tensor:
        """``(n, K)`` from one value, or a list of n values, for each condition, as a person types them.

        Raises ValueError for a condition that is missing or unknown and for a value that is not a level.
        """
        if not self.labels:
            raise ValueError("this model was trained without a condition; train it with one to choose what is drawn")
        for name in given:
            if name not in self.names:
                raise unknown("condition", name, self.names)
        missing = [name for name in self.names if name not in given]
        if missing:
            raise ValueError(f"a value is needed for {', '.join(missing)} (as in {missing[0]}=VALUE)")
        return torch.cat([_rows(label, given[label.name], n) for label in self.labels], dim=1)

    def encode_some(self, given: Mapping[str, Any], n: int, rows: Tensor, rng: np.random.Generator) -> Tensor:
        """As `encode_given`, but what is not given is that of one of `rows` ``(R, K)`` that is as given, drawn evenly;
        where there is none, of any."""
        if not 0 < len(given) < len(self.names) or not given.keys() <= set(self.names):
            return self.encode_given(given, n)
        asked = torch.cat([_rows(label, given[label.name], n) for label in self.labels if label.name in given], dim=1)
        widths = [label.slot.width for label in self.labels]
        is_given = torch.cat([torch.full((w,), name in given) for w, name in zip(widths, self.names, strict=True)])
        chosen = np.empty(n, int)
        kinds, kind_of = asked.unique(dim=0, return_inverse=True)
        for kind, wanted in enumerate(kinds):
            alike = np.flatnonzero((rows[:, is_given] == wanted).all(1).numpy())
            here = (kind_of == kind).numpy()
            chosen[here] = rng.choice(alike if len(alike) else len(rows), here.sum())
        found = rows[torch.from_numpy(chosen)].clone()
        found[:, is_given] = asked
        return found

    def decode(self, condition: Tensor | None) -> dict[str, np.ndarray]:
        """Encoded conditions ``(N, K)`` back to labels; empty for None."""
        if condition is None or not self.labels:
            return {}
        blocks = condition.split([label.slot.width for label in self.labels], dim=1)
        return {label.name: label.decode(block) for label, block in zip(self.labels, blocks, strict=True)}

    def unseen(self, labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By name, the levels of these labels, ``(M,)`` with repeats, that the training split did not have."""
        known = [label for label in self.labels if isinstance(label, Levels) and label.name in labels]
        found = {label.name: label.unseen(labels[label.name]) for label in known}
        return {name: values for name, values in found.items() if len(values)}

    def to_json(self) -> list[dict[str, Any]]:
        return [label.to_json() for label in self.labels]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> Conditions:
        return cls([_label_from_json(fields) for fields in data])


def lacking(missing: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """(which examples ``(N,)`` to leave out as they lack a label, names of labels to do without instead).

    missing: by label, who lacks it ``(N,)``. Those that the fewest lack come first; a label for which more than half of
    the examples would be left out is done without.
    """
    out, dropped = np.zeros(len(next(iter(missing.values()), ())), dtype=bool), []
    for name in sorted(missing, key=lambda name: int(missing[name].sum())):
        both = out | missing[name]
        if 2 * int(both.sum()) > len(both):
            dropped.append(name)
        else:
            out = both
    return out, dropped


@runtime_checkable
class Labelled(Protocol):
    """A codec whose records have labels beside them."""

    conditions: Conditions


def summarise(labels: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """Each label as a (name, description) line: its levels with counts, or its range."""
    return [(name, _summary(name, column)) for name, column in labels.items()]


def _summary(name: str, column: np.ndarray) -> str:
    plain = _plain(name, column)
    values, counts = np.unique(plain, return_counts=True)
    if not _categorical(plain, values):
        return f"a number from {values[0]:.4g} to {values[-1]:.4g}, mean {plain.mean():.4g}"
    shown = [f"{value} ({count:,})" for value, count in zip(values, counts, strict=True)][:SHOWN_LEVELS]
    more = ", …" if len(values) > SHOWN_LEVELS else ""
    return f"{len(values):,} level{'s' * (len(values) != 1)}: {', '.join(shown)}{more}"


def _fit_label(name: str, column: np.ndarray) -> Levels | Number:
    plain = _plain(name, column)
    values = np.unique(plain)
    if not _categorical(plain, values):
        real = plain.astype(np.float64)
        kept = values.astype(np.float64).tolist() if len(values) <= MOST_KEPT else ()
        return Number(name, float(real.mean()), float(real.std()) or 1.0, plain.dtype.str, tuple(kept))
    if len(values) > MAX_LEVELS:
        raise ValueError(
            f"cannot condition on {name!r}: it has {len(values):,} levels, at most {MAX_LEVELS:,} are allowed"
        )
    return Levels(name, values)


def _label_from_json(fields: Mapping[str, Any]) -> Levels | Number:
    if "levels" in fields:
        return Levels(fields["name"], np.array(fields["levels"], dtype=fields["dtype"]))
    kept = tuple(fields.get("values", ()))  # runs of before did not keep them
    return Number(fields["name"], fields["mean"], fields["sd"], fields["dtype"], kept)


def _rounded(value: np.ndarray, unsure: np.ndarray) -> np.ndarray:
    """Numbers with no more decimals than are sure, so that 20.65 does not come back as 20.649999994872946."""
    place = np.ceil(np.log10(np.maximum(unsure, 1e-300)))
    power = 10.0 ** np.abs(place.clip(-22, 22))  # powers of ten up to this one are exact
    rounded = np.where(place < 0, np.rint(value * power) / power, np.rint(value / power) * power)
    return np.where(np.abs(place) <= 22, rounded, value)


def _categorical(plain: np.ndarray, values: np.ndarray) -> bool:
    """Text, truth values and few whole numbers (in a float dtype too) are levels; the rest are quantities."""
    if plain.dtype.kind in "bU":
        return True
    whole = plain.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    return whole and len(values) <= WHOLE_NUMBER_LEVELS


def _plain(name: str, column: np.ndarray) -> np.ndarray:
    """The label as one flat array of bool, int, float or str. Raises DataError where a value is missing."""
    column = np.asarray(column)
    if column.ndim != 1 or not len(column):
        raise DataError(f"label {name!r} must be one value for each example, not of shape {column.shape}")
    if column.dtype.kind == "S":
        return np.char.decode(column, "utf-8")
    if column.dtype.kind not in "biufU":
        column = _from_objects(name, column.tolist())
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise DataError(f"label {name!r} has no value in row {int(np.argmin(np.isfinite(column)))}")
    return column


def _from_objects(name: str, values: list[Any]) -> np.ndarray:
    if None in values:
        raise DataError(f"label {name!r} has no value in row {values.index(None)}")
    kinds = {type(value) for value in values}
    if kinds <= {int, float} or kinds <= {bool} or kinds <= {str}:
        return np.array(values)
    return np.array([str(value) for value in values])


def spelled(level: Any) -> str:
    """A level as text, a whole number without its point: "2" for 2, 2.0 and "2.0"."""
    text = str(level)
    return text.removesuffix(".0") if WHOLE_FLOAT.fullmatch(text) else text


def without_gaps(column: pd.Series) -> pd.Series:
    """A column of labels; where values are missing, as texts, such as 1, 2 and (missing)."""
    if not column.hasnans:
        return column
    texts = column.map(spelled if types.is_numeric_dtype(column.dtype) else str).astype(object)
    return texts.where(column.notna(), MISSING)


def means(level: Any, typed: Any) -> bool:
    """Whether a level is what a person typed: "3" and "3.0" mean 3, "true" and "1" mean True."""
    text = str(typed).strip()
    if str(level) == text:
        return True
    if isinstance(level, bool):
        return text.lower() in (("true", "1", "yes") if level else ("false", "0", "no"))
    if isinstance(level, str):
        return level == str(typed)
    try:
        return float(text) == level
    except ValueError:
        return False


def _rows(label: Levels | Number, typed: Any, n: int) -> Tensor:
    if not isinstance(typed, list | tuple | np.ndarray | range):
        return label.parse(typed).expand(n, -1)
    if len(typed) != n:
        raise ValueError(f"{len(typed)} values of {label.name} were given for {n} samples")
    return torch.stack([label.parse(value) for value in typed]) if n else torch.zeros(0, label.slot.width)
