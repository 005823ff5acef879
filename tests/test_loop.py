"""The loop: a step is a pure function of what came before, so runs repeat, stop, and go on bit for bit."""

import pytest
import torch
from torch import nn

from sansheng import checkpoint
from sansheng.budget import Budget, Clock, learning_rate
from sansheng.denoiser import Denoiser
from sansheng.families.diffusion import Diffusion
from sansheng.families.flow import Flow
from sansheng.families.gan import GAN
from sansheng.families.vae import VAE
from sansheng.loop import State, derive_seed, train
from sansheng.model import Batch, GenerativeModel, Turn
from sansheng.networks.mlp import ResidualMLP
from sansheng.paths import Cosine, Rectified
from sansheng.space import Category, Real, Space

SPACE, GIVEN = Space((Real(2), Category(3))), Space((Category(2),))
FAMILIES = ["vae", "gan", "diffusion", "flow"]


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(a, b, **options):
    return ResidualMLP((a,), (b,), width=16, depth=1, condition=3, **options)


def make(family):
    """A small conditional model; its weights are always the same."""
    torch.manual_seed(0)
    if family == "vae":
        prior = Denoiser(Space((Real(2),)), mlp(2, 2, timed=True), Rectified())
        return VAE(SPACE, mlp(5, 4), mlp(2, 5), latent=2, prior=prior, condition_space=GIVEN, prior_share=0.5)
    if family == "gan":
        return GAN(SPACE, mlp(3, 5), mlp(5, 1, norm=False), latent=3, condition_space=GIVEN)
    network = mlp(5, 5, timed=True)
    if family == "diffusion":
        return Diffusion(SPACE, Denoiser(SPACE, network, Cosine()), condition_space=GIVEN)
    return Flow(SPACE, Denoiser(SPACE, network, Rectified()), condition_space=GIVEN)


def batches(step):
    return Batch(SPACE.harden(torch.randn(16, 5, generator=gen(step))), torch.eye(2)[torch.arange(16) % 2])


