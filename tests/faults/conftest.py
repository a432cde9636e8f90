"""What the tests of faults share: a model, pictures, and the detector as its user starts it.

With DIGITS_TEST_SOAK=1 (`make soak`) they run at full length.  Each records its counts with
`record_property`; benchmarks/reliability.py makes a table of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from digit_classification.config import DatabaseSettings
from digit_classification.results import opening as databases
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.opening import Database
from digit_classification.results.records import Run, StoredResult
from tests.conftest import PASSWORD_VARIABLE
from tests.documents import ROOT
from tests.trainer import train_model

SCRIPT = ROOT / "digit_classification_detector.py"
SOAK = bool(os.environ.get("DIGITS_TEST_SOAK"))
SEED = 20261122
PICTURES = 10_000 if SOAK else 1_000

if os.name == "nt":
    collect_ignore_glob = ["test_*.py"]  # they need Unix signals and bash

# What of a row must be the same in a disturbed and in an undisturbed run, by the row's path.
Rows = Mapping[str, tuple[object, ...]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model; how well it reads does not matter here."""
    return train_model(tmp_path_factory.mktemp("model"), "--hidden-units", 32, "--epochs", 4)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `pictures` of MNIST's test images, flat, with two that are none."""
    folder = tmp_path_factory.mktemp("archive") / "pictures"
    folder.mkdir()
    with zipfile.ZipFile(ROOT / "dataset/mnist-test.zip") as images:
        names = sorted(name for name in images.namelist() if name.endswith(".png"))
        for name in names[:: len(names) // (PICTURES - 2)][: PICTURES - 2]:
            (folder / name.replace("/", "-")).write_bytes(images.read(name))
    (folder / "0-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "it's \udcff.png").write_bytes(b"")
    return folder


@dataclass
class Detector:
    """Starts the detector in a folder, with small batches, so that there is much to interrupt."""

    folder: Path
    model: Path
    settings: dict[str, str] = field(
        default_factory=lambda: {"DIGITS_DETECTION_BATCH_SIZE": "200" if SOAK else "50"}
    )

    def linger(self) -> None:
        """Store so few at a time that a run is not over, on any machine, before it is disturbed."""
        self.settings["DIGITS_DETECTION_BATCH_SIZE"] = "20" if SOAK else "1"

    def hurry(self) -> None:
        """Store as many at a time as the program does by itself: what is to be disturbed, was."""
        del self.settings["DIGITS_DETECTION_BATCH_SIZE"]

    def command(self, *arguments: object, database: str) -> list[str]:
        words = [sys.executable, SCRIPT, *arguments, "--model", self.model, "--database", database]
        return [str(word) for word in words]

    def start(self, *arguments: object, database: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments, database=database),
            cwd=self.folder,
            # A shell that puts the tests into the background makes them, and all, ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, **self.settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, database: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, database=database) as process:
            out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run_in_shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person does who copies it from the terminal."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**os.environ, **self.settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@pytest.fixture
def detector(tmp_path: Path, model: Path, archive: Path) -> Detector:
    """The detector in an empty folder, which has the pictures as `pictures`."""
    (tmp_path / "pictures").symlink_to(archive)
    return Detector(tmp_path, model)


@pytest.fixture
def reads_alone(detector: Detector) -> None:
    """No processes to read in: they take longest to start, and are killed in other tests."""
    detector.settings["DIGITS_DETECTION_WORKERS"] = "1"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path, archive: Path) -> Rows:
    """The rows of a run over the pictures that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "pictures").symlink_to(archive)
    url = f"sqlite:///{folder / 'digits.db'}"
    done = Detector(folder, model).run("pictures", database=url)
    assert done.returncode == 1, done.stderr  # of the pictures, two are none
    rows = rows_by_path(url)
    assert len(rows) == PICTURES
    return rows


def open_database(url: str, *, read_only: bool = False) -> ResultsDatabase:
    password = os.environ.get(PASSWORD_VARIABLE)
    return ResultsDatabase.open(url, password=password, read_only=read_only)


def open_any_database(url: str) -> Database:
    database = databases.open_database(DatabaseSettings(url=url))
    assert database is not None
    return database


def stored_runs(url: str) -> list[Run]:
    with contextlib.closing(open_any_database(url)) as database:
        return database.runs()


def stored_rows(url: str, run_id: str | None = None) -> list[StoredResult]:
    """The rows of a run, or of the only one there is."""
    with contextlib.closing(open_any_database(url)) as database:
        if run_id is None:
            (run,) = database.runs()
            run_id = run.info.id
        return list(database.rows(run_id))


def comparable(rows: Sequence[StoredResult]) -> Rows:
    return {
        str(row.path): (
            row.digit,
            # MySQL's FLOAT has fewer digits than SQLite's.
            None if row.confidence is None else round(row.confidence, 5),
            row.status,
            row.reason,
            row.folder_name,
            row.file_name,
            row.path_key,
            row.image_sha256,
            row.probabilities,
        )
        for row in rows
    }


def rows_by_path(url: str, run_id: str | None = None) -> Rows:
    return comparable(stored_rows(url, run_id))


@dataclass
class Damage:
    """What is wrong with a run, as counts; all are to be zero."""

    lost: int
    doubled: int
    changed: int

    @classmethod
    def of(cls, rows: Sequence[StoredResult], expected: Rows) -> Damage:
        found = comparable(rows)
        common = found.keys() & expected.keys()
        return cls(
            lost=len(expected.keys() - found.keys()),
            doubled=len(rows) - len(common),
            changed=sum(found[path] != expected[path] for path in common),
        )

    def __add__(self, other: Damage) -> Damage:
        return Damage(
            self.lost + other.lost, self.doubled + other.doubled, self.changed + other.changed
        )


NONE = Damage(0, 0, 0)


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than tmp_path."""
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="digits-", dir=shared_memory))
    yield folder
    shutil.rmtree(folder)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests recorded as `hostile`."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "hostile":
                terminalreporter.write_line(text)
