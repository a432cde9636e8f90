"""What is stored of an image and of a run, how each is identified, and the columns of a row."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from digit_classification.names import escape_undecodable

Status = Literal["ok", "uncertain", "rejected", "error"]
STATUSES = frozenset(get_args(Status))
RunState = Literal["running", "finished", "interrupted", "failed"]
PROBABILITY_COLUMNS = tuple(f"p{digit}" for digit in range(10))
BOX_COLUMNS = ("box_left", "box_top", "box_width", "box_height")
CELL_COLUMNS = ("page", "cell", "cell_row", "cell_column", *BOX_COLUMNS)
# Of `classified_images`, in every store, beside the run's identity.
RESULT_COLUMNS = (
    "timestamp",
    "digit",
    "confidence",
    "status",
    "reason",
    "folder_name",
    "file_name",
    "path",
    "path_key",
    "image_sha256",
    "sorted_to",
    *PROBABILITY_COLUMNS,
    "number",
    *CELL_COLUMNS,
    "field",
)
# Of `classified_digits`, which has a row for each sign of a number, beside the run's identity and
# the picture's `path_key`.
DIGIT_COLUMNS = ("position", "text", *BOX_COLUMNS, "confidence", *PROBABILITY_COLUMNS)
LONGEST_NUMBER = 64  # signs; longer than any that people write in one piece (an IBAN has 34)
# Of `classification_runs`, in a database of SQL, before those that are filled in at its end.
RUN_COLUMNS = (
    "id",
    "state",
    "started_at",
    "sources",
    "model_path",
    "model_sha256",
    "model_version",
    "program_version",
    "settings",
)


@dataclass(frozen=True)
class StoredDigit:
    """A sign of a number, as a row of `classified_digits` has it.

    Args:
        position: its place in the number, from 1.
        text: `0` to `9`, `-`, `,` or `.`.
        left, top, width, height: its box, in shares of the picture's width and height, 0 to 1.
        confidence: the probability that it is this sign, 0 to 1.
        probabilities: ten numbers, of the digits 0 to 9; None of a sign that is no digit.
    """

    position: int
    text: str
    left: float
    top: float
    width: float
    height: float
    confidence: float
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True)
class StoredCell:
    """A cell of a form, of whose rows in `classified_images` each has one.

    Args:
        page: of a file with several, from 1.
        number: among the cells of its file, page by page and row by row, from 1.
        row, column: its place on the page, from 1; 0 of a page that has no cells.
        left, top, width, height: its box, in shares of the page's width and height, 0 to 1.
        field: the name that a template gives it, or None without one.
    """

    page: int
    number: int
    row: int
    column: int
    left: float
    top: float
    width: float
    height: float
    field: str | None = None


@dataclass(frozen=True)
class Result:
    """The result of one image, or of a cell of the form that it shows, to be stored.

    Args:
        path: the image's path as given, or `archive.zip/member`; surrogate escapes are welcome.
        status: `ok`, `uncertain`, `rejected` or `error`.
        digit: 0 to 9, or None where there is none; of a number, if it has only this digit.
        confidence: the probability that what was read is right, 0 to 1, or None.
        reason: why the image was rejected or could not be read.
        probabilities: ten finite numbers, of the digits 0 to 9, or None.
        image_sha256: 64 hex digits, of the image file's bytes.
        sorted_to: the path to which the image is copied or moved, or None.
        number: what was read, such as `47` or `-12,5`, where a number was looked for, or None.
        digits: the signs of that number, in order, as they were read.
        corrected_at: when a person said what it shows, UTC, or None; it has no confidence then.
        cell: where on a form it stands; None of an image that is read as a whole.

    Raises:
        ValueError: an unknown status, not ten probabilities, or one that is not finite.
    """

    path: str
    status: Status
    digit: int | None = None
    confidence: float | None = None
    reason: str | None = None
    probabilities: tuple[float, ...] | None = None
    image_sha256: str | None = None
    sorted_to: str | None = None
    number: str | None = None
    digits: tuple[StoredDigit, ...] = ()
    corrected_at: str | None = None
    cell: StoredCell | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is none of {', '.join(get_args(Status))}")
        if self.probabilities is not None:
            if len(self.probabilities) != 10:
                raise ValueError(f"{len(self.probabilities)} probabilities instead of ten")
            if not all(map(math.isfinite, self.probabilities)):
                raise ValueError(f"probabilities {self.probabilities} are not all finite")

    @property
    def key(self) -> str:
        """What the row is known by within its run."""
        return path_key(self.path, 1 if self.cell is None else self.cell.number)

    @property
    def text(self) -> str | None:
        """What was read, a digit or a number, or None."""
        return self.number if self.digit is None else str(self.digit)

    @property
    def folder_name(self) -> str:
        """The name of the folder the image lies in; empty for a bare file name."""
        return os.path.basename(os.path.dirname(self.path))

    @property
    def file_name(self) -> str:
        """The base name of the image."""
        return os.path.basename(self.path)


@dataclass(frozen=True)
class StoredResult:
    """A row of `classified_images` as read back.

    A row that the ancestor wrote has no run, path, status or probabilities. `timestamp` and
    `corrected_at` are `YYYY-MM-DD HH:MM:SS`, UTC in a row of a run. Undecodable bytes of names are
    escaped.
    """

    id: int
    run_id: str | None
    timestamp: str | None
    digit: int | None
    confidence: float | None
    status: Status | None
    reason: str | None
    folder_name: str | None
    file_name: str | None
    path: str | None
    path_key: str | None
    image_sha256: str | None
    probabilities: tuple[float, ...] | None
    sorted_to: str | None
    number: str | None = None
    digits: tuple[StoredDigit, ...] = ()
    corrected_at: str | None = None
    cell: StoredCell | None = None

    def as_result(self) -> Result:
        """The result that was stored; undecodable bytes of its path stay escaped."""
        values = {each.name: getattr(self, each.name) for each in fields(Result)}
        return Result(**values | {"path": self.path or "", "status": self.status or "ok"})


def result_values(timestamp: datetime | str, row: Result) -> tuple[Any, ...]:
    """The values of RESULT_COLUMNS; float() and int() make NumPy's scalars plain ones."""
    return (
        timestamp,
        None if row.digit is None else int(row.digit),
        None if row.confidence is None else float(row.confidence),
        row.status,
        None if row.reason is None else escape_undecodable(row.reason),
        escape_undecodable(row.folder_name),
        escape_undecodable(row.file_name),
        escape_undecodable(row.path),
        row.key,
        row.image_sha256,
        None if row.sorted_to is None else escape_undecodable(row.sorted_to),
        *_ten(row.probabilities),
        row.number,
        *_cell_values(row.cell),
    )


