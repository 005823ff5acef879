"""The commands that draw what is missing, and that show how drawing goes.

The one constraint: importing this file imports neither torch nor numpy.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from sansheng.cli.commands import app, reporter
from sansheng.cli.latent import Given, Target, say_what_is_drawn, say_what_is_strange
from sansheng.cli.options import Device, Force, Quiet, RunPath, Seed, Source, option, refuse_overwriting
from sansheng.events import Event, Observer

NUMBER = ("-n", "--number", "--n")
FEW = 8
"""Examples that are filled or enlarged unless a person says more."""
Draws = Annotated[int, option("How often each example is drawn; its draws stand in a row.")]
Steps = Annotated[int | None, option("Steps of drawing.")]


@app.command(sort_key=11)
def fill(
    run: RunPath, data: Source, /, *,
    hole: Annotated[str | None, option("Which rows and columns are drawn anew.", metavar="R:R,C:C")] = None,
    gap: Annotated[str, option("In lines, the character that stands for one to be found.")] = "_",
    length: Annotated[int | None, option("Of a long text, how many characters it is to have in the end.")] = None,
    n: Annotated[int | None, option(f"How many, from the first on: all lines, of others {FEW}.", *NUMBER)] = None,
    draws: Draws = 1, seed: Seed = 0, steps: Steps = None, where: Given = None, out: Target = None,
    device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Draw what is missing: a hole in pictures, gaps in lines, how a text goes on. For diffusion and flow.

    A file for a model of a long text is one text; without gaps it goes on after its end.

    For example:

        sansheng fill runs/digits-flow-1 digits --hole 4:8,0:8 --draws 4 --out lower_halves.png
        sansheng fill runs/names-diffusion-1 unfinished.txt --gap _ --draws 3
        sansheng fill runs/plays-diffusion-1 beginning.txt --length 1000
    """

    def act(module: Any, trained: Any, records: Any, given: Any, observe: Observer) -> Any:
        from sansheng import text_gaps

        lines = isinstance(records.values, list)
        say_what_is_strange(trained, records.values, observe, gap)
        count = n if n is not None else len(records) if lines else FEW
        some, how = _first(records, count, observe), module.Drawing(draws, seed, steps, where=given)
        if hole is not None:
            return module.fill_hole(trained, some, module.parse_hole(hole), how)
        if records.about.get("unit") == "windows":
            made = text_gaps.fill_text(trained, records.values[0], gap=gap, length=length, how=how)
            return replace(records, values=made)
        if length is not None:
            raise ValueError("--length is for models of one long text")
        if lines:
            made = text_gaps.fill_lines(trained, some.values, gap=gap, how=how, labels=some.labels)
            lost = [name for name in some.labels if name not in made.labels]
            if lost:
                observe(Event("note", f"left out, as the model does not know them: {', '.join(lost)}"))
            return made
        raise ValueError("say with --hole what of these data is to be drawn anew, such as --hole 4:8,0:8")

    _write(run, data, where, out, device, force, quiet, act)


