"""--apply-corrections: from the file of a review page to the stored results, and what they say."""

from __future__ import annotations

import csv
import dataclasses
import getpass
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import digit_classification_detector as detector
from digit_classification.results.records import Result, RunInfo
from tests.results.test_corrections import HISTORY, RESULTS, add_run, checksum
from tests.results.test_numbers import number
from tests.results.test_results import execute, open_database

Apply = Callable[..., int]
HEADER = "path,digit,sha256,run"


@pytest.fixture
def run_id(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A stored run, corrected by anna in a folder of her own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    with open_database(database_url) as database:
        return add_run(database)


@pytest.fixture
def apply(database_url: str, run_id: str) -> Apply:
    def apply(*arguments: object, rows: list[str] | None = None) -> int:
        if rows is not None:
            lines = [HEADER, *(row.replace("RUN", run_id) for row in rows), ""]
            Path("corrections.csv").write_text("\n".join(lines), "utf-8")
        words = ["--apply-corrections", "corrections.csv", *arguments, "--database", database_url]
        return detector.main([*map(str, words)])

    return apply


FOUR = f"scans/4.png,9,{checksum('scans/4.png')},RUN"
BLANK = "scans/blank.png,3,,RUN"


def test_each_way_to_see_a_run_has_the_corrected_value(
    apply: Apply, run_id: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(rows=[FOUR, BLANK]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "scans/4.png: 9 (corrected by anna, was 4)\n"
        "scans/blank.png: 3 (corrected by anna, was rejected: found 2 digits)\n"
    )
    assert captured.err == f"Corrected 2 pictures of run {run_id} in {database_url}.\n"

    def show(*arguments: object) -> str:
        words = ["--show", run_id, *arguments, "--database", database_url]
        assert detector.main([*map(str, words)]) == 0
        return capsys.readouterr().out

    assert show() == "scans/1.png: 1 75.0%\n" + captured.out
    assert show("--format", "csv").splitlines()[1:] == [
        "scans/1.png,1,0.750000,ok,",
        'scans/4.png,9,,ok,"corrected by anna, was 4"',
        'scans/blank.png,3,,ok,"corrected by anna, was rejected: found 2 digits"',
    ]
    assert show("--top-k", 2).splitlines()[1] == "scans/4.png: 9 (corrected by anna, was 4)"
    assert show("--format", "csv", "--top-k", 2).splitlines()[2] == (
        'scans/4.png,9,,ok,"corrected by anna, was 4",,'
    )
    untouched, four, _ = map(json.loads, show("--format", "jsonl").splitlines())
    assert "corrected_at" not in untouched
    assert (four["digit"], four["confidence"], four["status"]) == (9, None, "ok")
    assert four["probabilities"][4] == 0.75  # what the network found
    assert four["corrected_at"] == four["corrected_at"][:19] > "2026"
    Path("truth.csv").write_text("path,digit\nscans/4.png,9\nscans/blank.png,4\n")
    score = show("--labels", "truth.csv")
    assert "Right: 1 of 2 (50.0%)" in score
    assert "(corrected by anna, was rejected: found 2 digits), should be 4" in score
    assert detector.main(["--runs", "--format", "csv", "--database", database_url]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [row[name] for name in ("images", "ok", "uncertain", "rejected")] == ["3", "3", "0", "0"]
    # What was written may be overwritten, as results that the program wrote.
    show("--output", "results.txt")
    show("--output", "results.txt")


def test_the_page_of_a_corrected_run(
    apply: Apply, run_id: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(rows=[FOUR])
    words = ["--show", run_id, "--report", "r.html", "--database", database_url]
    assert detector.main(words) == 0
    data = json.loads(
        Path("r.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    )
    (item,) = (item for item in data["items"] if item[0] == "scans/4.png")
    assert item[2:4] == [9, None]
    assert item[5].startswith("corrected by anna, was 4")
    assert data["digits"][9] == 1
    assert data["statuses"] == {"uncertain": 0, "rejected": 1, "error": 0, "ok": 2}


def test_the_second_time_nothing_changes(
    apply: Apply, run_id: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(rows=[FOUR])
    history, rows = (
        execute(database_url, statement)
        for statement in (HISTORY, "SELECT * FROM classified_images")
    )
    capsys.readouterr()
    assert apply() == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"Nothing to change in {database_url}.\nCorrected so before: 1 picture of run {run_id}.\n"
    )
    assert execute(database_url, HISTORY) == history
    assert execute(database_url, "SELECT * FROM classified_images") == rows


def test_a_dry_run_changes_nothing(
    apply: Apply, run_id: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = execute(database_url, "SELECT * FROM classified_images")
    assert apply("--dry-run", "--output", "changes.csv", rows=[FOUR, "x.png,1,,RUN"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "scans/4.png: 9 (corrected by anna, was 4)\n"
    assert captured.err == (
        f"Would correct 1 picture of run {run_id} in {database_url}.\n"
        "Not to be applied: 1\n"
        "  'corrections.csv', line 3: 'x.png' is in no run\n"
    )
    assert not Path("changes.csv").exists()
    assert execute(database_url, "SELECT * FROM classified_images") == rows
    assert execute(database_url, HISTORY) == []


def test_what_is_for_no_row_is_named_and_the_rest_applied(
    apply: Apply, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers = [f"none/{number}.png,1,,RUN" for number in range(12)]
    other = f"scans/1.png,7,{'0' * 64},RUN"
    rows = [other, FOUR, *strangers]
    assert apply("--output", "changes.jsonl", rows=rows) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [
        json.loads(line)["digit"] for line in Path("changes.jsonl").read_text().splitlines()
    ] == [9]
    lines = captured.err.splitlines()
    assert lines[1:4] == [
        "Not applied: 13",
        "  'corrections.csv', line 2: 'scans/1.png' was another picture when the run read it",
        "  'corrections.csv', line 4: 'none/0.png' is in no run",
    ]
    assert len(lines) == 13
    assert lines[-1] == "  and 3 more (-v names all)"
    assert apply("--verbose") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "  'corrections.csv', line 15: 'none/11.png' is in no run"
    assert apply("--quiet") == 1
    assert capsys.readouterr().err == ""


def test_a_file_without_runs_corrects_each_run_of_the_picture(
    apply: Apply, run_id: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pages of earlier versions have written such files, and pages of runs without a database."""
    with open_database(database_url) as database:
        other = add_run(database)
    Path("corrections.csv").write_text(f"path,digit,sha256\n{FOUR.removesuffix(',RUN')}\n")
    assert apply() == 0
    assert capsys.readouterr().err == f"Corrected 2 pictures of 2 runs in {database_url}.\n"
    with open_database(database_url) as database:
        for each in (run_id, other):
            assert [row.digit for row in database.rows(each)] == [1, 9, None]


def test_numbers_come_home_whole(
    apply: Apply, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        number("47", "47.png", image_sha256=checksum("47.png")),
        number(None, "lines.png", image_sha256=checksum("lines.png"), reason="found 3 lines"),
    ]
    with open_database(database_url) as database:
        run = add_run(database, rows, "number")
    Path("corrections.csv").write_text(
        f"path,digit,sha256,run,number,place,image\n"
        f"47.png,4,{checksum('47.png')},{run},41,1,iVBORw0KGgo\n"
        f"47.png,1,{checksum('47.png')},{run},41,2,iVBORw0KGgo\n"
        f'lines.png,,{checksum("lines.png")},{run},"-12,5",,\n'
    )
    assert apply("--format", "csv") == 2  # the images are cut
    assert "the image should be a grey PNG" in capsys.readouterr().err
    text = Path("corrections.csv").read_text().replace("iVBORw0KGgo", "")
    Path("corrections.csv").write_text(text)
    assert apply("--format", "csv") == 0
    assert [*csv.reader(io.StringIO(capsys.readouterr().out))] == [
        ["path", "digit", "confidence", "status", "reason", "number"],
        ["47.png", "", "", "ok", "corrected by anna, was 47", "41"],
        ["lines.png", "", "", "ok", "corrected by anna, was rejected: found 3 lines", "-12,5"],
    ]


def test_nobody_known_is_nobody_named(
    apply: Apply, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert apply(rows=[FOUR]) == 0
    assert capsys.readouterr().out == "scans/4.png: 9 (corrected, was 4)\n"


# --- What is refused ------------------------------------------------------------------------------

PARTS = (
    "--apply-corrections changes what is stored, which a Parquet dataset cannot: join"
    " 'corrections.csv' to it by run and path, or name another database with --database."
)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["x.png,1,,RUN", "y.png,2,,RUN"],
            "'corrections.csv' corrects nothing in URL: 'corrections.csv', line 2, 'x.png' is in"
            " no run; name the right database with --database, whose runs --runs lists.",
        ),
        ([], "'corrections.csv' holds no corrections: download them from a review page."),
        (
            ["scans/4.png,9,,"],
            "'corrections.csv', line 2: 'scans/4.png' has neither a run nor a checksum, so it could"
            " be any picture of that name: add a column `run`, with a run that --runs lists.",
        ),
        (
            [FOUR, "scans/4.png,7,,RUN"],
            "'corrections.csv', line 3: 'scans/4.png' is 7, but 9 in 'corrections.csv', line 2:"
            " delete the wrong one.",
        ),
        (
            ["scans/4.png,12,,RUN"],
            "'corrections.csv', line 2: the digit '12' should be one of 0 to 9.",
        ),
    ],
)
def test_files_that_are_refused(
    apply: Apply,
    database_url: str,
    rows: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert apply(rows=rows) == 2
    captured = capsys.readouterr()
    expected = f"Error: {message.replace('URL', database_url)}\n"
    assert (captured.out, captured.err) == ("", expected)
    assert execute(database_url, HISTORY) == []


@pytest.mark.parametrize("text", ["4x", "--4", "1" * 65])
def test_numbers_that_are_none(
    apply: Apply, run_id: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("corrections.csv").write_text(f"path,digit,run,number\na.png,,{run_id},{text}\n")
    assert apply() == 2
    assert capsys.readouterr().err == (
        f"Error: 'corrections.csv', line 2: the number '{text}' should be one such as 47, -3 or"
        " 12,5, of at most 64 signs.\n"
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["scans"], "the paths"),
        (["--show", "latest"], "--show"),
        (["--runs"], "--runs"),
        (["--report", "r.html"], "--report"),
        (["--sort-into", "sorted"], "--sort-into"),
        (["--move"], "--move"),
    ],
)
def test_it_does_nothing_else(
    apply: Apply, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(*words, rows=[FOUR]) == 2
    assert capsys.readouterr().err == (
        "Error: --apply-corrections corrects what is stored, and does nothing else: leave"
        f" {named} out.\n"
    )


def test_no_file_and_no_database(
    apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply() == 2
    assert capsys.readouterr().err == (
        "Error: There is no file of corrections 'corrections.csv': check its name.\n"
    )
    assert apply("--output", "corrections.csv", rows=[FOUR]) == 2
    assert "corrections.csv" in capsys.readouterr().err
    words = ["--apply-corrections", "corrections.csv", "--database"]
    assert detector.main([*words, "sqlite:///typo.db"]) == 3
    assert capsys.readouterr().err == (
        "Error: Database sqlite:///typo.db: there is no such file; correct the URL or store results"
        " in it first.\n"
    )
    assert not Path("typo.db").exists()
    assert detector.main([*words, "none"]) == 2
    assert capsys.readouterr().err == "Error: The database is none: name one with --database.\n"


def test_a_parquet_dataset_is_left_as_it_is(
    apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    from digit_classification.results.parquet.dataset import ParquetDataset

    with ParquetDataset.open("parquet:results") as database:
        database.add(database.start_run(RunInfo(["scans"], "m.keras", id="run")), RESULTS)
    before = {path: path.read_bytes() for path in Path("results").rglob("*.*")}
    apply(rows=[FOUR])
    capsys.readouterr()
    words = ["--apply-corrections", "corrections.csv", "--database", "parquet:results"]
    assert detector.main(words) == 2
    assert capsys.readouterr().err == f"Error: {PARTS}\n"
    assert {path: path.read_bytes() for path in Path("results").rglob("*.*")} == before


def test_what_is_corrected_stays_so_when_the_run_goes_on(
    apply: Apply, run_id: str, database_url: str
) -> None:
    apply(rows=[FOUR])
    again: list[Result] = [dataclasses.replace(row, digit=0) for row in RESULTS]
    with open_database(database_url) as database:
        assert database.add(run_id, again) == 0
        rows: dict[Any, Any] = {row.path: row.digit for row in database.rows(run_id)}
    assert rows["scans/4.png"] == 9
