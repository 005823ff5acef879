"""Pictures of series for a report: fans of all windows, what they remember, and a few windows as they are.

The one constraint: real and synthetic windows are drawn on the same axes, with the limits of the real ones.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sansheng.codecs.base import Records
from sansheng.metrics.series import autocorrelation
from sansheng.report.marks import COLOURS, family_of

BANDS = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_CHANNELS = 6
LINES = 10
MARGIN = 0.08
REAL = "#6b7178"


def fans(name: str, real: Records, made: Records, channels: Sequence[str]) -> bytes:
    """Of each of the first channels three plots, as PNG: bands of quantiles at each step, real ones behind; a few
    windows; and the autocorrelation of all windows."""
    shown = list(channels)[:MOST_CHANNELS]
    figure = Figure(figsize=(8.4, 1.75 * len(shown)), layout="constrained", dpi=100)
    rows = figure.subplots(len(shown), 3, squeeze=False)
    colour = COLOURS.get(family_of(name), "#333333")
    for i, (channel, axes) in enumerate(zip(shown, rows, strict=True)):
        a, b = real.values[:, :, i], made.values[:, :, i]
        low, high = np.nanquantile(a, [0.002, 0.998])
        reach = (low - MARGIN * (high - low), high + MARGIN * (high - low))
        _bands(axes[0], a, REAL, filled=True)
        _bands(axes[0], b, colour, filled=False)
        for window in b[:LINES]:
            axes[1].plot(window, color=colour, linewidth=0.9, alpha=0.7)
        for plot in axes[:2]:
            if reach[1] > reach[0]:
                plot.set_ylim(*reach)
        for windows, tint, style in ((a, REAL, "o-"), (b, colour, "s--")):
            memory = autocorrelation(windows)
            axes[2].plot(np.arange(1, len(memory) + 1), memory, style, color=tint, linewidth=1, markersize=3)
        axes[2].axhline(0, color="#d9dcdf", linewidth=0.8, zorder=0)
        axes[0].set_ylabel(channel, fontsize=8, parse_math=False)
        for plot in axes:
            plot.tick_params(labelsize=6)
            plot.yaxis.get_offset_text().set_fontsize(6)
    for plot, title in zip(rows[0], ("quantiles at each step", f"{LINES} samples", "autocorrelation"), strict=True):
        plot.set_title(title, fontsize=8)
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _bands(axes: Axes, windows: np.ndarray, colour: str, *, filled: bool) -> None:
    quantiles = np.nanquantile(windows, BANDS, axis=0)
    steps = np.arange(windows.shape[1])
    if filled:
        for inner in (0, 1):
            axes.fill_between(steps, quantiles[inner], quantiles[-1 - inner], color=colour, alpha=0.2, linewidth=0)
    for place, line in enumerate(quantiles):
        axes.plot(steps, line, color=colour, linewidth=1.4 if place == len(BANDS) // 2 else 0.7)
