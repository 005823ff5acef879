"""Who won on what, by how much, and whether the 95 % intervals say so.

The one constraint: only families are ranked, and two whose intervals overlap are never called different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sansheng.report.explanations import explain
from sansheng.report.numbers import fixed, plain, value_text
from sansheng.report.page import Number, Page, Row, ScoreCell

TOLD = 0.98
"""Two-sample AUC from which on samples are as good as always told from real data."""


@dataclass(frozen=True)
class Winner:
    """The best family on one metric.

    margin: |best − next| / |next|, or None where there is no next family or it scores 0.
    significant: the interval of every other family is apart from the winner's; False where neither has one.
    tied: the families whose interval does overlap, in the order of their values.
    """

    metric: str
    name: str
    cell: ScoreCell
    runner_up: str | None
    margin: float | None
    significant: bool
    tied: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class RankedRow:
    """One line of the ranked table.

    rank: from 1, shared by equal mean ranks. metrics: how many it was ranked on. wins: metrics on which it is
    best and no other interval overlaps. shared: metrics on which it is best or its interval overlaps the best.
    cost: as in `Row`.
    """

    rank: int
    name: str
    mean_rank: float
    metrics: int
    wins: int
    shared: int
    train_seconds: Number | None
    sample_seconds_per_1000: Number | None
    parameters: Number | None


@dataclass(frozen=True)
class Summary:
    """ranking: (name, mean rank), best first. footnotes: metric -> why it proves little by itself here."""

    ranking: list[tuple[str, float]]
    winners: list[Winner]
    sentences: list[str]
    footnotes: dict[str, str]

    def winner(self, metric: str) -> Winner | None:
        return next((w for w in self.winners if w.metric == metric), None)


def summarise(page: Page) -> Summary:
    """Rank the families of `page` and say in plain English what its scores show.

    The ranking is by mean rank over the ranked metrics that at least two families have; equal values share the mean of
    their ranks, and a metric that a family lacks is left out of its mean.
    """
    winners = [_winner(metric, page.cells(metric)) for metric in page.contested if page.cells(metric)]
    ranking = _ranking(page)
    sentences = [*_far(page), *_overall(page, ranking, winners), *_cautions(page, ranking)]
    return Summary(ranking, winners, sentences, _footnotes(page))


def ranked_table(page: Page) -> list[RankedRow]:
    """The ranking with wins and costs, best first; families without any shared metric are left out."""
    summary = summarise(page)
    rows = {row.name: row for row in page.families}
    means = [mean for _, mean in summary.ranking]
    contested = [w for w in summary.winners if w.runner_up is not None]
    return [
        RankedRow(
            rank=1 + sum(other < mean for other in means),
            name=name,
            mean_rank=mean,
            metrics=len(_ranks_of(page, name)),
            wins=sum(w.name == name and w.significant for w in contested),
            shared=sum(not w.significant and name in (w.name, *w.tied) for w in contested),
            train_seconds=rows[name].cost.get("train_seconds"),
            sample_seconds_per_1000=rows[name].cost.get("sample_seconds_per_1000"),
            parameters=rows[name].cost.get("parameters"),
        )
        for name, mean in summary.ranking
    ]


# -- ranks -------------------------------------------------------------------------------------------------


def _ranking(page: Page) -> list[tuple[str, float]]:
    ranks = {row.name: _ranks_of(page, row.name) for row in page.families}
    return sorted(((name, fmean(r)) for name, r in ranks.items() if r), key=lambda pair: pair[1])


def _ranks_of(page: Page, name: str) -> list[float]:
    """The rank of one family on each metric that it and some other family have."""
    tables = (page.cells(metric) for metric in page.contested)
    return [_rank(cells, name) for cells in tables if name in cells and len(cells) > 1]


def _rank(cells: dict[str, ScoreCell], name: str) -> float:
    """1 is best; equal values share the mean of the ranks they span."""
    mine = cells[name]
    better = sum(other.beats(mine) for other in cells.values())
    equal = sum(other.value == mine.value for other in cells.values())
    return better + (1 + equal) / 2


# -- winners -----------------------------------------------------------------------------------------------


def _winner(metric: str, cells: dict[str, ScoreCell]) -> Winner:
    sign = 1 if next(iter(cells.values())).better == "lower" else -1
    order = sorted(cells, key=lambda name: sign * cells[name].value)
    best, others = order[0], order[1:]
    tied = tuple(name for name in others if cells[name].overlaps(cells[best]))
    runner_up = others[0] if others else None
    margin = None
    if runner_up is not None and cells[runner_up].value != 0:
        margin = abs(cells[best].value - cells[runner_up].value) / abs(cells[runner_up].value)
    won = bool(others) and all(cells[name].apart(cells[best]) for name in others)
    sentence = _sentence(metric, best, runner_up, tied, cells, won=won)
    return Winner(metric, best, cells[best], runner_up, margin, won, tied, sentence)


def _sentence(
    metric: str, best: str, runner_up: str | None, tied: tuple[str, ...], cells: dict[str, ScoreCell], *, won: bool
) -> str:
    title, cell = explain(metric).title, cells[best]
    score = f"{value_text(cell)}{unit_text(cell.unit)}"
    if runner_up is None:
        return f"{title}: only {best} was measured, at {score}."
    if tied:
        lead = f"{title}: {best} has the best value, {score}, but its 95 % interval overlaps that of {listed(tied)}"
        return f"{lead}: tied."
    gap = difference(cell, cells[runner_up])
    if not won:
        return f"{title}: {best} has the best value, {score}, {gap} {runner_up}, but no interval is known: not called."
    return f"{title}: {best} wins at {score}, {gap} {runner_up}, and the 95 % intervals do not overlap."


def difference(best: ScoreCell, other: ScoreCell) -> str:
    """How far `best` is from `other`, as in "22 % lower than"; absolute where a ratio would mean nothing."""
    word = "lower" if best.value < other.value else "higher"
    gap = abs(best.value - other.value)
    if gap == 0:
        return "equal to"
    if other.value <= 0 or best.value < 0:
        return f"{plain(gap, 2)} {word} than"
    share = gap / abs(other.value)
    if word == "higher" and share > 2 and other.value > 0:
        return f"{plain(1 + share, 2)} times as high as"
    return f"{plain(100 * share, 2)} % {word} than"


# -- sentences ---------------------------------------------------------------------------------------------


def _far(page: Page) -> list[str]:
    """Before anything is praised: whether all models are still told from real data at a glance."""
    told = [row.measured("two_sample_auc") for row in page.families]
    values = [cell.value for cell in told if cell is not None]
    if not values or len(values) < len(told) or min(values) < TOLD:
        return []
    whose = "No model is" if len(told) > 1 else "The model is not"
    return [
        f"{whose} close to the data yet: a classifier tells samples from real data nearly always (two-sample AUC "
        f"{fixed(min(values), 2)} or more). Look at the samples; ranks among models this far off say little, "
        "and a longer budget is the first thing to try."
    ]


def _overall(page: Page, ranking: list[tuple[str, float]], winners: list[Winner]) -> list[str]:
    if not ranking:
        return ["Nothing could be ranked: no metric was measured for two families or more."]
    (first, mean), rest = ranking[0], ranking[1:]
    contested = [w for w in winners if w.runner_up is not None]
    level = [name for name, other in rest if other == mean]
    ahead = f", ahead of {rest[0][0]} ({fixed(rest[0][1], 1)})" if rest and not level else ""
    place = f"{listed([first, *level])}, level, each" if level else f"{first},"
    head = f"First overall: {place} with a mean rank of {fixed(mean, 1)}"
    head = f"{head} over {_metrics(len(_ranks_of(page, first)))}{ahead}"
    sentences = [f"{head}; {_apart(page, first, rest[0][0])}." if rest else f"{head}."]
    return [*sentences, *_wins(page, ranking, contested), *_ties(contested)]


def _wins(page: Page, ranking: list[tuple[str, float]], contested: list[Winner]) -> list[str]:
    """For each family what it clearly wins, and by how much."""
    sentences = []
    for name, _ in ranking:
        won = [
            f"{explain(w.metric).in_sentence} ({difference(w.cell, page.cells(w.metric)[w.runner_up])} {w.runner_up})"
            for w in contested
            if w.name == name and w.significant and w.runner_up is not None
        ]
        if won:
            sentences.append(f"Clear wins for {name}, no other family's 95 % interval overlapping: {listed(won)}.")
    return sentences


def _ties(contested: list[Winner]) -> list[str]:
    tied = [explain(w.metric).in_sentence for w in contested if w.tied]
    unsure = [explain(w.metric).in_sentence for w in contested if not w.tied and not w.significant]
    sentences = [f"Tied, because the intervals of the best overlap: {listed(tied)}."] if tied else []
    return sentences + ([f"Not called, because no interval is known: {listed(unsure)}."] if unsure else [])


def _apart(page: Page, first: str, second: str) -> str:
    """On how many metrics the intervals tell the two best families apart, and for whom."""
    pairs = [
        (cells[first], cells[second]) for m in page.contested if {first, second} <= (cells := page.cells(m)).keys()
    ]
    apart = [mine.beats(other) for mine, other in pairs if mine.apart(other)]
    if not apart:
        return f"but the 95 % intervals tell the two apart on none of {_metrics(len(pairs))}: call it a tie"
    whom = f"{sum(apart)} for {first}, {len(apart) - sum(apart)} for {second}"
    if all(apart) or not any(apart):
        whom = f"in favour of {first if apart[0] else second}"
    return f"the 95 % intervals tell the two apart on {len(apart)} of {_metrics(len(pairs))} ({whom})"


def _cautions(page: Page, ranking: list[tuple[str, float]]) -> list[str]:
    sentences = []
    if page.seeds < 2 and ranking:
        sentences.append(
            "Each family was trained once, so the intervals do not cover the luck of training; "
            "three seeds or more would."
        )
    most = max((len(_ranks_of(page, name)) for name, _ in ranking), default=0)
    fewer = [name for name, _ in ranking if len(_ranks_of(page, name)) < most]
    if fewer:
        sentences.append(f"Not every metric was measured for {listed(fewer)}; the mean rank is over those that were.")
    unranked = [row.name for row in page.families if row.name not in dict(ranking)]
    if unranked and ranking:
        sentences.append(f"Not ranked for want of scores: {listed(unranked)}.")
    return sentences


def _footnotes(page: Page) -> dict[str, str]:
    """metric -> a warning, where a reference that is no model beats every family; one text for all its metrics."""
    notes: dict[str, str] = {}
    for row in filter(_trap, page.references):
        beaten = [metric for metric in page.contested if _beats_all(page, row, metric)]
        for metric in beaten:
            notes[metric] = " ".join(filter(None, (notes.get(metric), _warning(row, beaten))))
    return notes


def _beats_all(page: Page, row: Row, metric: str) -> bool:
    mine, cells = row.measured(metric), page.cells(metric)
    return mine is not None and bool(cells) and all(mine.beats(cell) for cell in cells.values())


def _trap(row: Row) -> bool:
    """True for a reference that no one would call a good model."""
    return any(word in row.name.lower() for word in ("training", "column"))


def _warning(row: Row, metrics: Sequence[str]) -> str:
    titles = listed([explain(metric).in_sentence for metric in metrics])
    these = "this metric alone does" if len(metrics) == 1 else "these metrics alone do"
    if "column" in row.name.lower():
        why = f"It ignores every relation between columns, so {these} not show that a row makes sense."
    else:
        why = f"It only repeats the training data, so {these} not show that anything new was made."
    return f"“{row.name}” beats every family on {titles}. {why}"


def _metrics(number: int) -> str:
    return f"{number} metric" if number == 1 else f"{number} metrics"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def unit_text(unit: str) -> str:
    """The unit with the space before it; nothing where it is long or says no more than the name of the metric."""
    return f" {unit}" if unit and len(unit) <= 10 and unit not in ("share", "ratio", "AUC") else ""
