"""Files of several pages, and photos of phones: what becomes of PDF, TIFF and HEIC."""

from __future__ import annotations

import io
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import AppendingTiffWriter
from pillow_heif import register_heif_opener

from digit_classification.image_formats import MAX_PAGES, is_heic, is_pdf, is_tiff
from digit_classification.pictures import images, pdf
from digit_classification.pictures.decode import (
    DEFAULT_LIMITS,
    LONGEST_FORM,
    Decoded,
    ImageError,
    Limits,
    decode,
    decode_pages,
)
from digit_classification.pictures.prepare import prepare_pages
from digit_classification.pictures.sources import Source
from tests.drawing import draw_digit, pdf_of, pdf_stream, png

register_heif_opener()

DRAWING = b"0 0 50 100 re f "  # the left half of a page
INSTALL = "which is not installed: pip install -r requirements-formats.txt"


def encoded(pages: Sequence[Image.Image], kind: str, **options: Any) -> bytes:
    """A file of pages; what an earlier one left in the pictures is of no use to this one."""
    stream = io.BytesIO()
    first, *others = (page.copy() for page in pages)
    several = {"save_all": True, "append_images": others} if others else {}
    first.save(stream, kind, **several, **options)
    return stream.getvalue()


def page(tone: int, size: tuple[int, int] = (90, 60)) -> Image.Image:
    """A page of one tone, with a black corner at its top left."""
    image = Image.new("L", size, tone)
    image.paste(0, (0, 0, 20, 20))
    return image


def read(content: bytes, **limits: Any) -> list[np.ndarray | str]:
    """The pixels of each page, or why there are none; or, alone, why the file cannot be read."""
    try:
        pages = [*decode_pages(content, Limits(**limits), LONGEST_FORM)]
    except ImageError as error:
        return [str(error)]
    return [each.pixels if isinstance(each, Decoded) else str(each) for each in pages]


