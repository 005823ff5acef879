"""Files that are whole or not there: safetensors and JSON written aside, synced, renamed, with a SHA-256 beside them.

The one constraint: whatever moment a process is killed at, the last good checkpoint loads. Nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor

from sansheng.budget import Clock
from sansheng.errors import DataError
from sansheng.loop import State

MANIFEST = "manifest.json"
KEPT = 2


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by `content` at once. Raises OSError naming the file and the space needed if the disk is full."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            message = (
                f"no room to write {path} ({len(content) / 2**20:.1f} MiB needed); what was there before is intact"
            )
            raise OSError(error.errno, message) from error
        raise


def write_json(path: Path, content: Any) -> None:
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises DataError naming the file if it is missing or not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: is {path.parent} the folder of a run?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error})") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors and return the SHA-256 of the file."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    content = safetensors.torch.save(plain)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read_tensors(path: Path, digest: str | None = None) -> dict[str, Tensor]:
    """Read tensors. Raises DataError naming the file if it is missing, cut short, changed, or not safetensors."""
    return {k: torch.from_numpy(v) for k, v in read_arrays(path, digest).items()}


def read_arrays(path: Path, digest: str | None = None) -> dict[str, np.ndarray]:
    """As `read_tensors`, as arrays."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path} has changed since it was written (its SHA-256 differs): it is damaged or was edited")
    try:
        return safetensors.numpy.load(content)
    except Exception as error:
        raise DataError(f"{path} is not a safetensors file ({error}); nothing in it was executed") from None


# -- checkpoints ---------------------------------------------------------------------------------------------


def save(folder: Path, state: State) -> None:
    """Add a checkpoint of everything a step changes; the one before it is kept too."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{state.step:09d}.safetensors"
    digest = write_tensors(folder / name, _flatten(state))
    entry = {
        "file": name,
        "sha256": digest,
        "step": state.step,
        "seconds": state.clock.seconds,
        "knots": state.clock.knots,
        "threads": state.clock.threads,
    }
    older = [e for e in entries(folder) if e["file"] != name]
    kept = [entry, *older[: KEPT - 1]]
    write_json(folder / MANIFEST, kept)
    for path in folder.glob("step-*.safetensors"):
        if path.name not in {e["file"] for e in kept}:
            path.unlink(missing_ok=True)


def restore(folder: Path, state: State) -> str | None:
    """Bring `state` to the newest checkpoint that is whole. Returns a remark if that is not the newest written.

    Raises DataError if there is none.
    """
    problems: list[str] = []
    for entry in entries(folder):
        try:
            tensors = read_tensors(folder / entry["file"], entry["sha256"])
        except DataError as error:
            problems.append(str(error))
            continue
        _unflatten(state, tensors)
        state.step = entry["step"]
        knots = [(int(s), float(p), float(r)) for s, p, r in entry["knots"]]
        threads = [(int(s), int(n)) for s, n in entry.get("threads", [])]
        state.clock = Clock(knots, entry["seconds"], threads, (entry["step"], entry["seconds"]))
        return f"{problems[0]}; going on from step {state.step:,} instead" if problems else None
    raise DataError(problems[0] if problems else f"{folder} holds no checkpoint to go on from")


def entries(folder: Path) -> list[dict[str, Any]]:
    """What is known of each checkpoint kept, the newest first."""
    path = folder / MANIFEST
    return read_json(path) if path.exists() else []


def _flatten(state: State) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for name, optimizer in state.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{key}": torch.as_tensor(v) for key, v in slots.items()}
    return tensors


def _unflatten(state: State, tensors: Mapping[str, Tensor]) -> None:
    for prefix, module in (("model.", state.model), ("average.", state.average)):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, optimizer in state.optimizers.items():
        slots: dict[int, dict[str, Tensor]] = {}
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        prefix = f"optimizer.{name}."
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, slot = key.removeprefix(prefix).split(".", 1)
                slots.setdefault(int(index), {})[slot] = _laid_out_like(parameters[int(index)], value)
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The same values in the parameter's order in memory, where shapes agree: a fused optimiser goes by memory."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
