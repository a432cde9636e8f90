"""Strangers' files for the tests: mutated pictures, pages, zips and models, from fixed seeds.

    python -m tests.faults.hostile images 0 500

tries the files of the seeds 0 to 499 in this process, and prints what came of them as JSON.  A
crash, a hang of more than ten seconds, or an exception that a user would see as a traceback ends
the process; the seed is on standard error.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import io
import json
import random
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from digit_classification.network import made_elsewhere
from digit_classification.network.inference import NetworkError, packed_size
from digit_classification.network.model_file import CARD, WEIGHTS, ModelError, load_model
from digit_classification.pictures import images, pdf
from digit_classification.pictures.archive import Archive
from digit_classification.pictures.decode import DEFAULT_LIMITS
from digit_classification.pictures.prepare import prepare, prepare_pages
from digit_classification.pictures.sources import Source, find_sources
from tests.drawing import draw_digit, pdf_of

HANG_S = 10
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\1\0\0")


# ---------------------------------------------------------------------------------- sound files


@functools.cache
def pictures() -> tuple[bytes, ...]:
    """The same digit in every mode that each format holds, and in its usual variants."""
    register_heif_opener()
    grey = Image.fromarray(np.pad(255 - draw_digit(7, side=48), ((4, 4), (9, 3)), mode="edge"))
    rgba = grey.convert("RGBA")
    rgba.putalpha(Image.eval(grey, lambda value: 255 - value))
    frames = [grey.rotate(10 * turn) for turn in range(1, 3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    variants: list[tuple[Image.Image, str, dict[str, Any]]] = [
        *((in_mode(grey, mode), "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "I;16")),
        (rgba, "PNG", {}),
        (in_mode(grey, "P"), "PNG", {"transparency": 3}),
        (grey, "PNG", {"save_all": True, "append_images": frames}),
        *((in_mode(grey, mode), "JPEG", {"quality": 90}) for mode in ("L", "RGB", "CMYK", "YCbCr")),
        (in_mode(grey, "RGB"), "JPEG", {"progressive": True, "exif": exif}),
        *((in_mode(grey, mode), "BMP", {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
        *((in_mode(grey, mode), "GIF", {}) for mode in ("1", "L", "P", "RGBA")),
        (in_mode(grey, "P"), "GIF", {"save_all": True, "append_images": frames}),
        *(
            (in_mode(grey, mode), "TIFF", {"compression": compression})
            for compression in ("raw", "tiff_deflate", "tiff_lzw", "packbits")
            for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")
        ),
        (in_mode(grey, "1"), "TIFF", {"compression": "group4"}),
        (in_mode(grey, "RGB"), "TIFF", {"compression": "jpeg"}),
        (grey, "TIFF", {"save_all": True, "append_images": frames}),
        (in_mode(grey, "RGB"), "WEBP", {}),
        (rgba, "WEBP", {"lossless": True}),
        (in_mode(grey, "RGB"), "WEBP", {"save_all": True, "append_images": frames}),
        *((in_mode(grey, mode), "PPM", {}) for mode in ("1", "L", "RGB", "I;16", "F")),
        *((in_mode(grey, mode), "HEIF", {}) for mode in ("L", "RGB", "RGBA", "I;16")),
        (in_mode(grey, "RGB"), "HEIF", {"exif": exif, "quality": -1, "chroma": 444}),
        (grey, "HEIF", {"save_all": True, "append_images": frames}),
    ]
    return tuple(_encoded(*variant) for variant in variants)


@functools.cache
def documents() -> tuple[bytes, ...]:
    """Two pages of digits as files of several pages: scanned in several ways, and drawn."""
    first, second = (Image.fromarray(255 - draw_digit(digit, side=96)) for digit in (3, 8))
    content = b"q 5 w 20 20 m 60 80 l S Q BT /F 40 Tf 30 30 Td (47) Tj ET "
    return (
        *(
            _encoded(
                in_mode(first, mode), "PDF", {"save_all": True, "append_images": [second.copy()]}
            )
            for mode in ("1", "L", "P", "RGB", "LA")
        ),
        *(pdf_of(content, filtered=filtered) for filtered in (False, True)),
        *(
            _encoded(
                in_mode(first, mode), "TIFF", {"save_all": True, "append_images": [second.copy()]}
            )
            for mode in ("1", "L")
        ),
    )


def in_mode(grey: Image.Image, mode: str) -> Image.Image:
    """Return a grey picture in any of Pillow's modes."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.merge("LAB", (grey, grey, grey))
    if mode == "PA":
        return grey.convert("P").convert("PA")
    if mode in ("La", "RGBa"):
        return grey.convert("LA" if mode == "La" else "RGBA").convert(mode)
    return grey.convert(mode)


