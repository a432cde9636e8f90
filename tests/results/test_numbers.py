"""Numbers in each store: as text with the picture's row, and a row for each of their signs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from digit_classification.results import schema
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.parquet import files as parquet_files
from digit_classification.results.parquet.dataset import ParquetDataset
from digit_classification.results.records import (
    CELL_COLUMNS,
    RESULT_COLUMNS,
    Result,
    RunInfo,
    StoredCell,
    StoredDigit,
    path_key,
)
from tests.results.test_results import execute, open_database, sentence

TEN = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.6, 0.08, 0.04)


def number(text: str | None, path: str, **changes: Any) -> Result:
    """What is stored of a picture of a number; its signs stand side by side."""
    signs = tuple(
        StoredDigit(
            position,
            sign,
            left=0.1 * position,
            top=0.25,
            width=0.08,
            height=0.5,
            confidence=0.9 + 0.01 * position,
            probabilities=TEN if sign.isdecimal() else None,
        )
        for position, sign in enumerate(text or "", 1)
    )
    digit = int(text) if text is not None and text in "0123456789" else None
    status: Any = "ok" if text is not None else "rejected"
    result = Result(path, status, digit, 0.875, number=text, digits=signs)
    return dataclasses.replace(result, **changes)


ROWS = [
    number("47", "scans/47.png"),
    number("-12,5", "scans/minus.png", status="uncertain", reason="in doubt: the 2 in place 3"),
    number("7", "scans/7.png", probabilities=TEN),
    number(None, "scans/lines.png", confidence=None, reason="found 3 lines"),
    Result("scans/broken.png", "error", reason="truncated"),
]


def cell(place: int, text: str | None, path: str = "scans/form.png") -> Result:
    """What is stored of a cell of a form with two columns; without a number it is empty."""
    row, column = (place + 1) // 2, 2 - place % 2
    reason = "blank image" if text is None else None
    confidence = None if text is None else 0.875
    field = "total" if place == 4 else None
    where = StoredCell(1, place, row, column, 0.5 * column - 0.5, 0.1 * row, 0.5, 0.1, field)
    return number(text, path, cell=where, reason=reason, confidence=confidence)


FORM = [cell(1, "47"), cell(2, None), cell(3, "7"), cell(4, "19")]


@pytest.fixture(params=["sqlite", "mysql", "parquet"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
        return f"parquet:{tmp_path / 'results'}"
    return str(request.getfixturevalue(f"{request.param}_url"))


def open_any(url: str) -> ResultsDatabase | ParquetDataset:
    return ParquetDataset.open(url) if url.startswith("parquet:") else open_database(url)


def signs(url: str) -> list[tuple[Any, ...]]:
    return execute(
        url, "SELECT path_key, position, text FROM classified_digits ORDER BY path_key, position"
    )


def signs_of(rows: Sequence[Result]) -> list[tuple[Any, ...]]:
    keyed = ((path_key(row.path), digit) for row in rows for digit in row.digits)
    return sorted((key, digit.position, digit.text) for key, digit in keyed)


def test_a_number_comes_back_as_it_was(url: str) -> None:
    with open_any(url) as database:
        run_id = database.start_run(RunInfo(["scans"], "m.keras"))
        assert database.add(run_id, ROWS) == 5
        assert [row.as_result() for row in database.rows(run_id)] == ROWS
        if isinstance(database, ResultsDatabase):
            paths = [row.path for row in ROWS]
            found = database.find(run_id, paths)
            assert [found[path].as_result() for path in paths] == ROWS
            assert [row.as_result() for row in database.latest()] == ROWS[::-1]


def test_the_tables_as_others_see_them(database_url: str) -> None:
    with open_database(database_url) as database:
        database.add("run", ROWS)
    numbers = execute(database_url, "SELECT number, digit FROM classified_images ORDER BY id")
    assert numbers == [("47", None), ("-12,5", None), ("7", 7), (None, None), (None, None)]
    row = "run_id, position, text, box_left, box_top, box_width, box_height, confidence, p0, p7"
    minus = execute(
        database_url,
        f"SELECT {row} FROM classified_digits WHERE path_key = '{path_key('scans/minus.png')}'"
        " ORDER BY position",
    )
    assert minus[:2] == [
        ("run", 1, "-", 0.1, 0.25, 0.08, 0.5, 0.91, None, None),
        ("run", 2, "1", 0.2, 0.25, 0.08, 0.5, 0.92, 0.01, 0.6),
    ]
    assert [sign for _, _, sign, *_ in minus] == ["-", "1", "2", ",", "5"]


def test_a_batch_may_be_sent_again(url: str) -> None:
    with open_any(url) as database:
        database.add("run", ROWS)
        assert database.add("run", ROWS) == 0
        assert [row.as_result() for row in database.rows("run")] == ROWS


def test_what_is_read_otherwise_the_second_time_leaves_the_first(database_url: str) -> None:
    """A number that got longer or shorter since, and one that was none and is one now."""
    again = [
        number("470", ROWS[0].path),
        number("-12", ROWS[1].path),
        number("77", ROWS[2].path),
        number("111", ROWS[3].path),
        number("33", "scans/new.png"),
    ]
    with open_database(database_url) as database:
        database.add("run", ROWS)
        assert database.add("run", again) == 1
        stored = [row.as_result() for row in database.rows("run")]
    assert stored == [*ROWS, again[-1]]
    assert signs(database_url) == signs_of(stored)


def test_a_picture_named_twice_in_a_batch_has_the_signs_of_the_first(database_url: str) -> None:
    with open_database(database_url) as database:
        assert database.add("run", [number("12", "a.png"), number("345", "a.png")]) == 1
        (stored,) = database.rows("run")
    assert stored.as_result() == number("12", "a.png")
    assert signs(database_url) == signs_of([number("12", "a.png")])


def test_runs_do_not_share_signs(database_url: str) -> None:
    with open_database(database_url) as database:
        database.add("first", [number("12", "a.png")])
        database.add("second", [number("345", "a.png")])
        assert [row.number for row in database.rows("first")] == ["12"]
        assert [len(row.digits) for row in database.latest()] == [3, 2]


def test_a_picture_is_stored_with_its_signs_or_not_at_all(database_url: str) -> None:
    with open_database(database_url) as database:
        fail = (
            "WHEN NEW.text = '9' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            if database_url.startswith("sqlite")
            else "IF NEW.text = '9' THEN"
            " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF"
        )
        trigger = "CREATE TRIGGER t BEFORE INSERT ON classified_digits FOR EACH ROW"
        execute(database_url, f"{trigger} {fail}")
        rows = [number(str(each), f"{each}.png") for each in range(10, 200)]
        assert "'refused'" in sentence(lambda: database.add("run", rows))
        assert list(database.rows("run")) == []
        assert signs(database_url) == []
        execute(database_url, "DROP TRIGGER t")
        assert database.add("run", rows) == 190
    assert signs(database_url) == signs_of(rows)


def test_two_that_store_the_same_pictures_at_once(database_url: str) -> None:
    """As on a cluster that lost sight of a node: each number has the signs of one of them."""
    open_database(database_url).close()
    start = Barrier(2)

    def write(text: str) -> int:
        with open_database(database_url) as database:
            start.wait()
            return sum(
                database.add("run", [number(text, f"{batch}/{row}.png") for row in range(20)])
                for batch in range(15)
            )

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(write, ["12", "34567"])) == 300
    with open_database(database_url) as database:
        stored = [row.as_result() for row in database.rows("run")]
    assert len(stored) == 300
    for row in stored:
        assert "".join(digit.text for digit in row.digits) == row.number
    assert signs(database_url) == signs_of(stored)


def test_a_longer_number_than_a_column_takes_is_no_silent_loss(mysql_url: str) -> None:
    with open_database(mysql_url) as database:
        database.add("run", [number("1" * 64, "long.png")])
        assert "Data too long" in sentence(lambda: database.add("run", [number("1" * 65, "x")]))


# --- Forms ----------------------------------------------------------------------------------------


def test_each_cell_of_a_form_is_a_row(url: str) -> None:
    with open_any(url) as database:
        run = database.start_run(RunInfo(["scans"], "model"))
        assert database.add(run, [*ROWS, *FORM]) == 9
        stored = [*database.rows(run)]
        assert [row.as_result() for row in stored] == [*ROWS, *FORM]
        assert len({row.path_key for row in stored}) == 9
        assert database.finish_run(run, "finished").images == 9


def test_a_form_is_found_by_its_path_as_other_pictures_are(url: str) -> None:
    with open_any(url) as database:
        run = database.start_run(RunInfo(["scans"], "model"))
        database.add(run, FORM)
        wanted = ["scans/form.png", "scans/other.png"]
        assert database.stored(run, wanted) == {"scans/form.png"}


def test_a_form_that_is_stored_is_left_as_it_is(database_url: str) -> None:
    """With more cells the second time, none of them is added: a form is of one reading."""
    again = [cell(1, "41"), *FORM[1:], cell(5, "3"), cell(6, "5")]
    other = cell(1, "8", "scans/other.png")
    with open_database(database_url) as database:
        assert database.add("run", FORM) == 4
        assert database.add("run", [*again, other]) == 1
        stored = [row.as_result() for row in database.rows("run")]
    assert stored == [*FORM, other]
    assert signs(database_url) == sorted_signs([*FORM, other])


def sorted_signs(rows: Sequence[Result]) -> list[tuple[Any, ...]]:
    return sorted((row.key, sign.position, sign.text) for row in rows for sign in row.digits)


# --- Older databases ------------------------------------------------------------------------------


def make_older(url: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tables as an older program did, with a row of a run if it had runs."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_VERSION", version)
        open_database(url).close()
    columns = "digit, confidence" + (", run_id, path, path_key, status" if version > 1 else "")
    values = "7, 0.5" + (f", 'old', 'a.png', '{path_key('a.png')}', 'ok'" if version > 1 else "")
    execute(url, f"INSERT INTO classified_images ({columns}) VALUES ({values})")


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_an_older_database_takes_numbers(
    database_url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_older(database_url, version, monkeypatch)
    with open_database(database_url) as database:
        assert database.add("run", [*ROWS, *FORM]) == 9
        *new, old = database.latest()
        assert [row.as_result() for row in new] == [*ROWS, *FORM][::-1]
        assert (old.digit, old.confidence, old.number, old.digits) == (7, 0.5, None, ())
        assert old.run_id == ("old" if version > 1 else None)
    applied = execute(database_url, "SELECT version FROM schema_migrations")
    assert applied == [(number,) for number in range(1, 8)]


def test_an_older_part_of_a_dataset_has_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    old = Result("scans/old.png", "ok", 7, 0.5, probabilities=TEN)
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        database.add("run", [old])
        (part,) = tmp_path.glob("run_id=run/part-*.parquet")
        whole = parquet.ParquetFile(part).read()
        assert whole.column_names == [*RESULT_COLUMNS, parquet_files.DIGITS]
        parquet.write_table(whole.drop_columns(["number", *CELL_COLUMNS, "field", "digits"]), part)
        database.add("run", ROWS)
        assert [row.as_result() for row in database.rows("run")] == [old, *ROWS]
    assert pyarrow.types.is_list(whole.schema.field("digits").type)
