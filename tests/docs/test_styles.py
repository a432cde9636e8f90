"""The page of styles shows the book as it is."""

from __future__ import annotations

import json
import re
import runpy

from PIL import Image

from digit_classification.training.styles.book import read_book
from tests.documents import ROOT, blocks

PAGE = (ROOT / "docs/styles.md").read_text(encoding="utf-8")
DRAWING = runpy.run_path(str(ROOT / "docs/draw_styles.py"))
AGAIN = "draw it again: python docs/draw_styles.py"


def test_the_sheet_is_of_the_book_as_it_is() -> None:
    with Image.open(ROOT / "docs/styles.png") as picture:
        drawn = json.loads(picture.info["Description"])
        size = picture.size
    assert drawn == json.loads(DRAWING["described"](read_book())), AGAIN
    assert size == DRAWING["draw_sheet"](read_book()).size, AGAIN


def test_the_tables_are_of_the_book_as_it_is() -> None:
    assert DRAWING["with_tables"](PAGE, read_book()) == PAGE, AGAIN


def test_the_style_that_is_shown_is_in_the_book() -> None:
    (shown,) = blocks(PAGE, "yaml")
    text = (ROOT / "digit_classification/training/styles/digits/1.yaml").read_text(encoding="utf-8")
    assert shown in text


def test_the_keys_of_a_style_are_told() -> None:
    told = set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE))
    assert told == {"name", "where", "sources", "hand", "share", "stray", "strokes"}
