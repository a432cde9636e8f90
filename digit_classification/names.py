r"""Names of files as a terminal, a database, a spreadsheet and a shell can take them.

A file may be called anything: with a line break, with the bytes that move a terminal's cursor,
with bytes that are no text at all (Python holds those as lone surrogates, PEP 383), or like a
formula of a spreadsheet.  Whatever shows, stores or writes a name brings it through here first.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence

LONGEST_FIELD = 64  # characters of the name of a form's field, which in MySQL is that of a column
# A spreadsheet takes a cell that begins like this for a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def printable(name: str) -> str:
    """Return `name` for a line on the terminal: control characters are escaped as well."""
    text = escape_undecodable(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_undecodable(name: str) -> str:
    r"""Return `name` as valid Unicode: a byte of a file name that is no text becomes \xff."""
    if name.isascii():  # nearly every name, and a hundredth of the time
        return name
    return re.sub("[\ud800-\udfff]", _escape_surrogate, name)


def _escape_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])  # U+DC80 to U+DCFF stand for bytes (PEP 383); Windows allows the others
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def unescape_undecodable(name: str) -> str:
    """Undo `escape_undecodable`."""
    name = re.sub(r"\\x([89a-f][0-9a-f])", lambda match: chr(0xDC00 + int(match[1], 16)), name)
    return re.sub(r"\\u(d[89a-f][0-9a-f]{2})", lambda match: chr(int(match[1], 16)), name)


def defused(cell: str) -> str:
    """Return a cell that a spreadsheet shows, and does not run."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def undefused(cell: str) -> str:
    """Undo `defused`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def shell_command(words: Sequence[str]) -> str:
    """Return words quoted for the shell of this system."""
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    r"""Quote one word; $'\xff', which all but the oldest shells know, for what is no plain text."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\{byte:03o}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(escaped)}'"
