"""The chapter of a report on privacy: what attacks on the synthetic tables found out about the training rows.

The one constraint: every figure stands beside what the same attack finds out about people who were not trained on,
and the page says that these are estimates and no guarantee.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from sansheng.entry import Entry
from sansheng.metrics import Score
from sansheng.metrics.bootstrap import Interval, share_interval
from sansheng.metrics.privacy import Findings
from sansheng.report import Chapter, Panel, Part
from sansheng.score import Scorer
from sansheng.score_kinds import compared

PAIRS = 4
SPACE = "\N{NO-BREAK SPACE}"
NOTE = (
    "These are estimates, no guarantee: they say what the attacks below found out with this number of rows, and a "
    "stronger attack, more synthetic rows or knowledge from elsewhere may find out more. Only training with "
    "differential privacy bounds that for every attack, and nothing here was trained so. Whether a table may be given "
    "away is for a person to decide. This page shows real rows: treat it as you treat the data."
)
ATTACKS_NOTE = (
    "What an attack also finds out about held-out people, whom the model never saw, is knowledge of the population and "
    "no leak: each value stands beside the one to expect if nothing leaks. Brackets are 95 % intervals; by chance one "
    "in forty lies wholly above that value. “Training data replayed” shows what handing out as many real rows "
    "would cost: where even that is hardly found, an attack is weak here and proves little."
)
ATTRIBUTES_NOTE = (
    "Someone knows all of a person but one column, and takes for it the value of the most similar synthetic row. Right "
    "is the same level, or within five percentiles. In each cell: right for training people / for held-out people, and "
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
        *(lambda found: found.copies.held_out_exact, "%"),
    ),
    Attack(
        *("near_copies", "near copies", "nearer to a training row than 99 % of held-out rows are", _percent),
        *(lambda found: found.copies.held_out_near, "%"),
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
    return Chapter("Privacy", NOTE, [_sentence(entry) for entry in families], parts)


def alarms(entry: Entry) -> list[Attack]:
    """The attacks whose interval lies wholly above what is to be expected without a leak.

    A share of copies is held against the upper end for held-out rows, whose share is itself found on few.
    """
    scores, found = entry.pooled(), entry.findings
    if found is None:
        return []
    copies = {
        "copied": share_interval(found.copies.held_out_exact, found.copies.held_out).high,
        "near_copies": share_interval(found.copies.held_out_near, found.copies.held_out).high,
    }
    known = [attack for attack in ATTACKS if attack.metric in scores]
    return [a for a in known if scores[a.metric].low > copies.get(a.metric, a.expected(found))]


def _sentence(entry: Entry) -> str:
    scores, found = entry.pooled(), alarms(entry)
    if not found:
        return f"{entry.name}: none of the attacks found out more about training rows than about held-out ones."
    listed = "; ".join(f"{attack.title} {attack.write(scores[attack.metric])}" for attack in found)
    return f"{entry.name}: more than chance was found out about training rows by {listed}."


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