def tones(pages: Sequence[np.ndarray | str]) -> list[int | str]:
    """What is in the middle of each page."""
    return [
        each
        if isinstance(each, str)
        else round(float(np.atleast_3d(each)[each.shape[0] // 2].mean()))
        for each in pages
    ]


# -------------------------------------------------------------------------------------------- all


def test_formats_are_known_by_their_content() -> None:
    pictures = {
        "pdf": encoded([page(9)], "PDF"),
        "tiff": encoded([page(9)], "TIFF"),
        "heic": encoded([page(9)], "HEIF"),
        "png": png(np.zeros((9, 9), np.uint8)),
        "avif": encoded([page(9)], "AVIF"),
        "empty": b"",
    }
    for recognised, name in ((is_pdf, "pdf"), (is_tiff, "tiff"), (is_heic, "heic")):
        assert [each for each, content in pictures.items() if recognised(content)] == [name]
    assert is_pdf(b"\xef\xbb\xbf\n" + pictures["pdf"])


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_all_pages_are_read_in_order(kind: str) -> None:
    pages = [page(60), page(120, (60, 90)), page(180)]
    found = read(encoded(pages, kind))
    assert tones(found) == pytest.approx([60, 120, 180], abs=2)
    wide = [bool(each.shape[1] > each.shape[0]) for each in found if isinstance(each, np.ndarray)]
    assert wide == [True, False, True]


def test_of_a_picture_there_is_one_page_and_of_an_animation_the_first_frame() -> None:
    assert tones(read(encoded([page(99)], "PNG"))) == [pytest.approx(99, abs=1)]
    (frame,) = decode_pages(encoded([page(99), page(200)], "GIF"), DEFAULT_LIMITS, LONGEST_FORM)
    assert isinstance(frame, Decoded)
    assert frame.note == "the first of several frames"
    pixels = np.zeros((5, 5), np.uint8)
    (alone,) = decode_pages(pixels, DEFAULT_LIMITS, LONGEST_FORM)
    assert isinstance(alone, Decoded)
    assert alone.pixels is pixels


def test_pages_are_decoded_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a file of five hundred of them needs the memory of one."""
    looked_at: list[int] = []
    content = encoded([page(60), page(120), page(180)], "TIFF")
    source = Source(name="s.tif", path="s.tif", content=content)
    (pages,) = prepare_pages([source], DEFAULT_LIMITS, LONGEST_FORM)

    def noticing(pixels: np.ndarray, longest: int) -> np.ndarray:
        looked_at.append(round(float(pixels[-1].mean())))
        return pixels

    monkeypatch.setattr(images, "grey_from_array", noticing)
    assert next(pages).error is None
    assert looked_at == [60]
    assert len([*pages]) == 2


@pytest.mark.parametrize("name", ["PDF", "HEIC"])
def test_a_format_that_is_left_out_is_named(name: str) -> None:
    content = encoded([page(9)], "HEIF" if name == "HEIC" else name)
    sentence = f"{name} is not among images.formats: add it there"
    assert read(content, formats=("PNG", "TIFF")) == [sentence]
    with pytest.raises(ImageError, match=sentence):
        decode(content, Limits(formats=("PNG",)))


@pytest.mark.parametrize(
    ("kind", "library", "sentence"),
    [
        ("PDF", "pypdfium2", f"a PDF needs pypdfium2, {INSTALL}"),
        ("HEIF", "pillow_heif", f"HEIC needs pillow-heif, {INSTALL}"),
    ],
)
def test_a_library_that_is_missing_is_named(
    kind: str, library: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digit_classification.pictures.decode import _learn_heic

    content = encoded([page(9)], kind)
    _learn_heic.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    assert read(content) == [sentence]


@pytest.mark.parametrize("kind", ["PDF", "TIFF", "HEIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_an_error(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 70), dtype=np.uint8)
    pages = [Image.fromarray(noise), Image.fromarray(noise[::-1])]
    content = encoded(pages[:1] if kind == "HEIF" else pages, kind)
    found = read(content[: int(share * len(content))])
    errors = [each for each in found if isinstance(each, str)]
    assert errors
    assert all("damaged" in each or "truncated" in each for each in errors), errors


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_so_many_pages_are_read_and_no_more(kind: str) -> None:
    def file(pages: int) -> bytes:
        if kind == "PDF":
            return pdf_of(*[DRAWING] * pages, box="0 0 9 9")
        return encoded([page(9, (32, 32))] * pages, kind)

    assert len(read(file(MAX_PAGES))) == MAX_PAGES
    assert read(file(MAX_PAGES + 1)) == ["more than 500 pages"]


# -------------------------------------------------------------------------------------------- PDF


def test_a_page_is_drawn_at_200_dots_an_inch_and_no_larger_than_is_looked_at() -> None:
    for box, shape in [
        ("0 0 72 144", (400, 200)),
        ("0 0 14400 7200", (LONGEST_FORM // 2, LONGEST_FORM)),
        ("0 0 1e30 1e30", (2200, 1700)),  # which PDFium takes for a letter
        ("0 0 0.001 9e9", (2200, 1700)),
        ("5 5 5 5", (2200, 1700)),
    ]:
        (found,) = read(pdf_of(DRAWING, box=box))
        assert isinstance(found, np.ndarray), found
        assert found.shape == pytest.approx(shape, abs=1), box


def test_a_page_of_too_many_pixels_is_refused_before_it_is_drawn() -> None:
    found = read(pdf_of(DRAWING, box="0 0 720 360"), max_pixels=1_000_000)
    assert found == ["2000x1000: more than 1,000,000 pixels"]


def test_lines_and_words_are_drawn() -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    figure = matplotlib.Figure(figsize=(4, 3))
    figure.text(0.4, 0.4, "47", fontsize=60)
    stream = io.BytesIO()
    figure.savefig(stream, format="pdf")
    (found,) = read(stream.getvalue())
    assert isinstance(found, np.ndarray)
    assert found.shape == (600, 800)
    assert found[:, :200].min() == 255
    assert found[200:400, 300:600].min() < 50


def test_a_page_is_upright() -> None:
    about = b"<</Type/Page/Rotate 90/Parent 2 0 R/MediaBox"
    content = pdf_of(DRAWING, box="0 0 100 50").replace(
        b"<</Type/Page/Parent 2 0 R/MediaBox", about
    )
    (found,) = read(content)
    assert isinstance(found, np.ndarray)
    assert found.shape == (278, 139)
    assert found[:100].max() == 0  # what was left is on top


def test_an_encrypted_pdf_says_so() -> None:
    keys = b"/O<%s>/U<%s>" % (b"41" * 32, b"42" * 32)
    trailer = b"/Encrypt<</Filter/Standard/V 1/R 2%s/P -4>>/ID[<00><00>]" % keys
    assert read(pdf_of(DRAWING, trailer=trailer)) == ["encrypted PDF"]


def nested(depth: int, times: int) -> bytes:
    """A page that draws something `times` to the power of `depth` times."""
    forms = []
    for level in range(depth):
        last = level == depth - 1
        inner = b"" if last else b"/Resources<</XObject<</F %d 0 R>>>>" % (6 + level)
        about = b"/Type/XObject/Subtype/Form/BBox[0 0 100 100]" + inner
        forms.append(pdf_stream(DRAWING if last else b"/F Do " * times, about))
    resources = b"<</XObject<</F 5 0 R>>>>"
    return pdf_of(b"/F Do ", resources=resources, objects=forms)


def test_a_page_that_draws_for_days_costs_no_more_than_its_own_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf, "PATIENCE_S", 2.0)
    begin = time.monotonic()
    assert read(nested(12, 8)) == [
        "cannot be drawn in 2 s and 1024 MiB, and no page after it is read"
    ]
    assert time.monotonic() - begin < 20


def test_a_small_file_that_unpacks_to_gigabytes_is_bounded() -> None:
    """Drawn, or refused, elsewhere."""
    side = 40_000
    image = pdf_stream(
        b"\xff" * (side // 8),  # Group 4: a bit for each row that is like the one above
        b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1/ColorSpace/DeviceGray"
        b"/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns %d/Rows %d>>"
        % (side, side, side, side),
    )
    resources = b"<</XObject<</F 5 0 R>>>>"
    content = pdf_of(b"100 0 0 100 0 0 cm /F Do ", DRAWING, resources=resources, objects=[image])
    assert len(content) < 10_000
    assert len(read(content)) in (1, 2)


def test_scripts_are_not_run_and_links_not_followed() -> None:
    """Nor is there an engine that could: what is built with it says V8."""
    from pypdfium2.version import PDFIUM_INFO

    assert not {"V8", "XFA"} & {*PDFIUM_INFO.flags}
    script = b"/OpenAction<</S/JavaScript/JS(this.closeDoc();)>>"
    sound = pdf_of(DRAWING)
    found = read(sound.replace(b"<</Type/Catalog", b"<</Type/Catalog" + script))
    np.testing.assert_array_equal(found, read(sound))


# ------------------------------------------------------------------------------------------- TIFF


def test_small_copies_and_masks_are_no_pages() -> None:
    """Scanners and cameras put them behind the page, or before it (TIFF 6.0, NewSubfileType)."""
    stream = io.BytesIO()
    with AppendingTiffWriter(stream, True) as writer:
        for tone, kind in [(60, 0), (90, 1), (120, 2), (150, 4), (180, 0)]:
            page(tone).save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    assert tones(read(stream.getvalue())) == pytest.approx([60, 120, 180], abs=2)


def test_each_page_of_a_tiff_is_turned_by_its_own_tag() -> None:
    stream = io.BytesIO()
    with AppendingTiffWriter(stream, True) as writer:
        for orientation in (1, 6):
            page(200).save(writer, "TIFF", tiffinfo={0x0112: orientation})
            writer.newFrame()
    first, second = read(stream.getvalue())
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    assert (first.shape, second.shape) == ((60, 90), (90, 60))
    assert (first[0, 0], second[0, -1]) == (0, 0)  # the corner, at the top right of the second


def test_a_damaged_page_does_not_cost_the_others() -> None:
    content = encoded([page(60), page(120), page(180)], "TIFF", compression="tiff_deflate")
    at = [at for at in range(len(content)) if content[at : at + 2] == b"\x78\x9c"]
    assert len(at) == 3
    found = read(content[: at[1]] + b"\xff" * 9 + content[at[1] + 9 :])
    assert [isinstance(each, str) for each in found] == [False, True, False]
    assert str(found[1]).startswith("damaged TIFF")


def test_a_large_page_of_a_tiff_is_refused_unread() -> None:
    content = encoded([page(60), page(120, (500, 400)), page(180)], "TIFF")
    assert tones(read(content, max_pixels=100_000)) == [
        pytest.approx(60, abs=2),
        "500x400: more than 100,000 pixels",
        pytest.approx(180, abs=2),
    ]


# ------------------------------------------------------------------------------------------- HEIC


def test_a_heic_photo_shows_what_the_same_png_does() -> None:
    grey = Image.fromarray(np.pad(255 - draw_digit(7, side=96), 20, constant_values=255))
    still = images.normalize(encoded([grey], "PNG"))
    photo = images.normalize(encoded([grey.convert("RGB")], "HEIF", quality=95))
    assert photo.rejection is None
    assert abs(photo.digit.astype(int) - still.digit).mean() < 6


def test_a_heic_photo_is_turned_by_its_tag_and_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (90, 60), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 30, 20), "black")
    found = decode(encoded([image], "HEIF", exif=exif.tobytes(), quality=95)).pixels
    assert found.shape == (90, 60, 3)
    assert found[:20, 45:].max() < 40  # the corner, at the top right now
    assert found[:20, :30].min() > 200


def test_of_several_heic_pictures_the_first_is_read_and_that_is_said() -> None:
    found = decode(encoded([page(60), page(120)], "HEIF"))
    assert found.note == "the first of several frames"
    assert found.pixels[-1].mean() == pytest.approx(60, abs=3)


def test_a_heic_of_too_many_pixels_is_refused_unread() -> None:
    content = encoded([page(60, (400, 300))], "HEIF")
    assert read(content, max_pixels=100_000) == ["400x300: more than 100,000 pixels"]
    # One that holds more pixels than it says.
    lying, at = bytearray(encoded([page(60, (2000, 2000))], "HEIF")), -1
    while (at := lying.find(b"ispe", at + 1)) >= 0:
        lying[at + 8 : at + 16] = struct.pack(">II", 100, 100)
    assert read(bytes(lying), max_pixels=100_000) == ["damaged HEIF"]


# ---------------------------------------------------------------------------------------- digits


@pytest.mark.parametrize("make", [pdf_of, lambda content: encoded([page(9)], "PDF")])
def test_a_pdf_is_no_picture_of_a_digit(make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ImageError, match=r"^a PDF is no picture: read its pages with --read form$"):
        decode(make(DRAWING))


def test_of_a_tiff_s_pages_the_first_is_read_as_a_digit_and_that_is_said() -> None:
    found = decode(encoded([page(60), page(120)], "TIFF"))
    assert found.note == "the first of several frames"
    assert found.pixels[-1].mean() == 60
