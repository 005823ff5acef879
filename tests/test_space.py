"""The six verbs of Space against probability theory: what sums to one, what has which mean, what is nearest."""

import itertools
import math

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from sansheng.space import Category, Real, Space

MIXED = Space(
    (Real(2), Category(3), Real(1, 0.0, 4.0, "bernoulli"), Category(2), Category(3), Real(1, -1.0, 1.0)), (2,)
)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(space, n=1, seed=0):
    return torch.randn(n, *space.shape, generator=gen(seed))


def all_data(space):
    """Every datum of a space of symbols, ``(N, C, *P)``."""
    per_position = [
        torch.cat([torch.eye(s.levels)[i] for s, i in zip(space.slots, choice, strict=True)])
        for choice in itertools.product(*[range(s.levels) for s in space.slots])
    ]
    rows = itertools.product(per_position, repeat=math.prod(space.positions))
    return torch.stack([torch.stack(r, dim=1).view(space.shape) for r in rows])


def test_flipped_greys_are_at_their_bounds_and_grey_on_average():
    x = noise(MIXED).abs().clamp(0.1, 0.9).expand(20_000, -1, -1).contiguous()
    flipped = MIXED.flip(x, generator=gen())
    coin = MIXED.offsets[2]
    assert set(flipped[:, coin].unique().tolist()) == {0.0, 4.0}
    torch.testing.assert_close(flipped[:, coin].mean(0), x[0, coin], atol=0.06, rtol=0)
    rest = [c for c in range(MIXED.channels) if c != coin]
    torch.testing.assert_close(flipped[:, rest], x[:, rest], atol=0, rtol=0)


# -- nll ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.5])
def test_gaussian_likelihood_integrates_to_one(scale):
    space = Space((Real(1),))
    grid = torch.linspace(-20, 20, 20001)[:, None]
    density = (-space.nll(torch.full_like(grid, 0.7), grid, scale)).exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, abs=1e-4)


def test_gaussian_nll_is_that_of_torch_distributions():
    space = Space((Real(2), Real(1)), (4, 3))
    params, x, scale = noise(space, 5), noise(space, 5, 1), torch.tensor([0.3, 1.0, 2.0]).view(3, 1, 1)
    expected = -Independent(Normal(params, scale.expand_as(params)), 3).log_prob(x)
    torch.testing.assert_close(space.nll(params, x, scale), expected)


def test_bernoulli_likelihood_sums_to_one_over_the_bounds():
    space = Space((Real(2, -1.0, 3.0, "bernoulli"),), (2,))
    x = torch.tensor(list(itertools.product([-1.0, 3.0], repeat=4))).view(-1, 2, 2)
    params = 2 * noise(space).expand(len(x), -1, -1)
    assert (-space.nll(params, x)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_bernoulli_nll_of_a_grey_level_is_least_at_its_mean():
    space = Space((Real(1, -1.0, 1.0, "bernoulli"),))
    x = torch.tensor([[-0.9], [0.0], [0.4]])
    at = torch.logit((x + 1) / 2).requires_grad_()
    torch.testing.assert_close(space.mean(at), x)
    (slope,) = torch.autograd.grad(space.nll(at, x).sum(), at)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-6, rtol=0)
    assert (space.nll(at + 0.5, x) > space.nll(at, x)).all()


