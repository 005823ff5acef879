"""A comparison: same conditions, reference rows that behave as they must, files that say what happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sansheng.codecs.base import Records
from sansheng.compare import Comparison, compare
from sansheng.data import open_data
from sansheng.score import counted_text, fit_scorer, independent_columns
from small import make

ARGUMENTS = {"parameters": 3000, "steps": 3, "seeds": 2}


def run(source: object, out: Path, **more: object) -> Comparison:
    return compare(source, out=out, **{**ARGUMENTS, **more})  # pyright: ignore


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return run(make("table", 160), tmp_path_factory.mktemp("table") / "all")


def test_every_family_and_reference_has_its_row(table: Comparison) -> None:
    written = json.loads(table.scores.read_text())
    rows = {row["name"]: row for row in written["rows"]}
    assert list(rows) == [
        "vae", "gan", "diffusion", "flow", "held-out data", "training data replayed", "columns independent",
    ]  # fmt: skip
    assert written["budget"] == "3 steps"
    for row in rows.values():
        assert row["kind"] == ("reference" if " " in row["name"] else "family")
        for score in row["scores"].values():
            assert score.keys() == {"value", "low", "high", "n", "better", "unit"}
            assert score["low"] <= score["value"] <= score["high"]


def test_every_row_is_scored_on_equally_many_examples(table: Comparison) -> None:
    rows = json.loads(table.scores.read_text())["rows"]
    per_seed = {row["name"]: row["scores"]["frechet"]["n"] / (2 if row["kind"] == "family" else 1) for row in rows}
    assert set(per_seed.values()) == {40}


def test_models_had_the_same_conditions(table: Comparison) -> None:
    recipes = [run.recipe for run in table.runs]
    assert len(recipes) == 8
    assert {recipe.seed for recipe in recipes} == {0, 1}
    assert len({(recipe.data.digest, recipe.steps, recipe.parameters) for recipe in recipes}) == 1
    costs = {row["name"]: row["cost"] for row in json.loads(table.scores.read_text())["rows"] if row["cost"]}
    assert all(cost["steps"] == 3 for cost in costs.values())
    assert costs["gan"]["network_evaluations_per_sample"] == 1
    assert costs["diffusion"]["network_evaluations_per_sample"] == 12


def test_reference_rows_behave_as_they_must(table: Comparison) -> None:
    rows = {row["name"]: row["scores"] for row in json.loads(table.scores.read_text())["rows"]}
    of_the_rest = {"copying", "usefulness", "membership", "attribute_inference", "singling_out"}
    assert of_the_rest.isdisjoint(rows["held-out data"])
    assert of_the_rest <= rows["training data replayed"].keys()
    assert rows["training data replayed"]["copied"]["value"] == 1
    assert rows["held-out data"]["copied"]["value"] == 0
    assert rows["training data replayed"]["copying"]["value"] > 0.5
    assert rows["columns independent"]["shape_error"]["value"] < rows["vae"]["shape_error"]["value"]
    for name in ("vae", "gan", "diffusion", "flow"):
        assert rows["held-out data"]["frechet"]["value"] < rows[name]["frechet"]["value"]


def test_the_page_is_one_file_with_every_row(table: Comparison) -> None:
    page = table.report.read_text()
    for name in ("vae", "gan", "diffusion", "flow", "held-out data", "columns independent"):
        assert name in page
    assert "sansheng compare" in page
    assert '<section id="quality">' in page
    assert '<section id="privacy">' in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_terminal_gets_families_ranked_and_references_last(table: Comparison) -> None:
    header, rows = table.table()
    assert {"vae", "gan", "diffusion", "flow"} == {row[0] for row in rows[:4]}
    assert [row[1] for row in rows[4:]] == ["", "", ""]
    assert all(len(row) == len(header) for row in rows)


def test_a_comparison_that_was_stopped_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "all"
    first = run(make("array"), out, families=("vae",), seeds=1)
    kept = (out / "vae-default-0" / "model.safetensors").stat().st_mtime_ns
    both = run(make("array"), out, families=("vae", "gan"), seeds=1, resume=True)
    assert (out / "vae-default-0" / "model.safetensors").stat().st_mtime_ns == kept
    assert [run.recipe.family for run in both.runs] == ["vae", "gan"]
    assert first.out == both.out


def test_rules_are_obeyed_by_what_is_scored(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(160, 2)).round(3), columns=["a", "b"])
    frame["total"] = (frame["a"] + frame["b"]).round(3)
    rule = "total = a + b"
    made = run(frame, tmp_path / "all", families=("flow",), seeds=1, rules=(rule,))
    assert made.runs[0].recipe.rules == (rule,)
    drawn = made.runs[0].draw(40).values
    np.testing.assert_allclose(drawn["total"], drawn["a"] + drawn["b"], atol=6e-4)
    assert "--rule" in made.report.read_text()


def test_presets_stand_side_by_side(tmp_path: Path) -> None:
    made = run(make("image"), tmp_path / "all", presets=("survey", "default"), families=("vae", "flow"), seeds=1)
    assert [row.name for row in made.page.families] == ["vae (survey)", "vae (default)", "flow (default)"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"families": ("vae", "gam")}, "unknown family 'gam'"),
        ({"presets": ("survey",), "families": ("flow",)}, "no survey preset of flow"),
        ({"seeds": 0}, "at least 1 seed"),
        ({"steps": None, "budget": "soon"}, "30s, 5m or 1h"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(options: dict, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(make("array"), tmp_path / "all", **options)
    assert not (tmp_path / "all").exists()


def test_held_out_lines_are_not_held_against_themselves(tmp_path: Path) -> None:
    made = run(make("text", 60), tmp_path / "all", families=("vae",))
    rows = json.loads(made.scores.read_text())["rows"]
    told = [row["name"] for row in rows if "ngram_divergence" in row["scores"]]
    assert "vae" in told
    assert not [name for name in told if name.startswith("held-out")]


def test_scores_look_at_text_and_labels_too(tmp_path: Path) -> None:
    data = open_data(make("text", 200))  # pyright: ignore
    scorer = fit_scorer(data, seed=0)
    real = scorer.score(data.test_records, np.random.default_rng(0))
    assert {"ngram_divergence", "copied", "unique", "frechet"} <= real.keys()
    noise = type(data.test_records)(["zzzz"] * 50)
    assert scorer.score(noise, np.random.default_rng(0))["ngram_divergence"].value > real["ngram_divergence"].value
    assert scorer.quality(noise, np.random.default_rng(0)).value > 0.5


def test_classes_that_never_come_are_named() -> None:
    data = open_data("digits")
    scorer = fit_scorer(data, seed=0)
    labels = data.train_records.labels["label"]
    assert scorer.symptoms(data.train_records.take(np.arange(300))) == []
    some = data.train_records.take(np.flatnonzero(labels < 8)[:300])
    (symptom,) = scorer.symptoms(some)
    assert "2 of 10 classes" in symptom
    assert symptom.endswith("8, 9")


def test_shuffled_columns_keep_margins_and_lose_relations() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000)
    data = open_data(np.stack([x, x], axis=1))
    shuffled = independent_columns(data.train_records, rng)
    assert shuffled is not None
    np.testing.assert_array_equal(np.sort(shuffled.values, 0), np.sort(data.train_records.values, 0))
    assert abs(np.corrcoef(shuffled.values.T)[0, 1]) < 0.1
    assert independent_columns(Records(x.reshape(20, 100), {}, {"rate": 8000}), rng) is None  # moments are no columns


def test_lines_are_never_looked_at_more_often_than_they_have_symbols(tmp_path: Path) -> None:
    made = run(make("text", 160), tmp_path / "all", families=("diffusion", "flow"), seeds=1)
    curves = {curve.name: [int(point[0]) for point in curve.points] for curve in made.page.cost_curves}
    symbols = made.runs[0].model.space.size
    assert symbols < 32
    assert curves["diffusion"] == [e for e in (1, 2, 4, 8, 16, 32) if e < symbols] + [symbols]
    assert curves["flow"] == [1, 2, 4, 8, 16, 32]


def test_bits_of_text_are_per_character_and_of_other_data_per_dimension() -> None:
    """Eight bits a line of three characters and its end; the interval is that of a ratio."""
    lines = [a + b + c for a in "abcdefgh" for b in "abcd" for c in "xyz"]
    scorer = fit_scorer(open_data(lines, kind="text"), seed=0)
    bound = scorer.bound(np.full(2, -8 * np.log(2)), Records(["abc", "bcd"]))
    assert (bound.value, bound.unit) == (pytest.approx(2), "bits/char")
    assert bound.high == pytest.approx(bound.low)
    uneven = scorer.bound(np.log(2) * np.array([-4.0, -8.0]), Records(["abc", "a"]))
    assert uneven.value == pytest.approx(12 / 6)
    assert uneven.low < uneven.value < uneven.high
    table = fit_scorer(open_data(make("table", 80)), seed=0)  # pyright: ignore
    assert table.bound(np.full(2, -1.0), table.data.test_records).unit == "bits/dim"


def test_a_model_that_counts_is_a_reference_of_text_alone(tmp_path: Path) -> None:
    rows = {row.name: row for row in run(make("text", 200), tmp_path / "all", families=("vae",), seeds=1).page.rows}
    counted = rows["counting runs of 5 characters"]
    assert counted.kind == "reference"
    # letters at random, of five, in lines of two to six of them: log2(5) a letter and log2(5) a line
    assert 2.0 < counted.scores["bound"].value < 3.5
    assert counted_text(open_data(make("table", 80)), 5, np.random.default_rng(0)) is None  # pyright: ignore


def test_bounds_are_measured_on_records_from_everywhere():
    """In order, the first held-out records would be of one stretch of time."""
    values = np.random.default_rng(0).normal(size=(400, 2))
    scorer = fit_scorer(open_data(values), seed=0)
    some, every = scorer.measured(20).values, scorer.measured(1000).values
    places = [int(np.flatnonzero((every == row).all(1))[0]) for row in some]
    assert (len(some), len(every)) == (20, 100)
    assert places == sorted(set(places))
    assert places[-1] > 50
    np.testing.assert_array_equal(every, scorer.data.test_records.values)


def test_pictures_too_small_to_be_scored_are_refused_before_any_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "thin.npz", images=np.zeros((60, 12, 3, 1), np.uint8))
    with pytest.raises(ValueError, match="compared from 4 x 4 pixels on, and these are 12 x 3"):
        compare(tmp_path / "thin.npz", budget="1h", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
