"""Sorting: a copy of each image under DIR/<digit>, DIR/uncertain or DIR/rejected.

A number is sorted by its length: one folder for each of them would hold one picture each.

The place of a copy is chosen first, and committed to the database in the transaction that stores
the image's result (`sorted_to`).  Only then is the file made there.  So a crash can leave a row
whose file is not there yet, but never a file, or a second one, that no row knows.  A resumed run
settles each of its rows once more: it makes what is missing at the place that the row names.

A file appears at its place whole, and never over another file: a temporary file gets the content,
is brought to the disk, and takes the name by a hard link, which a name that is taken refuses.  If
somebody else has taken the place meanwhile, another one is recorded before the file is made there.
With `move` the image is removed last, once its copy is on the disk; on one file system the image
itself takes the name.

Where a file of that name with the same content is there already, from an earlier run or of a twin
in another folder, the image is done: its row names that file.  With `move` the image is then
removed, after the two have been compared again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import BinaryIO

from digit_classification.errors import UserError
from digit_classification.files import sync_file, sync_folder
from digit_classification.names import escape_undecodable, printable
from digit_classification.pictures.sources import Source, SourceError
from digit_classification.results.records import Result

LONGEST_STEM_BYTES, LONGEST_SUFFIX_BYTES = 200, 20  # with a number, less than the usual 255
KNOWN_NAMES = 100_000  # of which it is remembered what lies there: some 50 MB
COPIES_AT_ONCE = 16
FORBIDDEN = frozenset('<>:"/\\|?*')  # not allowed in names, or a separator, on some system


class SortingError(UserError):
    """An image cannot be copied or moved; the message is one sentence for the user."""


class Sorter:
    """Puts copies of a run's images, or with `move` the images themselves, under `folder`.

    Copies are files of their own, or with `hard_links` second names of the images where the file
    system can do that.  Images that could not be read stay where they are; members of zips and
    objects of a store are always copied, for moving would change what may belong to others.
    """

    def __init__(
        self, folder: str, *, run_id: str, move: bool = False, hard_links: bool = False
    ) -> None:
        self.folder = folder
        self.move = move
        self.hard_links = hard_links
        self._run_id = run_id
        # By the place without a number: the places there, by the checksum of what they hold.
        self._known: dict[str, dict[str | None, str]] = {}

    def choose(self, results: Sequence[Result], sources: Sequence[Source]) -> list[Result]:
        """Return the results with a place for a copy of each image as `sorted_to`.

        The place is free, or has the same content already.
        """
        if len(self._known) > KNOWN_NAMES:
            self._known.clear()
        chosen: set[str] = set()
        return [
            result
            if result.status == "error"
            else replace(result, sorted_to=self._choose_place(result, source, chosen))
            for result, source in zip(results, sources, strict=True)
        ]

    def _choose_place(self, result: Result, source: Source, chosen: set[str]) -> str:
        first = "".join(self._stem_and_suffix(result, source))
        if first not in self._known:
            self._known[first] = self._already_there(result, source)
        known = self._known[first]
        if result.image_sha256 not in known:
            known[result.image_sha256] = self._free_place(result, source, chosen)
        return known[result.image_sha256]

    def _already_there(self, result: Result, source: Source) -> dict[str | None, str]:
        """Return the files at `7.png`, `7-2.png` and so on, by their checksums."""
        stem, suffix = self._stem_and_suffix(result, source)
        there: dict[str | None, str] = {}
        free = _first(lambda number: not os.path.lexists(_place(stem, number, suffix)))
        for number in range(1, free):
            place = _place(stem, number, suffix)
            with suppress(OSError):  # not for us to read, or gone: then it is no copy of ours
                if not os.path.islink(place) and os.path.isfile(place):
                    there.setdefault(_sha256(place), place)
        return there

    def settle(
        self,
        results: Sequence[Result],
        sources: Sequence[Source],
        record: Callable[[Result, str | None], None],
        *,
        resumed: bool = False,
    ) -> None:
        """Make the files that stored results name in `sorted_to`; when it returns, on the disk.

        `record` stores another place of a result, or None if the image has vanished meanwhile.
        `resumed` says that the run may have made the files already.

        Raises SortingError.
        """
        pairs = [
            (result, source)
            for result, source in zip(results, sources, strict=True)
            if result.sorted_to is not None
        ]
        made = self._make_at_once(pairs, resumed)
        places = []
        for result, source in pairs:
            place = str(result.sorted_to)
            if _vanished(source):
                if not os.path.lexists(place):  # somebody removed it; else it was moved there
                    record(result, None)
                continue
            there = made.get(source) == place or self._make(result, source, place, resumed)
            while not there:
                place = self._free_place(result, source, {place})
                record(result, place)
                there = self._make(result, source, place, resumed)
            places.append((source, place))
        for folder in {os.path.dirname(place) for _, place in places}:
            sync_folder(folder)
        for source, place in places if self.move else ():
            if source.on_disk:
                with _reporting(source, place, "moved"):
                    if not _is_itself(place, source):
                        _remove(source.path)

    def _make_at_once(
        self, pairs: Sequence[tuple[Result, Source]], resumed: bool
    ) -> dict[Source, str]:
        """Make files in threads, one for each place; return those of them that are there.

        A disk confirms many files in the time that it takes for one.
        """
        first: dict[str, tuple[Result, Source]] = {}
        for result, source in pairs:
            if not _vanished(source):
                first.setdefault(str(result.sorted_to), (result, source))
        with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
            try:
                copies = [
                    pool.submit(self._make, result, source, place, resumed)
                    for place, (result, source) in first.items()
                ]
                return {
                    source: place
                    for (place, (_, source)), copy in zip(first.items(), copies, strict=True)
                    if copy.result()
                }
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

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

        def is_free(number: int) -> bool:
            place = _place(stem, number, suffix)
            return place not in taken and not os.path.lexists(place)

        place = _place(stem, _first(is_free), suffix)
        taken.add(place)
        return place

    def _stem_and_suffix(self, result: Result, source: Source) -> tuple[str, str]:
        stem, suffix = _file_name(source)
        return os.path.join(self.folder, _kind(result), stem), suffix

    def _make(self, result: Result, source: Source, place: str, resumed: bool) -> bool:
        """Make a file at `place`; return whether it is there, and not another picture's.

        Raises SortingError.
        """
        with _reporting(source, place, "moved" if self.move else "copied"):
            folder, name = os.path.split(place)
            os.makedirs(folder, exist_ok=True)
            # The same for a resumed run, which tidies up.
            number = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
            temporary = os.path.join(folder, f".{self._run_id}-{number}.part")
            if resumed:
                _remove(temporary)  # perhaps a second name of the file at `place`, which stays
                if os.path.lexists(place) and not os.path.getsize(place):
                    _remove(place)  # reserved and never filled, see _rename
            if not os.path.lexists(place):
                with suppress(FileExistsError):  # somebody was quicker
                    self._link_or_copy(source, place, temporary)
                    return True
            return self._is_same(place, source, result.image_sha256)

    def _link_or_copy(self, source: Source, place: str, temporary: str) -> None:
        """Let the file appear at `place`; raises FileExistsError where there is one."""
        # A symbolic link leads to a file that keeps its other name, and so has to be copied.
        linked = self.hard_links or (self.move and not os.path.islink(source.path))
        if linked and source.on_disk:
            try:
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

    def _is_same(self, place: str, source: Source, sha256: str | None) -> bool:
        """Whether the file at `place` is a copy of the image; on the disk, if that may go then."""
        if os.path.islink(place) or not os.path.isfile(place):
            return False  # a link may lead to the image itself
        if source.on_disk and os.path.samefile(place, source.path):
            return True
        if _sha256(place) != sha256:
            return False
        if not (self.move and source.on_disk):
            return True
        with suppress(OSError):  # it may be somebody else's, and read-only
            sync_file(place)
        return _sha256(source.path) == sha256


def _kind(result: Result) -> str:
    """The name of the folder: `7`, of a number by its length `4-digits`, or the status."""
    if result.status != "ok":
        return result.status
    if result.number is None:
        return str(result.digit)
    digits = sum(sign.isdecimal() for sign in result.number)
    return f"{digits}-digit" if digits == 1 else f"{digits}-digits"


def _place(stem: str, number: int, suffix: str) -> str:
    return stem + (f"-{number}" if number > 1 else "") + suffix


def _vanished(source: Source) -> bool:
    return source.on_disk and not os.path.exists(source.path)


def _is_itself(place: str, source: Source) -> bool:
    """Whether the image that is to be removed is the file at `place`, and not a second one.

    So it is if it was read below the folder that it is sorted into.
    """
    if not os.path.samefile(place, source.path):
        return False
    names = {os.path.normcase(os.path.realpath(path)) for path in (place, source.path)}
    return len(names) == 1 or os.stat(place).st_nlink == 1


@contextmanager
def _reporting(source: Source, place: str, verb: str) -> Iterator[None]:
    """Turn what goes wrong into a sentence."""
    try:
        yield
    except SourceError as error:
        raise SortingError(
            f"'{printable(source.name)}' cannot be copied: {error}: fix that, and resume."
        ) from None
    except OSError as error:
        raise SortingError(
            f"'{printable(source.name)}' cannot be {verb} to '{printable(place)}':"
            f" {error.strerror}; see to the permissions and to room on the disk."
        ) from None


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
                _copy_content(image, file)
        else:
            file.write(source.read())
        file.flush()
        os.fsync(file.fileno())
    if source.on_disk:
        with suppress(OSError):  # not every file system has all of it
            shutil.copystat(source.path, temporary)


def _copy_content(image: BinaryIO, file: BinaryIO) -> None:
    """Copy; where the file system can (Btrfs, XFS), let both share their blocks until one changes.

    Linux does so by itself in copy_file_range(2); other systems do not have it.
    """
    size = os.fstat(image.fileno()).st_size
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # not between these file systems
            while os.copy_file_range(image.fileno(), file.fileno(), 2**30):
                pass
        if os.fstat(file.fileno()).st_size == size:
            return
        file.truncate(0)
        file.seek(0)
        image.seek(0)
    shutil.copyfileobj(image, file, 2**20)


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


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
