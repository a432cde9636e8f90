"""The review page of forms: each cell within its row, corrected there, stored and learned."""

from __future__ import annotations

import csv
import getpass
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import digit_classification_detector as detector
from digit_classification.network.default_model import DEFAULT_MODEL
from digit_classification.pictures.forms.table import Cell, cut_strip, find_cells, turned
from digit_classification.training.corrections import read_corrections
from tests.reports.test_review import (  # the fixtures are taken by name
    browser,
    current,
    data_of,
    desk,
    downloaded,
    press,
)

__all__ = ["browser", "desk"]
ROOT = Path(__file__).resolve().parent.parent.parent
MARKS = ROOT / "docs" / "forms" / "marks.png"  # six rows of four cells, a little askew
TABLE = "12,9,,21\n7,,13,20\n15,8,14,37\n,10,6,16\n11,4,,15\n3,12,5,20\n"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    shutil.copy(MARKS, tmp_path)
    return tmp_path


def detect(*words: object, url: str = "none") -> int:
    words = (*words, "--model", DEFAULT_MODEL, "--database", url, "--quiet")
    return detector.main([*map(str, words)])


def read(*words: object, url: str = "none") -> dict[str, Any]:
    """Read the form, and return what its page holds."""
    assert detect(*words, "--read", "form", "--report", "r.html", url=url) in (0, 1)
    return data_of("r.html")


# -------------------------------------------------------------------------- a cell within its row


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_strip_shows_the_cell_upright_between_its_neighbours(quarters: int) -> None:
    grey = np.asarray(Image.open(MARKS).convert("L"))
    lying = np.ascontiguousarray(np.rot90(grey, -quarters))  # clockwise, and found so
    cells = turned(find_cells(lying, "auto"), quarters)
    straight = {(cell.row, cell.column): cell for cell in find_cells(grey, "auto")}
    assert [(cell.row, cell.column) for cell in cells] == [*straight]
    for cell in cells:
        strip = cut_strip(lying, cell, 320)
        assert max(strip.pixels.shape) <= 320
        left, top, width, height = strip.box_of(cell.box)
        assert left + width / 2 == pytest.approx(0.5, abs=0.05)
        assert top + height / 2 == pytest.approx(0.5, abs=0.05)
        assert 0.2 < width < 0.6
        assert 0.5 < height < 0.85
        expected = _within(cut_strip(grey, straight[cell.row, cell.column], 320), cell)
        found = _within(strip, cell)
        assert abs(found - expected).mean() < 25  # of 255: the same ink, seen again


def _within(strip: Any, cell: Cell) -> np.ndarray:
    """The middle of a strip, in which the cell is, 30 by 60 pixels, as float."""
    height, width = strip.pixels.shape
    part = strip.pixels[int(0.25 * height) : int(0.75 * height), int(0.35 * width) :]
    small = Image.fromarray(part[:, : int(0.3 * width)]).resize((60, 30))
    return np.asarray(small, float)


def test_what_the_page_holds_of_a_form(office: Path) -> None:
    data = read("marks.png")
    assert (data["forms"], data["numbers"], data["total"]) == (True, True, 24)
    assert [item[0] for item in data["items"]] == ["marks.png"] * 24
    assert [item[10][:5] for item in data["items"]] == [
        [1, 4 * (row - 1) + column, row, column, None]
        for row in range(1, 7)
        for column in range(1, 5)
    ]
    assert [item[2] for item in data["items"]] == [
        text or None for line in TABLE.split() for text in line.split(",")
    ]
    for item in data["items"]:
        left, top, width, height = item[10][5]
        assert 0 < left < left + width < 1
        assert 0 < top < top + height < 1
        for _, x, y, w, h, _ in item[9]:  # the signs are within the cell
            assert left - 0.02 <= x
            assert x + w <= left + width + 0.02
            assert top - 0.02 <= y
            assert y + h <= top + height + 0.02


def test_pages_and_what_is_no_form(office: Path) -> None:
    empty = Image.new("L", (400, 300), 255)
    empty.save("empty.png")
    form = Image.open(MARKS).convert("L")
    form.save("scan.pdf", save_all=True, append_images=[empty], resolution=200)
    data = read("scan.pdf", "empty.png")
    assert [item[0] for item in data["items"]] == ["scan.pdf"] * 25 + ["empty.png"]
    *cells, page = data["items"][:25]
    assert {item[10][0] for item in cells} == {1}
    assert page[10][:4] == [2, 25, 0, 0]
    assert (page[5], page[7] > 0) == ("no table", True)  # shown, but for no correction
    assert data["items"][-1][10] is None


# ------------------------------------------------------------------------------------- in a browser


