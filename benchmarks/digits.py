"""Digits: the Fréchet distance of each model's samples, in units of the distance between two halves of the real data.

    python benchmarks/digits.py [--budget 60s] [--presets survey default] [--families vae gan diffusion flow]

Features are those of a small network trained to name the labels of the training split. All 1,797 digits are cut in
two halves at random; samples, as many as a half holds, are compared with one half, and so is the other half.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import sansheng.run
from sansheng.data import open_data
from sansheng.metrics.distances import frechet
from sansheng.presets import has_preset
from sansheng.score import fit_scorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--presets", nargs="+", default=["survey", "default"])
    parser.add_argument("--families", nargs="+", default=["vae", "gan", "diffusion", "flow"])
    parser.add_argument("--runs", nargs="*", help="score these runs instead of training")
    asked = parser.parse_args()
    data = open_data("digits")
    scorer = fit_scorer(data, seed=0)
    everything = np.concatenate([scorer.train, scorer.held_out])
    order = np.random.default_rng(0).permutation(len(everything))
    half = len(everything) // 2
    one, other = everything[order[:half]], everything[order[half : 2 * half]]
    floor = frechet(one, other)
    print(json.dumps({"row": "two halves", "frechet": round(floor, 3), "n": half}), flush=True)

    def tell(name: str, run: sansheng.run.Run) -> None:
        distance = frechet(one, scorer.features(run.draw(half).values))
        print(json.dumps({"row": name, "frechet": round(distance, 3), "ratio": round(distance / floor, 2)}), flush=True)

    for path in asked.runs or ():
        tell(path, sansheng.run.load(path))
    for preset in () if asked.runs else asked.presets:
        for family in (family for family in asked.families if has_preset(family, preset)):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                how = {"family": family, "preset": preset, "budget": asked.budget}
                tell(f"{family} ({preset})", sansheng.run.train(data, **how, out=out, previews=False))


if __name__ == "__main__":
    main()
