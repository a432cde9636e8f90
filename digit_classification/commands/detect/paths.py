"""The paths that a person gives: asked for, found, taken from standard input, and counted."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from digit_classification.cli.prompt import typed_paths
from digit_classification.names import printable
from digit_classification.pictures.sources import Source, SourceError, expand, find_sources, is_zip
from digit_classification.urls import in_object_store

PROMPT = "Enter the image path or directory: "
ONE_BY_ONE = 10  # pictures that are named one by one, and so get a line each and no table


def given_paths(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> list[str]:
    """Return the paths on the command line; where a run needs some and none are there, ask."""
    if arguments.paths or arguments.resume is not None:
        return list(arguments.paths)
    return _ask_for_path(parser)


def _ask_for_path(parser: argparse.ArgumentParser) -> list[str]:
    """Ask a person for a path; where there is none, the command line lacks one."""
    if sys.stdin is not None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            if paths := typed_paths(input(PROMPT)):
                return paths
    return parser.error("name a picture, a folder or a zip")


def expand_all(given: Sequence[str]) -> list[str]:
    """Return the paths that the command line names; raises SourceError if one is not there."""
    return [path for each in given for path in ([each] if each == "-" else expand(each))]


def expand_again(given: Sequence[str]) -> list[str]:
    """Return the paths of a resumed run: what is gone meanwhile, it may have moved itself."""
    paths = []
    for each in given:
        try:
            paths += expand_all([each])
        except SourceError:
            paths += [] if glob.has_magic(each) else [each]
    return paths


def with_stdin(paths: Sequence[str], piped: Source | Iterator[str]) -> Iterator[str | Source]:
    """Yield the paths, and in the place of the first - what is on standard input."""
    for path in paths:
        if path != "-":
            yield path
        elif isinstance(piped, Source):
            yield piped
        else:
            yield from piped


def are_named(paths: Sequence[str], piped: Source | Iterator[str]) -> bool:
    """Whether the user asks about these pictures, and so wants their digits and not a summary."""
    return 1 <= len(paths) <= ONE_BY_ONE and all(
        isinstance(piped, Source) if path == "-" else os.path.isfile(path) and not is_zip(path)
        for path in paths
    )


def refuse_nothing(paths: Sequence[str], given: Sequence[str]) -> None:
    """Raise SourceError if the paths lead to no file, before anything is made or written."""
    # A list, and a store that `expand` has asked.
    if "-" in paths or any(map(in_object_store, paths)):
        return
    if next(find_sources(paths), None) is None:
        raise nothing_found(given)


def nothing_found(given: Sequence[str]) -> SourceError:
    """Return the error of paths that lead to no file."""
    named = ", ".join(map(printable, given))
    return SourceError(f"No picture was found in '{named}': check the path.")


def count_meanwhile(paths: Sequence[str], tell: Callable[[int], None]) -> threading.Thread:
    """Count the pictures while the first are read already, so that the time left can be told."""

    def count() -> None:
        with contextlib.suppress(SourceError):
            tell(sum(1 for _ in find_sources(paths)))

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    return thread
