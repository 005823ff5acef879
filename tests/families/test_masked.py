"""Masked diffusion: its bound is exact where conditionals are known, and its samples follow them."""

import itertools
import math

import pytest
import torch
from torch import nn

from sansheng.budget import Budget, Clock
from sansheng.families.masked import MaskedDiffusion
from sansheng.loop import State, train
from sansheng.model import Batch, Sampling, known_cells, known_means
from sansheng.networks.line import LineDenoiser
from sansheng.space import Category, Real, Space
from stirred import stirred

PAIR = Space((Category(2),), (2,))
JOINT = torch.tensor([[0.1, 0.3], [0.2, 0.4]])
"""p(first, second) of a line of two symbols of two levels."""


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class Exact(nn.Module):
    """The true conditionals of `JOINT`, whatever is hidden. `asked` is what was hidden when it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.asked = []

    def forward(self, x, t=None, condition=None):
        self.asked.append((x, t, condition))
        first, second = x[:, :, 0], x[:, :, 1]
        known_first, known_second = first.sum(1, keepdim=True) > 0, second.sum(1, keepdim=True) > 0
        p_first = torch.where(known_second, second @ (JOINT / JOINT.sum(0)).T, JOINT.sum(1))
        p_second = torch.where(known_first, first @ (JOINT / JOINT.sum(1, keepdim=True)), JOINT.sum(0))
        return torch.stack([p_first, p_second], dim=2).log() + self.weight


def every_pair():
    lines = torch.tensor(list(itertools.product([0, 1], repeat=2)))
    return torch.nn.functional.one_hot(lines, 2).transpose(1, 2).float()


def test_the_bound_is_exact_with_the_true_conditionals():
    model = MaskedDiffusion(PAIR, Exact())
    x = every_pair().repeat(500, 1, 1)
    bound = model.log_likelihood(Batch(x), samples=40, generator=gen()).view(500, 4).mean(0)
    torch.testing.assert_close(bound, JOINT.flatten().log(), atol=0.02, rtol=0)


def test_the_bound_of_a_network_that_knows_nothing_is_that_of_a_guess():
    network = LineDenoiser(5, 4, width=8)  # begins at zero, so every level is as likely
    model = MaskedDiffusion(Space((Category(5),), (4,)), network)
    x = torch.nn.functional.one_hot(torch.randint(5, (8, 4), generator=gen()), 5).transpose(1, 2).float()
    bound = model.log_likelihood(Batch(x), samples=3, generator=gen())
    torch.testing.assert_close(bound, torch.full((8,), -4 * math.log(5)))
    loss, _ = model.loss(Batch(x), 0.5, gen())
    assert loss.item() == pytest.approx(math.log(5))


def test_symbols_told_by_their_numbers_cost_what_one_hot_vectors_do():
    space = Space((Category(5),), (7,))
    network = stirred(LineDenoiser(5, 7, width=8), amount=0.3)
    x = torch.nn.functional.one_hot(torch.randint(5, (8, 7), generator=gen()), 5).transpose(1, 2).float()
    by_number, by_vector = MaskedDiffusion(space, network), MaskedDiffusion(space, Vectors(network))

    def losses(model):
        loss, _ = model.loss(Batch(x), 0.5, gen(1))
        (slope,) = torch.autograd.grad(loss, network.stem.weight)
        return loss, slope, model.log_likelihood(Batch(x), samples=2, generator=gen(2))

    for one, other in zip(losses(by_number), losses(by_vector), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(by_number.sample(9, generator=gen(3)), by_vector.sample(9, generator=gen(3)))


class Vectors(nn.Module):
    """A network that can be asked by one-hot vectors alone."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, t=None, condition=None):
        return self.network(x, t, condition)


def test_samples_follow_the_joint_distribution_when_symbols_come_one_by_one():
    drawn = MaskedDiffusion(PAIR, Exact()).sample(20_000, generator=gen())
    share = torch.einsum("ni,nj->ij", drawn[:, :, 0], drawn[:, :, 1]) / len(drawn)
    torch.testing.assert_close(share, JOINT, atol=0.012, rtol=0)


def test_one_step_draws_all_symbols_alone():
    drawn = MaskedDiffusion(PAIR, Exact()).sample(20_000, settings=Sampling(steps=1), generator=gen())
    share = torch.einsum("ni,nj->ij", drawn[:, :, 0], drawn[:, :, 1]) / len(drawn)
    alone = JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)
    torch.testing.assert_close(share, alone, atol=0.012, rtol=0)


