"""Augmentations: what each does, to whom, and that a gradient passes."""

import pytest
import torch

from sansheng.augment import augment, brightness, contrast, cut, shift

CHANGES = pytest.mark.parametrize("change", [brightness, contrast, shift, cut])


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=50, channels=2):
    return torch.randn(n, channels, 8, 10, generator=gen(3)).clamp(-1, 1)


@CHANGES
def test_only_the_chosen_change(change):
    x = pictures()
    chosen = torch.arange(50) % 2 == 0
    moved = (change(x, chosen, gen()) - x).abs().flatten(1).amax(1) > 1e-6
    assert not moved[~chosen].any()
    assert moved[chosen].float().mean() > 0.7


def test_without_a_chance_nothing_changes():
    assert torch.allclose(augment(pictures(), 0.0, gen()), pictures(), atol=1e-6)


def test_each_is_changed_with_the_chance_given():
    x = pictures(4000, 1)
    same = (augment(x, 0.2, gen()) - x).abs().flatten(1).amax(1) < 1e-6
    assert same.float().mean().item() == pytest.approx(0.8**4, abs=0.04)  # a shift may be by nothing


@CHANGES
def test_a_gradient_passes(change):
    x = pictures().requires_grad_()
    (slope,) = torch.autograd.grad(change(x, torch.ones(50, dtype=torch.bool), gen()).square().sum(), x)
    assert torch.isfinite(slope).all()
    assert (slope != 0).float().mean() > 0.5


def test_brightness_and_contrast_keep_the_form():
    x, all_of_them = pictures(), torch.ones(50, dtype=torch.bool)
    by = brightness(x, all_of_them, gen()) - x
    assert by.flatten(1).std(1).max() < 1e-6
    assert by.abs().max() <= 0.5
    harder = contrast(x, all_of_them, gen())
    assert torch.allclose(harder.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    ratio = harder.flatten(1).std(1) / x.flatten(1).std(1)
    assert ((ratio >= 0.5) & (ratio <= 1.5)).all()


def test_a_shift_moves_and_repeats_the_border():
    x = torch.arange(80.0).view(1, 1, 8, 10).expand(300, 1, 8, 10)
    moved = shift(x, torch.ones(300, dtype=torch.bool), gen())
    rows, columns = (moved[:, 0, 4, 5] // 10).long() - 4, (moved[:, 0, 4, 5] % 10).long() - 5
    assert rows.unique().tolist() == [-1, 0, 1]
    assert columns.unique().tolist() == [-1, 0, 1]
    right = moved[(rows == 0) & (columns == 1)][0, 0]
    assert torch.equal(right[:, :9], x[0, 0, :, 1:])
    assert torch.equal(right[:, 9], x[0, 0, :, 9])


def test_a_hole_is_at_most_half_of_each_side():
    holes = cut(torch.ones(500, 1, 8, 10), torch.ones(500, dtype=torch.bool), gen()) == 0
    assert holes.any(3).sum(2).max() == 4
    assert holes.any(2).sum(2).max() == 5
    assert holes.float().mean().item() == pytest.approx(0.25 * (1 - 0.125) ** 2, abs=0.02)
