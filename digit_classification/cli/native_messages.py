"""What decoders written in C say on standard error: taken from there, for the picture's own note.

They write to the file descriptor itself, where no setting of Python's reaches them, and say neither
which picture they mean nor whether it matters.  While that descriptor is diverted to a temporary
file, what a decoder has said is what the file has grown by.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TextIO

STDERR = 2  # the file descriptor
KEPT = 4096  # bytes of what is said about a picture

_diverted = False  # whether what goes to STDERR now goes to the file


@functools.cache
def _file(_process: int) -> int:
    """Return the descriptor of this process's temporary file, which nobody else can open."""
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def divert_for_good() -> None:
    """Divert what native libraries say in this process, which is there to read pictures.

    Python's own messages still go to standard error.
    """
    global _diverted
    with contextlib.suppress(OSError):  # no standard error, or no room for a file
        _set_apart()
        os.dup2(_file(os.getpid()), STDERR)
        _diverted = True


@contextlib.contextmanager
def diverted_if_apart() -> Iterator[None]:
    """Divert what native libraries say meanwhile, unless Python's own messages would go along."""
    global _diverted
    if _diverted or not _is_apart():
        yield
        return
    try:
        before = os.dup(STDERR)
    except OSError:  # there is no standard error
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(_file(os.getpid()), STDERR)
            _diverted = True
        yield
    finally:
        _diverted = False
        os.dup2(before, STDERR)
        os.close(before)


@contextlib.contextmanager
def standard_error_apart() -> Iterator[None]:
    """Let Python write to standard error through a descriptor of its own meanwhile.

    So its messages, and a bar that another thread draws, come through while a picture is decoded.
    """
    before = sys.stderr
    apart = None
    with contextlib.suppress(OSError):
        apart = _set_apart()
    try:
        yield
    finally:
        if apart is not None:
            sys.stderr = before
            apart.close()


def take_messages() -> list[str]:
    """Return what native libraries have said since the last call, line by line."""
    if not _diverted:
        return []
    file = _file(os.getpid())
    try:
        if not os.fstat(file).st_size:
            return []
        os.lseek(file, 0, os.SEEK_SET)
        said = os.read(file, KEPT)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
    except OSError:
        return []
    lines = said.decode("utf-8", "replace").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def _is_apart() -> bool:
    try:
        return sys.stderr is None or sys.stderr.fileno() != STDERR
    except (AttributeError, OSError, ValueError):  # a stand-in, as of a notebook or a test
        return True


def _set_apart() -> TextIO | None:
    """Give sys.stderr a descriptor of its own; return it, or None if it has one, or is no file."""
    if _is_apart():
        return None
    sys.stderr.flush()
    apart = os.fdopen(
        os.dup(STDERR),
        "w",
        buffering=1,  # line by line
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
    )
    sys.stderr = apart
    return apart
