"""What a VAE draws, with and without a prior of its own, and how it tells that it has collapsed."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sansheng.budget import Budget, Clock
from sansheng.denoiser import Denoiser
from sansheng.families.vae import VAE
from sansheng.loop import State, train
from sansheng.model import Batch, Sampling
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import Rectified
from sansheng.space import HALF_LOG_2PI, Real, Space
from small_vaes import EXACT, W, data, gen, linear_vae, small_vae


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


# -- sampling ----------------------------------------------------------------------------------------------------


def test_samples_have_the_moments_of_the_model():
    x = linear_vae().sample(40_000, generator=gen())
    torch.testing.assert_close(x.mean(0), EXACT.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(x.T.cov(), EXACT.covariance_matrix, atol=0.08, rtol=0)


def test_means_only_leave_the_noise_of_the_decoder_out():
    x = linear_vae(draw_numbers=False).sample(40_000, generator=gen())
    torch.testing.assert_close(x.T.cov(), W @ W.T, atol=0.08, rtol=0)


def test_samples_follow_the_condition():
    condition = torch.tensor([0.0, 10.0]).repeat_interleave(4000)[:, None]
    model = linear_vae(condition_space=Space((Real(1),)))
    x = model.sample(8000, condition=condition, generator=gen())
    torch.testing.assert_close(x[4000:].mean(0) - x[:4000].mean(0), torch.full((3,), 10.0), atol=0.15, rtol=0)


class Zero(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, t=None, condition=None):
        return 0 * self.weight * x


def test_a_prior_that_knows_nothing_is_the_standard_normal():
    prior = Denoiser(Space((Real(2),)), Zero(), Rectified())
    x = linear_vae(prior=prior).sample(40_000, generator=gen())
    torch.testing.assert_close(x.mean(0), EXACT.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(x.T.cov(), EXACT.covariance_matrix, atol=0.1, rtol=0)


def test_prior_loss_of_standard_normal_codes_is_at_its_optimum():
    """The codes of data from the model itself are N(0, I), for which the prior's network has nothing to add."""
    model = linear_vae(prior=Denoiser(Space((Real(2),)), Zero(), Rectified()))
    loss, _ = model.prior_loss(Batch(data(40_000)), 0.5, gen())
    assert loss.item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)


def test_a_trained_prior_draws_the_codes_in_use():
    """Codes around ±2 and not N(0, I): after training, samples lie where the data do."""

    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x, t=None, condition=None):
            return torch.cat([self.weight * x, torch.full_like(x, -6.0)], dim=1)

    class Echo(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, z, t=None, condition=None):
            return self.weight * z

    space = Space((Real(1),))
    network = ResidualMLP((1,), (1,), width=32, timed=True)
    model = VAE(space, Shifted(), Echo(), latent=1, prior=Denoiser(space, network, Rectified()), draw_numbers=False)

    def batches(step):
        side = torch.randint(0, 2, (256, 1), generator=gen(step)) * 4.0 - 2.0
        return Batch(side + 0.2 * torch.randn(256, 1, generator=gen(step + 10**6)))

    budget = Budget(steps=250)
    state = State(model, Clock.start(budget))
    state.turns = {"prior": replace(state.turns["prior"], start=0.0)}
    for _ in train(state, batches, seed=0, budget=budget):
        pass
    x = state.average.sample(4000, generator=gen())
    near = ((x.abs() - 2).abs() < 0.7).float().mean()
    assert near > 0.8  # under N(0, I): 0.19
    assert 0.4 < (x > 0).float().mean() < 0.6


def test_samples_are_valid_and_repeat():
    model = small_vae()
    x = model.sample(50, generator=gen(2))
    assert torch.equal(x, model.space.harden(x))
    assert torch.equal(x, model.sample(50, generator=gen(2)))


@pytest.mark.parametrize("settings", [Sampling(steps=5), Sampling(sampler="heun"), Sampling(guidance=2.0)])
def test_choices_a_vae_does_not_have_are_refused(settings):
    with pytest.raises(ValueError, match="diffusion and flow"):
        linear_vae().sample(2, settings=settings, generator=gen())


# -- health ------------------------------------------------------------------------------------------------------


def test_posterior_collapse_is_seen():
    collapsed = linear_vae()
    with torch.no_grad():
        collapsed.bound["encoder"].weight.zero_()
    assert any("collapse" in word for word in collapsed.examine(Batch(data(200)), gen()))
    assert linear_vae().examine(Batch(data(200)), gen()) == []
    assert any("collapse" in word for word in collapsed.symptoms({"bound/kl": 1e-4}, 1.0))
    assert collapsed.symptoms({"bound/kl": 3.0}, 1.0) == []
    assert collapsed.symptoms({"bound/kl": 1e-4}, 0.0) == []


def test_a_scale_that_learns_faster_moves_as_much_faster():
    slow, fast = linear_vae(scale=1.0), linear_vae(scale=1.0, scale_rate=10.0)
    for model in (slow, fast):
        model.log_scale.data.fill_(-0.1)
    assert torch.allclose(fast.scale.log(), 10 * slow.scale.log())
