"""The chapter of a report on privacy: what attacks on the synthetic tables found out about the training rows.

The one constraint: every figure stands beside what the same attack finds out about people who were not trained on,
and the page says that these are estimates and no guarantee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sansheng.codecs.table import TableCodec
from sansheng.entry import Entry
from sansheng.metrics import Score
from sansheng.metrics.bootstrap import Interval
from sansheng.metrics.privacy import Findings
from sansheng.metrics.rows import identifies
from sansheng.metrics.table import series
from sansheng.report import Chapter, Panel, Part
from sansheng.score import Scorer
from sansheng.score_kinds import compared

PAIRS = 4
BY_CHANCE = 0.025
"""How often fresh rows may raise an alarm for their copies."""
SPACE = "\N{NO-BREAK SPACE}"
NOTE = (
    "These are estimates, no guarantee: they say what the attacks below found out with this number of rows, and a "
    "stronger attack, more synthetic rows or knowledge from elsewhere may find out more. Only training with "
    "differential privacy bounds that for every attack, and nothing here was trained so. Whether a table may be given "
    "away is for a person to decide. This page shows real rows: treat it as you treat the data."
)
ATTACKS_NOTE = (
    "What an attack also finds out about held-out rows, which the model never saw, is knowledge of the population and "
    "no leak: each value stands beside the one to expect if nothing leaks. Brackets are 95 % intervals; by chance one "
    "in forty lies wholly above that value. “Training data replayed” shows what handing out as many real rows "
    "would cost: where even that is hardly found, an attack is weak here and proves little."
)
ATTRIBUTES_NOTE = (
    "Someone knows all of a person but one column, and takes for it the value of the most similar synthetic row. Right "
    "is the same level, or within five percentiles. In each cell: right for training rows / for held-out rows, and "
    "the difference in percentage points with its interval. A column that is easy to guess for both is a fact about "
    "the population."
)
PAIRS_NOTE = (
    "The synthetic rows that are nearest to a training row compared with held-out ones, the most suspicious first. "
    "A copy agrees with the training row where it differs from the held-out row; rows of few possible values coincide "
    "by right. Distances are sums of squares over columns: 1 for another category, the square of the difference in "
    "rank, from 0 to 1, for numbers."
)


@dataclass(frozen=True)
class Attack:
    """A line of the table of attacks: its score, how it is written, and what is to be expected without a leak."""

    metric: str
    title: str
    question: str
    write: Callable[[Score], str]
    expected: Callable[[Findings], float]
    unit: str


def _percent(score: Score) -> str:
    return f"{100 * score.value:.1f} % [{100 * score.low:.1f}, {100 * score.high:.1f}]".replace(" ", SPACE)


def _plain(score: Score) -> str:
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]".replace(" ", SPACE)


def _points(score: Score | Interval) -> str:
    return f"{_signed(score.value)} [{_signed(score.low)}, {_signed(score.high)}]".replace(" ", SPACE)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


ATTACKS = (
    Attack(
        *("copied", "exact copies", "synthetic rows that are a training row", _percent),
        *(lambda found: found.copies.held_out_exact.mean(), "%"),
    ),
    Attack(
        *("near_copies", "near copies", "nearer to a training row than 99 % of held-out rows are", _percent),
        *(lambda found: found.copies.held_out_near.mean(), "%"),
    ),
    Attack(
        *(
            "copying",
            "distance to closest row",
            "nearer to a training than to a held-out row, of equally many",
            _percent,
        ),
        *(lambda found: 0.5, "%"),
    ),
    Attack(
        *("membership", "membership inference", "telling who was trained on: AUC", _plain),
        *(lambda found: 0.5, ""),
    ),
    Attack(
        *("attribute_inference", "attribute inference", "guessing one column from all others: points more", _points),
        *(lambda found: 0.0, "points"),
    ),
    Attack(
        *("singling_out", "singling out", "rare combinations that fit exactly one person: points more", _points),
        *(lambda found: 0.0, "points"),
    ),
)


def privacy_chapter(entries: Sequence[Entry], scorer: Scorer) -> Chapter:
    """The chapter of tables; entries that were attacked, families first."""
    tried = [entry for entry in entries if entry.findings is not None and not entry.name.startswith("held-out")]
    families = [entry for entry in tried if entry.runs]
    parts = [_attacks(tried), _attributes(families), _pairs(families, scorer)]
    found = [said for entry in families for said in (_sentence(entry), *_own_words(entry, scorer))]
    return Chapter("Privacy", NOTE, found, parts)


def alarms(entry: Entry) -> list[Attack]:
    """The attacks that found more, beyond chance, than is to be expected without a leak.

    Copies by Fisher's exact test against held-out rows, one-sided at 2.5 %; others if their whole interval is above.
    """
    scores, found = entry.pooled(), entry.findings
    if found is None:
        return []
    copies = {
        "copied": _more(found.copies.exact, found.copies.held_out_exact),
        "near_copies": _more(found.copies.near, found.copies.held_out_near),
    }
    known = [attack for attack in ATTACKS if attack.metric in scores]
    return [a for a in known if copies.get(a.metric, scores[a.metric].low > a.expected(found))]


def _more(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether more of `some` than of `others` are 1, beyond chance."""
    hits = int(some.sum()), int(others.sum())
    table = [[hits[0], len(some) - hits[0]], [hits[1], len(others) - hits[1]]]
    _, chance = stats.fisher_exact(table, alternative="greater")
    return float(chance) < BY_CHANCE  # pyright: ignore[reportArgumentType]


