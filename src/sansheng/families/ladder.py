"""The ladder VAE: a VAE whose latents stand in a hierarchy, each group's posterior informed by those above it.

See `networks.ladder` for why its code is standard normal all the same, so that bound, sampling and interpolation are
those of any VAE (Sønderby 2016; Child 2021). The prior fitted after training is that of the topmost group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sansheng.families.vae import VAE, Codes
from sansheng.model import Batch, given
from sansheng.networks.ladder import LadderDecoder, LadderEncoder
from sansheng.space import Space


class LadderVAE(VAE):
    """encoder: features of every level; decoder: all latents in a row -> params. Settings as for `VAE`, but `doubly`.

    Raises ValueError for `doubly`: a draw moves the posteriors below it, which its gradient leaves out.
    """

    def __init__(self, space: Space, encoder: LadderEncoder, decoder: LadderDecoder, **settings: object) -> None:
        if settings.get("doubly"):
            raise ValueError("doubly reparameterised gradients are not for a ladder")
        super().__init__(space, encoder, decoder, latent=decoder.latent, **settings)  # pyright: ignore[reportArgumentType]

    def infer(self, batch: Batch, samples: int, generator: torch.Generator, *, doubly: bool = False) -> Codes:
        """As a VAE's; each group is drawn from its posterior given the draws above."""
        return self._descend(batch, samples, generator)

    @torch.no_grad()
    def code(self, batch: Batch) -> Tensor:
        """The mean of each group, given the means above."""
        return self._descend(batch, 1, None).mean

    def encode(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(mean, log variance) of every group, given the means above; `condition` as the networks read it."""
        codes = self._descend(Batch(x, None if condition is None else condition[:, :-1]), 1, None)
        return codes.mean, codes.log_variance

    def _descend(self, batch: Batch, samples: int, generator: torch.Generator | None) -> Codes:
        """Codes drawn with `generator`, or their means without one."""
        encoder, decoder = self.bound["encoder"], self.bound["decoder"]
        assert isinstance(encoder, LadderEncoder)
        assert isinstance(decoder, LadderDecoder)
        condition = given(batch.condition)
        features = encoder(batch.x, None, condition)
        n = samples * len(batch)
        repeated = None if condition is None else condition.repeat(samples, 1)
        context = decoder.context(None, repeated, n)
        drawn: list[tuple[Tensor, ...]] = []

        def choose(i: int, h: Tensor) -> Tensor:
            below = features[decoder.levels[i]]
            found = decoder.groups[i].infer(h, below.repeat(samples, *[1] * (below.ndim - 1)), context)  # pyright: ignore
            mean, log_variance = found[0].float(), found[1].float().clamp(-14, 6)
            noise = torch.zeros_like(mean)
            if generator is not None:
                noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            z = mean + noise * (0.5 * log_variance).exp()
            drawn.append((z, mean, log_variance, noise))
            return z

        params = decoder.walk(n, choose, context).float()
        rows = (torch.cat([part.flatten(1) for part in column], dim=1) for column in zip(*drawn, strict=True))
        z, mean, log_variance, noise = rows
        return Codes(z, mean, log_variance, noise, params)
