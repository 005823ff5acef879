"""Decoded pictures on disk: a large set is decoded once, and mapped into memory from then on.

    <key>.npy     the pictures, uint8 (N, H, W, C)
    <key>.json    what else reading them found; written last, so that it vouches for the other

The one constraint: the key is a digest of the files' content and of how they were read, so what is found under it is
what decoding again would give. Everything here may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sansheng.errors import DataError

VARIABLE = "SANSHENG_CACHE"
VERSION = 2
"""Goes up when decoding changes."""


def home() -> Path:
    """The folder named by SANSHENG_CACHE, or ``~/.cache/sansheng``."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/sansheng").expanduser()


def key_of(digests: Sequence[bytes], options: Mapping[str, Any]) -> str:
    """SHA-256 of the pictures' digests and the reading options, as hexadecimal."""
    state = hashlib.sha256(json.dumps([VERSION, options], sort_keys=True).encode())
    for digest in digests:
        state.update(digest)
    return state.hexdigest()


def find(key: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The pictures under a key, mapped into memory, and what was kept beside them; None if they are not there whole."""
    try:
        facts = json.loads((home() / f"{key}.json").read_text("utf-8"))
        images = np.load(home() / f"{key}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (images, facts["facts"]) if list(images.shape) == facts["shape"] else None


def keep(key: str, images: Iterator[np.ndarray], shape: tuple[int, ...], facts: Mapping[str, Any]) -> np.ndarray:
    """Write pictures under a key, part by part, and give them back mapped into memory."""
    with scratch(shape) as array:
        at = 0
        for part in images:
            array[at : at + len(part)] = part
            at += len(part)
        array.flush()
        os.replace(array.filename, home() / f"{key}.npy")  # pyright: ignore[reportArgumentType]
    with tempfile.NamedTemporaryFile("w", dir=home(), suffix=".part", delete=False, encoding="utf-8") as file:
        json.dump({"shape": list(shape), "facts": facts}, file)
    os.replace(file.name, home() / f"{key}.json")
    return np.load(home() / f"{key}.npy", mmap_mode="r", allow_pickle=False)


@contextmanager
def scratch(shape: tuple[int, ...]) -> Iterator[np.memmap]:
    """An array of bytes on disk under a temporary name, gone afterwards unless it was renamed.

    Raises DataError if there is no room for it.
    """
    folder, needed = home(), int(np.prod(shape, dtype=np.int64))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}); name another folder as {VARIABLE}") from None
    os.close(handle)
    try:
        free = shutil.disk_usage(folder).free
        if free < needed + 2**26:
            raise DataError(
                f"{folder}: decoded images need {needed / 2**20:,.0f} MiB, and {free / 2**20:,.0f} are free; name "
                f"another folder as {VARIABLE}"
            )
        yield np.lib.format.open_memmap(name, mode="w+", dtype=np.uint8, shape=shape)
    finally:
        Path(name).unlink(missing_ok=True)
