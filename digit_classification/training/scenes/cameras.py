"""What happens between the paper and the file: light, lens, sensor, scanner, screen, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from . import noise
from .papers import flat
from .sheet import Rng, Sheet

# Light -----------------------------------------------------------------------------------------


def shade(rng: Rng, sheet: Sheet, strength: float = 0.2) -> None:
    """Light that falls unevenly: up to `strength` darker or lighter in places."""
    cells = 3 if rng.random() < 0.25 else 2  # two: from one side to the other
    light = 1 + strength * noise.slope(rng, sheet.height, sheet.width, cells)
    sheet.pixels *= light[..., None]


def shadow(rng: Rng, sheet: Sheet) -> None:
    """Let a hand or a telephone throw its shadow over a part, with a soft edge."""
    height, width = sheet.height, sheet.width
    small = np.zeros((48, 48), np.uint8)
    middle = rng.uniform(-5, 53, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 6))
    reach = rng.uniform(14, 34, 6)
    corners = middle + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cv2.fillPoly(small, [corners.astype(np.int32)], 255)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(1, 4))
    dark = cv2.resize(small, (width, height)).astype(np.float32) / 255
    sheet.pixels *= (1 - dark * np.float32(rng.uniform(0.25, 0.5)))[..., None]


def glare(rng: Rng, sheet: Sheet) -> None:
    """Let a lamp mirror itself on a board."""
    y, x = np.ogrid[: sheet.height, : sheet.width]
    across, down = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height)
    reach = rng.uniform(0.1, 0.3) * max(sheet.height, sheet.width)
    spot = np.exp(-(((x - across) / reach) ** 2) - ((y - down) / reach / rng.uniform(0.5, 2)) ** 2)
    sheet.pixels += (spot * rng.uniform(20, 70)).astype(np.float32)[..., None]


# Lens and sensor -------------------------------------------------------------------------------


def blur(sheet: Sheet, sigma: float) -> None:
    if sigma > 0.2:
        sheet.pixels = cv2.GaussianBlur(sheet.pixels, (0, 0), sigma)


def grain(rng: Rng, sheet: Sheet, sigma: float, coloured: bool = False) -> None:
    """Add the noise of a sensor, `sigma` levels strong."""
    if coloured:
        for channel in range(3):
            values = noise.fine(rng, sheet.height, sheet.width)
            sheet.pixels[..., channel] += np.float32(sigma) * values
    else:
        sheet.pixels += (np.float32(sigma) * noise.fine(rng, sheet.height, sheet.width))[..., None]


def scanner(rng: Rng, sheet: Sheet) -> None:
    """Read a sheet with a flatbed scanner: sharp, little noise, now and then too light."""
    blur(sheet, float(rng.uniform(0, 0.008)) * max(sheet.height, sheet.width))
    grain(rng, sheet, float(rng.uniform(0, 3)))
    if rng.random() < 0.3:
        sheet.pixels = (sheet.pixels - 128) * np.float32(rng.uniform(1, 1.6)) + 128


def phone(rng: Rng, sheet: Sheet) -> None:
    """Take a photo: uneven light, soft, noisy, compressed."""
    shade(rng, sheet, float(rng.uniform(0.02, 0.22)))
    blur(sheet, float(rng.uniform(0.3, 1) + rng.uniform(0, 0.006) * max(sheet.pixels.shape[:2])))
    grain(rng, sheet, float(rng.uniform(0.3, 5)), rng.random() < 0.3)
    jpeg(sheet, int(rng.integers(60, 96)))


def any_camera(rng: Rng, sheet: Sheet) -> None:
    """Leave a picture as drawn, scan it, or take a photo."""
    chance = rng.random()
    if chance < 0.45:
        phone(rng, sheet)
    elif chance < 0.7:
        scanner(rng, sheet)


# Geometry --------------------------------------------------------------------------------------


def warp(sheet: Sheet, matrix: np.ndarray, width: int, height: int, border: int) -> None:
    """Map by a (3, 3) matrix from the sheet's pixels to those of (height, width)."""
    size = (width, height)
    sheet.pixels = cv2.warpPerspective(sheet.pixels, matrix, size, None, 1, border)
    sheet.ink = cv2.warpPerspective(sheet.ink, matrix, size)


