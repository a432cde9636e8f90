"""What makes the command lines comfortable: help, suggestions, completion, plans, resuming."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.cli import console
from digit_classification.cli.command_line import CommandLine
from digit_classification.cli.terminal import counter, progress_bar
from digit_classification.commands.detect.paths import count_meanwhile
from digit_classification.commands.train import options
from digit_classification.config import load_settings
from digit_classification.network.model_file import load_model
from digit_classification.training import checkpoint as checkpoints
from digit_classification.training import epochs
from digit_classification.training.learner import Learner
from tests.documents import ROOT
from tests.drawing import write_dataset
from tests.interrupting import during_epoch, press_ctrl_c
from tests.trainer import run

SCRIPTS = [trainer, detector]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("comfort") / "digits", per_class=12)


@pytest.fixture(scope="module")
def small(dataset: Path) -> list[object]:
    """Options of a training that takes a second."""
    return ["--dataset", dataset, "--hidden-units", 32, "--epochs", 8, "--batch-size", 16]


@pytest.fixture(scope="module")
def model(small: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "undisturbed.keras"
    assert run(*small, "--model", path, "--quiet") == 0
    return path


# ---------------------------------------------------------------------------------- help, errors


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_group_of_options_has_an_example_that_can_be_run(script: ModuleType) -> None:
    parser: CommandLine = script.build_parser()
    groups = [group.title for group in parser._action_groups[2:]]  # after argparse's own two
    assert len(parser.examples) == 1 + len(groups)
    text = parser.format_help()
    for example in parser.examples:
        assert example in text
        parser.parse(shlex.split(example))


@pytest.mark.parametrize(
    ("script", "arguments", "hint"),
    [
        (trainer, "--epoch 3", "unrecognized arguments: --epoch 3: did you mean --epochs?"),
        (trainer, "--test my_digits", "--test my_digits: did you mean --test-dataset?"),
        (trainer, "--batch_size=16", "--batch_size=16: did you mean --batch-size?"),
        (trainer, "--LEARNING-RATE 1", "--LEARNING-RATE 1: did you mean --learning-rate?"),
        (trainer, "-epochs 1", "-epochs 1: did you mean --epochs?"),
        (trainer, "--zzz", "unrecognized arguments: --zzz: --help lists the options."),
        (trainer, "my_digits", "unrecognized arguments: my_digits: --help lists the options."),
        (detector, "scans --ouput x", "--ouput x: did you mean --output?"),
        (detector, "scans --dryrun", "--dryrun: did you mean --dry-run?"),
    ],
)
def test_a_misspelt_flag(
    script: ModuleType, arguments: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        script.main(arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"{hint}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--skip-training",
            "--skip-training needs --export onnx|tflite|saved_model: name a form to export",
        ),
        (
            "--skip-training --export onnx --report r",
            "--report needs a training: no --skip-training",
        ),
        ("--export-to x.onnx", "--export-to needs --export onnx|tflite|saved_model"),
        ("-q -v", "argument -v/--verbose: not allowed with argument -q/--quiet"),
    ],
)
def test_options_that_make_no_sense_together(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {message}\n")


# ------------------------------------------------------------------------------------ completion


def complete(script: ModuleType, words: str, answers: Path, shell: str) -> list[str]:
    """Return what a script answers to argcomplete's shell code, as that asks."""
    assert script.__file__ is not None
    line = f"{Path(script.__file__).name} {words}"
    subprocess.run(
        [sys.executable, script.__file__],
        check=True,
        env={
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": shell,
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answers),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
    )
    found = answers.read_text(encoding="utf-8").replace("\v", "\n")
    return [answer.split(":")[0].strip() for answer in found.splitlines()]


@pytest.mark.parametrize(
    ("script", "words", "shell", "expected"),
    [
        (detector, "--sa", "bash", ["--save-normalized"]),
        (detector, "--invert a", "bash", ["auto", "always"]),
        (detector, "--format ", "zsh", ["text", "csv", "jsonl", "table"]),
        (trainer, "--seed 3 --export ", "bash", ["onnx", "tflite", "saved_model"]),
        (trainer, "--quiet --resume", "zsh", ["--resume-training"]),
    ],
)
def test_completion_of_flags_and_values(
    script: ModuleType, words: str, shell: str, expected: list[str], tmp_path: Path
) -> None:
    assert complete(script, words, tmp_path / "answers", shell) == expected


