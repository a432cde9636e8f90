"""The pages of a PDF, drawn by PDFium in a process of its own.

A PDF is a program that draws: one of two kilobytes can draw for days, or fill the memory.  So

- a page gets DPI pixels an inch, but no more than are looked at, whatever size it says it has;
- the process may take PATIENCE_S for a page, and where the system counts it, MEMORY;
- it may crash, or be ended when it hangs, without harm to the other files of a run;
- scripts are not run and links not followed: this PDFium has no JavaScript, and nobody asks it to
  fill in forms.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import multiprocessing
import os
import signal
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from digit_classification.image_formats import INSTALL, MAX_PAGES, TOO_MANY_PAGES

DPI = 200
MEMORY = 2**30  # bytes beside the file's own
PATIENCE_S = 20.0
# Three numbers begin each message, and bytes follow.  No pickles: what draws is not trusted.
_HEADER = struct.Struct("<III")


class PdfError(Exception):
    """Why a PDF, or a page of it, cannot be drawn; a short reason."""


class Drawn(NamedTuple):
    """A page, grey, 0 (black) to 255 (white): rows of `stride` bytes, of which `width` count."""

    width: int
    height: int
    stride: int
    pixels: bytes


def draw_pages(content: bytes, max_pixels: int, longest: int) -> Iterator[Drawn | PdfError]:
    """Yield each page, with no more than `longest` pixels on its longer side, or why there is none.

    Raises PdfError if the file cannot be read at all.
    """
    # The process that draws imports this module, and needs nothing of that one.
    from digit_classification.parallel.processes import starting_processes

    if importlib.util.find_spec("pypdfium2") is None:
        raise PdfError(f"a PDF needs pypdfium2, which is not installed: {INSTALL}")
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(child, max_pixels, longest), daemon=True
    )
    with starting_processes():
        process.start()
    child.close()  # the parent's end then tells when the process is gone
    try:
        with contextlib.suppress(OSError):  # it has crashed, which receiving will tell
            parent.send_bytes(content)
        try:
            count, *_ = _receive(parent)
        except EOFError:
            raise PdfError("damaged PDF") from None
        for _ in range(count):
            try:
                yield Drawn(*_receive(parent))
            except PdfError as error:
                yield error
            except EOFError:
                yield PdfError(
                    f"cannot be drawn in {PATIENCE_S:.0f} s and {MEMORY >> 20} MiB, and no page "
                    "after it is read"
                )
                return
    finally:
        process.kill()
        process.join()
        parent.close()


def _receive(connection: Connection) -> tuple[int, int, int, bytes]:
    """Return a message; raise PdfError if it says what is wrong, EOFError if there is none."""
    try:
        if not connection.poll(PATIENCE_S):
            raise EOFError
        message = connection.recv_bytes()
    except OSError:
        raise EOFError from None
    first, second, third = _HEADER.unpack_from(message)
    rest = message[_HEADER.size :]
    if not first:
        raise PdfError(rest.decode())
    return first, second, third, rest


# ---------------------------------------------------------------------- in the process that draws


def _serve(connection: Connection, max_pixels: int, longest: int) -> None:
    """Receive a PDF, tell how many pages it has, and then each of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    content = connection.recv_bytes()
    import pypdfium2

    _bound(len(content))
    with contextlib.suppress(OSError):  # the parent has gone
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            locked = error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
            problem = "encrypted PDF" if locked else "damaged PDF"
            _refuse(connection, problem)
            return
        if len(document) > MAX_PAGES:
            _refuse(connection, TOO_MANY_PAGES)
            return
        connection.send_bytes(_HEADER.pack(len(document), 0, 0))
        for number in range(len(document)):
            _bound(len(content))
            try:
                page = _draw(document, number, max_pixels, longest)
            except PdfError as error:
                _refuse(connection, str(error))
            else:
                connection.send_bytes(_HEADER.pack(*page[:3]) + page.pixels)


def _refuse(connection: Connection, problem: str) -> None:
    connection.send_bytes(_HEADER.pack(0, 0, 0) + problem.encode())


def _draw(document: Any, number: int, max_pixels: int, longest: int) -> Drawn:
    try:
        page = document[number]
        width, height = page.get_size()
        scale = min(DPI / 72, longest / max(width, height))  # a PDF counts in 72ths of an inch
        across, down = math.ceil(width * scale), math.ceil(height * scale)
        if across * down <= max_pixels:
            bitmap = page.render(scale=scale, grayscale=True)
            page.close()
            return Drawn(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer))
    except Exception as error:  # whatever it is, the next page may be sound
        raise PdfError("damaged page") from error
    raise PdfError(f"{across}x{down}: {_too_large(max_pixels)}")


def _too_large(max_pixels: int) -> str:
    return f"more than {max_pixels:,} pixels"


def _bound(size: int) -> None:
    """Have the system see to the limits of this process for the next page, where it does so.

    It draws no longer than that even if the parent was killed, and leaves no core dump behind.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime + PATIENCE_S)
        memory = MEMORY + 2 * size
        for what, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_AS, memory),
        ):
            resource.setrlimit(what, (most, resource.getrlimit(what)[1]))
