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
    for folder, names, files in os.walk(root):
        links += sum(os.path.islink(os.path.join(folder, name)) for name in names)
        names[:] = [name for name in names if not name.startswith(HIDDEN)]
        for name in files:
            path = Path(folder, name)
            if path.is_symlink() and not name.startswith(HIDDEN) and not path.resolve().is_relative_to(home):
                links += 1
            else:
                listing.add(path.relative_to(root).as_posix())
    notes = [f"{links:,} links to other folders not followed"] if links else []
    return arrange(str(root), listing, lambda name: root.joinpath(name).open("rb"), notes)
