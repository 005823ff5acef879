"""Judges of windows of series ``(N, L, C)``: small recurrent networks that tell real from fake, or what comes next.

The one constraint: real and synthetic windows are treated alike, and scaled by the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

ITERATIONS = 2000
"""Of a judge, in the published protocol (Yoon 2019)."""
BATCH, RATE = 128, 1e-3
TRAINED_ON = 0.8


def min_max(real: Float[np.ndarray, "N L C"], *others: Float[np.ndarray, "M L C"]) -> list[np.ndarray]:
    """Each scaled so that every channel of `real` lies in [0, 1]; gaps become the least value."""
    low = np.nanmin(real, axis=(0, 1))
    span = np.nanmax(real, axis=(0, 1)) - low
    span = np.where(span > 0, span, 1.0)
    return [np.nan_to_num((windows - low) / span) for windows in (real, *others)]


class _Judge(nn.Module):
    """A GRU, and a linear layer of its states."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(channels, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, L)``."""
        return self.head(self.gru(windows)[0]).squeeze(-1)


@dataclass(frozen=True)
class Told:
    """How often a judge was right on windows it was not trained on, and how many these were."""

    accuracy: float
    n: int

    @property
    def score(self) -> float:
        """|accuracy − ½|, as published (Yoon 2019); 0 is best."""
        return abs(self.accuracy - 0.5)


def discriminate(
    real: Float[np.ndarray, "N L C"], fake: Float[np.ndarray, "M L C"], *, seed: int, iterations: int = ITERATIONS,
    hidden: int | None = None, rate: float = RATE,
) -> Told:  # fmt: skip
    """A GRU told real from fake, on as many of each, four fifths of which it learns from (Yoon 2019).

    hidden: units of the GRU; half the channels unless told, as published, which is weak: 24 are a stronger judge.
    Raises ValueError for fewer than 10 windows of either.
    """
    if min(len(real), len(fake)) < 10:
        raise ValueError(f"a judge needs 10 windows of each kind, got {len(real)} and {len(fake)}")
    rng = np.random.default_rng(seed)
    n = min(len(real), len(fake))
    scaled = [windows[rng.permutation(len(windows))[:n]] for windows in min_max(real, fake)]
    cut = round(TRAINED_ON * n)
    train = [torch.from_numpy(windows[:cut]).float() for windows in scaled]
    test = torch.from_numpy(np.concatenate([windows[cut:] for windows in scaled])).float()
    target = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])

    def loss(judge: nn.Module) -> Tensor:
        windows = torch.cat([part[torch.randint(len(part), (BATCH,))] for part in train])
        return F.binary_cross_entropy_with_logits(judge(windows)[:, -1], target)

    judge = _trained(real.shape[2], hidden or max(2, real.shape[2] // 2), loss, iterations, rate, seed)
    with torch.no_grad():
        told = (judge(test)[:, -1] > 0).numpy()
    truth = np.arange(len(test)) < len(test) // 2
    return Told(float((told == truth).mean()), len(test))


def prediction_errors(
    real: Float[np.ndarray, "N L C"],
    fake: Float[np.ndarray, "M L C"],
    *,
    seed: int,
    iterations: int = 5000,
    rate: float = RATE,
) -> Float[np.ndarray, " N"]:
    """Mean absolute error on each real window of a GRU that was trained on fake ones to tell the last channel one step
    ahead from the others (Yoon 2019); of one channel, from itself. In units of the channel scaled to [0, 1].
    """
    scaled_real, scaled_fake = min_max(real, fake)
    inputs = slice(None, -1) if real.shape[2] > 1 else slice(None)
    train, test = (torch.from_numpy(windows).float() for windows in (scaled_fake, scaled_real))

    def loss(judge: nn.Module) -> Tensor:
        some = train[torch.randint(len(train), (BATCH,))]
        return (judge(some[:, :-1, inputs]).sigmoid() - some[:, 1:, -1]).abs().mean()

    judge = _trained(train[:, :, inputs].shape[2], max(2, real.shape[2] // 2), loss, iterations, rate, seed)
    with torch.no_grad():
        return (judge(test[:, :-1, inputs]).sigmoid() - test[:, 1:, -1]).abs().mean(1).double().numpy()


def _trained(
    channels: int, hidden: int, loss: Callable[[nn.Module], Tensor], iterations: int, rate: float, seed: int
) -> nn.Module:
    """A judge after so many steps of Adam."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = _Judge(channels, hidden)
        optimizer = torch.optim.Adam(judge.parameters(), lr=rate)
        for _ in range(iterations):
            value = loss(judge)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return judge
