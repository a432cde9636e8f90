"""Step 1: what `decode` returned -> a grey picture in which ink and paper differ."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.decode import LONGEST, ImageError
from digit_classification.pictures.images.quantiles import quantiles

BAND = 2**22  # values scaled at a time
_ENOUGH = 256  # pixels: the shorter side of a picture whose colours are looked at
_LIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return what `decode` returned as a person sees it: (h, w, 3) uint8, at most `side` each way.

    Transparent pixels lie on what makes the ink show.  A picture smaller than that stays as it is.
    """
    small = reduce(_to_uint8(pixels), side)
    if small.ndim == 2:
        return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    return _on_paper(small) if small.shape[2] == 4 else small


def grey_from_array(pixels: np.ndarray, longest: int = LONGEST) -> np.ndarray:
    """Return a grey picture, (h, w) uint8, at most `longest` pixels on its longer side."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ImageError(f"an array of shape {pixels.shape} is no picture")
    if not pixels.size:
        raise ImageError("the picture has no pixels")
    pixels = reduce(_to_uint8(pixels), longest)
    if pixels.ndim == 2:
        return pixels
    return _grey_by_contrast(_on_paper(pixels) if pixels.shape[2] == 4 else pixels)


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Scale to 0..255 by the smallest usual maximum (1, or all bits set) that holds the values."""
    if pixels.dtype == np.uint8:
        return pixels
    rows = max(1, BAND * len(pixels) // pixels.size)
    bands = [pixels[top : top + rows] for top in range(0, len(pixels), rows)]
    top = max(float(_to_float(band).max()) for band in bands)
    limit = 1.0 if top <= 1 else 2.0 ** min(127, max(8, int(top).bit_length())) - 1
    return np.concatenate(
        [(np.clip(_to_float(band) / limit, 0, 1) * 255 + 0.5).astype(np.uint8) for band in bands]
    )


def _to_float(pixels: np.ndarray) -> np.ndarray:
    """Return float32, 0 for what is no number."""
    return np.nan_to_num(pixels.astype(np.float32), posinf=0, neginf=0)


def reduce(pixels: np.ndarray, longest: int) -> np.ndarray:
    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _on_paper(rgba: np.ndarray) -> np.ndarray:
    """Composite on what makes the ink show: white or black, or the colour of a cut-out's paper."""
    alpha = rgba[..., 3:] / np.float32(255)
    if alpha.min() == 1:
        return rgba[..., :3]
    opaque = rgba[..., :3][alpha[..., 0] > 0.5]
    if len(opaque) == 0:
        return np.full_like(rgba[..., :3], 255)
    if len(opaque) > alpha.size / 2 and opaque.std(axis=0).max() > 25:
        paper = np.median(opaque, axis=0)  # paper and ink are both opaque
    else:
        paper = np.full(3, 255 if opaque.mean() < 128 else 0)
    mixed: np.ndarray = rgba[..., :3] * alpha + paper * (1 - alpha)
    return (mixed + 0.5).astype(np.uint8)


def _grey_by_contrast(rgb: np.ndarray) -> np.ndarray:
    """Grey by lightness, unless ink and paper differ far more in colour than in lightness."""
    step = max(1, min(rgb.shape[:2]) // _ENOUGH)  # every second pixel of a photo says as much
    some = np.ascontiguousarray(rgb[::step, ::step])
    small = cv2.resize(some, (64, 64), interpolation=cv2.INTER_AREA)
    rest = small.astype(np.float64) - cv2.medianBlur(small, 41)  # whole: their products add exactly
    rest = rest.reshape(-1, 3)
    lightness = rest @ _LIGHTNESS
    variances, axes = np.linalg.eigh(rest.T @ rest / len(rest))
    # A grey step of 1 is a step of sqrt(3) along the grey axis, hence the 3.
    if variances[-1] / 3 < 2.25 * (lightness**2).mean():
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    axis = axes[:, -1] * (1 if axes[:, -1] @ _LIGHTNESS >= 0 else -1)  # to what is lighter
    along: np.ndarray = cv2.transform(rgb.astype(np.float32), axis[None].astype(np.float32))
    low, high = quantiles(along, 0.001, 0.999)
    along = (along - low) * (255 / max(high - low, 64))
    return np.clip(along, 0, 255).astype(np.uint8)
