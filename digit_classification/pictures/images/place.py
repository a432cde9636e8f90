"""Step 7: where a digit lies in its 28x28 pixels (LeCun et al. 1998, section III.A)."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.images.convention import BOX, FINE, INK, SIDE


def place_digit(strokes: np.ndarray) -> np.ndarray:
    """Take the slant out, fit into the box, put the centre of mass in the middle."""
    moments = cv2.moments(strokes)
    if not moments["m00"]:
        return np.zeros((SIDE, SIDE), np.uint8)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    slant = moments["mu11"] / moments["mu02"] if moments["mu02"] else 0.0
    slant = max(-1.0, min(1.0, slant))
    ink = strokes > INK
    rows = np.flatnonzero(ink.any(axis=1))
    first, behind = ink[rows].argmax(axis=1), ink.shape[1] - ink[rows, ::-1].argmax(axis=1)
    lean = slant * (rows - y)
    extent = max((behind - lean).max() - (first - lean).min(), rows[-1] - rows[0] + 1)
    step = extent / (BOX * FINE)  # pixels of `strokes` to a pixel of the canvas
    middle = (SIDE // 2 + 0.5) * FINE - 0.5
    across = (step, step * slant, x - step * middle * (1 + slant))
    back = np.array([across, (0, step, y - step * middle)], np.float32)
    canvas = cv2.warpAffine(
        strokes,
        back,
        (SIDE * FINE, SIDE * FINE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.asarray(cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
