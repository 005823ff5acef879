"""Rows obey the rules they were asked to obey, and a rule can do nothing but be true or false."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sansheng.cli import main
from sansheng.codecs.base import Records
from sansheng.codecs.table import TableCodec
from sansheng.events import ignore
from sansheng.rules import broken, obey, read_rules, repaired, seen_together
from sansheng.run import load, train
from sansheng.where import read_clauses

CITIES = {"Lyon": "FR", "Nice": "FR", "Bonn": "DE", "Rome": "IT"}
RULES = ("total = part-a + part b", "start <= end", "fixed: city, country", "0 <= part-a <= 50")


def table(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    city = rng.choice(list(CITIES), n)
    start = pd.DatetimeIndex(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"))
    end = pd.DatetimeIndex(start + pd.to_timedelta(rng.integers(0, 60, n), unit="D"))
    a, b = rng.gamma(4, 2, n).round(1), rng.gamma(2, 5, n).round(1)
    days = {"start": start.strftime("%Y-%m-%d"), "end": end.strftime("%Y-%m-%d")}
    return pd.DataFrame(
        {
            **days,
            "part-a": a,
            "part b": b,
            "total": (a + b).round(1),
            "city": city,
            "country": [CITIES[c] for c in city],
        }
    )


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    return TableCodec.fit(Records(table()))


def rules_of(codec: TableCodec, *texts: str, frame: pd.DataFrame | None = None) -> tuple:
    return read_rules(texts, codec, seen_together(texts, Records(table() if frame is None else frame)))


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("total = part-a + part b", {"total": 3.3}),
        ("start <= end", {"end": "2023-01-01"}),
        ("start < '2025-01-01'", {"start": "2025-03-01"}),
        ("0 <= part-a <= 50", {"part-a": 51.0}),
        ("2 * part-a - 1 < total * 2", {"total": 0.0}),
        ("fixed: city, country", {"country": "IT", "city": "Bonn"}),
    ],
)
def test_a_row_that_breaks_a_rule_is_found(codec: TableCodec, text: str, mistake: dict[str, object]) -> None:
    (rule,) = rules_of(codec, text)
    frame = table(50, 1)
    assert rule.holds(frame).all()
    for name, value in mistake.items():
        frame.loc[7, name] = value
    assert np.flatnonzero(~rule.holds(frame)).tolist() == [7]
    (said,) = broken((rule,), Records(frame))
    assert said.startswith("1 of 50 training rows")


def test_what_is_missing_breaks_no_rule(codec: TableCodec) -> None:
    frame = table(20)
    frame.loc[3, "part-a"] = np.nan
    (rule,) = rules_of(codec, "total = part-a + part b")
    assert rule.holds(frame).all()
    assert rule.repair(frame)["total"].equals(frame["total"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('x') <= 1", "have a meaning"),
        ("totl <= 1", "no rule|Did you mean 'total'"),
        ("city <= 3", "is text"),
        ("total", "compares nothing"),
        ("total <= ", "is no rule"),
        ("total ** 2 > 1", "have a meaning"),
        ("start <= 'soon'", "is no date"),
        ("fixed: city, contry", "Did you mean 'country'"),
        ("fixed: city", "two columns"),
    ],
)
def test_what_is_no_rule_is_refused(codec: TableCodec, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rules_of(codec, text)


def test_sums_are_repaired_and_the_rest_drawn_again(codec: TableCodec) -> None:
    rules = rules_of(codec, *RULES)

    def independent(n: int, seed: int) -> Records:
        """Every column from another row, as from a model that has learnt nothing of how they hang together."""
        rng, frame = np.random.default_rng(seed), table()
        return Records(pd.DataFrame({c: rng.choice(frame[c].to_numpy(), n) for c in frame}))

    told: list[str] = []
    made = obey(rules, codec, 500, independent, 0, lambda event: told.append(event.text)).values
    assert len(made) == 500
    assert all(rule.holds(made).all() for rule in rules)
    np.testing.assert_allclose(made["total"], made["part-a"] + made["part b"], atol=0.051)
    assert "obey the rules" in told[0]


def test_hopeless_rules_are_an_error_with_the_rate(codec: TableCodec) -> None:
    with pytest.raises(ValueError, match=r"only 0 of .* samples drawn obey 'total < 0'"):
        obey(rules_of(codec, "total < 0"), codec, 5, lambda n, seed: Records(table(n, seed)), 0, ignore)


def test_a_run_keeps_its_rules(tmp_path: Path) -> None:
    frame = table()
    frame.loc[:7, "total"] = 999.0
    told: list[str] = []
    train(
        frame, family="vae", out=tmp_path / "r", steps=150, parameters=10_000, rules=RULES, previews=False,
        observe=lambda event: told.append(event.text),
    )  # fmt: skip
    assert any("of 300 training rows break the rule 'total" in text for text in told)
    run = load(tmp_path / "r")
    made = run.sample(80)
    assert all(rule.holds(made).all() for rule in rules_of(run.codec, *RULES, frame=frame))  # pyright: ignore
    again = run.sample(30, where=("city=Bonn",))
    assert set(again.country) == {"DE"}


def test_rules_are_for_tables_and_checked_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(60).to_csv(tmp_path / "t.csv", index=False)
    out = ["--family", "vae", "--steps", "2", "--out", str(tmp_path / "r")]
    assert main(["train", str(tmp_path / "t.csv"), *out, "--rule", "strat <= end"]) == 2
    assert "Did you mean 'start'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
    assert main(["train", "digits", *out, "--rule", "a <= b"]) == 2
    assert "--rule is for tables" in capsys.readouterr().err


def test_quoted_dates_are_read_as_the_column_writes_them() -> None:
    """The fifth of March is not the third of May where days come first; the ISO spelling is understood everywhere."""
    days = pd.date_range("2022-01-01", periods=365)
    frame = pd.DataFrame({"seen": days.strftime("%d.%m.%Y"), "dose": np.arange(365) / 7})
    codec = TableCodec.fit(Records(frame))
    for text in ("seen <= '05.03.2022'", "seen <= '2022-03-05'"):
        (rule,) = read_rules([text], codec, {})
        assert (rule.holds(frame) == (days <= pd.Timestamp("2022-03-05"))).all()
    with pytest.raises(ValueError, match=r"is no date written YYYY-MM-DD or DD\.MM\.YYYY"):
        read_rules(["seen <= '03/25/2022'"], codec, {})


def test_a_date_is_asked_for_as_the_column_writes_it_or_with_the_year_first() -> None:
    days = pd.date_range("2022-01-01", periods=365)
    frame = pd.DataFrame({"seen": days.strftime("%d/%m/%Y"), "dose": np.arange(365) / 7})
    codec = TableCodec.fit(Records(frame))
    for text in ("seen>=05/03/2022", "seen>=2022-03-05"):
        (clause,) = read_clauses([text], codec)
        assert (clause.holds(frame) == (days >= pd.Timestamp("2022-03-05"))).all()
    with pytest.raises(ValueError, match="or such as 2024-01-31, not 'soon'"):
        read_clauses(["seen>=soon"], codec)


@pytest.mark.parametrize("spelled", ["%d.%m.%Y", "%Y-%m-%d %H:%M"])
def test_differences_of_dates_are_days(spelled: str) -> None:
    rng = np.random.default_rng(0)
    admitted = pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 900 * 24, 200), unit="h")
    admitted, stay = admitted if "H" in spelled else admitted.normalize(), rng.integers(0, 60, 200)
    dates = {"admitted": admitted, "discharged": admitted + pd.to_timedelta(stay, unit="D")}
    frame = pd.DataFrame({name: when.strftime(spelled) for name, when in dates.items()} | {"days": stay})
    codec = TableCodec.fit(Records(frame))
    texts = ["days = discharged - admitted", "discharged = admitted + days", "discharged - admitted <= 30"]
    length, end, short = read_rules(texts, codec, {})
    assert length.holds(frame).all()
    assert end.holds(frame).all()
    assert (short.holds(frame) == (stay <= 30)).all()
    assert (repaired([length], frame.assign(days=0))["days"] == stay).all()
    assert (repaired([end], frame.assign(discharged=frame["admitted"]))["discharged"] == frame["discharged"]).all()
    late = frame.assign(days=frame["days"] + 1)
    assert not length.holds(late).any()


def test_rounding_breaks_no_rule() -> None:
    a, b = np.arange(1, 200) / 10, np.arange(3, 202) / 7 // 0.01 / 100
    frame = pd.DataFrame({"a": a, "b": b, "sum": (a + b).round(2)})
    codec = TableCodec.fit(Records(frame))
    assert broken(read_rules(["sum >= a + b", "sum <= a + b"], codec, {}), Records(frame)) == []
    (strict,) = read_rules(["sum < a + b"], codec, {})
    assert not strict.holds(frame).any()


def test_combinations_with_a_gap_break_no_rule_and_are_not_among_those_allowed(tmp_path: Path) -> None:
    frame = table()
    frame.loc[::5, "city"] = None
    texts = ("fixed: city, country",)
    assert sorted(seen_together(texts, Records(frame))[texts[0]]) == sorted(map(list, CITIES.items()))
    run = train(frame, family="vae", out=tmp_path / "r", steps=20, parameters=5_000, rules=texts, previews=False)
    made = load(run.path).sample(60)
    assert made["city"].isna().any()
    known = made.dropna(subset="city")
    assert (known["city"].map(CITIES) == known["country"]).all()


def test_sums_that_build_on_one_another_are_repaired_in_any_order_and_gaps_stay() -> None:
    rng = np.random.default_rng(0)
    x, y, z = (rng.gamma(3, 2, 200).round(1) for _ in range(3))
    frame = pd.DataFrame({"x": x, "y": y, "z": z, "sub": (x + y).round(1), "all": (x + y + z).round(1)})
    codec = TableCodec.fit(Records(frame))
    rules = read_rules(["all = sub + z", "sub = x + y"], codec, {})
    wrong = frame.assign(sub=1.0, all=2.0)
    wrong.loc[3, "all"] = np.nan
    made = repaired(rules, wrong)
    np.testing.assert_allclose(made["sub"], frame["sub"], atol=0.051)
    np.testing.assert_allclose(made["all"].drop(3), frame["all"].drop(3), atol=0.051)
    assert np.isnan(made["all"][3])


def test_what_was_asked_for_holds_of_rows_once_they_are_repaired(codec: TableCodec) -> None:
    rules, asked = rules_of(codec, "total = part-a + part b"), read_clauses(["total>=20"], codec)

    def as_asked(n: int, seed: int) -> Records:
        frame = table(n, seed)
        return Records(frame.assign(total=99.0))

    made = obey(rules, codec, 100, as_asked, 0, ignore, asked).values
    assert (made["total"] >= 20).all()
    np.testing.assert_allclose(made["total"], made["part-a"] + made["part b"], atol=0.051)


def test_whole_numbers_are_repaired_to_whole_numbers_and_no_number_is_divided_by_nothing() -> None:
    m = np.tile(np.arange(1, 7), 40)
    frame = pd.DataFrame({"m": m, "tot": np.round(m * 2.5).astype(int)})
    codec = TableCodec.fit(Records(frame))
    (rule,) = read_rules(["tot = m * 2.5"], codec, {})
    assert rule.holds(repaired([rule], frame.assign(tot=1))).all()
    (hopeless,) = read_rules(["tot = m / 0"], codec, {})
    assert repaired([hopeless], frame)["tot"].equals(frame["tot"])
