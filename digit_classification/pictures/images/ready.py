"""Step 2: digits that follow MNIST's convention already; only their slant is removed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from digit_classification.pictures.images.convention import BOX, INK, SIDE

STACK = 128  # digits placed at a time
_FAINT = 25  # of 255: weaker is the blur around a stroke
_MARGIN = 4  # pixels of black above and below a digit: more than a cubic's reach
_AXIS = np.arange(SIDE, dtype=np.float64)
_Y, _X = np.meshgrid(_AXIS, _AXIS, indexing="ij")
_MOMENTS = np.stack([_X**0, _X, _Y, _X * _Y, _Y * _Y], axis=2).reshape(SIDE * SIDE, 5)


def place_ready(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the digits that follow MNIST's convention already, and take their slant out.

    Args:
        stack: uint8, (n, 28, 28), n up to STACK.

    Returns:
        Which are ready, (n,) bool, and all of them placed, (n, 28, 28) uint8; what is not ready is
        placed wrongly.
    """
    flat = stack.reshape(len(stack), -1)
    mass, mass_x, mass_y, mass_xy, mass_yy = (flat.astype(np.float64) @ _MOMENTS).T
    whole = np.maximum(mass, 1)
    x, y = mass_x / whole, mass_y / whole
    visible = stack > _FAINT
    longest = np.maximum(_extent(visible.any(axis=2)), _extent(visible.any(axis=1)))
    ready = (
        (flat.max(axis=1) >= 250)
        & (np.count_nonzero(flat, axis=1) <= 0.45 * SIDE * SIDE)
        & (abs(longest - BOX) <= 1)
        & (abs(x - 14) < 0.6)  # MNIST's own centres lie within 0.5
        & (abs(y - 14) < 0.6)
    )
    spread = mass_yy - y * mass_y
    slant = np.clip((mass_xy - x * mass_y) / np.where(spread > 0, spread, np.inf), -1, 1)
    upright = _AXIS - slant[:, None, None] * (_AXIS[:, None] - y[:, None, None])
    ink = stack > INK
    width = np.where(ink, upright, -np.inf).max(axis=(1, 2))
    width -= np.where(ink, upright, np.inf).min(axis=(1, 2))
    extent = np.maximum(width, _extent(ink.any(axis=2)) - 1) + 1
    step = np.where(abs(extent - BOX) <= 1, 1.0, extent / BOX)  # ready, it keeps its size
    out = _AXIS - SIDE // 2
    across = step[:, None, None] * (out + slant[:, None, None] * out[:, None]) + x[:, None, None]
    down = (step[:, None] * out + y[:, None])[:, :, None]
    return ready, _sample(stack, across, down)


def _extent(used: Any) -> np.ndarray:
    """From the first True to the last, for each row of (n, 28) bool."""
    return SIDE - used.argmax(axis=1) - used[:, ::-1].argmax(axis=1)


def _sample(stack: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample each image of (n, 28, 28) at its own x and y, with black around it.

    To OpenCV the stack is one tall image.  Positions are rounded to what float32 holds of them in
    its last row, too: else an image would come out differently further down.
    """
    n, height = len(stack), SIDE + 2 * _MARGIN
    padded: np.ndarray = np.zeros((n, height, SIDE), np.uint8)
    padded[:, _MARGIN:-_MARGIN] = stack
    top = _MARGIN + height * np.arange(n)[:, None, None]
    x = np.rint(1024 * x) / 1024
    y = np.rint(1024 * y.clip(1 - _MARGIN, SIDE + _MARGIN - 2)) / 1024 + top
    map_x, map_y = (np.broadcast_to(a, stack.shape).astype(np.float32) for a in (x, y))
    placed = cv2.remap(
        padded.reshape(-1, SIDE),
        map_x.reshape(-1, SIDE),
        map_y.reshape(-1, SIDE),
        cv2.INTER_CUBIC,
    )
    return placed.reshape(stack.shape)
