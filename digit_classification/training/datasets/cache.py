"""What reading a dataset gave, kept in a file for the next training.

The file lies beside the dataset, `.mnist-train.zip.cache` for `mnist-train.zip`, or, where that
folder cannot be written to, in the user's cache folder (`$XDG_CACHE_HOME` or `~/.cache`, below
`digit_classification`).  It may be deleted at any time.

It is an uncompressed .npz: NumPy reads it without running anything in it, and checks the sum of
each member, so that damage is noticed.  It holds the key under which it was written: a change of
the dataset, of how images are prepared, or of the libraries that do it makes another key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from digit_classification.files import may_replace, replacing
from digit_classification.pictures import images
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.sources import list_folder

FORMAT = 2  # raise it when what is kept, or what reading does besides preparing, changes
# What numpy.load raises on a file that is not whole, or no .npz at all.
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


def cache_key(
    dataset: Path,
    limits: Limits = DEFAULT_LIMITS,
    part: str = "training",
    beside: Sequence[str] = (),
    *,
    lenient: bool = False,
) -> str:
    """Return what the cache of the folder or file `dataset` must have been written under.

    A file counts by its content, and by the sizes and times of those `beside` it that belong to
    it.  A folder counts by the names, sizes and times of its files: reading them all would take as
    long as it takes to do without the cache.

    Raises OSError if they cannot be read.
    """
    made_by = [FORMAT, images.PREPARATION, cv2.__version__, PIL.__version__, np.__version__]
    made_by += [limits.formats, limits.max_pixels, part, lenient]
    digest = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode())
    if dataset.is_dir():
        lines = sorted(_fingerprints(str(dataset)))
        digest.update("".join(lines).encode("utf-8", "surrogatepass"))
    else:
        with dataset.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
        for path in sorted({*beside} - {str(dataset)}):
            digest.update(_fingerprint(path, path).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _fingerprints(folder: str) -> Iterator[str]:
    for source in list_folder(folder):
        yield _fingerprint(source.path[len(folder) :], source.path)


def _fingerprint(name: str, path: str) -> str:
    status = os.stat(path)
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"


def load(
    dataset: Path, key: str, part: str = "training"
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]] | None:
    """Return the digits, the labels and the rest that `save` kept; None if there is no such cache.

    None too where the cache is stale or damaged.
    """
    for path in _places(dataset, part):
        with contextlib.suppress(*DAMAGED), np.load(path, allow_pickle=False) as members:
            rest = json.loads(members["rest"].tobytes())
            if rest.pop("key") != key:
                continue
            digits, labels = members["digits"], members["labels"]
            if digits.shape == (len(labels), images.SIDE, images.SIDE):
                return digits, labels, rest
    return None


def save(
    dataset: Path,
    key: str,
    digits: np.ndarray,
    labels: np.ndarray,
    rest: dict[str, Any],
    part: str = "training",
) -> None:
    """Keep the `digits`, (n, 28, 28) uint8, their `labels`, (n,) uint8, and a `rest` that is JSON.

    The file is there whole or not at all, and replaces only a cache.  Where nothing can be
    written, nothing is kept.
    """
    text = np.frombuffer(json.dumps({"key": key, **rest}).encode(), np.uint8)
    for path in _places(dataset, part):
        with contextlib.suppress(OSError):
            if not may_replace(path, _is_cache):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                np.savez(file, digits=digits, labels=labels, rest=text)
            return


def _places(dataset: Path, part: str) -> tuple[Path, Path]:
    """Return where the cache of a part of `dataset` may be, best place first."""
    whole = Path(os.path.abspath(dataset))
    ending = "cache" if part == "training" else f"{part}.cache"
    at_home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = hashlib.sha256(os.fsencode(whole)).hexdigest()[:16]  # datasets may share a name
    return (
        whole.parent / f".{whole.name}.{ending}",
        Path(at_home, "digit_classification", f"{whole.name}-{folder}.{ending}"),
    )


def _is_cache(path: Path) -> bool:
    """Whether the file begins like a cache, were it damaged or not."""
    with open(path, "rb") as file:
        start = file.read(64)  # bytes, in which the name of a zip's first member stands
    return start.startswith(b"PK") and b"digits.npy" in start
