"""A linear VAE, whose likelihood and posterior are known in closed form, and a small one of numbers and symbols."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

from sansheng.denoiser import Denoiser
from sansheng.families.vae import VAE
from sansheng.model import Batch
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import Rectified
from sansheng.space import Category, Real, Space
from stirred import stirred

SPACE = Space((Real(3),))
SCALE = 0.5
# orthogonal columns, so that the posterior is diagonal
W = torch.tensor([[1.0, 0.5], [1.0, -0.5], [0.0, 1.0]])
B = torch.tensor([0.3, -1.0, 2.0])
EXACT = MultivariateNormal(B, W @ W.T + SCALE**2 * torch.eye(3))


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class LinearDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(W.clone()), nn.Parameter(B.clone())

    def forward(self, z, t=None, condition=None):
        shift = 0 if condition is None else condition[:, :1]
        return z @ self.weight.T + self.bias + shift


class LinearEncoder(nn.Module):
    """The exact posterior, or one that is off by `mean` and `log_variance`."""

    def __init__(self, mean=0.0, log_variance=0.0):
        super().__init__()
        precision = 1 + W.square().sum(0) / SCALE**2
        self.weight = nn.Parameter((W / SCALE**2 / precision).T)
        self.log_variance = nn.Parameter(-precision.log() + log_variance)
        self.bias = nn.Parameter(-self.weight.detach() @ B + mean)

    def forward(self, x, t=None, condition=None):
        centred = x if condition is None else x - condition[:, :1]
        mean = centred @ self.weight.T + self.bias
        return torch.cat([mean, self.log_variance.expand_as(mean)], dim=1)


def linear_vae(*, mean=0.0, log_variance=0.0, scale=SCALE, **options):
    model = VAE(SPACE, LinearEncoder(mean, log_variance), LinearDecoder(), latent=2, **options)
    with torch.no_grad():
        model.log_scale.fill_(math.log(scale))
    return model


def data(n=2000, seed=1):
    return EXACT.mean + torch.randn(n, 3, generator=gen(seed)) @ EXACT.scale_tril.T


def small_vae():
    def mlp(a, b):
        return ResidualMLP(a, b, width=16, depth=1)

    prior = Denoiser(Space((Real(2),)), ResidualMLP((2,), (2,), width=16, depth=1, timed=True), Rectified())
    model = VAE(Space((Real(2), Category(3))), mlp((5,), (4,)), mlp((2,), (5,)), latent=2, prior=prior)
    return stirred(model, seed=5)


def small_batch(step=0):
    space = Space((Real(2), Category(3)))
    return Batch(space.harden(torch.randn(16, 5, generator=gen(step))))
