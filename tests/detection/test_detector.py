"""The detector, as its users meet it: command line, output, database, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import digit_classification_detector as detector
from digit_classification.cli.terminal import make_console
from digit_classification.config import Settings
from digit_classification.network.default_model import DEFAULT_MODEL
from digit_classification.network.model_file import ModelError
from digit_classification.pictures.prepare import Prepared
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import StoredResult
from digit_classification_detector import DigitPredictor
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset, zip_folder
from tests.foreign import save_linear_model

SCRIPT = ROOT / "digit_classification_detector.py"

Run = Callable[..., int]


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the detector in an empty folder, with a small model and without a database."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, database: str = "none") -> int:
        options = ["--model", model, "--database", database]
        return detector.main([str(argument) for argument in [*options, *arguments]])

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of each digit, in folders 0 to 9 of `scans`."""
    return write_dataset(tmp_path / "scans", per_class=2, first_seed=500)


def ambiguous_digit() -> np.ndarray:
    """A 3 over a 7: whatever it is read as, hardly with a confidence of 1."""
    return np.maximum(draw_digit(3, seed=500), draw_digit(7, seed=500))


def stored(url: str) -> list[StoredResult]:
    with ResultsDatabase.open(url, password=os.environ.get("DIGITS_DATABASE_PASSWORD")) as database:
        return list(database.rows(database.runs()[0].info.id))


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --------------------------------------------------------------------------------- what it does


