"""The verdicts: ranks, margins, ties and warnings, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from sansheng.report import Page, Row, ScoreCell, ranked_table, summarise
from sansheng.report.summary import difference


def low(value: float, half: float = 0.1) -> ScoreCell:
    return ScoreCell(value, value - half, value + half, 100, "lower")


def high(value: float, half: float = 0.1) -> ScoreCell:
    return ScoreCell(value, value - half, value + half, 100, "higher")


def page(rows: list[Row], seeds: int = 3) -> Page:
    return Page("t", [], [], "60 s", seeds, rows)


def family(name: str, **scores: ScoreCell) -> Row:
    return Row(name, "family", scores)


def reference(name: str, **scores: ScoreCell) -> Row:
    return Row(name, "reference", scores)


def test_mean_rank_is_over_the_metrics_a_family_has() -> None:
    rows = [
        family("vae", frechet=low(3), recall=high(0.2)),
        family("gan", frechet=low(2), recall=high(0.9), bits=low(9)),
        family("flow", frechet=low(1), recall=high(0.5), bits=low(4)),
    ]
    ranking = summarise(page(rows)).ranking
    assert [name for name, _ in ranking] == ["flow", "gan", "vae"]
    assert dict(ranking) == pytest.approx({"flow": (1 + 2 + 1) / 3, "gan": (2 + 1 + 2) / 3, "vae": 3.0})


def test_mean_ranks_of_a_full_table_sum_to_the_sum_of_places() -> None:
    rows = [family(n, a=low(v), b=high(v)) for n, v in [("vae", 1.0), ("gan", 1.0), ("flow", 2.0), ("x", 5.0)]]
    ranking = summarise(page(rows)).ranking
    assert sum(mean for _, mean in ranking) == pytest.approx(1 + 2 + 3 + 4)
    assert dict(ranking)["vae"] == dict(ranking)["gan"]


def test_a_metric_only_one_family_has_is_not_ranked() -> None:
    rows = [family("vae", frechet=low(2), bits=low(1)), family("gan", frechet=low(1))]
    assert dict(summarise(page(rows)).ranking) == {"gan": 1.0, "vae": 2.0}
    bits = summarise(page(rows)).winner("bits")
    assert bits is not None
    assert (bits.runner_up, bits.margin, bits.significant) == (None, None, False)


def test_a_win_is_significant_exactly_when_no_interval_overlaps() -> None:
    clear = summarise(page([family("a", frechet=low(1)), family("b", frechet=low(1.21))])).winners[0]
    assert (clear.name, clear.significant, clear.tied) == ("a", True, ())
    assert clear.margin == pytest.approx(0.21 / 1.21)
    tied = summarise(page([family("a", frechet=low(1)), family("b", frechet=low(1.19))])).winners[0]
    assert (tied.significant, tied.tied) == (False, ("b",))
    assert tied.sentence.endswith("tied.")


def test_without_any_interval_nothing_is_called() -> None:
    bare = [ScoreCell(value, None, None, 100, "higher") for value in (25, 24)]
    summary = summarise(page([family("a", modes=bare[0]), family("b", modes=bare[1])]))
    assert (summary.winners[0].name, summary.winners[0].significant, summary.winners[0].tied) == ("a", False, ())
    assert "no interval is known: not called" in summary.winners[0].sentence
    assert "Not called, because no interval is known: modes covered." in summary.sentences


def test_a_metric_that_only_warns_is_shown_and_never_ranked() -> None:
    rows = [family("a", copying=low(0.0), recall=high(0.2)), family("b", copying=low(0.5), recall=high(0.8))]
    summary = summarise(page(rows))
    assert dict(summary.ranking) == {"b": 1.0, "a": 2.0}
    assert summary.winner("copying") is None
    assert page(rows).metrics == ["copying", "recall"]


def test_a_first_place_that_no_interval_supports_is_called_a_tie() -> None:
    rows = [family("a", x=low(1), y=low(1)), family("b", x=low(1.1), y=low(1.1))]
    assert summarise(page(rows)).sentences[0].endswith("on none of 2 metrics: call it a tie.")


def test_a_clear_win_is_said_with_its_size() -> None:
    rows = [family("a", recall=high(0.8)), family("b", recall=high(0.5))]
    assert any("recall (60 % higher than b)" in sentence for sentence in summarise(page(rows)).sentences)


def test_a_wide_interval_of_the_third_also_ties() -> None:
    rows = [family("a", x=high(0.9)), family("b", x=high(0.6)), family("c", x=high(0.5, half=0.4))]
    winner = summarise(page(rows)).winners[0]
    assert (winner.runner_up, winner.tied, winner.significant) == ("b", ("c",), False)


def test_higher_is_better_turns_the_order_round() -> None:
    winner = summarise(page([family("a", recall=high(0.2)), family("b", recall=high(0.8))])).winners[0]
    assert winner.name == "b"
    assert "4.0 times as high as a" in winner.sentence


def test_references_are_never_ranked_and_never_win() -> None:
    rows = [reference("held-out data", frechet=low(0)), family("a", frechet=low(1)), family("b", frechet=low(2))]
    summary = summarise(page(rows))
    assert [name for name, _ in summary.ranking] == ["a", "b"]
    assert summary.winners[0].name == "a"
    assert summary.footnotes == {}


@pytest.mark.parametrize("name", ["training data replayed", "columns independent"])
def test_a_reference_that_is_no_model_and_beats_all_earns_a_footnote(name: str) -> None:
    rows = [
        reference(name, frechet=low(0.5), copying=low(1.0)),
        family("a", frechet=low(1), copying=low(0.5)),
        family("b", frechet=low(2), copying=low(1.5)),
    ]
    notes = summarise(page(rows)).footnotes
    assert list(notes) == ["frechet"]
    assert name in notes["frechet"]
    assert "alone does not show" in notes["frechet"]


def test_a_value_that_is_not_finite_counts_as_not_measured() -> None:
    rows = [family("a", frechet=low(math.nan)), family("b", frechet=low(2)), family("c", frechet=low(1))]
    summary = summarise(page(rows))
    assert [name for name, _ in summary.ranking] == ["c", "b"]
    assert any("a" in s and "want of scores" in s for s in summary.sentences)


def test_one_seed_is_said() -> None:
    rows = [family("a", frechet=low(1)), family("b", frechet=low(2))]
    assert any("trained once" in s for s in summarise(page(rows, seeds=1)).sentences)
    assert not any("trained once" in s for s in summarise(page(rows, seeds=3)).sentences)


def test_the_headline_says_on_how_many_metrics_the_first_two_differ() -> None:
    rows = [family("a", x=low(1), y=low(1)), family("b", x=low(1.1), y=low(3))]
    assert "apart on 1 of 2 metrics" in summarise(page(rows)).sentences[0]


def test_ranked_table_counts_wins_and_shares_places() -> None:
    rows = [
        Row("a", "family", {"x": low(1), "y": high(0.5)}, {"train_seconds": 60.0, "parameters": 10}),
        family("b", x=low(3), y=high(0.5)),
        family("c", x=low(3), y=high(0.5)),
    ]
    table = ranked_table(page(rows))
    assert [(row.name, row.rank, row.wins, row.shared) for row in table] == [
        ("a", 1, 1, 1),
        ("b", 2, 0, 1),
        ("c", 2, 0, 1),
    ]
    assert (table[0].train_seconds, table[0].parameters, table[1].train_seconds) == (60.0, 10, None)


@pytest.mark.parametrize("rows", [[], [family("a")], [family("a", x=low(1))], [reference("held-out data", x=low(1))]])
def test_nothing_to_rank_is_said_and_not_an_error(rows: list[Row]) -> None:
    summary = summarise(page(rows))
    assert summary.ranking == []
    assert "Nothing could be ranked" in summary.sentences[0]


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="given twice: a"):
        page([family("a"), family("a")])


def test_a_direction_that_is_none_is_refused() -> None:
    with pytest.raises((ValueError, TypeError), match="lower"):  # the type check of the tests may be first
        ScoreCell(1, 0, 2, 10, "up")  # pyright: ignore[reportArgumentType]


def test_models_that_are_all_told_from_real_data_are_not_praised_first() -> None:
    far = [family("vae", two_sample_auc=low(0.99, 0.005)), family("flow", two_sample_auc=low(0.995, 0.005))]
    first, second = summarise(page(far)).sentences[:2]
    assert first.startswith("No model is close to the data yet")
    assert second.startswith("First overall: vae")
    near = [far[0], family("flow", two_sample_auc=low(0.9, 0.02))]
    assert summarise(page(near)).sentences[0].startswith("First overall: flow")


def test_two_values_below_zero_are_compared_without_a_ratio() -> None:
    """Distances that are estimated without bias may lie a little below 0."""
    assert difference(low(-0.3), low(-0.006)) == "0.29 lower than"
    assert difference(low(0.8), low(1.0)) == "20 % lower than"
