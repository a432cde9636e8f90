"""How the judge is trained: pictures with a known truth, what is learned, how sure it is."""

from __future__ import annotations

import json
import signal
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digit_classification.network.inference import unpack
from digit_classification.network.judge import FEATURES, OUTCOMES
from digit_classification.network.model_file import CARD, JUDGE, ModelError, load_model
from digit_classification.pictures.proposals import NUMBERS, Proposal, propose
from digit_classification.pictures.proposals.regions import Region
from digit_classification.training.judging import training as judging
from digit_classification.training.judging.calibration import (
    fit_certainty,
    held_out,
    outcomes_of,
    scores,
)
from digit_classification.training.judging.examples import (
    ROUND,
    SceneProposals,
    make_examples,
    overlap,
    propose_in_scene,
)
from digit_classification.training.judging.labels import classes_of, learning_set
from digit_classification.training.judging.marks import draw_marks
from digit_classification.training.numbers import pairs
from digit_classification.training.scenes import SEEN, Digits
from digit_classification_detector import DigitPredictor
from tests.drawing import draw_digit, write_dataset
from tests.trainer import run

SCENES = 20  # few: the judge need not be good


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Few digits in other styles, and few epochs for digits that touch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "DRAWN", 150)
        patch.setattr(judging, "DRAWN_IN_PAIRS", 150)
        patch.setattr(judging, "DRAWN_HELD_OUT", 50)
        patch.setattr(pairs, "EPOCHS", 1)
        yield


@pytest.fixture(scope="module")
def digits() -> Digits:
    images = [draw_digit(digit, seed) for digit in range(10) for seed in range(3)]
    return Digits(np.stack(images), np.repeat(np.arange(10), 3))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    dataset = write_dataset(tmp_path_factory.mktemp("digits") / "digits", per_class=12)
    few = ["--hidden-units", 16, "--epochs", 2, "--batch-size", 16, "--quiet"]
    return ["--dataset", dataset, *few, "--scenes", SCENES]


