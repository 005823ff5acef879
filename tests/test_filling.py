"""What is known comes back, the rest is drawn, and mistakes are one line; moving pictures have their frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sansheng.animate import animate_sampling, animate_training
from sansheng.cli import main
from sansheng.codecs.base import Records
from sansheng.errors import DataError
from sansheng.filling import Drawing, enlarge, fill_hole, parse_hole
from sansheng.run import Run, train
from sansheng.text_gaps import fill_lines, fill_text


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Pictures of one grey level each, so that what is known tells the rest."""
    levels = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8)
    pictures = np.repeat(levels, 16).reshape(400, 4, 4, 1)
    out = tmp_path_factory.mktemp("filling")
    np.savez(out / "grey.npz", images=pictures)
    return train(out / "grey.npz", family="flow", out=out / "run", steps=250, parameters=20_000)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Lines of one character three times."""
    lines = [c * 3 + d for c in "abcde" for d in "uvwxyz"] * 1
    out = tmp_path_factory.mktemp("lines")
    return train(lines, family="diffusion", out=out / "run", steps=400, parameters=10_000, kind="text")


def grey(*levels: int, side: int = 4) -> Records:
    return Records(np.array([np.full((side, side, 1), level, np.uint8) for level in levels]))


def test_a_hole_is_filled_in_keeping_with_what_is_around_it(flow: Run) -> None:
    made = fill_hole(flow, grey(40, 128, 220), [slice(0, 2), slice(None)], Drawing(draws=5)).values
    assert made.shape == (15, 4, 4, 1)
    assert (made[:, 2:] == np.repeat([40, 128, 220], 5)[:, None, None, None]).all()
    means = made[:, :2].astype(float).mean((1, 2, 3)).reshape(3, 5)
    np.testing.assert_allclose(means.mean(1), [40, 128, 220], atol=45)
    assert (made[:, :2].reshape(15, -1).std(0) > 0).all()


def test_draws_differ_and_seeds_repeat(flow: Run) -> None:
    one, again, other = (
        fill_hole(flow, grey(128), [slice(0, 2), slice(0, 4)], Drawing(seed=s)).values for s in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_small_pictures_are_enlarged_and_keep_their_means(flow: Run) -> None:
    made = enlarge(flow, grey(60, 200, side=2), Drawing(draws=2)).values.astype(float)
    assert made.shape == (4, 4, 4, 1)
    means = made.reshape(4, 2, 2, 2, 2, 1).mean((2, 4))
    np.testing.assert_allclose(
        means[:, :, :, 0], np.repeat([60, 200], 2)[:, None, None].repeat(2, 1).repeat(2, 2), atol=2
    )


def test_gaps_in_lines_are_filled_by_what_the_line_says(text: Run) -> None:
    made = fill_lines(text, ["a_a_", "__c_", "ddd"], how=Drawing(draws=20)).values
    right = [line[:3] == wanted for line, wanted in zip(made[:40], ["aaa"] * 20 + ["ccc"] * 20, strict=True)]
    assert np.mean(right) > 0.8
    assert made[40:] == ["ddd"] * 20


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Windows of a text that says abcd again and again."""
    out = tmp_path_factory.mktemp("waves")
    (out / "waves.txt").write_text("abcd" * 60)
    how = {"kind": "text", "options": {"unit": "windows", "window": "16"}, "previews": False}
    return train(
        out / "waves.txt", family="diffusion", out=out / "run", steps=150, parameters=10_000, settings={"threads": 1},
        **how,
    )  # fmt: skip


def test_a_text_goes_on_longer_than_a_window_and_its_gaps_are_filled(waves: Run) -> None:
    ahead = fill_text(waves, "abcdabcd", length=40, how=Drawing(draws=3))
    assert [len(text) for text in ahead] == [40, 40, 40]
    assert all(text.startswith("abcdabcd") for text in ahead)
    right = np.mean([a == b for text in ahead for a, b in zip(text, "abcd" * 10, strict=True)])
    assert right > 0.8
    (filled,) = fill_text(waves, "abcdab__abcdabcdabcdabcd__cdé")
    assert filled[:6] + filled[8:24] + filled[26:] == "abcdab" + "abcdabcdabcdabcd" + "cdé"
    assert filled[6:8] == "cd"
    assert len(fill_text(waves, "abcd")[0]) == 16
    with pytest.raises(ValueError, match="more than the length"):
        fill_text(waves, "abcd", length=3)


def test_a_text_goes_on_at_the_command_line(
    waves: Run, text: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "begun.txt").write_text("abcdab\n")
    main(["fill", str(waves.path), str(tmp_path / "begun.txt"), "--length", "20", "--quiet"])
    assert len(capsys.readouterr().out.removesuffix("\n")) == 20
    code = main(["fill", str(text.path), str(tmp_path / "begun.txt"), "--length", "20", "--quiet"])
    assert code == 2
    assert "one long text" in capsys.readouterr().err
    main(["sample", str(text.path), "-n", "3", "--quiet"])
    assert len(capsys.readouterr().out.splitlines()) == 3  # lines, without a header of a table


