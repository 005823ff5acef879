"""What a critic sees: augmented, packed and noisy data of both kinds; and what a generator makes them of."""

import pytest
import torch
from torch import nn

from sansheng.families.gan import GAN
from sansheng.model import Batch
from sansheng.space import Real, Space
from small_gans import SPACE, Constant, Linear, Passing, batch, gan, gen


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


# -- augmentation ------------------------------------------------------------------------------------------------

PICTURES = Space((Real(1, -1.0, 1.0),), (8, 8))


class Watcher(nn.Module):
    """A critic that keeps what it is shown, and prefers what is brighter by `ahead`."""

    def __init__(self, ahead=0.0):
        super().__init__()
        self.ahead, self.seen = nn.Parameter(torch.tensor(ahead)), []

    def forward(self, x, t=None, condition=None):
        self.seen.append(x.detach())
        return self.ahead * x.flatten(1).mean(1, keepdim=True)


class Black(nn.Module):
    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(-1.0))

    def forward(self, z, t=None, condition=None):
        return self.level.expand(len(z), 1, 8, 8)


def picture_gan(critic, **options):
    return GAN(PICTURES, Black(), critic, latent=2, gamma=0.0, **options)


def white(n=50):
    return Batch(torch.ones(n, 1, 8, 8))


def test_augmentation_grows_while_the_critic_is_ahead_and_falls_while_it_is_not():
    model = picture_gan(Watcher(1.0), augment=True)
    model.critic_loss(white(), 0.0, gen())
    assert model.chance.item() == pytest.approx(50e-5)
    _, logged = model.critic_loss(white(), 0.0, gen())
    assert logged["chance"].item() == pytest.approx(100e-5)
    with torch.no_grad():
        model.critic.ahead.fill_(0.0)
    for _ in range(3):
        model.critic_loss(white(), 0.0, gen())
    assert model.chance.item() == 0


def test_both_networks_learn_from_augmented_data_of_both_kinds():
    critic = Watcher(1.0)
    model = picture_gan(critic, augment=True)
    model.chance.fill_(0.5)
    model.critic_loss(white(), 0.0, gen())
    model.generator_loss(white(), 0.0, gen())
    shown = [*critic.seen[0].chunk(2), *critic.seen[1:]]
    for real, plain in ((True, 1.0), (False, -1.0)):
        for x in shown[0 if real else 1 :: 2]:
            changed = (x - plain).flatten(1).abs().amax(1) > 1e-6
            assert 0.4 < changed.float().mean() < 0.95


def test_samples_are_not_augmented():
    model = picture_gan(Watcher(), augment=True)
    model.chance.fill_(1.0)
    assert (model.sample(5, generator=gen()) == -1).all()


def test_only_pictures_are_augmented():
    with pytest.raises(ValueError, match="pictures"):
        gan(Linear(1.0), augment=True)


# -- packing -----------------------------------------------------------------------------------------------------


def test_a_pack_is_examples_side_by_side():
    model = gan(Linear(1.0), pack=2)
    x = torch.arange(10.0).view(5, 2)
    assert model.together(x).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert model.together(x[:1]).tolist() == [[0, 1, 0, 1]]
    assert torch.equal(gan(Linear(1.0)).together(x), x)


def test_a_packed_critic_sees_a_lack_of_variety():
    """Each example alone has the right distribution, but pairs are the same twice: ahead only if it sees pairs."""

    class Variety(torch.nn.Module):
        def forward(self, x, t=None, condition=None):
            return (x[:, :2] - x[:, 2:]).abs().sum(1, keepdim=True)

    class Same(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, z, t=None, condition=None):
            return (self.scale * z[:, :2])[torch.arange(len(z)) // 2 * 2]

    model = GAN(SPACE, Same(), Variety(), latent=2, gamma=0.0, pack=2)
    _, logged = model.critic_loss(batch(), 0.0, gen())
    assert logged["ahead"].item() == 1.0
    assert logged["fake"].item() == 0.0


# -- instance noise and coins --------------------------------------------------------------------------------


@pytest.mark.parametrize("coins", [0, 2, 3])
def test_coins_are_fair_flips_and_the_rest_is_normal(coins):
    model = GAN(Space((Real(3),)), Passing(), Constant(0), latent=3, coins=coins)
    z = model.generate(20_000, None, gen())
    flips, normal = z[:, :coins], z[:, coins:]
    assert set(flips.unique().tolist()) <= {-1.0, 1.0}
    assert torch.allclose(flips.mean(0), torch.zeros(coins), atol=0.03)
    assert torch.allclose(normal.square().mean(0), torch.ones(3 - coins), atol=0.04)
    assert len(normal.unique()) > 1000 * (3 - coins) - 1


def spread_seen(progress, **options):
    """Standard deviation of what is added to the real and to the generated data that a critic sees."""
    seen = []

    class Watching(Linear):
        def forward(self, x, t=None, condition=None):
            seen.append(x.detach().clone())
            return super().forward(x)

    many = Batch(torch.zeros(5000, 2))
    for noise in (0.0, options.pop("noise")):
        model = gan(Watching(1.0), noise=noise, gamma=0.0)
        model.critic_loss(many, progress, gen())
        model.generator_loss(many, progress, gen())
    (plain, _, _), (critic, real, fake) = seen[:3], seen[3:]
    return [round(x.std().item(), 2) for x in (critic[:5000], real)], critic, fake, plain


def test_instance_noise_falls_and_ends():
    for progress, wanted in ((0.0, 0.8), (0.35, 0.8 / 50**0.5), (0.699, 0.016), (0.7, 0.0), (1.0, 0.0)):
        (critic, real), *_ = spread_seen(progress, noise=0.8)
        assert critic == pytest.approx(wanted, abs=0.02)
        assert real == pytest.approx(wanted, abs=0.02)


def test_instance_noise_is_on_generated_data_too():
    _, critic, fake, plain = spread_seen(0.0, noise=3.0)
    assert critic[5000:].std() > plain[5000:].std() + 1
    assert fake.std() > plain[5000:].std() + 1


@pytest.mark.parametrize("options", [{"coins": 4}, {"coins": -1}, {"gamma_left": 0.0}, {"noise": -1.0}])
def test_shares_and_coins_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GAN(Space((Real(3),)), Passing(), Constant(0), latent=3, **options)
