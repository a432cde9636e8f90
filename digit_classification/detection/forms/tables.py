"""Forms as tables, rows by columns: as CSV, and as a workbook.

A form looks there as on its page, unless a template gives its cells names: then it is one row, and
all forms are one table with a column for each field.
"""

from __future__ import annotations

import csv
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from digit_classification.detection.destinations import naming
from digit_classification.detection.writers import TextStream
from digit_classification.files import replacing
from digit_classification.names import defused, escape_undecodable
from digit_classification.pictures.images import BLANK
from digit_classification.results.records import Result

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell

CREATOR = "digit_classification"  # of the workbooks: how they are known again
UNCERTAIN, REJECTED = "FFF2CC", "F8CBAD"  # a cell's fill, RGB in hexadecimal
PATH = "path"  # heads the column before those of the fields
TITLE = 31  # characters of a sheet's name, of which Excel takes no more
EXACT = 15  # digits that a number of Excel's holds
_NO_TITLE = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # of XML, and so of a workbook
_DECIMAL = re.compile(r"-?([0-9]+)(?:[.,]([0-9]+))?")

Page: TypeAlias = tuple[str, int]  # path and number


class CsvTables:
    """Writes each page as a table, a blank line between two; what is no number is an empty cell.

    With `fields` each page is a row, with its path before them.

    To be used in a `with`; a page that is not complete at its end, after an error, is left out.
    """

    def __init__(self, stream: TextStream, fields: Sequence[str] = ()) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._page: Page | None = None
        self._cells: list[Result] = []
        self._written = 0
        self._fields = fields
        if fields:
            self._rows.writerow([PATH, *fields])

    def add(self, result: Result) -> None:
        """Take the result of a cell, after those of the same page; others are none of a table."""
        if not self._fields and _is_no_cell(result):
            return
        page = _page_of(result)
        if page != self._page:
            self._write()
            self._page = page
        self._cells.append(result)

    def _write(self) -> None:
        if not self._cells:
            return
        if self._fields:
            self._rows.writerow(_row(self._cells, self._fields))
        else:
            if self._written:
                self._stream.write("\n")
            self._rows.writerows(_grid(self._cells))
        self._written += 1
        self._cells = []

    def __enter__(self) -> CsvTables:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._write()


def _grid(cells: list[Result]) -> list[list[str]]:
    """Return the numbers of a page's cells in rows of the same length."""
    placed = {(each.cell.row, each.cell.column): each for each in cells if each.cell is not None}
    rows, columns = max(row for row, _ in placed), max(column for _, column in placed)
    grid = [[""] * columns for _ in range(rows)]
    for (row, column), each in placed.items():
        grid[row - 1][column - 1] = each.text or ""
    return grid


def _is_no_cell(result: Result) -> bool:
    """Whether a result is that of a whole page: it has no table, or cannot be read."""
    return result.cell is None or not result.cell.row


def _page_of(result: Result) -> Page:
    return result.path, 1 if result.cell is None else result.cell.page


def _row(cells: list[Result], fields: Sequence[str]) -> list[str]:
    """Return the path of a page, and what is read in each of the fields."""
    read = {each.cell.field: each.text or "" for each in cells if each.cell is not None}
    return [defused(escape_undecodable(cells[0].path)), *(read.get(name, "") for name in fields)]


class WorkbookTables:
    """Writes each page as a sheet of an Excel workbook, which appears at the end of a `with`.

    With `fields` each page is a row of one sheet, with its path before them.

    Numbers are numbers, shown as they are written: with their leading zeros and decimals.  What is
    uncertain is filled in yellow, what is rejected in red; why, says a comment.  After an error no
    workbook is written.

    Raises DestinationError if it cannot be written.
    """

    def __init__(self, path: Path, fields: Sequence[str] = ()) -> None:
        from openpyxl import Workbook

        self._path = path
        self._book: Workbook = Workbook()
        self._book.properties.creator = CREATOR
        self._sheet: Any = None
        self._page: Page | None = None
        self._titles: set[str] = set()
        for sheet in self._book.worksheets:
            self._book.remove(sheet)
        self._columns = {name: column for column, name in enumerate(fields, 2)}
        self._row = 1
        if fields:
            self._sheet = self._book.create_sheet("forms")
            self._sheet.append([PATH, *fields])
            self._sheet.freeze_panes = "B2"

    def add(self, result: Result) -> None:
        """Take the result of a cell, after those of the same page; others are none of a table."""
        if self._columns:
            self._add_to_row(result)
            return
        if result.cell is None or not result.cell.row:
            return
        page = _page_of(result)
        if page != self._page:
            self._page = page
            self._sheet = self._book.create_sheet(self._title(page))
        _fill_in(self._sheet.cell(result.cell.row, result.cell.column), result)

    def _add_to_row(self, result: Result) -> None:
        page = _page_of(result)
        if page != self._page:
            self._page = page
            self._row += 1
            path = self._sheet.cell(self._row, 1)
            path.value, path.data_type = _NO_TEXT.sub("_", escape_undecodable(result.path)), "s"
            if _is_no_cell(result):
                _mark(path, result)
        if result.cell is not None and result.cell.field in self._columns:
            _fill_in(self._sheet.cell(self._row, self._columns[result.cell.field]), result)

    def _title(self, page: Page) -> str:
        """Return a name for a sheet that no other has, as far as Excel can tell."""
        name = escape_undecodable(os.path.basename(page[0]))
        name = _NO_TITLE.sub("_", name).strip("'") or "form"
        if page[1] > 1:
            behind = f" {page[1]}"
            name = name[: TITLE - len(behind)] + behind
        for title in _numbered(name):
            if title.casefold() not in self._titles:
                self._titles.add(title.casefold())
                return title
        raise AssertionError("numbers do not end")

    def __enter__(self) -> WorkbookTables:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            return
        if not self._book.worksheets:
            self._book.create_sheet("no table")  # a workbook has a sheet
        with naming(self._path, "file", "--output"), replacing(self._path) as file:
            self._book.save(file)


def _numbered(name: str) -> Iterator[str]:
    yield name[:TITLE]
    number = 2
    while True:
        behind = f" ({number})"
        yield name[: TITLE - len(behind)] + behind
        number += 1


def _fill_in(cell: Cell, result: Result) -> None:
    """Write what is read into a cell, as a number or as words, and never as a formula."""
    text = result.text
    if text is not None:
        found = _DECIMAL.fullmatch(text)
        if found is not None and len(found[1]) + len(found[2] or "") <= EXACT:
            whole, decimals = found[1], found[2]
            number = text.replace(",", ".")
            cell.value = int(number) if decimals is None else float(number)
            cell.number_format = "0" * len(whole) + (
                "" if decimals is None else "." + "0" * len(decimals)
            )
        else:
            cell.value = text
            cell.data_type = "s"
            cell.number_format = "@"
    _mark(cell, result)


def _mark(cell: Cell, result: Result) -> None:
    """Say in a cell by its colour, and in a comment, why what was read there is no sure number."""
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    text, doubtful = result.text, result.status == "uncertain"
    if doubtful or (text is None and not (result.reason or "").startswith(BLANK)):
        cell.fill = PatternFill("solid", fgColor=UNCERTAIN if doubtful else REJECTED)
        if result.reason:
            cell.comment = Comment(result.reason, CREATOR)


def is_earlier_workbook(path: Path) -> bool:
    """Whether a file is a workbook that this program wrote.

    Raises OSError if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("docProps/core.xml") as properties:
            return f">{CREATOR}<".encode() in properties.read(2**16)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, EOFError):
        return False
