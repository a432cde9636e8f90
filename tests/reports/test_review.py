"""The review page: what is written, and what a real browser makes of it."""

from __future__ import annotations

import base64
import csv
import hashlib
import http.server
import io
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from benchmarks import report
from benchmarks.browser import open_browser
from digit_classification.names import escape_undecodable
from digit_classification.pictures import images
from digit_classification.pictures.decode import decode
from digit_classification.pictures.prepare import Prepared, prepare
from digit_classification.pictures.sources import Source, find_named
from digit_classification.reports import coding, review
from digit_classification.reports.review import About, Review
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, Status
from digit_classification.training.corrections import read_corrections
from tests.drawing import draw_digit, png, write_dataset, zip_folder
from tests.trainer import train_model

HOSTILE = (
    "</script><img src=x onerror=\"document.title='broken'\">.png",
    "<!--<script>.png",
    'it\'s "quoted", with a comma.png',
    "=1+1.png",
    "turned\u202egnp.exe.png",
    "עברית \u0664.png",
    "line\nbreak.png",
    " space .png",
    "emoji \U0001f522.png",
    "&lt;amp;&amp;.png",
    "${alert(1)} `x` \\u003c.png",
    "\u2028.png",
    "undecodable \udcff.png",
)

# --------------------------------------------------------------------------------- what is written


def result(path: str, status: Status, confidence: float = 0.0, digit: int = 3) -> Result:
    shares = [(1 - confidence) / 9] * 10
    shares[digit] = confidence
    if status == "error":
        return Result(path, status, reason="truncated PNG")
    sha256 = hashlib.sha256(escape_undecodable(path).encode()).hexdigest()
    if status == "rejected":
        reason = images.BLANK if "blank" in path else "found 2 digits"
        return Result(path, status, None, None, reason, tuple(shares), sha256)
    return Result(path, status, digit, confidence, None, tuple(shares), sha256)


def drawn(seed: int) -> np.ndarray:
    """The normalised form of a drawn digit."""
    return images.normalize(draw_digit(seed % 10, seed)).digit


def picture(path: str, seed: int = 0, *, damaged: bool = False) -> Prepared:
    """What the workers make of a drawn digit, or of a blank page if its name says so."""
    source = Source(path, path)
    rejection = images.BLANK if "blank" in path else None
    if damaged:
        return Prepared(source, error="truncated PNG")
    stream = io.BytesIO()
    Image.fromarray(draw_digit(seed % 10, seed)).convert("RGB").save(stream, "WEBP", lossless=True)
    return Prepared(source, "0" * 64, drawn(seed), rejection, thumbnail=stream.getvalue())


ABOUT = About(["scans"], "digits.keras", 0.6, datetime(2026, 11, 22, tzinfo=timezone.utc), "run-1")


def write_page(path: Path, results: Sequence[Result], about: About = ABOUT) -> Path:
    with Review.open(path) as page:
        for seed, each in enumerate(results):
            page.add([each], [picture(each.path, seed, damaged=each.status == "error")])
        page.write(about)
    return path


