"""Draw the sample pictures that lie beside this script.

Every picture is made here from pen strokes: no font, no photo, no other person's handwriting.
The same library versions draw the same files.

    python samples/draw_samples.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Floats = npt.NDArray[np.float32]
Colour = tuple[int, int, int]
Stroke = Sequence[tuple[float, float]]

FOLDER = Path(__file__).resolve().parent

# Points that the pen passes through, in units of the digit's height: x to the right, y down from
# the top line (0) to the base line (1). One list of points is one stroke.
STROKES: dict[str, list[Stroke]] = {
    "0": [
        [(0.36, 0.03), (0.17, 0.10), (0.04, 0.38), (0.04, 0.68), (0.17, 0.94), (0.36, 0.99)]
        + [(0.55, 0.84), (0.63, 0.55), (0.58, 0.24), (0.44, 0.06), (0.29, 0.03)]
    ],
    "1": [[(0.06, 0.27), (0.20, 0.16), (0.33, 0.01), (0.33, 0.35), (0.31, 0.70), (0.30, 1.00)]],
    "2": [
        [(0.04, 0.24), (0.14, 0.06), (0.35, 0.00), (0.53, 0.12), (0.53, 0.33), (0.37, 0.60)]
        + [(0.15, 0.85), (0.03, 0.98), (0.25, 0.95), (0.45, 0.98), (0.66, 0.93)]
    ],
    "3": [
        [(0.05, 0.14), (0.22, 0.01), (0.43, 0.04), (0.51, 0.20), (0.41, 0.38), (0.22, 0.47)]
        + [(0.22, 0.48), (0.45, 0.53), (0.57, 0.72), (0.46, 0.92), (0.22, 1.00), (0.02, 0.89)]
    ],
    "4": [
        [(0.29, 0.00), (0.21, 0.24), (0.03, 0.61), (0.24, 0.63), (0.47, 0.61), (0.68, 0.59)],
        [(0.51, 0.26), (0.49, 0.50), (0.46, 0.76), (0.45, 1.02)],
    ],
    "5": [
        [(0.15, 0.04), (0.12, 0.22), (0.09, 0.44), (0.27, 0.38), (0.46, 0.43), (0.56, 0.63)]
        + [(0.49, 0.86), (0.28, 0.99), (0.02, 0.92)],
        [(0.15, 0.05), (0.35, 0.04), (0.60, 0.00)],
    ],
    "6": [
        [(0.47, 0.00), (0.27, 0.17), (0.10, 0.44), (0.03, 0.71), (0.12, 0.93), (0.31, 1.00)]
        + [(0.50, 0.89), (0.54, 0.69), (0.41, 0.54), (0.22, 0.58), (0.08, 0.76)]
    ],
    "7": [
        [(0.02, 0.06), (0.20, 0.04), (0.42, 0.06), (0.62, 0.02), (0.50, 0.25), (0.36, 0.52)]
        + [(0.27, 0.78), (0.23, 1.01)]
    ],
    "7 barred": [
        [(0.03, 0.10), (0.22, 0.05), (0.43, 0.07), (0.61, 0.03), (0.49, 0.27), (0.34, 0.55)]
        + [(0.25, 0.80), (0.20, 1.00)],
        [(0.16, 0.50), (0.35, 0.48), (0.55, 0.45)],
    ],
    "8": [
        [(0.49, 0.11), (0.32, 0.00), (0.13, 0.09), (0.13, 0.29), (0.30, 0.45), (0.50, 0.63)]
        + [(0.55, 0.84), (0.38, 0.99), (0.14, 0.95), (0.05, 0.75), (0.20, 0.54), (0.43, 0.36)]
        + [(0.53, 0.20), (0.46, 0.08)]
    ],
    "9": [
        [(0.51, 0.13), (0.33, 0.01), (0.12, 0.10), (0.05, 0.32), (0.17, 0.47), (0.37, 0.42)]
        + [(0.50, 0.25), (0.52, 0.10), (0.50, 0.40), (0.46, 0.70), (0.41, 1.00)]
    ],
}


def catmull_rom(points: Floats, samples: int = 24) -> Floats:
    """Return the smooth curve through ``points``, shape (n, 2) (Catmull and Rom 1974)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, samples, endpoint=False, dtype=np.float32)[None, :, None]
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]]).astype(np.float32)


