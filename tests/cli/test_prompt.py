"""Paths as people type them, or drag them into a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from digit_classification.cli.prompt import typed_paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with pictures in it, in which the program runs."""
    for name in ("7.png", "8.png", "My Pictures/9.png", "don't.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="Windows separates folders with the backslash")
@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("", []),
        ("   ", []),
        ("7.png", ["7.png"]),
        ("7.png ", ["7.png"]),
        ("My Pictures", ["My Pictures"]),
        (r"My\ Pictures", ["My Pictures"]),
        (r"My\ Pictures/9.png ", ["My Pictures/9.png"]),
        ("'My Pictures'", ["My Pictures"]),
        ('"My Pictures/9.png"', ["My Pictures/9.png"]),
        ("don't.png", ["don't.png"]),
        ("7.png 8.png", ["7.png", "8.png"]),
        (r"7.png My\ Pictures", ["7.png", "My Pictures"]),
        ("no such file.png", ["no such file.png"]),
        ("isn't there.png", ["isn't there.png"]),
        ("scans/*.png", ["scans/*.png"]),
        ("s3://bucket/scans", ["s3://bucket/scans"]),
    ],
)
def test_a_line_at_the_prompt(line: str, paths: list[str]) -> None:
    assert typed_paths(line, windows=False) == paths


@pytest.mark.parametrize("line", ["~/7.png", "'~/7.png'", "~/My\\ Pictures", "~/new one.png"])
def test_the_home_folder(line: str, home: Path) -> None:
    name = line.strip("'").removeprefix("~/").replace("\\", "")
    assert typed_paths(line, windows=False) == [f"{home}/{name}"]


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        (r"C:\scans\7.png", [r"C:\scans\7.png"]),
        (r'"C:\My Pictures\7.png"', [r"C:\My Pictures\7.png"]),
        (r"C:\My Pictures\7.png", [r"C:\My Pictures\7.png"]),
        (r"\\server\share\new.png", [r"\\server\share\new.png"]),
        ('"7.png" "8.png"', ["7.png", "8.png"]),
    ],
)
def test_backslashes_separate_folders_on_windows(line: str, paths: list[str]) -> None:
    assert typed_paths(line, windows=True) == paths
