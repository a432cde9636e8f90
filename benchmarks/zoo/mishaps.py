"""What befalls paper and cameras in kinds that the judge never sees."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.training.scenes.sheet import Rng, Sheet


def fold(rng: Rng, sheet: Sheet) -> None:
    """Leave a fold right across: lighter on one side of a thin line, darker on the other."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.06)
    y, x = np.ogrid[: sheet.height, : sheet.width]
    side = (x - rng.uniform(0.1, 0.9) * sheet.width) * np.float32(np.cos(angle))
    side = side + (y - rng.uniform(0.1, 0.9) * sheet.height) * np.float32(np.sin(angle))
    width = max(1.0, 0.006 * max(sheet.height, sheet.width))
    line = np.exp(-((side / width) ** 2)) * rng.uniform(-30, 30)
    sides = np.tanh(side / (0.2 * max(sheet.height, sheet.width))) * rng.uniform(-14, 14)
    sheet.pixels += (line + sides).astype(np.float32)[..., None]


def shake(rng: Rng, sheet: Sheet, length: float) -> None:
    """Move the camera while it looks: `length` pixels in any direction."""
    side = max(3, int(length) | 1)
    kernel = np.zeros((side, side), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (side - 1) / 2
    ends = np.rint(np.array([-reach, reach]) + side // 2).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1)
    sheet.pixels = cv2.filter2D(sheet.pixels, -1, kernel / kernel.sum())
