"""Results as text, as CSV and as JSON lines."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from typing import Protocol

from digit_classification.cli.terminal import discard
from digit_classification.pictures.sources import escape_undecodable, printable
from digit_classification.results.records import Result

FORMATS = ("text", "csv", "jsonl")
COLUMNS = ("path", "digit", "confidence", "status", "reason")
# A spreadsheet takes a cell that begins like this for a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class TextStream(Protocol):
    """What results are written to."""

    def write(self, text: str, /) -> int: ...


def make_writer(
    format_name: str, stream: TextStream, *, top_k: int = 1, with_path: bool = True
) -> Callable[[Result], None]:
    """Return a function that writes one result to `stream`; a CSV header is written at once."""
    if format_name == "csv":
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(COLUMNS)
        return lambda result: rows.writerow(_csv_row(result))
    if format_name == "jsonl":
        return lambda result: print(json.dumps(_json_object(result)), file=stream)
    return lambda result: print(as_text(result, top_k, with_path=with_path), file=stream)


class UntilClosed:
    """Takes text for standard output, also once its reader has gone, as `head` does."""

    def __init__(self) -> None:
        self._closed = False

    def write(self, text: str) -> int:
        if not self._closed:
            try:
                return sys.stdout.write(text)
            except BrokenPipeError:
                self._closed = True
                discard(sys.stdout.fileno())
        return len(text)


def as_text(result: Result, top_k: int = 1, *, with_path: bool = True) -> str:
    """Return one line: `scans/7.png: 7 99.8 %`, or why there is no digit."""
    if result.digit is None or result.probabilities is None:
        text = f"{result.status}: {result.reason}"
    else:
        ranked = sorted(enumerate(result.probabilities), key=lambda pair: -pair[1])
        text = ", ".join(f"{digit} {share:.1%}" for digit, share in ranked[:top_k])
        text += " (uncertain)" if result.status == "uncertain" else ""
        text += f" ({result.reason})" if result.reason else ""
    return f"{printable(result.path)}: {text}" if with_path else text


def _csv_row(result: Result) -> list[str]:
    return [
        defused(escape_undecodable(result.path)),
        "" if result.digit is None else str(result.digit),
        "" if result.confidence is None else f"{result.confidence:.6f}",
        result.status,
        defused(result.reason or ""),
    ]


def defused(cell: str) -> str:
    """Return a cell that a spreadsheet shows, and does not run."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def _json_object(result: Result) -> dict[str, object]:
    return {
        "path": escape_undecodable(result.path),
        "digit": result.digit,
        "confidence": result.confidence,
        "status": result.status,
        "reason": result.reason,
        "probabilities": result.probabilities,
    }
