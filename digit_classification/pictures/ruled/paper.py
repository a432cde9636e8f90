"""Ruled and squared paper: its lines painted over, so that only what is written is left."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.forms.cells import draw
from digit_classification.pictures.forms.ink import find_ink, without_printed
from digit_classification.pictures.forms.lines import Line, Ruling
from digit_classification.pictures.forms.page import darkness_of
from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.quantiles import median
from digit_classification.pictures.ruled.lines import find_lines, tone_of
from digit_classification.pictures.ruled.sides import find_grid

_DARKER, _CLEARLY = 1.35, 12  # times as dark as lines, and so much more: no line, but ink on it
_SAME = 6  # pixels: lines that are nearer are one
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
    upright = find_grid(darkness, lines)
    level = find_grid(np.ascontiguousarray(darkness.T), upright)
    lines += [line for line in level if not any(_is_near(line, other) for other in lines)]
    ruling = Ruling(tuple(lines), tuple(upright))
    painted = painted_over(on_light, darkness, ruling)
    return painted if dark_ink else 255 - painted


def _is_near(line: Line, other: Line) -> bool:
    """Whether a line is another one, seen again."""
    middle = (line.start + line.end) / 2
    return abs(line.at(middle) - other.at(middle)) < _SAME


def painted_over(grey: np.ndarray, darkness: np.ndarray, ruling: Ruling) -> np.ndarray:
    """Return a picture with the paper's tone where its lines were, and no stroke crosses them.

    A stroke goes on beyond a line, or is darker.

    Args:
        grey: the picture, (h, w) uint8, dark on light.
        darkness: of it, (h, w) uint8, as `darkness_of` says.
        ruling: its lines.
    """
    level = draw(Ruling(ruling.level, ()), grey.shape, thicker=2)
    upright = draw(Ruling((), ruling.upright), grey.shape, thicker=2)
    printed = level | upright
    written = without_printed(find_ink(darkness), printed, ruling)
    written |= _darker(darkness, ruling, level & upright)
    paper = tone_of_paper(grey, darkness)
    return np.where((printed > 0) & (written == 0), paper, grey).astype(np.uint8)


def _darker(darkness: np.ndarray, ruling: Ruling, crossings: np.ndarray) -> np.ndarray:
    """Return where it is darker than lines are, but for where two of them cross: (h, w) uint8."""
    across = np.ascontiguousarray(darkness.T)
    tones = [tone_of(darkness, line) for line in ruling.level]
    tones += [tone_of(across, line) for line in ruling.upright]
    darker = darkness > _DARKER * median(tones) + _CLEARLY
    return cv2.dilate((darker & (crossings == 0)).astype(np.uint8), NEIGHBOURS)


def tone_of_paper(grey: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    """Return the paper's own tone, (h, w) float32, as a picture's darkness has it."""
    return np.clip(grey / np.maximum(1 - darkness / np.float32(255), 0.05), 0, 255)