class Elements(HTMLParser):
    """The elements of a page, with their text, as a browser without scripts finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        wanted = attributes.items()
        return [text for name, attrs, text in self.found if name == tag and wanted <= attrs.items()]


def test_the_page_is_one_file_without_references(tmp_path: Path) -> None:
    page = write_page(tmp_path / "r.html", [result("a.png", "ok", 0.9)]).read_text("utf-8")
    parsed = Elements(page)
    for _, attributes, _ in parsed.found:
        for name in {"src", "href", "action", "data", "poster", "srcset", "style"} & set(
            attributes
        ):
            assert (attributes[name] or "").startswith("data:")
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert list(tmp_path.iterdir()) == [tmp_path / "r.html"]


def test_the_policy_allows_this_style_and_this_program_alone(tmp_path: Path) -> None:
    page = Elements(write_page(tmp_path / "r.html", []).read_text("utf-8"))
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes, _ in page.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src blob: data:; ")
    assert "unsafe" not in policy
    for kind, texts in (
        ("style", page.texts("style")),
        ("script", page.texts("script", type="module")),
    ):
        (text,) = texts
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_names_stay_inside_the_data(tmp_path: Path) -> None:
    results = [result(name, "ok", 0.9) for name in HOSTILE]
    about = About(list(HOSTILE), "</title>.keras", 0.6, ABOUT.finished)
    harmless = Elements(write_page(tmp_path / "harmless.html", []).read_text("utf-8"))
    page = Elements(write_page(tmp_path / "r.html", results, about).read_text("utf-8"))
    sheets = len(page.texts("script", **{"class": "sheet"}))
    assert len(page.found) == len(harmless.found) + 2 * sheets  # begin and end
    (data,) = page.texts("script", id="data")
    assert data.isascii()
    assert not set(data) & set("<>&")
    names = [item[0] for item in json.loads(data)["items"]]
    assert names == [escape_undecodable(name) for name in HOSTILE]


def test_least_certain_first_in_sections(tmp_path: Path) -> None:
    results = [
        result("sure.png", "ok", 0.99),
        result("broken.png", "error"),
        result("less-sure.png", "ok", 0.7),
        result("two.png", "rejected", 0.5),
        result("doubt.png", "uncertain", 0.5),
        result("more-doubt.png", "uncertain", 0.4),
    ]
    page = Elements(write_page(tmp_path / "r.html", results).read_text("utf-8"))
    data = json.loads(page.texts("script", id="data")[0])
    assert [item[0] for item in data["items"]] == [
        "more-doubt.png",
        "doubt.png",
        "two.png",
        "broken.png",
        "less-sure.png",
        "sure.png",
    ]
    assert data["statuses"] == {"uncertain": 2, "rejected": 1, "error": 1, "ok": 2}
    assert data["digits"] == [0, 0, 0, 4, 0, 0, 0, 0, 0, 0]
    counts = {40: 1, 50: 1, 70: 1, 90: 1}
    assert data["bins"] == [[percent, counts.get(percent, 0)] for percent in range(10, 100, 10)]
    assert data["total"] == 6


def test_the_normalised_form_is_shown_exactly(tmp_path: Path) -> None:
    count = review.PER_SHEET + 3
    results = [result(f"{i}.png", "ok", 0.5 + i / 1000) for i in range(count)]
    page = Elements(write_page(tmp_path / "r.html", results).read_text("utf-8"))
    sheets = [json.loads(text) for text in page.texts("script", **{"class": "sheet"})]
    assert len(sheets) == 2
    for seed in range(count):
        number, place = divmod(seed, review.PER_SHEET)
        head, content = sheets[number]["digits"].split(",")
        assert head == "data:image/png;base64"
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
        down, across = divmod(place, coding.COLUMNS)
        side = images.SIDE
        shown = sheet[down * side : (down + 1) * side, across * side : (across + 1) * side]
        assert np.array_equal(shown, drawn(seed))


def test_a_long_run_is_cut_to_the_least_certain_and_counted_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "SHOWN", 5)
    shares = np.random.default_rng(0).permutation(100) / 100
    results = [result(f"{share}.png", "ok", share) for share in shares.tolist()]
    page = Elements(write_page(tmp_path / "r.html", results).read_text("utf-8"))
    data = json.loads(page.texts("script", id="data")[0])
    assert [item[3] for item in data["items"]] == [0.0, 0.01, 0.02, 0.03, 0.04]
    assert all(item[7] for item in data["items"])
    assert data["total"] == 100
    # No top digit has less than a tenth: what is said to have counts with what has the least.
    assert data["bins"] == [[10, 20], *([percent, 10] for percent in range(20, 100, 10))]


def test_what_can_be_corrected_comes_first_of_its_status(tmp_path: Path) -> None:
    names = ("blank-1.png", "two.png", "blank-2.png", "three.png")
    results = [result("sure.png", "ok", 0.99), *(result(name, "rejected") for name in names)]
    page = Elements(write_page(tmp_path / "r.html", results).read_text("utf-8"))
    items = json.loads(page.texts("script", id="data")[0])["items"]
    order = ["two.png", "three.png", "blank-1.png", "blank-2.png", "sure.png"]
    assert [item[0] for item in items] == order
    assert [item[7] for item in items] == [2, 2, 1, 1, 2]  # blank pages are shown all the same


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be changed there")
@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC0", "2026-11-22 12:00 UTC"),
        ("IST-5:30", "2026-11-22 17:30 UTC+05:30"),
        ("EST5", "2026-11-22 07:00 UTC-05:00"),
    ],
)
def test_the_time_is_local_with_its_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, shown: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        finished = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
        page = write_page(tmp_path / "r.html", [], About(["scans"], "m.keras", 0.6, finished))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert data_of(str(page))["finished"] == shown


# ------------------------------------------------------------------------------- what the eye sees


def test_a_thumbnail_is_upright_on_its_paper_and_small() -> None:
    tall = Image.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None], 100, 0))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turned a quarter to the left: dark is on top when right
    stream = io.BytesIO()
    tall.save(stream, "PNG", exif=exif)
    small = images.thumbnail(decode(stream.getvalue()).pixels, 96)
    assert small.shape == (96, 48, 3)
    assert small[0].mean() < small[-1].mean()

    ink = np.zeros((20, 20, 4), np.uint8)
    ink[8:12, :, 3] = 255  # black on nothing
    assert images.thumbnail(ink, 96)[0, 0].tolist() == [255, 255, 255]
    assert images.thumbnail(ink, 96)[10, 10].tolist() == [0, 0, 0]

    deep = np.full((10, 10), 40_000, np.uint16)
    assert images.thumbnail(deep, 96)[0, 0].tolist() == [156, 156, 156]


def test_thumbnails_are_made_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "7.png"
    path.write_bytes(png(draw_digit(7, side=300)))
    source = Source(str(path), str(path))
    assert prepare(source).thumbnail is None
    asked = prepare(source, thumbnail=True)
    assert Image.open(io.BytesIO(asked.thumbnail or b"")).size == (96, 96)
    assert asked.digit is not None
    assert np.array_equal(asked.digit, images.normalize(path).digit)


@pytest.mark.parametrize("name", ["7.png", "a.ZIP/7.png", "a.zip/b.zip/7.png"])
def test_find_named_finds_files_and_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content = png(draw_digit(7))
    archive, _, member = name.partition("/")
    if member:
        inside = tmp_path / "inside" / member
        inside.parent.mkdir(parents=True)
        inside.write_bytes(content)
        zip_folder(tmp_path / "inside", tmp_path / archive)
    else:
        (tmp_path / name).write_bytes(content)
    assert find_named(name).read() == content


# --------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned little: it is uncertain."""
    folder, options = tmp_path_factory.mktemp("model"), ("--hidden-units", 16, "--epochs", 3)
    return train_model(folder, *options)