def _sentence(entry: Entry) -> str:
    scores, found, attacked = entry.pooled(), alarms(entry), entry.findings
    if found:
        listed = "; ".join(f"{attack.title} {attack.write(scores[attack.metric])}" for attack in found)
        return f"{entry.name}: more than chance was found out about training rows by {listed}."
    said = f"{entry.name}: no attack found out more about training rows than about held-out ones, beyond chance"
    if attacked is None:
        return f"{said}."
    said, copied = f"{said}, from {attacked.rows:,} synthetic rows", int(attacked.copies.exact.sum())
    if not copied:
        return f"{said}."
    share = 100 * attacked.copies.held_out_exact.mean()
    are = "of them is, cell for cell, a training row" if copied == 1 else "of them are, cell for cell, training rows"
    return f"{said}; {copied:,} {are}, as are {share:.1f} % of the held-out ones."


def _own_words(entry: Entry, scorer: Scorer) -> Iterator[str]:
    """Of each modelled column of words that are nearly all different how many of a person's own words come back.

    Such a column is left out of all attacks, for one that is issued anew would look like a bad copy.
    """
    data, codec = scorer.data, scorer.data.codec
    modelled = [c.name for c in codec.columns if c.slots] if isinstance(codec, TableCodec) else []
    for name in modelled:
        known = series(data.train_records.values, name)
        if entry.shown is None or not identifies(known):
            continue
        words = series(entry.shown.values, name).dropna()
        back = 100 * float(words.isin(set(known.dropna())).mean()) if len(words) else 0.0
        yield (
            f"{entry.name}: “{name}” is different in nearly every row, and {back:.0f} % of its synthetic values are "
            f"those of a training row; with --type {name}=identifier others are issued."
        )


def _attacks(tried: Sequence[Entry]) -> Part:
    rows = []
    for attack in ATTACKS:
        scores = [entry.pooled().get(attack.metric) for entry in tried]
        findings = next((entry.findings for entry in tried if entry.findings is not None), None)
        if findings is None or not any(scores):
            continue
        value = attack.expected(findings)
        expected = f"{100 * value:.1f} %" if attack.unit == "%" else f"{value:.2f}" if not attack.unit else "0"
        cells = ["–" if score is None else attack.write(score) for score in scores]
        rows.append([attack.title, attack.question, expected, *cells])
    header = ["attack", "what it asks", "if nothing leaks", *(entry.name for entry in tried)]
    return Part("What was tried", ATTACKS_NOTE, [Panel("", "reference", (header, rows))])


def _attributes(families: Sequence[Entry]) -> Part:
    guesses = {entry.name: entry.findings.guesses for entry in families if entry.findings is not None}
    names = next(iter(guesses.values())).columns if guesses else []
    rows = []
    for i, name in enumerate(names):
        cells = [
            f"{100 * g.train[i]:.0f} / {100 * g.held_out[i]:.0f} %: {_points(g.gaps[i])}" for g in guesses.values()
        ]
        rows.append([name, *cells])
    return Part("Column by column", ATTRIBUTES_NOTE, [Panel("", "reference", (["guessed column", *guesses], rows))])


def _pairs(families: Sequence[Entry], scorer: Scorer) -> Part:
    panels = [_pair_table(entry, scorer) for entry in families if entry.shown is not None]
    return Part("Most like copies", PAIRS_NOTE, panels)


def _pair_table(entry: Entry, scorer: Scorer) -> Panel:
    """Three lines for each suspect: the synthetic row, the nearest training row, the nearest held-out row."""
    if scorer.attacks is None or entry.shown is None:
        return Panel(entry.name, "family", ([], []))
    made, data = entry.shown.values, scorer.data
    train, held_out = data.train_records.values, data.test_records.values
    rows = []
    for place, pair in enumerate(scorer.attacks.suspects(compared(data, made), PAIRS), 1):
        rows += [
            [f"{place} synthetic", "0", *_cells(made, pair.fake)],
            ["training", f"{pair.to_train**2:.3f}", *_cells(train, pair.train)],
            ["held out", f"{pair.to_held_out**2:.3f}", *_cells(held_out, pair.held_out)],
        ]
    return Panel(entry.name, "family", (["row", "distance", *map(str, made.columns)], rows))


def _cells(frame: pd.DataFrame, row: int) -> list[object]:
    return [None if pd.isna(value) else value for value in frame.iloc[row].tolist()]
