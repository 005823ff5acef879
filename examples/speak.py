"""A string of digits, said by a voice: a clip for each, drawn and joined into one wav.

This is a demo and not speech synthesis: every digit is drawn on its own, so that nothing flows from word to word, and
the voice, though asked for, may differ a little from digit to digit. The recordings are called {digit}_{speaker}_{...}.

    python examples/speak.py recordings/ 2026 theo 5m     # trains a model for 5 minutes the first time
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

import sansheng

PAUSE, QUIET = 0.08, 0.02  # [s], share of the loudest


def trimmed(wave: np.ndarray) -> np.ndarray:
    """Without the silence at both ends."""
    loud = np.flatnonzero(np.abs(wave) > QUIET * np.abs(wave).max(initial=1e-6))
    return wave[loud[0] : loud[-1] + 1] if len(loud) else wave[:0]


if len(sys.argv) < 4:
    sys.exit(__doc__)
recordings, digits, speaker, budget = (*sys.argv[1:], "5m")[:4]
home = Path("runs/example-speak")
if home.exists():
    run = sansheng.load(home)
else:
    how = {"condition": ("digit", "speaker"), "options": {"mels": 32, "label_pattern": "{digit}_{speaker}_{take}"}}
    run = sansheng.train(recordings, kind="audio", family="gan", budget=budget, out=home, **how)
clips = run.draw(len(digits), where={"digit": list(digits), "speaker": speaker})
rate = clips.about["rate"]
pause = np.zeros(round(PAUSE * rate), np.float32)
said = np.concatenate([part for wave in clips.values for part in (trimmed(wave), pause)])
soundfile.write(f"runs/{digits}.wav", said, rate)
print(f"runs/{digits}.wav: {len(said) / rate:.1f} s")
