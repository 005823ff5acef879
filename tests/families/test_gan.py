"""The GAN: textbook losses of a constant critic, penalties by hand, and turns that keep to themselves."""

import math

import pytest
import torch
from torch import nn

from sansheng.budget import Budget, Clock
from sansheng.families.gan import GAN, LOSSES
from sansheng.loop import State, train
from sansheng.model import Batch, Sampling
from sansheng.networks.mlp import ResidualMLP
from sansheng.space import Category, Real, Space
from small_gans import SPACE, Affine, Constant, Linear, Quadratic, batch, both_losses, gan, gen
from stirred import stirred


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


LOG2 = math.log(2)


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("gamma", [0.0, 3.0])
@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("relativistic", LOG2, LOG2),
        ("minimax", 2 * LOG2, -LOG2),
        ("non_saturating", 2 * LOG2, LOG2),
        ("hinge", 2.0, 0.0),
        ("wasserstein_gp", 0.0, 0.0),
    ],
)
def test_a_critic_that_says_nothing_gives_the_textbook_loss(loss, critic, generator, gamma):
    """At the equilibrium D = 0, that is σ(D) = ½. A zero slope costs nothing, except that WGAN-GP wants slope 1."""
    wanted = critic + (gamma if loss == "wasserstein_gp" else 0.0)
    assert both_losses(gan(Constant(0.0), loss=loss, gamma=gamma)) == pytest.approx((wanted, generator), abs=1e-4)


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("relativistic", LOG2, LOG2),
        ("minimax", softplus(-1.5) + softplus(1.5), -softplus(1.5)),
        ("non_saturating", softplus(-1.5) + softplus(1.5), softplus(-1.5)),
        ("hinge", 0.0 + 2.5, -1.5),
        ("wasserstein_gp", 0.0, -1.5),
    ],
)
def test_a_critic_that_calls_everything_real(loss, critic, generator):
    assert both_losses(gan(Constant(1.5), loss=loss, gamma=0.0)) == pytest.approx((critic, generator), abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_critic_and_generator_pull_opposite_ways(loss):
    """More for the generated data is worse for the critic and better for the generator."""
    real, fake = torch.tensor([0.3, -0.2]), torch.tensor([0.1, 0.4], requires_grad=True)
    (for_critic,) = torch.autograd.grad(LOSSES[loss].critic(real, fake), fake)
    (for_generator,) = torch.autograd.grad(LOSSES[loss].generator(real, fake), fake)
    assert (for_critic > 0).all()
    assert (for_generator < 0).all()


def test_minimax_saturates_and_non_saturating_does_not():
    """With D(y) very negative: slopes σ(D) and σ(D) − 1 (Goodfellow 2014, section 3)."""
    fake = torch.full((4,), -10.0, requires_grad=True)
    slope = {}
    for loss in ("minimax", "non_saturating"):
        slope[loss] = torch.autograd.grad(LOSSES[loss].generator(fake.detach(), fake), fake)[0].sum().item()
    assert slope["minimax"] == pytest.approx(-1 / (1 + math.exp(10)), rel=1e-3)
    assert slope["non_saturating"] == pytest.approx(-1, rel=1e-3)


# -- penalties ---------------------------------------------------------------------------------------------------


def penalty(critic, loss, gamma, progress=0.0, **options):
    """What gamma adds to the critic's loss, and what is logged."""
    with_it, logged = gan(critic, loss=loss, gamma=gamma, **options).critic_loss(batch(), progress, gen())
    without, _ = gan(critic, loss=loss, gamma=0.0).critic_loss(batch(), progress, gen())
    return (with_it - without).item(), logged


@pytest.mark.parametrize("loss", ["relativistic", "minimax", "non_saturating", "hinge"])
def test_r1_and_r2_are_the_squared_slopes_by_hand(loss):
    critic = Quadratic()
    real = batch().x
    fake = gan(critic).generate(len(real), None, gen()).detach()
    a = critic.a.detach()
    r1, r2 = (real @ a).square().sum(1).mean(), (fake @ a).square().sum(1).mean()
    added, logged = penalty(critic, loss, 4.0)
    torch.testing.assert_close(logged["r1"], r1)
    torch.testing.assert_close(logged["r2"], r2)
    assert added == pytest.approx(0.5 * 4.0 * (r1 + r2).item(), rel=1e-4)


def test_r1_teaches_the_critic():
    """d/dw ½ γ (‖w‖² + ‖w‖²) = 2 γ w for a linear critic."""
    critic = Linear(1.0)
    slopes = {}
    for gamma in (0.0, 3.0):
        loss, _ = gan(critic, loss="hinge", gamma=gamma).critic_loss(batch(), 0.0, gen())
        (slopes[gamma],) = torch.autograd.grad(loss, critic.w)
    torch.testing.assert_close(slopes[3.0] - slopes[0.0], 2 * 3.0 * critic.w.detach(), rtol=1e-4, atol=1e-4)


def test_the_weight_of_the_penalty_falls_to_a_tenth():
    added = [penalty(Linear(2.0), "relativistic", 5.0, progress)[0] for progress in (0.0, 0.5, 1.0)]
    assert added == pytest.approx([5.0 * 4, 5.0 * 4 / 10**0.25, 5.0 * 4 / 10], rel=1e-4)


def test_near_is_the_distance_of_close_pairs():
    """Nine clusters on a square lattice: a ninth of the others are in one's own, so the next are at distance 2."""
    model, noise = gan(Linear(1.0)), 1e-4 * torch.randn(400, 2, generator=gen())
    centres = torch.tensor([[0.0, 0], [2, 0], [0, 2], [2, 2], [4, 2], [4, 0], [4, 4], [0, 4], [2, 4]])
    model.measure(centres[torch.arange(400) % 9] + noise)
    assert model.near.item() == pytest.approx(4, rel=0.01)
    model.measure(torch.zeros(5, 2))
    assert model.near.item() == pytest.approx(4, rel=0.01)


def test_the_penalty_does_not_depend_on_the_unit():
    """Data ten times as large, and a critic whose slope is a tenth: the same logits, and the same penalty."""
    added = []
    for unit in (1.0, 10.0):
        model = gan(Linear(3.0 / unit), gamma=0.5)
        model.measure(unit * batch().x)
        _, logged = model.critic_loss(batch(), 0.0, gen())
        added.append((model.near * logged["r1"]).item())
    assert added[0] == pytest.approx(added[1], rel=1e-4)


@pytest.mark.parametrize(("slope", "cost"), [(1.0, 0.0), (3.0, 4.0), (0.5, 0.25)])
def test_wgan_gp_wants_slope_one(slope, cost):
    assert penalty(Linear(slope), "wasserstein_gp", 10.0)[0] == pytest.approx(10 * cost, abs=1e-4)


def test_wgan_gp_looks_between_pairs():
    """x̂ is a share of the real and the rest of the generated example, another share for each pair."""
    seen = []

    class Watching(Linear):
        def forward(self, x, t=None, condition=None):
            seen.append(x.detach().clone())
            return super().forward(x)

    gan(Watching(1.0), loss="wasserstein_gp", gamma=1.0).critic_loss(batch(), 0.0, gen())
    (real, fake), between = seen[0].chunk(2), seen[1]
    share = (between - fake) / (real - fake)
    torch.testing.assert_close(share[:, 0], share[:, 1], atol=1e-3, rtol=1e-3)
    assert (share > -1e-3).all()
    assert (share < 1 + 1e-3).all()
    assert share.std() > 0.2


# -- turns -------------------------------------------------------------------------------------------------------

MIXED = Space((Real(2), Category(3)), (2,))


def small_gan(loss, condition=0):
    critic = ResidualMLP(MIXED.shape, (1,), width=16, depth=1, norm=False, condition=condition)
    generator = ResidualMLP((4,), MIXED.shape, width=16, depth=1, condition=condition)
    model = GAN(MIXED, generator, critic, latent=4, loss=loss)
    return stirred(model, seed=5)


def mixed_batch(step=0):
    return Batch(MIXED.harden(torch.randn(16, *MIXED.shape, generator=gen(step))))


@pytest.mark.parametrize("turn", ["critic", "generator"])
@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_each_turn_moves_only_its_own_parameters_and_reaches_all_of_them(turn, loss):
    """Not for losses of differences D(x) − D(y), which cannot see the critic's last bias; hinge, while it is unsure."""
    model = small_gan(loss)
    state = State(model, Clock.start(Budget(steps=10)))
    state.turns = {turn: state.turns[turn]}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    next(train(state, mixed_batch, seed=0, budget=Budget(steps=10)))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if name.startswith(turn)}


