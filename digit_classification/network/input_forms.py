"""In which form a network made elsewhere expects its pixels: nothing in its file says so.

One that learned from pixels of 0 to 1 reads everything as the same digit, and with 99.9 %, if it is
given 0 to 255.  So it is tried on digits whose answer is known, in each form that is usual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from digit_classification.network.inference import NetworkError
from digit_classification.pictures import images

# Five of each digit from MNIST's test set (LeCun et al. 1998; CC BY-SA 3.0), in the columns 0 to 9.
SHEET = Path(__file__).with_name("trial.png")
TRIALS = 50
# Of those, how many a network must read: by chance it would be one in ten, and the wrong form
# seldom gives half.
LEAST = 0.7
CLEARLY = 2  # more digits than an earlier form reads: fewer are luck


@dataclass(frozen=True)
class InputForm:
    """What becomes of a pixel of 0 to 255, light on dark: (pixel - `offset`) * `factor`."""

    name: str
    offset: float
    factor: float
    dark: bool = False

    def __call__(self, digits: np.ndarray) -> np.ndarray:
        """Return digits, uint8, as float32 in this form."""
        pixels = 255 - digits if self.dark else digits
        return (pixels.astype(np.float32) - np.float32(self.offset)) * np.float32(self.factor)


_SCALES = (
    ("0 to 1", 0, 1 / 255),
    ("0 to 255", 0, 1),
    ("-1 to 1", 127.5, 1 / 127.5),
    # MNIST's own mean and deviation, as PyTorch's examples subtract and divide by.
    ("standardised", 0.1307 * 255, 1 / (0.3081 * 255)),
)
INPUT_FORMS = tuple(
    InputForm(f"{name} inverted" if dark else name, offset, factor, dark)
    for dark in (False, True)
    for name, offset, factor in _SCALES
)


def trial_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return digits, prepared, (50, 28, 28) uint8, and their labels, (50,)."""
    sheet = np.asarray(Image.open(SHEET))
    rows, columns = (length // images.SIDE for length in sheet.shape)
    cells = sheet.reshape(rows, images.SIDE, columns, images.SIDE).swapaxes(1, 2)
    pictures = [*cells.reshape(-1, images.SIDE, images.SIDE)]
    digits = np.stack([seen.digit for seen in images.normalize_small(pictures)])
    return digits, np.tile(np.arange(columns), rows)


def find_form(
    compute: Callable[[np.ndarray, InputForm], np.ndarray], *, rescales: bool
) -> tuple[InputForm, int]:
    """Return the form in which a network reads the trial's digits, and how many of them.

    Args:
        compute: returns the probabilities, (n, 10), of digits, (n, 28, 28) uint8, in a form.
        rescales: whether the network has a layer for that, and so expects 0 to 255.

    Raises NetworkError if it reads them in none.
    """
    digits, labels = trial_digits()
    forms = sorted(INPUT_FORMS, key=lambda form: form.dark or (form.factor == 1) != rescales)
    right = [int((compute(digits, form).argmax(axis=1) == labels).sum()) for form in forms]
    best = max(right)
    if best < LEAST * len(labels):
        raise NetworkError(
            f"it reads {best} of {len(labels)} trial digits at best: {_figures(forms, right)}"
        )
    chosen = next(i for i, count in enumerate(right) if count + CLEARLY >= best)
    return forms[chosen], right[chosen]


def _figures(forms: Sequence[InputForm], right: Sequence[int]) -> str:
    return ", ".join(f"{form.name}: {count}" for form, count in zip(forms, right, strict=True))
