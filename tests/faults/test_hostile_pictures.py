"""Pictures and folders made to crash, to hang, or to fill the memory: what becomes of each."""

from __future__ import annotations

import io
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_classification import parallel
from digit_classification.pictures import images
from digit_classification.pictures.decode import ImageError, Limits, decode
from digit_classification.pictures.prepare import Prepared, prepare, prepare_all
from digit_classification.pictures.sources import Source, find_sources, list_folder
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.reading import read_dataset
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset
from tests.faults.hostile import in_mode

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")
RARE_MODES = ("LA", "PA", "La", "RGBa", "RGBX", "I;16")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def prepared(path: Path) -> Prepared:
    return prepare(Source(name=str(path), path=str(path)))


def png_of_declared_size(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that says it has this many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


# ------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("mode", [*MODES, *RARE_MODES])
def test_every_mode_of_pillow_is_read(mode: str) -> None:
    grey = Image.fromarray(np.pad(255 - draw_digit(7, side=96), 20, constant_values=255))
    digit = images.normalize(in_mode(grey, mode)).digit
    assert (digit.shape, digit.dtype) == ((28, 28), np.uint8)


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 9_000), (2**31 - 1, 9)])
def test_a_pixel_bomb_is_refused_unread(width: int, height: int) -> None:
    with pytest.raises(ImageError, match="more than 89,478,485 pixels"):
        decode(png_of_declared_size(width, height))


def test_the_limit_can_be_raised_above_pillow_s_own_and_is_put_back() -> None:
    before = Image.MAX_IMAGE_PIXELS
    large = encoded(Image.new("1", (14_000, 13_000)), "PNG")  # twice Pillow's own, and more
    with pytest.raises(ImageError, match="more than"):
        decode(large)
    assert decode(large, Limits(max_pixels=200_000_000)).pixels.shape == (13_000, 14_000)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "F", "CMYK"])
def test_a_picture_read_in_bands_is_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 70), dtype=np.uint8))
    image = in_mode(grey, mode)
    whole = decode(image).pixels
    scaled = images.grey._to_uint8(whole)
    monkeypatch.setattr("digit_classification.pictures.decode._BAND", 700)
    monkeypatch.setattr("digit_classification.pictures.images.grey.BAND", 700)
    np.testing.assert_array_equal(decode(image).pixels, whole)
    np.testing.assert_array_equal(images.grey._to_uint8(whole), scaled)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_floats_that_are_no_numbers(value: float) -> None:
    pixels = np.full((60, 60), 200, np.float32)
    pixels[20:40, 28:32] = 10
    pixels[0, 0] = value
    stream = encoded(Image.fromarray(pixels), "TIFF")
    assert images.normalize(stream).digit.shape == (28, 28)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_a_truncated_file_is_an_error(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 70), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    result = prepared(tmp_path / "cut")
    assert result.digit is None
    assert result.error is not None
    assert "truncated" in result.error or "damaged" in result.error


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_read_and_that_is_said(kind: str) -> None:
    first, second = (Image.fromarray(draw_digit(digit, side=96)) for digit in (3, 8))
    data = encoded(first, kind, save_all=True, append_images=[second])
    still = decode(encoded(first, "PNG"))
    moving = decode(data)
    assert (still.note, moving.note) == (None, "the first of several frames")
    seen = images.normalize(moving.pixels).digit.astype(int)
    assert abs(seen - images.normalize(still.pixels).digit).mean() < 6


def test_a_format_that_is_not_named_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(draw_digit(3)), "TGA")
    with pytest.raises(ImageError, match=r"^not an image, or of an unknown format$"):
        decode(data)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    monkeypatch.setattr(subprocess, "Popen", None)  # Pillow would start Ghostscript
    with pytest.raises(ImageError, match=r"^not an image, or of an unknown format$"):
        decode(postscript)