@pytest.mark.parametrize("loss", ["relativistic", "wasserstein_gp", "hinge"])
def test_losses_of_differences_move_all_but_the_last_bias(loss):
    model = small_gan(loss)
    state = State(model, Clock.start(Budget(steps=10)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in zip(range(3), train(state, mixed_batch, seed=0, budget=Budget(steps=10)), strict=False):
        pass
    still = {name for name, p in model.named_parameters() if torch.allclose(p, before[name], atol=1e-7)}
    assert still <= {"critic.head.bias"}


def test_the_critic_goes_first():
    assert list(small_gan("relativistic").turns()) == ["critic", "generator"]


def test_gradients_reach_the_generator_through_symbols():
    """Symbols are hard going forward and still tell the generator which way to go."""
    space = Space((Category(3),))

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(3))

        def forward(self, z, t=None, condition=None):
            return self.logits.expand(len(z), 3)

    class LikesTheFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))

        def forward(self, x, t=None, condition=None):
            return (x @ self.w)[:, None]

    model = GAN(space, Logits(), LikesTheFirst(), latent=1, loss="wasserstein_gp", gamma=0.0)
    loss, _ = model.generator_loss(Batch(torch.eye(3)[torch.zeros(500, dtype=torch.long)]), 0.0, gen())
    (slope,) = torch.autograd.grad(loss, model.generator.logits)
    assert slope[0] < -0.01
    assert (slope[1:] > 0.01).all()


