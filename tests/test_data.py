"""The split is kept apart, the codec never sees it, and a batch is a pure function of (seed, step, rank)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sansheng import data
from sansheng.codecs import Encoded, Records, Source, archive
from sansheng.data import Batches, Data, batch, digest_of, measured, open_data, split
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def table(rng) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": rng.normal(size=400),
            "n": rng.integers(0, 50, 400),
            "word": rng.choice(["a", "b", "c"], 400),
            "gap": np.where(rng.random(400) < 0.2, np.nan, rng.normal(size=400)),
        }
    )


def learned(data: Data) -> tuple[object, dict[str, list[float]]]:
    """All that fitting settled."""
    return data.codec.to_json(), {name: array.tolist() for name, array in data.codec.arrays().items()}


# -- the split ---------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 300), st.integers(0, 5))
def test_every_example_is_on_one_side_of_the_split(n, seed):
    train, test = split(Source(Records([f"{i}" for i in range(n)])), seed)
    assert sorted([*train.values, *test.values], key=int) == [f"{i}" for i in range(n)]
    assert len(test) == max(1, round(n / 4))


@pytest.mark.parametrize(("n", "held"), [(2, 1), (400, 100), (9_999, 2_500), (10_000, 2_000), (100_000, 10_000)])
def test_how_much_is_held_out(n, held):
    assert len(split(Source(Records(np.zeros((n, 1)))), 0)[1]) == held


def test_the_split_is_by_seed_alone(table):
    one, same, other = open_data(table), open_data(table), open_data(table, split_seed=1)
    assert one.test_records.values.equals(same.test_records.values)
    assert not one.test_records.values.equals(other.test_records.values)
    assert one.digest == other.digest


def test_fitting_never_saw_the_held_out_rows(table):
    place = table.assign(place=range(400))
    _, test = split(Source(Records(place)), 0)
    spoilt = table.copy()
    held = test.values["place"].to_numpy()
    spoilt.loc[held, ["x", "gap"]] = 1e9
    spoilt.loc[held, "n"] = 7_000
    spoilt.loc[held, "word"] = "never seen"
    clean, tried = open_data(table), open_data(spoilt)
    assert learned(clean) == learned(tried)
    assert torch.equal(clean.train.x, tried.train.x)
    assert clean.digest != tried.digest


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.random.default_rng(1).normal(size=(80, 3)), "array"),
        (np.random.default_rng(1).integers(0, 256, (80, 6, 6)).astype(np.uint8), "image"),
        ([f"{'ab' * (i % 5)}{i % 7}" for i in range(80)], "text"),
    ],
)
def test_fitting_never_saw_the_held_out_examples_of_other_kinds(values, kind):
    first, second = (open_data(values, split_seed=0) for _ in range(2))
    again = open_data(first.train_records)
    assert first.kind == again.kind == kind
    alone = type(first.codec).fit(first.train_records)
    assert torch.equal(alone.encode(first.test_records).x, first.test.x)
    assert torch.equal(first.train.x, second.train.x)


def test_a_split_that_comes_with_the_data_is_kept(tmp_path, rng):
    images = rng.integers(0, 256, (30, 5, 5), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_train=images[:20], y_train=np.arange(20) % 2, x_test=images[20:], y_test=np.ones(10))
    data = open_data(tmp_path / "d.npz", condition="label")
    assert data.kind == "image"
    np.testing.assert_array_equal(data.train_records.values[..., 0], images[:20])
    np.testing.assert_array_equal(data.test_records.values[..., 0], images[20:])
    assert data.train.condition.tolist() == [[1, 0], [0, 1]] * 10
    assert data.test.condition.tolist() == [[0, 1]] * 10


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_examples_are_refused(n):
    with pytest.raises(DataError, match=f"the data has {n} example"):
        split(Source(Records([f"{i}" for i in range(n)])), 0)


# -- finding it --------------------------------------------------------------------------------------------


def save_pictures(folder: Path, n: int) -> None:
    for i in range(n):
        path = folder / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6 + 2 * (i == 0), 6), 20 * i, np.uint8)).save(path)


def test_a_folder_of_pictures_says_what_was_changed_and_skipped(tmp_path):
    save_pictures(tmp_path / "pictures", 12)
    (tmp_path / "pictures" / "class0" / "broken.png").write_bytes(b"no picture")
    data = open_data(tmp_path / "pictures", condition=("label",))
    assert (data.name, data.kind, data.source) == ("pictures", "image", str(tmp_path / "pictures"))
    assert len(data.train) + len(data.test) == 12
    assert data.codec.space.positions == (6, 6)
    said = " | ".join(data.notes)
    assert "1 of 12 images, of 2 sizes, cropped to the aspect of and resized to 6 x 6" in said
    assert "skipped 1 broken: class0/broken.png (not an image)" in said


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no images"):
        open_data(tmp_path)


def test_the_kind_can_be_forced(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(20)))
    assert open_data(tmp_path / "t.csv").kind == "table"
    as_text = open_data(tmp_path / "t.csv", kind="text")
    assert (as_text.kind, len(as_text.train) + len(as_text.test)) == ("text", 21)
    with pytest.raises(DataError, match="digits is image data and cannot be read as table"):
        open_data("digits", kind="table")
    with pytest.raises(ValueError, match=r"unknown kind of data 'tabel'\. Did you mean 'table'"):
        open_data(tmp_path / "t.csv", kind="tabel")


def test_what_is_not_there_lists_what_was_perhaps_meant(tmp_path):
    with pytest.raises(DataError, match=r"digitz: no such file or folder.*Did you mean digits\?.*Built in: .*moons"):
        open_data("digitz")
    (tmp_path / "adult.csv").write_text("a\n1\n2\n")
    with pytest.raises(DataError, match=r"Did you mean adult\.csv"):
        open_data(tmp_path / "adlt.csv")


def test_an_archive_that_would_expand_without_end_or_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "GIB", 2**20)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((2, 2**20)))
    with pytest.raises(DataError, match="refused, it would expand"):
        open_data(tmp_path / "bomb.npz")
    np.savez(tmp_path / "code.npz", x=np.array([print, 1], dtype=object))
    np.save(tmp_path / "code.npy", np.array([print, 1], dtype=object), allow_pickle=True)
    for name in ("code.npz", "code.npy"):
        with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
            open_data(tmp_path / name)


def test_conditions_are_those_of_a_codec_fitted_before(table):
    fitted = open_data(table, condition="word")
    again = open_data(table.sample(frac=1, random_state=0), codec=fitted.codec)
    assert again.codec is fitted.codec
    assert again.condition == ("word",)
    with pytest.raises(ValueError, match="conditioned on"):
        open_data(table, condition="n", codec=fitted.codec)
    with pytest.raises(ValueError, match=r"unknown condition 'wrd'\. Did you mean 'word'"):
        open_data(table, condition="wrd")


def test_data_too_large_to_hold_is_refused_before_it_is_encoded(monkeypatch):
    monkeypatch.setattr(data, "MOST_BYTES", 2**20)
    numbers, lines = np.zeros((3000, 100), np.float32), [f"{i:05}" for i in range(70_000)]
    for values in (numbers, lines):
        with pytest.raises(DataError, match=r"GiB encoded; .* GiB is the most\. Give at most [\d,]+ examples"):
            open_data(values)
    assert len(open_data(lines[:50_000]).train) == 40_000  # 8 symbols of 2 bytes each


# -- content -----------------------------------------------------------------------------------------------


def test_the_digest_is_of_the_content(table, tmp_path):
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "b.csv", index=False)
    assert open_data(tmp_path / "a.csv").digest == open_data(tmp_path / "b.csv").digest
    changed = [
        table.assign(x=table["x"].where(table.index > 0, 1.0)),
        table.assign(word=table["word"].str.upper()),
        table.rename(columns={"x": "y"}),
        table.iloc[::-1],
        table.iloc[:-1],
    ]
    digests = {digest_of(Records(frame)) for frame in [table, *changed]}
    assert len(digests) == 1 + len(changed)


def test_labels_test_split_and_shape_are_part_of_the_digest():
    x, y = np.zeros((4, 4)), np.zeros(4)
    records = [
        (Records(x), None), (Records(x, {"a": y}), None), (Records(x, {"b": y}), None),
        (Records(x, {"a": y + 1}), None), (Records(x), Records(x)), (Records(x.reshape(2, 8)), None),
        (Records(x.astype(np.float32)), None), (Records(["ab", "c"]), None), (Records(["a", "bc"]), None),
    ]  # fmt: skip
    assert len({digest_of(*pair) for pair in records}) == len(records)


# -- batches -----------------------------------------------------------------------------------------------


def numbered(n: int) -> Encoded:
    """Examples and conditions that tell their place."""
    return Encoded(torch.arange(float(n))[:, None], 10 * torch.arange(float(n))[:, None])


def places(batches: Batches, step: int) -> list[int]:
    return batches(step).x[:, 0].int().tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 3), st.integers(0, 200), st.integers(0, 2))
def test_a_batch_is_a_pure_function_of_seed_step_and_rank(n, size, seed, step, rank):
    asked_once = batch(numbered(n), seed=seed, step=step, size=size, rank=rank)
    after_others = Batches(numbered(n), seed=seed, size=size, rank=rank)
    for other in (step + 100, 0, step + 1, step):
        drawn = after_others(other)
    assert torch.equal(asked_once.x, drawn.x)
    assert asked_once.x.shape == (size, 1)
    assert torch.equal(asked_once.condition, 10 * asked_once.x)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_an_epoch_holds_every_example_at_most_once_and_all_if_they_fill_its_batches(n, size):
    batches, steps = Batches(numbered(n), seed=0, size=min(size, n)), n // min(size, n)
    for epoch in range(2):
        seen = [place for step in range(steps) for place in places(batches, epoch * steps + step)]
        assert len(set(seen)) == len(seen) == steps * min(size, n)


def test_every_example_is_seen_though_batches_do_not_fill_an_epoch():
    batches = Batches(numbered(10), seed=0, size=4)
    assert {place for step in range(40) for place in places(batches, step)} == set(range(10))


def test_seeds_ranks_and_epochs_have_their_own_order():
    orders = [
        places(Batches(numbered(64), seed=s, size=64, rank=r), e)
        for s, r, e in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(64)) for order in orders)


def test_a_batch_larger_than_the_data_is_drawn_with_replacement():
    drawn = places(Batches(numbered(3), seed=0, size=300), 0)
    counts = np.bincount(drawn, minlength=3)
    assert len(drawn) == 300
    assert counts.min() > 60


def test_drawing_leaves_global_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Batches(numbered(8), seed=0, size=4)(3)
    assert torch.equal(before, torch.get_rng_state())


def test_batches_of_nothing_are_refused():
    with pytest.raises(ValueError, match="size >= 1"):
        Batches(numbered(3), seed=0, size=0)
    with pytest.raises(DataError, match="no examples"):
        Batches(numbered(0), seed=0, size=2)


# -- rows of one person ------------------------------------------------------------------------------------


def visits(n: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    patient = np.sort(draw.integers(0, n, 6 * n))
    return pd.DataFrame({"patient": [f"p{i:04d}" for i in patient], "lab": draw.normal(size=6 * n)})


def test_all_rows_of_a_group_are_trained_on_or_all_are_held_out() -> None:
    table = visits(100)
    data = open_data(table, options={"group": "patient"})
    train, held_out = data.train_records.values, data.test_records.values
    assert not set(train["patient"]) & set(held_out["patient"])
    assert len(train) + len(held_out) == len(table)
    assert 0.25 <= len(held_out) / len(table) < 0.28
    assert dict(data.codec.describe())["patient"].startswith("identifier")
    again = open_data(table, options={"group": "patient"}, split_seed=1).test_records.values
    assert set(again["patient"]) != set(held_out["patient"])


def test_rows_that_do_not_say_whose_they_are_are_on_their_own() -> None:
    table = visits(100)
    table.loc[::2, "patient"] = None
    data = open_data(table, options={"group": "patient"})
    kept = [set(part.values["patient"].dropna()) for part in (data.train_records, data.test_records)]
    assert not kept[0] & kept[1]
    assert data.test_records.values["patient"].isna().any()


def test_a_group_that_is_no_column_or_but_one_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'person' to group rows by; it has patient, lab"):
        open_data(visits(10), options={"group": "person"})
    with pytest.raises(DataError, match="one group"):
        open_data(visits(10).assign(patient="p"), options={"group": "patient"})


def test_a_column_named_like_an_identifier_that_rows_share_says_how_they_are_kept_together() -> None:
    reason = dict(open_data(visits(100).rename(columns={"patient": "patient_id"})).codec.describe())["patient_id"]
    assert "--group patient_id" in reason


def test_what_is_looked_at_before_training_is_from_everywhere_and_not_too_much() -> None:
    encoded = Encoded(torch.arange(300_000.0)[:, None])
    x = measured(encoded, 1000)
    assert x.shape == (1000, 1)
    assert x.mean().item() == pytest.approx(150_000, rel=0.1)
    assert len(measured(Encoded(torch.zeros(5, 3)), 1000)) == 5
    assert len(measured(Encoded(torch.zeros(1, 1).expand(600, 200_000)))) == 256
