#!/usr/bin/env python3
"""What early stopping would have come to in a training that ran through all of its epochs.

    python digit_classification_model_trainer.py
    python benchmarks/early_stopping.py digit_classification.keras

A training that stops early is the same up to its last epoch as one that does not, to the last
bit, and so the history in a model file tells the end of each patience exactly.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from digit_classification.network.model_file import CARD

PATIENCES = (3, 5, 8, 10, 15, 20, 30)
Epoch = Mapping[str, float]


def stop(history: Sequence[Epoch], patience: int | None) -> tuple[int, Epoch]:
    """Return the number of epochs trained and the figures of the best of them."""
    best = history[0]
    for epoch in history:
        if epoch["validation_loss"] < best["validation_loss"]:
            best = epoch
        elif patience is not None and epoch["epoch"] - best["epoch"] >= patience:
            return int(epoch["epoch"]), best
    return len(history), best


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path, metavar="MODEL", help="of a training without stopping")
    with zipfile.ZipFile(parser.parse_args(argv).model) as archive:
        history = json.loads(archive.read(CARD))["history"]
    print("| patience | epochs | best epoch | validation loss | validation mistakes |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for patience in (*PATIENCES, None):
        epochs, best = stop(history, patience)
        print(
            f"| {patience or 'none'} | {epochs} | {best['epoch']:g} | {best['validation_loss']:.4f}"
            f" | {1 - best['validation_accuracy']:.2%} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
