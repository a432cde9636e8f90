"""The cache of a dataset: used when it fits, and otherwise as if it were not there."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digit_classification.pictures import images
from digit_classification.training.datasets import cache as dataset_cache
from digit_classification.training.datasets import reading as dataset_module
from digit_classification.training.datasets.dataset import Dataset, DatasetError
from digit_classification.training.datasets.reading import read_dataset
from tests.drawing import draw_digit, png, write_dataset, zip_folder


@pytest.fixture(autouse=True)
def cache_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dataset_module, "CACHED_FROM", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_dataset(tmp_path / "digits", per_class=3)
    (folder / "2/truncated.png").write_bytes(png(draw_digit(2, seed=99))[:60])
    (folder / "3/copy.png").write_bytes((folder / "3/000.png").read_bytes())
    (folder / "4/blank.png").write_bytes(png(np.zeros((28, 28), np.uint8)))
    (folder / "notes.txt").write_text("notes")
    return folder


@pytest.fixture
def archive(folder: Path) -> Path:
    return zip_folder(folder, folder.parent / "digits.zip")


def assert_same(one: Dataset, other: Dataset) -> None:
    np.testing.assert_array_equal(one.digits, other.digits)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert (one.digits.dtype, one.labels.dtype) == (other.digits.dtype, other.labels.dtype)
    assert (one.path, one.names, one.sha256) == (other.path, other.names, other.sha256)
    assert one.findings == other.findings


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "prepare_all", lambda *_, **__: pytest.fail("read again"))


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_the_second_reading_is_the_first_again(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path: Path = request.getfixturevalue(kind)
    plain, first = read_dataset(path), read_dataset(path, cache=True)
    assert (path.parent / f".{path.name}.cache").is_file()
    forbid_reading(monkeypatch)
    second = read_dataset(path, cache=True)
    assert_same(plain, first)
    assert_same(first, second)
    assert second.findings.left_out
    assert second.findings.duplicates
    assert second.findings.doubtful
    assert second.findings.stray


def test_without_cache_nothing_is_kept(folder: Path) -> None:
    before = sorted(folder.parent.iterdir())
    read_dataset(folder)
    assert sorted(folder.parent.iterdir()) == before


def test_a_quick_reading_is_not_worth_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "CACHED_FROM", 3600.0)
    read_dataset(folder, cache=True)
    assert not (folder.parent / ".digits.cache").exists()


def test_an_added_image_is_noticed(folder: Path) -> None:
    read_dataset(folder, cache=True)
    (folder / "5/new.png").write_bytes(png(draw_digit(5, seed=98)))
    assert_same(read_dataset(folder, cache=True), read_dataset(folder))


def test_a_changed_image_is_noticed(folder: Path) -> None:
    read_dataset(folder, cache=True)
    file = folder / "5/001.png"
    modified = file.stat().st_mtime_ns
    file.write_bytes(png(draw_digit(5, seed=97)))
    os.utime(file, ns=(modified + 1, modified + 1))
    assert_same(read_dataset(folder, cache=True), read_dataset(folder))


def test_an_image_moved_to_another_class_is_noticed(folder: Path) -> None:
    read_dataset(folder, cache=True)
    (folder / "5/001.png").rename(folder / "6/901.png")
    assert read_dataset(folder, cache=True).counts["6"] == 4


def test_another_zip_of_the_same_size_and_time_is_noticed(archive: Path) -> None:
    read_dataset(archive, cache=True)
    status = archive.stat()
    with zipfile.ZipFile(archive) as members:
        start = members.getinfo("4/001.png").header_offset
    content = bytearray(archive.read_bytes())
    content[start + 30 + len("4/001.png") + 20] ^= 0xFF
    archive.write_bytes(content)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "4/001.png" in dict(read_dataset(archive, cache=True).findings.left_out)


def test_another_preparation_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = dataset_cache.cache_key(folder)
    monkeypatch.setattr(images, "PREPARATION", {**images.PREPARATION, "version": 1000})
    assert dataset_cache.cache_key(folder) != key


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "pickled"])
def test_a_damaged_cache_is_read_anew_and_replaced(
    folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_dataset(folder, cache=True)
    file = folder.parent / ".digits.cache"
    content = file.read_bytes()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        half = len(content) // 2
        file.write_bytes(content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :])
    else:
        objects = np.array([{"key": "objects"}], dtype=object)
        np.savez(file.open("wb"), digits=objects, rest=objects)
    assert_same(read_dataset(folder, cache=True), whole)
    assert file.read_bytes() == content
    forbid_reading(monkeypatch)
    assert_same(read_dataset(folder, cache=True), whole)


def test_what_is_no_cache_is_not_overwritten(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder.parent / ".digits.cache"
    file.write_text("mine")
    first = read_dataset(folder, cache=True)
    assert file.read_text() == "mine"
    assert len(list((tmp_path / "home-cache/digit_classification").iterdir())) == 1
    forbid_reading(monkeypatch)
    assert_same(read_dataset(folder, cache=True), first)


def test_strict_finds_in_the_cache_what_it_finds_in_the_images(folder: Path) -> None:
    with pytest.raises(DatasetError) as uncached:
        read_dataset(folder, strict=True)
    read_dataset(folder, cache=True)
    with pytest.raises(DatasetError) as cached:
        read_dataset(folder, strict=True, cache=True)
    assert str(cached.value) == str(uncached.value)


def test_where_the_folder_is_read_only_the_cache_is_the_user_s(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of this name, where the file would be, stands for one that cannot be written to:
    # permissions do not stop the administrator, who may be running this test.
    (folder.parent / ".digits.cache").mkdir()
    first = read_dataset(folder, cache=True)
    (file,) = (tmp_path / "home-cache/digit_classification").iterdir()
    assert file.name.startswith("digits-")
    forbid_reading(monkeypatch)
    assert_same(read_dataset(folder, cache=True), first)


def test_where_nothing_can_be_written_nothing_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / ".digits.cache").mkdir()
    (tmp_path / "home-cache").write_text("a file where the folder would be")
    assert_same(read_dataset(folder, cache=True), read_dataset(folder))
    assert not list(folder.parent.glob(".digits.cache-*"))


def test_a_file_that_is_no_dataset_is_still_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "digits.txt"
    file.write_text("0123456789")
    with pytest.raises(DatasetError, match="is neither a folder nor a"):
        read_dataset(file, cache=True)
    with pytest.raises(DatasetError, match="There is no dataset"):
        read_dataset(tmp_path / "missing", cache=True)
