"""What a run writes: never over what is not its own kind, refused before any work, and named."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.detection.reading import ThisMachine
from digit_classification.files import replacing, same_place
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import RunInfo
from tests.conftest import PASSWORD_VARIABLE, execute_on_mysql, mysql_database
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset

Run = Callable[..., int]


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the detector in a folder with a picture, `7.png`, its model `m.keras`, and others."""
    monkeypatch.chdir(tmp_path)
    Path("7.png").write_bytes(png(draw_digit(7, seed=500)))
    shutil.copy(model, "m.keras")
    Path("notes.txt").write_text("my notes\n")
    with zipfile.ZipFile("scans.zip", "w") as archive:
        archive.write("7.png")

    def run(*arguments: object, database: str = "none") -> int:
        options = ["--model", "m.keras", "--database", database, "--quiet"]
        return detector.main([*map(str, arguments), *options])

    return run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "digits", per_class=12)


@pytest.fixture
def train(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the trainer, in an empty folder; what should be refused begins no training."""
    monkeypatch.chdir(tmp_path)

    def train(*arguments: object) -> int:
        options = ["--dataset", dataset, "--hidden-units", 8, "--epochs", 1, "--no-cache"]
        return trainer.main([str(word) for word in [*options, "--quiet", *arguments]])

    return train


def everything() -> dict[str, bytes | None]:
    """All that is in this folder: the content of files, None for a folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


def error(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def not_results(name: str) -> str:
    return (
        f"--output '{name}' is there already and holds no results that this program wrote: name "
        "another file, or move that one away."
    )


def both(first: str, second: str, path: str) -> str:
    return f"{first} and {second} both name '{path}': give each a place of its own."


# ---------------------------------------------------------------------------------- the detector


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["7.png", "--output", "notes.txt"], not_results("notes.txt")),
        (["scans.zip", "--output", "scans.zip"], not_results("scans.zip")),
        (["7.png", "--output", "m.keras"], both("--model", "--output", "m.keras")),
        (["7.png", "--output", "other.keras"], not_results("other.keras")),
        (["7.png", "--output", "mine.csv"], not_results("mine.csv")),
        (["7.png", "--output", "corrections.csv"], not_results("corrections.csv")),
        (["7.png", "--output", "build.log"], not_results("build.log")),
        (["7.png", "--output", "other.jsonl"], not_results("other.jsonl")),
        (["7.png", "--output", "binary"], not_results("binary")),
        (
            ["7.png", "--config", "mine.yaml", "--output", "./mine.yaml"],
            both("--config", "--output", "mine.yaml"),
        ),
        (["7.png", "--output", "x", "--report", "x"], both("--output", "--report", "x")),
        (["7.png", "--output", "x", "--report", "y/../x"], both("--output", "--report", "y/../x")),
        (["7.png", "--output", "x", "--sort-into", "x"], both("--output", "--sort-into", "x")),
        (
            ["7.png", "--save-normalized", "x", "--sort-into", "x"],
            both("--save-normalized", "--sort-into", "x"),
        ),
        (
            ["7.png", "--save-normalized", "seen", "--report", "seen/page.html"],
            "--report 'seen/page.html' is in the new folder of --save-normalized: name a place"
            " elsewhere.",
        ),
        (
            ["7.png", "--save-normalized", "empty", "--output", "empty/x.csv"],
            "--output 'empty/x.csv' is in the new folder of --save-normalized: name a place"
            " elsewhere.",
        ),
        (
            ["folder", "--save-normalized", "folder/seen"],
            "--save-normalized 'folder/seen' is in 'folder', which is read: name a folder"
            " elsewhere.",
        ),
        (
            ["7.png", "--save-normalized", "notes.txt/seen"],
            "The folder 'notes.txt/seen' cannot be made: Not a directory: name another.",
        ),
        (
            ["7.png", "--output", "empty"],
            "'empty' cannot be written: Is a directory: name another file with --output.",
        ),
        (
            ["7.png", "--output", "missing/x.csv"],
            "'missing/x.csv' cannot be written: No such file or directory: name another file with"
            " --output.",
        ),
        (
            ["7.png", "--sort-into", "notes.txt"],
            "The folder 'notes.txt' cannot be made: File exists: name another.",
        ),
        (
            ["7.png", "--sort-into", "x", "--move", "--hard-links"],
            "--move leaves one name of each picture and --hard-links two: choose one of them.",
        ),
        (
            ["7.png", "--hard-links"],
            "--hard-links says how to sort: name the folder with --sort-into.",
        ),
        (["empty"], "No picture was found in 'empty': check the path."),
        (["empty", "--output", "earlier.csv"], "No picture was found in 'empty': check the path."),
    ],
)
def test_what_is_refused_before_any_work(
    words: list[str],
    message: str,
    dry_run: list[str],
    run: Run,
    capsys: pytest.CaptureFixture[str],
    model: Path,
) -> None:
    shutil.copy(model, "other.keras")
    Path("mine.yaml").touch()
    Path("mine.csv").write_text("path,digit\n7.png,7\n")
    Path("corrections.csv").write_text("path,digit,sha256\n7.png,7,\n")
    Path("build.log").write_text("main.c: error: expected ';'\nmain.c: error: too many errors\n")
    Path("other.jsonl").write_text('{"path": "7.png", "digit": 7}\n')
    Path("binary").write_bytes(b"\xff\xfe\x00path,digit,confidence,status,reason")
    Path("earlier.csv").write_text("path,digit,confidence,status,reason\n7.png,7,0.9,ok,\n")
    for folder in ("empty", "folder"):
        Path(folder).mkdir()
    shutil.copy("7.png", "folder")
    before = everything()
    assert run(*words, *dry_run) == 2
    assert error(capsys) == message
    assert everything() == before


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(
    ("option", "output"),
    [
        ("--database", "x.db"),
        ("--database (-wal)", "x.db-wal"),
        ("--database", "hard link"),
        ("--database", "symbolic link"),
    ],
)
def test_the_database_is_not_overwritten(
    option: str,
    output: str,
    dry_run: list[str],
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{(tmp_path / 'x.db').as_posix()}"
    assert run("7.png", database=url) == 0
    capsys.readouterr()
    os.link("x.db", "hard link")
    Path("symbolic link").symlink_to("x.db")
    before = everything()
    assert run("7.png", "--format", "csv", "--output", output, *dry_run, database=url) == 2
    assert error(capsys) == both(option, "--output", output)
    assert everything() == before
    if not dry_run:
        assert run("--show", "latest", "--output", output, database=url) == 2
        assert error(capsys) == both(option, "--output", output)
        assert everything() == before


def test_a_database_that_is_not_there_yet(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything()
    for words in (["--output", "new.db"], ["--report", "./new.db"]):
        assert run("7.png", *words, database="sqlite:///new.db") == 2
        assert error(capsys) == both("--database", words[0], words[1].removeprefix("./"))
    assert everything() == before


@pytest.mark.parametrize("later", ["text", "csv", "jsonl"])
@pytest.mark.parametrize("form", ["text", "csv", "jsonl"])
@pytest.mark.parametrize("paths", [["7.png"], ["7.png", "blank.png", "broken.png"], ["blank.png"]])
def test_earlier_results_are_overwritten(paths: list[str], form: str, later: str, run: Run) -> None:
    Path("blank.png").write_bytes(png(draw_digit(1) * 0 + 230))
    Path("broken.png").write_bytes(b"")
    Path("x").touch()  # an empty file is nobody's
    code = run(*paths, "--format", form, "--output", "x")
    assert code < 2
    assert run(*paths, "--format", later, "--output", "x") == code
    again = Path("x").read_bytes()
    assert run(*paths, "--format", later, "--output", "y") == code
    assert Path("y").read_bytes() == again


def test_many_earlier_results_are_overwritten(run: Run) -> None:
    """More than are looked at, the last of these cut in the middle of a character."""
    line = "scans/é é é.png: 7 99.9%, 1 0.1% (uncertain)\n"
    for shift in range(3):
        Path("x").write_text("a" * shift + line * 5_000, encoding="utf-8")
        assert run("7.png", "--output", "x") == 0
        assert Path("x").read_text().startswith("7 ")


def test_an_output_that_is_no_file(run: Run) -> None:
    assert run("7.png", "--output", os.devnull) == 0


def interrupted(run: Run, url: str, *words: object) -> None:
    """Begin a run of 7.png, which is interrupted before the picture is read."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThisMachine, "read", interrupt)
        assert run("7.png", *words, database=url) == 130


def test_what_a_resumed_run_finds_in_its_folder(
    run: Run, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    """Its own small pictures from before, but nobody else's files."""
    interrupted(run, sqlite_url, "--save-normalized", "seen")
    Path("seen/000001-7.png").write_bytes(b"from before")
    Path("seen/mine.png").write_bytes(b"mine")
    capsys.readouterr()
    assert run("--resume", "--save-normalized", "seen", database=sqlite_url) == 2
    assert error(capsys) == "The folder 'seen' is not empty: name a new one."
    Path("seen/mine.png").unlink()
    assert run("--resume", "--save-normalized", "seen", database=sqlite_url) == 0
    assert Path("seen/000001-7.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_pictures(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether it is empty, or its files are none, or the list on standard input is."""
    Path("strays").mkdir()
    Path("strays/readme.txt").write_text("no picture")
    assert run("strays") == 2
    assert error(capsys) == "No picture was found in 'strays': check the path."
    assert run("strays", "7.png", "--format", "csv") == 0


def test_an_empty_list(run: Run, model: Path) -> None:
    words = [
        sys.executable,
        str(ROOT / "digit_classification_detector.py"),
        "-",
        "--model",
        "m.keras",
    ]
    done = subprocess.run(
        [*words, "--database", "none", "--quiet"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "Error: No picture was found in '-': check the path.\n"


# --------------------------------------------------------------------------- what cannot be written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.parametrize("pictures", [1, 3_000])
def test_a_full_disk_under_the_output(
    pictures: int, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said at the end, when what was buffered is written, or in the middle."""
    names = [f"missing-{number}.png" for number in range(pictures - 1)]
    Path("list").write_text("\n".join(["7.png", *names]))
    with open("list", "rb") as stdin:
        patch = pytest.MonkeyPatch()
        patch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
        assert run("-", "--format", "csv", "--output", "/dev/full") == 2
        patch.undo()
    assert error(capsys) == (
        "The results cannot be written to '/dev/full': No space left on device: make room, or name"
        " another file with --output."
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_under_standard_output(run: Run) -> None:
    words = [sys.executable, str(ROOT / "digit_classification_detector.py"), "7.png"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*words, "--model", "m.keras", "--database", "none", "--quiet"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "Error: The results cannot be written to standard output: No space left on device: see"
        " where it leads, or name a file with --output.\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows a process's limit of file sizes")
@pytest.mark.parametrize("room", [1, 20_000])
def test_a_full_disk_under_the_report(room: int, run: Run) -> None:
    """Blamed on --report, wherever in its scratch file or its page the disk is full."""
    limit = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
        "import digit_classification_detector as d; sys.exit(d.main(sys.argv[1:]))"
    )
    words = ["7.png", "--report", "page.html"]
    done = subprocess.run(
        [sys.executable, "-c", limit, *words, "--model", "m.keras", "--database", "none", "-q"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == (
        "Error: The report 'page.html' cannot be written: File too large: name another place with"
        " --report.\n"
    )
    assert done.returncode == 2
    assert not Path("page.html").exists()
    assert [path for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_full_disk_under_the_normalized_pictures(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("PIL.Image.Image.save", save)
    assert run("7.png", "--save-normalized", "seen") == 2
    assert error(capsys) == (
        "'seen/000001-7.png' cannot be written: No space left on device: name another folder with"
        " --save-normalized."
    )


# ------------------------------------------------------------------------------------- dry runs


def test_a_dry_run_writes_nothing_and_says_what_is_sorted(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = f"sqlite:///{(tmp_path / 'new.db').as_posix()}"
    before = everything()
    words = ["7.png", "--sort-into", "a/sorted", "--save-normalized", "b/seen", "--dry-run"]
    for more, verb in [([], "copy"), (["--move"], "move"), (["--hard-links"], "link")]:
        assert run(*words, *more, "--report", "page.html", "--output", "x", database=url) == 0
        assert capsys.readouterr().out.splitlines()[2:] == [
            f"  store the results in {url}",
            "  print them as text to x",
            "  write what the network sees into b/seen",
            "  write the review page page.html",
            f"  {verb} the pictures into folders below a/sorted",
            "Nothing was written.",
        ]
        assert everything() == before


def test_a_dry_run_leaves_a_database_as_it_is(
    run: Run, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    assert run("7.png", database=sqlite_url) == 0
    before = everything()
    assert run("7.png", "--dry-run", database=sqlite_url) == 0
    assert everything() == before


def test_a_dry_run_of_a_resumed_run(
    run: Run, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    interrupted(run, sqlite_url)
    capsys.readouterr()
    before = everything()
    assert run("--resume", "--dry-run", database=sqlite_url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Would read 1 files in 7.png"
    assert lines[3].endswith(", which has 0 results already")
    assert run("--resume", "--dry-run", "--invert", "never", database=sqlite_url) == 2
    assert "was started with detection.invert = auto, and not never" in error(capsys)
    assert run("--resume", "nothing", "--dry-run", database=sqlite_url) == 2
    assert error(capsys).startswith("There is no run 'nothing'")
    assert everything() == before


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        (
            "sqlite:///missing/x.db",
            3,
            "Database sqlite:///missing/x.db: the folder missing does not exist; make it first.",
        ),
        (
            "sqlite:///notes.txt",
            3,
            "Database sqlite:///notes.txt: this file is no SQLite database and was left untouched;"
            " choose another name.",
        ),
        (
            "mysql://me@127.0.0.1:9/d",
            3,
            "Database mysql://me@127.0.0.1:9/d: no server answers there (Connection refused);"
            " start it, or correct the URL.",
        ),
        (
            "postgres://me@h/d",
            3,
            "Unknown kind of database 'postgres'; use mysql://user@host:3306/digit_classification,"
            " sqlite:///digit_classification.db, parquet:results or none.",
        ),
    ],
)
def test_a_dry_run_looks_at_the_database(
    url: str, code: int, message: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything()
    for dry_run in ([], ["--dry-run"]):
        assert run("7.png", *dry_run, database=url) == code
        assert error(capsys) == message
        assert everything() == before


def test_a_dry_run_with_a_parquet_dataset(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    before = everything()
    assert run("7.png", "--dry-run", database="parquet:new/results") == 0
    capsys.readouterr()
    assert run("7.png", "--dry-run", database="parquet:notes.txt") == 3
    assert error(capsys) == ("Database parquet:notes.txt: this is no folder; choose another name.")
    assert run("7.png", "--dry-run", database="parquet:notes.txt/results") == 3
    assert error(capsys).startswith("Database parquet:notes.txt/results: Not a directory;")
    assert everything() == before


def test_a_dry_run_where_folders_are_read_only(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says of permissions is believed: the administrator has all of them."""
    Path("locked").mkdir()
    Path("locked/x.csv").write_text("path,digit,confidence,status,reason\n")

    def access(path: object, mode: int) -> bool:
        return "locked" not in str(path) or not mode & os.W_OK

    monkeypatch.setattr(os, "access", access)
    for words, database in [
        (["--output", "locked/x.csv"], "none"),
        (["--output", "locked/new.csv"], "none"),
        (["--report", "locked/page.html"], "none"),
        (["--save-normalized", "locked/seen"], "none"),
        (["--sort-into", "locked/a/b"], "none"),
        ([], "sqlite:///locked/x.db"),
    ]:
        assert run("7.png", *words, "--dry-run", database=database) == (3 if not words else 2)
        assert "Permission denied" in error(capsys)


def test_a_dry_run_asks_a_server_for_privileges(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    mysql_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = mysql_database(mysql_url)
    if os.environ.get("DIGITS_TEST_MYSQL_URL"):
        pytest.skip("would make a user on a server that is not the tests' own")
    password = os.environ[PASSWORD_VARIABLE]
    execute_on_mysql(mysql_url, "CREATE USER 'some'@'%' IDENTIFIED BY 'x'", use_database=False)
    url = f"mysql://some@{mysql_url.rpartition('@')[2]}"

    def dry_run() -> str:
        """Return what is refused; nothing is made on the server."""
        with monkeypatch.context() as patch:
            patch.setenv(PASSWORD_VARIABLE, "x")
            code = run("7.png", "--dry-run", database=url)
        captured = capsys.readouterr()
        assert code == (3 if captured.err else 0)
        return captured.err

    def real_run() -> int:
        with monkeypatch.context() as patch:
            patch.setenv(PASSWORD_VARIABLE, "x")
            code = run("7.png", database=url)
        capsys.readouterr()
        return code

    def grant(privileges: str) -> None:
        execute_on_mysql(
            mysql_url, f"GRANT {privileges} ON `{name}`.* TO 'some'@'%'", use_database=False
        )

    def databases() -> list[object]:
        rows = execute_on_mysql(mysql_url, "SHOW DATABASES", use_database=False)
        return [database for (database,) in rows]

    try:
        assert "user 'some' lacks a privilege" in dry_run()
        for privileges in ("SELECT", "INSERT", "UPDATE", "CREATE"):
            grant(privileges)
            assert "user 'some' lacks a privilege" in dry_run()
        grant("ALTER")
        assert dry_run() == ""
        assert name not in databases()
        assert real_run() == 0
        assert dry_run() == ""
        execute_on_mysql(mysql_url, f"REVOKE UPDATE ON `{name}`.* FROM 'some'@'%'")
        assert "lacks a privilege (UPDATE command denied" in dry_run()
        assert real_run() == 3
        execute_on_mysql(mysql_url, f"GRANT UPDATE ON `{name}`.* TO 'some'@'%'")
        monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
        assert run("7.png", "--dry-run", database=url) == 3
        assert "the server refuses the password of 'some'@" in capsys.readouterr().err
    finally:
        monkeypatch.setenv(PASSWORD_VARIABLE, password)
        execute_on_mysql(mysql_url, "DROP USER 'some'@'%'", use_database=False)


# ----------------------------------------------------------------------------------- the trainer


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--model", "notes.txt"],
            "'notes.txt' is no model that the trainer made, and is not overwritten: move it away,"
            " or name another with --model.",
        ),
        (
            ["--model", "plain.zip"],
            "'plain.zip' is no model that the trainer made, and is not overwritten: move it away,"
            " or name another with --model.",
        ),
        (
            ["--metrics", "notes.json"],
            "--metrics 'notes.json' is there already and holds no figures of a training: name"
            " another file, or move that one away.",
        ),
        (
            ["--metrics", "notes.txt"],
            "--metrics 'notes.txt' is there already and holds no figures of a training: name"
            " another file, or move that one away.",
        ),
        (
            ["--metrics", "missing/m.json"],
            "'missing/m.json' cannot be written: No such file or directory: name another file with"
            " --metrics.",
        ),
        (
            ["--model", "kept.keras"],
            "'kept.keras.checkpoint', where the training keeps what it needs to be resumed, is"
            " something else: move it away, or name another place with --model.",
        ),
        (["--model", "m", "--metrics", "m"], both("--model", "--metrics", "m")),
        (
            ["--model", "m", "--metrics", "m.checkpoint"],
            both("--model (its checkpoint)", "--metrics", "m.checkpoint"),
        ),
        (
            ["--model", "m.keras", "--export", "onnx", "--export-to", "./m.keras"],
            both("--model", "--export-to", "m.keras"),
        ),
        (
            ["--model", "new/m.keras", "--report", "new"],
            "--model 'new/m.keras' is in the new folder of --report: name a place elsewhere.",
        ),
        (
            ["--model", "notes.txt/m.keras"],
            "The model cannot be saved at 'notes.txt/m.keras': Not a directory: name another"
            " place.",
        ),
        (
            ["--report", "notes.txt/report"],
            "The report cannot be written to 'notes.txt/report': Not a directory: name another"
            " place with --report.",
        ),
        (
            ["--export", "tflite", "--export-to", "notes.txt/m.tflite"],
            "The export cannot be written to 'notes.txt/m.tflite': Not a directory: name another"
            " place with --export-to.",
        ),
    ],
)
def test_what_the_trainer_refuses_before_any_work(
    words: list[str],
    message: str,
    dry_run: list[str],
    train: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("notes.txt").write_text("my notes\n")
    Path("notes.json").write_text('{"accuracy": "of my watch"}\n')
    Path("kept.keras.checkpoint").write_text("mine")
    with zipfile.ZipFile("plain.zip", "w") as archive:
        archive.writestr("mine.txt", "mine")
    before = everything()
    options = [] if "--model" in words else ["--model", "new.keras"]
    assert train(*options, *words, *dry_run) == 2
    assert error(capsys) == message
    assert everything() == before


def test_the_trainer_replaces_what_it_made(train: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "m.keras", "--metrics", "m.json"]
    Path("m.json").touch()
    for seed in (1, 2):
        assert train(*words, "--seed", seed) == 0
        assert set(everything()) == {"m.keras", "m.json"}
        assert json.loads(Path("m.json").read_text())["images"] > 0
    assert train(*words, "--dry-run") == 0


def test_a_dry_run_of_the_trainer_keeps_no_cache(
    dataset: Path, train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digit_classification.training.datasets.reading.CACHED_FROM", 0.0)
    before = sorted(dataset.parent.iterdir())
    words = ["--dataset", dataset, "--model", "a/b/m.keras", "--quiet", "--dry-run"]
    assert trainer.main([*map(str, words)]) == 0
    assert sorted(dataset.parent.iterdir()) == before
    assert everything() == {}


def test_a_dry_run_finds_a_network_that_is_too_large(
    train: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--hidden-units", "65536", "65536", "--model", "m.keras"]
    for dry_run in ([], ["--dry-run"]):
        assert train(*words, *dry_run) == 2
        assert error(capsys).startswith("A network with hidden layers of 65,536, 65,536 cannot be")


# ------------------------------------------------------------------------------------- the files


@contextlib.contextmanager
def failing(step: str) -> Iterator[None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, step, fail)
        yield


def write(file: Path, content: bytes, then: type[BaseException] | None = None) -> None:
    with replacing(file) as new:
        new.write(content)
        if then is not None:
            raise then


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_is_whole_or_stays_as_it_was(step: str, tmp_path: Path) -> None:
    file = tmp_path / ("n" * 250)
    write(file, b"first")
    with failing(step), pytest.raises(OSError, match="Input/output"):
        write(file, b"second")
    with pytest.raises(KeyboardInterrupt):
        write(file, b"third", then=KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == b"first"


@pytest.mark.skipif(os.name != "posix", reason="permissions are others there")
def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    with replacing(tmp_path / "new") as new:
        new.write(b"whole")
    (tmp_path / "other").write_bytes(b"other")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_names_of_another_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are the same is asked of the file system."""
    folder = tmp_path / "Folder"
    folder.mkdir()
    ignored = (tmp_path / "fOLDER").exists()
    assert same_place(folder / "x.csv", folder / "X.csv") is ignored
    monkeypatch.setattr("digit_classification.files._ignores_case", lambda path: True)
    assert same_place(folder / "x.csv", folder / "X.csv")
    assert not same_place(folder / "x.csv", folder / "y.csv")


@pytest.mark.parametrize("name", ["runs.csv", "runs.jsonl", "runs.txt"])
def test_a_list_of_runs_is_written_over_an_earlier_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with ResultsDatabase.open("sqlite:///runs.db") as database:
        database.finish_run(database.start_run(RunInfo(["scans"], "m.keras")), "finished")
    for _ in range(2):
        options = ["--runs", "--database", "sqlite:///runs.db", "--output", name]
        assert detector.main(options) == 0
    assert "scans" in Path(name).read_text()
