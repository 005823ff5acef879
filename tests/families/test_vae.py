"""The VAE on a linear-Gaussian model, whose likelihood and posterior are known in closed form."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from sansheng.budget import Budget, Clock
from sansheng.denoiser import Denoiser
from sansheng.families.vae import VAE
from sansheng.loop import State, train
from sansheng.model import Batch, HasLikelihood, Sampling
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import Rectified
from sansheng.space import HALF_LOG_2PI, Category, Real, Space

SPACE = Space((Real(3),))
SCALE = 0.5
# orthogonal columns, so that the posterior is diagonal
W = torch.tensor([[1.0, 0.5], [1.0, -0.5], [0.0, 1.0]])
B = torch.tensor([0.3, -1.0, 2.0])
EXACT = MultivariateNormal(B, W @ W.T + SCALE**2 * torch.eye(3))


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


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


# -- the bound ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 7, 120])
def test_with_the_exact_posterior_the_bound_is_the_likelihood(samples):
    x = data(50)
    bound = linear_vae().log_likelihood(Batch(x), samples=samples, generator=gen())
    torch.testing.assert_close(bound, EXACT.log_prob(x), atol=1e-3, rtol=1e-4)


def test_bound_stays_below_the_likelihood_and_tightens_with_samples():
    x, model = data(), linear_vae(mean=0.5, log_variance=1.0)
    exact = EXACT.log_prob(x).mean()
    bounds = [model.log_likelihood(Batch(x), samples=k, generator=gen(k)).mean() for k in (1, 5, 50, 500)]
    assert all(bound < exact for bound in bounds[:3])
    assert all(a + 0.01 < b for a, b in zip(bounds[:2], bounds[1:3], strict=True))
    assert bounds[3] == pytest.approx(exact.item(), abs=0.02)


def test_gap_of_the_elbo_is_the_kl_to_the_true_posterior():
    x, model = data(20_000), linear_vae(mean=0.5, log_variance=1.0)
    elbo = model.log_likelihood(Batch(x), samples=1, generator=gen()).mean()
    true_mean, true_log_variance = linear_vae().encode(x)
    mean, log_variance = model.encode(x)
    q = Normal(mean, (0.5 * log_variance).exp())
    p = Normal(true_mean, (0.5 * true_log_variance).exp())
    gap = kl_divergence(q, p).sum(1).mean()
    assert (EXACT.log_prob(x).mean() - elbo).item() == pytest.approx(gap.item(), rel=0.05)


def test_the_bound_is_a_likelihood_the_contract_knows():
    assert isinstance(linear_vae(), HasLikelihood)


def test_logged_kl_is_that_of_torch_distributions():
    x, model = data(64), linear_vae(mean=0.3, log_variance=0.7)
    _, logged = model.loss(Batch(x), 1.0, gen())
    mean, log_variance = model.encode(x)
    exact = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(logged["kl"], exact, rtol=1e-4, atol=1e-5)


def test_loss_is_nll_plus_beta_kl_per_dimension_after_warm_up():
    x = data(64)
    for beta in (0.0, 1.0, 4.0):
        loss, logged = linear_vae(mean=0.3, beta=beta, warm_up=0.2).loss(Batch(x), 0.9, gen())
        torch.testing.assert_close(3 * loss, logged["nll"] + beta * logged["kl"])


def test_free_bits_are_the_least_each_latent_costs():
    x, free = data(64), 0.85
    model = linear_vae(mean=0.3, log_variance=0.5, free_bits=free)
    loss, logged = model.loss(Batch(x), 1.0, gen())
    mean, log_variance = model.encode(x)
    each = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean(0)
    assert each.min() < free < each.max()
    torch.testing.assert_close(3 * loss, logged["nll"] + each.clamp(min=free).sum(), rtol=1e-4, atol=1e-4)


def test_word_dropout_hides_whole_positions_of_what_the_encoder_sees():
    x = torch.ones(200, 3, 50)
    seen = VAE._seen(x, 0.3, gen())
    assert (seen.amax(1) == seen.amin(1)).all()
    assert seen.mean().item() == pytest.approx(0.7, abs=0.02)
    assert VAE._seen(x, 0.0, gen()) is x
    with pytest.raises(ValueError, match="share of positions"):
        linear_vae(word_dropout=0.3)  # a space without positions
    with pytest.raises(ValueError, match="set one of them"):
        linear_vae(free_bits=0.1, samples=5)


def test_kl_is_warmed_up_from_nothing():
    x, model = data(64), linear_vae(mean=0.3, warm_up=0.4)
    weights = []
    for progress in (0.0, 0.1, 0.2, 0.4, 1.0):
        loss, logged = model.loss(Batch(x), progress, gen())
        weights.append(((3 * loss - logged["nll"]) / logged["kl"]).item())
    assert weights == pytest.approx([0, 0.25, 0.5, 1, 1], abs=1e-4)


def test_elbo_objective_is_unbiased_for_the_bound():
    x = data(20_000)
    loss, _ = linear_vae(mean=0.3, log_variance=0.5).loss(Batch(x), 1.0, gen())
    bound = linear_vae(mean=0.3, log_variance=0.5).log_likelihood(Batch(x), samples=1, generator=gen(1))
    assert (-3 * loss).item() == pytest.approx(bound.mean().item(), abs=0.06)


def test_importance_weighted_objective_is_the_importance_weighted_bound():
    x, model = data(64), linear_vae(mean=0.5, log_variance=1.0, samples=8)
    loss, _ = model.loss(Batch(x), 1.0, gen())
    bound = model.log_likelihood(Batch(x), samples=8, generator=gen())
    torch.testing.assert_close(-3 * loss, bound.mean(), rtol=1e-4, atol=1e-4)


def test_importance_samples_begin_when_they_are_asked_to():
    x, off = data(64), {"mean": 0.5, "log_variance": 1.0}
    model, elbo, tight = (linear_vae(**off, **kw) for kw in ({"samples": 8, "samples_from": 0.5}, {}, {"samples": 8}))
    for progress, like in ((0.4, elbo), (0.5, tight)):
        torch.testing.assert_close(model.loss(Batch(x), progress, gen())[0], like.loss(Batch(x), progress, gen())[0])
    with pytest.raises(ValueError, match="samples_from"):
        linear_vae(samples=8, samples_from=1.5)


def encoder_gradient(x, *, repeats=1, **options):
    """Of the objective, for every parameter of the encoder."""
    model = linear_vae(samples=8, **options)
    loss, _ = model.loss(Batch(x.repeat(repeats, 1)), 1.0, gen(5))
    names = [f"bound.encoder.{name}" for name in ("weight", "bias", "log_variance")]
    return torch.autograd.grad(loss, [dict(model.named_parameters())[name] for name in names])


def test_doubly_reparameterised_gradients_are_exact_at_the_exact_posterior():
    """All weights are p(x) there, so there is nothing to gain; the plain estimator is noise around that."""
    for slope in encoder_gradient(data(64), doubly=True):
        assert slope.abs().max() < 1e-5
    assert max(slope.abs().max() for slope in encoder_gradient(data(64))) > 1e-3


def test_doubly_reparameterised_gradients_are_those_of_the_objective_on_average():
    x, off = data(50), {"mean": 0.4, "log_variance": 0.6}
    plain, doubly = (encoder_gradient(x, repeats=4000, doubly=doubly, **off) for doubly in (False, True))
    for one, other in zip(plain, doubly, strict=True):
        torch.testing.assert_close(one, other, atol=4e-3, rtol=0.05)
        assert one.abs().max() > 0.02


def test_the_gradient_of_the_decoder_is_left_as_it_is():
    slopes = []
    for doubly in (False, True):
        model = linear_vae(samples=8, mean=0.4, doubly=doubly)
        loss, _ = model.loss(Batch(data(64)), 1.0, gen(5))
        slopes.append(torch.autograd.grad(loss, model.bound["decoder"].bias)[0])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_binarised_data_are_drawn_anew_in_every_step():
    space = Space((Real(3, -5.0, 5.0, "bernoulli"),))
    model = VAE(space, LinearEncoder(), LinearDecoder(), latent=2, binarise=True)
    x = torch.tensor([[-5.0, 0.0, 5.0]]).repeat(400, 1)
    (one, _), (same, _), (other, _) = (model.loss(Batch(x), 1.0, gen(seed)) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_condition_is_part_of_the_model():
    """The likelihood of x given a shift c is that of x − c."""
    x, condition = data(50), torch.randn(50, 1, generator=gen(3))
    model = linear_vae(condition_space=Space((Real(1),)))
    bound = model.log_likelihood(Batch(x + condition, condition), samples=3, generator=gen())
    torch.testing.assert_close(bound, EXACT.log_prob(x), atol=1e-3, rtol=1e-4)


def test_learned_scale_finds_the_noise_of_the_data():
    """At the optimum of σ the mean squared miss is σ² (Rybkin 2021, eq. 4): its gradient is zero there only."""
    x = data(20_000)
    for scale, sign in ((0.3, -1), (SCALE, 0), (0.9, 1)):
        model = linear_vae(scale=scale)
        loss, _ = model.loss(Batch(x), 1.0, gen())
        (slope,) = torch.autograd.grad(loss, model.log_scale)
        assert (slope * sign > 0.05).all() if sign else slope.abs().max() < 0.01


# -- turns -------------------------------------------------------------------------------------------------------


def small_vae():
    def mlp(a, b):
        return ResidualMLP(a, b, width=16, depth=1)

    prior = Denoiser(Space((Real(2),)), ResidualMLP((2,), (2,), width=16, depth=1, timed=True), Rectified())
    model = VAE(Space((Real(2), Category(3))), mlp((5,), (4,)), mlp((2,), (5,)), latent=2, prior=prior)
    generator = gen(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return model


def small_batch(step=0):
    space = Space((Real(2), Category(3)))
    return Batch(space.harden(torch.randn(16, 5, generator=gen(step))))


@pytest.mark.parametrize("turn", ["bound", "prior"])
def test_each_turn_moves_only_its_own_parameters_and_reaches_all_of_them(turn):
    model = small_vae()
    state = State(model, Clock([(0, 0.0 if turn == "bound" else 0.99, 0.001)]))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step = next(train(state, small_batch, seed=0, budget=Budget(steps=1)))
    assert {name.split("/")[0] for name in step.values} == {turn}
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    own = {id(p) for p in state.turns[turn].module.parameters()}
    assert moved == {name for name, p in model.named_parameters() if id(p) in own}


def test_log_scale_moves_for_numbers_only():
    model = small_vae()
    before = model.log_scale.detach().clone()
    loss, _ = model.loss(small_batch(), 1.0, gen())
    (slope,) = torch.autograd.grad(loss, model.log_scale)
    assert before.shape == (5,)
    assert ((slope != 0) == torch.tensor([True, True, False, False, False])).all()


def test_the_prior_has_the_end_of_the_budget_to_itself():
    turns = small_vae().turns()
    assert turns["bound"].start == 0
    assert turns["bound"].stop == turns["prior"].start
    assert turns["prior"].stop == 1
    assert linear_vae().turns()["bound"].stop == 1


def test_a_scale_that_is_not_learned_stays():
    model = linear_vae(learn_scale=False)
    next(train(State(model, Clock.start(Budget(steps=1))), lambda step: Batch(data(8)), seed=0, budget=Budget(steps=1)))
    assert (model.log_scale == math.log(SCALE)).all()


# -- sampling ----------------------------------------------------------------------------------------------------


def test_samples_have_the_moments_of_the_model():
    x = linear_vae().sample(40_000, generator=gen())
    torch.testing.assert_close(x.mean(0), EXACT.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(x.T.cov(), EXACT.covariance_matrix, atol=0.08, rtol=0)


def test_means_only_leave_the_noise_of_the_decoder_out():
    x = linear_vae(draw_numbers=False).sample(40_000, generator=gen())
    torch.testing.assert_close(x.T.cov(), W @ W.T, atol=0.08, rtol=0)


def test_samples_follow_the_condition():
    condition = torch.tensor([0.0, 10.0]).repeat_interleave(4000)[:, None]
    model = linear_vae(condition_space=Space((Real(1),)))
    x = model.sample(8000, condition=condition, generator=gen())
    torch.testing.assert_close(x[4000:].mean(0) - x[:4000].mean(0), torch.full((3,), 10.0), atol=0.15, rtol=0)


class Zero(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, t=None, condition=None):
        return 0 * self.weight * x


def test_a_prior_that_knows_nothing_is_the_standard_normal():
    prior = Denoiser(Space((Real(2),)), Zero(), Rectified())
    x = linear_vae(prior=prior).sample(40_000, generator=gen())
    torch.testing.assert_close(x.mean(0), EXACT.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(x.T.cov(), EXACT.covariance_matrix, atol=0.1, rtol=0)


def test_prior_loss_of_standard_normal_codes_is_at_its_optimum():
    """The codes of data from the model itself are N(0, I), for which the prior's network has nothing to add."""
    model = linear_vae(prior=Denoiser(Space((Real(2),)), Zero(), Rectified()))
    loss, _ = model.prior_loss(Batch(data(40_000)), 0.5, gen())
    assert loss.item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)


