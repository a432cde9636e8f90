"""The judge: what it is told, what it says, how it is stored, and what is chosen by it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np
import pytest

from digit_classification.network.choice import CONVINCING, NO_DIGIT, SEVERAL, WELL_READ, choose
from digit_classification.network.inference import Activations, DenseNetwork, NetworkError, unpack
from digit_classification.network.judge import (
    CLASSES,
    FEATURES,
    OUTCOMES,
    Judge,
    inputs_of,
    inputs_width,
    packed_size,
)
from digit_classification.pictures.proposals import CONTEXT, NUMBERS, Proposal, propose, ready
from tests.drawing import draw_digit

HIDDEN = 12


def network() -> DenseNetwork:
    rng = np.random.default_rng(1)
    weights = [rng.normal(0, 0.1, (784, HIDDEN)), rng.normal(0, 1, HIDDEN)]
    weights += [rng.normal(0, 1, (HIDDEN, 10)), rng.normal(0, 1, 10)]
    content = b"".join(each.astype("<f4").tobytes() for each in weights)
    return unpack([784, HIDDEN, 10], content)


def judge_of(
    number: str = "ready", weight: float = 1.0, bias: float = 0.0, blank: float = 0.0
) -> Judge:
    """A judge whose opinion of what is whole depends on one number alone."""
    kernel = np.zeros((inputs_width(HIDDEN), len(CLASSES)), np.float32)
    kernel[CONTEXT**2 + NUMBERS.index(number), 0] = weight
    bounds = np.stack([np.full(len(NUMBERS), -9.0), np.full(len(NUMBERS), 9.0)])
    certainty = np.zeros((FEATURES, len(OUTCOMES)), np.float32)
    certainty[0, 0] = 1  # right: as sure as the judge is that it is whole
    lean = np.array([0, -9, 0, blank, -9], np.float32)
    return Judge.of([(kernel, np.array([bias, 0, 0, 0]))], bounds, (certainty, lean))


def random_judge() -> Judge:
    rng = np.random.default_rng(2)
    widths = [inputs_width(HIDDEN), 8, len(CLASSES)]
    layers = [(rng.normal(0, 0.2, shape), rng.normal(0, 1, shape[1])) for shape in pairwise(widths)]
    bounds = np.stack([np.full(len(NUMBERS), -1.0), np.full(len(NUMBERS), 1.0)])
    certainty = rng.normal(0, 0.3, (FEATURES, len(OUTCOMES))), rng.normal(0, 1, len(OUTCOMES))
    return Judge.of(layers, bounds, certainty)


def digit_on_paper(label: int = 3) -> np.ndarray:
    """A dark digit on light paper, (130, 100) uint8."""
    picture = np.full((130, 100), 240, np.uint8)
    picture[20:110, 5:95] -= (draw_digit(label, side=90) * (200 / 255)).astype(np.uint8)
    return picture


def all_of(picture: np.ndarray) -> list[Proposal]:
    return [proposal for stage in propose(picture) for proposal in stage]


def never() -> Iterator[list[Proposal]]:
    raise AssertionError("no further proposal is needed")
    yield


# ------------------------------------------------------------------------------------ computing


def test_a_judge_says_what_its_layers_say() -> None:
    judge, reader = random_judge(), network()
    proposals = all_of(digit_on_paper())
    inputs = inputs_of(proposals, reader)
    bounds = judge.bounds
    rest = inputs.rest.copy()
    rest[:, : len(NUMBERS)] = np.clip(rest[:, : len(NUMBERS)], bounds[0], bounds[1])
    hidden = np.ldexp(inputs.hidden.whole, inputs.hidden.exponents)
    values = np.concatenate([inputs.contexts / 255, rest, hidden], axis=1)
    layers, _ = unpacked(judge)
    for kernel, bias in layers[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    logits = values @ layers[-1][0] + layers[-1][1]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert judge(inputs) == pytest.approx(expected, abs=2e-3)
    assert judge(inputs).sum(axis=1) == pytest.approx(1)


def unpacked(judge: Judge) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """The judge's layers as its content holds them."""
    values = np.frombuffer(judge.content, "<f4").astype(float)[2 * len(NUMBERS) :]
    layers = []
    for rows, columns in pairwise(judge.widths):
        kernel, values = values[: rows * columns].reshape(rows, columns), values[rows * columns :]
        layers.append((kernel, values[:columns]))
        values = values[columns:]
    return layers, values