def texture(shape: tuple[int, int], grain: float, rng: np.random.Generator) -> Floats:
    """Return smooth noise, mean 0 and deviation 1, with blots of about ``grain`` pixels."""
    height, width = shape
    coarse = rng.normal(size=(int(height / grain) + 2, int(width / grain) + 2))
    noise = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def handwriting(
    digit: str,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    height: float = 0.6,
    centre: tuple[float, float] = (0.5, 0.5),
    pen: float = 0.09,
    slant: float = 0.12,
    rough: float = 0.0,
) -> Floats:
    """Return how much ink lies on each pixel, 0 to 1, shape (height, width) of ``size``.

    ``height`` is the digit's share of the picture's height, ``centre`` its place as shares of
    width and height, ``pen`` the stroke's width and ``slant`` the lean, as shares of the digit's
    height; ``rough`` above 0 lets the paper's grain show through, as with chalk or pencil.
    """
    width, full_height = size
    unit = height * full_height
    oversampling = 4
    canvas = np.zeros((full_height * oversampling, width * oversampling), np.uint8)
    shear = np.array([[1, 0], [-slant, rng.uniform(0.95, 1.05)]], np.float32)
    middle = np.array([0.32, 0.5], np.float32)
    for stroke in STROKES[digit]:
        points = np.array(stroke, np.float32) + rng.normal(0, 0.012, (len(stroke), 2))
        curve = (catmull_rom(points.astype(np.float32)) - middle) @ shear * unit
        curve = (curve + np.array(centre) * size) * oversampling
        # The hand presses harder here and lighter there, and lifts towards the end.
        pressure = 1 + 0.1 * np.sin(np.linspace(0, 9, len(curve)) + rng.uniform(0, 6))
        pressure[-12:] *= np.linspace(1, 0.7, 12)
        widths = np.maximum(1, pressure * pen * unit * oversampling).round().astype(int)
        fixed = np.round(curve * 16).astype(int)  # four fractional bits for cv2.line
        for start, end, thickness in zip(fixed[:-1], fixed[1:], widths[1:], strict=True):
            a, b = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
            cv2.line(canvas, a, b, 255, int(thickness), cv2.LINE_AA, shift=4)
    ink = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    if rough:
        ink *= np.clip(1 - rough + rough * texture(ink.shape[:2], 2.5, rng), 0, 1)
    return ink


def paper(
    size: tuple[int, int], colour: Colour, rng: np.random.Generator, grain: float = 2.0
) -> Floats:
    """Return a sheet of ``colour``, RGB 0 to 255, shape (height, width, 3), with its texture."""
    fine = texture(size[::-1], max(2.0, size[1] / 300), rng)
    blotchy = texture(size[::-1], size[1] / 4, rng)
    return np.array(colour, np.float32) + (grain * (0.6 * fine + blotchy))[..., None]