@pytest.mark.parametrize("script", [*SCRIPTS, console])  # and in what the commands begin with
def test_argcomplete_finds_its_mark_in_the_scripts(script: ModuleType) -> None:
    assert script.__file__ is not None
    assert "PYTHON_ARGCOMPLETE_OK" in Path(script.__file__).read_text(encoding="utf-8")[:1024]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_the_command_of_the_readme(tmp_path: Path) -> None:
    """As a user has it: argcomplete's code is loaded, and the line begins with `python`."""
    program = """
        eval "$("$PYTHON" -m argcomplete.scripts.activate_global_python_argcomplete --dest=-)"
        COMP_LINE="python digit_classification_model_trainer.py --early"
        COMP_WORDS=(python digit_classification_model_trainer.py --early)
        COMP_CWORD=2 COMP_POINT=${#COMP_LINE} COMP_TYPE=9
        _python_argcomplete_global python --early digit_classification_model_trainer.py
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", program],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["--early-stopping"], done.stderr


# --------------------------------------------------------------------------------------- colours


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", [False, True])
def test_colours_only_on_a_terminal_and_never_with_no_color(no_color: bool) -> None:
    import pty

    command = [sys.executable, trainer.__file__, "--dataset", "missing"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        environment.pop(name, None)
    if no_color:
        environment["NO_COLOR"] = "1"
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(command, stderr=other_end, env=environment)
    os.close(other_end)
    output = b""
    while True:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # Linux's way of saying that nobody is left at the other end
            break
    assert process.wait(timeout=60) == 2
    os.close(terminal)
    assert b"There is no dataset 'missing'" in output
    coloured = re.search(rb"\x1b\[[\d;]*\b(3[0-79]|9\d|38;[\d;]+)m", output) is not None
    assert coloured is not no_color

    plain = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert b"\x1b" not in plain.stderr


# --------------------------------------------------------------------------------------- dry runs


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_dry_run_of_the_trainer_says_what_would_be_done_and_does_nothing(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.keras").touch()
    before = everything_in(tmp_path)
    arguments = ["--model", tmp_path / "old.keras", "--report", tmp_path / "report"]
    arguments += ["--export", "tflite", "--early-stopping", "--dry-run"]
    assert run(*small, *arguments) == 0
    assert everything_in(tmp_path) == before
    assert not (tmp_path / "report").exists()
    assert capsys.readouterr().out.splitlines()[-6:] == [
        "Would train a network of 784 - 32 - 10 for 8 epochs of 5 batches of 16",
        "  or until 20 of them bring no lower validation loss",
        f"  save the model to {tmp_path / 'old.keras'}, replacing the one that is there",
        f"  write a report into the new folder {tmp_path / 'report'}",
        f"  export the model to {tmp_path / 'old.tflite'}",
        "Nothing was written.",
    ]


def test_a_dry_run_finds_what_would_fail(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(b"mine")
    arguments = ["--model", tmp_path / "m.keras", "--export", "tflite", "--dry-run"]
    assert run(*small, *arguments) == 2
    assert capsys.readouterr().err.endswith(
        f"Error: '{tmp_path / 'm.tflite'}' is there already, and an export overwrites nothing: "
        "delete it, or name another with --export-to.\n"
    )


def test_a_dry_run_of_the_detector(
    model: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"sqlite:///{(tmp_path / 'digits.db').as_posix()}"
    arguments = [str(dataset), "--model", str(model), "--database", database]
    arguments += ["--format", "csv", "--output", str(tmp_path / "digits.csv"), "--dry-run"]
    assert detector.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Would read 120 files in {dataset}"
    assert lines[1].startswith(f"  with the model {model}, made 20")
    assert lines[2:] == [
        f"  store the results in {database}",
        f"  print them as csv to {tmp_path / 'digits.csv'}",
        "Nothing was written.",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_no_password(
    model: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(dataset), "--model", str(model), "--dry-run", "--verbose"]
    assert detector.main([*arguments, "--database", "mysql://me:s3cret@host/x"]) == 3
    captured = capsys.readouterr()
    assert "Error: The database URL holds a password" in captured.err
    assert "s3cret" not in captured.out + captured.err


def test_pictures_are_counted_while_the_first_are_read(dataset: Path) -> None:
    counted: list[int] = []
    paths = [str(dataset), str(dataset / "0")]
    count_meanwhile(paths, counted.append).join(timeout=60)
    assert counted == [120]  # each once


def test_the_rate_is_that_of_the_whole_and_not_of_a_batch() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with progress_bar(console) as progress:
        count = counter(progress, progress.add_task("Reading", total=8000))
        for _ in range(8):
            time.sleep(0.15)
            for _ in range(1000):
                count()
        speed = progress.tasks[0].speed
    assert speed is not None
    assert 100 < speed < 1000 / 0.15


# ---------------------------------------------------------------------------------------- verbose


def test_verbose_names_all_that_is_left_out_and_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(tmp_path / "digits", per_class=6)
    for number in range(12):
        (dataset / "3" / f"broken-{number:02}.png").write_bytes(b"")
    arguments = ["--dataset", dataset, "--seed", 7, "--dry-run"]
    assert run(*arguments) == 0
    brief = capsys.readouterr().err
    assert "3/broken-09.png: the file is empty" in brief
    assert "  and 2 more (-v names all)" in brief
    assert "seed: 7" not in brief
    assert run(*arguments, "-v") == 0
    full = capsys.readouterr().err
    assert "3/broken-11.png: the file is empty" in full
    assert "  seed: 7\n" in full


def test_the_settings_printed_are_those_in_effect(tmp_path: Path) -> None:
    from digit_classification.settings import settings_text

    file = tmp_path / "a: b #c.yaml"
    odd = str(tmp_path / "my: digits #1")
    file.write_text(json.dumps({"dataset": {"path": odd, "test_path": None}}))
    settings = load_settings(config=file, environment={"DIGITS_TRAINING_SEED": "3"})
    again = tmp_path / "again.yaml"
    again.write_text(settings_text(settings, ["dataset", "model", "training"]), encoding="utf-8")
    assert load_settings(config=again, environment={}).dataset == settings.dataset
    assert load_settings(config=again, environment={}).training == settings.training


# -------------------------------------------------------------------------------- early stopping


def scripted(losses: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the validation losses of a training what a test needs them to be."""
    remaining = iter(losses)

    def validate(*_: object) -> epochs.Scores:
        return {"validation_loss": next(remaining), "validation_accuracy": 0.5}

    monkeypatch.setattr(epochs, "validate", validate)


