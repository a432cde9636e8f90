"""Any picture of one handwritten digit -> one 28x28 digit in MNIST's convention.

Training and detection both see pictures through :func:`normalize`, so that the two cannot drift
apart.  It works in seven steps, in the order of this file:

1. *Read*: decode (JPEG at reduced scale), turn by EXIF, lay transparent pixels on a paper that
   contrasts with the ink, and make grey what differs in lightness, or else in colour.
2. *Know a digit that is ready*: 28x28, light on dark, in its 20-pixel box, about its centre of
   mass. Only its slant is removed, as in step 7, and of many such digits at a time.
3. *Polarity*: the paper is most of the picture, or else holds its border and its corners, and is
   in more pieces than the ink.
4. *Ink*: how much darker (lighter) than the paper around it each pixel is. A morphological
   closing with a window wider than any stroke gives the paper, with its light and its shadows.
5. *Strokes*: a threshold at half the ink's own strength, with hysteresis; ruled lines, frames,
   border shadows and specks are dropped, the pieces of a broken digit kept.  A small digit in
   a large picture is looked at a second time, from close by.
6. *Stroke width* is brought into the range that MNIST's digits have.
7. *Place*: slant removed (shear by the second moments), the longer side 20 pixels, the centre of
   mass in the middle of 28x28 (LeCun et al. 1998, section III.A).

A picture that shows no single digit is rejected on the way, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from digit_classification.pictures.decode import DEFAULT_LIMITS, LONGEST, Limits, Picture, decode
from digit_classification.pictures.decode import ImageError as ImageError

SIDE = 28  # pixels
BOX = 20  # pixels: the digit's longer side
PREPARATION = {"version": 3, "side": SIDE, "box": BOX, "deslant": True}
Invert = Literal["auto", "always", "never"]

BLANK = "blank image"  # the rejection of a picture without ink, or with faint traces only

_WORK = 384  # pixels: the longer side of a picture in which strokes are looked for
_SMALL = 48  # pixels: up to this side grey means coverage, light is even, nothing surrounds
_ROOM = 1  # pixel of paper around a small picture
_FINE = 4  # the digit is drawn this many times larger than SIDE, then averaged down
_STROKE_WIDTHS = (1.9, 4.0)  # pixels of 28: what 90 % of MNIST's training digits have
_INK = 60  # of 255: where a stroke in its box ends
_FAINT = 25  # of 255: weaker is the blur around a stroke
_BAND = 2**22  # values scaled at a time
_MIN_CONTRAST = 9  # grey levels between paper and ink
_LIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_STACK = 128  # digits placed at a time
_MARGIN = 4  # pixels of black above and below a digit: more than a cubic's reach
_AXIS = np.arange(SIDE, dtype=np.float64)
_Y, _X = np.meshgrid(_AXIS, _AXIS, indexing="ij")
_MOMENTS = np.stack([_X**0, _X, _Y, _X * _Y, _Y * _Y], axis=2).reshape(SIDE * SIDE, 5)


@dataclass(frozen=True)
class Normalized:
    """A picture as the network sees it.

    Attributes:
        digit: (28, 28) uint8, light ink on dark, MNIST's convention.
        rejection: why this is not exactly one digit ('blank image', 'found 3 digits', ...),
            or None where it may be one.
    """

    digit: np.ndarray
    rejection: str | None


def normalize(
    source: Picture, *, invert: Invert = "auto", limits: Limits = DEFAULT_LIMITS
) -> Normalized:
    """Bring a picture of one digit to MNIST's convention.

    Args:
        source: a path, the bytes of a file, a binary file, a Pillow image, or an array of shape
            (h, w) or (h, w, 3 or 4), uint8, uint16, bool, or float in 0..1.
        invert: whether the ink is darker than its paper: 'auto' finds out, 'always' says yes,
            'never' says no.
        limits: which files are opened; larger pictures are refused.

    Raises:
        ImageError: the picture cannot be read.
    """
    grey = _grey_from_array(decode(source, limits).pixels)
    if grey.shape == (SIDE, SIDE):
        return normalize_small([grey], invert=invert)[0]
    return _normalize_grey(grey, invert)


def is_small(pixels: np.ndarray) -> bool:
    """Whether a decoded picture is one for `normalize_small`."""
    return pixels.shape == (SIDE, SIDE) and pixels.dtype == np.uint8


def normalize_small(pictures: Sequence[np.ndarray], *, invert: Invert = "auto") -> list[Normalized]:
    """Bring pictures of (28, 28) uint8 to MNIST's convention, as `normalize` does with each.

    Those that follow it already, as MNIST's own do, are placed together, which takes a third of
    the time.
    """
    if not pictures:
        return []
    if invert == "always":
        return [_normalize_grey(grey, invert) for grey in pictures]
    normalized = []
    for start in range(0, len(pictures), _STACK):
        stack = np.stack(pictures[start : start + _STACK])
        for grey, ready, digit in zip(stack, *_place_ready(stack), strict=True):
            normalized.append(Normalized(digit, None) if ready else _normalize_grey(grey, invert))
    return normalized


def _normalize_grey(grey: np.ndarray, invert: Invert) -> Normalized:
    """Take a grey picture, (h, w) uint8, through the steps 3 to 7."""
    dark_ink = invert == "always" or (invert == "auto" and _has_dark_ink(_reduce(grey, _WORK)))
    strokes, rejection = _find_strokes(grey, dark_ink)
    if strokes is None:
        return Normalized(np.zeros((SIDE, SIDE), np.uint8), rejection)
    return Normalized(_place(_with_usual_width(strokes)), rejection)


# 1. Read ---------------------------------------------------------------------------------------


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return what `decode` returned as a person sees it: (h, w, 3) uint8, at most `side` each way.

    Transparent pixels lie on what makes the ink show.  A picture smaller than that stays as it is.
    """
    small = _reduce(_to_uint8(pixels), side)
    if small.ndim == 2:
        return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    return _on_paper(small) if small.shape[2] == 4 else small


def _grey_from_array(pixels: np.ndarray) -> np.ndarray:
    """Return a grey picture, (h, w) uint8, at most LONGEST pixels on its longer side."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ImageError(f"an array of shape {pixels.shape} is no picture")
    if not pixels.size:
        raise ImageError("the picture has no pixels")
    pixels = _reduce(_to_uint8(pixels), LONGEST)
    if pixels.ndim == 2:
        return pixels
    return _grey_by_contrast(_on_paper(pixels) if pixels.shape[2] == 4 else pixels)


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Scale to 0..255 by the smallest usual maximum (1, or all bits set) that holds the values."""
    if pixels.dtype == np.uint8:
        return pixels
    rows = max(1, _BAND * len(pixels) // pixels.size)
    bands = [pixels[top : top + rows] for top in range(0, len(pixels), rows)]
    top = max(float(_to_float(band).max()) for band in bands)
    limit = 1.0 if top <= 1 else 2.0 ** min(127, max(8, int(top).bit_length())) - 1
    return np.concatenate(
        [(np.clip(_to_float(band) / limit, 0, 1) * 255 + 0.5).astype(np.uint8) for band in bands]
    )


def _to_float(pixels: np.ndarray) -> np.ndarray:
    """Return float32, 0 for what is no number."""
    return np.nan_to_num(pixels.astype(np.float32), posinf=0, neginf=0)


def _reduce(pixels: np.ndarray, longest: int) -> np.ndarray:
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
    small = cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA)
    rest = small.astype(np.float64) - cv2.medianBlur(small, 41)  # whole: their products add exactly
    rest = rest.reshape(-1, 3)
    lightness = rest @ _LIGHTNESS
    variances, axes = np.linalg.eigh(rest.T @ rest / len(rest))
    # A grey step of 1 is a step of sqrt(3) along the grey axis, hence the 3.
    if variances[-1] / 3 < 2.25 * (lightness**2).mean():
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    axis = axes[:, -1] * (1 if axes[:, -1] @ _LIGHTNESS >= 0 else -1)  # to what is lighter
    along: np.ndarray = cv2.transform(rgb.astype(np.float32), axis[None].astype(np.float32))
    low, high = np.percentile(along, (0.1, 99.9))
    along = (along - low) * (255 / max(high - low, 64))
    return np.clip(along, 0, 255).astype(np.uint8)


