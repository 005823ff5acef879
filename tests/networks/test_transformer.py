"""The transformer: begins at zero, sees every position, and knows an order only by its position vectors."""

import pytest
import torch

from sansheng.networks.transformer import TransformerDenoiser


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stirred(network):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return network


@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_transformer_keeps_the_shape_and_begins_at_zero(length):
    out = TransformerDenoiser(5, length, width=16)(randn(2, 5, length), torch.rand(2))
    assert out.shape == (2, 5, length)
    assert out.abs().max() == 0


def test_every_position_reads_every_other():
    network = stirred(TransformerDenoiser(3, 6, width=16))
    x = randn(1, 3, 6).requires_grad_()
    out = network(x, torch.zeros(1))
    for position in range(6):
        (slope,) = torch.autograd.grad(out[0, :, position].sum(), x, retain_graph=True)
        assert (slope.abs().sum(1) > 0).all()


def test_a_causal_one_reads_what_comes_before_and_fewer_positions_are_the_first():
    network = stirred(TransformerDenoiser(3, 6, width=16, causal=True))
    x, t = randn(1, 3, 6).requires_grad_(), torch.zeros(1)
    out = network(x, t)
    for position in range(6):
        (slope,) = torch.autograd.grad(out[0, :, position].sum(), x, retain_graph=True)
        assert (slope.abs().sum(1) > 0).tolist() == [[place <= position for place in range(6)]]
    torch.testing.assert_close(network(x[..., :4], t), out[..., :4], atol=1e-5, rtol=1e-4)


def test_without_position_vectors_the_order_does_not_matter():
    network = stirred(TransformerDenoiser(3, 6, width=16))
    x, t, order = randn(2, 3, 6), torch.rand(2), torch.tensor([3, 1, 5, 0, 2, 4])
    with_positions = network(x[..., order], t)
    assert not torch.allclose(with_positions, network(x, t)[..., order], atol=1e-4)
    torch.nn.init.zeros_(network.position)
    torch.testing.assert_close(network(x[..., order], t), network(x, t)[..., order], atol=1e-5, rtol=1e-4)


def test_time_and_condition_change_the_answer():
    network = stirred(TransformerDenoiser(3, 6, width=16, condition=2))
    x, t, c = randn(2, 3, 6), torch.rand(2), randn(2, 2)
    out = network(x, t, c)
    assert not torch.allclose(out, network(x, t + 1, c))
    assert not torch.allclose(out, network(x, t, c + 1))
    torch.testing.assert_close(network(x, torch.tensor(0.4), c), network(x, torch.full((2,), 0.4), c))


def test_every_parameter_has_a_say():
    network = stirred(TransformerDenoiser(3, 6, width=16, condition=2))
    network(randn(2, 3, 6), torch.rand(2), randn(2, 2)).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []
