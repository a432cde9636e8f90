"""Where results go: the database that the settings name, of whichever kind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from digit_classification.results.database import ResultsDatabase
from digit_classification.settings import PASSWORD_VARIABLE, DatabaseSettings
from digit_classification.urls import MYSQL, NO_DATABASE, PARQUET, SQLITE, in_object_store, kind_of

if TYPE_CHECKING:
    from digit_classification.results.parquet.dataset import ParquetDataset

Database: TypeAlias = Union[ResultsDatabase, "ParquetDataset"]


def open_database(
    settings: DatabaseSettings,
    *,
    password: str | None = None,
    read_only: bool = False,
    notice: Callable[[str], None] = lambda text: None,
) -> Database | None:
    """Open the database of `settings`; None if it is `none`.

    The password of a MySQL server comes from the environment unless it is given.

    Raises DatabaseError if it cannot be used.
    """
    if settings.url == NO_DATABASE:
        return None
    if is_parquet(settings):
        from digit_classification.results.parquet.dataset import ParquetDataset

        return ParquetDataset.open(
            settings.url,
            read_only=read_only,
            retry_seconds=settings.retry_seconds,
            notice=notice,
        )
    return ResultsDatabase.open(
        settings.url,
        password=password or os.environ.get(PASSWORD_VARIABLE),
        option_file=settings.option_file,
        tls_ca=settings.tls_ca,
        tls_required=settings.tls_required,
        read_only=read_only,
        retry_seconds=settings.retry_seconds,
        notice=notice,
    )


@contextlib.contextmanager
def opened_database(
    settings: DatabaseSettings,
    *,
    read_only: bool = False,
    notice: Callable[[str], None] = lambda text: None,
) -> Iterator[Database | None]:
    """Open the database of `settings` as `open_database` does, and close it in the end."""
    database = open_database(settings, read_only=read_only, notice=notice)
    try:
        yield database
    finally:
        if database is not None:
            database.close()


def check_database(settings: DatabaseSettings) -> None:
    """Find out whether results could be stored in the database of `settings`; change nothing.

    Raises DatabaseError if `open_database` would, or if what a run does there is not permitted.
    """
    if settings.url == NO_DATABASE:
        return
    if is_parquet(settings):
        from digit_classification.results.parquet.dataset import ParquetDataset

        ParquetDataset.check(settings.url)
        return
    ResultsDatabase.check(
        settings.url,
        password=os.environ.get(PASSWORD_VARIABLE),
        option_file=settings.option_file,
        tls_ca=settings.tls_ca,
        tls_required=settings.tls_required,
    )


def database_files(settings: DatabaseSettings) -> dict[str, Path | None]:
    """Return the files that belong to the database, by what to call them in a message."""
    if settings.url.startswith(SQLITE):
        from digit_classification.results.sqlite import sqlite_path

        path = sqlite_path(settings.url)
        beside = ("-wal", "-shm", "-journal")  # https://www.sqlite.org/tempfiles.html
        names = {f"--database ({end})": path.with_name(path.name + end) for end in beside}
        return {"--database": path, **names}
    if is_parquet(settings) and not in_object_store(where := settings.url.removeprefix(PARQUET)):
        return {"--database": Path(where)}
    return {}


def is_parquet(settings: DatabaseSettings) -> bool:
    return settings.url.startswith(PARQUET)


def can_be_changed(settings: DatabaseSettings) -> bool:
    """Whether a row can be changed once it is stored."""
    return not is_parquet(settings)


def reachable_by_nodes(settings: DatabaseSettings) -> bool:
    """Whether the nodes of a cluster can store there themselves: SQLite is a file of this one."""
    return is_parquet(settings) or kind_of(settings.url) == kind_of(MYSQL)


def at_the_nodes(settings: DatabaseSettings) -> DatabaseSettings:
    """Return the settings as they are to be understood in another working directory."""
    path = settings.url.removeprefix(PARQUET)
    if not is_parquet(settings) or in_object_store(path):
        return settings
    return settings.model_copy(update={"url": PARQUET + os.path.abspath(path)})
