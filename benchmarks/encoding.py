"""Encoding: is what a model reads made at least as fast as the data are read from disk?

    python benchmarks/encoding.py series=etth1.csv text=input.txt audio=recordings table=adult.csv image=pictures

For each kind=path, in turns: reading everything there is, and encoding it by a codec that was fitted before. Prints the
median seconds of both, of fitting once, and how many times as fast encoding is as reading. Recordings are analysed
where they are encoded: reading decodes their files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sansheng import codecs
from sansheng.codecs.base import Reading


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(kind: str, path: Path, rounds: int) -> dict[str, float | str]:
    """Seconds of each, and their ratio."""
    records = codecs.read(path, kind, Reading()).records
    began = time.perf_counter()
    codec = codecs.fit(kind, records, (), {})
    fitting = time.perf_counter() - began
    codec.encode(records)
    times = [
        (seconds(lambda: codecs.read(path, kind, Reading())), seconds(lambda: codec.encode(records)))
        for _ in range(rounds)
    ]
    reading, encoding = (statistics.median(column) for column in zip(*times, strict=True))
    found = {"read": reading, "fit": fitting, "encode": encoding, "read/encode": reading / encoding}
    return {"kind": kind, "data": path.name, **{name: round(value, 4) for name, value in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="KIND=PATH")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for pair in args.data:
        kind, path = pair.split("=", 1)
        print(json.dumps(measure(kind, Path(path), args.rounds)), flush=True)


if __name__ == "__main__":
    main()
