"""From pictures of forms to results, one for each cell, where `numbers` does it for one number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from digit_classification.detection.numbers import number_network, result_of
from digit_classification.network.form import (
    NO_TABLE,
    FilledForm,
    FormCell,
    read_fields,
    read_forms,
)
from digit_classification.network.inference import Network
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.model_file import Model
from digit_classification.pictures import images
from digit_classification.pictures.decode import LONGEST_FORM, Limits, Picture, decode_pages
from digit_classification.pictures.forms.template import Template, TemplateError, template_of
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
    network, limits = number_network(model), Limits(**settings.images.model_dump())
    cells: list[FormCell] = []
    for number, page in enumerate(decode_pages(picture, limits, LONGEST_FORM), 1):
        if isinstance(page, images.ImageError):
            raise images.ImageError(f"page {number}: {page}")
        grey = images.grey_from_array(page.pixels, LONGEST_FORM)
        found = _read_page(model, network, grey, settings, constraint, template)
        cells += [replace(cell, page=number) for cell in found]
    return cells


def _read_page(
    model: Model,
    network: ReadingNetwork,
    grey: np.ndarray,
    settings: Settings,
    constraint: str | None,
    template: Template | None,
) -> list[FormCell]:
    """Read a page, (h, w) uint8.  Raises TemplateError if it does not match a template."""
    invert = settings.detection.invert
    if template is None:
        return read_forms([grey], invert, network, model.judge, constraint)[0]
    form = read_fields([grey], invert, network, model.judge, template)[0]
    if not form.cells:
        raise TemplateError(
            f"The picture does not match the template '{settings.detection.template}', of"
            f" whose {len(template.page.cells)} cells it has {form.met}: name another template, or"
            " take the picture again."
        )
    return form.cells


def results_of_pages(
    pages: Iterable[Prepared],
    network: Network,
    judge: Judge | None,
    *,
    invert: images.Invert,
    min_confidence: float,
    constraint: str | None,
    template: Template | None = None,
) -> tuple[Prepared, list[Result]]:
    """Return the first of a file's pages, one or more, and the results of all of them, in order.

    The cells of the second page count on from those of the first.  A page of several that has
    none, or cannot be read, has one result, as if it were a cell in row 0.  A stray file has none.

    Arguments as of `results_of_forms`.
    """
    first: Prepared | None = None
    results: list[Result] = []
    for number, page in enumerate(pages, 1):
        first = first or page
        if page.stray:
            break
        (read,) = results_of_forms(
            [page],
            network,
            judge,
            invert=invert,
            min_confidence=min_confidence,
            constraint=constraint,
            template=template,
        )
        for result in read:
            cell = replace(result.cell or WHOLE_PAGE, page=number, number=len(results) + 1)
            results.append(replace(result, cell=cell))
    assert first is not None
    if len(results) == 1 and results[0].cell == WHOLE_PAGE:
        results = [replace(results[0], cell=None)]
    return first, results


def results_of_forms(
    batch: Sequence[Prepared],
    network: Network,
    judge: Judge | None,
    *,
    invert: images.Invert,
    min_confidence: float,
    constraint: str | None,
    template: Template | None = None,
) -> list[list[Result]]:
    """Return the results of each picture, in order: one for each cell, or one that says why not.

    Arguments as of `results_of_numbers`.  With a template there is one for each of its fields.
    """
    greys = [image.grey for image in batch if image.grey is not None]
    assert isinstance(network, ReadingNetwork)
    forms: Iterator[tuple[list[FormCell], str]]
    if template is None:
        found = read_forms(greys, invert, network, judge, constraint) if greys else []
        forms = ((cells, NO_TABLE) for cells in found)
    else:
        filled = read_fields(greys, invert, network, judge, template) if greys else []
        forms = ((form.cells, _no_match(form, template)) for form in filled)
    results = []
    for image in batch:
        path, sha256 = image.source.name, image.sha256
        if image.grey is None:
            results.append([Result(path, "error", reason=image.error, image_sha256=sha256)])
            continue
        cells, otherwise = next(forms)
        image.grey = None
        results.append([*_results(image, cells, min_confidence)])
        if not cells:
            reason = ", ".join(filter(None, (otherwise, image.note)))
            results[-1] = [Result(path, "rejected", reason=reason, image_sha256=sha256)]
    return results


def _no_match(form: FilledForm, template: Template) -> str:
    """Return why a page has no fields."""
    cells = len(template.page.cells)
    return f"does not match the template: found {form.met} of its {cells} cells"


def _results(image: Prepared, cells: Sequence[FormCell], min_confidence: float) -> Iterator[Result]:
    for number, cell in enumerate(cells, 1):
        place = StoredCell(1, number, cell.row, cell.column, *cell.box, cell.field)
        yield replace(result_of(image, cell.reading, min_confidence), cell=place)
