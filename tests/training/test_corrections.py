"""Corrections: what a person has labelled is checked, and then learned."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import digit_classification_model_trainer as trainer
from digit_classification.config import load_settings
from digit_classification.network.model_file import CARD
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from digit_classification.training.corrections import only_new, read_corrections, relabel
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.reading import read_dataset
from digit_classification.training.parts import Parts
from digit_classification_model_trainer import DigitClassifier
from tests.drawing import draw_digit, png, write_dataset, zip_folder


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures that are in no dataset, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("scans")
    folder.mkdir()
    for digit in (4, 7, 9):
        (folder / f"{digit}.png").write_bytes(png(draw_digit(digit, 800)))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(text: str) -> Path:
    path = Path("c.csv")
    path.write_bytes(text.encode())
    return path


def test_reads_pictures_under_their_corrected_labels(scans: Path) -> None:
    four = sha256(scans / "4.png")
    corrections = read_corrections(
        write(f"path,digit,sha256\nscans/4.png,9,{four}\nscans/7.png,1,\n")
    )
    assert corrections.names == ["scans/4.png", "scans/7.png"]
    assert corrections.labels.tolist() == [9, 1]
    assert corrections.checksums == [four, sha256(scans / "7.png")]
    expected = [images.normalize(scans / name).digit for name in ("4.png", "7.png")]
    assert np.array_equal(corrections.digits, expected)


def test_what_spreadsheets_and_shells_make_of_it_is_read_too(scans: Path) -> None:
    """A byte order mark, CRLF, other columns' order, files joined with cat, empty lines."""
    text = "\ufeffdigit,path\r\n9,scans/4.png\r\n\r\ndigit,path\r\n1,scans/7.png\r\n"
    assert read_corrections(write(text)).labels.tolist() == [9, 1]


