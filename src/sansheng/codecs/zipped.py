"""A zip of pictures, read as the folder it would unpack to.

The one constraint: nothing is unpacked to disk, and nothing is unpacked in memory that the archive does not own up to.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from pathlib import Path

from sansheng.codecs.label_file import File
from sansheng.codecs.shelf import Listing, Shelf, arrange
from sansheng.errors import DataError

SUFFIX = ".zip"
GIB = 1 << 30
MAX_EXPANSION = 200
"""All members together may expand to so many times the archive's size (and 1 GiB in any case)."""
MAX_MEMBER = 1 << 29
"""Bytes of one picture's file, at most."""
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What a member may raise that is broken, encrypted or packed in an unknown way."""


def shelf_of_zip(path: Path) -> Shelf:
    """Every picture in a zip, sorted by path. Raises DataError for what is no zip, is a bomb or holds no pictures."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a zip archive ({error})") from None
    # old Windows tools write backslashes between folders, against the standard
    named = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
    members = {name: info for name, info in named.items() if not name.endswith("/")}
    total, size = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if total > max(GIB, MAX_EXPANSION * size):
        raise DataError(f"{path}: refused, it would expand from {size:,} to {total:,} bytes")
    listing = Listing()
    for name in members:
        listing.add(name)

    def open_member(name: str) -> File:
        if members[name].file_size > MAX_MEMBER:
            raise DataError(f"larger than {MAX_MEMBER:,} bytes")
        try:
            return io.BytesIO(archive.read(members[name]))
        except UNREADABLE as error:
            raise DataError(str(error) or type(error).__name__) from None

    return arrange(str(path), listing, open_member)
