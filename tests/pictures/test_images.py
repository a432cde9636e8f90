"""Any picture of a digit -> MNIST's convention: what `normalize` promises, on drawn pictures."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from tests.documents import ROOT
from tests.kernels import BEYOND_BASELINE, kernels

SAMPLES = ROOT / "samples"

# Strokes of handwritten digits: polylines in a unit square, x to the right, y down.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    1: [[(0.42, 0.18), (0.55, 0.0), (0.5, 1.0)]],
    2: [[(0.15, 0.22), (0.4, 0.0), (0.75, 0.1), (0.72, 0.4), (0.1, 1.0), (0.85, 0.95)]],
    3: [[(0.2, 0.1), (0.6, 0.0), (0.75, 0.25), (0.45, 0.47), (0.8, 0.7), (0.55, 1.0), (0.15, 0.9)]],
    4: [[(0.3, 0.0), (0.1, 0.6), (0.85, 0.58)], [(0.65, 0.25), (0.6, 1.0)]],
    5: [
        [(0.25, 0.08), (0.2, 0.45), (0.6, 0.45), (0.75, 0.75), (0.5, 1.0), (0.1, 0.92)],
        [(0.25, 0.08), (0.8, 0.0)],
    ],
    7: [[(0.1, 0.05), (0.85, 0.0), (0.4, 1.0)]],
}
DIGITS = st.sampled_from(sorted(STROKES))


def draw(
    digit: int,
    *,
    canvas: tuple[int, int] = (320, 240),
    height: int = 160,
    centre: tuple[float, float] = (0.5, 0.5),
    pen: int = 14,
) -> np.ndarray:
    """Ink coverage, (h, w) float32 in 0..1."""
    ink = np.zeros((canvas[0] * 2, canvas[1] * 2), np.uint8)
    for stroke in STROKES[digit]:
        points = (np.array(stroke) - 0.5) * height * (0.75, 1)
        points += np.array(centre) * canvas[::-1]
        cv2.polylines(ink, [np.int32(points * 2)], False, 255, pen * 2, cv2.LINE_AA)
    return cv2.resize(ink, canvas[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)


def cut_out(ink: np.ndarray) -> np.ndarray:
    """The part of a drawing that holds its ink, and nothing around it."""
    x, y, width, height = cv2.boundingRect((ink > 0.5).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def page(ink: np.ndarray, *, paper: float = 225, depth: float = 0.75) -> np.ndarray:
    return (paper * (1 - depth * ink)).astype(np.uint8)


def digit_of(picture: object, **options: object) -> np.ndarray:
    result = images.normalize(picture, **options)  # type: ignore[arg-type]
    assert result.rejection is None
    assert result.digit.shape == (28, 28)
    assert result.digit.dtype == np.uint8
    return result.digit


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two digits, blurred by half a pixel of position."""
    a, b = (cv2.GaussianBlur(x.astype(np.float32), (0, 0), 0.7).ravel() for x in (a, b))
    return float(np.corrcoef(a, b)[0, 1])


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# The convention --------------------------------------------------------------------------------


@given(DIGITS, st.integers(8, 20))
@settings(max_examples=30, deadline=None)
def test_digit_fills_the_box_about_its_centre_of_mass(digit: int, pen: int) -> None:
    normal = digit_of(page(draw(digit, pen=pen)))
    ys, xs = np.nonzero(normal > 100)
    assert 18 <= max(np.ptp(xs), np.ptp(ys)) + 1 <= 21
    moments = cv2.moments(normal)
    assert abs(moments["m10"] / moments["m00"] - 14) < 0.75
    assert abs(moments["m01"] / moments["m00"] - 14) < 0.75
    assert normal.max() > 240
    assert normal[0, 0] == normal[-1, -1] == 0


@given(DIGITS, st.integers(13, 26))
@settings(max_examples=30, deadline=None)
def test_normal_form_hardly_changes_when_normalised_again(digit: int, pen: int) -> None:
    once = digit_of(page(draw(digit, pen=pen)))
    twice = digit_of(once)
    assert likeness(once, twice) > 0.97
    assert abs(int(once.sum()) - int(twice.sum())) < 0.1 * once.sum()


# Invariances -----------------------------------------------------------------------------------


