"""Corrections in the stores: what a row is afterwards, its history, and two who correct at once."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from digit_classification.results import schema
from digit_classification.results.corrections import Correction
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import Result, RunCounts, RunInfo, path_key
from tests.conftest import connect_to_mysql
from tests.results.test_numbers import number
from tests.results.test_results import execute, make_results, open_database, sentence

HISTORY = (
    "SELECT path_key, revision, corrected_by, digit, number, digit_before, number_before,"
    " confidence_before, status_before, reason_before FROM corrected_images"
    " ORDER BY path_key, revision"
)


def checksum(name: str) -> str:
    return path_key(f"content of {name}")


def read(path: str, digit: int | None, status: Any = "ok", **changes: Any) -> Result:
    shares = [0.1] * 10 if digit is None else [0.25 / 9] * 10
    if digit is not None:
        shares[digit] = 0.75
    confidence = None if digit is None else 0.75
    result = Result(path, status, digit, confidence, None, tuple(shares), checksum(path))
    return dataclasses.replace(result, **changes)


RESULTS = [
    read("scans/1.png", 1),
    read("scans/4.png", 4, "uncertain", reason="thin"),
    read("scans/blank.png", None, "rejected", reason="found 2 digits"),
]


def stored(database: ResultsDatabase, run_id: str) -> dict[str, Result]:
    return {str(row.path): row.as_result() for row in database.rows(run_id)}


def add_run(database: ResultsDatabase, results: list[Result] = RESULTS, read: str = "digit") -> str:
    """Store a finished run, and return its name."""
    info = RunInfo(["scans"], "m.keras", settings={"detection": {"read": read}})
    run_id = database.start_run(info)
    database.add(run_id, results)
    database.finish_run(run_id, "finished")
    return run_id


def test_a_corrected_row_and_what_it_was(database_url: str) -> None:
    with open_database(database_url) as database:
        run_id = add_run(database)
        untouched = add_run(database)
        outcome = database.correct(
            [
                Correction("scans/4.png", "9", checksum("scans/4.png"), run_id),
                Correction("scans/blank.png", "3", None, run_id),
                Correction("scans/1.png", "1", checksum("scans/1.png"), run_id),
            ],
            "anna",
        )
        rows = stored(database, run_id)
        assert [after.as_result() for _, after in outcome.changed] == [
            rows["scans/4.png"],
            rows["scans/blank.png"],
            rows["scans/1.png"],
        ]
        assert (outcome.unchanged, outcome.without_row) == ([], [])
        moment = rows["scans/4.png"].corrected_at
        assert moment is not None
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        assert abs((now - datetime.fromisoformat(moment)).total_seconds()) < 60
        changes: dict[str, Any] = {"status": "ok", "confidence": None, "corrected_at": moment}
        before = {row.path: row for row in RESULTS}
        assert rows == {
            "scans/1.png": dataclasses.replace(
                before["scans/1.png"], **changes, reason="confirmed by anna"
            ),
            "scans/4.png": dataclasses.replace(
                before["scans/4.png"], **changes, digit=9, reason="corrected by anna, was 4"
            ),
            "scans/blank.png": dataclasses.replace(
                before["scans/blank.png"],
                **changes,
                digit=3,
                reason="corrected by anna, was rejected: found 2 digits",
            ),
        }
        assert database.run(run_id).counts == RunCounts(3, 3, 0, 0, 0)  # type: ignore[union-attr]
        assert [*stored(database, untouched).values()] == RESULTS
        assert database.run(untouched).counts == RunCounts(  # type: ignore[union-attr]
            3, 1, 1, 1, 0
        )
    history = {key: rest for key, *rest in execute(database_url, HISTORY)}
    assert history == {
        path_key("scans/1.png"): [1, "anna", 1, None, 1, None, 0.75, "ok", None],
        path_key("scans/4.png"): [1, "anna", 9, None, 4, None, 0.75, "uncertain", "thin"],
        path_key("scans/blank.png"): [
            *(1, "anna", 3, None, None, None, None, "rejected", "found 2 digits")
        ],
    }


def test_the_same_again_changes_nothing_and_another_is_added(database_url: str) -> None:
    with open_database(database_url) as database:
        run_id = add_run(database)
        nine = [Correction("scans/4.png", "9", checksum("scans/4.png"), run_id)]
        database.correct(nine, "anna")
        rows, history = stored(database, run_id), execute(database_url, HISTORY)
        again = database.correct(nine, "bob")
        assert ([row.digit for row in again.unchanged], again.changed) == ([9], [])
        assert stored(database, run_id) == rows
        assert execute(database_url, HISTORY) == history
        database.correct([dataclasses.replace(nine[0], text="7")], None)
        row = stored(database, run_id)["scans/4.png"]
        assert (row.digit, row.reason) == (7, "corrected, was 9")
        assert database.run(run_id).counts == RunCounts(  # type: ignore[union-attr]
            3, 2, 0, 1, 0
        )
    assert [row[1:6] for row in execute(database_url, HISTORY)] == [
        (1, "anna", 9, None, 4),
        (2, None, 7, None, 9),
    ]


def test_a_dry_run_says_the_same_and_changes_nothing(database_url: str) -> None:
    with open_database(database_url) as database:
        run_id = add_run(database)
    corrections = [
        Correction("scans/4.png", "9", None, run_id),
        Correction("scans/none.png", "9", None, run_id),
    ]
    with open_database(database_url, read_only=True) as database:
        planned = database.correct(corrections, "anna", dry_run=True)
        assert [*stored(database, run_id).values()] == RESULTS
    assert execute(database_url, HISTORY) == []
    with open_database(database_url) as database:
        done = database.correct(corrections, "anna")
    for a, b in zip(planned.changed[0], done.changed[0], strict=True):
        assert dataclasses.replace(a, corrected_at=b.corrected_at) == b
    assert planned.without_row == done.without_row == [(corrections[1], "is in no run")]


def test_which_rows_a_correction_is_for(database_url: str) -> None:
    """With a run those of that run, else those of each run that read this very picture."""
    moved = read("scans/moved.png", 4, sorted_to="sorted/4/moved.png")
    odd = read("scans/odd \udcff.png", 4)
    formula = read("=1+1.png", 4)
    with open_database(database_url) as database:
        first = add_run(database, [*RESULTS, moved, odd, formula])
        second = add_run(database, RESULTS)
        changed = read("scans/4.png", 4, image_sha256=checksum("changed"))
        third = add_run(database, [changed])

        def correct(*corrections: Correction) -> list[tuple[str, str, int | None]]:
            changed = database.correct(corrections, "anna").changed
            return [(str(row.run_id), str(row.path), row.digit) for _, row in changed]

        four = checksum("scans/4.png")
        assert correct(Correction("scans/4.png", "9", four)) == [
            *((run, "scans/4.png", 9) for run in (first, second))
        ]
        assert correct(Correction("scans/4.png", "7", None, third)) == [(third, "scans/4.png", 7)]
        assert correct(Correction("sorted/4/moved.png", "9", moved.image_sha256, first)) == [
            (first, "scans/moved.png", 9)
        ]
        assert correct(Correction("scans/odd \\xff.png", "9", odd.image_sha256, first)) == [
            (first, "scans/odd \\xff.png", 9)
        ]
        assert correct(Correction("./=1+1.png", "9", formula.image_sha256, first)) == [
            (first, "=1+1.png", 9)
        ]
        # The same content under another name is another picture.
        assert correct(Correction("elsewhere/4.png", "8", four, first)) == []


@pytest.mark.parametrize(
    ("correction", "problem"),
    [
        (Correction("scans/none.png", "9", None, "RUN"), "is in no run"),
        (Correction("scans/4.png", "9", None, "another"), "is in no run"),
        (
            Correction("scans/4.png", "9", "0" * 64, "RUN"),
            "was another picture when the run read it",
        ),
        (
            Correction("scans/4.png", "49", None, "RUN"),
            "was read as a digit, and this is none",
        ),
    ],
)
def test_why_a_correction_is_for_no_row(
    database_url: str, correction: Correction, problem: str
) -> None:
    with open_database(database_url) as database:
        run_id = add_run(database)
        if correction.run_id == "RUN":
            correction = dataclasses.replace(correction, run_id=run_id)
        outcome = database.correct([correction], "anna")
        assert outcome.without_row == [(correction, problem)]
        assert (outcome.changed, outcome.unchanged) == ([], [])
        assert [*stored(database, run_id).values()] == RESULTS


def test_two_corrections_of_one_row(database_url: str) -> None:
    """One of them by the name that the picture has now."""
    moved = read("scans/moved.png", 4, sorted_to="sorted/4/moved.png")
    with open_database(database_url) as database:
        run_id = add_run(database, [moved])
        first = Correction("scans/moved.png", "9", moved.image_sha256, run_id)
        second = Correction("sorted/4/moved.png", "7", moved.image_sha256, run_id)
        outcome = database.correct([first, second, first], "anna")
        assert [after.digit for _, after in outcome.changed] == [9]
        assert outcome.without_row == [(second, "is corrected otherwise by an earlier row")]
        same = dataclasses.replace(second, text="9")
        assert database.correct([first, same], "anna").without_row == []


def test_numbers_are_corrected_whole(database_url: str) -> None:
    rows = [
        number("47", "47.png", image_sha256=checksum("47.png")),
        number(None, "lines.png", image_sha256=checksum("lines.png")),
        number("12", "12.png", image_sha256=checksum("12.png")),
    ]
    with open_database(database_url) as database:
        run_id = add_run(database, rows, "number")
        texts = {"47.png": "-4,7", "lines.png": "007", "12.png": "2"}
        database.correct(
            [Correction(path, text, checksum(path), run_id) for path, text in texts.items()], "bob"
        )
        after = stored(database, run_id)
    assert {path: (row.number, row.digit) for path, row in after.items()} == {
        "47.png": ("-4,7", None),
        "lines.png": ("007", None),
        "12.png": ("2", 2),
    }
    assert after["47.png"].reason == "corrected by bob, was 47"
    assert after["47.png"].digits == rows[0].digits  # what was read of each sign stays
    before = {key: rest[5] for key, *rest in execute(database_url, HISTORY)}
    assert before == {
        path_key("47.png"): "47",
        path_key("lines.png"): None,
        path_key("12.png"): "12",
    }


def test_a_running_run_has_no_counts_yet(database_url: str) -> None:
    with open_database(database_url) as database:
        run_id = database.start_run(RunInfo(["scans"], "m.keras"))
        database.add(run_id, RESULTS)
        database.correct([Correction("scans/4.png", "9", None, run_id)], "anna")
        assert database.run(run_id).counts is None  # type: ignore[union-attr]
        assert database.finish_run(run_id, "finished") == RunCounts(3, 2, 0, 1, 0)


def test_more_than_a_statement_takes(database_url: str) -> None:
    rows = make_results(1_203)
    with open_database(database_url) as database:
        run_id = add_run(database, rows)
        corrections = [Correction(row.path, "3", row.image_sha256, run_id) for row in rows]
        assert len(database.correct(corrections, "anna").changed) == 1_203
        assert {row.digit for row in database.rows(run_id)} == {3}
        assert len(database.correct(corrections, "anna").unchanged) == 1_203
    assert execute(database_url, "SELECT COUNT(*) FROM corrected_images") == [(1_203,)]


def test_all_or_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after the first row has been changed leaves none changed."""
    with open_database(database_url) as database:
        run_id = add_run(database)

        def fail(*_: object) -> None:
            raise DatabaseError("cut off")

        corrections = [Correction(row.path, "5", None, run_id) for row in RESULTS]
        with monkeypatch.context() as patch:
            patch.setattr(type(database._store), "insert_new", fail)
            assert sentence(lambda: database.correct(corrections, "anna")) == "cut off"
        assert [*stored(database, run_id).values()] == RESULTS
        assert len(database.correct(corrections, "anna").changed) == 3


