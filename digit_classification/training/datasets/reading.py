"""A dataset in any form, read into arrays.

`forms` recognises it, and whatever it is, its images take the same way: prepared as the detector
prepares pictures, and copies left out.  What is left out, and why, is in the report; nothing is
replaced in silence.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.cli.wording import counted
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.images import SIDE
from digit_classification.pictures.prepare import Prepared, prepare_all
from digit_classification.training.datasets import cache as dataset_cache
from digit_classification.training.datasets.arrays import contents_of
from digit_classification.training.datasets.dataset import (
    CLASSES,
    Dataset,
    DatasetError,
    Findings,
    digit_of,
    quoted,
)
from digit_classification.training.datasets.forms import recognise
from digit_classification.training.datasets.found import Contents, Found, Part

SHOWN_EVERY = 100  # images: telling of each would take longer than unpacking it
CACHED_FROM = 1.0  # seconds: what is read faster is not worth a file
ARRAYS = Path("arrays")  # what a dataset is called that was handed over in Python

Progress = Callable[[int, int], None]


def read_dataset(
    path: Path,
    part: Part = "training",
    *,
    strict: bool = False,
    lenient: bool = False,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    cache: bool = False,
    progress: Progress = lambda done, total: None,
) -> Dataset:
    """Read the dataset at `path`, in any form; `progress(done, total)` now and then.

    Where the path holds a training and a test set, `part` says which of them; where it does not,
    it is read whole.  Byte-identical images are kept once, so that a copy cannot sit on both sides
    of a split.  With `cache`, what an earlier call kept is used if it fits, and otherwise kept for
    the next.

    Raises DatasetError if it is in no form that is known; with `strict`, if an image cannot be
    read; and unless `lenient`, which leaves such images out, if labels are no digits, if a digit
    has no images, or if an image has two labels.
    """
    found = recognise(path, part)
    part = part if found.holds_test else "training"
    key = _cache_key(path, part, lenient, limits, found) if cache else None
    if key is not None and (kept := dataset_cache.load(path, key, part)) is not None:
        return _from_cache(path, found, *kept, strict)
    begin = time.monotonic()
    dataset = _read(path, found, strict, lenient, workers, limits, progress)
    if key is not None and time.monotonic() - begin >= CACHED_FROM:
        rest = {
            "names": dataset.names,
            "checksums": dataset.checksums,
            "report": asdict(dataset.findings),
        }
        dataset_cache.save(path, key, dataset.digits, dataset.labels, rest, part)
    return dataset


def read_arrays(
    images: Any,
    labels: Any,
    *,
    strict: bool = False,
    lenient: bool = False,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = lambda done, total: None,
) -> Dataset:
    """Return what `read_dataset` does, of arrays as `contents_of` takes them."""
    contents = contents_of(np.asarray(images), np.asarray(labels), "images")
    found = Found("as handed over", lambda: contents)
    return _read(ARRAYS, found, strict, lenient, workers, limits, progress)


def _cache_key(path: Path, part: Part, lenient: bool, limits: Limits, found: Found) -> str | None:
    """Return the key of the dataset, or None if it cannot be read: reading it will say why."""
    beside = [source.path for source in found.beside]
    try:
        return dataset_cache.cache_key(path, limits, part, beside, lenient=lenient)
    except OSError:
        return None


def _from_cache(
    path: Path,
    found: Found,
    digits: np.ndarray,
    labels: np.ndarray,
    rest: dict[str, Any],
    strict: bool,
) -> Dataset:
    """Return what `_read` returned earlier."""
    files = rest["report"]
    if strict and files["left_out"]:
        raise _unreadable(path, *files["left_out"][0])
    findings = Findings(
        stray=files["stray"],
        **{
            kind: [(name, reason) for name, reason in files[kind]]
            for kind in ("left_out", "unlabelled", "duplicates", "doubtful")
        },
    )
    names, checksums = rest["names"], rest["checksums"]
    return Dataset(path, digits, labels, names, findings, checksums, found.form, found.holds_test)


def _read(
    path: Path,
    found: Found,
    strict: bool,
    lenient: bool,
    workers: int,
    limits: Limits,
    progress: Progress,
) -> Dataset:
    contents = found.read()
    if contents.are_pixels:  # files in a format that nobody has asked for
        limits = replace(limits, formats=(*limits.formats, "PGM"))
    findings = Findings(stray=[*found.stray], unlabelled=[*found.unlabelled])
    chosen = _of_digits(path, found.kind, contents, lenient, findings)
    sources = (contents.source(position) for position, _ in chosen)
    prepared = prepare_all(sources, workers=workers, limits=limits)

    digits = np.empty((len(chosen), SIDE, SIDE), np.uint8)
    labels: list[int] = []
    names: list[str] = []
    first: dict[str, int] = {}  # where the image with this checksum is in `names`
    contradicted: set[int] = set()  # positions of images that have another label elsewhere
    for done, ((position, label), image) in enumerate(zip(chosen, prepared, strict=True), 1):
        name = contents.names[position]
        if done % SHOWN_EVERY == 0 or done == len(chosen):
            progress(done, len(chosen))
        if image.stray:
            findings.stray.append(name)
        elif image.digit is None or image.sha256 is None:
            _leave_out(path, name, image, strict, findings)
        elif (earlier := first.setdefault(image.sha256, len(names))) == len(names):
            if image.rejection is not None:
                findings.doubtful.append((name, image.rejection))
            digits[len(names)] = image.digit
            labels.append(label)
            names.append(name)
        elif labels[earlier] == label:
            findings.duplicates.append((name, names[earlier]))
        else:
            _contradict(path, name, label, names[earlier], labels[earlier], lenient, findings)
            contradicted.add(earlier)

    whole = Dataset(
        path,
        digits[: len(names)],
        np.array(labels, dtype=np.uint8),
        names,
        findings,
        list(first),
        found.form,
        found.holds_test,
    )
    dataset = _without(whole, contradicted)
    _check_every_digit(path, dataset, lenient)
    return dataset


def _of_digits(
    path: Path, kind: str, contents: Contents, lenient: bool, findings: Findings
) -> list[tuple[int, int]]:
    """Return the positions of the images whose labels are digits, with these."""
    counts = Counter(contents.labels)
    digits = {label: digit_of(label) for label in counts}
    unknown = sorted(label for label, digit in digits.items() if digit is None)
    if unknown and not lenient:
        many = len(unknown) > 1
        raise DatasetError(
            f"'{path}' has the {kind}{'s' if many else ''} {quoted(unknown)}, which "
            f"{'are no digits' if many else 'is no digit'}: leave {'them' if many else 'it'} out "
            "with --lenient."
        )
    for label in unknown:
        named = f"{label}/" if kind == "class folder" else f"label '{label}'"
        findings.unlabelled.append((named, f"{counted(counts[label], 'image')} of no digit"))
    missing = sorted({*range(len(CLASSES))} - {*digits.values()})
    if missing and not lenient:
        shown = quoted(sorted(label for label in counts if digits[label] is not None), 10)
        raise DatasetError(
            f"'{path}' has no images of {_in_words(missing)} (found {shown or 'none'}): add some, "
            "or train without with --lenient."
        )
    chosen = [(position, digits[label]) for position, label in enumerate(contents.labels)]
    return [(position, digit) for position, digit in chosen if digit is not None]


def _in_words(digits: Sequence[int]) -> str:
    return f"the digit{'s' if len(digits) > 1 else ''} {', '.join(map(str, digits))}"


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


def _contradict(
    path: Path,
    name: str,
    label: int,
    other: str,
    other_label: int,
    lenient: bool,
    findings: Findings,
) -> None:
    """Note that an image has two labels; raise DatasetError unless that is allowed."""
    if not lenient:
        raise DatasetError(
            f"'{other}' and '{name}' in '{path}' are the same image, labelled {other_label} and "
            f"{label}: delete the wrong one, or leave both out with --lenient."
        )
    findings.unlabelled.append((name, f"labelled {label}, but {other_label} as {other}"))


def _without(dataset: Dataset, contradicted: set[int]) -> Dataset:
    """Leave out the images at these positions."""
    if not contradicted:
        return dataset
    for position in sorted(contradicted):
        reason = f"labelled {dataset.labels[position]}, and otherwise elsewhere"
        dataset.findings.unlabelled.append((dataset.names[position], reason))
    return dataset.take(np.setdiff1d(np.arange(len(dataset)), [*contradicted]))


def _check_every_digit(path: Path, dataset: Dataset, lenient: bool) -> None:
    counts = np.bincount(dataset.labels, minlength=len(CLASSES))
    missing = np.flatnonzero(counts == 0).tolist()
    unreadable = len(dataset.findings.left_out)
    if missing and not lenient:
        raise DatasetError(
            f"'{path}' has no readable image of {_in_words(missing)} ({unreadable} files could not "
            "be read): add some, or train without with --lenient."
        )
    if len(missing) > len(CLASSES) - 2:
        raise DatasetError(
            f"'{path}' has images of {len(CLASSES) - len(missing)} digits: a network learns to "
            "tell two or more apart."
        )
