"""The review page: one HTML file that shows the pictures of a run, least certain first.

A person looks through it, types the right digit where the program read a wrong one, and
downloads the corrections as a CSV file, which the trainer takes.  The page needs nothing but a
browser: its style, its program and its pictures are inside, and its Content-Security-Policy
forbids the network.

Its parts are files beside this module, in `review_page/`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from string import Template
from typing import BinaryIO

import numpy as np
from PIL import Image

from digit_classification.errors import UserError
from digit_classification.files import check_creatable, folder_beside, put_in_place
from digit_classification.names import escape_undecodable, printable
from digit_classification.pictures import images
from digit_classification.pictures.prepare import Prepared
from digit_classification.reports.coding import (
    COLUMNS,
    Box,
    as_pngs,
    cell_item,
    data_url,
    length_of,
    script_json,
    signs_item,
    tile,
)
from digit_classification.results.records import Result

PARTS = Path(__file__).parent / "review_page"
SHOWN = 20_000  # a page with more would be slow to open; all are counted
TENTHS = range(1, 10)  # bars of the confidence histogram: the top one of ten digits has a tenth
# A sheet holds the pictures of a screen or two: one large enough to share what a file costs,
# small enough to decode while somebody scrolls.
PER_SHEET = 64
BLOCK = 16  # pixels: WebP codes blocks of this side, and a block across two pictures smears
PICTURE_QUALITY = 75
ENLARGED = 48  # pixels: smaller pictures fill a card only when they are enlarged
# The order on the page: what a person should look at comes first.
STATUSES = ("uncertain", "rejected", "error", "ok")


class ReviewError(UserError):
    """The page cannot be written; the message is one sentence for the user."""


@dataclass(frozen=True)
class About:
    """What was classified, with what, and when: the head of the page."""

    sources: Sequence[str]
    model: str
    min_confidence: float | None
    finished: datetime
    run: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)  # of paths; None is no digit
    numbers: bool = False  # whether the pictures were read as numbers
    forms: bool = False  # whether these stand in the cells of forms

    @property
    def what(self) -> str:
        """What was read, in a word."""
        return "Forms" if self.forms else "Numbers" if self.numbers else "Digits"


@dataclass(frozen=True)
class _Entry:
    """A result on the page, and where its pictures are in the scratch file."""

    result: Result
    number: int  # in the order of the run
    begin: int = 0
    end: int = 0
    digits: int = 0  # normalised forms there: one, or those of a number
    has_ink: bool = False  # without any, there is nothing that could be learned
    boxes: tuple[Box, ...] = ()  # on the picture of a cell: the cell's and those of its signs

    @property
    def rank(self) -> tuple[int, bool, float, int]:
        """Orders the page: by status, what can be corrected first, the least certain first."""
        order = STATUSES.index(self.result.status)
        corrected = self.result.corrected_at is not None  # by a person, who is sure
        certainty = 1.0 if corrected else self.result.confidence or 0.0
        return order, not self.has_ink, certainty, self.number


class Review:
    """Collects results and their pictures, then writes the page.

    Pictures wait in a scratch file, and only the `SHOWN` least certain results in memory, so
    that a run may be of any length.
    """

    def __init__(self, path: Path, folder: Path, scratch: BinaryIO) -> None:
        self._path = path
        self._folder = folder
        self._scratch = scratch
        self._entries: list[_Entry] = []
        self._limit: tuple[int, bool, float, int] | None = None  # what ranks below is not shown
        self._statuses: Counter[str] = Counter()
        self._digits: Counter[int] = Counter()  # or lengths of numbers
        self._tenths: Counter[int] = Counter()  # of confidence

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Review]:
        """Check, before any work is done, that the page can be written to `path`.

        Raises ReviewError if it cannot, or if `path` is already there.
        """
        check_report(path)
        with contextlib.ExitStack() as stack:
            with _reporting(path):
                folder = stack.enter_context(folder_beside(path))
                scratch = stack.enter_context(_scratch_file(folder / "pictures"))
            yield cls(path, folder, scratch)

    def add(self, results: Sequence[Result], pictures: Sequence[Prepared]) -> None:
        """Take results with what was read of their files, in the same order.

        Raises ReviewError if the disk is full.
        """
        for result, picture in zip(results, pictures, strict=True):
            shows_ink = picture.shows_ink and picture.thumbnail is not None
            number = self._statuses.total()
            entry = _Entry(result, number=number, has_ink=shows_ink, boxes=picture.boxes)
            self._count(result)
            if self._limit is None or entry.rank < self._limit:
                self._entries.append(self._with_pictures(entry, picture))
        if len(self._entries) > 2 * SHOWN:
            self._entries = self._first_ranks()
            self._limit = self._entries[-1].rank

    def _count(self, result: Result) -> None:
        self._statuses[result.status] += 1
        if result.text is not None:
            read = result.digit if result.number is None else length_of(result.number)
            assert read is not None
            self._digits[read] += 1
        if result.text is not None and result.confidence is not None:
            tenth = min(max(int(10 * result.confidence), TENTHS[0]), TENTHS[-1])
            self._tenths[tenth] += 1

    def _with_pictures(self, entry: _Entry, picture: Prepared) -> _Entry:
        if picture.thumbnail is None:
            return entry
        digits = [each for each in (picture.digit, *picture.signs) if each is not None]
        with _reporting(self._path):
            begin = self._scratch.tell()
            self._scratch.write(b"".join(each.tobytes() for each in digits) + picture.thumbnail)
            end = self._scratch.tell()
        return replace(entry, begin=begin, end=end, digits=len(digits))

    def write(self, about: About, track: Callable[[range], Iterable[int]] = iter) -> None:
        """Write the page, whole or not at all; `track` goes through the steps of that.

        Raises ReviewError if it cannot be written.
        """
        entries = self._first_ranks()
        if about.forms:  # whoever looks at a form goes through it cell by cell
            entries.sort(key=lambda entry: entry.number)
        with _reporting(self._path):
            self._write(about, entries, track)

    def _write(
        self,
        about: About,
        entries: Sequence[_Entry],
        track: Callable[[range], Iterable[int]],
    ) -> None:
        style, program = _part("page.css"), _part("page.js")
        page = Template(_part("page.html")).substitute(
            policy=_policy(style, program),
            title=html.escape(f"{about.what} in {_named(about.sources)}"),
            style=style,
            program=program,
            data=script_json(self._data(about, entries)),
        )
        before, after = page.split("<!-- sheets -->")
        whole = self._folder / "page.html"
        with open(whole, "w", encoding="utf-8", newline="\n") as file:
            file.write(before)
            for first in track(range(0, len(entries), PER_SHEET)):
                sheet = self._sheet(entries[first : first + PER_SHEET], numbers=about.numbers)
                file.write(f'<script type="application/json" class="sheet">{sheet}</script>\n')
            file.write(after)
        check_report(self._path)  # a run takes long; somebody may have come
        put_in_place(whole, self._path)

    def _first_ranks(self) -> list[_Entry]:
        return sorted(self._entries, key=lambda entry: entry.rank)[:SHOWN]

    def _data(self, about: About, entries: Sequence[_Entry]) -> dict[str, object]:
        return {
            "sources": [printable(source) for source in about.sources],
            "model": printable(about.model),
            "minConfidence": about.min_confidence,
            "finished": _moment(about.finished.astimezone()),
            "run": about.run,
            "key": about.run or _digest(entries),
            "total": self._statuses.total(),
            "statuses": {status: self._statuses[status] for status in STATUSES},
            "digits": [self._digits[digit] for digit in range(10)],
            "bins": [[10 * tenth, self._tenths[tenth]] for tenth in TENTHS],
            "perSheet": PER_SHEET,
            "columns": COLUMNS,
            "side": images.SIDE,
            "numbers": about.numbers,
            "forms": about.forms,
            "items": [_item(about, entry) for entry in entries],
        }

    def _sheet(self, entries: Sequence[_Entry], *, numbers: bool) -> str:
        """Return JSON: the pictures of these entries on one sheet, their normalised forms on one.

        Those of numbers are in lists instead, one PNG a digit.

        Chosen by size: the normalised forms, which should be exact, are smallest as PNG; of small
        pictures lossless WebP takes a quarter more than lossy, which shows when they are enlarged;
        of photos lossy WebP takes half of what JPEG does and a quarter of lossless.
        """
        pictures, digits = [], []
        for entry in entries:
            picture, seen = self._read(entry)
            pictures.append(picture)
            digits.append(seen)
        longest = max(max(picture.shape[:2]) for picture in pictures)
        cell = -(-longest // BLOCK) * BLOCK
        coding = {"lossless": True} if cell <= ENLARGED else {"quality": PICTURE_QUALITY}
        return script_json(
            {
                "cell": cell,
                "sizes": [[picture.shape[1], picture.shape[0]] for picture in pictures],
                "pictures": data_url(tile(pictures, cell), "WEBP", **coding),
                **(
                    {"signs": [*map(as_pngs, (entry.result for entry in entries), digits)]}
                    if numbers
                    else {"digits": data_url(tile([*map(_first, digits)], images.SIDE), "PNG")}
                ),
            }
        )

    def _read(self, entry: _Entry) -> tuple[np.ndarray, np.ndarray]:
        """Return an entry's picture, (h, w, 3) uint8, black if none, and its normalised forms."""
        if entry.begin == entry.end:
            return np.zeros((1, 1, 3), np.uint8), np.empty((0, images.SIDE, images.SIDE), np.uint8)
        self._scratch.seek(entry.begin)
        record = self._scratch.read(entry.end - entry.begin)
        pixels = entry.digits * images.SIDE * images.SIDE
        digits = np.frombuffer(record[:pixels], np.uint8).reshape(-1, images.SIDE, images.SIDE)
        picture = Image.open(io.BytesIO(record[pixels:]), formats=["WEBP"])
        return np.asarray(picture.convert("RGB")), digits


