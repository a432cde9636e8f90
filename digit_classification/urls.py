"""How the URLs begin that name a database of results, or pictures in an object store."""

from __future__ import annotations

# Databases, by what their URL begins with.
SQLITE = "sqlite:///"  # and a file
MYSQL = "mysql://"  # and a user, a host and a database
PARQUET = "parquet:"  # and a folder, or the URL of one in an object store
NO_DATABASE = "none"  # the whole URL: nothing is stored
VALID_URLS = (
    "mysql://user@host:3306/digit_classification, sqlite:///digit_classification.db, "
    "parquet:results or none"
)

OBJECT_STORES = ("s3://", "gs://", "az://")


def kind_of(url: str) -> str:
    """Return what a database's URL begins with, up to its colon, such as `sqlite`."""
    return url.partition(":")[0]


def in_object_store(path: str) -> bool:
    """Whether a path is the URL of something in an object store."""
    return path.startswith(OBJECT_STORES)
