"""Critics and a generator so small that what a GAN does with them is known."""

import torch
from torch import nn

from sansheng.families.gan import GAN
from sansheng.model import Batch
from sansheng.space import Real, Space

SPACE = Space((Real(2),))


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class Constant(nn.Module):
    """A critic that gives everything the same logit, through x so that its slope is zero and not missing."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))

    def forward(self, x, t=None, condition=None):
        return self.value + 0 * x.flatten(1).sum(1, keepdim=True)


class Linear(nn.Module):
    """D(x) = w · x, of slope ‖w‖ everywhere."""

    def __init__(self, slope):
        super().__init__()
        self.w = nn.Parameter(slope * torch.tensor([0.6, 0.8]))

    def forward(self, x, t=None, condition=None):
        return (x @ self.w)[:, None]


class Quadratic(nn.Module):
    """D(x) = ½ xᵀ A x, whose slope is A x."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[1.0, 0.5], [0.5, -2.0]]))

    def forward(self, x, t=None, condition=None):
        return 0.5 * torch.einsum("bi,ij,bj->b", x, self.a, x)[:, None]


class Affine(nn.Module):
    """A generator: x = 2 z + 1."""

    def __init__(self):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(1.0))

    def forward(self, z, t=None, condition=None):
        return self.gain * z + self.bias


def gan(critic, **options):
    return GAN(SPACE, Affine(), critic, latent=2, **options)


def batch(n=64):
    return Batch(torch.randn(n, 2, generator=gen(9)))


def both_losses(model, progress=0.0):
    critic, _ = model.critic_loss(batch(), progress, gen())
    generator, _ = model.generator_loss(batch(), progress, gen())
    return critic.item(), generator.item()


class Passing(nn.Module):
    """A generator that shows its noise."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z, t=None, condition=None):
        return z
