"""A folder of pictures for each digit, in a folder or a zip.

digits/0/any-name.png            or the same inside digits.zip, below any wrapping folders;
digits/1/…                       `zero`, `digit_0`, `00` and Chars74K's `Sample001` will do
…
digits/9/…
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from digit_classification.pictures.sources import (
    Source,
    SourceError,
    is_zip,
    list_folder,
    list_zip,
    parts_of,
)
from digit_classification.training.datasets.dataset import CLASSES, DatasetError, digit_of
from digit_classification.training.datasets.found import Contents, File, Found, folders_in, name_of

TRAINING, TEST = {"train", "training"}, {"test", "testing"}


def list_files(path: Path) -> list[File]:
    """Return all files of the folder or zip at `path`, sorted.

    Raises DatasetError if a folder in it, or the zip, cannot be listed.
    """
    if is_zip(str(path)):
        try:
            members = list_zip(str(path))
            return [(parts_of(source.member or ""), source) for source in members]
        except SourceError as error:
            raise DatasetError(
                f"The dataset '{path}' cannot be read: {error}. Name a folder or a zip."
            ) from None
    # Sorted here: the split should not depend on how a file system keeps large folders.
    sources = sorted(list_folder(str(path)), key=lambda source: source.path)
    for source in sources:
        if source.problem is not None:
            raise DatasetError(f"The folder '{source.path}' {source.problem}.")
    start = len(os.path.join(path, ""))  # pathlib would take longer than reading an image
    return [(tuple(source.path[start:].split(os.sep)), source) for source in sources]


def class_folders(files: Sequence[File], depth: int) -> Found | None:
    """Return the class folders at this depth of all names; None if none is of a digit."""
    folders = folders_in(files, depth)
    digits = sorted(
        (name for name in folders if digit_of(name) is not None),
        key=lambda name: (digit_of(name) or 0, name),
    )
    if not digits:
        return None
    inside = [file for file in files if len(file[0]) > depth + 1]
    sources: list[Source] = [source for _, source in inside]
    contents = Contents(
        [name_of(file) for file in inside],
        [parts[depth] for parts, _ in inside],
        sources.__getitem__,
    )
    plain = set(digits) <= set(CLASSES)
    return Found(
        "class folders" if plain else f"class folders '{digits[0]}' to '{digits[-1]}'",
        lambda: contents,
        kind="class folder",
        stray=[name_of(file) for file in files if len(file[0]) <= depth + 1],
    )


def train_and_test(
    files: Sequence[File], depth: int
) -> tuple[list[File], list[File], list[str]] | None:
    """Return what lies in the folders `train` and `test`, and the names of all other folders.

    None if there is no `train`, or nothing beside it.
    """
    folders = folders_in(files, depth)
    named = {name: name.lower() for name in folders}
    training = {name for name in folders if named[name] in TRAINING}
    test = {name for name in folders if named[name] in TEST}
    if len(training) != 1 or len(test) > 1 or len(folders) == 1:
        return None

    def inside(which: set[str]) -> list[File]:
        return [file for file in files if len(file[0]) > depth + 1 and file[0][depth] in which]

    return inside(training), inside(test), sorted({*folders} - training - test)
