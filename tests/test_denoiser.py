"""A network that says nothing makes the denoiser of the Gaussian that was measured; the loss is that denoiser's nll."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sansheng.denoiser import Coordinates, Denoiser, NoisePredictor, filled, stratified_normal
from sansheng.drawing import check_sampler, draw
from sansheng.model import Sampling, known_means
from sansheng.paths import PATHS, Rectified, sampling_times
from sansheng.space import HALF_LOG_2PI, Category, Real, Space

ALL_PATHS = pytest.mark.parametrize("path", [kind() for kind in PATHS.values()], ids=list(PATHS))
MEAN, STD = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([3.0, 0.2, 1.0])
NUMBERS = Space((Real(1), Real(1), Real(1)))
MIXED = Space((Real(1), Category(3)), (2,))


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class Says(nn.Module):
    """A network that answers with one number everywhere, and remembers what it was asked."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = value
        self.asked = []

    def forward(self, x, t=None, condition=None):
        self.asked.append((x, t, condition))
        return torch.full_like(x, self.value)


def gaussian_data(n=4000):
    z = torch.randn(n, 3, generator=gen(7))
    return MEAN + STD * (z - z.mean(0)) / z.std(0, correction=0)


def measured(network, path, space=NUMBERS, data=None):
    denoiser = Denoiser(space, network, path)
    denoiser.coordinates.measure(space, gaussian_data() if data is None else data)
    return denoiser


# -- coordinates -------------------------------------------------------------------------------------------------


def test_measured_numbers_have_mean_zero_and_spread_one():
    x = gaussian_data()
    coordinates = Coordinates(NUMBERS)
    coordinates.measure(NUMBERS, x)
    u = coordinates.embed(x)
    torch.testing.assert_close(u.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(u.std(0, correction=0), torch.ones(3))
    torch.testing.assert_close(coordinates.spread, torch.ones(3))


def test_restore_undoes_embed():
    x = MIXED.harden(torch.randn(200, *MIXED.shape, generator=gen()))
    coordinates = Coordinates(MIXED)
    coordinates.measure(MIXED, x)
    torch.testing.assert_close(coordinates.restore(coordinates.embed(x)), x, atol=1e-5, rtol=1e-5)


def test_spread_is_that_of_the_embedded_data_and_one_for_all_levels_of_a_symbol():
    x = MIXED.harden(torch.randn(3000, *MIXED.shape, generator=gen()))
    coordinates = Coordinates(MIXED)
    coordinates.measure(MIXED, x)
    u = coordinates.embed(x)
    assert coordinates.spread[0].item() == pytest.approx(u[:, 0].std(correction=0).item(), rel=1e-3)
    of_symbols = u[:, 1:].var((0, 2), correction=0).mean().sqrt().item()
    torch.testing.assert_close(coordinates.spread[1:].flatten(), torch.full((3,), of_symbols), rtol=1e-3, atol=0)


def test_a_constant_column_is_no_trouble():
    x = gaussian_data()
    x[:, 1] = 5.0
    denoiser = measured(Says(), Rectified(), data=x)
    u = denoiser.coordinates.embed(x)
    assert torch.isfinite(u).all()
    assert torch.isfinite(denoiser.loss(x[:9], torch.linspace(0, 1, 9), torch.randn(9, 3, generator=gen()))).all()


# -- preconditioning ---------------------------------------------------------------------------------------------


@ALL_PATHS
def test_without_a_network_the_denoiser_is_the_posterior_mean_of_a_gaussian(path):
    """E[x | y] for x ~ N(μ, S²), y = α g (x − μ) + σ z, in the units of the data."""
    denoiser = measured(Says(), path)
    t = torch.linspace(0.02, 0.98, 40)
    y = 2 * torch.randn(40, 3, generator=gen())
    alpha, sigma, gain = path.alpha(t)[:, None], path.sigma(t)[:, None], denoiser.coordinates.gain
    expected = MEAN + STD**2 * alpha * gain / (alpha**2 * gain**2 * STD**2 + sigma**2) * y
    got = denoiser.coordinates.restore(denoiser(y, t))
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


@ALL_PATHS
def test_the_network_sees_inputs_of_unit_variance(path):
    network = Says()
    denoiser = measured(network, path)
    x = gaussian_data()
    for t in (0.05, 0.5, 0.95):
        network.asked.clear()
        denoiser.loss(x, torch.full((len(x),), t), torch.randn(len(x), 3, generator=gen(1)))
        torch.testing.assert_close(network.asked[0][0].std(0), torch.ones(3), rtol=0.08, atol=0)


@ALL_PATHS
@pytest.mark.parametrize("t", [0.05, 0.3, 0.7, 0.95])
def test_loss_at_the_optimum_is_the_entropy_of_a_unit_gaussian_at_every_time(path, t):
    """Karras' weighting makes the target of the network N(0, 1), and zero is the best answer for Gaussian data."""
    x = gaussian_data(20_000)
    z = torch.randn(len(x), 3, generator=gen(3))
    loss = measured(Says(), path).loss(x, torch.full((len(x),), t), z)
    assert loss.mean().item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)


