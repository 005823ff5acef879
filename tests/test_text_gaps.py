"""Gaps where symbols are bytes or pieces of words: what is known comes back, what is drawn is about as long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sansheng import text_gaps
from sansheng.codecs.text import TextCodec
from sansheng.codecs.tokens import GAP, Bytes, Characters, Pieces
from sansheng.errors import DataError
from sansheng.filling import Drawing
from sansheng.run import Run, train
from sansheng.text_gaps import fill_lines, fill_text

COUNT = "one two three four five six seven eight nine ten "
SIZE = len(COUNT)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Windows of a text that counts to ten again and again, in whole words."""
    out = tmp_path_factory.mktemp("counts")
    (out / "counts.txt").write_text(COUNT * 40)
    options = {"unit": "windows", "window": "64", "tokens": "bpe:300"}
    return train(
        out / "counts.txt", family="diffusion", out=out / "run", steps=400, parameters=40_000, kind="text",
        options=options, settings={"threads": 1}, previews=False,
    )  # fmt: skip


def test_a_text_of_pieces_goes_on_longer_than_a_window(counts: Run) -> None:
    ahead = fill_text(counts, COUNT[:18], length=3 * SIZE, how=Drawing(draws=3))
    assert [len(text) for text in ahead] == [3 * SIZE] * 3
    assert all(text.startswith(COUNT[:18]) for text in ahead)
    follows = dict(zip(COUNT.split(), [*COUNT.split()[1:], "one"], strict=True))
    words = [text.split()[:-1] for text in ahead]
    pairs = [pair for some in words for pair in zip(some, some[1:], strict=False)]
    assert np.mean([follows.get(a) == b for a, b in pairs]) > 0.8


def test_a_text_that_ends_in_a_space_goes_on_with_a_word(counts: Run) -> None:
    (with_one,) = fill_text(counts, "one two three ", length=40)
    assert with_one.startswith("one two three ")
    assert not with_one[14].isspace()


def test_gaps_within_a_text_of_pieces_are_filled_and_the_rest_stays(counts: Run) -> None:
    text = "one two _____ four five ___ seven é eight " + COUNT * 3 + "one ___ three"
    known = ["one two ", " four five ", " seven é eight " + COUNT * 3 + "one ", " three"]
    for filled in fill_text(counts, text, how=Drawing(draws=3)):
        at = 0
        for part in known:
            assert filled.find(part, at) >= at
            at = filled.index(part, at) + len(part)
        assert filled.startswith(known[0])
        assert filled.endswith(known[-1])
        assert abs(len(filled) - len(text)) <= 24
    drawn = [filled[len(known[0]) :].split()[0] for filled in fill_text(counts, text, how=Drawing(draws=5))]
    assert drawn.count("three") >= 3


def test_a_gap_longer_than_a_window_is_filled_from_both_ends(counts: Run) -> None:
    (filled,) = fill_text(counts, "one two" + "_" * 300 + " nine ten")
    assert filled.startswith("one two")
    assert filled.endswith(" nine ten")
    assert 200 < len(filled) < 400
    assert "_" not in filled


def test_gaps_of_lines_of_pieces_and_bytes() -> None:
    lines = [f"{a} and {b}" for a in COUNT.split() for b in ("salt", "pepper", "butter", "honey")]
    for tokens in ("bpe:300", "bytes"):
        run = train(
            lines, family="diffusion", out=None, steps=200, parameters=20_000, kind="text", options={"tokens": tokens},
            settings={"threads": 1}, previews=False,
        )  # fmt: skip
        made = fill_lines(run, ["six ___ pepper", "two and ____", "milk and honey"], how=Drawing(draws=4)).values
        assert all(line.startswith("six ") and line.endswith(" pepper") for line in made[:4])
        if tokens != "bytes":  # of which there are four times as many to learn
            assert sum(line == "six and pepper" for line in made[:4]) >= 3
        assert all(line.startswith("two and ") for line in made[4:8])
        assert made[8:] == ["milk and honey"] * 4


