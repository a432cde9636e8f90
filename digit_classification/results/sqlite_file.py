"""The file of an SQLite database: its name in a URL, and what can be wrong with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from digit_classification.results.errors import DatabaseError, Unavailable

_HEADER = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.2
# Words of SQLite's messages, for before Python 3.11 an error has no code to go by.
_ADVICE = {
    "malformed": "the file is damaged; restore a copy, or move it away to start a new one",
    "locked": "another program keeps it locked; close that program and try again",
    "readonly": "it cannot be written to; correct its permissions or choose another place",
    "unable to open": "correct the URL or the permissions of the file and its folder",
    "disk is full": "make room on the disk",
    "disk I/O error": "check the disk, and that there is room on it",
}


def sqlite_path(url: str) -> Path:
    """Return the path in `sqlite:///PATH`, which is taken literally."""
    name = url.removeprefix("sqlite:///")
    if name == url or name in ("", ":memory:"):
        raise DatabaseError(
            "The database URL names no file; write sqlite:///digit_classification.db, or"
            " sqlite:////var/digits.db for an absolute path."
        )
    return Path(name)


def check_sqlite_file(path: Path, url: str, *, must_exist: bool) -> None:
    """Look before SQLite does, which would take a short foreign file for an empty database.

    Raises DatabaseError if the file or its folder is not there, or is something else.
    """
    try:
        if not path.parent.is_dir():
            raise DatabaseError(
                f"Database {url}: the folder {path.parent} does not exist; make it first."
            )
        if not path.exists():
            if must_exist:
                raise DatabaseError(
                    f"Database {url}: there is no such file; correct the URL or store"
                    " results in it first."
                )
            return
        if not path.is_file():  # opening a pipe or a device could hang
            raise DatabaseError(f"Database {url}: this is no file; choose another name.")
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise DatabaseError(
            f"Database {url}: {error.strerror}; correct the URL or the permissions."
        ) from error
    if header not in (b"", _HEADER):
        raise _not_sqlite(url)


def sqlite_sentence(error: sqlite3.Error, url: str) -> DatabaseError:
    """The user's sentence for an error of the driver."""
    message = str(error)
    if "file is not a database" in message:
        return _not_sqlite(url)
    next_step = next((_ADVICE[key] for key in _ADVICE if key in message), "correct its tables")
    kind = Unavailable if "locked" in message else DatabaseError
    return kind(f"Database {url}: SQLite says {message!r}; {next_step}.")


def _not_sqlite(url: str) -> DatabaseError:
    return DatabaseError(
        f"Database {url}: this file is no SQLite database and was left untouched;"
        " choose another name."
    )
