"""The files of a run: what is written at its start and end, and how they are read back.

    recipe.json           every choice, resolved, and where the data came from
    codec.json            + codec.safetensors, conditions.safetensors where arrays are needed
    model.safetensors     the weights to sample with (the moving average); its SHA-256 is in files.json
    checkpoint/           all that an exact continuation needs
    journal.jsonl         step, seconds, progress, losses: append only
    previews/  scores.json  README.md

The one constraint: tensors in safetensors, the rest in JSON, and nothing of a stranger's run is ever executed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sansheng import checkpoint, codecs
from sansheng.codecs.base import Codec
from sansheng.errors import DataError
from sansheng.recipe import Recipe, count_parameters

MOST_CONDITIONS = 10_000
"""Rows of conditions kept to draw from when a person asks for none in particular."""
ROOM = 6
"""Times the size of the weights that a run takes on disk: two checkpoints of weights, average and moments, and more."""


def make_folder(out: str | Path | None, name: str, force: bool) -> Path:
    """A new folder at `out`, or the first free ``runs/<name>-<n>``. An old one is emptied only with `force`.

    Raises FileExistsError if there is one, DataError if it cannot be written or holds what is not a run.
    """
    if out is None:
        path = next(p for n in range(1, 1_000_000) if not (p := Path("runs") / f"{name}-{n}").exists())
    else:
        path = Path(out).expanduser()
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        if not force:
            raise FileExistsError(f"{path} exists and is never overwritten; choose another --out, or give --force")
        clear(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be made ({error.strerror}); choose another --out") from None
    if not os.access(path, os.W_OK):
        raise DataError(f"{path} cannot be written; choose another --out")
    return path


def clear(path: Path) -> None:
    """Empty a folder made by sansheng. Raises DataError for anything else: a person's own files are never removed."""
    ours = path.is_dir() and any((path / name).exists() for name in ("recipe.json", "scores.json", "report.html"))
    ours = ours or (path.is_dir() and any(child.joinpath("recipe.json").exists() for child in path.iterdir()))
    if not ours:
        raise DataError(f"{path} exists and was not made by sansheng; it is left alone: choose another --out")
    shutil.rmtree(path)


def require_room(out: str | Path | None, model: nn.Module) -> None:
    """Raise DataError if the disk has less room than the run will take."""
    folder = Path(out or ".").expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    needed = ROOM * 4 * (count_parameters(model) + 1)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(f"{folder}: the run needs {needed / 2**20:,.0f} MiB on disk, and {free / 2**20:,.0f} are free")


def write_setup(folder: Path, recipe: Recipe, codec: Codec, conditions: Tensor | None) -> None:
    """Everything but the weights."""
    arrays = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in codec.arrays().items()}
    checkpoint.write_tensors(folder / "codec.safetensors", arrays)
    checkpoint.write_json(folder / "codec.json", codec.to_json())
    if conditions is not None:
        checkpoint.write_tensors(folder / "conditions.safetensors", {"conditions": conditions})
    write_recipe(folder, recipe)


def write_recipe(folder: Path, recipe: Recipe) -> None:
    checkpoint.write_json(folder / "recipe.json", json.loads(recipe.model_dump_json()))


def read_setup(folder: Path) -> tuple[Recipe, Codec, Tensor | None]:
    """(recipe, codec, conditions). Raises DataError naming the file that is missing or damaged."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such run")
    content = checkpoint.read_json(folder / "recipe.json")
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        made = content.get("sansheng", "an unknown version") if isinstance(content, dict) else "an unknown version"
        raise DataError(
            f"{folder / 'recipe.json'}: {where}: {first['msg'].lower()} (the run was made by sansheng {made})"
        ) from None
    arrays = checkpoint.read_arrays(folder / "codec.safetensors")
    try:
        codec = codecs.from_json(checkpoint.read_json(folder / "codec.json"), arrays)
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"{folder / 'codec.json'} is damaged, or of another version ({error})") from None
    return recipe, codec, read_conditions(folder)


def read_conditions(folder: Path) -> Tensor | None:
    path = folder / "conditions.safetensors"
    return checkpoint.read_tensors(path)["conditions"] if path.exists() else None


def write_weights(folder: Path, tensors: dict[str, Tensor]) -> None:
    digest = checkpoint.write_tensors(folder / "model.safetensors", tensors)
    checkpoint.write_json(folder / "files.json", {"model.safetensors": digest})


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Raises DataError if there are none, or they are damaged."""
    path = folder / "model.safetensors"
    if not path.exists() and checkpoint.entries(folder / "checkpoint"):
        raise DataError(
            f"{folder} has not finished training; go on with: sansheng resume {folder} (--budget 1s to end it now)"
        )
    return checkpoint.read_tensors(path, checkpoint.read_json(folder / "files.json").get(path.name))
