"""What decoders write to standard error goes into the reason of the picture, and nowhere else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from digit_classification.cli.native_messages import (
    diverted_if_apart,
    standard_error_apart,
    take_messages,
)
from digit_classification.pictures.decode import ImageError, decode
from tests.documents import ROOT
from tests.drawing import draw_digit, png

SCRIPT = ROOT / "digit_classification_detector.py"
SAID = "the decoder said: ZIPDecode: Decoding error at scanline 0"


def tiff(*, broken: bool = False) -> bytes:
    """A compressed TIFF, of whose data a part may be wiped out: libtiff tells standard error."""
    stream = io.BytesIO()
    Image.fromarray(draw_digit(7, side=60)).save(stream, "TIFF", compression="tiff_deflate")
    content = stream.getvalue()
    return content[:200] + bytes(40) + content[240:] if broken else content


def test_a_decoder_s_message_is_part_of_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    with standard_error_apart(), diverted_if_apart():
        with pytest.raises(ImageError, match=f"^damaged TIFF, {SAID}"):
            decode(tiff(broken=True))
        assert decode(tiff()).note is None  # each picture has its own
        print("a progress bar", file=sys.stderr)
    assert capfd.readouterr().err == "a progress bar\n"


def test_what_may_matter_is_a_note_of_a_picture_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = b"\n  TIFFReadDirectory: Warning, Unknown field with tag 42112 (0xa480) encountered.\n"

    def decode_loudly(image: Image.Image, longest: int) -> object:
        os.write(2, said)
        return image

    monkeypatch.setattr("digit_classification.pictures.decode._pixels", decode_loudly)
    with standard_error_apart(), diverted_if_apart():
        assert decode(tiff()).note is None  # scanners write such tags
        said += b"TIFFFillStrip: Read error\n" + b"x" * 9000
        assert decode(tiff()).note == "the decoder said: TIFFFillStrip: Read error"
        said = b"y" * 200
        note = decode(tiff()).note
    assert note == f"the decoder said: {'y' * 99}…"


def test_nothing_is_taken_from_who_has_standard_error_for_himself(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In a program that is not ours, other threads may write there meanwhile."""
    code = (
        "import os\n"
        "from digit_classification.cli.native_messages import *\n"
        "with diverted_if_apart():\n"
        "    os.write(2, b'of another library')\n"
        "    assert take_messages() == []\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "of another library")
    assert take_messages() == []


@pytest.mark.parametrize("count", [3, 300])
def test_a_run_counts_what_decoders_say(count: int, tmp_path: Path, model: Path) -> None:
    """A few pictures are read by the program itself, many by its processes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.png").write_bytes(png(draw_digit(number % 10, seed=number)))
    for number in range(2):
        (folder / f"broken-{number}.tif").write_bytes(tiff(broken=True))
    options = ["--model", str(model), "--database", "none", "--workers", "2", "--format", "csv"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "decoders' warnings: 2 (in the pictures' reasons)" in lines
    assert [line for line in lines if "ZIPDecode" in line and SAID not in line] == []
    assert done.stdout.count(f'"damaged TIFF, {SAID}') == 2
