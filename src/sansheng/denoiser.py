"""A network and a path as one function D(u_t, t) = E[u | u_t], and the loss that teaches it.

Diffusion, flow matching and the prior a VAE is given after training are this, with different paths and noise. The one
constraint: everything happens in the coordinates u = (x − μ) · g, measured on training data, in which numbers have mean
0 and standard deviation 1 and symbols stand `SYMBOL_SCALE` times further apart than one-hot vectors do.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sansheng.paths import Path, log_noise
from sansheng.space import Space
from sansheng.told import Told
from sansheng.wiener import Wiener

SYMBOL_SCALE = 3.0
CERTAIN = 100.0
"""The logit of a symbol that is known."""
LOUDEST = 5.0
"""ln(σ/α) above which a network is not told how much more noise there is: training shows it next to none of that, and
what it makes of a number it has never seen is not the mean of the data, which is all there is to say."""


class Coordinates(nn.Module):
    """u = (x − centre) · gain per channel, and `spread`, the standard deviation of u, equal within a slot."""

    centre: Tensor
    gain: Tensor
    spread: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__()
        shape = (space.channels, *[1] * len(space.positions))
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("gain", torch.ones(shape))
        self.register_buffer("spread", torch.ones(shape))

    def measure(self, space: Space, x: Float[Tensor, "N C *P"]) -> None:
        """Set the coordinates from training data (any number of rows will do)."""
        x = filled(x, space, torch.Generator(x.device).manual_seed(0))
        axes = (0, *range(2, x.ndim))
        centre, variance = x.mean(axes), x.var(axes, unbiased=False)
        for slot, start in zip(space.slots, space.offsets, strict=True):
            span = slice(start, start + slot.width)
            deviation = variance[span].mean().sqrt().clamp_min(1e-4)
            real = bool(space.is_real[start])
            gain = 1 / deviation if real else torch.tensor(SYMBOL_SCALE)
            self.centre[span] = centre[span].view(-1, *self.centre.shape[1:])
            self.gain[span] = gain
            self.spread[span] = (deviation * gain).clamp_min(0.05)

    def embed(self, x: Tensor) -> Tensor:
        return (x - self.centre) * self.gain

    def restore(self, u: Tensor) -> Tensor:
        return u / self.gain + self.centre


def filled(x: Float[Tensor, "B C *P"], space: Space, generator: torch.Generator) -> Float[Tensor, "B C *P"]:
    """x with normal draws in place of numbers that are missing, of the mean and deviation of the batch's others.

    Were they all 0, a number that is decided to be there late in a path would be left near it: of what is missing in a
    third of the rows of support2, 6 to 11 % lay there. The deviation is smaller where fewer than half are there, and 0
    from a quarter on: a 0 then tells more than it misleads.
    """
    blanks = space.blanks(x)
    if blanks is None:
        return x
    axes, there = (0, *range(2, x.ndim)), 1 - blanks
    n = there.sum(axes, keepdim=True).clamp_min(1)
    mean = (x * there).sum(axes, keepdim=True) / n
    deviation = ((x - mean).square() * there).sum(axes, keepdim=True).div(n).sqrt()
    share = n / (x.numel() // x.shape[1])
    drawn = mean + (4 * share - 1).clamp(0, 1) * deviation * torch.randn(x.shape, generator=generator, device=x.device)
    return torch.where(blanks > 0, drawn, x)


class Denoiser(nn.Module):
    """E[u | u_t] from a network F, with the preconditioning of Karras 2022 (table 1) for any path.

    For numbers, D = c_skip u_t + c_out F(c_in u_t, c_noise) with v = α²σ_d² + σ²: c_skip = ασ_d²/v, c_out = σσ_d/√v,
    c_in = 1/√v, c_noise = ¼ ln(σ/α). For symbols, F gives logits and D the embedded mean of their softmax.

    told: F sees ``(B, 2C, *P)``, of which the second half is 1 where a cell is known, and stands clean in the first.
    linear: in place of c_skip u_t stands what all that is seen and told of a channel says (`Wiener`).
    """

    is_real: Tensor

    def __init__(
        self, space: Space, network: nn.Module, path: Path, *, told: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self.observed = space
        self.space = space.with_likelihood("gaussian").always()  # what does not count is learnt as well (`filled`)
        self.network = network
        self.path = path
        self.told = told
        self.coordinates = Coordinates(space)
        self.wiener = Wiener(space) if linear else None
        self.register_buffer("is_real", space.is_real.bool().view(-1, *[1] * len(space.positions)), persistent=False)

    def measure(self, x: Float[Tensor, "N C *P"]) -> None:
        """Set all that is measured from training data (any number of rows will do)."""
        self.coordinates.measure(self.space, x)
        if self.wiener is not None:
            there = filled(x, self.space, torch.Generator(x.device).manual_seed(0))
            self.wiener.measure(self.coordinates.embed(there))

    def params(
        self, u_t: Float[Tensor, "B C *P"], t: Tensor, condition: Tensor | None = None, known: Told | None = None
    ) -> tuple[Float[Tensor, "B C *P"], Tensor]:
        """(means of numbers and logits of symbols, c_out). t: ``()`` or ``(B,)`` in [0, 1]."""
        alpha, sigma = _broadcast(self.path.alpha(t), u_t), _broadcast(self.path.sigma(t), u_t)
        spread = self.coordinates.spread
        total = alpha**2 * spread**2 + sigma**2
        seen = u_t * total.rsqrt()
        if self.told:
            clean = seen if known is None else torch.where(known.mask, known.u / spread, seen)
            mask = torch.zeros_like(seen) if known is None else known.mask.to(seen)
            seen = torch.cat([clean, mask], dim=1)
        level = log_noise(self.path, t).clamp_max(LOUDEST) / 4
        raw = self.network(seen, level, condition).to(u_t.dtype)
        c_out = sigma * spread * total.rsqrt()
        skip = alpha * spread**2 / total * u_t if self.wiener is None else self.wiener(u_t, alpha, sigma, known)
        return torch.where(self.is_real, skip + c_out * raw, raw), c_out

    def forward(self, u_t: Tensor, t: Tensor, condition: Tensor | None = None, known: Told | None = None) -> Tensor:
        """E[u | u_t, what is known]."""
        mean = self.space.mean(self.params(u_t, t, condition, known)[0])
        mean = torch.where(self.is_real, mean, self.coordinates.embed(mean))
        return mean if known is None else known.keep(mean)

    def loss(
        self,
        x: Float[Tensor, "B C *P"],
        t: Float[Tensor, " B"],
        z: Tensor,
        condition: Tensor | None = None,
        mask: Bool[Tensor, "B C *P"] | None = None,
        first: int | None = None,
    ) -> Float[Tensor, " B"]:
        """Nats per dimension. For numbers Karras' weighted square: the Gaussian nll at standard deviation c_out.

        mask: cells that the network is told; they cost nothing. first: of so many examples at most.
        """
        u = self.coordinates.embed(x)
        u_t = _broadcast(self.path.alpha(t), x) * u + _broadcast(self.path.sigma(t), x) * z
        known = None if mask is None else Told(u, mask, first, blanks=self.observed.blanks(x))
        params, c_out = self.params(u_t, t, condition, known)
        if mask is not None:
            params = torch.where(mask, torch.where(self.is_real, u, CERTAIN * x), params)
        miss = self.space.nll(
            torch.where(self.is_real, (params - u) / c_out.clamp_min(1e-4), params),
            torch.where(self.is_real, torch.zeros_like(x), x),
        )
        return miss / self.space.size


class NoisePredictor(nn.Module):
    """E[u | u_t] from a network that predicts the noise, ε_θ(u_t, t): D = (u_t − σ ε_θ)/α (Ho 2020, eq. 12-14).

    Symbols are treated as the numbers of their one-hot vectors. This is the survey's diffusion model; `Denoiser` is
    better conditioned.
    """

    def __init__(self, space: Space, network: nn.Module, path: Path) -> None:
        super().__init__()
        self.space, self.network, self.path = space, network, path
        self.coordinates = Coordinates(space)

    def measure(self, x: Float[Tensor, "N C *P"]) -> None:
        self.coordinates.measure(self.space, x)

    def forward(self, u_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """E[u | u_t]."""
        noise = self.network(u_t, t, condition).to(u_t.dtype)
        return (u_t - _broadcast(self.path.sigma(t), u_t) * noise) / _broadcast(self.path.alpha(t), u_t)

    def loss(
        self, x: Float[Tensor, "B C *P"], t: Float[Tensor, " B"], z: Tensor, condition: Tensor | None = None
    ) -> Float[Tensor, " B"]:
        """The mean over dimensions of (ε − ε_θ)²."""
        u = self.coordinates.embed(x)
        u_t = _broadcast(self.path.alpha(t), x) * u + _broadcast(self.path.sigma(t), x) * z
        return (z - self.network(u_t, t, condition)).square().flatten(1).mean(1)


def _broadcast(value: Tensor, like: Tensor) -> Tensor:
    """``()`` or ``(B,)`` to a shape that multiplies ``(B, C, *P)``."""
    return value.view(-1, *[1] * (like.ndim - 1))


def stratified_normal(n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """`n` standard normal draws, one from each of n equally likely intervals, in random order: less noise in a loss."""
    return torch.special.ndtri(stratified(n, generator, device).clamp(1e-6, 1 - 1e-6))


def stratified(n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """`n` even draws in [0, 1), one from each of n equal parts, in random order."""
    order = torch.randperm(n, generator=generator, device=device)
    return (order + torch.rand(n, generator=generator, device=device)) / n


def checked_share(share: float, denoiser: Denoiser | NoisePredictor) -> float:
    """A share of examples some cells of which are told. Raises ValueError for one outside [0, 1] or a deaf network."""
    if not 0 <= share <= 1:
        raise ValueError(f"known_share is a share of the examples, in [0, 1], not {share}")
    if share and not (isinstance(denoiser, Denoiser) and denoiser.told):
        raise ValueError("known_share is for networks that can be told cells, which this one cannot")
    return share
