"""What may be typed: the options of all commands, and how their text is read.

The one constraint: nothing heavy is imported, and a mistake is a ValueError that names the option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sansheng.budget import Budget

DEFAULT_BUDGET = "60s"
SMOKE_STEPS = 2
MOST_PARAMETERS = 1e10


def option(text: str, *names: str, metavar: str | None = None, show_default: bool | None = None) -> Parameter:
    """An option with its help. metavar: what its value is called there."""
    return Parameter(names or None, help=text, metavar=metavar, show_default=show_default, negative=())


def flag(text: str, *names: str) -> Parameter:
    """A switch that is off unless it is given."""
    return option(text, *names, show_default=False)


SOURCE = option(
    "Your data: a folder, .zip or .parquet of images, a folder of recordings, a .csv or .parquet table, a .txt file of "
    "lines, a .npy or .npz array, the URL of a database; or a built-in name: "
    "digits, wine, breast-cancer, iris, diabetes, ring, grid, moons, checkerboard."
)
Source = Annotated[str, SOURCE]
RunPath = Annotated[str, option("The folder of a run, as train and compare make them.")]
Family = Annotated[str, option("Kind of model: vae, gan, diffusion or flow.")]
Preset = Annotated[str, option("Settings to begin from: default, or survey (plain networks).")]
Limit = Annotated[str | None, option("How long to train each model: 30s, 5m, 1h; 60s unless told.")]
Steps = Annotated[int | None, option("Train for so many steps instead of a time.")]
Condition = Annotated[
    list[str] | None, option("A label or column to be given, so that samples can be asked for by it.", metavar="NAME")
]
Size = Annotated[str | None, option("Trained numbers in each model: 250k, 1M or 400000.", metavar="NUMBER")]
Seed = Annotated[int, option("The same seed gives the same result.")]
Device = Annotated[str, option("auto, cpu, cuda or mps.")]
Precision = Annotated[str, option("auto, fp32 or bf16.")]
Out = Annotated[str | None, option("Where to write; without it a new folder below runs.", metavar="PATH")]
Settings = Annotated[
    list[str] | None, option("A setting of the family; may come several times.", "--set", metavar="KEY=VALUE")
]
As = Annotated[
    str | None,
    option(
        "What the data is, if the guess is wrong: image, table, text, array, series or audio.", "--as", metavar="KIND"
    ),
]
Types = Annotated[
    list[str] | None,
    option(
        "What a column of a table is, if the guess is wrong: number, integer, category, boolean, date, identifier, or "
        "text (left out); of series: number or price; may come several times.", "--type", metavar="COLUMN=TYPE",
    ),
]  # fmt: skip
Query = Annotated[str | None, option("The SELECT, if the data are a database such as sqlite:///file.db.")]
Alpha = Annotated[bool, flag("Keep the transparency of images as a channel; else they are laid over white.", "--alpha")]
Rules = Annotated[
    list[str] | None,
    option(
        'What rows of a table obey: "start <= end", "total = a + b", "0 <= age <= 120", "fixed: city, state"; may come '
        "several times.",
        "--rule",
        metavar="RULE",
    ),
]


@dataclass(frozen=True)
class HowRead:
    """How data of some kinds are to be read; None where nothing was said."""

    size: Annotated[
        str | None,
        option(
            "Of images: their side [px], or HEIGHTxWIDTH such as 28x36, cropped and resized to it; the commonest "
            "size, at most 128 a side, unless told.",
        ),
    ] = None
    window: Annotated[
        int | None,
        option("Rows of a series, or characters of a long text, that are one example; 24 or 256 unless told."),
    ] = None
    unit: Annotated[str | None, option("Of text: lines, or windows of one long text; found unless told.")] = None
    tokens: Annotated[
        str | None, option("Of text: characters, bytes, bpe (pieces of words) or bpe:2000; found unless told.")
    ] = None
    column: Annotated[str | None, option("Of text in a table: its column; that with most text unless told.")] = None
    entity: Annotated[
        str | None, option("Of series: the column that says whose row it is, such as patient.", metavar="COLUMN")
    ] = None
    group: Annotated[
        str | None,
        option(
            "Of tables: the column that says whose row it is, such as patient; all rows of one are trained on, or all "
            "are held out, and it is issued anew.",
            metavar="COLUMN",
        ),
    ] = None
    time: Annotated[str | None, option("Of series: the column of time, where it is not found.", metavar="COLUMN")] = (
        None
    )

    rate: Annotated[int | None, option("Of recordings: samples a second; theirs unless told, at most 16000.")] = None
    seconds: Annotated[float | None, option("Of recordings: how long each is; so that 99 % fit unless told.")] = None
    mels: Annotated[int | None, option("Of recordings: bands of pitch, and as many hops a second; 64 unless told.")] = (
        None
    )
    representation: Annotated[str | None, option("Of recordings: mel, or stft (complex, four times as large).")] = None
    label_pattern: Annotated[
        str | None,
        option('Of recordings: what file names say, such as "{digit}_{speaker}_{take}".', metavar="PATTERN"),
    ] = None

    def given(self) -> dict[str, str]:
        """What was said, by name."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}


Reading = Annotated[HowRead, Parameter(name="*")]
AS_READ = HowRead()
"""Nothing said."""
Force = Annotated[bool, flag("Overwrite what is there.")]
Quiet = Annotated[bool, flag("Say nothing but results and errors.")]
Number = Annotated[int, option("How many samples.", "-n", "--number")]
Smoke = Annotated[bool, flag("Two steps of everything, saving and scoring included: does it work here?")]


# -- reading -------------------------------------------------------------------------------------------------


def read_limit(budget: str | None, steps: int | None, smoke: bool = False) -> Budget:
    """How long to train: a minute unless told. Raises ValueError for what is no budget, or for two."""
    if (budget is not None) + (steps is not None) + smoke > 1:
        raise ValueError("give one of --budget, --steps and --smoke (which takes two steps)")
    if steps is not None or smoke:
        return Budget(steps=SMOKE_STEPS if smoke else steps)
    return Budget.parse(budget or DEFAULT_BUDGET)


def split_names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Names that come one by one or with commas between."""
    return tuple(name for text in texts or () for name in map(str.strip, text.split(",")) if name)


def read_pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. Raises ValueError for other texts and for a name that comes twice."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ValueError(f"{option} needs NAME=VALUE, not {text!r}")
        if key in pairs:
            raise ValueError(f"{option} {key} is given twice: {pairs[key]!r} and {value!r}")
        pairs[key] = value
    return pairs


def read_size(text: str | None) -> int | None:
    """``"250k"``, ``"1M"``, ``"400000"`` -> a number of parameters. Raises ValueError saying what one looks like."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([km]?)", text.strip().lower())
    number = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2]] if match else 0
    if not 1 <= number <= MOST_PARAMETERS:
        raise ValueError(f"--parameters is a number such as 250k, 1M or 400000, not {text!r}")
    return round(number)


def refuse_overwriting(path: str | Path | None, force: bool) -> None:
    """Raise FileExistsError if something is there, unless a person insists."""
    place = None if path is None else Path(path).expanduser()
    if place is None or force or not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    raise FileExistsError(f"{place} exists and is never overwritten; choose another --out, or give --force")
