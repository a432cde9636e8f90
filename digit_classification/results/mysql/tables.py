"""The tables of MySQL and MariaDB, and how older ones become them."""

from __future__ import annotations

from typing import Any

from digit_classification.names import LONGEST_FIELD
from digit_classification.results import corrections
from digit_classification.results.records import (
    BOX_COLUMNS,
    CELL_COLUMNS,
    LONGEST_NUMBER,
)
from digit_classification.results.schema import check_ancestor_columns

_ANCESTOR_TABLE = """
CREATE TABLE IF NOT EXISTS classified_images (
    id INT AUTO_INCREMENT PRIMARY KEY,
    digit INT,
    confidence FLOAT,
    timestamp DATETIME,
    folder_name VARCHAR(255),
    file_name VARCHAR(255)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""
# Paths compare exactly; MEDIUMTEXT, as a zip member's name alone may have 65,535 bytes.
_UNICODE = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL"
_TEXT = f"MEDIUMTEXT {_UNICODE}"
_ASCII = "CHARACTER SET ascii COLLATE ascii_general_ci NULL"
_IMAGE_COLUMNS = {
    "folder_name": _TEXT,
    "file_name": _TEXT,
    "run_id": f"VARCHAR(64) {_ASCII}",
    "path": "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "path_key": f"CHAR(64) {_ASCII}",
    "status": f"VARCHAR(16) {_ASCII}",
    "reason": _TEXT,
    "image_sha256": f"CHAR(64) {_ASCII}",
    **{f"p{digit}": "DOUBLE NULL" for digit in range(10)},
}
_IMAGE_INDEXES = {
    "run_path": "UNIQUE KEY run_path (run_id, path_key)",
    "run_rows": "KEY run_rows (run_id, id)",
}
_RUNS_TABLE = """
CREATE TABLE IF NOT EXISTS classification_runs (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL PRIMARY KEY,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    started_at DATETIME NOT NULL,
    finished_at DATETIME,
    sources LONGTEXT NOT NULL,
    model_path MEDIUMTEXT NOT NULL,
    model_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
    model_version TEXT,
    program_version TEXT,
    settings LONGTEXT NOT NULL,
    images INT, ok INT, uncertain INT, rejected INT, errors INT
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""

_DIGITS_TABLE = """
CREATE TABLE IF NOT EXISTS classified_digits (
    run_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    path_key CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    position INT NOT NULL,
    text VARCHAR(1) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    box_left DOUBLE NOT NULL,
    box_top DOUBLE NOT NULL,
    box_width DOUBLE NOT NULL,
    box_height DOUBLE NOT NULL,
    confidence DOUBLE NOT NULL,
    p0 DOUBLE, p1 DOUBLE, p2 DOUBLE, p3 DOUBLE, p4 DOUBLE,
    p5 DOUBLE, p6 DOUBLE, p7 DOUBLE, p8 DOUBLE, p9 DOUBLE,
    PRIMARY KEY (run_id, path_key, position)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""


def apply_migration(url: str, cursor: Any, number: int) -> None:
    """Run a migration, numbered from 1; one that was cut off half-way is completed."""
    if number == 1:
        cursor.execute(_ANCESTOR_TABLE)
    elif number == 2:
        cursor.execute(_RUNS_TABLE)
        _extend_images_table(url, cursor)
    elif number == 3:
        _set_image_column(cursor, "sorted_to", _TEXT)
    elif number == 4:
        _set_image_column(cursor, "number", f"VARCHAR({LONGEST_NUMBER}) {_ASCII}")
        cursor.execute(_DIGITS_TABLE)
    elif number == 5:
        _set_image_column(cursor, "corrected_at", "DATETIME NULL")
        cursor.execute(corrections.MYSQL_TABLE)
    elif number == 6:
        for name in CELL_COLUMNS:
            _set_image_column(cursor, name, "DOUBLE" if name in BOX_COLUMNS else "INT")
    else:
        _set_image_column(cursor, "field", f"VARCHAR({LONGEST_FIELD}) {_UNICODE}")


def _set_image_column(cursor: Any, name: str, definition: str) -> None:
    change = "MODIFY" if name in columns_of(cursor, "classified_images") else "ADD"
    cursor.execute(f"ALTER TABLE classified_images {change} COLUMN {name} {definition}")


def _extend_images_table(url: str, cursor: Any) -> None:
    """Extend the ancestor's table in place, by one statement: wholly or, cut off, not at all.

    Changing a text column's character set converts what it holds.
    """
    found = columns_of(cursor, "classified_images")
    check_ancestor_columns(url, list(found))
    changes = [
        f"{'MODIFY' if name in found else 'ADD'} COLUMN {name} {definition}"
        for name, definition in _IMAGE_COLUMNS.items()
    ]
    changes += [
        f"MODIFY COLUMN {name} {found[name][0]} NULL"
        for name in ("digit", "confidence")
        if not found[name][1]
    ]
    cursor.execute(
        "SELECT DISTINCT index_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = 'classified_images'"
    )
    indexes = {name for (name,) in cursor.fetchall()}
    changes += [
        f"ADD {definition}" for name, definition in _IMAGE_INDEXES.items() if name not in indexes
    ]
    # InnoDB, for a table from an old server may be MyISAM, which has no transactions.
    cursor.execute(
        f"ALTER TABLE classified_images ENGINE=InnoDB, {', '.join(changes)},"
        " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )


def columns_of(cursor: Any, table: str) -> dict[str, tuple[str, bool]]:
    """Each column of a table or view, in order: its type, and whether it takes NULL."""
    cursor.execute(
        "SELECT column_name, CAST(column_type AS CHAR), is_nullable"
        " FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
        (table,),
    )
    return {name.lower(): (type_, null == "YES") for name, type_, null in cursor.fetchall()}
