"""Stored runs, listed, named and shown again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import digit_classification_detector as detector
from digit_classification.commands.detect.earlier_runs import print_runs
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, RunInfo
from tests.conftest import PASSWORD_VARIABLE

Look = Callable[..., int]

IDS = [f"2026112{number % 3}-10000{number}-a3f9cd21b" for number in range(3)]


@pytest.fixture
def look(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Look back at three finished runs of a picture each, a day apart, and a running one."""
    monkeypatch.chdir(tmp_path)
    with ResultsDatabase.open(database_url, password=os.environ.get(PASSWORD_VARIABLE)) as database:
        for digit, run_id in enumerate(IDS):
            info = RunInfo(["a, b", "=1"], "m.keras", id=run_id)
            database.add(database.start_run(info), [Result(f"{digit}.png", "ok", digit, 0.75)])
            database.finish_run(run_id, "finished")
        database.start_run(RunInfo(["scans"], "m.keras", id="20261124-100000-running"))

    def look(*arguments: object) -> int:
        return detector.main([*map(str, arguments), "--database", database_url])

    return look


def test_the_newest_runs_are_listed_and_the_others_counted(
    look: Look, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look("--runs", 2) == 0
    captured = capsys.readouterr()
    heading, *lines = captured.out.splitlines()
    assert heading.split() == [
        *("run", "state", "images", "ok", "uncertain", "rejected", "errors", "sources")
    ]
    assert [line.split() for line in lines] == [
        ["20261124-100000-running", "running", "scans"],
        [IDS[2], "finished", "1", "1", "0", "0", "0", "a,", "b,", "=1"],
    ]
    assert captured.err == f"and 2 more: --runs 4 lists all of {database_url}\n"
    assert look("--runs") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 5
    assert captured.err == ""


def test_runs_as_csv_and_as_json_lines(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    assert look("--runs", "--format", "csv") == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert [row["run"] for row in rows] == ["20261124-100000-running", *reversed(IDS)]
    assert [(row["images"], row["finished_at"] > "20") for row in rows[:2]] == [
        ("", False),
        ("1", True),
    ]
    assert rows[1]["sources"] == "a, b; =1"
    assert look("--runs", 1, "--output", "runs.jsonl") == 0
    (line,) = Path("runs.jsonl").read_text().splitlines()
    run = json.loads(line)
    assert run | {"started_at": ""} == {
        "run": "20261124-100000-running",
        "state": "running",
        "started_at": "",
        "finished_at": None,
        "images": None,
        "ok": None,
        "uncertain": None,
        "rejected": None,
        "errors": None,
        "model": "m.keras",
        "sources": ["scans"],
    }
    assert run["started_at"].endswith("Z")


@pytest.mark.parametrize("width", [80, 40, 200])
def test_no_width_cuts_an_identity_or_drops_a_count(sqlite_url: str, width: int) -> None:
    info = RunInfo([f"folder {n} of a long name" for n in range(9)], "m.keras")
    with ResultsDatabase.open(sqlite_url) as database:
        database.add(database.start_run(info), [Result(f"{n}.png", "ok", 1) for n in range(1234)])
        database.finish_run(info.id, "interrupted")
        stream, messages = io.StringIO(), Console(file=io.StringIO())
        print_runs(database, "text", stream, messages, limit=20, width=width)
    lines = stream.getvalue().splitlines()
    row = next(line for line in lines if info.id in line)
    assert row.split()[:7] == [info.id, "interrupted", "1,234", "1,234", "0", "0", "0"]
    assert "folder 0 of a long name, " in stream.getvalue()
    assert stream.getvalue().count("and 6 more") == 1
    if width == 80:
        assert len(row) <= 80


def test_no_runs(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    ResultsDatabase.open(sqlite_url).close()
    assert detector.main(["--runs", "--database", sqlite_url]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"No runs are stored in {sqlite_url}.\n")


@pytest.mark.parametrize("number", ["0", "many", "-1"])
def test_a_number_of_runs_that_is_none(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        detector.main([f"--runs={number}"])
    assert caught.value.code == 2
    message = f"argument --runs: {number!r} is not a number of runs, such as 50\n"
    assert capsys.readouterr().err.endswith(message)


@pytest.mark.parametrize("name", [IDS[1], IDS[1][:8], IDS[1][:17]])
def test_a_run_is_shown_by_the_beginning_of_its_name(
    look: Look, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look("--show", name, "--format", "csv") == 0
    captured = capsys.readouterr()
    assert captured.err == f"Run {IDS[1]}, finished, of a, b, =1\n"
    assert captured.out.splitlines()[1] == "1.png,1,0.750000,ok,"


def test_a_run_that_is_not_there_is_the_user_s_mistake(
    look: Look, model: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--show"], ["--model", model, "--resume"]):
        assert look(*words, "2025") == 2
        assert capsys.readouterr().err == (
            f"Error: There is no run '2025' in {database_url}: list the runs with --runs.\n"
        )
        assert look(*words, "2026112") == 2
        assert capsys.readouterr().err == (
            f"Error: '2026112' begins the names of 4 runs in {database_url}, the newest"
            " 20261124-100000-running: write more of the name.\n"
        )
        assert look(*words, "") == 2
        assert capsys.readouterr().err == (
            f"Error: There is no run '' in {database_url}: list the runs with --runs.\n"
        )


def test_a_finished_run_is_named_in_full_when_it_is_not_resumed(
    look: Look, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look("--resume", IDS[0][:8], "--model", model) == 2
    assert capsys.readouterr().err == (
        f"Error: Run {IDS[0]} is finished: to read the images again, start a new run without"
        " --resume.\n"
    )
