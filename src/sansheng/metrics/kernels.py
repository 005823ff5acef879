"""Features of windows of series ``(N, L, C)`` by random convolutions, and a classifier on them.

The one constraint: all is drawn from a seed and settled on training windows, and nothing is learnt of others.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from sklearn.linear_model import RidgeClassifierCV
from torch import Tensor

KERNELS = 256
KERNEL_SIZES = (7, 9, 11)
"""Of the random kernels (Dempster 2020, section 3.1)."""
PARTS, FAINT = 64, 1e-3
"""Principal components, at most; those with less than this share of the variance of the first are not blown up."""
FLAT = 1e-3
"""Of a response in units of its channel, a deviation that counts as none (the mean of windows that were each
standardized): blown up, it would outvote all others once windows are a hair off."""
CHUNK = 2000
RIDGES = np.logspace(-3, 3, 10)


class RandomKernels:
    """Features by convolutions with random kernels of random lengths and dilations, drawn once from a seed: of each the
    largest response, and the share above zero (ROCKET, Dempster 2020), beside the mean and the deviation of every
    channel; then their principal components on `train`.

    labels: of the training windows, which makes it a classifier too (ridge regression of the responses, as published).
    """

    def __init__(
        self, train: Float[np.ndarray, "N L C"], labels: Shaped[np.ndarray, " N"] | None = None, *, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        known = np.nan_to_num(train, nan=0.0)
        self.mean, self.scale = known.mean((0, 1)), np.maximum(known.std((0, 1)), 1e-12)
        length, channels = train.shape[1:]
        self.kernels = [_kernel(rng, length, channels) for _ in range(KERNELS)]
        raw = self._responses(train)
        spread = raw.std(0)
        self.centre, self.spread = raw.mean(0), np.where(spread < FLAT, 1.0, spread)
        covariance = np.cov((raw - self.centre) / self.spread, rowvar=False)
        values, vectors = np.linalg.eigh(covariance)
        best = np.argsort(-values)[: min(PARTS, max(2, len(train) // 4))]
        self.parts = vectors[:, best] / np.sqrt(np.maximum(values[best], FAINT * values.max()))
        self.classes = np.arange(0) if labels is None else np.unique(labels)
        self._ridge = None
        if labels is not None:
            targets = np.searchsorted(self.classes, labels)
            self._ridge = RidgeClassifierCV(RIDGES).fit((raw - self.centre) / self.spread, targets)

    def __call__(self, windows: Float[np.ndarray, "N L C"]) -> Float[np.ndarray, "N F"]:
        """Each part has a standard deviation of about 1 on the training windows."""
        raw = (self._responses(windows) - self.centre) / self.spread
        return (raw @ self.parts).astype(np.float32)

    def predict(self, windows: Float[np.ndarray, "N L C"]) -> Int[np.ndarray, " N"]:
        """Places in `classes`. Raises ValueError without labels."""
        if self._ridge is None:
            raise ValueError("these features were fitted without labels")
        return np.asarray(self._ridge.predict((self._responses(windows) - self.centre) / self.spread))

    def _responses(self, windows: np.ndarray) -> np.ndarray:
        """``(N, 2 · (C + KERNELS))``, a chunk of windows at a time."""
        return np.concatenate([self._some(windows[i : i + CHUNK]) for i in range(0, len(windows), CHUNK)])

    def _some(self, windows: np.ndarray) -> np.ndarray:
        x = torch.from_numpy((np.nan_to_num(windows, nan=0.0) - self.mean) / self.scale).float().transpose(1, 2)
        found = [*x.mean(2).T, *x.std(2).T]
        for weight, bias, dilation, padding in self.kernels:
            response = F.conv1d(x, weight, bias, dilation=dilation, padding=padding).flatten(1)
            found += [response.amax(1), (response > 0).float().mean(1)]
        return torch.stack(found, dim=1).double().numpy()


def _kernel(rng: np.random.Generator, length: int, channels: int) -> tuple[Tensor, Tensor, int, int]:
    size = min(int(rng.choice(KERNEL_SIZES)), length)
    weight = rng.normal(size=(1, channels, size))
    weight[:, rng.random(channels) < (0.5 if channels > 1 else 0)] = 0
    weight -= weight.mean(2, keepdims=True)
    dilation = int(2 ** rng.uniform(0, max(0.0, np.log2((length - 1) / max(1, size - 1)))))
    padding = (size - 1) * dilation // 2 if rng.random() < 0.5 or (size - 1) * dilation >= length else 0
    bias = torch.tensor([rng.uniform(-1, 1)], dtype=torch.float32)
    return torch.from_numpy(weight).float(), bias, dilation, padding