@app.command(sort_key=12)
def forecast(
    run: RunPath,
    data: Annotated[str, option("Rows in time, as the model was trained on them: .csv or .parquet.")], /, *,
    horizon: Annotated[int, option("How many rows ahead.")] = 24,
    draws: Annotated[int, option("How many ways each series may go on.")] = 1,
    seed: Seed = 0, steps: Steps = None,
    out: Annotated[str | None, option("A .csv or .parquet file; printed without it.", metavar="PATH")] = None,
    device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Draw how series go on after their last row. For diffusion and flow models of series.

    Several draws show how sure the model is. For example:

        sansheng forecast runs/prices-flow-1 prices.csv --horizon 20 --draws 100 --out ahead.csv
    """
    refuse_overwriting(out, force)
    from sansheng import filling, forecasting
    from sansheng.codecs.table_file import write
    from sansheng.run import load

    with reporter(quiet) as observe:
        trained = load(run, device=device)
        observe(Event("phase", f"drawing {horizon} steps after {data}"))
        how = filling.Drawing(draws, seed, steps)
        past, drawn = forecasting.forecast(trained, data, horizon, how)
        for remark in forecasting.remarks(trained, past, horizon):
            observe(Event("note", remark))
        frame = forecasting.as_frame(trained, past, drawn)
    if out is None:
        sys.stdout.write(frame.to_csv(index=False))
    else:
        print(write(frame, Path(out).expanduser())[0])


@app.command(sort_key=11)
def impute(
    run: RunPath, table: Annotated[str, option("A .csv, .tsv or .parquet table with gaps.")], /, *,
    draws: Annotated[int, option("How often the gaps are drawn; each draw is a file of its own.")] = 1,
    seed: Seed = 0, steps: Steps = None,
    out: Annotated[str | None, option("Where to write; draws are numbered: filled-1.csv.", metavar="PATH")] = None,
    device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Fill the gaps of a table, or of rows in time, by drawing them given what is there. For diffusion and flow.

    What is there stays as it is written, to the byte. Several draws show how sure the model is. For example:

        sansheng impute runs/patients-diffusion-1 patients.csv --out filled.csv
        sansheng impute runs/patients-flow-1 patients.csv --draws 5 --out filled.csv
    """
    source = Path(table).expanduser()
    chosen = Path(out).expanduser() if out else source.with_name(f"{source.stem}-filled{source.suffix}")
    several = [chosen.with_name(f"{chosen.stem}-{i + 1}{chosen.suffix}") for i in range(draws)]
    targets = [chosen] if draws == 1 else several
    for target in targets:
        refuse_overwriting(target, force)
    from sansheng import imputing
    from sansheng.run import load

    with reporter(quiet) as observe:
        trained = load(run, device=device)
        observe(Event("phase", f"reading {table}"))
        made = imputing.impute(trained, imputing.read_table(source), draws=draws, seed=seed, steps=steps)
        for i, target in enumerate(targets):
            imputing.write_filled(made, trained.codec, source, target, i)
        cells = made.frame[made.draws[0].columns].isna().sum().sum()
        observe(Event("note", f"{cells:,} gaps filled"))
        if made.broken:
            observe(Event("note", f"{made.broken:,} filled rows break a rule of the model, however often drawn"))
    print("\n".join(map(str, targets)))


@app.command(sort_key=12)
def enlarge(
    run: RunPath, data: Source, /, *,
    n: Annotated[int, option("How many pictures, from the first on.", *NUMBER)] = FEW,
    draws: Draws = 1, seed: Seed = 0, steps: Steps = None, where: Given = None, out: Target = None,
    device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Enlarge small pictures to the size a model was trained on, keeping their means. For diffusion and flow.

    For example:

        sansheng enlarge runs/faces-flow-1 thumbnails/ --draws 4 --out faces.png
    """

    def act(module: Any, trained: Any, records: Any, given: Any, observe: Observer) -> Any:
        how = module.Drawing(draws, seed, steps, where=given)
        return module.enlarge(trained, _first(records, n, observe), how)

    _write(run, data, where, out, device, force, quiet, act, resized=False)


@app.command(sort_key=13)
def animate(
    run: RunPath, /, *,
    out: Annotated[str, option("A .gif or .webp file.", metavar="PATH")],
    training: Annotated[bool, option("What was drawn during training, instead of noise on its way to data.")] = False,
    seed: Seed = 0, steps: Steps = None, device: Device = "auto", force: Force = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Make a moving picture of noise becoming data, or of what a model drew while it learnt.

    For example:

        sansheng animate runs/digits-flow-1 --out denoising.gif
        sansheng animate runs/digits-gan-1 --training --out training.webp
    """
    refuse_overwriting(out, force)
    from sansheng import animate as moving
    from sansheng.run import load

    with reporter(quiet) as observe:
        trained = load(run, device=device)
        observe(Event("phase", "drawing"))
        if training:
            path = moving.animate_training(trained, out)
        else:
            path = moving.animate_sampling(trained, out, seed=seed, steps=steps)
    print(path)


def _first(records: Any, n: int, observe: Observer) -> Any:
    """The first examples, and a remark where there are more."""
    import numpy as np

    if n < 1:
        raise ValueError(f"-n is how many examples, at least 1, not {n}")
    if n < len(records):
        observe(Event("note", f"the first {n:,} of {len(records):,}; -n {len(records)} takes all"))
    return records.take(np.arange(min(n, len(records))))


def _write(
    run: str, data: str, where: list[str] | None, out: str | None, device: str, force: bool, quiet: bool, act: Any, *,
    resized: bool = True,
) -> None:  # fmt: skip
    """Read, draw and write, as `sample` writes."""
    refuse_overwriting(out, force)
    from sansheng import filling
    from sansheng.cli import samples
    from sansheng.run import load
    from sansheng.where import as_mapping

    with reporter(quiet) as observe:
        trained, given = load(run, device=device), as_mapping(where or ())
        observe(Event("phase", f"reading {data}"))
        records = samples.read_unfinished(trained, data, resized=resized)
        say_what_is_drawn(trained, records, given, observe)
        observe(Event("phase", "drawing"))
        made = act(filling, trained, records, given, observe)
        target = Path(out).expanduser() if out is not None else None
        if target is None and samples.text(trained.codec, made) is None:
            target = trained.path / "filled"
            refuse_overwriting(target, force)
        if target is not None:
            samples.write(trained.codec, made, target)
    print(target) if target is not None else sys.stdout.write(samples.text(trained.codec, made) or "")
