"""The network for lines: begins at zero, is a convolution, and sees the whole line, or all that comes before."""

import pytest
import torch
import torch.nn.functional as F

from sansheng.networks.line import KERNEL, LineDenoiser, dilations, neighbours
from stirred import stirred


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_it_keeps_the_shape_and_begins_at_zero(length):
    out = LineDenoiser(5, length, width=16)(randn(2, 5, length), torch.rand(2))
    assert out.shape == (2, 5, length)
    assert out.abs().max() == 0


@pytest.mark.parametrize("dilation", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 3, 9])
def test_neighbours_and_a_matrix_are_a_convolution(length, dilation):
    h, weight = randn(2, length, 4), randn(6, 4, KERNEL, seed=1)
    wanted = F.conv1d(h.transpose(1, 2), weight, padding=KERNEL // 2 * dilation, dilation=dilation).transpose(1, 2)
    matrix = weight.permute(0, 2, 1).flatten(1)
    torch.testing.assert_close(neighbours(h, dilation) @ matrix.T, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [2, 12, 16, 40, 64, 65, 128])
def test_every_position_reads_every_other(length):
    network = stirred(LineDenoiser(3, length, width=8), amount=0.2)
    x = randn(1, 3, length).requires_grad_()
    out = network(x, torch.zeros(1))
    for position in (0, length // 2, length - 1):
        (slope,) = torch.autograd.grad(out[0, :, position].sum(), x, retain_graph=True)
        assert (slope.abs().sum(1) > 0).all()


@pytest.mark.parametrize("length", [6, 70])
def test_a_causal_one_reads_what_comes_before_and_fewer_positions_are_the_first(length):
    network = stirred(LineDenoiser(3, length, width=16, causal=True), amount=0.2)
    x, t = randn(1, 3, length).requires_grad_(), torch.zeros(1)
    out = network(x, t)
    for position in (0, length // 2, length - 1):
        (slope,) = torch.autograd.grad(out[0, :, position].sum(), x, retain_graph=True)
        assert (slope.abs().sum(1) > 0).tolist() == [[place <= position for place in range(length)]]
    some = length // 2
    torch.testing.assert_close(network(x[..., :some], t), out[..., :some], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("length", "wanted"),
    [(2, [1] * 5), (11, [1] * 5), (12, [1, 1, 1, 1, 2]), (16, [1, 1, 1, 2, 4]), (64, [1, 2, 4, 8, 16, 32])],
)
def test_kernels_reach_no_further_than_they_must(length, wanted):
    assert dilations(length, 5) == wanted


def test_time_and_condition_change_the_answer():
    network = stirred(LineDenoiser(3, 6, width=16, condition=2), amount=0.2)
    x, t, c = randn(2, 3, 6), torch.rand(2), randn(2, 2)
    out = network(x, t, c)
    assert not torch.allclose(out, network(x, t + 1, c))
    assert not torch.allclose(out, network(x, t, c + 1))


@pytest.mark.parametrize("length", [6, 70])
def test_every_parameter_has_a_say(length):
    network = stirred(LineDenoiser(3, length, width=16, condition=2), amount=0.2)
    network(randn(2, 3, length), torch.rand(2), randn(2, 2)).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("length", [6, 70])
def test_symbols_by_their_numbers_are_read_as_one_hot_vectors_are(length):
    network = stirred(LineDenoiser(5, length, width=16, condition=2), amount=0.2)
    symbols = torch.randint(5, (3, length), generator=torch.Generator().manual_seed(1))
    shown = torch.rand(3, length, generator=torch.Generator().manual_seed(2)) < 0.5
    x = torch.nn.functional.one_hot(symbols, 5).mT * shown[:, None].float()
    t, c = torch.rand(3), randn(3, 2)
    wanted = network(x, t, c).mT
    torch.testing.assert_close(network.tell(symbols, shown, t, c), wanted)
    torch.testing.assert_close(network.tell(symbols, shown, t, c, asked=~shown), wanted[~shown])

    def slopes(loss):
        network.zero_grad()
        loss.backward()
        return [p.grad.clone() for p in network.parameters()]

    told = slopes(network.tell(symbols, shown, t, c).square().sum())
    for found, grad in zip(told, slopes(network(x, t, c).square().sum()), strict=True):
        torch.testing.assert_close(found, grad, atol=1e-4, rtol=1e-4)
