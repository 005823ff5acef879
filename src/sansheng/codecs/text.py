"""Text, symbol by symbol: one of a vocabulary at each of L positions, level 0 the end of the text.

The one constraint: a text is what stands before its first end mark, so none is longer than L symbols.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sansheng.codecs.base import Deferred, Encoded, Records
from sansheng.codecs.labels import Conditions, summarise
from sansheng.codecs.text_file import COLUMN, MAX_LENGTH, OPTIONS, from_frame, from_lines, read
from sansheng.codecs.tokens import END, REPLACEMENT, Tokens, fit_tokens, tokens_from_json
from sansheng.errors import DataError, unknown
from sansheng.space import Category, Space

__all__ = ["OPTIONS", "REPLACEMENT", "TextCodec", "from_frame", "from_lines", "read"]

LENGTH_MULTIPLE = 4
PREVIEW_LINES = 40
PREVIEW_WINDOWS = 4
BETWEEN = "%"
"""A line of its own between windows in a text file, as between fortunes."""
WRITTEN = (".txt", ".csv", ".jsonl")


@final
class TextCodec:
    """Lines or windows over a vocabulary, one-hot at L positions."""

    kind = "text"

    def __init__(
        self, tokens: Tokens, length: int, conditions: Conditions, description: list[tuple[str, str]], *,
        unit: str = "lines", window: int = 0, column: str | None = None,
    ) -> None:  # fmt: skip
        """length: positions L, with the end mark's where texts are lines. unit: lines, or windows of a long text, of
        `window` characters, 0 where that is not known. column: of a table, where the texts stood."""
        self.tokens, self.length, self.unit, self.window = tokens, length, unit, window
        self.conditions, self.column = conditions, column
        self.description = description
        self.space = Space((Category(1 + tokens.size),), (length,))
        self.condition_space = conditions.space
        self.condition_names = conditions.names

    @property
    def alphabet(self) -> str:
        """The characters of levels 1, 2, …, sorted; empty where symbols are no characters."""
        return self.tokens.alphabet

    @classmethod
    def fit(cls, records: Records, *, condition: tuple[str, ...] = ()) -> TextCodec:
        """Settle vocabulary and length, and the levels of `condition`, from the training records."""
        unit = records.about.get("unit", "lines")
        lines = checked(records.values, unit)
        if not lines:
            raise DataError("there are no lines of text to learn from")
        tokens = fit_tokens(lines, records.about.get("tokens"))
        lengths, end = tokens.lengths(lines), int(unit == "lines")
        longest = int(lengths.max()) + end
        length = min(MAX_LENGTH, LENGTH_MULTIPLE * -(-longest // LENGTH_MULTIPLE)) if unit == "lines" else longest
        n = f"{len(lines):,} {unit.removesuffix('s')}{'s' * (len(lines) != 1)} of text"
        symbols = tokens.kind if tokens.kind != "bpe" else "pieces"
        description = [
            ("data", f"{n}, {lengths.min():,} to {lengths.max():,} {symbols}, {length} positions"),
            *tokens.describe(),
        ]
        cut = int((lengths > length - end).sum())
        if cut:
            description.append(("cut", f"{cut:,} lines longer than {length - end} {symbols} are cut"))
        conditions = Conditions.fit(records.labels, condition)
        window = records.about.get("window", max(map(len, lines))) if unit == "windows" else 0
        description += summarise(records.labels)
        column = records.about.get("column")
        return cls(tokens, length, conditions, description, unit=unit, window=window, column=column)

    def encode(self, records: Records) -> Encoded:
        """One-hot ``(N, V, L)``, made of levels when asked for. What the vocabulary lacks is replaced or left out; what
        is too long is cut."""
        lines, end = checked(records.values, self.unit), int(self.unit == "lines")
        levels = np.pad(self.tokens.levels(lines, self.length - end), ((0, 0), (0, end)), constant_values=END)
        return self.encode_levels(levels, records)

    def encode_levels(self, levels: np.ndarray, records: Records) -> Encoded:
        """As `encode`, of the levels ``(N, L)`` of texts; of the records only labels are read."""
        small = torch.from_numpy(levels.astype(np.int16))

        def one_hot(index: np.ndarray) -> Tensor:
            some = small[torch.from_numpy(index)].long()
            return torch.zeros(len(some), *self.space.shape).scatter_(1, some[:, None], 1.0)

        return Encoded(Deferred(len(small), one_hot), self.conditions.encode(records.labels))

    def characters(self, records: Records) -> np.ndarray:
        """``(N,)``: of each text as encoded, and one for the end of a line; windows have none of their own."""
        lines, end = checked(records.values, self.unit), int(self.unit == "lines")
        known = self.tokens.lines(self.tokens.levels(lines, self.length - end))
        return np.array([len(line) + end for line in known])

    def strange(self, lines: Sequence[str]) -> str:
        """The characters of these, sorted, for which there is no symbol."""
        return "".join(sorted(set().union(*lines) - set(self.alphabet))) if self.alphabet else ""

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        self.space.check(x)
        lines = [self.legible(line) for line in self.tokens.lines(x.detach().argmax(1).cpu().numpy())]
        return Records(lines, self.conditions.decode(condition), {"unit": self.unit})

    def legible(self, line: str) -> str:
        """What was drawn, which if of bytes or pieces can be anything, without what no text file has room for."""
        strange = "\0\n" if self.unit == "lines" else "\0"
        return line.translate(dict.fromkeys(map(ord, strange), REPLACEMENT))

    def present(self, records: Records) -> list[str]:
        return list(records.values)

    def write(self, records: Records, path: Path) -> list[Path]:
        """A .txt file, UTF-8, one line each, or windows with a line ``%`` between; .csv or .jsonl with labels,
        texts in a column called as in the training table."""
        suffix = path.suffix.lower()
        if suffix not in WRITTEN:
            raise unknown("suffix for text", path.suffix or "(none)", WRITTEN)
        if suffix == ".txt":
            return [self._write_text(path, records.values)]
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = {name: column.tolist() for name, column in records.labels.items()}
        columns = {self.column or COLUMN: list(records.values), **labels}
        if suffix == ".csv":
            pd.DataFrame(columns).to_csv(path, index=False)
        else:
            rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return [path]

    def preview(self, records: Records, path: Path) -> Path:
        """The first 40 lines, or 4 windows, as a .txt file."""
        return self._write_text(path.with_name(path.name + ".txt"), records.values[: self.previewed])

    @property
    def previewed(self) -> int:
        return PREVIEW_LINES if self.unit == "lines" else PREVIEW_WINDOWS

    def _write_text(self, path: Path, texts: Sequence[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        between = "\n" if self.unit == "lines" else f"\n{BETWEEN}\n"
        path.write_text(between.join(texts) + "\n" * bool(len(texts)), encoding="utf-8", newline="\n")
        return path

    def reading(self) -> dict[str, str]:
        """Options that read other text as this was, windows as long as these, tables from the same column."""
        options = {"unit": self.unit, "window": str(self.window or ""), "column": self.column or ""}
        return {name: value for name, value in options.items() if value}

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            **self.tokens.to_json(),
            "unit": self.unit,
            "length": self.length,
            "window": self.window,
            "column": self.column,
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> TextCodec:
        """Restore what `to_json` and `arrays` saved."""
        description = [(name, text) for name, text in data["description"]]
        tokens, conditions = tokens_from_json(data), Conditions.from_json(data["conditions"])
        known = data["unit"] == "windows" and tokens.kind == "characters"
        window = data.get("window", data["length"] if known else 0)  # older ones did not say
        return cls(
            tokens, data["length"], conditions, description, unit=data["unit"], window=window, column=data.get("column")
        )


def checked(lines: Any, unit: str) -> list[str]:
    """A list of strings without NUL, and without line ends if they are lines; raises DataError naming the first."""
    for row, line in enumerate(lines):
        if not isinstance(line, str):
            raise DataError(f"text records are strings; record {row} is of type {type(line).__name__}")
        if ("\n" in line and unit == "lines") or "\0" in line:
            raise DataError(f"record {row} holds a line end or NUL character: one line is one example")
    return list(lines)