def everything(state):
    """All tensors a step changes."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for name, optimizer in state.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{k}": v for k, v in slots.items()}
    return {k: v.clone() for k, v in tensors.items()}


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def trained(family, *, steps=8, seed=3, clock=None, budget=None):
    budget = budget or Budget(steps=steps)
    state = State(make(family), clock or Clock.start(budget))
    log = list(train(state, batches, seed=seed, budget=budget))
    return state, log


# -- repeating, stopping, going on -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bits(family):
    first, log = trained(family)
    torch.manual_seed(99)
    second, log2 = trained(family)
    assert_same_bits(everything(first), everything(second))
    assert [{k: v.item() for k, v in s.values.items()} for s in log] == [
        {k: v.item() for k, v in s.values.items()} for s in log2
    ]
    other, _ = trained(family, seed=4)
    assert any(not torch.equal(a, b) for a, b in zip(first.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_training_leaves_global_random_state_alone(family):
    state = State(make(family), Clock.start(Budget(steps=4)))
    before = torch.get_rng_state()
    list(train(state, batches, seed=0, budget=Budget(steps=4)))
    state.average.sample(4, condition=torch.eye(2)[[0, 1, 0, 1]], generator=gen())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_run_stopped_and_continued_ends_as_an_unbroken_one(tmp_path, family, stop):
    whole, _ = trained(family)
    budget = Budget(steps=8)
    first = State(make(family), Clock.start(budget))
    for step in train(first, batches, seed=3, budget=budget):
        if step.step == stop:
            checkpoint.save(tmp_path, first)
            break
    torch.manual_seed(123)
    second = State(make(family), Clock.start(Budget(steps=1)))  # whatever it starts from, restore overwrites it
    with torch.no_grad():
        for p in second.model.parameters():
            p.fill_(7.0)
    assert checkpoint.restore(tmp_path, second) is None
    assert second.step == stop
    rest = list(train(second, batches, seed=3, budget=budget))
    assert rest[0].step == stop + 1
    assert rest[-1].step == 8
    assert_same_bits(everything(whole), everything(second))


@pytest.mark.parametrize("family", ["gan", "vae"])
def test_a_run_by_seconds_repeats_from_its_clock(family):
    """The same progress at every step gives the same bits, however fast the machine is this time."""
    state, log = trained(family, budget=Budget(seconds=0.3))
    again, log2 = trained(family, clock=Clock(list(state.clock.knots)), budget=Budget(steps=1))
    assert len(log2) == len(log) > 1
    assert_same_bits(everything(state), everything(again))


def test_a_budget_of_seconds_stops_near_its_end():
    state, _ = trained("flow", budget=Budget(seconds=0.5))
    assert 0.4 < state.clock.seconds < 1.5
    assert state.progress == 1


@pytest.mark.parametrize("steps", [1, 5])
def test_a_budget_of_steps_takes_that_many(steps):
    state, log = trained("flow", steps=steps)
    assert [s.step for s in log] == list(range(1, steps + 1))
    assert log[-1].progress == 1
    assert state.step == steps


def test_continuing_a_finished_run_takes_no_step():
    state, _ = trained("flow", steps=3)
    assert list(train(state, batches, seed=3, budget=Budget(steps=3))) == []


# -- one step ----------------------------------------------------------------------------------------------------


class Model(GenerativeModel):
    """Numbers that go down losses one writes down; `turns` are given."""

    def __init__(self, **losses):
        super().__init__()
        self.space, self.condition_space = Space((Real(1),)), None
        self.parts = nn.ModuleDict({name: nn.Linear(2, 2) for name in losses})
        self.losses, self.how = losses, {}

    def turns(self):
        return {name: Turn(self.parts[name], loss, **self.how.get(name, {})) for name, loss in self.losses.items()}

    def sample(self, n, *, condition=None, settings=None, generator):
        raise NotImplementedError

    def evaluations(self, settings):
        return 1


def one_batch(step):
    return Batch(torch.full((4, 1), float(step)))


def run(model, steps, **options):
    budget = Budget(steps=steps)
    state = State(model, Clock.start(budget))
    return state, train(state, one_batch, seed=0, budget=budget, **options)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_says_which_and_where(bad):
    model = Model(part=lambda batch, progress, generator: (_value(model) * (bad if batch.x[0] == 2 else 1.0), {}))
    state, steps = run(model, 10)
    taken = []
    with pytest.raises(FloatingPointError, match=r"part/loss is (nan|inf) at step 2"):
        taken.extend(s.step for s in steps)
    assert state.step == 2


def test_a_gradient_that_is_not_finite_stops_too():
    model = Model(part=lambda batch, progress, generator: ((_value(model) * 0).sqrt(), {}))
    _, steps = run(model, 10)
    with pytest.raises(FloatingPointError, match=r"part/gradient is nan at step 0"):
        next(steps)


def _value(model, part="part"):
    return sum(p.square().sum() for p in model.parts[part].parameters())


def test_learning_rate_follows_progress():
    model = Model(part=lambda batch, progress, generator: (_value(model), {}))
    model.how = {"part": {"learning_rate": 0.3}}
    state, steps = run(model, 20)
    for step in steps:
        for group in state.optimizers["part"].param_groups:
            assert group["lr"] == pytest.approx(0.3 * learning_rate((step.step - 1) / 20), rel=1e-6)


def test_a_constant_learning_rate_stays():
    model = Model(part=lambda batch, progress, generator: (_value(model), {}))
    model.how = {"part": {"learning_rate": 0.3, "constant": True}}
    state, steps = run(model, 5)
    for _ in steps:
        assert state.optimizers["part"].param_groups[0]["lr"] == 0.3


def test_turns_are_taken_within_their_share_and_see_their_own_progress():
    seen = {"early": [], "late": []}

    def loss(name):
        def of(batch, progress, generator):
            seen[name].append((int(batch.x[0]), progress))
            return _value(model, name), {"size": torch.tensor(2.0)}

        return of

    model = Model(early=loss("early"), late=loss("late"))
    model.how = {"early": {"stop": 0.7}, "late": {"start": 0.7}}
    _, steps = run(model, 10)
    named = [set(step.values) for step in steps]
    assert [step for step, _ in seen["early"]] == list(range(7))
    assert [step for step, _ in seen["late"]] == [7, 8, 9]
    assert [p for _, p in seen["early"]] == pytest.approx([i / 7 for i in range(7)], abs=1e-6)
    assert [p for _, p in seen["late"]] == pytest.approx([0, 1 / 3, 2 / 3], abs=1e-6)
    assert named[0] == {"early/loss", "early/gradient", "early/size"}
    assert named[-1] == {"late/loss", "late/gradient", "late/size"}


def test_a_turn_moves_only_its_own_module_whatever_its_loss_reads():
    def loss(batch, progress, generator):
        return _value(model, "a") * _value(model, "b"), {}

    model = Model(a=loss, b=lambda batch, progress, generator: (_value(model, "b") * 0, {}))
    model.how = {"b": {"learning_rate": 0.0}}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    _, steps = run(model, 1)
    next(steps)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"parts.a.weight", "parts.a.bias"}


def test_gradients_of_others_are_never_formed():
    model = Model(a=lambda batch, progress, generator: (_value(model, "a") * _value(model, "other"), {}))
    model.parts["other"] = nn.Linear(2, 2)
    _, steps = run(model, 1)
    next(steps)
    assert all(p.grad is not None for p in model.parts["a"].parameters())
    assert all(p.grad is None for p in model.parts["other"].parameters())


def test_turns_see_what_the_turn_before_them_did():
    seen = []

    def second(batch, progress, generator):
        seen.append(model.parts["first"].weight.detach().clone())
        return _value(model, "second"), {}

    model = Model(first=lambda batch, progress, generator: (_value(model, "first"), {}), second=second)
    before = model.parts["first"].weight.detach().clone()
    _, steps = run(model, 1)
    next(steps)
    assert not torch.equal(seen[0], before)


def test_the_logged_gradient_is_the_norm_before_clipping():
    model = Model(part=lambda batch, progress, generator: (100 * _value(model), {}))
    expected = 200 * _value(model).detach().sqrt()
    _, steps = run(model, 1)
    torch.testing.assert_close(next(steps).values["part/gradient"], expected)


def test_weight_decay_is_for_matrices_only():
    model = Model(part=lambda batch, progress, generator: (0 * _value(model), {}))
    model.how = {"part": {"learning_rate": 0.1, "weight_decay": 0.5, "constant": True}}
    weight, bias = (p.detach().clone() for p in model.parts["part"].parameters())
    _, steps = run(model, 1)
    next(steps)
    torch.testing.assert_close(model.parts["part"].weight.detach(), weight * (1 - 0.1 * 0.5))
    torch.testing.assert_close(model.parts["part"].bias.detach(), bias)


def test_bf16_keeps_weights_and_losses_in_fp32():
    budget = Budget(steps=5)
    state = State(make("flow"), Clock.start(budget))
    log = list(train(state, batches, seed=3, budget=budget, precision="bf16"))
    exact, log32 = trained("flow", steps=5)
    assert {p.dtype for p in state.model.parameters()} == {torch.float32}
    assert log[0].values["velocity/loss"].item() == pytest.approx(log32[0].values["velocity/loss"].item(), rel=0.05)
    assert not torch.equal(next(state.model.parameters()), next(exact.model.parameters()))


def test_seeds_are_derived_from_every_part():
    seeds = {derive_seed(0, 1, "noise"), derive_seed(1, 0, "noise"), derive_seed(0, 1, "batch"), derive_seed(0, 11)}
    assert len(seeds) == 4
    assert derive_seed(0, 1, "noise") == derive_seed(0, 1, "noise")
    assert all(0 <= s < 2**63 for s in seeds)


# -- the average -------------------------------------------------------------------------------------------------


def averaged(length, values):
    """The average after the model's parameters were `values` in turn, the first of them before training."""
    model = Model(part=lambda batch, progress, generator: (_value(model), {}))
    first, *rest = values
    _fill(model, first)
    state = State(model, Clock.start(Budget(steps=10)), ema_length=length)
    for state.step, value in enumerate(rest, start=1):
        _fill(model, value)
        state.update_average()
    return next(state.average.parameters()).flatten()[0].item()


