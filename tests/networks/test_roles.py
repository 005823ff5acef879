"""The three roles over every geometry: same shapes in and out, whatever network is chosen."""

import pytest
import torch

from sansheng import networks
from sansheng.networks.conv import ConvDenoiser
from sansheng.networks.line import LineDenoiser
from sansheng.networks.mlp import ResidualMLP
from sansheng.networks.transformer import TransformerDecoder, TransformerEncoder
from sansheng.space import Category, Real, Space

SPACES = {
    "point": Space((Real(2),)),
    "row": Space((Real(1), Category(4), Real(1), Category(2))),
    "symbols": Space((Category(4), Category(3))),
    "one symbol": Space((Category(5),)),
    "wide row": Space((Real(100),)),
    "series": Space((Real(3),), (21,)),
    "image": Space((Real(3, -1.0, 1.0),), (9, 12)),
    "word": Space((Category(7),), (11,)),
    "sentence": Space((Category(70),), (41,)),
    "long series": Space((Real(2),), (400,)),
    "tagged series": Space((Real(1), Category(3)), (10,)),
    "map of symbols": Space((Category(3),), (6, 6)),
}
ALL = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def batch(space, n=3):
    return torch.randn(n, *space.shape, generator=torch.Generator().manual_seed(0))


@ALL
@pytest.mark.parametrize("condition", [0, 4])
def test_roles_have_the_shapes_they_say(space, condition):
    given = torch.randn(3, condition) if condition else None
    x, z = batch(space), torch.randn(3, 6)
    assert networks.encoder(space, 8, width=16, condition=condition)(x, None, given).shape == (3, 8)
    assert networks.encoder(space, 1, width=16, condition=condition, norm=False)(x, None, given).shape == (3, 1)
    assert networks.decoder(space, 6, width=16, condition=condition)(z, None, given).shape == x.shape
    assert networks.denoiser(space, width=16, condition=condition)(x, torch.rand(3), given).shape == x.shape


@ALL
def test_denoiser_begins_at_zero(space):
    assert networks.denoiser(space, width=16)(batch(space), torch.rand(3)).abs().max() == 0


@ALL
def test_wider_is_larger(space):
    def size(network):
        return sum(p.numel() for p in network.parameters())

    assert size(networks.denoiser(space, width=16)) < size(networks.denoiser(space, width=32))
    assert size(networks.encoder(space, 4, width=16)) < size(networks.encoder(space, 4, width=32))
    assert size(networks.decoder(space, 4, width=16)) < size(networks.decoder(space, 4, width=32))


@ALL
def test_training_and_sampling_agree(space):
    """No dropout, no running statistics: eval mode changes nothing."""
    network = networks.encoder(space, 4, width=16)
    x = batch(space)
    torch.testing.assert_close(network.train()(x), network.eval()(x), rtol=0, atol=0)


def test_geometry_alone_chooses_the_denoiser():
    kinds = {name: type(networks.denoiser(space, width=16)) for name, space in SPACES.items()}
    assert {n for n, k in kinds.items() if k is ResidualMLP} == {
        "point", "row", "symbols", "one symbol", "wide row", "series", "tagged series",
    }  # fmt: skip
    assert {n for n, k in kinds.items() if k is LineDenoiser} == {"word", "sentence"}
    assert {n for n, k in kinds.items() if k is ConvDenoiser} == {"image", "long series", "map of symbols"}


def test_transformers_are_for_lines_and_have_the_shapes_of_their_role():
    for name, space in SPACES.items():
        if name not in ("word", "sentence"):
            for role in (networks.encoder, networks.decoder):
                with pytest.raises(ValueError, match="lines of symbols"):
                    role(space, 4, width=16, transformer=True)
            continue
        encoder = networks.encoder(space, 4, width=16, transformer=True)
        decoder = networks.decoder(space, 4, width=16, transformer=True)
        assert (type(encoder), type(decoder)) == (TransformerEncoder, TransformerDecoder)
        assert decoder(encoder(batch(space))).shape == (3, *space.shape)
