"""Recordings as people have them, of any format, rate and length, to waves of one rate and length.

The rule, the same for every file: channels are averaged; the wave is resampled, its mean taken away and its peak
brought to 0.95; it stands in the middle of silence, or, where it is longer than that, its loudest stretch is kept.

The one constraint: nothing that is changed or left out goes unsaid.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.each import MAX_BROKEN, each
from sansheng.codecs.folder import shelf_of_folder
from sansheng.codecs.label_file import composed, label_columns, to_labels
from sansheng.codecs.pixels import counted
from sansheng.codecs.shelf import SUFFIXES as PICTURES
from sansheng.codecs.shelf import Listing, Shelf
from sansheng.errors import DataError, unknown

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
OPTIONS = ("rate", "seconds", "mels", "representation", "label_pattern")
REPRESENTATIONS = ("mel", "stft")
MEL_BANDS = 64
MEL_BANDS_SECONDS = 1.024
"""A second or so has as many hops as there are mel bands: 16 ms each with 64 of them."""
HIGHEST_RATE = 16_000
LOWEST_RATE, MOST_RATE = 1000, 192_000
PEAK = 0.95
FIT = 0.99
"""The share of recordings that are to fit whole."""
FRAMES = 16
"""The number of hops is a multiple of this."""
MOST_FRAMES = 256
CHUNK = 256
MOST_LOOKED_AT = 1000
MOST_NAMED = 5
OPPOSED = 1e-3
"""With less than this of their amplitude left by averaging, channels cancel one another out."""
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Layout:
    """Waves of `samples` at `rate` [Hz], a whole number of hops of `hop` samples, as `mels` bands or complex."""

    rate: int
    samples: int
    hop: int
    mels: int
    representation: str

    def to_json(self) -> dict[str, int | str]:
        return {"rate": self.rate, "samples": self.samples, "hop": self.hop, "mels": self.mels,
                "representation": self.representation}  # fmt: skip


def mostly_sound(folder: Path) -> bool:
    """Whether more of the first files of a folder, at any depth, are recordings than pictures."""
    counts = Counter(path.suffix.lower() for path in islice(folder.rglob("*.*"), MOST_LOOKED_AT))
    return sum(counts[s] for s in SUFFIXES) > sum(counts[s] for s in PICTURES)


def read(path: Path, reading: Reading | None = None) -> Source:
    """Every recording in a folder, as float32 waves ``(N, T)`` in [−1, 1] of one rate and length.

    Options: ``rate`` [Hz], the commonest there is unless told, at most 16,000; ``seconds``, such that 99 % fit unless
    told, at most 256 hops; ``mels``, bands of the log-mel picture, 64; ``representation``, mel or stft;
    ``label_pattern``, such as ``{digit}_{speaker}_{take}``, which file names follow. Raises DataError if there are no
    recordings, more than 20 % are broken, or no name follows the pattern.
    """
    how = reading or Reading()
    if not path.is_dir():
        raise DataError(f"{path}: recordings are read from a folder of {', '.join(SUFFIXES)} files")
    shelf = shelf_of_folder(path, Listing(suffixes=SUFFIXES, noun="recordings"))
    splits, labels, said = _labelled(shelf, how.options.get("label_pattern"))
    names = [name for split in splits.values() for name in split]
    heads, broken = each(lambda name: _look(shelf, name), names, _reason)
    _check_broken(shelf.where, broken, len(names))
    rate = _rate([int(head[0]) for head in heads.values()], how.options)
    layout = _layout(rate, [seconds for _, seconds, _ in heads.values()], how.options)
    waves, facts = _decode(shelf, list(heads), layout, how)
    broken |= facts.broken
    _check_broken(shelf.where, broken, len(names))
    place = {name: index for index, name in enumerate(facts.names)}
    kept = {key: [name for name in split if name in place] for key, split in splits.items()}
    if not kept["train"]:
        raise DataError(f"{shelf.where}: no training recording can be read")
    again = _repeated(waves, [place[name] for split in kept.values() for name in split])
    kept = {key: [name for name in split if place[name] not in again] for key, split in kept.items()}
    about = layout.to_json()
    records = {
        key: Records(waves[[place[name] for name in some]], to_labels(labels.loc[some]), about, list(some))
        for key, some in kept.items()
        if some
    }
    notes = [*shelf.notes, *said, *_remarks([heads[name] for name in facts.names], layout, facts)]
    if again:
        many = f"{counted(len(again), 'recording')} left out, being another once more: held-out ones would leak"
        gone = bool(splits.get("test")) and not kept["test"]
        notes.append(many + ("; none of the test split is left, so some are split off" if gone else ""))
    return Source(records["train"], records.get("test"), [*notes, *_passed_over(shelf, broken)])


def _repeated(waves: np.ndarray, order: Sequence[int]) -> set[int]:
    """Of these places those whose wave another one of them has before; silence is like any other silence."""
    seen: set[bytes] = set()
    again: set[int] = set()
    for i in order:
        digest = hashlib.blake2b(waves[i].tobytes()).digest()
        if digest in seen and waves[i].any():
            again.add(i)
        seen.add(digest)
    return again


def from_waves(waves: np.ndarray, options: Mapping[str, str]) -> Source:
    """Waves ``(N, T)`` of the rate that the options give. Raises DataError for anything else."""
    if waves.ndim != 2 or not len(waves) or not waves.shape[1] or waves.dtype.kind not in "fiu":
        raise DataError(f"waves are an array (recordings, samples) of numbers, not {waves.dtype} {waves.shape}")
    if "rate" not in options:
        raise DataError("waves in memory need their rate: options={'rate': '16000'} [Hz]")
    if not np.isfinite(waves).all():
        raise DataError("waves hold values that are not finite")
    rate = _rate([], options)
    layout = _layout(rate, [waves.shape[1] / rate] * len(waves), options)
    return Source(Records(np.stack([fit_wave(wave, layout.samples)[0] for wave in waves]), {}, layout.to_json()))


def fit_wave(wave: np.ndarray, samples: int) -> tuple[np.ndarray, bool]:
    """(the wave without its mean, its peak at 0.95, in the middle of silence or cut to its loudest stretch; cut)."""
    centred = wave.astype(np.float64) - wave.mean()
    peak = np.abs(centred).max()
    centred *= PEAK / peak if peak > 1e-6 * np.abs(wave).max() else 0.0
    if len(centred) > samples:
        energy = np.concatenate([[0.0], np.cumsum(centred**2)])
        start = int(np.argmax(energy[samples:] - energy[:-samples]))
        return centred[start : start + samples].astype(np.float32), True
    out = np.zeros(samples, np.float32)
    first = (samples - len(centred)) // 2
    out[first : first + len(centred)] = centred
    return out, False


# -- what the names say --------------------------------------------------------------------------------------


def pattern_of(text: str) -> re.Pattern[str]:
    """``{digit}_{speaker}`` as an expression with those groups. Raises ValueError for one without fields."""
    text = text.removesuffix(PurePosixPath(text).suffix) if text.lower().endswith(SUFFIXES) else text
    names = FIELD.findall(text)
    if text.count("{") != len(names) or text.count("}") != len(names):
        raise ValueError(f"--label-pattern has braces around names alone, as in '{{digit}}_{{speaker}}': {text!r}")
    if not names or len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise ValueError(f"--label-pattern needs fields in braces, each once, as in '{{digit}}_{{speaker}}': {text!r}")
    pieces = FIELD.split(text)
    return re.compile("".join(f"(?P<{p}>.+?)" if i % 2 else re.escape(p) for i, p in enumerate(pieces)))


def _labelled(shelf: Shelf, pattern: str | None) -> tuple[dict[str, Sequence[str]], pd.DataFrame, list[str]]:
    """(splits, labels, notes): by the pattern if there is one, which files that do not follow it are left out of.

    Accents are made part of their letters: names of two computers may differ in that alone.
    """
    given = shelf.labels.map(lambda value: composed(value) if isinstance(value, str) else value)
    if pattern is None:
        return dict(shelf.splits), given, [] if len(given.columns) else _hint(list(shelf.names))
    expression = pattern_of(composed(pattern))
    found = {name: expression.fullmatch(composed(PurePosixPath(name).stem)) for name in shelf.names}
    fields = {name: match.groupdict() for name, match in found.items() if match}
    if not fields:
        raise DataError(f"{shelf.where}: no file is called {pattern!r} (the first is {shelf.names[0]})")
    frame = pd.DataFrame.from_dict(fields, orient="index")
    whole = {column: frame[column] for column in frame if frame[column].str.fullmatch(r"0|-?[1-9]\d{0,17}").all()}
    frame = frame.assign(**{str(name): column.astype("int64") for name, column in whole.items()})
    beside = given.drop(columns=[c for c in given if c in frame or c == "label"])
    columns, notes = label_columns(frame.join(beside), "recording")
    lost = len(found) - len(fields)
    said = f"labels from names like {pattern}: {', '.join(columns.columns) or 'none'}"
    said += f"; {counted(lost, 'file')} called otherwise left out" if lost else ""
    splits = {key: [name for name in split if name in fields] for key, split in shelf.splits.items()}
    return {key: split for key, split in splits.items() if split or key == "train"}, columns, [said, *notes]


def _hint(names: Sequence[str]) -> list[str]:
    """That names seem to say something, if all have as many parts between underscores, some of which recur."""
    parts = [PurePosixPath(name).stem.split("_") for name in names]
    width = len(parts[0])
    if width < 2 or any(len(found) != width for found in parts):
        return []
    if all(len(set(column)) in (1, len(names)) for column in zip(*parts, strict=True)):
        return []
    fields = "_".join(f"{{{chr(ord('a') + i)}}}" for i in range(min(width, 26)))
    return [f'no labels; names such as {names[0]} may say some, with --label-pattern "{fields}" or better names']


# -- decoding ------------------------------------------------------------------------------------------------


@dataclass
class Decoded:
    """Which recordings could be read, what is wrong with the others, how many were cut, which are silent, and of which
    the channels cancel one another out."""

    names: list[str]
    broken: dict[str, str]
    cut: int = 0
    silent: list[str] = field(default_factory=list)
    opposed: list[str] = field(default_factory=list)


def _reason(error: Exception) -> str:
    said = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return (said or type(error).__name__).splitlines()[0]


def _look(shelf: Shelf, name: str) -> tuple[int, float, int]:
    """(rate [Hz], length [s], channels)"""
    with shelf.open(name) as file:
        head = soundfile.info(file)
    if head.frames < 1:
        raise DataError("empty")
    return head.samplerate, head.frames / head.samplerate, head.channels


def _load(shelf: Shelf, name: str, layout: Layout) -> tuple[np.ndarray, bool, bool]:
    """(wave, whether it was cut, whether its channels cancel one another out)"""
    with shelf.open(name) as file:
        wave, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = wave.mean(axis=1)
    if not len(mono) or not np.isfinite(mono).all():
        raise DataError("no sound" if not len(mono) else "values that are not finite")
    opposed = bool(np.ptp(mono) < OPPOSED * np.ptp(wave, axis=0).max())
    if rate != layout.rate:
        shared = math.gcd(rate, layout.rate)
        mono = resample_poly(mono, layout.rate // shared, rate // shared)
    return *fit_wave(mono, layout.samples), opposed


def _decode(shelf: Shelf, names: Sequence[str], layout: Layout, reading: Reading) -> tuple[np.ndarray, Decoded]:
    waves, facts = np.empty((len(names), layout.samples), np.float32), Decoded([], {})
    for start in range(0, len(names), CHUNK):
        good, bad = each(lambda name: _load(shelf, name, layout), names[start : start + CHUNK], _reason)
        facts.broken |= bad
        for name, (wave, cut, opposed) in good.items():
            waves[len(facts.names)] = wave
            facts.names.append(name)
            facts.cut += cut
            if opposed:
                facts.opposed.append(name)
            elif not wave.any():
                facts.silent.append(name)
        reading.progress(min(start + CHUNK, len(names)), len(names))
    if facts.names and len(facts.silent) == len(facts.names):
        raise DataError(f"there is no sound in any of the {len(facts.names):,} recordings")
    return waves[: len(facts.names)], facts


def _rate(found: Sequence[int], options: Mapping[str, str]) -> int:
    if "rate" in options:
        return int(_number("rate", options["rate"], LOWEST_RATE, MOST_RATE))
    return min(HIGHEST_RATE, Counter(sorted(found)).most_common(1)[0][0]) if found else HIGHEST_RATE


def _layout(rate: int, seconds: Sequence[float], options: Mapping[str, str]) -> Layout:
    representation = options.get("representation", REPRESENTATIONS[0])
    if representation not in REPRESENTATIONS:
        raise unknown("representation", representation, REPRESENTATIONS)
    mels = int(_number("mels", options.get("mels", str(MEL_BANDS)), 8, 256))
    hop = max(8, round(rate * MEL_BANDS_SECONDS / mels))
    if "seconds" in options:
        frames = math.ceil(_number("seconds", options["seconds"], 0.05, 600) * rate / hop)
    else:
        frames = FRAMES * math.ceil(float(np.quantile(seconds, FIT)) * rate / hop / FRAMES)
        frames = max(FRAMES, min(MOST_FRAMES, frames))
    return Layout(rate, frames * hop, hop, mels, representation)


def _number(name: str, text: str, low: float | int, high: float | int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ValueError(f"--{name} is a number from {low:g} to {high:g}, not {text!r}")
    return value


# -- what is said --------------------------------------------------------------------------------------------


def _check_broken(where: str, broken: Mapping[str, str], n: int) -> None:
    if len(broken) > MAX_BROKEN * n:
        name, why = next(iter(broken.items()))
        raise DataError(
            f"{where}: {len(broken):,} of {n:,} recordings cannot be read (the first: {name}, {why}); at most "
            f"{MAX_BROKEN:.0%} may be broken"
        )


def _remarks(heads: Sequence[tuple[int, float, int]], layout: Layout, facts: Decoded) -> Iterator[str]:
    n, seconds = len(heads), layout.samples / layout.rate
    yield (
        f"every recording: mean taken away, peak at {PEAK}, in the middle of {seconds:.3f} s at {layout.rate:,} Hz"
        + (f"; the loudest stretch is kept of {facts.cut:,} of {n:,} that are longer" if facts.cut else "")
    )
    others = Counter(rate for rate, _, _ in heads if rate != layout.rate)
    if others:
        rates = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in sorted(others.items()))
        yield f"resampled to {layout.rate:,} Hz: {rates}"
    stereo = sum(channels > 1 for _, _, channels in heads)
    if stereo:
        yield f"channels averaged in {counted(stereo, 'recording')}"
    if facts.silent:
        yield f"{counted(len(facts.silent), 'recording')} without any sound: {_some(facts.silent)}"
    if facts.opposed:
        many = counted(len(facts.opposed), "recording")
        yield f"{many} of which nothing is left once channels are averaged, as they cancel out: {_some(facts.opposed)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


def _passed_over(shelf: Shelf, broken: Mapping[str, str]) -> Iterator[str]:
    if broken:
        yield f"skipped {len(broken):,} broken: {_some([f'{name} ({why})' for name, why in broken.items()])}"
    if shelf.others:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in Counter(shelf.others).most_common(5))
        yield f"other files ignored: {kinds}"
