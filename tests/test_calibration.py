"""Shifted logits: levels come as often as in training, and what is right already stays."""

import numpy as np
import pandas as pd
import pytest
import torch

import sansheng
from sansheng.calibration import CHEAP, MOST, ROUNDS, Shifts, drawn_each_round, match_levels
from sansheng.codecs.base import Encoded
from sansheng.model import GenerativeModel
from sansheng.space import Category, Real, Space

SPACE = Space((Real(), Category(2), Category(4)), ())
SYMBOLS = [1, 2, 3, 4, 5, 6]


class Drawn(GenerativeModel):
    """Levels by softmax of fixed logits, a bias and noise: with much noise a shift does little."""

    def __init__(self, logits, *, noise=0.0, condition_space=None):
        super().__init__()
        self.space, self.condition_space, self.noise = SPACE, condition_space, noise
        self.logits, self.bias = torch.tensor(logits), torch.zeros(len(logits))
        self.seen = []

    def turns(self):
        return {}

    def logit_bias(self):
        return self.bias

    def evaluations(self, settings):
        return 4

    def sample(self, n, *, condition=None, settings=None, generator):
        self.seen.append((n, None if condition is None else condition.mean(0)))
        lean = 0 if condition is None else torch.cat([torch.zeros(n, 5), 2 * condition[:, :1], torch.zeros(n, 1)], 1)
        noise = self.noise * torch.randn(n, 7, generator=generator)
        return SPACE.harden(SPACE.sample(self.logits + self.bias + lean + noise, 0.0, generator=generator))


def rows(chances, n=40_000, condition=None):
    """Training rows whose levels have exactly these chances, as nearly as n allows."""
    x = torch.zeros(n, 7)
    for first, some in ((1, chances[:2]), (3, chances[2:])):
        edges = (torch.tensor(some).cumsum(0) * n).round().long().tolist()
        for level, (low, high) in enumerate(zip([0, *edges[:-1]], edges, strict=True)):
            x[low:high, first + level] = 1
    return Encoded(x, condition)


def chances(model, n=200_000, condition=None):
    x = model.sample(n, condition=condition, generator=torch.Generator().manual_seed(99))
    return x[:, SYMBOLS].mean(0)


WANTED = [0.62, 0.38, 0.5, 0.3, 0.19, 0.01]


def wrong_logits():
    return [0.0, *torch.log(torch.tensor([0.66, 0.34, 0.46, 0.36, 0.165, 0.015])).tolist()]


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_levels_come_as_often_as_in_training(noise):
    model = Drawn(wrong_logits(), noise=noise)
    before = (chances(model) - torch.tensor(WANTED)).abs().max()
    match_levels(model, rows(WANTED), 8000, seed=3)
    after = (chances(model) - torch.tensor(WANTED)).abs().max()
    assert before > 0.035
    assert after < 0.008  # two standard errors of a level of 0.5 in the 32,000 that count


def test_the_shift_of_exact_logits_is_the_logarithm_of_what_is_missing():
    model = Drawn(wrong_logits())
    shift = match_levels(model, rows(WANTED), 8000, seed=0)
    assert shift is not None
    truth = torch.log(torch.tensor(WANTED)) - model.logits[1:]
    assert shift[:2].diff().item() == pytest.approx(truth[:2].diff().item(), abs=0.05)
    assert shift[2:4].diff().item() == pytest.approx(truth[2:4].diff().item(), abs=0.05)


def test_a_model_that_is_right_stays_nearly_as_it_is():
    model = Drawn([0.0, *torch.log(torch.tensor(WANTED)).tolist()])
    shift = match_levels(model, rows(WANTED), 8000, seed=1)
    assert shift is not None
    assert (chances(model) - torch.tensor(WANTED)).abs().max() < 0.006
    assert (shift == 0).sum() >= 2


def test_numbers_are_left_alone_and_so_are_models_without_such_a_bias(monkeypatch):
    model = Drawn(wrong_logits())
    match_levels(model, rows(WANTED), 1000, seed=0)
    assert model.bias[0] == 0
    monkeypatch.setattr(model, "logit_bias", lambda: None)
    before = model.bias.clone()
    assert match_levels(model, rows(WANTED), 1000, seed=0) is None
    assert torch.equal(model.bias, before)


def test_conditions_are_drawn_as_they_are_in_training():
    condition = (torch.arange(40_000) < 10_000).float()[:, None]
    model = Drawn(wrong_logits(), condition_space=Space((Real(),), ()))
    match_levels(model, rows(WANTED, condition=condition), 8000, seed=3)
    assert all(abs(float(mean) - 0.25) < 0.02 for _, mean in model.seen)
    drawn = chances(model, 40_000, condition)
    assert (drawn - torch.tensor(WANTED)).abs().max() < 0.012


def test_the_same_seed_shifts_alike():
    shifts = [match_levels(Drawn(wrong_logits()), rows(WANTED), 600, seed=s) for s in (5, 5, 6)]
    assert shifts[0] is not None
    assert shifts[1] is not None
    assert shifts[2] is not None
    assert torch.equal(shifts[0], shifts[1])
    assert not torch.equal(shifts[0], shifts[2])