@given(st.lists(st.tuples(DIGITS, st.integers(13, 26), st.floats(-0.2, 0.2)), max_size=300))
@settings(deadline=None, max_examples=10)
def test_small_pictures_come_out_the_same_in_any_company(
    pens: list[tuple[int, int, float]],
) -> None:
    pictures = []
    for digit, pen, turn in pens:
        normal = digit_of(page(draw(digit, pen=pen)))
        matrix = cv2.getRotationMatrix2D((13.5, 13.5), 57 * turn, 1)
        pictures.append(cv2.warpAffine(normal, matrix, (28, 28)))
    together = images.normalize_small(pictures)
    for picture, seen in zip(pictures, together, strict=True):
        alone = images.normalize(picture)
        assert np.array_equal(seen.digit, alone.digit)
        assert seen.rejection == alone.rejection


def fingerprint() -> str:
    """Return what the forms of the samples, and of strokes in colours, come to."""
    found = hashlib.sha256()
    for path in sorted(SAMPLES.glob("*.*")):
        if path.suffix not in (".py", ".csv") and path.name != "not-an-image.png":
            seen = images.normalize(path)
            found.update(seen.digit.tobytes() + str(seen.rejection).encode())
    random = np.random.default_rng(1)
    for digit in STROKES:
        paper, ink = random.integers(60, 200, 3), draw(digit)[..., None]
        noise = random.integers(0, 8, (*ink.shape[:2], 3))
        colours = paper + np.array([40, -25, 20]) * ink  # of nearly equal lightness
        found.update(images.normalize((colours + noise).astype(np.uint8)).digit.tobytes())
    return found.hexdigest()


@pytest.mark.skipif("Haswell" not in kernels(), reason="needs AVX2")
def test_processors_with_avx2_prepare_pictures_alike() -> None:
    """Of OpenCV, AVX-512 alone is turned off: without AVX2 its sums are rounded in another way."""
    code = "from tests.pictures.test_images import fingerprint; print(fingerprint())"
    here = fingerprint()
    for kernel in kernels()[::2]:
        older = {"OPENCV_CPU_DISABLE": "AVX512-SKX", "NPY_DISABLE_CPU_FEATURES": BEYOND_BASELINE}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_CORETYPE": kernel, **older},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == here, (kernel, done.stderr)


@given(DIGITS, st.integers(8, 24))
@settings(max_examples=30, deadline=None)
def test_polarity(digit: int, pen: int) -> None:
    picture = page(draw(digit, pen=pen), paper=255, depth=1)
    assert likeness(digit_of(picture), digit_of(255 - picture)) > 0.99


@given(DIGITS, st.floats(0.15, 4), st.floats(0.3, 0.7), st.floats(0.35, 0.65))
@settings(max_examples=40, deadline=None)
def test_scale_and_shift(digit: int, scale: float, x: float, y: float) -> None:
    reference = digit_of(page(draw(digit)))
    canvas = (round(400 * scale), round(360 * scale))
    pen = max(1, round(14 * scale))
    moved = draw(digit, canvas=canvas, height=round(160 * scale), centre=(x, y), pen=pen)
    assert likeness(digit_of(page(moved)), reference) > 0.93


