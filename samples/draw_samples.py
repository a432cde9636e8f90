"""Draw the sample pictures that lie beside this script.

Every picture is made here from pen strokes: no font, no photo, no other person's handwriting.
The same library versions draw the same files.

    python samples/draw_samples.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Floats = npt.NDArray[np.floating[Any]]
Colour = tuple[int, int, int]

FOLDER = Path(__file__).resolve().parent

# Points "x,y" that the pen passes through, in hundredths of the digit's height: x to the right, y
# down from the top line (0) to the base line (100). A semicolon lifts the pen.
STROKES = {
    "0": "36,3 17,10 4,38 4,68 17,94 36,99 55,84 63,55 58,24 44,6 29,3",
    "1": "6,27 20,16 33,1 33,35 31,70 30,100",
    "2": "4,24 14,6 35,0 53,12 53,33 37,60 15,85 3,98 25,95 45,98 66,93",
    "3": "5,14 22,1 43,4 51,20 41,38 22,47 22,48 45,53 57,72 46,92 22,100 2,89",
    "4": "29,0 21,24 3,61 24,63 47,61 68,59; 51,26 49,50 46,76 45,102",
    "5": "15,4 12,22 9,44 27,38 46,43 56,63 49,86 28,99 2,92; 15,5 35,4 60,0",
    "6": "47,0 27,17 10,44 3,71 12,93 31,100 50,89 54,69 41,54 22,58 8,76",
    "7": "2,6 20,4 42,6 62,2 50,25 36,52 27,78 23,101",
    "7 barred": "3,10 22,5 43,7 61,3 49,27 34,55 25,80 20,100; 16,50 35,48 55,45",
    "8": "49,11 32,0 13,9 13,29 30,45 50,63 55,84 38,99 14,95 5,75 20,54 43,36 53,20 46,8",
    "9": "51,13 33,1 12,10 5,32 17,47 37,42 50,25 52,10 50,40 46,70 41,100",
    "-": "9,56 31,54 56,55",
    ",": "33,88 37,98 29,116",
}


def catmull_rom(points: Floats, samples: int = 24) -> Floats:
    """Return the smooth curve through ``points``, shape (n, 2) (Catmull and Rom 1974)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def texture(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> Floats:
    """Return smooth noise, mean 0 and deviation 1, with blots of about ``grain`` pixels."""
    height, width = shape[:2]
    coarse = rng.normal(size=(int(height / grain) + 2, int(width / grain) + 2))
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((noise - noise.mean()) / noise.std())


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
    shear = np.array([[1, 0], [-slant, rng.uniform(0.95, 1.05)]])
    middle = np.array([0.32, 0.5])
    for stroke in STROKES[digit].split(";"):
        points = np.array([pair.split(",") for pair in stroke.split()], float) / 100
        points += rng.normal(0, 0.012, points.shape)
        curve = (catmull_rom(points) - middle) @ shear * unit
        curve = (curve + np.array(centre) * size) * oversampling
        # The hand presses harder here and lighter there, and lifts towards the end.
        pressure = 1 + 0.1 * np.sin(np.linspace(0, 9, len(curve)) + rng.uniform(0, 6))
        pressure[-12:] *= np.linspace(1, 0.7, 12)
        widths = np.maximum(1, pressure * pen * unit * oversampling).round().astype(int)
        fixed = np.round(curve * 16).astype(int)  # four fractional bits for cv2.line
        for start, end, thickness in zip(fixed[:-1], fixed[1:], widths[1:], strict=True):
            a, b = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
            cv2.line(canvas, a, b, 255, int(thickness), cv2.LINE_AA, shift=4)
    ink = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) / 255
    if rough:
        ink *= np.clip(1 - rough + rough * texture(ink.shape, 2.5, rng), 0, 1)
    return ink


def paper(
    size: tuple[int, int], colour: Colour, rng: np.random.Generator, grain: float = 2.0
) -> Floats:
    """Return a sheet of ``colour``, RGB 0 to 255, shape (height, width, 3), with its texture."""
    fine = texture(size[::-1], max(2.0, size[1] / 300), rng)
    blotchy = texture(size[::-1], size[1] / 4, rng)
    return np.array(colour) + (grain * (0.6 * fine + blotchy))[..., None]


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
    return np.asarray(picture * light[..., None])


def write(sheet: Floats, ink: Floats, colour: Colour) -> Floats:
    """Lay ``ink`` of ``colour`` on ``sheet``."""
    return sheet + (np.array(colour) - sheet) * ink[..., None]


def picture(pixels: Floats) -> Image.Image:
    """Return ``pixels``, 0 to 255, as an 8-bit image: grey if 2-D, RGB if 3-D."""
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def photo(pixels: Floats, blur: float, rng: np.random.Generator) -> Image.Image:
    """Return ``pixels`` as a camera takes them: a little soft, a little noisy."""
    soft = cv2.GaussianBlur(pixels, (0, 0), blur)
    return picture(soft + rng.normal(0, 1.2, soft.shape))


def grey(ink: Floats, rng: np.random.Generator) -> Floats:
    """Return a grey scan of nearly black ``ink`` on nearly white paper."""
    return (246 + 1.5 * texture(ink.shape, 2, rng)) * (1 - 0.88 * ink)


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
    marker = write(
        paper((200, 200), (255, 236, 150), rng),
        handwriting("6", (200, 200), rng, pen=0.12),
        (120, 30, 120),
    )
    save(picture(marker).quantize(16), "6-palette.gif")
    both = handwriting("4", (300, 180), rng, centre=(0.27, 0.5)) + handwriting(
        "2", (300, 180), rng, centre=(0.7, 0.52)
    )
    save(picture(grey(both, rng)), "two-digits.png")


def photos(rng: np.random.Generator) -> None:
    """Draw digits as phones and cameras see them."""

    def save(image: Image.Image, name: str, exif: Image.Exif | bytes = b"") -> None:
        image.save(FOLDER / name, quality=80, optimize=True, exif=exif)

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

    # Ink and paper have the same luma (ITU-R BT.601), 141: without colour they look alike.
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
