"""The trainer's command line: its options, and which of them make no sense together."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from digit_classification.cli.command_line import CommandLine
from digit_classification.commands.train.fine_tuning import check_fine_tuning
from digit_classification.config import add_setting
from digit_classification.network.export import FORMATS

EXIT_STATUS = """\
exit status:
  0    the model is trained, evaluated and saved
  2    the command line, a setting or the dataset is wrong
  130  interrupted with Ctrl-C; the first one saves the best epoch so far
  143  the same with SIGTERM, 129 with SIGHUP (a closed terminal)
"""
# What requirements-train.txt installs, as it is imported.
TRAINING_PACKAGES = ("tensorflow", "keras", "scipy", "sklearn", "matplotlib")
# Without a number: as patient as it takes to lose nothing by it, measured in docs/training.md.
PATIENCE = 20


def build_parser() -> CommandLine:
    parser = CommandLine(
        "Train a network to read handwritten digits, and save it as one model file.",
        exit_status=EXIT_STATUS,
        example="--dataset my_digits --epochs 20 --report report",
    )
    data = parser.add_group("dataset", example="--dataset my_digits --test-dataset test.zip")
    add_setting(data, "--dataset", "dataset.path", metavar="PATH")
    add_setting(data, "--test-dataset", "dataset.test_path", metavar="PATH")
    add_setting(data, "--corrections", "dataset.corrections", metavar="FILE")
    add_setting(data, "--strict", "dataset.strict", action="store_true")
    add_setting(data, "--lenient", "dataset.lenient", action="store_true")
    add_setting(
        data,
        "--no-cache",
        "dataset.cache",
        action="store_false",
        help="prepare every image again, and keep nothing beside the dataset",
    )
    training = parser.add_group("training", example="--hidden-units 800 400 --epochs 50 --seed 7")
    add_setting(training, "--epochs", "training.epochs", metavar="N")
    add_setting(training, "--hidden-units", "training.hidden_units", metavar="N", nargs="+")
    add_setting(training, "--batch-size", "training.batch_size", metavar="N")
    add_setting(training, "--learning-rate", "training.learning_rate", metavar="RATE")
    add_setting(training, "--scenes", "training.scenes", metavar="N")
    add_setting(training, "--seed", "training.seed", metavar="N")
    add_setting(
        training,
        "--early-stopping",
        "training.early_stopping",
        metavar="PATIENCE",
        nargs="?",
        const=PATIENCE,
        help="end the training after PATIENCE epochs without a lower validation loss "
        f"({PATIENCE} if no number is given)",
    )
    training.add_argument(
        "--resume-training",
        action="store_true",
        help="go on with the interrupted training whose checkpoint lies beside the model",
    )
    training.add_argument(
        "--fine-tune",
        type=Path,
        metavar="MODEL",
        help="go on from this trained model, and learn the pictures of --dataset or --corrections "
        "beside the digits that it knows; --model names the new one",
    )
    result = parser.add_group("result", example="--model mine.keras --report report")
    add_setting(result, "--model", "model.path", metavar="FILE")
    result.add_argument(
        "--metrics", type=Path, metavar="FILE", help="also write the test figures as JSON"
    )
    result.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="also write a page that shows how good the model is, into the new folder DIR",
    )
    export = parser.add_group("export", example="--skip-training --model mine.keras --export onnx")
    export.add_argument(
        "--export", choices=FORMATS, help="also write the model in a form that other programs run"
    )
    export.add_argument(
        "--export-to", type=Path, metavar="PATH", help="where that goes (default: beside the model)"
    )
    export.add_argument(
        "--skip-training", action="store_true", help="export the existing model, without training"
    )
    parser.add_general_options(
        dry_run="read the dataset and say what would be done; train and write nothing",
        quiet="print nothing but the test accuracy and errors",
        verbose="name every file that is left out, and print the settings",
    )
    return parser


def check_combination(parser: CommandLine, arguments: argparse.Namespace) -> None:
    """Refuse options that make no sense together, or here; exits with status 2."""
    for package in TRAINING_PACKAGES:
        if importlib.util.find_spec(package) is None:
            parser.error(
                f"training needs {package}, which is not installed: pip install -r requirements.txt"
            )
    if arguments.fine_tune:
        check_fine_tuning(parser, arguments)
    if arguments.skip_training:
        if arguments.export is None:
            parser.error(
                f"--skip-training needs --export {'|'.join(FORMATS)}: name a form to export"
            )
        for flag in ("resume_training", "report", "metrics"):
            if getattr(arguments, flag):
                parser.error(f"--{flag.replace('_', '-')} needs a training: no --skip-training")
    if arguments.export_to and arguments.export is None:
        parser.error(f"--export-to needs --export {'|'.join(FORMATS)}")
