#!/usr/bin/env python3
"""Measure what --fine-tune brings, and what it costs.

    python benchmarks/fine_tuning.py --pictures my_crops --model a.keras b.keras
    python benchmarks/fine_tuning.py --pictures my_crops --learn 50 --markdown table.md

Some of the pictures, others with each seed, are learned; all the others are read before and after,
and so are MNIST's test digits, which tells what was forgotten.  Every figure comes from the trainer
as a user runs it, and from the card of the model that it saves.

The table goes to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.accuracy import (  # noqa: E402
    NO_DIGIT,
    BenchmarkError,
    check_outputs,
    in_table,
    write_markdown,
)
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.network.default_model import DEFAULT_MODEL  # noqa: E402
from digit_classification.network.model_file import load_model  # noqa: E402
from digit_classification.parallel import default_workers  # noqa: E402

TRAINER = ROOT / "digit_classification_model_trainer.py"
START, END = "<!-- fine-tuning: written by benchmarks/fine_tuning.py -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Tuning:
    """What one fine-tuning brought."""

    seconds: float  # from the command's start to its end, with the readings before and after
    learning: float  # of these, from the start of TensorFlow to the end of what is learned
    shares: dict[str, tuple[float, float]]  # by what was counted: before and after, 0 to 1


def read_table(folder: Path) -> list[tuple[Path, str]]:
    """Return the pictures of a labels.tsv (file, label) that show one digit, with their labels."""
    table = folder / "labels.tsv"
    if not table.is_file():
        raise BenchmarkError(f"'{table}' is missing: give a folder with a labels.tsv (file, label)")
    pictures = in_table(folder.name, folder)
    pairs = zip(pictures.paths, pictures.labels.tolist(), strict=True)
    return [(Path(path), str(label)) for path, label in pairs if label != NO_DIGIT]


def write_halves(
    pictures: Sequence[tuple[Path, str]], learn: int, seed: int, folder: Path
) -> tuple[Path, Path]:
    """Copy the pictures into class folders: those to learn, and the others."""
    order = np.random.default_rng(seed).permutation(len(pictures))
    halves = folder / "learned", folder / "held-out"
    for place, index in enumerate(order):
        file, label = pictures[index]
        target = halves[place >= learn] / label
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / file.name)
    return halves


def tune(model: Path, learned: Path, held_out: Path, seed: int, folder: Path) -> Tuning:
    """Run the trainer, and return what the model that it saved says of itself."""
    tuned = folder / "tuned.keras"
    command = [sys.executable, str(TRAINER), "--fine-tune", str(model), "--model", str(tuned)]
    command += ["--dataset", str(learned), "--test-dataset", str(held_out), "--seed", str(seed)]
    begin = time.monotonic()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if run.returncode:
        raise BenchmarkError(f"The trainer failed: {run.stderr.strip()}")
    card = (load_model(tuned).card or {})["fine_tuned"]
    shares = {
        row["images"]: (row["before"] / row["total"], row["after"] / row["total"])
        for row in card["scores"]
    }
    return Tuning(seconds, card["seconds"], shares)


def as_table(tunings: Sequence[Tuning]) -> str:
    """Return Markdown: each figure's mean and sample deviation over the runs, before and after."""
    lines = ["| images | before | after | change, points |", "| --- | ---: | ---: | ---: |"]
    for name in tunings[0].shares:
        pairs = 100 * np.array([tuning.shares[name] for tuning in tunings])
        cells = [_mean(pairs[:, 0]), _mean(pairs[:, 1]), _mean(pairs[:, 1] - pairs[:, 0], "+")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    learning = _mean(np.array([tuning.learning for tuning in tunings]))
    seconds = _mean(np.array([tuning.seconds for tuning in tunings]))
    lines.append(f"| seconds of learning | | {learning} | |")
    lines.append(f"| seconds, with reading all of these twice | | {seconds} | |")
    return "\n".join(lines)


def _mean(values: np.ndarray, sign: str = "") -> str:
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{deviation}"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--pictures",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of pictures of one digit each, with labels.tsv: file, label",
    )
    parser.add_argument(
        "--model",
        type=Path,
        nargs="+",
        default=[DEFAULT_MODEL],
        metavar="FILE",
        help="models that are tuned, one for each seed in turn (default: the one that comes along)",
    )
    parser.add_argument(
        "--learn", type=int, default=500, metavar="N", help="pictures that are learned"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], metavar="N")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the table to FILE, between its marks for results if it has them",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 0, 2 for wrong input, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    try:
        check_outputs(arguments.markdown)
        pictures = read_table(arguments.pictures)
        if not 0 < arguments.learn < len(pictures):
            raise BenchmarkError(
                f"--learn {arguments.learn}: '{arguments.pictures}' has {len(pictures)} pictures "
                "of one digit; learn some of them, and leave others to read."
            )
        tunings = []
        for number, seed in enumerate(arguments.seeds):
            model = arguments.model[number % len(arguments.model)]
            messages.print(f"Fine-tuning {model.name}, seed {seed}")
            with tempfile.TemporaryDirectory(prefix="digits-benchmark-") as name:
                folder = Path(name)
                halves = write_halves(pictures, arguments.learn, seed, folder)
                tunings.append(tune(model, *halves, seed, folder))
    except (BenchmarkError, OSError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    seeds = ", ".join(map(str, arguments.seeds))
    models = ", ".join(model.name for model in arguments.model)
    text = (
        f"{date.today()}, {default_workers()} cores, {arguments.learn} of {len(pictures):,} "
        f"pictures learned, seeds {seeds}, models {models}.\n\n"
        f"{as_table(tunings)}\n"
    )
    if arguments.markdown:
        write_markdown(arguments.markdown, text, START, END)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
