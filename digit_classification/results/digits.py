"""Rows of `classified_images`, stored and read with the signs of numbers, `classified_digits`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from digit_classification.results.errors import Deadlock
from digit_classification.results.records import (
    DIGIT_COLUMNS,
    RESULT_COLUMNS,
    Result,
    StoredDigit,
    StoredResult,
    digit_values,
    now,
    path_key,
    result_values,
    stored_digit,
    stored_result,
    text_time,
)
from digit_classification.results.schema import Store

KEYS_PER_QUERY = 500  # SQLite before 3.32 binds 999 values at most

IMAGE_COLUMNS = ("run_id", *RESULT_COLUMNS)
_SELECTED = ", ".join(("id", *IMAGE_COLUMNS, "corrected_at"))
SELECT_IMAGES = f"SELECT {_SELECTED} FROM classified_images"
_COLUMNS = ("run_id", "path_key", *DIGIT_COLUMNS)
_STORED_COLUMNS = ", ".join(("path_key", *DIGIT_COLUMNS))


def insert_images(store: Store, cursor: Any, run_id: str, rows: Sequence[Result]) -> int:
    """Insert the rows of images that the run does not have yet, and the signs of their numbers.

    An image that is there already keeps its own signs and cells, even if it is read differently
    this time.

    Returns how many rows were new; raises Deadlock if another program inserted some meanwhile.
    """
    timestamp = text_time(now())
    by_key: dict[str, Result] = {}
    if any(row.digits or row.cell for row in rows):
        for row in rows:
            by_key.setdefault(row.key, row)
        there = set(_keys_there(cursor, run_id, [*{path_key(row.path) for row in rows}]))
        by_key = {key: row for key, row in by_key.items() if path_key(row.path) not in there}
        rows = [*by_key.values()]
    values = [(run_id, *result_values(timestamp, row)) for row in rows]
    inserted = store.insert_new(
        cursor, "classified_images", ("run_id", "path_key"), IMAGE_COLUMNS, values
    )
    if by_key and inserted != len(by_key):
        raise Deadlock(
            f"Database {store.url}: another program keeps storing the same pictures of run"
            f" {run_id}; let one of them end."
        )
    signs = [
        (run_id, key, *digit_values(digit)) for key, row in by_key.items() for digit in row.digits
    ]
    if signs:
        key_columns = ("run_id", "path_key", "position")
        store.insert_new(cursor, "classified_digits", key_columns, _COLUMNS, signs)
    return inserted


def _keys_there(cursor: Any, run_id: str, keys: Sequence[str]) -> Iterator[str]:
    for some, places in some_at_a_time(keys):
        cursor.execute(
            f"SELECT path_key FROM classified_images WHERE run_id = ? AND path_key IN ({places})",
            (run_id, *some),
        )
        yield from (key for (key,) in cursor.fetchall())


def some_at_a_time(keys: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Yield as many keys as a statement should have, with the places for them in it."""
    for first in range(0, len(keys), KEYS_PER_QUERY):
        some = keys[first : first + KEYS_PER_QUERY]
        yield some, ", ".join("?" * len(some))


def stored_images(
    selected: Iterable[Sequence[Any]], select: Callable[..., list[Sequence[Any]]]
) -> list[StoredResult]:
    """Return the rows that SELECT_IMAGES selected; `select` runs a statement with its values."""
    rows = [
        stored_result(id_, run_id, values, corrected_at=corrected_at)
        for id_, run_id, *values, corrected_at in selected
    ]
    return _with_digits(rows, select)


def _with_digits(
    rows: Sequence[StoredResult], select: Callable[..., list[Sequence[Any]]]
) -> list[StoredResult]:
    wanted: defaultdict[str, list[str]] = defaultdict(list)  # path keys, by run
    for row in rows:
        if row.number is not None and row.run_id is not None and row.path_key is not None:
            wanted[row.run_id].append(row.path_key)
    found: defaultdict[tuple[str | None, str | None], list[StoredDigit]] = defaultdict(list)
    for run_id, keys in wanted.items():
        for some, places in some_at_a_time(keys):
            statement = (
                f"SELECT {_STORED_COLUMNS} FROM classified_digits WHERE run_id = ?"
                f" AND path_key IN ({places}) ORDER BY path_key, position"
            )
            for key, *values in select(statement, run_id, *some):
                found[run_id, key].append(stored_digit(values))
    return [
        replace(row, digits=tuple(found[row.run_id, row.path_key]))
        if (row.run_id, row.path_key) in found
        else row
        for row in rows
    ]
