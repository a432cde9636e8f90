"""The benchmark: its arithmetic on figures that can be checked by hand, its steps on tiny data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import (
    END,
    NO_DIGIT,
    ROOT,
    START,
    USED_TO,
    Pictures,
    Reading,
    Row,
    as_markdown,
    average_over_groups,
    draw_mistakes,
    figures,
    images_per_second,
    in_class_folders,
    in_table,
    main,
    make_rows,
    read_with_ancestor,
    read_with_ours,
    spread,
    train_ancestor,
    train_ours,
    with_halves,
    write_load_digits,
    write_markdown,
    write_no_digits,
)
from digit_classification.config import DatasetSettings, ModelSettings, Settings, TrainingSettings
from digit_classification.training.scores import calibration_error
from digit_classification_detector import DigitPredictor
from tests.drawing import draw_digit, write_dataset


def test_the_calibration_error_of_two_bins() -> None:
    confidences = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    right = np.array([True, True, True, False, True, False])
    # Four at 0.9 of which 0.75 are right; two at 0.5 of which half are.
    assert calibration_error(confidences, right) == pytest.approx(4 / 6 * 0.15)


def test_a_rejected_picture_counts_as_wrong() -> None:
    reading = Reading(
        digits=np.array([1, 2, 3, NO_DIGIT]),
        confidences=np.array([0.9, 0.5, 0.9, 0.0]),
        statuses=np.array(["ok", "uncertain", "rejected", "error"]),
    )
    found = figures(reading, np.array([1, 2, 3, 4]))
    assert found["accuracy"] == 0.5
    assert found["accuracy_among_ok"] == 1
    assert found["accuracy_ignoring_rejections"] == 0.75
    assert found["uncertain"] == 0.25


def test_the_table_shows_mean_and_spread() -> None:
    row = Row("MNIST test", 10_000, {"accuracy": [0.99, 0.98, 0.97]}, used_to="report")
    table = as_markdown([row], "notes")
    assert "| MNIST test | report | 10,000 | 98.00 ± 1.00 % |" in table


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_markdown(file, "new")
    text = file.read_text()
    assert "old" not in text
    assert text.startswith(f"before\n{START}\n")
    assert text.endswith(f"{END}\nafter\n")


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--photos", "missing"]) == 2
    assert capsys.readouterr().err == (
        "Error: 'missing/labels.tsv' cannot be used "
        "(FileNotFoundError(2, 'No such file or directory')): it should be a table with tabs "
        "between its columns `file` and `label`.\n"
    )


def test_a_folder_for_the_models_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keep", "missing"]) == 2
    assert capsys.readouterr().err == "Error: 'missing' is no folder: make it first.\n"


def test_what_is_said_of_a_picture_without_a_digit_is_wrong() -> None:
    reading = Reading(
        np.array([1, 2, 3]), np.full(3, 0.9), np.array(["ok", "uncertain", "rejected"])
    )
    assert figures(reading, np.full(3, NO_DIGIT))["wrong_ok"] == pytest.approx(1 / 3)
    assert figures(reading, np.array([2, 3, 4]))["wrong_ok"] == pytest.approx(1 / 3)
    assert figures(reading, np.array([1, 3, 4]))["wrong_ok"] == 0


def test_pictures_without_a_digit_have_their_own_row(tmp_path: Path) -> None:
    labels = ["4", "blank", "several", "no digit", "7"]
    for number in range(len(labels)):
        Image.fromarray(draw_digit(4)).save(tmp_path / f"{number}.png")
    lines = [f"{number}.png\t{label}" for number, label in enumerate(labels)]
    (tmp_path / "labels.tsv").write_text("\n".join(["file\tlabel", *lines]) + "\n")
    cells = in_table("cells", tmp_path)
    assert {name: part.tolist() for name, part in cells.parts.items()} == {
        "cells": [True, False, False, False, True],
        "cells, without a digit": [False, True, True, True, False],
    }


def test_mistakes_do_not_go_into_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ROOT / "mistakes"
    assert main(["--mistakes", str(folder)]) == 2
    assert f"'{folder}' lies in the repository" in capsys.readouterr().err
    assert not folder.exists()


def test_each_group_counts_the_same() -> None:
    reading = Reading(np.array([1, 2, 3, 9]), np.full(4, 0.9), np.full(4, "ok"))
    groups = np.array(["a", "a", "a", "b"])
    shares = average_over_groups(reading, np.array([1, 2, 3, 4]), groups)
    assert shares["accuracy"] == 0.5  # 3 of 3 and 0 of 1
    assert "calibration_error" not in shares


def test_a_sample_is_evenly_spread() -> None:
    assert spread(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert spread([1, 2], 5) == [1, 2]
    assert spread([1, 2], None) == [1, 2]


def test_load_digits_are_light_on_dark_and_use_the_whole_range(tmp_path: Path) -> None:
    write_load_digits(tmp_path, at_most=50)
    pictures = in_class_folders("load_digits", tmp_path)
    assert len(pictures.labels) == 50
    assert set(pictures.labels) == set(range(10))
    pixels = np.stack([np.asarray(Image.open(source.path)) for source in pictures.sources])
    assert pixels.shape == (50, 8, 8)
    assert pixels.max() == 255  # sixteen of sixteen
    assert pixels[:, :, 0].mean() < 10


def test_the_pictures_without_a_digit_are_always_the_same(tmp_path: Path) -> None:
    digits = np.stack([draw_digit(digit) for digit in range(10)])
    first, second = (write_no_digits(tmp_path / name, digits, per_kind=2) for name in "ab")
    contents = [source.read() for source in first.sources]
    assert len(set(contents)) == 18  # nine kinds, no two pictures alike
    assert contents == [source.read() for source in second.sources]
    assert set(first.labels) == {NO_DIGIT}
    assert [part.sum() for part in first.parts.values()] == [18, *[2] * 9]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("benchmark") / "digits", per_class=20)


def test_the_committed_table_says_what_each_set_was_used_to() -> None:
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8").split(END)[0]
    row = r"^\| (?![^|]*, half to)([^|,:]+)[^|]* \| (\w*) \| [\d,]+ \|"  # of a whole set
    rows = re.findall(row, text, re.MULTILINE)
    sets = {name.strip(): used_to for name, used_to in rows if used_to}
    assert sets == USED_TO


@pytest.fixture(scope="module")
def photos(dataset: Path) -> Pictures:
    """Three digits of the dataset, of two writers, and a file that is not there."""
    (dataset.parent / "labels.tsv").write_text(
        "file\tlabel\tgroup\tkind\n"
        "digits/1/000.png\t1\tann\tphoto\n"
        "digits/2/000.png\t2\tann\tdrawing\n"
        "digits/3/000.png\t3\tbob\tphoto\n"
        "digits/4/missing.png\t4\tbob\tphoto\n"
    )
    return in_table("photos", dataset.parent)


def test_the_halves_of_a_set_share_no_writer_and_the_second_is_only_reported_on(
    photos: Pictures,
) -> None:
    halved = with_halves("photos", replace(photos, used_to="choose"))
    first, second = (halved.parts[f"photos, half to {what}"] for what in ("choose by", "report on"))
    assert (first ^ second).all()
    assert photos.groups is not None
    assert not {*photos.groups[first]} & {*photos.groups[second]}
    again = with_halves("photos", photos)  # the same lot each time
    assert (again.parts["photos, half to report on"] == second).all()
    read = Reading(photos.labels, np.ones(4), np.full(4, "ok"))
    used = {row.name: row.used_to for row in make_rows(halved, [read], [])}
    assert used["photos"] == used.get("photos, half to choose by", "choose") == "choose"
    assert used.get("photos, half to report on", "report") == "report"


def test_ours_is_trained_and_read_and_its_mistakes_are_drawn(
    dataset: Path, photos: Pictures, tmp_path: Path
) -> None:
    model = tmp_path / "digits.keras"
    train_ours(
        Settings(
            dataset=DatasetSettings(path=dataset, test_path=None),
            model=ModelSettings(path=model),
            training=TrainingSettings(
                hidden_units=(32,), epochs=12, batch_size=16, seed=1, scenes=0
            ),
        )
    )
    predictor = DigitPredictor(model)
    reading = read_with_ours(predictor, photos)
    assert reading.statuses.tolist()[3] == "error"
    assert reading.digits.tolist()[3] == NO_DIGIT

    rows = make_rows(photos, [reading, reading], [])
    assert [(row.name, row.images) for row in rows] == [
        ("photos", 4),
        ("photos, average of 2 groups", 4),
        ("photos, of kind photo only", 3),
    ]
    assert all(len(values) == 2 for row in rows for values in row.figures.values())

    draw_mistakes(tmp_path, photos, reading, predictor)
    with Image.open(tmp_path / "photos-01.png") as sheet:
        assert sheet.convert("L").getextrema() != (255, 255)


def test_the_ancestor_s_method_learns_and_always_answers(
    dataset: Path, photos: Pictures, tmp_path: Path
) -> None:
    weights = train_ancestor(dataset, 1, tmp_path / "ancestor.keras", epochs=20)
    assert [array.shape for array in weights] == [(784, 128), (128,), (128, 10), (10,)]
    reading = read_with_ancestor(weights, in_class_folders("drawn", dataset))
    labels = np.repeat(np.arange(10), 20)
    assert figures(reading, labels)["accuracy"] > 0.8
    assert read_with_ancestor(weights, photos).statuses.tolist() == ["ok"] * 3 + ["error"]


def test_speed_is_measured_in_pictures_a_second(photos: Pictures) -> None:
    assert images_per_second(photos.sources[:3], 1) > 1
