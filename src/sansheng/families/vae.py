"""The VAE: encode data to a distribution over a few latent numbers, decode draws from it, and bound log p(x).

Trained on the evidence lower bound, or on the tighter importance-weighted one (Burda 2015); the scale of the likelihood
is learned (Rybkin 2021). At the end of the budget a small flow is fitted to the codes the encoder uses, because they
are never quite the N(0, I) the bound assumes: the cheapest gain a VAE has (Dai & Wipf 2019; Ghosh 2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sansheng.budget import ramp
from sansheng.denoiser import Denoiser, stratified_normal
from sansheng.drawing import draw
from sansheng.logistic import LogisticMixture
from sansheng.model import (
    DEFAULT_SAMPLING,
    Batch,
    GenerativeModel,
    Progress,
    Sampling,
    Turn,
    given,
    output_bias,
    refuse_steps,
    sample_codes,
)
from sansheng.paths import sampling_times
from sansheng.samplers import evaluations
from sansheng.space import Space
from sansheng.within import Proposals

PRIOR_SAMPLER, PRIOR_STEPS = "adams", 10
ACTIVE = 0.01
"""A latent whose posterior mean varies by more than this over data is in use (Burda 2015, section 5.2)."""
COLLAPSED = 0.05
"""KL [nats] below which a code carries nothing."""
AT_ONCE = 40_000_000
"""Numbers that are decoded at once for a bound: of a hundred texts in 4,000 pieces of words all of 50 codes would take
over 20 GB."""


class Codes(NamedTuple):
    """Draws z = mean + noise · exp(½ log_variance), ``(B, D)``, and what they decode to, ``(B, K, *P)``."""

    z: Tensor
    mean: Tensor
    log_variance: Tensor
    noise: Tensor
    params: Tensor


class VAE(GenerativeModel):
    """encoder: ``(x, -, condition) -> (B, 2·latent)`` mean and log-variance; decoder: ``(z, -, condition) -> params``.

    beta: weight of KL(q ‖ N(0, I)), warmed up over the first `warm_up` of the budget. samples: importance samples of
    the objective (1 is the ELBO), from the share `samples_from` of its training on: many steps on the cheap bound, then
    some on the tight one. doubly: its gradient is reparameterised twice, which keeps the encoder learning as samples
    grow (Tucker 2019). binarise: numbers of a Bernoulli likelihood are drawn as black or white in each step.
    prior: a denoiser on the latent space, or None to sample z ~ N(0, I); fitted in the last `prior_share` of the budget
    at times with logit(t) ~ N(mean, sd²), `prior_times`, and drawn from in `prior_steps`. scale_rate: how much faster
    than other parameters the logarithm of the scale learns. free_bits: nats of KL that each latent has for nothing, on
    average over a batch (Kingma 2016, eq. 15), so that it is worth using. word_dropout: share of positions the encoder
    does not see in training, so that codes say what the whole is like. draw_numbers: draw numbers from p(x | z) rather
    than take their mean. observed: what the decoder's parameters mean, where it is not `space` itself.
    """

    log_scale: nn.Parameter

    def __init__(
        self,
        space: Space,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        latent: int,
        prior: Denoiser | None = None,
        condition_space: Space | None = None,
        beta: float = 1.0,
        warm_up: float = 0.1,
        samples: int = 1,
        samples_from: float = 0.0,
        doubly: bool = False,
        binarise: bool = False,
        learn_scale: bool = True,
        draw_numbers: bool = True,
        prior_share: float = 0.25,
        prior_times: tuple[float, float] = (0.0, 1.2),
        prior_steps: int = PRIOR_STEPS,
        scale_rate: float = 1.0,
        free_bits: float = 0.0,
        word_dropout: float = 0.0,
        learning_rate: float = 1e-3,
        constant: bool = False,
        observed: LogisticMixture | None = None,
    ) -> None:
        super().__init__()
        if doubly and samples < 2:
            raise ValueError("doubly reparameterised gradients are for an objective of 2 or more samples")
        if not 0 <= samples_from <= 1:
            raise ValueError(f"samples_from is a share of training, in [0, 1], not {samples_from}")
        if samples_from and samples < 2:
            raise ValueError("samples_from says from when on several samples are drawn: set samples, 2 or more, too")
        if binarise and not space.binary:
            raise ValueError("only numbers with a Bernoulli likelihood can be made black or white")
        if free_bits < 0 or (free_bits and samples > 1):
            raise ValueError(f"free_bits are nats from 0 on, for samples=1, not {free_bits}: set one of them")
        if not 0 <= word_dropout < 1 or (word_dropout and not space.positions):
            raise ValueError(f"word_dropout is a share of positions, in [0, 1), not {word_dropout}")
        self.space, self.condition_space, self.latent = space, condition_space, latent
        self.observed = observed or space
        self.free_bits, self.word_dropout = free_bits, word_dropout
        self.prior, self.doubly, self.binarise = prior, doubly, binarise
        self.beta, self.warm_up, self.samples, self.draw_numbers = beta, warm_up, samples, draw_numbers
        self.samples_from = samples_from
        self.prior_times, self.prior_steps, self.scale_rate = prior_times, prior_steps, scale_rate
        self.prior_share, self.learning_rate, self.constant = prior_share, learning_rate, constant
        self.bound = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        learn_scale = learn_scale and observed is None
        self.log_scale = nn.Parameter(torch.zeros(space.channels, *[1] * len(space.positions)), learn_scale)
        self.bound.register_parameter("log_scale", self.log_scale)

    def logit_bias(self) -> Tensor | None:
        return None if self.observed is not self.space else output_bias(self.bound["decoder"])

    def turns(self) -> dict[str, Turn]:
        stop = 1.0 if self.prior is None else 1 - self.prior_share
        turns = {
            "bound": Turn(self.bound, self.loss, learning_rate=self.learning_rate, constant=self.constant, stop=stop)
        }
        if self.prior is not None:
            turns["prior"] = Turn(self.prior, self.prior_loss, learning_rate=1e-3, weight_decay=0.01, start=stop)
        return turns

    def symptoms(self, values: Mapping[str, float], progress: float) -> list[str]:
        """KL near zero after warm-up: the decoder does without the latents (Bowman 2016)."""
        if progress > 2 * self.warm_up and values.get("bound/kl", 1.0) < COLLAPSED:
            return ["posterior collapse: the code carries nothing; --set beta=0.3 or a longer --set warm_up=0.5"]
        return []

    @torch.no_grad()
    def examine(self, batch: Batch, generator: torch.Generator) -> list[str]:
        """Latents in use, those with A = Var_x(E_q[z]) > `ACTIVE`."""
        mean, _ = self.encode(batch.x, given(batch.condition))
        active = int((mean.var(0, correction=0) > ACTIVE).sum()) if len(mean) > 1 else self.latent
        if active == 0:
            return [f"posterior collapse: none of {self.latent} latents is used; --set beta=0.3"]
        return []

    # -- the bound -----------------------------------------------------------------------------------------

    def encode(
        self, x: Float[Tensor, "B C *P"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """(mean, log variance) of q(z | x); `condition` as the networks read it."""
        mean, log_variance = self.bound["encoder"](x, None, condition).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-14, 6)

    def decode(self, z: Float[Tensor, "B D"], condition: Tensor | None = None) -> Float[Tensor, "B C *P"]:
        """Parameters of p(x | z)."""
        return self.bound["decoder"](z, None, condition).float()

    @property
    def fitted(self) -> int:
        """How many of the latents, the first ones, the prior is fitted to."""
        return self.latent if self.prior is None else self.prior.space.channels

    @property
    def scale(self) -> Tensor:
        """Standard deviation of p(x | z) per channel."""
        return (self.scale_rate * self.log_scale).clamp(-6, 3).exp()

    def loss(self, batch: Batch, progress: Progress, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """−bound per dimension [nats], with KL weighted by beta during and after warm-up."""
        weight = self.beta * ramp(progress, self.warm_up)
        if self.binarise:
            batch = Batch(self.space.flip(batch.x, generator=generator), batch.condition)
        if self.samples > 1 and progress >= self.samples_from:
            log_weights, kl, nll = self._log_weights(batch, self.samples, weight, generator, doubly=self.doubly)
            bound = (torch.logsumexp(log_weights, 0) - math.log(self.samples)).mean()
            return -bound / self.space.size, {"kl": kl.mean(), "nll": nll.mean(), "scale": self.scale.mean()}
        codes = self.infer(batch, 1, generator, unseen=self.word_dropout)
        each, nll = self._kl(codes).mean(0), self.observed.nll(codes.params, batch.x, self.scale).mean()
        logged = {"kl": each.sum(), "nll": nll, "scale": self.scale.mean()}
        logged["active"] = (codes.mean.var(0, correction=0) > ACTIVE).sum().float()
        return (nll + weight * each.clamp(min=self.free_bits).sum()) / self.space.size, logged

    @staticmethod
    def _kl(codes: Codes) -> Float[Tensor, "B D"]:
        """KL(q ‖ N(0, 1)) of every latent."""
        return 0.5 * (codes.log_variance.exp() + codes.mean.square() - 1 - codes.log_variance)

    def _log_weights(
        self, batch: Batch, samples: int, weight: Progress, generator: torch.Generator, *, doubly: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(log p(x | z) − weight · log q(z | x)/p(z) for each sample and example, KL, nll of the first sample)."""
        codes = self.infer(batch, samples, generator, doubly=doubly)
        kl = self._kl(codes).sum(1)
        x = batch.x.repeat(samples, *[1] * (batch.x.ndim - 1))
        z, nll = codes.z, self.observed.nll(codes.params, x, self.scale)
        # log q(z | x) − log p(z)
        log_ratio = 0.5 * (z.square() - codes.noise.square() - codes.log_variance).sum(1)
        log_weights = (-nll - weight * log_ratio).view(samples, -1)
        if doubly and z.requires_grad:  # weights enter the encoder's gradient squared (Tucker 2019, eq. 8)
            shares = log_weights.detach().softmax(0).view(-1, 1)
            z.register_hook(lambda gradient: shares * gradient)
        return log_weights, kl.view(samples, -1)[0], nll.view(samples, -1)[0]

    def infer(
        self, batch: Batch, samples: int, generator: torch.Generator, *, doubly: bool = False, unseen: float = 0.0
    ) -> Codes:
        """`samples` draws of q(z | x) for each example, and what they decode to: rows of all examples, again and again.

        doubly: what is left of the gradient of log q is that through z. unseen: the share of positions left out of x.
        """
        condition = given(batch.condition)
        seen = self._seen(batch.x, unseen, generator)
        mean, log_variance = (part.repeat(samples, 1) for part in self.encode(seen, condition))
        repeated = None if condition is None else condition.repeat(samples, 1)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        params = self.decode(z, repeated)
        if doubly:
            noise, log_variance = (z - mean.detach()) * (-0.5 * log_variance.detach()).exp(), log_variance.detach()
        return Codes(z, mean, log_variance, noise, params)

    @staticmethod
    def _seen(x: Tensor, unseen: float, generator: torch.Generator) -> Tensor:
        """x with a share of its positions set to zero."""
        if not unseen:
            return x
        kept = torch.rand((len(x), 1, *x.shape[2:]), generator=generator, device=x.device) >= unseen
        return x * kept

    @torch.no_grad()
    def log_likelihood(self, batch: Batch, *, samples: int, generator: torch.Generator) -> Float[Tensor, " B"]:
        """The importance-weighted bound on log p(x) under z ~ N(0, I), ``(B,)`` [nats] (Burda 2015, eq. 8)."""
        total = torch.full((len(batch),), -math.inf, device=batch.x.device)
        most = min(50, max(1, AT_ONCE // batch.x.numel()))
        for start in range(0, samples, most):
            count = min(most, samples - start)
            log_weights, _, _ = self._log_weights(batch, count, 1.0, generator)
            total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
        return total - math.log(samples)

    @torch.no_grad()
    def code(self, batch: Batch) -> Float[Tensor, "B D"]:
        """The mean of q(z | x)."""
        return self.encode(batch.x, given(batch.condition))[0]

    @torch.no_grad()
    def show(self, code: Float[Tensor, "B D"], condition: Tensor | None = None) -> Float[Tensor, "B C *P"]:
        """The likeliest x of p(x | z): the mean of numbers, the mode of symbols."""
        return self.space.harden(self.observed.mode(self.decode(code, given(condition))))

    # -- the prior -----------------------------------------------------------------------------------------

    def prior_loss(
        self, batch: Batch, progress: Progress, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The flow-matching loss of the prior on fresh codes z ~ q(z | x)."""
        assert self.prior is not None
        condition = given(batch.condition)
        with torch.no_grad():
            z = self.infer(batch, 1, generator).z[:, : self.fitted]
        time_mean, time_std = self.prior_times
        t = torch.sigmoid(time_mean + time_std * stratified_normal(len(z), generator, z.device))
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        return self.prior.loss(z, t, noise, condition).mean(), {}

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Tensor | None = None,
        settings: Sampling = DEFAULT_SAMPLING,
        generator: torch.Generator,
    ) -> Tensor:
        refuse_steps(settings, "VAE")
        params = self.decode(self._draw_codes(n, condition, generator), given(condition))
        scale = self.scale if self.draw_numbers else 0.0
        return self.space.harden(self.observed.sample(params, scale, generator=generator))

    def _draw_codes(self, n: int, condition: Tensor | None, generator: torch.Generator) -> Float[Tensor, "B D"]:
        """z ~ N(0, I), or from the prior."""
        z = torch.randn(n, self.latent, generator=generator, device=self.log_scale.device)
        if self.prior is not None:
            times = sampling_times(self.prior.path, PRIOR_SAMPLER, self.prior_steps)
            how = {"sampler": PRIOR_SAMPLER, "times": times, "scale": 1.0}
            top = draw(self.prior, n, condition=condition, **how, generator=generator)
            z = torch.cat([top, z[:, self.fitted :]], dim=1)
        return z

    @torch.no_grad()
    def sample_within(
        self, n: int, conditions: Tensor | None, settings: Sampling, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """As every family's: codes are resampled by p(within | z), then x ~ p(x | z, within)."""
        refuse_steps(settings, "VAE")
        assert settings.within is not None
        if self.observed is not self.space:
            raise ValueError("a VAE with the logistic likelihood cannot be asked for a part of its data")

        def propose(count: int, condition: Tensor | None) -> Proposals:
            params = self.decode(self._draw_codes(count, condition, generator), given(condition))
            scale = self.scale if self.draw_numbers else torch.zeros_like(self.scale)
            x = self.space.harden(self.observed.sample(params, scale, generator=generator))
            variance = scale.square().expand_as(params)
            return Proposals(x, self.space.mean(params), variance, condition)

        return sample_codes(propose, n, conditions, settings.within, generator)

    def evaluations(self, settings: Sampling = DEFAULT_SAMPLING) -> int:
        return 1 if self.prior is None else 1 + evaluations(PRIOR_SAMPLER, self.prior_steps)


@runtime_checkable
class Hierarchy(Protocol):
    """A decoder that finds the codes too, given what an encoder saw: ``(z, mean, log variance, noise, params)``."""

    latent: int

    def infer(
        self, features: Any, condition: Tensor | None, samples: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]: ...


class LadderVAE(VAE):
    """A VAE whose latents stand in a hierarchy, each group's posterior informed by the draws above (Child 2021).

    encoder: features of every level; decoder: a `Hierarchy`, all latents in a row -> params. Its code is standard
    normal under the prior all the same (`networks.ladder`), so bound, sampling and interpolation are those of any VAE.
    A prior is that of the first latents, the topmost. Raises ValueError for `doubly`: a draw moves the posteriors below
    it, which that gradient leaves out.
    """

    def __init__(self, space: Space, encoder: nn.Module, decoder: Hierarchy, **settings: Any) -> None:
        if settings.get("doubly"):
            raise ValueError("doubly reparameterised gradients are not for a ladder")
        assert isinstance(decoder, nn.Module)
        super().__init__(space, encoder, decoder, latent=decoder.latent, **settings)

    def infer(
        self, batch: Batch, samples: int, generator: torch.Generator, *, doubly: bool = False, unseen: float = 0.0
    ) -> Codes:
        """As a VAE's; each group is drawn from its posterior given the draws above."""
        return self._descend(self._seen(batch.x, unseen, generator), given(batch.condition), samples, generator)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(mean, log variance) of every group, given the means above; `condition` as the networks read it."""
        codes = self._descend(x, condition, 1, None)
        return codes.mean, codes.log_variance

    def _descend(self, x: Tensor, condition: Tensor | None, samples: int, generator: torch.Generator | None) -> Codes:
        features, decoder = self.bound["encoder"](x, None, condition), self.bound["decoder"]
        return Codes(*decoder.infer(features, condition, samples, generator))  # pyright: ignore[reportCallIssue]
