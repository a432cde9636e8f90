"""A template made of a form: all cells that are found on a page, each a field, and a picture."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from digit_classification.detection.destinations import naming
from digit_classification.files import replacing
from digit_classification.pictures import images
from digit_classification.pictures.decode import LONGEST_FORM, ImageError, Limits, decode
from digit_classification.pictures.forms.cells import places
from digit_classification.pictures.forms.marks import MARKS, as_rectangle, find_marked_page
from digit_classification.pictures.forms.page import Page
from digit_classification.pictures.forms.table import Table, find_table
from digit_classification.pictures.forms.template import (
    EXAMPLE,
    MOST_FIELDS,
    Template,
    TemplateError,
    TemplateField,
    TemplatePage,
    template_text,
)
from digit_classification.pictures.geometry import mapped
from digit_classification.settings import Settings

SOFTWARE = "digit_classification template"  # of the pictures: how they are known again
OUTLINE, NAME, RULER = (224, 92, 32), (24, 64, 176), (160, 200, 160)  # RGB
_LETTER = 22.0  # pixels: the height of a capital of OpenCV's font at scale 1


def make_template(picture: Path, settings: Settings) -> tuple[Template, np.ndarray]:
    """Return a template of the form in a picture, and the picture of its fields, (h, w, 3) uint8.

    Raises TemplateError if the picture cannot be read, or shows no form.
    """
    limits = Limits(**settings.images.model_dump())
    try:
        decoded = decode(picture, limits, LONGEST_FORM)
        grey = images.grey_from_array(decoded.pixels, LONGEST_FORM)
    except ImageError as error:
        raise TemplateError(
            f"'{picture}' cannot be read, {error}: name a picture of a form with --make-template."
        ) from None
    table = find_table(grey, settings.detection.invert)
    if table is None:
        seen = find_marked_page(grey, settings.detection.invert)
        if len(seen.marks) == MARKS:
            return _marked(*as_rectangle(seen))
        raise TemplateError(
            f"No table is found in '{picture}', nor marks in its four corners: take the picture"
            " from straight above, with all lines of the form in view, and name it with"
            " --make-template."
        )
    if len(table.regions.boxes) > MOST_FIELDS:
        raise TemplateError(
            f"'{picture}' shows {len(table.regions.boxes):,} cells, and a template has up to"
            f" {MOST_FIELDS} fields: name a picture of a form with --make-template."
        )
    template = _template(table)
    return template, _drawn(table.whole, template)


def _template(table: Table) -> Template:
    boxes = table.regions.boxes
    order = sorted(zip(places(boxes), range(len(boxes)), strict=True))
    ends = boxes[[number for _, number in order]].astype(np.float64)
    low, high = mapped(table.sheet, ends[:, :2]), mapped(table.sheet, ends[:, 2:])
    shares = np.round(np.concatenate([low, high - low], axis=1), 5)
    cells = [(left, top, width, height) for left, top, width, height in shares.tolist()]
    names: Counter[str] = Counter()
    fields = []
    for ((row, column), _), box in zip(order, cells, strict=True):
        name = f"r{row}c{column}"
        names[name] += 1
        again = f"-{names[name]}" if names[name] > 1 else ""
        fields.append(TemplateField(name=name + again, box=box))
    page = TemplatePage(aspect=round(table.aspect, 5), cells=tuple(cells))
    return Template(fields=tuple(fields), page=page)


def _marked(page: Page, marks: np.ndarray) -> tuple[Template, np.ndarray]:
    """Return a template of a page with marks, (4, 2) in shares of it, and its picture.

    It has a field to be copied.
    """
    height, width = page.darkness.shape
    corners = [(x, y) for x, y in np.round(marks, 5).tolist()]
    whole = TemplatePage(aspect=round(width / height, 5), marks=tuple(corners))
    example = TemplateField(name=EXAMPLE, box=(0.4, 0.45, 0.2, 0.1))
    template = Template(fields=(example,), page=whole)
    drawn = _drawn(page, template)
    for x, y in (marks * [width, height]).tolist():
        cv2.circle(drawn, (round(x), round(y)), round(0.03 * max(width, height)), OUTLINE, 2)
    for tenth in range(1, 10):  # to measure boxes by
        x, y, name = round(0.1 * tenth * width), round(0.1 * tenth * height), f"0.{tenth}"
        cv2.line(drawn, (x, 0), (x, height), RULER, 1)
        cv2.line(drawn, (0, y), (width, y), RULER, 1)
        for place in ((x + 3, 16), (3, y - 4)):
            cv2.putText(drawn, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, NAME, 1, cv2.LINE_AA)
    return template, drawn


def _drawn(page: Page, template: Template) -> np.ndarray:
    """Return a page, level, with each field outlined and its name in it."""
    drawn = cv2.cvtColor(255 - page.darkness, cv2.COLOR_GRAY2RGB)
    height, width = page.darkness.shape
    for field in template.fields:
        left, top, wide, high = (
            round(share * side) for share, side in zip(field.box, itertools.cycle((width, height)))
        )
        cv2.rectangle(drawn, (left, top), (left + wide, top + high), OUTLINE, 2)
        size = float(np.clip(0.3 * high / _LETTER, 0.35, 1.0))
        (long, tall), _ = cv2.getTextSize(field.name, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        size *= min(1.0, 0.9 * wide / long)
        start = (left + 4, top + 5 + tall)
        for ink, thick in (((255, 255, 255), 4), (NAME, 1 if size < 0.6 else 2)):
            cv2.putText(
                drawn, field.name, start, cv2.FONT_HERSHEY_SIMPLEX, size, ink, thick, cv2.LINE_AA
            )
    return drawn


def write_template(template: Template, drawn: np.ndarray, path: Path, picture: Path) -> None:
    """Write a template, and the picture of its fields.

    Raises DestinationError if they cannot be written.
    """
    known = PngInfo()
    known.add_text("Software", SOFTWARE)
    with naming(picture, "file", "--output"), replacing(picture) as file:
        Image.fromarray(drawn).save(file, "PNG", pnginfo=known, optimize=True)
    with naming(path, "file", "--output"), replacing(path) as file:
        file.write(template_text(template, picture).encode())


def is_earlier_picture(path: Path) -> bool:
    """Whether a file is a picture that `write_template` wrote.

    Raises OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=["PNG"]) as picture:
                return picture.info.get("Software") == SOFTWARE
        except (OSError, SyntaxError, ValueError):  # it is none, or is damaged
            return False