@ALL_PATHS
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_preconditioning_holds_for_any_spread(path, spread):
    """In coordinates of another scale: still a unit target, still the posterior mean of a Gaussian."""
    denoiser = measured(Says(), path)
    denoiser.coordinates.gain.mul_(spread)
    denoiser.coordinates.spread.mul_(spread)
    x = gaussian_data(20_000)
    t, z = torch.full((len(x),), 0.4), torch.randn(len(x), 3, generator=gen(3))
    assert denoiser.loss(x, t, z).mean().item() == pytest.approx(0.5 + HALF_LOG_2PI, abs=0.02)
    alpha, sigma = path.alpha(t[:1]), path.sigma(t[:1])
    expected = alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * z
    torch.testing.assert_close(denoiser(z, t), expected, rtol=1e-4, atol=1e-4)


@ALL_PATHS
def test_a_wrong_answer_costs_half_its_square(path):
    x = gaussian_data(20_000)
    t, z = torch.full((len(x),), 0.4), torch.randn(len(x), 3, generator=gen(3))
    best = measured(Says(), path).loss(x, t, z).mean()
    off = measured(Says(1.5), path).loss(x, t, z).mean()
    assert (off - best).item() == pytest.approx(0.5 * 1.5**2, abs=0.05)


@ALL_PATHS
def test_loss_is_the_nll_of_the_clean_numbers_at_c_out(path):
    """½((u − D)/c_out)² + ½ log 2π: `Space.nll` at scale c_out, less log c_out."""
    denoiser = measured(Says(0.3), path)
    x, t, z = gaussian_data()[:50], torch.rand(50, generator=gen()) * 0.9 + 0.05, torch.randn(50, 3, generator=gen(1))
    u = denoiser.coordinates.embed(x)
    u_t = path.alpha(t)[:, None] * u + path.sigma(t)[:, None] * z
    mean, c_out = denoiser.params(u_t, t)
    expected = NUMBERS.nll(mean, u, c_out) - c_out.expand_as(u).log().sum(1)
    torch.testing.assert_close(denoiser.loss(x, t, z), expected / 3, rtol=2e-3, atol=2e-3)


@ALL_PATHS
def test_loss_is_finite_at_both_ends_of_time(path):
    loss = measured(Says(0.1), path).loss(
        gaussian_data()[:2], torch.tensor([0.0, 1.0]), torch.randn(2, 3, generator=gen())
    )
    assert torch.isfinite(loss).all()


def test_symbols_without_a_network_are_uniform_and_cost_log_levels():
    space = Space((Category(4),), (3,))
    x = space.harden(torch.randn(500, 4, 3, generator=gen()))
    denoiser = measured(Says(), Rectified(), space, x)
    t, z = torch.full((500,), 0.5), torch.randn(x.shape, generator=gen(1))
    torch.testing.assert_close(denoiser.loss(x, t, z), torch.full((500,), math.log(4)))
    mean = denoiser.coordinates.restore(denoiser(z, t))
    torch.testing.assert_close(mean, torch.full_like(mean, 0.25), atol=1e-5, rtol=0)


