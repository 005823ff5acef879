"""Lines of text, character by character: one symbol at each of L positions, level 0 the end of the line.

The one constraint: a line is what stands before its first end mark, so no line is longer than L.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import Encoded, Records, Source
from sansheng.codecs.labels import Conditions, summarise
from sansheng.errors import DataError, unknown
from sansheng.space import Category, Space

END = 0
"""The level that ends a line, and fills what is left of it."""
MAX_LENGTH = 128
LENGTH_MULTIPLE = 4
MAX_ALPHABET = 256
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
PREVIEW_LINES = 40
WRITTEN = (".txt",)


def read(path: Path) -> Source:
    """Read a UTF-8 text file (with or without a byte order mark), one example a line; empty and repeated lines
    are left out.

    Raises DataError for a file that is missing, holds no lines, or is not UTF-8 text (naming the line).
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    text = _decoded(path, path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    every = text.removesuffix("\n").split("\n")
    lines = [line for line in every if line]
    if not lines:
        raise DataError(f"{path}: no lines of text in it")
    notes = []
    if len(lines) < len(every):
        notes.append(f"{len(every) - len(lines):,} empty lines dropped")
    unique = list(dict.fromkeys(lines))
    if len(unique) < len(lines):
        notes.append(
            f"{len(lines) - len(unique):,} lines repeat an earlier one (left out, or held-out lines would leak)"
        )
    return Source(Records(unique), None, notes)


@final
class TextCodec:
    """Lines over an alphabet, one-hot at L positions."""

    kind = "text"

    def __init__(self, alphabet: str, length: int, conditions: Conditions, description: list[tuple[str, str]]) -> None:
        """alphabet: the characters of levels 1, 2, …, sorted. length: positions L, the end mark's included."""
        self.alphabet = alphabet
        self.length = length
        self.conditions = conditions
        self.description = description
        self.space = Space((Category(1 + len(alphabet)),), (length,))
        self.condition_space = conditions.space
        self.condition_names = conditions.names
        self._codes = np.array([END, *map(ord, alphabet)], dtype=np.uint32)

    @classmethod
    def fit(cls, records: Records, *, condition: tuple[str, ...] = ()) -> TextCodec:
        """Settle alphabet and length, and the levels of `condition`, from the training records."""
        lines = _checked(records.values)
        if not lines:
            raise DataError("there are no lines of text to learn from")
        lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
        length = min(MAX_LENGTH, LENGTH_MULTIPLE * -(-(int(lengths.max()) + 1) // LENGTH_MULTIPLE))
        characters, rare, replaced = _alphabet(_code_points(lines, length - 1))
        n = f"{len(lines):,} line{'s' * (len(lines) != 1)} of text"
        description = [
            ("data", f"{n}, {lengths.min():,} to {lengths.max():,} characters, {length} positions"),
            ("alphabet", f"{len(characters):,} characters: {characters[:80]!r}"),
        ]
        cut = int((lengths >= length).sum())
        if cut:
            description.append(("cut", f"{cut:,} lines longer than {length - 1} characters are cut"))
        if rare:
            description.append(("replaced", f"{rare:,} rare characters ({replaced:,} times) become {REPLACEMENT!r}"))
        conditions = Conditions.fit(records.labels, condition)
        return cls(characters, length, conditions, description + summarise(records.labels))

    def encode(self, records: Records) -> Encoded:
        """One-hot ``(N, V, L)``. A character that is not in the alphabet becomes the replacement character if that
        is, and is left out otherwise; a line over L − 1 characters is cut.
        """
        levels = torch.from_numpy(self._levels(_checked(records.values)))
        x = torch.zeros(len(levels), *self.space.shape)
        x.scatter_(1, levels[:, None], 1.0)
        return Encoded(x, self.conditions.encode(records.labels))

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        self.space.check(x)
        levels = x.detach().argmax(1).cpu().numpy()
        over = np.logical_or.accumulate(levels == END, axis=1)
        codes = np.where(over, np.uint32(END), self._codes[levels])
        lines = np.ascontiguousarray(codes).view(f"<U{self.length}")[:, 0].tolist()
        return Records(lines, self.conditions.decode(condition))

    def present(self, records: Records) -> list[str]:
        return list(records.values)

    def write(self, records: Records, path: Path) -> list[Path]:
        """A .txt file, UTF-8, one example a line."""
        if path.suffix.lower() not in WRITTEN:
            raise unknown("suffix for text", path.suffix or "(none)", WRITTEN)
        return [_write_lines(path, records.values)]

    def preview(self, records: Records, path: Path) -> Path:
        """The first 40 lines, as a .txt file."""
        return _write_lines(path.with_name(path.name + ".txt"), records.values[:PREVIEW_LINES])

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "alphabet": self.alphabet,
            "length": self.length,
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> TextCodec:
        """Restore what `to_json` and `arrays` saved."""
        description = [(name, text) for name, text in data["description"]]
        return cls(data["alphabet"], data["length"], Conditions.from_json(data["conditions"]), description)

    def _levels(self, lines: Sequence[str]) -> np.ndarray:
        """Levels ``(N, L)`` int64 of lines, filled up with end marks."""
        levels, strange = self._look_up(lines)
        if REPLACEMENT in self.alphabet:
            levels[strange] = 1 + self.alphabet.index(REPLACEMENT)
        elif strange.any():
            known, rows = set(self.alphabet), np.flatnonzero(strange.any(1)).tolist()
            kept = ["".join(filter(known.__contains__, lines[row])) for row in rows]
            levels[rows], _ = self._look_up(kept)
        return np.pad(levels, ((0, 0), (0, 1)), constant_values=END)

    def _look_up(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Levels ``(N, L − 1)`` of the characters of lines, and which of them have none."""
        codes = _code_points(lines, self.length - 1)
        levels = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return levels, self._codes[levels] != codes


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, line {line}: holds a NUL character; is it a text file?")
    return text


def _checked(lines: Any) -> list[str]:
    """Lines as a list of strings without line ends or NUL; raises DataError naming the first that is not."""
    for row, line in enumerate(lines):
        if not isinstance(line, str):
            raise DataError(f"text records are strings; record {row} is of type {type(line).__name__}")
        if "\n" in line or "\0" in line:
            raise DataError(f"record {row} holds a line end or NUL character: one line is one example")
    return list(lines)


def _code_points(lines: Sequence[str], width: int) -> np.ndarray:
    """Code points ``(N, width)`` uint32 of lines cut to `width` characters, filled up with 0."""
    fixed = np.array(lines, dtype=f"<U{width}")
    return fixed.view(np.uint32).reshape(len(lines), width)


def _alphabet(codes: np.ndarray) -> tuple[str, int, int]:
    """The characters worth a level, sorted; how many are not, and how often those occur."""
    values, counts = np.unique(codes[codes != END], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept, rest = values[order[:MAX_ALPHABET]], order[MAX_ALPHABET:]
    characters = set(map(chr, kept.tolist())) | ({REPLACEMENT} if len(rest) else set())
    return "".join(sorted(characters)), len(rest), int(counts[rest].sum())


def _write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path