def test_levels_never_drawn_or_never_seen_stay_finite():
    model = Drawn([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -40.0])
    shift = match_levels(model, rows([1.0, 0.0, 0.5, 0.3, 0.19, 0.01]), 1000, seed=0)
    assert shift is not None
    assert bool(shift.isfinite().all())
    assert chances(model)[0] > 0.8


def test_what_a_shift_does_is_learnt_from_two_draws_of_the_same_noise():
    wanted = torch.tensor([0.5, 0.5], dtype=torch.double)
    found = Shifts(wanted, 1000)
    odds = torch.tensor([0.4, 0.6], dtype=torch.double)
    found.add(odds)
    found.add(torch.softmax(odds.log() + 0.5 * found.shift, 0))  # a shift does half of what it says
    assert found.slope.tolist() == pytest.approx([0.5, 0.5], rel=0.05)
    assert found.shift.diff().item() == pytest.approx(2 * float(torch.log(odds[0] / odds[1])), rel=0.1)


def test_shifts_that_make_it_worse_are_given_up():
    found, wanted = Shifts(torch.tensor([0.5, 0.5], dtype=torch.double), 1000), [0.45, 0.44, 0.45, 0.3]
    for share in wanted:
        found.add(torch.tensor([share, 1 - share], dtype=torch.double))
    assert not found.shrunk().any()


def test_it_costs_a_fifth_of_training_at_most_and_short_runs_nothing():
    model = Drawn(wrong_logits())
    assert drawn_each_round(model, 10_000) == 0
    n = drawn_each_round(model, 100_000)
    assert 0 < n * ROUNDS * 4 <= 0.2 * 3 * 100_000
    assert drawn_each_round(model, 10**9) == MOST


def test_a_model_that_draws_with_one_evaluation_draws_more(monkeypatch):
    model = Drawn(wrong_logits())
    monkeypatch.setattr(model, "evaluations", lambda settings: 1)
    assert drawn_each_round(model, 10**9) == CHEAP // ROUNDS > MOST


def patients(n=3000):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": rng.choice(list("abcd"), n, p=[0.5, 0.3, 0.15, 0.05])})
    frame["seen"] = np.where(rng.random(n) < 0.35, np.nan, rng.normal(size=n) + (frame["kind"] == "a"))
    return frame


def shares(frame):
    """Of each level and of what is missing."""
    return pd.get_dummies(frame.assign(seen=frame["seen"].isna().astype(str))).mean()


@pytest.mark.parametrize("family", ["vae", "gan", "diffusion", "flow"])
def test_the_bias_of_each_family_is_that_of_its_logits(family, tmp_path):
    run = sansheng.train(patients(500), family=family, steps=2, parameters=5000, out=tmp_path / "run", previews=False)
    bias, channel = run.model.logit_bias(), int(torch.nonzero(run.model.space.is_real == 0)[1])
    assert bias is not None
    assert bias.shape == (run.model.space.channels,)
    with torch.no_grad():
        bias[channel] += 30
    drawn = run.model.sample(50, generator=torch.Generator(run.device).manual_seed(0))
    assert bool((drawn[:, channel] == 1).all())


def test_the_survey_s_models_have_none(tmp_path):
    how = {"preset": "survey", "steps": 2, "previews": False}
    for family in ("vae", "gan", "diffusion"):
        run = sansheng.train(patients(500), family=family, out=tmp_path / family, **how)
        assert run.model.logit_bias() is None


def test_symbols_at_positions_are_left_alone(monkeypatch, tmp_path):
    """A layer that makes a whole line at once has a logit for each position, not for each level."""
    monkeypatch.setattr("sansheng.calibration.SHARE", 1e6)
    names = [a + b for a in ("ana", "bo", "cleo", "dan") for b in ("", "bel", "lina", "ton")] * 20
    said = []
    how = {"kind": "text", "family": "gan", "steps": 2, "parameters": 10_000, "previews": False}
    run = sansheng.train(names, out=tmp_path / "run", observe=lambda event: said.append(event.text), **how)
    assert run.model.space.positions
    assert not any("levels" in text for text in said)
    assert match_levels(run.model, run.open_data(names).train, 1000, 0) is None


def test_training_ends_with_it(tmp_path, monkeypatch):
    """The sum of squared errors of all levels and of what is missing, with and without."""
    frame, errors, said = patients(), [], []
    how = {"family": "flow", "steps": 300, "parameters": 10_000, "previews": False}
    for name, share in (("with", 2.0), ("without", 0.0)):
        monkeypatch.setattr("sansheng.calibration.SHARE", share)
        run = sansheng.train(frame, out=tmp_path / name, observe=lambda event: said.append(event.text), **how)
        real, made = (shares(rows) for rows in (run.open_data(frame).train_records.values, run.sample(10_000)))
        errors.append(float(((made - real) ** 2).sum()))
    assert errors[0] < 0.2 * errors[1]
    assert sum("levels" in text for text in said) == 1


def test_a_run_stopped_while_levels_are_matched_can_be_drawn_from(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sansheng.calibration.SHARE", 10.0)
    monkeypatch.setattr("sansheng.calibration.match_levels", stopped)
    how = {"family": "gan", "steps": 100, "parameters": 5000, "previews": False}
    with pytest.raises(KeyboardInterrupt):
        sansheng.train(patients(500), out=tmp_path / "run", **how)
    assert len(sansheng.load(tmp_path / "run").sample(5)) == 5
