"""The README is tried, not believed."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

import digit_classification_model_trainer as trainer
from benchmarks import accuracy
from digit_classification.commands.detect import options as detector_options
from digit_classification.commands.train import options as trainer_options
from digit_classification.results.database import ResultsDatabase
from tests import documents
from tests.documents import ROOT, commands, flags, masked, named_flags, run
from tests.drawing import write_dataset

MODEL = "digit_classification.keras"
README = documents.README.read_text(encoding="utf-8")
START, _, AFTER = README.partition("\n## Train\n")


def test_the_readme_names_no_flag_that_does_not_exist() -> None:
    parsers = (
        trainer_options.build_parser(),
        detector_options.build_parser(),
        accuracy.build_parser(),
    )
    assert named_flags(README) <= set().union(*map(flags, parsers))


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.split()) <= 800  # at 250 words a minute


def test_exit_codes_are_in_the_help() -> None:
    for parser in (trainer_options.build_parser(), detector_options.build_parser()):
        assert "exit status:\n  0 " in parser.format_help()
        assert "  130  interrupted" in parser.format_help()


@pytest.mark.parametrize("script", [trainer, detector_options])
def test_every_option_has_help_and_the_help_an_example(script: object) -> None:
    parser: argparse.ArgumentParser = script.build_parser()  # type: ignore[attr-defined]
    assert all(action.help for action in parser._actions)
    assert "\nexample:\n" in parser.format_help()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README's reader has it, with samples/ and own digits."""
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "samples", desk / "samples")
    write_dataset(desk / "my_digits", per_class=12)
    write_dataset(desk / "scans", per_class=1, first_seed=900)
    return desk


@pytest.fixture
def desk(office: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with a model that has learned, whatever the trainings shown have left there."""
    shutil.copy(trained, office / MODEL)
    monkeypatch.chdir(office)
    settings = {
        "DATABASE_URL": "sqlite:///digit_classification.db",
        "DATASET_PATH": "my_digits",
        # Whether the hardest sample is above the default differs from training to training.
        "DETECTION_MIN_CONFIDENCE": "0.02",
        "MODEL_PATH": MODEL,
        "TRAINING_BATCH_SIZE": "16",
        "TRAINING_EPOCHS": "1",  # a training that is soon done
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"DIGITS_{name}", value)
    return office


def stop_a_run() -> None:
    """Leave a run in the database as one that did not reach its end."""
    assert run("python digit_classification_detector.py scans")[0] == 0
    with ResultsDatabase.open("sqlite:///digit_classification.db") as database:
        database.finish_run(database.runs()[0].info.id, "interrupted")


@pytest.mark.parametrize(
    ("command", "output"),
    [pair for pair in commands(AFTER) if pair[0].startswith("python") and "mysql:" not in pair[0]],
)
@pytest.mark.usefixtures("desk")
def test_a_command_does_what_the_readme_says(command: str, output: str) -> None:
    if "--resume" in command:
        stop_a_run()
    code, shown = run(command)
    # The samples hold a blank page and a file that is no picture.
    expected = 1 if "samples" in shlex.split(command) else 0
    assert (code, "Traceback" in shown) == (expected, False), shown
    if output:
        sure = re.sub(r"(?m)^uncertain: \d+\n", "", output)  # here all are sure enough
        assert masked(shown) == masked(sure)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_first_commands_lead_to_a_first_result(tmp_path: Path) -> None:
    """As whoever has just cloned it does; pip finds what it is asked for in this environment."""
    for name in ("samples", "digit_classification"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("digit_classification_detector.py", "config.yaml", "requirements-detector.txt"):
        shutil.copy(ROOT / name, tmp_path)
    make_venv, *others = [pair for pair in commands(START) if not pair[0].startswith("make ")]
    assert run(f"cd {shlex.quote(str(tmp_path))} && {make_venv[0]}") == (0, "")
    (packages,) = (tmp_path / ".venv").glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(command for command, _ in others)],
        cwd=tmp_path,
        env={**os.environ, "PIP_QUIET": "1", "PIP_NO_INDEX": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert masked(done.stdout) == masked(others[-1][1])


@pytest.mark.usefixtures("desk")
def test_the_mysql_command_works(mysql_url: str) -> None:
    (command,) = [command for command, _ in commands(README) if "mysql:" in command]
    code, shown = run(re.sub(r"mysql://\S+", mysql_url, command))
    assert code == 0, shown
    assert f"Stored in {mysql_url}, run " in shown


def test_the_commands_for_make_are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.split()[1] for command, _ in commands(README) if command.startswith("make ")}
    assert named == {"demo", "test"}
    assert named <= targets