def test_both_read_the_condition():
    model = small_gan("relativistic", condition=3)
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    x = mixed_batch().x[:1]
    one, two = (torch.cat([c, torch.ones(1, 1)], dim=1) for c in (a, b))
    assert model.judge(x, one) != model.judge(x, two)
    assert not torch.equal(model.generate(1, one, gen()), model.generate(1, two, gen()))


# -- learning, sampling, health ----------------------------------------------------------------------------------


def test_the_critic_is_to_tell_what_is_given_with_another_example():
    """By hand: what is given goes round by one, and the critic says x₀ times it."""

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x, t=None, condition=None):
            return self.weight * x[:, :1] * condition[:, :1]

    class Unasked(Affine):
        def forward(self, z, t=None, condition=None):
            return super().forward(z)

    x, y = torch.randn(6, 2, generator=gen(1)), torch.randn(6, 1, generator=gen(2))
    losses = []
    for weight in (0.0, 2.0):
        model = GAN(
            SPACE, Unasked(), Product(), latent=2, gamma=0.0, mismatch=weight, condition_space=Space((Real(1),))
        )
        losses.append(model.critic_loss(Batch(x, y), 0.5, gen())[0].item())
    right, wrong = x[:, 0] * y[:, 0], x[:, 0] * y.roll(1, 0)[:, 0]
    assert losses[1] - losses[0] == pytest.approx(2 * nn.functional.softplus(wrong - right).mean().item(), rel=1e-4)


def test_a_gan_finds_the_mean_and_spread_of_a_gaussian():
    """From N(1, 2²) towards N(−1, ½²)."""
    generator = Affine()
    critic = ResidualMLP((2,), (1,), width=32, depth=1, norm=False)
    model = GAN(SPACE, generator, critic, latent=2, learning_rate=1e-2, gamma=0.2)

    def batches(step):
        return Batch(-1 + 0.5 * torch.randn(128, 2, generator=gen(step)))

    budget = Budget(steps=300)
    state = State(model, Clock.start(budget))
    for _ in train(state, batches, seed=0, budget=budget):
        pass
    x = state.average.sample(4000, generator=gen())
    assert (x.mean(0) + 1).abs().max() < 0.5
    assert (x.std(0) - 0.5).abs().max() < 0.4


def test_samples_are_valid_and_repeat():
    model = small_gan("relativistic")
    x = model.sample(50, generator=gen(2))
    assert torch.equal(x, MIXED.harden(x))
    assert torch.equal(x, model.sample(50, generator=gen(2)))
    assert not torch.equal(x, model.sample(50, generator=gen(3)))


@pytest.mark.parametrize("settings", [Sampling(steps=5), Sampling(sampler="heun"), Sampling(guidance=2.0)])
def test_choices_a_gan_does_not_have_are_refused(settings):
    with pytest.raises(ValueError, match="diffusion and flow"):
        small_gan("hinge").sample(2, settings=settings, generator=gen())


def test_a_mismatch_below_zero_is_refused():
    with pytest.raises(ValueError, match="mismatch is a weight"):
        gan(Constant(0.0), mismatch=-1.0)


def test_an_unknown_loss_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"'hing'.*Did you mean 'hinge'.*minimax.*relativistic"):
        gan(Constant(0.0), loss="hing")


def test_a_critic_that_has_won_is_seen():
    class Far(nn.Module):
        """Real data lie left of 50, the generator's to the right of it."""

        def forward(self, x, t=None, condition=None):
            return -x.sum(1, keepdim=True)

    model = gan(Far())
    with torch.no_grad():
        model.generator.bias.fill_(100.0)
    assert any("critic has won" in word for word in model.examine(batch(), gen()))
    assert gan(Constant(0.0)).examine(batch(), gen()) == []


def test_logged_margin_tells_when_the_critic_has_won():
    model = gan(Constant(0.0))
    won = {"critic/real": 20.0, "critic/fake": -20.0, "critic/ahead": 1.0}
    even = {"critic/real": 0.2, "critic/fake": 0.1, "critic/ahead": 0.55}
    assert any("critic has won" in word for word in model.symptoms(won, 0.9))
    assert model.symptoms(even, 0.9) == []


@pytest.mark.parametrize("left", [0.001, 0.1, 1.0])
def test_the_weight_of_the_penalty_ends_at_the_share_asked_for(left):
    start, end = (penalty(Quadratic(), "hinge", 2.0, progress, gamma_left=left)[0] for progress in (0.0, 1.0))
    assert end / start == pytest.approx(left, rel=0.01)