def test_a_cell_is_corrected_stored_and_learned(
    desk: tuple[webdriver.Chrome, Path],
    browser: webdriver.Chrome,
    office: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read("marks.png", url=database_url)
    browser.get((office / "r.html").as_uri())
    assert browser.title == "Forms in marks.png"
    heading = browser.find_element(By.CSS_SELECTOR, ".heading strong")
    assert heading.text == "marks.png"
    press(browser, "a", Keys.HOME)
    assert current(browser) == "marks.png: row 1, column 1"
    frame, *signs = browser.find_elements(By.CSS_SELECTOR, ".card.current .frame b")
    assert (frame.get_attribute("class"), len(signs)) == ("cell", 2)
    press(browser, "9", "2", Keys.ENTER)  # as many signs as were read
    assert current(browser) == "marks.png: row 1, column 2"
    press(browser, Keys.ARROW_RIGHT, "5", Keys.ENTER)  # an empty cell
    file = downloaded(desk)
    lines = [*csv.DictReader(io.StringIO(file.read_text()))]
    assert [(row["path"], row["digit"], row["number"], row["cell"]) for row in lines] == [
        ("marks.png", "9", "92", "1"),
        ("marks.png", "2", "92", "1"),
        ("marks.png", "", "5", "3"),
    ]
    learned = read_corrections(file)
    assert learned.labels.tolist() == [9, 2]
    # And what is stored is corrected, as a table shows.
    capsys.readouterr()
    assert detect("--apply-corrections", file, url=database_url) == 0
    assert capsys.readouterr().out == (
        "marks.png: row 1, column 1: 92 (corrected by anna, was 12)\n"
        "marks.png: row 1, column 3: 5 (corrected by anna, was rejected: blank image)\n"
    )
    assert detect("--show", "latest", "--format", "table", url=database_url) == 0
    assert capsys.readouterr().out == TABLE.replace("12,9,,21", "92,9,5,21", 1)
    # The page of the corrected run, with the pictures seen again.
    assert detect("--show", "latest", "--report", "again.html", url=database_url) == 0
    again = data_of("again.html")
    assert [item[2] for item in again["items"][:4]] == ["92", "9", "5", "21"]
    assert all(item[7] > 0 and len(item[10][5]) == 4 for item in again["items"])
    # A browser keeps the corrections of each cell for itself.
    browser.get((office / "again.html").as_uri())
    assert "2" in browser.find_element(By.CSS_SELECTOR, "[data-choice=corrected] b").text


def test_the_uncertain_cells_come_first(browser: webdriver.Chrome, office: Path) -> None:
    read("marks.png", "--min-confidence", "0.999")
    browser.get((office / "r.html").as_uri())
    pressed = browser.find_element(By.CSS_SELECTOR, '#statuses [aria-pressed="true"]')
    assert pressed.get_attribute("data-choice") == "uncertain"
    shown = browser.find_elements(By.CLASS_NAME, "card")
    assert {card.get_attribute("data-status") for card in shown} == {"uncertain"}


# ------------------------------------------------------------------------------- what is refused


def test_corrections_of_no_cell(
    office: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read("marks.png", url=sqlite_url)
    run = json.loads(_shown(capsys, "--runs", "--format", "jsonl", url=sqlite_url))["run"]
    header = "path,digit,run,number,cell\n"

    def apply(*rows: str) -> str:
        Path("c.csv").write_text(header + "".join(f"marks.png,,{run},{row}\n" for row in rows))
        words = ["--apply-corrections", "c.csv", "--database", sqlite_url]
        detector.main(words)
        return capsys.readouterr().err

    assert "'marks.png' is a form, of which no cell is named" in apply("12,")
    assert "'marks.png', cell 99, is in no run" in apply("12,99")
    assert "the cell '0' should be a number from 1" in apply("12,0")
    twice = apply("12,1", "13,1")
    assert "'marks.png', cell 1, is 13, but 12 in 'c.csv', line 2" in twice
    assert "Corrected 2 pictures" in apply("12,1", "13,2")  # of one file, each for itself


def _shown(capsys: pytest.CaptureFixture[str], *words: str, url: str) -> str:
    capsys.readouterr()
    assert detect(*words, url=url) == 0
    return capsys.readouterr().out


def test_the_template_of_a_page_must_be_that_of_its_run(
    office: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = ROOT / "docs" / "cards"
    shutil.copy(cards / "card.yaml", office)
    data = read(cards / "flat-12.jpg", "--template", "card.yaml", url=sqlite_url)
    names = ["flat", "day", "month", "water", "power", "persons"]
    assert [item[10][4] for item in data["items"]] == names
    Path("card.yaml").rename("moved.yaml")
    words = ["--show", "latest", "--report", "again.html"]
    assert detect(*words, url=sqlite_url) == 2
    assert "card.yaml" in capsys.readouterr().err
    assert detect(*words, "--template", "moved.yaml", url=sqlite_url) == 0
    assert [item[10] for item in data_of("again.html")["items"]] == [
        item[10] for item in data["items"]
    ]
    text = Path("moved.yaml").read_text()
    Path("other.yaml").write_text(text.replace("name: flat", "name: house"))
    words[-1] = "third.html"
    assert detect(*words, "--template", "other.yaml", url=sqlite_url) == 2
    assert "read its forms with another template than 'other.yaml'" in capsys.readouterr().err
    assert not Path("third.html").exists()
