"""Multilayer perceptrons: shapes, what they read, and the bounds of a bounded one."""

import pytest
import torch
from torch import nn

from sansheng.networks.mlp import Bounded, PlainMLP, ResidualMLP, Steps
from stirred import stirred


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_residual_mlp_maps_any_shape_to_any():
    network = ResidualMLP((3, 2), (4, 1, 2), width=16)
    assert network(randn(5, 3, 2)).shape == (5, 4, 1, 2)


def test_zero_output_begins_at_zero():
    network = ResidualMLP((3,), (3,), width=16, timed=True, zero_output=True, fourier=torch.tensor([0, 2]))
    assert network(randn(5, 3), torch.rand(5)).abs().max() == 0


def test_residual_mlp_reads_time_and_condition():
    network = stirred(ResidualMLP((3,), (3,), width=16, timed=True, condition=2))
    x, t, c = randn(5, 3), torch.rand(5), randn(5, 2)
    out = network(x, t, c)
    assert not torch.allclose(out, network(x, t + 1, c))
    assert not torch.allclose(out, network(x, t, c + 1))
    torch.testing.assert_close(network(x, torch.tensor(0.4), c), network(x, torch.full((5,), 0.4), c))


def test_every_parameter_of_a_residual_mlp_has_a_say():
    network = stirred(ResidualMLP((3,), (3,), width=16, timed=True, condition=2, fourier=torch.tensor([1])))
    network(randn(5, 3), torch.rand(5), randn(5, 2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_without_norm_there_is_none():
    network = ResidualMLP((3,), (1,), width=16, norm=False)
    assert not [m for m in network.modules() if isinstance(m, nn.LayerNorm)]


def test_what_spans_its_data_learns_a_linear_map_that_width_alone_cannot():
    """Least squares by a network of width 4 on 24 numbers: without the linear part its error is that of rank 4."""
    generator = torch.Generator().manual_seed(0)
    goal = torch.linalg.qr(torch.randn(24, 24, generator=generator))[0]
    x = torch.randn(800, 1, 24, generator=generator)
    errors = {}
    for spans in (False, True):
        torch.manual_seed(0)
        network = ResidualMLP((2, 24), (1, 24), width=4, zero_output=True, spans=spans)
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        for step in range(400):
            rows = x[step % 8 :: 8]
            asked = torch.cat([rows, torch.zeros_like(rows)], dim=1)
            loss = (network(asked) - rows @ goal).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        errors[spans] = float(loss.detach())
    assert errors[False] > 0.5
    assert errors[True] < 0.02


def test_examples_do_not_see_each_other():
    network = stirred(ResidualMLP((3,), (2,), width=16, condition=2))
    x, c = randn(5, 3), randn(5, 2)
    torch.testing.assert_close(network(x, None, c)[2:3], network(x[2:3], None, c[2:3]), atol=1e-6, rtol=1e-5)


def test_plain_mlp_is_the_layers_it_names():
    network = PlainMLP((4,), (2,), widths=(8, 5), activation=nn.ReLU())
    shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(8, 4), (5, 8), (2, 5)]
    x = randn(3, 4)
    first, second, last = (m for m in network.modules() if isinstance(m, nn.Linear))
    torch.testing.assert_close(network(x), last(second(first(x).relu()).relu()))


def test_plain_mlp_appends_time_and_condition_to_its_input():
    network = PlainMLP((2, 2), (2, 2), widths=(8,), activation=nn.ReLU(), timed=True, condition=3)
    x, c = randn(5, 2, 2), randn(5, 3)
    first, last = (m for m in network.modules() if isinstance(m, nn.Linear))
    expected = last(first(torch.cat([x.flatten(1), torch.full((5, 1), 0.3), c], dim=1)).relu()).view(5, 2, 2)
    torch.testing.assert_close(network(x, torch.tensor(0.3), c), expected)


class Echo(nn.Module):
    def forward(self, z, t=None, condition=None):
        return z


def test_bounded_numbers_stay_within_bounds_and_symbols_pass():
    low, high, real = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 5.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    network = Bounded(Echo(), low, high, real)
    z = torch.tensor([[-50.0, -50.0, -50.0], [0.0, 0.0, 0.0], [50.0, 50.0, 50.0], [0.5, 0.5, 0.5]])
    t = torch.tensor(0.5).tanh().item()
    expected = torch.tensor([[-1.0, 0.0, -50.0], [0.0, 2.5, 0.0], [1.0, 5.0, 50.0], [t, 2.5 * (1 + t), 0.5]])
    torch.testing.assert_close(network(z), expected)


def test_steps_see_what_is_at_a_step_and_beside_it_and_are_alike():
    steps = stirred(Steps(3, 10, 2, context=4))
    x, context = randn(1, 3, 10), randn(1, 4, seed=1)
    other = x.clone()
    other[:, :, 4] += 1
    moved = (steps(other, context) - steps(x, context)).abs().sum((0, 1)) > 1e-6
    assert moved.nonzero().ravel().tolist() == [3, 4, 5]
    nn.init.zeros_(steps.place)
    torch.testing.assert_close(steps(x.roll(2, 2), context)[:, :, 3:9], steps(x, context)[:, :, 1:7])
    assert not torch.allclose(steps(x, context + 1), steps(x, context))


def test_what_channels_have_to_do_with_one_another_is_learnt_from_all_steps_at_once():
    """One channel is the size of the other: an even function, which is no linear map."""
    errors = {}
    for with_steps in (False, True):
        torch.manual_seed(0)
        network = ResidualMLP((2, 24), (2, 24), width=16, zero_output=True, steps=with_steps)
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        x = randn(512, 2, 24)
        for _ in range(200):
            loss = (network(x)[:, 1] - x[:, 0].abs()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        new = randn(512, 2, 24, seed=1)
        errors[with_steps] = float((network(new)[:, 1] - new[:, 0].abs()).square().mean().detach())
    assert errors[True] < 0.1 < errors[False]  # the variance of |x| is 0.36
