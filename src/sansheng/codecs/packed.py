"""Encoded rows of a large table, kept small: a symbol as its number, not as a row of zeros and a one.

The one constraint: what is unpacked is what was packed, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.base import Deferred
from sansheng.space import Category, Space


def pack(space: Space, parts: Iterable[Tensor], n: int) -> Deferred:
    """`n` valid examples ``(N, C)`` of a space without positions, given in `parts`, to be unpacked as they are asked
    for: 4 bytes a number, 1 or 2 a symbol.
    """
    spans = list(zip(space.slots, space.offsets, strict=True))
    symbols = [(start, slot.levels) for slot, start in spans if isinstance(slot, Category)]
    most = max((levels for _, levels in symbols), default=1)
    numbers = np.empty((n, len(space.real_channels)), dtype=np.float32)
    codes = np.empty((n, len(symbols)), dtype=np.uint8 if most <= 256 else np.uint16 if most <= 65536 else np.uint32)
    at = 0
    for part in parts:
        end = at + len(part)
        numbers[at:end] = part[:, space.real_channels].numpy()
        for place, (start, levels) in enumerate(symbols):
            codes[at:end, place] = part[:, start : start + levels].argmax(1).numpy()
        at = end
    first = np.array([start for start, _ in symbols], dtype=np.int64)

    def unpack(places: np.ndarray) -> Tensor:
        x = torch.zeros(len(places), space.channels)
        x[:, space.real_channels] = torch.from_numpy(numbers[places])
        return x.scatter_(1, torch.from_numpy(codes[places].astype(np.int64) + first), 1.0)

    return Deferred(n, unpack)
