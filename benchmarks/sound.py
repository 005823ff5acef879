"""Spoken digits: are conditional recordings named right by a network trained on real ones?

    python benchmarks/sound.py recordings --budget 30m --threads 2
    python benchmarks/sound.py recordings --budget 30m --threads 2 --mels 32 --families vae,flow

The files are called {digit}_{speaker}_{take}.wav; takes 0 to 4 are held out, and no model and no judge sees them. Two
judges, one for digits and one for speakers, are small convolutional networks trained on the log-mel pictures of real
training recordings; they hear what is decoded, turned into pictures again. "representation" is the held-out recordings
turned into what models see and back: the ceiling. Every family draws equally many recordings of every digit and every
speaker. With ``--guidance 1,1.5,2`` diffusion and flow are drawn at several strengths. A line of JSON is added to
``--out`` for every row; ten recordings of each family are written to ``--runs``, and to ``--picture`` their
spectrograms at the first strength.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from cpu import count_cpu_seconds
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import sansheng.run as sansheng
from sansheng import checkpoint
from sansheng.codecs.audio import AudioCodec
from sansheng.codecs.base import Records
from sansheng.data import Data, open_data
from sansheng.metrics.distances import frechet
from sansheng.run import Run

PATTERN = "{digit}_{speaker}_{take}"
HELD_OUT_TAKES = 5
LABELS = ("digit", "speaker")
EACH = 10
"""Recordings of every digit by every speaker."""
TEN = range(0, 60, 6)
"""Of the recordings asked for, those of the ten digits by the first speaker."""
EPOCHS = 20
MOST_SHIFT = 6
"""Frames that a picture is moved in time at most while a judge is trained."""


class Judge:
    """A network of about 130,000 parameters that names one label of log-mel pictures ``(N, bands, frames)``."""

    def __init__(self, pictures: Tensor, labels: np.ndarray, kept: Path, seed: int = 0) -> None:
        """kept: where its weights are, or will be, for the next time."""
        torch.manual_seed(seed)
        self.names, targets = np.unique(labels, return_inverse=True)
        self.network = nn.Sequential(
            nn.Conv2d(1, 32, 5, 2, 2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), *_stage(32, 64),
            nn.MaxPool2d(2), *_stage(64, 96), *_stage(96, 64), nn.AdaptiveAvgPool2d((4, 2)),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, len(self.names)),
        )  # fmt: skip
        if kept.exists():
            self.network.load_state_dict(load_file(kept))
        else:
            self._train(pictures, torch.from_numpy(targets))
            save_file(self.network.state_dict(), kept)
        self.network.eval()

    def _train(self, pictures: Tensor, target: Tensor) -> None:
        n = len(pictures)
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=3e-3, weight_decay=0.02)
        steps = EPOCHS * n // 64
        fall = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
        for _ in range(steps):
            some = torch.randint(n, (64,))
            loss = F.cross_entropy(self.network(_shifted(pictures[some])[:, None]), target[some], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            fall.step()

    @torch.no_grad()
    def names_of(self, pictures: Tensor) -> np.ndarray:
        return self.names[torch.cat([self.network(part[:, None]).argmax(1) for part in pictures.split(256)]).numpy()]

    @torch.no_grad()
    def features(self, pictures: Tensor) -> np.ndarray:
        """``(N, 64)``: the last feature maps, averaged."""
        maps = [self.network[:-4](part[:, None]).mean((2, 3)) for part in pictures.split(256)]
        return torch.cat(maps).numpy()


def _stage(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]


def _shifted(pictures: Tensor) -> Tensor:
    """Each moved in time by a few frames, silence coming in."""
    by = torch.randint(-MOST_SHIFT, MOST_SHIFT + 1, (len(pictures),)).tolist()
    padded = F.pad(pictures, (MOST_SHIFT, MOST_SHIFT), value=-1.0)
    frames = pictures.shape[2]
    return torch.stack([one[:, MOST_SHIFT - b : MOST_SHIFT - b + frames] for one, b in zip(padded, by, strict=True)])


def arranged(recordings: Path, home: Path) -> Path:
    """A folder with the takes of each side in ``train`` and ``test``."""
    for file in sorted(recordings.glob("*.wav")):
        take = int(file.stem.split("_")[-1])
        side = home / ("test" if take < HELD_OUT_TAKES else "train")
        side.mkdir(exist_ok=True)
        shutil.copy(file, side / file.name)
    return home


def as_seen(codec: AudioCodec, records: Records) -> Tensor:
    """Log-mel pictures ``(N, bands, frames)`` in [−1, 1]."""
    return torch.from_numpy(codec.pictures(records.values)[..., 0]).float() / 127.5 - 1


def judged(judges: dict[str, Judge], codec: AudioCodec, records: Records, real: np.ndarray) -> dict[str, Any]:
    """Shares named right, how many names come, and the distance to real training recordings."""
    pictures = as_seen(codec, records)
    result: dict[str, Any] = {"n": len(records)}
    for label, judge in judges.items():
        named = judge.names_of(pictures)
        result[label] = float((named == records.labels[label]).mean())
        result[f"{label}s"] = len(np.unique(named))
    return result | {"frechet": frechet(real, judges["digit"].features(pictures))}


def asked_for(data: Data) -> dict[str, list[Any]]:
    """Every digit by every speaker, `EACH` times."""
    values = [np.unique(data.train_records.labels[name]) for name in LABELS]
    grid = np.meshgrid(*[np.arange(len(v)) for v in values], indexing="ij")
    return {n: v[np.tile(g.ravel(), EACH)].tolist() for n, v, g in zip(LABELS, values, grid, strict=True)}


def places_of(labels: Mapping[str, np.ndarray], asked: dict[str, list[Any]]) -> np.ndarray:
    """Where a recording of each of `TEN` is."""
    fits = [np.logical_and.reduce([labels[name] == asked[name][i] for name in LABELS]) for i in TEN]
    return np.array([np.flatnonzero(fit)[0] for fit in fits])


def drawn(run: Run, asked: dict[str, list[Any]], strength: float) -> tuple[Records, float]:
    """(recordings, seconds)"""
    began = time.perf_counter()
    records = run.draw(len(asked["digit"]), where=asked, guidance=strength)
    return records, time.perf_counter() - began


def spectrograms(codec: AudioCodec, rows: Sequence[Records]) -> Image.Image:
    """One recording beside another, high tones above, twice as large as they are seen by models."""
    seen = [F.pad(as_seen(codec, records).flip(1), (0, 2, 0, 4), value=1.0) for records in rows]
    grid = torch.cat([torch.cat([*pictures], dim=1) for pictures in seen])
    shades = ((grid + 1) * 127.5).byte().numpy()
    return Image.fromarray(shades).resize((2 * shades.shape[1], 2 * shades.shape[0]), Image.Resampling.NEAREST)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--families", default="vae,flow,diffusion,gan")
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--mels", type=int, default=64)
    parser.add_argument("--representation", default="mel")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--guidance", default=[1.0], type=lambda told: [float(s) for s in told.split(",") if s])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--resume", action="store_true", help="judge the runs there are")
    parser.add_argument("--judges", type=Path, default=Path("runs/sound-judges"), help="where they are kept")
    parser.add_argument("--runs", type=Path, default=Path("runs/sound"))
    parser.add_argument("--out", type=Path, default=Path("runs/sound.jsonl"))
    parser.add_argument("--picture", type=Path, help="spectrograms of ten digits, a row each real and of every family")
    return parser.parse_args()


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    for folder in (args.runs, args.judges, args.out.parent):
        folder.mkdir(parents=True, exist_ok=True)
    options = {"label_pattern": PATTERN, "mels": str(args.mels), "representation": args.representation}
    with tempfile.TemporaryDirectory() as home:
        data = open_data(arranged(args.recordings, Path(home)), kind="audio", condition=LABELS, options=options)
    codec = data.codec
    assert isinstance(codec, AudioCodec)
    train = as_seen(codec, data.train_records)
    judges = {
        label: Judge(train, data.train_records.labels[label], args.judges / f"{label}-{args.mels}.safetensors")
        for label in LABELS
    }
    real = judges["digit"].features(train)

    def report(row: str, records: Records, **more: object) -> None:
        result = {"row": row, **vars(args), **more} | judged(judges, codec, records, real)
        line = json.dumps(result, default=str)
        with args.out.open("a") as file:
            file.write(line + "\n")
        told = {k: v for k, v in result.items() if k not in vars(args) or k in ("budget", "mels")}
        print(json.dumps(told, default=str), flush=True)

    held_out, asked = data.test_records, asked_for(data)
    report("held-out", held_out)
    report("representation", Records(codec.decode(codec.encode(held_out).x).values, held_out.labels))
    shown = [held_out.take(places_of(held_out.labels, asked))] if args.picture else []
    for family in args.families.split(","):
        if args.resume:
            run = sansheng.load(args.runs / family)
        else:
            run = sansheng.train(
                data, family=family, budget=args.budget, seed=args.seed, out=args.runs / family, force=True,
                parameters=args.parameters, settings=dict(pair.split("=", 1) for pair in args.set),
            )  # fmt: skip
        steps = checkpoint.entries(run.path / "checkpoint")[0]["step"]
        guided = run.model.quick_sampler is not None
        for place, strength in enumerate(args.guidance if guided else [1.0]):
            records, seconds = drawn(run, asked, strength)
            report(family, records, steps=steps, strength=strength, seconds_1000=1000 * seconds / len(records))
            clips = args.runs / f"{family}-clips"
            shutil.rmtree(clips, ignore_errors=True)
            codec.write(records.take(np.array(TEN)), clips)
            if not place:
                shown.append(records.take(np.array(TEN)))
    if args.picture:
        spectrograms(codec, shown).save(args.picture)


if __name__ == "__main__":
    main()