def test_two_who_correct_at_once_take_turns(database_url: str) -> None:
    rows = make_results(200)
    with open_database(database_url) as database:
        run_id = add_run(database, rows)
    start = threading.Barrier(2)

    def correct(text: str) -> int:
        with open_database(database_url, retry_seconds=60) as database:
            corrections = [Correction(row.path, text, None, run_id) for row in rows]
            start.wait()
            return len(database.correct(corrections, text).changed)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(correct, "38")) == [200, 200]
    with open_database(database_url) as database:
        digits = {row.digit for row in database.rows(run_id)}
    assert digits in ({3}, {8})
    revisions = execute(
        database_url,
        "SELECT revision, digit, COUNT(*) FROM corrected_images GROUP BY revision, digit"
        " ORDER BY revision",
    )
    (last,) = digits
    assert last is not None
    assert revisions == [(1, 11 - last, 200), (2, last, 200)]


def test_a_correction_that_another_made_meanwhile_is_seen(mysql_url: str) -> None:
    """The other commits after our transaction has looked, and before it writes."""
    with open_database(mysql_url) as database, ThreadPoolExecutor(1) as pool:
        run_id = add_run(database)
        connection = connect_to_mysql(mysql_url)
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE classified_images SET digit = 8 WHERE path = 'scans/4.png'")
        correction = Correction("scans/4.png", "9", None, run_id)
        waiting = pool.submit(database.correct, [correction], "anna")
        wait = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        while not execute(mysql_url, wait):
            assert not waiting.done()
            threading.Event().wait(0.2)
        cursor.execute(
            "UPDATE classified_images SET corrected_at = '2026-11-01 00:00:00'"
            " WHERE path = 'scans/4.png'"
        )
        cursor.execute(
            "INSERT INTO corrected_images (run_id, path_key, revision, corrected_at, digit,"
            f" digit_before) VALUES ('{run_id}', '{path_key('scans/4.png')}', 1,"
            " '2026-11-01 00:00:00', 8, 4)"
        )
        connection.commit()
        connection.close()
        ((before, after),) = waiting.result(timeout=30).changed
    assert (before.digit, after.digit) == (8, 9)
    assert [row[1:6] for row in execute(mysql_url, HISTORY)] == [
        (1, None, 8, None, 4),
        (2, "anna", 9, None, 8),
    ]


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_an_older_database_takes_corrections(
    database_url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_VERSION", version)
        open_database(database_url).close()
    if version > 1:
        key = path_key("a.png")
        execute(
            database_url,
            "INSERT INTO classification_runs (id, state, started_at, sources, model_path, settings)"
            " VALUES ('old', 'finished', '2026-01-01 00:00:00', '[]', 'm.keras', '{}')",
            "INSERT INTO classified_images (digit, confidence, run_id, path, path_key, status)"
            f" VALUES (4, 0.5, 'old', 'a.png', '{key}', 'uncertain')",
        )
    else:
        execute(database_url, "INSERT INTO classified_images (digit, confidence) VALUES (4, 16.5)")
    with open_database(database_url) as database:
        outcome = database.correct([Correction("a.png", "9", None, "old")], "anna")
        (row,) = database.latest()
    assert len(outcome.changed) == (version > 1)
    assert row.digit == (9 if version > 1 else 4)
    assert (row.corrected_at is not None) == (version > 1)


def test_a_correction_is_sent_again_when_the_server_comes_back(mysql_url: str) -> None:
    with open_database(mysql_url, retry_seconds=20) as database:
        run_id = add_run(database)
        database._store._connection.shutdown()  # type: ignore[attr-defined]
        outcome = database.correct([Correction("scans/4.png", "9", None, run_id)], "anna")
        assert len(outcome.changed) == 1
    assert len(execute(mysql_url, HISTORY)) == 1
