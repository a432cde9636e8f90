"""What is piped in: the bytes of one picture, or a list of paths, by lines or by NULs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import BinaryIO

from digit_classification.pictures.sources import MAX_FILE_BYTES, Source, SourceError

NAME = "-"  # of the picture, in output and database
# How the files of pictures begin.  A list of paths could begin like some of them as well, hence
# what has to follow: the width and the height of a Netpbm file, zeros in the header of a BMP.
PICTURE = re.compile(
    rb"""
    \x89PNG\r\n
    | \xff\xd8\xff                              # JPEG
    | GIF8[79]a
    | BM.{4}\0\0\0\0
    | II[*+]\0 | MM\0[*+]                       # TIFF
    | RIFF.{4}WEBP
    | P[1-6]\s+(?:\#[^\n]*\n\s*)*\d+\s+\d+\s    # Netpbm
    | %PDF-\d\.\d
    | .{4}ftyp | \0\0\0\x0cjP | \xff\x4f\xff\x51  # AVIF, HEIC, JPEG 2000
    """,
    re.DOTALL | re.VERBOSE,
)
# The few of these beginnings that are text as well: more of them has to be seen.
PERHAPS_PICTURE = re.compile(rb"BM|II|MM|RIFF|P[1-6]\s")
HEADER = 32  # bytes, by which all of them are told
BOM, UTF_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")  # what Windows programs put before text
LONGEST_PATH = 2**16  # bytes; no system has longer ones
BLOCK = 2**16
NO_LIST = (
    "Standard input holds neither a picture nor a list of paths:"
    " pipe in one of them, or name the file itself."
)


def read_stdin() -> Source | Iterator[str]:
    """Return the picture on standard input, or else an iterator over the paths on it.

    A list has a path a line, or, where there is a NUL in its first block, a path before each NUL,
    as from `find -print0`.  Paths need not be valid text, and are read as they come.

    Raises SourceError, with a sentence, if it is neither; while a list is read, too.
    """
    if sys.stdin is None:  # a program without a terminal has none
        return iter(())
    stream = sys.stdin.buffer
    head = _first_block(stream)
    if PICTURE.match(head):
        content = head + stream.read(MAX_FILE_BYTES + 1 - len(head))
        return Source(name=NAME, path=NAME, explicit=True, content=content)
    separator = b"\0" if b"\0" in head else b"\n"
    head = head.removeprefix(BOM)
    first = _path(head.split(separator)[0], separator)
    if not os.path.lexists(first) and _looks_binary(head, first):
        raise SourceError(NO_LIST)
    return _paths(stream, head, separator)


def _looks_binary(head: bytes, first: str) -> bool:
    """Binary data is full of NULs one after the other, and of control characters."""
    odd = head.startswith((b"\0", *UTF_16)) or b"\0\0" in head
    return odd or re.search("[\x01-\x08\x0e-\x1a]", first) is not None


def _first_block(stream: BinaryIO) -> bytes:
    """Return what comes first: enough to see what it is, however small the writer's pieces are."""
    head = b""
    while len(head) < HEADER and (PERHAPS_PICTURE.match(head) or not re.search(rb".[\n\0]", head)):
        block = _read_some(stream)
        if not block:
            break
        head += block
    return head


def _read_some(stream: BinaryIO) -> bytes:
    """Return the bytes that are there, without waiting for a whole block of them."""
    read1 = getattr(stream, "read1", stream.read)
    return bytes(read1(BLOCK))


def _paths(stream: BinaryIO, rest: bytes, separator: bytes) -> Iterator[str]:
    block = rest
    while block:
        *whole, rest = rest.split(separator)
        yield from filter(None, (_path(each, separator) for each in whole))
        if len(rest) > LONGEST_PATH:
            raise SourceError(NO_LIST)
        block = _read_some(stream)
        rest += block
    if last := _path(rest, separator):
        yield last


def _path(item: bytes, separator: bytes) -> str:
    if separator == b"\n":
        item = item.rstrip(b"\r")
        if b"\0" in item:
            raise SourceError(NO_LIST)
    try:
        return os.fsdecode(item)
    except UnicodeDecodeError:  # on Windows, where names are text
        raise SourceError(NO_LIST) from None
