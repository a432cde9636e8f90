"""Results as text, as CSV and as JSON lines."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from digit_classification.names import defused, escape_undecodable, printable
from digit_classification.results.records import Result, StoredCell

FORMATS = ("text", "csv", "jsonl", "table")
SUFFIXES = {
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
}
COLUMNS = ("path", "digit", "confidence", "status", "reason")
BOX = ("left", "top", "width", "height")  # of a sign of a number, or of a cell
CELL = ("page", "row", "column", *BOX, "field")

# What --runs lists of each run.
COUNTS = ("images", "ok", "uncertain", "rejected", "errors")
RUN_COLUMNS = ("run", "state", "started_at", "finished_at", *COUNTS, "model", "sources")
# How a file of results, or of runs, is known again.
SAMPLE_BYTES = 2**16
RUNS_HEADING = re.compile(" +".join(("run", "state", *COUNTS)) + "( +sources)?")
ERROR_LINE = re.compile(r"(.*: )?error: .+")
TEXT_LINE = re.compile(
    r"(.*: )?((\d \d+\.\d%(, \d \d+\.\d%)*|-?\d[\d.,]* \d+\.\d%)( \(uncertain\))?( \(.+\))?"
    r"|-?\d[\d.,]* \((corrected|confirmed).*\)"
    r"|(rejected|error): .+)"
)


def format_of(name: str | None) -> str:
    """Return the format that a file's name asks for: `text` unless its suffix is of another."""
    return SUFFIXES.get(os.path.splitext(name or "")[1].lower(), "text")


class TextStream(Protocol):
    """What results are written to."""

    def write(self, text: str, /) -> int: ...


def make_writer(
    format_name: str,
    stream: TextStream,
    *,
    top_k: int = 1,
    with_path: bool = True,
    numbers: bool = False,
    cells: bool = False,
) -> Callable[[Result], None]:
    """Return a function that writes one result to `stream`; a CSV header is written at once.

    With `top_k` above 1 the next most probable digits follow: in columns of their own in CSV, as
    the list `top` in JSON.  With `numbers`, what was read as a number does, and in JSON its digits;
    with `cells`, where on a form that is.
    """
    if format_name == "csv":
        rows = csv.writer(stream, lineterminator="\n")
        more = (
            f"{name}_{rank}" for rank in range(2, top_k + 1) for name in ("digit", "confidence")
        )
        heading = [*COLUMNS, *more, *(("number",) if numbers else ()), *(CELL if cells else ())]
        rows.writerow(heading)
        return lambda result: rows.writerow(
            [
                *_csv_row(result, top_k),
                *((result.number or "",) if numbers else ()),
                *(_csv_cell(result) if cells else ()),
            ]
        )
    if format_name == "jsonl":
        return lambda result: print(
            json.dumps(json_record(result, top_k, numbers=numbers, cells=cells)), file=stream
        )
    return lambda result: print(as_text(result, top_k, with_path=with_path), file=stream)


def ranked(result: Result, top_k: int) -> list[tuple[int, float]]:
    """Return the `top_k` most probable digits with their probabilities.

    There are none without a digit, or where a person said which it is.
    """
    if result.digit is None or result.probabilities is None or result.corrected_at is not None:
        return []
    return sorted(enumerate(result.probabilities), key=lambda pair: -pair[1])[:top_k]


def as_text(result: Result, top_k: int = 1, *, with_path: bool = True) -> str:
    """Return one line: `scans/7.png: 7 99.8%`, or why there is no digit or number.

    Of a form: `scans/form.png: row 2, column 3: 47 99.1%`, or `scans/form.png: total: 47 99.1%`.
    """
    best: list[tuple[int | str, float]] = [*ranked(result, top_k)]
    if result.number is not None:
        best = [(result.number, result.confidence or 0.0)]
    if result.corrected_at is not None:
        text = f"{result.text} ({result.reason})"
    elif not best:
        text = f"{result.status}: {result.reason}"
    else:
        text = ", ".join(f"{read} {share:.1%}" for read, share in best)
        text += " (uncertain)" if result.status == "uncertain" else ""
        text += f" ({result.reason})" if result.reason else ""
    if result.cell is not None:
        text = f"{_place(result.cell)}: {text}"
    return f"{printable(result.path)}: {text}" if with_path else text