@pytest.fixture(scope="module")
def judged(small: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judged") / "m.keras"
    assert run(*small, "--model", path) == 0
    return path


def judge_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(JUDGE)


def card_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        card: dict[str, object] = json.loads(archive.read(CARD))
    return card


# ----------------------------------------------------------------------------------- the trainer


def test_the_judge_lies_in_the_model_file(judged: Path) -> None:
    judge = load_model(judged).judge
    assert judge is not None
    assert judge.pack()[1] == judge_in(judged)
    stored = card_of(judged)["judge"]
    assert isinstance(stored, dict)
    assert stored["pictures"] == SCENES // 5
    assert stored["with_digit"] + stored["without_digit"] == SCENES // 5
    assert stored["widths"] == list(judge.widths)
    assert stored["numbers"] == list(NUMBERS)


def test_the_detector_chooses_with_it(judged: Path) -> None:
    predictor = DigitPredictor(judged)
    picture = np.full((120, 90), 235, np.uint8)
    picture[20:100, 5:85] -= (draw_digit(4, side=80) * 0.8).astype(np.uint8)
    [seen, blank] = predictor.predict([picture, np.full((80, 80), 200, np.uint8)])
    assert seen.probabilities is not None
    assert 0 <= (seen.confidence or 0) <= 1
    assert (blank.status, blank.reason) == ("rejected", "blank image")


def test_no_scenes_no_judge(small: list[object], tmp_path: Path) -> None:
    assert run(*small, "--scenes", 0, "--model", tmp_path / "m.keras") == 0
    assert load_model(tmp_path / "m.keras").judge is None
    assert card_of(tmp_path / "m.keras")["judge"] is None


@pytest.mark.same_results
def test_the_same_seed_gives_the_same_judge(
    judged: Path, small: list[object], tmp_path: Path
) -> None:
    assert run(*small, "--model", tmp_path / "again.keras") == 0
    assert judge_in(tmp_path / "again.keras") == judge_in(judged)
    assert run(*small, "--seed", 7, "--model", tmp_path / "other.keras") == 0
    assert judge_in(tmp_path / "other.keras") != judge_in(judged)


@pytest.mark.usefixtures("undrawn")
def test_what_the_judge_lets_pass_is_printed(small: list[object], tmp_path: Path) -> None:
    enough = ("--scenes", 60, "--epochs", 12, "--hidden-units", 64)  # to read some number rightly
    report = tmp_path / "report"
    assert run(*small, *enough, "--model", tmp_path / "m.keras", "--report", report) == 0
    stored = card_of(tmp_path / "m.keras")["judge"]
    assert isinstance(stored, dict)
    words = (
        f"Judge: of {stored['with_digit']} simulated pictures with a digit "
        f"{stored['right']:.1%} are read rightly and {stored['wrong']:.1%} wrongly; of "
        f"{stored['without_digit']} without one {stored['read_as_digit']:.1%} are read as one, "
        f"the others are uncertain or rejected. Of {stored['drawn_numbers']['numbers']} numbers "
        f"{stored['drawn_numbers']['right']:.1%} are read rightly."
    )
    assert words in (report / "report.txt").read_text()
    assert words in (report / "index.html").read_text()
    assert json.loads((report / "metrics.json").read_text())["judge"] == {
        key: value for key, value in stored.items() if key not in ("widths", "numbers")
    }


def test_ctrl_c_while_the_judge_is_trained_keeps_the_network(
    judged: Path,
    small: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*what: object) -> Iterator[SceneProposals]:
        for scene in make_examples(*what):  # type: ignore[arg-type]
            signal.raise_signal(signal.SIGINT)
            yield scene

    path = tmp_path / "m.keras"
    with monkeypatch.context() as patch:
        patch.setattr(judging, "make_examples", interrupted)
        assert run(*small, "--model", path) == 130
    assert load_model(path).judge is None
    assert "Stopping: the model is saved without a judge." in capsys.readouterr().err
    assert run(*small, "--model", path, "--resume-training") == 0
    assert judge_in(path) == judge_in(judged)


def test_a_damaged_judge_is_refused(judged: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "m.keras"
    with zipfile.ZipFile(judged) as whole, zipfile.ZipFile(damaged, "w") as other:
        for member in whole.infolist():
            content = whole.read(member)
            other.writestr(member, content[:-4] if member.filename == JUDGE else content)
    with pytest.raises(ModelError) as caught:
        load_model(damaged)
    assert str(caught.value) == (
        f"The network in '{damaged}' cannot be used (a judge's weights of another length): train "
        "the model again, or name another with --model."
    )


# ------------------------------------------------------------------------------------- the truth


def test_each_kind_that_is_drawn_more_often_is_one() -> None:
    assert set(ROUND) == set(SEEN)


def test_a_picture_depends_on_its_number_alone(digits: Digits) -> None:
    made = list(make_examples(digits, 6, (3, 1), workers=1))
    again = propose_in_scene(digits, (3, 1), 1.0, 4)
    assert (made[4].kind, made[4].answer) == (again.kind, again.answer)
    assert made[4].digits.tobytes() == again.digits.tobytes()
    assert made[4].recall.tobytes() == again.recall.tobytes()
    assert all(each.group is None for each in again.proposals)  # nothing large travels


def test_some_of_the_looks_are_taken(digits: Digits) -> None:
    def proposals(share: float) -> int:
        return sum(len(each.proposals) for each in make_examples(digits, 8, (3, 1), share, 1))

    assert 8 <= proposals(0.0) < proposals(0.3) < proposals(1.0)


def truth_of(picture: np.ndarray) -> np.ndarray:
    return (255 - picture.astype(np.float32)) / 255


def test_a_proposal_is_compared_with_the_ink_of_the_digit() -> None:
    picture = np.full((120, 200), 255, np.uint8)
    picture[20:100, 10:90] -= draw_digit(3, side=80)
    alone = truth_of(picture)
    picture[20:100, 110:190] -= draw_digit(5, side=80)
    proposals = [each for stage in propose(picture) for each in stage]
    fits = np.array([overlap(each, alone) for each in proposals])
    recall, precision = fits.T
    whole = (recall > 0.93) & (precision > 0.93)
    assert whole.any()
    boxes = np.array([each.box for each in proposals])
    assert (boxes[whole, 0] + boxes[whole, 2] < 0.55).all()  # the left one
    other = boxes[:, 0] > 0.5
    assert other.any()
    assert (recall[other] < 0.1).all()
    assert (precision[other] < 0.1).all()


def test_without_a_digit_nothing_fits() -> None:
    picture = 255 - draw_digit(3, side=80)
    proposals = [each for stage in propose(picture) for each in stage]
    assert {overlap(each, None) for each in proposals} == {(0.0, 0.0)}


def scene(answer: str, recall: list[float], precision: list[float]) -> SceneProposals:
    numbers = np.full(len(NUMBERS), 0.5, np.float32)
    blank = np.zeros((28, 28), np.uint8)
    one = Proposal(blank, blank, numbers, (0.0, 0.0, 1.0, 1.0), region=Region(0, 0, 9, 9))
    stages = [[replace(one) for _ in recall]]
    fits = (np.array(each, np.float32) for each in (recall, precision))
    return SceneProposals("plain", answer, stages, *fits)


def test_the_truth_gives_the_classes() -> None:
    picture = scene("4", [1, 1, 0.5, 0.9, 0.8, 1], [1, 1, 1, 0.9, 0.8, 0.3])
    read = np.array([4, 9, 4, 9, 4, 4])
    whole, other, unsure = 0, 1, -1
    # Right; misread though whole: unsure; half; whole but misread, and not exactly; nearly; dirty.
    expected = [whole, unsure, other, other, unsure, other]
    assert classes_of(picture, read).tolist() == expected
    assert classes_of(scene("several", [0, 0], [0, 0]), read[:2]).tolist() == [2, 2]
    assert classes_of(scene("blank", [0, 0], [0, 0]), read[:2]).tolist() == [3, 3]
    assert classes_of(scene("no digit", [0, 0], [0, 0]), read[:2]).tolist() == [1, 1]


def test_real_digits_are_whole_ones_to_the_judge(digits: Digits) -> None:
    weights = np.zeros(784 * 10 + 10, "<f4").tobytes()
    network = unpack([784, 10], weights)
    examples = learning_set([], digits.images[:5], network, np.random.default_rng(0))
    assert examples.images.tobytes() == digits.images[:5].tobytes()
    assert examples.classes.tolist() == [0] * 5
    assert not examples.contexts.any()


def test_pictures_of_marks_are_learned_with_other_marks_in_their_place() -> None:
    network = unpack([784, 10], np.zeros(784 * 10 + 10, "<f4").tobytes())
    marks = draw_marks(7, (1,))
    assert marks.tobytes() == draw_marks(7, (1,)).tobytes()
    assert len(marks) >= 7
    assert marks.any(axis=(1, 2)).all()
    first = Proposal(
        draw_digit(4), np.full((28, 28), 9, np.uint8), np.full(len(NUMBERS), 2.0), (0, 0, 1, 1)
    )
    picture = SceneProposals("letter", "no digit", [[first]], np.zeros(1), np.zeros(1))
    examples = learning_set([picture], marks[:0], network, np.random.default_rng(0), marks)
    others = [not np.array_equal(image, first.digit) for image in examples.images]
    known = {image.tobytes() for image in marks}
    assert {image.tobytes() for image in examples.images[others]} <= known
    # Itself and four others, each where it was seen and as all that there is.
    assert (len(examples), sum(others)) == (10, 8)
    assert (examples.classes == 1).all()
    assert (examples.contexts[others] == 9).all(axis=1).sum() == 4
    plain = replace(picture, kind="plain", answer="4")
    assert len(learning_set([plain], marks[:0], network, np.random.default_rng(0), marks)) <= 2


# --------------------------------------------------------------------------------- how sure it is


def test_certainty_follows_what_is_true() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(2000, FEATURES))
    odds = 1 / (1 + np.exp(-2 * features[:, 0]))
    outcomes = np.where(rng.random(2000) < odds, OUTCOMES.index("right"), OUTCOMES.index("blank"))
    fitted = held_out(features, outcomes)
    assert fitted.sum(axis=1) == pytest.approx(1)
    assert np.abs(fitted[:, 0] - odds).mean() < 0.05
    weights, bias = fit_certainty(features, outcomes)
    assert weights.shape == (FEATURES, len(OUTCOMES))
    likeliest = (features @ weights + bias).argmax(axis=1)
    assert (likeliest == np.where(odds > 0.5, 0, OUTCOMES.index("blank"))).mean() > 0.95


def test_where_all_is_right_that_is_what_is_said() -> None:
    features = np.random.default_rng(5).normal(size=(50, FEATURES))
    weights, bias = fit_certainty(features, np.zeros(50, int))
    assert not weights.any()
    assert bias.argmax() == 0
    assert np.exp(bias[0]) / np.exp(bias).sum() > 0.99


def test_outcomes_are_named_by_answer_and_reading() -> None:
    answers, read = ["3", "3", "several", "blank", "no digit"], np.array([3, 8, 1, 1, 1])
    names = [OUTCOMES[each] for each in outcomes_of(answers, read)]
    assert names == ["right", "misread", "several", "blank", "no digit"]


def test_scores_count_what_is_sure_enough() -> None:
    outcomes = np.array([OUTCOMES.index(name) for name in ("right", "right", "misread", "blank")])
    probabilities = np.zeros((4, len(OUTCOMES)))
    probabilities[:, 0] = (0.9, 0.5, 0.95, 0.1)
    assert scores(outcomes, probabilities, 0.8) == {
        "pictures": 4,
        "threshold": 0.8,
        "with_digit": 3,
        "right": 0.3333,
        "wrong": 0.3333,
        "right_at_any_confidence": 0.6667,
        "without_digit": 1,
        "read_as_digit": 0.0,
        "right_of_ok": 0.5,
    }
