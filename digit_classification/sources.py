"""Where pictures are: files, folders, globs and zips, named and read one by one.

A `Source` is cheap to list and to send to another process; nothing is opened before `read`.
"""

from __future__ import annotations

import functools
import glob
import itertools
import lzma
import os
import re
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

# A file of this kind that cannot be read is an error; any other is merely a stray file.
IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("avif", "bmp", "dib", "gif", "heic", "heif", "ico", "jfif", "jp2", "jpe", "jpeg", "jpg"),
        *("jxl", "pbm", "pcx", "pgm", "png", "pnm", "ppm", "psd", "svg", "tga", "tif", "tiff"),
        "webp",
    )
)
# What operating systems, and Python, leave behind in folders and zips.
LITTER = frozenset({"__MACOSX", "__pycache__", "Thumbs.db", "thumbs.db", "desktop.ini"})
SORTED = 10_000  # entries of a folder: up to this many are read in the order of their names
# More than any photo, and little enough to hold in memory.
MAX_FILE_BYTES = 512 * 2**20
# What zipfile raises on damaged, encrypted or exotic archives.
DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class SourceError(Exception):
    """A path cannot be read; the message is one sentence for the user, or a short reason."""


@dataclass(frozen=True)
class Source:
    """One file that may be a picture: on disk, or the member of a zip."""

    name: str  # as shown and stored: the path as given, or archive.zip/member
    path: str  # the file on disk, or the zip
    member: str | None = None
    explicit: bool = False  # named by the user itself rather than found in a folder

    @property
    def claims_image(self) -> bool:
        """Whether somebody would be surprised to see this file passed over in silence."""
        return self.explicit or os.path.splitext(self.name)[1].lower() in IMAGE_SUFFIXES

    def read(self) -> bytes:
        """Return the content; SourceError with a short reason if it cannot be had."""
        try:
            return self._read_file() if self.member is None else self._read_member(self.member)
        except OSError as error:
            raise SourceError((error.strerror or str(error)).lower()) from None

    def _read_file(self) -> bytes:
        status = os.stat(self.path)
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
            raise SourceError("not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise SourceError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
        with open(self.path, "rb") as file:
            return file.read()

    def _read_member(self, member: str) -> bytes:
        archive = _open_zip(self.path, os.stat(self.path).st_mtime_ns, os.getpid())
        try:
            info = archive.getinfo(member)
            if info.flag_bits & 0x1:
                raise SourceError("encrypted")
            if info.file_size > MAX_FILE_BYTES:
                raise SourceError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
            return archive.read(info)
        except DAMAGED_ZIP as error:
            raise SourceError(f"damaged in the zip ({error})") from None


@functools.lru_cache(maxsize=4)
def _open_zip(path: str, _modified: int, _process: int) -> zipfile.ZipFile:
    """Open a zip once per process: its list of 60,000 members takes a third of a second.

    A file opened before a fork would share its position with the parent, hence `_process`.
    """
    try:
        return zipfile.ZipFile(path)
    except DAMAGED_ZIP:
        raise SourceError(f"'{path}' is not a zip archive: name a folder or a zip.") from None
    except OSError as error:
        raise SourceError(f"'{path}' cannot be opened: {error.strerror}.") from None


def is_zip(path: str) -> bool:
    return path.lower().endswith(".zip") and os.path.isfile(path)


def list_folder(folder: str) -> Iterator[Source]:
    """Yield the files below `folder`, sorted by name within each folder, without litter.

    A folder of more than SORTED entries comes in the order in which the file system keeps it:
    sorting a million names would hold up the first and hold all of them in memory.  Links are
    followed, except to a folder that is already being listed.
    """
    return _walk(folder, frozenset())


def _walk(folder: str, inside: frozenset[str]) -> Iterator[Source]:
    real = os.path.realpath(folder)
    if real in inside:
        return
    for entry in _entries(folder):
        if _is_litter(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(entry.path, inside | {real})
        else:
            yield Source(name=entry.path, path=entry.path)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            first = list(itertools.islice(entries, SORTED + 1))
            if len(first) <= SORTED:
                first.sort(key=lambda entry: entry.name)
            yield from first
            del first
            yield from entries
    except OSError as error:
        raise SourceError(f"The folder '{folder}' cannot be listed: {error.strerror}.") from None


def list_zip(path: str) -> Iterator[Source]:
    """Yield the members of the zip at `path`, sorted by name, without litter."""
    archive = _open_zip(path, os.stat(path).st_mtime_ns, os.getpid())
    for member in sorted(info.filename for info in archive.infolist() if not info.is_dir()):
        if not any(_is_litter(part) for part in PurePosixPath(member).parts):
            yield Source(name=f"{path}/{member}", path=path, member=member)


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def expand(path: str) -> list[str]:
    """Return what a path on the command line names: itself, or what matches it as a pattern.

    Raises SourceError if that is nothing.
    """
    if os.path.lexists(path):  # before the pattern: a name may hold brackets
        return [path]
    if not glob.has_magic(path):
        raise SourceError(f"There is no file or folder '{printable(path)}': check the path.")
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise SourceError(f"Nothing matches '{printable(path)}': check the pattern.")
    return found


def find_sources(paths: Iterable[str]) -> Iterator[Source]:
    """Yield the files that `paths` name, in that order, each once.

    A path is a file, a folder (with all below it) or a zip.  A path that is not there is
    yielded as well: reading it says why not.
    """
    seen: set[str] = set()
    for path in paths:
        if _covered(path, seen):
            continue
        if os.path.isdir(path):
            yield from (s for s in list_folder(path) if not (seen and _covered(s.path, seen)))
        elif is_zip(path):
            yield from list_zip(path)
        else:
            yield Source(name=path, path=path, explicit=True)
        seen.add(os.path.abspath(path))


def _covered(path: str, seen: set[str]) -> bool:
    """Whether `path`, or a folder that holds it, is in `seen`."""
    path = os.path.abspath(path)
    while path not in seen:
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent
    return True


def escape_undecodable(name: str) -> str:
    r"""Return `name` as valid Unicode: a byte of a file name that is no text becomes \xff."""
    if name.isascii():  # nearly every name, and a hundredth of the time
        return name
    return re.sub("[\ud800-\udfff]", _escape_surrogate, name)


def _escape_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])  # U+DC80 to U+DCFF stand for bytes (PEP 383); Windows allows the others
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def printable(name: str) -> str:
    """Return `name` for a line on the terminal: control characters are escaped as well."""
    text = escape_undecodable(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def stdin_paths() -> Iterator[str]:
    """Yield the paths on standard input, one a line, also ones that are not valid text."""
    for line in sys.stdin.buffer:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path:
            yield path
