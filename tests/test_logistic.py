"""The discretised logistic mixture: a probability over the levels, its draws, and its chain of channels."""

import itertools
import math

import pytest
import torch

from sansheng.logistic import LogisticMixture
from sansheng.space import Category, Real, Space


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def space(channels=1, positions=()):
    return Space((Real(channels, -1.0, 3.0),), positions)


@pytest.mark.parametrize(("channels", "levels", "components"), [(1, 256, 3), (1, 5, 1), (2, 7, 2), (3, 4, 2)])
def test_the_probabilities_of_all_levels_sum_to_one(channels, levels, components):
    mixture = LogisticMixture(space(channels), components=components, levels=levels)
    params = torch.randn(1, mixture.channels, generator=gen()).double()
    values = torch.linspace(-1, 3, levels)
    every = torch.tensor(list(itertools.product(values.tolist(), repeat=channels)))
    p = (-mixture.nll(params.expand(len(every), -1), every)).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-4)


def test_one_wide_component_is_the_difference_of_two_logistic_functions():
    mixture = LogisticMixture(Space((Real(1, 0.0, 10.0),)), components=1, levels=11)
    mean, log_scale = 0.3, -1.2  # in [−1, 1]: a level is 0.2
    params = torch.tensor([[0.7, mean, log_scale]])
    sigmoid = [1 / (1 + math.exp(-(edge - mean) / math.exp(log_scale))) for edge in (-0.9, 0.1, 0.3)]
    found = (-mixture.nll(params.expand(3, -1), torch.tensor([[0.0], [6.0], [10.0]]))).exp()
    last = 1 - 1 / (1 + math.exp(-(0.9 - mean) / math.exp(log_scale)))
    assert found.tolist() == pytest.approx([sigmoid[0], sigmoid[2] - sigmoid[1], last], rel=1e-4)


def test_far_away_the_density_stands_for_the_bin_and_has_a_slope():
    mixture = LogisticMixture(space(), components=1)
    params = torch.tensor([[0.0, -0.9, -5.0]], requires_grad=True)
    nll = mixture.nll(params, torch.tensor([[2.5]]))
    assert torch.isfinite(nll).all()
    (slope,) = torch.autograd.grad(nll.sum(), params)
    assert slope[0, 1] < -10


@pytest.mark.parametrize("channels", [1, 3])
def test_draws_come_as_often_as_they_should(channels):
    mixture = LogisticMixture(space(channels), components=2, levels=4)
    params = torch.randn(1, mixture.channels, generator=gen(3))
    drawn = mixture.sample(params.expand(40_000, -1), generator=gen(1))
    every = torch.tensor(list(itertools.product(torch.linspace(-1, 3, 4).tolist(), repeat=channels)))
    p = (-mixture.nll(params.expand(len(every), -1), every)).exp()
    share = (drawn[:, None] - every).abs().lt(1e-3).all(2).float().mean(0)
    assert share.sum().item() == pytest.approx(1)
    assert torch.allclose(share, p, atol=0.012)


def test_positions_add_up():
    mixture = LogisticMixture(space(2, (3, 2)), components=2)
    params, x = torch.randn(4, mixture.channels, 3, 2, generator=gen()), torch.rand(4, 2, 3, 2, generator=gen(1))
    alone = LogisticMixture(space(2), components=2)
    parts = sum(alone.nll(params[:, :, i, j], x[:, :, i, j]) for i in range(3) for j in range(2))
    assert torch.allclose(mixture.nll(params, x), parts, rtol=1e-4)
    assert mixture.sample(params, generator=gen()).shape == mixture.mode(params).shape == x.shape


def test_the_mode_is_the_mean_of_the_likeliest_component():
    mixture = LogisticMixture(space(), components=2, levels=5)
    params = torch.tensor([[3.0, 1.0, 0.5, -0.5, -7.0, -7.0]])
    assert mixture.mode(params).item() == 2.0
    assert mixture.sample(params.expand(500, -1), 0.0, generator=gen()).unique().tolist() == [0.0, 2.0]


@pytest.mark.parametrize("slots", [(Real(1),), (Category(3),), (Real(1, 0.0, 1.0), Real(1, 0.0, 1.0))])
def test_what_is_no_picture_is_refused(slots):
    with pytest.raises(ValueError, match="logistic likelihood is for pictures"):
        LogisticMixture(Space(slots))


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="component"):
        LogisticMixture(space(), components=0)
