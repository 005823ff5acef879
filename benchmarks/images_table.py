"""The table and the figure of `images.py`, from its lines of results.

The one constraint: rows stand in order of the Frechet distance, whoever they belong to; what failed stands last and
says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = Mapping[str, Any]
SHOWN = 12
"""Samples of each contender in the figure: the first ones, not chosen."""
OURS, PEER = "#1b7f79", "#b0603c"
COLUMNS = (
    ("Frechet distance", "frechet", ".1f"), ("precision", "precision", ".2f"), ("recall", "recall", ".2f"),
    ("density", "density", ".2f"), ("coverage", "coverage", ".2f"), ("1,000 samples [CPU s]", "seconds_1000", ".3g"),
    ("steps", "steps", ",d"), ("parameters", "parameters", ",d"), ("training [CPU s]", "cpu_seconds", ".0f"),
    ("fitted after [CPU s]", "fit_seconds", ".0f"),
)  # fmt: skip


def read(path: Path) -> list[Row]:
    """The rows, real data first, then by Frechet distance, what failed last."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return sorted(rows, key=lambda row: (row["row"] != "real", row.get("frechet", math.inf)))


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown, a line of settings for each contender under it, and what failed."""
    lines = ["| | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        if "failed" not in row:
            lines.append(
                "| " + " | ".join([row["row"], *(_cell(row.get(key), form) for _, key, form in COLUMNS)]) + " |"
            )
    lines += ["", *(_settings(row) for row in rows if "settings" in row)]
    lines += [f"- {row['row']} failed: {row['failed']}" for row in rows if "failed" in row]
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _settings(row: Row) -> str:
    return f"- {row['row']}: {row['library']} {row['version']}, torch {row['torch']}; {row['settings']}"


def draw(rows: Sequence[Row], folder: Path, path: Path) -> None:
    """Frechet distances as bars, and the first samples of each row beside its bar; a file type matplotlib knows."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if "failed" not in row]
    figure = Figure(figsize=(11, 0.6 * len(rows) + 1.2), layout="constrained")
    bars, strips = figure.subplots(1, 2, width_ratios=(2, 3))
    colours = ["#777777" if row["row"] == "real" else OURS if row["library"] == "sansheng" else PEER for row in rows]
    values = [row["frechet"] for row in rows]
    drawn = bars.barh([row["row"] for row in rows], values, color=colours)
    bars.bar_label(drawn, [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in values], padding=3)
    bars.set(xscale="log", xlabel="Frechet distance (lower is better)", xlim=(min(values) / 2, max(values) * 6))
    bars.set_ylim(len(rows) - 0.5, -0.5)  # as tall as the strips beside them, best on top
    strips.imshow(_strips(rows, folder), cmap="gray", aspect="auto", interpolation="nearest")
    strips.set_axis_off()
    strips.set_title("the first pictures of each", fontsize=10)
    figure.savefig(path, dpi=110)


def _strips(rows: Sequence[Row], folder: Path) -> np.ndarray:
    """Rows of pictures under one another, ``(R·H, SHOWN·W)`` or with three channels; white where there are none."""
    given = [np.load(folder / row["pictures"])["images"][:SHOWN] if "pictures" in row else None for row in rows]
    shape = next((pictures.shape[1:] for pictures in given if pictures is not None), (1, 1, 1))
    blank = np.full((SHOWN, *shape), 255, np.uint8)
    whole = np.concatenate([_strip(blank if pictures is None else pictures) for pictures in given])
    return whole[..., 0] if whole.shape[-1] == 1 else whole[..., :3]


def _strip(pictures: np.ndarray) -> np.ndarray:
    """``(N, H, W, C)`` side by side, white where fewer than shown."""
    missing = SHOWN - len(pictures)
    return np.concatenate(list(np.pad(pictures, [(0, missing), (0, 0), (0, 0), (0, 0)], constant_values=255)), axis=1)
