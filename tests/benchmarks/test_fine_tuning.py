"""The benchmark of fine-tuning: its parts, and what it says of wrong input."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fine_tuning import Tuning, as_table, main, read_table, write_halves


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Return a folder with a table of five pictures, of which four show one digit."""
    folder = tmp_path / "crops"
    folder.mkdir()
    rows = [("a.png", "1"), ("b.png", "1"), ("c.png", "2"), ("d.png", "blank"), ("e.png", "3")]
    for name, _ in rows:
        (folder / name).write_text(name)
    lines = ["file\tlabel", *("\t".join(row) for row in rows)]
    (folder / "labels.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_learned_is_not_read(crops: Path, tmp_path: Path) -> None:
    pictures = read_table(crops)
    assert [label for _, label in pictures] == ["1", "1", "2", "3"]
    splits = []
    for seed in range(5):
        halves = write_halves(pictures, 3, seed, tmp_path / str(seed))
        learned, held_out = (
            sorted(path.relative_to(half).as_posix() for path in half.rglob("*.png"))
            for half in halves
        )
        assert sorted(learned + held_out) == ["1/a.png", "1/b.png", "2/c.png", "3/e.png"]
        assert len(learned) == 3
        splits.append(learned)
    assert len({tuple(learned) for learned in splits}) > 1


def test_the_table_has_the_mean_and_deviation_of_the_runs() -> None:
    tunings = [Tuning(20, 11, {"right": (0.8, 0.9)}), Tuning(22, 12, {"right": (0.7, 0.88)})]
    assert as_table(tunings).splitlines()[2:] == [
        "| right | 75.0 ± 7.1 | 89.0 ± 1.4 | +14.0 ± 5.7 |",
        "| seconds of learning | | 11.5 ± 0.7 | |",
        "| seconds, with reading all of these twice | | 21.0 ± 1.4 | |",
    ]


def test_wrong_input_is_said_before_anything_is_learned(
    crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--pictures", str(crops), "--learn", "4"]) == 2
    assert f"--learn 4: '{crops}' has 4 pictures of one digit" in _said(capsys)
    assert main(["--pictures", str(tmp_path)]) == 2
    assert f"'{tmp_path / 'labels.tsv'}' is missing" in _said(capsys)
    assert main(["--pictures", str(crops), "--learn", "1", "--model", "missing.keras"]) == 2
    assert "The trainer failed: Error: " in _said(capsys)


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was written, with the console's line breaks taken out."""
    streams = capsys.readouterr()
    assert streams.out == ""
    return " ".join(streams.err.split())
