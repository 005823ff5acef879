"""What is said of numbers in a row without a network is the posterior mean of the normal law that was measured."""

import pytest
import torch
from sklearn.covariance import ledoit_wolf
from torch import nn

from sansheng.denoiser import Denoiser
from sansheng.drawing import draw
from sansheng.families.diffusion import Diffusion
from sansheng.model import Batch, known_cells
from sansheng.paths import PATHS, Rectified, sampling_times
from sansheng.space import Category, Real, Space
from sansheng.told import Told
from sansheng.wiener import LONGEST, NUGGET, Wiener, suits

LINE = Space((Real(1), Real(1)), (8,))
MIXED = Space((Category(2), Real(1)), (8,))
MEMORY = 0.9


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def remembering(n, length=8, channels=2, seed=0):
    """Stationary first-order autoregressions with variance 1."""
    x = [torch.randn(n, channels, generator=gen(seed))]
    shocks = torch.randn(length, n, channels, generator=gen(seed + 1)) * (1 - MEMORY**2) ** 0.5
    for shock in shocks[1:]:
        x.append(MEMORY * x[-1] + shock)
    return torch.stack(x, 2)


def law(x):
    """Mean and covariance, of which correlations of cosines are shrunk."""
    steps = torch.arange(x.shape[2]).double()
    cosines = torch.cos(torch.pi * steps[:, None] * (steps + 0.5) / len(steps))
    cosines /= cosines.norm(dim=1, keepdim=True)
    waves = x.double() @ cosines.mT
    spread = waves.std(0, unbiased=False)
    shrunk = torch.stack([torch.from_numpy(ledoit_wolf((waves / spread)[:, c].numpy())[0]) for c in range(x.shape[1])])
    return x.mean(0).double(), cosines.mT @ (spread[:, :, None] * shrunk * spread[:, None]) @ cosines


def measured(u, space=LINE):
    wiener = Wiener(space)
    wiener.measure(u)
    return wiener


def test_noise_is_taken_off_as_well_as_a_linear_map_can():
    u = remembering(4000) + torch.tensor([1.0, -0.5])[:, None]
    mean, covariance = law(u)
    wiener = measured(u)
    t = torch.tensor([0.2, 0.7, 1.0])
    alpha, sigma = (1 - t).view(3, 1, 1), t.view(3, 1, 1)
    u_t = alpha * u[:3] + sigma * torch.randn(3, 2, 8, generator=gen(5))
    found = wiener(u_t, alpha, sigma, None)
    for i in range(3):
        for c in range(2):
            a, s = float(1 - t[i]), float(t[i])
            gain = a * covariance[c] @ torch.linalg.inv(a**2 * covariance[c] + s**2 * torch.eye(8).double())
            wanted = mean[c] + gain @ (u_t[i, c].double() - a * mean[c])
            torch.testing.assert_close(found[i, c].double(), wanted, atol=1e-4, rtol=1e-4)


def test_what_is_told_counts_as_it_does_in_a_normal_law():
    u = remembering(4000)
    mean, covariance = law(u)
    covariance = covariance + NUGGET * torch.eye(8)
    mask = torch.zeros(4, 2, 8, dtype=torch.bool)
    mask[0, :, :5] = mask[1, 0, 2:4] = mask[2, :, ::2] = True  # and the last example is told nothing
    alpha, sigma = torch.full((4, 1, 1), 0.3), torch.full((4, 1, 1), 0.7)
    u_t = alpha * u[:4] + sigma * torch.randn(4, 2, 8, generator=gen(5))
    wiener = measured(u)
    found, noisy = wiener(u_t, alpha, sigma, Told(u[:4], mask)), wiener(u_t, alpha, sigma, None)
    for i in range(4):
        for c in range(2):
            if i == 3:
                torch.testing.assert_close(found[i], noisy[i])
                continue
            told = mask[i, c]
            gain = torch.where(told, 1.0, 0.3).double()
            seen = torch.where(told, u[i, c], u_t[i, c]).double()
            joint = gain[:, None] * covariance[c] * gain + torch.diag(torch.where(told, 0.0, 0.49).double())
            wanted = mean[c] + covariance[c] * gain @ torch.linalg.solve(joint, seen - gain * mean[c])
            torch.testing.assert_close(found[i, c].double(), wanted, atol=2e-4, rtol=1e-3)


def test_examples_told_alike_are_solved_at_once_and_those_told_nothing_not_at_all():
    u = remembering(500)
    wiener, mask = measured(u), torch.zeros(6, 2, 8, dtype=torch.bool)
    mask[:, :, :3] = True
    one, each = torch.full((1, 1, 1), 0.5), torch.full((6, 1, 1), 0.5)
    at_once = wiener(u[:6], one, one, Told(u[:6], mask, alike=True))
    torch.testing.assert_close(at_once, wiener(u[:6], each, each, Told(u[:6], mask)))
    some = wiener(u[:6], each, each, Told(u[:6], mask, first=2))
    torch.testing.assert_close(some[:2], at_once[:2])
    torch.testing.assert_close(some[2:], wiener(u[:6], each, each, None)[2:])


def test_a_missing_value_that_is_told_says_nothing_of_others():
    u, one = remembering(500), torch.full((6, 1, 1), 0.5)
    wiener, mask, blanks = measured(u), torch.zeros(6, 2, 8, dtype=torch.bool), torch.zeros(6, 2, 8)
    mask[:, :, :4] = True
    blanks[:, 0, 3] = 1
    told = mask.clone()
    told[:, 0, 3] = False
    found = wiener(u[:6], one, one, Told(u[:6], mask, blanks=blanks))
    torch.testing.assert_close(found, wiener(u[:6], one, one, Told(u[:6], told)))
    assert not torch.allclose(found, wiener(u[:6], one, one, Told(u[:6], mask)))


