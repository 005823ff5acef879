"""n-gram scores by hand, and the n-gram model as a probability."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from sansheng.metrics.ngram_model import NGramModel
from sansheng.metrics.text import (
    END,
    START,
    NgramComparison,
    distinct_ngrams,
    jensen_shannon,
    known_words,
    longest_copied,
    ngram_divergence,
    ngram_features,
    ngram_profile_divergence,
    ngrams,
    self_bleu,
    top_ngrams,
    unique_share,
)

NAMES = ["anna", "hannah", "ann", "ian", "diana", "nadia", "hana"]


def test_ngrams_hold_the_ends_of_a_line() -> None:
    assert ngrams("ab", 2) == [START + "a", "ab", "b" + END]
    assert ngrams("", 2) == [START + END]
    assert ngrams("a", 4) == []


def test_divergence_by_hand() -> None:
    """Of "a" and "b" the 2-grams share nothing; of 1-grams the two marks are shared, two thirds of each."""
    assert ngram_divergence(["a"], ["b"], 2) == pytest.approx(1)
    assert ngram_divergence(["a"], ["b"], 1) == pytest.approx(1 / 3)
    assert ngram_divergence(["ab", "ba"], ["ba", "ab"], 3) == 0
    assert ngram_divergence(["a"], ["abc"], 4) == 1
    assert ngram_divergence(["a"], ["b"], 9) == 0


def test_divergence_is_that_of_scipy() -> None:
    p, q = np.random.default_rng(0).integers(0, 5, (2, 40))
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, 3 * p))


def test_profile_is_the_mean_of_four_orders_and_parts_are_as_lists() -> None:
    one, other = NAMES[:4], NAMES[3:]
    each = [ngram_divergence(one, other, n) for n in (1, 2, 3, 4)]
    assert ngram_profile_divergence(one, other) == pytest.approx(np.mean(each))
    part = NgramComparison(one, other).divergence(np.array([0, 2]), np.array([1]))
    assert part == pytest.approx(ngram_profile_divergence([one[0], one[2]], [other[1]]))


def test_features_count_the_commonest_ngrams() -> None:
    vocabulary = top_ngrams(["aab", "aa"], size=4)
    assert vocabulary == ["a", START + "a", START + "aa", "aa"]
    assert ngram_features(["aaa", "b"], vocabulary).tolist() == [[3, 1, 1, 2], [0, 0, 0, 0]]


def test_variety_by_hand() -> None:
    assert unique_share(["a", "a", "b", "c"]) == 3 / 4
    assert distinct_ngrams(["ab", "ab"], 2) == 3 / 6
    assert distinct_ngrams(["a"], 7) == 0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_after_any_history_sum_to_one(order: int) -> None:
    model = NGramModel(order).fit(NAMES)
    histories = ["".join(h) for h in product("anxh" + START, repeat=order - 1)]
    for history in histories:
        p = model._next(history)
        assert p.sum() == pytest.approx(1)
        assert p.min() > 0


def test_witten_bell_by_hand() -> None:
    """Trained on "ab" and "a": counts a 2, b 1, end 2 (T = 3, N = 5), and after a: b 1, end 1."""
    model = NGramModel(2).fit(["ab", "a"])
    uniform = 1 / 4
    end, a, b = ((count + 3 * uniform) / 8 for count in (2, 2, 1))
    after_a = [(1 + 2 * end) / 4, 2 * a / 4, (1 + 2 * b) / 4]
    after_start, after_b = (2 + a) / 3, (1 + end) / 2
    unseen = 3 * uniform / 8
    bits = -np.log2([after_start, after_a[2], after_b])
    assert model.bits_per_character(["ab"]) == pytest.approx(bits.mean())
    assert model.bits_per_character(["z"]) == pytest.approx(-np.log2([unseen / 3, end]).mean())


def test_the_probabilities_of_all_lines_sum_to_one() -> None:
    """Over lines of up to 12 characters of a two-letter alphabet and a third for what was never seen."""
    model = NGramModel(2).fit(["ab", "a", "bb", "ba"])
    place = {END: 0, "a": 1, "b": 2, "?": 3}
    reaching, total = {START: 1.0}, 0.0
    for _ in range(200):
        following: dict[str, float] = {}
        for history, p in reaching.items():
            after = model._next(history)
            total += p * after[0]
            for c in "ab?":
                following[c] = following.get(c, 0.0) + p * after[place[c]]
        reaching = following
    assert total == pytest.approx(1)


def test_samples_come_as_often_as_their_probability() -> None:
    model, n = NGramModel(3).fit(["ab", "ab", "b"]), 4000
    lines = model.sample(n, np.random.default_rng(0))
    known = [model._next(h)[:-1] for h in (START + START, START + "b")]
    p = known[0][2] / known[0].sum() * known[1][0] / known[1].sum()
    assert lines.count("b") / n == pytest.approx(p, abs=3.5 * np.sqrt(p * (1 - p) / n))
    assert model.sample(5, np.random.default_rng(1)) == model.sample(5, np.random.default_rng(1))
    assert max(map(len, model.sample(50, np.random.default_rng(2), longest=2))) == 2


@pytest.mark.parametrize("order", [1, 3])
def test_the_probabilities_of_all_windows_sum_to_one(order: int) -> None:
    """Without marks nothing is paid for an end, and the first characters are foretold from those there are."""
    model = NGramModel(order, marked=False).fit(["abba", "baaa"])
    windows = ["".join(letters) for letters in product("ab?", repeat=4)]
    assert np.exp(model.log_likelihood(windows)).sum() == pytest.approx(1)
    bits = -model.log_likelihood(["abab", "b"]).sum() / np.log(2) / 5
    assert model.bits_per_character(["abab", "b"]) == pytest.approx(bits)
    assert {len(line) for line in model.sample(20, np.random.default_rng(0), longest=7)} == {7}


def test_a_higher_order_knows_its_training_lines_better() -> None:
    bits = [NGramModel(order).fit(NAMES).bits_per_character(NAMES) for order in (1, 2, 3, 4)]
    assert bits == sorted(bits, reverse=True)


def test_lines_with_the_marks_in_them_are_survived() -> None:
    model = NGramModel(2).fit([f"a{START}b", f"a{END}b"])
    assert np.isfinite(model.bits_per_character([f"{START}a"]))


def test_nothing_to_work_on_is_refused() -> None:
    with pytest.raises(ValueError, match="on both sides, got 0 real and 1 fake"):
        ngram_divergence([], ["a"], 1)
    with pytest.raises(ValueError, match="at least one character, not 0"):
        ngram_divergence(["a"], ["a"], 0)
    with pytest.raises(ValueError, match="order of at least 1"):
        NGramModel(0)
    with pytest.raises(ValueError, match="fit the n-gram model"):
        NGramModel(2).sample(1, np.random.default_rng())
    for call in (unique_share, top_ngrams, NGramModel(2).fit):
        with pytest.raises(ValueError, match=r"no .*lines"):
            call([])


def test_self_bleu_is_one_for_one_line_again_and_again_and_near_zero_for_nothing_in_common() -> None:
    assert self_bleu(["the cat sat on the mat today"] * 5) == pytest.approx(1)
    apart = ["".join(chr(97 + (5 * i + j) % 26) for j in range(4)) for i in range(5)]
    assert self_bleu(apart) < 0.5
    varied = [f"line {i} says {i * 7} and {i * 13}" for i in range(20)]
    assert self_bleu(apart) < self_bleu(varied) < 1
    with pytest.raises(ValueError, match="compared with the others"):
        self_bleu(["one"])


def test_bleu_by_hand() -> None:
    """Two lines of three words, two of them shared in a row: p1 = 2/3, p2 = (1 + 1)/(2 + 1), p3 = (0 + 1)/(1 + 1), p4 =
    (0 + 1)/(0 + 1)."""
    assert self_bleu(["a b c", "a b d"]) == pytest.approx((2 / 3 * 2 / 3 * 1 / 2) ** 0.25)


@given(st.lists(st.text("ab\n", max_size=30), min_size=1, max_size=4), st.text("ab\n", max_size=40))
def test_the_longest_copied_run_is_the_longest_common_substring(train: list[str], line: str) -> None:
    runs = {line[i:j] for i in range(len(line)) for j in range(i + 1, len(line) + 1)}
    expected = max((len(run) for run in runs if any(run in other for other in train)), default=0)
    assert longest_copied(train, [line]).tolist() == [expected]


def test_copied_runs_of_many_lines_at_once() -> None:
    train = ["to be or not to be", "that is the question"]
    assert longest_copied(train, ["not to", "xyz", "the quest for it", train[1]]).tolist() == [6, 0, 9, 20]


def test_known_words_are_those_of_training_text_and_only_prose_has_them() -> None:
    train = ["The king is dead, long live the king"]
    found = known_words(train, ["a KING is zzzz dead or", "one word two"])
    assert found is not None
    assert found.tolist() == [[3, 4], [0, 1]]
    assert known_words(train, ["anna", "bob"]) is None
