"""Recipes: sizes that were asked for, options that exist, models that are the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sansheng.budget import Budget
from sansheng.devices import at_a_time
from sansheng.drawing import Drawn
from sansheng.families.flow import Flow
from sansheng.families.simplex import SimplexFlow
from sansheng.model import Batch, Sampling
from sansheng.networks.mlp import Bounded, PlainMLP
from sansheng.presets import (
    DEFAULTS,
    SURVEY,
    default_parameters,
    geometry,
    has_preset,
    parse_overrides,
    settings_for,
)
from sansheng.recipe import DataReference, Recipe, assemble, build, count_parameters, resolve
from sansheng.space import Category, Real, Space

SPACES = {
    "points": Space((Real(1, -3.0, 3.0), Real(1, -3.0, 3.0))),
    "rows": Space((Real(1, -4.0, 4.0), Category(2), Category(15))),
    "grid": Space((Real(3, -1.0, 1.0),), (24, 24)),
    "word": Space((Category(27),), (16,)),
    "line": Space((Category(60),), (64,)),
}
DATA = DataReference(name="d", source="d", kind="array", digest="0", split_seed=0)
FEW = Budget(steps=5)


def recipe(
    family: str, space: Space, *, preset: str = "default", parameters: int | None = None, budget: Budget = FEW,
    device: str = "cpu", rows: int = 1000, **overrides,
) -> Recipe:  # fmt: skip
    return resolve(
        DATA,
        space,
        None,
        family=family,
        preset=preset,
        budget=budget,
        parameters=parameters,
        seed=0,
        device=device,
        precision="fp32",
        overrides=overrides,
        rows=rows,
    )


@pytest.mark.parametrize("name", SPACES)
def test_geometry_is_told_from_the_space_alone(name: str) -> None:
    assert geometry(SPACES[name]) == name


def test_denoisers_of_strips_have_room_for_their_linear_part_and_are_told(family: str) -> None:
    strip, denoises = Space((Real(1),), (504,)), family in ("diffusion", "flow")
    assert default_parameters(Space((Real(7),), (72,)), family) == 400_000
    assert default_parameters(strip, family) == (4 * 504**2 if denoises else 400_000)
    few = [default_parameters(Space((Real(6),), (24,)), family, rows=rows) for rows in (50, 5_000, 10_000_000)]
    assert few == ([100_000, 200_000, 400_000] if denoises else [400_000] * 3)
    assert default_parameters(strip, family, rows=50) == default_parameters(strip, family)
    assert ("known_share" in settings_for(family, "default", strip)) == denoises
    assert "known_share" not in settings_for(family, "default", Space((Real(7),), (72, 8)))


@pytest.mark.parametrize("name", SPACES)
def test_every_family_has_about_as_many_parameters_as_asked_for(family: str, name: str) -> None:
    space = SPACES[name]
    made = recipe(family, space, parameters=500_000)
    assert count_parameters(build(made, space, None)) == pytest.approx(500_000, rel=0.15)


def test_the_same_recipe_builds_the_same_weights_and_leaves_global_randomness_alone(family: str) -> None:
    space = SPACES["points"]
    made = recipe(family, space, parameters=20_000)
    torch.manual_seed(5)
    first = build(made, space, None).state_dict()
    after = torch.rand(1)
    torch.manual_seed(6)
    second = build(made, space, None).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


def test_json_and_back_is_the_same_recipe(family: str) -> None:
    made = recipe(family, SPACES["rows"])
    again = Recipe.model_validate_json(made.model_dump_json())
    assert again.model_dump_json() == made.model_dump_json()
    assert count_parameters(build(again, SPACES["rows"], None)) == count_parameters(build(made, SPACES["rows"], None))


@pytest.mark.parametrize(
    ("family", "given", "parsed"),
    [
        ("gan", {"loss": "hinge", "gamma": "0"}, {"loss": "hinge", "gamma": 0}),
        ("gan", {"betas": "[0.5, 0.9]"}, {"betas": (0.5, 0.9)}),
        ("gan", {"betas": [0, 0.9], "pack": "2"}, {"betas": (0.0, 0.9), "pack": 2}),
        ("vae", {"ladder": "true", "likelihood": "logistic"}, {"ladder": True, "likelihood": "logistic"}),
        ("vae", {"dense": "true"}, {"dense": True}),
        ("vae", {"prior": "False", "samples": "5"}, {"prior": False, "samples": 5}),
        ("diffusion", {"levels": "none", "path": "vp"}, {"levels": None, "path": "vp"}),
        ("flow", {"batch": "7", "ema_length": "0.5"}, {"batch": 7, "ema_length": 0.5}),
    ],
)
def test_settings_are_read_as_what_they_are(family: str, given: dict, parsed: dict) -> None:
    assert parse_overrides(family, given) == parsed


@pytest.mark.parametrize("key", ["dense", "ladder", "likelihood"])
def test_what_is_fixed_in_the_survey_cannot_be_set(key: str) -> None:
    with pytest.raises(ValueError, match=rf"setting of a vae of the survey '{key}'.*Valid: .*beta"):
        parse_overrides("vae", {key: "true"}, "survey")
    assert parse_overrides("vae", {"latent": "5"}, "survey") == {"latent": 5}


@pytest.mark.parametrize(
    ("family", "given", "complaint"),
    [
        ("gan", {"beta": "1"}, r"setting of a gan 'beta'.*Valid: .*gamma"),
        ("vae", {"beta": "much"}, "beta should be like 1.0"),
        ("vae", {"samples": "2.5"}, "whole number"),
        ("vae", {"prior": "3"}, "true or false"),
        ("gan", {"loss": "3"}, 'like "relativistic"|unknown GAN loss'),
        ("gan", {"loss": "sad"}, "unknown GAN loss 'sad'.*hinge"),
        ("vae", {"likelihood": "cauchy"}, "unknown likelihood 'cauchy'.*bernoulli"),
        ("vae", {"doubly": "true"}, "2 or more samples"),
        ("vae", {"binarise": "true"}, "Bernoulli"),
        ("vae", {"ladder": "true"}, "ladder is for data with positions"),
        ("vae", {"transformer": "true"}, "transformer is for lines"),
        ("vae", {"transformer": "true", "dense": "true"}, "neither ladder nor dense"),
        ("vae", {"likelihood": "logistic"}, "logistic likelihood is for pictures"),
        ("gan", {"augment": "true"}, "only pictures"),
        ("gan", {"pack": "0"}, "at least 1"),
        ("diffusion", {"path": "crooked"}, "unknown path 'crooked'.*cosine"),
        ("diffusion", {"temperature": "0.9"}, "for --set path=masked"),
        ("flow", {"width": "7"}, "even number"),
        ("flow", {"ema_length": "2"}, r"in \(0, 1\]"),
    ],
)
def test_settings_that_do_not_exist_or_fit_are_refused_with_those_that_do(
    family: str, given: dict, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        build(recipe(family, SPACES["points"], **given), SPACES["points"], None)


def test_default_settings_are_settings_one_could_give(family: str) -> None:
    for name, space in SPACES.items():
        settings = DEFAULTS[family](geometry(space))
        assert parse_overrides(family, settings) == settings, name


@pytest.mark.parametrize(("side", "expected"), [(8, 150_000), (16, 150_000), (32, 600_000), (64, 1_200_000)])
def test_larger_pictures_get_more_parameters_up_to_a_point(side: int, expected: int) -> None:
    assert default_parameters(Space((Real(1),), (side, side))) == expected


@pytest.mark.parametrize("levels", [300, 2000])
def test_symbols_of_many_levels_leave_the_rest_of_a_network_its_width(levels: int) -> None:
    few, many = (recipe("diffusion", Space((Category(n),), (100,))).width for n in (60, levels))
    assert few <= many < 1.6 * few


def test_little_time_of_a_cpu_is_for_smaller_gans_of_large_pictures_alone() -> None:
    seconds = (60.0, 100.0, 400.0, 600.0, 3600.0)
    large = [default_parameters(SPACES["grid"], "gan", s) / default_parameters(SPACES["grid"]) for s in seconds]
    assert large == pytest.approx([0.4, (1 / 6) ** 0.5, (2 / 3) ** 0.5, 1.0, 1.0], abs=1e-3)
    assert default_parameters(SPACES["grid"], "flow", 1.0) == default_parameters(SPACES["grid"])
    assert all(default_parameters(SPACES[n], "gan", 1.0) == default_parameters(SPACES[n]) for n in ("rows", "line"))
    minute = Budget(seconds=60.0)
    slow, fast = (recipe("gan", SPACES["grid"], budget=minute, device=device) for device in ("cpu", "cuda"))
    assert slow.parameters < fast.parameters == default_parameters(SPACES["grid"])


def test_small_and_packed_critics_are_built(family: str) -> None:
    """Every default builds, and a critic of packs reads as many channels."""
    if family == "gan":
        made = recipe("gan", SPACES["points"], pack=3)
        model = build(made, SPACES["points"], None)
        loss, _ = model.turns()["critic"].loss(Batch(torch.randn(9, 2)), 0.5, torch.Generator().manual_seed(0))
        assert torch.isfinite(loss)
    assert count_parameters(build(recipe(family, SPACES["grid"]), SPACES["grid"], None)) == pytest.approx(
        default_parameters(SPACES["grid"]), rel=0.15
    )


def test_a_temperature_goes_with_the_masked_path() -> None:
    """Unless told, lines are drawn from the law whose bound is told."""
    assert build(recipe("diffusion", SPACES["word"]), SPACES["word"], None).temperature == 1
    assert build(recipe("diffusion", SPACES["word"], temperature=0.9), SPACES["word"], None).temperature == 0.9
    with pytest.raises(ValueError, match="masked"):
        build(recipe("diffusion", SPACES["word"], path="edm", temperature=0.9), SPACES["word"], None)


def test_flows_of_symbols_are_on_the_simplex_unless_told() -> None:
    for space in ("word", "line"):
        assert isinstance(build(recipe("flow", SPACES[space]), SPACES[space], None), SimplexFlow)
        straight = build(recipe("flow", SPACES[space], path="straight"), SPACES[space], None)
        assert isinstance(straight, Flow)
        assert (straight.time_mean, straight.time_std) == (0.7, 0.8)
    guided = build(recipe("flow", SPACES["word"], guidance=3.0), SPACES["word"], Space((Category(2),)))
    assert guided.evaluations(Sampling(steps=5)) == 10
    assert isinstance(build(recipe("flow", SPACES["grid"]), SPACES["grid"], None), Flow)
    two = Space((Category(3), Category(2)), (12,))
    assert isinstance(build(recipe("flow", two), two, None), Flow)


def test_a_flow_that_was_saved_before_there_were_two_paths_is_straight() -> None:
    made = recipe("flow", SPACES["word"], path="straight")
    old = made.model_copy(update={"settings": {k: v for k, v in made.settings.items() if k != "path"}})
    assert isinstance(build(old, SPACES["word"], None), Flow)


@pytest.mark.parametrize(
    ("family", "name", "said"),
    [
        ("flow", "time_mean", "time_mean is not a setting of path=simplex"),
        ("diffusion", "noise_std", "noise_std is not a setting of path=masked"),
        ("diffusion", "guidance", "guidance is not a setting of path=masked"),
    ],
)
def test_settings_of_another_path_are_refused(family: str, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(family, SPACES["word"], **{name: 0.5})
    assert name not in recipe(family, SPACES["word"]).settings
    with pytest.raises(ValueError, match="unknown path 'curved'"):
        build(recipe("flow", SPACES["word"], path="curved"), SPACES["word"], None)


def test_as_many_are_drawn_at_a_time_as_there_is_room_for() -> None:
    """Of pieces of words fewer than of characters, each symbol being thousands of numbers."""
    for device in ("cpu", "cuda"):
        many = at_a_time(Space((Category(60),), (128,)), torch.device(device))
        few = at_a_time(Space((Category(4001),), (128,)), torch.device(device))
        assert few * 4001 * 128 <= 2**26 < (few + 1) * 4001 * 128
        assert many > 10 * few


@pytest.mark.parametrize(("space", "free"), [("word", True), ("line", True), ("grid", False), ("rows", False)])
def test_latents_of_symbols_have_bits_for_nothing(space: str, free: bool) -> None:
    """Else none of them is worth using in a short training."""
    assert (settings_for("vae", "default", SPACES[space]).get("free_bits", 0) > 0) == free


def test_unknown_families_and_presets_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="diffusion, flow, gan, vae"):
        has_preset("gam", "default")
    with pytest.raises(ValueError, match="default, survey"):
        has_preset("gan", "surway")
    with pytest.raises(ValueError, match="survey has no flow"):
        settings_for("flow", "survey", SPACES["points"])


def linears(network: PlainMLP) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.layers if isinstance(m, nn.Linear)]


def activations(network: PlainMLP) -> list[str]:
    return [repr(m) for m in network.layers if not isinstance(m, nn.Linear)]


def test_the_survey_models_are_as_the_survey_describes_them() -> None:
    space = Space((Real(1, -1.0, 1.0),), (8, 8))
    vae, gan, diffusion = (build(recipe(f, space, preset="survey"), space, None) for f in SURVEY)
    assert linears(vae.bound["encoder"]) == [(64, 512), (512, 256), (256, 40)]  # pyright: ignore
    assert linears(vae.bound["decoder"]) == [(20, 256), (256, 512), (512, 64)]  # pyright: ignore
    assert activations(vae.bound["encoder"]) == ["ReLU()"] * 2  # pyright: ignore
    assert vae.space.slots[0].likelihood == "bernoulli"  # pyright: ignore
    assert isinstance(gan.generator, Bounded)
    assert linears(gan.generator.network) == [(100, 256), (256, 512), (512, 64)]  # pyright: ignore
    assert linears(gan.critic) == [(64, 512), (512, 256), (256, 1)]  # pyright: ignore
    assert activations(gan.critic) == ["LeakyReLU(negative_slope=0.2)"] * 2  # pyright: ignore
    assert list(gan.turns()) == ["critic", "generator"]
    assert linears(diffusion.denoiser.network) == [(65, 512), (512, 256), (256, 64)]  # pyright: ignore
    assert (diffusion.default, diffusion.levels) == (Drawn("ancestral", 200), 200)


def test_survey_pictures_stay_within_the_bounds_of_the_data() -> None:
    space = Space((Real(1, -1.0, 1.0),), (8, 8))
    gan = build(recipe("gan", space, preset="survey"), space, None)
    made = gan.generator(100 * torch.randn(20, 100))
    assert made.abs().max() <= 1
    assert made.abs().max() > 0.9


@pytest.mark.parametrize("family", ["diffusion", "flow"])
def test_cells_are_a_setting_of_what_denoises_pictures(family: str) -> None:
    grid, settings = Space((Real(3),), (32, 32)), parse_overrides(family, {"cells": "2"})
    model = assemble(family, "default", settings_for(family, "default", grid) | settings, grid, None, 16)
    assert any(module.sizes[0] == (16, 16) for net in model.modules() if (module := getattr(net, "grid", None)))
    rows = Space((Real(7),))
    with pytest.raises(ValueError, match="cells are for pictures"):
        assemble(family, "default", settings_for(family, "default", rows) | settings, rows, None, 16)


@pytest.mark.parametrize(
    ("family", "channels", "rows", "most"),
    [("flow", 5, 100, 10_000), ("diffusion", 5, 25_600, 100_000), ("flow", 1, 100, 0), ("gan", 5, 100, 0)],
)
def test_few_windows_of_many_channels_are_seen_so_many_times_and_no_more(
    family: str, channels: int, rows: int, most: int
) -> None:
    space = Space(tuple(Real(1) for _ in range(channels)), (24,))
    assert recipe(family, space, rows=rows).most_steps == most
    assert recipe(family, space, rows=rows, batch=64).most_steps in (max(most, 1000 * rows // 64), 0)
    assert recipe(family, space, rows=rows, budget=Budget(seconds=60.0), most_steps=7).budget.most == 7