def tilt(rng: Rng, sheet: Sheet, degrees: float) -> None:
    """Turn the camera; what comes into view is more of the same paper."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    width, height = sheet.width, sheet.height
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    middle = np.array([width / 2, height / 2, 1])
    matrix[:2, 2] = middle[:2] - (matrix @ middle)[:2]
    warp(sheet, matrix, width, height, cv2.BORDER_REFLECT_101)


def perspective(rng: Rng, sheet: Sheet, strength: float = 0.12) -> None:
    """Look at the paper from aside: each corner moves in by up to `strength` of the sides."""
    width, height = sheet.width, sheet.height
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-strength, strength, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(moved.astype(np.float32), corners)
    warp(sheet, matrix, width, height, cv2.BORDER_REFLECT_101)


def lay_on(rng: Rng, sheet: Sheet, desk: Sheet, share: float, degrees: float) -> Sheet:
    """Lay a sheet on a desk and look at both; returns what is seen, as large as the desk.

    Args:
        rng: where the sheet lies.
        sheet: the sheet.
        desk: what it lies on, larger; is drawn over.
        share: the sheet's height in parts of the desk's; width follows.
        degrees: by how much it is turned.
    """
    scale = share * desk.height / sheet.height
    angle = np.deg2rad(degrees)
    half = np.array([sheet.width, sheet.height]) * scale / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    room = np.maximum(0, np.array([desk.width, desk.height]) / 2 - np.abs(corners @ turn).max(0))
    middle = np.array([desk.width, desk.height]) / 2 + room * rng.uniform(-0.8, 0.8, 2)
    target = corners @ turn + middle + rng.normal(0, 0.012 * desk.height, (4, 2))
    source = np.array(
        [[0, 0], [sheet.width, 0], [sheet.width, sheet.height], [0, sheet.height]], np.float32
    )
    matrix = cv2.getPerspectiveTransform(source, target.astype(np.float32))
    size = (desk.width, desk.height)
    here = np.zeros((desk.height, desk.width), np.uint8)
    cv2.fillConvexPoly(here, np.rint(target * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    alpha = here.astype(np.float32) / 255
    dark = cv2.GaussianBlur(alpha, (0, 0), 0.01 * desk.height + 1)
    dark = np.roll(dark, rng.integers(-3, 4, 2), (0, 1)) * np.float32(rng.uniform(0, 0.5))
    desk.pixels *= 1 - dark[..., None]
    seen = cv2.warpPerspective(sheet.pixels, matrix, size, None, 1, cv2.BORDER_REPLICATE)
    desk.pixels += (seen - desk.pixels) * alpha[..., None]
    return Sheet(desk.pixels, cv2.warpPerspective(sheet.ink, matrix, size))


# Files -----------------------------------------------------------------------------------------


def jpeg(sheet: Sheet, quality: int) -> None:
    _encode(sheet, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(sheet: Sheet, quality: int) -> None:
    _encode(sheet, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


def _encode(sheet: Sheet, form: str, options: list[int]) -> None:
    pixels = np.clip(sheet.pixels + 0.5, 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(form, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    seen = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    sheet.pixels = cv2.cvtColor(seen, cv2.COLOR_BGR2RGB).astype(np.float32)


def shrink(sheet: Sheet, side: int) -> None:
    """Make a smaller copy, `side` pixels on its longer side; a smaller sheet stays as it is."""
    scale = side / max(sheet.height, sheet.width)
    if scale < 1:
        sheet.resize(round(sheet.width * scale), round(sheet.height * scale))


def one_bit(rng: Rng, sheet: Sheet) -> None:
    """Make each pixel black or white, at a level between paper and ink."""
    grey = cv2.cvtColor(np.clip(sheet.pixels, 0, 255), cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(grey, (1, 99))
    level = low + (high - low) * rng.uniform(0.4, 0.65)
    sheet.pixels = np.repeat(np.where(grey > level, 255, 0)[..., None], 3, 2).astype(np.float32)


def screen(rng: Rng, sheet: Sheet, strength: float = 0.12) -> None:
    """Photograph a screen: its grid of pixels beats with the sensor's."""
    y, x = np.ogrid[: sheet.height, : sheet.width]
    for channel in range(3):
        angle, period = rng.normal(0, 0.15), rng.uniform(2.2, 7)
        phase = (x * np.cos(angle) + y * np.sin(angle)) / period + channel / 3
        other = (y * np.cos(angle) - x * np.sin(angle)) / period * rng.uniform(0.9, 1.1)
        waves = np.cos(2 * np.pi * phase) + np.cos(2 * np.pi * other)
        sheet.pixels[..., channel] *= 1 + np.float32(strength / 2) * waves.astype(np.float32)
    blur(sheet, float(rng.uniform(0.3, 0.8)))


def pad(sheet: Sheet, colour: np.ndarray, width: int, height: int) -> None:
    """Set the picture in the middle of (height, width) of one colour."""
    padded = flat(colour, max(height, sheet.height), max(width, sheet.width))
    left, top = (padded.width - sheet.width) // 2, (padded.height - sheet.height) // 2
    padded.pixels[top : top + sheet.height, left : left + sheet.width] = sheet.pixels
    padded.ink[top : top + sheet.height, left : left + sheet.width] = sheet.ink
    sheet.pixels, sheet.ink = padded.pixels, padded.ink