@pytest.mark.parametrize(
    "space",
    [Space((Category(5),)), Space((Category(3),), (3,)), Space((Category(3), Category(2), Category(3)), (2,))],
)
def test_likelihood_of_symbols_sums_to_one(space):
    x = all_data(space)
    params = 2 * noise(space).expand_as(x)
    assert (-space.nll(params, x)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_likelihood_of_numbers_and_symbols_together_integrates_to_one():
    space = Space((Category(3), Real(1)))
    grid = torch.linspace(-12, 12, 4001)
    total = 0.0
    for symbol in torch.eye(3):
        x = torch.cat([symbol.expand(len(grid), 3), grid[:, None]], dim=1)
        density = (-space.nll(noise(space).expand_as(x), x, 0.5)).exp()
        total += torch.trapezoid(density, grid).item()
    assert total == pytest.approx(1, abs=1e-4)


def test_nll_of_each_example_does_not_depend_on_the_batch():
    params, x = noise(MIXED, 6), MIXED.harden(noise(MIXED, 6, 1))
    alone = torch.cat([MIXED.nll(params[i : i + 1], x[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(MIXED.nll(params, x), alone)


# -- mean, mode, sample ------------------------------------------------------------------------------------------


def test_mean_is_taken_slot_by_slot_in_the_order_of_the_slots():
    p = noise(MIXED, 3)
    expected = torch.cat(
        [
            p[:, 0:2],
            p[:, 2:5].softmax(1),
            4 * p[:, 5:6].sigmoid(),
            p[:, 6:8].softmax(1),
            p[:, 8:11].softmax(1),
            p[:, 11:12],
        ],
        dim=1,
    )
    torch.testing.assert_close(MIXED.mean(p), expected)


def test_samples_have_the_mean_and_the_spread_they_should():
    n = 40_000
    params = noise(MIXED)
    x = MIXED.sample(params.expand(n, -1, -1), 0.3, generator=gen(1))
    error = x.mean(0) - MIXED.mean(params)[0]
    assert (error.abs() < 5 * x.std(0) / math.sqrt(n)).all()
    torch.testing.assert_close(x[:, [0, 1, 11]].std(0), torch.full((3, 2), 0.3), rtol=0.02, atol=0)


def test_symbols_are_drawn_with_their_probabilities():
    space, n = Space((Category(4),), (3,)), 40_000
    params = 1.5 * noise(space)
    counts = space.sample(params.expand(n, -1, -1), generator=gen(2)).sum(0)
    expected = n * params[0].softmax(0)
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    assert chi2 < 28  # 9 degrees of freedom: exceeded with probability 0.001


def test_samples_are_valid_data():
    x = MIXED.sample(3 * noise(MIXED, 50), generator=gen())
    for start, levels in ((2, 3), (6, 2), (8, 3)):
        slot = x[:, start : start + levels]
        assert ((slot == 0) | (slot == 1)).all()
        assert (slot.sum(1) == 1).all()
    assert ((x[:, 5] == 0) | (x[:, 5] == 4)).all()


def test_scale_zero_keeps_numbers_at_their_mean_and_still_draws_symbols():
    params = torch.zeros(200, *MIXED.shape)
    params[:, :2] = noise(MIXED, 200)[:, :2]
    x = MIXED.sample(params, 0.0, generator=gen())
    torch.testing.assert_close(x[:, [0, 1, 5, 11]], MIXED.mean(params)[:, [0, 1, 5, 11]])
    assert 0.2 < x[:, 2:5].mean((0, 2)).min() < x[:, 2:5].mean((0, 2)).max() < 0.5


def test_samples_are_a_function_of_the_generator():
    params = noise(MIXED, 4)
    torch.manual_seed(1)
    first = MIXED.sample(params, generator=gen(5))
    torch.manual_seed(2)
    assert torch.equal(first, MIXED.sample(params, generator=gen(5)))
    assert not torch.equal(first, MIXED.sample(params, generator=gen(6)))


def test_mode_is_the_likeliest_datum():
    space = Space((Category(3), Category(4)), (2,))
    x, params = all_data(space), noise(space)
    best = space.nll(params, space.mode(params))
    torch.testing.assert_close(best, space.nll(params.expand_as(x), x).min()[None])


def test_mode_of_numbers_is_their_mean():
    params = noise(MIXED, 3)
    torch.testing.assert_close(MIXED.mode(params)[:, [0, 1, 5, 11]], MIXED.mean(params)[:, [0, 1, 5, 11]])


# -- optional numbers --------------------------------------------------------------------------------------------

GAPS = Space((Real(2, optional=True), Category(3), Real()))


def test_optional_numbers_are_zero_unless_the_first_level_is_set():
    params = noise(GAPS, 200)
    for x in (GAPS.harden(params), GAPS.sample(params, generator=gen()), GAPS.relax(params, generator=gen())):
        there = x[:, 2] > 0.5
        assert 20 < there.sum() < 180
        assert (x[~there, :2] == 0).all()
        assert (x[there, :2] != 0).all()
        assert (x[:, 5] != 0).all()


def test_optional_numbers_that_do_not_count_cost_nothing():
    """p(x) = p(symbol) p(numbers | symbol): the density of the numbers is left out where there are none."""
    params = noise(GAPS, 4)
    x = GAPS.harden(noise(GAPS, 4, 1))
    x[:, 2:5] = torch.eye(3)[[0, 1, 2, 0]]
    x[[1, 2], :2] = 0
    always = GAPS.always()
    spared = Space((Real(2),)).nll(params[:, :2], x[:, :2])
    expected = always.nll(params, x) - torch.tensor([0.0, 1.0, 1.0, 0.0]) * spared
    torch.testing.assert_close(GAPS.nll(params, x), expected)


def test_optional_numbers_pass_a_gradient_to_what_says_whether_they_count():
    params = noise(GAPS, 50).requires_grad_()
    (slope,) = torch.autograd.grad(GAPS.relax(params, generator=gen())[:, :2].sum(), params)
    assert (slope[:, 2:5].abs().sum(1) > 1e-4).all()


def test_optional_numbers_need_a_category_behind_them():
    with pytest.raises(ValueError, match="Category behind"):
        Space((Category(2), Real(1, optional=True)))


# -- relax -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_relaxed_symbols_are_one_hot_going_forward(temperature):
    x = MIXED.relax(noise(MIXED, 50), temperature=temperature, generator=gen())
    torch.testing.assert_close(x[:, 2:5], MIXED.harden(x)[:, 2:5], atol=1e-6, rtol=0)
    torch.testing.assert_close(x[:, 6:11], MIXED.harden(x)[:, 6:11], atol=1e-6, rtol=0)


def test_relaxed_symbols_are_drawn_with_their_probabilities():
    space, n = Space((Category(4),)), 40_000
    params = 1.5 * noise(space)
    error = space.relax(params.expand(n, -1), generator=gen(3)).mean(0) - params[0].softmax(0)
    assert error.abs().max() < 5 * 0.5 / math.sqrt(n)


def test_relaxed_symbols_pass_a_gradient_that_keeps_probability():
    space = Space((Category(4),), (3,))
    params = noise(space, 8).requires_grad_()
    weight = noise(space, 8, 1)
    (slope,) = torch.autograd.grad((space.relax(params, generator=gen()) * weight).sum(), params)
    assert (slope.abs().amax((0, 2)) > 1e-3).all()
    torch.testing.assert_close(slope.sum(1), torch.zeros(8, 3), atol=1e-6, rtol=0)


def test_relaxed_gradient_is_steeper_when_colder_on_average_logits():
    """d/dθ softmax((θ + g)/T) carries a factor 1/T."""
    space = Space((Category(2),))
    slopes = {}
    for temperature in (1.0, 10.0):
        params = torch.zeros(2000, 2, requires_grad=True)
        first = space.relax(params, temperature=temperature, generator=gen())[:, 0].sum()
        slopes[temperature] = torch.autograd.grad(first, params)[0][:, 0].mean().item()
    # E[p(1 − p)]/T with logit p = (g₁ − g₂)/T, logistic: 1/6 at T = 1, nearly ¼/T when hot
    assert slopes[1.0] == pytest.approx(1 / 6, rel=0.05)
    assert slopes[10.0] == pytest.approx(0.025, rel=0.05)


def test_relaxed_numbers_keep_their_bounds_and_feel_what_leads_back():
    space = Space((Real(1, -1.0, 1.0),))
    params = torch.tensor([[-3.0], [-3.0], [0.5], [0.5], [2.0], [2.0]], requires_grad=True)
    x = space.relax(params, generator=gen())
    torch.testing.assert_close(x, torch.tensor([[-1.0], [-1.0], [0.5], [0.5], [1.0], [1.0]]))
    up = torch.tensor([[-1.0], [1.0], [-1.0], [1.0], [-1.0], [1.0]])  # descent raises where the slope is negative
    (slope,) = torch.autograd.grad((x * up).sum(), params)
    torch.testing.assert_close(slope, torch.tensor([[-1.0], [0.0], [-1.0], [1.0], [0.0], [1.0]]))


def test_relaxed_numbers_are_the_mean_with_its_gradient():
    space = Space((Real(2), Real(1, 0.0, 2.0, "bernoulli")))
    params = noise(space, 5).requires_grad_()
    x = space.relax(params, generator=gen())
    torch.testing.assert_close(x, space.mean(params))
    (slope,) = torch.autograd.grad(x.sum(), params)
    p = params[:, 2:].sigmoid()
    torch.testing.assert_close(slope, torch.cat([torch.ones(5, 2), 2 * p * (1 - p)], dim=1))


# -- harden ------------------------------------------------------------------------------------------------------


def test_harden_is_idempotent():
    x = MIXED.harden(5 * noise(MIXED, 50))
    assert torch.equal(MIXED.harden(x), x)


def test_harden_clips_numbers_and_leaves_unbounded_ones():
    x = 10 * noise(MIXED, 50)
    hard = MIXED.harden(x)
    assert torch.equal(hard[:, :2], x[:, :2])
    assert torch.equal(hard[:, 5], x[:, 5].clamp(0, 4))
    assert torch.equal(hard[:, 11], x[:, 11].clamp(-1, 1))


def test_harden_finds_the_nearest_datum():
    space = Space((Category(3), Category(2)), (2,))
    data, x = all_data(space), noise(space, 20)
    nearest = data[torch.cdist(x.flatten(1), data.flatten(1)).argmin(1)]
    assert torch.equal(space.harden(x), nearest)


def test_harden_breaks_ties_to_one_symbol():
    assert Space((Category(3),)).harden(torch.zeros(2, 3)).sum(1).tolist() == [1, 1]


# -- geometry and JSON -------------------------------------------------------------------------------------------


def test_geometry_counts_a_symbol_once_and_its_channels_all():
    assert MIXED.shape == (12, 2)
    assert MIXED.size == (2 + 1 + 1 + 1 + 1 + 1) * 2
    assert MIXED.offsets == (0, 2, 5, 6, 8, 11)
    assert MIXED.is_real.tolist() == [1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert not MIXED.symbolic
    assert Space((Category(2), Category(3))).symbolic


def test_with_likelihood_changes_numbers_only():
    changed = MIXED.with_likelihood("gaussian")
    assert [s.likelihood for s in changed.slots if isinstance(s, Real)] == ["gaussian"] * 3
    assert [s for s in changed.slots if isinstance(s, Category)] == [s for s in MIXED.slots if isinstance(s, Category)]


def test_check_says_which_shape_is_expected():
    with pytest.raises(ValueError, match=r"\(B, 12, 2\), got \(3, 2, 12\)"):
        MIXED.check(torch.zeros(3, 2, 12))
    MIXED.check(torch.zeros(3, 12, 2))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Real(0), "at least one channel"),
        (lambda: Real(1, 2.0, 1.0), "low < high"),
        (lambda: Real(1, math.nan, 1.0), "low < high"),
        (lambda: Real(1, likelihood="bernoulli"), "finite bounds"),
        (lambda: Category(0), "at least one level"),
        (lambda: Space(()), "at least one slot"),
    ],
)
def test_impossible_spaces_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_nll_agrees_with_categorical_of_torch_distributions():
    space = Space((Category(5),), (7,))
    params, x = noise(space, 4), space.harden(noise(space, 4, 1))
    expected = -Categorical(logits=params.transpose(1, 2)).log_prob(x.argmax(1)).sum(1)
    torch.testing.assert_close(space.nll(params, x), expected)
