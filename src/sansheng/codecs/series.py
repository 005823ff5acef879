"""Series: windows of L steps of C channels, each a standard normal number, with a mask where there are gaps.

The one constraint: what is generated is a series like those read: prices positive and in order, gaps as gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sansheng.codecs import series_file
from sansheng.codecs.archive import write_npz
from sansheng.codecs.base import Encoded, Records, Source
from sansheng.codecs.labels import Conditions, summarise
from sansheng.codecs.pixels import counted
from sansheng.codecs.series_channels import TYPES, Channel, filled, fit_channels, quartet, raw_of, told_by, values_of
from sansheng.codecs.series_file import from_windows, read
from sansheng.errors import DataError, unknown
from sansheng.space import Space

__all__ = ["OPTIONS", "SeriesCodec", "from_memory", "read"]

OPTIONS = ("window", "entity", "time")
WRITTEN = (".csv", ".npy", ".npz")
LINES = 12
"""Windows drawn over one another in a preview."""
MOST_PLOTS = 6


def from_memory(values: np.ndarray | pd.DataFrame, options: Mapping[str, str]) -> Source:
    """Windows ``(N, L, C)`` or rows in time as a DataFrame, whose index is the time if it is of dates."""
    if isinstance(values, pd.DataFrame):
        return series_file.from_frame(values, options)
    return Source(from_windows(values))


@final
class SeriesCodec:
    """Windows of one length. about: names of the channels, and how files are laid out (`series_file`)."""

    kind = "series"

    def __init__(
        self, channels: list[Channel], length: int, about: Mapping[str, Any], conditions: Conditions,
        description: list[tuple[str, str]],
    ) -> None:  # fmt: skip
        self.channels, self.length, self.about = channels, length, dict(about)
        self.conditions, self.description = conditions, description
        self.space = Space(tuple(slot for channel in channels for slot in channel.slots), (length,))
        self.condition_space = conditions.space
        self.condition_names = conditions.names

    @property
    def names(self) -> list[str]:
        return [channel.name for channel in self.channels]

    @classmethod
    def fit(
        cls, records: Records, *, condition: tuple[str, ...] = (), types: Mapping[str, str] | None = None
    ) -> SeriesCodec:
        """Settle what each channel is, its maps, and the levels of `condition`. types: number or price, by name."""
        values, names = records.values, list(records.about["names"])
        for name, kind in (types or {}).items():
            if name not in names:
                raise unknown("channel", name, names)
            if kind not in TYPES:
                raise unknown("type of a channel", kind, TYPES)
            if kind == "price" and not np.nanmin(values[:, :, names.index(name)]) > 0:
                raise DataError(f"channel {name!r} is no price: it is not always above 0")
        if np.isnan(values).all((0, 1)).any():
            empty = names[int(np.isnan(values).all((0, 1)).argmax())]
            raise DataError(f"channel {empty!r} has no value in the training windows")
        channels = fit_channels(values, names, types or {})
        n, length, _ = values.shape
        description = [
            ("data", f"{n:,} windows of {length} steps, {counted(len(names), 'channel')}"),
            *_described(channels),
            *_order(*quartet(names, values, types or {})),
        ]
        conditions = Conditions.fit(records.labels, condition)
        return cls(channels, length, records.about, conditions, description + summarise(records.labels))

    def encode(self, records: Records) -> Encoded:
        values = np.asarray(records.values)
        if values.shape[1:] != (self.length, len(self.channels)):
            expected = (self.length, len(self.channels))
            raise DataError(f"expected windows of shape {expected} (steps, channels), got {values.shape[1:]}")
        for i, channel in enumerate(self.channels):
            if channel.kind != "number" and (values[:, :, i] <= 0).any():
                raise DataError(
                    f"channel {channel.name!r} is a price in the training windows, and not always above 0 in these: "
                    f"say that it is a number (--type {channel.name}=number)"
                )
        values = self.without_new_gaps(values)
        raw = raw_of(values, self.names, {channel.name: channel.kind for channel in self.channels})
        rows = []
        for i, channel in enumerate(self.channels):
            missing = np.isnan(values[:, :, i])
            rows.append(channel.encode(raw[channel.name], missing).astype(np.float32))
        return Encoded(torch.from_numpy(np.concatenate(rows, axis=1)), self.conditions.encode(records.labels))

    def without_new_gaps(self, values: np.ndarray) -> np.ndarray:
        """Windows ``(N, L, C)``, gaps of channels that had none in training filled with the value before them.

        Raises DataError for a window without any value of such a channel.
        """
        found = values.astype(np.float64)
        for i in [i for i, channel in enumerate(self.channels) if not channel.gaps and np.isnan(values[:, :, i]).any()]:
            found[:, :, i] = filled(values[:, :, i])
            if np.isnan(found[:, :, i]).any():
                raise DataError(
                    f"channel {self.names[i]!r} has no value in a whole window, and had no gaps in the training windows"
                )
        return found

    def known(self, there: np.ndarray, mask: np.ndarray) -> Tensor:
        """Which encoded numbers ``(N, C', L)`` are known where values are `there`, ``(N, L, C)`` bool, and where it is
        known whether they are (`mask`, ``(N, L)``)."""
        told = told_by(there, {channel.name: channel.kind for channel in self.channels})
        rows = []
        for i, channel in enumerate(self.channels):
            rows += channel.known(told[channel.name], there[:, :, i], mask)
        return torch.from_numpy(np.stack(rows, axis=1))

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        self.space.check(x)
        z = x.detach().cpu().double().numpy()
        widths = [sum(slot.width for slot in channel.slots) for channel in self.channels]
        raw, missing = {}, []
        for channel, part in zip(self.channels, np.split(z, np.cumsum(widths)[:-1], axis=1), strict=True):
            raw[channel.name], gone = channel.decode(part)
            missing.append(gone)
        values = np.where(np.stack(missing, axis=2), np.nan, values_of(raw, self.channels))
        return Records(values, self.conditions.decode(condition), self.about)

    def present(self, records: Records) -> np.ndarray | pd.DataFrame:
        """Windows ``(N, L, C)`` where such were given, else rows as the file had them, with a column `series`."""
        return records.values if self.about["layout"] == "array" else self.to_frame(records)

    def to_frame(self, records: Records) -> pd.DataFrame:
        """One row a step, or one row a series where the file was so; labels beside them."""
        n, length, _ = records.values.shape
        if self.about["layout"] == "rows":
            steps = self.about["steps"] if length == self.length else [f"t{i + 1}" for i in range(length)]
            before = {name: records.labels[name] for name in self.about.get("before", ()) if name in records.labels}
            behind = {name: column for name, column in records.labels.items() if name not in before}
            return pd.DataFrame({**before, **dict(zip(steps, records.values[:, :, 0].T, strict=True)), **behind})
        columns: dict[str, Any] = {"series": np.arange(n).repeat(length), "step": np.tile(np.arange(length), n)}
        columns |= {name: np.repeat(column, length) for name, column in records.labels.items()}
        columns |= {name: self.column(name, records.values[:, :, i].ravel()) for i, name in enumerate(self.names)}
        return pd.DataFrame(columns)

    def column(self, name: str, values: np.ndarray) -> np.ndarray:
        """Values of a channel as the table had them: whole numbers where it had only such."""
        if name not in self.about.get("whole", ()) or not np.isfinite(values).all():
            return values
        return np.rint(values).astype(np.int64)

    def write(self, records: Records, path: Path) -> list[Path]:
        """.csv as `to_frame`; .npy windows ``(N, L, C)``, .npz with their labels."""
        suffix = path.suffix.lower()
        if suffix not in WRITTEN:
            raise unknown("suffix for series", suffix or "(none)", WRITTEN)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".csv":
            self.to_frame(records).to_csv(path, index=False)
        elif suffix == ".npz":
            write_npz(path, "data", records.values, records.labels)
        else:
            with path.open("wb") as file:
                np.save(file, records.values, allow_pickle=False)
        return [path]

    def preview(self, records: Records, path: Path) -> Path:
        """The first windows drawn over one another, a plot for each of the first channels, as PNG."""
        target = path.with_name(path.name + ".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        shown = self.names[:MOST_PLOTS]
        columns = min(3, len(shown))
        figure = Figure(figsize=(3 * columns, 2 * -(-len(shown) // columns)), layout="tight")
        plots = figure.subplots(-(-len(shown) // columns), columns, squeeze=False).ravel()
        for axes in plots[len(shown) :]:
            axes.set_axis_off()
        for i, (axes, name) in enumerate(zip(plots, shown, strict=False)):
            for j, window in enumerate(records.values[:LINES, :, i]):
                axes.plot(window, linewidth=0.9, color=f"C{j % 10}", alpha=0.8)
            axes.set_title(name, fontsize=8)
            axes.tick_params(labelsize=6)
        FigureCanvasAgg(figure).print_png(target)
        return target

    def reading(self) -> dict[str, str]:
        """Options that cut other series as these were."""
        return {"window": str(self.length)}

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "length": self.length,
            "about": self.about,
            "channels": [channel.to_json() for channel in self.channels],
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"{i}.{key}": value for i, c in enumerate(self.channels) for key, value in c.arrays().items()}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> SeriesCodec:
        """Restore what `to_json` and `arrays` saved."""
        channels = []
        for i, fields in enumerate(data["channels"]):
            own = {key.removeprefix(f"{i}."): value for key, value in arrays.items() if key.startswith(f"{i}.")}
            channels.append(Channel.from_json(fields, own))
        description = [(name, text) for name, text in data["description"]]
        return cls(channels, data["length"], data["about"], Conditions.from_json(data["conditions"]), description)


def _described(channels: list[Channel]) -> list[tuple[str, str]]:
    said = {
        "number": "numbers, by rank",
        "price": "prices, or what else is positive and drifts: the logarithm of the first, then log-returns",
        "ratio": "prices, beside the close: low ≤ open, close ≤ high",
        "beside": "prices that go with another: their ratio to it",
    }
    found = [(text, [c.name for c in channels if c.kind == kind]) for kind, text in said.items()]
    lines = [("channels", f"{', '.join(names)}: {text}") for text, names in found if names]
    gaps = [channel.name for channel in channels if channel.gaps]
    return [*lines, *([("gaps", f"in {', '.join(gaps)}: missing values come back as missing")] if gaps else [])]


def _order(group: tuple[str, ...], share: float) -> list[tuple[str, str]]:
    """What to know of open, high, low and close where they are not always in order."""
    if not share:
        return []
    where = f"open, high, low and close are not above 0 and in order at {max(share, 0.001):.1%} of the steps"
    return [("order", f"{where}; what is drawn is in order" if group else f"{where}, so they are not kept in order")]
