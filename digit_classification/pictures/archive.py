"""A zip from a stranger, read within bounds.

Members are only ever read into memory, one at a time: their names never become paths.  `zipfile`
believes what an archive says of itself, so this module bounds what that can cost: its list of
members, which is read as a whole; what all of them would unpack to; and each member, which may
hold more than it says.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from typing import BinaryIO

# Half a kilobyte of memory for each 46 bytes or more: some 700 MiB at most.  Sixty thousand
# members take 5 MiB.
MAX_LIST_BYTES = 64 * 2**20
# Beyond both, an archive is a bomb.  Deflate reaches 1032:1 on nothing but zeros; a dataset of
# bitmaps stays below 20:1.
MAX_UNPACKED_BYTES = 2**30
MAX_RATIO = 100
# What zipfile raises on damaged or exotic archives.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    IndexError,
)


class ArchiveError(Exception):
    """Why a zip, or a member of one, cannot be read: a short phrase."""


class _ListBounded(io.BufferedReader):
    """A file in which nothing longer than a list of members may be read at once.

    zipfile reads that list in one go, and a member's data in the portions that `Archive` asks for.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_LIST_BYTES:
            raise ArchiveError(f"its list of members is longer than {MAX_LIST_BYTES >> 20} MiB")
        return super().read(size)


class Archive(zipfile.ZipFile):
    """A zip file, opened for reading.

    Raises ArchiveError if it is no zip, or a bomb; OSError if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file: BinaryIO = _ListBounded(io.FileIO(path))
        try:
            super().__init__(self._file)
            self._refuse_bombs()
        except DAMAGED:
            self._file.close()
            raise ArchiveError("no zip archive, or a damaged one") from None
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        super().close()
        self._file.close()

    def _refuse_bombs(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        members = self.infolist()
        if sum(info.compress_size for info in members) > size:
            raise ArchiveError("its members overlap, as in a zip bomb")
        unpacked = sum(info.file_size for info in members)
        if unpacked > MAX_UNPACKED_BYTES and unpacked > MAX_RATIO * size:
            raise ArchiveError(
                f"a zip bomb: {size / 2**20:,.0f} MiB that unpack to {unpacked / 2**20:,.0f} MiB"
            )

    def sha256(self) -> str:
        """Return the checksum of the whole file."""
        checksum = hashlib.sha256()
        self._file.seek(0)
        while portion := self._file.read(2**20):
            checksum.update(portion)
        return checksum.hexdigest()

    def read_member(self, name: str, limit: int) -> bytes:
        """Return a member's content of at most `limit` bytes.

        Raises ArchiveError with a short reason, KeyError if there is no such member, and OSError.
        """
        info = self._checked(name)
        if info.file_size > limit:
            raise ArchiveError(f"larger than {limit / 2**20:,.0f} MiB")
        content = io.BytesIO()
        try:
            with self.open(info) as member:
                # Without a size, zipfile would unpack whatever is there, and then cut it.
                while portion := member.read(2**20):
                    content.write(portion)
        except DAMAGED as error:
            raise ArchiveError(f"damaged in the zip ({error})") from None
        return content.getvalue()

    def start_of(self, name: str, size: int) -> bytes:
        """Return the first `size` bytes of a member, or all; raises what `read_member` does."""
        try:
            with self.open(self._checked(name)) as member:
                return member.read(size)
        except DAMAGED as error:
            raise ArchiveError(f"damaged in the zip ({error})") from None

    def _checked(self, name: str) -> zipfile.ZipInfo:
        info = self.getinfo(name)
        if info.flag_bits & 0x1:
            raise ArchiveError("encrypted")
        # Of the others, bzip2 and LZMA, zipfile unpacks a portion whatever it grows to.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError("compressed in another way than deflate: pack the zip again")
        return info
