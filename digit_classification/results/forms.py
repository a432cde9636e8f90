"""The view `forms`: a row for each page of a form that returns, with a column for each field.

It is made anew for each run with a template, with that template's fields.  What a person corrected
it shows as `classified_images` does: corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from digit_classification.results.errors import DatabaseError, Unavailable
from digit_classification.results.schema import Store

VIEW = "forms"
KEY_COLUMNS = ("run_id", "path", "page")


def show_forms(make: Callable[[], None], notice: Callable[[str], None]) -> None:
    """Make the view by calling `make`; if that cannot be, say so: results are stored all the same.

    Raises Unavailable if the database went away.
    """
    try:
        make()
    except Unavailable:
        raise
    except DatabaseError as error:
        notice(f"The view {VIEW} is not made, and all else goes on: {error}")


def make_view(store: Store, cursor: Any, fields: Sequence[str]) -> None:
    """Make the view, or make it anew.

    Raises DatabaseError if something else is called so.
    """
    found = store.columns_of(cursor, VIEW)
    if found and tuple(found[: len(KEY_COLUMNS)]) != KEY_COLUMNS:
        raise DatabaseError(
            f"Database {store.url}: its table or view {VIEW} was not made by this program; rename"
            " it, and the next run with a template makes the view."
        )
    columns = ", ".join(
        f"MAX(CASE WHEN field = {_literal(name)} THEN number END) AS {store.quoted(name)}"
        for name in fields
    )
    wanted = ", ".join(map(_literal, fields))
    key = ", ".join(KEY_COLUMNS)
    store.replace_view(
        cursor,
        VIEW,
        f"SELECT {key}, {columns} FROM classified_images WHERE field IN ({wanted}) GROUP BY {key}",
    )


def _literal(name: str) -> str:
    """A field's name as text; a template lets nothing into one that would end it."""
    assert not set(name) & set("'\"`\\?%\0"), name
    return f"'{name}'"
