"""Sound: waves of one length to a log-mel picture or a complex spectrum with numbers in [−1, 1], and back.

The one constraint: what is decoded is waves, so that every score and every player is of what can be heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import matplotlib
import numpy as np
import pandas as pd
import soundfile
import torch
from PIL import Image
from torch import Tensor

from sansheng.codecs import audio_file
from sansheng.codecs.archive import write_npz
from sansheng.codecs.audio_file import OPTIONS, PEAK, Layout, from_waves, read
from sansheng.codecs.base import Encoded, Records
from sansheng.codecs.labels import Conditions, summarise
from sansheng.codecs.spectrum import FLOOR, from_log_mel, from_spectrum, log_mel, mel_filters, spectrum
from sansheng.errors import DataError, unknown
from sansheng.space import Real, Space

__all__ = ["OPTIONS", "AudioCodec", "from_waves", "read"]

WRITTEN = ("(none: a folder)", ".wav", ".flac", ".npz", ".npy")
CHUNK = 64
"""Waves turned at a time: more are slower, for they leave the caches."""
COMPRESSION = 0.5
"""Complex values keep their angle and this power of their magnitude, or only what is loud would be learned."""
PAUSE = 0.25
"""[s] between recordings that are joined in one file."""
SHOWN = 64
GAP, ENLARGED = 4, 720


@final
class AudioCodec:
    """Waves of one layout. loudest: the logarithm of the loudest mel band in training, which is 1; silence is −1.

    scale: of complex spectra, by which compressed values are divided.
    """

    kind = "audio"

    def __init__(
        self, layout: Layout, loudest: float, scale: float, conditions: Conditions, description: list[tuple[str, str]]
    ) -> None:
        self.layout, self.loudest, self.scale = layout, loudest, scale
        self.conditions, self.description = conditions, description
        frames = layout.samples // layout.hop
        self.filters = mel_filters(layout.rate, 2 * layout.hop, layout.mels)
        if layout.representation == "mel":
            self.space = Space((Real(1, -1.0, 1.0),), (layout.mels, frames))
        else:
            self.space = Space((Real(2, -1.0, 1.0),), (layout.hop + 1, frames + 1))
        self.condition_space = conditions.space
        self.condition_names = conditions.names

    @classmethod
    def fit(cls, records: Records, *, condition: tuple[str, ...] = ()) -> AudioCodec:
        """Settle how loud the loudest is, and the levels of the labels in `condition`, from the training records."""
        waves = np.asarray(records.values)
        if "rate" not in records.about or waves.ndim != 2 or not len(waves):
            raise DataError("recordings are waves (N, T) with their layout; `codecs.audio.from_waves` makes them")
        layout = Layout(**records.about)
        filters = mel_filters(layout.rate, 2 * layout.hop, layout.mels)
        loudest = max(float(log_mel(part, filters, layout.hop).max()) for part in _parts(waves))
        scale = max(float(spectrum(part, layout.hop).abs().max()) for part in _parts(waves)) ** COMPRESSION
        picture = f"{layout.mels} mel bands" if layout.representation == "mel" else f"complex, {layout.hop + 1} bins"
        n, seconds = len(waves), layout.samples / layout.rate
        description = [
            ("data", f"{n:,} recordings of {seconds:.3f} s at {layout.rate:,} Hz"),
            ("representation", f"{picture} every {1000 * layout.hop / layout.rate:.0f} ms"),
            *summarise(records.labels),
        ]
        return cls(
            layout, max(loudest, math.log(FLOOR) + 1), scale or 1.0, Conditions.fit(records.labels, condition),
            description,
        )  # fmt: skip

    def encode(self, records: Records) -> Encoded:
        """Waves shorter or longer than those trained on are brought to their length by the same rule."""
        waves = np.asarray(records.values)
        if waves.ndim != 2 or records.about.get("rate", self.layout.rate) != self.layout.rate:
            raise DataError(f"expected waves (N, T) at {self.layout.rate} Hz, got {waves.shape}")
        if waves.shape[1] != self.layout.samples:
            waves = np.stack([audio_file.fit_wave(wave, self.layout.samples)[0] for wave in waves])
        turn = self._mels if self.layout.representation == "mel" else self._complex
        x = torch.cat([turn(part) for part in _parts(waves)]) if len(waves) else torch.empty(0, *self.space.shape)
        return Encoded(x, self.conditions.encode(records.labels))

    def _mels(self, waves: Tensor) -> Tensor:
        """``(N, 1, bands, frames)`` in [−1, 1]."""
        quiet = math.log(FLOOR)
        share = (log_mel(waves, self.filters, self.layout.hop) - quiet) / (self.loudest - quiet)
        return share.mul_(2).sub_(1).clamp_(-1, 1)[:, None]

    def _complex(self, waves: Tensor) -> Tensor:
        """``(N, 2, bins, frames + 1)``: real and imaginary parts of what is left of the magnitude."""
        spectra = spectrum(waves, self.layout.hop)
        squeezed = torch.polar(spectra.abs() ** COMPRESSION / self.scale, spectra.angle())
        return torch.view_as_real(squeezed).movedim(3, 1).clamp(-1, 1)

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        """Waves ``(N, T)``: of a mel picture what Griffin-Lim finds, of a complex spectrum its inverse."""
        self.space.check(x)
        turn = self._from_mels if self.layout.representation == "mel" else self._from_complex
        pieces = [turn(part) for part in x.detach().float().cpu().split(CHUNK)]
        waves = torch.cat(pieces).clamp(-1, 1).numpy() if pieces else np.empty((0, self.layout.samples), np.float32)
        return Records(waves, self.conditions.decode(condition), self.layout.to_json())

    def _from_mels(self, x: Tensor) -> Tensor:
        quiet = math.log(FLOOR)
        mels = x[:, 0].clamp(-1, 1).add(1).div(2).mul(self.loudest - quiet).add(quiet)
        waves = from_log_mel(mels, self.filters, self.layout.hop)
        return waves * (PEAK / waves.abs().amax(1, keepdim=True).clamp(min=PEAK))

    def _from_complex(self, x: Tensor) -> Tensor:
        squeezed = torch.view_as_complex(x.movedim(1, 3).contiguous()) * self.scale
        magnitude = squeezed.abs() ** (1 / COMPRESSION)
        return from_spectrum(torch.polar(magnitude, squeezed.angle()), self.layout.hop)

    def pictures(self, values: np.ndarray) -> np.ndarray:
        """Log-mel pictures uint8 ``(N, bands, frames, 1)`` of waves, whatever the representation: what scores see."""
        parts = [self._mels(part).add(1).mul(127.5).round().to(torch.uint8) for part in _parts(values)]
        return torch.cat(parts).movedim(1, 3).contiguous().numpy()

    def present(self, records: Records) -> np.ndarray:
        """Waves ``(N, T)`` in [−1, 1]."""
        return records.values

    def write(self, records: Records, path: Path) -> list[Path]:
        """A path without suffix is a folder of 00000.wav, …, their spectrograms as grid.png and labels in labels.csv;
        .wav and .flac are all of them with pauses between; .npz holds waves, labels and the rate [Hz], .npy
        waves.
        """
        suffix = path.suffix.lower()
        if suffix not in ("", *WRITTEN[1:]):
            raise unknown("suffix for recordings", suffix, WRITTEN)
        if not suffix:
            return self._write_folder(records, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npz":
            write_npz(path, "waves", records.values, records.labels, {"rate": np.array(self.layout.rate)})
        elif suffix == ".npy":
            with path.open("wb") as file:
                np.save(file, records.values, allow_pickle=False)
        else:
            pause = np.zeros((len(records), round(PAUSE * self.layout.rate)), np.float32)
            soundfile.write(path, np.concatenate([records.values, pause], axis=1).ravel(), self.layout.rate)
        return [path]

    def _write_folder(self, records: Records, folder: Path) -> list[Path]:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} exists and is not an empty folder; nothing was written, choose another path")
        folder.mkdir(parents=True, exist_ok=True)
        digits = max(5, len(str(len(records) - 1)))
        paths = [folder / f"{index:0{digits}d}.wav" for index in range(len(records))]
        for path, wave in zip(paths, records.values, strict=True):
            soundfile.write(path, wave, self.layout.rate)
        overview = self.preview(records, folder / "grid")
        if not records.labels:
            return [*paths, overview]
        table = folder / "labels.csv"
        pd.DataFrame({"file": [path.name for path in paths], **records.labels}).to_csv(table, index=False)
        return [*paths, overview, table]

    def preview(self, records: Records, path: Path) -> Path:
        """Spectrograms of at most 64 recordings, low pitch at the bottom, as PNG."""
        target = path.with_name(path.name + ".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.sheet(records.values[:SHOWN])).save(target, format="PNG")
        return target

    def sheet(self, waves: np.ndarray, columns: int | None = None, enlarged: int = ENLARGED) -> np.ndarray:
        """Spectrograms ``(H, W, 3)`` uint8 in rows of `columns`, nearly square unless told, in the colours of magma."""
        shades = self.pictures(waves)[:, ::-1, :, 0]
        coloured = (matplotlib.colormaps["magma"](shades)[..., :3] * 255).astype(np.uint8)
        n, height, width, _ = coloured.shape
        across = columns or max(1, math.ceil(math.sqrt(n * height / width)))
        down = max(1, math.ceil(n / across))
        page = np.full((down * (height + GAP), across * (width + GAP), 3), 255, np.uint8)
        for i, tile in enumerate(coloured):
            top, left = (i // across) * (height + GAP), (i % across) * (width + GAP)
            page[top : top + height, left : left + width] = tile
        times = max(1, round(enlarged / page.shape[1]))
        return page[:-GAP, :-GAP].repeat(times, axis=0).repeat(times, axis=1)

    def reading(self) -> dict[str, str]:
        """Options that lay other recordings out as these were."""
        layout = self.layout
        seconds = (layout.samples - layout.hop / 2) / layout.rate  # the next whole hop is the last
        return {"rate": str(layout.rate), "seconds": str(seconds), "mels": str(layout.mels),
                "representation": layout.representation}  # fmt: skip

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "layout": self.layout.to_json(),
            "loudest": self.loudest,
            "scale": self.scale,
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> AudioCodec:
        """Restore what `to_json` and `arrays` saved."""
        description = [(name, text) for name, text in data["description"]]
        conditions = Conditions.from_json(data["conditions"])
        return cls(Layout(**data["layout"]), data["loudest"], data["scale"], conditions, description)


def _parts(waves: np.ndarray) -> list[Tensor]:
    return list(torch.from_numpy(np.ascontiguousarray(waves, dtype=np.float32)).split(CHUNK))
