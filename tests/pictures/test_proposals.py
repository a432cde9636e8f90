"""The ways to see a picture: that the first is the preparation's own, and what the others are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digit_classification.pictures import images
from digit_classification.pictures.proposals import CONTEXT, NUMBERS, Proposal, propose, ready
from tests.drawing import draw_digit

PAPER = 240
PICTURES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=60))


def paper(height: int = 140, width: int = 100) -> np.ndarray:
    return np.full((height, width), PAPER, np.uint8)


def write(picture: np.ndarray, label: int, left: int, top: int, side: int = 80) -> np.ndarray:
    """Write a digit on a picture, dark: the ink fills about two thirds of the side."""
    ink = (draw_digit(label, side=side) * (PAPER / 255)).astype(np.uint8)
    picture[top : top + side, left : left + side] -= np.minimum(
        ink, picture[top : top + side, left : left + side]
    )
    return picture


def all_of(picture: np.ndarray, invert: images.Invert = "auto") -> list[Proposal]:
    return [proposal for stage in propose(picture, invert) for proposal in stage]


def boxes(proposals: list[Proposal]) -> np.ndarray:
    """Left, top, right, bottom of each, in shares of the picture."""
    box = np.array([proposal.box for proposal in proposals])
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)


def numbers(proposal: Proposal) -> dict[str, float]:
    return dict(zip(NUMBERS, proposal.numbers.tolist(), strict=True))


# ------------------------------------------------------------------------------ whatever comes


@settings(max_examples=50, deadline=None)
@given(PICTURES, st.sampled_from(["auto", "always", "never"]))
def test_any_picture_has_proposals(picture: np.ndarray, invert: images.Invert) -> None:
    proposals = all_of(picture, invert)
    assert proposals
    for each in proposals:
        assert (each.digit.shape, each.digit.dtype) == ((28, 28), np.uint8)
        assert (each.context.shape, each.context.dtype) == ((CONTEXT, CONTEXT), np.uint8)
        assert each.numbers.shape == (len(NUMBERS),)
        assert np.isfinite(each.numbers).all()
        assert each.empty == (not each.digit.any())
        assert min(each.box) >= 0
    inside = boxes(proposals)
    assert inside.max() <= 1.01 + 1 / min(picture.shape)  # rounded to whole pixels


@settings(max_examples=50, deadline=None)
@given(PICTURES, st.sampled_from(["auto", "always", "never"]))
def test_the_first_is_what_the_preparation_makes_of_it(
    picture: np.ndarray, invert: images.Invert
) -> None:
    [first] = next(propose(picture, invert))
    seen = images.normalize(picture, invert=invert)
    assert first.digit.tobytes() == seen.digit.tobytes()
    if first.digit.any():  # else there is nothing to reject
        assert first.rejection == seen.rejection


@settings(max_examples=50, deadline=None)
@given(PICTURES)
def test_the_same_picture_has_the_same_proposals(picture: np.ndarray) -> None:
    one, other = all_of(picture), all_of(picture)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.digit.tobytes() == b.digit.tobytes()
        assert a.numbers.tobytes() == b.numbers.tobytes()


# --------------------------------------------------------------------------- what they show


def test_a_digit_that_stands_alone_is_hardly_looked_at_twice() -> None:
    first, *others = all_of(write(paper(), 2, 10, 30), "always")
    assert first.rejection is None
    assert first.left_out == ()
    assert len(others) < 8
    assert numbers(first)["left out"] < 0.05
    assert not first.context.any() or first.context.mean() < 3


def test_neighbours_are_left_out_one_by_one() -> None:
    picture = paper(120, 200)
    for place, label in enumerate((3, 8, 5)):
        write(picture, label, 15 + 45 * place, 20)
    proposals = all_of(picture)
    assert proposals[0].rejection == "found 3 digits"
    spans = boxes(proposals)
    middle = (spans[:, 0] > 0.33) & (spans[:, 2] < 0.67)
    assert middle.any()
    chosen = next(each for each, ours in zip(proposals, middle, strict=True) if ours)
    assert numbers(chosen)["left out"] > 0.4
    assert chosen.context[:, :6].any()  # what is beside it is seen there
    assert chosen.context[:, -6:].any()


def test_what_may_be_a_rule_is_taken_out_and_kept() -> None:
    picture = write(paper(160, 160), 6, 0, 40)
    picture[:, 78:82] = 60  # a rule, or a 1 from border to border
    spans = boxes([each for each in all_of(picture) if not each.empty])
    tall = spans[:, 3] - spans[:, 1] > 0.9
    assert (tall & (spans[:, 0] > 0.4) & (spans[:, 2] < 0.6)).any()
    assert (~tall & (spans[:, 2] < 0.4)).any()


def test_a_margin_that_was_added_is_left_out() -> None:
    picture = np.zeros((200, 200), np.uint8)
    picture[30:170, 50:150] = write(paper(140, 100), 4, 10, 30)
    found = [each for each in all_of(picture) if "a margin around the picture" in each.left_out]
    assert found
    spans = boxes(found)
    assert ((spans[:, 0] > 0.25) & (spans[:, 2] < 0.75)).any()


def test_a_sheet_is_seen_without_its_desk() -> None:
    picture = np.full((240, 240), 40, np.uint8)
    picture[50:190, 60:160] = write(paper(140, 100), 7, 10, 30)
    spans = boxes(found := [each for each in all_of(picture) if each.left_out])
    alone = (spans[:, :2] > 0.25).all(axis=1) & (spans[:, 2:] < 0.75).all(axis=1)
    assert alone.any()
    assert any(each.region is not None and each.region.leaves_out for each in found)


def test_what_a_ring_encloses_is_seen_without_it() -> None:
    picture = paper(160, 160)
    rows, columns = np.mgrid[:160, :160] - 79.5
    picture[np.abs(np.hypot(rows, columns) - 68) < 4] = 40
    write(picture, 5, 35, 35, side=90)
    first, *others = [each for each in all_of(picture) if not numbers(each)["light ink"]]
    assert max(first.box[2:]) < 0.4
    assert all(max(each.box[2:]) < 0.6 for each in others)


def test_further_looks_can_be_left_out() -> None:
    picture = write(paper(), 4, 10, 30)
    first, *others = propose(picture, looks=lambda: False)
    assert (len(first), sum(map(len, others))) == (1, 0)
    assert first[0].digit.tobytes() == all_of(picture)[0].digit.tobytes()


def test_an_underline_is_left_out() -> None:
    picture = write(paper(160, 120), 2, 20, 20)
    picture[118:124, 30:95] = 60
    spans = boxes(all_of(picture))
    assert (spans[:, 3] < 0.72).any()
    assert (spans[:, 3] > 0.75).any()


def test_a_digit_that_fills_its_picture_is_seen_on_flat_paper() -> None:
    """A bar of a pencil, with hardly any paper: around it there is nothing that could be."""
    picture = np.full((55, 8), 150, np.uint8)
    picture[2:53, 1:7] = 70
    bars = [
        each for each in all_of(picture) if not each.empty and each.digit[8:20].any(axis=1).all()
    ]
    solid = [each for each in bars if (each.digit[10:18] > 128).sum(axis=1).max() <= 5]
    assert solid


def test_a_stroke_that_is_most_of_its_picture_is_seen_on_paper_of_many_tones() -> None:
    """A 1 in pencil, cut out tightly: its paper is little, blurred, and darker on one side."""
    across = np.interp(np.arange(8), [0, 2, 5, 7], [105, 58, 62, 118])
    picture = np.tile(across, (55, 1)) + np.random.default_rng(3).normal(0, 3, (55, 8))
    picture[:2], picture[-2:] = 125, 135
    seen = [each for each in all_of(picture.astype(np.uint8)) if not numbers(each)["light ink"]]
    assert any(each.box[2] > 0.5 and each.box[3] > 0.8 for each in seen)


def test_the_other_polarity_is_among_them() -> None:
    picture = write(paper(), 9, 10, 30)
    light = {numbers(each)["light ink"] for each in all_of(picture) if not each.empty}
    assert light == {0.0, 1.0}
    for invert, expected in (("always", 0.0), ("never", 1.0)):
        told = all_of(picture, invert)  # type: ignore[arg-type]
        assert {numbers(each)["light ink"] for each in told if not each.empty} <= {expected}


def test_an_empty_picture_has_nothing_to_judge() -> None:
    proposals = all_of(paper())
    assert all(each.empty for each in proposals)
    assert proposals[0].rejection == "blank image"


@pytest.mark.parametrize("label", range(10))
def test_a_digit_in_mnists_form_is_proposed_as_it_is(label: int) -> None:
    picture = draw_digit(label)
    [placed] = images.normalize_ready([picture])
    [first] = next(propose(picture))
    if placed is None:  # not quite in that form
        assert not first.numbers[-1]
    else:
        assert first.digit.tobytes() == placed.tobytes()
        assert first.numbers.tolist() == ready(placed).numbers.tolist()
