"""What is given beside an image comes back with its type, and mistakes say what is valid."""

import json

import numpy as np
import pytest
import torch

from paint import pictures
from sansheng.codecs.base import Records
from sansheng.codecs.image import ImageCodec
from sansheng.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("levels", "typed"),
    [
        (np.array([3, 5, 7]), "5"),
        (np.array(["cat", "dog", "emu"]), "dog"),
        (np.array([1.0, 2.0, 30.0]), "2"),
        (np.array([False, True]), "true"),
        (np.array(["x", "y"], dtype=object), "y"),
    ],
)
def test_conditions_come_back_with_their_type(rng, levels, typed):
    labels = levels.repeat(2)
    records = Records(pictures(rng, len(labels), 4, 4, 1), {"label": labels})
    codec = ImageCodec.fit(records, condition=("label",))
    codec = ImageCodec.from_json(json.loads(json.dumps(codec.to_json())), {})
    encoded = codec.encode(records)
    back = codec.decode(encoded.x, encoded.condition).labels["label"]
    assert back.tolist() == labels.tolist()
    assert back.dtype.kind == np.array(levels.tolist()).dtype.kind
    given = codec.encode_condition({"label": typed}, 4)
    assert given.shape == (4, len(levels))
    assert codec.conditions.decode(given)["label"].tolist() == [levels[1]] * 4


def test_a_real_label_is_standardised(rng):
    label = rng.normal(50, 10, 100)
    records = Records(pictures(rng, 100, 2, 2, 1), {"age": label})
    codec = ImageCodec.fit(records, condition=("age",))
    condition = codec.encode(records).condition
    assert condition.mean().item() == pytest.approx(0, abs=1e-5)
    assert condition.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(codec.decode(codec.encode(records).x, condition).labels["age"], label, rtol=1e-5)
    expected = torch.full((2, 1), (30 - label.mean()) / label.std())
    torch.testing.assert_close(codec.encode_condition({"age": "30"}, 2), expected.float())
    with pytest.raises(ValueError, match="number"):
        codec.encode_condition({"age": "old"}, 1)


def test_condition_mistakes_say_what_is_valid(rng):
    labels = {"label": np.array(["cat", "dog"] * 2), "side": np.array([0, 1, 1, 0])}
    records = Records(pictures(rng, 4, 2, 2, 1), labels)
    codec = ImageCodec.fit(records, condition=("label", "side"))
    with pytest.raises(ValueError, match="cat, dog"):
        codec.encode_condition({"label": "dgo", "side": "1"}, 1)
    with pytest.raises(ValueError, match="needed for side"):
        codec.encode_condition({"label": "dog"}, 1)
    with pytest.raises(ValueError, match="label, side"):
        codec.encode_condition({"lable": "dog", "side": 1}, 1)
    with pytest.raises(ValueError, match="label, side"):
        ImageCodec.fit(records, condition=("class",))
    with pytest.raises(ValueError, match="no labels"):
        ImageCodec.fit(Records(records.values), condition=("label",))
    with pytest.raises(ValueError, match="without a condition"):
        ImageCodec.fit(records).encode_condition({"label": "cat"}, 1)
    with pytest.raises(DataError, match="no label 'label'"):
        codec.encode(Records(records.values))


def test_a_list_gives_each_sample_its_condition(rng):
    records = Records(pictures(rng, 4, 2, 2, 1), {"label": np.arange(4)})
    codec = ImageCodec.fit(records, condition=("label",))
    assert torch.equal(codec.encode_condition({"label": [2, 0]}, 2), torch.eye(4)[[2, 0]])
    with pytest.raises(ValueError, match="2 values of label"):
        codec.encode_condition({"label": [2, 0]}, 3)


def test_a_level_the_training_split_did_not_have_is_no_level(rng):
    codec = ImageCodec.fit(Records(pictures(rng, 2, 2, 2, 1), {"label": np.array(["a", "b"])}), condition=("label",))
    held_out = Records(pictures(rng, 2, 2, 2, 1), {"label": np.array(["b", "zebra"])})
    assert codec.encode(held_out).condition.tolist() == [[0, 1], [0, 0]]
    assert codec.condition_space.channels == 2


def test_missing_labels_name_the_row(rng):
    values = pictures(rng, 3, 2, 2, 1)
    for label in (np.array(["a", None, "b"], dtype=object), np.array([0.5, np.nan, 1])):
        with pytest.raises(DataError, match="row 1"):
            ImageCodec.fit(Records(values, {"label": label}), condition=("label",))
