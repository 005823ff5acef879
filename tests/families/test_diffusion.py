"""Diffusion: exact on Gaussian data without any network, the noise it trains on, and what its choices cost."""

import math

import pytest
import torch
from torch import nn

from sansheng.budget import Budget, Clock
from sansheng.denoiser import LOUDEST, Denoiser, NoisePredictor
from sansheng.families.diffusion import Diffusion
from sansheng.loop import State, train
from sansheng.model import Batch, Sampling, known_cells
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import PATHS, Cosine, log_noise
from sansheng.samplers import SAMPLERS
from sansheng.space import HALF_LOG_2PI, Category, Real, Space
from stirred import stirred

SPACE = Space((Real(1), Real(1)))
MEAN, STD = torch.tensor([4.0, -1.0]), torch.tensor([2.0, 0.1])
ALL_PATHS = pytest.mark.parametrize("path", [kind() for kind in PATHS.values()], ids=list(PATHS))


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


def silent(path=None, **options):
    model = Diffusion(SPACE, Denoiser(SPACE, Silent(), path or Cosine()), **options)
    model.measure(data())
    return model


@ALL_PATHS
def test_loss_on_gaussian_data_is_at_its_optimum_without_a_network(path):
    loss, _ = silent(path).loss(Batch(data(40_000)), 0.5, gen())
    assert loss.item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)


@ALL_PATHS
def test_the_optimum_is_a_minimum(path):
    """The gradient of the silent network's one weight is zero, on Gaussian data."""
    model = silent(path)
    loss, _ = model.loss(Batch(data(40_000)), 0.5, gen())
    (slope,) = torch.autograd.grad(loss, model.denoiser.network.weight)
    assert slope.abs().item() < 0.02


@ALL_PATHS
def test_samples_without_a_network_are_the_measured_gaussian(path):
    x = silent(path).sample(8000, settings=Sampling(steps=30, sampler="heun"), generator=gen())
    assert ((x.mean(0) - MEAN).abs() < 0.06 * STD).all()
    torch.testing.assert_close(x.std(0), STD, rtol=0.06, atol=0)


@ALL_PATHS
def test_noise_levels_are_log_normal(path):
    """ln(σ/α) ~ N(noise_mean, noise_std²) (Karras 2022, table 1)."""
    model = silent(path, noise_mean=-0.7, noise_std=0.9)
    model.loss(Batch(data()), 0.5, gen())
    level = 4 * model.denoiser.network.asked[-1][0]  # the network is told ¼ ln(σ/α)
    assert level.mean().item() == pytest.approx(-0.7, abs=0.02)
    assert level.std().item() == pytest.approx(0.9, abs=0.02)


def test_levels_are_evenly_spaced_times_all_of_them_noisy():
    path = Cosine()
    model = silent(path, levels=10)
    model.loss(Batch(data()), 0.5, gen())
    levels = log_noise(path, torch.arange(1, 11) / 10).clamp_max(LOUDEST)
    off = (4 * model.denoiser.network.asked[-1][0][:, None] - levels).abs()
    assert off.min(1).values.max() < 1e-4
    assert (torch.bincount(off.argmin(1), minlength=10) > 4000 / 10 - 5 * math.sqrt(400)).all()


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
    condition = torch.eye(2)
    model = silent(condition_space=Space((Category(2),)))
    settings = Sampling(steps=6, sampler=sampler, guidance=guidance)
    model.denoiser.network.asked.clear()
    model.sample(2, condition=condition, settings=settings, generator=gen())
    assert len(model.denoiser.network.asked) == model.evaluations(settings)


def test_steps_and_sampler_have_defaults_of_the_model():
    model = silent(steps=4, sampler="euler")
    model.sample(2, generator=gen())
    assert len(model.denoiser.network.asked) == model.evaluations() == 4


def test_a_choice_that_does_not_exist_lists_those_that_do():
    with pytest.raises(ValueError, match=r"'eular'.*Did you mean 'euler'"):
        silent().sample(2, settings=Sampling(sampler="eular"), generator=gen())
    with pytest.raises(ValueError, match="at least 1 step"):
        silent().sample(2, settings=Sampling(steps=0), generator=gen())


