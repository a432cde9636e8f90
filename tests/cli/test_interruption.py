"""Signals that ask for the end, and readers that go away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from digit_classification.cli.interruption import (
    Interrupted,
    asking_first,
    ending_in_order,
    exit_status,
)
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import Run
from tests.documents import ROOT
from tests.drawing import draw_digit, png

SCRIPT = ROOT / "digit_classification_detector.py"

unix = pytest.mark.skipif(os.name == "nt", reason="needs Unix signals and pipes")


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Whatever ran before in this process: Ray's own cluster for tests leaves a handler behind."""
    with handler(signal.SIGTERM, signal.SIG_DFL):
        yield


@contextlib.contextmanager
def handler(number: int, of: object) -> Iterator[None]:
    before = signal.signal(number, of)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(number, before)


@unix
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_first_signal_raises_and_the_second_ends_the_program(name: str, status: int) -> None:
    number = getattr(signal, name)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(Interrupted) as raised, ending_in_order():
            signal.raise_signal(number)
        assert exit_status(raised.value) == status
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)


@unix
def test_an_ignored_signal_stays_ignored() -> None:
    with handler(signal.SIGHUP, signal.SIG_IGN):
        with ending_in_order():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@unix
def test_handlers_are_put_back_when_nothing_happened() -> None:
    with ending_in_order():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@unix
def test_a_first_signal_can_ask_before_the_second_raises() -> None:
    asked: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ending_in_order(), asking_first(asked.append):
            signal.raise_signal(signal.SIGTERM)
            assert asked == [signal.SIGTERM]
            with pytest.raises(Interrupted):
                signal.raise_signal(signal.SIGTERM)
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)


@unix
def test_a_signal_may_come_while_handlers_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install = signal.signal

    def install_and_raise(number: int, handler: object) -> object:
        previous = install(number, handler)  # type: ignore[arg-type]
        monkeypatch.setattr(signal, "signal", install)
        signal.raise_signal(number)  # the others are not installed yet
        return previous

    asked: list[int] = []
    with ending_in_order():
        monkeypatch.setattr(signal, "signal", install_and_raise)
        with asking_first(asked.append):
            pass
    assert len(asked) == 1
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(signal, "signal", install_and_raise)
    with pytest.raises(Interrupted), ending_in_order():
        pytest.fail("not interrupted")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # not left as it was to be
    for number, previous in before.items():
        signal.signal(number, previous)


@unix
def test_a_program_that_is_not_ours_keeps_its_signals() -> None:
    asked: list[int] = []
    told: list[int] = []
    with handler(signal.SIGTERM, lambda number, _: told.append(number)), asking_first(asked.append):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert (told, asked) == ([signal.SIGTERM], [signal.SIGINT])


# ------------------------------------------------------------------------------ whole commands


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder that takes a while to read."""
    paper = np.full((1500, 1500), 235, np.uint8)
    paper[100:1380, 100:1380] -= np.minimum(draw_digit(7, side=1280), 200)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "000.png").write_bytes(png(paper))
    for number in range(1, 300):
        os.link(folder / "000.png", folder / f"{number:03}.png")
    return folder


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    folder = tmp_path / "digits"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.png").write_bytes(png(draw_digit(number % 10, seed=number)))
    return folder


def words(*arguments: object, model: Path, database: str) -> list[str]:
    options = ["--model", str(model), "--database", database]
    return [sys.executable, str(SCRIPT), *map(str, arguments), *options]


def stored(url: str) -> tuple[Run | None, int]:
    """The latest run, and how many results it has."""
    with contextlib.suppress(DatabaseError), ResultsDatabase.open(url) as database:
        for run in database.runs():
            return run, sum(1 for _ in database.rows(run.info.id))
    return None, 0


def wait_for_results(url: str) -> None:
    deadline = time.monotonic() + 60
    while not stored(url)[1]:
        assert time.monotonic() < deadline, "nothing is stored"
        time.sleep(0.1)


@unix
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("to_all", [False, True])
def test_a_signal_ends_a_run_as_ctrl_c_does(
    name: str, status: int, to_all: bool, photos: Path, model: Path, sqlite_url: str
) -> None:
    """Also when its processes get the signal too, as from systemd or a closed terminal."""
    process = subprocess.Popen(
        words(photos, model=model, database=sqlite_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_results(sqlite_url)
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    out, err = process.communicate(timeout=60)
    run, count = stored(sqlite_url)
    assert run is not None
    assert process.returncode == status, err
    assert len(err.splitlines()) == 3, err
    said, advice, command = err.splitlines()
    assert said == "Interrupted: what was classified until then is stored."
    assert advice == "To go on with the run:"
    assert f"--resume {run.info.id}" in command
    assert (run.state, out) == ("interrupted", "")
    assert 0 < count < 300


@unix
def test_a_closed_terminal_ends_a_run_in_order(photos: Path, model: Path, sqlite_url: str) -> None:
    import pty

    terminal, end = pty.openpty()
    process = subprocess.Popen(
        words(photos, model=model, database=sqlite_url),
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        preexec_fn=lambda: take_terminal(end),
    )
    os.close(end)
    wait_for_results(sqlite_url)
    os.close(terminal)  # the kernel sends SIGHUP
    assert process.wait(timeout=60) == 129
    run, count = stored(sqlite_url)
    assert run is not None
    assert run.state == "interrupted"
    assert 0 < count < 300


def take_terminal(descriptor: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def run_unread(command: list[str]) -> tuple[int, str]:
    """Run a command whose standard output nobody reads; return its exit status and messages."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@unix
@pytest.mark.parametrize("buffered", [True, False])
def test_a_run_goes_on_when_nobody_reads_its_lines(
    buffered: bool, digits: Path, model: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "" if buffered else "1")
    command = words(digits, "--format", "csv", "--quiet", model=model, database=sqlite_url)
    assert run_unread(command) == (0, "")
    run, count = stored(sqlite_url)
    assert run is not None
    assert (run.state, count) == ("finished", 20)
    for look in (["--show", "latest"], ["--runs"]):
        status, messages = run_unread(words(*look, model=model, database=sqlite_url))
        assert status == 141
        assert messages.splitlines()[1:] == []


@unix
def test_lines_alone_end_with_their_reader(digits: Path, model: Path) -> None:
    command = words(digits, "--format", "csv", model=model, database="none")
    assert run_unread(command) == (141, "")


@unix
def test_a_run_goes_on_when_nobody_reads_its_messages(
    digits: Path, model: Path, sqlite_url: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        command = words(digits, model=model, database=sqlite_url)
        assert subprocess.run(command, stderr=pipe, check=False).returncode == 0
    run, count = stored(sqlite_url)
    assert run is not None
    assert (run.state, count) == ("finished", 20)
