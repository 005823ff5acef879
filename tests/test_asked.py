"""Rows that are asked for are as asked, every one, and otherwise as rows like them are in a table of known law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sansheng import guidance
from sansheng.cli import main
from sansheng.codecs.base import Records
from sansheng.codecs.table import TableCodec
from sansheng.codecs.table_text import Form
from sansheng.imputing import Imputed, impute, read_table, write_filled, write_over
from sansheng.paths import Rectified
from sansheng.run import Run, load, train
from sansheng.samplers import SAMPLERS
from sansheng.where import confine, read_clauses
from sansheng.within import Allowed, Proposals, Within, resample


def table(n: int, seed: int = 0) -> pd.DataFrame:
    """Age is normal, a third of people older by ten years; pay and hours follow age."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n, p=[0.7, 0.3])
    age = rng.normal(40, 8, n) + 10 * (sex == "m")
    rich = rng.random(n) < 1 / (1 + np.exp((45 - age) / 4))
    hours = np.where(rng.random(n) < 0.1, np.nan, 0.5 * age + rng.normal(0, 4, n))
    return pd.DataFrame(
        {"sex": sex, "age": age.round(1), "income": np.where(rich, ">50K", "<=50K"), "hours": hours.round(2)}
    )


TRUTH = table(200_000, 1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("asked")
    table(3000).to_csv(out / "people.csv", index=False)

    def run(family: str) -> Run:
        steps = {"flow": 600, "vae": 300, "gan": 150}[family]
        path = out / family
        return train(out / "people.csv", family=family, out=path, steps=steps, parameters=15_000, previews=False)

    return {family: run(family) for family in ("vae", "flow", "gan")}


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    return TableCodec.fit(Records(table(2000)))


# -- the mathematics -----------------------------------------------------------------------------------------


def test_guidance_to_a_set_is_exact_for_gaussian_data() -> None:
    """x₀ ≥ 1.5 with correlation 0.8: E[x₀ | A] = φ(1.5)/Φ(−1.5) = 1.9386, E[x₁ | A] = 0.8 of it."""
    cov = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    path, within = Rectified(), Within((Allowed(0, ((1.5, 1e3),)),))

    def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, s = path.alpha(t), path.sigma(t)
        return x @ (a * cov @ torch.linalg.inv(a * a * cov + s * s * torch.eye(2))).T

    generator = torch.Generator().manual_seed(0)
    confined = guidance.confined(denoise, path, within.numbers, torch.ones(2), within.log_chance)
    x = torch.randn(8000, 2, generator=generator)
    with torch.no_grad():
        x = SAMPLERS["churned"](confined, path, x, path.times(32), generator)
    assert (x[:, 0] >= 1.5).float().mean() > 0.99
    np.testing.assert_allclose(x.mean(0), [1.9386, 1.5509], atol=0.04)
    np.testing.assert_allclose(x.std(0), [0.386, 0.675], atol=0.04)


def test_the_average_covariance_is_the_posterior_one() -> None:
    """Var[x | x_t] of N(0, 1) is σ²/(α² + σ²)."""
    path, generator = Rectified(), torch.Generator().manual_seed(0)
    draws = torch.randn(50_000, 1, generator=generator)
    covariance = guidance.average_covariance(
        lambda x, t: x * path.alpha(t) / (path.alpha(t) ** 2 + path.sigma(t) ** 2), path, draws, generator, least=1.0
    )
    found = covariance(torch.tensor(0.7))
    assert found is not None
    assert float(found) == pytest.approx(0.49 / 0.58, abs=0.02)
    assert covariance(torch.tensor(0.4)) is None


def test_chances_of_sets_are_those_of_normal_and_of_symbol() -> None:
    part = Allowed(0, ((-1.0, 1.0), (2.0, 1e3)), (1, 2), (True, False))
    mean, variance = torch.tensor([[0.0, 0.25, 0.75]]), torch.ones(1, 3)
    assert float(part.log_chance(mean, variance).exp()) == pytest.approx(0.25 * (0.68269 + 0.02275), rel=1e-3)
    assert part.holds(torch.tensor([[0.5, 1, 0], [1.5, 1, 0], [0.5, 0, 1]])).tolist() == [True, False, False]


def test_resampled_codes_have_the_law_of_what_is_asked() -> None:
    """z ~ N(0, 1), x ~ N(z, 1/4): given x ≥ 1, E[x] = s φ(1/s)/Φ(−1/s) with s² = 5/4."""
    generator = torch.Generator().manual_seed(0)

    def propose(n: int) -> Proposals:
        z = torch.randn(n, 1, generator=generator)
        x = z + 0.5 * torch.randn(n, 1, generator=generator)
        return Proposals(torch.cat([x, z], 1), torch.cat([z, z], 1), torch.full((n, 2), 0.25), None)

    x, _ = resample(propose, 4000, Within((Allowed(0, ((1.0, 1e3),)),)), generator)
    assert (x[:, 0] >= 1).all()
    assert float(x[:, 0].mean()) == pytest.approx(1.6087, abs=0.03)
    assert float(x[:, 1].mean()) == pytest.approx(0.8 * 1.6087, abs=0.04)  # E[z | x] = 0.8 x
    assert len(x[:, 1].unique()) == 4000  # no code is used twice


# -- what is typed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("income=>50K", lambda d: d.income == ">50K"),
        ("income == <=50K", lambda d: d.income == "<=50K"),
        ("income!=>50K", lambda d: d.income != ">50K"),
        ("age>=60", lambda d: d.age >= 60),
        ("age < 30.5", lambda d: d.age < 30.5),
        ("sex in f,m", lambda d: d.sex.isin(["f", "m"])),
        ("sex not in f", lambda d: d.sex == "m"),
        ("hours=missing", lambda d: d.hours.isna()),
        ("hours>20", lambda d: d.hours > 20),
    ],
)
def test_texts_mean_what_they_say(codec: TableCodec, text: str, meant: object) -> None:
    """In the table, and in the model's space: encoded rows lie in the set just where the clause holds."""
    frame = table(1000, 5)
    (clause,) = clauses = read_clauses((text,), codec)
    expected = meant(frame).to_numpy()  # pyright: ignore
    assert (clause.holds(frame) == expected).all()
    encoded = codec.encode(Records(frame))
    within = confine(clauses, codec)
    assert within is not None
    again = codec.decode(encoded.x).values
    assert (within.holds(encoded.x).numpy() == clause.holds(again)).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aeg>=60", "Did you mean 'age'"),
        ("income>50K", "text"),
        ("income=50K", "level of income"),
        ("age>=old", "takes numbers"),
        ("age", "such as"),
    ],
)
def test_what_has_no_meaning_is_refused(codec: TableCodec, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_clauses((text,), codec)


def test_what_no_row_can_be_is_refused(codec: TableCodec) -> None:
    with pytest.raises(ValueError, match="no value of age"):
        confine(read_clauses(("age>=400",), codec), codec)
    with pytest.raises(ValueError, match="no value of sex"):
        confine(read_clauses(("sex=f", "sex=m"), codec), codec)


# -- models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["vae", "flow", "gan"])
def test_rows_are_as_asked_whatever_the_family(runs: dict[str, Run], family: str) -> None:
    made = runs[family].sample(100, where=("income=>50K", "age>=45", "hours!=missing"))
    assert len(made) == 100
    assert (made.income == ">50K").all()
    assert (made.age >= 45).all()
    assert made.hours.notna().all()


def traits(rows: pd.DataFrame) -> dict[str, float]:
    return {
        "age": rows.age.mean(), "spread of age": rows.age.std(), "hours": rows.hours.mean(),
        "m": (rows.sex == "m").mean(), ">50K": (rows.income == ">50K").mean(),
    }  # fmt: skip


def like(rows: pd.DataFrame) -> dict[str, Any]:
    """The traits that rows of the same law have."""
    wide = {"age": {"abs": 2.0}, "spread of age": {"rel": 0.3}, "hours": {"abs": 2.0}, "m": {"abs": 0.12}}
    wide[">50K"] = {"abs": 0.12}
    return {name: pytest.approx(value, **wide[name]) for name, value in traits(rows).items()}


@pytest.mark.parametrize("where", [("income=>50K",), ("age>=50",)])
def test_what_is_not_asked_follows(runs: dict[str, Run], where: tuple[str, ...]) -> None:
    real = TRUTH[TRUTH.income == ">50K"] if where[0].startswith("income") else TRUTH[TRUTH.age >= 50]
    assert traits(runs["flow"].sample(600, where=where)) == like(pd.DataFrame(real))


@pytest.mark.parametrize("where", [("income=>50K",), ("age>=50", "sex=m")])
@pytest.mark.parametrize("family", ["vae", "gan"])
def test_codes_that_are_resampled_draw_as_rejecting_does(
    runs: dict[str, Run], family: str, where: tuple[str, ...]
) -> None:
    sifted = runs[family].sample(600, where=where, reject=True, seed=3)
    assert traits(runs[family].sample(600, where=where)) == like(sifted)


def test_rejecting_shows_its_rate(runs: dict[str, Run]) -> None:
    told: list[str] = []
    made = runs["vae"].sample(50, where=("sex=m",), reject=True, observe=lambda event: told.append(event.text))
    assert (made.sex == "m").all()
    (said,) = told
    usual = (runs["vae"].sample(2000, seed=1).sex == "m").mean()
    assert float(said.split("%")[0]) == pytest.approx(100 * usual, abs=6)


def test_gaps_are_drawn_and_the_rest_is_left_alone(runs: dict[str, Run]) -> None:
    whole = table(500, 3).dropna().reset_index(drop=True)
    holed, gone = whole.copy(), np.arange(len(whole)) % 2 == 0
    holed.loc[gone, "age"] = np.nan
    holed.loc[~gone, "income"] = None
    one, two = (impute(runs["flow"], holed, draws=2).filled(draw) for draw in (0, 1))
    for made in (one, two):
        assert list(made.columns) == list(whole.columns)
        assert not made.isna().any().any()
        assert made[["sex", "hours"]].equals(whole[["sex", "hours"]])
        assert (made.age[~gone] == whole.age[~gone]).all()
        assert (made.income[gone] == whole.income[gone]).all()
    assert (one.age[gone] != two.age[gone]).mean() > 0.9
    assert np.corrcoef(one.age[gone], whole.age[gone])[0, 1] > 0.4
    young, old = (one.income[~gone & side] == ">50K" for side in (whole.age < 38, whole.age > 52))
    assert old.mean() - young.mean() > 0.5


def test_a_file_is_filled_byte_for_byte() -> None:
    text = 'a;"b";c\r\n1;NA; "x;y"\r\n\r\n;2;"say ""no"""\r\n3; ;z'
    made = write_over(text, Form(";"), {(0, 1): "7", (1, 0): "u;v", (2, 1): "8"})
    assert made == 'a;"b";c\r\n1;7; "x;y"\r\n\r\n"u;v";2;"say ""no"""\r\n3;8;z'


@pytest.mark.parametrize(
    ("encoding", "form", "decimal"),
    [
        ("utf-8-sig", Form(), "."),
        ("utf-16", Form("\t"), "."),
        ("utf-16-le", Form("|"), "."),
        ("cp1252", Form(";"), ","),
        ("utf-8", Form(",", "'"), "."),
        ("utf-8", Form(",", '"', "\\"), "."),
    ],
)
def test_gaps_are_written_as_the_file_is(tmp_path: Path, encoding: str, form: Form, decimal: str) -> None:
    """Decimal sign, quotes and encoding of what is filled in are the file's, and all else is left to the byte."""
    quote, inner = form.quote, (form.escape or form.quote) + form.quote
    said = "€" if encoding == "cp1252" else "é"
    rows = [f"{quote}ward{quote}{form.delimiter}{quote}dose{quote}"]
    for i in range(60):
        ward = "" if i == 7 else f"{said} {inner}a{inner}" if i % 2 else "b"
        rows.append(f"{quote}{ward}{quote}{form.delimiter}" + ("" if i == 9 else f"{i}{decimal}5"))
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_bytes(("\r\n".join(rows) + "\r\n").encode(encoding))
    frame = read_table(source)
    assert frame.isna().sum().tolist() == [1, 1]
    drawn = pd.DataFrame({"ward": frame.ward.fillna(str(frame.ward[1])), "dose": frame.dose.fillna(2.25)})
    write_filled(Imputed(frame, (drawn,)), TableCodec.fit(Records(frame)), source, target, 0)
    rows[8] = rows[8].replace(2 * quote, f"{quote}{said} {inner}a{inner}{quote}")
    rows[10] += f"2{decimal}25"
    assert target.read_bytes() == ("\r\n".join(rows) + "\r\n").encode(encoding)


@pytest.mark.parametrize("levels", [200, 1200])
def test_levels_written_as_digits_can_be_asked_for(levels: int) -> None:
    """The chance of a set is that of its numbers, and what is drawn or brought into it is decoded to what was asked."""
    draw = np.random.default_rng(0)
    drug = pd.Series([f"d{i}" for i in range(levels)] * 5 + ["rare"] * 2 + [None] * 40, dtype=object)
    codec = TableCodec.fit(Records(pd.DataFrame({"drug": drug, "dose": draw.normal(size=len(drug))})))
    width = codec.columns[0].width
    assert width < levels / 5
    generator = torch.Generator().manual_seed(2)
    params = torch.randn(1, codec.space.channels, generator=generator)
    mean = codec.space.mean(torch.randn(500, codec.space.channels, generator=torch.Generator().manual_seed(0)))
    for text in ("drug in d3,d7", "drug!=missing", "drug=rare", "drug=missing"):
        clauses = read_clauses((text,), codec)
        within = confine(clauses, codec)
        assert within is not None
        encoded = codec.encode(Records(pd.DataFrame({"drug": drug, "dose": 0.0}))).x
        assert (within.holds(encoded).numpy() == clauses[0].holds(pd.DataFrame({"drug": drug}))).sum() >= len(drug) - 1
        drawn = codec.space.sample(params.expand(4000, -1), torch.zeros(codec.space.channels), generator=generator)
        usual = codec.space.mean(params)
        chance = within.log_chance(usual, usual).exp().item()
        assert within.holds(drawn).float().mean().item() == pytest.approx(chance, abs=0.03)
        for x in (within.redraw(mean, mean, mean, torch.Generator().manual_seed(1)), within.bring(mean)):
            assert within.holds(codec.space.harden(x)).all()
            if text != "drug=rare":
                assert clauses[0].holds(codec.decode(codec.space.harden(x)).values).all()


def test_commands(runs: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "gaps.csv"
    source.write_text("income,sex,age,hours,note\n>50K,,40.50,20,  odd \n,f,NA,1.5e1,x\n")
    path = str(runs["flow"].path)
    assert main(["impute", path, str(source), "--draws", "2", "--steps", "4", "--quiet"]) == 0
    lines = (tmp_path / "gaps-filled-2.csv").read_text().splitlines()
    assert lines[0] == "income,sex,age,hours,note"
    assert lines[1] in (">50K,f,40.50,20,  odd ", ">50K,m,40.50,20,  odd ")
    assert lines[2].endswith(",1.5e1,x")
    assert not pd.read_csv(tmp_path / "gaps-filled-1.csv").isna().any().any()
    assert main(["impute", str(runs["vae"].path), str(source), "--out", str(tmp_path / "o.csv")]) == 2
    capsys.readouterr()
    assert main(["sample", path, "-n", "5", "--where", "age>=50", "--where", "sex in f", "--quiet"]) == 0
    assert (pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out)).age >= 50).all()  # pyright: ignore


def test_a_column_that_is_given_may_be_asked_for_too(tmp_path: Path) -> None:
    run = train(
        table(1500), family="vae", condition="sex", out=tmp_path / "r", steps=300, parameters=15_000, previews=False
    )
    made = load(run.path).sample(300, where=("age>=52",))
    assert (made.age >= 52).all()
    again = run.sample(300, where=("age>=52",), reject=True)
    assert (made.sex == "m").mean() == pytest.approx((again.sex == "m").mean(), abs=0.12)
    assert set(run.sample(20, where=("age>=40", "sex=m")).sex) == {"m"}
