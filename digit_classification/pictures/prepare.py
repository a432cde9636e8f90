"""Sources -> normalised digits: each picture read, decoded and normalised, or the reason why not.

The trainer and the detector prepare their pictures here, and so through the same
`images.normalize`.  Many are prepared by processes (`parallel`); in each of them, objects of a
store are fetched by threads, which wait for answers most of the time.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digit_classification.parallel import ATTEMPTS, map_in_parts
from digit_classification.pictures import images
from digit_classification.pictures.decode import (
    DEFAULT_LIMITS,
    LONGEST,
    Limits,
    Picture,
    check_picture,
    decode,
    decode_pages,
)
from digit_classification.pictures.proposals import Compared, Proposal, propose, ready
from digit_classification.pictures.sources import Source, SourceError, SourceUnavailable, TooLarge

THUMBNAIL_SIDE = 96  # pixels
WIDE_SIDE = 320  # of a number, each digit of which should be recognised
READ_AHEAD = 2**20  # bytes of files that a process reads before it decodes the first of them
FETCHERS = 64  # threads of a process that wait for objects of a store
FETCHED_BYTES = 8 * 2**20  # larger objects are read when it is their turn, one at a time


@dataclass(slots=True)
class Prepared:
    """A source, read and normalised, or the reason why it is not."""

    source: Source
    sha256: str | None = None  # of the file's content, hexadecimal
    digit: np.ndarray | None = None  # (28, 28) uint8, light ink on dark
    rejection: str | None = None  # why the picture does not show exactly one digit
    error: str | None = None  # why there is no picture
    stray: bool = False  # no picture, and nothing suggests that it should be one
    thumbnail: bytes | None = None  # the picture, small, as a WebP file; made only when asked for
    note: str | None = None  # what a person should know of how the picture was read
    proposal: Proposal | None = None  # the way to see it that gave `digit`; made only when asked
    others: Iterable[list[Proposal]] = ()  # further ones, made when they are iterated
    compared: tuple[Compared, ...] = ()  # what was looked at, once one is chosen, that one first
    grey: np.ndarray | None = None  # (h, w) uint8, the whole picture; kept only when asked for
    # Of a number: each of its signs, (28, 28) uint8, None for one that is no digit.
    signs: tuple[np.ndarray | None, ...] = ()
    # Of a cell of a form: its own box and those of its signs, in shares of the thumbnail.
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    cells: tuple[Prepared, ...] = ()  # of a form, one for each result; made only when asked for

    @property
    def shows_ink(self) -> bool:
        """Whether there is something to learn, rather than what is left of a blank page."""
        if self.signs:
            return any(sign is not None for sign in self.signs)
        return self.digit is not None and self.rejection != images.BLANK and bool(self.digit.any())


def prepare_all(
    sources: Iterable[Source],
    invert: images.Invert = "auto",
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnails: bool = False,
) -> Iterator[Prepared]:
    """Yield each source prepared, in the order given; 0 workers means the cores there are.

    At most a few chunks are in flight, however many sources there are.
    """
    task = functools.partial(prepare_many, invert=invert, limits=limits, thumbnail=thumbnails)
    return itertools.chain.from_iterable(
        map_in_parts(task, sources, workers, crashed, is_waited_for)
    )


def crashed(source: Source) -> Prepared:
    """Return what becomes of a source that ends each process that reads it."""
    return Prepared(source, error=f"crashed what reads it {ATTEMPTS} times")


def is_waited_for(source: Source) -> bool:
    """Whether a source is waited for most of the time: objects are fetched many at a time."""
    return source.remote


def prepare(
    source: Source,
    invert: images.Invert = "auto",
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnail: bool = False,
    proposing: bool = False,
    whole: bool = False,
    longest: int = LONGEST,
) -> Prepared:
    """Read and normalise one source; whatever is wrong with it is in the result.

    Raises SourceUnavailable if the object store that holds it cannot be used at all.
    """
    return prepare_many(
        [source],
        invert,
        limits,
        thumbnail=thumbnail,
        proposing=proposing,
        whole=whole,
        longest=longest,
    )[0]


def prepare_many(
    sources: Iterable[Source],
    invert: images.Invert = "auto",
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnail: bool = False,
    proposing: bool = False,
    whole: bool = False,
    longest: int = LONGEST,
    enough: Callable[[], bool] = lambda: False,
) -> list[Prepared]:
    """Read and normalise sources, and return them in order; the first of them, once `enough()`.

    With `proposing` they come with the ways to see each of them, for a judge to choose from.
    With `whole` they are not normalised, and come with all their grey pixels, `longest` at most on
    the longer side, for who looks for several digits.

    Several are read before the first is decoded, and pictures of a digit's size are normalised
    together: each kind of work finds the processor's caches warm, and takes half as long.

    Raises SourceUnavailable if an object store cannot be used at all.
    """
    prepared: list[Prepared] = []
    side = (WIDE_SIDE if whole else THUMBNAIL_SIDE) if thumbnail else None
    for group in _read_ahead(sources):
        if prepared and enough():
            break
        small: list[tuple[Prepared, np.ndarray]] = []
        for source, content in group:
            if prepared and enough():
                break
            image, pixels = _decode(source, content, limits, side, longest)
            if pixels is not None and images.is_small(pixels) and not whole:
                small.append((image, pixels))
            elif pixels is not None:
                _look_at(image, pixels, invert, proposing=proposing, whole=whole, longest=longest)
            prepared.append(image)
        _look_at_small(small, invert, proposing)
    return prepared


def prepare_pages(
    sources: Iterable[Source], limits: Limits, longest: int
) -> Iterator[Iterator[Prepared]]:
    """Yield for each source an iterator over its pages, of a picture over the only one.

    A page comes with its grey pixels, `longest` at most on the longer side, or with an `error`.
    They are decoded one at a time, when they are iterated.

    Raises SourceUnavailable if an object store cannot be used at all.
    """
    for group in _read_ahead(sources):
        for source, content in group:
            yield _pages(source, content, limits, longest)


def _pages(
    source: Source, content: bytes | SourceError, limits: Limits, longest: int
) -> Iterator[Prepared]:
    sha256 = None
    try:
        if isinstance(content, SourceError):
            raise content
        sha256 = hashlib.sha256(content).hexdigest()
        for page in decode_pages(content, limits, longest):
            if isinstance(page, images.ImageError):
                yield Prepared(source, sha256, error=str(page))
                continue
            grey = images.grey_from_array(page.pixels, longest)
            yield Prepared(source, sha256, note=page.note, grey=grey)
    except (SourceError, images.ImageError) as error:
        yield _unreadable(source, sha256, error)


def prepare_picture(
    picture: Picture,
    invert: images.Invert,
    limits: Limits,
    *,
    proposing: bool = False,
    whole: bool = False,
    longest: int = LONGEST,
) -> Prepared:
    """Do as `prepare` with what a program holds: a path, a file's bytes, pixels.

    Raises TypeError if it is nothing that could hold a picture.
    """
    if isinstance(picture, str | os.PathLike):
        path = os.fspath(picture)
        source = Source(name=path, path=path, explicit=True)
        return prepare(source, invert, limits, proposing=proposing, whole=whole, longest=longest)
    check_picture(picture)
    if not isinstance(picture, np.ndarray | Image.Image):
        content = picture if isinstance(picture, bytes) else picture.read()
        source = Source(name="", path="", explicit=True, content=content)
        return prepare(source, invert, limits, proposing=proposing, whole=whole, longest=longest)
    prepared = Prepared(Source(name="", path="", explicit=True))
    try:
        decoded = decode(picture, limits, longest)
        prepared.note = decoded.note
        _look_at(
            prepared, decoded.pixels, invert, proposing=proposing, whole=whole, longest=longest
        )
    except images.ImageError as error:
        prepared.error = str(error)
    return prepared


def _look_at(
    image: Prepared,
    pixels: np.ndarray,
    invert: images.Invert,
    *,
    proposing: bool,
    whole: bool,
    longest: int = LONGEST,
) -> None:
    """Fill in what is seen in a picture's decoded pixels."""
    if whole:
        image.grey = images.grey_from_array(pixels, longest)
    elif proposing:
        stages = propose(images.grey_from_array(pixels), invert)
        image.proposal, image.others = next(stages)[0], stages
        image.digit, image.rejection = image.proposal.digit, image.proposal.rejection
    else:
        seen = images.normalize(pixels, invert=invert)
        image.digit, image.rejection = seen.digit, seen.rejection


