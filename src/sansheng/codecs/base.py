"""What a codec is: a person's records to tensors and back.

The one constraint: `fit` sees the training split only, and everything it learns is in `to_json` and `arrays`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sansheng.codecs.rows import take
from sansheng.errors import DataError
from sansheng.space import Space

PREVIEWED = 64
"""Examples that a preview shows, where a codec does not say."""


@dataclass(frozen=True)
class Records:
    """Decoded examples, in the form a person would hold them.

    values: uint8 ``(N, H, W, C)`` for images (`rows.Rows` of such an array where it is large), float ``(N, D)`` for
    arrays and points, ``(N, L, C)`` for series, a DataFrame for a table, a list of strings for text. labels: what else
    is known of each example (an image's class), by name. about: what is known of all of them, such as the names of
    channels, as JSON. names: what a person calls each of them, such as the file of a picture, where they have names.
    """

    values: Any
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raises DataError for a label that is not one value for each example."""
        for name, column in self.labels.items():
            if len(column) != len(self.values):
                raise DataError(f"label {name!r} has {len(column):,} values for {len(self.values):,} examples")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> Records:
        """The examples at `index`, in that order."""
        labels = {name: column[index] for name, column in self.labels.items()}
        names = np.array(self.names, object)[index].tolist() if self.names else ()
        if hasattr(self.values, "iloc"):
            values = self.values.iloc[index].reset_index(drop=True)
        elif isinstance(self.values, list):
            values = [self.values[i] for i in index]
        else:
            values = take(self.values, index)
        return replace(self, values=values, labels=labels, names=names)

    def join(self, other: Records) -> Records:
        """These examples and then the others, with the labels that both have."""
        labels = {n: np.concatenate([c, other.labels[n]]) for n, c in self.labels.items() if n in other.labels}
        names = [*self.names, *other.names] if self.names and other.names else ()
        if isinstance(self.values, pd.DataFrame):
            values = pd.concat([self.values, other.values], ignore_index=True)
        elif isinstance(self.values, list):
            values = [*self.values, *other.values]
        else:
            values = np.concatenate([self.values, other.values])
        return replace(self, values=values, labels=labels, names=names)


@dataclass(frozen=True)
class Source:
    """What a reader found at a path: records, the split that came with them if any, and remarks for the person."""

    records: Records
    test: Records | None = None
    notes: Sequence[str] = ()


def quiet(done: int, total: int) -> None:
    """The progress of reading that nobody is told of."""


@dataclass(frozen=True)
class Reading:
    """How a person wants data to be read.

    alpha: keep the transparency of pictures. progress: told (done, total). options: of this kind of data, by name
    (`codecs.Kind.options`). types: what columns are, where the guess is wrong.
    """

    alpha: bool = False
    progress: Callable[[int, int], None] = quiet
    options: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deferred:
    """Examples that are encoded when they are asked for: `encode` takes places ``(M,)`` to ``(M, C, *P)``."""

    n: int
    encode: Callable[[np.ndarray], Tensor]


@final
class Encoded:
    """Encoded examples: ``x: (N, C, *P)`` float32 and what is given of each, ``condition: (N, K)`` or None."""

    def __init__(self, x: Tensor | Deferred, condition: Tensor | None = None) -> None:
        self._x, self.condition = x, condition

    def __len__(self) -> int:
        return self._x.n if isinstance(self._x, Deferred) else len(self._x)

    @property
    def x(self) -> Tensor:
        """All of them; of a large set better ask for some `rows`."""
        return self._x.encode(np.arange(self._x.n)) if isinstance(self._x, Deferred) else self._x

    @property
    def device(self) -> torch.device:
        """Where the examples are, or are encoded."""
        return torch.device("cpu") if isinstance(self._x, Deferred) else self._x.device

    def rows(self, index: slice | Tensor) -> Encoded:
        """The examples at `index`, encoded."""
        condition = self.condition
        given = None if condition is None else _select(condition, index)
        if isinstance(self._x, Deferred):
            return Encoded(self._x.encode(np.arange(self._x.n)[_on_host(index)]), given)
        return Encoded(_select(self._x, index), given)

    def to(self, device: str | torch.device) -> Encoded:
        """The same on a device, as far as they are encoded already."""
        x = self._x if isinstance(self._x, Deferred) else self._x.to(device)
        return Encoded(x, None if self.condition is None else self.condition.to(device))


def _select(x: Tensor, index: slice | Tensor) -> Tensor:
    return x.index_select(0, index.to(x.device)) if isinstance(index, Tensor) else x[index]


def _on_host(index: slice | Tensor) -> slice | np.ndarray:
    return index.cpu().numpy() if isinstance(index, Tensor) else index


@runtime_checkable
class Quantised(Protocol):
    """A codec of numbers that come in even steps of `level`, as pixels do: their likelihood is that of the steps."""

    level: float


@runtime_checkable
class CountsCharacters(Protocol):
    """A codec of text, whose likelihood is told per character: positions may lie beyond the end."""

    def characters(self, records: Records) -> np.ndarray:
        """Of each text as it is encoded, how many characters a model foretells, ``(N,)``, its end counted as one."""
        ...


@runtime_checkable
class ShowsFew(Protocol):
    """A codec whose previews show fewer examples than others do, and need no more drawn."""

    @property
    def previewed(self) -> int: ...


def previewed(codec: Codec) -> int:
    """How many examples a preview of this codec shows at most."""
    return codec.previewed if isinstance(codec, ShowsFew) else PREVIEWED


@runtime_checkable
class Settled(Protocol):
    """A codec that knows how other data have to be read to be like those it was fitted on."""

    def reading(self) -> dict[str, str]:
        """Options of `Reading`, as settled when the data were read, whether a person gave them or not."""
        ...


@runtime_checkable
class Codec(Protocol):
    """A person's records to tensors and back. `kind` names it on the command line and in `codec.json`."""

    kind: str
    space: Space
    condition_space: Space | None
    """One slot for each condition name, no positions."""
    condition_names: tuple[str, ...]

    def encode(self, records: Records) -> Encoded: ...

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        """``(n, K)`` for values a person typed, such as ``{"label": "3"}``. Raises ValueError listing valid values."""
        ...

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        """Valid encoded examples (hardened) to records; conditions come back as labels or columns."""
        ...

    def present(self, records: Records) -> Any:
        """What Python users get: PIL images, a DataFrame, an array, a list of strings."""
        ...

    def write(self, records: Records, path: Path) -> list[Path]:
        """Write records as the path's suffix asks for. Raises ValueError listing the suffixes it can write."""
        ...

    def preview(self, records: Records, path: Path) -> Path:
        """Draw a few records as a file for people (`path` has no suffix): a grid, a plot, a page of lines."""
        ...

    def describe(self) -> list[tuple[str, str]]:
        """What was understood, as (name, description) lines."""
        ...

    def to_json(self) -> dict[str, Any]: ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What `to_json` leaves out, for safetensors."""
        ...
