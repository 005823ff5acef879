"""One colour and one symbol for each thing compared, the same in every table, chart and caption.

The one constraint: colour never speaks alone; each family also has its own shape, and a second preset of a
family is hollow. Hues are Okabe and Ito's (2008), safe for colour-blind readers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sansheng.report.page import Row

FAMILIES = ("vae", "gan", "diffusion", "flow")
COLOURS = {
    "vae": "#c27500",
    "gan": "#b5478f",
    "diffusion": "#2b6cb0",
    "flow": "#0f8a6a",
    "other-a": "#8a6d3b",
    "other-b": "#5f6fb2",
    "reference": "#767b82",
}
"""Name of the CSS colour -> its value on a light page."""
SHAPES = {"vae": "s", "gan": "^", "diffusion": "o", "flow": "D", "other-a": "v", "other-b": "p", "reference": "x"}
FILLED = {"s": "■", "^": "▲", "o": "●", "D": "◆", "v": "▼", "p": "⬟", "x": "×"}
HOLLOW = {"s": "□", "^": "△", "o": "○", "D": "◇", "v": "▽", "p": "⬠", "x": "×"}


@dataclass(frozen=True)
class Mark:
    """css: name of the CSS colour. shape: matplotlib's marker. hollow: a further preset of the same family."""

    css: str
    shape: str
    hollow: bool = False

    @property
    def colour(self) -> str:
        return COLOURS[self.css]

    @property
    def symbol(self) -> str:
        return (HOLLOW if self.hollow else FILLED)[self.shape]


REFERENCE = Mark("reference", SHAPES["reference"])


def marks(rows: Iterable[Row]) -> dict[str, Mark]:
    """name -> mark. Among presets of one family the one with the shortest name is filled."""
    rows = list(rows)
    names = [row.name for row in rows if row.kind == "family"]
    strangers = list(dict.fromkeys(base for name in names if (base := family_of(name)) not in FAMILIES))
    plainest = {family_of(name): name for name in sorted(names, key=len, reverse=True)}
    found = {row.name: REFERENCE for row in rows if row.kind == "reference"}
    for name in names:
        base = family_of(name)
        css = base if base in FAMILIES else ("other-a", "other-b")[strangers.index(base) % 2]
        found[name] = Mark(css, SHAPES[css], hollow=plainest[base] != name)
    return found


def family_of(name: str) -> str:
    """``"vae (survey)"`` -> ``"vae"``."""
    match = re.match(r"\s*([^\W_]+)", name)
    return match.group(1).lower() if match else name