def test_a_trained_prior_draws_the_codes_in_use():
    """Codes around ±2 and not N(0, I): after training, samples lie where the data do."""

    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x, t=None, condition=None):
            return torch.cat([self.weight * x, torch.full_like(x, -6.0)], dim=1)

    class Echo(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, z, t=None, condition=None):
            return self.weight * z

    space = Space((Real(1),))
    network = ResidualMLP((1,), (1,), width=32, timed=True)
    model = VAE(space, Shifted(), Echo(), latent=1, prior=Denoiser(space, network, Rectified()), draw_numbers=False)

    def batches(step):
        side = torch.randint(0, 2, (256, 1), generator=gen(step)) * 4.0 - 2.0
        return Batch(side + 0.2 * torch.randn(256, 1, generator=gen(step + 10**6)))

    budget = Budget(steps=250)
    state = State(model, Clock.start(budget))
    state.turns = {"prior": replace(state.turns["prior"], start=0.0)}
    for _ in train(state, batches, seed=0, budget=budget):
        pass
    x = state.average.sample(4000, generator=gen())
    near = ((x.abs() - 2).abs() < 0.7).float().mean()
    assert near > 0.8  # under N(0, I): 0.19
    assert 0.4 < (x > 0).float().mean() < 0.6


def test_samples_are_valid_and_repeat():
    model = small_vae()
    x = model.sample(50, generator=gen(2))
    assert torch.equal(x, model.space.harden(x))
    assert torch.equal(x, model.sample(50, generator=gen(2)))


