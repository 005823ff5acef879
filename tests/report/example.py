"""A made-up comparison, as real as numbers from a seeded generator can be: what the tests and a person look at."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from sansheng.report import (
    Chapter,
    CostCurve,
    Curve,
    Distribution,
    HealthNote,
    Heat,
    Page,
    Panel,
    Part,
    Row,
    ScoreCell,
)
from sansheng.report.page import Better

FAMILIES = ("vae", "gan", "diffusion", "flow")
SKILL = {"vae": 2.4, "gan": 1.5, "diffusion": 1.06, "flow": 1.0}
METRICS: dict[str, tuple[float, Better, float, str]] = {
    # key: (best, direction, spread, unit)
    "frechet": (2.1, "lower", 0.05, ""),
    "kernel": (0.011, "lower", 0.15, ""),
    "precision": (0.91, "higher", 0.02, ""),
    "recall": (0.83, "higher", 0.02, ""),
    "density": (1.02, "higher", 0.03, ""),
    "coverage": (0.93, "higher", 0.015, ""),
    "two_sample_auc": (0.56, "lower", 0.02, ""),
    "copying": (0.51, "lower", 0.03, ""),
}
EDGES = {"precision": 1.0, "recall": 1.0, "coverage": 1.0, "two_sample_auc": 1.0, "copying": 1.0}


def example_page(seeds: int = 3, presets: Sequence[str] = ("default",), form: str = "image") -> Page:
    """Four families (twice, with two presets) on made-up digits, a table or names; `form` chooses the panels."""
    rng = np.random.default_rng(7)
    names = [family if p == "default" else f"{family} ({p})" for p in presets for family in FAMILIES]
    return Page(
        title="Four ways to draw a digit",
        data=[
            ("digits", "1,797 grey images of 8 × 8 pixels, built in"),
            ("split", "1,437 to train on, 360 held out"),
            ("labels", "10 classes, 0 to 9, used to score but not to train"),
            ("features", "a small convolutional network trained on the labels"),
        ],
        notes=[
            "Every number here is made up, to show the page.",
            "3 images of another size were resized to 8 × 8.",
            "Widths were solved for 1.0 M parameters a model.",
        ],
        budget="60 s",
        seeds=seeds,
        rows=[*(_family(name, rng) for name in names), *_references(form, rng)],
        panels=_panels(names, form, rng),
        curves=[curve for name in names for seed in range(seeds) for curve in [_curve(name, seed, rng)]],
        cost_curves=[_cost_curve(name, rng) for name in names],
        health=_health(),
        settings={name: _settings(name) for name in names},
        reproduce=[
            "pip install sansheng==0.1.0",
            f"sansheng compare digits --budget 60s --seeds {seeds} --out runs/digits",
        ],
        version="0.1.0",
        chapters=[_chapter(names, rng)] if form == "table" else [],
    )


def _chapter(names: Sequence[str], rng: np.random.Generator) -> Chapter:
    """Columns, pairs and a wide table of words, as the chapters of tables have them."""
    tables = ["real", *names]
    ages = {name: rng.dirichlet(np.full(20, 5)).tolist() for name in tables}
    wards = {name: (0.9 * rng.dirichlet(np.full(4, 5))).tolist() for name in tables}
    columns = [f"a_column_with_a_long_name_{i}" for i in range(18)]
    square = rng.uniform(-1, 1, (18, 18))
    heats = [Heat(title, "made up", columns, (square + square.T).tolist(), 2.0, signed=True) for title in "abc"]
    distributions = [
        Distribution("age", list(np.linspace(0, 90, 21)), ages, dict.fromkeys(tables, 0.0), dict.fromkeys(names, 3.0)),
        Distribution("ward", ["a", "b", "c", "another with a long name"], wards, dict.fromkeys(tables, 0.1)),
    ]
    words = ["an attack", "a question of several words that goes on for a while", *["12.3 % [10.1, 14.5]"] * len(names)]
    parts = [
        Part("Every column", "How to read it.", distributions=distributions),
        Part("Every pair of columns", "How to read it.", heats=[(name, heats) for name in names]),
        Part("What was tried", "How to read it.", [Panel("", "reference", (["attack", "what", *names], [words] * 4))]),
    ]
    return Chapter("Quality", "What this is.", ["A sentence of what was found."], parts)


def png(pixels: np.ndarray) -> bytes:
    """``(H, W)`` or ``(H, W, 3)`` uint8 to the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _skill(name: str) -> float:
    return SKILL[name.split(" ")[0]] * (1.6 if "survey" in name else 1.0)


def _score(metric: str, skill: float, rng: np.random.Generator, n: int = 2000) -> ScoreCell:
    best, better, spread, unit = METRICS[metric]
    factor = skill if better == "lower" else 1 / (1 + 0.25 * (skill - 1))
    value = min(best * factor * math.exp(spread * 0.5 * rng.standard_normal()), EDGES.get(metric, math.inf))
    half = spread * abs(value) * rng.uniform(0.7, 1.3)
    return ScoreCell(value, value - half, min(value + half, EDGES.get(metric, math.inf)), n, better, unit)


def _family(name: str, rng: np.random.Generator) -> Row:
    scores = {metric: _score(metric, _skill(name), rng) for metric in METRICS}
    one_step = name.startswith(("vae", "gan"))
    if not name.startswith("gan"):
        bits = 2.31 * _skill(name) ** 0.1
        scores["bits"] = ScoreCell(bits, bits - 0.02, bits + 0.02, 360, "lower", "bits/dim")
    cost = {
        "train_seconds": float(60 + rng.uniform(0, 0.3)),
        "parameters": int(1_000_000 + rng.integers(-9000, 9000)),
        "steps": int(rng.integers(3000, 9000)),
        "sample_seconds_per_1000": 0.11 if one_step else 3.4,
        "network_evaluations_per_sample": 1 if one_step else 35,
    }
    return Row(name, "family", scores, cost)


