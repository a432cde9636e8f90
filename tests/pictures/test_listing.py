"""Listing folders: small ones by name, large ones as they come, each file once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from digit_classification.pictures import sources
from digit_classification.pictures.sources import list_folder
from digit_classification.training.datasets.reading import read_dataset
from tests.drawing import write_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("c", "a", "e", "b", "d"):
        (tmp_path / f"{name}.png").write_bytes(b"")
    return tmp_path


def names(folder: Path) -> list[str]:
    return [os.path.basename(source.path) for source in list_folder(str(folder))]


def test_a_small_folder_is_sorted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SORTED", 5)
    assert names(folder) == ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_a_large_folder_comes_whole_in_the_file_system_s_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SORTED", 4)
    assert names(folder) == os.listdir(folder)
    assert len(names(folder)) == 5


def test_the_first_of_a_large_folder_comes_before_the_last_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    scandir = os.scandir

    class Scan:
        def __init__(self, path: str) -> None:
            self.entries = scandir(path)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            for entry in self.entries:
                listed.append(entry.name)
                yield entry

        def __exit__(self, *_: object) -> None:
            self.entries.close()

    monkeypatch.setattr(os, "scandir", Scan)
    monkeypatch.setattr(sources, "SORTED", 1)
    next(list_folder(str(folder)))
    assert len(listed) == 2


def test_a_dataset_is_the_same_however_its_folders_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "digits", per_class=5)
    whole = read_dataset(folder)
    monkeypatch.setattr(sources, "SORTED", 2)
    again = read_dataset(folder)
    assert again.names == whole.names == sorted(whole.names)
    np.testing.assert_array_equal(again.digits, whole.digits)
