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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digit_classification.parallel import ATTEMPTS, map_in_parts
from digit_classification.pictures import images
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits, decode
from digit_classification.pictures.sources import Source, SourceError, SourceUnavailable, TooLarge

THUMBNAIL_SIDE = 96  # pixels
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

    @property
    def shows_ink(self) -> bool:
        """Whether there is something to learn, rather than what is left of a blank page."""
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
) -> Prepared:
    """Read and normalise one source; whatever is wrong with it is in the result.

    Raises SourceUnavailable if the object store that holds it cannot be used at all.
    """
    return prepare_many([source], invert, limits, thumbnail=thumbnail)[0]


def prepare_many(
    sources: Iterable[Source],
    invert: images.Invert = "auto",
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnail: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> list[Prepared]:
    """Read and normalise sources, and return them in order; the first of them, once `enough()`.

    Several are read before the first is decoded, and pictures of a digit's size are normalised
    together: each kind of work finds the processor's caches warm, and takes half as long.

    Raises SourceUnavailable if an object store cannot be used at all.
    """
    prepared: list[Prepared] = []
    for group in _read_ahead(sources):
        if prepared and enough():
            break
        small: dict[int, np.ndarray] = {}  # by position
        for source, content in group:
            if prepared and enough():
                break
            image, pixels = _decode(source, content, invert, limits, thumbnail)
            if pixels is not None:
                small[len(prepared)] = pixels
            prepared.append(image)
        for position, seen in zip(
            small, images.normalize_small([*small.values()], invert=invert), strict=True
        ):
            prepared[position].digit = seen.digit
            prepared[position].rejection = seen.rejection
    return prepared


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
    source: Source,
    content: bytes | SourceError,
    invert: images.Invert,
    limits: Limits,
    thumbnail: bool,
) -> tuple[Prepared, np.ndarray | None]:
    """Prepare one source, but for a picture of a digit's size, whose pixels are returned too."""
    sha256 = None
    try:
        if isinstance(content, SourceError):
            raise content
        sha256 = hashlib.sha256(content).hexdigest()
        decoded = decode(content, limits)
        small = _thumbnail(decoded.pixels) if thumbnail else None
        prepared = Prepared(source, sha256, note=decoded.note, thumbnail=small)
        if images.is_small(decoded.pixels):
            return prepared, decoded.pixels
        seen = images.normalize(decoded.pixels, invert=invert)
        prepared.digit, prepared.rejection = seen.digit, seen.rejection
        return prepared, None
    except (SourceError, images.ImageError) as error:
        stray = sha256 is not None and not source.claims_image
        return Prepared(source, sha256, error=str(error), stray=stray), None


def _thumbnail(pixels: np.ndarray) -> bytes:
    """Return a lossless WebP: of Pillow's formats the smallest that is also quick to write."""
    stream = io.BytesIO()
    small = Image.fromarray(images.thumbnail(pixels, THUMBNAIL_SIDE))
    small.save(stream, "WEBP", lossless=True, method=0)
    return stream.getvalue()
