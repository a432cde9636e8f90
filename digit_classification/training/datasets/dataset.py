"""A folder-per-class dataset, as a directory or a zip, read into arrays.

    digits/0/any-name.png            or the same inside digits.zip,
    digits/1/…                       at its top or under one wrapping folder
    …
    digits/9/…

What is left out, and why, is in the report; nothing is replaced in silence.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.images import SIDE
from digit_classification.pictures.prepare import Prepared, prepare_all
from digit_classification.pictures.sources import Source, SourceError, is_zip, list_folder, list_zip
from digit_classification.training.datasets import cache as dataset_cache
from digit_classification.urls import OBJECT_STORES

CLASSES = tuple("0123456789")
SHOWN_EVERY = 100  # images: telling of each would take longer than unpacking it
CACHED_FROM = 1.0  # seconds: what is read faster is not worth a file


Parts = tuple[str, ...]  # of a name, as PurePosixPath has them


class DatasetError(Exception):
    """The dataset cannot be trained on; the message is one sentence for the user."""


@dataclass
class Findings:
    """What happened to each file of a dataset.  Names are relative to the dataset."""

    left_out: list[tuple[str, str]] = field(default_factory=list)  # unreadable: (name, reason)
    stray: list[str] = field(default_factory=list)  # no pictures
    duplicates: list[tuple[str, str]] = field(default_factory=list)  # (name, the copy kept)
    doubtful: list[tuple[str, str]] = field(default_factory=list)  # kept, but (name, reason)


@dataclass(frozen=True)
class Dataset:
    """Normalised digits with their labels."""

    path: Path
    digits: np.ndarray  # (n, 28, 28) uint8, light ink on dark
    labels: np.ndarray  # (n,) uint8, 0 to 9
    names: list[str]  # relative to the dataset, in the order of `digits`
    findings: Findings
    checksums: list[str]  # SHA-256 of each image's file, hexadecimal, in the order of `digits`

    def __len__(self) -> int:
        return len(self.labels)

    def without_digits(self) -> Dataset:
        """Return all but the images, which need not stay in memory once they are split."""
        return replace(self, digits=self.digits[:0].copy())

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each class."""
        return dict(zip(CLASSES, np.bincount(self.labels, minlength=10).tolist(), strict=True))

    @property
    def sha256(self) -> str:
        """A checksum of all labels and file contents: the same images give the same sum."""
        pairs = zip(self.labels.tolist(), self.checksums, strict=True)
        lines = sorted(f"{label} {checksum}\n" for label, checksum in pairs)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_dataset(
    path: Path,
    *,
    strict: bool = False,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    cache: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """Read the dataset at `path`, a directory or a zip; `progress(done, total)` now and then.

    Byte-identical images are kept once, so that a copy cannot sit on both sides of a split.
    With `cache`, what an earlier call kept is used if it fits, and otherwise kept for the next.

    Raises DatasetError if it has no proper class folders, if an image lies in two of them, or,
    with `strict`, if an image cannot be read.
    """
    key = _cache_key(path, limits) if cache else None
    if key is not None and (kept := dataset_cache.load(path, key)) is not None:
        return _from_cache(path, *kept, strict)
    begin = time.monotonic()
    dataset = _read_files(path, strict, workers, limits, progress)
    if key is not None and time.monotonic() - begin >= CACHED_FROM:
        rest = {
            "names": dataset.names,
            "checksums": dataset.checksums,
            "report": asdict(dataset.findings),
        }
        dataset_cache.save(path, key, dataset.digits, dataset.labels, rest)
    return dataset


def _cache_key(path: Path, limits: Limits) -> str | None:
    """Return the key of the dataset, or None if it is none: reading it will say why not."""
    if not path.is_dir() and not is_zip(str(path)):
        return None
    try:
        return dataset_cache.cache_key(path, limits)
    except (OSError, SourceError):
        return None


def _from_cache(
    path: Path, digits: np.ndarray, labels: np.ndarray, rest: dict[str, Any], strict: bool
) -> Dataset:
    """Return what `_read_files` returned earlier."""
    files = rest["report"]
    if strict and files["left_out"]:
        raise _unreadable(path, *files["left_out"][0])
    findings = Findings(
        stray=files["stray"],
        left_out=[(name, reason) for name, reason in files["left_out"]],
        duplicates=[(name, kept) for name, kept in files["duplicates"]],
        doubtful=[(name, reason) for name, reason in files["doubtful"]],
    )
    return Dataset(path, digits, labels, rest["names"], findings, rest["checksums"])


def _read_files(
    path: Path,
    strict: bool,
    workers: int,
    limits: Limits,
    progress: Callable[[int, int], None],
) -> Dataset:
    findings = Findings()
    labelled = _assign_classes(path, _list_files(path), findings)
    sources = (source for _, _, source in labelled)
    prepared = prepare_all(sources, workers=workers, limits=limits)

    digits = np.empty((len(labelled), SIDE, SIDE), np.uint8)
    labels: list[int] = []
    names: list[str] = []
    first: dict[str, int] = {}  # where the image with this checksum is in `names`
    for done, ((name, label, _), image) in enumerate(zip(labelled, prepared, strict=True), 1):
        if done % SHOWN_EVERY == 0 or done == len(labelled):
            progress(done, len(labelled))
        if image.stray:
            findings.stray.append(name)
        elif image.digit is None or image.sha256 is None:
            _leave_out(path, name, image, strict, findings)
        elif (earlier := first.setdefault(image.sha256, len(names))) < len(names):
            if labels[earlier] != label:
                raise DatasetError(
                    f"'{names[earlier]}' and '{name}' in '{path}' are the same image in two class "
                    "folders: delete the wrong one."
                )
            findings.duplicates.append((name, names[earlier]))
        else:
            if image.rejection is not None:
                findings.doubtful.append((name, image.rejection))
            digits[len(names)] = image.digit
            labels.append(label)
            names.append(name)

    label_array = np.array(labels, dtype=np.uint8)
    _check_every_class(path, label_array, findings)
    return Dataset(path, digits[: len(names)], label_array, names, findings, list(first))


def _list_files(path: Path) -> list[tuple[Parts, Source]]:
    """Return the files of the dataset with the parts of their names relative to it."""
    if path.is_dir():
        # Sorted here: the split should not depend on how a file system keeps large folders.
        sources = sorted(list_folder(str(path)), key=lambda source: source.path)
        for source in sources:
            if source.problem is not None:
                raise DatasetError(f"The folder '{source.path}' {source.problem}.")
        start = len(os.path.join(path, ""))  # pathlib would take longer than reading an image
        return [(tuple(source.path[start:].split(os.sep)), source) for source in sources]
    if is_zip(str(path)):
        try:
            members = list_zip(str(path))
            return [(PurePosixPath(source.member or "").parts, source) for source in members]
        except SourceError as error:
            raise DatasetError(
                f"The dataset '{path}' cannot be read: {error}. Name a folder or a zip."
            ) from None
    if path.exists():
        raise DatasetError(
            f"The dataset '{path}' is neither a folder nor a .zip file: check --dataset."
        )
    if {start.rstrip("/") for start in OBJECT_STORES} & set(path.parts):  # Path("s3://b") is s3:/b
        raise DatasetError(
            f"The dataset '{path}' is in an object store, which the trainer does not read: copy it"
            " to a disk, and name the folder or zip there with --dataset."
        )
    raise DatasetError(f"There is no dataset '{path}': name a folder or a zip with --dataset.")


def _assign_classes(
    path: Path, files: Sequence[tuple[Parts, Source]], findings: Findings
) -> list[tuple[str, int, Source]]:
    """Return (relative name, label, source) for what lies in class folders; the rest is stray."""
    folders = {parts[0] for parts, _ in files if len(parts) > 1}
    depth = 0
    if len(folders) == 1 and not folders & set(CLASSES):  # one wrapping folder
        depth = 1
        folders = {parts[1] for parts, _ in files if len(parts) > 2}

    unknown = sorted(folders - set(CLASSES))
    if unknown:
        raise DatasetError(
            f"'{path}' has the unknown class folder{'s' if len(unknown) > 1 else ''} "
            f"{_quoted(unknown)}: the folders should be named 0 to 9."
        )
    missing = sorted(set(CLASSES) - folders)
    if missing:
        found = f"found {_quoted(sorted(folders))}" if folders else "found no class folder"
        raise DatasetError(
            f"'{path}' has no images in the class folder{'s' if len(missing) > 1 else ''} "
            f"{_quoted(missing)} ({found}): each of 0 to 9 needs some."
        )

    labelled = []
    for parts, source in files:
        name = "/".join(parts)
        if len(parts) > depth + 1:
            labelled.append((name, int(parts[depth]), source))
        else:
            findings.stray.append(name)
    return labelled


def _leave_out(path: Path, name: str, image: Prepared, strict: bool, findings: Findings) -> None:
    reason = image.error or ""
    if strict:
        raise _unreadable(path, name, reason)
    findings.left_out.append((name, reason))


def _unreadable(path: Path, name: str, reason: str) -> DatasetError:
    return DatasetError(
        f"'{name}' in '{path}' cannot be read ({reason}): "
        "repair or delete it, or train without --strict."
    )


def _check_every_class(path: Path, labels: np.ndarray, findings: Findings) -> None:
    counts = np.bincount(labels, minlength=10)
    if counts.min() == 0:
        empty = [name for name, count in zip(CLASSES, counts, strict=True) if count == 0]
        raise DatasetError(
            f"'{path}' has no readable image in the class folder{'s' if len(empty) > 1 else ''} "
            f"{_quoted(empty)} ({len(findings.left_out)} files could not be read): "
            "each of 0 to 9 needs some."
        )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
