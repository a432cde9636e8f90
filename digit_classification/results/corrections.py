"""What a person says that pictures show, in the place of what was read, and what it was before.

A corrected row of `classified_images` has the right digit or number, the status `ok`, no
confidence, and `corrected_at`; the probabilities and the signs in `classified_digits` stay what the
network found.  `corrected_images` has a row for each correction, with what was there before.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from digit_classification.names import escape_undecodable, printable
from digit_classification.results.digits import SELECT_IMAGES, some_at_a_time, stored_images
from digit_classification.results.errors import Deadlock
from digit_classification.results.records import (
    StoredCell,
    StoredResult,
    now,
    path_key,
    text_time,
)
from digit_classification.results.schema import Store

SQLITE_TABLE = """
CREATE TABLE corrected_images (
    run_id TEXT NOT NULL,
    path_key TEXT NOT NULL,
    revision INT NOT NULL,
    corrected_at DATETIME NOT NULL,
    corrected_by TEXT,
    digit INT,
    number TEXT,
    digit_before INT,
    number_before TEXT,
    confidence_before DOUBLE,
    status_before TEXT,
    reason_before TEXT,
    PRIMARY KEY (run_id, path_key, revision)
) WITHOUT ROWID"""
MYSQL_TABLE = """
CREATE TABLE IF NOT EXISTS corrected_images (
    run_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    path_key CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    revision INT NOT NULL,
    corrected_at DATETIME NOT NULL,
    corrected_by TEXT,
    digit INT,
    number VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
    digit_before INT,
    number_before VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
    confidence_before DOUBLE,
    status_before VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci,
    reason_before MEDIUMTEXT,
    PRIMARY KEY (run_id, path_key, revision)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""
_KEY = ("run_id", "path_key", "revision")
_COLUMNS = (
    *_KEY,
    "corrected_at",
    "corrected_by",
    "digit",
    "number",
    "digit_before",
    "number_before",
    "confidence_before",
    "status_before",
    "reason_before",
)
# Why a correction changes nothing; a sentence goes on with it.
IN_NO_RUN = "is in no run"
ANOTHER_PICTURE = "was another picture when the run read it"
READ_AS_DIGIT = "was read as a digit, and this is none"
OF_A_FORM = "is a form, of which no cell is named"
NO_SUCH_CELL = "has no such cell"
OTHERWISE = "is corrected otherwise by an earlier row"


@dataclass(frozen=True)
class Correction:
    """What a person says that a picture shows.

    Args:
        path: as the run has it, or where it moved the picture; undecodable bytes may be escaped.
        text: the right digit, or the right number.
        image_sha256: of the picture that the person saw, or None where that is not known.
        run_id: the run that read it, or None for each run that read this picture.
        cell: of a form, the number of the cell among those of its file, from 1; else None.
    """

    path: str
    text: str
    image_sha256: str | None = None
    run_id: str | None = None
    cell: int | None = None

    @property
    def named(self) -> str:
        """What it is for, as a message has it."""
        name = f"'{printable(self.path)}'"
        return name if self.cell is None else f"{name}, cell {self.cell},"

    @property
    def paths(self) -> set[str]:
        """The path, and what it is if ./ keeps it from being a formula of a spreadsheet."""
        return {self.path, self.path.removeprefix("./")}

    def names(self, cell: StoredCell | None) -> bool:
        """Whether it is for that cell of a form; or for what has none, if it names none."""
        if cell is None:
            return self.cell is None
        return cell.row > 0 and self.cell == cell.number

    def is_for(self, run_id: str | None) -> bool:
        """Whether that run is the one, or one of those, to correct."""
        return self.run_id in (None, run_id)


@dataclass
class Corrected:
    """What became of corrections."""

    changed: list[tuple[StoredResult, StoredResult]] = field(default_factory=list)  # before, after
    unchanged: list[StoredResult] = field(default_factory=list)  # were corrected so before
    without_row: list[tuple[Correction, str]] = field(default_factory=list)  # and why


def correct_images(
    store: Store,
    cursor: Any,
    corrections: Sequence[Correction],
    by: str | None,
    *,
    dry_run: bool = False,
) -> Corrected:
    """Correct the rows that these corrections are for, unless it is a dry run.

    Raises Deadlock if another program corrected one of them meanwhile.
    """

    def select(statement: str, *values: Any) -> list[Sequence[Any]]:
        cursor.execute(statement, values)
        return list(cursor.fetchall())

    runs = {
        run_id: json.loads(settings).get("detection", {}).get("read", "digit") != "digit"
        for run_id, settings in select("SELECT id, settings FROM classification_runs")
    }
    corrected, moment = Corrected(), text_time(now())
    taken: dict[int, Correction] = {}  # by the row's id
    for correction, rows, problem in _with_rows(corrections, runs, select):
        if problem is not None:
            corrected.without_row.append((correction, problem))
        for row in rows:
            earlier = taken.setdefault(row.id, correction)
            if earlier is not correction:
                if earlier.text != correction.text:
                    corrected.without_row.append((correction, OTHERWISE))
                continue
            after = _after(row, correction.text, by, moment, of_numbers=runs[row.run_id or ""])
            if after is None:
                corrected.without_row.append((correction, READ_AS_DIGIT))
            elif row.corrected_at and (row.digit, row.number) == (after.digit, after.number):
                corrected.unchanged.append(row)
            else:
                corrected.changed.append((row, after))
    if not dry_run:
        _write(store, cursor, corrected.changed, by, select)
    return corrected


def _with_rows(
    corrections: Sequence[Correction],
    runs: Mapping[str, bool],
    select: Callable[..., list[Sequence[Any]]],
) -> Iterator[tuple[Correction, list[StoredResult], str | None]]:
    """Yield each correction with its rows, or with the reason why it has none."""
    found, others = defaultdict[Correction, list[StoredResult]](list), set()
    for correction, row in _at_paths(corrections, runs, select):
        if correction.image_sha256 in (None, row.image_sha256):
            found[correction].append(row)
        else:
            others.add(correction)
    # What was moved, or has a name that is no text, is found by its content.
    for correction, row in _of_content([c for c in corrections if c not in found], select):
        if row.run_id in runs and {row.path, row.sorted_to} & correction.paths:
            found[correction].append(row)
    for correction in dict.fromkeys(corrections):
        if not all(correction.names(row.cell) for row in found.get(correction, ())):
            yield correction, [], OF_A_FORM if correction.cell is None else NO_SUCH_CELL
        elif correction in found:
            yield correction, found[correction], None
        else:
            yield correction, [], ANOTHER_PICTURE if correction in others else IN_NO_RUN


def _at_paths(
    corrections: Sequence[Correction],
    runs: Iterable[str],
    select: Callable[..., list[Sequence[Any]]],
) -> Iterator[tuple[Correction, StoredResult]]:
    """Yield corrections with the rows of their paths, which an index finds."""
    by_key: defaultdict[str, list[Correction]] = defaultdict(list)
    for correction in dict.fromkeys(corrections):
        for path in correction.paths:
            by_key[path_key(path, correction.cell or 1)].append(correction)
    for run_id in runs:
        keys = [key for key, those in by_key.items() if any(c.is_for(run_id) for c in those)]
        for some, places in some_at_a_time(keys):
            statement = f"{SELECT_IMAGES} WHERE run_id = ? AND path_key IN ({places})"
            for row in stored_images(select(statement, run_id, *some), select):
                yield from ((c, row) for c in by_key[row.path_key or ""] if c.is_for(run_id))


def _of_content(
    corrections: Sequence[Correction], select: Callable[..., list[Sequence[Any]]]
) -> Iterator[tuple[Correction, StoredResult]]:
    """Yield corrections with the rows of the same content, under whatever names."""
    by_content: defaultdict[str, list[Correction]] = defaultdict(list)
    for correction in dict.fromkeys(corrections):
        if correction.image_sha256 is not None:
            by_content[correction.image_sha256].append(correction)
    for some, places in some_at_a_time([*by_content]):
        statement = f"{SELECT_IMAGES} WHERE run_id IS NOT NULL AND image_sha256 IN ({places})"
        for row in stored_images(select(statement, *some), select):
            yield from (
                (c, row)
                for c in by_content[row.image_sha256 or ""]
                if c.is_for(row.run_id) and c.names(row.cell)
            )


def _after(
    row: StoredResult, text: str, by: str | None, moment: str, *, of_numbers: bool
) -> StoredResult | None:
    """Return the row as it is to be; None if its run read digits, and this is a number."""
    digit = int(text) if len(text) == 1 else None
    if digit is None and not of_numbers:
        return None
    before = row.number if row.number is not None else row.digit
    if str(before) == text:
        reason = "confirmed" + (f" by {by}" if by else "")
    else:
        without = ": ".join(filter(None, (row.status, row.reason)))
        was = without if before is None else before
        reason = "corrected" + (f" by {by}" if by else "") + f", was {was}"
    return replace(
        row,
        digit=digit,
        number=text if of_numbers else None,
        confidence=None,
        status="ok",
        reason=escape_undecodable(reason),
        corrected_at=moment,
    )


def _write(
    store: Store,
    cursor: Any,
    changed: Sequence[tuple[StoredResult, StoredResult]],
    by: str | None,
    select: Callable[..., list[Sequence[Any]]],
) -> None:
    """Write rows as they are to be, what they were before, and the counts of their runs."""
    history = []
    revisions = _revisions([before for before, _ in changed], select)
    for before, after in changed:
        cursor.execute(
            "UPDATE classified_images SET digit = ?, number = ?, confidence = NULL, status = ?,"
            " reason = ?, corrected_at = ? WHERE id = ?",
            (after.digit, after.number, after.status, after.reason, after.corrected_at, after.id),
        )
        key = (before.run_id, before.path_key)
        history.append(
            (
                *key,
                revisions.get(key, 0) + 1,
                after.corrected_at,
                None if by is None else escape_undecodable(by),
                after.digit,
                after.number,
                before.digit,
                before.number,
                before.confidence,
                before.status,
                before.reason,
            )
        )
    if not history:
        return
    if store.insert_new(cursor, "corrected_images", _KEY, _COLUMNS, history) != len(history):
        raise Deadlock(
            f"Database {store.url}: another program keeps correcting the same pictures; let one of"
            " them end."
        )
    for (run_id, status), images in Counter((b.run_id, b.status) for b, _ in changed).items():
        if status != "ok" and status is not None:
            column = "errors" if status == "error" else status
            cursor.execute(  # the counts of a run that is running are null, and stay so
                f"UPDATE classification_runs SET ok = ok + ?, {column} = {column} - ? WHERE id = ?",
                (images, images, run_id),
            )


def _revisions(
    rows: Sequence[StoredResult], select: Callable[..., list[Sequence[Any]]]
) -> dict[tuple[str | None, str | None], int]:
    """Return the number of the last correction of each row that has one, by run and path key."""
    keys: defaultdict[str | None, list[str]] = defaultdict(list)
    for row in rows:
        if row.corrected_at is not None and row.path_key is not None:
            keys[row.run_id].append(row.path_key)
    return {
        (run_id, key): revision
        for run_id, of_run in keys.items()
        for some, places in some_at_a_time(of_run)
        for key, revision in select(
            "SELECT path_key, MAX(revision) FROM corrected_images WHERE run_id = ?"
            f" AND path_key IN ({places}) GROUP BY path_key",
            run_id,
            *some,
        )
    }
