"""Where pictures are: files, folders, globs, zips and object stores, named and read one by one.

A `Source` is cheap to list and to send to another process; nothing is opened before `read`.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import itertools
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from digit_classification.errors import UserError
from digit_classification.names import printable, unescape_undecodable
from digit_classification.pictures import object_store
from digit_classification.pictures.archive import Archive, ArchiveError
from digit_classification.pictures.object_store import StoreError, StoreUnavailable
from digit_classification.urls import in_object_store

# A file of this kind that cannot be read is an error; any other is merely a stray file.
IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("avif", "bmp", "dib", "gif", "heic", "heif", "ico", "jfif", "jp2", "jpe", "jpeg", "jpg"),
        *("jxl", "pbm", "pcx", "pgm", "png", "pnm", "ppm", "psd", "svg", "tga", "tif", "tiff"),
        *("hif", "webp"),
    )
)
READ_SUFFIXES = IMAGE_SUFFIXES | {".pdf"}  # whose pages are pictures
# What operating systems, and Python, leave behind in folders and zips.
LITTER = frozenset({"__MACOSX", "__pycache__", "Thumbs.db", "thumbs.db", "desktop.ini"})
SORTED = 10_000  # entries of a folder: up to this many are read in the order of their names
# More than any photo, and little enough to hold in memory.
MAX_FILE_BYTES = 512 * 2**20
ZIP_IN_STORE = "a zip in an object store is not opened: copy it to a disk"


class SourceError(UserError):
    """A path cannot be read; the message is one sentence for the user, or a short reason."""


class SourceUnavailable(SourceError):
    """What holds the pictures is away: a sentence that is no picture's result, but ends the run."""


class TooLarge(SourceError):
    """A file has more bytes than were allowed."""


@dataclass(frozen=True)
class Source:
    """One file that may be a picture: on disk, the member of a zip, or in an object store."""

    name: str  # as shown and stored: the path as given, or archive.zip/member
    path: str  # the file on disk, the zip, or the object's URL
    member: str | None = None
    explicit: bool = False  # named by the user itself rather than found in a folder
    problem: str | None = None  # why a folder or a zip cannot be listed, if this is one
    content: bytes | None = field(default=None, repr=False)  # if it is not to be read from there

    @property
    def claims_image(self) -> bool:
        """Whether somebody would be surprised to see this file passed over in silence."""
        return self.explicit or bool(self.problem) or _suffix(self.name) in READ_SUFFIXES

    @property
    def remote(self) -> bool:
        """Whether this is in an object store."""
        return in_object_store(self.path)

    @property
    def on_disk(self) -> bool:
        """Whether this is a file of its own, which can be linked and moved."""
        return self.member is None and self.content is None and not self.remote

    def read(self, at_most: int = MAX_FILE_BYTES) -> bytes:
        """Return the content, of up to `at_most` bytes.

        Raises TooLarge, or SourceError with a short reason, if it cannot be had; and
        SourceUnavailable, with a sentence, if the object store cannot be used at all.
        """
        if self.problem is not None:
            raise SourceError(self.problem)
        if self.content is not None:
            if len(self.content) > at_most:
                raise _too_large(at_most)
            return self.content
        if self.remote:
            return self._read_object(at_most)
        try:
            if self.member is not None:
                return self._read_member(self.member, at_most)
            return self._read_file(at_most)
        except OSError as error:
            raise SourceError(_reason(error)) from None
        except ValueError:  # what Python says of a path with a NUL
            raise SourceError("no path: it holds a NUL") from None

    def start(self, size: int) -> bytes:
        """Return the first `size` bytes of a file on disk or in a zip, or all of it.

        Raises SourceError with a short reason.
        """
        try:
            if self.member is not None:
                return _archive(self.path).start_of(self.member, size)
            with self._open() as file:
                return file.read(size)
        except KeyError:
            raise SourceError("no such file in the zip") from None
        except ArchiveError as error:
            raise SourceError(str(error)) from None
        except OSError as error:
            raise SourceError(_reason(error)) from None

    def _read_object(self, at_most: int) -> bytes:
        try:
            return object_store.read_url(self.path, at_most)
        except object_store.TooLarge as error:
            raise TooLarge(str(error)) from None
        except StoreUnavailable as error:
            raise SourceUnavailable(_cannot("read", self.path, error)) from None
        except StoreError as error:
            raise SourceError(str(error)) from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        _check_regular(os.stat(self.path))  # merely opening a device may do something
        with open(self.path, "rb", opener=_open_at_once) as file:
            # Whoever may write to the folder could have changed it.
            _check_regular(os.fstat(file.fileno()))
            yield file

    def _read_file(self, at_most: int) -> bytes:
        with self._open() as file:
            size = os.fstat(file.fileno()).st_size
            if size > at_most:
                raise _too_large(at_most)
            return file.read(size)  # asked for more, Python makes room for all of that

    def _read_member(self, member: str, at_most: int) -> bytes:
        try:
            return _archive(self.path).read_member(member, at_most)
        except KeyError:
            raise SourceError("no such file in the zip") from None
        except ArchiveError as error:
            raise SourceError(str(error)) from None


def _too_large(at_most: int) -> TooLarge:
    return TooLarge(f"larger than {at_most >> 20} MiB")


