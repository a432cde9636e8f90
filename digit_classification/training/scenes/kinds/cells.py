"""Kinds of picture with a digit in a cell or on ruled paper, and the same cells left empty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import cameras, compose, letters, lines, papers
from ..compose import digit_on
from ..sheet import Ink, Kind, Rng, Scene, Sheet
from ..strokes import Digits

Cell = Callable[[Rng, Sheet], None]  # prints its lines on a sheet


def _paper(rng: Rng) -> Sheet:
    """Return the paper of a form, as large as a cell that was cut out."""
    return papers.light_paper(rng, *compose.size(rng, 40, 200))


def filled(
    rng: Rng, digits: Digits, cell: Cell, share: tuple[float, float] = (0.45, 0.75)
) -> Scene:
    """Return a cell with a digit."""
    sheet = _paper(rng)
    cell(rng, sheet)
    label = digit_on(rng, digits, sheet, share=share, stray=0.4, pen=_pen(rng))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def empty(rng: Rng, cell: Cell) -> Scene:
    """Return a cell without anything in it, now and then only a strip along a side of it."""
    sheet = _paper(rng)
    cell(rng, sheet)
    if rng.random() < 0.12:
        kept = float(rng.uniform(0.12, 0.5)) * sheet.width
        left = 0.0 if rng.random() < 0.5 else sheet.width - kept
        sheet.crop(left, 0, left + kept, sheet.height)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "blank")


def _pen(rng: Rng) -> float:
    return float(np.exp(rng.uniform(np.log(0.03), np.log(0.14))))


def line_width(rng: Rng, sheet: Sheet) -> float:
    """Return the width of a printed line in pixels."""
    side = min(sheet.height, sheet.width)
    return max(0.7, side * float(np.exp(rng.uniform(np.log(0.01), np.log(0.055)))))


# Cells -----------------------------------------------------------------------------------------


def whole_frame(rng: Rng, sheet: Sheet) -> None:
    """All four sides are in the picture, with some paper around."""
    inset = rng.uniform(0.02, 0.14, 4) * min(sheet.height, sheet.width)
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    lines.frame(rng, sheet, box, line_width(rng, sheet), papers.printed_on(rng, sheet))


def cut_along_the_line(rng: Rng, sheet: Sheet) -> None:
    """The picture ends on the frame: each side's line lies wholly or partly on its border."""
    width = line_width(rng, sheet)
    inset = rng.uniform(-0.2, 1.5, 4) * width
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    turn = rng.normal(0, 0.007) * sheet.width
    ink = papers.printed_on(rng, sheet)
    lines.stroke(rng, sheet, (box[0], 0, box[0] + turn, sheet.height), width, ink)
    lines.stroke(rng, sheet, (box[2], 0, box[2] + turn, sheet.height), width, ink)
    lines.stroke(rng, sheet, (0, box[1] + turn, sheet.width, box[1]), width, ink)
    lines.stroke(rng, sheet, (0, box[3] + turn, sheet.width, box[3]), width, ink)


def one_sided_line(rng: Rng, sheet: Sheet) -> None:
    """One side of a frame reaches into the picture, in dark or faint print."""
    width = line_width(rng, sheet)
    inset = float(rng.uniform(0, 0.1)) * min(sheet.height, sheet.width)
    ink = papers.printed_on(rng, sheet)
    box = (inset, inset, sheet.width - inset, sheet.height - inset)
    side = "ltrb"[rng.integers(4)]
    over = float(sheet.height + sheet.width)
    lines.frame(rng, sheet, box, width, ink, sides=side, over=over)


def broken_frame(rng: Rng, sheet: Sheet) -> None:
    """A frame of which pieces are missing, as bad copies and low-resolution scans show it."""
    inset = rng.uniform(0, 0.1, 4) * min(sheet.height, sheet.width)
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    ink = papers.printed_on(rng, sheet, float(rng.uniform(0.4, 1)))
    width = line_width(rng, sheet)
    lines.frame(rng, sheet, box, width, ink, broken=float(rng.uniform(0.3, 0.7)))


def table(rng: Rng, sheet: Sheet) -> None:
    """A cell of a table: the lines go on beyond its corners, and other cells come into view."""
    inset = rng.uniform(0.02, 0.2, 4) * min(sheet.height, sheet.width)
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    over = float(max(sheet.height, sheet.width))
    lines.frame(rng, sheet, box, line_width(rng, sheet), papers.printed_on(rng, sheet), over=over)


def faint_frame(rng: Rng, sheet: Sheet) -> None:
    """A frame 6 to 30 levels off the paper."""
    inset = rng.uniform(0, 0.12, 4) * min(sheet.height, sheet.width)
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    tone = np.clip(sheet.pixels.mean((0, 1)) - rng.uniform(6, 30), 0, 255).astype(np.float32)
    lines.frame(rng, sheet, box, line_width(rng, sheet), Ink(tone))


