"""Sounds on demand: train a flow on recordings with labels, then ask for some of each label and write them as wav.

python examples/sound.py                 # made-up whistles that rise, fall or waver
python examples/sound.py recordings/     # a folder with a sub-folder of recordings for each label
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

import sansheng

RATE = 8000  # [Hz]


def whistles(folder: Path, n: int = 60) -> Path:
    """A folder of `n` whistles of each shape, no two alike."""
    rng, time = np.random.default_rng(0), np.arange(RATE) / RATE
    for shape in ("falls", "rises", "wavers"):
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            bend = {"falls": -time, "rises": time, "wavers": 0.3 * np.sin(2 * np.pi * 6 * time)}[shape]
            pitch = rng.uniform(500, 900) * 2 ** (bend * rng.uniform(0.8, 1.2))  # [Hz]
            wave = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(RATE)
            soundfile.write(folder / shape / f"{i}.wav", 0.5 * wave, RATE)
    return folder


home = Path("runs/example-sound")
data = Path(sys.argv[1]) if len(sys.argv) > 1 else whistles(Path("runs/whistles"))
run = sansheng.train(
    data, kind="audio", family="flow", condition="label", budget="60s", options={"mels": "32"}, out=home, force=True
)
for label in sorted(folder.name for folder in data.iterdir() if folder.is_dir()):
    (path,) = run.codec.write(run.draw(4, where={"label": label}), home / f"{label}.wav")
    print(path)