def _fill(model, value):
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(value)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.5])
def test_the_average_is_the_power_function_average(length):
    """w_n = (γ + 1)/(n + γ + 1) gives step k the weight Γ(k + γ + 1)/k!, nearly k^γ (Karras 2023, eq. 3)."""
    gamma, n = 1 / length - 1, 40
    k = torch.arange(n + 1, dtype=torch.float64)
    weights = (torch.lgamma(k + gamma + 1) - torch.lgamma(k + 1)).softmax(0)
    values = (k**2 % 7).tolist()
    expected = (weights * torch.tensor(values, dtype=torch.float64)).sum().item()
    assert averaged(length, values) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.5])
def test_the_average_looks_back_over_its_share_of_the_run(length):
    """Of steps 1 to n the mean under the weight k^γ is n (γ + 1)/(γ + 2) = n/(1 + length)."""
    assert averaged(length, [float(k) for k in range(1001)]) == pytest.approx(1000 / (1 + length), rel=0.01)


def test_the_average_forgets_where_it_began():
    assert averaged(0.1, [1000.0] + [1.0] * 200) == pytest.approx(1, abs=1e-3)


def test_buffers_of_the_average_are_those_of_the_model():
    model = make("flow")
    state = State(model, Clock.start(Budget(steps=2)))
    model.measure(batches(0).x)
    list(train(state, batches, seed=0, budget=Budget(steps=2)))
    for a, b in zip(state.average.buffers(), model.buffers(), strict=True):
        assert torch.equal(a, b)
    assert not any(p.requires_grad for p in state.average.parameters())
    assert not state.average.training