def squared(rng: Rng, sheet: Sheet) -> None:
    """Squared paper: a digit fills one to three squares."""
    gap = sheet.height / rng.uniform(1.4, 5)
    ink = papers.printed_on(rng, sheet, float(rng.uniform(0.2, 0.7)))
    lines.squares(rng, sheet, gap, max(0.5, gap * float(rng.uniform(0.015, 0.05))), ink)


def ruled(rng: Rng, sheet: Sheet) -> None:
    """Ruled paper: the digit stands on a rule, between two, or across one."""
    gap = sheet.height / rng.uniform(1.1, 4)
    ink = papers.printed_on(rng, sheet, float(rng.uniform(0.25, 0.8)))
    width = max(0.5, gap * float(rng.uniform(0.01, 0.05)))
    lines.rules(rng, sheet, gap, width, ink, first=float(rng.uniform(0, gap)))


def base_line(rng: Rng, sheet: Sheet) -> None:
    """A line of dots or dashes to write on."""
    height = sheet.height * float(rng.uniform(0.75, 0.95))
    width = max(0.8, sheet.height * float(rng.uniform(0.01, 0.03)))
    dash = (width * float(rng.uniform(1, 3)), width * float(rng.uniform(1, 3)))
    ends = (0.0, height, float(sheet.width), height)
    lines.stroke(rng, sheet, ends, width, papers.printed_on(rng, sheet), dash=dash)


def drop_out(rng: Rng, sheet: Sheet) -> None:
    """A form printed in a colour that scanners leave out: boxes in orange, green, blue or red."""
    tones = [
        ((225, 120, 40), (245, 170, 110)),
        ((80, 170, 110), (150, 215, 170)),
        ((90, 150, 220), (150, 195, 240)),
        ((220, 80, 80), (240, 150, 150)),
    ]
    low, high = tones[rng.integers(4)]
    ink = Ink(papers.colour(rng, low, high), float(rng.uniform(0.5, 1)))
    inset = rng.uniform(0, 0.12, 4) * min(sheet.height, sheet.width)
    box = (inset[0], inset[1], sheet.width - inset[2], sheet.height - inset[3])
    lines.frame(rng, sheet, box, line_width(rng, sheet), ink)


# Digits in cells -------------------------------------------------------------------------------


def traces_of_the_frame(rng: Rng, digits: Digits) -> Scene:
    """Cut inside the box, but for a trace of its line in a corner or along a side."""
    sheet = _paper(rng)
    width = line_width(rng, sheet)
    ink = papers.printed_on(rng, sheet, float(rng.uniform(0.15, 0.6)))
    box = (-width * 0.4, -width * 0.4, sheet.width + width * 0.2, sheet.height + width * 0.3)
    lines.frame(rng, sheet, box, width, ink, broken=float(rng.uniform(0, 0.6)))
    label = digit_on(rng, digits, sheet, share=(0.5, 0.85), stray=0.4, pen=_pen(rng))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def sudoku(rng: Rng, digits: Digits) -> Scene:
    """A printed digit in a cell of a grid, on paper or in an app."""
    sheet = (papers.black if rng.random() < 0.35 else papers.white)(
        rng, *compose.size(rng, 28, 120)
    )
    label, coverage = letters.printed_digit(rng, round(sheet.height * float(rng.uniform(0.4, 0.7))))
    table(rng, sheet) if rng.random() < 0.5 else one_sided_line(rng, sheet)
    compose.put(rng, sheet, coverage, papers.pen_for(rng, sheet), meant=True, stray=0.2)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def _with_digit(cell: Cell, share: tuple[float, float] = (0.45, 0.75)) -> Kind:
    return Kind(lambda rng, digits: filled(rng, digits, cell, share), "digit")


def _without(cell: Cell) -> Kind:
    return Kind(lambda rng, digits: empty(rng, cell), "blank")


KINDS = {
    "box, whole frame": _with_digit(whole_frame, (0.4, 0.65)),
    "box, cut along its line": _with_digit(cut_along_the_line),
    "box, traces of its frame": Kind(traces_of_the_frame, "digit"),
    "box, one line": _with_digit(one_sided_line),
    "box, broken frame": _with_digit(broken_frame, (0.4, 0.65)),
    "box, faint frame": _with_digit(faint_frame, (0.4, 0.65)),
    "cell of a table": _with_digit(table, (0.4, 0.6)),
    "drop-out colour": _with_digit(drop_out, (0.4, 0.7)),
    "squared paper": _with_digit(squared),
    "ruled paper": _with_digit(ruled),
    "dotted base line": _with_digit(base_line),
    "sudoku, printed digit": Kind(sudoku, "digit"),
    "empty: whole frame": _without(whole_frame),
    "empty: frame along the border": _without(cut_along_the_line),
    "empty: faint frame": _without(faint_frame),
    "empty: broken frame": _without(broken_frame),
    "empty: one line": _without(one_sided_line),
    "empty: cell of a table": _without(table),
    "empty: drop-out colour": _without(drop_out),
    "empty: squared paper": _without(squared),
    "empty: ruled paper": _without(ruled),
}