@pytest.mark.same_results
def test_what_is_judged_does_not_depend_on_what_is_judged_with_it() -> None:
    judge, reader = random_judge(), network()
    grain = np.random.default_rng(5).integers(0, 256, (28, 28)).astype(np.uint8)
    proposals = [*all_of(digit_on_paper(5)), ready(grain)]
    together = judge(inputs_of(proposals, reader))
    apart = [judge(inputs_of([proposal], reader))[0] for proposal in proposals]
    assert together.tobytes() == np.stack(apart).tobytes()


@pytest.mark.same_results
def test_a_choice_does_not_depend_on_what_is_chosen_with_it() -> None:
    judge, reader = random_judge(), network()
    pictures = [digit_on_paper(label) for label in range(10)]

    def chosen(some: list[np.ndarray]) -> list[bytes]:
        stages = [propose(picture) for picture in some]
        choices = choose([next(each)[0] for each in stages], stages, reader, judge)
        return [each.outcomes.tobytes() + each.features.tobytes() for each in choices]

    assert chosen(pictures) == [chosen([picture])[0] for picture in pictures]


# -------------------------------------------------------------------------------------- storing


def test_a_judge_is_the_same_once_it_is_stored() -> None:
    judge = random_judge()
    card, content = judge.pack()
    assert len(content) == packed_size(card, HIDDEN)
    again = Judge.unpack(card, content, HIDDEN)
    inputs = inputs_of(all_of(digit_on_paper()), network())
    assert again(inputs).tobytes() == judge(inputs).tobytes()
    assert again.pack() == judge.pack()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"widths": None}, "a judge without widths"),
        ({"widths": [4]}, "a judge without widths"),
        ({"widths": [inputs_width(HIDDEN), -1, 4]}, "a judge's width is not from 1 to 4194304"),
        ({"widths": [inputs_width(HIDDEN), True, 4]}, "a judge's width is not from 1 to 4194304"),
        ({"widths": [inputs_width(HIDDEN) + 1, 4]}, "a judge for another network"),
        ({"widths": [inputs_width(HIDDEN), 5]}, "a judge for another network"),
        ({"widths": [inputs_width(HIDDEN), 9999, 4]}, "a judge of more than 4,194,304 weights"),
        ({"numbers": ["size"]}, "a judge of other numbers"),
        ({"widths": [inputs_width(HIDDEN), 9, 4]}, "a judge's weights of another length"),
    ],
)
def test_a_strangers_judge_is_refused(change: dict[str, object], why: str) -> None:
    card, content = random_judge().pack()
    with pytest.raises(NetworkError) as caught:
        Judge.unpack({**card, **change}, content, HIDDEN)
    assert str(caught.value) == why


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e7])
def test_a_judge_of_absurd_weights_is_refused(value: float) -> None:
    card, content = random_judge().pack()
    damaged = content[:-4] + np.array([value], "<f4").tobytes()
    with pytest.raises(NetworkError, match="a judge's weight is not from -1000000 to 1000000"):
        Judge.unpack(card, damaged, HIDDEN)


# ------------------------------------------------------------------------------------- choosing


class ByName:
    """A network that reads a proposal as the digit that its first pixel says."""

    def __init__(self, read: float = 0.91) -> None:
        self._read = read

    def with_hidden(self, digits: np.ndarray) -> tuple[np.ndarray, Activations]:
        probabilities = np.full((len(digits), 10), (1 - self._read) / 9, np.float32)
        probabilities[np.arange(len(digits)), digits[:, 0, 0]] = self._read
        return probabilities, Activations.of(np.ones((len(digits), HIDDEN)))


def named(digit: int, whole: float, rejection: str | None = None) -> Proposal:
    """A proposal that `ByName` reads as this, and that `judge_of("level")` believes so far."""
    numbers = np.zeros(len(NUMBERS), np.float32)
    numbers[NUMBERS.index("level")] = np.log(3 * whole / (1 - whole))
    image = np.full((28, 28), digit, np.uint8)
    context = np.zeros((CONTEXT, CONTEXT), np.uint8)
    return Proposal(image, context, numbers, (0.1, 0.1, 0.8, 0.8), rejection)


