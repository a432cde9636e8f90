"""Parts of a picture seen from another distance, turned: by a map from their pixels to its own."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digit_classification.pictures.geometry import corners, product


def seen_through(grey: np.ndarray, view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture as a view, so wide and high, shows it, uint8."""
    scale = math.sqrt(view[0, 0] ** 2 + view[1, 0] ** 2)
    height, width = grey.shape
    reach = np.array([[0, size[0], 0, size[0]], [0, 0, size[1], size[1]], [1, 1, 1, 1]])
    seen = product(view, reach)
    left, top = np.floor(np.clip(seen.min(axis=1) - 2, 0, [width - 1, height - 1])).astype(int)
    right, bottom = np.ceil(np.clip(seen.max(axis=1) + 2, 1, [width, height])).astype(int)
    part = np.ascontiguousarray(grey[top : max(bottom, top + 1), left : max(right, left + 1)])
    inner = view.copy()
    inner[:, 2] -= (left, top)
    if scale > 1:  # the mean of what falls together, before it is sampled
        small = cv2.resize(
            part,
            (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale))),
            interpolation=cv2.INTER_AREA,
        )
        factors = np.array([small.shape[1] / part.shape[1], small.shape[0] / part.shape[0]])
        inner = (inner * factors[:, None]).astype(np.float64)
        part = small
    return cv2.warpAffine(
        part,
        inner.astype(np.float32),
        size,
        flags=(cv2.INTER_LINEAR if scale > 0.8 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def blank_outside(mask: np.ndarray, back: np.ndarray, shape: tuple[int, ...]) -> None:
    """Make the mask of a view, of which `back` is the map, 0 where it shows none of a picture."""
    height, width = shape[0] - 0.5, shape[1] - 0.5
    ends = corners((0, 0, mask.shape[1] - 1, mask.shape[0] - 1))
    x, y = product(back, np.concatenate([ends.T, np.ones((1, 4))]))
    if x.min() >= -0.5 and y.min() >= -0.5 and x.max() <= width and y.max() <= height:
        return
    v, u = np.ogrid[: mask.shape[0], : mask.shape[1]]
    x, y = (across * u + down * v + start for across, down, start in back.tolist())
    mask[(x < -0.5) | (x > width) | (y < -0.5) | (y > height)] = 0
