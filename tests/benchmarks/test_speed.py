"""The speed benchmark: its arithmetic by hand, its steps on tiny data."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks import speed
from benchmarks.accuracy import BenchmarkError
from benchmarks.profiles import OTHER, Clock
from benchmarks.speed import (
    END,
    START,
    Benchmark,
    PeakMemory,
    Row,
    Run,
    Sizes,
    as_markdown,
    link,
    main,
    prepare,
    rate,
    result,
    run,
    shown,
    verdict,
    yardstick,
)
from digit_classification.cli.terminal import make_console
from digit_classification.network.default_model import DEFAULT_MODEL
from tests.drawing import draw_digit, png, write_dataset


def row(
    comparison: speed.Comparison,
    ours: list[float],
    others: list[float] | None,
    unit: str = "s",
    must: float = 0,
    aim: float = 0,
) -> Row:
    return Row("name", ours, unit, "the other", others, comparison, must, aim)


@pytest.mark.parametrize(
    ("measured", "figure"),
    [
        (row("times", [1, 2, 9], [20, 10, 30]), 10),  # the medians: 20 s against 2 s
        (row("times", [500.0], [10.0], "/s"), 50),
        (row("share", [400.0], [500.0], "/s"), 0.8),
        (row("part", [300.0], [400.0], "MB"), 0.75),
        (row("growth", [110.0], [100.0], "MB"), 0.1),
        (row("lead", [99.0], [97.5], "%"), 1.5),
        (row("value", [4.0, 5.0, 6.0], None), 5),
    ],
)
def test_how_two_measurements_compare(measured: Row, figure: float) -> None:
    assert result(measured) == pytest.approx(figure)


@pytest.mark.parametrize(
    ("comparison", "unit", "must", "aim", "reached"),
    [
        ("times", "s", 3, 4, "aim"),
        ("times", "s", 3, 5, "must"),
        ("times", "s", 5, 6, "missed"),
        ("share", "/s", 0.2, 0.25, "aim"),
        ("share", "/s", 0.25, 0.5, "must"),
        ("part", "MB", 0.5, 0.25, "aim"),
        ("part", "MB", 0.5, 0.1, "must"),
        ("part", "MB", 0.2, 0.1, "missed"),
        ("growth", "MB", 0, -0.75, "aim"),
        ("growth", "MB", -0.8, -0.9, "missed"),
    ],
)
def test_whether_a_figure_is_reached(
    comparison: speed.Comparison, unit: str, must: float, aim: float, reached: str
) -> None:
    assert verdict(row(comparison, [10], [40], unit, must, aim)) == reached


def test_absolute_figures_are_better_when_less() -> None:
    assert verdict(row("value", [7], None, must=12, aim=6)) == "must"
    assert verdict(row("value", [13], None, must=12, aim=6)) == "missed"


def test_medians_are_shown_with_their_range() -> None:
    assert shown([3.0, 1.0, 2.0], "s") == "2.00 s (1.00–3.00)"
    assert shown([0.0456], "s") == "0.046 s"
    assert shown([12345.6, 10000.0, 20000.0], "/s") == "12,346/s (10,000–20,000)"


def test_the_table_says_what_is_compared_and_whether_it_is_reached() -> None:
    rows = [row("times", [1.0], [12.0], must=10, aim=20), row("growth", [102.0], [100.0], "MB")]
    table = as_markdown(rows, [Row("decoding", [11_000.0], "/s")], "notes")
    assert table.startswith("notes\n\n| ")
    assert "| name | 1.00 s | the other: 12.00 s | 12.0 × | 10.0 × | 20.0 × | must |" in table
    assert "| +2.0% | +0.0% | +0.0% | missed |" in table
    assert "| decoding | 11,000/s |" in table
    profiled = as_markdown(rows, [], "notes", {"one image": {"reading": 0.028, "the model": 12.0}})
    lines = profiled.splitlines()[-5:]
    assert lines == [
        "| one image: CPU time, one core | |",
        "| --- | ---: |",
        "| the model | 12 ms |",
        "| reading | 28 µs |",
        "| **all** | **12 ms** |",
    ]


def test_a_rate_is_better_when_more() -> None:
    assert verdict(row("value", [700], None, "/s", must=800, aim=2000)) == "missed"
    assert verdict(row("value", [2100], None, "/s", must=800, aim=2000)) == "aim"


def test_a_clock_counts_a_part_within_another_once() -> None:
    clock = Clock()
    with clock.part("outer"):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        with clock.part("inner"):
            until = time.process_time() + 0.1
            while time.process_time() < until:
                pass
    clock.turn(OTHER)
    assert clock.seconds["inner"] >= 0.1
    assert 0.05 <= clock.seconds["outer"] < clock.seconds["inner"]


def test_what_is_profiled_is_there(pictures: Path) -> None:
    """Each part of each way is met, under the names that the program has now."""
    assert run(speed.PROFILES, "start", DEFAULT_MODEL, min(pictures.iterdir())).output
    profile = json.loads(run(speed.PROFILES, "digit", DEFAULT_MODEL, pictures).output)
    assert {"reading the file", "decoding", "network, judge, further looks"} <= {*profile}
    assert json.loads(run(speed.PROFILES, "number", DEFAULT_MODEL, pictures).output)


def test_a_rate_is_per_second() -> None:
    assert rate({"images": 300, "seconds": 1.5}) == 200


def test_the_memory_of_a_command_and_its_children_is_measured(tmp_path: Path) -> None:
    script = tmp_path / "holds.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "hold = b'x' * 50_000_000\n"
        "if len(sys.argv) == 1:\n"
        "    subprocess.run([sys.executable, __file__, 'child'], check=True)\n"
        "else:\n"
        "    time.sleep(1)\n"
    )
    peak = run(script, memory=True).peak_bytes
    assert 100e6 < peak < 200e6
    assert run("-c", "pass").peak_bytes == 0
    assert PeakMemory(1).bytes == 0


def test_a_command_that_fails_ends_the_benchmark_with_its_last_words() -> None:
    with pytest.raises(BenchmarkError, match="no such luck"):
        run("-c", "raise SystemExit('no such luck')")
    assert run("-c", "raise SystemExit(1)", accept=(0, 1)).seconds > 0


def test_the_folders_hold_as_many_images_as_are_asked_for(tmp_path: Path) -> None:
    sizes = Sizes(many=30, flood=70, training_images=40)
    material = prepare(tmp_path, sizes)
    assert len(list(material.many.iterdir())) == 30
    assert len(list(material.flood.iterdir())) == 70
    assert sorted(folder.name for folder in material.training.iterdir()) == list("0123456789")
    assert len(list(material.training.rglob("*.png"))) == 40


def test_without_links_images_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a picture")

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a picture"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(png(draw_digit(number)))
    return folder


def test_the_machine_s_limits_are_measured(pictures: Path, tmp_path: Path) -> None:
    _, decoded = yardstick("bare-decode", pictures, 2)
    assert decoded["images"] == 6
    _, multiplied = yardstick("bare-products", 2_000, 1)
    assert multiplied["images"] > 1_800  # without those to choose by, and with drawn ones
    _, inserted = yardstick("bare-inserts", f"sqlite:///{tmp_path / 'bare.db'}", 2_500)
    assert inserted["images"] == 2_500
    assert min(decoded["seconds"], inserted["seconds"]) > 0


def measure(command: str, *arguments: object) -> dict[str, float]:
    """What a yardstick prints, without the start of a process, which imports Keras anew."""
    from benchmarks.yardsticks import COMMANDS

    return COMMANDS[command](*map(str, arguments))


def test_the_other_ways_read_what_this_program_reads(pictures: Path, tmp_path: Path) -> None:
    """The ancestor's method learns and stores; Keras's loader finds the same images."""
    dataset = write_dataset(tmp_path / "digits", per_class=20)
    model = tmp_path / "ancestor.keras"
    measure("ancestor-train", dataset, model, 20)
    assert measure("ancestor-test", model, dataset)["accuracy"] > 0.8
    files = sorted(pictures.iterdir())
    assert measure("ancestor-detect", model, tmp_path / "a.db", *files)["images"] == 6
    assert measure("keras-folder", model, pictures)["images"] == 6


def test_the_detector_is_run_into_an_empty_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands = []

    def note(*command: object, **_: object) -> Run:
        commands.append(command)
        return Run(1.0, "")

    monkeypatch.setattr(speed, "run", note)
    places = ("training", "test", "many", "flood", "archive")
    material = speed.Material(tmp_path, **dict.fromkeys(places, tmp_path), sizes=Sizes())
    (tmp_path / "results.db").write_text("of the last run")
    benchmark = Benchmark(material, Path("m"), Path("a"), make_console())
    benchmark.detect(Path("7.png"))
    assert not (tmp_path / "results.db").exists()
    assert f"sqlite:///{tmp_path / 'results.db'}" in commands[0]
    benchmark.detect(Path("7.png"), "none")
    assert "none" in commands[1]


def test_figures_are_written_as_markdown_and_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row("times", [1.0], [12.0], must=10, aim=20)]
    figures = speed.Figures(rows, [Row("decoding", [11_000.0], "/s")])
    monkeypatch.setattr(speed, "measure", lambda *_: figures)
    page, data = tmp_path / "speed.md", tmp_path / "speed.json"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    assert main(["--markdown", str(page), "--json", str(data)]) == 0
    assert capsys.readouterr().out in page.read_text()
    assert page.read_text().startswith("before\n")
    assert json.loads(data.read_text())["rows"][0]["result"] == 12


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "missing/speed.json"]) == 2
    assert capsys.readouterr().err == (
        "Error: 'missing/speed.json' cannot be written: make its folder first.\n"
    )


def test_importing_the_yardsticks_imports_nothing_heavy() -> None:
    code = "import sys, benchmarks.yardsticks; print({'keras', 'sklearn'} & set(sys.modules))"
    assert run("-c", code).output == "set()\n"


def test_photos_are_measured_against_bare_decoding(
    pictures: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones here: what is looked at is that both sides read all of them."""

    def write_pictures(folder: Path) -> None:
        for picture in pictures.iterdir():
            link(picture, folder / f"{picture.stem}.jpg")

    monkeypatch.setattr(speed, "write_large_photos", write_pictures)
    _, bare = yardstick("bare-draft", pictures, 2)
    assert bare["images"] == 6
    places = ("training", "test", "many", "flood", "archive")
    sizes = Sizes(photos=8, long_repeats=1)
    material = speed.Material(tmp_path, **dict.fromkeys(places, tmp_path), sizes=sizes)
    measured = Benchmark(material, model, Path("a"), make_console()).photos()
    assert len(list((tmp_path / "photos").iterdir())) == 8
    assert measured.name == "8 photos of 12 megapixels into SQLite, whole command"
    assert (measured.comparison, measured.must) == ("share", 0.6)
    assert min(*measured.ours, *(measured.others or [])) > 0