Run = Callable[..., int]


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the detector in a folder that holds `scans`, a picture of each digit."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "scans", per_class=1, first_seed=900)

    def run(*arguments: object) -> int:
        options = ["--model", model, "--database", "sqlite:///d.db", "--quiet"]
        return detector.main([str(argument) for argument in [*options, *arguments]])

    return run


def data_of(page: str) -> dict[str, Any]:
    parsed = Elements(Path(page).read_text("utf-8"))
    data: dict[str, Any] = json.loads(parsed.texts("script", id="data")[0])
    return data


def test_a_run_writes_its_page(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("scans/3/broken.png").write_bytes(png(draw_digit(3))[:60])
    Path("scans/notes.txt").write_text("no picture")
    assert run("scans", "--report", "r.html") == 1
    data = data_of("r.html")
    assert data["total"] == 11
    assert data["statuses"]["error"] == 1
    with ResultsDatabase.open("sqlite:///d.db") as database:
        (stored,) = database.runs()
        rows = {row.path: row for row in database.rows(stored.info.id)}
    assert data["run"] == stored.info.id
    assert {item[0]: item[2] for item in data["items"]} == {
        path: row.digit for path, row in rows.items()
    }
    assert {item[6] for item in data["items"]} == {row.image_sha256 for row in rows.values()}
    assert capsys.readouterr().err == ""


def test_a_page_that_is_there_is_not_overwritten(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("r.html").write_text("precious")
    assert run("scans", "--report", "r.html") == 2
    expected = "Error: The report 'r.html' is already there: name another, or delete it.\n"
    assert capsys.readouterr().err == expected
    assert Path("r.html").read_text() == "precious"
    with ResultsDatabase.open("sqlite:///d.db") as database:
        assert database.runs() == []  # found out before any work


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("scans", f"'scans' is a folder: name a file, such as '{Path('scans/review.html')}'."),
        (
            "none/r.html",
            f"The report '{Path('none/r.html')}' cannot be written: No such file or directory: "
            "name another place with --report.",
        ),
    ],
)
def test_a_page_that_cannot_be_written(
    run: Run, capsys: pytest.CaptureFixture[str], path: str, message: str
) -> None:
    assert run("scans", "--report", path) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_a_page_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    with Review.open(path) as page:
        path.write_text("precious")
        with pytest.raises(review.ReviewError, match="is already there"):
            page.write(ABOUT)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Review.open(tmp_path / "r.html") as page:
            page.add([result("a.png", "ok", 0.9)], [picture("a.png")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_an_earlier_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    zip_folder(Path("scans"), Path("more.zip"))
    run("scans", "more.zip", "--min-confidence", 0.8, "--report", "first.html")
    assert run("--show", "latest", "--report", "again.html") == 0
    assert capsys.readouterr().out == ""
    first, again = data_of("first.html"), data_of("again.html")
    assert again.pop("finished")[:10] == first.pop("finished")[:10]
    assert again == first
    sheets = [Elements(Path(p).read_text("utf-8")) for p in ("first.html", "again.html")]
    assert len({tuple(page.texts("script", **{"class": "sheet"})) for page in sheets}) == 1


def test_what_an_earlier_run_saw_and_is_no_more(run: Run) -> None:
    run("scans")
    Path("scans/4/000.png").unlink()
    Path("scans/7/000.png").write_bytes(png(draw_digit(1, 5)))
    assert run("--show", "latest", "--report", "r.html") == 0
    items = {item[0]: item for item in data_of("r.html")["items"]}
    unseen = [path for path, item in sorted(items.items()) if not item[7]]
    assert unseen == ["scans/4/000.png", "scans/7/000.png"]
    assert items["scans/4/000.png"][5].endswith("not shown: no such file or directory")
    assert items["scans/7/000.png"][5].endswith("not shown: changed since")


def test_what_an_earlier_run_moved_is_shown_where_it_is(run: Run) -> None:
    run("scans", "--sort-into", "sorted", "--move")
    assert run("--show", "latest", "--report", "r.html") == 0
    items = data_of("r.html")["items"]
    assert items
    assert all(item[7] for item in items if item[1] != 2)  # but for what is no picture
    for path in (item[0] for item in items if item[7]):
        assert path.startswith("sorted")
        assert Path(path).exists()


# ----------------------------------------------------------------------------------- in a browser

Open = Callable[..., webdriver.Chrome]


@pytest.fixture(scope="module")
def desk(chromium: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A browser, and the folder that it downloads to."""
    downloads = tmp_path_factory.mktemp("downloads")
    with open_browser(*chromium, downloads=downloads) as browser:
        yield browser, downloads


@pytest.fixture
def browser(desk: tuple[webdriver.Chrome, Path]) -> Iterator[webdriver.Chrome]:
    """The browser; whatever a page complains of fails the test."""
    yield desk[0]
    complaints = said(desk[0])
    desk[0].execute_script("localStorage.clear()")  # the corrections of this test's pages
    desk[0].get("about:blank")
    assert complaints == []


def said(browser: webdriver.Chrome) -> list[Any]:
    """What the browser wrote on its console since this was asked last."""
    log: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return log


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A page of 40 pictures of all four kinds."""
    results = [
        *(result(f"scans/u{i}.png", "uncertain", 0.3 + i / 100, i % 10) for i in range(10)),
        *(result(f"scans/r{i}.png", "rejected", 0.5) for i in range(3)),
        *(result(f"scans/e{i}.png", "error") for i in range(2)),
        *(result(f"scans/o{i}.png", "ok", 0.9 + i / 1000, i % 10) for i in range(25)),
    ]
    return write_page(tmp_path / "r.html", results)


def names_shown(browser: webdriver.Chrome) -> list[str]:
    script = """return [...document.querySelectorAll('.card')]
        .sort((a, b) => a.dataset.position - b.dataset.position).map((card) => card.title)"""
    names: list[str] = browser.execute_script(script)
    return names


def current(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.CSS_SELECTOR, ".card.current").get_attribute("title") or ""


def reload(browser: webdriver.Chrome) -> None:
    """Load the page again, and wait until it is the new one that has its cards.

    On a busy machine the driver may return while the old document is still shown.
    """
    browser.execute_script("document.isOld = true")
    browser.refresh()
    WebDriverWait(browser, 20).until(
        lambda _: browser.execute_script(
            "return !document.isOld && document.readyState === 'complete'"
            " && document.querySelector('.card') !== null"
        )
    )


def press(browser: webdriver.Chrome, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def downloaded(desk: tuple[webdriver.Chrome, Path]) -> Path:
    """Press the button, wait for the file, and give it a name of its own."""
    browser, folder = desk
    browser.find_element(By.ID, "download").click()
    file, deadline = folder / "corrections.csv", time.monotonic() + 20
    # Chromium reserves the name with an empty file, and fills another that takes its place.
    while not file.exists() or not file.stat().st_size:
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.02)
    return file.rename(folder / f"{time.monotonic_ns()}.csv")


def test_the_page_shows_counts_sections_and_pictures(
    browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    assert browser.title == "Digits in scans"
    headings = [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".heading strong")]
    assert headings[:3] == ["Uncertain 10", "Rejected 3", "Errors 2"]
    filters = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#statuses button")]
    assert filters == ["All 40", "Uncertain 10", "Rejected 3", "Errors 2", "OK 25", "Corrected 0"]
    about = browser.find_element(By.ID, "about").text
    assert about.startswith(
        "40 pictures: 10 uncertain, 3 rejected, 2 errors, 25 ok. Read with digits.keras, 2026-11-2"
    )
    assert names_shown(browser)[:2] == ["scans/u0.png", "scans/u1.png"]
    first = browser.find_element(By.CSS_SELECTOR, ".card")
    assert first.text.splitlines()[:2] == ["0", "30.0 %"]
    # The picture is really there: the middle of the digit is light, its corner dark.
    pixels = browser.execute_async_script(
        """const done = arguments[0];
        const style = document.querySelector('.card .digit i').style;
        const image = new Image();
        image.onload = () => {
          const canvas = Object.assign(document.createElement('canvas'), {width: 28, height: 28});
          const context = canvas.getContext('2d');
          context.drawImage(image, 0, 0);
          done([...context.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0));
        };
        image.src = style.backgroundImage.slice(5, -2);"""
    )
    assert np.array_equal(np.reshape(pixels, (28, 28)), drawn(0))


def test_keys_move_correct_tick_and_take_back(
    desk: tuple[webdriver.Chrome, Path], browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    assert current(browser) == "scans/u0.png"
    press(browser, "7")  # corrected, and on to the next
    assert current(browser) == "scans/u1.png"
    press(browser, "1")  # confirmed: it was read so
    press(browser, Keys.ARROW_RIGHT, "4", Keys.ARROW_LEFT, Keys.BACKSPACE)  # taken back
    assert current(browser) == "scans/u3.png"
    press(browser, " ", Keys.SHIFT + Keys.ARROW_RIGHT, "9")  # two at once
    press(browser, Keys.END)
    assert current(browser) == "scans/o24.png"
    press(browser, Keys.HOME)
    assert current(browser) == "scans/u0.png"
    press(browser, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert current(browser) == "scans/u0.png"
    card = browser.find_element(By.CSS_SELECTOR, ".card")
    assert card.text.splitlines()[:2] == ["07", "30.0 %"]  # 0 struck out, 7
    assert "corrected to 7" in (card.get_attribute("aria-label") or "")
    with downloaded(desk).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["digit"]) for row in rows] == [
        ("scans/u0.png", "7"),
        ("scans/u1.png", "1"),
        ("scans/u3.png", "9"),
        ("scans/u4.png", "9"),
    ]
    assert rows[0]["sha256"] == hashlib.sha256(b"scans/u0.png").hexdigest()


def test_the_page_opens_on_a_picture_that_can_be_corrected(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    results = [
        *(result(f"blank-{i}.png", "rejected") for i in range(30)),
        result("broken.png", "error"),
        result("less-sure.png", "ok", 0.7),
        result("sure.png", "ok", 0.9),
    ]
    browser.get(write_page(tmp_path / "r.html", results).as_uri())
    assert current(browser) == "less-sure.png"
    assert browser.find_element(By.ID, "question").text == "Which digit is it?"
    top, bottom, dock = browser.execute_script(
        """const card = document.querySelector('.card.current').getBoundingClientRect();
        return [card.top, card.bottom, document.getElementById('dock').getBoundingClientRect().top]
        """
    )
    assert 0 < top < bottom < dock  # in view
    press(browser, "7")
    assert current(browser) == "sure.png"
    press(browser, "7")  # the last one: there is nowhere to go
    assert current(browser) == "sure.png"
    browser.find_element(By.CSS_SELECTOR, '[data-choice="rejected"]').click()
    assert current(browser) == "blank-0.png"
    assert (
        browser.find_element(By.ID, "question").text == "Nothing was found that could be learned."
    )


def test_an_answer_leads_past_what_cannot_be_corrected(
    browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    press(browser, "r", Keys.END, "a")
    assert current(browser) == "scans/r2.png"
    press(browser, "4")  # past two files that are no pictures
    assert current(browser) == "scans/o0.png"


def test_a_page_without_anything_to_correct_asks_for_nothing(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    results = [result("blank.png", "rejected"), result("broken.png", "error")]
    browser.get(write_page(tmp_path / "r.html", results).as_uri())
    assert not browser.find_element(By.ID, "dock").is_displayed()
    browser.find_element(By.CSS_SELECTOR, ".card").click()
    assert (
        browser.find_element(By.ID, "question").text == "Nothing was found that could be learned."
    )


def test_the_axis_of_confidence_begins_where_a_top_digit_can_be(
    browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    bars = browser.find_elements(By.CSS_SELECTOR, "#confidence-chart .bar")
    names = [bar.get_attribute("data-name") for bar in bars]
    assert names == [f"{tenth}0–{tenth + 1}0" for tenth in range(1, 10)]
    counts = [bar.get_attribute("data-count") for bar in bars]
    assert counts == ["", "", "10", "", "", "", "", "", "25"]
    below = [
        name
        for name, bar in zip(names, bars, strict=True)
        if "below" in bar.get_dom_attribute("class")
    ]
    assert below == ["10–20", "20–30", "30–40", "40–50", "50–60"]  # the minimum is 60 %
    assert len({bar.rect["y"] for bar in bars}) == 1
    spoken = browser.find_element(By.ID, "confidence-chart").get_attribute("aria-label") or ""
    assert spoken.startswith("10 to 20 %: 0, 20 to 30 %: 0, 30 to 40 %: 10, ")


def test_focus_is_visible_and_what_it_is_on_is_announced(
    browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    focused = browser.switch_to.active_element
    assert focused.get_attribute("role") == "listbox"
    active = browser.find_element(By.ID, focused.get_attribute("aria-activedescendant") or "")
    assert active.get_attribute("title") == "scans/u0.png"
    assert "3px" in active.value_of_css_property("box-shadow")
    press(browser, Keys.SHIFT + Keys.TAB)
    assert "3px" in browser.switch_to.active_element.value_of_css_property("outline")


def test_nothing_to_learn_cannot_be_corrected(browser: webdriver.Chrome, mixed: Path) -> None:
    browser.get(mixed.as_uri())
    browser.find_element(By.CSS_SELECTOR, '[data-choice="error"]').click()
    browser.find_element(By.CSS_SELECTOR, ".card").click()
    assert not browser.find_element(By.CSS_SELECTOR, "#answers button").is_enabled()
    press(browser, "7")
    assert not browser.find_element(By.ID, "download").is_enabled()
    assert "Nothing was found" in browser.find_element(By.ID, "said").text


def test_filters_by_status_digit_and_name(browser: webdriver.Chrome, mixed: Path) -> None:
    browser.get(mixed.as_uri())
    browser.find_element(By.CSS_SELECTOR, '[data-choice="rejected"]').click()
    assert names_shown(browser) == ["scans/r0.png", "scans/r1.png", "scans/r2.png"]
    browser.find_element(By.CSS_SELECTOR, '[data-choice="all"]').click()
    browser.find_elements(By.CSS_SELECTOR, "#digits button")[1 + 7].click()
    assert names_shown(browser) == ["scans/u7.png", "scans/o7.png", "scans/o17.png"]
    browser.find_elements(By.CSS_SELECTOR, "#digit-chart button")[7].click()  # the same again: any
    browser.find_element(By.ID, "find").send_keys("O2")
    assert names_shown(browser) == [f"scans/o{i}.png" for i in (2, 20, 21, 22, 23, 24)]
    browser.find_element(By.ID, "find").send_keys("nothing")
    assert browser.find_element(By.ID, "none").is_displayed()
    browser.find_element(By.ID, "reset").click()
    assert names_shown(browser)[0] == "scans/u0.png"


def test_mistakes_are_marked_and_can_be_shown_alone(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    results = [
        result("right.png", "ok", 0.9, 7),
        result("wrong.png", "ok", 0.9, 7),
        result("empty.png", "ok", 0.8, 1),
        result("rejected.png", "rejected", 0.5),
        result("unknown.png", "ok", 0.9, 7),
    ]
    labels = {"right.png": "7", "wrong.png": "1", "empty.png": None, "rejected.png": None}
    path = write_page(tmp_path / "r.html", results, replace(ABOUT, labels=labels))
    browser.get(path.as_uri())
    assert "Of 4 with a known answer 2 are wrong." in browser.find_element(By.ID, "about").text
    press(browser, "w")
    assert pressed(browser) == ["Wrong 2", "Any"]
    assert names_shown(browser) == ["empty.png", "wrong.png"]
    marks = [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".card .truth")]
    assert sorted(marks) == ["wrong: is 1", "wrong: no digit"]
    assert "wrong: no digit" in browser.find_element(By.ID, "reading").text
    press(browser, "a")
    assert len(names_shown(browser)) == 5
    # Without known answers there is nothing to choose.
    browser.get(write_page(tmp_path / "plain.html", results).as_uri())
    assert browser.find_elements(By.CSS_SELECTOR, '[data-choice="wrong"]') == []


def pressed(browser: webdriver.Chrome) -> list[str]:
    """The filters that are chosen."""
    buttons = browser.find_elements(By.CSS_SELECTOR, "nav [aria-pressed='true']")
    return [button.text for button in buttons]


def test_the_dock_follows_the_filter(browser: webdriver.Chrome, mixed: Path) -> None:
    """What is asked about, and what an answer is for, is what is shown."""
    browser.get(mixed.as_uri())
    assert pressed(browser) == ["All 40", "Any"]
    browser.find_elements(By.CSS_SELECTOR, "#digits button")[1 + 7].click()
    assert pressed(browser) == ["All 40", "7"]
    assert browser.find_element(By.ID, "path").text == "scans/u7.png"
    assert browser.find_element(By.ID, "reading").text.startswith("Read as 7 with 37.0 %")
    browser.find_element(By.ID, "find").send_keys("nothing")
    assert not browser.find_element(By.ID, "dock").is_displayed()
    browser.find_element(By.ID, "reset").click()
    browser.find_element(By.ID, "list").send_keys("r")
    assert pressed(browser) == ["Rejected 3", "Any"]
    assert browser.find_element(By.ID, "path").text == "scans/r0.png"
    assert browser.find_element(By.ID, "question").text == "Which digit is on the right?"
    press(browser, "e", "u", "o", "a")
    assert pressed(browser) == ["All 40", "Any"]


def test_the_last_answer_is_taken_back(
    desk: tuple[webdriver.Chrome, Path], browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    press(browser, "7", "8", Keys.BACKSPACE)  # u0 and u1 answered; u2, the current one, is not
    assert current(browser) == "scans/u1.png"
    assert "scans/u1.png: correction taken back" in said_aloud(browser)
    press(browser, "4", "5", Keys.HOME)
    tapped = browser.find_elements(By.CSS_SELECTOR, "#answers button")[7]
    assert tapped.get_attribute("aria-pressed") == "true"
    tapped.click()  # a second time
    assert "scans/u0.png: correction taken back" in said_aloud(browser)
    with downloaded(desk).open(encoding="utf-8", newline="") as file:
        rows = [(row["path"], row["digit"]) for row in csv.DictReader(file)]
    assert rows == [("scans/u1.png", "4"), ("scans/u2.png", "5")]
    press(browser, *[Keys.BACKSPACE] * 3)
    assert "There is nothing to take back." in said_aloud(browser)
    assert not browser.find_element(By.ID, "download").is_enabled()


def said_aloud(browser: webdriver.Chrome) -> str:
    """What a screen reader was told last."""
    text: str = browser.execute_script("return document.getElementById('said').textContent")
    return text


def test_only_rows_near_the_view_are_drawn(browser: webdriver.Chrome, tmp_path: Path) -> None:
    results = [result(f"{i}.png", "ok", 0.5 + i / 10_000) for i in range(600)]
    browser.get(write_page(tmp_path / "r.html", results).as_uri())
    assert 10 < len(names_shown(browser)) < 150
    press(browser, Keys.END)
    assert current(browser) == "599.png"
    assert 10 < len(names_shown(browser)) < 150
    box = browser.find_element(By.CSS_SELECTOR, ".card.current").rect
    scrolled = browser.execute_script("return scrollY")
    assert 0 < box["y"] - scrolled < 900 - 130  # above what covers the foot of the window


def test_hostile_names_are_shown_and_come_back_as_they_were(
    desk: tuple[webdriver.Chrome, Path],
    browser: webdriver.Chrome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    names = [name.replace("/", "") for name in HOSTILE]
    if sys.platform != "linux":
        names = [name for name in names if not re.search('[\n"<>|\udcff]', name)]
    results = []
    for seed, name in enumerate(names):
        content = png(draw_digit(3, 1000 + seed))
        Path(name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        results.append(Result(name, "ok", 3, 0.9, None, (0.1,) * 10, sha256))
    browser.get(write_page(tmp_path / "r.html", results).as_uri())
    assert browser.title == "Digits in scans"
    assert browser.find_elements(By.CSS_SELECTOR, "img, body > script:not([type])") == []
    shown = " ".join(names_shown(browser))
    assert "turned\\u{202e}gnp.exe.png" in shown
    assert "line\\u{a}break.png" in shown
    press(browser, *("5" * len(names)))
    file = downloaded(desk)
    corrections = read_corrections(file)
    assert sorted(corrections.checksums) == sorted(each.image_sha256 or "" for each in results)
    assert set(corrections.labels.tolist()) == {5}
    assert not re.search("(?m)^[=+@-]", file.read_text("utf-8"))  # no formula for a spreadsheet


def test_the_network_is_forbidden(browser: webdriver.Chrome, mixed: Path) -> None:
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(mixed.as_uri())
        refused = browser.execute_async_script(
            """const [port, done] = arguments;
            const refused = [];
            document.addEventListener('securitypolicyviolation', (event) => {
              refused.push(event.effectiveDirective);
              if (refused.length === 3) done(refused.sort());
            });
            const url = `http://127.0.0.1:${port}/`;
            new Image().src = url;
            fetch(url).catch(() => {});
            const script = document.createElement('script');
            script.src = url;
            document.body.append(script);
            setTimeout(() => done(refused), 5000);""",
            server.server_address[1],
        )
        server.shutdown()
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert asked == []
    said(browser)  # the refusals


def test_corrections_that_are_not_downloaded_are_not_lost_in_silence(
    desk: tuple[webdriver.Chrome, Path], browser: webdriver.Chrome, mixed: Path
) -> None:
    """A browser may forbid a page to keep anything, or have no room left for it."""
    guarded = """const event = new Event('beforeunload', {cancelable: true});
        return !window.dispatchEvent(event)"""
    browser.get(mixed.as_uri())
    browser.execute_script("""Storage.prototype.takes = Storage.prototype.setItem;
        Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }
        """)
    warning = browser.find_element(By.ID, "unkept")
    assert not browser.execute_script(guarded)
    assert not warning.is_displayed()
    press(browser, "7")
    assert browser.execute_script(guarded)
    assert warning.text == (
        "This browser does not keep corrections: download them before you leave the page."
    )
    file = downloaded(desk)
    assert file.read_text().splitlines()[1].startswith("scans/u0.png,7,")
    assert not browser.execute_script(guarded)
    press(browser, "8")
    assert browser.execute_script(guarded)
    # Once there is room, what was not kept is kept as well.
    browser.execute_script("Storage.prototype.setItem = Storage.prototype.takes")
    press(browser, "9")
    assert not warning.is_displayed()
    assert not browser.execute_script(guarded)
    reload(browser)
    three = {"scans/u0.png": "7", "scans/u1.png": "8", "scans/u2.png": "9"}
    WebDriverWait(browser, 10).until(lambda _: corrected(browser) == three)


def test_a_page_that_may_keep_nothing_says_so(
    browser: webdriver.Chrome, mixed: Path, tmp_path: Path
) -> None:
    frame = '<iframe sandbox="allow-scripts" src="r.html" width="1200" height="800"></iframe>'
    (tmp_path / "frame.html").write_text(f"<title>frame</title>{frame}")
    browser.get((tmp_path / "frame.html").as_uri())
    browser.switch_to.frame(0)
    with pytest.raises(WebDriverException, match="localStorage"):
        browser.execute_script("localStorage.length")
    browser.find_element(By.CSS_SELECTOR, ".card").click()
    press(browser, "7")
    assert corrected(browser) == {"scans/u0.png": "7"}
    assert browser.find_element(By.ID, "unkept").is_displayed()
    browser.switch_to.default_content()


def corrected(browser: webdriver.Chrome) -> dict[str, str]:
    """What stands on the cards that are corrected and in view."""
    return {
        card.get_attribute("title") or "": card.find_element(By.TAG_NAME, "em").text
        for card in browser.find_elements(By.CSS_SELECTOR, ".card:has(em)")
    }


def test_corrections_are_there_after_a_reload_and_in_another_tab(
    desk: tuple[webdriver.Chrome, Path], browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    assert said_aloud(browser) == ""
    press(browser, "7", "1")
    first = browser.current_window_handle
    reload(browser)
    from_before = "2 corrections are here from before."
    WebDriverWait(browser, 10).until(lambda _: said_aloud(browser) == from_before)
    assert corrected(browser) == {"scans/u0.png": "7", "scans/u1.png": "1"}
    assert "Download 2 corrections" in browser.find_element(By.ID, "download").text
    browser.switch_to.new_window("tab")
    browser.get(mixed.as_uri())
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, "5")
    press(browser, Keys.HOME, Keys.BACKSPACE)
    browser.close()
    browser.switch_to.window(first)
    # The other tab changed what it corrected, and nothing else.
    both = {"scans/u1.png": "1", "scans/u2.png": "5"}
    WebDriverWait(browser, 10).until(lambda _: corrected(browser) == both)
    press(browser, Keys.HOME, "3")
    reload(browser)
    changed = both | {"scans/u0.png": "3"}
    WebDriverWait(browser, 10).until(lambda _: corrected(browser) == changed)
    rows = [*csv.DictReader(io.StringIO(downloaded(desk).read_text()))]
    assert [(row["path"], row["digit"], row["run"]) for row in rows] == [
        ("scans/u0.png", "3", "run-1"),
        ("scans/u1.png", "1", "run-1"),
        ("scans/u2.png", "5", "run-1"),
    ]


def test_all_corrections_are_taken_back_when_asked_for(
    browser: webdriver.Chrome, mixed: Path
) -> None:
    browser.get(mixed.as_uri())
    anew = browser.find_element(By.ID, "anew")
    assert not anew.is_displayed()
    press(browser, "7", "1")
    anew.click()
    question = browser.switch_to.alert
    assert question.text == (
        "Take back all 2 corrections of this page? What is not downloaded is lost."
    )
    question.dismiss()
    assert len(corrected(browser)) == 2
    anew.click()
    browser.switch_to.alert.accept()
    assert corrected(browser) == {}
    assert not anew.is_displayed()
    reload(browser)
    assert corrected(browser) == {}
    assert said_aloud(browser) == ""


def test_corrections_are_kept_for_a_run_and_its_pictures(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    pictures = [result(f"scans/{i}.png", "uncertain", 0.3 + i / 100, i) for i in range(3)]
    unstored = replace(ABOUT, run=None)
    pages = [
        write_page(tmp_path / "first.html", pictures),
        write_page(tmp_path / "again.html", [replace(pictures[0], image_sha256="0" * 64)]),
        write_page(tmp_path / "other.html", pictures, replace(ABOUT, run="run-2")),
        write_page(tmp_path / "unstored.html", pictures, unstored),
        write_page(tmp_path / "fewer.html", pictures[:2], unstored),
        write_page(tmp_path / "more.html", pictures, replace(unstored, sources=["again"])),
    ]
    browser.get(pages[0].as_uri())
    press(browser, "7", "8")
    for page in pages[1:4]:  # another picture of that name, another run, a run that is not stored
        browser.get(page.as_uri())
        assert corrected(browser) == {}, page
    press(browser, "5")
    browser.get(pages[4].as_uri())
    assert corrected(browser) == {}
    browser.get(pages[5].as_uri())  # the same pictures
    assert corrected(browser) == {"scans/0.png": "5"}
    browser.get(pages[0].as_uri())
    assert corrected(browser) == {"scans/0.png": "7", "scans/1.png": "8"}


@pytest.mark.parametrize(
    "kept",
    [
        "no JSON",
        "null",
        "[1, 2]",
        '[["scans/u0.png", 7]]',
        '[["scans/u0.png", ["CONTENT", "=1+1"]]]',
        '[["scans/u0.png", ["CONTENT", 10]]]',
        '[["scans/u0.png", ["CONTENT", 0.5]]]',
    ],
)
def test_what_others_left_in_the_store_is_not_believed(
    browser: webdriver.Chrome, mixed: Path, kept: str
) -> None:
    """In Chromium all pages that are files share one store."""
    content = hashlib.sha256(b"scans/u0.png").hexdigest()[:16]
    browser.get(mixed.as_uri())
    text = kept.replace("CONTENT", content)
    browser.execute_script("localStorage.setItem('digit corrections run-1', arguments[0])", text)
    reload(browser)
    assert corrected(browser) == {}
    press(browser, "6")
    six = {"scans/u0.png": "6"}
    WebDriverWait(browser, 10).until(lambda _: corrected(browser) == six)
    reload(browser)
    WebDriverWait(browser, 10).until(lambda _: corrected(browser) == six)


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_light_and_dark(
    chromium: tuple[str, str], desk: object, mixed: Path, dark: bool
) -> None:
    with open_browser(*chromium, width=360, height=740, phone=True, dark=dark) as phone:
        phone.get(mixed.as_uri())
        width, paper = phone.execute_script(
            "return [document.documentElement.scrollWidth, "
            "getComputedStyle(document.body).backgroundColor]"
        )
        assert width <= 360
        red, green, blue = map(int, re.findall(r"\d+", paper)[:3])
        assert (max(red, green, blue) < 64) == dark
        phone.execute_script("scrollTo(0, 1000)")
        bar = phone.find_element(By.CSS_SELECTOR, ".first").rect
        assert (bar["y"], bar["height"] < 740 / 10) == (1000, True)  # it stays, and hides little
        assert not phone.find_element(By.ID, "dock").is_displayed()
        phone.execute_script("document.querySelector('.card').click()")
        answer = phone.find_elements(By.CSS_SELECTOR, "#answers button")[7]
        assert answer.rect["width"] >= 24
        answer.click()
        assert phone.find_element(By.ID, "download").text == "Download 1"
        assert said(phone) == []


def test_a_correction_made_in_the_page_changes_the_next_training(
    run: Run,
    desk: tuple[webdriver.Chrome, Path],
    browser: webdriver.Chrome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("scans", "--report", "r.html")
    browser.get((tmp_path / "r.html").as_uri())
    wrong = current(browser)
    press(browser, "5")
    corrections = downloaded(desk)

    learned: list[tuple[np.ndarray, int]] = []
    original = trainer.DigitClassifier._build_model

    def see(classifier: trainer.DigitClassifier) -> None:
        training = classifier.prepare()[0].training
        learned.extend(zip(training.digits, training.labels, strict=True))
        original(classifier)

    monkeypatch.setattr(trainer.DigitClassifier, "_build_model", see)
    dataset = write_dataset(Path("digits"), per_class=10)
    options = ["--dataset", dataset, "--model", "m.keras", "--epochs", 1, "--batch-size", 16]
    options += ["--hidden-units", 16, "--corrections", corrections]
    assert trainer.main([str(option) for option in options]) == 0
    assert (
        "1; images added: 1; labels replaced: 0; labelled so already: 0\n"
        in capsys.readouterr().err
    )
    digit = images.normalize(wrong).digit
    assert [label for seen, label in learned if np.array_equal(seen, digit)] == [5]


# ------------------------------------------------------------------------------------- benchmark


def test_the_benchmark_opens_and_scrolls_a_page(
    chromium: tuple[str, str], model: Path, tmp_path: Path
) -> None:
    photos = report.draw_photos(tmp_path / "photos", 60)
    row = report.measure("photos, a few", photos, model, tmp_path)
    assert len(row.opened) == report.OPENED
    assert min(row.opened) > 0
    assert row.frames
    table = report.as_markdown([row], "1.2.3")
    assert f"| photos, a few | {row.megabytes:.1f} MB | " in table
    assert "Chromium 1.2.3 headless" in table
