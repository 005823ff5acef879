"""What text is made of: characters, bytes, or pieces of words found by byte-pair encoding.

The one constraint: level 0 is the end mark, in every vocabulary, and fills what is left of an example.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from sansheng.errors import DataError, unknown

END, GAP = 0, -1
"""The level that ends a text, and what stands for one that is not known."""
MAX_ALPHABET = 256
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
COVERED = 0.98
"""With this share of a text in the commonest characters, they are its symbols; with less, bytes are."""
USUAL = 3.0
"""Characters of a symbol that is more than one, where none is known."""
PIECES = 512
"""Levels of a byte-pair vocabulary unless told: more make every example dearer to learn from."""
FEWEST_PIECES, MOST_PIECES = 257, 32_000
SUITED = 4000
"""Levels of one that is chosen for a text of at least `OF_WORDS` characters, which shows most of them often enough."""
OF_WORDS = 500_000
SPACED = 0.05
"""Share of spaces in what is written in words."""
LONG_ENOUGH = 16
"""Characters a text has on average at least to be more than a word or a name."""
MOST_LOOKED_AT = 2_000_000
TOKENS = ("characters", "bytes", "bpe")


@runtime_checkable
class Tokens(Protocol):
    """A vocabulary. size: levels, the end mark's not counted. alphabet: its characters, where it is of those."""

    kind: str
    size: int
    alphabet: str

    def lengths(self, lines: Sequence[str]) -> np.ndarray:
        """How many symbols each line has, ``(N,)``."""
        ...

    def levels(self, lines: Sequence[str], width: int) -> np.ndarray:
        """``(N, width)`` integers, filled up with end marks; what goes beyond `width` is cut."""
        ...

    def lines(self, levels: np.ndarray) -> list[str]:
        """The text before the first end mark of each row of ``(N, L)``."""
        ...

    def with_gaps(self, line: str, gap: str) -> np.ndarray:
        """``(L,)`` levels of all of a line, and `GAP` for as many symbols to be found in place of a run of `gap` as so
        many characters are on average. Raises ValueError for a `gap` that cannot stand for one."""
        ...

    def describe(self) -> list[tuple[str, str]]: ...

    def to_json(self) -> dict[str, Any]: ...


def fit_tokens(lines: Sequence[str], kind: str | None = None) -> Tokens:
    """The vocabulary of training lines: of a kind, or as many of their characters as are common, else bytes.

    kind: as in `parse_tokens`, which says what is raised.
    """
    kind, pieces = parse_tokens(kind)
    if kind == "bpe":
        return Pieces.fit(lines, pieces)
    if kind == "bytes":
        return Bytes()
    counts = Counter[str]()
    for line in lines:
        counts.update(line)
    common = sum(n for _, n in counts.most_common(MAX_ALPHABET))
    if kind is None and common < COVERED * counts.total():
        return Bytes()
    return Characters.fit(counts)


def suited_tokens(texts: Sequence[str]) -> str | None:
    """The kind of tokens for texts of this size: pieces of words of a large one in words, or in a script of so many
    characters that bytes would be its symbols. None for those that `fit_tokens` finds by itself."""
    size = sum(map(len, texts))
    if size < max(OF_WORDS, LONG_ENOUGH * len(texts)):
        return None
    counts, left = Counter[str](), MOST_LOOKED_AT
    for text in texts:
        counts.update(text[:left])
        left -= len(text)
        if left <= 0:
            break
    spaces = sum(n for character, n in counts.items() if character.isspace())
    common = sum(n for _, n in counts.most_common(MAX_ALPHABET))
    in_words = spaces >= SPACED * counts.total() or common < COVERED * counts.total()
    return f"bpe:{SUITED}" if in_words else None


def can_find_pieces() -> bool:
    """Whether the library for pieces of words is there."""
    return importlib.util.find_spec("tokenizers") is not None


def parse_tokens(kind: str | None) -> tuple[str | None, int]:
    """One of `TOKENS`, and how many pieces: ``bpe:2000`` has 2,000, ``bpe`` `PIECES`. Raises ValueError for others."""
    if kind is None:
        return None, PIECES
    name, colon, number = kind.partition(":")
    if name not in TOKENS or (colon and name != "bpe"):
        raise unknown("kind of tokens", kind, (*TOKENS, "bpe:NUMBER"))
    if colon and not (number.isdecimal() and FEWEST_PIECES <= int(number) <= MOST_PIECES):
        raise ValueError(f"bpe has from {FEWEST_PIECES} to {MOST_PIECES:,} pieces, 256 of them bytes, not {number!r}")
    return name, int(number) if colon else PIECES


