"""Random distortions of 28×28 digits: what makes every training epoch a new set of images.

Geometry: rotation, shear, scale, shift and the smooth elastic deformation of Simard, Steinkraus and
Platt (2003), in one resampling. Pen and picture: stroke width, blur, contrast, grain of the ink.

Images are handled in stacks, each one tall image to OpenCV: a few calls then do the work of
hundreds, outside the interpreter lock, and 60,000 images take about a second on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 28
CENTRE = (SIDE - 1) / 2
STACK = 250  # images; their maps fit the cache of a core, and cv2.remap addresses 32,767 rows
COARSE = 7  # the elastic field is drawn on 7×7 points, every fourth pixel

Images = NDArray[np.uint8]
Field = NDArray[np.float32]

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Distortion:
    """How strongly images are distorted: standard deviations of normal distributions."""

    rotation: float = 5.0  # degrees
    shear: float = 0.10
    scale: float = 0.08  # of the logarithm of width and height
    shift: float = 0.5  # pixels
    elastic: float = 0.8  # pixels, smooth over about four
    stroke: float = 0.2  # pixels by which an edge of a stroke moves, out or in
    blur: float = 0.25  # pixels
    contrast: float = 0.2  # part of the grey levels lost to black or white
    grain: float = 0.05  # of full ink


def augment(
    images: Images, rng: np.random.Generator, distortion: Distortion = Distortion()
) -> Images:
    """Return a randomly distorted copy of each image.

    Args:
        images: uint8, (n, 28, 28), light ink on black.
        rng: the only source of randomness: same state, same result.
        distortion: strengths.
    """
    grain = rng.normal(1, distortion.grain, (2 * STACK * SIDE, SIDE)).astype(np.float32)
    distorted = np.empty_like(images)
    for start in range(0, len(images), STACK):
        stack = images[start : start + STACK].reshape(-1, SIDE)
        stack = cv2.remap(stack, *_maps(len(stack) // SIDE, rng, distortion), cv2.INTER_LINEAR)
        stack = _redrawn(stack, rng, distortion, grain)
        distorted[start : start + STACK] = stack.reshape(-1, SIDE, SIDE)
    return distorted


def _maps(n: int, rng: np.random.Generator, d: Distortion) -> tuple[Field, Field]:
    """Return where each pixel of a stack of n distorted images comes from: x and y."""
    angle, shear, log_width, log_height, right, down = rng.standard_normal((6, n, 1, 1), np.float32)
    cos, sin = np.cos(np.radians(d.rotation) * angle), np.sin(np.radians(d.rotation) * angle)
    shear, width, height = (
        d.shear * shear,
        np.exp(d.scale * log_width),
        np.exp(d.scale * log_height),
    )
    y, x = _AXES
    map_x, map_y = _smooth_noise(2 * n, rng).reshape(2, n, SIDE, SIDE) * np.float32(d.elastic)
    map_x += width * cos * x
    map_x += width * (shear * cos - sin) * y + (d.shift * right + CENTRE)
    map_y += height * sin * x
    map_y += height * (shear * sin + cos) * y + (d.shift * down + CENTRE)
    # Stay within the image: its edge is black, but beyond it is its neighbour in the stack.
    np.clip(map_y, 0, SIDE - 1, out=map_y)
    map_y += np.arange(0, n * SIDE, SIDE, dtype=np.float32).reshape(n, 1, 1)
    return map_x.reshape(-1, SIDE), map_y.reshape(-1, SIDE)


_AXES = tuple(np.ogrid[0:SIDE, 0:SIDE][i].astype(np.float32) - np.float32(CENTRE) for i in (0, 1))


def _smooth_noise(n: int, rng: np.random.Generator) -> Field:
    """Return n fields (28n, 28) of standard deviation 1, correlated over about four pixels."""
    noise = rng.standard_normal((n * COARSE, COARSE), np.float32)
    noise = cv2.GaussianBlur(noise, (5, 5), sigmaX=1.0) * np.float32(3.3)
    return cv2.resize(noise, (SIDE, n * SIDE), interpolation=cv2.INTER_LINEAR)


def _redrawn(stack: Images, rng: np.random.Generator, d: Distortion, grain: Field) -> Images:
    """Draw a stack with another pen and another camera, the same for all its images."""
    edge, blur, black, white = rng.standard_normal(4)
    if d.stroke:
        moved = cv2.dilate(stack, _CROSS) if edge > 0 else cv2.erode(stack, _CROSS)
        weight = min(d.stroke * abs(edge), 1)
        stack = cv2.addWeighted(moved, weight, stack, 1 - weight, 0)
    if d.blur:
        stack = cv2.GaussianBlur(stack, (5, 5), max(d.blur * abs(blur), 0.01))
    if d.contrast:
        low = min(0.5 * d.contrast * abs(black), 0.4)
        high = 1 - min(d.contrast * abs(white), 0.5)
        ramp = (np.linspace(0, 1, 256) - low) / (high - low)
        stack = cv2.LUT(stack, np.uint8(255 * ramp.clip(0, 1)))
    if d.grain:
        start = rng.integers(len(grain) - len(stack) + 1)
        stack = cv2.multiply(stack, grain[start : start + len(stack)], dtype=cv2.CV_8U)
    return stack
