"""Flow matching: exact on Gaussian data without a network, its velocity, and what it learns in a few seconds."""

import pytest
import torch
from torch import nn

from sansheng.budget import Budget, Clock
from sansheng.denoiser import Denoiser
from sansheng.families.flow import Flow
from sansheng.loop import State, train
from sansheng.model import Batch, Sampling
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import Rectified
from sansheng.samplers import SAMPLERS
from sansheng.space import HALF_LOG_2PI, Category, Real, Space
from stirred import stirred

SPACE = Space((Real(1), Real(1)))
MEAN, STD = torch.tensor([4.0, -1.0]), torch.tensor([2.0, 0.1])


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class Silent(nn.Module):
    """A network that adds nothing, and remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.asked = []

    def forward(self, x, t=None, condition=None):
        self.asked.append((t, condition))
        return self.weight * x


def data(n=4000):
    z = torch.randn(n, 2, generator=gen(7))
    return MEAN + STD * (z - z.mean(0)) / z.std(0, correction=0)


def silent(**options):
    model = Flow(SPACE, Denoiser(SPACE, Silent(), Rectified()), **options)
    model.measure(data())
    return model


def test_loss_on_gaussian_data_is_at_its_optimum_without_a_network():
    model = silent()
    loss, _ = model.loss(Batch(data(40_000)), 0.5, gen())
    assert loss.item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)
    (slope,) = torch.autograd.grad(loss, model.denoiser.network.weight)
    assert slope.abs().item() < 0.02


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m"])
def test_samples_without_a_network_are_the_measured_gaussian(sampler):
    x = silent().sample(8000, settings=Sampling(steps=30, sampler=sampler), generator=gen())
    assert ((x.mean(0) - MEAN).abs() < 0.06 * STD).all()
    torch.testing.assert_close(x.std(0), STD, rtol=0.06, atol=0)


def test_times_are_logit_normal():
    """Esser 2024, eq. 19; on the straight path logit(t) is ln(σ/α)."""
    model = silent(time_mean=0.4, time_std=1.3)
    model.loss(Batch(data()), 0.5, gen())
    level = 4 * model.denoiser.network.asked[-1][0]
    assert level.mean().item() == pytest.approx(0.4, abs=0.02)
    assert level.std().item() == pytest.approx(1.3, abs=0.02)


def test_velocity_of_the_trained_denoiser_is_the_regression_target():
    """(x_t − E[u | x_t])/t = E[z − u | x_t]: minimising the loss is matching the flow (Lipman 2022, eq. 14)."""
    n, t = 200_000, torch.tensor(0.3)
    u, z = torch.randn(n, generator=gen(1)), torch.randn(n, generator=gen(2))
    u_t = (1 - t) * u + t * z
    denoiser = Denoiser(Space((Real(1),)), Silent(), Rectified())
    velocity = ((u_t[:, None] - denoiser(u_t[:, None], t)) / t)[:, 0]
    for low, high in ((-1.5, -1.0), (-0.2, 0.2), (0.8, 1.2)):
        here = (u_t > low) & (u_t < high)
        assert velocity[here].mean().item() == pytest.approx((z - u)[here].mean().item(), abs=0.02)


@pytest.mark.parametrize("drop", [0.0, 0.25, 1.0])
def test_the_condition_is_hidden_from_its_share_of_examples(drop):
    model = silent(drop=drop, condition_space=Space((Category(2),)))
    condition = torch.eye(2)[torch.arange(4000) % 2]
    model.loss(Batch(data(), condition), 0.5, gen())
    asked = model.denoiser.network.asked[-1][1]
    kept = asked[:, -1].bool()
    assert kept.float().mean().item() == pytest.approx(1 - drop, abs=0.03)
    assert torch.equal(asked[kept, :2], condition[kept])
    assert (asked[~kept] == 0).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_evaluations_are_what_a_sample_costs(sampler, guidance):
    model = silent(condition_space=Space((Category(2),)))
    settings = Sampling(steps=6, sampler=sampler, guidance=guidance)
    model.denoiser.network.asked.clear()
    model.sample(2, condition=torch.eye(2), settings=settings, generator=gen())
    assert len(model.denoiser.network.asked) == model.evaluations(settings)


def test_guidance_unless_told_is_the_model_s_own():
    model = silent(condition_space=Space((Category(2),)), guidance=2.0)
    asked = [Sampling(steps=6, sampler="euler", guidance=w) for w in (None, 1.0, 2.0)]
    assert [model.evaluations(settings) for settings in asked] == [12, 6, 12]
    of_two, untold = (model.sample(2, condition=torch.eye(2), settings=asked[i], generator=gen()) for i in (2, 0))
    assert torch.equal(of_two, untold)


def test_guidance_without_a_condition_costs_nothing():
    model = silent()
    settings = Sampling(steps=6, sampler="euler", guidance=2.0)
    model.denoiser.network.asked.clear()
    model.sample(2, settings=settings, generator=gen())
    assert len(model.denoiser.network.asked) == model.evaluations(settings) == 6


def test_a_choice_that_does_not_exist_lists_those_that_do():
    with pytest.raises(ValueError, match=r"'eular'.*Did you mean 'euler'"):
        silent().sample(2, settings=Sampling(sampler="eular"), generator=gen())


def test_the_turn_moves_and_reaches_every_parameter():
    space = Space((Real(2), Category(3)))
    network = stirred(ResidualMLP((5,), (5,), width=16, depth=1, timed=True, condition=3))
    model = Flow(space, Denoiser(space, network, Rectified()), condition_space=Space((Category(2),)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def batches(step):
        return Batch(space.harden(torch.randn(16, 5, generator=gen(step))), torch.eye(2)[torch.arange(16) % 2])

    next(train(State(model, Clock.start(Budget(steps=5))), batches, seed=0, budget=Budget(steps=5)))
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_a_flow_learns_two_clusters_and_their_shares():
    space = Space((Real(2),))
    network = ResidualMLP((2,), (2,), width=32, depth=2, timed=True, zero_output=True)
    model = Flow(space, Denoiser(space, network, Rectified()))

    def batches(step):
        g = gen(step)
        side = torch.where(torch.rand(256, 1, generator=g) < 0.25, -3.0, 1.0)
        return Batch(side + 0.3 * torch.randn(256, 2, generator=g))

    model.measure(batches(0).x)
    budget = Budget(steps=300)
    state = State(model, Clock.start(budget))
    for _ in train(state, batches, seed=0, budget=budget):
        pass
    x = state.average.sample(4000, generator=gen())
    left = (x + 3).norm(dim=1) < 1.2
    right = (x - 1).norm(dim=1) < 1.2
    assert (left | right).float().mean() > 0.8  # of the data: 0.9997; a single Gaussian: under 0.4
    assert 0.12 < left.float().mean() < 0.38  # of the data: 0.25
