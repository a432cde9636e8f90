"""The training report: complete, correct, safe to open, and never written over another."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import digit_classification_model_trainer as trainer
from benchmarks.browser import open_browser
from digit_classification.cli.wording import duration
from digit_classification.commands.train.options import build_parser
from digit_classification.config import load_settings
from digit_classification.network import inference
from digit_classification.pictures.decode import Limits
from digit_classification.reports.training_report import check_report
from digit_classification.training import scores
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset
from tests.trainer import run

FILES = {
    *("index.html", "report.txt", "metrics.json", "history.csv", "mistakes.csv", "left_out.csv"),
    *("settings.yaml", "loss.png", "error.png", "confusion_counts.png", "confusion_shares.png"),
    *("reliability.png", "augmented.png", "mistakes.png", "left_out.png"),
}
# What a file may be called, if it is up to somebody else.
HOSTILE = "<img src=x onerror=alert(1)>&amp;'$title.png"
FORMULA = "=cmd.png"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with something of each kind that is not simply an image to learn from."""
    folder = write_dataset(tmp_path_factory.mktemp("report") / "digits", per_class=12)
    (folder / "0" / "copy.png").write_bytes((folder / "0" / "000.png").read_bytes())
    (folder / "1" / "empty.png").write_bytes(b"")
    (folder / "2" / "notes.txt").write_text("no picture")
    blank = Image.new("RGBA", (60, 40), (250, 250, 240, 0))
    blank.save(folder / "3" / "blank.png")
    if os.name == "posix":
        (folder / "4" / HOSTILE).write_bytes(b"")
        (folder / "5" / os.fsdecode(b"\xff\xfe\n.png")).write_bytes(b"")
        (folder / FORMULA).write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def small(dataset: Path) -> list[object]:
    """Options of a training that takes a second and makes mistakes."""
    return ["--dataset", dataset, "--hidden-units", 16, "--epochs", 3, "--batch-size", 16]


