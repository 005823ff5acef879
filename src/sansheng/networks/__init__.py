"""Networks in three roles, chosen by the geometry of the space and never by what the data is.

No positions: an MLP. One or two axes: convolutions. The denoiser of symbols in a row: a transformer. Every role is
called as ``network(x, t, condition)`` and reads only what it was built for; `condition` has the channels of the
condition's space and one more that says whether it is given.
"""

from __future__ import annotations

from torch import nn

from sansheng.networks.conv import ConvDecoder, ConvDenoiser, ConvEncoder
from sansheng.networks.mlp import ResidualMLP
from sansheng.networks.transformer import TransformerDenoiser
from sansheng.space import Space

FOURIER_LIMIT = 64
WIDTH_STEP = 4


def _fourier(space: Space):
    """Channels of numbers that get Fourier features: all of them, unless there are too many."""
    return space.real_channels if len(space.real_channels) <= FOURIER_LIMIT else None


def encoder(space: Space, out: int, *, width: int, condition: int = 0, norm: bool = True) -> nn.Module:
    """``x: (B, C, *P)`` -> ``(B, out)``; a critic is an encoder without normalisation."""
    if space.positions:
        return ConvEncoder(space.channels, space.positions, out, width=width, condition=condition)
    return ResidualMLP(space.shape, (out,), width=width, condition=condition, fourier=_fourier(space), norm=norm)


def decoder(space: Space, latent: int, *, width: int, condition: int = 0, norm: bool = True) -> nn.Module:
    """``z: (B, latent)`` -> parameters ``(B, C, *P)``."""
    if space.positions:
        return ConvDecoder(latent, space.channels, space.positions, width=width, condition=condition)
    return ResidualMLP((latent,), space.shape, width=width, condition=condition, norm=norm)


def denoiser(space: Space, *, width: int, condition: int = 0) -> nn.Module:
    """``x_t: (B, C, *P)``, ``c_noise: (B,)`` -> ``(B, C, *P)``, starting at zero."""
    if not space.positions:
        return ResidualMLP(
            space.shape,
            space.shape,
            width=width,
            condition=condition,
            timed=True,
            fourier=_fourier(space),
            zero_output=True,
        )
    if space.symbolic and len(space.positions) == 1:
        return TransformerDenoiser(space.channels, space.positions[0], width=width, condition=condition)
    return ConvDenoiser(space.channels, space.positions, width=width, condition=condition)