# 2. Know a digit that is ready -----------------------------------------------------------------


def _place_ready(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the digits that follow MNIST's convention already, and take their slant out.

    Args:
        stack: uint8, (n, 28, 28), n up to _STACK.

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
    ink = stack > _INK
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


# 3. Polarity -----------------------------------------------------------------------------------


def _has_dark_ink(grey: np.ndarray) -> bool:
    """Whether the paper, which holds the border and the corners, is the lighter part."""
    rest: np.ndarray = grey.astype(np.float32)
    if max(grey.shape) > _SMALL:
        small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
        small = cv2.copyMakeBorder(small, 20, 20, 20, 20, cv2.BORDER_REFLECT)
        paper = cv2.medianBlur(small, 41)[20:-20, 20:-20]  # whichever is lighter, most is paper
        rest -= cv2.resize(paper, grey.shape[::-1])
        rest = cv2.blur(rest, (3, 3))
    low, high = np.percentile(rest, (0.1, 99.9))
    if min(-low, high) > 0.5 * max(-low, high) and _is_of_two_tones(grey):
        rest = grey.astype(np.float32)  # so much ink that it is the median in places
        low, high = np.percentile(rest, (0.1, 99.9))
    light = rest > (low + high) / 2
    share = light.mean()
    if abs(share - 0.5) > 0.35:  # no digit holds so much, whatever lies along the border
        return bool(share > 0.5)
    border = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]]).mean()
    corners = np.mean([corner.mean() for corner in _corners(light, 12)])
    pieces = [min(4, _count_pieces(part)) for part in (light, ~light)]
    # Weights after a logistic regression on tightly cropped 16x16 digits, in which ink is as much
    # of the border as paper: there the corners tell, and ink hangs together better than paper.
    return bool(border - 0.5 + 0.7 * (corners - 0.5) + 0.2 * (pieces[0] - pieces[1]) > 0)


def _is_of_two_tones(grey: np.ndarray) -> bool:
    """Whether hardly a pixel lies between the light and the dark: no shadow is on the paper."""
    low, high = np.percentile(grey, (0.1, 99.9))
    between = abs(grey - (low + high) / 2) < (high - low) / 4
    return bool(between.mean() < 0.2)