def _place(cell: StoredCell) -> str:
    page = f"page {cell.page}"
    if not cell.row:  # the whole page
        return page
    place = cell.field or f"row {cell.row}, column {cell.column}"
    return place if cell.page == 1 else f"{page}, {place}"


def _csv_row(result: Result, top_k: int) -> list[str]:
    next_best = ranked(result, top_k)[1:]
    cells = [cell for digit, share in next_best for cell in (str(digit), f"{share:.6f}")]
    return [
        defused(escape_undecodable(result.path)),
        "" if result.digit is None else str(result.digit),
        "" if result.confidence is None else f"{result.confidence:.6f}",
        result.status,
        defused(result.reason or ""),
        *(cells or [""] * 2 * (top_k - 1)),
    ]


def _csv_cell(result: Result) -> list[str]:
    cell = result.cell
    if cell is None:
        return [""] * len(CELL)
    box = (f"{getattr(cell, name):.6f}" for name in BOX)
    return [str(cell.page), str(cell.row), str(cell.column), *box, cell.field or ""]


def is_earlier_output(path: Path) -> bool:
    """Whether a file holds results that `make_writer` wrote, or a list of runs.

    Its beginning tells.

    Raises OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(SAMPLE_BYTES + 1)
    try:
        # Cut at the last whole line; a character of several bytes may be cut as well.
        whole = start if len(start) <= SAMPLE_BYTES else start[: start.rfind(b"\n") + 1]
        lines = whole.decode().splitlines()
    except UnicodeDecodeError:
        return False
    return bool(lines) and (
        lines[0].startswith((",".join(COLUMNS), ",".join(RUN_COLUMNS)))
        or _is_json_result(lines[0])
        or bool(RUNS_HEADING.fullmatch(lines[0]))
        or _are_texts(lines)
    )


def _is_json_result(line: str) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and (
        {*COLUMNS, "probabilities"} <= found.keys() or {*RUN_COLUMNS} <= found.keys()
    )


def _are_texts(lines: Sequence[str]) -> bool:
    """Whether all lines are such as `as_text` makes, and not all of them those of an error.

    Compilers, too, write `file: error: reason`.
    """
    return all(map(TEXT_LINE.fullmatch, lines)) and any(
        not ERROR_LINE.fullmatch(line) for line in lines
    )


def json_record(
    result: Result, top_k: int = 1, *, numbers: bool = False, cells: bool = False
) -> dict[str, object]:
    """Return what a JSON line has of one result.

    With `numbers`, its number and signs as well; with `cells`, where on a form that is.
    """
    best = [{"digit": digit, "confidence": share} for digit, share in ranked(result, top_k)]
    return {
        "path": escape_undecodable(result.path),
        "digit": result.digit,
        "confidence": result.confidence,
        "status": result.status,
        "reason": result.reason,
        "probabilities": result.probabilities,
        **({"top": best} if top_k > 1 else {}),
        **(_json_number(result) if numbers else {}),
        **(_json_cell(result) if cells else {}),
        **({"corrected_at": result.corrected_at} if result.corrected_at else {}),
    }


def _json_cell(result: Result) -> dict[str, object]:
    cell = result.cell
    if cell is None:
        return dict.fromkeys(("page", "row", "column", "box", "field"))
    box = {name: getattr(cell, name) for name in BOX}
    place = {"page": cell.page, "row": cell.row, "column": cell.column}
    return {**place, "box": box, "field": cell.field}


def _json_number(result: Result) -> dict[str, object]:
    digits = [
        {
            "text": sign.text,
            "box": {name: getattr(sign, name) for name in BOX},
            "confidence": sign.confidence,
            "probabilities": sign.probabilities,
        }
        for sign in result.digits
    ]
    return {"number": result.number, "digits": digits}