def tokens_from_json(data: dict[str, Any]) -> Tokens:
    """What `Tokens.to_json` saved."""
    if data["tokens"] == "bytes":
        return Bytes()
    return Pieces(data["pieces"]) if data["tokens"] == "bpe" else Characters(data["alphabet"])


@final
class Characters:
    """The characters of `alphabet`, sorted, are levels 1, 2, …"""

    kind = "characters"

    def __init__(self, alphabet: str, remarks: Sequence[tuple[str, str]] = ()) -> None:
        self.alphabet, self.size, self.remarks = alphabet, len(alphabet), list(remarks)
        self._codes = np.array([END, *map(ord, alphabet)], dtype=np.uint32)
        self._levels = np.zeros(int(self._codes.max()) + 2, np.int16)  # of every character up to one beyond the last
        self._levels[self._codes] = np.arange(len(self._codes))

    @classmethod
    def fit(cls, counts: Counter[str]) -> Characters:
        """The commonest characters; what is rarer than 256 others becomes the replacement character."""
        order = sorted(counts, key=lambda c: (-counts[c], c))
        kept, rare = order[:MAX_ALPHABET], order[MAX_ALPHABET:]
        alphabet = "".join(sorted({*kept, *([REPLACEMENT] if rare else [])}))
        remarks = [("alphabet", f"{len(alphabet):,} characters: {alphabet[:80]!r}")]
        if rare:
            times = sum(counts[c] for c in rare)
            remarks.append(("replaced", f"{len(rare):,} rare characters ({times:,} times) become {REPLACEMENT!r}"))
        return cls(alphabet, remarks)

    def lengths(self, lines: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))

    def levels(self, lines: Sequence[str], width: int) -> np.ndarray:
        """A character without a level becomes the replacement character if that has one, else it is left out."""
        levels, strange = self._look_up(lines, width)
        if REPLACEMENT in self.alphabet:
            levels[strange] = 1 + self.alphabet.index(REPLACEMENT)
        elif strange.any():
            known, rows = set(self.alphabet), np.flatnonzero(strange.any(1)).tolist()
            kept = ["".join(filter(known.__contains__, lines[row])) for row in rows]
            levels[rows], _ = self._look_up(kept, width)
        return levels

    def _look_up(self, lines: Sequence[str], width: int) -> tuple[np.ndarray, np.ndarray]:
        """Levels ``(N, width)`` of the characters of lines, and which of them have none."""
        codes = np.array(lines, dtype=f"<U{width}").view(np.uint32).reshape(len(lines), width)
        levels = self._levels.take(codes, mode="clip")
        strange = levels == END
        if strange.any():
            strange &= codes != END
        return levels, strange

    def lines(self, levels: np.ndarray) -> list[str]:
        over = np.logical_or.accumulate(levels == END, axis=1)
        codes = np.where(over, np.uint32(END), self._codes[levels])
        return np.ascontiguousarray(codes).view(f"<U{levels.shape[1]}")[:, 0].tolist()

    def with_gaps(self, line: str, gap: str) -> np.ndarray:
        """Every character keeps its place: one without a level has that of the replacement character, or the first."""
        levels, strange = self._look_up([line], max(1, len(line)))
        levels = levels[0, : len(line)].astype(np.int64)
        levels[strange[0, : len(line)]] = 1 + max(0, self.alphabet.find(REPLACEMENT))
        levels[[character == gap for character in line]] = GAP
        return levels

    def describe(self) -> list[tuple[str, str]]:
        return self.remarks

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.kind, "alphabet": self.alphabet}


