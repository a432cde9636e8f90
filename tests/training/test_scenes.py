"""Drawn pictures: what is said about them is so, and the judge's kinds are kept apart."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

import benchmarks.zoo.beside as zoo_beside
from benchmarks.accuracy import TEST_SET, ancestor_pixels, spread
from benchmarks.pictures import FirstChosen
from benchmarks.zoo import KINDS, SEEN, UNSEEN
from digit_classification.pictures.sources import find_sources
from digit_classification.training import scenes
from digit_classification.training.scenes import Digits, Scene, letters
from tests.documents import ROOT

DRAWN = 8  # pictures of each kind
PACKAGE = ROOT / "digit_classification"


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Five of each of MNIST's test digits."""
    of_class: dict[int, list[np.ndarray]] = {digit: [] for digit in range(10)}
    sources = list(find_sources([str(TEST_SET)]))
    for digit, images in of_class.items():
        own = [source for source in sources if Path(source.name).parent.name == str(digit)]
        images += [np.rint(255 * ancestor_pixels(source)) for source in spread(own, 5)]
    stacked = np.stack([image for images in of_class.values() for image in images])
    return Digits(stacked.astype(np.uint8), np.repeat(np.arange(10), 5))


def draw(kind: str, digits: Digits, seed: int) -> Scene:
    return KINDS[kind].draw(np.random.default_rng(seed), digits)


@pytest.mark.parametrize("kind", KINDS)
def test_each_picture_of_a_kind_is_as_described(kind: str, digits: Digits) -> None:
    with_digit = KINDS[kind].answer_kind == "digit"
    for seed in range(DRAWN):
        chosen = FirstChosen(digits.images, digits.labels)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scene = draw(kind, chosen, seed)
        pixels, ink = scene.pixels, scene.ink
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] in ((), (3,))
        assert min(pixels.shape[:2]) >= 2
        if not with_digit:
            assert ink is None
            assert scene.answer == KINDS[kind].answer_kind
            continue
        assert ink is not None
        assert ink.shape == pixels.shape[:2]
        assert ink.dtype == np.float32
        assert 0 <= ink.min() <= ink.max() <= 1
        assert ink.max() > 0.3
        assert scene.answer in "0123456789"
        if chosen.image is not None:  # else the digit is a printed one
            first = (digits.images == chosen.image).all(axis=(1, 2))
            assert int(digits.labels[first][0]) == int(scene.answer)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_state_gives_the_same_picture(kind: str, digits: Digits) -> None:
    first, second = (draw(kind, digits, 7) for _ in range(2))
    assert first.answer == second.answer
    assert np.array_equal(first.pixels, second.pixels)
    if first.ink is None or second.ink is None:
        assert first.ink is second.ink
    else:
        assert np.array_equal(first.ink, second.ink)
    others = (draw(kind, digits, seed).pixels for seed in range(8, 12))
    assert not all(np.array_equal(first.pixels, other) for other in others)


def test_the_ink_lies_where_the_picture_is_not_paper(digits: Digits) -> None:
    for seed in range(DRAWN):  # of a kind without noise
        scene = draw("drawn on a screen", digits, seed)
        assert scene.ink is not None
        pixels = scene.pixels.reshape(*scene.ink.shape, -1).astype(int).mean(axis=2)
        paper = pixels[scene.ink == 0]
        assert np.ptp(paper) == 0
        assert (abs(pixels[scene.ink > 0.5] - paper[0]) > 30).all()


def test_there_are_kinds_enough_and_a_third_is_kept_from_the_judge() -> None:
    with_digit = [name for name, kind in KINDS.items() if kind.answer_kind == "digit"]
    assert len(with_digit) >= 60
    assert len(KINDS) - len(with_digit) >= 30
    assert set(SEEN).isdisjoint(UNSEEN)
    assert round(len(SEEN) / len(KINDS), 2) <= 0.67
    for answer in ("digit", "blank", "several", "no digit"):
        for kinds in (SEEN, UNSEEN):
            assert [name for name, kind in kinds.items() if kind.answer_kind == answer]


def test_the_package_draws_no_kind_that_is_kept_from_the_judge() -> None:
    assert scenes.SEEN is SEEN
    drawing = {id(kind.draw) for kind in SEEN.values()}
    assert not [name for name, kind in UNSEEN.items() if id(kind.draw) in drawing]
    assert zoo_beside.OTHER_FONTS.parent == ROOT / "benchmarks/zoo"
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, text in sources.items() if "benchmarks" in text] == []
    kinds = "".join(text for path, text in sources.items() if "scenes" in path.parts)
    assert [name for name in UNSEEN if f'"{name}"' in kinds] == []


@pytest.mark.parametrize("archive", [letters.FONTS, zoo_beside.OTHER_FONTS], ids=lambda p: p.stem)
def test_each_font_has_its_licence_beside_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        names = set(members.namelist())
        fonts = {name for name in names if name.endswith(".woff2")}
        licences = {name.replace(".woff2", ".LICENSE.txt") for name in fonts}
        assert names == fonts | licences
        texts = [members.read(name).decode() for name in licences]
    assert all("SIL OPEN FONT LICENSE Version 1.1" in text for text in texts)
    note = archive.with_suffix(".md").read_text(encoding="utf-8")
    assert [name for name in fonts if f"`{name.removesuffix('.woff2')}`" not in note] == []


def test_no_hand_writes_for_both() -> None:
    names = []
    for archive in (letters.FONTS, zoo_beside.OTHER_FONTS):
        with zipfile.ZipFile(archive) as members:
            names.append({name for name in members.namelist() if name.endswith(".woff2")})
    assert names[0].isdisjoint(names[1])


def test_fonts_that_cannot_be_opened(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    advice = (
        "fetch the file again, and install the Pillow that requirements.txt names, which opens "
        "WOFF2 fonts."
    )
    missing = tmp_path / "missing.zip"
    with pytest.raises(letters.FontError) as raised:
        letters.letter(rng, 40, fonts=missing)
    assert str(raised.value) == (
        f"The handwriting in '{missing}' cannot be drawn ([Errno 2] No such file or directory: "
        f"'{missing}'): {advice}"
    )
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(damaged, "w") as members:
        members.writestr("hand.woff2", b"wOF2" + bytes(60))
    with pytest.raises(letters.FontError) as raised:
        letters.word(rng, 40, fonts=damaged)
    assert str(raised.value).startswith(f"The handwriting in '{damaged}' cannot be drawn (")
    assert str(raised.value).endswith(advice)


@pytest.mark.parametrize("kind", ["ball pen, photo", "two digits apart"])
def test_a_strip_does_not_tell_several_digits_from_one(kind: str, digits: Digits) -> None:
    shapes = [draw(kind, digits, seed).pixels.shape for seed in range(80)]
    strips = np.mean([width > 1.4 * height for height, width, *_ in shapes])
    assert 0.05 < strips < 0.85
