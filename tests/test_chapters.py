"""The chapters of tables: columns and pairs as they are, alarms where rows were copied and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sansheng.closer import table_chapters
from sansheng.codecs.base import Records
from sansheng.data import open_data
from sansheng.entry import Entry
from sansheng.metrics import privacy, scores
from sansheng.metrics.scores import score_privacy
from sansheng.metrics.twosample import two_sample_auc
from sansheng.privacy_chapter import alarms
from sansheng.quality_chapter import distribution
from sansheng.report import Chapter
from sansheng.score import Scorer, fit_scorer
from sansheng.score_kinds import compared, compared_columns
from small_tables import clinic


def entry(name: str, frame: pd.DataFrame, scorer: Scorer, *, family: bool = True) -> Entry:
    found = scorer.attack(Records(frame), np.random.default_rng(0))
    assert found is not None
    made = Entry(
        name, "family" if family else "reference", [score_privacy(found)], shown=Records(frame), findings=found
    )
    made.runs = [object()] if family else []  # pyright: ignore[reportAttributeAccessIssue]
    return made


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return fit_scorer(open_data(clinic(400, 0)).for_scores(), seed=0)


@pytest.fixture(scope="module")
def entries(scorer: Scorer) -> list[Entry]:
    """An honest model, one that hands back its training rows, and the held-out rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "PREDICATES", 600)
        honest = entry("vae", clinic(100, 5)[list(scorer.data.train_records.values.columns)], scorer)
        thief = entry("gan", scorer.data.train_records.values[:100], scorer)
        return [honest, thief, entry("held-out data", scorer.data.test_records.values, scorer, family=False)]


@pytest.fixture(scope="module")
def chapters(entries: list[Entry], scorer: Scorer) -> dict[str, Chapter]:
    return {chapter.title: chapter for chapter in table_chapters(entries, scorer)}


def test_copies_raise_alarms_and_fresh_rows_do_not(entries: list[Entry]) -> None:
    honest, thief, _ = entries
    assert alarms(honest) == []
    assert {"copied", "near_copies", "attribute_inference"} <= {attack.metric for attack in alarms(thief)}


@pytest.mark.parametrize(("copied", "alarmed"), [(3, False), (7, True)])
def test_rows_that_are_training_rows_are_named_few_as_they_are(scorer: Scorer, copied: int, alarmed: bool) -> None:
    train = scorer.data.train_records.values
    fresh = clinic(100 - copied, 5)[list(train.columns)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "PREDICATES", 300)
        some = entry("vae", pd.concat([fresh, train[:copied]], ignore_index=True), scorer)
    assert ("copied" in {attack.metric for attack in alarms(some)}) is alarmed
    said = {chapter.title: chapter for chapter in table_chapters([some], scorer)}["Privacy"].findings[0]
    expected = "exact copies" if alarmed else f"{copied} of them are, cell for cell, training rows"
    assert expected in said


def test_words_of_ones_own_that_come_back_are_said() -> None:
    table = clinic(200, 0).assign(name=[f"Person {i}" for i in range(200)])
    scorer = fit_scorer(open_data(table, types={"name": "category"}).for_scores(), seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "PREDICATES", 100)
        train = scorer.data.train_records.values
        made = entry("vae", clinic(50, 5).assign(name=train["name"].to_numpy()[:50])[list(train.columns)], scorer)
    said = {chapter.title: chapter for chapter in table_chapters([made], scorer)}["Privacy"].findings
    assert any("“name”" in line and "100 % of its synthetic values" in line for line in said)


def test_replayed_rows_look_like_real_ones_to_a_classifier() -> None:
    data = open_data(clinic(2400, 0)).for_scores()
    scorer = fit_scorer(data, seed=0)
    rows = data.train_records.values
    drawn = rows.iloc[np.random.default_rng(1).permutation(len(rows))[:1000]]
    real, fake = scorer.train[:1000], scorer.features(drawn)
    assert {tuple(row) for row in fake.tolist()} <= {tuple(row) for row in scorer.train.tolist()}
    assert two_sample_auc(real, fake, np.random.default_rng(0)).auc > 0.47


def test_a_file_in_the_order_of_what_it_says_is_judged_by_rows_from_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = clinic(800, 0).sort_values("smoker", ignore_index=True)
    scorer = fit_scorer(open_data(table, condition="smoker").for_scores(), seed=0)
    monkeypatch.setattr(scores, "LIMIT", 60)
    held_out = scorer.data.test_records
    assert held_out.values["smoker"].head(60).nunique() == 1
    assert "usefulness" in scorer.score(held_out, np.random.default_rng(0))