@final
class Bytes:
    """Bytes of UTF-8, level 1 for byte 0: any text whatever, at one to four symbols a character."""

    kind, size, alphabet = "bytes", 256, ""

    def lengths(self, lines: Sequence[str]) -> np.ndarray:
        return np.fromiter((len(_utf8(line)) for line in lines), dtype=np.int64, count=len(lines))

    def levels(self, lines: Sequence[str], width: int) -> np.ndarray:
        levels = np.zeros((len(lines), width), np.int64)
        for row, line in zip(levels, lines, strict=True):
            data = np.frombuffer(_utf8(line)[:width], np.uint8)
            row[: len(data)] = data.astype(np.int64) + 1
        return levels

    def lines(self, levels: np.ndarray) -> list[str]:
        """Bytes that are no UTF-8 become the replacement character."""
        return [_text(row) for row in levels]

    def with_gaps(self, line: str, gap: str) -> np.ndarray:
        if len(_utf8(gap)) != 1:
            raise ValueError(f"a gap in text of bytes is one byte, and {gap!r} is more")
        runs = re.split(f"({re.escape(gap)}+)", line)
        known = [np.frombuffer(_utf8(text), np.uint8).astype(np.int64) + 1 for text in runs[::2]]
        return _between(runs, known)

    def describe(self) -> list[tuple[str, str]]:
        return [("alphabet", "256 bytes of UTF-8")]

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.kind}


@final
class Pieces:
    """Byte-pair encoding over bytes (Sennrich 2016), by the library ``tokenizers``: ``pip install sansheng[text]``."""

    kind, alphabet = "bpe", ""

    def __init__(self, saved: str) -> None:
        """saved: the vocabulary as that library's JSON."""
        self._coder = _library().Tokenizer.from_str(saved)
        self.saved, self.size = saved, self._coder.get_vocab_size()

    @classmethod
    def fit(cls, lines: Sequence[str], size: int = PIECES) -> Pieces:
        """A vocabulary of at most `size` pieces, every byte among them."""
        library = _library()
        coder = library.Tokenizer(library.models.BPE())
        coder.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        coder.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        coder.train_from_iterator(lines, trainer)
        return cls(coder.to_str())

    def _codes(self, lines: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in self._coder.encode_batch(list(lines))]

    def lengths(self, lines: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(len, self._codes(lines)), dtype=np.int64, count=len(lines))

    def levels(self, lines: Sequence[str], width: int) -> np.ndarray:
        levels = np.zeros((len(lines), width), np.int64)
        for row, codes in zip(levels, self._codes(lines), strict=True):
            row[: len(codes[:width])] = np.array(codes[:width], dtype=np.int64) + 1
        return levels

    def lines(self, levels: np.ndarray) -> list[str]:
        return self._coder.decode_batch([(_before_end(row) - 1).tolist() for row in levels])

    def with_gaps(self, line: str, gap: str) -> np.ndarray:
        """What stands between gaps is cut into pieces by itself; of spaces before a gap none are told, as pieces of
        words begin with theirs, but where there is nothing else between it and the gap before."""
        runs = re.split(f"({re.escape(gap)}+)", line)
        known = [*(text.rstrip(" ") or text for text in runs[:-1:2]), runs[-1]]
        return _between(runs, [np.array(codes, dtype=np.int64) + 1 for codes in self._codes(known)])

    def describe(self) -> list[tuple[str, str]]:
        return [("alphabet", f"{self.size:,} pieces of words by byte-pair encoding")]

    def to_json(self) -> dict[str, Any]:
        return {"tokens": self.kind, "pieces": self.saved}


def _between(runs: Sequence[str], known: Sequence[np.ndarray]) -> np.ndarray:
    """Levels of a line that was split into what is `known` and gaps, one after the other in `runs`."""
    symbols, characters = sum(map(len, known)), sum(map(len, runs[::2]))
    each = characters / symbols if symbols else USUAL
    gaps = [np.full(max(1, round(len(run) / each)), GAP) for run in runs[1::2]]
    return np.concatenate([part for pair in zip(known, [*gaps, known[-1][:0]], strict=True) for part in pair])


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise DataError("byte-pair encoding needs the library tokenizers: pip install 'sansheng[text]'") from None
    return tokenizers


def _utf8(line: str) -> bytes:
    return line.encode("utf-8", "replace")


def _before_end(row: np.ndarray) -> np.ndarray:
    ends = np.flatnonzero(row == END)
    return row[: ends[0]] if len(ends) else row


def _text(row: np.ndarray) -> str:
    return (_before_end(row) - 1).astype(np.uint8).tobytes().decode("utf-8", "replace").replace("\0", REPLACEMENT)
