"""The database's password: given by the environment or an option file, and seen nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digit_classification.results.database import ResultsDatabase
from tests.conftest import PASSWORD_VARIABLE, execute_on_mysql, mysql_database
from tests.documents import ROOT
from tests.drawing import draw_digit, png
from tests.faults.hostile import sound_model

SCRIPT = ROOT / "digit_classification_detector.py"
CANARY = "hunter2-canary"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "digit_classification.keras").write_bytes(sound_model())
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    return tmp_path


def run(desk: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=desk,
        env={**os.environ, "DIGITS_MODEL_PATH": "digit_classification.keras", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def assert_unseen(secret: str, done: subprocess.CompletedProcess[str]) -> None:
    assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_password_is_in_no_output_and_in_no_table(desk: Path, mysql_url: str) -> None:
    secret = os.environ[PASSWORD_VARIABLE]
    done = run(desk, "7.png", "broken.png", "--database", mysql_url)
    assert done.returncode == 1, done.stderr
    assert_unseen(secret, done)
    assert_unseen(secret, run(desk, "--runs", "--database", mysql_url))
    tables = execute_on_mysql(mysql_url, "SHOW TABLES")
    assert len(tables) >= 3
    for (table,) in tables:
        rows = execute_on_mysql(mysql_url, f"SELECT * FROM `{mysql_database(mysql_url)}`.`{table}`")
        assert secret not in str(rows)
    with ResultsDatabase.open(mysql_url, password=secret) as database:
        assert secret not in repr(database) + repr(database._store) + database.url


def test_a_wrong_password_is_not_repeated(desk: Path, mysql_url: str) -> None:
    done = run(desk, "7.png", "--database", mysql_url, **{PASSWORD_VARIABLE: CANARY})
    assert done.returncode == 3
    assert "password" in done.stderr
    assert_unseen(CANARY, done)


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
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str, desk: Path) -> None:
    done = run(desk, "7.png", DIGITS_DATABASE_URL=url)
    assert done.returncode == 3
    assert_unseen(CANARY, done)


@pytest.mark.parametrize(
    "config",
    [
        f"database: {{password: {CANARY}}}",
        f"database: mysql://user:{CANARY}@host/digits",
        f"database:\n  url: mysql://user:{CANARY}@host/digits\n  option_file: [",
    ],
)
def test_a_password_in_the_settings_is_refused_and_not_repeated(config: str, desk: Path) -> None:
    (desk / "config.yaml").write_text(config)
    done = run(desk, "7.png")
    assert done.returncode == 2
    assert_unseen(CANARY, done)


@pytest.mark.parametrize("text", ["[client]\npassword={}", "{}", "[client\npassword={}"])
def test_an_option_file_is_not_repeated(text: str, desk: Path) -> None:
    (desk / "my.cnf").write_text(text.replace("{}", CANARY))
    url, file = "mysql://user@127.0.0.1:1/digits", str(desk / "my.cnf")
    done = run(desk, "7.png", DIGITS_DATABASE_URL=url, DIGITS_DATABASE_OPTION_FILE=file)
    assert done.returncode == 3
    assert_unseen(CANARY, done)


def test_the_command_line_takes_no_password(desk: Path) -> None:
    """Whatever is there, all users of the machine see it in the list of processes."""
    for flag in ("--password", "--database-password"):
        done = run(desk, "7.png", flag, CANARY)
        assert done.returncode == 2
        assert f"unrecognized arguments: {flag}" in done.stderr