def test_gaps_keep_their_places_among_symbols() -> None:
    letters = Characters("abc")
    np.testing.assert_array_equal(letters.with_gaps("a_zc", "_"), [1, GAP, 1, 3])
    np.testing.assert_array_equal(Bytes().with_gaps("a_b__", "_"), [ord("a") + 1, GAP, ord("b") + 1, GAP, GAP])
    assert (Bytes().with_gaps("日本__語", "_") == GAP).sum() == 6  # of three bytes each
    with pytest.raises(ValueError, match="is more"):
        Bytes().with_gaps("é", "é")
    pieces = Pieces.fit([COUNT * 5], 300)
    levels = pieces.with_gaps("one two _____ four", "_")
    known = levels[levels != GAP]
    assert pieces.lines(known[None]) == ["one two four"]
    assert (levels == GAP).sum() >= 1
    before = pieces.levels(["one two"], 20)[0]
    n = int((before != 0).sum())
    np.testing.assert_array_equal(levels[:n], before[:n])
    assert levels[n] == GAP
    assert len(pieces.with_gaps("____", "_")) == 1
    assert (np.diff((pieces.with_gaps("one __ __ two", "_") == GAP).astype(int)) == 1).sum() == 2  # two gaps
    assert len(pieces.with_gaps("", "_")) == 0


def test_windows_of_pieces_know_how_many_characters_they_have(counts: Run) -> None:
    codec = counts.codec
    assert isinstance(codec, TextCodec)
    assert codec.window == 64
    assert codec.reading()["window"] == "64"
    saved = codec.to_json()
    assert TextCodec.from_json(saved, {}).window == 64
    del saved["window"]
    assert TextCodec.from_json(saved, {}).window == 0


def test_what_cannot_be_is_said(counts: Run) -> None:
    with pytest.raises(ValueError, match="at least once"):
        fill_text(counts, "one ", how=Drawing(draws=0))
    with pytest.raises(ValueError, match="more than the length"):
        fill_text(counts, "one ", length=0)
    with pytest.raises(DataError, match="NUL"):
        fill_lines(counts, ["one\0_"])
    assert len(fill_lines(counts, [])) == 0
    assert fill_lines(counts, ["one __ __ three"]).values[0].startswith("one ")


def test_no_character_is_cut_at_the_edge_of_a_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model that knows the text: whatever a window ends in, the next goes on with it."""
    text = "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。寒来暑往,秋收冬藏。" * 20
    (tmp_path / "thousand.txt").write_text(text)
    run = train(
        tmp_path / "thousand.txt", family="diffusion", out=tmp_path / "run", steps=1, parameters=5_000, kind="text",
        options={"unit": "windows", "window": "32", "tokens": "bytes"}, previews=False,
    )  # fmt: skip
    assert isinstance(run.codec, TextCodec)
    codec, data = run.codec, text.encode()

    def knows(run, rows, records, how, say):
        known = rows[0][rows[0] != GAP]
        at = data.find(bytes((known - 1).tolist()))
        return replace(records, values=say(np.frombuffer(data[at : at + codec.length], np.uint8)[None] + 1))

    monkeypatch.setattr(text_gaps, "_drawn", knows)
    assert fill_text(run, text[:10], length=120) == [text[:120]]
    sizes = []
    monkeypatch.setattr(
        text_gaps, "_drawn", lambda run, rows, records, how, say: sizes.append(int((rows[0] == GAP)[:40].sum())) or
        replace(records, values=say(np.frombuffer(data[: codec.length], np.uint8)[None] + 1)),
    )  # fmt: skip
    assert fill_text(run, text[:2] + "_" + text[3:40]) == [text[:40]]
    assert sizes == [3]  # as many bytes as one of these characters has


def test_lines_of_bytes_have_no_line_end_within(monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(["abc", "abd", "acd", "bcd", "bce"] * 5, family="diffusion", steps=1, parameters=5_000, kind="text",
                options={"tokens": "bytes"}, previews=False)  # fmt: skip
    ends = np.full((1, run.codec.space.positions[0]), ord("\n") + 1)
    monkeypatch.setattr(text_gaps, "_drawn", lambda run, rows, records, how, say: replace(records, values=say(ends)))
    assert fill_lines(run, ["a_c"]).values == ["a\N{REPLACEMENT CHARACTER}c"]
