"""Ruled and squared paper: its lines painted over, so that only what is written is left."""

from __future__ import annotations

import numpy as np

from digit_classification.pictures.forms.cells import draw
from digit_classification.pictures.forms.ink import find_ink, without_printed
from digit_classification.pictures.forms.lines import Ruling
from digit_classification.pictures.forms.page import darkness_of
from digit_classification.pictures.ruled.lines import find_lines
from digit_classification.pictures.ruled.sides import find_grid

_SMALLEST = 32  # pixels: the shorter side of a picture whose lines can be told from strokes


def without_ruling(grey: np.ndarray, dark_ink: bool) -> np.ndarray | None:
    """Return a grey picture, (h, w) uint8, without the lines from border to border; None if none.

    It is a copy.
    """
    if min(grey.shape) < _SMALLEST:
        return None
    on_light = grey if dark_ink else 255 - grey
    darkness = darkness_of(on_light)
    lines = [line for line in find_lines(darkness) if line.goes_across(grey.shape[1])]
    if not lines:
        return None
    ruling = Ruling(tuple(lines), tuple(find_grid(darkness, lines)))
    painted = painted_over(on_light, darkness, ruling)
    return painted if dark_ink else 255 - painted


def painted_over(grey: np.ndarray, darkness: np.ndarray, ruling: Ruling) -> np.ndarray:
    """Return a picture with the paper's tone where its lines were, and no stroke crosses them.

    Args:
        grey: the picture, (h, w) uint8, dark on light.
        darkness: of it, (h, w) uint8, as `darkness_of` says.
        ruling: its lines.
    """
    printed = draw(ruling, grey.shape, thicker=2)
    written = without_printed(find_ink(darkness), printed, ruling)
    paper = tone_of_paper(grey, darkness)
    return np.where((printed > 0) & (written == 0), paper, grey).astype(np.uint8)


def tone_of_paper(grey: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    """Return the paper's own tone, (h, w) float32, as a picture's darkness has it."""
    return np.clip(grey / np.maximum(1 - darkness / np.float32(255), 0.05), 0, 255)