def test_the_workers_know_the_limits_however_they_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import multiprocessing

    for number in range(parallel.SMALL + 10):
        (tmp_path / f"{number:03}.png").write_bytes(png(draw_digit(number % 10, number)))
    (tmp_path / "large.png").write_bytes(png(draw_digit(5, side=34)))
    (tmp_path / "other.bmp").write_bytes(encoded(Image.fromarray(draw_digit(5)), "BMP"))
    limits = Limits(formats=("PNG",), max_pixels=1000)
    for methods in {("spawn",), tuple(multiprocessing.get_all_start_methods())}:
        monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda found=methods: found)
        sources = find_sources([str(tmp_path)])
        errors = {
            Path(one.source.name).name: one.error
            for one in prepare_all(sources, workers=2, limits=limits)
            if one.error
        }
        assert errors == {
            "large.png": "34x34: more than 1,000 pixels",
            "other.bmp": "not an image, or of an unknown format",
        }


# -------------------------------------------------------------------------- files and folders


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Fail instead of waiting for a pipe that nobody writes to."""

    def fail(*_: object) -> None:
        raise AssertionError("waited for a special file")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)  # seconds: on a busy machine the others take some, too
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@posix
@pytest.mark.usefixtures("no_waiting")
def test_special_files_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most about 100 bytes
    server.bind("socket.png")
    os.symlink("/dev/zero", tmp_path / "device.png")
    opened: list[object] = []
    monkeypatch.setattr("builtins.open", lambda *args, **_: opened.append(args))
    results = [prepare(source) for source in find_sources([str(tmp_path)])]
    server.close()
    assert [(Path(one.source.name).name, one.error) for one in results] == [
        ("device.png", "not a regular file"),
        ("pipe.png", "not a regular file"),
        ("socket.png", "not a regular file"),
    ]
    assert opened == []


@posix
@pytest.mark.usefixtures("no_waiting")
def test_a_file_that_turns_into_a_pipe_as_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "7.png")
    (tmp_path / "file").write_bytes(b"what was there before")
    regular = os.stat(tmp_path / "file")
    assert stat.S_ISREG(regular.st_mode)
    monkeypatch.setattr("digit_classification.pictures.sources.os.stat", lambda _: regular)
    assert prepared(tmp_path / "7.png").error == "not a regular file"


@posix
@pytest.mark.usefixtures("no_waiting")
def test_links_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    os.symlink("loop.png", tmp_path / "loop.png")
    os.symlink("nowhere", tmp_path / "broken.png")
    os.symlink(".", tmp_path / "here")
    os.symlink("..", tmp_path / "inner/up")
    for number in range(12):  # each holds all others: 12! ways through them
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}/{number}.png").write_bytes(png(draw_digit(number % 10, number)))
        for other in range(12):
            os.symlink(f"../d{other}", tmp_path / f"d{number}/to{other}")
    results = [prepare(source) for source in list_folder(str(tmp_path))]
    names = [Path(one.source.name).name for one in results]
    assert sorted(names) == sorted(
        ["7.png", "broken.png", "loop.png", *(f"{number}.png" for number in range(12))]
    )
    errors = {Path(one.source.name).name: one.error for one in results if one.error}
    assert errors["broken.png"] == "no such file or directory"
    assert set(errors) == {"broken.png", "loop.png"}
    assert "symbolic links" in errors["loop.png"]


@posix
def test_what_must_not_be_read_is_a_result() -> None:
    """In a process of its own: whoever is root may read everything."""
    code = (
        "import os, sys\n"
        "from digit_classification.pictures.prepare import prepare\n"
        "from digit_classification.pictures.sources import Source, find_sources\n"
        "prepare(Source('', sys.argv[1] + '/open/2.png'))\n"  # imports what only root may read
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "for source in find_sources([sys.argv[1]]):\n"
        "    print(os.path.basename(source.name), prepare(source).error, sep=': ')\n"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        place = Path(folder)
        for name in ("closed/1.png", "open/2.png", "open/3.png"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(png(draw_digit(2)))
        (place / "open/3.png").chmod(0)
        (place / "closed").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code, folder],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        (place / "closed").chmod(0o755)
    assert done.stdout.splitlines() == [
        "closed: cannot be listed: permission denied",
        "2.png: None",
        "3.png: permission denied",
    ], done.stderr


def test_a_class_folder_that_cannot_be_listed_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "digits", per_class=1)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("4"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    assert str(caught.value) == (
        f"The folder '{folder / '4'}' cannot be listed: permission denied."
    )
