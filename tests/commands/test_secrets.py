"""The database's password: given by the environment or an option file, and seen nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import digit_classification_detector as detector
from digit_classification.results.database import ResultsDatabase
from tests.conftest import PASSWORD_VARIABLE, execute_on_mysql, mysql_database
from tests.drawing import draw_digit, png
from tests.faults.hostile import sound_model

CANARY = "hunter2-canary"

# Runs the detector with arguments and an environment; returns its exit code, and all it writes.
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the detector in a folder with a model and two pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_MODEL_PATH", "digit_classification.keras")
    Path("digit_classification.keras").write_bytes(sound_model())
    Path("7.png").write_bytes(png(draw_digit(7)))
    Path("broken.png").write_bytes(b"\x89PNG")

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = detector.main(list(arguments))
        written = "".join(capfd.readouterr())
        assert "Traceback" not in written
        return code, written

    return run


def test_the_password_is_in_no_output_and_in_no_table(run: Run, mysql_url: str) -> None:
    secret = os.environ[PASSWORD_VARIABLE]
    code, written = run("7.png", "broken.png", "--database", mysql_url)
    assert code == 1, written
    assert secret not in written
    assert secret not in run("--runs", "--database", mysql_url)[1]
    tables = execute_on_mysql(mysql_url, "SHOW TABLES")
    assert len(tables) >= 3
    for (table,) in tables:
        rows = execute_on_mysql(mysql_url, f"SELECT * FROM `{mysql_database(mysql_url)}`.`{table}`")
        assert secret not in str(rows)
    with ResultsDatabase.open(mysql_url, password=secret) as database:
        assert secret not in repr(database) + repr(database._store) + database.url


def test_a_wrong_password_is_not_repeated(run: Run, mysql_url: str) -> None:
    code, written = run("7.png", "--database", mysql_url, **{PASSWORD_VARIABLE: CANARY})
    assert code == 3
    assert "password" in written
    assert CANARY not in written


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{CANARY}@127.0.0.1:1/digits",
        f"mysql://user:{CANARY}@@@/digits",
        f"mysql://user:{CANARY}@127.0.0.1:port/digits",
        f"postgres://user:{CANARY}@127.0.0.1/digits",
        f"//user:{CANARY}@127.0.0.1/digits",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str, run: Run) -> None:
    code, written = run("7.png", DIGITS_DATABASE_URL=url)
    assert code == 3
    assert CANARY not in written


@pytest.mark.parametrize(
    "config",
    [
        f"database: {{password: {CANARY}}}",
        f"database: mysql://user:{CANARY}@host/digits",
        f"database:\n  url: mysql://user:{CANARY}@host/digits\n  option_file: [",
    ],
)
def test_a_password_in_the_settings_is_refused_and_not_repeated(config: str, run: Run) -> None:
    Path("config.yaml").write_text(config)
    code, written = run("7.png")
    assert code == 2
    assert CANARY not in written


@pytest.mark.parametrize("text", ["[client]\npassword={}", "{}", "[client\npassword={}"])
def test_an_option_file_is_not_repeated(text: str, run: Run) -> None:
    Path("my.cnf").write_text(text.replace("{}", CANARY))
    url = "mysql://user@127.0.0.1:1/digits"
    code, written = run("7.png", DIGITS_DATABASE_URL=url, DIGITS_DATABASE_OPTION_FILE="my.cnf")
    assert code == 3
    assert CANARY not in written


@pytest.mark.parametrize("flag", ["--password", "--database-password"])
def test_the_command_line_takes_no_password(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is there, all users of the machine see it in the list of processes."""
    with pytest.raises(SystemExit) as refused:
        detector.main(["7.png", flag, CANARY])
    assert refused.value.code == 2
    assert f"unrecognized arguments: {flag}" in capsys.readouterr().err
