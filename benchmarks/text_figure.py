"""A picture of how a flow on the simplex finds its words, for `docs/text.md`.

    sansheng train names.txt --family flow --budget 6m --out runs/names-flow
    python benchmarks/text_figure.py runs/names-flow --out docs/text.png

A column for each position, a row for each look: the likeliest symbol among the candidates that are left, the darker the
surer, "·" for the end of the line.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from sansheng.codecs.text import TextCodec
from sansheng.families.simplex import SimplexFlow
from sansheng.model import Sampling
from sansheng.run import load

END_MARK = "·"


def traced(model: SimplexFlow, n: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(levels ``(steps, n, L)``, their shares of E[x | x_t]) of the likeliest symbols at every look."""
    looks: list[Tensor] = []

    def look(_: Any, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        shares = (logits + model.log_share).masked_fill(inputs[0] <= 0, -torch.inf).softmax(1)
        looks.append(torch.stack([shares.argmax(1).float(), shares.amax(1)]))

    with torch.no_grad():
        handle = model.network.register_forward_hook(look)
        model.sample(n, settings=Sampling(steps=steps), generator=torch.Generator().manual_seed(seed))
        handle.remove()
    levels, shares = torch.stack(looks).numpy().swapaxes(0, 1)
    return levels.astype(int), shares


def draw(axes: plt.Axes, levels: np.ndarray, shares: np.ndarray, alphabet: str, rows: np.ndarray) -> None:
    symbols = np.array([END_MARK, *alphabet])
    axes.imshow(shares[rows], cmap="Greens", vmin=0, vmax=1.6, aspect="auto")
    for y, row in enumerate(rows):
        for x, (level, share) in enumerate(zip(levels[row], shares[row], strict=True)):
            axes.text(x, y, symbols[level], ha="center", va="center", fontsize=11, alpha=0.25 + 0.75 * share)
    axes.set_yticks(range(len(rows)), [str(row + 1) for row in rows])
    axes.set_xticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/text.png"))
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--shown", type=int, default=12, help="positions")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    run = load(args.run)
    if not (isinstance(run.model, SimplexFlow) and isinstance(run.codec, TextCodec) and run.codec.alphabet):
        raise SystemExit(f"{args.run} is no flow on the simplex of characters")
    levels, shares = traced(run.model, 3, args.steps, args.seed)
    rows = np.unique(np.linspace(0, args.steps - 1, 12).round().astype(int))
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for i, axes in enumerate(panels):
        draw(axes, levels[:, i, : args.shown], shares[:, i, : args.shown], run.codec.alphabet, rows)
        if not i:
            axes.set_ylabel("look")
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
