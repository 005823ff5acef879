"""What every contender is asked, its clock, and what it hands back. Needs numpy and torch alone.

The one constraint: the clock is the CPU time of this process (all threads, children that have ended), from the moment
libraries are loaded and pictures read; training ends with the first step that meets the budget.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch


class BudgetSpent(Exception):
    """Leaves a library's own training loop from within one of its callbacks."""


def cpu_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


class Task:
    """Arguments of a contender: data, budget [CPU s], samples, threads, seed, out, and options as ``key=value``."""

    def __init__(self, library: str, **defaults: Any) -> None:
        """library: the distribution whose version is reported. defaults: the options and their default values."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--data", type=Path, required=True)
        parser.add_argument("--cpu-seconds", type=float, required=True)
        parser.add_argument("--samples", type=int, default=5000)
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", type=Path, required=True)
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        args = parser.parse_args()
        self.library, self.data, self.budget, self.samples = library, args.data, args.cpu_seconds, args.samples
        self.threads, self.seed, self.out = args.threads, args.seed, args.out
        self.options = defaults | self._chosen(args.set, defaults)
        self.images = pictures(args.data)
        self.steps = 0
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        np.random.seed(args.seed)
        self._began = cpu_seconds()

    @staticmethod
    def _chosen(pairs: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
        chosen = dict(pair.split("=", 1) for pair in pairs)
        if unknown := set(chosen) - set(defaults):
            raise SystemExit(f"unknown option {', '.join(sorted(unknown))}; there are {', '.join(sorted(defaults))}")
        return {name: type(defaults[name])(text) for name, text in chosen.items()}

    def start(self) -> None:
        """The budget counts from here."""
        self._began = cpu_seconds()

    def spent(self) -> float:
        return cpu_seconds() - self._began

    def step(self) -> None:
        """Count a step. Raises BudgetSpent if it was the last."""
        self.steps += 1
        if self.spent() >= self.budget:
            raise BudgetSpent

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Endless shuffled batches of pictures padded to a multiple of 8, ``(B, C, H, W)`` in [0, 1]."""
        images, order = padded(self.images), np.random.default_rng(self.seed)
        while True:
            rows = order.permutation(len(images))
            for first in range(0, len(rows) - size + 1, size):
                yield as_floats(images[rows[first : first + size]])

    def report(
        self, row: str, draw: Callable[[int], np.ndarray], parameters: int, trained: float,
        settings: str, fitted: float = 0.0,
    ) -> None:  # fmt: skip
        """Draw all samples with ``draw(n) -> (n, H, W, C)`` uint8, and write them and what is known beside them.

        trained, fitted: CPU seconds of training, and of what was fitted after it.
        """
        began = cpu_seconds()
        images = draw(self.samples)
        seconds = cpu_seconds() - began
        wanted = (self.samples, *self.images.shape[1:])
        if images.shape != wanted or images.dtype != np.uint8:
            raise ValueError(f"{row} drew {images.shape} of {images.dtype}, not {wanted} of uint8")
        meta = {
            "row": row, "library": self.library, "version": importlib.metadata.version(self.library),
            "torch": torch.__version__, "parameters": parameters, "steps": self.steps,
            "cpu_seconds": round(trained, 2), "fit_seconds": round(fitted, 2),
            "seconds_1000": round(seconds * 1000 / self.samples, 3), "samples": self.samples,
            "threads": self.threads, "settings": settings,
        }  # fmt: skip
        np.savez_compressed(self.out / f"{row}.npz", images=images)
        (self.out / f"{row}.json").write_text(json.dumps(meta))


def pictures(path: Path) -> np.ndarray:
    """The training pictures, ``(N, H, W, C)`` uint8."""
    images = np.load(path)["train_images"]
    return images[..., None] if images.ndim == 3 else images


def padded(images: np.ndarray, multiple: int = 8) -> np.ndarray:
    """Black borders, the odd pixel below and right, up to the next `multiple` of both sides."""
    gaps = [(-side) % multiple for side in images.shape[1:3]]
    return np.pad(images, [(0, 0), *((gap // 2, gap - gap // 2) for gap in gaps), (0, 0)])


def cropped(images: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Undoes `padded`: the middle, as large as `like`."""
    top, left = ((big - small) // 2 for big, small in zip(images.shape[1:3], like.shape[1:3], strict=True))
    return images[:, top : top + like.shape[1], left : left + like.shape[2]]


def as_floats(images: np.ndarray) -> torch.Tensor:
    """``(N, H, W, C)`` uint8 to ``(N, C, H, W)`` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


def as_pictures(values: torch.Tensor) -> np.ndarray:
    """``(N, C, H, W)`` in [0, 1] to ``(N, H, W, C)`` uint8, rounded; what lies outside is clipped."""
    return (values.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def in_pieces(draw: Callable[[int], torch.Tensor], n: int, size: int = 250) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([draw(min(size, n - first)) for first in range(0, n, size)])


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)
