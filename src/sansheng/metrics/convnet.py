"""The small convolutional network behind image features, and its training.

The one constraint: every random number, the initial weights included, comes from one seeded generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 64
WIDTHS = (16, 32, 64)
BATCH = 128
LEARNING_RATE = 5e-3
WORK = 1.6e11
"""Multiply-adds of all forward passes in training, at most: what decides the steps for large data."""
EPOCHS = 20
"""Passes over the data, at most: what decides the steps for small data."""
FEWEST_STEPS = 150

Draw = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""(positions of some examples, generator) -> (uint8 images, class indices)."""


class ConvNet(nn.Module):
    """uint8 images ``(B, H, W, C)`` -> 64 features -> logits, for any H, W >= 4.

    The first convolution strides so that at most 16 positions a side are left.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, generator: torch.Generator) -> None:
        super().__init__()
        height, width, channels = shape
        self.shape = shape
        strides = (_stride(height), _stride(width))
        kernel = (_kernel(strides[0]), _kernel(strides[1]))
        sides = (height // strides[0], width // strides[1])
        half = (-(-sides[0] // 2), -(-sides[1] // 2))
        self.grid = (min(4, half[0]), min(4, half[1]))
        a, b, c = WIDTHS
        with torch.device("meta"):
            padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
            self.stem = nn.Conv2d(channels, a, kernel, stride=strides, padding=padding)
            self.down = nn.Conv2d(a, b, 3, stride=2, padding=1)
            self.mix = nn.Conv2d(b, c, 3, padding=1)
            self.flat = nn.Linear(c * math.prod(self.grid), FEATURES)
            self.head = nn.Linear(FEATURES, classes)
        self.to_empty(device="cpu")
        self._initialise(generator)
        stem = math.prod(sides) * math.prod(kernel) * channels * a
        self.work = stem + math.prod(half) * 9 * (a * b + b * c) + self.flat.weight.numel()

    def features(self, images: Tensor) -> Tensor:
        """``(B, 64)`` before the last non-linearity."""
        x = images.permute(0, 3, 1, 2).float() / 127.5 - 1
        x = self.stem(x).relu()
        x = self.down(x).relu()
        x = self.mix(x).relu()
        return self.flat(F.adaptive_avg_pool2d(x, self.grid).flatten(1))

    def logits(self, features: Tensor) -> Tensor:
        """``(B, classes)`` of features."""
        return self.head(features.relu())

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Weights ~ N(0, 2 / inputs), biases 0 (He et al. 2015)."""
        for parameter in self.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
            else:
                deviation = math.sqrt(2 / parameter[0].numel())
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)


def train_network(
    shape: tuple[int, int, int], n: int, classes: int, draw: Draw, *, seed: int, max_steps: int | None
) -> ConvNet:
    """A network trained by cross-entropy on batches that `draw` makes of `n` examples."""
    generator = torch.Generator().manual_seed(seed)
    network = ConvNet(shape, classes, generator)
    steps = step_count(n, network.work, max_steps)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2, fused=True)
    order, at = torch.randperm(n, generator=generator), 0
    for step in range(steps):
        if at >= n:
            order, at = torch.randperm(n, generator=generator), 0
        images, targets = draw(order[at : at + BATCH], generator)
        at += BATCH
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * _warm_and_fall(step / steps)
        loss = F.cross_entropy(network.logits(network.features(images)), targets, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def step_count(n: int, work: int, max_steps: int | None) -> int:
    """Steps for `n` examples of `work` multiply-adds each: 20 passes, less if that is too much, but at least 150."""
    examples = min(EPOCHS * n, WORK / work)
    steps = max(FEWEST_STEPS, math.ceil(examples / BATCH))
    return steps if max_steps is None else min(steps, max_steps)


def _warm_and_fall(progress: float) -> float:
    """Up in the first tenth, then down by half a cosine."""
    return progress * 10 + 0.01 if progress < 0.1 else 0.5 + 0.5 * math.cos(math.pi * (progress - 0.1) / 0.9)


def _stride(side: int) -> int:
    """The least power of two that leaves at most 16 positions."""
    return 1 << max(0, math.ceil(math.log2(side / 16)))


def _kernel(stride: int) -> int:
    return 3 if stride == 1 else 2 * stride
