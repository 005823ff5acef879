"""Guidance wraps a denoiser and is a denoiser, so every sampler works with it unchanged."""

from __future__ import annotations

from torch import Tensor

from sansheng.samplers import Denoise


def classifier_free(conditional: Denoise, unconditional: Denoise, scale: float) -> Denoise:
    """D(∅) + w (D(c) − D(∅)) (Ho & Salimans 2022, eq. 6 with w = 1 + their w); w = 1 costs no second evaluation."""
    if scale == 1:
        return conditional

    def guided(x_t: Tensor, t: Tensor) -> Tensor:
        base = unconditional(x_t, t)
        return base + scale * (conditional(x_t, t) - base)

    return guided