@pytest.mark.parametrize(
    ("hole", "says"),
    [([slice(0, 2)], "2 axes"), ([slice(9, 12), slice(None)], "outside of 4 x 4")],
)
def test_holes_that_cannot_be_are_refused(flow: Run, hole: list[slice], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fill_hole(flow, grey(1), hole)


def test_other_mistakes_are_refused(flow: Run, text: Run) -> None:
    with pytest.raises(ValueError, match="3 x 3 cannot be enlarged to 4 x 4"):
        enlarge(flow, grey(1, side=3))
    with pytest.raises(ValueError, match="models of text"):
        fill_lines(flow, ["a"])
    with pytest.raises(ValueError, match="character of the data"):
        fill_lines(text, ["a"], gap="a")
    with pytest.raises(ValueError, match="line 2 has 99 characters, and this model draws lines of at most"):
        fill_lines(text, ["a_", 98 * "a" + "_"])
    with pytest.raises(ValueError, match="at least once"):
        fill_hole(flow, grey(1), [slice(0, 1), slice(0, 1)], Drawing(draws=0))


def test_a_family_that_draws_at_once_cannot_fill(tmp_path: Path) -> None:
    gan = train(grey(*range(60)).values, family="gan", out=tmp_path / "run", steps=2, parameters=3000, kind="image")
    with pytest.raises(ValueError, match="cannot fill gaps"):
        fill_hole(gan, grey(1), [slice(0, 1), slice(0, 1)])
    with pytest.raises(ValueError, match="draws at once"):
        animate_sampling(gan, tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8:20,4:", [slice(8, 20), slice(4, None)]), (":3", [slice(None, 3)]), ("1:-1", [slice(1, -1)])],
)
def test_holes_are_written_as_ranges(text: str, expected: list[slice]) -> None:
    assert parse_hole(text) == expected


@pytest.mark.parametrize("text", ["8,8", "a:b", "1:2:3", ""])
def test_what_is_no_range_is_no_hole(text: str) -> None:
    with pytest.raises(ValueError, match="--hole is a range an axis"):
        parse_hole(text)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_noise_becomes_data_frame_by_frame(flow: Run, tmp_path: Path, suffix: str) -> None:
    with Image.open(animate_sampling(flow, tmp_path / f"a{suffix}", steps=6)) as moving:
        assert moving.n_frames in (6, 7)  # pyright: ignore  # equal frames are one
        moving.seek(0)
        first = np.asarray(moving.convert("L"), dtype=float)
        moving.seek(moving.n_frames - 1)  # pyright: ignore
        last = np.asarray(moving.convert("L"), dtype=float)
    assert last.std() > 1.15 * first.std()  # the mean of all data, then data


def test_training_is_shown_from_its_previews(flow: Run, tmp_path: Path) -> None:
    kept = len(list((flow.path / "previews").glob("*.png")))
    with Image.open(animate_training(flow, tmp_path / "t.gif")) as moving:
        assert 2 <= moving.n_frames <= kept  # pyright: ignore
    with pytest.raises(ValueError, match=r"\.gif or a \.webp"):
        animate_training(flow, tmp_path / "t.mp4")


def test_without_previews_there_is_nothing_to_animate(text: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        animate_training(text, tmp_path / "t.gif")


def test_commands(flow: Run, text: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "some.npz", images=grey(30, 220).values)
    (tmp_path / "gaps.txt").write_text("a_au\n_bbv\n")
    out = tmp_path / "filled.npz"
    code = main(["fill", str(flow.path), str(tmp_path / "some.npz"), "--hole", "0:1,0:4", "--out", str(out), "--quiet"])
    assert (code or 0) == 0
    assert np.load(out)["images"].shape == (2, 4, 4, 1)
    main(["fill", str(text.path), str(tmp_path / "gaps.txt"), "--quiet"])
    first, second = capsys.readouterr().out.split()[-2:]
    assert (first[0], first[2:], second[1:]) == ("a", "au", "bbv")
    (tmp_path / "many.txt").write_text(12 * "a_\n", "utf-8")
    main(["fill", str(text.path), str(tmp_path / "many.txt"), "--quiet"])
    assert len(capsys.readouterr().out.splitlines()) == 12
    main(["fill", str(text.path), str(tmp_path / "many.txt"), "-n", "5"])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 5
    assert "the first 5 of 12" in said.err
    (tmp_path / "none.txt").write_text("\n\n", "utf-8")
    assert main(["fill", str(text.path), str(tmp_path / "none.txt"), "--quiet"]) == 2
    assert "no lines of text in it" in capsys.readouterr().err
    main(["animate", str(flow.path), "--out", str(tmp_path / "m.gif"), "--steps", "3", "--quiet"])
    assert (tmp_path / "m.gif").exists()


def test_characters_the_model_has_never_seen_stay_where_they_are(text: Run) -> None:
    """They were left out, which moved every gap behind them."""
    made = fill_lines(text, ["!a_au"], how=Drawing(draws=3)).values
    assert all(line[:2] == "!a" and line[2] != "_" and line[3:] in ("au", "a") for line in made)
