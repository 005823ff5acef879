"""Transformers for codes of lines: they see every position, in its order."""

import pytest
import torch

from sansheng.networks.transformer import Patches, TransformerDecoder, TransformerEncoder
from stirred import stirred


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_encoder_reads_every_position_in_its_order():
    network = stirred(TransformerEncoder(3, 6, 4, width=16))
    x = randn(1, 3, 6).requires_grad_()
    out = network(x)
    assert out.shape == (1, 4)
    (slope,) = torch.autograd.grad(out.square().sum(), x)
    assert (slope.abs().sum(1) > 0).all()
    assert not torch.allclose(network(x.flip(2)), out, atol=1e-4)


def test_every_latent_number_reaches_every_position():
    network = TransformerDecoder(4, 5, 6, width=16)
    z = randn(1, 4).requires_grad_()
    out = network(z)
    assert out.shape == (1, 5, 6)
    for position in range(6):
        (slope,) = torch.autograd.grad(out[0, :, position].square().sum(), z, retain_graph=True)
        assert (slope.abs() > 0).all()
    assert len({tuple(column.tolist()) for column in out[0].T}) == 6


@pytest.mark.parametrize("kind", [TransformerEncoder, TransformerDecoder])
def test_of_encoder_and_decoder_too_every_parameter_and_the_condition_have_a_say(kind):
    inputs = (randn(2, 3, 6), randn(2, 2)) if kind is TransformerEncoder else (randn(2, 4), randn(2, 2))
    shape = (3, 6, 4) if kind is TransformerEncoder else (4, 3, 6)
    network = stirred(kind(*shape, width=16, condition=2))
    out = network(inputs[0], None, inputs[1])
    out.square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []
    assert not torch.allclose(out, network(inputs[0], None, inputs[1] + 1))


@pytest.mark.parametrize(("length", "size"), [(6, 1), (32, 1), (33, 2), (70, 3), (256, 8)])
def test_patches_are_runs_of_equal_length_that_join_again(length, size):
    patches, x = Patches(length), randn(2, 3, length)
    cut = patches.cut(x)
    assert cut.shape == (2, -(-length // size), 3 * size)
    torch.testing.assert_close(cut[:, 0].unflatten(1, (3, size)), x[..., :size], rtol=0, atol=0)
    torch.testing.assert_close(patches.join(cut), x, rtol=0, atol=0)