@given(
    DIGITS.filter(lambda digit: digit != 1),
    st.integers(10, 300),
    st.integers(14, 34),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_digit_that_fills_its_picture(digit: int, side: int, pen: int, dark: bool) -> None:
    """Cut out along its outline, as programs that find digits on a page do."""
    ink = draw(digit, pen=pen)
    tight = cut_out(ink)
    scale = side / max(tight.shape)
    size = (round(tight.shape[1] * scale), round(tight.shape[0] * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = page(cv2.resize(tight, size, interpolation=kind).clip(0, 1))
    seen = digit_of(picture if dark else 255 - picture)
    assert likeness(seen, digit_of(page(ink))) > 0.85


@given(DIGITS, st.floats(60, 255), st.floats(0.2, 1))
@settings(max_examples=30, deadline=None)
def test_brightness_and_contrast(digit: int, paper: float, depth: float) -> None:
    reference = digit_of(page(draw(digit)))
    assert likeness(digit_of(page(draw(digit), paper=paper, depth=depth)), reference) > 0.97


@given(DIGITS, st.floats(-0.35, 0.35))
@settings(max_examples=20, deadline=None)
def test_slant(digit: int, slant: float) -> None:
    ink = draw(digit)
    lean = np.array([[1, slant, -160 * slant], [0, 1, 0]])
    leaning = cv2.warpAffine(ink, lean, ink.shape[::-1])
    assert likeness(digit_of(page(leaning)), digit_of(page(ink))) > 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = Image.fromarray(page(draw(4)))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "JPEG", exif=exif, quality=95)
    assert likeness(digit_of(data), digit_of(upright)) > 0.97


@pytest.mark.parametrize("pen", [1, 3, 40])
def test_stroke_width_comes_into_the_training_range(pen: int) -> None:
    normal = digit_of(page(draw(2, canvas=(640, 480), height=360, pen=pen)))
    assert 0.06 < (normal > 127).mean() < 0.22
    assert likeness(normal, digit_of(page(draw(2)))) > 0.75


def test_invert_overrides_what_is_found() -> None:
    dark_ink = page(draw(3), paper=255, depth=1)
    assert likeness(digit_of(dark_ink, invert="always"), digit_of(dark_ink)) > 0.999
    assert likeness(digit_of(255 - dark_ink, invert="never"), digit_of(dark_ink)) > 0.99
    wrong = images.normalize(dark_ink, invert="never").digit
    assert likeness(wrong, digit_of(dark_ink)) < 0.8


@pytest.mark.parametrize("digit", sorted(STROKES))
@pytest.mark.parametrize("light_ink", [True, False])
def test_tightly_cropped_binary_digit_of_16_pixels(digit: int, light_ink: bool) -> None:
    ink = draw(digit, pen=22)
    small = cv2.resize(cut_out(ink), (12, 16), interpolation=cv2.INTER_AREA)
    binary = ((small > 0.5) == light_ink).astype(np.uint8) * 255
    reference = np.pad(cv2.resize(small, (120, 160)), 60)
    assert likeness(digit_of(binary), digit_of(page(reference))) > 0.8


# Hard pictures ---------------------------------------------------------------------------------


def grain(shape: tuple[int, ...], strength: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, strength, shape)


def as_photo(light: np.ndarray) -> np.ndarray:
    return np.clip(light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("penumbra", [0.01, 30])
@pytest.mark.parametrize("digit", sorted(STROKES))
def test_gradient_shadow_and_texture(digit: int, penumbra: float) -> None:
    ink = draw(digit, canvas=(480, 640), height=220)
    yy, xx = np.mgrid[0:480, 0:640]
    light = 120 + 110 * xx / 640
    light *= 0.8 + 0.2 * np.tanh((yy - 430 + 0.6 * xx) / penumbra)  # the edge of a shadow
    picture = as_photo(light * (1 - 0.7 * ink) + grain(ink.shape, 5))
    assert likeness(digit_of(picture), digit_of(page(ink))) > 0.9


@pytest.mark.parametrize("digit", sorted(STROKES))
@pytest.mark.parametrize("slope", [0, 0.01])
def test_ruled_paper(digit: int, slope: float) -> None:
    ink = draw(digit, canvas=(400, 500), height=200)
    lines = np.zeros_like(ink)
    for y in range(45, 400, 62):
        cv2.line(lines, (0, y), (499, round(y + 499 * slope)), 0.6, 2, cv2.LINE_AA)
    picture = page(np.maximum(ink, lines))
    assert likeness(digit_of(picture), digit_of(page(ink))) > 0.85


def test_grid_box_around_the_digit() -> None:
    ink = draw(5, canvas=(400, 400), height=180)
    boxed = ink.copy()
    cv2.rectangle(boxed, (60, 40), (340, 360), 1, 3)
    assert likeness(digit_of(page(boxed)), digit_of(page(ink))) > 0.97


@pytest.mark.parametrize("digit", sorted(STROKES))
@pytest.mark.parametrize("closed_by", [360, 352])
def test_ring_around_the_digit(digit: int, closed_by: int) -> None:
    ink = draw(digit, canvas=(400, 400), height=150)
    ringed = ink.copy()
    cv2.ellipse(ringed, (200, 200), (150, 160), 20, 0, closed_by, 1, 9)
    assert likeness(digit_of(page(ringed)), digit_of(page(ink))) > 0.97


def test_a_zero_around_a_speck_is_no_ring() -> None:
    ink = np.zeros((400, 400))
    cv2.ellipse(ink, (200, 200), (90, 130), 0, 0, 360, 1, 16)
    specked = ink.copy()
    cv2.circle(specked, (200, 200), 12, 1, -1)
    left_half = np.s_[:, :8]
    assert likeness(digit_of(page(specked))[left_half], digit_of(page(ink))[left_half]) > 0.97


def test_a_hook_around_a_stroke_is_no_ring() -> None:
    """A 5 whose bar was written apart, within the bow's bounding box: there is a wide way out."""
    ink = np.zeros((400, 400))
    cv2.ellipse(ink, (200, 200), (120, 150), 0, 60, 330, 1, 16)
    cv2.line(ink, (200, 150), (200, 260), 1, 16)
    whole = images.normalize(page(ink)).digit
    assert whole[:, :9].any()  # the bow's left side is seen


def test_frame_specks_and_border_shadow_are_dropped() -> None:
    ink = draw(2, canvas=(400, 400), height=200)
    dirty = ink.copy()
    dirty[:, :9] = dirty[:7] = 1
    cv2.ellipse(dirty, (400, 400), (90, 60), 0, 0, 360, 0.8, -1)
    for at in ((60, 80), (330, 90), (70, 330)):
        cv2.circle(dirty, at, 3, 1, -1)
    assert likeness(digit_of(page(dirty)), digit_of(page(ink))) > 0.97


def test_thin_pen_in_a_photo_of_twelve_megapixels() -> None:
    ink = draw(3, canvas=(3000, 4000), height=900, centre=(0.3, 0.6), pen=9)
    light = np.linspace(150, 230, 4000)[None] * (1 - 0.6 * ink)
    picture = encoded(Image.fromarray(as_photo(light)).convert("RGB"), "JPEG", quality=85)
    assert likeness(digit_of(picture), digit_of(page(draw(3)))) > 0.85


def test_colours_of_equal_lightness() -> None:
    ink = draw(7)[..., None]
    red, green = np.array([200, 60, 60]), np.array([35, 122, 60])  # both of lightness 102
    picture = as_photo(green + (red - green) * ink + grain(ink.shape, 2))
    assert likeness(digit_of(picture), digit_of(page(draw(7)))) > 0.95


@pytest.mark.parametrize(("a", "b"), [((0.3, 0.4), (0.7, 0.5)), ((0.1, 0.7), (0.9, 0.78))])
def test_broken_strokes_are_kept(a: tuple[float, float], b: tuple[float, float]) -> None:
    whole = draw(2, height=200)
    broken = whole.copy()
    start, end = ((round(45 + x * 150), round(60 + y * 200)) for x, y in (a, b))
    cv2.line(broken, start, end, 0, 9)
    assert cv2.connectedComponents((broken > 0.5).astype(np.uint8))[0] > 2
    assert likeness(digit_of(page(broken)), digit_of(page(whole))) > 0.85


def test_five_with_its_bar_apart_is_one_digit() -> None:
    ink = draw(5, height=200)
    apart = np.zeros_like(ink)
    body, bar = STROKES[5]
    for stroke, lift in ((body, 0), (bar, -25)):
        points = (np.array(stroke) - 0.5) * (150, 200) + (120, 160 + lift)
        cv2.polylines(apart, [np.int32(points)], False, 1, 13)
    assert cv2.connectedComponents((apart > 0.5).astype(np.uint8))[0] == 3
    assert likeness(digit_of(page(apart)), digit_of(page(ink))) > 0.7


# Sources and modes -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_modes_of_pillow(mode: str) -> None:
    grey = page(draw(2))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        image = Image.fromarray(grey.astype(np.int32 if mode == "I" else np.float32))
    elif mode == "1":
        image = Image.fromarray(grey > 128)
    else:
        image = Image.fromarray(grey).convert(mode)
    assert image.mode == mode
    assert likeness(digit_of(image), digit_of(grey)) > 0.97


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_formats(kind: str) -> None:
    image = Image.fromarray(page(draw(5)))
    assert likeness(digit_of(encoded(image, kind)), digit_of(image)) > 0.97


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_greys_are_scaled_not_clipped(bits: int) -> None:
    deep = (page(draw(4)) / 255 * (2**bits - 1)).astype(np.uint16)
    assert likeness(digit_of(deep), digit_of(page(draw(4)))) > 0.99
    assert likeness(digit_of(encoded(Image.fromarray(deep))), digit_of(deep)) > 0.99


@pytest.mark.parametrize("ink_colour", [(0, 0, 0), (255, 255, 255), (250, 220, 0), (20, 20, 120)])
def test_transparent_background(ink_colour: tuple[int, int, int]) -> None:
    ink = draw(3)
    rgba = np.dstack([np.full((*ink.shape, 3), ink_colour), ink * 255]).astype(np.uint8)
    rgba[..., :3][ink == 0] = 0  # what drawing programs store under full transparency
    assert likeness(digit_of(encoded(Image.fromarray(rgba))), digit_of(page(ink))) > 0.97


def test_arrays() -> None:
    ink = draw(7)
    grey = page(ink)
    reference = digit_of(grey)
    for array in (grey / 255, np.dstack([grey] * 3), grey.astype(np.uint16) * 257, ink < 0.5):
        assert likeness(digit_of(array), reference) > 0.97
    with pytest.raises(images.ImageError, match="shape"):
        images.normalize(np.zeros((4, 4, 4, 4), np.uint8))
    with pytest.raises(images.ImageError, match="no pixels"):
        images.normalize(np.zeros((0, 9), np.uint8))


def test_path_file_and_bytes_agree(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(page(draw(2))))
    path = tmp_path / "2 ü.png"
    path.write_bytes(data)
    reference = digit_of(data)
    for source in (path, str(path), io.BytesIO(data)):
        np.testing.assert_array_equal(digit_of(source), reference)


def test_first_frame_counts() -> None:
    first, second = (Image.fromarray(page(draw(digit))) for digit in (2, 7))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert likeness(digit_of(data), digit_of(first)) > 0.97


def test_source_is_left_as_it_is() -> None:
    array = page(draw(3))
    copy = array.copy()
    digit = digit_of(array)
    digit_of(digit)[:] = 7
    np.testing.assert_array_equal(array, copy)
    assert digit.max() > 200


# Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture at all", "not an image, or of an unknown format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image, or of an unknown format"),
    ],
)
def test_what_is_no_image(data: bytes, reason: str) -> None:
    with pytest.raises(images.ImageError, match=f"^{reason}$"):
        images.normalize(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_truncated_file(kind: str) -> None:
    data = encoded(Image.fromarray(page(draw(2))), kind)
    with pytest.raises(images.ImageError, match=f"(truncated|damaged) {kind}"):
        images.normalize(data[: len(data) * 2 // 3])


@given(st.binary(max_size=40), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_damage_is_an_image_error_or_a_picture(noise: bytes, at: int) -> None:
    data = bytearray(encoded(Image.fromarray(page(draw(2)))))
    at %= len(data)
    data[at : at + len(noise)] = noise
    with contextlib.suppress(images.ImageError):  # any other error fails the test
        assert images.normalize(bytes(data)).digit.shape == (28, 28)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(images.ImageError, match="no such file"):
        images.normalize(tmp_path / "none.png")


def test_too_many_pixels() -> None:
    data = encoded(Image.new("1", (400, 300)))
    with pytest.raises(images.ImageError, match="400x300: more than 100,000 pixels"):
        images.normalize(data, limits=Limits(max_pixels=100_000))
    bomb = encoded(Image.new("1", (20_000, 20_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning must not get past
        with pytest.raises(images.ImageError, match="more than"):
            images.normalize(bomb)


def test_formats_can_be_narrowed() -> None:
    with pytest.raises(images.ImageError, match="unknown format"):
        images.normalize(
            encoded(Image.fromarray(page(draw(2))), "BMP"), limits=Limits(formats=("PNG",))
        )


# Rejections ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", [0, 1, 100, 255])
@pytest.mark.parametrize("shape", [(28, 28), (3, 5), (1, 1), (300, 400)])
def test_solid_colour_is_rejected(shade: int, shape: tuple[int, int]) -> None:
    assert images.normalize(np.full(shape, shade, np.uint8)).rejection == "blank image"


@pytest.mark.parametrize("seed", range(8))
def test_blank_paper_is_rejected(seed: int) -> None:
    yy, xx = np.mgrid[0:300, 0:400]
    light = 140 + 20 * seed / 2 + 60 * (xx - yy) / 700
    texture = cv2.GaussianBlur(grain((300, 400), 1, seed), (0, 0), 0.5 + seed / 4)
    picture = as_photo(light + 3 * texture / texture.std())
    assert images.normalize(picture).rejection is not None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", [28, 64, 256])
def test_noise_is_rejected(side: int, seed: int) -> None:
    gauss = as_photo(128 + grain((side, side), 15 + 8 * seed, seed))
    pepper = np.where(grain((side, side), 1, seed) > 1 - seed / 6, 0, 255).astype(np.uint8)
    smooth = cv2.GaussianBlur(grain((side, side), 1, seed), (0, 0), side / 24)
    clouds = as_photo(128 + 40 * smooth / smooth.std())
    for picture in (gauss, pepper, clouds):
        assert images.normalize(picture).rejection is not None


@given(st.lists(DIGITS, min_size=2, max_size=4), st.booleans(), st.floats(0.6, 3))
@settings(max_examples=30, deadline=None)
def test_several_digits_are_counted(digits: list[int], light_ink: bool, scale: float) -> None:
    canvas = (round(160 * scale), round(120 * scale))
    pen = max(2, round(8 * scale))
    inks = [draw(d, canvas=canvas, height=round(100 * scale), pen=pen) for d in digits]
    picture = page(np.hstack(inks))
    result = images.normalize(255 - picture if light_ink else picture)
    assert result.rejection == f"found {len(digits)} digits"