@pytest.mark.parametrize("rows", [4, 12, 60])
def test_of_few_rows_it_still_denoises_and_interpolates_better_than_each_value_alone(rows):
    wiener, u = measured(remembering(rows, length=24), Space((Real(1), Real(1)), (24,))), remembering(500, 24, seed=7)
    alpha, sigma = torch.full((1, 1, 1), 0.8), torch.full((1, 1, 1), 0.6)
    u_t = alpha * u + sigma * torch.randn(u.shape, generator=gen(9))
    assert (wiener(u_t, alpha, sigma, None) - u).square().mean() < 0.8 * (0.8 * u_t - u).square().mean()
    mask = torch.zeros(u.shape, dtype=torch.bool)
    mask[..., ::3] = True
    noise = torch.randn(u.shape, generator=gen(9))
    filled = wiener(noise, torch.zeros(1, 1, 1), torch.ones(1, 1, 1), Told(u, mask, alike=True))
    assert (filled - u)[~mask].square().mean() < 0.5


def test_one_row_says_nothing():
    u_t = torch.randn(5, 2, 8, generator=gen(9))
    alpha, sigma = torch.full((1, 1, 1), 0.8), torch.full((1, 1, 1), 0.6)
    torch.testing.assert_close(measured(remembering(1))(u_t, alpha, sigma, None), 0.8 * u_t)


def test_a_channel_that_never_changes_is_no_trouble():
    u = remembering(500)
    u[:, 1] = 0.0
    one, mask = torch.full((1, 1, 1), 0.5), torch.zeros(5, 2, 8, dtype=torch.bool)
    mask[:, :, 1::2] = True
    found = measured(u)(u[:5], one, one, Told(u[:5], mask, alike=True))
    assert found.isfinite().all()
    torch.testing.assert_close(found[:, 1], torch.zeros(5, 8), atol=1e-5, rtol=0)


def test_symbols_are_left_to_the_network():
    number = remembering(300, channels=1)
    symbol = torch.eye(2)[(number[:, 0] > 0).long()].mT
    u = torch.cat([symbol, number], 1)
    alpha = sigma = torch.full((1, 1, 1), 0.5)
    found = measured(u, MIXED)(u[:5], alpha, sigma, Told(u[:5], torch.zeros(5, 3, 8, dtype=torch.bool)))
    assert (found[:, :2] == 0).all()
    assert found[:, 2].abs().min() > 0


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_denoiser_whose_network_is_silent_draws_the_law_and_goes_on_as_it_would(name):
    path, silent = PATHS[name](), Silent()
    model = Denoiser(LINE, silent, path, told=True, linear=True)
    data = 3 * remembering(4000, seed=3) + 7
    model.measure(data)
    drawn = draw(
        model, 3000, condition=None, sampler="heun", times=sampling_times(path, "heun", 24), scale=1.0, generator=gen(1)
    )
    near = torch.corrcoef(drawn[:, 0].T)
    assert near[0, 1] == pytest.approx(MEMORY, abs=0.03)
    assert near[0, 7] == pytest.approx(MEMORY**7, abs=0.06)
    assert drawn.std().item() == pytest.approx(3, abs=0.2)

    mask = torch.zeros(3000, 2, 8, dtype=torch.bool)
    mask[:, :, :4] = True
    past = data[:1].expand(3000, 2, 8)
    ahead = draw(
        model, 3000, condition=None, sampler="heun", times=sampling_times(path, "heun", 24), scale=1.0,
        generator=gen(2), known=known_cells(past, mask),
    )  # fmt: skip
    assert torch.equal(ahead[..., :4], past[..., :4])
    off = (past[0, :, 3] - 7)[:, None] * MEMORY ** torch.arange(1, 5)
    torch.testing.assert_close(ahead[..., 4:].mean(0) - 7, off, atol=0.45, rtol=0)
    expected = 3 * (1 - MEMORY ** (2 * torch.arange(1.0, 5.0))).sqrt()
    torch.testing.assert_close(ahead[..., 4:].std(0), expected.expand(2, 4), atol=0.3, rtol=0.1)


class Silent(nn.Module):
    def forward(self, x, c_noise, condition=None):
        return torch.zeros_like(x[:, :2])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_loss_of_diffusion_starts_at_that_of_the_linear_denoiser(share):
    path, data = PATHS["edm"](), remembering(2000, seed=3)

    def loss(linear):
        denoiser = Denoiser(LINE, Silent(), path, told=True, linear=linear)
        model = Diffusion(LINE, denoiser, known_share=share)
        model.measure(data)
        return model.loss(Batch(data), 0.5, gen(4))[0].item()

    assert loss(linear=True) < loss(linear=False) - 0.1


def test_short_rows_of_numbers_suit():
    assert suits(LINE)
    assert suits(MIXED)
    assert not suits(Space((Real(1),), (LONGEST + 1,)))
    assert not suits(Space((Real(1),), (4, 4)))
    assert not suits(Space((Category(3),), (8,)))
    assert not suits(Space((Real(1),)))
    for space in (Space((Real(1),)), Space((Real(1),), (4, 4)), Space((Category(3),), (8,))):
        with pytest.raises(ValueError, match="in a row of at most"):
            Wiener(space)


def test_noise_without_end_is_said_to_be_as_much_as_training_shows():
    asked = []

    class Listens(nn.Module):
        def forward(self, x, c_noise, condition=None):
            asked.append(float(c_noise))
            return torch.zeros_like(x)

    model = Denoiser(LINE, Listens(), Rectified())
    model(torch.zeros(2, 2, 8), torch.tensor(1.0))
    model(torch.zeros(2, 2, 8), torch.tensor(0.5))
    assert asked == pytest.approx([1.25, 0.0])
