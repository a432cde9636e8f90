"""What a dataset is recognised as: where its images are, and what labels it gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from digit_classification.pictures.sources import Source

File = tuple[tuple[str, ...], Source]  # with the parts of its name relative to the dataset
Part = Literal["training", "test"]  # of a dataset that holds both

# Of a name in small letters: `x_test`, `t10k-images-idx3-ubyte`, `mnist_test.csv`, `val_labels`.
_TEST = re.compile(r"(?<![a-z])[xy]?(?:test|t10k)")
_VALIDATION = re.compile(r"(?<![a-z])[xy]?val(?:id|idation)?(?![a-z])")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Contents:
    """Images with their labels, none of them prepared yet.

    Attributes:
        names: of the images, relative to the dataset; in full if the dataset is a file.
        labels: as the dataset gives them; `digit_of` says which digits they stand for.
        source: returns the picture at a position.
        are_pixels: whether they come from an array or a table, as files in the format PGM.
    """

    names: Sequence[str]
    labels: Sequence[str]
    source: Callable[[int], Source]
    are_pixels: bool = False


@dataclass(frozen=True)
class Found:
    """What a dataset was recognised as.

    Attributes:
        form: in words: `class folders`, `IDX files 'a' and 'b'`.
        read: returns the contents; raises DatasetError where the files are not what they seemed.
        kind: what gives an image its label.
        stray: files that are no part of this form.
        unlabelled: what cannot be used because nothing says which digit it is, with the reason.
        beside: files that belong to a dataset which is itself one file.
        holds_test: whether the training and a test lie at the same path, of which this is one.
    """

    form: str
    read: Callable[[], Contents]
    kind: Literal["label", "class folder"] = "label"
    stray: Sequence[str] = ()
    unlabelled: Sequence[tuple[str, str]] = ()
    beside: Sequence[Source] = ()
    holds_test: bool = False


def role_of(name: str) -> str:
    """Return what a file or an array is for by its name: `training`, `test` or `validation`."""
    name = name.lower()
    if _TEST.search(name):
        return "test"
    return "validation" if _VALIDATION.search(name) else "training"


def by_role(items: Iterable[Item], name: Callable[[Item], str]) -> dict[str, list[Item]]:
    """Return items by what they are for; where none is for the training, all are."""
    roles: dict[str, list[Item]] = {"training": [], "test": [], "validation": []}
    for item in items:
        roles[role_of(name(item))].append(item)
    if not roles["training"]:
        everything = [item for items in roles.values() for item in items]
        return {"training": everything, "test": [], "validation": []}
    return roles


def folders_in(files: Iterable[File], depth: int) -> list[str]:
    """Return the names of the folders at this depth, sorted."""
    return sorted({parts[depth] for parts, _ in files if len(parts) > depth + 1})


def name_of(file: File) -> str:
    return "/".join(file[0])
