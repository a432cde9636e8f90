"""Datasets: what is read, what is left out, and what is said of a wrong one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from digit_classification.training.datasets.dataset import Dataset, DatasetError, Findings
from digit_classification.training.datasets.reading import read_dataset
from tests.drawing import draw_digit, png, write_dataset, zip_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "digits", per_class=3)


def assert_same(one: Dataset, other: Dataset) -> None:
    np.testing.assert_array_equal(one.digits, other.digits)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert (one.names, one.sha256) == (other.names, other.sha256)


def test_a_folder(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.digits.shape == (30, 28, 28)
    assert dataset.digits.dtype == np.uint8
    assert dataset.labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    assert dataset.counts == {str(digit): 3 for digit in range(10)}
    assert dataset.names[0] == "0/000.png"
    assert dataset.findings == Findings()


@pytest.mark.parametrize("prefix", ["", "my digits/"])
def test_a_zip_is_the_same_as_the_folder(folder: Path, tmp_path: Path, prefix: str) -> None:
    archive = zip_folder(folder, tmp_path / "digits.zip", prefix)
    packed, unpacked = read_dataset(archive), read_dataset(folder)
    assert packed.names == [prefix + name for name in unpacked.names]
    np.testing.assert_array_equal(packed.digits, unpacked.digits)
    assert packed.sha256 == unpacked.sha256


def test_a_wrapping_folder(folder: Path) -> None:
    outer = folder.parent / "outer"
    outer.mkdir()
    folder.rename(outer / "digits")
    assert read_dataset(outer).counts == {str(digit): 3 for digit in range(10)}


def test_images_in_folders_below_a_class_folder_belong_to_it(folder: Path) -> None:
    (folder / "4/anna").mkdir()
    (folder / "4/anna/1.png").write_bytes(png(draw_digit(4, seed=99)))
    assert read_dataset(folder).counts["4"] == 4


def test_processes_and_no_processes_read_the_same(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "digits", per_class=30)
    assert_same(read_dataset(folder, workers=1), read_dataset(folder, workers=2))


def test_litter_is_ignored_and_stray_files_are_named(folder: Path) -> None:
    for name in (".DS_Store", "3/.hidden.png", "Thumbs.db"):
        (folder / name).write_text("litter")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/7.png").write_text("litter")
    (folder / "notes.txt").write_text("notes")
    (folder / "3/list.csv").write_text("a,b")
    (folder / "5/photo-without-suffix").write_bytes(png(draw_digit(5, seed=99)))
    dataset = read_dataset(folder)
    assert sorted(dataset.findings.stray) == ["3/list.csv", "notes.txt"]
    assert dataset.findings.left_out == []
    assert dataset.counts["5"] == 4


def test_an_unreadable_image_is_left_out_and_named(folder: Path) -> None:
    whole = png(draw_digit(2, seed=99))
    (folder / "2/truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "2/empty.jpg").write_bytes(b"")
    dataset = read_dataset(folder)
    assert [name for name, _ in dataset.findings.left_out] == ["2/empty.jpg", "2/truncated.png"]
    assert all(reason for _, reason in dataset.findings.left_out)
    assert dataset.counts["2"] == 3


def test_strict_makes_it_an_error(folder: Path) -> None:
    (folder / "2/empty.jpg").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder, strict=True)
    assert str(caught.value) == (
        f"'2/empty.jpg' in '{folder}' cannot be read (the file is empty): "
        "repair or delete it, or train without --strict."
    )


def test_copies_are_kept_once(folder: Path) -> None:
    (folder / "6/zz-copy.png").write_bytes((folder / "6/001.png").read_bytes())
    dataset = read_dataset(folder)
    assert dataset.findings.duplicates == [("6/zz-copy.png", "6/001.png")]
    assert dataset.counts["6"] == 3


def test_an_image_in_two_class_folders(folder: Path) -> None:
    (folder / "7/one.png").write_bytes((folder / "1/000.png").read_bytes())
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    assert str(caught.value) == (
        f"'1/000.png' and '7/one.png' in '{folder}' are the same image, labelled 1 and 7: delete "
        "the wrong one, or leave both out with --lenient."
    )


def test_the_checksum_follows_content_and_labels_only(folder: Path, tmp_path: Path) -> None:
    before = read_dataset(folder).sha256
    (folder / "6/001.png").rename(folder / "6/renamed.png")
    assert read_dataset(folder).sha256 == before
    (folder / "6/renamed.png").rename(folder / "8/renamed.png")
    assert read_dataset(folder).sha256 != before


# ----------------------------------------------------------------------- what cannot be read


def message(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        read_dataset(path)
    return str(caught.value)


def test_no_dataset() -> None:
    assert message(Path("missing")) == (
        "There is no dataset 'missing': name a folder or a file with --dataset."
    )


def test_a_file_of_no_known_form(tmp_path: Path) -> None:
    file = tmp_path / "digits.txt"
    file.write_text("0123456789")
    assert message(file) == (
        f"The dataset '{file}' is neither a folder nor a file of a known form: name a folder with "
        "a folder of pictures for each digit, or a form of docs/datasets.md."
    )


def test_a_zip_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "digits.zip"
    file.write_text("0123456789")
    assert message(file) == (
        f"The dataset '{file}' cannot be read: no zip archive, or a damaged one. "
        "Name a folder or a zip."
    )


def test_a_missing_class(folder: Path) -> None:
    for name in ("3", "8"):
        for file in (folder / name).iterdir():
            file.unlink()
    (folder / "8").rmdir()
    assert message(folder) == (
        f"'{folder}' has no images of the digits 3, 8 "
        "(found '0', '1', '2', '4', '5', '6', '7', '9'): add some, or train without with --lenient."
    )


def test_no_class_folders(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(draw_digit(1)))
    assert message(tmp_path) == (
        f"Nothing in '{tmp_path}' says which digits its pictures show (found 1 picture in one "
        "folder): sort them into folders named 0 to 9, or write a labels.csv beside them with the "
        "columns path and digit."
    )


def test_an_unknown_class_folder(folder: Path) -> None:
    (folder / "ten").mkdir()
    (folder / "ten/1.png").write_bytes(png(draw_digit(1, seed=99)))
    assert message(folder) == (
        f"'{folder}' has the class folder 'ten', which is no digit: leave it out with --lenient."
    )


def test_a_class_without_a_readable_image(folder: Path) -> None:
    for file in (folder / "3").iterdir():
        file.write_bytes(b"")
    assert message(folder) == (
        f"'{folder}' has no readable image of the digit 3 (3 files could not be read): add some, "
        "or train without with --lenient."
    )


def test_damaged_members_of_a_zip_are_left_out(folder: Path, tmp_path: Path) -> None:
    archive = zip_folder(folder, tmp_path / "digits.zip")
    with zipfile.ZipFile(archive) as members:
        start = members.getinfo("4/001.png").header_offset
    content = bytearray(archive.read_bytes())
    content[start + 30 + len("4/001.png") + 20] ^= 0xFF  # within the member's data
    archive.write_bytes(content)
    dataset = read_dataset(archive)
    assert [name for name, _ in dataset.findings.left_out] == ["4/001.png"]
    assert "damaged in the zip" in dataset.findings.left_out[0][1]