@pytest.mark.parametrize(("steps", "wanted"), [(None, 2), (1, 1), (2, 2), (50, 2)])
def test_a_line_is_looked_at_no_more_often_than_it_has_symbols(steps, wanted):
    network = Exact()
    model = MaskedDiffusion(PAIR, network)
    model.sample(3, settings=Sampling(steps=steps), generator=gen())
    assert len(network.asked) == model.evaluations(Sampling(steps=steps)) == wanted


def test_the_network_never_sees_what_it_is_to_tell():
    network = Exact()
    x = every_pair()
    _, seen = MaskedDiffusion(PAIR, network).loss(Batch(x), 0.5, gen()), network.asked[0]
    shown = seen[0].sum(1) > 0
    torch.testing.assert_close(seen[0], x * shown[:, None])
    torch.testing.assert_close(seen[1], 1 - shown.float().mean(1))
    assert (~shown).any(1).all()


def test_slots_are_hidden_one_by_one():
    space = Space((Category(2), Category(3)))
    model = MaskedDiffusion(space, nn.Linear(5, 5))
    mask = torch.tensor([[True, False], [False, True]])
    assert model._channels(mask).tolist() == [[True, True, False, False, False], [False, False, True, True, True]]


@pytest.mark.parametrize("steps", [1, 4])
def test_slots_of_unlike_sizes_are_all_drawn_each_by_its_own_logits(steps):
    space = Space((Category(2), Category(3), Category(2)), (2,))
    p = torch.tensor([[0.1, 0.7], [0.9, 0.3], [0.2, 0.1], [0.5, 0.3], [0.3, 0.6], [1.0, 0.5], [0.0, 0.5]])

    class Fixed(nn.Linear):
        def forward(self, x, share=None, condition=None):
            return p.log().expand(len(x), 7, 2)

    drawn = MaskedDiffusion(space, Fixed(1, 1)).sample(20_000, settings=Sampling(steps=steps), generator=gen())
    torch.testing.assert_close(space.harden(drawn), drawn)
    torch.testing.assert_close(drawn.mean(0), p, atol=0.012, rtol=0)


def test_numbers_are_refused():
    with pytest.raises(ValueError, match="symbols alone"):
        MaskedDiffusion(Space((Real(1), Category(2))), nn.Identity())


@pytest.mark.parametrize("settings", [Sampling(sampler="heun"), Sampling(steps=0)])
def test_choices_it_does_not_have_are_refused(settings):
    with pytest.raises(ValueError, match="sampler"):
        MaskedDiffusion(PAIR, Exact()).sample(2, settings=settings, generator=gen())


def test_guidance_sharpens_a_condition():
    class Leans(nn.Module):
        """Logit ±1 for the level asked for, and nothing where no condition is given."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x, t=None, condition=None):
            return ((condition[:, :2] * 2 - 1) * condition[:, 2:])[..., None].expand(-1, 2, 2) + self.weight

    model = MaskedDiffusion(PAIR, Leans(), condition_space=Space((Category(2),)))
    condition = torch.tensor([[1.0, 0.0]]).repeat(20_000, 1)
    for scale in (1.0, 2.0):
        drawn = model.sample(20_000, condition=condition, settings=Sampling(guidance=scale), generator=gen())
        assert drawn[:, 0].mean().item() == pytest.approx(1 / (1 + math.exp(-2 * scale)), abs=0.01)
    assert model.evaluations(Sampling(guidance=2.0)) == 4


class Guesses(nn.Module):
    """All levels alike."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, t=None, condition=None):
        return torch.zeros_like(x) + self.weight


def test_a_weaker_model_is_led_away_from():
    """log p' = log q + w (log p − log q) with q even: p^w, normalised; w is 2 unless told."""
    model, weak = MaskedDiffusion(PAIR, Exact()), MaskedDiffusion(PAIR, Guesses())
    for settings, power in ((Sampling(steps=1, weak=weak), 2.0), (Sampling(steps=1, weak=weak, guidance=3.0), 3.0)):
        drawn = model.sample(20_000, settings=settings, generator=gen())
        wanted = JOINT.sum(1) ** power
        torch.testing.assert_close(drawn[:, :, 0].mean(0), wanted / wanted.sum(), atol=0.012, rtol=0)
        assert model.evaluations(settings) == 2


