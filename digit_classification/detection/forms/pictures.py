"""What a person is shown of each cell of a page: the cell within its row, and its digits."""

from __future__ import annotations

from collections.abc import Sequence

from digit_classification.network.form import FormCell
from digit_classification.pictures.forms.table import cut_strip
from digit_classification.pictures.prepare import WIDE_SIDE, Prepared, thumbnail_of


def cell_pictures(page: Prepared, cells: Sequence[FormCell]) -> list[Prepared]:
    """Return a picture for each cell of a page that is read just now; without any, of the page."""
    if cells:
        return [_picture(page, cell) for cell in cells]
    small = None if page.grey is None else thumbnail_of(page.grey, WIDE_SIDE)
    return [Prepared(page.source, page.sha256, error=page.error, thumbnail=small)]


def _picture(page: Prepared, cell: FormCell) -> Prepared:
    picture = Prepared(page.source, page.sha256)
    digits = cell.reading.digits
    if cell.reading.text is not None:
        picture.signs = tuple(digit.image for digit in digits)
    if page.grey is not None and cell.seen is not None:
        strip = cut_strip(page.grey, cell.seen, WIDE_SIDE)
        picture.thumbnail = thumbnail_of(strip.pixels, WIDE_SIDE)
        picture.boxes = tuple(map(strip.box_of, [cell.box, *(digit.box for digit in digits)]))
    return picture
