"""Waves to log-mel or complex spectra and back.

The one constraint: every function here is of a batch of waves of one length ``(N, T)`` at one rate, T a whole number of
hops; windows are Hann's, two hops long, so that a complex spectrum is inverted exactly.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

FLOOR = 1e-3
"""Magnitudes of a mel band below this are silence: much less, and the edge of speech is the largest thing to learn."""
ROUNDS = 32
MOMENTUM = 0.99
LINEAR = 200 / 3
"""[Hz] of a mel below 1 kHz, and of the 27 mels to each factor of 6.4 above (Slaney 1998)."""
BREAK, STEP = 1000.0, math.log(6.4) / 27


def to_mels(hertz: np.ndarray) -> np.ndarray:
    """Slaney's scale of pitch: linear up to 1 kHz, logarithmic above."""
    hertz = np.asarray(hertz, dtype=np.float64)
    return np.where(hertz < BREAK, hertz / LINEAR, BREAK / LINEAR + np.log(np.maximum(hertz, BREAK) / BREAK) / STEP)


def to_hertz(mels: np.ndarray) -> np.ndarray:
    """The inverse of `to_mels`."""
    mels = np.asarray(mels, dtype=np.float64)
    knee = BREAK / LINEAR
    return np.where(mels < knee, mels * LINEAR, BREAK * np.exp(STEP * (np.maximum(mels, knee) - knee)))


def mel_filters(rate: int, window: int, bands: int) -> Tensor:
    """Triangles ``(bands, window / 2 + 1)`` evenly spaced in mels from 0 to rate/2, each of area 1 over its hertz."""
    edges = to_hertz(np.linspace(0.0, float(to_mels(np.array(rate / 2))), bands + 2))
    bins = np.linspace(0.0, rate / 2, window // 2 + 1)
    low, middle, high = (edges[i : i + bands, None] for i in range(3))
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(0)
    return torch.from_numpy(triangles * 2 / (high - low)).float()


def spectrum(waves: Tensor, hop: int) -> Tensor:
    """Complex ``(N, hop + 1, T / hop + 1)``: windows centred on every hop, the ends mirrored."""
    window = torch.hann_window(2 * hop, device=waves.device)
    return torch.stft(waves, 2 * hop, hop, window=window, return_complex=True)


def from_spectrum(spectra: Tensor, hop: int) -> Tensor:
    """The waves ``(N, T)`` whose spectrum is nearest (Griffin & Lim 1984, eq. 6); exact if there are such waves."""
    window = torch.hann_window(2 * hop, device=spectra.device)
    return torch.istft(spectra, 2 * hop, hop, window=window, length=(spectra.shape[2] - 1) * hop)


def log_mel(waves: Tensor, filters: Tensor, hop: int) -> Tensor:
    """log max(magnitude, `FLOOR`) of mel bands, ``(N, bands, T / hop)``: the window on the last edge is left out."""
    magnitude = spectrum(waves, hop)[:, :, :-1].abs()
    return (filters @ magnitude).clamp(min=FLOOR).log()


def from_log_mel(mels: Tensor, filters: Tensor, hop: int, *, rounds: int = ROUNDS) -> Tensor:
    """Waves ``(N, T)`` that sound as ``(N, bands, T / hop)`` say: magnitudes by least squares, phases by Griffin-Lim.

    What is at the floor is silent, or it would hiss.
    """
    bands = torch.where(mels > math.log(FLOOR) + 1e-3, mels.exp(), torch.zeros(()))
    magnitude = (torch.linalg.pinv(filters) @ bands).clamp(min=0)
    return griffin_lim(torch.cat([magnitude, torch.zeros_like(magnitude[:, :, :1])], dim=2), hop, rounds=rounds)


def griffin_lim(magnitude: Tensor, hop: int, *, rounds: int = ROUNDS, momentum: float = MOMENTUM) -> Tensor:
    """Waves ``(N, T)`` with spectra of about this magnitude ``(N, hop + 1, T / hop + 1)`` (fast: Perraudin 2013).

    Phases begin as if every bin held one steady tone of its frequency.
    """
    turn = torch.arange(magnitude.shape[1], device=magnitude.device)[:, None] * math.pi
    steady = turn * torch.arange(magnitude.shape[2], device=magnitude.device)  # a hop is half a window
    guess = torch.polar(magnitude, steady.expand_as(magnitude).to(magnitude.dtype))
    before = guess
    for _ in range(rounds):
        consistent = spectrum(from_spectrum(guess, hop), hop)
        pushed = consistent + momentum * (consistent - before)
        guess, before = magnitude * pushed / pushed.abs().clamp(min=1e-12), consistent
    return from_spectrum(guess, hop)
