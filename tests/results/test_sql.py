"""SQL is fixed text: data only ever travels beside it, as bound parameters."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from digit_classification.results.corrections import Correction
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, RunInfo
from tests.documents import ROOT

SOURCES = sorted((ROOT / "digit_classification").rglob("*.py")) + sorted(ROOT.glob("*.py"))
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|PRAGMA|SET|GRANT|LOCK)\s"
)
# What may stand in a statement beside fixed text: tables, columns, types, places of parameters.
# Nothing that a user, a file or a server chose, but for the columns of a table found, quoted.
NO_DATA = {
    "', '.join(RUN_COLUMNS)",
    "', '.join(changes)",
    "', '.join(columns)",
    "', '.join(key)",
    "', '.join([row] * rows)",  # a row is (?, ?, …)
    "_SELECTED",
    "_STORED_COLUMNS",
    "WAL_PAGES",
    "_quote(name)",
    "change",  # ADD or MODIFY
    "column",
    "columns",  # of a view, named by the fields of a template: quoted
    "definition",  # of a column, as the module has it
    "found[name]",
    "key",
    "name",
    "names",
    "places",
    "quote(name)",
    "select",  # what a view shows, composed in forms.py
    "table",
    "wanted",  # fields of a template, quoted
}


def text_of(node: ast.AST) -> str:
    """The fixed beginning of a string expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return text_of(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return text_of(node.left)
    return ""


def composed_sql() -> Iterator[tuple[str, str]]:
    """Yield each expression that becomes a part of an SQL statement, with where it is."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            where = f"{file.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr) and SQL.match(text_of(node)):
                for part in node.values:
                    if isinstance(part, ast.FormattedValue):
                        yield where, ast.unparse(part.value)
            elif isinstance(node, ast.BinOp) and SQL.match(text_of(node)):
                yield where, ast.unparse(node.right)
            elif isinstance(node, ast.Attribute) and SQL.match(text_of(node.value)):
                yield where, ast.unparse(node)  # "SELECT …".format


def test_nothing_but_names_is_composed_into_sql() -> None:
    found = list(composed_sql())
    assert len(found) > 5  # else this test would look at nothing
    assert [(where, text) for where, text in found if text not in NO_DATA] == []
    assert NO_DATA - {text for _, text in found} == set(), "what is gone is not allowed any more"


STATEMENTS: list[str] = []


class _Listening(sqlite3.Connection):
    def cursor(self, *_: Any, **__: Any) -> Any:
        return super().cursor(_ListeningCursor)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return self.cursor().execute(sql, *parameters)


class _ListeningCursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Any:
        STATEMENTS.append(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> Any:
        STATEMENTS.append(sql)
        return super().executemany(sql, *parameters)


def test_no_data_is_in_a_statement(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "x'); DROP TABLE classified_images; --"
    connect = sqlite3.connect

    def listen(*args: Any, **options: Any) -> sqlite3.Connection:
        return connect(*args, **{**options, "factory": _Listening})

    monkeypatch.setattr(sqlite3, "connect", listen)
    with ResultsDatabase.open(sqlite_url) as database:
        run_id = database.start_run(
            RunInfo([evil], evil, model_version=evil, settings={evil: evil}, id=evil)
        )
        database.add(run_id, [Result(f"{evil}/{evil}.png", "error", reason=evil)])
        database.finish_run(run_id, "finished")
        (row,) = database.rows(run_id)
        database.runs()
        database.correct([Correction(str(row.path), "7", None, evil)], evil)
        (corrected,) = database.rows(run_id)
    assert (row.path, row.reason) == (f"{evil}/{evil}.png", evil)
    assert corrected.reason == f"corrected by {evil}, was error: {evil}"
    assert len(STATEMENTS) > 10
    assert [sql for sql in STATEMENTS if "--" in sql] == []