def _references(form: str, rng: np.random.Generator) -> list[Row]:
    held_out = {metric: _score(metric, 0.8, rng, n=360) for metric in METRICS if metric != "copying"}
    replayed = {metric: _score(metric, 0.75, rng) for metric in METRICS}
    replayed["copying"] = ScoreCell(1.0, 1.0, 1.0, 2000, "lower")
    rows = [Row("held-out data", "reference", held_out), Row("training data replayed", "reference", replayed)]
    if form == "table":
        rows.append(Row("columns independent", "reference", {m: _score(m, 1.2, rng) for m in METRICS}))
    return rows


def _panels(names: Sequence[str], form: str, rng: np.random.Generator) -> list[Panel]:
    make = {"image": _digits, "lines": _names, "table": _table}[form]
    families = [Panel(name, "family", make(_skill(name) - 0.9, rng)) for name in names]
    real = ["held-out data", "training data replayed", *(["columns independent"] if form == "table" else [])]
    return [*families, *(Panel(name, "reference", make(0.0, rng)) for name in real)]


def _digits(noise: float, rng: np.random.Generator) -> bytes:
    """A grid of 8 x 8 digits, each enlarged 8 times; `noise` mixes each with another one and with grain."""
    digits = load_digits(return_X_y=True)[0].reshape(-1, 8, 8) / 16
    sheet = np.zeros((8 * 9 + 1, 8 * 9 + 1))
    for row, column in np.ndindex(8, 8):
        mine, other = digits[rng.integers(len(digits), size=2)]
        tile = mine + 0.25 * noise * (other - mine) + 0.05 * noise * rng.standard_normal((8, 8))
        sheet[1 + 9 * row : 9 + 9 * row, 1 + 9 * column : 9 + 9 * column] = np.clip(tile, 0, 1)
    return png(np.kron((255 * sheet).astype(np.uint8), np.ones((8, 8), np.uint8)))


def _names(noise: float, rng: np.random.Generator) -> list[str]:
    syllables = ["an", "el", "ma", "ri", "so", "ka", "the", "o", "lin", "da", "ber", "to", "mi", "na"]
    return ["".join(rng.choice(syllables, rng.integers(2, 4))).capitalize() for _ in range(14)]


def _table(noise: float, rng: np.random.Generator) -> tuple[list[str], list[list[object]]]:
    columns = ["age", "workclass", "education", "marital_status", "occupation", "hours", "capital_gain", "income"]
    rows: list[list[object]] = []
    for _ in range(6):
        job = rng.choice(["Private", "State-gov", "Self-emp", ""])
        words = ["HS-grad", "Married", "Clerical"]
        gain = float(rng.choice([0.0, 7298.0]))
        income = rng.choice(["<=50K", ">50K"])
        rows.append([int(rng.integers(18, 80)), job or None, *words, int(rng.integers(20, 60)), gain, income])
    return columns, rows


def _curve(name: str, seed: int, rng: np.random.Generator) -> Curve:
    losses = {
        "vae": {"loss": (95, 61), "reconstruction": (93, 40), "kl": (2, 21)},
        "gan": {"critic": (1.4, 0.9), "generator": (0.7, 1.3), "r1": (0.2, 0.02)},
    }.get(name.split(" ")[0], {"loss": (1.0, 0.24)})
    seconds = np.linspace(0.1, 60, 600)
    decay = np.exp(-seconds / 8)
    tables = {
        loss: end + (start - end) * decay + 0.04 * abs(end) * rng.standard_normal(600)
        for loss, (start, end) in losses.items()
    }
    return Curve(
        name,
        seed,
        [
            {"step": 10 * i, "seconds": float(seconds[i]), "values": {k: float(v[i]) for k, v in tables.items()}}
            for i in range(600)
        ],
    )


def _cost_curve(name: str, rng: np.random.Generator) -> CostCurve:
    evaluations = [1] if name.startswith(("vae", "gan")) else [1, 2, 4, 8, 16, 32, 64]
    start = 30.0 if name.startswith("flow") else 90.0
    best = 2.1 * _skill(name)
    values = [best if len(evaluations) == 1 else best + start * math.exp(-1.2 * math.log2(e)) for e in evaluations]
    points = [(e, v, 0.93 * v, 1.07 * v) for e, v in zip(evaluations, values, strict=True)]
    return CostCurve(name, "frechet", points, [0.1 * e * rng.uniform(0.9, 1.1) for e in evaluations])


def _health() -> list[HealthNote]:
    return [
        HealthNote("vae", "warning", "5 of 16 latent units are active: lower beta or lengthen the KL warm-up."),
        HealthNote("gan", "ok", "All 10 classes are drawn; the critic is right 61 % of the time."),
        HealthNote("diffusion", "ok", "Finite throughout; EMA weights beat the raw ones."),
        HealthNote("flow", "ok", "Finite throughout; EMA weights beat the raw ones."),
    ]


def _settings(name: str) -> dict[str, object]:
    return {
        "family": name.split(" ")[0],
        "preset": "survey" if "survey" in name else "default",
        "batch_size": 128,
        "optimiser": {"learning_rate": 1e-3, "betas": [0.9, 0.99], "weight_decay": 0.0},
        "network": {"kind": "conv", "width": 96, "blocks": [2, 2]},
        "precision": "fp32",
        "device": "cpu",
    }
