"""Paths: the noise level grows and `time` inverts it; each path is the schedule it says it is."""

import math

import pytest
import torch

from sansheng.paths import EDM, PATHS, VP, Cosine, Rectified, log_noise, sampling_times

ALL = pytest.mark.parametrize("path", [kind() for kind in PATHS.values()], ids=list(PATHS))
INSIDE = torch.linspace(1e-4, 1 - 1e-4, 999, dtype=torch.float64)


@ALL
def test_time_inverts_the_noise_level(path):
    torch.testing.assert_close(path.time(log_noise(path, INSIDE)), INSIDE, rtol=1e-8, atol=1e-8)


@ALL
def test_noise_level_grows(path):
    assert (log_noise(path, INSIDE).diff() > 0).all()


@ALL
def test_path_starts_at_the_data(path):
    zero = torch.zeros(())
    assert path.alpha(zero) == 1
    assert path.sigma(zero) == 0


@ALL
def test_path_ends_in_noise(path):
    one = torch.ones((), dtype=torch.float64)
    assert (path.alpha(one) / path.sigma(one)).item() < 0.01


@ALL
def test_noise_level_is_finite_at_both_ends(path):
    for dtype in (torch.float32, torch.float64):
        ends = log_noise(path, torch.tensor([0.0, 1.0], dtype=dtype))
        assert torch.isfinite(ends).all()
        assert ends[0] < -10
        assert ends[1] > 4


@ALL
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_times_fall_strictly_from_one_to_zero(path, steps):
    times = path.times(steps)
    assert times.shape == (steps + 1,)
    assert times[0] == pytest.approx(1, abs=1e-6)
    assert times[-1] == 0
    assert (times.diff() < 0).all()


@pytest.mark.parametrize("path", [Cosine(), VP()])
def test_variance_is_preserved(path):
    torch.testing.assert_close(path.alpha(INSIDE) ** 2 + path.sigma(INSIDE) ** 2, torch.ones_like(INSIDE))


def test_rectified_path_is_straight():
    path = Rectified()
    torch.testing.assert_close(path.alpha(INSIDE) + path.sigma(INSIDE), torch.ones_like(INSIDE))
    assert path.sigma(INSIDE).diff().diff().abs().max() < 1e-12


def test_vp_solves_its_differential_equation():
    """d ln α/dt = −½ β(t) with β linear from beta_min to beta_max (Song 2021, eq. 33)."""
    path = VP(0.2, 15.0)
    t = INSIDE.clone().requires_grad_()
    (slope,) = torch.autograd.grad(path.alpha(t).log().sum(), t)
    torch.testing.assert_close(slope, -0.5 * (0.2 + (15.0 - 0.2) * INSIDE))


def test_vp_is_ddpm_in_the_limit():
    """ᾱ_T of DDPM's thousand steps of β from 1e-4 to 0.02 (Ho 2020, section 4)."""
    discrete = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).prod().sqrt()
    assert VP().alpha(torch.ones((), dtype=torch.float64)).item() == pytest.approx(discrete.item(), rel=0.05)


def test_edm_times_are_those_of_karras():
    path, n = EDM(0.004, 160.0, 7.0), 18
    i = torch.arange(n, dtype=torch.float64)
    sigma = (160 ** (1 / 7) + i / (n - 1) * (0.004 ** (1 / 7) - 160 ** (1 / 7))) ** 7
    torch.testing.assert_close(path.sigma(path.times(n).double())[:-1], sigma, rtol=1e-5, atol=0)


def test_log_noise_of_the_straight_path_is_the_logit():
    torch.testing.assert_close(log_noise(Rectified(), INSIDE), torch.logit(INSIDE))


def test_edm_noise_is_its_time_in_units_of_the_largest():
    path = EDM(sigma_max=80.0)
    assert path.time(torch.tensor(math.log(8.0))).item() == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("name", sorted(PATHS))
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 12])
def test_a_sampler_goes_from_noise_to_data_by_falling_times(name: str, sampler: str, steps: int) -> None:
    times = sampling_times(PATHS[name](), sampler, steps)
    assert times.shape == (steps + 1,)
    assert times[0] == 1
    assert times[-1] == 0
    assert (times.diff() < 0).all()


@pytest.mark.parametrize("name", sorted(set(PATHS) - {"edm"}))
def test_what_looks_back_takes_even_roots_of_the_noise_ratio(name: str) -> None:
    path = PATHS[name]()
    times = sampling_times(path, "dpmpp_2m", 9)[1:-1].double()
    roots = (path.sigma(times) / path.alpha(times)) ** (1 / 3)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(7), rtol=1e-3, atol=1e-4)
    assert roots[-1] ** 3 == pytest.approx(0.02, rel=1e-3)