def test_early_stopping(
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted([3, 1, 2, 2, 0.9, 2, 2, 2], monkeypatch)
    model = tmp_path / "m.keras"
    assert run(*small, "--early-stopping", 2, "--model", model) == 0
    assert "Stopped early: no lower validation loss for 2 epochs.\n" in capsys.readouterr().err
    card = load_model(model).card
    assert card is not None
    assert [epoch["validation_loss"] for epoch in card["history"]] == [3, 1, 2, 2]
    assert card["interrupted"] is False


def test_early_stopping_without_a_number(small: list[object]) -> None:
    arguments = options.build_parser().parse(["--early-stopping", "--seed", "1"])
    assert load_settings(arguments, environment={}).training.early_stopping == options.PATIENCE
    assert load_settings(environment={}).training.early_stopping is None


# --------------------------------------------------------------------------------- interruptions


@pytest.fixture
def interrupted(small: list[object], tmp_path: Path) -> Callable[[int], Path]:
    """Return a function that trains until Ctrl-C in an epoch; it returns the model's path."""

    def train_until(epoch: int) -> Path:
        model = tmp_path / "m.keras"
        with during_epoch(epoch, press_ctrl_c):
            assert run(*small, "--model", model) == 130
        return model

    return train_until


def weights(model: Path) -> list[np.ndarray]:
    import keras

    arrays: list[np.ndarray] = keras.models.load_model(model).get_weights()
    return arrays


@pytest.mark.same_results
def test_a_resumed_training_ends_with_the_same_bits_as_an_undisturbed_one(
    interrupted: Callable[[int], Path],
    small: list[object],
    model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    resumed = interrupted(3)
    assert "Epoch 3 of 8: --resume-training goes on from there.\n" in capsys.readouterr().err
    kept = resumed.with_name("m.keras.checkpoint")
    assert kept.is_file()
    assert run(*small, "--model", resumed, "--resume-training") == 0
    assert "Resuming after epoch 3.\n" in capsys.readouterr().err
    assert not kept.exists()

    cards = [load_model(path).card for path in (model, resumed)]
    assert cards[0] is not None
    assert cards[1] is not None
    assert cards[0]["history"] == cards[1]["history"]
    assert cards[0]["temperature"] == cards[1]["temperature"]
    for undisturbed, after in zip(weights(model), weights(resumed), strict=True):
        np.testing.assert_array_equal(undisturbed, after)


def test_a_training_resumed_after_its_last_epoch_is_only_saved(
    interrupted: Callable[[int], Path], small: list[object], model: Path
) -> None:
    resumed = interrupted(8)
    assert run(*small, "--model", resumed, "--resume-training", "--quiet") == 0
    for undisturbed, after in zip(weights(model), weights(resumed), strict=True):
        np.testing.assert_array_equal(undisturbed, after)


def test_the_best_epoch_before_the_interruption_is_kept(
    small: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest loss comes in epoch 2, the interruption after 3; nothing later is better."""
    losses = [3, 1, 2, 2, 2, 2, 2, 2]
    path = tmp_path / "m.keras"
    scripted(losses, monkeypatch)
    assert run(*small, "--model", path, "--quiet") == 0
    expected = weights(path)

    scripted(losses[:3], monkeypatch)
    with during_epoch(3, press_ctrl_c):
        assert run(*small, "--model", path, "--quiet") == 130
    scripted(losses[3:], monkeypatch)
    assert run(*small, "--model", path, "--quiet", "--resume-training") == 0
    for undisturbed, after in zip(expected, weights(path), strict=True):
        np.testing.assert_array_equal(undisturbed, after)


def test_a_killed_training_can_be_resumed(
    small: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept every few seconds is enough: here the process ends without a chance to save."""

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    monkeypatch.setattr(epochs, "SECONDS_BETWEEN", 0.0)
    path = tmp_path / "m.keras"
    with during_epoch(5, die), pytest.raises(Killed):
        run(*small, "--model", path, "--quiet")
    assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras.checkpoint"]
    assert run(*small, "--model", path, "--quiet", "--resume-training") == 0
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]


def test_a_checkpoint_of_another_shape(
    interrupted: Callable[[int], Path], small: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    model = interrupted(2)
    capsys.readouterr()
    path = model.with_name("m.keras.checkpoint")
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    members["weights-000"] = members["weights-000"][:5]
    with open(path, "wb") as file:
        np.savez(file, **members)
    assert run(*small, "--model", model, "--resume-training", "--quiet") == 2
    assert capsys.readouterr().err == (
        f"Error: '{path}' is damaged: delete it, and train without --resume-training.\n"
    )


def test_nothing_to_resume(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.keras"
    assert run(*small, "--model", model, "--resume-training") == 2
    assert capsys.readouterr().err == (
        f"Error: There is no interrupted training to resume ('{model}.checkpoint' is not there): "
        "train without --resume-training.\n"
    )


def test_resuming_with_other_settings_or_images_is_refused(
    interrupted: Callable[[int], Path],
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = interrupted(2)
    capsys.readouterr()
    resume = [*small, "--model", model, "--resume-training", "--quiet"]
    assert run(*resume, "--epochs", 9) == 2
    assert capsys.readouterr().err == (
        f"Error: The training interrupted in '{model}.checkpoint' had training.epochs = 8, not 9: "
        "give it the same, or train without --resume-training.\n"
    )
    other = write_dataset(tmp_path / "others", per_class=12, first_seed=500)
    assert run(*resume, "--dataset", other) == 2
    assert capsys.readouterr().err == (
        f"Error: The training interrupted in '{model}.checkpoint' learned from other images than "
        "these: give it the same, or train without --resume-training.\n"
    )
    assert run(*resume) == 0  # a refusal harms nothing


def test_a_new_training_says_that_it_replaces_an_interrupted_one(
    interrupted: Callable[[int], Path], small: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    model = interrupted(2)
    capsys.readouterr()
    assert run(*small, "--model", model) == 0
    assert (
        f"'{model}.checkpoint' of an interrupted training will be replaced; --resume-training "
        "would go on from there.\n"
    ) in capsys.readouterr().err


# ----------------------------------------------------------------------------- the checkpoint file


def make_checkpoint(**changes: Any) -> checkpoints.Checkpoint:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)]
    fields: dict[str, Any] = {
        "settings": {"training.epochs": 8},
        "images": "00ff",
        "curve": [{"epoch": 1, "loss": 0.5}],
        "seconds": 1.5,
        "weights": arrays,
        "optimizer": arrays * 6,
        "best_weights": arrays[:1],
    }
    return checkpoints.Checkpoint(**{**fields, **changes})


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    before = make_checkpoint()
    checkpoints.save_checkpoint(path, before)
    after = checkpoints.load_checkpoint(path, before.settings)
    assert (after.settings, after.images) == (before.settings, before.images)
    assert (after.curve, after.seconds) == (before.curve, before.seconds)
    for kind in checkpoints.ARRAY_KEYS:
        assert len(getattr(before, kind)) == len(getattr(after, kind))
        for old, new in zip(getattr(before, kind), getattr(after, kind), strict=True):
            assert old.dtype == new.dtype
            np.testing.assert_array_equal(old, new)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "was here",)

    path = tmp_path / "m.checkpoint"
    with open(path, "wb") as file:
        np.savez(file, about=np.array([Hostile()], dtype=object))
    with pytest.raises(checkpoints.CheckpointError, match="is damaged"):
        checkpoints.load_checkpoint(path, {})
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.checkpoint"
    path.write_bytes(content)
    with pytest.raises(checkpoints.CheckpointError) as caught:
        checkpoints.load_checkpoint(path, {})
    assert str(caught.value) == (
        f"'{path}' is damaged: delete it, and train without --resume-training."
    )


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    checkpoints.save_checkpoint(path, make_checkpoint())
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(checkpoints.CheckpointError, match="is damaged"):
            checkpoints.load_checkpoint(path, {})


def test_a_crash_while_a_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.checkpoint"
    checkpoints.save_checkpoint(path, make_checkpoint(seconds=1.0))
    before = path.read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save_checkpoint(path, make_checkpoint(seconds=2.0))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_does_not_end_the_training(
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN", 0.0)
    assert run(*small, "--epochs", 2, "--model", tmp_path / "m.keras") == 0
    assert (
        f"Warning: The checkpoint '{tmp_path / 'm.keras.checkpoint'}' cannot be written: "
        "No space left on device: without it the training cannot be resumed; make room.\n"
    ) in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]


# --------------------------------------------------------- what early stopping would have come to


def test_the_benchmark_of_early_stopping_stops_where_a_training_does(
    small: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.early_stopping import stop

    monkeypatch.setattr(Learner, "learn", lambda *_: {"loss": 1.0, "accuracy": 0.5})
    losses = [3, 1, 2, 0.9, 2, 2, 2, 2]
    history = [{"epoch": epoch, "validation_loss": loss} for epoch, loss in enumerate(losses, 1)]
    for patience, expected in ((1, 3), (2, 6), (3, 7), (5, 8)):
        scripted(losses, monkeypatch)
        model = tmp_path / f"{patience}.keras"
        assert run(*small, "--early-stopping", patience, "--model", model, "--quiet") == 0
        card = load_model(model).card
        assert card is not None
        assert len(card["history"]) == stop(history, patience)[0] == expected
    assert stop(history, None) == (8, history[3])
