"""Convolutional networks over one or two axes of any length: shapes, beginnings, and what they can see."""

import itertools
import math

import pytest
import torch

from sansheng.networks.conv import ConvDecoder, ConvDenoiser, ConvEncoder, Grid, depth_to_space, space_to_depth
from stirred import stirred

POSITIONS = pytest.mark.parametrize("positions", [(8,), (7,), (37,), (8, 8), (5, 9), (20, 33), (1,), (1, 3)], ids=str)


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 3, 12), (2, 3, 8, 12)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_depth_to_space_undoes_space_to_depth(shape, factor):
    x = randn(*shape)
    deep = space_to_depth(x, factor)
    axes = len(shape) - 2
    assert deep.shape == (2, 3 * factor**axes, *(p // factor for p in shape[2:]))
    assert torch.equal(depth_to_space(deep, factor), x)


def test_space_to_depth_gathers_a_cell():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert space_to_depth(x, 2)[0, :, 0, 1].tolist() == [2, 3, 6, 7]


@pytest.mark.parametrize("positions", [(8,), (7,), (64,), (100,), (5, 9), (32, 32), (28, 28), (3, 200)], ids=str)
def test_grid_keeps_convolutions_small_and_loses_no_position(positions):
    grid = Grid(positions)
    x = randn(2, 1, *positions)
    padded = grid.pad(x)
    assert all(0 <= q - p < grid.factor for p, q in zip(positions, padded.shape[2:], strict=True))
    assert all(
        math.prod(fine) <= 2 ** len(positions) * math.prod(coarse) for fine, coarse in itertools.pairwise(grid.sizes)
    )
    assert max(padded.shape[2:]) // grid.factor <= 2 * 16
    assert torch.equal(grid.crop(padded), x)


@POSITIONS
def test_denoiser_keeps_the_shape_and_begins_at_zero(positions):
    x = randn(2, 3, *positions)
    out = ConvDenoiser(3, positions, width=8)(x, torch.rand(2))
    assert out.shape == x.shape
    assert out.abs().max() == 0


@pytest.mark.parametrize(("cells", "finest"), [(1, 28), (2, 14), (4, 7), (0, 7)])
def test_a_denoiser_works_on_cells_as_large_as_asked(cells, finest):
    network = ConvDenoiser(3, (28, 20), width=8, cells=cells)
    assert network.grid.sizes[0][0] == finest
    assert network(randn(2, 3, 28, 20), torch.rand(2)).shape == (2, 3, 28, 20)


@pytest.mark.parametrize("cells", [3, -2, 16])
def test_cells_that_do_not_divide_a_picture_are_refused(cells):
    with pytest.raises(ValueError, match="cells are 1, 2, 4 or 8 pixels"):
        ConvDenoiser(1, (28, 28), width=8, cells=cells)


@POSITIONS
def test_encoder_and_decoder_have_the_shapes_they_say(positions):
    assert ConvEncoder(3, positions, 5, width=8)(randn(2, 3, *positions)).shape == (2, 5)
    assert ConvDecoder(4, 3, positions, width=8)(randn(2, 4)).shape == (2, 3, *positions)


@POSITIONS
def test_every_position_can_change_every_other_through_the_denoiser(positions):
    network = stirred(ConvDenoiser(1, positions, width=16))
    x = randn(1, 1, *positions).requires_grad_()
    corner = network(x, torch.zeros(1)).flatten()[-1]
    (slope,) = torch.autograd.grad(corner, x)
    assert (slope != 0).all()


@POSITIONS
def test_every_position_reaches_the_encoder(positions):
    network = stirred(ConvEncoder(1, positions, 2, width=8))
    x = randn(1, 1, *positions).requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)
    assert (slope != 0).all()


def roles(condition):
    positions = (6, 7)
    return {
        "denoiser": (ConvDenoiser(2, positions, width=8, condition=condition), randn(3, 2, 6, 7)),
        "encoder": (ConvEncoder(2, positions, 3, width=8, condition=condition), randn(3, 2, 6, 7)),
        "decoder": (ConvDecoder(5, 2, positions, width=8, condition=condition), randn(3, 5)),
    }


@pytest.mark.parametrize("role", ["denoiser", "encoder", "decoder"])
def test_condition_changes_the_answer(role):
    network, x = roles(4)[role]
    network, t = stirred(network), torch.rand(3)
    a, b = network(x, t, randn(3, 4)), network(x, t, randn(3, 4, seed=1))
    assert not torch.allclose(a, b)


def test_time_changes_the_answer():
    network, x = roles(0)["denoiser"]
    network = stirred(network)
    assert not torch.allclose(network(x, torch.zeros(3)), network(x, torch.ones(3)))
    torch.testing.assert_close(network(x, torch.tensor(0.4)), network(x, torch.full((3,), 0.4)))


@pytest.mark.parametrize("role", ["denoiser", "encoder", "decoder"])
def test_examples_do_not_see_each_other(role):
    network, x = roles(4)[role]
    network, t, c = stirred(network), torch.rand(3), randn(3, 4)
    alone = network(x[1:2], t[1:2], c[1:2])
    torch.testing.assert_close(network(x, t, c)[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("role", ["denoiser", "encoder", "decoder"])
def test_every_parameter_has_a_say(role):
    network, x = roles(4)[role]
    network(*(x, torch.rand(3), randn(3, 4)))  # shapes settled
    network = stirred(network)
    network(x, torch.rand(3), randn(3, 4)).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []
