"""A flow on the simplex: its bound, its samples and its steps are what can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sansheng.families.simplex import SAMPLERS, SimplexFlow, _flow
from sansheng.model import Batch, Sampling, known_cells
from sansheng.space import Category, Real, Space

SHARES = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
LINE = Space((Category(5),), (2,))


class Nothing(nn.Module):
    """A network that knows no more than how often each symbol comes, which is all where they come by themselves."""

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


class Echo(nn.Module):
    """A network that tells the condition at every position, where it is given."""

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        assert condition is not None
        return (condition[:, :-1, None] * 20 * condition[:, -1:, None]).expand(x.shape)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def model(network: nn.Module | None = None, condition_space: Space | None = None) -> SimplexFlow:
    flow = SimplexFlow(LINE, network or Nothing(), condition_space=condition_space)
    flow.log_share.copy_(SHARES.log().view(-1, 1))
    return flow


def lines(symbols: list[int], n: int) -> Tensor:
    return nn.functional.one_hot(torch.tensor(symbols), 5).float().T.expand(n, -1, -1)


@pytest.mark.parametrize("symbol", range(5))
def test_the_bound_is_tight_where_the_network_is_right(symbol: int, generator: torch.Generator) -> None:
    nats = model().log_likelihood(Batch(lines([symbol, symbol], 20_000)), samples=10, generator=generator).mean()
    assert float(nats) / 2 == pytest.approx(math.log(SHARES[symbol]), abs=0.03)


def test_a_wrong_network_has_a_bound_that_is_worse(generator: torch.Generator) -> None:
    """Of uniform shares it is that of a uniform draw, which costs ln 5 whatever comes."""
    flow = model()
    flow.log_share.zero_()
    nats = flow.log_likelihood(Batch(lines([0, 4], 20_000)), samples=10, generator=generator).mean()
    assert float(nats) / 2 == pytest.approx(-math.log(5), abs=0.03)


@pytest.mark.parametrize(
    ("sampler", "steps", "off"), [("ancestral", 1, 0.01), ("ancestral", 6, 0.01), ("euler", 128, 0.015)]
)
def test_samples_come_as_often_as_they_should(sampler: str, steps: int, off: float, generator: torch.Generator) -> None:
    """Drawn anew, whatever the number of steps; along the flow, in the limit of many."""
    x = model().sample(20_000, settings=Sampling(steps=steps, sampler=sampler), generator=generator)
    LINE.check(x)
    assert (x.mean((0, 2)) - SHARES).abs().max() < off
    assert x.sum(1).eq(1).all()


def test_the_symbol_that_is_told_is_drawn_by_every_sampler(generator: torch.Generator) -> None:
    flow = model(Echo(), Space((Category(5),)))
    condition = torch.eye(5)[[3] * 500]
    for sampler in SAMPLERS:
        x = flow.sample(500, condition=condition, settings=Sampling(sampler=sampler, steps=16), generator=generator)
        assert x[:, 3].all()


def test_a_step_of_the_flow_takes_from_leads_what_others_have() -> None:
    """Of three candidates with shares of 0.5, 0.3 and 0.2 leads fall by 0.5, 0.7 and 0.8 of the width."""
    share = torch.tensor([0.5, 0.3, 0.2]).view(1, 3, 1)
    lead = torch.tensor([1.0, 0.9, 0.05]).view(1, 3, 1)
    left, moved = _flow(torch.ones(1, 3, 1, dtype=torch.bool), lead, share, 0.1)
    assert left.flatten().tolist() == [True, True, False]
    assert moved.flatten()[:2].tolist() == pytest.approx([0.95, 0.83])
    left, _ = _flow(torch.ones(1, 3, 1, dtype=torch.bool), lead, share, 9.0)
    assert left.flatten().tolist() == [True, False, False]  # 1 / 0.5 lasts longer than 0.9 / 0.7


def test_an_error_of_the_flow_halves_with_its_steps(generator: torch.Generator) -> None:
    """Euler's method is of first order."""
    off = {}
    for steps in (9, 17, 33):
        x = model().sample(200_000, settings=Sampling(steps=steps, sampler="euler"), generator=generator)
        off[steps] = float((x.mean((0, 2)) - SHARES).abs().sum())
    assert 1.5 < off[9] / off[17] < 2.7
    assert 1.5 < off[17] / off[33] < 2.7


def test_the_network_is_asked_at_times_it_was_taught(generator: torch.Generator) -> None:
    """The time goes with the candidates that are left: all of them at 0, next to none of the false ones at 1."""
    seen: list[tuple[float, float]] = []

    class Watcher(Nothing):
        def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
            seen.append((float(t[0]), float((x > 0).float().sum(1).mean())))
            return super().forward(x, t, condition)

    for steps in (1, 2, 9):
        model(Watcher()).sample(4000, settings=Sampling(steps=steps), generator=generator)
    assert [round(t, 3) for t, _ in seen[:3]] == [0, 0, 1]
    for t, left in seen:
        assert left == pytest.approx(1 + 4 * math.exp(-t * model().last), abs=0.05)


def test_a_weaker_model_is_led_away_from(generator: torch.Generator) -> None:
    weak = model()
    weak.log_share.copy_(SHARES.sqrt().log().view(-1, 1))
    x = model().sample(20_000, settings=Sampling(weak=weak, guidance=2.0, steps=8), generator=generator)
    wanted = SHARES**1.5 / (SHARES**1.5).sum()  # p² over the weak one's √p
    assert (x.mean((0, 2)) - wanted).abs().max() < 0.015


def test_guidance_leads_away_from_what_comes_without_a_condition(generator: torch.Generator) -> None:
    class Hint(Echo):
        def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
            return super().forward(x, t, condition) / 20

    flow, condition = model(Hint(), Space((Category(5),))), torch.eye(5)[[3] * 4000]
    often = {
        scale: float(
            flow.sample(
                4000, condition=condition, settings=Sampling(guidance=scale, steps=8), generator=generator
            )[:, 3].mean()
        )
        for scale in (1.0, 3.0)
    }  # fmt: skip
    for scale, found in often.items():
        raised = SHARES[3] * math.exp(scale)
        assert found == pytest.approx(float(raised / (1 - SHARES[3] + raised)), abs=0.02)
    assert flow.evaluations(Sampling(guidance=3.0, steps=8)) == 16


def test_what_is_known_stays(generator: torch.Generator) -> None:
    x = lines([4, 0], 5000)
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[:, :, 0] = True
    for sampler in SAMPLERS:
        settings = Sampling(known=known_cells(x, mask), sampler=sampler, steps=64)
        drawn = model().sample(5000, settings=settings, generator=generator)
        assert drawn[:, 4, 0].all()
        assert (drawn[:, :, 1].mean(0) - SHARES).abs().max() < 0.03


def test_candidates_are_those_of_a_straight_path_on_the_simplex(generator: torch.Generator) -> None:
    """x_t = (1 − t) x_0 + t e_c with x_0 of Dirichlet(1, …, 1) and t = r / (r + G): x_tk ≥ t with probability e^−r."""
    levels, r, n = 6, 0.7, 40_000
    even = torch.empty(n, levels).exponential_(generator=generator)
    total = even.sum(1, keepdim=True)
    t = r / (r + total)
    moved = (1 - t) * even / total + t * nn.functional.one_hot(torch.tensor(2), levels)
    assert torch.allclose(moved.sum(1), torch.ones(n))
    left = (moved >= t).float()
    flow = SimplexFlow(Space((Category(levels),), (1,)), Nothing())
    x = nn.functional.one_hot(torch.tensor([2]), levels).float()[:, :, None].expand(n, -1, -1)
    found = flow._left(x, torch.full((n,), r), generator)[..., 0].float()
    assert left[:, 2].all()
    assert found[:, 2].all()
    assert (left.mean(0) - found.mean(0)).abs().max() < 0.015
    assert (torch.cov(left.T) - torch.cov(found.T)).abs().max() < 0.01  # one goes whatever the others do


def test_training_lowers_the_loss_to_what_can_be_told(generator: torch.Generator) -> None:
    """Two symbols that are always the same cost one: the second is told by the first."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(10, 10)

        def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
            return self.layer(x.flatten(1)).view_as(x)

    flow = SimplexFlow(LINE, Linear())
    same = nn.functional.one_hot(torch.randint(5, (4000, 1), generator=generator).expand(-1, 2), 5).float().mT
    flow.measure(same)
    optimiser = torch.optim.Adam(flow.parameters(), 0.05)
    first = last = 0.0
    for step in range(300):
        loss, _ = flow.loss(Batch(same), step / 300, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        last = loss.item()
        first = first or last
    nats = flow.log_likelihood(Batch(same), samples=20, generator=generator).mean()
    assert last < 0.8 * first
    assert -2 * math.log(5) + 0.5 < float(nats) < -math.log(5)  # better than apart, and a bound


def test_what_it_cannot_do_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="one symbol at each position"):
        SimplexFlow(Space((Real(1),), (2,)), Nothing())
    with pytest.raises(ValueError, match="samplers ancestral, euler"):
        SimplexFlow(LINE, Nothing(), sampler="heun")
    with pytest.raises(ValueError, match="at least 1 step"):
        SimplexFlow(LINE, Nothing(), steps=0)
    with pytest.raises(ValueError, match="drop is a share"):
        SimplexFlow(LINE, Nothing(), drop=2.0)
    with pytest.raises(ValueError, match="samplers ancestral, euler"):
        model().sample(2, settings=Sampling(sampler="heun"), generator=generator)
    with pytest.raises(ValueError, match="at least 1 step"):
        model().sample(2, settings=Sampling(steps=0), generator=generator)


def test_examples_are_told_some_of_their_symbols(generator: torch.Generator) -> None:
    flow = SimplexFlow(Space((Category(5),), (50,)), Nothing(), known_share=0.5)
    told = flow._told(torch.zeros(4000, 5, 50), generator).float().mean((1, 2))
    assert (told == 0).float().mean() == pytest.approx(0.51, abs=0.04)  # a share below 1/50 may tell none
    assert told[told > 0].mean() == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ValueError, match="known_share"):
        SimplexFlow(LINE, Nothing(), known_share=1.5)


def test_the_network_sees_what_it_is_told(generator: torch.Generator) -> None:
    """Where all are told symbols, half of them on average, it sees one candidate there at whatever time."""
    seen: list[Tensor] = []

    class Watcher(Nothing):
        def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
            seen.append((x > 0).float().sum(1)[t < 0.1])  # when hardly a candidate is gone
            return super().forward(x, t, condition)

    space = Space((Category(20),), (30,))
    x = nn.functional.one_hot(torch.zeros(2000, 30, dtype=torch.long), 20).float().mT
    for share, alone in ((0.0, 0.0), (1.0, 0.5)):
        SimplexFlow(space, Watcher(), known_share=share).loss(Batch(x), 0.5, generator)
        assert float((seen[-1] == 1).float().mean()) == pytest.approx(alone, abs=0.06)