def _look_at_small(
    pictures: Sequence[tuple[Prepared, np.ndarray]], invert: images.Invert, proposing: bool
) -> None:
    """Fill in what is seen in pictures of a digit's size, (28, 28) uint8, many at a time."""
    digits = images.normalize_ready([pixels for _, pixels in pictures], invert)
    for (image, pixels), digit in zip(pictures, digits, strict=True):
        if digit is None:
            _look_at(image, pixels, invert, proposing=proposing, whole=False)
            continue
        image.digit = digit
        if proposing:
            image.proposal = ready(digit)
            image.others = itertools.islice(propose(pixels, invert), 1, None)


def _read_ahead(sources: Iterable[Source]) -> Iterator[list[tuple[Source, bytes | SourceError]]]:
    """Yield groups of sources with their contents, or why there are none."""
    group: list[tuple[Source, bytes | SourceError]] = []
    size = 0
    for source, read in _with_readers(list(sources)):
        try:
            content = read()
            size += len(content)
            group.append((source, content))
        except SourceUnavailable:
            raise
        except SourceError as error:
            group.append((source, error))
        if size >= READ_AHEAD:
            yield group
            group, size = [], 0
    yield group


def _with_readers(sources: list[Source]) -> Iterator[tuple[Source, Callable[[], bytes]]]:
    """Yield each source with the function that returns its content, which may be there already."""
    if not any(source.remote for source in sources):
        for source in sources:
            yield source, source.read
        return
    pool = ThreadPoolExecutor(min(FETCHERS, len(sources)))
    try:
        ahead: deque[Future[Callable[[], bytes]]] = deque()
        waiting = iter(sources)
        for source in sources:
            for each in itertools.islice(waiting, FETCHERS - len(ahead)):
                ahead.append(pool.submit(_fetch, each))
            yield source, functools.partial(_fetched, ahead.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(source: Source) -> Callable[[], bytes]:
    """Return a function that returns the content; unless it is large, or a file, fetched here."""
    if not source.remote:
        return source.read
    try:
        content = source.read(FETCHED_BYTES)
    except TooLarge:
        return source.read
    return lambda: content


def _fetched(future: Future[Callable[[], bytes]]) -> bytes:
    return future.result()()


def _decode(
    source: Source, content: bytes | SourceError, limits: Limits, side: int | None, longest: int
) -> tuple[Prepared, np.ndarray | None]:
    """Return one source decoded, and its pixels; None where there are none."""
    sha256 = None
    try:
        if isinstance(content, SourceError):
            raise content
        sha256 = hashlib.sha256(content).hexdigest()
        decoded = decode(content, limits, longest)
        small = None if side is None else thumbnail_of(decoded.pixels, side)
        return Prepared(source, sha256, note=decoded.note, thumbnail=small), decoded.pixels
    except (SourceError, images.ImageError) as error:
        return _unreadable(source, sha256, error), None


def _unreadable(source: Source, sha256: str | None, error: Exception) -> Prepared:
    stray = sha256 is not None and not source.claims_image
    return Prepared(source, sha256, error=str(error), stray=stray)


def thumbnail_of(pixels: np.ndarray, side: int) -> bytes:
    """Return a lossless WebP: of Pillow's formats the smallest that is also quick to write."""
    stream = io.BytesIO()
    small = Image.fromarray(images.thumbnail(pixels, side))
    small.save(stream, "WEBP", lossless=True, method=0)
    return stream.getvalue()
