"""What a comparison shows beyond scores: the samples most like copies, each class by itself, and what small n does.

The one constraint: nothing here ranks; a score that counts is in `score`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from sansheng.codecs.audio import AudioCodec
from sansheng.codecs.base import Codec, Records
from sansheng.codecs.image import grid, to_picture
from sansheng.codecs.series import SeriesCodec
from sansheng.entry import Entry
from sansheng.privacy_chapter import privacy_chapter
from sansheng.quality_chapter import quality_chapter
from sansheng.report import Chapter, Clip, Panel, Section
from sansheng.score import LIMIT, Scorer
from sansheng.series_plots import fans

PAIRS = 8
ENLARGED = 480
"""[px] that a picture of pairs is wide, about."""
PAIRS_NOTE = (
    "Of each model the eight samples that are nearest to a training example compared with held-out ones. Top row: the "
    "sample; middle: the nearest training example; bottom: the nearest held-out example. A copy looks like the middle "
    "and not like the bottom; whether there are more of them than chance allows is what the score of copying says."
)
HEARD_NOTE = (
    "Recordings to listen to, with their spectrograms: time runs to the right, pitch upwards, and what is bright is "
    "loud. What was asked for stands below. The held-out recordings through the representation are the ceiling."
)
CLIPS = 10
TIME_NOTE = (
    "Grey: real training windows. Left: the quantiles at 5, 25, 50, 75 and 95 % of all windows at each step; middle: "
    "single windows; right: how a value remembers those before it, at lags 1 to 10. The coloured lines of a model that "
    "is right lie on the grey ones; those of held-out data are apart where the series themselves have changed in time."
)
CLASSES_NOTE = (
    "Each class as a classifier trained on the real labels sees it: the share of samples that fall in it, and in "
    "brackets the Fréchet distance within it, where there are enough samples to tell. A class that is rarer than in "
    "the held-out data, or farther than the others, is what a model has neglected."
)


def closer_look(entries: Sequence[Entry], scorer: Scorer) -> list[Section]:
    """The sections that these data have something for."""
    sections = []
    families = [entry for entry in entries if entry.runs and entry.shown is not None]
    if scorer.data.kind == "image" and families:
        panels = [_pairs(entry.name, entry.shown, scorer) for entry in families if entry.shown is not None]
        sections.append(Section("Nearest to training data", PAIRS_NOTE, panels))
    if isinstance(scorer.data.codec, SeriesCodec) and families:
        real, names = scorer.data.train_records, scorer.data.codec.names
        shown = [e for e in entries if e.shown is not None and not e.name.startswith("training")]
        panels = [Panel(e.name, e.kind, fans(e.name, real, e.shown, names)) for e in shown if e.shown is not None]
        sections.append(Section("In time", TIME_NOTE, panels))
    if isinstance(scorer.data.codec, AudioCodec):
        shown = [entry for entry in entries if entry.shown is not None and not entry.name.startswith("training")]
        heard = [Panel(e.name, e.kind, _clips(scorer.data.codec, e.shown)) for e in shown if e.shown is not None]
        sections.append(Section("To listen to", HEARD_NOTE, heard))
    if scorer.classifier is not None:
        sections.append(Section("Class by class", CLASSES_NOTE, [_classes(entries, scorer)]))
    return sections


def table_chapters(entries: Sequence[Entry], scorer: Scorer) -> list[Chapter]:
    """What there is to say of tables: their quality and their privacy."""
    if scorer.data.kind != "table":
        return []
    return [quality_chapter(entries, scorer), privacy_chapter(entries, scorer)]


def bias_notes(scorer: Scorer) -> list[str]:
    """How much of the Frechet distance is only for want of samples."""
    found, n = scorer.bias(np.random.default_rng(0)), min(len(scorer.held_out), LIMIT)
    if found is None:
        return []
    return [
        f"The Fréchet distance is biased upwards by few samples: by about {max(found, 0):.2g} with {n:,}, as found on "
        "real data. It compares within this report, not with figures at another number of samples."
    ]


def _pairs(name: str, records: Records, scorer: Scorer) -> Panel:
    """The suspects above their nearest training and held-out neighbours, as one picture."""
    pairs, data = scorer.pairs(records), scorer.data
    worst = pairs.suspects(PAIRS)
    rows = [
        records.take(worst),
        data.train_records.take(scorer.which[pairs.train[worst]]),
        data.test_records.take(pairs.held_out[worst]),
    ]
    return Panel(name, "family", _sheet(data.codec, rows[0].join(rows[1]).join(rows[2]), len(worst)))


def _clips(codec: AudioCodec, records: Records) -> list[Clip]:
    """The first recordings, each with its labels, spread over the classes there are."""
    some = records.take(np.linspace(0, len(records) - 1, min(CLIPS, len(records))).astype(int))
    clips = []
    for i, wave in enumerate(some.values):
        sound, picture = io.BytesIO(), io.BytesIO()
        soundfile.write(sound, wave, codec.layout.rate, format="WAV", subtype="PCM_16")
        to_picture(codec.sheet(wave[None], enlarged=ENLARGED // 4)).save(picture, format="PNG")
        said = ", ".join(f"{name} {column[i]}" for name, column in some.labels.items() if name in codec.condition_names)
        clips.append(Clip(said, sound.getvalue(), picture.getvalue()))
    return clips


def _sheet(codec: Codec, records: Records, columns: int) -> bytes:
    """Pictures in rows of `columns`, enlarged by a whole number, as PNG."""
    page = grid(np.asarray(records.values), columns)
    times = max(1, round(ENLARGED / page.shape[1]))
    page = page.repeat(times, 0).repeat(times, 1)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "pairs.png"
        to_picture(page).save(path, format="PNG")
        return path.read_bytes()


def _classes(entries: Sequence[Entry], scorer: Scorer) -> Panel:
    """A row for each class: share and Frechet distance of every entry, in one cell, so that none is out of sight."""
    shown = [entry for entry in entries if entry.shown is not None]
    found = [scorer.classes(entry.shown) for entry in shown if entry.shown is not None]
    columns = ["class", *(entry.name for entry in shown)]
    rows = []
    for place, (name, _) in enumerate(found[0]):
        row = [name]
        for classes in found:
            one = classes[place][1]
            share = one.fake / max(1, sum(c.fake for _, c in classes))
            row.append(f"{100 * share:.1f} %" + ("" if one.distance is None else f" ({one.distance:.3g})"))
        rows.append(row)
    return Panel("classes", "reference", (columns, rows))
