"""What a run writes beside its rows; whatever fails there names the place and its option."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from digit_classification.cli.late import discard
from digit_classification.errors import UserError
from digit_classification.pictures.prepare import Prepared


class DestinationError(UserError):
    """What a run should write cannot be written; the message is one sentence for the user."""


def open_output(path: Path) -> io.TextIOWrapper:
    """Open the file of --output; all that goes wrong with it is a DestinationError that names it.

    Raises DestinationError.
    """
    with naming(path, "file", "--output"):
        return io.TextIOWrapper(
            io.BufferedWriter(_OutputFile(path, "w")), encoding="utf-8", newline=""
        )


class _OutputFile(io.FileIO):
    """A file whose errors say which option named it, also those of a late flush or close."""

    def write(self, content: Any) -> int:
        with self._naming():
            return super().write(content)

    def close(self) -> None:
        with self._naming():
            super().close()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # a named pipe whose reader has seen enough
            raise
        except OSError as error:
            raise DestinationError(
                f"The results cannot be written to '{self.name}': {error.strerror}: make room, or "
                "name another file with --output."
            ) from None


class StandardOutput(io.TextIOBase):
    """Standard output, whose errors are said to be its own; closing this only flushes it.

    If its reader goes away, as `head` does, what comes after that is dropped; with `or_end`, the
    methods raise BrokenPipeError.
    """

    def __init__(self, *, or_end: bool = True) -> None:
        super().__init__()
        self._or_end = or_end

    def write(self, text: str) -> int:
        with self._naming():
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        with self._naming():
            sys.stdout.flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            if self._or_end:
                raise
            discard(sys.stdout.fileno())
        except OSError as error:
            # What is still to be flushed would fail again, and be said again, when Python ends.
            discard(sys.stdout.fileno())
            raise DestinationError(
                f"The results cannot be written to standard output: {error.strerror}: see where it "
                "leads, or name a file with --output."
            ) from None


def write_normalized(folder: Path, batch: Sequence[Prepared], first: int) -> None:
    """Write what the network sees: one PNG a picture, numbered in the order of the results.

    Of a number it is one a digit, with its place in the number behind the name.

    Raises DestinationError if one cannot be written.
    """
    for number, image in enumerate(batch, first):
        stem = "".join(
            c if c.isalnum() or c in "-_." else "_" for c in Path(image.source.name).stem
        )
        name = f"{number:06d}-{stem[:80]}"
        seen = {name: image.digit}
        seen |= {f"{name}-{place}": sign for place, sign in enumerate(image.signs, 1)}
        for name, digit in seen.items():
            if digit is None:
                continue
            path = folder / f"{name}.png"
            with naming(path, "folder", "--save-normalized"):
                Image.fromarray(digit).save(path)


@contextmanager
def naming(path: Path, kind: str, option: str) -> Iterator[None]:
    """Turn what the system refuses into a sentence that names the path and the option for it."""
    try:
        yield
    except OSError as error:
        raise DestinationError(
            f"'{path}' cannot be written: {error.strerror}: name another {kind} with {option}."
        ) from None
