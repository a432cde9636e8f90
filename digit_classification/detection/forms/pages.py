"""From pictures of forms to results, one for each cell, where `numbers` does it for one number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from digit_classification.detection.forms.pictures import cell_pictures
from digit_classification.detection.numbers import result_of
from digit_classification.network.form import (
    NO_TABLE,
    FormCell,
    read_fields,
    read_forms,
)
from digit_classification.network.inference import Network
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.model_file import Model
from digit_classification.pictures import images
from digit_classification.pictures.decode import LONGEST_FORM, Limits, Picture, decode_pages
from digit_classification.pictures.forms import template_of
from digit_classification.pictures.forms.template import Template, TemplateError
from digit_classification.pictures.prepare import Prepared
from digit_classification.results.records import Result, StoredCell
from digit_classification.settings import Settings

# Stands for a page that has no cells.
WHOLE_PAGE = StoredCell(1, 1, 0, 0, 0.0, 0.0, 1.0, 1.0)


def read_form(
    model: Model, picture: Picture, settings: Settings, constraint: str | None
) -> list[FormCell]:
    """Read the form in a picture, or those on all pages of a file: the cells, row by row.

    There are none where there is no table.  If the settings name a template, these are its fields,
    in its order.

    Raises as `read_number`, and TemplateError if the template is none, or one of another form.
    """
    template = template_of(settings)
    if template is not None and constraint is not None:
        raise ValueError("The fields of a template have their own constraints: leave this one out.")
    network, limits = model.number_network, Limits(**settings.images.model_dump())
    invert = settings.detection.invert
    cells: list[FormCell] = []
    for number, page in enumerate(decode_pages(picture, limits, LONGEST_FORM), 1):
        if isinstance(page, images.ImageError):
            raise images.ImageError(f"page {number}: {page}")
        grey = images.grey_from_array(page.pixels, LONGEST_FORM)
        found, met = _read_page(grey, invert, network, model.judge, constraint, template)
        if template is not None and not found:
            raise TemplateError(
                f"The picture does not match the template '{settings.detection.template}', of"
                f" whose {template.page.known_by} it has {met}: name another template, or"
                " take the picture again."
            )
        cells += [replace(cell, page=number) for cell in found]
    return cells


def _read_page(
    grey: np.ndarray,
    invert: images.Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None,
    template: Template | None,
) -> tuple[list[FormCell], int]:
    """Return the cells of a page, (h, w) uint8, and how many of a template's are found there."""
    if template is None:
        cells = read_forms([grey], invert, network, judge, constraint)[0]
        return cells, 0
    form = read_fields([grey], invert, network, judge, template)[0]
    return form.cells, form.met


def results_of_pages(
    pages: Iterable[Prepared],
    network: Network,
    judge: Judge | None,
    *,
    invert: images.Invert,
    min_confidence: float,
    constraint: str | None,
    template: Template | None = None,
    with_cells: bool = False,
) -> tuple[Prepared, list[Result]]:
    """Return the first of a file's pages, one or more, and the results of all of them, in order.

    There is one for each cell, or for each field of a template.  The cells of the second page count
    on from those of the first.  A page of several that has none, or cannot be read, has one result,
    as if it were a cell in row 0.  A stray file has none.

    With `with_cells` the first page has a picture for each of the results.  Arguments as of
    `results_of_numbers`.
    """
    assert isinstance(network, ReadingNetwork)
    first: Prepared | None = None
    results: list[Result] = []
    pictures: list[Prepared] = []
    for number, page in enumerate(pages, 1):
        first = first or page
        if page.stray:
            break
        found, met = [], 0
        if page.grey is not None:
            found, met = _read_page(page.grey, invert, network, judge, constraint, template)
        if with_cells:
            pictures += cell_pictures(page, found)
        page.grey = None
        for cell in found:
            place = StoredCell(
                number, len(results) + 1, cell.row, cell.column, *cell.box, cell.field
            )
            results.append(replace(result_of(page, cell.reading, min_confidence), cell=place))
        if not found:
            place = replace(WHOLE_PAGE, page=number, number=len(results) + 1)
            results.append(replace(_without_cells(page, met, template), cell=place))
    assert first is not None
    first.cells = tuple(pictures)
    if len(results) == 1 and results[0].cell == WHOLE_PAGE:
        results = [replace(results[0], cell=None)]
    return first, results


def _without_cells(page: Prepared, met: int, template: Template | None) -> Result:
    """Return why a page has no cells, or none of the fields of a template."""
    path, sha256 = page.source.name, page.sha256
    if page.error is not None:
        return Result(path, "error", reason=page.error, image_sha256=sha256)
    otherwise = NO_TABLE if template is None else _no_match(met, template)
    reason = ", ".join(filter(None, (otherwise, page.note)))
    return Result(path, "rejected", reason=reason, image_sha256=sha256)


def _no_match(met: int, template: Template) -> str:
    """Return why a page has no fields."""
    return f"does not match the template: found {met} of its {template.page.known_by}"