def _cell_values(cell: StoredCell | None) -> tuple[Any, ...]:
    if cell is None:
        return (None,) * (len(CELL_COLUMNS) + 1)
    box = (cell.left, cell.top, cell.width, cell.height)
    return (cell.page, cell.number, cell.row, cell.column, *map(float, box), cell.field)


def digit_values(digit: StoredDigit) -> tuple[Any, ...]:
    """The values of DIGIT_COLUMNS."""
    box = (digit.left, digit.top, digit.width, digit.height)
    return (
        int(digit.position),
        digit.text,
        *map(float, box),
        float(digit.confidence),
        *_ten(digit.probabilities),
    )


def _ten(probabilities: Sequence[float] | None) -> Sequence[float | None]:
    return (None,) * 10 if probabilities is None else tuple(map(float, probabilities))


def stored_digit(values: Sequence[Any]) -> StoredDigit:
    """The sign with these values of DIGIT_COLUMNS, as a store returns them."""
    position, text, left, top, width, height, confidence, *ten = values
    probabilities = None if None in ten else tuple(ten)
    return StoredDigit(position, text, left, top, width, height, confidence, probabilities)


def stored_result(
    id_: int,
    run_id: str | None,
    values: Sequence[Any],
    digits: Sequence[StoredDigit] = (),
    corrected_at: object = None,
) -> StoredResult:
    """The row with these values of RESULT_COLUMNS, as a store returns them, and its signs."""
    timestamp, digit, confidence, status, reason, folder_name, file_name, path = values[:8]
    key, image_sha256, sorted_to, *probabilities = values[8:21]
    number, *cell = values[21:]
    return StoredResult(
        id=id_,
        run_id=run_id,
        timestamp=None if timestamp is None else str(timestamp),
        digit=digit,
        confidence=confidence,
        status=status,
        reason=reason,
        folder_name=folder_name,
        file_name=file_name,
        path=path,
        path_key=key,
        image_sha256=image_sha256,
        sorted_to=sorted_to,
        probabilities=None if None in probabilities else tuple(probabilities),
        number=number,
        digits=tuple(digits),
        corrected_at=None if corrected_at is None else str(corrected_at),
        cell=None if None in cell[: len(CELL_COLUMNS)] else StoredCell(*cell),
    )


