#!/usr/bin/env python3
"""Measure how well a digit is read in a style that the network has not seen.

    python benchmarks/styles.py
    python benchmarks/styles.py --images 60000 --epochs 100 --hidden-units 800
    python benchmarks/styles.py --quick

The book of styles cannot hold every hand.  So styles are left out of it, one of each digit at a
time, a network is trained on the others and on MNIST, and reads what is drawn in those left out.
The mean over styles is an estimate for hands that nobody thought of.

The table goes to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.cli.quiet import import_keras  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.network.architecture import build_learning_network  # noqa: E402
from digit_classification.settings import TrainingSettings  # noqa: E402
from digit_classification.training.datasets.reading import read_dataset  # noqa: E402
from digit_classification.training.epochs import images_by_epoch  # noqa: E402
from digit_classification.training.learner import Learner  # noqa: E402
from digit_classification.training.parts import Part  # noqa: E402
from digit_classification.training.styles.book import Style, read_book  # noqa: E402
from digit_classification.training.styles.draw import draw_digits  # noqa: E402

TRAINING_SET = ROOT / "dataset" / "mnist-train.zip"
TO_READ = 100  # digits drawn in each style
TEST_STREAM = 1  # beside the seed: no digit is both learned and read


@dataclass(frozen=True)
class Row:
    """How a style is read, as shares, 0 to 1."""

    style: Style
    left_out: float  # by the network that did not see it
    learned: float  # by the others, on average


def folds(styles: Sequence[Style]) -> Iterator[list[Style]]:
    """Yield what is left out together: the first style of each digit, the second, and so on."""
    of_digit: dict[int, list[Style]] = defaultdict(list)
    for style in styles:
        of_digit[style.digit].append(style)
    for number in range(max(map(len, of_digit.values()))):
        yield [each[number] for each in of_digit.values() if number < len(each)]


def train(digits: Part, settings: TrainingSettings) -> Learner:
    """Return a network that has learned from these digits, distorted anew in each epoch."""
    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    network = build_learning_network(settings.hidden_units)
    learner = Learner(network, settings, len(digits))
    for epoch in images_by_epoch(digits, settings, first=1):
        learner.learn(epoch, lambda _: None)
    return learner


def measure(
    real: Part,
    styles: Sequence[Style],
    settings: TrainingSettings,
    to_read: int,
    tell: Callable[[str], None],
) -> list[Row]:
    """Return how each style is read.

    Args:
        real: digits of people, learned in each training.
        styles: those of which some are left out at a time.
        settings: of the trainings; `drawn_share` is of `real`.
        to_read: digits drawn in each style.
        tell: hears which training has begun.
    """
    rng = np.random.default_rng((settings.seed, TEST_STREAM))
    drawn = [draw_digits(to_read, rng, [style])[0] for style in styles]
    count = round(settings.drawn_share * len(real))
    trainings = list(folds(styles))
    is_out = np.array([[style in out for style in styles] for out in trainings])
    right = np.empty(is_out.shape)
    for number, out in enumerate(trainings):
        tell(f"Training {number + 1} of {len(trainings)}, without {len(out)} styles")
        others = [style for style in styles if style not in out]
        to_add = draw_digits(count, np.random.default_rng(settings.seed), others)
        learner = train(real.extended(*to_add, []), settings)
        right[number] = [
            (learner.read(digits).argmax(axis=1) == style.digit).mean()
            for style, digits in zip(styles, drawn, strict=True)
        ]
    left_out = np.where(is_out, right, 0).sum(axis=0)
    learned = np.where(is_out, 0, right).sum(axis=0) / (~is_out).sum(axis=0)
    return [
        Row(style, float(out), float(known))
        for style, out, known in zip(styles, left_out, learned, strict=True)
    ]


def as_table(rows: Sequence[Row]) -> str:
    """Return Markdown: the mean and the worst, then each style, the worst read first."""
    shares = np.array([(row.left_out, row.learned) for row in rows])
    lines = ["| style | left out | learned |", "| --- | ---: | ---: |"]
    for name, (left_out, learned) in (
        (f"mean of {len(rows)} styles", shares.mean(axis=0)),
        ("worst style", shares.min(axis=0)),
    ):
        lines.append(f"| {name} | {left_out:.1%} | {learned:.1%} |")
    for row in sorted(rows, key=lambda row: row.left_out):
        lines.append(f"| {row.style.title} | {row.left_out:.0%} | {row.learned:.0%} |")
    return "\n".join(lines)


def read_real(images: int, seed: int) -> Part:
    """Return some of MNIST's training digits."""
    dataset = read_dataset(TRAINING_SET, cache=True)
    some = np.random.default_rng(seed).permutation(len(dataset))[:images]
    return Part(dataset.digits[some], dataset.labels[some], [])


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=20_000, help="of MNIST that are learned")
    parser.add_argument("--epochs", type=int, default=10, help="of each training")
    parser.add_argument("--hidden-units", type=int, default=[256], nargs="+", help="of each layer")
    parser.add_argument("--drawn-share", type=float, default=0.1, help="of drawn digits, of those")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--quick", action="store_true", help="little of all, to try the script")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = make_parser().parse_args(argv)
    styles: Sequence[Style] = read_book()
    images, to_read = arguments.images, TO_READ
    if arguments.quick:
        styles = [style for fold in itertools.islice(folds(styles), 2) for style in fold]
        images, to_read = 300, 5
    settings = TrainingSettings(
        epochs=1 if arguments.quick else arguments.epochs,
        hidden_units=tuple(arguments.hidden_units),
        drawn_share=arguments.drawn_share,
        seed=arguments.seed,
    )
    messages = make_console(stderr=True)
    real = read_real(images, settings.seed)
    print(as_table(measure(real, styles, settings, to_read, messages.print)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
