"""Codes put to use: what goes in comes out, ways lead from one record to another, and strange rows are found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sansheng import latent
from sansheng.cli import main
from sansheng.codecs.base import Records
from sansheng.data import open_data, read_records
from sansheng.errors import DataError
from sansheng.families.vae import VAE
from sansheng.filling import labelled
from sansheng.run import Run, train
from small import make


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Points of four numbers that are all one number, learnt well enough to be told apart from other points."""
    z = np.random.default_rng(0).standard_normal((800, 1))
    points = (z * [1.0, 2.0, -1.0, 0.5] + 0.02 * np.random.default_rng(1).standard_normal((800, 4))).astype(np.float32)
    out = tmp_path_factory.mktemp("latent")
    np.save(out / "points.npy", points)
    settings = {"latent": 2, "beta": 0.05, "batch": 128, "prior": False}
    return train(
        out / "points.npy", family="vae", out=out / "run", steps=400, parameters=5000, previews=False, settings=settings
    )


@pytest.fixture
def held_out(run: Run) -> Records:
    return run.open_data().test_records


def test_what_goes_in_comes_out(run: Run, held_out: Records) -> None:
    again = latent.reconstruct(run, held_out)
    assert np.corrcoef(again.values[:, 1], held_out.values[:, 1])[0, 1] > 0.98
    assert np.array_equal(again.values, latent.reconstruct(run, held_out).values)


def test_a_way_begins_and_ends_at_its_records_and_goes_between(run: Run, held_out: Records) -> None:
    order = np.argsort(held_out.values[:, 1])
    ends = held_out.take(order[[0, -1]])
    way = latent.interpolate(run, ends, steps=9).values
    np.testing.assert_allclose(way[[0, -1]], latent.reconstruct(run, ends).values, atol=1e-5)
    assert (np.diff(way[:, 1]) > 0).all()


@pytest.mark.parametrize(("rows", "steps"), [(1, 5), (2, 1)])
def test_a_way_needs_two_records_and_two_steps(run: Run, held_out: Records, rows: int, steps: int) -> None:
    with pytest.raises(ValueError, match="2 or more steps"):
        latent.interpolate(run, held_out.take(np.arange(rows)), steps=steps)


def test_one_number_turns_the_others_stay(run: Run, held_out: Records) -> None:
    codes, _ = latent.encode(run, held_out.take(np.array([4])))
    turned = latent.traverse(run, held_out.take(np.array([4])), 1, steps=5, span=2.0)
    by_hand = codes.repeat(5, 1)
    by_hand[:, 1] = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    np.testing.assert_allclose(turned.values, latent.show(run, by_hand, None).values)
    with pytest.raises(ValueError, match="numbers 0 to 1, and no 2"):
        latent.traverse(run, held_out, 2)


def test_points_off_the_line_are_strange(run: Run, held_out: Records) -> None:
    usual = latent.surprise(run, held_out)
    moved = Records(held_out.values + np.float32([0, 0, 0, 1.0]))
    assert np.median(latent.surprise(run, moved)) > np.quantile(usual, 0.99)
    assert isinstance(run.model, VAE)
    assert usual.mean() < 0.5 * math.log2(2 * math.pi * math.e)  # of four numbers that had nothing in common


def test_other_families_say_what_is_needed(tmp_path: Path) -> None:
    flow = train(make("array"), family="flow", out=tmp_path / "run", steps=2, parameters=3000, previews=False)  # pyright: ignore
    records = Records(make("array"))
    with pytest.raises(ValueError, match=r"no codes.*need a vae"):
        latent.reconstruct(flow, records)


@pytest.mark.parametrize("kind", ["image", "table", "text"])
def test_every_kind_of_record_comes_back_as_what_it_was(kind: str, tmp_path: Path) -> None:
    data = open_data(make(kind))  # pyright: ignore
    vae = train(data, family="vae", out=tmp_path / "run", steps=2, parameters=3000, previews=False)
    again = latent.reconstruct(vae, data.test_records)
    assert len(again) == len(data.test_records)
    assert type(again.values) is type(data.test_records.values)
    assert len(latent.interpolate(vae, data.test_records, steps=3)) == 3


@pytest.mark.parametrize("kind", ["image", "table", "text", "array"])
def test_records_are_read_whole_and_in_order(kind: str) -> None:
    source = make(kind)
    read = read_records(source, kind)  # pyright: ignore
    again = read.join(read)
    assert len(again) == 2 * len(read)
    late = again.take(np.arange(len(read), len(again))).values
    assert late.equals(read.values) if hasattr(late, "equals") else np.array_equal(late, read.values)