def test_a_weak_model_must_be_of_the_same_data():
    other = MaskedDiffusion(Space((Category(3),), (2,)), Guesses())
    with pytest.raises(ValueError, match="same family and data"):
        MaskedDiffusion(PAIR, Exact()).sample(2, settings=Sampling(weak=other), generator=gen())


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_sharpens_each_conditional(temperature):
    """One step draws both symbols alone: p^(1/T), normalised."""
    model = MaskedDiffusion(PAIR, Exact(), temperature=temperature)
    drawn = model.sample(20_000, settings=Sampling(steps=1), generator=gen())
    wanted = JOINT.sum(1) ** (1 / temperature)
    torch.testing.assert_close(drawn[:, :, 0].mean(0), wanted / wanted.sum(), atol=0.012, rtol=0)


def test_a_temperature_is_above_zero():
    with pytest.raises(ValueError, match="above 0"):
        MaskedDiffusion(PAIR, Exact(), temperature=0.0)


def test_it_learns_what_stands_together():
    """Lines are aaaa or bbbb: each alone is a coin flip, together they are one bit."""
    space = Space((Category(2),), (4,))
    level = torch.randint(2, (256,), generator=gen())
    x = torch.nn.functional.one_hot(level, 2).float()[:, :, None].expand(-1, -1, 4).contiguous()
    torch.manual_seed(0)
    model = MaskedDiffusion(space, LineDenoiser(2, 4, width=16, depth=2), learning_rate=1e-2, weight_decay=0.0)
    budget = Budget(steps=150)
    state = State(model, Clock.start(budget))
    for _ in train(state, lambda step: Batch(x[(step * 64) % 256 :][:64]), seed=0, budget=budget):
        pass
    drawn = state.average.sample(500, generator=gen())
    assert (drawn[:, 0].mean(1) % 1 == 0).float().mean().item() > 0.95
    assert 0.35 < drawn[:, 0].mean().item() < 0.65
    bound = state.average.log_likelihood(Batch(x), samples=20, generator=gen()).mean().item()
    assert bound == pytest.approx(-math.log(2), abs=0.2)


def test_known_symbols_stay_and_the_rest_follows_them():
    """p(second | first = 1) of the joint distribution, which the exact network has."""
    model, n = MaskedDiffusion(PAIR, Exact()), 4000
    x = torch.zeros(n, 2, 2)
    x[:, 1, 0] = 1.0
    mask = torch.zeros(n, 2, 2, dtype=torch.bool)
    mask[:, :, 0] = True
    drawn = model.sample(n, settings=Sampling(known=known_cells(x, mask)), generator=gen())
    assert torch.equal(drawn[:, :, 0], x[:, :, 0])
    expected = (JOINT[1, 1] / JOINT[1].sum()).item()
    assert drawn[:, 1, 1].mean().item() == pytest.approx(expected, abs=4 * (0.25 / n) ** 0.5)


@pytest.mark.parametrize(("told", "steps", "looks"), [([6, 6], 8, 2), ([6, 2], 8, 6), ([0, 5], 4, 4), ([8, 8], 4, 0)])
def test_every_look_is_for_symbols_that_are_not_told(told, steps, looks):
    """As many at a time as there are to be drawn in so many steps, whatever is told."""
    hidden = []

    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x, t=None, condition=None):
            hidden.append((x.sum(1) == 0).sum(1).tolist())
            return torch.zeros_like(x)

    model, mask = MaskedDiffusion(Space((Category(3),), (8,)), Counts(), steps=steps), torch.zeros(2, 3, 8).bool()
    x = torch.zeros(2, 3, 8)
    x[:, 1] = 1.0
    for row, n in enumerate(told):
        mask[row, :, :n] = True
    drawn = model.sample(2, settings=Sampling(known=known_cells(x, mask)), generator=gen())
    assert len(hidden) == looks
    assert (drawn.sum(1) == 1).all()
    assert torch.equal(drawn[mask], x[mask])
    for row, n in enumerate(told):
        counts = [each[row] for each in hidden] + [0]
        assert counts[0] == (8 - n if looks else 0)
        assert max((a - b for a, b in itertools.pairwise(counts)), default=0) <= -(-(8 - n) // max(looks, 1))


def test_means_of_symbols_cannot_be_known():
    model = MaskedDiffusion(PAIR, Exact())
    with pytest.raises(ValueError, match="no means"):
        model.sample(2, settings=Sampling(known=known_means(torch.zeros(2, 2, 2), 2)), generator=gen())