def test_a_picture_inside_a_zip(scans: Path) -> None:
    zip_folder(scans, Path("more.zip"), prefix="in/")
    corrections = read_corrections(write("path,digit\nmore.zip/in/4.png,9\n"))
    assert corrections.checksums == [sha256(scans / "4.png")]
    assert corrections.names == ["more.zip/in/4.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_found_as_the_detector_writes_it(scans: Path) -> None:
    odd = Path("scans/\udcff=4.png")
    odd.write_bytes((scans / "4.png").read_bytes())
    corrections = read_corrections(write("path,digit\nscans/\\xff=4.png,9\n"))
    assert corrections.checksums == [sha256(odd)]


def test_the_same_picture_twice_is_learned_once(scans: Path) -> None:
    Path("copy.png").write_bytes((scans / "4.png").read_bytes())
    corrections = read_corrections(write("path,digit\nscans/4.png,9\ncopy.png,9\n"))
    assert corrections.names == ["scans/4.png"]
    assert corrections.findings.duplicates == [("copy.png", "scans/4.png")]


def test_a_picture_without_ink_is_left_out_and_named(scans: Path) -> None:
    Path("blank.png").write_bytes(png(np.full((28, 28), 255, np.uint8)))
    corrections = read_corrections(write("path,digit\nblank.png,1\nscans/4.png,9\n"))
    assert corrections.names == ["scans/4.png"]
    assert corrections.findings.left_out == [("blank.png", "blank image")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "scans/4.png,9\n",
            "'c.csv' begins with 'scans/4.png,9' instead of 'path,digit,sha256': download the "
            "corrections from a review page, or write that as its first line.",
        ),
        (
            "path,digit,confidence,status,reason\nscans/4.png,9,0.4,uncertain,\n",
            "'c.csv' begins with 'path,digit,confidence,status,reason' instead of "
            "'path,digit,sha256': download the corrections from a review page, or write that as "
            "its first line.",
        ),
        (
            "",
            "'c.csv' begins with '' instead of 'path,digit,sha256': download the corrections from "
            "a review page, or write that as its first line.",
        ),
        ("path,digit\n", "'c.csv' holds no correction that can be learned: leave it out."),
        (
            "path,digit\nscans/4.png,x\n",
            "'c.csv', line 2: the digit 'x' should be one of 0 to 9.",
        ),
        (
            "path,digit\na,b.png,4\n",
            "'c.csv', line 2 has 3 cells instead of 2: a name with a comma needs quotes around it.",
        ),
        (
            "path,digit,sha256\nscans/4.png,9,abc\n",
            "'c.csv', line 2: the checksum 'abc' should have 64 hexadecimal digits: leave the cell "
            "empty, or download the corrections anew.",
        ),
        (
            "path,digit\nscans/4.png,9\ngone.png,9\n",
            "'c.csv', line 3: 'gone.png' cannot be read (no such file or directory): train in the "
            "folder in which the detector ran, correct the path if the picture was moved, or "
            "delete the row.",
        ),
        (
            "path,digit\nc.csv,9\n",
            "'c.csv', line 2: 'c.csv' cannot be read (not an image, or of an unknown format): "
            "train in the folder in which the detector ran, correct the path if the picture was "
            "moved, or delete the row.",
        ),
        (
            f"path,digit,sha256\nscans/4.png,9,{'0' * 64}\n",
            "'c.csv', line 2: 'scans/4.png' has changed since it was reviewed: review it anew, or "
            "delete the row.",
        ),
        (
            "path,digit\nscans/4.png,9\nscans/../scans/4.png,4\n",
            "'c.csv', line 3: 'scans/../scans/4.png' is a 4, but a 9 as 'scans/4.png' in an "
            "earlier row: delete the wrong one.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(scans: Path, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(DatasetError) as caught:
        read_corrections(path)
    assert str(caught.value) == message


def test_the_limits_of_pictures_are_those_of_the_settings(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(Path("digits"), per_class=2)
    Image.fromarray(draw_digit(4, 1)).resize((90, 60)).save("big.png")
    Image.fromarray(draw_digit(4, 1)).save("4.bmp")
    monkeypatch.setenv("DIGITS_IMAGES_MAX_PIXELS", "5000")
    monkeypatch.setenv("DIGITS_IMAGES_FORMATS", "png,jpeg")

    def refusal(picture: str) -> str:
        path = write(f"path,digit\n{picture},4\n")
        options = ["--dataset", str(dataset), "--corrections", str(path), "--model", "m.keras"]
        assert trainer.main(options) == 2
        return capsys.readouterr().err

    advice = (
        "train in the folder in which the detector ran, correct the path if the picture was "
        "moved, or delete the row."
    )
    assert refusal("big.png") == (
        f"Error: 'c.csv', line 2: 'big.png' cannot be read (90x60: more than 5,000 pixels): "
        f"{advice}\n"
    )
    assert refusal("4.bmp") == (
        "Error: 'c.csv', line 2: '4.bmp' cannot be read (not an image, or of an unknown format): "
        f"{advice}\n"
    )
    limits = Limits(("BMP",), 5400)
    assert read_corrections(write("path,digit\n4.bmp,4\n"), limits=limits).names == ["4.bmp"]


def test_a_member_that_the_zip_lacks(scans: Path) -> None:
    with zipfile.ZipFile("more.zip", "w"):
        pass
    with pytest.raises(DatasetError, match=r"cannot be read \(no such file in the zip\)"):
        read_corrections(write("path,digit\nmore.zip/4.png,9\n"))


def test_a_file_that_is_no_csv(scans: Path) -> None:
    Path("c.csv").write_bytes(b"path,digit\n\xff\xfe,4\n")
    with pytest.raises(DatasetError, match=r"'c\.csv' is no CSV file in UTF-8"):
        read_corrections(Path("c.csv"))


def test_a_picture_of_the_dataset_gets_its_new_label_and_no_copy(scans: Path) -> None:
    dataset = read_dataset(write_dataset(Path("digits"), per_class=2))
    Path("copy.png").write_bytes(Path("digits/1/000.png").read_bytes())
    corrections = read_corrections(
        write("path,digit\ncopy.png,7\ndigits/2/000.png,2\nscans/4.png,9\n")
    )
    relabelled, checksums = relabel(dataset, corrections)
    assert checksums == {dataset.checksums[dataset.names.index("1/000.png")]}
    assert relabelled.names == dataset.names
    changed = np.flatnonzero(relabelled.labels != dataset.labels)
    assert [dataset.names[i] for i in changed] == ["1/000.png"]
    assert relabelled.labels[changed].tolist() == [7]
    assert relabelled.sha256 != dataset.sha256
    new = only_new(corrections, [dataset])
    assert new.names == ["scans/4.png"]
    assert new.labels.tolist() == [9]
    assert len(new.digits) == 1


def load(**sections: dict[str, object]) -> Parts:
    settings = load_settings(environment={}).model_dump()
    for section, values in sections.items():
        settings[section] |= values
    classifier = DigitClassifier(load_settings().model_validate(settings), quiet=True)
    parts, _ = classifier.prepare()
    return parts


def test_new_pictures_are_trained_on_and_the_test_stays_the_same(scans: Path) -> None:
    dataset = write_dataset(Path("digits"), per_class=10)
    common: dict[str, object] = {"path": dataset, "test_path": None}
    training: dict[str, object] = {"drawn_share": 0}
    before = load(dataset=common, training=training)
    path = write("path,digit\nscans/4.png,9\nscans/7.png,1\n")
    after = load(dataset={**common, "corrections": path}, training=training)
    assert np.array_equal(before.test.digits, after.test.digits)
    assert np.array_equal(before.validation.digits, after.validation.digits)
    assert len(after.training.labels) == len(before.training.labels) + 2
    assert after.training.labels[-2:].tolist() == [9, 1]
    assert np.array_equal(after.training.digits[-2], images.normalize(scans / "4.png").digit)


def test_a_picture_of_the_test_is_corrected_there_and_never_trained_on(scans: Path) -> None:
    write_dataset(Path("digits"), per_class=10)
    write_dataset(Path("test"), per_class=1, first_seed=700)
    parts = load(
        dataset={
            "path": Path("digits"),
            "test_path": Path("test"),
            "corrections": write("path,digit\ntest/3/000.png,8\n"),
        },
        training={"drawn_share": 0},
    )
    assert parts.test.labels.tolist() == [0, 1, 2, 8, 4, 5, 6, 7, 8, 9]
    assert len(parts.training) + len(parts.validation) == 100


def test_the_trainer_says_how_many_and_the_card_keeps_it(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(Path("digits"), per_class=10)
    path = write("path,digit\ndigits/1/000.png,7\nscans/4.png,9\nscans/7.png,1\n")
    options = ["--dataset", dataset, "--corrections", path, "--model", "m.keras"]
    small = ["--epochs", 1, "--hidden-units", 16, "--batch-size", 16]
    assert trainer.main([str(option) for option in [*options, *small]]) == 0
    said = capsys.readouterr()
    assert (
        "Corrections in c.csv: 3; images added: 2; labels replaced: 1; labelled so already: 0\n"
        in said.err
    )
    assert re.search(
        r"^Test accuracy: .* images, loss [\d.]+, with 3 corrections of c\.csv$", said.out, re.M
    )
    with zipfile.ZipFile("m.keras") as model:
        card = json.loads(model.read(CARD))
    assert card["datasets"]["dataset"]["counts"]["7"] == 11
    assert card["datasets"]["corrections"]["path"] == "c.csv"
    assert card["datasets"]["corrections"]["counts"]["9"] == 1
    assert card["settings"]["dataset"]["corrections"] == "c.csv"


def test_the_one_line_of_a_quiet_training_says_that_they_were_used(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(Path("digits"), per_class=10)
    path = write("path,digit\nscans/4.png,9\n")
    small = ["--dataset", dataset, "--epochs", 1, "--hidden-units", 16, "--batch-size", 16]
    quiet = [str(option) for option in [*small, "--model", "m.keras", "--quiet"]]
    figures = r"Test accuracy: \d+\.\d\d% \(\d+% to \d+%\) of 20 images, loss \d+\.\d{4}"
    assert trainer.main([*quiet, "--corrections", str(path)]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(rf"{figures}, with 1 correction of c\.csv\n", said.out)
    assert said.err == ""
    assert trainer.main(quiet) == 0
    assert re.fullmatch(rf"{figures}\n", capsys.readouterr().out)


def test_a_missing_file_ends_before_the_dataset_is_read(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(Path("digits"), per_class=2)
    options = ["--dataset", str(dataset), "--corrections", "gone.csv", "--model", "m.keras"]
    assert trainer.main(options) == 2
    expected = "Error: There is no file of corrections 'gone.csv': check its name.\n"
    assert capsys.readouterr().err == expected


# ------------------------------------------------------------------------------------ of numbers

HEADER = "path,digit,sha256,number,place,image"


def seen(digit: int) -> tuple[np.ndarray, str]:
    """What the network saw of a digit of a number, and as the file holds it."""
    pixels = images.normalize(draw_digit(digit, 800)).digit
    return pixels, base64.b64encode(png(pixels)).decode()


def test_digits_of_numbers_are_in_the_file_itself(scans: Path) -> None:
    (four, four_image), (seven, seven_image) = seen(4), seen(7)
    corrections = read_corrections(
        write(
            f"{HEADER}\ngone/47.png,4,,47,1,{four_image}\ngone/47.png,7,,47,2,{seven_image}\n"
            f"gone/444.png,,,4444,,\ngone/4.png,4,,4,1,{four_image}\n"
        )
    )
    assert corrections.labels.tolist() == [4, 7]
    assert np.array_equal(corrections.digits, [four, seven])
    assert corrections.findings.left_out == [("gone/444.png", "as many signs were not read")]
    assert corrections.findings.duplicates == [("gone/4.png", "gone/47.png")]


@pytest.mark.parametrize(
    "image", ["x", base64.b64encode(b"no picture").decode(), "iVBORw0KGgo="], ids=str
)
def test_an_image_of_a_digit_that_is_none(image: str, scans: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_corrections(write(f"{HEADER}\n47.png,4,,47,1,{image}\n"))
    assert str(caught.value) == (
        "'c.csv', line 2: the image should be a grey PNG of 28 by 28 pixels in base64: download the"
        " corrections anew."
    )


def test_numbers_of_which_no_digit_follows_teach_nothing(scans: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_corrections(write(f"{HEADER}\n47.png,,,471,,\n"))
    assert str(caught.value) == "'c.csv' holds no correction that can be learned: leave it out."
