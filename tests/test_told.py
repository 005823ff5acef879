"""A network that is told cells answers with them, pays nothing for them, and can use them."""

import pytest
import torch
from torch import nn

from sansheng.denoiser import Denoiser
from sansheng.drawing import draw
from sansheng.families.flow import Flow
from sansheng.model import Batch, Sampling, known_cells, known_means
from sansheng.networks import denoiser as network_for
from sansheng.paths import Rectified, sampling_times
from sansheng.space import Category, Real, Space
from sansheng.told import Told, draw_masks, drifted, told_examples

LINE = Space((Real(2),), (6,))
MIXED = Space((Real(1), Category(3)), (4,))


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


class Follows(nn.Module):
    """Knows that all positions of an example are equal: answers with the mean of those it is told."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x, c_noise, condition=None):
        values, mask = x.chunk(2, dim=1)
        told = (values * mask).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1)
        ratio = torch.exp(4 * c_noise).view(-1)  # σ/α, of which α = 1/(1 + σ/α) on the straight path
        alpha = 1 / (1 + ratio)
        sigma = 1 - alpha
        total = alpha**2 + sigma**2
        wanted = told.view(-1, 1, 1).expand_as(values)
        skip = (alpha / total.sqrt()).view(-1, 1, 1) * values  # c_skip u_t = (α/√v) (u_t/√v)
        return (wanted - skip) / (sigma / total.sqrt()).view(-1, 1, 1)


def test_masks_tell_as_many_examples_as_asked_and_all_but_some_cells():
    mask = draw_masks(torch.zeros(4000, 3, 10), torch.arange(3), 0.3, gen())
    told = mask.flatten(1).any(1)
    assert mask.shape == (4000, 3, 10)
    assert 0.2 < told.float().mean() < 0.31  # some masks are of no cells
    assert not mask.flatten(1).all(1).float().mean() > 0.02
    assert not draw_masks(torch.zeros(50, 3, 10), torch.arange(3), 0.0, gen()).any()


@pytest.mark.parametrize(("n", "share"), [(1, 0.3), (7, 0.3), (10, 0.3), (4, 1.0)])
def test_of_few_examples_no_more_are_told_than_asked(n, share):
    first, generator = told_examples(n, share), gen()
    masks = torch.stack([draw_masks(torch.zeros(n, 3, 40), torch.arange(3), share, generator) for _ in range(800)])
    told = masks.flatten(2).any(2)
    assert not told[:, first:].any()
    assert 0.88 * share < told.float().mean() < 1.08 * share  # some masks are of no cells


def test_masks_hold_pasts_gaps_boxes_and_single_cells():
    mask = draw_masks(torch.zeros(4000, 2, 12), torch.arange(2), 1.0, gen(1))
    turns = (mask[:, :, 1:] != mask[:, :, :-1]).sum(2)
    alike = mask[:, 0].eq(mask[:, 1]).all(1)
    past = alike & (turns[:, 0] == 1) & mask[:, 0, 0]
    gap = alike & (turns[:, 0] == 2) & mask[:, 0, 0]
    inside = alike & (turns[:, 0] == 2) & ~mask[:, 0, 0]
    for kind in (past, gap, inside, turns[:, 0] > 4, ~alike):
        assert kind.float().mean() > 0.03
    grid = draw_masks(torch.zeros(500, 1, 8, 8), torch.arange(1), 1.0, gen(2))[:, 0]
    boxes = grid.any(2).unsqueeze(2) & grid.any(1).unsqueeze(1)
    assert (grid == boxes).flatten(1).all(1).float().mean() > 0.3


def test_all_of_a_symbol_is_told_or_nothing():
    assert MIXED.units.tolist() == [0, 1, 1, 1]
    assert LINE.units.tolist() == [0, 1]
    mask = draw_masks(torch.zeros(400, 4, 4), MIXED.units, 1.0, gen())
    assert (mask[:, 1:] == mask[:, 1:2]).all()
    assert (mask[:, 0] != mask[:, 1]).any()


def test_cells_that_are_told_come_back_and_cost_nothing():
    net = network_for(MIXED, width=16, told=True)
    model = Denoiser(MIXED, net, Rectified(), told=True)
    x = torch.cat(
        [torch.randn(5, 1, 4, generator=gen()), torch.eye(3)[torch.randint(3, (5, 4), generator=gen())].mT], 1
    )
    t, z = torch.full((5,), 0.5), torch.randn(5, 4, 4, generator=gen(1))
    everything = torch.ones_like(x, dtype=torch.bool)
    free = model.loss(x, t, z, mask=everything)
    torch.testing.assert_close(
        free, torch.full((5,), 0.5 * float(torch.log(torch.tensor(2 * torch.pi))) * 4 / MIXED.size)
    )
    assert (model.loss(x, t, z, mask=~everything) > free).all()
    torch.testing.assert_close(model.loss(x, t, z, mask=~everything), model.loss(x, t, z))

    u = model.coordinates.embed(x)
    torch.testing.assert_close(model(z, t, None, Told(u, everything)), u)


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "ancestral"])
def test_what_the_network_makes_of_the_told_is_drawn(sampler):
    path = Rectified()
    model = Denoiser(LINE, Follows(path), path, told=True)
    x = torch.tensor([[-1.0], [0.5], [2.0]])[..., None].expand(3, 2, 6).clone()
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[:, :, :2] = True
    x = torch.where(mask, x, 99.0)
    times = sampling_times(path, sampler, 8)
    drawn = draw(
        model, 3, condition=None, sampler=sampler, times=times, scale=1.0, generator=gen(), known=known_cells(x, mask)
    )
    torch.testing.assert_close(drawn, x[:, :, :1].expand(3, 2, 6), atol=1e-4, rtol=0)


def test_a_model_that_is_told_draws_in_its_own_steps_and_learns_from_the_told():
    model = Flow(LINE, Denoiser(LINE, network_for(LINE, width=32, told=True), Rectified(), told=True), known_share=1.0)
    x = torch.randn(512, 1, 1, generator=gen()).expand(512, 2, 6).contiguous()
    model.measure(x)
    mask = torch.zeros(512, 2, 6, dtype=torch.bool)
    mask[:, :, 0] = True
    cells = Sampling(known=known_cells(x, mask))
    assert model.evaluations(cells) == model.evaluations()
    assert model.evaluations(Sampling(known=known_means(x, 2))) > model.evaluations()

    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    generator = gen(3)
    for _ in range(300):
        optimiser.zero_grad()
        loss, _ = model.loss(Batch(x), 0.5, generator)
        loss.backward()
        optimiser.step()
    drawn = model.sample(512, settings=cells, generator=gen(4))
    assert torch.equal(drawn[:, :, 0], x[:, :, 0])
    error = (drawn - x)[:, :, 1:].square().mean().sqrt()
    assert error < 0.25  # two independent draws differ by 1.4


def test_shares_that_make_no_sense_are_refused():
    told = Denoiser(LINE, network_for(LINE, width=8, told=True), Rectified(), told=True)
    deaf = Denoiser(LINE, network_for(LINE, width=8), Rectified())
    with pytest.raises(ValueError, match=r"in \[0, 1\], not 1.5"):
        Flow(LINE, told, known_share=1.5)
    with pytest.raises(ValueError, match="cannot"):
        Flow(LINE, deaf, known_share=0.1)
    for space in (Space((Category(4),), (9,)), Space((Real(4), Category(3)))):
        with pytest.raises(ValueError, match="numbers with positions"):
            network_for(space, width=8, told=True)


def test_examples_that_are_told_move_as_a_whole_and_others_stay():
    x = torch.randn(4000, 2, 6, generator=gen()) * 0.1 + torch.tensor([3.0, 0.5])[:, None] * torch.randn(4000, 2, 1)
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[:2000, 0, 0] = True
    moved = drifted(x, mask, LINE, 0.5, gen(1)) - x
    assert torch.equal(moved[2000:], torch.zeros(2000, 2, 6))
    assert bool((moved[:2000] - moved[:2000, :, :1]).abs().max() < 1e-5)
    assert (moved[:2000, :, 0].std(0) / x.mean(2).std(0)).tolist() == pytest.approx([0.5, 0.5], rel=0.06)
    assert moved[:2000, :, 0].mean(0).abs().max() < 0.1


def test_returns_have_no_level_to_move():
    returns = torch.randn(256, 2, 6, generator=gen())
    assert torch.equal(drifted(returns, torch.ones_like(returns, dtype=torch.bool), LINE, 1.0, gen(1)), returns)


def test_symbols_and_numbers_that_may_be_missing_do_not_move():
    space = Space((Real(1), Real(1, optional=True), Category(2)), (6,))
    x = torch.randn(50, 4, 6, generator=gen()) + 3 * torch.randn(50, 4, 1, generator=gen(2))
    moved = drifted(x, torch.ones_like(x, dtype=torch.bool), space, 1.0, gen(1)) - x
    assert bool((moved[:, 0] != 0).all())
    assert not moved[:, 1:].any()