def test_a_single_image(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scans/7/000.png") == 0
    captured = capsys.readouterr()
    digit, share = captured.out.split()
    assert digit == "7"
    assert 50 < float(share.rstrip("%")) <= 100
    assert captured.err == ""


def test_the_three_best(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scans/7/000.png", "--top-k", 3) == 0
    best = capsys.readouterr().out.strip().split(", ")
    assert best[0].startswith("7 ")
    shares = [float(entry.split()[1].rstrip("%")) for entry in best]
    assert len(best) == 3
    assert shares == sorted(shares, reverse=True)


def test_top_k_of_a_folder_is_a_line_for_each_picture(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scans", "--top-k", 2) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 20
    two = re.compile(r"scans/./00.\.png: \d [\d.]+%, \d [\d.]+%( \(uncertain\))?")
    assert [line for line in lines if not two.fullmatch(line)] == []
    assert "20 images in " in captured.err


def test_top_k_as_csv_and_as_json_lines(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "7.png").write_bytes(png(draw_digit(7, seed=500)))
    (tmp_path / "blank.png").write_bytes(png(np.full((90, 90), 230, np.uint8)))
    assert run("7.png", "blank.png", "--top-k", 3, "--format", "csv") == 1
    seven, blank = csv_rows(capsys.readouterr().out)
    assert [*seven] == [
        *("path", "digit", "confidence", "status", "reason"),
        *("digit_2", "confidence_2", "digit_3", "confidence_3"),
    ]
    shares = [float(seven[name]) for name in ("confidence", "confidence_2", "confidence_3")]
    assert shares == sorted(shares, reverse=True)
    assert len({seven["digit"], seven["digit_2"], seven["digit_3"]}) == 3
    assert {blank[name] for name in ("digit", "digit_2", "confidence_2", "confidence_3")} == {""}
    assert run("7.png", "blank.png", "--top-k", 3, "--format", "jsonl") == 1
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    best = objects[0]["top"]
    assert [str(each["digit"]) for each in best] == [
        seven[name] for name in ("digit", "digit_2", "digit_3")
    ]
    assert [each["confidence"] for each in best] == [
        objects[0]["probabilities"][each["digit"]] for each in best
    ]
    assert objects[1]["top"] == []
    assert run("7.png", "--format", "jsonl") == 0
    assert "top" not in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        (["--output", "x.csv"], "path,digit,confidence,status,reason\n"),
        (["--output", "X.CSV"], "path,digit,confidence,status,reason\n"),
        (["--output", "x.jsonl"], '{"path": "scans/0/000.png", '),
        (["--output", "x.json"], '{"path": "scans/0/000.png", '),
        (["--output", "x.txt"], "scans/0/000.png: "),
        (["--output", "x"], "scans/0/000.png: "),
        (["--output", "x.jsonl", "--format", "csv"], "path,digit,confidence,status,reason\n"),
        (["--output", "x.csv", "--format", "text"], "scans/0/000.png: "),
    ],
)
def test_the_form_of_the_output_is_in_its_name_unless_it_is_said(
    run: Run, folder: Path, options: list[str], begins: str
) -> None:
    assert run("scans/0", "scans/1", *options) == 0
    assert Path(options[1]).read_text().startswith(begins)


def test_pictures_named_one_by_one_get_a_line_each(
    run: Run, folder: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "blank.png").write_bytes(png(np.full((90, 90), 230, np.uint8)))
    names = ["scans/7/000.png", "scans/blank.png"]
    assert run(*names, database=sqlite_url) == 1
    captured = capsys.readouterr()
    seven, blank = captured.out.splitlines()
    assert re.fullmatch(r"scans/7/000\.png: 7 [\d.]+%", seven)
    assert blank == "scans/blank.png: rejected: blank image"
    assert captured.err == ""
    assert len(stored(sqlite_url)) == 2
    ten = [f"scans/{digit}/000.png" for digit in range(10)]
    assert run(*ten) == 0
    captured = capsys.readouterr()
    assert (len(captured.out.splitlines()), captured.err) == (10, "")
    for many in ([*ten, "scans/7/001.png"], ["scans/7/000.png", "scans/8"]):
        assert run(*many) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "images in " in captured.err


def test_a_folder(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    (folder / "3/broken.png").write_bytes(png(draw_digit(3))[:60])
    (folder / "notes.txt").write_text("no picture")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    assert run("scans", database=database_url) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("21 images in ")
    assert "error: 1\n" in captured.err
    assert "  scans/3/broken.png: error: " in captured.err
    assert "ignored, no pictures: scans/notes.txt\n" in captured.err
    assert f"Stored in {database_url}, run " in captured.err
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    rows = stored(database_url)
    assert [row.path for row in rows] == sorted(row.path or "" for row in rows)
    assert len(rows) == 21
    by_path = {row.path: row for row in rows}
    assert by_path["scans/3/broken.png"].status == "error"
    assert by_path["scans/3/broken.png"].digit is None
    seven = by_path["scans/7/001.png"]
    assert (seven.digit, seven.status, seven.file_name) == (7, "ok", "001.png")
    assert seven.probabilities is not None
    assert seven.confidence == pytest.approx(max(seven.probabilities))
    assert sum(seven.probabilities) == pytest.approx(1, abs=1e-4)


def test_a_run_knows_what_it_was(run: Run, folder: Path, model: Path, database_url: str) -> None:
    run("scans", "scans/7", database=database_url)
    password = os.environ.get("DIGITS_DATABASE_PASSWORD")
    with ResultsDatabase.open(database_url, password=password) as database:
        (stored_run,) = database.runs()
    assert stored_run.state == "finished"
    assert list(stored_run.info.sources) == ["scans", "scans/7"]
    assert stored_run.info.model_path == str(model)
    assert len(stored_run.info.model_sha256 or "") == 64
    assert stored_run.counts is not None
    assert stored_run.counts.images == 20


def test_zips_globs_and_files_in_the_order_given(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zip_folder(folder, tmp_path / "archive.zip")
    paths = ["scans/9/001.png", "archive.zip", "scans/[12]/000.png"]
    assert run(*paths, "--format", "csv", "--quiet") == 0
    rows = csv_rows(capsys.readouterr().out)
    names = [row["path"] for row in rows]
    assert names[:2] == ["scans/9/001.png", "archive.zip/0/000.png"]
    assert names[-2:] == ["scans/1/000.png", "scans/2/000.png"]
    assert len(names) == 1 + 20 + 2


def test_a_picture_named_twice_is_read_once(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scans/1/000.png", "scans/1", "scans", "./scans", "--format", "csv") == 0
    names = [row["path"] for row in csv_rows(capsys.readouterr().out)]
    assert len(names) == 20
    assert names[:3] == ["scans/1/000.png", "scans/1/001.png", "scans/0/000.png"]


def test_paths_on_standard_input(model: Path, folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, SCRIPT, "-", "--model", model, "--database", "none"),
            *("--format", "csv", "--min-confidence", "0.3"),
        ],
        input=b"scans/4/000.png\r\nscans/missing.png\n\nscans/5\n",
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    rows = csv_rows(done.stdout.decode())
    assert [(row["path"], row["status"]) for row in rows] == [
        ("scans/4/000.png", "ok"),
        ("scans/missing.png", "error"),
        ("scans/5/000.png", "ok"),
        ("scans/5/001.png", "ok"),
    ]
    assert rows[1]["reason"] == "no such file or directory"


def test_csv(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = np.full((100, 100), 230, np.uint8)
    (folder / "blank.png").write_bytes(png(blank))
    (folder / "=cmd.png").write_bytes(b"")
    assert run("scans", "scans/=cmd.png", "--format", "csv", "--output", "-", "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "path,digit,confidence,status,reason"
    rows = {row["path"]: row for row in csv_rows(captured.out)}
    assert rows["scans/2/000.png"]["digit"] == "2"
    assert float(rows["scans/2/000.png"]["confidence"]) > 0.5
    assert rows["scans/blank.png"]["status"] == "rejected"
    assert rows["scans/=cmd.png"]["status"] == "error"
    for name in ("scans/blank.png", "scans/=cmd.png"):
        assert (rows[name]["digit"], rows[name]["confidence"]) == ("", "")
        assert rows[name]["reason"]


def test_a_spreadsheet_runs_no_cell(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "=1+1.png").write_bytes(png(draw_digit(1)))
    run("=1+1.png", "--format", "csv")
    assert csv_rows(capsys.readouterr().out)[0]["path"] == "'=1+1.png"


def test_json_lines_in_a_file(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("scans", "--format", "jsonl", "--output", "results.jsonl") == 0
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    results = [json.loads(line) for line in lines]
    assert len(results) == 20
    assert list(results[0]) == ["path", "digit", "confidence", "status", "reason", "probabilities"]
    assert results[0]["path"] == "scans/0/000.png"
    assert results[0]["confidence"] == max(results[0]["probabilities"])


def test_text_lines(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scans", "--format", "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith("scans/0/000.png: 0 ")


def test_less_than_the_minimum_confidence_is_uncertain(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scans", "--min-confidence", 1, "--format", "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.endswith(("% (uncertain)", " 100.0%")) for line in lines} == {True}
    assert any(line.endswith("% (uncertain)") for line in lines)


def test_the_pictures_that_the_network_sees(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("scans", "--save-normalized", "seen", "--quiet") == 0
    files = sorted((tmp_path / "seen").iterdir())
    assert len(files) == 20
    assert files[0].name == "000001-000.png"
    with Image.open(files[0]) as image:
        assert (image.size, image.mode) == ((28, 28), "L")


@pytest.mark.same_results
def test_many_pictures_are_read_by_several_processes(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "many", per_class=40)
    outputs = []
    for workers in (1, 2):
        assert run("many", "--workers", workers, "--format", "csv", "--quiet") == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 401


def test_runs_and_their_results_can_be_read_back(
    run: Run, folder: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scans", "--format", "csv", "--quiet", database=database_url) == 0
    first = capsys.readouterr().out
    assert run("scans/7", "--quiet", database=database_url) == 0
    assert run("--runs", database=database_url) == 0
    listed = capsys.readouterr().out
    assert listed.count("finished") == 2
    run_id = next(line.split()[0] for line in listed.splitlines() if line.endswith("  scans"))
    assert run("--show", run_id, "--format", "csv", database=database_url) == 0
    shown = capsys.readouterr()
    assert shown.out == first
    assert shown.err == f"Run {run_id}, finished, of scans\n"


# ----------------------------------------------------------------------------------- as a library


def test_a_prediction_of_anything_that_holds_a_picture(model: Path, tmp_path: Path) -> None:
    predictor = DigitPredictor(model)
    pixels = draw_digit(7, seed=500)
    path = tmp_path / "7.png"
    path.write_bytes(png(pixels))
    with path.open("rb") as file:
        pictures: list[Any] = [
            str(path),
            path,
            path.read_bytes(),
            file,
            Image.fromarray(pixels),
            pixels,
        ]
        results = [predictor.predict(picture) for picture in pictures]
    assert {(result.digit, result.status) for result in results} == {(7, "ok")}
    assert len({result.probabilities for result in results}) == 1
    assert results[0].path == str(path)
    with pytest.raises(AttributeError):
        results[0].digit = 8


def test_predictions_of_several_pictures(model: Path, tmp_path: Path) -> None:
    predictor = DigitPredictor(model)
    path = tmp_path / "7.png"
    path.write_bytes(png(draw_digit(7, seed=500)))
    alone = [predictor.predict(path), predictor.predict(draw_digit(1, seed=500))]
    several = predictor.predict([path, draw_digit(1, seed=500)])
    assert [(r.path, r.digit) for r in several] == [(str(path), 7), ("", 1)]
    for one, of_several in zip(alone, several, strict=True):
        assert one.confidence == pytest.approx(of_several.confidence, abs=1e-6)
    assert predictor.predict((path,)) == alone[:1]
    assert predictor.predict([]) == []


@pytest.mark.parametrize("nothing", [None, 7, 0.5, {"a": 1}, [None], [[1, 2], [3, 4]]])
def test_what_is_no_picture_is_a_type_error(model: Path, nothing: Any) -> None:
    with pytest.raises(TypeError) as caught:
        DigitPredictor(model).predict(nothing)
    innermost = nothing[0] if isinstance(nothing, list) else nothing
    assert str(caught.value) == (
        "A picture is a path, bytes, a binary file, a Pillow image or a NumPy array, not"
        f" {type(innermost).__name__}: pass one of these, or a list of them."
    )


def test_a_file_that_is_open_as_text_is_a_type_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    with open(tmp_path / "7.png", encoding="latin-1") as file, pytest.raises(TypeError) as caught:
        DigitPredictor(model).predict(file)  # type: ignore[call-overload]
    message = "The file is open as text: open it with mode 'rb', or pass its path."
    assert str(caught.value) == message


def test_every_prediction_goes_through_preprocess_image(model: Path, tmp_path: Path) -> None:
    class OneForAll(DigitPredictor):
        def preprocess_image(self, picture: Any) -> Prepared:
            return replace(super().preprocess_image(picture), digit=draw_digit(1, seed=500))

    path = tmp_path / "7.png"
    path.write_bytes(png(draw_digit(7, seed=500)))
    pictures: list[Any] = [path, str(path), path.read_bytes(), draw_digit(7, seed=500)]
    predictor = OneForAll(model)
    assert {predictor.predict(picture).digit for picture in pictures} == {1}
    assert {result.digit for result in predictor.predict(pictures)} == {1}


def test_a_prediction_is_printed_where_there_is_an_output(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "7.png"
    path.write_bytes(png(draw_digit(7, seed=500)))
    DigitPredictor(model).predict(path)
    assert capsys.readouterr().out == ""
    predictor = DigitPredictor(model, output=make_console())
    result = predictor.predict(path)
    assert capsys.readouterr().out == f"7 {result.confidence:.1%}\n"
    predictor.predict(b"")
    assert capsys.readouterr().out == "error: the file is empty\n"
    predictor.predict([path, path.read_bytes()])
    assert capsys.readouterr().out == (
        f"{path}: 7 {result.confidence:.1%}\n7 {result.confidence:.1%}\n"
    )


def test_without_settings_both_classes_take_those_of_config_yaml(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digit_classification_model_trainer import DigitClassifier

    (tmp_path / "config.yaml").write_text(
        f"model:\n  path: {model}\ndetection:\n  min_confidence: 1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DETECTION_INVERT", "never")
    predictor = DigitPredictor()
    assert predictor.settings == DigitClassifier().settings
    assert predictor.model.path == model
    assert predictor.settings.detection.invert == "never"
    assert predictor.predict(ambiguous_digit()).status == "uncertain"
    assert DigitPredictor(settings=Settings(), model=model).settings == Settings()


def test_what_cannot_be_read_is_a_result(model: Path) -> None:
    result = DigitPredictor(model).predict(b"no picture")
    assert (result.status, result.digit, result.confidence) == ("error", None, None)
    assert result.reason
    missing = DigitPredictor(model).predict("missing.png")
    assert (missing.status, missing.reason) == ("error", "no such file or directory")


def test_results_can_be_stored_one_by_one(model: Path, tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "1.png").write_bytes(png(draw_digit(1)))
    with ResultsDatabase.open(sqlite_url) as database:
        predictor = DigitPredictor(model, database=database)
        predictor.save_to_database([predictor.predict(tmp_path / "1.png")])
    (row,) = stored(sqlite_url)
    assert row.digit == 1


def test_a_run_that_is_left_early_is_interrupted(
    model: Path, folder: Path, sqlite_url: str
) -> None:
    with ResultsDatabase.open(sqlite_url) as database:
        results = DigitPredictor(model, database=database).classify_images([str(folder)])
        next(results)
        results.close()
        assert database.runs()[0].state == "interrupted"


def test_a_keras_model_made_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.keras"
    save_linear_model(path, 0, 1 / 255, dark=True)
    predictor = DigitPredictor(path)
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        f"'{path}' was not made by the trainer: loading it with Keras, which takes longer."
    )
    assert re.fullmatch(
        r"It reads (\d\d) of 50 trial digits with pixels of 0 to 1 inverted\.", second
    )
    result = predictor.predict(ROOT / "samples/0-light-on-dark-28x28.png")
    assert result.digit == 0
    assert result.probabilities is not None
    assert sum(result.probabilities) == pytest.approx(1, abs=1e-4)


def test_a_model_made_elsewhere_that_reads_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)]
    network = keras.Sequential(layers)
    network.set_weights([np.zeros((784, 10)), np.eye(10)[3]])  # everything is a 3
    network.save(tmp_path / "foreign.keras")
    with pytest.raises(ModelError) as caught:
        DigitPredictor(tmp_path / "foreign.keras")
    assert str(caught.value) == (
        f"The network in '{tmp_path / 'foreign.keras'}' cannot be used (it reads 5 of 50 trial "
        "digits at best: 0 to 1: 5, -1 to 1: 5, standardised: 5, 0 to 255: 5, 0 to 1 inverted: 5, "
        "0 to 255 inverted: 5, -1 to 1 inverted: 5, standardised inverted: 5): train the model "
        "again, or name another with --model."
    )


def test_the_default_path_imports_no_tensorflow(model: Path, folder: Path) -> None:
    code = (
        "import sys, digit_classification_detector as d;"
        f"code = d.main([{str(folder / '7/000.png')!r}, '--model', {str(model)!r},"
        " '--database', 'none']);"
        "print(code, sorted({'tensorflow', 'keras', 'mysql', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "0 []"
    assert done.stderr == ""


def test_importing_leaves_the_environment_and_the_threads_alone() -> None:
    code = (
        "import os, cv2, numpy; from threadpoolctl import threadpool_info;"
        "before = dict(os.environ), threadpool_info()[0]['num_threads'];"
        "import digit_classification_detector;"
        "after = dict(os.environ), threadpool_info()[0]['num_threads'];"
        "print(before == after, after[1])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    for threads, expected in (({}, None), ({"OPENBLAS_NUM_THREADS": "2"}, "2")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**environment, **threads},
            capture_output=True,
            text=True,
            check=True,
        )
        unchanged, number = done.stdout.split()
        assert unchanged == "True"
        assert number == (expected or number)


def test_a_reading_process_computes_on_one_thread(tmp_path: Path) -> None:
    """Also where the detector was imported: 300 pictures are enough to start processes."""
    (tmp_path / "look.py").write_text(
        "import os\n"
        "from threadpoolctl import threadpool_info\n"
        "def threads(_):\n"
        "    import numpy\n"
        "    return os.getpid(), threadpool_info()[0]['num_threads']\n"
    )
    script = tmp_path / "mine.py"
    script.write_text(
        "import os\n"
        "from look import threads\n"
        "from digit_classification.parallel import map_in_order\n"
        "found = set(map_in_order(threads, range(300), workers=2))\n"
        "print(os.getpid() in dict(found), {number for _, number in found})\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**environment, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "False {1}\n", done.stderr


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.png"], 2, "There is no file or folder 'missing.png': check the path."),
        (["*.tiff"], 2, "Nothing matches '*.tiff': check the pattern."),
        (
            ["7.png", "--model", "missing.keras"],
            2,
            "There is no model at 'missing.keras': train one with "
            "digit_classification_model_trainer.py, or name another with --model.",
        ),
        (
            ["7.png", "--model", "7.png"],
            2,
            "'7.png' is no Keras model, or is damaged: name a .keras file with --model.",
        ),
        (["7.png", "--model", "empty"], 2, "The model 'empty' is empty: train it again."),
        (
            ["7.png", "--model", "plain.zip"],
            2,
            "'plain.zip' is a zip, but no Keras model: name a .keras file.",
        ),
        (
            ["7.png", "--model", "old.h5"],
            2,
            "'old.h5' is an HDF5 model, which can run code when it is loaded. If you trust it, "
            "save it as .keras in Python, and name that with --model:\n"
            "    import keras\n"
            "    keras.models.load_model('old.h5').save('new.keras')",
        ),
        (
            ["7.png", "--output", "7.png"],
            2,
            "--output '7.png' would overwrite a picture: name a text file.",
        ),
        (
            ["7.png", "--output", "missing/results.csv"],
            2,
            "'missing/results.csv' cannot be written: No such file or directory: name another "
            "file with --output.",
        ),
        (
            ["7.png", "--save-normalized", "full"],
            2,
            "The folder 'full' is not empty: name a new one.",
        ),
        (
            ["7.png", "--invert", "maybe"],
            2,
            "detection.invert = maybe (from the command line) is not valid: "
            "input should be 'auto', 'always' or 'never'.",
        ),
        (
            ["7.png", "--min-confidence", "2"],
            2,
            "detection.min_confidence = 2 (from the command line) is not valid: "
            "input should be less than or equal to 1.",
        ),
        (["--runs", "--database", "none"], 2, "The database is none: name one with --database."),
    ],
)
def test_user_errors(
    run: Run,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n and so on")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("a file")
    zip_folder(tmp_path / "full", tmp_path / "plain.zip")
    assert run(*arguments) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"Error: {message}\n")


def test_without_a_model_no_database_is_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    assert run("7.png", "--model", "missing.keras", database="sqlite:///new.db") == 2
    assert not (tmp_path / "new.db").exists()


def test_a_database_error(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    (tmp_path / "text.db").write_text("This is no database, and it is not overwritten. " * 100)
    before = (tmp_path / "text.db").read_bytes()
    assert run("7.png", database="sqlite:///text.db") == 3
    assert capsys.readouterr().err.startswith("Error: Database sqlite:///text.db: ")
    assert (tmp_path / "text.db").read_bytes() == before


def test_no_path_and_no_terminal(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("error: name a picture, a folder or a zip\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
def test_asks_for_the_path_on_a_terminal(model: Path, folder: Path, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--model", model, "--database", "none"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    os.write(ours, b"'scans/7/000.png'\n")
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert out.decode().startswith("Enter the image path or directory: 7 ")


def test_a_model_prepared_in_another_way(
    run: Run, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    from digit_classification.pictures import images

    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    changed = tmp_path / "changed.keras"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("card.json"):
                card = json.loads(content)
                card["preparation"] = {"version": -1}
                content = json.dumps(card).encode()
            new.writestr(name, content)
    assert run("7.png", "--model", changed) == 2
    assert capsys.readouterr().err == (
        f"Error: '{changed}' was trained on images prepared in another way ({{'version': -1}}) "
        f"than this version prepares them ({images.PREPARATION}): train the model again.\n"
    )


def test_settings_reach_the_predictor(model: Path, tmp_path: Path) -> None:
    settings = Settings.model_validate({"detection": {"min_confidence": 1.0}})
    result = DigitPredictor(model, settings=settings).predict(ambiguous_digit())
    assert result.status == "uncertain"


def test_one_digit_waits_for_nothing_that_others_need(tmp_path: Path) -> None:
    """What only numbers, forms, many pictures, messages or a server need is not even imported."""
    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))
    words = ["7.png", "--model", str(DEFAULT_MODEL), "--database", "sqlite:///d.db"]
    code = (
        "import sys, digit_classification_detector as detector\n"
        f"detector.main({words})\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("7 ")
    own = ("detection.numbers", "network.number", "pictures.forms.table", "serving", "training")
    others = [f"digit_classification.{name}" for name in own]
    others += ["mysql", "multiprocessing", "rich", "http", "tensorflow", "sklearn", "pyarrow"]
    imported = done.stderr.split()
    assert [name for name in others if name in imported] == []