def _encoded(image: Image.Image, kind: str, options: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@functools.cache
def sound_zip() -> bytes:
    """A zip of pictures: stored, deflated, in folders, with a name that is not ASCII."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, picture in enumerate(pictures()[::9]):
            how = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2]
            archive.writestr(f"{number % 10}/bild-ü{number}.png", picture, how)
        archive.comment = b"a comment"
    return stream.getvalue()


@functools.cache
def sound_model() -> bytes:
    """A model file as the trainer saves it; what only Keras reads is left empty."""
    widths = [784, 16, 10]
    card = {"created": "2026-11-22", "preparation": images.PREPARATION, "widths": widths}
    weights = np.random.default_rng(0).normal(0, 0.1, packed_size(widths) // 4).astype("<f4")
    return as_zip(
        {
            **dict.fromkeys(("metadata.json", "config.json", "model.weights.h5"), b"{}"),
            CARD: json.dumps(card).encode(),
            WEIGHTS: weights.tobytes(),
        }
    )


@functools.cache
def foreign_model() -> bytes:
    """A model file as Keras saves it."""
    from digit_classification.network.architecture import build_learning_network

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "foreign.keras"
        build_learning_network([16]).save(path)
        return path.read_bytes()


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def as_zip(content: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, member in content.items():
            archive.writestr(name, member)
    return stream.getvalue()


# ------------------------------------------------------------------------------------ mutations


def mutate(content: bytes, chance: random.Random, other: bytes = b"") -> bytes:  # noqa: C901, PLR0912  (one branch for each kind of damage)
    """Damage `content` as disks, transfers and attackers do; `other` is spliced in."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not data:
            break
        at = chance.randrange(len(data))
        if chance.random() < 0.4:  # where a format keeps what it believes
            at = chance.randrange(min(len(data), 80))
            if chance.random() < 0.3:
                at = len(data) - 1 - at
        size = min(chance.choice((1, 2, 4, 16, 300)), len(data))
        kind = chance.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            for _ in range(chance.choice((1, 3, 20))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at : at + size] = chance.randbytes(size)
        elif kind == 3:
            data[at : at + 4] = chance.choice(EXTREMES)
        elif kind == 4:
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))
        elif kind == 5:
            del data[at : at + size]
        elif kind == 6 and other:
            data[at:] = other[min(at, len(other)) :]
        else:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data)


def mutated_picture(seed: int) -> bytes:
    chance = random.Random(seed)
    picture, other = chance.sample(pictures(), 2)
    data = mutate(picture, chance, other)
    if data.startswith(b"\x89PNG") and chance.random() < 0.7:
        data = _with_right_checksums(data)
    return data


def mutated_document(seed: int) -> bytes:
    chance = random.Random(seed)
    document, other = chance.sample(documents(), 2)
    return mutate(document, chance, other)


def _with_right_checksums(png: bytes) -> bytes:
    """Repair a PNG's checksums, so that its decoder gets to see the damage."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(data)


def mutated_zip(seed: int) -> bytes:
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return mutate(sound_zip(), chance, chance.choice(pictures()))
    content = members(sound_zip())
    name = chance.choice(sorted(content))
    content[name] = mutate(content[name], chance)
    return as_zip(content)


def mutated_model(seed: int, *, foreign: bool = False) -> bytes:
    """Damage the file of a model, or a member under a right checksum, or what a member means."""
    chance = random.Random(seed)
    sound = foreign_model() if foreign else sound_model()
    content = members(sound)
    kind = chance.randrange(4)
    if kind == 0:
        return mutate(sound, chance, sound_zip())
    name = chance.choice(sorted(content))
    if kind == 1 and name.endswith(".json"):
        content[name] = json.dumps(_distorted(json.loads(content[name]), chance)).encode()
    elif kind == 2 and chance.random() < 0.3:
        content[chance.choice((name, "../../escaped.py", "/etc/escaped"))] = b"\0" * 100
    else:
        content[name] = mutate(content[name], chance)
    return as_zip(content)


def _distorted(value: Any, chance: random.Random) -> Any:
    """Replace a value somewhere within what a JSON file holds."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        return {**value, key: _distorted(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], _distorted(value[at], chance), *value[at + 1 :]]
    strange: tuple[Any, ...] = (
        None,
        -1,
        0,
        2**31,
        2**63,
        1e308,
        float("nan"),
        "",
        "x" * 5000,
        [],
        {},
        [[]],
        True,
    )
    return chance.choice((*strange, "\x1b]0;title\x07", [784, 10], [784, 2**16, 2**16, 10]))


