"""What a run came to, printed for the person who started it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from digit_classification.detection.writers import as_text
from digit_classification.names import printable
from digit_classification.pictures.decode import DECODER_SAID
from digit_classification.pictures.images import BLANK
from digit_classification.results.records import Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NAMED = 10  # files named; all of them are in the database and in the output


@dataclass
class Summary:
    """What a run came to, for the person who started it."""

    digits: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)  # of numbers, in digits
    statuses: Counter[str] = field(default_factory=Counter)
    warned: int = 0  # pictures of which a decoder said something
    unreadable: list[Result] = field(default_factory=list)  # the first few errors and rejections
    begin: float = field(default_factory=time.monotonic)
    named: int | None = NAMED  # None names all
    numbers: bool = False  # whether numbers were read, and not digits
    cells: bool = False  # whether they were read in the cells of forms
    empty: int = 0  # cells of forms with nothing in them, which are meant to be there

    @classmethod
    def of(cls, results: Iterable[Result], named: int | None = NAMED) -> Summary:
        """Return what these results come to."""
        summary = cls(named=named)
        for result in results:
            summary.add(result)
        return summary

    def add(self, result: Result) -> None:
        if result.cell is not None and (result.reason or "").startswith(BLANK):
            self.empty += 1
            return
        self.statuses[result.status] += 1
        self.warned += DECODER_SAID in (result.reason or "")
        if result.number is not None:
            self.lengths[sum(sign.isdecimal() for sign in result.number)] += 1
        elif result.digit is not None:
            self.digits[result.digit] += 1
        elif self.named is None or len(self.unreadable) < self.named:
            self.unreadable.append(result)

    def merge(self, other: Summary) -> None:
        """Add what another part of the run came to."""
        self.statuses += other.statuses
        self.digits += other.digits
        self.lengths += other.lengths
        self.warned += other.warned
        self.empty += other.empty
        room = None if self.named is None else max(0, self.named - len(self.unreadable))
        self.unreadable += other.unreadable[:room]

    @property
    def total(self) -> int:
        """How many results there are."""
        return self.statuses.total() + self.empty

    @property
    def complete(self) -> bool:
        """Whether every picture has a digit or number, or is an empty cell."""
        return not self.statuses["error"] and not self.statuses["rejected"]

    def _table(self) -> Table:
        from digit_classification.cli.terminal import make_table  # rich is not needed before

        if self.numbers:
            table = make_table("digits of the number", "cells" if self.cells else "images")
            for length in sorted(self.lengths):
                table.add_row(str(length), f"{self.lengths[length]:,}")
            return table
        table = make_table("digit", "images")
        for digit in range(10):
            table.add_row(str(digit), f"{self.digits[digit]:,}")
        return table

    def print(self, messages: Console, strays: Sequence[str], stored_before: int) -> None:
        total, seconds = self.total - stored_before, time.monotonic() - self.begin
        rate = f"{total / seconds:,.0f} a second" if seconds > 0 else ""
        before = f", and {stored_before:,} before" if stored_before else ""
        what = "cells" if self.cells else "images"
        messages.print(f"{total:,} {what} in {seconds:.1f} s ({rate}){before}")
        messages.print(self._table())
        if self.empty:
            messages.print(f"empty: {self.empty:,}")
        for status in ("uncertain", "rejected", "error"):
            if self.statuses[status]:
                messages.print(f"{status}: {self.statuses[status]:,}")
        for result in self.unreadable:
            messages.print(f"  {as_text(result)}")
        unnamed = self.statuses["error"] + self.statuses["rejected"] - len(self.unreadable)
        if unnamed:
            messages.print(f"  and {unnamed:,} more")
        if self.warned:
            messages.print(f"decoders' warnings: {self.warned:,} (in the pictures' reasons)")
        if strays:
            shown = ", ".join(printable(name) for name in strays[: self.named])
            unnamed = len(strays) - len(strays[: self.named])
            more = f" and {unnamed:,} more" if unnamed else ""
            messages.print(f"ignored, no pictures: {shown}{more}")
