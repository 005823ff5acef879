"""The VAE on a linear-Gaussian model, whose likelihood and posterior are known in closed form."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from sansheng.budget import Budget, Clock
from sansheng.families import vae
from sansheng.families.vae import VAE
from sansheng.loop import State, train
from sansheng.model import Batch, HasLikelihood
from sansheng.space import Real, Space
from small_vaes import (
    EXACT,
    SCALE,
    LinearDecoder,
    LinearEncoder,
    data,
    gen,
    linear_vae,
    small_batch,
    small_vae,
)


@pytest.fixture(autouse=True)
def _same_weights():
    """Networks are made from the same random numbers in every test."""
    torch.manual_seed(0)


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


def test_a_bound_of_large_data_is_measured_a_few_codes_at_a_time(monkeypatch):
    x = data(7)
    model, counts = linear_vae(), []
    weigh = model._log_weights

    def watched(batch, count, *rest):
        counts.append(count)
        return weigh(batch, count, *rest)

    whole = model.log_likelihood(Batch(x), samples=2000, generator=gen())
    monkeypatch.setattr(vae, "AT_ONCE", 4 * x.numel() + 1)
    monkeypatch.setattr(model, "_log_weights", watched)
    parts = model.log_likelihood(Batch(x), samples=2000, generator=gen())
    assert counts == [4] * 500
    torch.testing.assert_close(parts, whole, atol=0.1, rtol=0)


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
    with pytest.raises(ValueError, match="set samples"):
        linear_vae(samples_from=0.5)


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
