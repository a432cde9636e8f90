"""Sorting: a copy of each image under DIR/<digit>, DIR/uncertain or DIR/rejected.

The place of a copy is chosen first, and committed to the database in the transaction that stores
the image's result (`sorted_to`).  Only then is the file made there.  So a crash can leave a row
whose file is not there yet, but never a file, or a second one, that no row knows.  A resumed run
settles each of its rows once more: it makes what is missing at the place that the row names.

A file appears at its place whole, by a hard link, and never over another file.  Where the image
itself cannot be linked (another file system, a zip, an object store) a temporary file gets its
content first.  If somebody else has taken the place meanwhile, another one is recorded before the
file is made there.  With `move` the image is removed last, once its copy is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath

from digit_classification.pictures.sources import Source, SourceError, escape_undecodable, printable
from digit_classification.results.records import Result

LONGEST_STEM_BYTES, LONGEST_SUFFIX_BYTES = 200, 20  # with a number, less than the usual 255
FORBIDDEN = frozenset('<>:"/\\|?*')  # not allowed in names, or a separator, on some system


class SortingError(Exception):
    """An image cannot be copied or moved; the message is one sentence for the user."""


class Sorter:
    """Puts copies of a run's images, or with `move` the images themselves, under `folder`.

    Images that could not be read stay where they are; members of zips and objects of a store are
    always copied, for moving would change what may belong to others.
    """

    def __init__(self, folder: str, *, move: bool, run_id: str) -> None:
        self.folder = folder
        self.move = move
        self._temporary_name = f".{run_id}.part"  # the same for a resumed run, which tidies up

    def choose(self, results: Sequence[Result], sources: Sequence[Source]) -> list[Result]:
        """Return the results with a free place for a copy of each image as `sorted_to`."""
        chosen: set[str] = set()
        return [
            result
            if result.status == "error"
            else replace(result, sorted_to=self._free_place(result, source, chosen))
            for result, source in zip(results, sources, strict=True)
        ]

    def settle(
        self,
        result: Result,
        source: Source,
        record: Callable[[str | None], None],
        *,
        resumed: bool = False,
    ) -> None:
        """Make the file that a stored result names in `sorted_to`.

        `record` stores another place, or None if the image has vanished meanwhile.  `resumed` says
        that the run may have made the file already.

        Raises SortingError.
        """
        place = result.sorted_to
        if place is None:
            return
        if source.on_disk and not os.path.exists(source.path):
            if not os.path.lexists(place):  # somebody removed it; else it was moved there
                record(None)
            return
        try:
            while not self._make(source, place, result.image_sha256 if resumed else None):
                place = self._free_place(result, source, {place})
                record(place)
            if self.move and source.on_disk:
                os.unlink(source.path)
        except SourceError as error:
            raise SortingError(
                f"'{printable(source.name)}' cannot be copied: {error}: fix that, and resume."
            ) from None
        except OSError as error:
            verb = "moved" if self.move else "copied"
            raise SortingError(
                f"'{printable(source.name)}' cannot be {verb} to '{printable(place)}':"
                f" {error.strerror}; see to the permissions and to room on the disk."
            ) from None

    def stored_place(self, result: Result, source: Source) -> str | None:
        """Return the place that a result read back names, with its undecodable bytes restored."""
        if result.sorted_to is None:
            return None
        stem, suffix = self._stem_and_suffix(result, source)
        number = result.sorted_to.removeprefix(escape_undecodable(stem))
        return stem + number.removesuffix(escape_undecodable(suffix)) + suffix

    def _free_place(self, result: Result, source: Source, taken: set[str]) -> str:
        """Return `7.png`, or `7-2.png` and so on, that is not there and not in `taken`; add it."""
        stem, suffix = self._stem_and_suffix(result, source)

        def place(number: int) -> str:
            return stem + (f"-{number}" if number > 1 else "") + suffix

        number = _first(lambda n: place(n) not in taken and not os.path.lexists(place(n)))
        taken.add(place(number))
        return place(number)

    def _stem_and_suffix(self, result: Result, source: Source) -> tuple[str, str]:
        stem, suffix = _file_name(source)
        kind = str(result.digit) if result.status == "ok" else result.status
        return os.path.join(self.folder, kind, stem), suffix

    def _make(self, source: Source, place: str, resumed_sha256: str | None) -> bool:
        """Make a file at `place`; return whether it is there, and not somebody else's."""
        folder = os.path.dirname(place)
        os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, self._temporary_name)
        if resumed_sha256 is not None:
            _remove(temporary)  # perhaps a second name of the file at `place`, which stays
            if os.path.lexists(place) and os.path.getsize(place):
                return _is_same(place, source, resumed_sha256)
            _remove(place)  # reserved and never filled, see _rename
        try:
            self._link_or_copy(source, place, temporary)
        except FileExistsError:
            return False
        return True

    def _link_or_copy(self, source: Source, place: str, temporary: str) -> None:
        """Let the file appear at `place`; raises FileExistsError where there is one."""
        if source.on_disk:
            try:
                # The path itself may be a symbolic link, which would be linked instead.
                os.link(os.path.realpath(source.path), place)
                return
            except FileExistsError:
                raise
            except OSError:  # another file system, or one that has no hard links
                pass
        _remove(temporary)
        try:
            _copy(source, temporary)
            _rename(temporary, place)
        finally:
            _remove(temporary)


def _file_name(source: Source) -> tuple[str, str]:
    """The stem and the suffix of a copy's name: the image's own, made harmless if from a zip."""
    if source.on_disk:
        name = os.path.basename(os.path.abspath(source.path))
    else:
        name = PurePosixPath(source.member or source.path).name
        name = "".join("_" if c in FORBIDDEN or not c.isprintable() else c for c in name)
    stem, suffix = os.path.splitext(name)
    if len(os.fsencode(suffix)) > LONGEST_SUFFIX_BYTES:
        stem, suffix = name, ""
    stem = stem[:LONGEST_STEM_BYTES]
    while len(os.fsencode(stem)) > LONGEST_STEM_BYTES:
        stem = stem[:-1]
    return stem, suffix


def _first(is_free: Callable[[int], bool]) -> int:
    """Return a free number from 1, the smallest unless there are gaps, in logarithmic steps."""
    if is_free(1):
        return 1
    taken, free = 1, 2
    while not is_free(free):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (taken, middle) if is_free(middle) else (middle, free)
    return free


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _copy(source: Source, temporary: str) -> None:
    """Copy an image's content, and times if it is a file, and wait until it is on the disk."""
    with open(temporary, "xb") as file:
        if source.on_disk:
            with open(source.path, "rb") as image:
                shutil.copyfileobj(image, file, 2**20)
        else:
            file.write(source.read())
        file.flush()
        os.fsync(file.fileno())
    if source.on_disk:
        with suppress(OSError):  # not every file system has all of it
            shutil.copystat(source.path, temporary)


def _rename(temporary: str, place: str) -> None:
    """Rename, but raise FileExistsError where there is a file already."""
    try:
        os.link(temporary, place)
    except FileExistsError:
        raise
    except OSError:  # no hard links there: reserve the name, then replace the reservation
        with open(place, "xb"):
            pass
        os.replace(temporary, place)
    sync_folder(os.path.dirname(place))


def sync_folder(folder: str) -> None:
    """Wait until a folder's new entry is on the disk, where a folder can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_same(place: str, source: Source, sha256: str) -> bool:
    """Whether the file at `place` is a copy of the image."""
    if source.on_disk and os.path.samefile(place, source.path):
        return True
    with open(place, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest() == sha256
