"""Runs that go on where they stopped, and the ones that must not."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.commands.detect.resuming import resume_command
from digit_classification.detection import reading
from digit_classification.names import shell_command
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import Run, StoredResult
from digit_classification_detector import DigitPredictor
from tests.conftest import PASSWORD_VARIABLE
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset
from tests.interrupting import stopped_at_batch

SCRIPT = ROOT / "digit_classification_detector.py"

Detect = Callable[..., int]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small models that differ."""
    folder = tmp_path_factory.mktemp("models")
    dataset = write_dataset(folder / "digits", per_class=12)
    paths = [folder / "first.keras", folder / "second.keras"]
    for seed, path in enumerate(paths):
        options = ["--epochs", "4", "--hidden-units", "32", "--batch-size", "16", "--quiet"]
        words = ["--dataset", str(dataset), "--model", str(path), "--seed", str(seed), *options]
        assert trainer.main(words) == 0
    return paths


@pytest.fixture
def detect(models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the detector in a folder with 20 pictures in `scans`, ten a batch, two that are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "10")
    write_dataset(tmp_path / "scans", per_class=2, first_seed=500)
    (tmp_path / "scans/0/broken.png").write_bytes(b"")
    (tmp_path / "scans/9/broken.png").write_bytes(b"")

    def detect(*arguments: object, database: str, model: Path = models[0]) -> int:
        words = [*arguments, "--model", model, "--database", database]
        return detector.main([str(word) for word in words])

    return detect


@pytest.fixture
def stop() -> Iterator[Callable[[int, BaseException], None]]:
    """Make the n-th batch fail."""
    with contextlib.ExitStack() as stack:
        yield lambda batch, error: stack.enter_context(stopped_at_batch(batch, error))


def read(url: str) -> tuple[Run, list[StoredResult]]:
    with ResultsDatabase.open(url, password=os.environ.get(PASSWORD_VARIABLE)) as database:
        (run,) = database.runs()
        return run, list(database.rows(run.info.id))