# -- labels ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Points on one of two sides, as their label says."""
    folder, draw = tmp_path_factory.mktemp("labels"), np.random.default_rng(0)
    side = draw.integers(0, 2, 600)
    points = (draw.standard_normal((600, 2)) * 0.3 + 3 * side[:, None]).astype(np.float32)
    np.savez(folder / "sides.npz", points, label=np.array(["left", "right"])[side])
    settings = {"latent": 2, "batch": 128, "prior": False}
    return train(
        folder / "sides.npz", family="vae", out=folder / "run", condition="label", steps=300, parameters=4000,
        previews=False, settings=settings,
    )  # fmt: skip


def test_records_without_labels_are_held_against_all_of_them(labelled_run: Run) -> None:
    held_out = labelled_run.open_data().test_records
    bare = replace(held_out, labels={})
    summed = -latent.surprise(labelled_run, bare) * 2 * np.log(2)
    rows, counts = labelled_run.conditions.unique(dim=0, return_counts=True)  # pyright: ignore
    shares, by_label = np.log(counts.numpy() / counts.sum().item()), []
    for name in labelled_run.codec.conditions.decode(rows)["label"]:  # pyright: ignore
        by_label.append(-latent.surprise(labelled_run, bare, where={"label": name}) * 2 * np.log(2))
    np.testing.assert_allclose(summed, np.logaddexp(*(np.array(by_label) + shares[:, None])), atol=1e-5)
    own = -latent.surprise(labelled_run, held_out) * 2 * np.log(2)
    assert (summed >= own + shares.min() - 1e-6).all()
    assert np.median(summed - own) < 0


def test_under_labels_that_the_model_has_never_seen_others_are_drawn_and_nothing_is_strange(labelled_run: Run) -> None:
    records = labelled_run.open_data().test_records.take(np.arange(3))
    odd = replace(records, labels={"label": np.array(["left", "up", "up"])})
    given = labelled(labelled_run, odd, {}, 0).labels["label"]
    assert given[0] == "left"
    assert set(given) <= {"left", "right"}
    made, known = latent.reconstruct(labelled_run, odd), replace(odd, labels={"label": given})
    assert made.labels["label"].tolist() == ["left", "up", "up"]
    np.testing.assert_array_equal(made.values, latent.reconstruct(labelled_run, known).values)
    with pytest.raises(DataError, match=r"no label 'up', which 2 of these have; --where label=VALUE"):
        latent.surprise(labelled_run, odd)
    assert len(latent.surprise(labelled_run, odd, where={"label": "left"})) == 3


# -- the commands ------------------------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([*(str(word) for word in words), "--quiet"])
    return code, *capsys.readouterr()


def test_commands_do_what_the_functions_do(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points, every = run.path.parent / "points.npy", read_records(run.path.parent / "points.npy", "array")
    for words, wanted in {
        ("reconstruct",): latent.reconstruct(run, every),
        ("interpolate", "--rows", "5,3", "--steps", "4"): latent.interpolate(run, every.take(np.array([5, 3])), 4),
        ("traverse", "--row", "7", "--latent", "1"): latent.traverse(run, every.take(np.array([7])), 1),
    }.items():
        target = tmp_path / f"{words[0]}.npy"
        assert said(capsys, words[0], run.path, points, *words[1:], "--out", target) == (0, f"{target}\n", "")
        np.testing.assert_allclose(np.load(target), wanted.values, rtol=1e-5)
        assert said(capsys, words[0], run.path, points, *words[1:], "--out", target)[0] == 2


def test_the_strangest_example_comes_first(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = np.load(run.path.parent / "points.npy")[:20]
    points[13, 3] += 2
    np.save(tmp_path / "some.npy", points)
    code, out, err = said(capsys, "anomaly", run.path, tmp_path / "some.npy")
    lines = [line.split(",") for line in out.splitlines()]
    assert (code, err, lines[0]) == (0, "", ["example", "bits_per_dimension", "share_of_held_out_below"])
    assert lines[1][0] == "13"
    assert float(lines[1][2]) == 1.0
    assert [float(line[1]) for line in lines[1:]] == sorted((float(line[1]) for line in lines[1:]), reverse=True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("interpolate", "--rows", "0"), "--rows are two whole numbers"),
        (("interpolate", "--rows", "0,900"), "no example 900: the data has 0 to 799"),
        (("traverse", "--latent", "9"), "numbers 0 to 1, and no 9"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, words: tuple, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(
        capsys, words[0], run.path, run.path.parent / "points.npy", *words[1:], "--out", tmp_path / "x.npy"
    )
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1
