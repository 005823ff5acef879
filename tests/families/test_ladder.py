"""The ladder: a VAE whose code is standard normal under the prior, and whose posteriors hang on the draws above."""

import pytest
import torch
from torch.distributions import Normal

from sansheng.families.vae import LadderVAE
from sansheng.logistic import LogisticMixture
from sansheng.model import Batch, HasCode, HasLikelihood
from sansheng.networks import ladder
from sansheng.recipe import assemble
from sansheng.space import Real, Space

DENSE = pytest.mark.parametrize("dense", [False, True])
GRIDS = pytest.mark.parametrize("positions", [(8, 8), (7,), (5, 9), (28, 20)])


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(model, scale=0.1):
    """The same model with its zeros moved, so that no part is idle."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn(p.shape, generator=gen(7)))
    return model


def small(positions=(8, 8), condition=0, dense=False, **settings):
    space = Space((Real(2, -1.0, 1.0),), positions)
    torch.manual_seed(0)
    encoder, decoder = ladder(space, 2, width=8, condition=condition, dense=dense)
    return shaken(LadderVAE(space, encoder, decoder, **settings))


def batch(model, n=6, condition=0):
    x = torch.rand(n, *model.space.shape, generator=gen(1)) * 2 - 1
    return Batch(x, torch.eye(condition)[torch.arange(n) % condition] if condition else None)


@DENSE
@GRIDS
def test_shapes(positions, dense):
    model = small(positions, dense=dense)
    codes = model.infer(batch(model), 3, gen())
    assert codes.z.shape == codes.mean.shape == (18, model.latent)
    assert codes.params.shape == (18, *model.space.shape)
    assert model.sample(4, generator=gen()).shape == (4, *model.space.shape)
    assert isinstance(model, HasLikelihood)
    assert isinstance(model, HasCode)


@DENSE
@GRIDS
def test_what_a_code_decodes_to_is_the_same_from_above_and_from_below(positions, dense):
    model = small(positions, dense=dense)
    codes = model.infer(batch(model), 2, gen())
    torch.testing.assert_close(model.decode(codes.z), codes.params, rtol=1e-4, atol=1e-4)


def test_draws_are_of_the_posterior_they_report():
    model = small()
    codes = model.infer(batch(model), 2, gen())
    torch.testing.assert_close(codes.z, codes.mean + codes.noise * (0.5 * codes.log_variance).exp())


@DENSE
def test_the_bound_is_that_of_its_densities(dense):
    """log p(x | z) + log N(z; 0, I) − Σ log q(z_l | x, z above), by torch.distributions, averaged over draws."""
    model = small(dense=dense)
    data = batch(model)
    codes = model.infer(data, 5, gen(3))
    log_q = Normal(codes.mean, (0.5 * codes.log_variance).exp()).log_prob(codes.z).sum(1)
    nll = model.space.nll(codes.params, data.x.repeat(5, 1, 1, 1), model.scale)
    log_p = Normal(0.0, 1.0).log_prob(codes.z).sum(1) - nll
    expected = (log_p - log_q).view(5, -1).logsumexp(0) - torch.tensor(5.0).log()
    torch.testing.assert_close(model.log_likelihood(data, samples=5, generator=gen(3)), expected, rtol=1e-4, atol=1e-3)


@DENSE
def test_lower_posteriors_hang_on_the_draws_above_and_the_top_one_does_not(dense):
    model = small(dense=dense)
    data = batch(model)
    one, other = (model.infer(data, 1, gen(seed)).mean for seed in (0, 1))
    top = model.bound["decoder"].sizes[0]
    torch.testing.assert_close(one[:, :top], other[:, :top])
    assert (one[:, top:] - other[:, top:]).abs().mean() > 1e-3


def test_untrained_posteriors_are_the_prior():
    space = Space((Real(1),), (8, 8))
    encoder, decoder = ladder(space, 1, width=8)
    model = LadderVAE(space, encoder, decoder)
    _, logged = model.loss(Batch(torch.randn(5, 1, 8, 8, generator=gen())), 0.5, gen())
    assert logged["kl"].item() == 0


def test_the_code_is_the_means_and_shows_what_they_decode_to():
    model = small()
    data = batch(model)
    code = model.code(data)
    assert torch.equal(code, model.code(data))
    torch.testing.assert_close(model.show(code), model.decode(code).clamp(-1, 1), rtol=1e-4, atol=1e-4)


@DENSE
def test_a_condition_changes_what_is_drawn(dense):
    model = small(condition=4, dense=dense)
    model.condition_space = Space((Real(3),))
    conditions = [torch.eye(3)[[i, i]] for i in (0, 1)]
    one, other = (model.sample(2, condition=c, generator=gen()) for c in conditions)
    assert (one - other).abs().max() > 1e-3


def test_doubly_and_data_without_positions_are_refused():
    with pytest.raises(ValueError, match="not for a ladder"):
        small(doubly=True, samples=2)
    with pytest.raises(ValueError, match="positions"):
        ladder(Space((Real(3),)), 3, width=8)


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_its_prior_is_fitted_to_the_topmost_group(likelihood):
    space = Space((Real(1, -1.0, 1.0),), (8, 8))
    settings = {"ladder": True, "latent": 5, "prior": True, "likelihood": likelihood}
    model = assemble("vae", "default", settings, space, None, 8)
    assert isinstance(model, LadderVAE)
    assert 0 < model.fitted == model.bound["decoder"].sizes[0] < model.latent
    assert isinstance(model.observed, LogisticMixture) == (likelihood == "logistic")
    loss, _ = model.prior_loss(batch(model), 0.5, gen())
    loss.backward()
    assert all(p.grad is None for p in model.bound.parameters())
    assert model.sample(3, generator=gen()).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("ladder", [False, True])
def test_dense_networks_have_no_convolutions_and_pictures_come_out(ladder):
    space = Space((Real(3, -1.0, 1.0),), (28, 20))
    settings = {"ladder": ladder, "latent": 5, "prior": True, "likelihood": "gaussian", "dense": True}
    model = assemble("vae", "default", settings, space, None, 8)
    assert not any(isinstance(module, torch.nn.Conv2d) for module in model.modules())
    assert model.sample(3, generator=gen()).shape == (3, 3, 28, 20)
