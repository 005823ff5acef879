"""Networks in three roles, chosen by the geometry of the space and never by what the data is.

No positions: an MLP. One or two axes: convolutions, but for a few numbers, which an MLP sees whole (where it denoises
several channels, it has a small network for each step beside it); on two axes a denoiser has convolutions even so.
Symbols in a row: a denoiser has convolutions at full length, and attention where the row is long.
Every role is called as ``network(x, t, condition)`` and reads only what it was built for; `condition` has the channels
of the condition's space and one more that says whether it is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from sansheng.networks.conv import ConvDecoder, ConvDenoiser, ConvEncoder
from sansheng.networks.ladder import LadderDecoder, LadderEncoder
from sansheng.networks.line import LineDenoiser
from sansheng.networks.mlp import ResidualMLP
from sansheng.networks.transformer import TransformerDecoder, TransformerEncoder
from sansheng.space import Space

FOURIER_LIMIT = 64
WIDTHS = (*range(2, 32, 2), *range(32, 64, 4), *range(64, 4097, 8))
GRID_WIDTHS = (*range(2, 16, 2), *range(16, 64, 4), *range(64, 4097, 8))
"""Widths to choose from: fine steps where one step changes much, even ones where the hardware likes them, which is
sooner where there are convolutions."""
TINY = 512
SHORT = 2048
"""Channels times positions up to which an MLP sees a datum whole: `TINY` for numbers, where an encoder and decoder then
learn as well as with convolutions, in a tenth of the time, and `SHORT` for symbols."""


def _fourier(space: Space) -> Tensor | None:
    """Channels of numbers that get Fourier features: all of them, unless there are too many or they are a picture's."""
    return space.real_channels if not space.positions and len(space.real_channels) <= FOURIER_LIMIT else None


def sees_whole(space: Space) -> bool:
    """Whether a datum with positions is small enough for an MLP."""
    return math.prod(space.shape) <= (SHORT if space.symbolic else TINY)


def widths_for(space: Space) -> Sequence[int]:
    """Widths that networks on this space may have, in rising order."""
    return GRID_WIDTHS if space.positions and not space.symbolic else WIDTHS


def _convolutional(space: Space) -> bool:
    return bool(space.positions) and not sees_whole(space)


def _need_line(space: Space) -> None:
    if not space.symbolic or len(space.positions) != 1:
        raise ValueError("transformer is for lines of symbols: text")


def encoder(
    space: Space,
    out: int,
    *,
    width: int,
    condition: int = 0,
    norm: bool = True,
    dense: bool = False,
    transformer: bool = False,
) -> nn.Module:
    """``x: (B, C, *P)`` -> ``(B, out)``; a critic is an encoder without normalisation.

    dense: an MLP, whatever x is. transformer: one, for symbols in a row. Raises ValueError where x is something else.
    """
    if transformer:
        _need_line(space)
        return TransformerEncoder(space.channels, space.positions[0], out, width=width, condition=condition)
    if _convolutional(space) and not dense:
        return ConvEncoder(space.channels, space.positions, out, width=width, condition=condition, norm=norm)
    return ResidualMLP(space.shape, (out,), width=width, condition=condition, fourier=_fourier(space), norm=norm)


def decoder(
    space: Space,
    latent: int,
    *,
    width: int,
    condition: int = 0,
    norm: bool = True,
    dense: bool = False,
    transformer: bool = False,
) -> nn.Module:
    """``z: (B, latent)`` -> parameters ``(B, C, *P)``; dense and transformer as for `encoder`."""
    if transformer:
        _need_line(space)
        return TransformerDecoder(latent, space.channels, space.positions[0], width=width, condition=condition)
    if _convolutional(space) and not dense:
        return ConvDecoder(latent, space.channels, space.positions, width=width, condition=condition, norm=norm)
    return ResidualMLP((latent,), space.shape, width=width, condition=condition, norm=norm)


def ladder(
    space: Space, out: int, *, width: int, condition: int = 0, dense: bool = False
) -> tuple[LadderEncoder, LadderDecoder]:
    """Both halves of a ladder, the second one to `out` channels. dense: of vectors alone.

    Raises ValueError for data without positions.
    """
    if not space.positions:
        raise ValueError("a ladder is for data with positions: pictures, series and lines")
    return (
        LadderEncoder(space.channels, space.positions, width=width, condition=condition, dense=dense),
        LadderDecoder(out, space.positions, width=width, condition=condition, dense=dense),
    )


def denoiser(space: Space, *, width: int, condition: int = 0, told: bool = False, cells: int = 0) -> nn.Module:
    """``x_t: (B, C, *P)``, ``c_noise: (B,)`` -> ``(B, C, *P)``, starting at zero.

    told: x_t is followed by as many channels that say which values of it are known. cells: pixels along a side of the
    cells that convolutions work on, 0 for as many as suit the size. Raises ValueError for rows and text that are told,
    and for cells of what is no picture.
    """
    if told and (space.symbolic or not space.positions):
        raise ValueError("known_share is for numbers with positions; gaps of tables and of text are filled without")
    if cells and len(space.positions) != 2:
        raise ValueError("cells are for pictures")
    channels = space.channels * (2 if told else 1)
    if not space.positions or (len(space.positions) == 1 and not space.symbolic and sees_whole(space)):
        return ResidualMLP(
            (channels, *space.positions),
            space.shape,
            width=width,
            condition=condition,
            timed=True,
            fourier=_fourier(space),
            zero_output=True,
            spans=bool(space.positions) and space.channels == 1,
            steps=bool(space.positions) and space.channels > 1,
        )
    if space.symbolic and len(space.positions) == 1:
        return LineDenoiser(channels, space.positions[0], width=width, condition=condition)
    return ConvDenoiser(channels, space.positions, out=space.channels, width=width, condition=condition, cells=cells)
