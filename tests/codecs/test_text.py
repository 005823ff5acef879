"""Lines of text: the alphabet and length come from the training split, a line ends at its first end mark."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import torch

from sansheng.codecs import text
from sansheng.codecs.base import Reading, Records
from sansheng.codecs.text import REPLACEMENT, TextCodec
from sansheng.codecs.tokens import suited_tokens
from sansheng.errors import DataError

LINES = ["anna", "bo", "zoë", "李小龙", "a b", "anna", "𝄞 clef"]


def decoded(codec: TextCodec, lines: list[str]) -> list[str]:
    return codec.decode(codec.encode(Records(lines)).x).values


def described(codec: TextCodec) -> dict[str, str]:
    return dict(codec.describe())


def test_training_lines_survive_the_round_trip():
    codec = TextCodec.fit(Records(LINES))
    x = codec.encode(Records(LINES)).x
    codec.space.check(x)
    assert torch.equal(x.sum(1), torch.ones(len(LINES), codec.length))
    assert torch.equal(codec.space.harden(x), x)
    assert decoded(codec, LINES) == LINES
    assert codec.alphabet == "".join(sorted(set("".join(LINES))))


@pytest.mark.parametrize(("longest", "positions"), [(1, 4), (3, 4), (4, 8), (126, 128), (127, 128), (500, 128)])
def test_length_leaves_room_for_the_end_mark(longest, positions):
    codec = TextCodec.fit(Records(["a" * longest, "b"]))
    assert codec.length == positions
    assert decoded(codec, ["a" * longest]) == ["a" * min(longest, positions - 1)]
    assert ("cut" in described(codec)) == (longest > 127)


def test_a_line_ends_at_its_first_end_mark():
    codec = TextCodec.fit(Records(["abc"]))
    levels = torch.tensor([[1, 2, 0, 3], [0, 1, 1, 1], [3, 2, 1, 1]])
    x = torch.nn.functional.one_hot(levels, 4).movedim(2, 1).float()
    assert codec.decode(x).values == ["ab", "", "cbaa"]


def test_unseen_characters_are_left_out_and_long_lines_cut():
    codec = TextCodec.fit(Records(["abc", "cab"]))
    assert decoded(codec, ["xaybz", "", "abcabc", "xyz"]) == ["ab", "", "abc", ""]


def test_rare_characters_become_the_replacement():
    common = [chr(0x100 + i) * 2 for i in range(256)]
    codec = TextCodec.fit(Records([*common, "q", "q", "!"]))
    assert REPLACEMENT not in TextCodec.fit(Records(common)).alphabet
    assert len(codec.alphabet) == 257
    kept = sorted(set("".join(common) + "q") & set(codec.alphabet))
    assert len(kept) == 256
    assert decoded(codec, ["!", kept[0], "never"]) == [REPLACEMENT, kept[0], REPLACEMENT * 3]
    assert "1 rare" in described(codec)["replaced"] or "2 rare" in described(codec)["replaced"]


def test_it_is_restored_from_json():
    records = Records(LINES, {"language": np.array(list("eeecexx"))})
    codec = TextCodec.fit(records, condition=("language",))
    again = TextCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert (again.space, again.alphabet, again.describe()) == (codec.space, codec.alphabet, codec.describe())
    one, other = codec.encode(records), again.encode(records)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.condition, other.condition)
    assert again.decode(other.x, other.condition).labels["language"].tolist() == list("eeecexx")
    assert torch.equal(again.encode_condition({"language": "e"}, 2), torch.eye(3)[[1, 1]])


def test_reading_a_file_as_people_save_it(tmp_path):
    path = tmp_path / "names ü.txt"
    path.write_bytes("\ufeffanna\r\nbo\r\n\r\nzoë\nbo\n".encode())
    source = text.read(path)
    assert source.records.values == ["anna", "bo", "zoë"]
    assert source.notes[0] == "1 empty lines dropped"
    assert source.notes[1].startswith("1 lines repeat an earlier one (left out")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"anna\nzo\xeb\n", "line 2: not UTF-8 text"),
        (b"", "no lines"),
        (b"\n\r\n", "no lines"),
        (b"a\nb\0c\n", "line 2: holds a NUL"),
    ],
)
def test_files_that_are_not_lines_of_text(tmp_path, data, message):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        text.read(path)
    with pytest.raises(DataError, match="no such file"):
        text.read(tmp_path / "b.txt")
    with pytest.raises(DataError, match="a folder, where a file is needed"):
        text.read(tmp_path)


def test_records_that_are_not_lines_are_refused():
    for lines, message in (([], "no lines"), (["a", 3], "record 1 is of type int"), (["a\nb"], "record 0")):
        with pytest.raises(DataError, match=message):
            TextCodec.fit(Records(lines))


def test_what_is_written_is_read_again(tmp_path):
    codec = TextCodec.fit(Records(LINES))
    (path,) = codec.write(Records(LINES), tmp_path / "deep" / "out.txt")
    assert text.read(path).records.values == list(dict.fromkeys(LINES))
    assert codec.present(Records(LINES)) == LINES
    for name in ("out.md", "out"):
        with pytest.raises(ValueError, match=r"Valid: \.csv, \.jsonl, \.txt"):
            codec.write(Records(LINES), tmp_path / name)
    preview = codec.preview(Records(LINES * 20), tmp_path / "step")
    assert preview.read_text(encoding="utf-8").splitlines() == (LINES * 20)[:40]


def test_thirty_thousand_lines_take_under_a_second():
    rng = np.random.default_rng(0)
    lines = ["".join(row) for row in rng.choice(list("abcdefghijklmnopqrstuvwxyz"), (30_000, 12))]
    codec = TextCodec.fit(Records(lines))
    start = time.process_time()
    x = codec.encode(Records(lines)).x
    assert time.process_time() - start < 1
    assert codec.decode(x).values == lines


# -- long texts, tables of texts, other symbols -----------------------------------------------------------------

PLAY = "\n\n".join(f"SPEAKER {i % 7}:\nThese are the words of line {i}, said aloud." for i in range(200))


def test_a_long_text_is_split_before_it_is_cut(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text(PLAY)
    source = text.read(path, Reading(options={"window": "64"}))
    train, test = source.records.values, source.test.values
    assert {len(window) for window in train + test} == {64}
    cut = len(PLAY) - round(0.1 * len(PLAY))
    assert train[0] == PLAY[:64]
    assert train[1] == PLAY[16:80]
    assert test[0] == PLAY[cut : cut + 64]
    assert all(window in PLAY[:cut] for window in train)
    assert "".join(test) == PLAY[cut : cut + 64 * len(test)]
    codec = TextCodec.fit(source.records)
    assert codec.length == 64
    assert decoded(codec, test) == [w.translate({ord(c): None for c in set(w) - set(codec.alphabet)}) for w in test]


def test_the_unit_is_found_and_can_be_said(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text(PLAY)
    assert text.read(path).records.about["unit"] == "windows"
    assert text.read(path, Reading(options={"unit": "lines"})).records.values[0] == "SPEAKER 0:"
    (tmp_path / "short.txt").write_text("a" * 100)
    with pytest.raises(DataError, match="no room for windows"):
        text.read(tmp_path / "short.txt", Reading(options={"unit": "windows"}))
    with pytest.raises(ValueError, match="Did you mean 'lines'"):
        text.read(path, Reading(options={"unit": "line"}))


def test_texts_in_a_column_come_with_labels(tmp_path):
    frame = pd.DataFrame({"tone": ["good", "bad", "good"], "said": ["so fine", "not\nfine", "so fine"], "n": [1, 2, 1]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for name in ("a.csv", "a.jsonl"):
        source = text.read(tmp_path / name)
        assert source.records.values == ["so fine", "not fine"]
        assert source.records.labels["tone"].tolist() == ["good", "bad"]
        assert "1 rows without text or repeated left out" in source.notes[0]
    assert text.read(tmp_path / "a.csv", Reading(options={"column": "tone"})).records.values[0] == "good"
    with pytest.raises(ValueError, match="column of text"):
        text.read(tmp_path / "a.csv", Reading(options={"column": "n"}))


def test_names_of_labels_are_no_texts_however_long_they_are():
    frame = pd.DataFrame({"kind": ["consonants", "vowels"] * 10, "name": [f"n{i}" for i in range(20)]})
    source = text.from_frame(frame, {})
    assert source.records.values[:2] == ["n0", "n1"]
    assert list(source.records.labels) == ["kind"]


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe"])
def test_any_symbols_survive_the_round_trip(kind):
    lines = ["春眠不觉晓", "处处闻啼鸟", "naïve café", "plain"] * 3
    codec = TextCodec.fit(Records(lines, {}, {"unit": "lines", "tokens": kind}))
    assert codec.tokens.kind == kind
    assert decoded(codec, lines) == lines
    again = TextCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert torch.equal(again.encode(Records(lines)).x, codec.encode(Records(lines)).x)


def test_how_many_pieces_there_are_is_asked_for():
    words = ["".join(row) for row in np.random.default_rng(0).choice(list("abcdefgh"), (400, 6))]
    lines = [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]
    few, many = (TextCodec.fit(Records(lines, {}, {"tokens": f"bpe:{n}"})) for n in (300, 400))
    assert (few.tokens.size, many.tokens.size) == (300, 400)
    assert many.tokens.lengths(lines).sum() < few.tokens.lengths(lines).sum()
    assert decoded(many, lines) == lines


@pytest.mark.parametrize(
    ("asked", "said"),
    [("bpr", "bpe"), ("bytes:300", "bpe:NUMBER"), ("bpe:100", "257 to 32,000"), ("bpe:", "257"), ("bpe:many", "many")],
)
def test_pieces_that_cannot_be_are_refused_when_a_text_is_read(tmp_path, asked, said):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n", "utf-8")
    with pytest.raises(ValueError, match=said):
        text.read(path, Reading(options={"tokens": asked}))


def test_a_script_of_many_characters_becomes_bytes():
    rng = np.random.default_rng(0)
    lines = ["".join(map(chr, rng.integers(0x4E00, 0x5E00, 12))) for _ in range(300)]
    assert TextCodec.fit(Records(lines)).tokens.kind == "bytes"


def test_large_sets_are_turned_to_vectors_when_asked_for():
    lines = ["".join(row) for row in np.random.default_rng(0).choice(list("abcdefghijklmnop"), (12_000, 100))]
    codec = TextCodec.fit(Records(lines))
    encoded = codec.encode(Records(lines))
    few = encoded.rows(torch.tensor([3, 5]))
    assert codec.decode(few.x).values == [lines[3], lines[5]]
    assert len(encoded) == len(lines)


def test_characters_are_those_that_are_encoded_and_an_end():
    codec = TextCodec.fit(Records(["abc", "cab"]))
    assert codec.characters(Records(["ab", "", "axb", "abcabc"])).tolist() == [3, 1, 3, 4]
    about = {"unit": "windows", "tokens": "bpe"}
    pieces = TextCodec.fit(Records(["the cat", "the mat"] * 9, {}, about))
    assert pieces.characters(Records(["the cat"], {}, about)).tolist() == [7]


def test_lines_of_json_end_at_line_feeds_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    texts = ["one\u2028two", "three\x85four"]
    path.write_text("".join(json.dumps({"text": t, "tags": [1]}, ensure_ascii=False) + "\n" for t in texts), "utf-8")
    assert text.read(path).records.values == texts


def test_texts_that_differ_only_in_their_number_are_repeated():
    frame = pd.DataFrame({"id": range(40), "text": [f"text {i % 4}" for i in range(40)], "of": [*"ab"] * 20})
    assert len(text.from_frame(frame, {}).records) == 4
    frame["of"] = [*"aaaabbbb"] * 5
    assert len(text.from_frame(frame, {}).records) == 8


def test_a_decoded_line_is_one_line():
    codec = TextCodec.fit(Records(["abc", "de"], {}, {"tokens": "bytes"}))
    x = codec.encode(Records(["a.b"])).x
    levels = x.argmax(1)
    levels[0, 1] = 1 + ord("\n")
    drawn = codec.decode(torch.nn.functional.one_hot(levels, 257).movedim(2, 1).float())
    assert drawn.values == [f"a{REPLACEMENT}b"]
    codec.encode(drawn)


def test_windows_have_no_positions_beyond_their_end(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("the cat sat on the mat. " * 50)
    source = text.read(path, Reading(options={"unit": "windows", "window": "10"}))
    assert TextCodec.fit(source.records).length == 10


LINE = "To be, or not to be: that is the question."


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([LINE * 12_000], "bpe:4000"),
        ([LINE * 1000], None),  # too small to show so many pieces
        ([LINE] * 12_000, "bpe:4000"),
        (["Emmanuelle"] * 60_000, None),  # names are spelt, not put together
        (["ACGT" * 10] * 15_000, None),  # no words in it
        (["".join(map(chr, range(0x4E00, 0x4E00 + 600)))] * 900, "bpe:4000"),  # no spaces, and bytes without pieces
    ],
)
def test_symbols_are_chosen_by_the_size_of_a_text(texts, kind):
    assert suited_tokens(texts) == kind


def test_a_long_text_is_read_in_pieces_of_words_unless_told(tmp_path, monkeypatch):
    file = tmp_path / "long.txt"
    file.write_text(f"{LINE}\n\n" * 12_000)
    source = text.read(file)
    assert source.records.about["tokens"] == "bpe:4000"
    assert any("4,000 pieces" in note and "--tokens characters" in note for note in source.notes)
    told = text.read(file, Reading(options={"tokens": "characters"}))
    assert told.records.about["tokens"] == "characters"
    assert not any("pieces" in note for note in told.notes)
    monkeypatch.setattr("sansheng.codecs.text_file.can_find_pieces", lambda: False)
    without = text.read(file)
    assert without.records.about["tokens"] is None
    assert any("pip install 'sansheng[text]'" in note for note in without.notes)