def test_the_privacy_chapter_says_what_it_is_and_who_copied(chapters: dict[str, Chapter]) -> None:
    chapter = chapters["Privacy"]
    assert "no guarantee" in chapter.note
    assert chapter.findings[0].startswith("vae: no attack found out more")
    assert chapter.findings[1].startswith("gan: more than chance was found out")
    header, rows = chapter.parts[0].panels[0].content  # pyright: ignore
    assert header == ["attack", "what it asks", "if nothing leaks", "vae", "gan"]
    assert rows[0][0] == "exact copies"
    assert rows[0][4].startswith("100.0")


def test_suspects_stand_above_the_rows_they_are_like(chapters: dict[str, Chapter]) -> None:
    thief = chapters["Privacy"].parts[2].panels[1]
    _, rows = thief.content  # pyright: ignore
    assert [row[0] for row in rows[:3]] == ["1 synthetic", "training", "held out"]
    assert rows[0][2:] == rows[1][2:]
    assert rows[0][2:] != rows[2][2:]
    assert (rows[1][1], float(rows[2][1]) > 0) == ("0.000", True)


def test_the_quality_chapter_has_every_column_and_pair(chapters: dict[str, Chapter], scorer: Scorer) -> None:
    chapter, names = chapters["Quality"], list(scorer.data.train_records.values.columns)
    parts = {part.title: part for part in chapter.parts}
    assert list(parts) == ["Every column", "Every pair of columns", "Missing values", "Usefulness"]
    assert [one.column for one in parts["Every column"].distributions] == names
    for one in parts["Every column"].distributions:
        for name, shares in one.shares.items():
            assert sum(shares) + one.missing[name] == pytest.approx(1)
    maps = dict(parts["Every pair of columns"].heats)
    assert list(maps) == ["vae", "gan", "held-out data"]
    real, made, off = maps["vae"]
    assert list(real.columns) == list(made.columns) == list(off.columns)
    assert len(off.values) == len(names)
    assert "held-out data" in chapter.findings[0]


def test_levels_that_only_a_model_has_are_other_and_tails_are_in_the_last_bars() -> None:
    real = pd.DataFrame({"c": ["a", "a", "b", None], "x": [0.0, 1, 2, 3], "k": [1, 2, 3, 4]})
    fake = pd.DataFrame({"c": ["a", "new", "new", "b"], "x": [-9.0, 99, 1, np.nan], "k": [9, 9, 1, 2]})
    of_c = distribution("c", {"real": real, "vae": fake}, {})
    assert of_c.ticks == ["a", "b", "other"]
    assert of_c.shares == {"real": [0.5, 0.25, 0.0], "vae": [0.25, 0.25, 0.5]}
    assert of_c.missing == {"real": 0.25, "vae": 0.0}
    assert distribution("k", {"real": real, "vae": fake}, {}).ticks == ["1", "2", "3", "4", "other"]
    many = pd.DataFrame({"x": np.linspace(0, 1, 101)})
    of_x = distribution("x", {"real": many, "vae": fake[["x"]]}, {})
    assert not of_x.named
    assert len(of_x.ticks) == len(of_x.shares["vae"]) + 1
    assert (of_x.shares["vae"][0], of_x.shares["vae"][-1]) == (0.25, 0.5)
    assert of_x.missing["vae"] == 0.25


def test_whole_numbers_fall_evenly_into_bars() -> None:
    table = pd.DataFrame({"n": np.repeat(np.arange(40), 50)})
    one = distribution("n", {"real": table}, {})
    shares = np.array(one.shares["real"][:-1])
    assert np.ptp(shares) == pytest.approx(0, abs=1e-9)


def test_identifiers_are_not_judged() -> None:
    table = clinic(120, 0).assign(patient_id=np.arange(120) + 1000)
    assert "patient_id" not in compared_columns(open_data(table))
    assert "version" in compared_columns(open_data(table))


def test_dates_written_as_text_are_compared_as_moments() -> None:
    """Held-out dates are new levels nearly all, and near the training ones all the same."""
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 600), unit="D")
    frame = pd.DataFrame({"admitted": days.strftime("%d.%m.%Y"), "age": rng.integers(20, 90, 600)})
    frame.loc[:20, "admitted"] = None
    data = open_data(frame)
    judged = compared(data, data.test_records.values)
    written = data.test_records.values["admitted"]
    assert judged["admitted"].equals(pd.to_datetime(written, format="%d.%m.%Y").astype("datetime64[s]"))
    scores = fit_scorer(data, seed=0).score(data.test_records, rng)
    assert scores["shape_error"].value < 10


def test_what_is_no_table_has_no_chapters() -> None:
    assert table_chapters([], fit_scorer(open_data("ring"), seed=0)) == []
