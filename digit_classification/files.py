"""Files that appear whole or not at all, and that take the place of nothing but their own kind.

A file is written under a hidden name beside its own, brought to the disk, and renamed in one step,
so that neither a crash nor a power cut leaves half of one, or loses the one that was there.
Before any work begins, the rest of this module says whether a place can be written to, and whether
what lies there may be replaced; none of that writes anything.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from digit_classification.errors import UserError


class PlaceError(UserError):
    """Two things are to be written to one place; the message is one sentence for the user."""


# ------------------------------------------------------------------------------------- writing


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the name `path` at the end of the block, whole or not at all.

    Raises OSError if it cannot be written; the file that was there stays then.
    """
    beside = path.with_name(_hidden(path))
    try:
        with open(beside, "xb") as file:
            yield file
        put_in_place(beside, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder of its own on the file system of `path`, gone afterwards; made with those above it.

    For what others write by name: `put_in_place` then brings it to `path`.

    Raises OSError if it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_hidden(path), dir=path.parent) as folder:
        yield Path(folder)


def put_in_place(new: Path, place: Path) -> None:
    """Rename a file, or a folder with all in it, to `place`, once it is on the disk.

    A file at `place` is replaced, an empty folder only by a folder.
    """
    if new.is_dir():
        for folder, _, names in os.walk(new, topdown=False):
            for name in names:
                sync_file(os.path.join(folder, name))
            sync_folder(folder)
        if place.is_dir():
            place.rmdir()  # Windows renames nothing to a name that is taken
    else:
        sync_file(new)
    os.replace(new, place)
    sync_folder(place.parent)


def sync_file(path: str | os.PathLike[str]) -> None:
    """Wait until a file's content is on the disk."""
    with open(path, "rb+") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Wait until a folder's new entries are on the disk, where a folder can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _hidden(path: Path) -> str:
    """Return a new name that says whose it is, and is not too long for any file system."""
    return f".{path.name[:50]}-{secrets.token_hex(4)}"


# ------------------------------------------------------------------------------- before the work


def check_writable(path: Path) -> None:
    """Raise the OSError with which opening the file `path` for writing would fail."""
    if path.is_dir():
        raise _error(errno.EISDIR)
    if not path.exists():
        check_creatable(path)
    elif not os.access(path, os.W_OK):
        raise _error(errno.EACCES)


def check_creatable(path: Path, *, with_folders: bool = False) -> None:
    """Raise the OSError with which a new file or folder at `path` would fail.

    `with_folders` says that missing folders above it are made, too.
    """
    folder = path.absolute().parent
    while with_folders and not os.path.lexists(folder):
        folder = folder.parent
    if not folder.exists():
        raise _error(errno.ENOENT)
    if not folder.is_dir():
        raise _error(errno.ENOTDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _error(errno.EACCES)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def may_replace(path: Path, is_ours: Callable[[Path], bool]) -> bool:
    """Whether a file written to `path` takes the place of nothing that somebody would miss.

    True if nothing is there, or an empty file, or what is no file (a device, a pipe), or what
    `is_ours` knows as an earlier output of the same kind.

    Raises OSError if what is there cannot be read.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return True
    return not stat.S_ISREG(status.st_mode) or not status.st_size or is_ours(path)


def check_apart(
    written: Mapping[str, Path | None],
    read: Mapping[str, Path | None],
    new_folders: Sequence[str] = (),
) -> None:
    """Refuse to write two things to one place, or over what is read; the keys are options.

    Those of `new_folders` are folders that have to be empty until their own turn comes.

    Raises PlaceError.
    """
    places = {option: path for option, path in written.items() if path is not None}
    known = [*places.items()]
    sources = [(option, path) for option, path in read.items() if path is not None]
    for number, (option, path) in enumerate(known):
        for other, another in [*known[:number], *sources]:
            if same_place(path, another):
                raise PlaceError(
                    f"{other} and {option} both name '{path}': give each a place of its own."
                )
        for folder in new_folders:
            if folder != option and folder in places and _is_inside(path, places[folder]):
                raise PlaceError(
                    f"{option} '{path}' is in the new folder of {folder}: name a place elsewhere."
                )


def same_place(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file, there already or not, through whatever links and case."""
    with suppress(OSError):
        if os.path.samefile(first, second):
            return True
    names = [os.path.normcase(os.path.realpath(path)) for path in (first, second)]
    if names[0] == names[1]:
        return True
    return names[0].casefold() == names[1].casefold() and _ignores_case(Path(names[0]))


def _ignores_case(path: Path) -> bool:
    """Whether the file system of `path` takes names of another case for the same."""
    for folder in path.parents:
        other = folder.with_name(folder.name.swapcase())
        if folder.exists() and other != folder:
            return other.exists() and os.path.samefile(folder, other)
    return False


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