# --------------------------------------------------------------------------------------- trials


def try_picture(seed: int, folder: Path) -> str:
    path = folder / "picture.png"
    path.write_bytes(mutated_picture(seed))
    prepared = prepare(Source(name=str(path), path=str(path), explicit=True))
    if prepared.digit is None:
        assert prepared.error
        return "refused"
    assert (prepared.digit.shape, prepared.digit.dtype) == ((28, 28), np.uint8)
    return "read"


def try_document(seed: int, folder: Path) -> str:
    path = folder / "scans.pdf"
    path.write_bytes(mutated_document(seed))
    source = Source(name=str(path), path=str(path))
    pages = [page for some in prepare_pages([source], DEFAULT_LIMITS, 300) for page in some]
    assert all(bool(page.error) == (page.grey is None) for page in pages)
    return "refused" if any(page.error for page in pages) else "read"


def try_zip(seed: int, folder: Path) -> str:
    path = folder / "archive.zip"
    path.write_bytes(mutated_zip(seed))
    prepared = [prepare(source) for source in find_sources([str(path)])]
    assert all(one.error or one.digit is not None for one in prepared)
    return "refused" if any(one.error for one in prepared) else "read"


def try_model(seed: int, folder: Path) -> str:
    path = folder / "model.keras"
    path.write_bytes(mutated_model(seed))
    try:
        probabilities = load_model(path).network(np.full((3, 28, 28), 99, np.uint8))
    except ModelError as error:
        sentence = str(error)
        if not sentence.endswith(".") or not sentence.isprintable():
            raise ValueError(sentence) from error
        return "refused"
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    return "read"


def try_foreign_model(seed: int, folder: Path) -> str:
    """Do what Keras's process does, in this one: its crash would end this process, too."""
    path, copy = folder / "foreign.keras", folder / "copy.keras"
    path.write_bytes(mutated_model(seed, foreign=True))
    try:
        with Archive(path) as archive:
            made_elsewhere._copy_bounded(archive, copy)
        compute, *_ = made_elsewhere._load(str(copy))
        compute(np.zeros((1, 28, 28), np.float32))
    except Exception:  # whatever Keras raises is a refusal
        return "refused"
    return "read"


TRIALS: dict[str, Callable[[int, Path], str]] = {
    "images": try_picture,
    "documents": try_document,
    "zips": try_zip,
    "models": try_model,
    "foreign": try_foreign_model,
}


def _without_keras(archive: Archive, path: Path, notice: object) -> Any:
    """Stand in for Keras's process, which takes seconds to start."""
    with tempfile.TemporaryDirectory() as folder:
        made_elsewhere._copy_bounded(archive, Path(folder) / "copy.keras")
    raise NetworkError("made elsewhere")


def main(kind: str, first: int, count: int) -> None:
    if kind == "models":
        made_elsewhere.load_foreign = _without_keras
    pdf.PATIENCE_S = HANG_S / 2
    trial, outcomes, slowest = TRIALS[kind], Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(Exception):
            trial(-1, Path(folder))  # what is slow only once, such as an import
        for seed in range(first, first + count):
            print(f"seed {seed}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            begin = time.monotonic()
            outcomes[trial(seed, Path(folder))] += 1
            slowest = max(slowest, time.monotonic() - begin)
            faulthandler.cancel_dump_traceback_later()
    print(json.dumps({**outcomes, "slowest_s": round(slowest, 2), "peak_mib": _peak_mib()}))


def _peak_mib() -> int | None:
    """Return the most memory that this process held; `resource` would count its parent's, too."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
