"""The page as text: complete, closed to the network, and safe with any name."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from sansheng.report import CostCurve, Curve, HealthNote, Page, Panel, Row, ScoreCell, render
from sansheng.report.explanations import METRICS, explain

from .example import example_page, png

SECTIONS = [
    "summary",
    "samples",
    "scores",
    "intervals",
    "cost-curves",
    "learning",
    "health",
    "cost",
    "settings",
    "reproduce",
    "metrics",
]
EVIL = '<script>alert("1")</script> $x$ & \'"'


class Reader(HTMLParser):
    """Collects what a browser would see: tags, ids, texts; and that every tag is closed."""

    VOID = frozenset({"meta", "img", "link", "br", "path", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def example() -> str:
    return render(example_page(seeds=1))


def evil_page() -> Page:
    cell = ScoreCell(1.0, 0.5, 1.5, 10, "lower", EVIL)
    table = ([EVIL, "n"], [[EVIL, 1.0], [None, math.nan]])
    return Page(
        EVIL,
        [(EVIL, EVIL)],
        [EVIL],
        EVIL,
        1,
        [Row(EVIL, "family", {EVIL: cell, "frechet": cell}), Row("b", "family", {"frechet": cell})],
        [Panel(EVIL, "family", table), Panel(EVIL, "reference", [EVIL])],
        [Curve(EVIL, 0, [{"step": 1, "seconds": 1.0, "values": {EVIL: 1.0}}])],
        [CostCurve(EVIL, EVIL, [(1, 1.0, 0.5, 1.5)])],
        [HealthNote(EVIL, "failed", EVIL)],
        {EVIL: {EVIL: {EVIL: EVIL}}},
        [EVIL],
        EVIL,
        EVIL,
    )


def test_the_sections_are_there_in_order(example: str) -> None:
    assert [attrs["id"] for tag, attrs in read(example).tags if tag == "section"] == SECTIONS


def test_no_address_leaves_the_file(example: str) -> None:
    assert "http" not in example.replace("http-equiv", "")
    links = [value for _, attrs in read(example).tags for key, value in attrs.items() if key in ("href", "src")]
    assert links
    assert all(value is not None and value.startswith(("#", "data:image/png")) for value in links)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", example)


def test_every_link_within_the_page_has_its_target(example: str) -> None:
    tags = read(example).tags
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    assert {attrs["href"][1:] for tag, attrs in tags if tag == "a" and attrs["href"]} <= ids


def test_every_picture_has_words(example: str) -> None:
    reader = read(example)
    pictures = [attrs.get("alt") for tag, attrs in reader.tags if tag == "img"]
    charts = [attrs.get("aria-label") for tag, attrs in reader.tags if tag == "svg"]
    assert len(pictures) == 6
    assert len(charts) > 10
    assert all(pictures)
    assert all(charts)


def test_charts_are_well_formed_and_take_their_colours_from_the_page(example: str) -> None:
    for svg in re.findall(r"<svg.*?</svg>", example, flags=re.DOTALL):
        ElementTree.fromstring(svg)
        colours = set(re.findall(r"(?:fill|stroke): (#\w+|var\([^)]*\))", svg))
        assert "var(--soft)" in colours
        assert not {c for c in colours if c.startswith("#")} - {"#000000", "#ffffff"}


def test_the_same_page_gives_the_same_bytes(example: str) -> None:
    assert render(example_page(seeds=1)) == example


def test_whatever_a_person_named_is_escaped() -> None:
    reader = read(render(evil_page()))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.text.count(EVIL) > 15
    for svg in re.findall(r"<svg.*?</svg>", render(evil_page()), flags=re.DOTALL):
        ElementTree.fromstring(svg)


def test_real_data_come_first_among_samples(example: str) -> None:
    captions = re.findall(r'<figure class="panel (\w+)"', example)
    assert captions == ["reference"] * 2 + ["family"] * 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("held-out data", "no model saw"),
        ("training data replayed", "nothing new"),
        ("columns independent", "no relation between them"),
        ("another model", "not a model"),
    ],
)
def test_every_reference_says_what_it_is_for(name: str, words: str) -> None:
    rows = [Row(name, "reference", {"recall": ScoreCell(0.5, 0.4, 0.6, 9, "higher")})]
    assert words in read(render(Page("t", [], [], "1 s", 1, rows))).text


def test_numbers_read_from_a_file_as_text_stand_to_the_right() -> None:
    panel = Panel("held-out data", "reference", (["age", "job"], [["39", "clerk"], ["-1.5e3", ""], ["", "12a"]]))
    text = render(Page("t", [], [], "1 s", 1, [], [panel]))
    assert '<th class="number">age</th><th>job</th>' in text
    assert text.count("missing</span>") == 2


@pytest.mark.parametrize(("panels", "columns"), [(1, 1), (5, 5), (6, 6), (7, 4), (10, 5), (13, 5)])
def test_panels_stand_in_rows_of_like_length(panels: int, columns: int) -> None:
    page = Page("t", [], [], "1 s", 1, [], [Panel(str(i), "family", ["a"]) for i in range(panels)])
    assert f'--columns:{columns}"' in render(page)


def test_wide_pictures_stand_at_most_three_beside_each_other() -> None:
    wide, square = (png(np.zeros((4, width), np.uint8)) for width in (8, 4))
    for picture, columns in [(wide, 3), (square, 5)]:
        page = Page("t", [], [], "1 s", 1, [], [Panel(str(i), "family", picture) for i in range(5)])
        assert f'--columns:{columns}"' in render(page)


def test_a_missing_value_of_a_table_is_said() -> None:
    text = render(replace(example_page(seeds=1), rows=[], curves=[], cost_curves=[], panels=evil_page().panels))
    assert text.count("missing</span>") == 2


@pytest.mark.parametrize("rows", [[], [Row("vae", "family")], [Row("held-out data", "reference")]])
def test_a_page_with_nothing_measured_still_stands(rows: list[Row]) -> None:
    sections = [attrs["id"] for tag, attrs in read(render(Page("t", [], [], "1 s", 1, rows))).tags if tag == "section"]
    assert sections == SECTIONS


def test_values_that_are_not_finite_do_not_break_a_chart() -> None:
    cell = ScoreCell(1.0, math.nan, math.inf, 10, "lower")
    curve = Curve("vae", 0, [{"step": i, "seconds": float(i), "values": {"loss": math.nan}} for i in range(3)])
    cost = [CostCurve("vae", "frechet", [(1, math.inf, 0, 1)]), CostCurve("flow", "frechet", [(2, 1.0, math.nan, 2)])]
    rows = [Row("vae", "family", {"frechet": cell}), Row("flow", "family", {"frechet": cell})]
    page = render(Page("t", [], [], "1 s", 1, rows, curves=[curve], cost_curves=cost))
    sections = [attrs["id"] for tag, attrs in read(page).tags if tag == "section"]
    assert {"scores", "intervals", "cost"} <= set(sections)


def test_winners_are_marked_as_the_summary_says() -> None:
    close, far = ScoreCell(1.0, 0.9, 1.1, 10, "lower"), ScoreCell(2.0, 1.9, 2.1, 10, "lower")
    rows = [Row("a", "family", {"x": close, "y": close}), Row("b", "family", {"x": close, "y": far})]
    text = render(Page("t", [], [], "1 s", 2, rows))
    assert text.count("clear win</span>") == 1
    assert text.count("tied with b</span>") == 1


def test_every_metric_of_the_product_is_explained_with_its_source() -> None:
    assert all(entry.text.endswith((".", "?")) and entry.source for entry in METRICS.values())
    assert explain("my_own_score").title == "My own score"


def test_a_picture_that_is_not_a_png_is_refused() -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        Panel("vae", "family", b"GIF89a")
    assert Panel("vae", "family", png(np.zeros((4, 4), np.uint8))).form == "image"


def test_timings_that_do_not_match_the_points_are_refused() -> None:
    with pytest.raises(ValueError, match="1 points but 2 timings"):
        CostCurve("flow", "frechet", [(1, 1.0, 0.9, 1.1)], [0.1, 0.2])
