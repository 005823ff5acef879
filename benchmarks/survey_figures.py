"""The figures of ``docs/survey.md`` from what ``benchmarks/survey.py`` found.

python benchmarks/survey_figures.py runs/survey/results.json --out docs
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

COLOURS = {"vae": "#c05a1c", "gan": "#7a4fb5", "diffusion": "#1f77a4", "flow": "#2b8a5b", "real": "#555555"}
LOSS_COLOURS = ("#c05a1c", "#c9a227", "#7f9fbf", "#2b8a5b")


def blur(found: dict[str, Any]) -> Figure:
    """Sharpness by family, and which family finds held-out digits likely against which draws them well."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    families = [name for name in COLOURS if name in found and name != "real"]
    real = found["real"]["sharpness"]
    left.axhspan(real - 1.96 * found["real"]["error"], real + 1.96 * found["real"]["error"], color="0.85")
    left.axhline(real, color=COLOURS["real"], label="held-out digits")
    for place, name in enumerate(families):
        at = found[name]["sharpness"]
        left.errorbar(place, at["value"], yerr=_bar(at), fmt="o", color=COLOURS[name], capsize=4)
    left.set_xticks(range(len(families)), families)
    left.set_ylabel("sharpness [grey levels]")
    left.legend(frameon=False)
    for name in families:
        if "bound" in found[name]:
            x, y = found[name]["bound"], found[name]["frechet"]
            right.errorbar(x["value"], y["value"], xerr=_bar(x), yerr=_bar(y), fmt="o", color=COLOURS[name], capsize=3)
            right.annotate(name, (x["value"], y["value"]), xytext=(6, 6), textcoords="offset points")
    right.set_xlabel("bound on held-out digits [bits/dim], less is likelier")
    right.set_ylabel("Fréchet distance of samples")
    right.set_yscale("log")
    return figure


def _bar(found: dict[str, float]) -> np.ndarray:
    return np.array([[max(0.0, found["value"] - found["low"])], [max(0.0, found["high"] - found["value"])]])


def collapse(found: dict[str, Any]) -> Figure:
    """Modes over training: the mean over seeds, and every seed as a thin line."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    names = [key for key in found if ": " in key]
    sets = list(dict.fromkeys(name.split(": ")[0] for name in names))
    for axes, data in zip(np.atleast_1d(figure.subplots(1, len(sets))), sets, strict=True):
        for colour, name in zip(LOSS_COLOURS, [n for n in names if n.startswith(f"{data}: ")], strict=False):
            runs = found[name]["over_training"]
            count = min(len(run) for run in runs)
            progress = [point["progress"] for point in runs[0][:count]]
            modes = np.array([[point["modes"] for point in run[:count]] for run in runs])
            axes.plot(progress, modes.T, color=colour, alpha=0.2, linewidth=0.7)
            axes.plot(progress, modes.mean(0), color=colour, linewidth=2, label=name.split(": ")[1])
        axes.set_title(data)
        axes.set_xlabel("share of training")
    figure.axes[0].set_ylabel("modes covered")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def cost(found: dict[str, Any]) -> Figure:
    """Distance against evaluations of the network, with the families that need one beside them."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name in (name for name in COLOURS if name in found and name != "real"):
        if "by_evaluations" in found[name]:
            points = found[name]["by_evaluations"]
            x = [int(n) for n in points]
            axes.plot(x, [p["value"] for p in points.values()], marker="o", color=COLOURS[name], label=name)
            axes.fill_between(
                x, [p["low"] for p in points.values()], [p["high"] for p in points.values()], color=COLOURS[name],
                alpha=0.15,
            )  # fmt: skip
        else:
            at = found[name]["frechet"]
            axes.errorbar(1, at["value"], yerr=_bar(at), fmt="s", color=COLOURS[name], capsize=4, label=name)
    axes.set(xscale="log", yscale="log", xlabel="network evaluations a sample", ylabel="Fréchet distance")
    axes.legend(frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    args = parser.parse_args()
    mpl.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}
    results = json.loads(args.results.read_text())
    if "digits" in results:
        blur(results["digits"]).savefig(args.out / "survey-blur.png", dpi=130)
        cost(results["digits"]).savefig(args.out / "survey-cost.png", dpi=130)
    if "collapse" in results:
        collapse(results["collapse"]).savefig(args.out / "survey-collapse.png", dpi=130)


if __name__ == "__main__":
    main()