@pytest.mark.parametrize("settings", [Sampling(steps=5), Sampling(sampler="heun"), Sampling(guidance=2.0)])
def test_choices_a_vae_does_not_have_are_refused(settings):
    with pytest.raises(ValueError, match="diffusion and flow"):
        linear_vae().sample(2, settings=settings, generator=gen())


# -- health ------------------------------------------------------------------------------------------------------


def test_posterior_collapse_is_seen():
    collapsed = linear_vae()
    with torch.no_grad():
        collapsed.bound["encoder"].weight.zero_()
    assert any("collapse" in word for word in collapsed.examine(Batch(data(200)), gen()))
    assert linear_vae().examine(Batch(data(200)), gen()) == []
    assert any("collapse" in word for word in collapsed.symptoms({"bound/kl": 1e-4}, 1.0))
    assert collapsed.symptoms({"bound/kl": 3.0}, 1.0) == []
    assert collapsed.symptoms({"bound/kl": 1e-4}, 0.0) == []


def test_a_scale_that_learns_faster_moves_as_much_faster():
    slow, fast = linear_vae(scale=1.0), linear_vae(scale=1.0, scale_rate=10.0)
    for model in (slow, fast):
        model.log_scale.data.fill_(-0.1)
    assert torch.allclose(fast.scale.log(), 10 * slow.scale.log())