def _moment(time: datetime) -> str:
    """Return a time to the minute, with its offset from UTC as ISO 8601 writes that."""
    shown = f"{time:%Y-%m-%d %H:%M} UTC"
    return f"{shown}{time.isoformat()[-6:]}" if time.utcoffset() else shown


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Turn what the operating system says into a sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReviewError(
            f"The report '{path}' cannot be written: {reason}: name another place with --report."
        ) from None


@contextlib.contextmanager
def _scratch_file(path: Path) -> Iterator[BinaryIO]:
    """A file that nobody wants in the end: what cannot be written when it is closed is no news."""
    scratch = open(path, "w+b")  # noqa: SIM115  # it is closed below, whatever that says
    try:
        yield scratch
    finally:
        with contextlib.suppress(OSError):
            scratch.close()


def check_report(path: Path) -> None:
    """Find out whether the page can be written to `path`; write nothing.

    Raises ReviewError if it cannot, or if something is already there.
    """
    if path.is_dir():
        raise ReviewError(f"'{path}' is a folder: name a file, such as '{path / 'review.html'}'.")
    if os.path.lexists(path):
        raise ReviewError(f"The report '{path}' is already there: name another, or delete it.")
    with _reporting(path):
        check_creatable(path)


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _policy(style: str, program: str) -> str:
    """Return a policy that allows this style, this program and its own pictures: no network."""
    allowed = (
        "default-src 'none'",
        "img-src blob: data:",
        f"style-src {_hash(style)}",
        f"script-src {_hash(program)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(allowed)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _digest(entries: Sequence[_Entry]) -> str:
    """Return what tells the page of a run that is not stored from others: its pictures."""
    shown = ((escape_undecodable(e.result.path), e.result.image_sha256) for e in entries)
    return hashlib.sha256(json.dumps(sorted(map(str, shown))).encode()).hexdigest()


def _first(digits: np.ndarray) -> np.ndarray:
    """Return the first of the normalised forms, (n, 28, 28); black if there is none."""
    return digits[0] if len(digits) else np.zeros((images.SIDE, images.SIDE), np.uint8)


def _item(about: About, entry: _Entry) -> list[object]:
    """Return a result as the page's program expects it; page.js has the names."""
    result = entry.result
    shares = [round(100 * share) for share in result.probabilities or ()]
    return [
        escape_undecodable(result.path),
        STATUSES.index(result.status),
        result.text if about.numbers else result.digit,
        None if result.confidence is None else round(result.confidence, 6),
        shares,
        escape_undecodable(result.reason or ""),
        result.image_sha256 or "",
        int(entry.end > entry.begin) + int(entry.has_ink),
        _truth(about, entry),
        *([signs_item(result, entry.boxes[1:])] if about.numbers else ()),
        *([cell_item(result, entry.boxes)] if about.forms else ()),
    ]


def _truth(about: About, entry: _Entry) -> int | str | None:
    """Return what a picture is known to show, `none`, or None if that is not known."""
    if entry.result.path not in about.labels:
        return None
    label = about.labels[entry.result.path]
    if label is None:
        return "none"
    return label if about.numbers else int(label)


def _named(sources: Sequence[str]) -> str:
    first = printable(Path(sources[0]).name or sources[0]) if sources else "nothing"
    return f"{first} and {len(sources) - 1:,} more" if len(sources) > 1 else first
