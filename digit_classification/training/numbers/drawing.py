"""Pictures of numbers whose text is known: digits written side by side on the papers of `scenes`.

rng = np.random.default_rng(1)
digits = Digits(images, labels)  # in MNIST's convention
picture = draw_number(rng, digits, Layout("touching", paper="ruled"))
picture.pixels, picture.text  # what a file would hold, '1984'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from digit_classification.training.scenes import Digits, cameras, lines, papers
from digit_classification.training.scenes.kinds.cells import squared
from digit_classification.training.scenes.sheet import Ink, Rng, Sheet
from digit_classification.training.scenes.strokes import any_hand, from_paths, write

Spacing = Literal["apart", "close", "touching", "overlapping"]
Paper = Literal["clean", "plain", "ruled", "squared", "boxes", "box", "comb", "desk"]
SPACINGS: tuple[Spacing, ...] = get_args(Spacing)
PAPERS: tuple[Paper, ...] = get_args(Paper)

# The narrowest gap between two digits, in shares of their height; below 0 they share ink.
_GAPS: dict[Spacing, tuple[float, float]] = {
    "apart": (0.12, 0.45),
    "close": (0.02, 0.1),
    "touching": (-0.03, -0.01),
    "overlapping": (-0.1, -0.05),
}
_PATHS = {  # of signs, in shares of a digit's height; where each stands: see `_place_of`
    "-": [np.array([[0.0, 0.0], [0.4, 0.02]])],
    ",": [np.array([[0.06, 0.0], [0.07, 0.08], [0.0, 0.2]])],
    ".": [np.array([[0.0, 0.0], [0.015, 0.01]])],
}


@dataclass(frozen=True)
class Layout:
    """How a number is written.

    Attributes:
        spacing: of its digits; in boxes and combs each has its own place.
        paper: what it stands on.
        count: its digits, at least and at most.
        slope: degrees by which its base line may rise or fall.
        signs: the share of numbers with a minus, a comma or a point.
        real: whether a camera or a scanner takes the picture.
        contacts: how many neighbours are spaced so, the others being close; None for all.
    """

    spacing: Spacing = "apart"
    paper: Paper = "clean"
    count: tuple[int, int] = (1, 8)
    slope: float = 0.0
    signs: float = 0.0
    real: bool = False
    contacts: int | None = None


@dataclass(frozen=True)
class NumberPicture:
    """A picture of a number.

    Attributes:
        pixels: (h, w) or (h, w, 3) uint8, as a file would be decoded.
        text: what it shows.
        owner: (h, w) int16, 1 for the ink of the first sign, and so on; 0 elsewhere. Of a sheet on
            a desk, which is seen from aside, None.
    """

    pixels: np.ndarray
    text: str
    owner: np.ndarray | None


def any_layout(rng: Rng) -> Layout:
    """Return one of the ways in which people write numbers."""
    paper = PAPERS[rng.integers(len(PAPERS))]
    spacing = SPACINGS[rng.choice(len(SPACINGS), p=(0.3, 0.3, 0.25, 0.15))]
    return Layout(
        spacing,
        paper,
        slope=float(rng.choice((0.0, 6.0))),
        signs=0.15 if paper not in ("boxes", "comb") else 0.0,
        real=paper != "clean" or rng.random() < 0.5,
        contacts=1 if rng.random() < 0.6 else None,
    )


def draw_number(rng: Rng, digits: Digits, layout: Layout) -> NumberPicture:
    """Draw one."""
    count = int(rng.integers(layout.count[0], layout.count[1] + 1))
    text = "".join(map(str, rng.integers(10, size=count)))
    if rng.random() < layout.signs:
        text = _with_sign(rng, text)
    if layout.paper == "clean":
        return _clean(rng, digits, text, layout)
    height = float(np.exp(rng.uniform(np.log(22), np.log(80))))
    pen, slant = float(np.exp(rng.uniform(np.log(0.04), np.log(0.13)))), rng.normal(0.1, 0.15)
    written = [_written(rng, digits, sign, height, pen, slant) for sign in text]
    if layout.paper in ("boxes", "box", "comb"):
        sheet, places, ink = _in_cells(rng, written, text, height, layout)
    else:
        places = _places(rng, written, text, height, layout)
        sheet, places, ink = _on_paper(rng, written, places, height, layout)
    owner = _lay_down(rng, sheet, written, places, ink)
    on_desk = layout.paper == "desk"
    if on_desk:
        desk = papers.wood(rng, round(1.5 * sheet.height), round(1.25 * sheet.width))
        sheet = cameras.lay_on(rng, sheet, desk, 0.6, float(rng.normal(0, 2)))
    if layout.real:
        _take_picture(rng, sheet, height)
    pixels = np.clip(sheet.pixels + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return NumberPicture(pixels, text, None if on_desk else owner)


def _take_picture(rng: Rng, sheet: Sheet, height: float) -> None:
    """Leave a picture as drawn, scan it, or take a photo; blurred as digits so high would be."""
    chance = rng.random()
    if chance < 0.55:  # a telephone
        cameras.shade(rng, sheet, float(rng.uniform(0.02, 0.25)))
        if rng.random() < 0.2:
            cameras.shadow(rng, sheet)
        cameras.blur(sheet, float(rng.uniform(0.3, 0.8) + rng.uniform(0, 0.025) * height))
        cameras.grain(rng, sheet, float(rng.uniform(0.3, 5)), rng.random() < 0.3)
        cameras.jpeg(sheet, int(rng.integers(60, 96)))
    elif chance < 0.8:
        cameras.blur(sheet, float(rng.uniform(0, 0.02)) * height)
        cameras.grain(rng, sheet, float(rng.uniform(0, 3)))


def _with_sign(rng: Rng, text: str) -> str:
    if len(text) == 1 or rng.random() < 0.4:
        return "-" + text
    at = int(rng.integers(1, len(text)))
    return text[:at] + ",."[rng.integers(2)] + text[at:]


def _clean(rng: Rng, digits: Digits, text: str, layout: Layout) -> NumberPicture:
    """Set digits as the dataset has them side by side, light on dark or dark on light."""
    height = 20.0
    written = []
    for sign in text:
        if sign.isdigit():
            image = digits.choose(rng, int(sign))[1]
            x, y, w, h = cv2.boundingRect((image > 30).astype(np.uint8))
            written.append(image[y : y + h, x : x + w].astype(np.float32) / 255)
        else:
            written.append(_sign(rng, sign, height, 0.12))
    places = _places(rng, written, text, height, layout)
    margin = int(rng.integers(3, 9))
    width, depth, places = _with_margins(written, places, (margin,) * 4)
    sheet = papers.flat(np.zeros(3), depth, width)
    owner = _lay_down(rng, sheet, written, places, Ink(np.full(3, 255, np.float32)))
    pixels = np.clip(sheet.pixels[..., 0] + 0.5, 0, 255).astype(np.uint8)
    return NumberPicture(255 - pixels if rng.random() < 0.5 else pixels, text, owner)


def _written(
    rng: Rng, digits: Digits, sign: str, height: float, pen: float, slant: float
) -> np.ndarray:
    """Return the ink of a sign, (h, w) float32 in 0..1, as one writer writes it."""
    if not sign.isdigit():
        return _sign(rng, sign, height, pen)
    own = height * float(rng.uniform(0.85, 1.12))
    lean = float(slant + rng.normal(0, 0.06))
    return digits.take(rng, int(sign), height=own, pen=pen, slant=lean)[1]


def _sign(rng: Rng, sign: str, height: float, pen: float) -> np.ndarray:
    """Return the ink of a minus, a comma or a point."""
    paths = [path * float(rng.uniform(0.8, 1.3)) for path in _PATHS[sign]]
    fine = max(1, int(np.ceil(60 / height)))
    coverage = write(rng, from_paths(paths), height * fine, any_hand(rng, max(pen, 0.06), 0.0))
    if fine == 1:
        return coverage
    size = [max(1, round(side / fine)) for side in coverage.shape[::-1]]
    return cv2.resize(coverage, size, interpolation=cv2.INTER_AREA)


def _places(
    rng: Rng, written: list[np.ndarray], text: str, height: float, layout: Layout
) -> list[tuple[int, int]]:
    """Return left and top of each sign, from 0 on, as one writes along a base line."""
    slope = float(np.tan(np.deg2rad(rng.uniform(-layout.slope, layout.slope))))
    spacings: list[Spacing] = [layout.spacing] * len(text)
    if layout.contacts is not None:
        kept = 1 + rng.permutation(len(text) - 1)[: layout.contacts]
        spacings = [layout.spacing if i in kept else "close" for i in range(len(text))]
    usual = rng.uniform()
    places: list[tuple[int, int]] = []
    for index, (sign, ink) in enumerate(zip(text, written, strict=True)):
        low, high = _GAPS[spacings[index]]
        gap = low + (high - low) * usual
        gap = float(np.clip(gap + rng.normal(0, 0.03), low, high))
        if not sign.isdigit() or (index and not text[index - 1].isdigit()):
            gap = float(rng.uniform(0.06, 0.2))
        across = 0.0 if not places else _beside(written[index - 1], places[-1], ink)
        top = _top_of(sign, ink, height) + rng.normal(0, 0.03) * height
        left = 0 if not places else round(across + gap * height)
        top = round(top + slope * left)
        if places:  # at this height now
            left = round(_beside(written[index - 1], places[-1], ink, top) + gap * height)
        places.append((left, top))
    return places


def _top_of(sign: str, ink: np.ndarray, height: float) -> float:
    """Return where the top of a sign is, that of a digit being 0 and its foot `height`."""
    if sign == "-":
        return 0.52 * height - ink.shape[0] / 2
    if sign == ",":
        return 0.9 * height
    return height - ink.shape[0]


def _beside(
    before: np.ndarray, place: tuple[int, int], ink: np.ndarray, top: int | None = None
) -> float:
    """Return the left side of ink that touches what was written before without overlapping it."""
    left, above = place
    top = above + before.shape[0] - ink.shape[0] if top is None else top
    first, last = max(above, top), min(above + before.shape[0], top + ink.shape[0])
    if last - first < 3:
        return left + before.shape[1]
    ends = _edge(before[first - above : last - above, ::-1])
    starts = _edge(ink[first - top : last - top])
    room = (left + before.shape[1] - ends)[:, None] - starts[None]
    near = abs(np.arange(last - first)[:, None] - np.arange(last - first)[None]) <= 1
    return float(np.max(np.where(near & np.isfinite(room), room, -np.inf), initial=left + 1))


def _edge(ink: np.ndarray) -> np.ndarray:
    """Return how far ink is from the left side in each row; infinite where there is none."""
    inked = ink > 0.4
    return np.where(inked.any(axis=1), inked.argmax(axis=1), np.inf)


def _with_margins(
    written: list[np.ndarray], places: list[tuple[int, int]], margins: tuple[int, int, int, int]
) -> tuple[int, int, list[tuple[int, int]]]:
    """Return width, height and places of what gets such margins: left, top, right, bottom."""
    boxes = [
        (x, y, x + i.shape[1], y + i.shape[0]) for (x, y), i in zip(places, written, strict=True)
    ]
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[2] for b in boxes), max(b[3] for b in boxes)
    moved = [(x - left + margins[0], y - top + margins[1]) for x, y in places]
    width, height = right - left + margins[0] + margins[2], bottom - top + margins[1] + margins[3]
    return width, height, moved


def _on_paper(
    rng: Rng,
    written: list[np.ndarray],
    places: list[tuple[int, int]],
    height: float,
    layout: Layout,
) -> tuple[Sheet, list[tuple[int, int]], Ink]:
    """Return paper around a number, ruled or not, where the number stands on it, and its ink."""
    room = [round(height * float(rng.uniform(0.15, 1.2))) for _ in range(4)]
    width, depth, places = _with_margins(written, places, (room[0], room[1], room[2], room[3]))
    paper = papers.any_paper if layout.paper == "plain" else papers.light_paper
    sheet = paper(rng, depth, width)
    pen = papers.pen_for(rng, sheet)  # for the paper, whatever is printed on it
    if layout.paper == "ruled":
        gap = height * float(rng.uniform(1.1, 2.2))
        ink = papers.printed_on(rng, sheet, float(rng.uniform(0.25, 0.8)))
        foot = places[0][1] + written[0].shape[0] + height * float(rng.normal(0.05, 0.1))
        line = max(0.5, gap * float(rng.uniform(0.01, 0.04)))
        lines.rules(rng, sheet, gap, line, ink, first=float(foot % gap))
    elif layout.paper == "squared":
        squares = Sheet(sheet.pixels)
        squared(rng, squares)
        sheet = squares
    return sheet, places, pen


def _in_cells(
    rng: Rng, written: list[np.ndarray], text: str, height: float, layout: Layout
) -> tuple[Sheet, list[tuple[int, int]], Ink]:
    """Return a printed row of cells, where a digit stands in each or all in one, and their ink."""
    cell = height * float(rng.uniform(1.25, 1.7))
    wide = max(cell * float(rng.uniform(0.75, 1.0)), max(i.shape[1] for i in written) + 2.0)
    if layout.paper == "box":
        places = _places(rng, written, text, height, layout)
        room = round((cell - height) / 2) + 1
        width, depth, places = _with_margins(written, places, (room, room, room, room))
        frames = [(0.0, float(width))]
        cell = float(depth)
    else:
        apart = float(rng.choice((0.0, 0.12))) * wide if layout.paper == "boxes" else 0.0
        starts = [(wide + apart) * i for i in range(len(text))]
        frames = [(start, start + wide) for start in starts]
        places = []
        for start, ink in zip(starts, written, strict=True):
            spare = np.maximum(0, np.array([wide - ink.shape[1], cell - ink.shape[0]]))
            x, y = spare * (0.5 + np.clip(rng.normal(0, 0.17, 2), -0.5, 0.5))
            places.append((round(start + x), round(y)))
    margins = height * rng.uniform(0.1, 0.7, 4)
    if rng.random() < 0.2:
        margins *= 0  # cut out along its lines
    left, top = float(margins[0]), float(margins[1])
    size = round(cell + top + margins[3]), round(frames[-1][1] + left + margins[2])
    sheet = papers.light_paper(rng, *size)
    pen = papers.pen_for(rng, sheet)
    printed = papers.printed_on(rng, sheet, float(rng.uniform(0.4, 1)))
    line = max(0.8, height * float(rng.uniform(0.015, 0.05)))
    teeth = float(rng.uniform(0.25, 0.6)) if layout.paper == "comb" else 1.0
    if layout.paper == "comb":
        whole = (left, top + cell * (1 - teeth), left + frames[-1][1], top + cell)
        lines.frame(rng, sheet, whole, line, printed, sides="lrb")
    for begin, end in frames:
        box = (left + begin, top + cell * (1 - teeth), left + end, top + cell)
        sides = "lr" if layout.paper == "comb" else "ltrb"
        lines.frame(rng, sheet, box, line, printed, sides=sides)
    return sheet, [(round(x + left), round(y + top)) for x, y in places], pen


def _lay_down(
    rng: Rng, sheet: Sheet, written: list[np.ndarray], places: list[tuple[int, int]], ink: Ink
) -> np.ndarray:
    """Write all signs; return whose ink each pixel is."""
    owner = np.zeros((sheet.height, sheet.width), np.int16)
    for index, (coverage, (left, top)) in enumerate(zip(written, places, strict=True), 1):
        sheet.write(rng, coverage, left, top, ink)
        own = Sheet(np.zeros((sheet.height, sheet.width, 3)))
        own.write(rng, coverage, left, top, Ink(np.ones(3, np.float32)))
        owner[own.pixels[..., 0] > 0.35] = index
    return owner
