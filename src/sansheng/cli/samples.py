"""Samples as files, written whole or not at all, and as text for a pipe.

The one constraint: what is there is replaced only once everything is written, and only by what sansheng has made.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansheng.codecs.base import Codec, Records, Settled
from sansheng.codecs.text import TextCodec
from sansheng.codecs.text_file import read_text
from sansheng.errors import DataError
from sansheng.events import Event, Observer
from sansheng.filling import Drawing
from sansheng.forecasting import codec_of, lengthen
from sansheng.run import Run
from sansheng.stream import can_stream, write_stream

TEXT_SUFFIXES = (".txt", ".csv")
"""Of what is printed: lines where records are that and no more, else CSV, which has room for labels."""
OWN = re.compile(r"\d{5,}\.(png|wav)|grid\.png|labels\.csv")
"""Names of the files in a folder of images or recordings that we wrote."""


def read_for(trained: Run, data: str, *, resized: bool = True) -> Records:
    """A person's records, read as those the model was trained on were; pictures in their own size unless `resized`."""
    from sansheng.data import read_records

    reference = trained.recipe.data
    settled = trained.codec.reading() if isinstance(trained.codec, Settled) else {}
    options = settled | {name: value for name, value in reference.options.items() if resized or name != "size"}
    how = {"alpha": reference.alpha, "types": reference.types, "options": options}
    return read_records(data, trained.codec.kind, **how)


def read_unfinished(trained: Run, data: str, *, resized: bool = True) -> Records:
    """As `read_for`, but a file for a model of windows of text is one text, of any length, and one of lines is all of
    them, repeated ones too."""
    codec, path = trained.codec, Path(data).expanduser()
    whole = isinstance(codec, TextCodec) and codec.unit == "windows"
    if not isinstance(codec, TextCodec) or not (whole or path.suffix.lower() == ".txt"):
        return read_for(trained, data, resized=resized)
    text = read_text(path).removesuffix("\n")
    lines = [text] if whole else [line for line in text.split("\n") if line]
    if not lines:
        raise DataError(f"{path}: no lines of text in it")
    return Records(lines, {}, {"unit": codec.unit})


def target(run: Run, out: str | None, choices: Mapping[str, Any]) -> Path | None:
    """Where samples of `run` go: to `out`, or printed (None) if they can be text, or to a folder in the run.

    choices: the arguments of `Run.draw`, all but the number. One sample is drawn and written on trial, so that a
    mistake in any of them is found before the work is done. Raises ValueError for it.
    """
    one = run.draw(1, **choices)
    if out is not None:
        path = Path(out).expanduser()
        _file_content(run.codec, one, path.suffix)
        return path
    return None if text(run.codec, one) is not None else run.path / f"samples-seed{choices['seed']}"


def drawn(run: Run, n: int, choices: Mapping[str, Any], observe: Observer, length: int | None = None) -> Records:
    """`n` examples; of series as many steps in time as `length` says. Raises ValueError where nothing can be longer."""
    if length is not None:
        codec_of(run)  # before the work of drawing, not after
    records = run.draw(n, **choices, observe=observe)
    if length is None:
        return records
    how = Drawing(seed=choices["seed"], steps=choices["steps"], sampler=choices["sampler"])
    return lengthen(run, records, length, how)


def draw_and_write(
    run: Run, n: int, path: Path, choices: Mapping[str, Any], observe: Observer, length: int | None = None
) -> None:
    """Draw `n` examples and write them to `path`; piece by piece where they are many rows that go to Parquet."""
    if not can_stream(run, path, n):
        write(run.codec, drawn(run, n, choices, observe, length), path)
        return
    how = {name: value for name, value in choices.items() if name != "seed"}

    def tell(done: int, total: int) -> None:
        observe(Event("phase", f"{done:,} of {total:,} rows written"))

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sansheng-") as scratch:
        fresh = Path(scratch) / path.name
        draw = lambda count, seed: run.draw(count, seed=seed, **how, observe=observe)  # noqa: E731
        write_stream(run, n, fresh, seed=choices["seed"], draw=draw, tell=tell)
        os.replace(fresh, path)


def write(codec: Codec, records: Records, path: Path) -> None:
    """Write records as the suffix asks for, then put them in the place of what is there.

    Raises DataError if that is a folder with files we did not write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sansheng-") as scratch:
        fresh = Path(scratch) / path.name
        codec.write(records, fresh)
        if path.is_dir() and not path.is_symlink():
            _remove(path)
        os.replace(fresh, path)


def text(codec: Codec, records: Records) -> str | None:
    """The records as CSV or as lines; None for those that are neither."""
    for suffix in reversed(TEXT_SUFFIXES) if records.labels else TEXT_SUFFIXES:
        try:
            return _file_content(codec, records, suffix).decode("utf-8")
        except ValueError:
            continue
    return None


def _file_content(codec: Codec, records: Records, suffix: str) -> bytes:
    """What a file with this suffix would hold; nothing for a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"samples{suffix}"
        codec.write(records, path)
        return path.read_bytes() if path.is_file() else b""


def _remove(folder: Path) -> None:
    strangers = [path.name for path in folder.iterdir() if path.is_dir() or not OWN.fullmatch(path.name)]
    if strangers:
        raise DataError(f"{folder} holds {strangers[0]!r}, which is no sample; it is left alone: choose another --out")
    shutil.rmtree(folder)
