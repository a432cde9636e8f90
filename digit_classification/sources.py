"""Where pictures are: files, folders, globs and zips, named and read one by one.

A `Source` is cheap to list and to send to another process; nothing is opened before `read`.
"""

from __future__ import annotations

import functools
import glob
import itertools
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from digit_classification.archive import Archive, ArchiveError

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


class SourceError(Exception):
    """A path cannot be read; the message is one sentence for the user, or a short reason."""


@dataclass(frozen=True)
class Source:
    """One file that may be a picture: on disk, or the member of a zip."""

    name: str  # as shown and stored: the path as given, or archive.zip/member
    path: str  # the file on disk, or the zip
    member: str | None = None
    explicit: bool = False  # named by the user itself rather than found in a folder
    problem: str | None = None  # why a folder or a zip cannot be listed, if this is one

    @property
    def claims_image(self) -> bool:
        """Whether somebody would be surprised to see this file passed over in silence."""
        return (
            self.explicit
            or bool(self.problem)
            or os.path.splitext(self.name)[1].lower() in IMAGE_SUFFIXES
        )

    def read(self) -> bytes:
        """Return the content; SourceError with a short reason if it cannot be had."""
        if self.problem is not None:
            raise SourceError(self.problem)
        try:
            return self._read_file() if self.member is None else self._read_member(self.member)
        except OSError as error:
            raise SourceError(_reason(error)) from None

    def _read_file(self) -> bytes:
        _check_regular(os.stat(self.path))  # merely opening a device may do something
        with open(self.path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_regular(status)  # whoever may write to the folder could have changed it
            if status.st_size > MAX_FILE_BYTES:
                raise SourceError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
            return file.read(status.st_size)  # asked for more, Python makes room for all of that

    def _read_member(self, member: str) -> bytes:
        try:
            archive = _open_zip(self.path, os.stat(self.path).st_mtime_ns, os.getpid())
            return archive.read_member(member, MAX_FILE_BYTES)
        except KeyError:
            raise SourceError("no such file in the zip") from None
        except ArchiveError as error:
            raise SourceError(str(error)) from None


def _check_regular(status: os.stat_result) -> None:
    """Refuse what is no regular file: a pipe or a device might never end."""
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("not a regular file")


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end, should it be a pipe after all."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


@functools.lru_cache(maxsize=4)
def _open_zip(path: str, _modified: int, _process: int) -> Archive:
    """Open a zip once per process: its list of 60,000 members takes a third of a second.

    A file opened before a fork would share its position with the parent, hence `_process`.
    """
    return Archive(path)


def is_zip(path: str) -> bool:
    return path.lower().endswith(".zip") and os.path.isfile(path)


def list_folder(folder: str) -> Iterator[Source]:
    """Yield the files below `folder`, sorted by name within each folder, without litter.

    A folder of more than SORTED entries comes in the order in which the file system keeps it:
    sorting a million names would hold up the first and hold all of them in memory.
    Links are followed, but each folder is listed once, under the first of its names: links that
    lead in a circle end, and ones that lead to each other do not multiply.  A folder that cannot
    be listed is yielded as a source with a `problem`.
    """
    return _walk(folder, set())


def _walk(folder: str, listed: set[str]) -> Iterator[Source]:
    real = os.path.realpath(folder)
    if real in listed:
        return
    listed.add(real)
    try:
        for entry in _entries(folder):
            if _is_litter(entry.name):
                continue
            if _is_folder(entry):
                yield from _walk(entry.path, listed)
            else:
                yield Source(name=entry.path, path=entry.path)
    except OSError as error:
        yield Source(name=folder, path=folder, problem=f"cannot be listed: {_reason(error)}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it says so
        return False


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        first = list(itertools.islice(entries, SORTED + 1))
        if len(first) <= SORTED:
            first.sort(key=lambda entry: entry.name)
        yield from first
        del first
        yield from entries


def list_zip(path: str) -> Iterator[Source]:
    """Yield the members of the zip at `path`, sorted by name, without litter.

    Raises SourceError with a short reason if it cannot be listed.
    """
    try:
        archive = _open_zip(path, os.stat(path).st_mtime_ns, os.getpid())
    except OSError as error:
        raise SourceError(_reason(error)) from None
    except ArchiveError as error:
        raise SourceError(str(error)) from None
    for member in sorted(set(archive.namelist())):
        if not member.endswith("/") and not any(
            _is_litter(part) for part in PurePosixPath(member).parts
        ):
            yield Source(name=f"{path}/{member}", path=path, member=member)


def _is_litter(name: str) -> bool:
    hidden = name.startswith(".") and not name.startswith("..")  # a zip's member may, to escape
    return hidden or name in LITTER


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
            try:
                yield from list_zip(path)
            except SourceError as error:
                yield Source(name=path, path=path, explicit=True, problem=str(error))
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


def find_named(name: str) -> Source:
    """Return the file, or the member of a zip, that a stored or written result names.

    If there is none, reading what is returned says so.
    """
    for path in (name, _unescape(name)):
        if os.path.lexists(path):
            return Source(name=name, path=path, explicit=True)
        for end in (match.end() for match in re.finditer(r"\.zip/", path, re.IGNORECASE)):
            archive, member = path[: end - 1], path[end:]
            if os.path.isfile(archive):
                return Source(name=name, path=archive, member=member, explicit=True)
    return Source(name=name, path=name, explicit=True)


def _unescape(name: str) -> str:
    """Undo `escape_undecodable`."""
    name = re.sub(r"\\x([89a-f][0-9a-f])", lambda match: chr(0xDC00 + int(match[1], 16)), name)
    return re.sub(r"\\u(d[89a-f][0-9a-f]{2})", lambda match: chr(int(match[1], 16)), name)


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
