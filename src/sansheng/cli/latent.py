"""The commands that look at a person's own records through a trained model.

The one constraint: importing this file imports neither torch nor numpy.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from sansheng.cli.commands import app, reporter
from sansheng.cli.options import Device, Force, Quiet, RunPath, Source, flag, option, refuse_overwriting
from sansheng.events import Event, Observer

Target = Annotated[str | None, option("A folder (of images) or a file, as for sample.", metavar="PATH")]
Rows = Annotated[str, option("Which examples, counted from 0, with commas between.", metavar="N,N")]

Given = Annotated[
    list[str] | None,
    option("A label given to all of your examples, in place of their own, if they have any.", metavar="NAME=VALUE"),
]


@app.command(sort_key=7)
def reconstruct(
    run: RunPath, data: Source, /, *, where: Given = None, out: Target = None, device: Device = "auto",
    force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show your own examples as a VAE knows them: encoded to its few numbers, and back.

    For example:

        sansheng reconstruct runs/digits-vae-1 digits --out seen.png
    """
    _walk(
        run, data, where, out, device, force, quiet,
        lambda latent, trained, records: latent.reconstruct(trained, records),
    )  # fmt: skip


@app.command(sort_key=8)
def interpolate(
    run: RunPath, data: Source, /, *, rows: Rows = "0,1",
    steps: Annotated[int, option("How many, ends included.")] = 8,
    where: Given = None, out: Target = None, device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Walk from one of your examples to another through the numbers a VAE knows them by.

    For example:

        sansheng interpolate runs/digits-vae-1 digits --rows 3,17 --steps 10 --out way.png
    """
    wanted = _numbers(rows)
    _walk(
        run, data, where, out, device, force, quiet,
        lambda latent, trained, records: latent.interpolate(trained, _pick(records, wanted), steps),
    )  # fmt: skip


@app.command(sort_key=9)
def traverse(
    run: RunPath, data: Source, /, *, row: Annotated[int, option("Which example, counted from 0.")] = 0,
    latent: Annotated[int, option("Which of its numbers is turned, counted from 0.")] = 0,
    steps: Annotated[int, option("How many places.")] = 7,
    where: Given = None, out: Target = None, device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Turn one of the numbers a VAE knows an example by, and see what it stands for.

    For example:

        sansheng traverse runs/digits-vae-1 digits --row 5 --latent 2 --out knob.png
    """
    _walk(
        run, data, where, out, device, force, quiet,
        lambda module, trained, records: module.traverse(trained, _pick(records, [row]), latent, steps=steps),
    )  # fmt: skip


@app.command(sort_key=10)
def anomaly(
    run: RunPath, data: Source, /, *,
    samples: Annotated[int, option("Draws behind each bound; more make it tighter.")] = 50,
    variational: Annotated[
        bool, flag("Of a diffusion or a flow of numbers the variational bound, of so many draws, not the likelihood.")
    ] = False,
    where: Given = None,
    device: Device = "auto", quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say how little a model expects each of your examples, as CSV, the strangest first.

    Columns: the example, counted from 0; the file, if each is one, or where in it a text stands, as of some lines no
    example is made (lines from 1, rows of a table from 0); bits per dimension, of text per character; the share of
    held-out data that is less strange. Examples without the labels that a model is given are held against all labels.

    For models with a likelihood bound. For example:

        sansheng anomaly runs/patients-vae-1 new_patients.csv > strange.csv
    """
    import numpy as np

    from sansheng import latent
    from sansheng.cli.samples import read_for
    from sansheng.run import load
    from sansheng.where import as_mapping

    how: dict[str, Any] = {"samples": samples, "variational": variational}
    given = as_mapping(where or ())
    with reporter(quiet) as observe:
        trained = load(run, device=device)
        records = read_for(trained, data)
        say_what_is_strange(trained, records.values, observe)
        observe(Event("phase", f"bounding the likelihood of {len(records):,} examples"))
        bits = latent.surprise(trained, records, where=given, **how)
        held_out = latent.usual(trained, records, given, exact=not variational)
        observe(Event("phase", f"bounding that of {len(held_out):,} held-out examples"))
        usual = np.sort(latent.surprise(trained, held_out, **how))
    table = csv.writer(sys.stdout, lineterminator="\n")
    named = [[name] for name in records.names] or [[]] * len(records)
    text = trained.codec.kind == "text"
    place = ["where" if text else "file"] if records.names else []
    unit = "character" if text else "dimension"
    table.writerow(["example", *place, f"bits_per_{unit}", "share_of_held_out_below"])
    for i in np.argsort(-bits):
        table.writerow([i, *named[i], f"{bits[i]:.4f}", f"{np.searchsorted(usual, bits[i]) / len(usual):.4f}"])


def _walk(
    run: str, data: str, where: list[str] | None, out: str | None, device: str, force: bool, quiet: bool, act: Any
) -> None:
    """Read, act and write, as `sample` writes."""
    refuse_overwriting(out, force)
    from sansheng import latent
    from sansheng.cli import samples
    from sansheng.filling import labelled
    from sansheng.run import load
    from sansheng.where import as_mapping

    with reporter(quiet) as observe:
        trained, given = load(run, device=device), as_mapping(where or ())
        observe(Event("phase", f"reading {data}"))
        records = samples.read_for(trained, data)
        say_what_is_drawn(trained, records, given, observe)
        made = act(latent, trained, labelled(trained, records, given, 0) if given else records)
        target = _target(trained, made, out)
        refuse_overwriting(target, force)
        if target is not None:
            samples.write(trained.codec, made, target)
    print(target) if target is not None else sys.stdout.write(samples.text(trained.codec, made) or "")


def say_what_is_drawn(trained: Any, records: Any, given: Mapping[str, Any], observe: Observer) -> None:
    """A remark where examples have no label that the model knows and has to be given, and none was typed."""
    from sansheng.filling import lacking, unseen

    for name in lacking(trained, records):
        if name not in given:
            observe(Event("note", f"no {name} is given, so it is drawn as in training; --where {name}=VALUE gives one"))
    for name, values in unseen(trained, records).items():
        if name not in given:
            said = f"the model has seen no {name} {str(values[0])!r}: it is drawn as in training"
            observe(Event("note", f"{said}; --where {name}=VALUE gives one"))


def say_what_is_strange(trained: Any, lines: Any, observe: Observer, gap: str = "") -> None:
    """A remark where texts have characters that a model of text has never seen."""
    strange = trained.codec.strange(lines).replace(gap, "") if trained.codec.kind == "text" else ""
    if strange:
        observe(Event("note", f"the model has never seen {strange[:20]!r}: they are left out, or read as others"))


def _target(trained: Any, made: Any, out: str | None) -> Path | None:
    from sansheng.cli import samples

    if out is not None:
        return Path(out).expanduser()
    return None if samples.text(trained.codec, made.take(_first())) is not None else trained.path / "walk"


def _first() -> Any:
    import numpy as np

    return np.arange(1)


def _pick(records: Any, rows: list[int]) -> Any:
    """The examples at `rows`. Raises ValueError for one that is not there."""
    import numpy as np

    beyond = [row for row in rows if not 0 <= row < len(records)]
    if beyond:
        raise ValueError(f"there is no example {beyond[0]}: the data has 0 to {len(records) - 1}")
    return records.take(np.array(rows))


def _numbers(text: str) -> list[int]:
    """``"3,17"`` -> [3, 17]. Raises ValueError for other texts."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"--rows are two whole numbers with a comma between, such as 0,1, not {text!r}")
    return [int(part) for part in parts]
