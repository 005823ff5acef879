"""Names of rows: left out of training, and issued anew in the pattern they were written in.

The one constraint: what is issued was never in the training rows, and none of those is kept.
"""

from __future__ import annotations

import itertools
import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import numpy as np

from sansheng.space import Slot

Style = Literal["number", "counted", "masked", "uuid"]
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
COUNTED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
ALPHABETS = (
    "0123456789", "0123456789abcdef", "0123456789ABCDEF", string.ascii_uppercase, string.ascii_lowercase,
    string.digits + string.ascii_uppercase, string.digits + string.ascii_lowercase,
    string.digits + string.ascii_uppercase + string.ascii_lowercase,
)  # fmt: skip
LONGEST = 64
ROOM = 1_000_000
"""Names wanted free behind the largest; where fewer are, they are issued in the widest gap."""
EXACT = 2.0**52


@final
@dataclass(frozen=True, eq=False)
class Identifier:
    """No slot: the names of rows are issued anew.

    number: whole numbers from `start` on. counted: the same between `prefix` and `suffix`. masked: `alphabets` has the
    letters of each place, read as a number that goes from `start` on; one place more after `room` of them. uuid:
    random, of version 4, written as `prefix`, an example of zeros, is.
    """

    style: Style
    start: int = 1
    prefix: str = ""
    suffix: str = ""
    alphabets: tuple[str, ...] = ()
    room: int = 0
    slots: tuple[Slot, ...] = ()

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        return np.zeros((len(values), 0), dtype=np.float32)

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        n = len(x)
        if self.style == "number":
            return self.start + np.arange(n, dtype=np.float64)
        if self.style == "uuid":
            return np.array([_like(self.prefix, digits) for digits in _hex(generator, n)], dtype=object)
        if self.style == "masked":
            return np.array([self._masked(i) for i in range(n)], dtype=object)
        return np.array([f"{self.prefix}{self.start + i}{self.suffix}" for i in range(n)], dtype=object)

    @cached_property
    def example(self) -> str:
        """The first that is issued."""
        first = self.decode(np.zeros((1, 0)), np.random.default_rng(0))[0]
        return f"{first:.0f}" if self.style == "number" else str(first)

    def _masked(self, i: int) -> str:
        """The i-th name; behind the room there is, with as many places more as it takes."""
        number, alphabets = self.start + i, self.alphabets
        if i < self.room:
            return _spell(number, alphabets)
        place = next(j for j, letters in enumerate(alphabets) if len(letters) > 1)
        longer = (*alphabets[:place], alphabets[place], *alphabets[place:])
        while number >= math.prod(map(len, longer)):
            longer = (*longer[:place], alphabets[place], *longer[place:])
        return _spell(number, longer)

    def to_json(self) -> dict[str, Any]:
        plain = {"style": self.style, "start": self.start, "prefix": self.prefix, "suffix": self.suffix}
        return {**plain, "alphabets": list(self.alphabets), "room": self.room}

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Identifier:
        alphabets = tuple(data["alphabets"])
        return Identifier(data["style"], data["start"], data["prefix"], data["suffix"], alphabets, data["room"])


def number_identifier(values: np.ndarray) -> Identifier:
    """Whole numbers ``(N,)``: the next after the largest; from 1 where those are too large to be counted exactly."""
    largest = float(values.max())
    return Identifier("number", int(largest) + 1 if largest < EXACT else 1)


def text_identifier(texts: Sequence[str]) -> Identifier | None:
    """The pattern that all texts have: a UUID, letters and digits in their places, a count; None if there is none."""
    if all(UUID.fullmatch(text) for text in texts):
        zeros = "0" if texts[0] == texts[0].lower() else "O"
        return Identifier("uuid", prefix=re.sub("[0-9a-fA-F]", zeros, texts[0]))
    if len(set(map(len, texts))) == 1 and len(texts[0]) <= LONGEST:
        masked = _mask(texts)
        if masked is not None:
            return masked
    matches = [COUNTED.fullmatch(text) for text in texts]
    found = [match for match in matches if match]
    if len(found) < len(texts) or len({(match[1], match[3]) for match in found}) > 1:
        return None
    return Identifier("counted", 1 + max(int(match[2]) for match in found), found[0][1], found[0][3])


def named_identifier(name: str, texts: Sequence[str]) -> Identifier:
    """``name-1``, ``name-2`` and so on, for texts without a pattern of their own."""
    prefix = f"{name}-"
    while any(text.startswith(prefix) for text in texts):
        prefix += "new-"
    return Identifier("counted", 1, prefix)


def _mask(texts: Sequence[str]) -> Identifier | None:
    """The letters of each place, and where new names find room."""
    places = [set(letters) for letters in zip(*texts, strict=True)]
    alphabets = [_alphabet(letters) for letters in places]
    if "" in alphabets or all(len(letters) == 1 for letters in alphabets):
        return None
    for j in range(len(alphabets) - 2, -1, -1):  # zeros that fill up a number are places of it
        if alphabets[j] == "0" and alphabets[j + 1] == ALPHABETS[0]:
            alphabets[j] = ALPHABETS[0]
    capacity = math.prod(map(len, alphabets))
    taken = [-1, *sorted(_number(text, alphabets) for text in set(texts)), capacity]
    start = taken[-2] + 1
    if capacity - start < ROOM:
        gaps = [after - before - 1 for before, after in itertools.pairwise(taken)]
        widest = max(range(len(gaps)), key=gaps.__getitem__)
        start = start if gaps[-1] >= len(texts) else taken[widest] + 1
    room = min(number for number in taken if number >= start) - start
    return Identifier("masked", start, alphabets=tuple(alphabets), room=room)


def _alphabet(letters: set[str]) -> str:
    """The one letter of a place, or the smallest alphabet that has all; nothing if there is none."""
    if len(letters) == 1:
        return next(iter(letters))
    return next((alphabet for alphabet in ALPHABETS if letters <= set(alphabet)), "")


def _number(text: str, alphabets: Sequence[str]) -> int:
    number = 0
    for letter, letters in zip(text, alphabets, strict=True):
        number = number * len(letters) + letters.index(letter)
    return number


def _spell(number: int, alphabets: Sequence[str]) -> str:
    spelled = []
    for letters in reversed(alphabets):
        number, place = divmod(number, len(letters))
        spelled.append(letters[place])
    return "".join(reversed(spelled))


def _hex(generator: np.random.Generator, n: int) -> list[str]:
    """UUIDs of version 4 (RFC 9562, 5.4) as 32 hexadecimal digits."""
    raw = generator.integers(0, 256, size=(n, 16), dtype=np.uint8)
    raw[:, 6] = (raw[:, 6] & 0x0F) | 0x40
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    return [bytes(row).hex() for row in raw]


def _like(shape: str, digits: str) -> str:
    """Hexadecimal digits in the places of the zeros ("0", or "O" for capitals) of a shape."""
    letters = iter(digits.upper() if "O" in shape else digits)
    return "".join(next(letters) if place in "0O" else place for place in shape)