def _corners(part: np.ndarray, fraction: int) -> list[np.ndarray]:
    """Return the four corners, each a `fraction`-th of the height and of the width."""
    h, w = (max(1, side // fraction) for side in part.shape)
    return [part[:h, :w], part[:h, -w:], part[-h:, :w], part[-h:, -w:]]


def _count_pieces(part: np.ndarray) -> int:
    """Count the connected pieces of what is True, but for specks."""
    areas = cv2.connectedComponentsWithStats(part.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(areas > part.size / 200))


# 4. Ink ----------------------------------------------------------------------------------------


def _ink_strength(grey: np.ndarray, dark_ink: bool) -> np.ndarray:
    """How far each pixel is from the paper around it, 0 for paper; (h, w) float32."""
    if not dark_ink:
        grey = 255 - grey
    if max(grey.shape) <= _SMALL:
        light = np.percentile(grey, 90)
        return np.asarray(np.maximum(light - grey.astype(np.float32), 0))
    small = cv2.medianBlur(_reduce(grey, 80), 3)
    radius = max(small.shape) // 5
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # With room around it, lest light that fades towards the border look like ink there.
    paper = np.pad(small, radius, mode="edge")
    paper = cv2.morphologyEx(paper, cv2.MORPH_CLOSE, window)[radius:-radius, radius:-radius]
    paper = cv2.resize(cv2.blur(paper, (3, 3)), grey.shape[::-1]).astype(np.float32)
    ink = paper - grey
    if dark_ink:
        ink *= 255 / np.maximum(paper, 32)  # ink takes its share of the light that falls on it
    return np.asarray(ink - np.percentile(ink, 25))  # noise lifts a closing above the paper


# 5. Strokes ------------------------------------------------------------------------------------


def _find_strokes(grey: np.ndarray, dark_ink: bool) -> tuple[np.ndarray | None, str | None]:
    """The digit's strokes, cut out: (h, w) uint8, 255 for full ink; or why there are none."""
    work = _reduce(np.ascontiguousarray(grey), _WORK)
    ink = _ink_strength(work, dark_ink)
    mask, level = _threshold(ink)
    if not level:
        return None, BLANK
    digit, digits = _one_digit(_without_ruled_lines(mask))
    if not digit.any():
        return None, BLANK
    rejection = _noise(ink, mask, digit, level)
    if digits > 1:
        rejection = rejection or f"found {digits} digits"
    mask = digit
    x, y, width, height = cv2.boundingRect(mask)
    scale = max(grey.shape) / max(work.shape)
    if scale > 1 and max(width, height) < _WORK / 4 and not rejection:
        margin = max(width, height) // 2
        left, top = (round(max(0, a - margin) * scale) for a in (x, y))
        right, bottom = (round(a * scale) for a in (x + width + margin, y + height + margin))
        return _find_strokes(grey[top:bottom, left:right], dark_ink)
    # A large digit's edges are sharpened; a small one's grey is coverage, and stays.
    sharpness = np.clip((max(width, height) - 24) / 48, 0, 1)
    local = _local_level(ink * mask, level, max(width, height))
    low, high = 0.05 + 0.25 * sharpness, 1 - 0.25 * sharpness
    strokes = (np.clip((ink / local - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    strokes[cv2.dilate(mask, _NEIGHBOURS) == 0] = 0
    strokes = np.pad(strokes, 1)
    return strokes[y : y + height + 2, x : x + width + 2], rejection


def _noise(ink: np.ndarray, mask: np.ndarray, digit: np.ndarray, level: float) -> str | None:
    """Say what a picture is whose marks do not stand out as a pen's strokes do.

    The limits lie between blank pages and noise of many kinds, and the weakest of real digits.
    """
    large = max(ink.shape) > _SMALL
    paper = mask == 0
    if min(ink.shape) < 5 or not paper.any():
        return None  # too narrow to tell
    across, down = (cv2.Sobel(ink, -1, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    slope = cv2.magnitude(across, down)
    edge = cv2.dilate(digit, _NEIGHBOURS) > cv2.erode(digit, _NEIGHBOURS)
    edge_slope = float(slope[edge].mean())
    faint = level < 6 * float(ink[paper].std())
    blurred = edge_slope * _stroke_width(digit) < 0.6 * level
    textured = large and edge_slope < 2.1 * float(slope[paper].mean())
    if faint or blurred or textured:
        return BLANK if level < 64 else "noise"
    holes = cv2.connectedComponents(1 - digit, connectivity=4)[0] - 2
    border = np.concatenate([digit[0], digit[-1], digit[:, 0], digit[:, -1]])
    if holes > (80 if large else 8) or (large and border.mean() > 0.4):
        return "noise"
    return None


def _local_level(ink: np.ndarray, level: float, size: int) -> np.ndarray:
    """How strong full ink is hereabouts: a pen presses harder in one stroke than in another."""
    window = max(3, size // 6) | 1
    local = cv2.dilate(ink, np.ones((window, window), np.uint8))
    return np.clip(cv2.blur(local, (window, window)), 0.3 * level, level)


def _threshold(ink: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the ink is (0 or 1), and how strong it is; a strength of 0 if there is none."""
    small = max(ink.shape) <= _SMALL
    # A small picture may be nothing but its digit, with too little paper to tell the ink from.
    seen = np.pad(ink, _ROOM) if small else ink
    otsu, _ = cv2.threshold(np.clip(seen, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    paper = seen[seen <= otsu]
    middle = _median(paper)
    noise = 1.4826 * _median(np.abs(paper - middle))
    floor = max(middle + 5 * noise, 4.0)
    loud = ink[ink > floor]
    level = float(np.percentile(loud, 75)) if loud.size >= 3 else 0.0
    if level < _MIN_CONTRAST:
        return np.zeros(ink.shape, np.uint8), 0.0
    low, high = (0.12, 0.5) if small else (0.35, 0.5)
    _, labels = cv2.connectedComponents((ink > max(low * level, floor)).astype(np.uint8))
    strong = np.zeros(labels.max() + 1, np.uint8)
    strong[labels[ink > max(high * level, floor)]] = 1
    strong[0] = 0
    return strong[labels], level


def _median(values: np.ndarray) -> float:
    """As np.median of (n,) values, which imports numpy.ma first: 10 ms for a single picture."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return float((ordered[low] + ordered[high]) / 2)


def _without_ruled_lines(mask: np.ndarray) -> np.ndarray:
    if min(mask.shape) <= _SMALL:
        return mask
    mask = _without_horizontal_lines(mask)
    return np.ascontiguousarray(_without_horizontal_lines(np.ascontiguousarray(mask.T)).T)


def _without_horizontal_lines(mask: np.ndarray) -> np.ndarray:
    """Drop thin lines from side to side, but not the strokes that cross or lie on them."""
    height, width = mask.shape
    runs = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, width // 12), np.uint8))
    if not runs.any():
        return mask
    runs = cv2.dilate(runs, _NEIGHBOURS) & mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs)
    for line in range(1, count):
        length, rise = stats[line, 2:4]
        if length < 0.9 * width or rise > 0.2 * height:
            continue
        on_line = labels == line
        thickness = int(np.median(on_line.sum(axis=0)))
        if thickness < 0.04 * height:
            crossing = np.ones((2 * thickness + 1, 1), np.uint8)
            strokes = cv2.morphologyEx(mask, cv2.MORPH_OPEN, crossing)
            mask = np.where(on_line & (strokes == 0), 0, mask).astype(np.uint8)
    return mask


def _one_digit(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Keep the pieces of the main digit; count the digits that stand beside each other."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask, count - 1
    x, y, width, height, area = stats[1:].T.astype(float)
    size = np.hypot(width, height)
    weight = np.sqrt(area) * size
    small = max(mask.shape) <= _SMALL
    contact: np.ndarray = np.zeros(count - 1)
    if not small:
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        contact = np.bincount(edge, minlength=count)[1:]
        weight *= np.where(contact > 0.4 * size, 0.05, np.where(contact > 0, 0.7, 1))
        for i in range(count - 1):
            inside = (x > x[i]) & (y > y[i]) & (x + width < x[i] + width[i])
            inside &= (y + height < y[i] + height[i]) & (height > 0.25 * height[i])
            if inside.any() and _has_four_corners(labels == i + 1, stats[i + 1]):
                weight[i] = 0
    main = int(weight.argmax())
    left, top = x[main], y[main]
    right, bottom = left + width[main], top + height[main]
    digits, keep = 1, np.zeros(count, np.uint8)
    keep[main + 1] = 1
    for i in np.argsort(-weight):
        if i == main or weight[i] < 0.01 * weight[main] or area[i] < 0.005 * area[main]:
            continue
        scale = max(right - left, bottom - top)
        gap_x = max(x[i] - right, left - x[i] - width[i], 0)
        gap_y = max(y[i] - bottom, top - y[i] - height[i], 0)
        union = max(right, x[i] + width[i]) - min(left, x[i])
        tall = height[i] > 0.5 * height[main] and weight[i] > 0.1 * weight[main]
        if tall and gap_x > 0 and (gap_x > 0.12 * scale or union > 1.1 * scale):
            digits += 1
            continue
        # A large piece may lie apart; a speck, or what comes in from the border, may not.
        apart = size[i] > 0.15 * scale and contact[i] <= contact[main]
        if small or max(gap_x, gap_y) < (0.3 if apart else 0.08) * scale:
            keep[i + 1] = 1
            left, top = min(left, x[i]), min(top, y[i])
            right, bottom = max(right, x[i] + width[i]), max(bottom, y[i] + height[i])
    return keep[labels], digits


def _has_four_corners(piece: np.ndarray, stats: np.ndarray) -> bool:
    """Whether a piece reaches into every corner of its bounding box, as a drawn box does."""
    x, y, width, height = stats[:4]
    box = piece[y : y + height, x : x + width]
    return all(bool(corner.any()) for corner in _corners(box, 8))


# 6. Stroke width -------------------------------------------------------------------------------


def _with_usual_width(strokes: np.ndarray) -> np.ndarray:
    """Thicken or thin strokes whose width MNIST does not have, before they are made small."""
    scale = BOX * _FINE / max(strokes.shape)
    if scale > 1:
        size = (max(1, round(strokes.shape[1] * scale)), max(1, round(strokes.shape[0] * scale)))
        strokes = cv2.resize(strokes, size, interpolation=cv2.INTER_LANCZOS4)
    longest = max(strokes.shape)
    strokes = np.pad(strokes, longest // 4)
    narrow, wide = (width * longest / BOX for width in _STROKE_WIDTHS)
    for threshold in (127, 159, 191):  # a higher one thins, and opens loops that are nearly shut
        ink = (strokes > threshold).astype(np.uint8)
        if not ink.any():
            return strokes
        width = _stroke_width(ink)
        if width <= wide:
            break
    usual = min(max(width, narrow), wide)
    if threshold == 127 and abs(usual - width) < 0.006 * longest:
        return strokes
    # The longer side grows with the stroke, and is brought back to the box afterwards.
    grow = (usual - width) / (2 - 2 * usual / longest)
    inside = cv2.distanceTransform(ink, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
    depth: np.ndarray = inside - outside + grow + 0.5
    return (np.clip(depth, 0, 1) * 255).astype(np.uint8)


def _stroke_width(ink: np.ndarray) -> float:
    """The mean width in pixels: distances to the edge run from 0 to w/2 across a stroke of w."""
    inside = cv2.distanceTransform(cv2.copyMakeBorder(ink, 1, 1, 1, 1, 0), cv2.DIST_L2, 5)
    inside = inside[inside > 0]
    return 3 * float((inside**2).sum() / inside.sum())


# 7. Place --------------------------------------------------------------------------------------


def _place(strokes: np.ndarray) -> np.ndarray:
    """Take the slant out, fit into the box, put the centre of mass in the middle."""
    moments = cv2.moments(strokes)
    if not moments["m00"]:
        return np.zeros((SIDE, SIDE), np.uint8)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    slant = moments["mu11"] / moments["mu02"] if moments["mu02"] else 0.0
    slant = max(-1.0, min(1.0, slant))
    rows, columns = np.nonzero(strokes > _INK)
    columns = columns - slant * (rows - y)
    extent = max(columns.max() - columns.min(), rows[-1] - rows[0]) + 1
    step = extent / (BOX * _FINE)  # pixels of `strokes` to a pixel of the canvas
    middle = (SIDE // 2 + 0.5) * _FINE - 0.5
    across = (step, step * slant, x - step * middle * (1 + slant))
    back = np.array([across, (0, step, y - step * middle)], np.float32)
    canvas = cv2.warpAffine(
        strokes,
        back,
        (SIDE * _FINE, SIDE * _FINE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.asarray(cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
