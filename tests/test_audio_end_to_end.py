"""Labelled sound from a folder to a report: labels are heard in what is scored, and players play what they say."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
import soundfile

from sansheng.compare import Comparison, compare
from sansheng.data import open_data
from sansheng.score import fit_scorer
from small import RATE, tone

HERTZ = {"low": 300, "high": 1200}
OVERTONES = {"soft": 0.0, "sharp": 1.0}
SAMPLES = 4096
HEARD = re.compile(
    r'<figure class="panel heard [^>]*><figcaption>.*?</span>([^<]+)</span></figcaption>(.*?)</figure>', re.S
)
PLAYER = re.compile(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"></audio><span>([^<]*)</span>')
REAL = ("held-out data", "held-out data, through the representation")
Row = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Of tones, low or high and soft or sharp as their names say, both given."""
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    (folder / "tones").mkdir()
    for take in range(16):
        for pitch, hertz in HERTZ.items():
            for timbre, overtone in OVERTONES.items():
                exact = hertz * rng.uniform(0.95, 1.05)
                wave = tone(exact, SAMPLES) + overtone * tone(3 * exact, SAMPLES)
                soundfile.write(folder / "tones" / f"{pitch}_{timbre}_{take}.wav", 0.4 * wave, RATE)
    options = {"mels": 32, "label_pattern": "{pitch}_{timbre}_{take}"}
    return compare(
        folder / "tones", out=folder / "all", families=("vae", "flow"), condition=("pitch", "timbre"), options=options,
        steps=3, parameters=4000, seeds=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scores(made: Comparison) -> dict[str, Row]:
    return {row["name"]: row["scores"] for row in json.loads(made.scores.read_text())["rows"]}


@pytest.fixture(scope="module")
def players(made: Comparison) -> dict[str, list[tuple[np.ndarray, int, str]]]:
    """(wave, rate [Hz], what is said below) of each player of the page, by the name of the row."""
    return {
        row: [(*soundfile.read(io.BytesIO(base64.b64decode(data))), said) for data, said in PLAYER.findall(panel)]
        for row, panel in HEARD.findall(made.report.read_text())
    }


def test_every_label_that_is_given_is_scored_of_every_row(scores: dict[str, Row]) -> None:
    assert {"vae", "flow", "held-out data", "training data replayed"} <= scores.keys()
    for row in scores.values():
        for name in ("named_right:pitch", "named_right:timbre", "class_imbalance:pitch", "class_imbalance:timbre"):
            assert 0 <= row[name]["low"] <= row[name]["value"] <= row[name]["high"] <= 1
            assert row[name]["n"] == 16
        assert {row[name]["better"] for name in row if name.startswith("named_right")} == {"higher"}
        assert {row[name]["better"] for name in row if name.startswith("class_imbalance")} == {"lower"}
        assert "named_right:take" not in row  # a number of the file, which nobody asked for


def test_real_tones_are_named_right_and_those_of_three_steps_are_not(scores: dict[str, Row]) -> None:
    """Labels are chance where nothing was learnt, and survive the representation."""
    for name in ("named_right:pitch", "named_right:timbre"):
        for real in (*REAL, "training data replayed"):
            assert scores[real][name]["value"] > 0.9
        for family in ("vae", "flow"):
            assert scores[family][name]["value"] < 0.9


def test_classes_of_real_tones_come_as_they_do_in_training(scores: dict[str, Row]) -> None:
    for name in ("class_imbalance:pitch", "class_imbalance:timbre"):
        assert max(scores[real][name]["value"] for real in (*REAL, "training data replayed")) < 0.2
    assert max(scores[family]["class_imbalance:pitch"]["value"] for family in ("vae", "flow")) > 0.2


def test_every_row_but_that_of_copies_has_players_that_play(
    made: Comparison, players: dict[str, list[tuple[np.ndarray, int, str]]]
) -> None:
    assert players.keys() == {"vae", "flow", *REAL}
    assert sum(map(len, players.values())) == made.report.read_text().count("<audio ") == 10 * len(players)
    for wave, rate, _ in (player for row in players.values() for player in row):
        assert (rate, wave.shape) == (RATE, (SAMPLES,))
        assert 0.01 < np.abs(wave).max() <= 1


def test_what_stands_below_a_player_is_what_is_heard(players: dict[str, list[tuple[np.ndarray, int, str]]]) -> None:
    """A sharp tone has an overtone as strong as it is."""
    captions = {f"pitch {pitch}, timbre {timbre}": (pitch, timbre) for pitch in HERTZ for timbre in OVERTONES}
    for row in players.values():
        assert {said for _, _, said in row} <= captions.keys()
    for wave, rate, said in (player for row in REAL for player in players[row]):
        pitch, timbre = captions[said]
        power = np.square(np.abs(np.fft.rfft(wave)))
        hertz = np.arange(len(power)) * rate / len(wave)
        own, over = (power[np.abs(hertz / (HERTZ[pitch] * k) - 1) < 0.2].sum() / power.sum() for k in (1, 3))
        assert own + over > 0.8
        assert (over > 0.1) == (timbre == "sharp")


def test_the_page_names_every_label_that_was_given(made: Comparison) -> None:
    page = made.report.read_text()
    for title in ("Named right: pitch", "Named right: timbre", "Class imbalance: pitch", "Class imbalance: timbre"):
        assert f"<b>{title}</b>" in page
    assert "--condition pitch,timbre" in page


def test_a_label_nobody_asked_for_is_balanced_too_where_it_can_be_told(made: Comparison) -> None:
    options = {"mels": "32", "label_pattern": "{pitch}_{timbre}_{take}"}
    data = open_data(made.out.parent / "tones", kind="audio", condition="pitch", options=options)
    scorer = fit_scorer(data, seed=0)
    assert list(scorer.judges) == ["pitch", "timbre"]  # of takes nobody can hear which it is
    real = scorer.data.train_records
    soft = real.take(np.flatnonzero(real.labels["timbre"] == "soft"))
    scores = scorer.score(soft, np.random.default_rng(0))
    assert scores["class_imbalance:timbre"].value > 0.3
    assert "named_right:timbre" not in scores