def test_loss_is_per_dimension():
    """Two equal slots cost as much per dimension as one."""
    x, t, z = gaussian_data()[:, :1], torch.full((4000,), 0.5), torch.randn(4000, 1, generator=gen())
    one = measured(Says(), Rectified(), Space((Real(1),)), x)
    two = measured(Says(), Rectified(), Space((Real(2),)), x.expand(-1, 2))
    torch.testing.assert_close(two.loss(x.expand(-1, 2), t, z.expand(-1, 2)), one.loss(x, t, z), rtol=1e-4, atol=1e-4)


def test_the_condition_reaches_the_network():
    network = Says()
    condition = torch.eye(3)
    measured(network, Rectified())(torch.zeros(3, 3), torch.tensor(0.5), condition)
    assert network.asked[-1][2] is condition


# -- the noise predictor -----------------------------------------------------------------------------------------


class ExactNoise(nn.Module):
    """E[z | u_t] for u ~ N(0, 1)."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x, t, condition=None):
        alpha, sigma = self.path.alpha(t).view(-1, 1), self.path.sigma(t).view(-1, 1)
        return sigma / (alpha**2 + sigma**2) * x


@ALL_PATHS
def test_exact_noise_gives_the_exact_denoiser(path):
    predictor = NoisePredictor(NUMBERS, ExactNoise(path), path)
    t, u_t = torch.linspace(0.1, 0.9, 30), torch.randn(30, 3, generator=gen())
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    torch.testing.assert_close(predictor(u_t, t), alpha / (alpha**2 + sigma**2) * u_t, rtol=1e-3, atol=1e-3)


def test_noise_loss_at_the_optimum_is_the_variance_left():
    """E(ε − E[ε | u_t])² = α²/(α² + σ²) for u ~ N(0, 1)."""
    path, n = Rectified(), 40_000
    x, z = torch.randn(n, 3, generator=gen()), torch.randn(n, 3, generator=gen(1))
    loss = NoisePredictor(NUMBERS, ExactNoise(path), path).loss(x, torch.full((n,), 0.3), z)
    assert loss.mean().item() == pytest.approx(0.49 / (0.49 + 0.09), rel=0.02)


# -- drawing -----------------------------------------------------------------------------------------------------


@ALL_PATHS
@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "ancestral"])
def test_drawing_without_a_network_gives_the_measured_gaussian(path, sampler):
    steps = 200 if sampler == "ancestral" else 30
    denoiser = measured(Says(), path)
    with torch.no_grad():
        x = draw(denoiser, 8000, condition=None, sampler=sampler, times=path.times(steps), scale=1.0, generator=gen(4))
    assert ((x.mean(0) - MEAN).abs() < 0.06 * STD).all()
    torch.testing.assert_close(x.std(0), STD, rtol=0.06, atol=0)


def test_draws_are_valid_data():
    space = Space((Real(1, -0.5, 0.5), Category(3)))
    data = space.harden(torch.randn(500, 4, generator=gen()))
    denoiser = measured(Says(), Rectified(), space, data)
    times = Rectified().times(5)
    x = draw(denoiser, 100, condition=None, sampler="euler", times=times, scale=1.0, generator=gen())
    assert torch.equal(space.harden(x), x)


def test_guidance_asks_with_and_without_the_condition():
    network = Says()
    denoiser = measured(network, Rectified())
    condition = torch.eye(2)[torch.tensor([0, 1, 1])]
    for scale, kinds in ((1.0, {True}), (3.0, {True, False})):
        network.asked.clear()
        times = Rectified().times(2)
        draw(denoiser, 3, condition=condition, sampler="euler", times=times, scale=scale, generator=gen())
        asked = [c for _, _, c in network.asked]
        assert {bool(c[:, -1].all()) for c in asked} == kinds
        for c in asked:
            kept = bool(c[:, -1].all())
            assert torch.equal(c[:, :-1], condition * kept)


# -- odds and ends -----------------------------------------------------------------------------------------------


def test_stratified_normal_draws_one_from_each_interval():
    draws = stratified_normal(64, gen(), torch.device("cpu"))
    strata = (torch.special.ndtr(draws.double()) * 64).floor().long()
    assert sorted(strata.tolist()) == list(range(64))
    assert strata.tolist() != list(range(64))


def test_stratified_normal_is_normal():
    draws = torch.cat([stratified_normal(16, gen(i), torch.device("cpu")) for i in range(2000)])
    assert draws.mean().item() == pytest.approx(0, abs=0.01)
    assert draws.var().item() == pytest.approx(1, abs=0.03)
    assert (draws**4).mean().item() == pytest.approx(3, abs=0.2)


def test_unknown_sampler_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"'huen'.*Did you mean 'heun'.*ancestral.*euler"):
        check_sampler(Sampling(sampler="huen"))
    with pytest.raises(ValueError, match="at least 1 step, not 0"):
        check_sampler(Sampling(steps=0))
    check_sampler(Sampling(steps=1, sampler="heun"))


def test_means_that_are_known_are_kept_where_bounds_clip():
    """White, black and grey blocks of pictures enlarged by a denoiser that has learnt nothing."""
    space = Space((Real(1, -1.0, 1.0),), (6, 6))
    model = Denoiser(space, Says(), Rectified())
    blocks = torch.tensor([[1.0, -1.0, 0.3], [0.99, 0.0, -0.6], [-0.97, 1.0, 0.1]])
    told = blocks.repeat_interleave(2, 0).repeat_interleave(2, 1).expand(20, 1, 6, 6)
    times = sampling_times(model.path, "heun", 8)
    x = draw(
        model, 20, condition=None, sampler="heun", times=times, scale=1.0, generator=gen(),
        known=known_means(told, 2),
    )  # fmt: skip
    assert x.abs().max() <= 1
    torch.testing.assert_close(F.avg_pool2d(x, 2), blocks.expand(20, 1, 3, 3), atol=2e-3, rtol=0)
    assert x[:, :, 2:, 2:].std() > 0.05


def test_missing_numbers_are_drawn_like_others_and_inflated_ones_stay():
    space = Space((Real(1, optional=True, unknown=True), Category(3), Real(1)), ())
    n = 20_000
    which = torch.arange(n) % 8
    x = torch.zeros(n, 5)
    x[:, 1], x[:, 2], x[:, 3] = ((which > 2).float(), (which == 0).float(), ((which == 1) | (which == 2)).float())
    x[:, 0] = x[:, 1] * (5 + 2 * torch.randn(n, generator=gen()))
    x[:, 4] = torch.randn(n, generator=gen(1))
    full, gone, there = filled(x, space, gen(2)), which == 0, x[which != 0, 0]
    assert torch.equal(full[~gone], x[~gone])
    assert torch.equal(full[:, 1:], x[:, 1:])
    assert float(full[gone, 0].mean()) == pytest.approx(float(there.mean()), abs=0.15)
    assert float(full[gone, 0].std()) == pytest.approx(float(there.std()), abs=0.15)
    only_inflated = Space((Real(1, optional=True), Category(3), Real(1)), ())
    assert filled(x, only_inflated, gen()) is x


def test_numbers_that_are_rarely_there_are_not_drawn():
    space = Space((Real(1, optional=True, unknown=True), Category(2)), ())
    x = torch.zeros(1000, 3)
    x[:, 1] = (torch.arange(1000) < 200).float()
    x[:, 2] = 1 - x[:, 1]
    x[:, 0] = x[:, 1] * torch.randn(1000, generator=gen())
    mean = float(x[:200, 0].mean())
    assert filled(x, space, gen(2))[200:, 0].tolist() == pytest.approx([mean] * 800)