def path_key(path: str, cell: int = 1) -> str:
    """SHA-256 of the raw bytes of a path, 64 hex digits: the key of an image within its run.

    Each further cell of a form has a NUL, which no path has, and its number behind the path.  All
    of them are stored at once, so that who finds the first knows that the others are there.
    """
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:  # a name from elsewhere (a zip) that this file system cannot hold
        raw = path.encode("utf-8", "surrogatepass")
    if cell > 1:
        raw += f"\0{cell}".encode()
    return hashlib.sha256(raw).hexdigest()


def new_run_id() -> str:
    """A run's identity, such as `20261122-185501-a3f9cd21b`: sorts by time, unique by chance.

    After the second come the microseconds, five hex digits, and four hex digits of chance.
    """
    moment = datetime.now(timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{moment.microsecond:05x}{secrets.token_hex(2)}"


def now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


@dataclass(frozen=True)
class RunInfo:
    """What a run is: its identity, what it reads, with which model, program and settings.

    `sources` are the paths as given; `settings` must be JSON-able and hold no password. The
    identity is made here, by the client, so that `start_run` can be repeated.
    """

    sources: Sequence[str]
    model_path: str
    model_sha256: str | None = None
    model_version: str | None = None
    program_version: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_run_id)
    started_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class RunCounts:
    """How many images of a run are stored, and how many of them by status."""

    images: int = 0
    ok: int = 0
    uncertain: int = 0
    rejected: int = 0
    errors: int = 0


@dataclass(frozen=True)
class Run:
    """A row of `classification_runs`; `counts` and `finished_at` are None while it is running."""

    info: RunInfo
    state: RunState
    finished_at: datetime | None
    counts: RunCounts | None


def run_values(info: RunInfo) -> tuple[Any, ...]:
    """The values of RUN_COLUMNS of a run that is starting."""
    return (
        info.id,
        "running",
        text_time(info.started_at),
        json.dumps(list(info.sources)),  # ASCII escapes keep undecodable names exactly
        escape_undecodable(info.model_path),
        info.model_sha256,
        info.model_version,
        info.program_version,
        json.dumps(dict(info.settings), sort_keys=True),
    )


def stored_run(values: Sequence[Any]) -> Run:
    """The run with these values of RUN_COLUMNS, and of its end, as a store returns them."""
    (id_, state, started_at, sources, model_path, model_sha256, model_version) = values[:7]
    program_version, settings, finished_at, *counts = values[7:]
    info = RunInfo(
        sources=tuple(json.loads(sources)),
        model_path=model_path,
        model_sha256=model_sha256,
        model_version=model_version,
        program_version=program_version,
        settings=json.loads(settings),
        id=id_,
        started_at=_utc_time(started_at),
    )
    return Run(
        info=info,
        state=state,
        finished_at=None if finished_at is None else _utc_time(finished_at),
        counts=None if finished_at is None else RunCounts(*counts),
    )


def text_time(moment: datetime) -> str:
    """The form that both stores take for a DATETIME column."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def _utc_time(stored: object) -> datetime:
    """MySQL returns a naive datetime, SQLite the text that was stored."""
    return datetime.fromisoformat(str(stored)).replace(tzinfo=timezone.utc)