def rule(sheet: Floats, spacing: int, colour: Colour, *, squared: bool = False) -> Floats:
    """Print lines on ``sheet``, every ``spacing`` pixels, across and if ``squared`` also down."""
    thickness = max(1, spacing // 40)
    for y in range(spacing // 2, sheet.shape[0], spacing):
        sheet[y : y + thickness] = colour
    for x in range(spacing // 2, sheet.shape[1] if squared else 0, spacing):
        sheet[:, x : x + thickness] = colour
    return sheet


def shade(picture: Floats, darkest: float, angle: float) -> Floats:
    """Let a soft shadow fall over ``picture``: light from 1 down to ``darkest`` along ``angle``."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    along = x * np.cos(angle) + y * np.sin(angle)
    light = darkest + (1 - darkest) / (1 + np.exp(-4 * along))
    return np.asarray(picture * light[..., None], dtype=np.float32)


def write(sheet: Floats, ink: Floats, colour: Colour) -> Floats:
    """Lay ``ink`` of ``colour`` on ``sheet``."""
    return sheet + (np.array(colour, np.float32) - sheet) * ink[..., None]


def picture(pixels: Floats) -> Image.Image:
    """Return ``pixels``, 0 to 255, as an 8-bit image: grey if 2-D, RGB if 3-D."""
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def photo(pixels: Floats, blur: float, rng: np.random.Generator) -> Image.Image:
    """Return ``pixels`` as a camera takes them: a little soft, a little noisy."""
    soft = cv2.GaussianBlur(pixels, (0, 0), blur)
    return picture(soft + rng.normal(0, 1.2, soft.shape).astype(np.float32))


def grey(ink: Floats, rng: np.random.Generator) -> Floats:
    """Return a grey scan of nearly black ``ink`` on nearly white paper."""
    return (246 + 1.5 * texture(ink.shape[:2], 2, rng)) * (1 - 0.88 * ink)


def plain_pictures(rng: np.random.Generator) -> None:
    """Draw digits on plain grounds: different sizes, polarities, places and file formats."""

    def save(image: Image.Image, name: str) -> None:
        image.save(FOLDER / name, optimize=True)

    small = handwriting("0", (28, 28), rng, height=0.7, pen=0.13)
    save(picture(255 * small), "0-light-on-dark-28x28.png")
    small = handwriting("7 barred", (32, 32), rng, height=0.66, pen=0.1)
    save(picture(255 - 235 * small), "7-dark-on-light-32x32.png")
    corner = handwriting("8", (400, 300), rng, height=0.2, centre=(0.82, 0.78), pen=0.1)
    save(picture(grey(corner, rng)), "8-in-the-corner.png")
    felt_pen = handwriting("9", (200, 260), rng, height=0.7, pen=0.16, slant=0.05)
    save(picture(grey(felt_pen, rng)), "9-felt-pen.png")
    inverted = handwriting("5", (180, 220), rng, height=0.65, pen=0.07, slant=0.2)
    save(picture(255 - grey(inverted, rng)), "5-inverted-scan.png")

    alpha = picture(255 * handwriting("3", (240, 240), rng, pen=0.08))
    transparent = Image.new("RGBA", alpha.size)  # black, as drawing programs export their ink
    transparent.putalpha(alpha)
    save(transparent, "3-transparent.png")
    one_bit = picture(255 - 255 * handwriting("3", (150, 180), rng, height=0.7, pen=0.09))
    save(one_bit.point(lambda level: 255 * (level > 127), mode="1"), "3-one-bit.png")
    deep = grey(handwriting("5", (160, 160), rng, height=0.65, pen=0.1), rng) / 255
    save(Image.fromarray((deep.clip(0, 1) * 65535).astype(np.uint16)), "5-sixteen-bit.png")
    marker = write(paper((200, 200), (255, 236, 150), rng), handwriting("6", (200, 200), rng,
                   pen=0.12), (120, 30, 120))
    save(picture(marker).quantize(16), "6-palette.gif")
    both = handwriting("4", (300, 180), rng, centre=(0.27, 0.5)) + handwriting(
        "2", (300, 180), rng, centre=(0.7, 0.52)
    )
    save(picture(grey(both, rng)), "two-digits.png")


def photos(rng: np.random.Generator) -> None:
    """Draw digits as phones and cameras see them."""

    def save(image: Image.Image, name: str, **options: object) -> None:
        image.save(FOLDER / name, quality=80, optimize=True, **options)

    blue, black, white = (35, 50, 120), (40, 38, 45), (226, 222, 212)

    size = (640, 640)
    sheet = rule(paper(size, white, rng), 80, (150, 175, 205))
    ink = handwriting("1", size, rng, height=0.4, pen=0.05)
    save(photo(write(sheet, ink, blue), 1.0, rng), "1-ruled-paper.jpg")

    sheet = rule(paper(size, white, rng), 64, (165, 190, 200), squared=True)
    ink = handwriting("8", size, rng, height=0.45, pen=0.06)
    save(photo(write(sheet, ink, black), 1.0, rng), "8-squared-paper.jpg")

    size = (480, 600)
    sheet = paper(size, (238, 236, 230), rng)
    cv2.rectangle(sheet, (70, 90), (410, 510), (70, 70, 70), 5)
    ink = handwriting("2", size, rng, height=0.45, pen=0.06)
    save(photo(write(sheet, ink, blue), 0.9, rng), "2-form-box.jpg")

    size = (900, 700)
    ink = handwriting("7", size, rng, height=0.5, centre=(0.55, 0.5), pen=0.06)
    shadow = shade(write(paper(size, white, rng), ink, black), 0.3, 0.6)
    save(photo(shadow, 1.2, rng), "7-shadow.jpg")

    size = (2000, 1500)
    ink = handwriting("4", size, rng, height=0.45, centre=(0.42, 0.55), pen=0.022)
    thin = shade(write(paper(size, white, rng), ink, blue), 0.75, 2.5)
    save(photo(thin, 1.5, rng), "4-thin-pen-large-photo.jpg")

    # Both colours have the luma 140 (ITU-R BT.601): in grey, ink and paper are alike.
    size = (500, 500)
    ink = handwriting("0", size, rng, height=0.55, pen=0.09, slant=0.2)
    coloured = write(paper(size, (100, 164, 127), rng, 1.0), ink, (238, 100, 93))
    save(photo(coloured, 0.8, rng), "0-coloured-ink.jpg")

    size = (600, 450)
    ink = handwriting("9", size, rng, height=0.55, pen=0.07, rough=0.25)
    board = shade(write(paper(size, (48, 72, 60), rng, 4.0), ink, (225, 228, 220)), 0.7, 4)
    save(photo(board, 0.9, rng), "9-chalk-on-board.jpg")

    ink = handwriting("6", size, rng, height=0.5, centre=(0.4, 0.5), pen=0.05, rough=0.25)
    pencil = write(paper(size, (205, 203, 196), rng), 0.75 * ink, (105, 105, 108))
    save(photo(pencil, 0.9, rng), "6-pencil.jpg")

    # The camera was held upright and stored the rows of its sensor: 6 means "turn clockwise".
    ink = handwriting("2", (450, 600), rng, height=0.5, pen=0.07)
    upright = photo(write(paper((450, 600), white, rng), ink, black), 1.0, rng)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    save(upright.transpose(Image.Transpose.ROTATE_90), "2-exif-rotated.jpg", exif=exif)

    save(photo(shade(paper((700, 500), white, rng, 4.0), 0.7, 1.0), 1.2, rng), "blank-page.jpg")


def main() -> None:
    """Write all samples into the folder of this script."""
    plain_pictures(np.random.default_rng(1))
    photos(np.random.default_rng(2))
    (FOLDER / "not-an-image.png").write_text("This is a line of text, not an image.\n")


if __name__ == "__main__":
    main()
