"""Pictures of tables: real data grey, models in their colours, names escaped, and only strong pairs drawn."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from sansheng.report import Chapter, Distribution, Heat, Page, Panel, Part, Row, ScoreCell, render
from sansheng.report.marks import marks
from sansheng.report.tabular import distribution_charts, heat_chart

EVIL = "<b>$\\x & \"'"
ROWS = [Row("vae", "family", {"shape_error": ScoreCell(1.0, 0.5, 1.5, 10, "lower", "%")}), Row("gan", "family")]
NUMBERS = Distribution(
    EVIL, [0.0, 1.0, 2.0], {"real": [0.5, 0.3], "vae": [0.4, 0.4]}, {"real": 0.2, "vae": 0.2}, {"vae": 3.25}
)
DATES = Distribution("seen", [0.0, 86400.0 * 366], {"real": [1.0], "gan": [1.0]}, {}, dates=True)
LEVELS = Distribution("ward", ["a", EVIL], {"real": [0.5, 0.5], "gan": [0.9, 0.1]}, {"real": 0.0, "gan": 0.0})
HEAT = Heat(EVIL, "note", [EVIL, "b", "c"], [[1, -0.5, None], [-0.5, 1, 0.001], [None, 0.001, 1]], 1.0, signed=True)


def charts() -> list[str]:
    return [str(chart.svg) for chart in distribution_charts([NUMBERS, DATES, LEVELS], marks(ROWS))]


def test_columns_are_drawn_in_the_colours_of_the_page() -> None:
    numbers, dates, levels = charts()
    for svg in (numbers, dates, levels):
        ElementTree.fromstring(svg)
        assert not set(re.findall(r"(?:fill|stroke): (#\w+)", svg)) - {"#000000", "#ffffff"}
        assert "var(--reference)" in svg
    assert "var(--vae)" in numbers
    assert "var(--gan)" in levels
    assert ">missing<" in numbers
    assert ">missing<" not in levels
    assert ">1970-01-01<" in dates
    assert ">1971-01-02<" in dates


def test_the_error_of_a_column_stands_beside_its_name() -> None:
    chart = distribution_charts([NUMBERS], marks(ROWS))[0]
    assert (chart.title, chart.note) == (EVIL, "off by vae 3.2 %")


def test_a_heat_map_has_a_cell_for_each_pair_that_is_strong_enough_and_known() -> None:
    svg = str(heat_chart(HEAT).svg)
    tree = ElementTree.fromstring(svg)
    titles = [cell.text for cell in tree.iter("title")]
    assert titles == [f"{EVIL} × b: -0.5", f"b × {EVIL}: -0.5"]
    assert svg.count('fill="var(--bad)" fill-opacity="0.50"') == 2


def test_chapters_have_their_place_and_everything_in_them_is_escaped() -> None:
    table = Panel("", "reference", ([EVIL], [[EVIL]]))
    parts = [
        Part(EVIL, EVIL, [table], [NUMBERS, LEVELS], [("vae", [HEAT])]),
        Part("Pairs", "", [Panel(EVIL, "family", ([EVIL], [[None]]))]),
    ]
    page = Page("t", [], [], "1s", 1, ROWS, chapters=[Chapter("Quality", EVIL, [EVIL], parts)])
    text = render(page)
    assert "<b>$" not in text
    assert '<section id="quality">' in text
    assert '<a href="#quality">Quality</a>' in text
    assert text.index('id="samples"') < text.index('id="quality"') < text.index('id="scores"')
    HTMLParser().feed(text)
