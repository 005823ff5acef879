"""Shared pieces: Fourier features, the embedding of time, the context every block reads."""

import math

import pytest
import torch
from torch import nn

from sansheng.networks.layers import Context, FourierFeatures, TimeEmbedding, split_heads, zero

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


def test_fourier_features_are_sines_of_the_channels_chosen():
    frequencies = torch.tensor([0.5, 2.0])
    features = FourierFeatures(torch.tensor([1, 3]), frequencies)
    out = features(X)
    assert out.shape == (5, features.width(4))
    torch.testing.assert_close(out[:, :4], X)
    phase = 2 * math.pi * torch.stack([X[:, c] * f for c in (1, 3) for f in frequencies], dim=1)
    torch.testing.assert_close(out[:, 4:8], phase.sin())
    torch.testing.assert_close(out[:, 8:], phase.cos())


def test_fourier_features_of_no_channel_change_nothing():
    features = FourierFeatures(torch.zeros(0, dtype=torch.long), torch.tensor([1.0]))
    assert torch.equal(features(X), X)
    assert features.width(4) == 4


def test_time_embedding_tells_near_noise_levels_apart():
    """¼ ln(σ/α) runs over about ±2.5; levels 0.1 apart must not look the same to a network."""
    embedding = TimeEmbedding(32)
    t = torch.linspace(-2.5, 2.5, 51)
    phase = t[:, None] * embedding.frequencies
    features = torch.cat([phase.sin(), phase.cos()], dim=1)
    apart = torch.cdist(features, features) + 9 * torch.eye(51)
    assert apart.min() > 0.3
    assert embedding(t).shape == (51, 32)


def test_context_reads_time_and_condition():
    context = Context(16, condition=3, timed=True)
    t, c = torch.rand(5), torch.randn(5, 3)
    both = context(t, c)
    assert both.shape == (5, 16)
    assert not torch.allclose(both, context(t + 1, c))
    assert not torch.allclose(both, context(t, c + 1))
    torch.testing.assert_close(context(torch.tensor(0.3), c), context(torch.full((5,), 0.3), c))
    alone = Context(16, condition=0, timed=True)
    assert alone(torch.tensor(0.3), None).shape == (1, 16)
    torch.testing.assert_close(alone(torch.tensor(0.3), None).expand(5, -1), alone(torch.full((5,), 0.3), None))


def test_context_without_anything_to_read_is_nothing():
    context = Context(16, condition=0, timed=False)
    assert context.empty
    assert context(None, None) is None
    assert not Context(16, condition=1, timed=False).empty


def test_zero_layers_say_nothing_yet():
    assert zero(nn.Linear(4, 3))(X).abs().max() == 0
    assert zero(nn.Conv1d(1, 2, 3))(X[:, None]).abs().max() == 0
    assert zero(nn.Linear(4, 3, bias=False))(X).abs().max() == 0


@pytest.mark.parametrize(("width", "size", "heads"), [(64, 16, 4), (48, 16, 3), (40, 16, 2), (8, 16, 1), (7, 2, 1)])
def test_heads_divide_the_width_into_pieces_of_at_least_the_size(width, size, heads):
    assert split_heads(width, size) == heads