@pytest.fixture(scope="module")
def report(small: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    report = folder / "sub" / "report"
    assert run(*small, "--model", folder / "m.keras", "--report", report, "--quiet") == 0
    return report


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def shown_of(name: str, page: str) -> str:
    """The entry of a file in a gallery of the page."""
    (entry,) = [item for item in re.findall(r"<li>.*?</li>", page) if f"/{name}</span>" in item]
    return str(entry)


# ------------------------------------------------------------------------------------ the files


def test_a_report_has_everything(report: Path) -> None:
    assert {file.name for file in report.iterdir()} == FILES
    assert [entry.name for entry in report.parent.iterdir()] == ["report"]  # nothing else is left
    for file in report.glob("*.png"):
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert min(pixels.shape) > 200
        assert pixels.std() > 5, f"{file.name} shows nothing"


@pytest.mark.usefixtures("undrawn")
def test_with_corrections_the_mistakes_are_still_those_of_the_test(
    small: list[object], dataset: Path, tmp_path: Path
) -> None:
    test = write_dataset(tmp_path / "test", per_class=6, first_seed=500)
    corrections = tmp_path / "c.csv"
    corrections.write_text(f"path,digit\n{dataset / '7' / '003.png'},7\n")
    report = tmp_path / "report"
    options = ["--test-dataset", test, "--corrections", corrections, "--report", report]
    assert run(*small, *options, "--model", tmp_path / "m.keras", "--quiet") == 0
    paths = [row["path"] for row in rows(report / "mistakes.csv")]
    assert paths
    assert all(Path(path).is_relative_to(test) for path in paths)
    assert all(Path(path).exists() for path in paths)
    words = (report / "index.html").read_text(encoding="utf-8")
    subtitle = re.sub("<[^>]+>", "", words)
    assert f"Trained on {dataset} with 1 correction of {corrections}" in subtitle
    assert f", tested on {test}." in subtitle


def test_the_metrics_agree_with_one_another(report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    matrix = np.array(metrics["confusion_matrix"])
    assert matrix.sum() == metrics["images"]
    assert metrics["mistakes"] == matrix.sum() - np.trace(matrix) > 0
    assert metrics["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
    low, high = metrics["accuracy_interval_95"]
    assert 0 <= low < metrics["accuracy"] < high <= 1
    assert sum(pair["images"] for pair in metrics["most_confused"]) == metrics["mistakes"]
    assert metrics["by_min_confidence"][0]["mistakes"] == metrics["mistakes"]
    assert metrics["epochs"] == metrics["epochs_planned"] == 3
    assert metrics["interrupted"] is False

    history = rows(report / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    best = min(history, key=lambda row: float(row["validation_loss"]))
    assert int(best["epoch"]) == metrics["best_epoch"]


def test_each_mistake_is_named_so_that_the_detector_finds_it(report: Path, dataset: Path) -> None:
    mistakes = rows(report / "mistakes.csv")
    assert len(mistakes) == json.loads((report / "metrics.json").read_text())["mistakes"]
    confidences = [float(mistake["confidence"]) for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)
    for mistake in mistakes:
        assert Path(mistake["path"]).is_file()
        assert Path(mistake["path"]).relative_to(dataset).parts[0] == mistake["digit"]
        assert mistake["read_as"] != mistake["digit"]


def test_the_mistakes_are_those_that_the_saved_model_makes(report: Path) -> None:
    from digit_classification_detector import DigitPredictor

    predictor = DigitPredictor(report.parent.parent / "m.keras")
    for mistake in rows(report / "mistakes.csv"):
        result = predictor.predict(mistake["path"])
        assert str(result.digit) == mistake["read_as"]
        assert result.confidence == pytest.approx(float(mistake["confidence"]), abs=1e-4)


@pytest.mark.skipif(os.name != "posix", reason="file names that Windows does not allow")
def test_what_was_left_out_and_why(report: Path, dataset: Path) -> None:
    left_out = {
        row["path"].removeprefix(f"{dataset.as_posix()}/"): (row["what"], row["why"])
        for row in rows(report / "left_out.csv")
    }
    assert left_out == {
        "0/copy.png": ("duplicate", "copy of 0/000.png"),
        "1/empty.png": ("unreadable", "the file is empty"),
        "2/notes.txt": ("no image", "no image"),
        "3/blank.png": ("doubtful", "blank image"),
        f"4/{HOSTILE}": ("unreadable", "the file is empty"),
        "5/\\xff\\xfe\n.png": ("unreadable", "the file is empty"),
        FORMULA: ("no image", "no image"),
    }


def test_the_settings_are_those_in_effect_wherever_they_are_read(
    report: Path, small: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(report)
    settings = load_settings(config=Path("settings.yaml"), environment={})
    assert settings.training.hidden_units == (16,)
    assert settings.training.epochs == 3
    assert settings.dataset.path == small[1]


def test_the_report_in_words(report: Path) -> None:
    text = (report / "report.txt").read_text(encoding="utf-8")
    metrics = json.loads((report / "metrics.json").read_text())
    assert f"Test accuracy      {metrics['accuracy']:.2%}  (95 % interval " in text
    first = metrics["most_confused"][0]
    assert f"  {first['digit']} read as {first['read_as']}: {first['images']} times," in text
    assert max(len(line) for line in text.splitlines() if "/" not in line) <= 100


# ------------------------------------------------------------------------------------- the page


class Page(html.parser.HTMLParser):
    """What of a page matters here: its elements and addresses, and whether tags are balanced."""

    VOID = frozenset({"meta", "link", "img", "br", "source"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_file_that_loads_nothing(page: str) -> None:
    parsed = Page(page)
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "nav", "main", "footer"}
    allowed |= {"section", "div", "span", "p", "h1", "h2", "h3", "a", "b", "br", "small", "strong"}
    allowed |= {"code", "pre", "ul", "li", "dl", "dt", "dd", "details", "summary", "progress"}
    allowed |= {"table", "thead", "tbody", "tfoot", "tr", "th", "td"}
    allowed |= {"figure", "figcaption", "picture", "source", "img"}
    assert {tag for tag, _ in parsed.elements} <= allowed
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset"):
                assert (value or "").startswith("data:image/")
            if name == "href":
                assert (value or "").startswith("#")


def test_the_policy_forbids_all_but_the_page_s_own_style(page: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not re.search(r"url\(|@import", style)


def test_the_page_answers_in_the_order_in_which_a_person_asks(page: str) -> None:
    questions = re.findall(r"<h2>(.*?)</h2>", page)
    assert questions == [
        "How good is it?",
        "What does it get wrong?",
        "Can its confidence be trusted?",
        "How did the training go?",
        "What did it learn from?",
        "How to repeat it",
    ]
    links = re.findall(r'<a href="#(\w+)">', page)
    assert links == re.findall(r'<section id="(\w+)">', page)


def test_the_page_has_a_light_and_a_dark_form(page: str) -> None:
    assert page.count('<source media="(prefers-color-scheme: dark)"') == 5  # one each chart
    assert "@media (prefers-color-scheme: dark)" in page
    assert '<meta name="color-scheme" content="light dark">' in page
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page


@pytest.mark.skipif(os.name != "posix", reason="file names that Windows does not allow")
def test_the_page_shows_hostile_names_as_text(page: str) -> None:
    text = Page(page).text
    assert HOSTILE in text
    assert "\\xff\\xfe\\n.png" in text


def test_the_page_shows_the_figures(page: str, report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    text = Page(page).text.replace("\xa0", " ")
    assert f"{metrics['accuracy']:.2%}".replace("%", " %") in text
    assert f"of {metrics['images']} test images are read right" in text
    assert "only known to lie between" in text  # there are few test images
    assert "perhaps of the same writers" in text  # they are of the dataset that was learned from
    assert "Left out: unreadable" in text
    assert "Learned from, but doubtful (1)" in text
    for pair in metrics["most_confused"][:12]:
        assert f"{pair['digit']} read as {pair['read_as']}" in text


def test_a_page_of_a_model_without_mistakes(
    small: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Perfect probabilities; the charts and the tables must not stumble over what is not there."""
    classifier = trainer.DigitClassifier(
        load_settings(build_parser().parse([*map(str, small)])), quiet=True
    )
    classifier.train()
    perfect = np.eye(10)[classifier.prepare()[0].test.labels]
    monkeypatch.setattr(inference, "network_of", lambda model: lambda digits: perfect)
    classifier.evaluate()
    classifier.write_report(tmp_path / "report")
    assert {file.name for file in (tmp_path / "report").iterdir()} == FILES - {"mistakes.png"}
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    text = Page(page).text
    assert "Nothing: every test image is read right." in text
    assert "Worst mistakes" not in text
    assert rows(tmp_path / "report" / "mistakes.csv") == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1280, 800)])
def test_the_way_to_the_sections_stays_and_hides_little(
    chromium: tuple[str, str], report: Path, width: int, height: int
) -> None:
    with open_browser(*chromium, width=width, height=height, phone=True) as browser:
        # Without smooth scrolling, which a busy machine may cut short.
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
        browser.get((report / "index.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        browser.execute_script("scrollTo({top: 1500, behavior: 'instant'})")
        bar = "return document.querySelector('nav').getBoundingClientRect().toJSON()"
        covered = browser.execute_script(bar)
        assert covered["top"] == 0
        assert covered["height"] < 60  # of 844, 390 and 800: one line of links
        browser.find_element(By.CSS_SELECTOR, "nav a:last-child").send_keys(Keys.ENTER)
        heading = browser.find_element(By.CSS_SELECTOR, "#repeat h2")
        top = "return arguments[0].getBoundingClientRect().top"
        WebDriverWait(browser, 10).until(
            lambda _: covered["bottom"] <= browser.execute_script(top, heading) < height
        )


@pytest.mark.parametrize(("width", "height"), [(1200, 900), (390, 844)])
def test_the_page_in_a_browser(
    chromium: tuple[str, str], report: Path, tmp_path: Path, width: int, height: int
) -> None:
    """It is drawn, in colour, and the browser has nothing to complain of."""
    program, _ = chromium
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    picture = tmp_path / "page.png"
    done = subprocess.run(
        [
            program,
            *flags,
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'browser'}",
            f"--window-size={width},{height}",
            f"--screenshot={picture}",
            (report / "index.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    with Image.open(picture) as image:
        assert image.width == width
        assert len(image.convert("RGB").getcolors(2**24) or []) > 100


# ------------------------------------------------------------------------------ where it is put


def test_a_report_overwrites_nothing(
    report: Path, small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in report.iterdir()}
    model = tmp_path / "m.keras"
    assert run(*small, "--model", model, "--report", report) == 2
    assert capsys.readouterr().err == (
        f"Error: '{report}' is there already, and a report overwrites nothing: name a new folder "
        "with --report.\n"
    )
    assert {file.name: file.read_bytes() for file in report.iterdir()} == before
    assert not model.exists()  # it was refused before the training


@pytest.mark.usefixtures("undrawn")
def test_an_empty_folder_will_do(small: list[object], tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    options = ["--epochs", 1, "--model", tmp_path / "m.keras", "--report", tmp_path / "report"]
    assert run(*small, *options, "--quiet") == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_report_that_cannot_be_written(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "report"
    assert run(*small, "--model", tmp_path / "m.keras", "--report", folder) == 2
    assert capsys.readouterr().err == (
        f"Error: The report cannot be written to '{folder}': Not a directory: name another place "
        "with --report.\n"
    )


def test_a_crash_leaves_no_half_report(
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("digit_classification.reports.charts.render", crash)
    model = tmp_path / "m.keras"
    assert run(*small, "--epochs", 1, "--model", model, "--report", tmp_path / "r") == 130
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]  # the model is saved before
    assert capsys.readouterr().err.endswith("Interrupted: the model is saved.\n")


def test_matplotlib_is_imported_only_when_a_report_is_asked_for() -> None:
    code = f"import sys, {Path(trainer.__file__).stem}; print('matplotlib' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_report_needs_no_display(tmp_path: Path) -> None:
    """Where the environment asks for a window system that is not there, too."""
    code = (
        "from digit_classification.reports import charts;"
        "draw = charts.learning_curve([dict(epoch=1, loss=1, validation_loss=1)], 1, 'loss');"
        "print(charts.render(draw, charts.DARK, 'png')[:4])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "MPLBACKEND": "tkagg", "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "b'\\x89PNG'\n"


def test_check_report_leaves_no_trace(tmp_path: Path) -> None:
    check_report(tmp_path / "new" / "report")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- the figures


def test_the_interval_is_wilson_s() -> None:
    # Wilson's formula with z = 1.96, by hand for 8 of 10.
    z, n, share = 1.959964, 10, 0.8
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    assert scores.interval(8, 10) == pytest.approx((centre - width, centre + width), abs=1e-6)
    assert scores.interval(10, 10)[1] == pytest.approx(1)


def test_the_most_confused_come_first() -> None:
    matrix = np.diag(np.full(10, 90))
    matrix[4, 9], matrix[9, 4], matrix[1, 7] = 10, 30, 10
    matrix[1, 1] = 190
    pairs = scores.most_confused(matrix)
    assert [(pair["digit"], pair["read_as"]) for pair in pairs] == [(9, 4), (4, 9), (1, 7)]
    assert pairs[0]["share"] == pytest.approx(30 / 120)


def test_what_a_least_confidence_comes_to() -> None:
    confidences = np.array([0.4, 0.55, 0.7, 0.97, 1.0])
    right = np.array([False, True, False, True, True])
    found = {row["min_confidence"]: row for row in scores.by_threshold(confidences, right)}
    assert (found[0.0]["images"], found[0.0]["mistakes"], found[0.0]["error"]) == (5, 2, 0.4)
    assert (found[0.6]["images"], found[0.6]["mistakes"]) == (3, 1)
    assert (found[0.95]["share"], found[0.95]["error"]) == (0.4, 0.0)
    assert found[0.999]["images"] == 1


def test_reliability_has_a_bin_for_each_confidence_that_occurs() -> None:
    confidences = np.array([0.51, 0.52, 0.99, 1.0])
    right = np.array([True, False, True, True])
    low, high = scores.reliability(confidences, right)
    assert (low.images, low.accuracy, high.images, high.accuracy) == (2, 0.5, 2, 1.0)
    assert low.confidence == pytest.approx(0.515)
    assert low.low < 0.5 < low.high


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (202, "3 min 22 s"), (7265, "2 h 01 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# ------------------------------------------------------------------------------ pictures of files


def test_pictures_of_all_kinds_are_shown_as_they_are(tmp_path: Path) -> None:
    from digit_classification.reports.training_record import THUMBNAIL, open_picture

    digit = draw_digit(7, side=280)
    (tmp_path / "0").mkdir()
    kinds = {
        "grey.png": Image.fromarray(digit),
        "one-bit.png": Image.fromarray(digit).convert("1"),
        "sixteen-bit.png": Image.fromarray(digit.astype(np.uint16) * 200),
        "cmyk.jpg": Image.fromarray(digit).convert("CMYK"),
        "palette.gif": Image.fromarray(digit).convert("P"),
    }
    for name, picture in kinds.items():
        picture.save(tmp_path / "0" / name)
        shown = open_picture(tmp_path, f"0/{name}")
        assert shown is not None, name
        assert shown.size == (THUMBNAIL, THUMBNAIL)
        assert np.asarray(shown).dtype == np.uint8
        expected = cv_resize(digit)
        difference = np.abs(np.asarray(shown.convert("L"), float) - expected).mean()
        assert difference < 40, name
    assert open_picture(tmp_path, "0/missing.png") is None
    (tmp_path / "0" / "text.png").write_bytes(b"no picture")
    assert open_picture(tmp_path, "0/text.png") is None
    (tmp_path / "0" / "cut.png").write_bytes(png(digit)[:200])
    assert open_picture(tmp_path, "0/cut.png") is None


def cv_resize(digit: np.ndarray) -> np.ndarray:
    from digit_classification.reports.training_record import THUMBNAIL

    picture = Image.fromarray(digit).resize((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture, float)


def test_ink_of_any_colour_shows_on_transparent_paper(tmp_path: Path) -> None:
    from digit_classification.reports.training_record import open_picture

    for ink in (0, 255):
        pixels = np.zeros((40, 40, 4), np.uint8)
        pixels[10:30, 18:22] = (ink, ink, ink, 255)
        Image.fromarray(pixels).save(tmp_path / f"{ink}.png")
        shown = open_picture(tmp_path, f"{ink}.png")
        assert shown is not None
        assert np.asarray(shown.convert("L")).std() > 10


def test_pictures_in_a_zip(tmp_path: Path) -> None:
    import zipfile

    from digit_classification.reports.training_record import open_picture

    archive = tmp_path / "digits.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("7/a.png", png(draw_digit(7)))
    shown = open_picture(archive, "7/a.png")
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(shown.convert("L")), draw_digit(7))


@pytest.mark.usefixtures("undrawn")
def test_the_report_opens_no_picture_that_the_settings_forbid(
    small: list[object], page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "<img" in shown_of("3/blank.png", page)  # a doubtful picture of 60×40 pixels
    monkeypatch.setenv("DIGITS_IMAGES_MAX_PIXELS", "2000")
    dataset = write_dataset(tmp_path / "digits", per_class=12)
    Image.new("L", (60, 40), 250).save(dataset / "3/blank.png")
    report = tmp_path / "report"
    options = ["--dataset", dataset, "--model", tmp_path / "m.keras", "--report", report]
    assert run(*small, *options, "--quiet") == 0
    entry = shown_of("3/blank.png", (report / "index.html").read_text(encoding="utf-8"))
    assert entry.startswith("<li>60x40: more than 2,000 pixels<")
    assert not (report / "left_out.png").exists()


@pytest.mark.parametrize("limits", [Limits(formats=("JPEG",)), Limits(max_pixels=783)])
def test_a_misread_picture_is_shown_within_the_limits(tmp_path: Path, limits: Limits) -> None:
    from digit_classification.reports.training_record import open_picture

    (tmp_path / "7.png").write_bytes(png(draw_digit(7)))  # 28×28
    assert open_picture(tmp_path, "7.png") is not None
    assert open_picture(tmp_path, "7.png", limits) is None


def test_a_chart_is_the_same_each_time() -> None:
    from digit_classification.reports import charts

    bins = scores.reliability(np.array([0.5, 0.9, 0.99]), np.array([False, True, True]))
    draw = charts.reliability_diagram(bins)
    first, second = (charts.render(draw, charts.LIGHT, "svg") for _ in "ab")
    assert first == second
    assert charts.render(draw, charts.DARK, "svg") != first
    assert io.BytesIO(first).read(5) == b"<?xml"