def test_the_turn_moves_and_reaches_every_parameter():
    space = Space((Real(2), Category(3)))
    network = stirred(ResidualMLP((5,), (5,), width=16, depth=1, timed=True, condition=3))
    model = Diffusion(space, Denoiser(space, network, Cosine()), condition_space=Space((Category(2),)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def batches(step):
        return Batch(space.harden(torch.randn(16, 5, generator=gen(step))), torch.eye(2)[torch.arange(16) % 2])

    next(train(State(model, Clock.start(Budget(steps=5))), batches, seed=0, budget=Budget(steps=5)))
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_samples_are_valid_and_repeat():
    space = Space((Real(2, -1.0, 1.0), Category(3)))
    model = Diffusion(space, Denoiser(space, Silent(), Cosine()), steps=6)
    x = model.sample(50, generator=gen(2))
    assert torch.equal(x, space.harden(x))
    assert torch.equal(x, model.sample(50, generator=gen(2)))
    assert not torch.equal(x, model.sample(50, generator=gen(3)))


def test_a_noise_predictor_is_taught_by_the_same_loss():
    """With ε_θ = 0 the loss of the survey's model is E z² = 1."""
    model = Diffusion(SPACE, NoisePredictor(SPACE, Silent(), Cosine()), levels=50)
    loss, _ = model.loss(Batch(data()), 0.5, gen())
    assert loss.item() == pytest.approx(1, abs=0.05)


def test_diffusion_learns_which_symbol_goes_with_which_condition():
    """Given 0 the symbol is a or b with odds 4 : 1, given 1 always c; guidance may not invent others."""
    space, given = Space((Category(3),)), Space((Category(2),))
    network = ResidualMLP((3,), (3,), width=32, depth=1, timed=True, condition=3, zero_output=True)
    model = Diffusion(space, Denoiser(space, network, Cosine()), condition_space=given)

    def batches(step):
        g = gen(step)
        kind = torch.randint(0, 2, (256,), generator=g)
        symbol = torch.where(kind == 1, 2, (torch.rand(256, generator=g) < 0.2).long())
        return Batch(torch.eye(3)[symbol], torch.eye(2)[kind])

    model.measure(batches(0).x)
    budget = Budget(steps=300)
    state = State(model, Clock.start(budget))
    for _ in train(state, batches, seed=0, budget=budget):
        pass
    condition = torch.eye(2)[torch.arange(4000) % 2]
    x = state.average.sample(4000, condition=condition, generator=gen())
    torch.testing.assert_close(x[::2].mean(0), torch.tensor([0.8, 0.2, 0.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(x[1::2].mean(0), torch.tensor([0.0, 0.0, 1.0]), atol=0.03, rtol=0)


@ALL_PATHS
def test_its_likelihood_of_gaussian_data_is_their_density(path):
    """Without a network the flow is that of the measured Gaussian, in the units of the data."""
    model = silent(path)
    x = MEAN + STD * torch.randn(300, 2, generator=gen(2))
    found = model.log_likelihood(Batch(x), samples=1, generator=gen())
    torch.testing.assert_close(found, torch.distributions.Normal(MEAN, STD).log_prob(x).sum(1), atol=0.06, rtol=0)


@ALL_PATHS
def test_its_variational_bound_of_gaussian_data_is_tight(path):
    """Of the very Gaussian that was measured: on average over data, and never far above the density."""
    model = silent(path)
    x = MEAN + STD * torch.randn(2000, 2, generator=gen(2))
    found = model.variational_bound(Batch(x), samples=50, generator=gen()).mean()
    exact = torch.distributions.Normal(MEAN, STD).log_prob(x).sum(1).mean()
    torch.testing.assert_close(found, exact, atol=0.1, rtol=0)


def test_only_numbers_have_a_likelihood():
    mixed = Space((Real(1), Category(2)))
    model = Diffusion(mixed, Denoiser(mixed, Silent(), Cosine()))
    assert silent().has_likelihood
    assert not model.has_likelihood
    with pytest.raises(ValueError, match="numbers alone"):
        model.log_likelihood(Batch(torch.zeros(2, 3)), samples=1, generator=gen())


def test_known_values_come_back_and_the_rest_is_drawn_given_them():
    """Of a measured Gaussian of independent numbers what is known changes nothing else."""
    model, n = silent(), 2000
    x, mask = torch.tensor([[9.0, 0.0]]).expand(n, 2), torch.tensor([[True, False]]).expand(n, 2)
    drawn = model.sample(n, settings=Sampling(known=known_cells(x, mask)), generator=gen())
    assert (drawn[:, 0] == 9).all()
    assert drawn[:, 1].mean().item() == pytest.approx(MEAN[1].item(), abs=0.02)
    assert drawn[:, 1].std().item() == pytest.approx(STD[1].item(), rel=0.1)


def test_a_weak_model_must_be_of_the_same_kind():
    with pytest.raises(ValueError, match="same family and path"):
        silent().sample(2, settings=Sampling(guidance=2.0, weak=silent(PATHS["vp"]())), generator=gen())
    other = silent()
    other.measure(10 * data())
    with pytest.raises(ValueError, match="same data"):
        silent().sample(2, settings=Sampling(guidance=2.0, weak=other), generator=gen())


def test_a_weak_model_leads_without_being_told_how_far():
    good, weak = silent(), silent()
    settings = Sampling(steps=5, sampler="euler", weak=weak)
    good.sample(2, settings=settings, generator=gen())
    assert len(weak.denoiser.network.asked) == 5
    assert good.evaluations(settings) == 10


def test_a_weak_model_is_asked_as_often_as_the_good_one():
    good, weak = silent(), silent()
    settings = Sampling(steps=5, sampler="euler", guidance=1.5, weak=weak)
    good.sample(2, settings=settings, generator=gen())
    counts = [len(model.denoiser.network.asked) for model in (good, weak)]
    assert counts == [5, 5]
    assert good.evaluations(settings) == 10
