"""Random distortions of 28×28 digits, so that no two training epochs see the same images.

Geometry: rotation, shear, scale, shift and the smooth elastic deformation of Simard, Steinkraus
and Platt (2003), all in one resampling. Pen and picture: stroke width, blur, contrast, grain of
the ink.

The images are handled in stacks, each a single tall image to OpenCV: a few calls do the work of
hundreds, outside Python's interpreter lock, and 60,000 images take little more than a second of
one core.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from digit_classification.pictures.images import SIDE

# Standard deviations of the distortions, each normally distributed.
ROTATION = 6.0  # degrees
SHEAR = 0.10  # of the height
SCALE = 0.1  # of the logarithm of width and height, each on its own
SHIFT = 0.5  # pixels
ELASTIC = 1.1  # pixels
STROKE = 0.2  # pixels by which the edges of the ink move, outwards or inwards
BLUR = 0.25  # pixels
CONTRAST = 0.2  # of the range of grey, cut off at its light end; half of it at its dark end
GRAIN = 0.05  # of the ink's own grey

COARSE_SHARE = 0.15  # of the stacks: seen by a camera of fewer pixels,
COARSE_SIDES = (10, 16)  # from 10 to 16 instead of 28

CENTRE = (SIDE - 1) / 2
AXIS = np.arange(SIDE, dtype=np.float32) - np.float32(CENTRE)
STACK = 250  # images: small enough for a core's cache; cv2.remap addresses 32,767 rows at most
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


def augment(
    images: Images, rng: np.random.Generator, order: NDArray[np.integer] | None = None
) -> Images:
    """Return a randomly distorted copy of each image.

    Args:
        images: uint8, (n, 28, 28), light ink on a black background.
        rng: The only source of randomness: the same state gives the same images.
        order: The images to take, as positions; without it, each as it comes.

    Returns:
        uint8, (n, 28, 28), in that order.
    """
    grain = 1 + GRAIN * rng.standard_normal((2 * STACK * SIDE, SIDE), np.float32)
    order = np.arange(len(images)) if order is None else order
    distorted = np.empty((len(order), SIDE, SIDE), np.uint8)
    for start in range(0, len(order), STACK):
        stack: Images = images[order[start : start + STACK]].reshape(-1, SIDE)
        map_x, map_y = _sources(len(stack) // SIDE, rng)
        stack = cv2.remap(stack, map_x, map_y, cv2.INTER_LINEAR)
        stack = _redraw(stack, grain, rng)
        distorted[start : start + STACK] = stack.reshape(-1, SIDE, SIDE)
    return distorted


def _sources(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the x and y that each pixel of a stack of `n` images is fetched from."""
    draws = rng.standard_normal((6, n, 1, 1), np.float32)
    turn, slant, wide, high, right, down = draws
    turn = math.radians(ROTATION) * turn
    cos, sin, slant = np.cos(turn), np.sin(turn), SHEAR * slant
    width, height = np.exp(SCALE * wide), np.exp(SCALE * high)
    x, y = AXIS, AXIS[:, np.newaxis]

    map_x, map_y = ELASTIC * _smooth_noise(2 * n, rng).reshape(2, n, SIDE, SIDE)
    map_x += width * cos * x
    map_x += width * (slant * cos - sin) * y + (SHIFT * right + CENTRE)
    map_y += height * sin * x
    map_y += height * (slant * sin + cos) * y + (SHIFT * down + CENTRE)
    # An image ends in a black row; beyond that lies its neighbour in the stack.
    np.clip(map_y, 0, SIDE - 1, out=map_y)
    map_y += SIDE * np.arange(n, dtype=np.float32).reshape(n, 1, 1)
    return map_x.reshape(-1, SIDE), map_y.reshape(-1, SIDE)


def _smooth_noise(n: int, rng: np.random.Generator) -> Floats:
    """Return `n` fields of 28×28, of unit variance and smooth over some four pixels.

    Simard et al. blur noise with a Gaussian of four pixels. On every fourth pixel that is a
    Gaussian of one, and sixteen times less to draw and to blur.
    """
    noise = rng.standard_normal((n * SIDE // 4, SIDE // 4), np.float32)
    noise = 3.5 * cv2.GaussianBlur(noise, (5, 5), 1.0)
    return np.asarray(cv2.resize(noise, (SIDE, n * SIDE)), np.float32)


def _redraw(stack: NDArray[np.uint8], grain: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a stack with another pen and another camera, the same for all of its images."""
    edge, softness, dark, light = np.abs(draws := rng.standard_normal(4))
    moved = cv2.dilate(stack, CROSS) if draws[0] > 0 else cv2.erode(stack, CROSS)
    amount = min(STROKE * edge, 1.0)
    stack = cv2.addWeighted(moved, amount, stack, 1 - amount, 0)
    stack = cv2.GaussianBlur(stack, (5, 5), BLUR * softness + 0.01)
    black, white = min(0.5 * CONTRAST * dark, 0.4), 1 - min(CONTRAST * light, 0.5)
    ramp = (np.linspace(0, 1, 256) - black) / (white - black)
    stack = cv2.LUT(stack, np.uint8(255 * ramp.clip(0, 1)))
    if rng.random() < COARSE_SHARE:
        stack = _seen_coarsely(stack, int(rng.integers(*COARSE_SIDES, endpoint=True)))
    start = rng.integers(len(grain) - len(stack) + 1)
    return cv2.multiply(stack, grain[start : start + len(stack)], dtype=cv2.CV_8U)


def _seen_coarsely(stack: Images, side: int) -> Images:
    """Return a stack whose images were taken with `side` pixels instead of 28, and enlarged."""
    height, width = stack.shape
    few = cv2.resize(stack, (side, height // SIDE * side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
