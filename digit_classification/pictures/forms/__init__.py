"""From a picture of a form to its cells.

1. *Page*: the sheet is found, on a desk too, and seen as if from straight above, level and evenly
   lit (`page`).
2. *Ruling*: its lines are found, faint, dashed and broken ones too (`ruling`).
3. *Cells*: what lies between them, and in which row and column (`cells`).
4. *Ink*: what is written in each cell, without the lines and without what reaches in (`ink`).

All this together makes a table (`table`).  A form that returns has a template (`template`): its
cells are matched with those that are found (`registration`), and its fields are cut instead of all
cells (`fields`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digit_classification.settings import Settings

if TYPE_CHECKING:
    from digit_classification.pictures.forms.template import Template


def template_of(settings: Settings) -> Template | None:
    """Return the template that settings name, or None.

    Raises TemplateError if it cannot be used.
    """
    path = settings.detection.template
    if path is None:
        return None
    # Its types take 5 ms, for which nobody without a template should wait.
    from digit_classification.pictures.forms.template import read_template

    return read_template(path)