def _check_regular(status: os.stat_result) -> None:
    """Refuse what is no regular file: a pipe or a device might never end."""
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("not a regular file")


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end, should it be a pipe after all."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _cannot(verb: str, url: str, error: StoreError) -> str:
    return f"'{printable(url)}' cannot be {verb}: {error}."


def _archive(path: str) -> Archive:
    return _open_zip(path, os.stat(path).st_mtime_ns, os.getpid())


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
        archive = _archive(path)
    except OSError as error:
        raise SourceError(_reason(error)) from None
    except ArchiveError as error:
        raise SourceError(str(error)) from None
    for member in sorted(set(archive.namelist())):
        if not member.endswith("/") and not any(map(_is_litter, parts_of(member))):
            yield Source(name=f"{path}/{member}", path=path, member=member)


def parts_of(member: str) -> tuple[str, ...]:
    """Return what PurePosixPath calls its parts, which takes it longer than reading an image."""
    parts = [part for part in member.split("/") if part not in ("", ".")]
    return ("/", *parts) if member.startswith("/") else tuple(parts)


def _is_litter(name: str) -> bool:
    hidden = name.startswith(".") and not name.startswith("..")  # a zip's member may, to escape
    return hidden or name in LITTER


def expand(path: str) -> list[str]:
    """Return what a path on the command line names: itself, or what matches it as a pattern.

    Raises SourceError if that is nothing.
    """
    if in_object_store(path):
        _check_url(path)
        return [path]
    if os.path.lexists(path):  # before the pattern: a name may hold brackets
        return [path]
    if not glob.has_magic(path):
        raise SourceError(f"There is no file or folder '{printable(path)}': check the path.")
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise SourceError(f"Nothing matches '{printable(path)}': check the pattern.")
    return found


def _check_url(url: str) -> None:
    """Ask the store whether there is an object, or one below it."""
    try:
        found = object_store.is_object(url) or any(True for _ in object_store.list_url(url))
    except StoreError as error:
        raise SourceError(_cannot("read", url, error)) from None
    if not found:
        raise SourceError(f"There is nothing at '{printable(url)}': check the URL.")


def find_sources(paths: Iterable[str | Source]) -> Iterator[Source]:
    """Yield the files that `paths` name, in that order, each once.

    A path is a file, a folder (with all below it), a zip, or the URL of one or all objects of a
    store.  A path that is not there is yielded as well: reading it says why not.  A source is
    yielded as it is.

    Raises SourceError, with a sentence, if a store cannot be listed (to its end).
    """
    seen: set[str] = set()
    for path in paths:
        if isinstance(path, Source):
            yield path
            continue
        if _covered(path, seen):
            continue
        if in_object_store(path):
            yield from (s for s in _find_objects(path) if not (seen and _covered(s.path, seen)))
        elif os.path.isdir(path):
            yield from (s for s in list_folder(path) if not (seen and _covered(s.path, seen)))
        elif is_zip(path):
            try:
                yield from list_zip(path)
            except SourceError as error:
                yield Source(name=path, path=path, explicit=True, problem=str(error))
        else:
            yield Source(name=path, path=path, explicit=True)
        seen.add(_absolute(path))


def _find_objects(url: str) -> Iterator[Source]:
    """Yield the object at `url`, or all below it, in the store's order and without litter."""
    try:
        # A list of a million pictures should not cost a request each to see that they are none.
        if _suffix(url) in READ_SUFFIXES | {".zip"} or object_store.is_object(url):
            yield _object(_absolute(url), explicit=True)
            return
        above = len("/".join(filter(None, object_store.split_url(url)))) + 1
        found = False
        for each in object_store.list_url(url):
            found = True
            if not any(map(_is_litter, each.url[above:].split("/"))) and not _is_marker(each):
                yield _object(each.url)
        if not found:
            yield _object(url, explicit=True)
    except StoreError as error:
        raise SourceError(_cannot("listed", url, error)) from None


def _object(url: str, *, explicit: bool = False) -> Source:
    problem = ZIP_IN_STORE if _suffix(url) == ".zip" else None
    return Source(name=url, path=url, explicit=explicit, problem=problem)


def _is_marker(listed: object_store.StoredObject) -> bool:
    """Whether an object merely stands for a folder: its key ends in /, which obstore leaves out."""
    return not listed.size and _suffix(listed.url) not in READ_SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _absolute(path: str) -> str:
    return path.rstrip("/") if in_object_store(path) else os.path.abspath(path)


def _covered(path: str, seen: set[str]) -> bool:
    """Whether `path`, or a folder that holds it, is in `seen`."""
    dirname = posixpath.dirname if in_object_store(path) else os.path.dirname
    path = _absolute(path)
    while path not in seen:
        parent = dirname(path)
        if parent == path:
            return False
        path = parent
    return True


def find_named(name: str) -> Source:
    """Return the file, the member of a zip or the object that a stored or written result names.

    If there is none, reading what is returned says so.
    """
    if in_object_store(name):
        return Source(name=name, path=name, explicit=True)
    for path in (name, unescape_undecodable(name)):
        if os.path.lexists(path):
            return Source(name=name, path=path, explicit=True)
        for end in (match.end() for match in re.finditer(r"\.zip/", path, re.IGNORECASE)):
            archive, member = path[: end - 1], path[end:]
            if os.path.isfile(archive):
                return Source(name=name, path=archive, member=member, explicit=True)
    return Source(name=name, path=name, explicit=True)