def test_a_convincing_picture_is_looked_at_once() -> None:
    first = named(3, CONVINCING + 0.05)
    [choice] = choose([first], [never()], ByName(), judge_of("level"))
    assert choice.proposal is first
    assert choice.rejection is None
    assert [each.digit for each in choice.compared] == [3]


@pytest.mark.parametrize(
    ("first", "read"),
    [
        (named(3, CONVINCING - 0.05), 0.91),
        (named(3, CONVINCING + 0.05), WELL_READ - 0.05),
        (named(3, 0.99, "found 2 digits"), 0.91),
    ],
    ids=["hardly whole", "hardly read", "amiss"],
)
def test_another_is_looked_at_further(first: Proposal, read: float) -> None:
    with pytest.raises(AssertionError, match="no further proposal is needed"):
        choose([first], [never()], ByName(read), judge_of("level"))


@pytest.mark.parametrize(("weight", "chosen"), [(-9.0, "left"), (9.0, "right")])
def test_of_several_ways_to_see_a_picture_the_best_is_chosen(weight: float, chosen: str) -> None:
    """Two digits beside each other, and a judge who likes what is on one side."""
    picture = np.concatenate([digit_on_paper(1), digit_on_paper(7)], axis=1)
    stages = propose(picture)
    judge = judge_of("off centre x", weight)
    [choice] = choose([next(stages)[0]], [stages], network(), judge)
    left, _, width, _ = choice.proposal.box
    assert ("left" if left + width / 2 < 0.5 else "right") == chosen


@pytest.mark.parametrize(
    ("first", "others", "digit"),
    [
        (named(2, 0.3), [named(1, 0.7)], 2),  # 0.55 for 0.7 * 0.7
        (named(2, 0.3, "found 2 digits"), [named(1, 0.7)], 1),
        (named(2, 0.2), [named(1, 0.7)], 1),
        (named(4, 0.1), [named(1, 0.6), named(7, 0.5), named(7, 0.5)], 7),
        (named(4, 0.1), [named(1, 0.8), named(7, 0.5), named(7, 0.5)], 1),
        (named(7, 0.3), [named(1, 0.9), named(7, 0.6)], 7),
    ],
    ids=["own", "own, but amiss", "own, hardly", "together", "one, by far", "own and another"],
)
def test_proposals_that_are_read_alike_speak_together(
    first: Proposal, others: list[Proposal], digit: int
) -> None:
    [choice] = choose([first], [[others]], ByName(), judge_of("level"))
    assert choice.probabilities.argmax() == digit
    assert choice.proposal.digit[0, 0] == digit
    assert choice.compared[0].digit == digit
    assert {each.digit for each in choice.compared} == {
        int(each.digit[0, 0]) for each in (first, *others)
    }


def test_an_empty_picture_is_blank() -> None:
    stages = propose(np.full((90, 90), 240, np.uint8))
    [choice] = choose([next(stages)[0]], [stages], network(), judge_of(bias=9.0))
    assert choice.rejection == "blank image"
    assert choice.confidence == 0


def test_what_shows_no_digit_is_called_by_its_name() -> None:
    picture = digit_on_paper()
    stages = [propose(picture) for _ in range(2)]
    firsts = [next(each)[0] for each in stages]
    [nothing, *_] = choose(firsts, stages, network(), judge_of(bias=-9.0))
    assert nothing.rejection == NO_DIGIT
    stages = [propose(picture)]
    [several] = choose([next(stages[0])[0]], stages, network(), judge_of(bias=-9.0, blank=5.0))
    assert several.rejection == SEVERAL


def test_what_the_preparation_counts_is_said() -> None:
    picture = np.concatenate([digit_on_paper(2), digit_on_paper(6)], axis=1)
    stages = propose(picture)
    first = next(stages)[0]
    assert first.rejection == "found 2 digits"
    [choice] = choose([first], [stages], network(), judge_of(bias=-9.0, blank=5.0))
    assert choice.rejection == "found 2 digits"


def test_a_digit_in_mnists_form_is_judged_as_it_is() -> None:
    pixels = draw_digit(8)
    proposal = ready(pixels)
    assert proposal.digit is pixels
    assert not proposal.context.any()
    assert proposal.numbers.tolist() == [0] * (len(NUMBERS) - 1) + [1]
    [choice] = choose([proposal], [islice(propose(pixels), 0)], network(), judge_of(bias=9.0))
    assert choice.proposal is proposal
