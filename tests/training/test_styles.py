"""The book of styles, and the digits that the program draws in them for the training."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from digit_classification import parallel
from digit_classification.pictures import images
from digit_classification.training.styles import hand, pen, picture
from digit_classification.training.styles.book import (
    FOLDER,
    Style,
    read_book,
    read_sources,
    read_strokes,
)
from digit_classification.training.styles.draw import choose, draw_digits

BOOK = read_book()
each_style = pytest.mark.parametrize("style", BOOK, ids=lambda style: style.title)


# --------------------------------------------------------------------------------------- the book


def test_each_digit_has_many_styles_of_different_names() -> None:
    assert len({style.title for style in BOOK}) == len(BOOK)
    assert min(Counter(style.digit for style in BOOK).values()) >= 8
    assert {style.hand for style in BOOK} == {"careful", "hurried", "any"}


def test_each_source_is_named_by_a_style() -> None:
    assert {key for style in BOOK for key in style.sources} == set(read_sources())


def test_no_two_styles_of_a_digit_are_the_same_strokes() -> None:
    assert len({(style.digit, style.text) for style in BOOK}) == len(BOOK)


@each_style
def test_a_style_is_as_high_as_its_digit(style: Style) -> None:
    everything = np.concatenate(hand.write_model(style))
    assert -0.1 < everything[:, 1].min() < 0.06
    assert 0.9 < everything[:, 1].max() < 1.06
    assert everything[:, 0].max() - everything[:, 0].min() < 1


def test_strokes_are_read_with_their_marks() -> None:
    (first, second) = read_strokes(
        ("-.5 .75 ~.1/.12 <.2, top=0 0 !, 0 1 >0.1", "top ~.2, 1 1"), 0.03
    )
    assert first[0][:4] == (-0.5, 0.75, 0.1, 0.12)
    assert (first[0].short, first[0].past, first[0].corner) == (0.2, 0, False)
    assert first[1].corner
    assert first[1].stray_x == first[1].stray_y == 0.03
    assert first[2].past == 0.1
    assert second[0][:2] == (0, 0)
    assert (second[0].same_as, second[0].corner) == (1, False)


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        (["0 0"], "'0 0' has one point: a stroke has two or more"),
        (["0 0, 1"], "'1' is no point, such as '0.5 0' or 'top=0.5 0 !'"),
        (["0 0, 1 1 ?"], "'?' is no mark of a point: ! ~ < > are"),
        (["0 0, top"], "'top' names a point that was not given before"),
        (["a=0 0, a=1 1"], "'a=1 1' gives a name that another point has"),
        (
            ["0 0, 1 0 >.1, 1 1"],
            "'0 0, 1 0 >.1, 1 1' has < or > at a point that is no end of the stroke",
        ),
    ],
)
def test_what_is_no_stroke_is_refused(strokes: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_strokes(tuple(strokes))


def test_the_book_is_beside_the_program() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert names == {*(f"{digit}.yaml" for digit in range(10)), "sources.yaml"}


# --------------------------------------------------------------------------------------- the hand


@each_style
def test_named_points_meet_wherever_the_hand_goes(style: Style) -> None:
    """A stroke that ends in a joint without < or > touches the one that it names."""
    aims = [point for stroke in style.strokes for point in stroke]
    starts = np.cumsum([0, *map(len, style.strokes)])
    for seed in range(5):
        ways = hand.write(style, np.random.default_rng(seed))
        assert len(ways) == len(style.strokes)
        for way, start, stroke in zip(ways, starts, style.strokes, strict=False):
            assert np.isfinite(way).all()
            for number, end in ((0, way[0]), (len(stroke) - 1, way[-1])):
                point = aims[start + number]
                if point.same_as is None or point.short:
                    continue
                first = int(np.searchsorted(starts, point.same_as, side="right")) - 1
                distance = np.hypot(*(ways[first] - end).T).min()
                assert distance < 0.15 + 2.2 * point.past


def test_a_hurried_hand_cuts_corners() -> None:
    (style,) = (style for style in BOOK if style.title == "4 like a flash")
    turns = {}
    for name in ("careful", "hurried"):
        written = replace(style, hand=name)
        ways = [hand.write(written, np.random.default_rng(seed))[0] for seed in range(30)]
        turns[name] = np.mean([_sharpest(way) for way in ways])
    assert turns["hurried"] < 0.8 * turns["careful"]


def _sharpest(way: np.ndarray) -> float:
    """Return the largest turn between two steps of a way, in radians."""
    across, down = np.diff(way, axis=0).T
    turns = np.diff(np.unwrap(np.arctan2(down, across)))
    return float(np.abs(turns).max())


# ------------------------------------------------------------------------- the pen and the picture


@pytest.mark.parametrize("height", [8, 20, 60, 200])
def test_ink_is_as_high_as_it_should_be_and_as_wide_as_the_pen(height: int) -> None:
    stem = [np.stack([np.zeros(41), np.linspace(0, 1, 41)], axis=1)]
    ink = pen.put_ink(stem, pen.Pen(0.12, swell=0), height, np.random.default_rng(0))
    assert ink.shape[0] == pytest.approx(1.12 * height, abs=2)
    width = ink.sum() / 255 / ink.shape[0]
    assert width == pytest.approx(0.12 * height, rel=0.15)


def test_a_pen_that_is_too_fine_to_be_seen_is_drawn_a_pixel_wide() -> None:
    stem = [np.stack([np.zeros(41), np.linspace(0, 1, 41)], axis=1)]
    ink = pen.put_ink(stem, pen.Pen(0.03, swell=0), 8, np.random.default_rng(0))
    assert ink.sum() / 255 / ink.shape[0] == pytest.approx(0.9, abs=0.2)


def test_dry_ink_leaves_gaps() -> None:
    way = [np.stack([np.zeros(41), np.linspace(0, 1, 41)], axis=1)]
    wet, dry = (
        pen.put_ink(way, pen.Pen(0.12, swell=0, dry=dry), 100, np.random.default_rng(0))
        for dry in (0.0, 0.6)
    )
    assert dry.mean() < 0.9 * wet.mean()


def test_a_digit_that_is_cut_to_a_box_fills_it() -> None:
    ink = np.full((90, 40), 255, np.uint8)
    sides = set()
    for seed in range(50):
        cut = picture.cut_to_a_box(ink, np.random.default_rng(seed))
        filled = cut == cut[cut.shape[0] // 2, cut.shape[1] // 2]
        rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert width >= 40 / 90 * height - 1
        sides.add((int(height), int(width)))
    assert (16, 16) in sides


@each_style
def test_the_preparation_takes_each_style_for_one_digit(style: Style) -> None:
    """As the book has it, with a fine and a wide pen, small and large, dark on light."""
    for width in (0.05, 0.12):
        for height in (16, 40, 100):
            rng = np.random.default_rng(height)
            ink = pen.put_ink(hand.write_model(style), pen.Pen(width), height, rng)
            sheet = np.pad(255 - ink, max(4, height // 4), constant_values=255)
            found = images.normalize(sheet)
            assert found.rejection is None, (width, height)
            assert found.digit.max() > 200


# ------------------------------------------------------------------------------------ all of these


def test_each_style_is_drawn_as_often_as_its_share_says() -> None:
    whole = sum(style.share for style in BOOK)
    for count in (50, 2700):
        counts = np.bincount(choose(count, BOOK), minlength=len(BOOK))
        assert counts.sum() == count
        aims = np.array([style.share / whole * count for style in BOOK])
        assert (np.abs(counts - aims) <= 1).all()


def test_each_digit_is_another_one_in_mnist_s_convention() -> None:
    digits, labels = draw_digits(250, np.random.default_rng(0))
    assert digits.dtype == np.uint8
    assert sorted(labels.tolist()) == [BOOK[number].digit for number in choose(250, BOOK)]
    assert len(set(labels[:25].tolist())) > 5, "in no order: each part of them has many digits"
    assert len({digit.tobytes() for digit in digits}) == 250
    rows, columns = (digits > 64).any(axis=2).sum(axis=1), (digits > 64).any(axis=1).sum(axis=1)
    longest = np.maximum(rows, columns)
    assert np.mean((longest >= 18) & (longest <= 22)) > 0.97
    assert np.all(digits.reshape(250, -1).max(axis=1) > 120)


def test_the_same_state_draws_the_same_digits_however_many_processes_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = draw_digits(60, np.random.default_rng(7))
    monkeypatch.setattr(parallel, "SMALL", 30)  # more are worth processes
    monkeypatch.setattr(parallel, "default_workers", lambda: 2)
    other = draw_digits(60, np.random.default_rng(7))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    few, _ = draw_digits(3, np.random.default_rng(7), BOOK[:1])
    again, _ = draw_digits(3, np.random.default_rng(7), BOOK[:1])
    np.testing.assert_array_equal(few, again)


def test_only_some_styles() -> None:
    sevens = [style for style in BOOK if style.digit == 7]
    digits, labels = draw_digits(20, np.random.default_rng(0), sevens)
    assert (digits.shape, set(labels.tolist())) == ((20, 28, 28), {7})


def test_none() -> None:
    digits, labels = draw_digits(0, np.random.default_rng(0))
    assert (digits.shape, labels.shape) == ((0, 28, 28), (0,))