@pytest.mark.same_results
@pytest.mark.parametrize(
    ("error", "state", "code", "said"),
    [
        (
            KeyboardInterrupt(),
            "interrupted",
            130,
            "Interrupted: what was classified until then is stored.",
        ),
        (DatabaseError("It broke."), "failed", 3, "Error: It broke."),
    ],
)
def test_a_run_goes_on_where_it_stopped(
    error: BaseException,
    state: str,
    code: int,
    said: str,
    detect: Detect,
    stop: Callable[[int, BaseException], None],
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    models: list[Path],
) -> None:
    stop(2, error)
    csv = ["--format", "csv", "--output", "digits.csv"]
    assert detect("scans", *csv, database=database_url) == code
    run, rows = read(database_url)
    assert (run.state, len(rows)) == (state, 10)
    messages = capsys.readouterr().err.splitlines()
    words = ["scans", *csv, "--model", str(models[0]), "--database", database_url]
    command = shlex.join([sys.executable, str(SCRIPT), "--resume", run.info.id, *words])
    assert messages == [said, "To go on with the run:", command]

    done = subprocess.run(
        command, shell=True, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("12 images in ")
    assert "a second), and 10 before\n" in done.stderr
    assert "\nerror: 2\n" in done.stderr
    run, rows = read(database_url)
    assert (run.state, len(rows)) == ("finished", 22)
    assert run.counts is not None
    assert (run.counts.images, run.counts.errors) == (22, 2)
    whole = Path("digits.csv").read_text()
    assert detect("scans", *csv, database="none") == 1
    assert Path("digits.csv").read_text() == whole


def test_resume_without_a_run_takes_the_latest_unfinished(
    detect: Detect, stop: Callable[[int, BaseException], None], sqlite_url: str
) -> None:
    stop(3, KeyboardInterrupt())
    assert detect("scans/1", database=sqlite_url) == 0  # the first batch
    assert detect("scans", database=sqlite_url) == 130
    assert detect("scans/2", database=sqlite_url) == 0
    assert detect("--resume", database=sqlite_url) == 1
    with ResultsDatabase.open(sqlite_url) as database:
        counts = {run.info.sources: run.counts for run in database.runs()}
        assert {run.state for run in database.runs()} == {"finished"}
    assert {sources: each and each.images for sources, each in counts.items()} == {
        ("scans/1",): 2,
        ("scans",): 22,
        ("scans/2",): 2,
    }


def test_earlier_runs_are_never_changed(
    detect: Detect, stop: Callable[[int, BaseException], None], sqlite_url: str
) -> None:
    stop(2, KeyboardInterrupt())
    assert detect("scans", database=sqlite_url) == 130
    before = read(sqlite_url)
    assert detect("scans", database=sqlite_url) == 1
    with ResultsDatabase.open(sqlite_url) as database:
        _, first = sorted(database.runs(), key=lambda run: run.state == "interrupted")
        assert (first, list(database.rows(first.info.id))) == before


def test_a_resumed_run_may_be_interrupted_again(
    detect: Detect,
    stop: Callable[[int, BaseException], None],
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop(2, KeyboardInterrupt())
    assert detect("scans", database=sqlite_url) == 130
    stop(2, KeyboardInterrupt())
    assert detect("--resume", database=sqlite_url) == 130
    run, rows = read(sqlite_url)
    assert (run.state, len(rows)) == ("interrupted", 20)
    *_, command = capsys.readouterr().err.splitlines()
    words = shlex.split(command)
    assert words.count("--resume") == 1
    assert words[2:5] == ["--resume", run.info.id, "--model"]
    assert detect(*words[2:4], database=sqlite_url) == 1
    assert read(sqlite_url)[0].state == "finished"


def test_what_is_gone_since_is_no_reason_to_refuse_the_rest(
    detect: Detect, stop: Callable[[int, BaseException], None], sqlite_url: str, tmp_path: Path
) -> None:
    stop(2, KeyboardInterrupt())
    paths = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.png"))]
    assert detect(*paths, "scans/9/*", database=sqlite_url) == 130
    (tmp_path / paths[0]).unlink()  # stored
    (tmp_path / paths[-1]).unlink()  # not stored
    assert detect("--resume", database=sqlite_url) == 1
    _, rows = read(sqlite_url)
    assert [row.path for row in rows] == paths
    assert (rows[-1].status, rows[-1].reason) == ("error", "no such file or directory")


def test_paths_from_standard_input(
    detect: Detect, models: list[Path], sqlite_url: str, tmp_path: Path
) -> None:
    """The same list is piped in again; what is stored already is skipped."""
    paths = "".join(f"{path}\n" for path in sorted(tmp_path.rglob("*.png")))
    words = ["--model", str(models[0]), "--database", sqlite_url]

    def pipe(*arguments: str) -> int:
        command = [sys.executable, str(SCRIPT), *arguments, *words]
        return subprocess.run(command, input=paths.encode(), check=False).returncode

    assert pipe("-") == 1
    with ResultsDatabase.open(sqlite_url) as database:
        (run,) = database.runs()
        with database._store.transaction(write=True) as cursor:
            cursor.execute("DELETE FROM classified_images WHERE id > 7")
        database.finish_run(run.info.id, "failed")
    assert pipe("--resume") == 1
    assert [row.path for row in read(sqlite_url)[1]] == paths.splitlines()


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_refused(
    detect: Detect,
    stop: Callable[[int, BaseException], None],
    models: list[Path],
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert detect("scans/1", database=database_url) == 0
    capsys.readouterr()
    assert detect("--resume", database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: No run in {database_url} is unfinished: start a new one without --resume."
    )
    finished = read(database_url)[0].info.id
    assert detect("--resume", finished, database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: Run {finished} is finished: to read the images again, start a new run without"
        " --resume."
    )
    assert detect("--resume", "nothing", database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: There is no run 'nothing' in {database_url}: list the runs with --runs."
    )
    assert detect("--resume", database="none") == 2
    assert refusal(capsys) == (
        "Error: The database is none: name the one of the run with --database."
    )

    stop(2, KeyboardInterrupt())
    assert detect("scans", "it's", database=database_url) == 2
    capsys.readouterr()
    assert detect("scans", "scans/1", database=database_url) == 130
    *_, run_line = capsys.readouterr().err.splitlines()
    run_id = shlex.split(run_line)[3]
    new = "or start a new run without --resume."
    earlier = "path,digit,confidence,status,reason\n"
    Path("digits.csv").write_text(earlier)
    output = ["--format", "csv", "--output", "digits.csv"]

    assert detect("scans", "--resume", *output, database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: Run {run_id} reads scans scans/1, and not scans: leave the paths out, {new}"
    )
    assert detect("--resume", *output, database=database_url, model=models[1]) == 2
    before, after = (DigitPredictor(model).model.sha256 or "" for model in models)
    assert refusal(capsys) == (
        f"Error: Run {run_id} was made with another model, '{models[0]}' with the SHA-256"
        f" {before[:12]}…, not {after[:12]}…: name that one with --model, {new}"
    )
    assert detect("--resume", "--min-confidence", 0.9, *output, database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: Run {run_id} was started with detection.min_confidence = 0.85, and not 0.9: set"
        f" it back, {new}"
    )
    assert detect("--resume", "--sort-into", "sorted", *output, database=database_url) == 2
    assert refusal(capsys) == (
        f"Error: Run {run_id} was started with sort_into = none, and not sorted: set it back, {new}"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if database_url.startswith("mysql"):
        monkeypatch.chdir(elsewhere)
        assert detect("--resume", database=database_url) == 2
        assert refusal(capsys) == (
            f"Error: Run {run_id} was started in '{tmp_path}': change to that folder, {new}"
        )
        monkeypatch.chdir(tmp_path)
    assert Path("digits.csv").read_text() == earlier  # a refusal overwrites nothing
    assert (
        detect("--resume", run_id, "scans", "scans/1", "--workers", 1, database=database_url) == 1
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_an_output_that_cannot_be_written(
    detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run itself is complete: there is nothing to go on with."""
    output = ["--format", "csv", "--output", "/dev/full"]
    assert detect("scans", *output, database=sqlite_url) == 2
    assert refusal(capsys) == (
        "Error: The results cannot be written to '/dev/full': No space left on device: make room,"
        " or name another file with --output."
    )
    assert read(sqlite_url)[0].state == "finished"


def test_an_interrupted_run_without_a_database(
    detect: Detect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "read_and_judge", interrupted)
    assert detect("scans", database="none") == 130
    assert refusal(capsys) == "Interrupted."


def test_no_command_without_a_run(
    detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("missing", database=sqlite_url) == 2
    assert refusal(capsys) == ("Error: There is no file or folder 'missing': check the path.")


@pytest.mark.parametrize(
    ("arguments", "resumed", "expected"),
    [
        (["scans"], None, "p --resume ID scans"),
        (["--", "-x.png"], None, "p --resume ID -- -x.png"),
        (["--resume", "--quiet"], "latest", "p --resume ID --quiet"),
        (["--resume", "latest", "--quiet"], "latest", "p --resume ID --quiet"),
        (["-q", "--resume", "OLD", "scans"], "OLD", "p --resume ID -q scans"),
        (["-q", "--resume=OLD"], "OLD", "p --resume ID -q"),
    ],
)
def test_the_command(arguments: list[str], resumed: str | None, expected: str) -> None:
    if os.name != "nt":
        assert resume_command("ID", ["p"], arguments, resumed) == expected


@pytest.mark.skipif(os.name == "nt", reason="another shell")
def test_any_word_survives_the_shell() -> None:
    words = [
        "plain",
        "two words",
        "it's",
        '"$HOME" `id` \\ *',
        "",
        "é 😀",
        "raw \udcff' \\.png",
        "line\nbreak\t\x1b[31m",
    ]
    code = "import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    command = shell_command([sys.executable, "-c", code, *words])
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout.split(b"\0") == [os.fsencode(word) for word in words]


def test_a_picture_named_in_a_library_call(models: list[Path], sqlite_url: str) -> None:
    with ResultsDatabase.open(sqlite_url) as database:
        predictor = DigitPredictor(models[0], database=database)
        predictor.save_to_database([predictor.predict(png(draw_digit(3)))])
        (run,) = database.runs()
    assert run.info.settings["sort_into"] is None
    assert run.info.settings["working_directory"] == os.getcwd()
