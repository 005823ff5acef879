"""The report of a comparison: one HTML file that opens offline, and the same verdicts as plain data.

It imports nothing else of sansheng: whoever compares fills a `Page` and hands it to `render`.
"""

from __future__ import annotations

from sansheng.report.page import (
    Chapter,
    Clip,
    CostCurve,
    Curve,
    Distribution,
    HealthNote,
    Heat,
    LossPoint,
    Page,
    Panel,
    Part,
    Row,
    ScoreCell,
    Section,
    Table,
)
from sansheng.report.render import render
from sansheng.report.summary import RankedRow, Summary, Winner, ranked_table, summarise

__all__ = [
    "Chapter",
    "Clip",
    "CostCurve",
    "Curve",
    "Distribution",
    "HealthNote",
    "Heat",
    "LossPoint",
    "Page",
    "Panel",
    "Part",
    "RankedRow",
    "Row",
    "ScoreCell",
    "Section",
    "Summary",
    "Table",
    "Winner",
    "ranked_table",
    "render",
    "summarise",
]
