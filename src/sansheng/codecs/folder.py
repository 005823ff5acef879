"""A folder of pictures or recordings as people have them, at any depth.

The one constraint: nothing outside the folder is read, whatever its links say.
"""

from __future__ import annotations

import os
from pathlib import Path

from sansheng.codecs.shelf import HIDDEN, Listing, Shelf, arrange


def shelf_of_folder(root: Path, wanted: Listing | None = None) -> Shelf:
    """Every picture under `root`, or what is `wanted`, sorted by path. Raises DataError if there is none."""
    listing, links, home = wanted or Listing(), 0, root.resolve()
    places: dict[str, Path] = {}
    for folder, names, files in os.walk(root):
        links += sum(os.path.islink(os.path.join(folder, name)) for name in names)
        names[:] = [name for name in names if not name.startswith(HIDDEN)]
        for name in files:
            path = Path(folder, name)
            if path.is_symlink() and not name.startswith(HIDDEN) and not path.resolve().is_relative_to(home):
                links += 1
            else:
                shown = readable(path.relative_to(root).as_posix())
                places[shown] = path
                listing.add(shown)
    notes = [f"{links:,} links to other folders not followed"] if links else []
    return arrange(str(root), listing, lambda name: places[name].open("rb"), notes)


def readable(name: str) -> str:
    """A file's name as text that can be shown and written: bytes that are no UTF-8 as ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
