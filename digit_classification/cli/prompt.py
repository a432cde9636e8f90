"""Paths as people type them at a prompt, or drag them into a terminal."""

from __future__ import annotations

import os
import shlex


def typed_paths(line: str, *, windows: bool = os.name == "nt") -> list[str]:
    r"""Return the paths in a line: the line itself if that is there, or else its words.

    They are those of a shell: `~` is the home folder, quotes are taken off, and a backslash escapes
    what follows it, as in `My\ Pictures`; on Windows it stands between folders instead.  A line
    with spaces is taken apart only if each of the paths in it is there.
    """
    line = line.strip()
    if not line or os.path.lexists(line):
        return [line] if line else []
    try:
        words = shlex.split(line, posix=not windows)
    except ValueError:  # an apostrophe in a name
        words = [line]
    words = [os.path.expanduser(word.strip("'\"")) for word in words]
    if len(words) == 1 or all(map(os.path.lexists, words)):
        return words
    return [os.path.expanduser(line)]
